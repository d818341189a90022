"""
``replicates``: so many independent runs of a point in one call; how long a random walk stays on one side.

Watch: of each length twenty run, and later twenty more. Each replicate has a seed of its own, derived from the point
and recorded with it; asking for forty runs only the twenty that are missing; the very same numbers come back on the
second start, and from a fresh folder too.
"""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import entropic

store = entropic.Store("runs_replicates/results", "runs_replicates/index.json", file_suffix=".txt")


@entropic.cached(store, load=lambda path: float(path.read_text()))
def share_above(steps: int, seed: int, *, result_path: Path) -> None:
    """Walk, and write the share of the time spent above zero."""
    draw = random.Random(seed)
    place = above = 0
    for _ in range(steps):
        place += draw.choice((-1, 1))
        above += place > 0
    result_path.write_text(str(above / steps))


def main() -> None:
    """Top up, and show mean and spread; the arcsine law says 0.5 and 0.354."""
    for count in (20, 40):
        for steps in (100, 10_000):
            shares = share_above.replicates(count, steps)
            mean, spread = statistics.mean(shares), statistics.stdev(shares)
            print(f"{count} walks of {steps:6} steps: {mean:.3f} +- {spread:.3f}")
    info = share_above.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits")


if __name__ == "__main__":
    main()
