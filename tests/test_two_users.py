"""Two users of a group folder, whatever their umasks: they wait for, find, repair and delete each other's runs."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entropic import Store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to become somebody else")

GROUP, ALICE, BOB = 61000, 61001, 61002
UMASKS = {"open": 0o002, "usual": 0o022, "private": 0o077}


@pytest.fixture(autouse=True)
def group_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the group, where all may go; below ``/tmp``, since those of tests are their user's alone."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as place:
        os.chown(place, 0, GROUP)
        os.chmod(place, 0o2775)
        monkeypatch.chdir(place)
        yield Path(place)


@functools.cache
def load_all() -> None:
    """What is loaded on first use could not be read by another user from the tests' own installation."""
    import importlib
    import pkgutil

    import entropic

    for module in pkgutil.walk_packages(entropic.__path__, "entropic."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


def start(uid: int, umask: int, act: Callable[[Store], Any]) -> tuple[int, int]:
    """Begin something as a user of the group, in a process of its own."""
    load_all()
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.setgroups([GROUP])
            os.setresgid(GROUP, GROUP, GROUP)
            os.setresuid(uid, uid, uid)
            os.umask(umask)
            try:
                said = act(Store("results", "runs.json", file_suffix="", durable=False))
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            os.write(writer, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.close(writer)
    return pid, reader


def answer(child: tuple[int, int]) -> Any:
    """What it says; None if it was killed."""
    pid, reader = child
    os.waitpid(pid, 0)
    with open(reader, "rb") as file:
        text = file.read()
    return json.loads(text) if text else None


def do(uid: int, umask: int, act: Callable[[Store], Any]) -> Any:
    """Do something as a user of the group, and return what comes of it."""
    return answer(start(uid, umask, act))


def write_file(params: dict[str, Any], path: Path) -> None:
    """A result that is a file."""
    path.write_text("x")


def write_private_folder(params: dict[str, Any], path: Path) -> None:
    """A result that is a folder made by `tempfile.mkdtemp`, with one inside, and a protected file."""
    made = Path(tempfile.mkdtemp(dir=path.parent))
    made.rename(path)
    path.joinpath("sub").mkdir()
    path.joinpath("sub", "data").write_text("x")
    path.joinpath("sub", "data").chmod(0o444)


RUNNERS = {"file": write_file, "private folder": write_private_folder}


def run(n: int, runner: Callable[..., None] = write_file) -> Callable[[Store], str]:
    """Ask for a point, and tell whether it ran."""

    def act(store: Store) -> str:
        ran = []
        store.run_or_retrieve({"n": n}, lambda params, path: (ran.append(1), runner(params, path)))
        return "ran" if ran else "hit"

    return act


def kill_in_run(n: int, runner: Callable[..., None]) -> Callable[[Store], Any]:
    """Be killed in the middle of a run."""

    def act(store: Store) -> Any:
        store.run({"n": n}, lambda params, path: (runner(params, path), os.kill(os.getpid(), signal.SIGKILL)))

    return act


def left_over() -> list[str]:
    """What lies where runs are staged, and in the sessions."""
    private = Path("results/.entropic")
    return [path.name for folder in ("staging", "sessions") for path in (private / folder).iterdir()]


def repair(store: Store) -> list[list[str]]:
    """What a repair tells of what it has done, and of what it could not do."""
    report = store.check(repair=True)
    return [report.repaired, report.not_repaired]


def texts(store: Store) -> list[str]:
    """What is in the results, file by file."""
    places = [record.result_path for record in store.list()]
    files = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    return [path.read_text() for path in files]


def delete(n: int) -> Callable[[Store], bool]:
    """Delete a point and its result."""
    return lambda store: store.delete({"n": n}, remove_file=True)


CASES = [("open", "private", "file"), ("usual", "usual", "private folder"), ("private", "private", "private folder")]


@pytest.mark.parametrize(("hers", "his", "kind"), CASES, ids=map(" ".join, CASES))
def test_a_life_of_a_store(hers: Any, his: Any, kind: str) -> None:
    """Hits, runs, lists, repairs after a kill and deletions, in turns."""
    hers, his, runner = UMASKS[hers], UMASKS[his], RUNNERS[kind]
    assert do(ALICE, hers, run(1, runner)) == "ran"
    assert do(BOB, his, run(1, runner)) == "hit"
    assert do(BOB, his, run(2, runner)) == "ran"
    assert do(ALICE, hers, run(2, runner)) == "hit"
    assert do(BOB, his, texts) == do(ALICE, hers, texts) == ["x", "x"]

    assert do(ALICE, hers, kill_in_run(3, runner)) is None
    left = len(left_over())
    repaired, not_repaired = do(BOB, his, repair)
    # What is in a private folder of hers, unfinished, is hers to remove; a repair tells which it was.
    assert bool(repaired) != bool(not_repaired)
    assert len(left_over()) == (left if not_repaired else 0)
    assert do(BOB, his, run(3, runner)) == "ran"
    assert do(ALICE, hers, repair)[1] == []
    assert left_over() == []

    assert do(BOB, his, delete(1)) is True
    assert do(ALICE, hers, delete(2)) is True
    assert do(ALICE, hers, lambda store: [len(store.list()), len(store.check().orphans)]) == [1, 0]
    assert do(ALICE, hers, run(1, runner)) == "ran"
    assert do(BOB, his, run(1, runner)) == "hit"


def test_one_waits_for_the_other() -> None:
    """Whatever her umask, he gets her record."""

    def held(store: Store) -> str:
        def runner(params: dict[str, Any], path: Path) -> None:
            Path("begun").touch()
            while not Path("go").exists():
                time.sleep(0.005)
            path.write_text("hers")

        return store.run_or_retrieve({"n": 1}, runner).result_path.read_text()

    def ask(store: Store) -> str:
        Path("go").touch()
        return store.run_or_retrieve({"n": 1}, write_file).result_path.read_text()

    first = start(ALICE, 0o077, held)
    while not Path("begun").exists():
        time.sleep(0.005)
    assert do(BOB, 0o022, ask) == "hers"
    assert answer(first) == "hers"


def test_failures_are_seen_and_removed_by_both() -> None:
    """What is kept of hers, he can read, and remove."""

    def fail(store: Store) -> str:
        keeping = Store("results", "runs.json", file_suffix="", keep_failed=True)
        return run(1, lambda params, path: path.write_text("half") and 1 // 0)(keeping)

    def look(store: Store) -> list[Any]:
        (failure,) = store.failures()
        found = [failure.params, failure.error, "in fail" in failure.traceback or "lambda" in failure.traceback]
        store.prune(failed=True)
        return [*found, len(store.failures())]

    assert do(ALICE, 0o077, fail).startswith("ZeroDivisionError")
    assert do(BOB, 0o022, look)[:2] == [{"n": 1}, "ZeroDivisionError: integer division or modulo by zero"]
    assert do(ALICE, 0o077, lambda store: len(store.failures())) == 0


def test_what_cannot_be_removed_is_told_and_the_rest_goes() -> None:
    """A private folder in her result is hers; his prune removes the others, and names it."""

    def private(params: dict[str, Any], path: Path) -> None:
        (path / "sub").mkdir(parents=True)
        (path / "sub" / "data").write_text("x")

    for n in range(3):
        do(ALICE, 0o002, run(n, private))
    hers = next(Path("results").glob("[0-9]*"))
    (hers / "sub").chmod(0o700)

    said = do(BOB, 0o002, lambda store: store.prune(older_than_seconds=0))
    left = list(Path("results").glob("[0-9]*"))

    assert said.startswith("StoreWriteError: Cannot remove 1 of 3 results")
    assert str(hers) in said
    assert left == [hers]
    assert do(ALICE, 0o002, lambda store: len(store.remove_orphans(store.check().orphans))) == 1


def test_what_is_protected_goes_with_its_owner() -> None:
    """A write-protected folder in a result is removed by a deletion that its owner asks for."""

    def protected(params: dict[str, Any], path: Path) -> None:
        (path / "sub").mkdir(parents=True)
        (path / "sub" / "data").write_text("x")
        (path / "sub").chmod(0o555)
        path.chmod(0o555)

    assert do(ALICE, 0o022, run(1, protected)) == "ran"
    assert do(ALICE, 0o022, delete(1)) is True
    assert [path.name for path in Path("results").iterdir()] == [".entropic"]


def test_a_folder_of_no_group_stays_private(group_folder: Path) -> None:
    """Without the bit that passes a group on, files have the mode that the umask gives."""
    group_folder.chmod(0o777)

    def modes(store: Store) -> list[str]:
        run(1, write_private_folder)(store)
        (record,) = store.list()
        paths = [Path("runs.json"), record.result_path, record.result_path / "sub" / "data"]
        return [oct(path.stat().st_mode & 0o777) for path in paths]

    assert do(ALICE, 0o027, modes) == ["0o640", "0o700", "0o444"]


def test_an_index_in_sqlite_is_shared() -> None:
    """It is made with the rights of the group, and so is what SQLite puts beside it."""

    def ask(_: Store) -> list[Any]:
        with Store("results", index="sqlite:///runs.sqlite3", file_suffix="") as store:
            return [run(os.getuid())(store), len(store.list())]

    with Store("others", index="sqlite:///others.sqlite3") as others:
        run(0)(others)  # loads what the users could not

    assert do(ALICE, 0o077, ask) == ["ran", 1]
    assert do(BOB, 0o022, ask) == ["ran", 2]
    assert do(ALICE, 0o077, ask) == ["hit", 2]


def test_what_a_killed_run_has_put_by_and_not_shared_is_no_failure_of_others() -> None:
    """He cannot read her checkpoint, and begins at the beginning; she would have carried on from it."""

    def walk(params: dict[str, Any], path: Path, checkpoint_dir: Path) -> None:
        state = checkpoint_dir / "state"
        if state.exists():
            path.write_text(state.read_text())
            return
        state.write_text("half way")
        if os.getuid() == ALICE:
            os.kill(os.getpid(), signal.SIGKILL)
        path.write_text("from the beginning")

    def ask(n: int) -> Callable[[Store], str]:
        return lambda store: store.run_or_retrieve({"n": n}, walk).result_path.read_text()

    assert do(ALICE, 0o077, ask(1)) is None
    assert do(ALICE, 0o077, ask(2)) is None
    assert do(BOB, 0o022, ask(1)) == "from the beginning"
    assert do(ALICE, 0o077, ask(2)) == "half way"
