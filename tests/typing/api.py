"""Uses of entropic that mypy has to accept, with the types it has to see; checked, never run."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any

from typing_extensions import assert_type

import entropic
import entropic.reports
from entropic import RunRecord, Store, cached, param
from entropic.index import IndexBackend, SQLIndex, TinyDBIndex
from entropic.index import copy as copy_index
from entropic.query import Comparison, Condition, matches
from entropic.record import RecordList

store = Store("results", Path("runs.json"), file_suffix=".npy", durable=False, keep_failed=True)


def runner(params: dict[str, Any], result_path: Path) -> None: ...


# ---- programs


program = entropic.command(["./solver", "--n", "{n}", Path("{result_path}")], version=2, depends=[Path("mesh.dat")])
assert_type(store.run_or_retrieve({"n": 1}, program), RunRecord)
assert_type(store.prune(older_than_seconds=3600.0, keep_newest=1, preview=True), RecordList)
assert_type(store.merge(store).taken, RecordList)
assert_type(store.delete_records(store.list(), remove_files=True), int)


# ---- input files, parameters that grow, and why


@cached(store, added={"method": "rk4"}, renamed={"h": "dt"}, removed={"verbose": False})
def grown(result_path: Path, mesh: Annotated[Path, entropic.InputFile], dt: float, method: str = "rk4") -> None: ...


assert_type(grown(Path("mesh.msh"), 0.1), RunRecord)
assert_type(grown.migrate(preview=True), int)
assert_type(grown.explain(Path("mesh.msh"), 0.1, method="euler").nearest[0].differences, tuple[str, ...])
assert_type(store.explain({"n": 1}).record, "RunRecord | None")
assert_type(entropic.InputFile("mesh.msh").path, Path)
open(entropic.InputFile("mesh.msh")).close()
cached(store, renamed={"h": 3})  # type: ignore[dict-item]


# ---- what a run was made from


@cached(store, watch_reads=True)
def watching(result_path: Path, n: int) -> None: ...


assert_type(watching(1).reads, "list[entropic.reports.ReadFile]")
assert_type(store.diff("f444", watching(1)).packages, tuple[str, ...])
assert_type(store.diff("f444").is_equal, bool)


# ---- the store


assert_type(store.run_or_retrieve({"n": 1}, runner, author="me"), RunRecord)
assert_type(store.run({"n": 1}, lambda params, result_path: result_path.write_text("x")), RunRecord)
assert_type(store.retrieve({"n": 1}), "RunRecord | None")
assert_type(store.register({"n": 1}, "x.npy", source="lab"), RunRecord)
assert_type(store.list(where={"n": 1}), RecordList)
assert_type(store.list()[0], RunRecord)
assert_type(store.list()[:2], RecordList)
assert_type(store.list({"n": 1}, order_by="n", limit=3, newest_first=True), RecordList)
assert_type(store.list(param("n") > 1, order_by=["n", "-dt"]), RecordList)
assert_type(store.delete({"n": 1}, remove_file=True), bool)
assert_type(store.sweep(entropic.grid(n=[1, 2]), runner), RecordList)
assert_type(store.sweep(iter([{"n": 1}]), runner, workers=2, progress=False, on_error="skip"), RecordList)
for point, swept_record in store.sweep_as_completed([{"n": 1}], runner, executor=object()):
    assert_type(point, Mapping[str, Any])
    assert_type(swept_record, RunRecord)
assert_type(store.plan([{"n": 1}], workers=2).estimated_seconds, "float | None")

with store as opened:
    assert_type(opened, Store)

# ---- conditions and lists of records


condition = (param("n") == 1) & ~param("m").between(1, 2) | param("t").matches("x")
assert_type(condition, Condition)
assert_type(param("n") == 1, Comparison)
assert_type(matches(condition, store.list()[0]), bool)
records = store.list(condition)
assert_type(records + records, RecordList)
assert_type(records.varying(), RecordList)
assert_type(records.varying().param_names, list[str])
assert_type(records.where({"n": 1}).sorted_by("n"), RecordList)
assert_type(records.copy(), RecordList)
assert_type(records.to_csv(), str)
records.to_csv(Path("runs.csv"))
store.list(where=3)  # type: ignore[arg-type]
store.list(order_by=3)  # type: ignore[arg-type]

record = store.list()[0]
assert_type(record.params, dict[str, Any])
assert_type(record.result_path, Path)
assert_type(record.metadata, dict[str, Any])
assert_type(entropic.grid(n=range(3))[0], dict[str, Any])


# ---- an index of one's own needs the five methods and nothing else


class Five:
    def find_by_hash(self, params_hash: str) -> RunRecord | None: ...

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        return []

    def insert(self, record: RunRecord) -> None: ...

    def all(self) -> list[RunRecord]:
        return []

    def delete_by_hash(self, params_hash: str) -> bool:
        return False


backend: IndexBackend = Five()
backend = TinyDBIndex("runs.json")
Store("results", index=Five())
Store("results", index="sqlite:///runs.sqlite3")
Store("results", index=SQLIndex("postgresql://user@host/runs", "results", durable=False))
assert_type(copy_index(Five(), SQLIndex("sqlite:///runs.sqlite3")), int)


# ---- the decorator keeps the caller's signature when the result path comes first


@cached(store)
def first(result_path: Path, n: int, *, dt: float = 0.1) -> None: ...


assert_type(first(1, dt=0.2), RunRecord)
assert_type(first.retrieve(1), "RunRecord | None")
assert_type(first.run(n=1), RunRecord)
assert_type(first.bind(1), dict[str, Any])
assert_type(first.key(1), str)
assert_type(first.delete(1), bool)
assert_type(first.register("x.npy", 1, dt=0.2), RunRecord)
assert_type(first.list(where={"n": 1}), RecordList)
assert_type(first.list(param("n") > 1, order_by="n", limit=1, newest_first=True), RecordList)
assert_type(first.sweep([{"n": 1}]), RecordList)
assert_type(first.sweep([{"n": 1}], executor=object(), progress=lambda progress: progress.done), RecordList)
assert_type(first.plan([{"n": 1}]).cached, int)
assert_type(first.cache_info().hits, int)
first.cache_clear()
first("one")  # type: ignore[arg-type]
first(1, step=2)  # type: ignore[call-arg]
first.key("one")  # type: ignore[arg-type]


@cached(store, load=lambda path: path.read_text())
def loaded(result_path: Path, n: int) -> None: ...


assert_type(loaded(1), str)
assert_type(loaded.run(1), RunRecord)
assert_type(loaded.sweep([{"n": 1}]), list[str])
assert_type(next(loaded.sweep_as_completed([{"n": 1}])), tuple[Mapping[str, Any], str])


@cached(store)
async def awaited(result_path: Path, n: int) -> None: ...


coroutine: Coroutine[Any, Any, RunRecord] = awaited(1)
assert_type(awaited.sweep([{"n": 1}]), RecordList)
assert_type(awaited.sweep([{"n": 1}], concurrency=4, wait=False), RecordList)
assert_type(first.sweep([{"n": 1}], order="longest", budget=entropic.time_left()), RecordList)


# ---- a function that returns its result keeps its whole signature


def save_text(path: Path, value: object) -> None: ...


@cached(store, save=save_text, load=lambda path: path.read_text(), suffix=".txt")
def valued(n: int, *, dt: float = 0.1) -> str:
    return ""


@cached(store, save=save_text)
async def valued_later(n: int) -> str:
    return ""


assert_type(valued(1, dt=0.2), str)
assert_type(valued.run(1), RunRecord)
assert_type(valued.sweep([{"n": 1}], metadata={"note": "x"}), list[str])
assert_type(valued.with_metadata(note="x")(1), str)
assert_type(valued.with_metadata(note="x").run(1), RunRecord)
later: Coroutine[Any, Any, RunRecord] = valued_later(1)
valued("one")  # type: ignore[arg-type]
valued.with_metadata(note="x")("one")  # type: ignore[arg-type]
cached(store, save=3)(save_text)  # type: ignore[call-overload]


# ---- elsewhere in the signature, the arguments are free and the result is exact


@cached(store, name="last", version=2, ignore=("verbose",))
def last(n: int, *, verbose: bool = False, result_path: Path) -> None: ...


assert_type(last(1, verbose=True), RunRecord)
assert_type(last.key(1), str)


@cached(store)
async def awaited_last(n: int, *, result_path: Path) -> None: ...


async def main() -> None:
    assert_type(await awaited(1), RunRecord)
    assert_type(await awaited_last(1), RunRecord)
    assert_type(await awaited.run(1), RunRecord)


decorated_runner = cached(store)(runner)
decorated_runner({"n": 1})


# ---- methods


class Solver:
    @cached(store, ignore=("self",))
    def solve(self, result_path: Path, n: int) -> None: ...

    @cached(store, ignore=("self",), load=lambda path: 1.0)
    def energy(self, result_path: Path, n: int) -> None: ...


solver = Solver()
assert_type(solver.solve(1), RunRecord)
assert_type(solver.solve.key(1), str)
assert_type(solver.energy(1), float)
solver.solve("one")  # type: ignore[arg-type]


# ---- runs made from others


@cached(store)
def meshed(result_path: Path, mesh: RunRecord, file: os.PathLike[str]) -> None: ...


assert_type(meshed(solver.solve(1), solver.solve(1)), RunRecord)
assert_type(solver.solve(1).inputs, tuple[entropic.reports.RunInput, ...])
assert_type(store.lineage(solver.solve(1)), entropic.reports.Lineage)
assert_type(store.lineage("f444").ancestors, RecordList)
meshed(1, "mesh.msh")  # type: ignore[arg-type]


# ---- normalisers


class Mesh:
    cells: int


entropic.normalize.register(Mesh, lambda mesh: mesh.cells)


@entropic.normalize.register(complex)
def _complex(value: complex) -> str:
    return str(value)


def points() -> list[Mapping[str, Any]]:
    return [{"n": 1}]


store.sweep(points(), runner)
callback: Callable[[int], str] = loaded
