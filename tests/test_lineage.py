"""Runs made from the results of other runs: keyed by content, named in the record, followed up and down."""

from __future__ import annotations

import gc
import importlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest

import entropic
from entropic import InputFile, RunRecord, Store, cached
from entropic._engine import open_caches
from entropic.errors import InputFileChangedError, InputFileError

Mesh = Callable[..., RunRecord]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt")


@pytest.fixture
def mesh(store: Store) -> Any:
    """Ten numbers share a content: the mesh of 3 and of 4 are equal, that of 30 is another."""

    @cached(store, name="study.mesh")
    def mesh(n: int, *, result_path: Path) -> None:
        result_path.write_text(f"mesh {n // 10}")

    return mesh


# ---- what reaches the function --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    mesh: RunRecord
    dt: float = 0.1


@dataclass(frozen=True)
class PathCase:
    mesh: Path
    dt: float = 0.1


@dataclass(slots=True)
class TextCase:
    meshes: list[str]


@dataclass
class DeepCase:
    case: PathCase
    others: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (None, Path),
        (Any, Path),
        (Path, Path),
        (str, str),
        (RunRecord, RunRecord),
        (os.PathLike, Path),
        (str | Path, Path),
        (str | None, str),
        (RunRecord | Path, RunRecord),
        (Annotated[str, "a mesh"], str),
        ("str", str),
        ("RunRecord", RunRecord),
        ("OnlyForTheTypeChecker | str", str),
        ("entropic.RunRecord", RunRecord),
        (InputFile, Path),
        (InputFile | None, Path),
    ],
    ids=str,
)
def test_the_annotation_says_what_a_function_receives(store: Store, mesh: Mesh, annotation: Any, kind: type) -> None:
    """The path of the result, that path as text, or the record; without an annotation the path."""
    seen: list[Any] = []

    def solve(m, dt, *, result_path):
        seen.append(m)
        result_path.write_text("x")

    if annotation is not None:
        solve.__annotations__["m"] = annotation
    made = mesh(3)
    cached(store, name="solve")(solve)(made, dt=0.1)

    assert [os.fspath(one) for one in seen] == [str(made.result_path)]
    assert isinstance(seen[0], kind)


@pytest.mark.parametrize(
    ("annotation", "wrapped", "kind"),
    [
        (list, lambda m: [m], Path),
        (list[str], lambda m: [m], str),
        (list[RunRecord], lambda m: [m], RunRecord),
        (dict[str, Path], lambda m: {"m": m}, Path),
        (dict[str, RunRecord], lambda m: {"m": m}, RunRecord),
        (tuple[RunRecord, ...], lambda m: (m,), RunRecord),
        (set[str], lambda m: {m}, str),
        (list[InputFile], lambda m: [m], Path),
        (Case, lambda m: Case(m), RunRecord),
        (PathCase, lambda m: PathCase(m), Path),
        (TextCase, lambda m: TextCase([m]), str),
        (DeepCase, lambda m: DeepCase(PathCase(m)), Path),
        (list[PathCase], lambda m: [PathCase(m)], Path),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_records_inside_other_values(
    store: Store, mesh: Mesh, annotation: Any, wrapped: Callable[[Any], Any], kind: type
) -> None:
    """Lists, mappings, sets and dataclasses: keyed by content, received as annotated, the caller's own left alone."""
    seen: list[Any] = []

    def solve(m, *, result_path):
        seen.append(m)
        result_path.write_text("x")

    def inner(value: Any) -> Any:
        while not isinstance(value, str | Path | RunRecord):
            if isinstance(value, dict | list | tuple | set):
                value = next(iter(value.values() if isinstance(value, dict) else value))
            else:
                value = getattr(value, next(iter(value.__dataclass_fields__)))
        return value

    solve.__annotations__["m"] = annotation
    solve = cached(store, name="solve")(solve)
    first, alike, other = wrapped(mesh(3)), wrapped(mesh(4)), wrapped(mesh(30))

    assert solve(first) == solve(alike) != solve(other)
    assert len(seen) == 2
    assert type(seen[0]) is type(first)
    assert isinstance(inner(seen[0]), kind)
    assert isinstance(inner(first), RunRecord)
    assert solve(first).inputs[0].params_hash == inner(first).params_hash


def test_the_list_that_a_sweep_returns(store: Store, mesh: Any) -> None:
    """It is the list of its records, in the key and for the function, whatever the store has told it besides."""
    seen: list[Any] = []

    @cached(store)
    def analyse(meshes: list[str], *, result_path: Path) -> None:
        seen.append(meshes)
        result_path.write_text("x")

    @cached(store)
    def look(meshes: list[InputFile], *, result_path: Path) -> None:
        seen.append(meshes)
        result_path.write_text("x")

    swept = mesh.sweep(entropic.grid(n=[3, 30, 50]))
    record = analyse(swept)

    assert analyse(list(swept)) == analyse(mesh.list()) == analyse(swept[:]) == record
    assert [one.name for one in record.inputs] == ["meshes[0]", "meshes[1]", "meshes[2]"]
    assert look(swept) == look([one.result_path for one in swept])
    assert [list(map(type, one)) for one in seen] == [[str] * 3, [type(swept[0].result_path)] * 3]


def test_every_kind_of_parameter(store: Store, mesh: Mesh) -> None:
    """By position, by keyword, several at once, as a default, and ignored."""
    seen: list[Any] = []
    default = mesh(50)

    @cached(store, ignore=("log",))
    def solve(
        first: str, *more: RunRecord, other: Path = default, log: str = "", result_path: Path, **named: str
    ) -> None:
        seen.extend([first, *more, other, log, *named.values()])
        result_path.write_text("x")

    m = mesh(3)
    record = solve(m, m, mesh(20), log=m, last=mesh(30))

    assert list(map(type, seen)) == [str, RunRecord, RunRecord, type(m.result_path), str, str]
    assert [one.name for one in record.inputs] == ["first", "more[0]", "more[1]", "other", "last"]
    assert record.inputs[3].params_hash == default.params_hash


# ---- what it is keyed by --------------------------------------------------------------------------------------------


def test_early_cut_off(store: Store, mesh: Any) -> None:
    """An upstream run again with equal content is a hit downstream, with other content another point."""
    ran: list[Path] = []

    @cached(store)
    def solve(m: Path, dt: float, *, result_path: Path) -> None:
        ran.append(m)
        result_path.write_text(m.read_text())

    first = solve(mesh(3), 0.1)

    assert solve(mesh.run(3), 0.1) == first == solve(mesh(4), 0.1)
    assert solve(mesh(30), 0.1) != first
    assert len(ran) == 2


def test_a_record_and_its_path_are_one_input_file(store: Store, mesh: Any) -> None:
    """As text, path, `InputFile` or record; a file of equal content elsewhere, too, though it comes from no run."""
    ran: list[Path] = []

    @cached(store)
    def solve(m: InputFile, *, result_path: Path) -> None:
        ran.append(Path(m))
        result_path.write_text(Path(m).read_text())

    made = mesh(3)
    Path("copy.txt").write_text("mesh 0")
    forms = [made, made.result_path, str(made.result_path), InputFile(made), InputFile(made.result_path), "copy.txt"]

    assert len({solve(form).result_path for form in forms}) == 1
    for form in forms:
        store.delete(solve(form))
        origin = [(one.name, one.function, one.params_hash) for one in solve(form).inputs]
        assert origin == ([] if form == "copy.txt" else [("m", "study.mesh", made.params_hash)])


def edited(record: RunRecord) -> None:
    record.result_path.write_text("edited")


def edited_to_the_same_size(record: RunRecord) -> None:
    record.result_path.write_text("mesh X")


def touched(record: RunRecord) -> None:
    os.utime(record.result_path, (1, 1))


def replaced(record: RunRecord) -> None:
    Path("new").write_text("mesh 9")
    os.replace("new", record.result_path)


@pytest.mark.parametrize(
    ("change", "is_hit"), [(touched, True), (edited, False), (edited_to_the_same_size, False), (replaced, False)]
)
@pytest.mark.parametrize("annotation", [Path, RunRecord, InputFile])
def test_what_lies_there_now_counts(store: Store, mesh: Any, change: Any, is_hit: bool, annotation: Any) -> None:
    """A result that was edited in place is another input, though its record is the same."""
    ran: list[str] = []

    def solve(m, *, result_path):
        ran.append(Path(m).read_text())
        result_path.write_text("x")

    solve.__annotations__["m"] = annotation
    solve = cached(store, name="solve")(solve)
    made = mesh(3)
    solve(made)
    change(made)
    solve(made)

    assert len(ran) == (1 if is_hit else 2)
    asked = InputFile(made) if annotation is InputFile else made
    assert solve.list({"m": asked}) == solve.list()[-1:]


@pytest.mark.parametrize("annotation", [Path, RunRecord, InputFile])
def test_a_result_that_is_gone_goes_on_to_answer(store: Store, mesh: Any, annotation: Any) -> None:
    """What was made of it is recorded under its content; nothing new can be made, and nothing runs."""
    ran: list[float] = []

    def solve(m, dt, *, result_path):
        ran.append(dt)
        result_path.write_text("x")

    solve.__annotations__["m"] = annotation
    solve = cached(store, name="solve")(solve)
    made = mesh(3)
    first = solve(made, 0.1)
    made.result_path.unlink()

    assert solve(made, 0.1) == first
    with pytest.raises(InputFileError, match="the result of the run"):
        solve(made, 0.2)
    assert ran == [0.1]
    assert solve(mesh(3), 0.1) == first


def removed(record: RunRecord) -> None:
    record.result_path.unlink()


@pytest.mark.parametrize("change", [edited, replaced, removed])
@pytest.mark.parametrize("annotation", [Path, RunRecord, InputFile])
def test_a_result_that_changes_while_it_is_used(store: Store, mesh: Any, change: Any, annotation: Any) -> None:
    """The run stands for neither content: it is kept aside, and not recorded."""
    made = mesh(3)

    def solve(m, *, result_path):
        change(made)
        result_path.write_text("x")

    solve.__annotations__["m"] = annotation
    solve = cached(store, name="solve")(solve)

    with pytest.raises(InputFileChangedError):
        solve(made)
    assert solve.list() == []


def test_a_result_run_again_while_it_is_used(store: Store, mesh: Any) -> None:
    """The new run has a file of its own, and changes nothing for the one that reads the old."""

    @cached(store)
    def solve(m: Path, *, result_path: Path) -> None:
        mesh.run(3)
        result_path.write_text(m.read_text())

    assert solve(mesh(3)).inputs[0].name == "m"


@pytest.mark.parametrize("limit", [0, None], ids=["no digest", "digest"])
def test_a_folder_is_known_by_all_that_is_in_it(tmp_path: Path, limit: int | None) -> None:
    """With and without a recorded digest; a file that is added, removed or changed makes another input."""
    store = Store(tmp_path / "results", tmp_path / "runs.json", file_suffix="", digest_up_to_bytes=limit)
    ran: list[Path] = []

    @cached(store)
    def mesh(n: int, *, result_path: Path) -> None:
        result_path.mkdir()
        for name in "ab":
            result_path.joinpath(name).write_text(f"{name}{n}")

    @cached(store)
    def solve(m: Path, *, result_path: Path) -> None:
        ran.append(m)
        result_path.write_text("x")

    made = mesh(1)
    solve(made)
    solve(mesh.run(1))
    assert len(ran) == 1
    for change in (
        lambda: made.result_path.joinpath("c").write_text("new"),
        lambda: made.result_path.joinpath("a").write_text("a2"),
        lambda: made.result_path.joinpath("c").unlink(),
    ):
        before = len(ran)
        change()
        solve(made)
        assert len(ran) == before + 1


def test_what_lies_beside_a_result_counts(store: Store) -> None:
    """A mesh in two files is another one if either of them is; an equal one, run again, is the same."""
    ran: list[Any] = []
    content = ["one"]

    @cached(store)
    def mesh(n: int, *, result_path: Path) -> None:
        result_path.write_text("see the other file")
        result_path.with_suffix(".h5").write_text(content[0])

    def solve(m, *, result_path):
        ran.append(m)
        result_path.write_text("x")

    for annotation in (Path, InputFile):
        solve.__annotations__["m"] = annotation
        solve_it = cached(store, name=f"solve {annotation}")(solve)
        content[0], before = "one", len(ran)
        solve_it(mesh.run(1))
        solve_it(mesh.run(1))
        assert len(ran) == before + 1
        content[0] = "two"
        solve_it(mesh.run(1))
        assert len(ran) == before + 2
        assert type(ran[-1]) is type(mesh(1).result_path)


@pytest.mark.parametrize("value", [3, 2.5, 1j, {"m": 3}, [3], (b"mesh",), b"mesh", None], ids=repr)
def test_what_is_no_path_is_refused_before_the_run(store: Store, value: Any) -> None:
    """The error names the value, the parameter and the function."""
    ran: list[Any] = []

    @cached(store, name="solve")
    def solve(m: InputFile, *, result_path: Path) -> None:
        ran.append(m)

    with pytest.raises(TypeError, match=r"Cannot use .* as (the|an) input file"):
        solve(value)
    with pytest.raises(TypeError, match=r"neither a path nor the record of a run"):
        solve(3)
    assert ran == []


def test_what_an_annotation_allows_besides_is_no_file(store: Store) -> None:
    """None where it is a default or named, and any other class that is named."""

    @cached(store)
    def solve(a: InputFile | None, b: InputFile | int, c: InputFile = None, *, result_path: Path) -> None:
        result_path.write_text(repr([a, b, c]))

    assert solve(None, 3).result_path.read_text() == "[None, 3, None]"
    with pytest.raises(TypeError, match="'a'"):
        solve(3, 3)


# ---- where it comes from --------------------------------------------------------------------------------------------


def test_a_record_tells_what_it_was_made_from(store: Store, mesh: Any) -> None:
    """The parameter, the run, its content, and where its store is; a later hit and a pickled record tell the same."""

    @cached(store)
    def solve(m: Path, *, result_path: Path) -> None:
        result_path.write_text("x")

    made = mesh(3)
    record = solve(made)
    (origin,) = record.inputs

    assert origin.name == "m"
    assert (origin.function, origin.params_hash, origin.created_at) == ("study.mesh", made.params_hash, made.created_at)
    assert origin.digest == made.provenance["digest"] == record.params["m"]["$run"]["digest"]
    assert Path(origin.results_dir, origin.result_path) == made.result_path
    assert origin.store == Path(store.results_dir, ".entropic", "id").read_text().strip()
    assert solve(made).inputs == pickle.loads(pickle.dumps(record)).inputs == record.inputs
    assert mesh(3).inputs == ()


def test_other_stores(store: Store, mesh: Any, tmp_path: Path) -> None:
    """A record, and a path, of a store that is open here, that was, or of which there is only the folder."""
    other = Store(tmp_path / "other", tmp_path / "other.json", file_suffix=".txt")

    def runner(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text(Path(params["m"]).read_text())

    made = mesh(3)
    copy = shutil.copytree(store.results_dir, tmp_path / "copy")
    by_record = other.run({"m": made}, runner)
    by_path = other.run({"m": InputFile(made.result_path)}, runner)
    by_copy = other.run({"m": InputFile(copy / made.result_path.name)}, runner)

    for record, folder in ((by_record, store.results_dir), (by_path, store.results_dir), (by_copy, copy)):
        (origin,) = record.inputs
        assert (origin.name, origin.function, origin.params_hash) == ("m", "study.mesh", made.params_hash)
        assert origin.created_at == made.created_at
        assert Path(origin.results_dir) == folder


def test_registered_results(store: Store, mesh: Any) -> None:
    """What was made elsewhere is known by the record that names it."""
    Path("measured.csv").write_text("1,2")
    measured = store.register({"sample": "A"}, "measured.csv")
    record = store.run({"data": measured}, lambda params, path: path.write_text(params["data"].read_text()))

    (origin,) = record.inputs
    assert (origin.params_hash, origin.function) == (measured.params_hash, "")
    assert (origin.result_path, Path(origin.results_dir)) == (str(measured.result_path), store.results_dir)


def test_a_result_in_an_object_store_is_fetched(tmp_path: Path) -> None:
    """A record that another host has made, or whose local copy was evicted, is an argument like any other."""
    pytest.importorskip("fsspec")
    pytest.importorskip("sqlalchemy")
    options: dict[str, Any] = {"remote": f"file://{tmp_path}/far", "file_suffix": ".txt"}
    first = Store(tmp_path / "here", index="sqlite:///runs.sqlite3", **options)
    made = first.run({"n": 1}, lambda params, path: path.write_text("mesh"))
    first.evict()
    second = Store(tmp_path / "there", index="sqlite:///runs.sqlite3", **options)
    elsewhere = second.list({"n": 1})[0]
    assert not made.result_path.exists()
    assert not elsewhere.result_path.exists()

    for store, record in ((first, made), (second, elsewhere), (second, InputFile(elsewhere))):
        used = store.run({"m": record}, lambda params, path: path.write_text(params["m"].read_text()))
        assert used.result_path.read_text() == "mesh"
        first.evict({"n": 1})
        assert store.lineage(used).outdated == ()


def test_what_is_registered_has_inputs_too(store: Store, mesh: Any) -> None:
    """As a call of a function, with metadata or without, and as a plain run."""

    @cached(store)
    def solve(m: InputFile, *, result_path: Path) -> None: ...

    Path("solved.txt").write_text("x")
    made = mesh(3)

    for record in (
        solve.register("solved.txt", made),
        solve.with_metadata(by="hand").register("solved.txt", m=made.result_path),
        store.register({"m": [made]}, "solved.txt"),
    ):
        assert [one.params_hash for one in record.inputs] == [made.params_hash]
    assert store.register({"m": 3}, "solved.txt").inputs == ()


def test_a_program_that_depends_on_a_result(store: Store, mesh: Any) -> None:
    """It is made from the run of that, and is not recorded if what it depends on changes meanwhile."""
    made = mesh(3)
    Path("settings").write_text("1")
    program = entropic.command(["cp", str(made.result_path), "{result_path}"], depends=["settings", made.result_path])
    meddling = entropic.command(
        ["sh", "-c", 'echo 2 > settings; echo x > "$1"', "sh", "{result_path}"], depends=["settings"]
    )

    record = store.run_or_retrieve({}, program)
    assert [(one.name, one.params_hash) for one in record.inputs] == [("depends[1]", made.params_hash)]
    with pytest.raises(InputFileChangedError, match="settings"):
        store.run_or_retrieve({}, meddling)
    assert store.list() == [made, record]


def test_inputs_survive_journal_export_and_merge(store: Store, mesh: Any, tmp_path: Path) -> None:
    """And the index may be lost."""

    @cached(store)
    def solve(m: Path, *, result_path: Path) -> None:
        result_path.write_text("x")

    inputs = solve(mesh(3)).inputs
    store.export(tmp_path / "out")
    exported = Store(tmp_path / "out" / "results", tmp_path / "out" / "entropic.json")
    merged = Store(tmp_path / "merged", tmp_path / "merged.json")
    merged.merge(exported)
    Path(store.settings["index"].path).unlink()
    rebuilt = Store(store.results_dir, tmp_path / "new.json")
    rebuilt.rebuild()

    for one in (exported, merged, rebuilt):
        assert [record.inputs for record in one.list() if record.inputs] == [inputs]


def test_an_export_with_all_it_was_made_from(store: Store, tmp_path: Path) -> None:
    """Directly or not, and nothing else; in the order of the index, so that the same runs answer."""
    records = chain_of_five(store)
    store.run({"n": 1}, lambda params, path: path.write_text("x"))

    assert len(store.export(tmp_path / "bare", "step=3").taken) == 1
    assert store.export(tmp_path / "out", "step=3", with_inputs=True).taken == records[:4]
    exported = Store(tmp_path / "out" / "results", tmp_path / "out" / "entropic.json")
    lineage = exported.lineage(exported.list("step=3")[0])
    assert [record.result_path.parent for record in lineage.ancestors] == [exported.results_dir] * 3
    assert exported.check().outdated == []


@pytest.mark.parametrize("told", ["x", {}, [1], [{}], [{"name": "m", "params_hash": 1}], [["name", "x"]]], ids=repr)
def test_a_strangers_inputs_are_passed_over(told: Any) -> None:
    """What is not of our form is no input."""
    record = RunRecord({}, Path("x"), "0" * 16, "2026-01-01T00:00:00+00:00", {}, {"inputs": told})

    assert record.inputs == ()


GLOBAL = """
import entropic
store = entropic.Store({folder!r}, {index!r}, file_suffix=".txt")

@entropic.cached(store)
def mesh(n, *, result_path):
    result_path.write_text("x" * n)

BASE = mesh({n})

@entropic.cached(store, on_change="error")
def by_path(k, *, result_path):
    result_path.write_text(BASE.result_path.read_text())

@entropic.cached(store, on_change="error")
def by_param(k, *, result_path):
    result_path.write_text(str(BASE.params["n"]))

@entropic.cached(store, on_change="error")
def whole(k, *, result_path):
    result_path.write_text(open(BASE).read())

for function in (by_path, by_param, whole):
    function(1)
print(by_path.cache_info()[:2] + by_param.cache_info()[:2] + whole.cache_info()[:2])
"""


def test_code_that_names_a_record(tmp_path: Path) -> None:
    """Made anew in each process, and made once more with equal content, it is the same constant; another one is not."""

    def ran(n: int, *, again: bool = False) -> str:
        text = GLOBAL.format(folder=str(tmp_path / "results"), index=str(tmp_path / "runs.json"), n=n)
        script = tmp_path / "study.py"
        script.write_text(text.replace(f"mesh({n})", f"mesh.run({n})") if again else text)
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    assert ran(3) == "(0, 1, 0, 1, 0, 1)"
    assert ran(3) == "(1, 0, 1, 0, 1, 0)"
    assert ran(3, again=True) == "(1, 0, 1, 0, 1, 0)"
    assert "CodeChangedError" in ran(4)


# ---- sweeps ---------------------------------------------------------------------------------------------------------


def solve_plain(params: dict[str, Any], result_path: Path) -> None:
    result_path.write_text(params["m"].read_text() + str(params["dt"]))


def test_records_travel_to_worker_processes(store: Store, mesh: Any) -> None:
    """They arrive as they are, keyed alike, and are named by what was made there."""
    meshes = [mesh(3), mesh(30)]
    points = entropic.grid(m=meshes, dt=[0.1, 0.2])

    records = store.sweep(points, solve_plain, workers=2)

    assert [record.result_path.read_text() for record in records] == [
        "mesh 00.1",
        "mesh 00.2",
        "mesh 30.1",
        "mesh 30.2",
    ]
    assert [one.inputs[0].params_hash for one in records] == [m.params_hash for m in meshes for _ in range(2)]
    assert store.sweep(points, solve_plain) == records
    assert store.plan(points, solve_plain).to_run == ()


def test_a_decorated_function_on_worker_processes(store: Store, mesh: Any) -> None:
    """With the record in a dataclass; of equal contents one runs."""
    solve = cached(store, name="solve")(solve_case)
    cases = [Case(mesh(n), dt) for n in (3, 4, 30) for dt in (0.1, 0.2)]

    records = solve.sweep(entropic.grid(case=cases), workers=2)

    assert [record.result_path.read_text() for record in records] == ["mesh 0 0.1", "mesh 0 0.2"] * 2 + [
        "mesh 3 0.1",
        "mesh 3 0.2",
    ]
    assert {one.inputs[0].name for one in records} == {"case.mesh"}
    assert len({record.params_hash for record in records}) == 4


def solve_case(case: Case, *, result_path: Path) -> None:
    result_path.write_text(f"{case.mesh.result_path.read_text()} {case.dt}")


# ---- up and down ----------------------------------------------------------------------------------------------------


def chain(store: Store, length: int) -> list[RunRecord]:
    """Runs that are each made from the one before; their records are written by hand."""
    template = store.run({"step": -1}, lambda params, path: path.write_text("x"))
    records: list[RunRecord] = []
    for step in range(length):
        inputs = [named(records[-1])] if records else []
        records.append(
            RunRecord(
                {"step": step},
                template.result_path,
                f"{step:016x}",
                f"2026-01-01T00:00:00.{step:06}+00:00",
                {},
                {"digest": template.provenance["digest"], "inputs": inputs},
            )
        )
    store._engine.index.insert_many(records)
    return records


def named(record: RunRecord) -> dict[str, str]:
    """A record as an input of another."""
    return {
        "name": "before",
        "params_hash": record.params_hash,
        "created_at": record.created_at,
        "digest": record.provenance["digest"],
    }


def test_a_chain_of_a_thousand_runs(store: Store) -> None:
    """It is followed, shown and drawn without a word about recursion."""
    records = chain(store, 1000)

    lineage = store.lineage(records[500])

    assert len(lineage.ancestors) == 500
    assert [record.params["step"] for record in lineage.descendants] == list(range(501, 1000))
    assert [run.params_hash for run in lineage.runs] == [record.params_hash for record in records]
    assert [row["level"] for row in lineage.rows()] == list(range(-500, 500))
    assert str(lineage).count("\n") < 70
    assert lineage.to_svg().count("<rect") == 1000
    assert store.check().outdated == []


def test_a_circle_ends(store: Store) -> None:
    """No run can be made from what is made of it; an index that somebody has made up may say so."""
    first, second = chain(store, 2)
    forged = RunRecord(
        first.params, first.result_path, first.params_hash, first.created_at, {}, {"inputs": [named(second)]}
    )
    store._engine.index.delete_by_hash(first.params_hash)
    store._engine.index.insert(forged)
    itself = RunRecord(
        {"step": 9}, first.result_path, "9" * 16, "2026-01-02T00:00:00+00:00", {}, dict(first.provenance)
    )
    itself.provenance["inputs"] = [named(itself)]
    store._engine.index.insert(itself)

    for start in (forged, second, itself):
        lineage = store.lineage(start)
        assert len(lineage.runs) == (1 if start is itself else 2)
        assert all([lineage.to_svg(), lineage.to_json(), str(lineage)])
    assert store.check().dangling == []
    assert store.prune(where={}, preview=True)


class Study:
    """Three steps on two stores: two meshes, a solution on each of them, one analysis of both."""

    def __init__(self, folder: Path) -> None:
        self.meshes = Store(folder / "meshes", folder / "meshes.json", file_suffix=".txt")
        self.runs = Store(folder / "runs", folder / "runs.json", file_suffix=".txt")
        self.salt = folder / "salt"
        self.salt.write_text("")

        @cached(self.meshes, name="study.mesh", ignore=("salt",))
        def mesh(n: int, salt: Path = self.salt, *, result_path: Path) -> None:
            result_path.write_text(f"mesh {n}{salt.read_text()}")

        @cached(self.runs, name="study.solve")
        def solve(m: Path, dt: float, *, result_path: Path) -> None:
            result_path.write_text(m.read_text() + f" at {dt}")

        @cached(self.runs, name="study.analyse")
        def analyse(flows: list[RunRecord], *, result_path: Path) -> None:
            result_path.write_text(" and ".join(Path(one).read_text() for one in flows))

        self.mesh, self.solve, self.analyse = mesh, solve, analyse

    def __call__(self) -> RunRecord:
        return self.analyse([self.solve(self.mesh(n), 0.1) for n in (3, 4)])


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_a_study_up_and_down(study: Study) -> None:
    """From the last result to the first ones and back, over two stores; of several links all are told."""
    last = study()
    first = study.mesh(3)

    up, down = study.runs.lineage(last), study.runs.lineage(first)

    assert [record.provenance["function"] for record in up.ancestors] == ["study.mesh"] * 2 + ["study.solve"] * 2
    assert up.descendants == [] == list(down.ancestors)
    assert [record.provenance["function"] for record in down.descendants] == ["study.solve", "study.analyse"]
    assert study.meshes.lineage(first).descendants == down.descendants
    assert study.runs.lineage(last.params_hash[:6]).ancestors == up.ancestors
    assert [link.name for link in up.links] == ["flows[0]", "flows[1]", "m", "m"]
    assert [row["level"] for row in up.rows()] == [-2, -2, -1, -1, 0]
    assert repr(up).splitlines()[1:] == [
        "  made from",
        f"    flows[0]: solve(m=mesh, dt=0.1) {study.solve(first, 0.1).params_hash[:8]}",
        f"      m: mesh(n=3) {first.params_hash[:8]}",
        f"    flows[1]: solve(m=mesh, dt=0.1) {study.solve(study.mesh(4), 0.1).params_hash[:8]}",
        f"      m: mesh(n=4) {study.mesh(4).params_hash[:8]}",
    ]
    told = json.loads(up.to_json())
    assert [run["function"] for run in told["runs"]] == [run.function for run in up.runs]
    assert told["runs"][told["run"]]["params_hash"] == last.params_hash
    assert {(link["from"], link["to"]) for link in told["links"]} == {(0, 2), (1, 3), (2, 4), (3, 4)}
    with pytest.raises(LookupError):
        study.runs.lineage("ffff")


def test_another_process_finds_the_other_store(study: Study, tmp_path: Path) -> None:
    """By the results folder that the record names; or by a store that is given, though the folder has moved."""
    last = study()
    code = (
        "import sys, entropic; runs = entropic.Store('runs', 'runs.json');"
        "others = [entropic.Store(*pair.split(',')) for pair in sys.argv[2:]];"
        "lineage = runs.lineage(sys.argv[1], stores=others);"
        "print([run.call + run.status for run in lineage.runs][:2], len(lineage.ancestors))"
    )

    def asked(*stores: str, place: Path = tmp_path) -> str:
        command = [sys.executable, "-c", code, last.params_hash, *stores]
        return subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout.strip()

    assert asked() == "['mesh(n=3)', 'mesh(n=4)'] 4"
    copy = shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name} copied"))
    os.rename(tmp_path / "meshes", tmp_path / "moved")
    assert asked(place=copy) == "['mesh(n=3)', 'mesh(n=4)'] 4"  # a copied project stands for itself
    assert asked("moved,meshes.json") == "['mesh(n=3)', 'mesh(n=4)'] 4"
    assert asked() == "['mesh(…)its record is gone', 'mesh(…)its record is gone'] 2"


def rerun_with_other_content(study: Study) -> None:
    study.salt.write_text("!")
    study.mesh.run(3)


def rerun_with_equal_content(study: Study) -> None:
    study.mesh.run(3)


def change_the_code(study: Study) -> None:
    @cached(study.meshes, name="study.mesh", ignore=("salt",), version=2)
    def mesh(n: int, salt: Path = study.salt, *, result_path: Path) -> None:
        result_path.write_text(f"better mesh {n}")

    study.mesh = mesh


def edit_the_result(study: Study) -> None:
    study.mesh(3).result_path.write_text("edited")


def remove_the_result(study: Study) -> None:
    study.mesh(3).result_path.unlink()


def forget_the_run(study: Study) -> None:
    study.meshes.delete(study.mesh(3), remove_file=True)


@pytest.mark.parametrize(
    ("change", "status", "count"),
    [
        (rerun_with_equal_content, "", 0),
        (rerun_with_other_content, "another result has taken its place", 1),
        (change_the_code, "its code has changed since", 2),
        (remove_the_result, "its result is gone", 1),
        (forget_the_run, "its record is gone", 1),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_check_tells_what_was_made_from_what_has_changed(study: Study, change: Any, status: str, count: int) -> None:
    """With the nearest cause; results agree with their records all the same, so the store is as it should be."""
    last = study()
    changed = study.mesh(3).params_hash
    change(study)

    report = study.runs.check()

    outdated = {one.record.params_hash: one for one in report.outdated}
    assert len(outdated) == (count + 1 if count else 0)
    assert report.is_clean
    if count:
        assert status in {run.status for run in outdated[last.params_hash].causes}
        assert changed in {run.params_hash for run in outdated[last.params_hash].causes}
        assert status in str(report)
        assert status in str(study.runs.lineage(last))
        assert [run.params_hash for run in study.runs.lineage(last).outdated][:1] == [changed]


def test_a_result_that_was_edited_before_it_was_used(study: Study) -> None:
    """The record of it is no longer about what was used."""
    edit_the_result_of = study.mesh(3)
    edit_the_result_of.result_path.write_text("edited")
    record = study.solve(edit_the_result_of, 0.1)

    assert record.result_path.read_text() == "edited at 0.1"
    assert "its result was changed after it was recorded" in str(study.runs.lineage(record))


STEP = """
import entropic
store = entropic.Store({folder!r}, {index!r}, file_suffix=".txt")

@entropic.cached(store, on_change="rerun")
def step(n, *, result_path):
    result_path.write_text({text!r})
"""


def test_an_edit_upstream_is_told(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a module that is loaded again: what was made from results of the code before is out of date, not new ones."""
    monkeypatch.syspath_prepend(tmp_path)
    source, place = tmp_path / "edited_step.py", {"folder": str(tmp_path / "steps"), "index": str(tmp_path / "s.json")}
    source.write_text(STEP.format(text="equal", **place))
    module: Any = importlib.import_module("edited_step")

    def runner(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("x")

    store.run({"m": module.step(1)}, runner)
    assert store.check().outdated == []
    source.write_text(STEP.format(text="other text", **place))
    importlib.reload(module)

    assert [str(one.causes[0].status) for one in store.check().outdated] == ["its code has changed since"]
    store.run({"m": module.step(1)}, runner)
    assert len(store.check().outdated) == 1


def test_explain_names_the_run(study: Study) -> None:
    """Another result of the same call, and another call, by their names; as a record and as an input file."""

    @cached(study.runs, name="study.look")
    def look(m: InputFile, *, result_path: Path) -> None:
        result_path.write_text("x")

    study()
    look(study.mesh(3))
    rerun_with_other_content(study)

    told = str(study.solve.explain(study.mesh(3), 0.1))
    assert "it would run" in told
    assert re.search(r"m: mesh\(n=3\): another result \([0-9a-f]{8} -> [0-9a-f]{8}\)", told)
    assert "m: mesh(n=3) -> mesh(n=5)" in str(study.solve.explain(study.mesh(5), 0.1))
    assert "m: mesh(n=3): another result" in str(look.explain(study.mesh(3)))


def test_edited_twice_and_continued(study: Study) -> None:
    """Only what is touched by a change runs again: the whole study, its first half, nothing."""

    def runs() -> list[int]:
        return [one.cache_info().misses for one in (study.mesh, study.solve, study.analyse)]

    study()
    assert runs() == [2, 2, 1]
    study()
    assert runs() == [2, 2, 1]
    rerun_with_equal_content(study)
    study()
    assert runs() == [3, 2, 1]
    rerun_with_other_content(study)
    study()
    assert runs() == [4, 3, 2]


def test_a_file_in_a_folder_that_is_a_result(store: Store) -> None:
    """It comes from the run that made the folder, and another file in there does not matter."""

    @cached(store, name="study.case")
    def case(n: int, *, result_path: Path) -> None:
        result_path.mkdir()
        for name in "ab":
            result_path.joinpath(name).write_text(f"{name} {n}")

    @cached(store, name="study.look")
    def look(m: InputFile, *, result_path: Path) -> None:
        result_path.write_text(Path(m).read_text())

    made = case(1)
    record = look(made.result_path / "a")

    assert [record.params for record in store.lineage(record).ancestors] == [{"n": 1}]
    assert store.check().outdated == []
    assert look.reproduce(made.result_path / "a").outcome == "same"
    assert store.reproduce(1.0, where="m.$InputFile.name=a").has_reproduced
    made.result_path.joinpath("b").write_text("other")
    assert look(made.result_path / "a") == record


def test_runs_made_from_others_are_reproduced(study: Study) -> None:
    """Their inputs are found by what the records name, and a result that is gone is said to be missing."""
    study()

    assert [one.outcome for one in study.runs.reproduce(1.0)] == ["same"] * 3
    study.mesh(3).result_path.unlink()
    assert sorted(one.outcome for one in study.runs.reproduce(1.0)) == ["same", "same", "skipped"]


@pytest.mark.parametrize("kind", ["tinydb", "sqlite", "five methods"])
def test_any_index(tmp_path: Path, five_methods: Any, kind: str) -> None:
    """Records are followed, checked and kept in whatever index they are."""
    if kind == "sqlite":
        pytest.importorskip("sqlalchemy")
    index: Any = {"tinydb": None, "sqlite": f"sqlite:///{tmp_path}/runs.sqlite3", "five methods": five_methods}[kind]
    with Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt", index=index) as store:
        records = chain_of_five(store)

        lineage = store.lineage(records[2])
        assert [one.params["step"] for one in lineage.ancestors] == [0, 1]
        assert [one.params["step"] for one in lineage.descendants] == [3, 4]
        assert len(store.prune(where="step=0", preview=True)) == 0
        records[0].result_path.unlink()
        assert [one.record.params["step"] for one in store.check().outdated] == [1, 2, 3, 4]


# ---- what is kept ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "keep_inputs", "gone"),
    [
        ({}, True, 5),  # all of it: nothing is left that needs anything
        ("step=0", True, 0),
        ("step=0", False, 1),
        ("step<3", True, 0),
        ("step>1", True, 3),
    ],
    ids=str,
)
def test_prune_keeps_what_others_were_made_from(store: Store, where: Any, keep_inputs: bool, gone: int) -> None:
    """Directly or not; unless these go too, or it is not wanted."""
    chain_of_five(store)

    assert len(store.prune(where=where, keep_inputs=keep_inputs, preview=True)) == gone
    assert len(store.prune(where=where, keep_inputs=keep_inputs)) == gone
    assert len(store.list()) == 5 - gone


def chain_of_five(store: Store) -> list[RunRecord]:
    records: list[RunRecord] = []
    for step in range(5):
        params = {"step": step, "before": records[-1]} if records else {"step": step}
        records.append(store.run(params, lambda params, path: path.write_text(str(params["step"]) * 10)))
    return records


def test_prune_to_a_size_takes_others_instead(store: Store) -> None:
    """The oldest first, but for those that are needed: of the chain its end, and then what nothing was made from."""
    chain_of_five(store)
    for n in range(5):
        store.run({"n": n}, lambda params, path: path.write_text("0123456789"))

    gone = store.prune(max_size_bytes=70)
    assert [record.params.get("step", record.params.get("n")) for record in gone] == [3, 4, 0]
    assert len(store.prune(max_size_bytes=0)) == 7


def test_prune_knows_the_other_stores_of_the_process(study: Study) -> None:
    """And that the same content is there once more."""
    study()

    assert len(study.meshes.prune(where={}, preview=True)) == 0
    study.mesh.run(3)
    assert [record.params for record in study.meshes.prune(keep_newest=1)] == [{"n": 3}]
    assert study.runs.lineage(study()).outdated == ()
    assert len(study.meshes.prune(where={}, keep_inputs=False)) == 2
    assert study.analyse.cache_info().misses == 1


def test_a_store_that_is_open_twice_is_one(store: Store) -> None:
    """What goes is not needed by its own copy."""
    chain_of_five(store)
    again = Store(store.results_dir, store.index.path, file_suffix=".txt")

    assert len(again.prune(where={})) == 5


# ---- at the command line, and on the page ---------------------------------------------------------------------------


def test_show_and_prune_at_the_command_line(study: Study, tmp_path: Path) -> None:
    """``show`` tells what a run was made from, with ``--lineage`` all of it; ``prune`` says what it keeps."""
    pytest.importorskip("click")
    last, runs = study(), ["--index", str(tmp_path / "runs.json")]

    def called(*words: str) -> str:
        command = [sys.executable, "-m", "entropic", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    assert re.search(r"made from +flows\[0\]: study\.solve [0-9a-f]{8}", called("show", *runs, last.params_hash))
    assert "m: mesh(n=3)" in called("show", "--lineage", *runs, last.params_hash)
    assert len(json.loads(called("show", "--lineage", "--json", *runs, last.params_hash))["runs"]) == 5
    assert "2 more are kept" in called("prune", "--yes", *runs, "dt=0.1")
    assert "would remove 2 runs" in called("prune", "--preview", "--no-keep-inputs", *runs, "dt=0.1")
    assert len(study.runs.list()) == 3


@pytest.mark.parametrize("count", [3, 100])
def test_the_page_draws_what_was_made_from_what(store: Store, mesh: Any, count: int) -> None:
    """Few runs one by one, many by their functions; a name that looks like markup is text."""
    from entropic._tables.page._lineage import lineage_section

    made = mesh(3)
    for n in range(count):
        store.run({"m": made, "n": n, "s": "<b>&"}, lambda params, path: path.write_text("x"))

    section = lineage_section(store.list())

    assert section.count("<rect") == (count + 1 if count == 3 else 2)
    assert "mesh" in section
    assert "<b>" not in section
    assert ("100 runs" in section) == (count == 100)
    assert lineage_section(mesh.list()) == ""


def test_stores_are_opened_while_others_are_looked_for(tmp_path: Path) -> None:
    """By other threads: each look sees those that live, and those that are given up are forgotten."""
    opened = threading.Event()
    before = len(open_caches())

    def opens() -> None:
        for number in range(300):
            Store(tmp_path / "results", tmp_path / f"{number}.json")
        opened.set()

    thread = threading.Thread(target=opens)
    thread.start()
    looks = 0
    while not opened.is_set() or looks == 0:
        assert all(isinstance(one.settings.results_dir, Path) for one in open_caches())
        looks += 1
    thread.join()
    gc.collect()

    assert len(open_caches()) <= before
