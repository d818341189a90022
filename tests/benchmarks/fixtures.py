"""Stores of any size, built fast: one real run as the model, the other records written in bulk."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from entropic import RunRecord, Store, cached
from entropic.hashing import hash_params
from entropic.index import TinyDBIndex

NAME = "benchmark.simulate"
ASKED = {"n": 100, "steps": 5000, "dt": 0.01}
GROUP = 10  # so many records share one value of steps

_CHUNK = 20_000


class Population(NamedTuple):
    """A folder with a store of *size* runs of `simulate`, and one plain run of the asked point."""

    folder: Path
    size: int

    def open(self, *, durable: bool = True) -> Store:
        """The store, as a new object that has read nothing yet."""
        index = TinyDBIndex(self.folder / "runs.json", self.folder / "results", durable)
        return Store(self.folder / "results", file_suffix=".txt", index=index, durable=durable)

    def copied_to(self, folder: Path) -> Population:
        """A copy that may be written to."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Population(folder, self.size)

    def points(self) -> Iterator[dict[str, Any]]:
        """The recorded points, `ASKED` among them."""
        for place in range(-(self.size // 2), self.size - self.size // 2):
            yield {"n": 100 + place, "steps": 5000 + place // GROUP, "dt": 0.01}

    def queries(self) -> list[dict[str, Any]]:
        """Queries with exactly `GROUP` matches each; the asked point's own group has one more."""
        half = self.size // (2 * GROUP)
        return [{"steps": 5000 + group} for group in range(-half, half) if group != 0]


def simulate(n: int, steps: int, dt: float = 0.01, *, result_path: Path) -> None:
    """The cheapest of simulations: the time of a miss is then the library's own."""
    result_path.write_bytes(b"x")


def simulate_plain(params: dict[str, Any], result_path: Path) -> None:
    """The same as a runner."""
    result_path.write_bytes(b"x")


def decorated(store: Store) -> Any:
    """`simulate` on a store, under the one name that every process of these benchmarks uses."""
    return cached(store, name=NAME)(simulate)


def populate(folder: Path, size: int) -> Population:
    """Build a store of *size* records. The asked point stands first in the index; the others share its result."""
    population = Population(folder, size)
    index = TinyDBIndex(folder / "runs.json", folder / "results", durable=False)
    with Store(folder / "results", file_suffix=".txt", index=index, durable=False) as store:
        asked, ask = decorated(store), dict(ASKED)
        asked(**ask)
        store.run_or_retrieve(ask, simulate_plain)
        model = next(record for record in index.all() if record.provenance.get("function"))
        missing = [point for point in population.points() if point != ask]
        for start in range(0, len(missing), _CHUNK):
            index.insert_many([_like(model, point, asked) for point in missing[start : start + _CHUNK]])
    return population


def plain_records(population: Population) -> Iterator[dict[str, Any]]:
    """The same points as plain documents, for peers that keep records of their own."""
    for point in population.points():
        yield {"params_hash": hash_params(point), "result_path": "shared.txt", **point}


def _like(model: RunRecord, point: dict[str, Any], function: Any) -> RunRecord:
    return dataclasses.replace(model, params=point, params_hash=function.key(**point))
