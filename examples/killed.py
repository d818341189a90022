"""
A long run that is killed carries on: a random walk is saved every hundred steps, and its process killed half way.

Watch that the second attempt begins at the last step that was saved and not at the first one, and that the record
lists both attempts. The same happens after Ctrl-C, an error, or the end of a batch job.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import entropic

folder = Path("runs_killed")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")


@entropic.cached(store)
def walk(steps: int, seed: int = 1, *, result_path: Path, checkpoint_dir: Path) -> None:
    """A random walk; what decides how it goes on is saved: the place, the step, and the state of the generator."""
    state, dice, place, first = checkpoint_dir / "state.txt", random.Random(seed), 0, 0
    if state.exists():
        place, first, drawn = map(int, state.read_text().split())
        dice = random.Random(drawn)
    print(f"  running from step {first}", flush=True)
    for step in range(first, steps):
        place += dice.choice((-1, 1))
        if step % 100 == 99 or entropic.should_stop():
            drawn = dice.getrandbits(32)
            dice = random.Random(drawn)
            draft = checkpoint_dir / "state.tmp"
            draft.write_text(f"{place} {step + 1} {drawn}")
            os.replace(draft, state)  # whole or not at all, whenever we are killed
            print(f"  saved: step {step + 1}", flush=True)
            time.sleep(0.01)
            if entropic.should_stop():
                entropic.stop_here()
    result_path.write_text(str(place))


def main() -> None:
    if walk.retrieve(2000) is None:
        child = subprocess.Popen([sys.executable, __file__, "child"], stdout=subprocess.PIPE, text=True)
        with child:
            for line in child.stdout or ():
                if "step 1000" in line:
                    child.send_signal(signal.SIGKILL)
        print("The first process was killed at step 1000, or soon after.")
    record = walk(2000)
    print(f"The walk has ended at {record.result_path.read_text()}.")
    for attempt in record.provenance["attempts"]:
        print(f"  {attempt['outcome']}, {attempt['elapsed_seconds']:.1f} s")

    info = walk.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


if __name__ == "__main__":
    if sys.argv[1:] == ["child"]:
        walk(2000)
    else:
        main()
