"""
Input files by content: a resistor network is read from a file, and the run is keyed by what is in it.

Watch that a copy under another name finds the run of the first, that one changed line makes another run, and that the
parameter shows the name of the file and the digest of its content.
"""

from __future__ import annotations

from pathlib import Path

import entropic

folder = Path("runs_input_files")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")


@entropic.cached(store)
def resistance(result_path: Path, network: entropic.InputFile, unit: float = 1.0) -> None:
    """Resistance of a ladder of resistors, one rung and one rail a line, seen from its near end; in ohms."""
    print(f"  running {Path(network).name}")
    total = float("inf")
    for line in reversed(Path(network).read_text().splitlines()):
        rung, rail = map(float, line.split())
        total = 1 / (1 / rung + 1 / (total + rail))
    result_path.write_text(repr(total * unit))


def main() -> None:
    inputs = folder / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    ladder = inputs / "ladder.txt"
    ladder.write_text("100 10\n" * 5)
    copy = inputs / "copy.txt"
    copy.write_text("100 10\n" * 5)
    worn = inputs / "worn.txt"
    worn.write_text("100 10\n" * 4 + "90 10\n")

    for path in (ladder, copy, worn):
        record = resistance(entropic.InputFile(path))
        print(f"{path.name:10}: {float(record.result_path.read_text()):.4f} ohm")
    print(f"The copy is the run of {resistance(entropic.InputFile(copy)).params['network']['$InputFile']['name']}.")
    print("What is recorded of the worn one:")
    for run in store.list(where={"network": entropic.InputFile(worn)}):
        print(f"  {run.params}")

    info = resistance.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


if __name__ == "__main__":
    main()
