"""
A chain of runs, mesh, solve, analyse: each step takes the records of the one before.

Solved is the heat equation -u'' = pi^2 sin(pi x) on a rod, by finite elements on meshes that are finer and finer; the
analysis fits the order of convergence. Watch that a mesh that was made in another way, but is the same node by node,
makes nothing run again, and that the last result tells what it comes from.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import entropic

folder = Path("runs_chain")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")
CELLS = (8, 16, 32, 64)


@entropic.cached(store)
def mesh(cells: int, grading: float = 1.0, *, result_path: Path) -> None:
    """The nodes of a mesh; each cell is longer than the one before by a factor."""
    print(f"  running mesh({cells}, {grading})")
    lengths = [grading**cell for cell in range(cells)]
    ends = [sum(lengths[:cell]) / sum(lengths) for cell in range(cells + 1)]
    result_path.write_text("\n".join(f"{x:.12f}" for x in ends))


@entropic.cached(store)
def uniform_mesh(cells: int, *, result_path: Path) -> None:
    """The same without a grading."""
    print(f"  running uniform_mesh({cells})")
    result_path.write_text("\n".join(f"{cell / cells:.12f}" for cell in range(cells + 1)))


@entropic.cached(store)
def solve(nodes: Path, *, result_path: Path) -> None:
    """Temperatures at the nodes of a mesh: linear elements, both ends held at zero."""
    print("  running solve")
    x = [float(line) for line in nodes.read_text().splitlines()]
    h = [right - left for left, right in itertools.pairwise(x)]
    upper, right = [0.0], [0.0]
    for i in range(1, len(x) - 1):  # elimination, from left to right
        load = math.pi**2 * math.sin(math.pi * x[i]) * (h[i - 1] + h[i]) / 2
        pivot = 1 / h[i - 1] + 1 / h[i] - upper[-1] / h[i - 1]
        right.append((load + right[-1] / h[i - 1]) / pivot)
        upper.append(1 / h[i] / pivot)
    u = [0.0]  # and back, from right to left
    for i in range(len(x) - 2, 0, -1):
        u.append(right[i] + upper[i] * u[-1])
    pairs = zip(x, [0.0, *reversed(u)], strict=True)
    result_path.write_text("\n".join(f"{place:.12f} {temperature:.12f}" for place, temperature in pairs))


@entropic.cached(store, load=lambda path: float(path.read_text()))
def order(solutions: list[Path], *, result_path: Path) -> None:
    """The order of convergence, from the first to the last of some solutions."""
    print("  running order")
    points = []
    for path in solutions:
        pairs = [tuple(map(float, line.split())) for line in path.read_text().splitlines()]
        error = max(abs(u - math.sin(math.pi * x)) for x, u in pairs)
        points.append((math.log(len(pairs) - 1), math.log(error)))
    (n0, e0), (n1, e1) = points[0], points[-1]
    result_path.write_text(f"{(e0 - e1) / (n1 - n0):.3f}")


def main() -> None:
    print(f"order of convergence: {order([solve(mesh(cells)) for cells in CELLS])}")
    print(f"on meshes made in another way: {order([solve(uniform_mesh(cells)) for cells in CELLS])}")
    print(f"on graded meshes: {order([solve(mesh(cells, 1.05)) for cells in CELLS[:3]])}")

    last = order.retrieve([solve(mesh(cells)) for cells in CELLS])
    print("What the first is made from:")
    print(store.lineage(last))
    infos = [step.cache_info() for step in (mesh, uniform_mesh, solve, order)]
    print(f"This time: {sum(info.misses for info in infos)} runs, {sum(info.hits for info in infos)} hits.")


if __name__ == "__main__":
    main()
