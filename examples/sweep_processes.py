"""
A sweep on worker processes: random walks of many lengths, two of which fail on purpose.

Watch the plan, which tells before anything runs what is recorded and what is not; that a failing point does not
stop the others, and comes back with its error; and that the second time only the failed points are tried again.
Stop it with Ctrl-C, start it again, and it carries on.
"""

from __future__ import annotations

import random
from pathlib import Path

import entropic
from entropic.errors import SweepError

folder = Path("runs_sweep_processes")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")


@entropic.cached(store, load=lambda path: float(path.read_text()))
def spread(result_path: Path, steps: int, seed: int) -> None:
    """Root mean square distance of 200 walkers after so many steps."""
    if steps < 0:
        raise ValueError(f"a walk of {steps} steps")
    dice = random.Random(seed)
    distances = [sum(dice.choice((-1, 1)) for _ in range(steps)) for _ in range(200)]
    result_path.write_text(str((sum(d * d for d in distances) / 200) ** 0.5))


def main() -> None:
    points = entropic.grid(steps=[10, 40, 160, -1], seed=[1, 2])
    print("plan:", spread.plan(points, workers=2))
    try:
        spread.sweep(points, workers=2)
    except SweepError as error:
        print(f"{len(error.records)} points have records, and {len(error.failures)} failed:")
        for failure in error.failures:
            print(f"  {failure}")

    for steps in (10, 40, 160):
        distances = spread.sweep(entropic.grid(steps=steps, seed=[1, 2]))
        print(f"{steps:4} steps: {sum(distances) / 2:.1f} away, and sqrt(steps) is {steps**0.5:.1f}")

    info = spread.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits; {info.currsize} points.")


if __name__ == "__main__":  # needed here: worker processes may import this file
    main()
