"""
A result that is a directory: snapshots of heat spreading through a plate.

A run may write a folder instead of a file: with ``file_suffix=""`` the path it is given has no suffix, and
``mkdir`` makes it the result. Watch that the folder appears whole or not at all: it is published in one
step, once the run has returned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import entropic

store = entropic.Store("runs_directory_result/results", "runs_directory_result/index.json", file_suffix="")


@entropic.cached(store)
def heat(result_path: Path, n: int, diffusivity: float, snapshots: int = 5) -> None:
    """A plate of 1 m, hot in the middle, cold at the rim, for 1000 s: finite differences on n x n cells."""
    print(f"  running n={n} diffusivity={diffusivity}")
    result_path.mkdir()
    plate = np.zeros((n, n))
    plate[n // 4 : -n // 4, n // 4 : -n // 4] = 100.0
    dx = 1 / n
    steps = round(1000 * diffusivity / (0.2 * dx**2))  # 0.2: below the stability limit of 0.25
    np.save(result_path / "step_000000.npy", plate)
    for step in range(1, steps + 1):
        inner = plate[1:-1, 1:-1]
        neighbours = plate[:-2, 1:-1] + plate[2:, 1:-1] + plate[1:-1, :-2] + plate[1:-1, 2:]
        plate[1:-1, 1:-1] = inner + 0.2 * (neighbours - 4 * inner)
        if step % (steps // snapshots) == 0:
            np.save(result_path / f"step_{step:06}.npy", plate)


def main() -> None:
    for material, diffusivity in (("copper", 1.1e-4), ("steel", 1.2e-5)):
        print(f"{material}:")
        record = heat(120, diffusivity)
        files = sorted(record.result_path.iterdir())
        middle = [np.load(file).max() for file in files]
        print(f"  {record.result_path.name}/ holds {files[0].name} to {files[-1].name}")
        print(f"  {record.provenance['size_bytes']} bytes, run in {record.metadata['elapsed_seconds']:.3f} s")
        print("  hottest spot: " + ", ".join(f"{degrees:.1f}" for degrees in middle) + " degrees")

    info = heat.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


if __name__ == "__main__":
    main()
