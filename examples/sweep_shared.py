"""
Three processes make the same sweep, and share it: from which porosity on water runs through a block (percolation).

Watch that nobody hands out work: each process takes what no other has under way, and gets the records of all points at
the end. Start the script by hand as often as you like, on any hosts that share the folder: it is the same.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import entropic
from entropic.reports import SweepProgress

folder = Path("runs_sweep_shared")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")
POINTS = entropic.grid(size=[20, 40, 60], porosity=[0.5, 0.55, 0.6, 0.65, 0.7], seed=[1, 2])


@entropic.cached(store, load=lambda path: float(path.read_text()))
def flow(size: int, porosity: float, seed: int, *, result_path: Path) -> None:
    """The share of 40 blocks through which there is a way from the top to the bottom."""
    dice = random.Random(seed)
    open_blocks = 0
    for _ in range(40):
        pores = {(x, y) for x in range(size) for y in range(size) if dice.random() < porosity}
        front = [(x, 0) for x in range(size) if (x, 0) in pores]
        wet = set(front)
        while front:
            x, y = front.pop()
            new = ({(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)} & pores) - wet
            wet |= new
            front += new
        open_blocks += any(y == size - 1 for _, y in wet)
    result_path.write_text(str(open_blocks / 40))


def sweep() -> tuple[list[float], SweepProgress]:
    seen: list[SweepProgress] = []
    return flow.sweep(POINTS, order="longest", progress=seen.append), seen[-1]


def main() -> None:
    command = [sys.executable, __file__, "one of the fleet"]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    shares, mine = sweep()
    said = [f"{mine.done} of {len(POINTS)} points: {mine}", *(other.communicate()[0].strip() for other in others)]
    print("\n".join(f"  {line}" for line in said))
    for number, porosity in enumerate([0.5, 0.55, 0.6, 0.65, 0.7]):
        of_size = [sum(shares[10 * size + 2 * number :][:2]) / 2 for size in range(3)]
        print(f"porosity {porosity}: water runs through", ", ".join(f"{share:4.0%}" for share in of_size))

    runs = sum(int(line.split()[0]) for line in said)
    print(f"This time: {runs} runs, {3 * len(POINTS) - runs} hits.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _, progress = sweep()
        print(f"{progress.done} of {len(POINTS)} points: {progress}")
    else:
        main()
