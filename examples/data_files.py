"""
A data file that is no parameter: a function reads a table of friction factors, and the table is corrected.

With ``watch_reads=True`` a run notes the files that it reads. Watch that the corrected table is noticed, though no
parameter and no code has changed, and the point runs anew; that the old table, put back, has its result at once; and
what ``store.diff`` says of the two runs.
"""

from __future__ import annotations

import os
from pathlib import Path

import entropic

folder = Path("runs_data_files")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")
table = folder / "friction.txt"


@entropic.cached(store, watch_reads=True, on_change="rerun", load=lambda path: float(path.read_text()))
def pressure_loss(length: float, speed: float, *, result_path: Path) -> None:
    """Loss of pressure in a pipe of 0.1 m, in Pa, by the friction factor of the nearest speed in the table."""
    print("  running")
    rows = [tuple(map(float, line.split())) for line in table.read_text().splitlines()]
    _, factor = min(rows, key=lambda row: abs(row[0] - speed))
    result_path.write_text(repr(factor * length / 0.1 * 1000 * speed**2 / 2))


def ask(what: str, text: str) -> None:
    """Write the table, and ask for one point."""
    table.write_text(text)
    print(f"{what}: {pressure_loss(10.0, 2.0):.0f} Pa")


def main() -> None:
    folder.mkdir(exist_ok=True)
    measured, corrected = "1.0 0.031\n2.0 0.027\n", "1.0 0.031\n2.0 0.024\n"
    ask("by the table as it was measured", measured)
    ask("by the corrected table", corrected)
    ask("by the first table again", measured)

    first, second = store.list()
    print(f"Both runs have read {os.path.basename(first.reads[0].path)}. In what they differ:")
    compared = store.diff(first, second)
    for line in (*compared.parameters, *compared.code, *compared.reads, *compared.result):
        print(f"  {line}")

    info = pressure_loss.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


if __name__ == "__main__":
    main()
