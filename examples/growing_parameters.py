"""
Parameters that grow: last year's runs still answer, though the function has changed its signature since.

Last year ``step`` was called ``h``, and there was one method only. Today's function declares both changes. Watch that
calls with ``method="euler"`` find last year's runs, that ``"midpoint"`` runs anew, and that no record is rewritten.
(The two functions would be one, before and after an edit; ``name=`` makes them one here.)
"""

from __future__ import annotations

import math
from pathlib import Path

import entropic

store = entropic.Store("runs_growing_parameters/results", "runs_growing_parameters/index.json", file_suffix=".txt")


@entropic.cached(store, name="decay")
def decay_last_year(result_path: Path, h: float) -> None:
    """N' = -N from 1 over one time unit, by Euler's method."""
    print(f"  running h={h}")
    result_path.write_text(repr((1 - h) ** round(1 / h)))


@entropic.cached(store, name="decay", added={"method": "euler"}, renamed={"h": "step"})
def decay(result_path: Path, step: float, method: str = "euler") -> None:
    """The same, with a choice of methods."""
    print(f"  running step={step}, method={method}")
    factor = 1 - step + (step**2 / 2 if method == "midpoint" else 0)
    result_path.write_text(repr(factor ** round(1 / step)))


def main() -> None:
    print("Last year:")
    for h in (0.1, 0.01):
        if decay.retrieve(h) is None:
            decay_last_year(h)

    print("Today:")
    for point in entropic.grid(step=[0.1, 0.01], method=["euler", "midpoint"]):
        record = decay(**point)
        error = abs(float(record.result_path.read_text()) - math.exp(-1))
        print(f"  {record.params}: error {error:.0e}")
    print(f"  {len(decay.list(where={'method': 'euler'}))} runs by Euler's method, as today's function sees it")
    print(f"  {decay.migrate(preview=True)} records that migrate() would rewrite")

    runs = decay_last_year.cache_info().misses + decay.cache_info().misses
    print(f"This time: {runs} runs, {decay.cache_info().hits} hits.")


if __name__ == "__main__":
    main()
