"""
Runs that may not take for ever: a stiff equation, y' = -k (y - cos t), solved with explicit steps, which are tiny then.

Watch that the run which would take hours is ended after a second, and is a row of the failures and no answer; what is
under way meanwhile, and how far it is, as `entropic watch` shows it in another terminal; and that the points that are
left are solved with implicit steps. The second time, all that is recorded is a hit.
"""

from __future__ import annotations

import math
from pathlib import Path

import entropic

folder = Path("runs_supervised")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")


@entropic.cached(store, timeout=1.0, load=lambda path: float(path.read_text()))
def explicit(k: float, *, result_path: Path) -> None:
    """Solve for y at t = 1, by steps of 1 / k, or they would blow up."""
    steps, y = max(math.ceil(k), 1000), 0.0
    for step in range(steps):
        y -= k * (y - math.cos(step / steps)) / steps
        if step % 1000 == 0:
            entropic.report_progress(step / steps, f"step {step:,} of {steps:,}")
    result_path.write_text(str(y))


@entropic.cached(store, load=lambda path: float(path.read_text()))
def implicit(k: float, *, result_path: Path) -> None:
    """Solve for it by 1000 steps, whatever k is."""
    y = 0.0
    for step in range(1, 1001):
        y = (y + k / 1000 * math.cos(step / 1000)) / (1 + k / 1000)
    result_path.write_text(str(y))


def main() -> None:
    points = entropic.grid(k=[1e10, 10.0, 1e3, 1e5])
    solved = {}
    for point, y in explicit.sweep_as_completed(points, workers=2, on_error="skip"):
        solved[point["k"]] = y
        for run in store.under_way():
            print(f"  under way: {run}")
    for row in explicit.failures()[-1:]:
        print(f"given up at {row.params} after {row.attempts} attempt, for its {row.reason}")
    for point in points:
        k = point["k"]
        print(f"k = {k:8g}: y(1) = {solved[k] if k in solved else implicit(k):.4f}")

    infos = explicit.cache_info(), implicit.cache_info()
    print(f"This time: {sum(info.misses for info in infos)} runs, {sum(info.hits for info in infos)} hits.")


if __name__ == "__main__":  # needed here: worker processes may import this file
    main()
