"""Read-only stores of every kind: hits, lists and look-ups work; a miss is refused before the run."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entropic import Store

READER = """
import asyncio, json, os, sys
from pathlib import Path
uid = int(sys.argv[1])
from entropic import Store, cached
import tinydb, tinydb.storages  # before the rights to read the installation are given up
import entropic, importlib, pkgutil
rooms = "_code _engine _fs _function _locks _maintenance _results _tables index.tinydb query"
for room in rooms.split():
    package = importlib.import_module(f"entropic.{room}")
    for module in pkgutil.iter_modules(package.__path__, f"entropic.{room}."):
        importlib.import_module(module.name)
if uid:
    os.setgroups([])
    os.setegid(uid)
    os.seteuid(uid)
ran = []
def runner(params, path):
    ran.append(params)
    path.write_text("x")
def refused(call):
    try:
        call()
    except OSError as error:
        return [type(error).__name__, error.errno, str(error)]
    return None
store = Store("place/results", sys.argv[2], file_suffix=".txt")
simulate = cached(store, name="simulate", result_arg="path")(runner)
async def wait(params, path):
    runner(params, path)
wait = cached(store, name="wait", result_arg="path")(wait)
hits = [store.run_or_retrieve({"n": 1}, runner), store.retrieve({"n": 1}), *store.list(where={"n": 1})]
answer = {
    "hits": [record.result_path.read_text() for record in hits],
    "listed": len(store.list()),
    "miss": refused(lambda: store.run_or_retrieve({"n": 2}, runner)),
    "run": refused(lambda: store.run({"n": 1}, runner)),
    "cached": refused(lambda: simulate({"n": 2})),
    "awaited": refused(lambda: asyncio.run(wait({"n": 2}))),
    "delete": refused(lambda: store.delete({"n": 1})),
    "register": refused(lambda: store.register({"n": 3}, "place/made.txt")),
    "ran": len(ran),
    "clean": store.check().is_clean,
}
store.close()
print(json.dumps(answer))
"""

NOBODY = 65534


@pytest.fixture
def filled(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A store of one run, below ``place``; its rights come back at the end."""
    place = tmp_path / "place"
    with Store(place / "results", place / "runs.json", file_suffix=".txt") as store:
        store.run({"n": 1}, lambda params, path: path.write_text("there"))
    (place / "made.txt").write_text("made elsewhere")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/tmp") and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    yield place
    for path in (place, *place.rglob("*")):
        path.chmod(path.stat().st_mode | 0o700)


def read(index: str = "place/runs.json", uid: int = 0) -> dict[str, object]:
    """What a process of that user gets from the store."""
    done = subprocess.run([sys.executable, "-c", READER, str(uid), index], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def require_readable_only(answer: dict[str, object]) -> None:
    """Hits and lists worked; what would write was refused with an error that says why, and nothing ran."""
    assert answer["hits"] == ["there"] * 3
    assert answer["listed"] == 1
    assert answer["ran"] == 0
    for name in ("miss", "run", "cached", "awaited", "delete", "register"):
        refusal = answer[name]
        assert isinstance(refusal, list), name
        assert "place" in refusal[2], (name, refusal)


def contents(place: Path) -> dict[str, int]:
    """Everything below a place, with its time of change."""
    return {str(path): path.stat().st_mtime_ns for path in (place, *place.rglob("*"))}


def snapshot(place: Path, change: Callable[[Path], None]) -> dict[str, int]:
    """Take away the rights to write, and note what there is."""
    change(place)
    return contents(place)


def without_rights(place: Path) -> None:
    for path in (*place.rglob("*"), place):
        path.chmod(0o555 if path.is_dir() else 0o444)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to become somebody else")


@as_root
def test_another_users_store(filled: Path) -> None:
    """A store that somebody else wrote, with the usual rights."""
    before = contents(filled)

    require_readable_only(read(uid=NOBODY))
    assert contents(filled) == before


def test_a_store_without_rights_to_write(filled: Path) -> None:
    """All files and folders read-only."""
    before = snapshot(filled, without_rights)

    require_readable_only(read(uid=NOBODY if os.geteuid() == 0 else 0))
    assert contents(filled) == before


@as_root
def test_a_store_without_its_private_folder(filled: Path) -> None:
    """Copied without what begins with a dot: the same."""
    shutil.rmtree(filled / "results" / ".entropic")

    require_readable_only(read(uid=NOBODY))
    assert not (filled / "results" / ".entropic").exists()


def require_refused_before_the_run(answer: dict[str, object], *, named: str) -> None:
    """Hits are answered, nothing has run, and every refusal names the place."""
    assert answer["hits"] == ["there"] * 3
    assert answer["ran"] == 0
    for name in ("miss", "run", "cached", "awaited"):
        refusal = answer[name]
        assert isinstance(refusal, list), name
        assert named in refusal[2], refusal


@as_root
def test_only_the_results_folder_is_read_only(filled: Path) -> None:
    """The index could be written, the result could not: refused before the run."""
    for path in (filled, filled / "runs.json"):
        os.chown(path, NOBODY, NOBODY)
    answer = read(uid=NOBODY)

    require_refused_before_the_run(answer, named="results")


@as_root
def test_only_the_index_is_read_only(filled: Path) -> None:
    """The result could be written, its record could not: refused before the run."""
    for path in (filled / "results").rglob("*"):
        os.chown(path, NOBODY, NOBODY)
    os.chown(filled / "results", NOBODY, NOBODY)
    answer = read(uid=NOBODY)

    require_refused_before_the_run(answer, named="runs.json")


@as_root
@pytest.mark.parametrize("where", ["place", "place/results"])
def test_a_read_only_mount(filled: Path, where: str) -> None:
    """A file system mounted for reading: even root may not write, and is told before the run."""
    place = filled.parent / where
    if not shutil.which("mount") or subprocess.run(["mount", "--bind", place, place]).returncode:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        answer = read()
    finally:
        subprocess.run(["umount", "-l", place], check=True)

    if where == "place":
        require_readable_only(answer)
    assert answer["hits"] == ["there"] * 3
    assert answer["ran"] == 0
    for name in ("miss", "run", "cached", "awaited"):
        refusal = answer[name]
        assert isinstance(refusal, list), name
        assert refusal[1] in (errno.EROFS, errno.EACCES)
        assert "Nothing has been run" in refusal[2]


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    """Asking a store that does not exist makes nothing but its results folder."""
    store = Store(tmp_path / "results", tmp_path / "runs.json")

    assert store.retrieve({"n": 1}) is None
    assert store.list() == []
    assert store.check().is_clean
    assert [path.name for path in tmp_path.rglob("*")] == ["results"]


@pytest.mark.parametrize("blocked", ["results", "runs.json"])
def test_something_else_stands_in_the_way(tmp_path: Path, blocked: str) -> None:
    """A file where the results folder should be, a folder where the index should be: refused before the run."""
    if blocked == "results":
        (tmp_path / blocked).write_text("a file")
    else:
        (tmp_path / blocked).mkdir()
    ran: list[object] = []
    with (
        Store(tmp_path / "results", tmp_path / "runs.json") as store,
        pytest.raises(OSError, match=blocked),
    ):
        store.run_or_retrieve({"n": 1}, lambda params, path: ran.append(path))

    assert ran == []
