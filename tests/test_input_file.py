"""Input files: keyed by content, shown by name, handed over as paths, and held still while a run is under way."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest

import entropic
from entropic import InputFile, Store, cached
from entropic._fs import _digests
from entropic._record import cell_text
from entropic.errors import InputFileChangedError, InputFileError
from entropic.hashing import canonical, hash_params, normalize

if TYPE_CHECKING:
    from collections.abc import Sized

Solve = Callable[..., Any]


@pytest.fixture
def mesh() -> Path:
    """A mesh in the folder of the test."""
    path = Path("mesh.msh")
    path.write_text("1 2 3")
    return path


@pytest.fixture
def solve(store: Store) -> Solve:
    """A function of a mesh."""

    @cached(store, name="solve")
    def solve(mesh: InputFile, n: int = 1, *, result_path: Path) -> None:
        assert isinstance(mesh, Path)
        os.chdir("/")
        result_path.write_text(mesh.read_text())

    return solve


def test_the_content_is_the_key(solve: Solve, mesh: Path) -> None:
    """Another place, another name and another time do not matter; another content does."""
    os.mkdir("elsewhere")
    copy = Path("elsewhere/copy.msh")
    copy.write_text("1 2 3")
    here = Path.cwd()
    first = solve("mesh.msh")
    os.chdir(here)

    assert solve(mesh) == first
    assert solve(InputFile(mesh.absolute())) == first
    assert solve(str(copy)) == first
    copy.write_text("1 2 4")
    assert solve(copy.absolute()).result_path.read_text() == "1 2 4"
    assert solve.cache_info()[:2] == (3, 2)


def test_params_show_name_and_digest(solve: Solve, mesh: Path, store: Store) -> None:
    """Freshly recorded, read back, and in a table."""
    held = {"name": "mesh.msh", "sha256": InputFile(mesh).sha256()}
    solve(mesh)

    assert solve.list()[0].params["mesh"] == {"$InputFile": held}
    with Store(store.results_dir, store.index.path, ".txt") as again:  # type: ignore[attr-defined]
        assert again.list()[0].params["mesh"] == {"$InputFile": held}
        assert f"mesh.msh ({held['sha256'][:8]})" in repr(again.list())
    assert "mesh.msh" in store.list().to_csv()
    assert cell_text(store.list()[0].params["mesh"]) == f"mesh.msh ({held['sha256'][:8]})"


def test_queries_go_by_content(solve: Solve, mesh: Path, store: Store) -> None:
    """The file itself is not needed under its old name; nor asked twice, from tables of the index."""
    first = solve(mesh.absolute())
    copy = first.result_path.with_name("copy.msh")
    copy.write_text("1 2 3")

    for _ in range(4):
        assert store.list(where={"mesh": InputFile(copy)}) == [first]
        assert solve.list(entropic.param("mesh").isin([InputFile(copy)])) == [first]
    copy.write_text("other")
    assert store.list(where={"mesh": InputFile(copy)}) == []


def test_recorded_params_are_a_call(solve: Solve, mesh: Path, store: Store) -> None:
    """They find their run though the file is gone; what is not recorded cannot run without it."""
    first = solve(mesh.absolute())
    first.result_path.parent.parent.joinpath("mesh.msh").unlink()

    assert solve(**first.params) == first
    with pytest.raises(InputFileError, match=r"by digest only.*Pass the file itself"):
        solve(first.params["mesh"], n=2)
    assert solve.cache_info()[:2] == (1, 1)


@pytest.mark.parametrize("missing", ["no.msh", InputFile("no.msh"), Path("no.msh")], ids=repr)
def test_a_missing_file_is_refused_before_anything_runs(solve: Solve, missing: Any) -> None:
    """By an error that names parameter and path, and is a `FileNotFoundError`."""
    with pytest.raises(FileNotFoundError, match=r"no\.msh.*parameter 'mesh'.*no such file"):
        solve(missing)
    assert solve.cache_info()[:2] == (0, 0)


def test_the_way_to_a_missing_file_is_told(store: Store, write_text: Any) -> None:
    """Inside containers too."""
    with pytest.raises(InputFileError) as caught:
        store.run_or_retrieve({"meshes": [InputFile("no.msh")]}, write_text)

    assert caught.value.place == "meshes[0]"
    assert pickle.loads(pickle.dumps(caught.value)).place == "meshes[0]"


def test_what_is_neither_file_nor_folder_is_refused() -> None:
    """A pipe would hang whoever reads it."""
    os.mkfifo("pipe")

    with pytest.raises(InputFileError, match="neither a file nor a folder"):
        InputFile("pipe").sha256()


def test_paths_are_text() -> None:
    """Bytes are refused, as a value and for an annotated parameter."""
    with pytest.raises(TypeError, match="must be text"):
        InputFile(b"mesh.msh")  # type: ignore[arg-type]


# ---- runners of a store ---------------------------------------------------------------------------------------------


def test_a_runner_gets_a_path(store: Store, mesh: Path) -> None:
    """Everywhere in its params; the caller's own are left alone."""
    seen: list[Any] = []
    params = {"mesh": InputFile(mesh), "deep": {"all": [InputFile(mesh)], "both": (InputFile(mesh), 1)}, "n": 1}
    before = dict(params)

    record = store.run_or_retrieve(params, lambda given, path: (seen.append(given), path.write_text("x")))

    path = mesh.absolute()
    assert seen == [{"mesh": path, "deep": {"all": [path], "both": (path, 1)}, "n": 1}]
    assert params == before
    assert store.retrieve({**params, "mesh": InputFile(path)}) == record


def test_a_program_gets_its_path(store: Store, mesh: Path) -> None:
    """A placeholder becomes the path, and the key the content."""
    program = entropic.command(["cp", "{mesh}", "{result_path}"])
    record = store.run_or_retrieve({"mesh": InputFile(mesh)}, program)
    mesh.write_text("other")

    assert record.result_path.read_text() == "1 2 3"
    assert store.run_or_retrieve({"mesh": InputFile(mesh)}, program).result_path.read_text() == "other"


# ---- changed meanwhile ----------------------------------------------------------------------------------------------


def test_a_file_changed_by_its_run_is_not_recorded(store: Store, mesh: Path) -> None:
    """The result would stand for a content that it may not have seen."""

    @cached(store)
    def solve(mesh: InputFile, *, result_path: Path) -> None:
        Path(mesh).write_text("changed")
        result_path.write_text("x")

    def runner(params: dict[str, Any], result_path: Path) -> None:
        params["mesh"].unlink()
        result_path.write_text("x")

    with pytest.raises(InputFileChangedError, match=r"mesh\.msh"):
        solve(mesh)
    with pytest.raises(InputFileChangedError, match="changed after the call began"):
        store.run({"mesh": InputFile(mesh)}, runner)
    assert store.list() == []


def test_a_file_changed_before_its_run_is_not_recorded(store: Store, mesh: Path) -> None:
    """As when a coroutine waits for the event loop, or a call for another run."""

    @cached(store)
    async def solve(mesh: InputFile, *, result_path: Path) -> None:
        result_path.write_text("x")

    waiting = solve(mesh)
    mesh.write_text("changed")

    with pytest.raises(InputFileChangedError):
        asyncio.run(waiting)
    assert store.list() == []


def test_a_file_is_held_still_behind_a_parameter_that_makes_runs(store: Store, mesh: Path) -> None:
    """What another run is made from is noted for that one, and ends no notes of the call whose key is being made."""

    table = Path("table.csv")
    table.write_text("4 5 6")

    class Calibrated:
        made = 0

    def calibrate(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("x")

    @entropic.normalize.register(Calibrated)
    def normalized(_: Calibrated) -> str:
        Calibrated.made += 1
        store.run({"table": InputFile(table), "n": Calibrated.made}, calibrate)
        return "calibrated"

    @cached(store)
    def solve(mesh: list[Any], *, result_path: Path) -> None:
        mesh[1].write_text("changed")
        result_path.write_text("x")

    with pytest.raises(InputFileChangedError, match=r"mesh\.msh"):
        solve([Calibrated(), InputFile(mesh)])
    assert Calibrated.made > 1
    assert all("n" in record.params for record in store.list())


def test_a_file_inside_an_object_is_held_still(store: Store, mesh: Path) -> None:
    """Wherever it hides in the params."""

    @dataclass
    class Model:
        mesh: InputFile

        @cached(store)
        def solve(self, *, result_path: Path) -> None:
            self.mesh.path.write_text("changed")
            result_path.write_text("x")

    with pytest.raises(InputFileChangedError):
        Model(InputFile(mesh)).solve()
    assert store.list() == []


def test_a_run_may_change_its_other_arguments(store: Store, mesh: Path) -> None:
    """They are its own affair, as without an input file; and an error about a file of its own is its own."""

    @cached(store)
    def solve(mesh: InputFile, log, *, result_path):
        log.append(object())
        result_path.write_text("x")

    def fails(params: dict[str, Any], result_path: Path) -> None:
        InputFile("missing").sha256()

    assert solve(mesh, []).result_path.exists()
    with pytest.raises(InputFileError, match="missing"):
        store.run({"mesh": InputFile(mesh)}, fails)


# ---- annotations ----------------------------------------------------------------------------------------------------


def test_annotations(store: Store, mesh: Path) -> None:
    """Text or not, in a union, a container or Annotated; defaults too."""

    @cached(store)
    def many(
        first: InputFile | None,
        second: Annotated[Path, InputFile],
        third: list[InputFile],
        fourth: "Optional[InputFile]" = None,  # noqa: UP037, UP045
        fifth: InputFile | Sized = "mesh.msh",  # a name that only the type checker knows
        sixth: entropic.InputFile = InputFile("mesh.msh"),  # noqa: B008
        plain: str = "mesh.msh",
        *more: InputFile,
        result_path: Path,
        last: dict[str, InputFile],
    ) -> None:
        given = [first, second, third, fourth, fifth, sixth, plain, more, last]
        result_path.write_text(repr(given))

    path = mesh.absolute()
    record = many(None, "mesh.msh", [mesh, "mesh.msh"], None, mesh, mesh, "mesh.msh", "mesh.msh", last={"a": mesh})
    again = many(None, mesh, ("mesh.msh", mesh), last={"a": str(path)}, plain="other")

    digest = normalize(InputFile(mesh))
    assert record.result_path.read_text() == repr(
        [None, path, [path, path], None, path, path, "mesh.msh", (path,), {"a": path}]
    )
    assert again.params == {
        "first": None,
        "second": digest,
        "third": [digest, digest],
        "fourth": None,
        "fifth": digest,
        "sixth": digest,
        "plain": "other",
        "more": [],
        "last": {"a": digest},
    }
    assert again.result_path.read_text() == repr([None, path, (path, path), None, path, path, "other", (), {"a": path}])


def test_methods_and_ignored_files(store: Store, mesh: Path) -> None:
    """An ignored file reaches the method as a path, and its content does not count."""

    class Model:
        @cached(store, ignore=("self", "log"))
        def solve(self, result_path: Path, mesh: InputFile, log: InputFile = "no.log") -> None:
            result_path.write_text(f"{Path(mesh).name} {Path(log).name}")

    model = Model()

    assert model.solve(mesh).result_path.read_text() == "mesh.msh no.log"
    assert model.solve(mesh, "other.log").result_path.read_text() == "mesh.msh no.log"


def test_any_keyword_cannot_be_annotated(store: Store) -> None:
    """Which of them are files could not be seen from a record."""
    with pytest.raises(TypeError, match=r"\*\*meshes cannot be annotated as input files"):

        @cached(store)
        def solve(*, result_path: Path, **meshes: InputFile) -> None: ...


def test_a_value_is_enough(store: Store, mesh: Path) -> None:
    """A wrapped value needs no annotation; nor does a default."""

    @cached(store)
    def solve(mesh, other=InputFile("mesh.msh"), *, result_path):  # noqa: B008
        result_path.write_text(f"{type(mesh) is type(other)} {mesh.read_text()}")

    assert solve(InputFile(mesh)).result_path.read_text() == "True 1 2 3"
    mesh.write_text("other")
    assert solve(InputFile(mesh)).result_path.read_text() == "True other"


def test_an_added_input_file(store: Store, mesh: Path) -> None:
    """A parameter added later may be a file: the declared one, by content."""

    @cached(store, name="solve")
    def before(n, *, result_path):
        result_path.write_text("last year")

    @cached(store, name="solve", added={"mesh": "mesh.msh"})
    def today(n, mesh: InputFile, *, result_path):
        result_path.write_text("today")

    before(1)
    Path("other.msh").write_text("other")

    assert today(1, "mesh.msh").result_path.read_text() == "last year"
    assert today(1, "other.msh").result_path.read_text() == "today"


# ---- digests --------------------------------------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of files that are read for a digest."""
    paths: list[str] = []
    read = _digests._file_digest
    monkeypatch.setattr(_digests, "_file_digest", lambda path, status: (paths.append(path), read(path, status))[1])
    return paths


def test_a_digest_is_remembered(mesh: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that has not been written for some time; any sign of a change, and it is read again."""
    moment = time.time_ns() + 10_000_000_000
    monkeypatch.setattr("time.time_ns", lambda: moment)
    other = Path("other")
    other.write_text("1 2 3 4")

    for change in (
        lambda: None,
        lambda: os.utime(mesh, ns=(1, 1)),
        lambda: mesh.write_text("1 2 3 4"),
        lambda: os.replace(other, mesh),
    ):
        change()
        before = len(reads)
        assert len({InputFile(mesh).sha256() for _ in range(3)}) == 1
        assert len(reads) == before + 1


def test_a_digest_of_a_file_just_written_is_not_trusted(
    mesh: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be written once more within one tick of the file system's clock."""
    monkeypatch.setattr("time.time_ns", lambda: os.stat(mesh).st_ctime_ns + 10_000_000)

    assert len({InputFile(mesh).sha256() for _ in range(3)}) == 1
    assert len(reads) == 3


def test_a_file_that_is_being_written_is_refused(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest of half the old and half the new is that of neither."""
    read = _digests._file_digest

    def disturbed(path: str, status: os.stat_result) -> bytes:
        answer = read(path, status)
        mesh.write_text("longer than before")
        return answer

    monkeypatch.setattr(_digests, "_file_digest", disturbed)
    with pytest.raises(InputFileError, match=r"mesh\.msh.*being written.*Call again"):
        InputFile(mesh).sha256()


def _tree(root: str) -> Path:
    folder = Path(root)
    folder.joinpath("sub", "empty").mkdir(parents=True)
    folder.joinpath("a.txt").write_text("a")
    folder.joinpath("sub", "b.txt").write_text("b")
    return folder


CHANGES: list[Callable[[Path], object]] = [
    lambda folder: folder.joinpath("a.txt").write_text("b"),
    lambda folder: folder.joinpath("a.txt").rename(folder / "c.txt"),
    lambda folder: folder.joinpath("sub", "empty").rmdir(),
    lambda folder: folder.joinpath("sub", "b.txt").rename(folder / "b.txt"),
    lambda folder: folder.joinpath("new").mkdir(),
    lambda folder: folder.joinpath("new").touch(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_folders_count_by_names_and_contents(change: Callable[[Path], object]) -> None:
    """Equal trees are one value, wherever they lie; any change below makes another."""
    one, other = _tree("one"), _tree("other")
    os.symlink(one, "link")

    assert InputFile(one).sha256() == InputFile(other).sha256() == InputFile("link").sha256()
    change(other)
    assert InputFile(one).sha256() != InputFile(other).sha256()


def test_links_in_folders() -> None:
    """They stand for what they lead to; one that leads nowhere, or back, counts as such."""
    one, other = _tree("one"), _tree("other")
    other.joinpath("a.txt").unlink()
    other.joinpath("a.txt").symlink_to(one.absolute() / "a.txt")

    assert InputFile(one).sha256() == InputFile(other).sha256()
    for name, target in (("nowhere", "gone"), ("sub/back", "..")):
        one.joinpath(name).symlink_to(target)
        assert InputFile(one).sha256() != InputFile(other).sha256()
        other.joinpath(name).symlink_to(target)
        assert InputFile(one).sha256() == InputFile(other).sha256()


# ---- keys -----------------------------------------------------------------------------------------------------------


def test_the_key_of_a_file_does_not_change() -> None:
    """A digest of today is one of next year."""
    value = {"$InputFile": {"name": "mesh.msh", "sha256": "0" * 64}}

    assert canonical({"mesh": value}) == '{"mesh":{"$InputFile":{"sha256":"' + "0" * 64 + '"}}}'
    assert hash_params({"mesh": value}) == hash_params({"mesh": {"$InputFile": {"name": "x", "sha256": "0" * 64}}})


FORGED = [
    {"$InputFile": "mesh.msh"},
    {"$InputFile": {"sha256": "0" * 64}},
    {"$InputFile": {"name": "mesh.msh", "sha256": "0" * 8}},
    {"$InputFile": {"name": "mesh.msh", "sha256": "0" * 64, "more": 1}},
    {"$InputFile": {"name": 1, "sha256": "0" * 64}},
]


@pytest.mark.parametrize("value", FORGED)
def test_what_is_no_input_file_is_not_taken_for_one(value: dict[str, Any]) -> None:
    """A mapping that only looks like one is a mapping."""
    assert set(normalize(value)) == {"$map"}


def test_the_tag_is_no_name() -> None:
    """Params of that name alone would be taken for a file."""
    with pytest.raises(ValueError, match=r"\$InputFile"):
        hash_params({"$InputFile": {"name": "a", "sha256": "0" * 64}})


def test_it_is_a_value() -> None:
    """Made absolute when it is made; equal by path; pickles; a path for all that takes one."""
    file = InputFile("mesh.msh")

    assert (file.path, file.name) == (Path.cwd() / "mesh.msh", "mesh.msh")
    assert {file} == {InputFile(Path.cwd() / "mesh.msh")}
    assert file != "mesh.msh"
    assert pickle.loads(pickle.dumps(file)) == file
    assert os.fspath(file) == str(file.path)
    assert repr(file) == f"InputFile({str(file.path)!r})"
