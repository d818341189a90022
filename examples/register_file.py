"""
A result made elsewhere: the finest run of a convergence study comes from a cluster, as a file.

``register`` tells a function about a result that it did not write itself. Watch that the call with
``steps=1000000`` never runs here, and that the registered file stays where it is.
"""

from __future__ import annotations

import math
from pathlib import Path

import entropic

store = entropic.Store("runs_register_file/results", "runs_register_file/index.json", file_suffix=".txt")
from_cluster = Path("runs_register_file/from_cluster/million_steps.txt")


@entropic.cached(store)
def grow(result_path: Path, steps: int) -> None:
    """Logistic growth N' = N (1 - N) from 0.1 over 5 time units, by Euler's method; writes the last N."""
    print(f"  running steps={steps}")
    n, dt = 0.1, 5 / steps
    for _ in range(steps):
        n += dt * n * (1 - n)
    result_path.write_text(f"{n!r}\n")


def fetch() -> None:
    """Stand in for the copy from the cluster: the plain function, which records nothing."""
    from_cluster.parent.mkdir(parents=True)
    grow.__wrapped__(from_cluster, steps=1_000_000)


def main() -> None:
    if not from_cluster.exists():
        print("Elsewhere:")
        fetch()
    if grow.retrieve(steps=1_000_000) is None:
        grow.register(from_cluster, steps=1_000_000)
        print(f"Registered {from_cluster}")

    exact = 1 / (1 + 9 * math.exp(-5))
    print("Here:")
    for steps in (100, 1_000, 10_000, 1_000_000):
        record = grow(steps)
        error = abs(float(record.result_path.read_text()) - exact)
        print(f"  {steps:7} steps: error {error:.1e}, from {record.result_path.relative_to(Path.cwd())}")

    info = grow.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


if __name__ == "__main__":
    main()
