"""Faults of the machine, through the store: full disks, I/O errors, limits, clocks, vanished folders, power cuts."""

from __future__ import annotations

import errno
import gc
import itertools
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached
from entropic._results import _names
from entropic.errors import OtherFolderError

CONTENT = "whole" * 400


@pytest.fixture(autouse=True)
def _nothing_left(_own_folder: None) -> Iterator[None]:
    """No fault leaves a descriptor open."""
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def open_store(**options: Any) -> Store:
    """The store of this test's folder, as another process would see it."""
    return Store("results", "runs.json", file_suffix=".txt", **options)


def write_file(params: dict[str, Any], path: Path) -> None:
    """One file."""
    with open(path, "w") as file:
        file.write(CONTENT)


def write_siblings(params: dict[str, Any], path: Path) -> None:
    """One file, and two beside it."""
    for name in (path, path.with_suffix(".xdmf"), path.with_suffix(".log")):
        write_file(params, name)


def write_folder(params: dict[str, Any], path: Path) -> None:
    """A folder of two files."""
    os.mkdir(path)
    write_file(params, path / "a")
    write_file(params, path / "b")


def require_intact(store: Store, *points: int) -> None:
    """These points are recorded, and whatever is recorded is there, whole."""
    recorded = store.list()
    assert set(points) <= {record.params["n"] for record in recorded}
    for record in recorded:
        files = sorted(record.result_path.iterdir()) if record.result_path.is_dir() else [record.result_path]
        assert [file.read_text() for file in files] == [CONTENT] * len(files)
        assert len(files) == (2 if record.result_path.is_dir() else 1)


class Fault:
    """
    The k-th call among a set of functions of `os` fails; not while the runner is at work.

    Attributes:
        struck: Name of the function that failed, if it came to that.
    """

    NAMES = ("open", "write", "pwrite", "fsync", "rename", "replace", "link", "mkdir", "ftruncate", "listdir", "stat")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, code: int, names: tuple[str, ...] = NAMES) -> None:
        self.number = number
        self.code = code
        self.calls = 0
        self.struck: str | None = None
        self.is_held = False
        self.thread = threading.get_ident()
        for name in names:
            monkeypatch.setattr(os, name, self._failing(name, getattr(os, name)))

    def _failing(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.is_held or threading.get_ident() != self.thread:
                return original(*args, **kwargs)
            self.calls += 1
            if self.calls != self.number:
                return original(*args, **kwargs)
            self.struck = name
            place = args[0] if isinstance(args[0], str) else None
            raise OSError(self.code, os.strerror(self.code), place)

        return call

    def sparing(self, runner: Callable[[dict[str, Any], Path], None]) -> Callable[[dict[str, Any], Path], None]:
        """The runner, whose own calls do not fail."""

        def spared(params: dict[str, Any], path: Path) -> None:
            self.is_held = True
            try:
                runner(params, path)
            finally:
                self.is_held = False

        return spared


WRITES = ("open", "write", "pwrite", "fsync", "rename", "replace", "link", "mkdir", "ftruncate")


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=["EIO", "ENOSPC", "EDQUOT"])
@pytest.mark.parametrize("runner", [write_file, write_siblings, write_folder], ids=["file", "siblings", "folder"])
@pytest.mark.parametrize("is_first", [True, False], ids=["new", "used"])
def test_any_single_call_may_fail_in_a_run(
    monkeypatch: pytest.MonkeyPatch, runner: Callable[..., None], code: int, is_first: bool
) -> None:
    """The first, second, ... call of each kind fails: an error that says what and where; all records stay good."""
    struck: list[str] = []
    # Each kind by itself: how many calls of the others are before it may depend on the time.
    left, number = list(WRITES), 0
    for n in itertools.count(1):
        number += 1
        if is_first:
            shutil.rmtree("results", ignore_errors=True)
            Path("runs.json").unlink(missing_ok=True)
        else:
            with open_store() as before:
                before.run_or_retrieve({"n": 0}, write_file)
        with open_store() as store:
            with monkeypatch.context() as patched:
                fault = Fault(patched, number, code, (left[0],))
                try:
                    record = store.run_or_retrieve({"n": n}, fault.sparing(runner))
                except OSError as error:
                    told, record = error, None
            if fault.struck is None:
                assert record is not None
                del left[0]
                number = 0
                if not left:
                    break
                continue
            struck.append(fault.struck)
            if record is None:
                assert told.errno == code, (number, fault.struck)
                assert os.strerror(code) in str(told)
                assert str(Path.cwd()) in str(told), (number, fault.struck, told)
            with open_store() as other:
                require_intact(other, *(() if is_first else (0,)))
                found = other.retrieve({"n": n})
                # Only where the last sync of all fails, that of a new index' folder, a good record may stay.
                assert found == record or (record is None and is_first and fault.struck in ("open", "fsync"))
            again = store.run_or_retrieve({"n": n}, runner)
            require_intact(store, n)
            assert found is None or again == found
            assert list(Path("results/.entropic").glob("locks/*")) == []
            assert list(Path("results/.entropic/staging").iterdir()) == [], (number, fault.struck)

    assert {"open", "pwrite", "fsync", "mkdir", "write"} <= set(struck)
    assert "rename" in struck if runner is write_folder else "link" in struck


@pytest.mark.parametrize("is_cached", [False, True], ids=["store", "cached"])
def test_a_run_that_could_not_be_recorded_is_not_lost(monkeypatch: pytest.MonkeyPatch, is_cached: bool) -> None:
    """The disk is full when the line is to be written: the result is there, and the message says where."""
    with open_store() as store:
        store.run({"n": 0}, write_file)
        with monkeypatch.context() as patched:
            fault = Fault(patched, 1, errno.ENOSPC, ("pwrite",))
            with pytest.raises(OSError, match="Cannot record the run: No space left on device") as caught:
                if is_cached:
                    cached(store, name="write", result_arg="path")(write_file)({"n": 1})
                else:
                    store.run({"n": 1}, fault.sparing(write_file))
        assert fault.struck == "pwrite"
        index, kept = [path for path in map(Path, str(caught.value).split("'")) if path.is_absolute() and path.exists()]

        assert index.name == "runs.json"
        assert kept.read_text() == CONTENT
        assert store.register({"n": 1}, kept).result_path == kept


@pytest.mark.parametrize("operation", ["delete", "register"])
def test_any_single_call_may_fail_in_other_writes(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """Deleting and registering take themselves back, too."""
    Path("made.txt").write_text(CONTENT)
    for number in range(1, 100):
        shutil.rmtree("results", ignore_errors=True)
        Path("runs.json").unlink(missing_ok=True)
        with open_store() as store:
            for n in (0, 1):
                store.run({"n": n}, write_file)
            with monkeypatch.context() as patched:
                fault = Fault(patched, number, errno.EIO, WRITES)
                try:
                    if operation == "delete":
                        store.delete({"n": 1}, remove_file=True)
                    else:
                        store.register({"n": 2}, "made.txt")
                except OSError as error:
                    told = error
                else:
                    told = None
            if fault.struck is None:
                break
            if told is not None:
                assert os.strerror(errno.EIO) in str(told), (number, fault.struck, told)
            with open_store() as other:
                require_intact(other, 0)
                if operation == "delete" and told is not None and fault.struck not in ("open", "fsync"):
                    require_intact(other, 0, 1)
            store.run({"n": 3}, write_file)
            require_intact(store, 0, 3)
            assert [path.name for path in Path.cwd().iterdir() if path.name.startswith(".runs")] == []
    assert number > 3


def in_child(code: str, *args: Any, **options: Any) -> Any:
    """Run code in a process of its own and return what it printed last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD + code, json.dumps(args)], capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


CHILD = """
import errno, json, os, resource, sys
from pathlib import Path
from entropic import Store
CONTENT = "whole" * 400
def write_file(params, path):
    with open(path, "w") as file:
        file.write(CONTENT)
def attempt(store, n, runner=write_file):
    try:
        store.run_or_retrieve({"n": n}, runner)
    except OSError as error:
        return [error.errno, str(error)]
    return None
store = Store("results", "runs.json", file_suffix=".txt")
arguments = json.loads(sys.argv[1])
"""


def test_a_limit_on_file_sizes(tmp_path: Path) -> None:
    """The line that would make the index too long is taken back, and the one that fits is kept."""
    told = in_child(
        """
store.run({"n": 0}, write_file)
told = []
size = os.path.getsize("runs.json")
for room in range(0, 400, 30):
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(size + room, 2100), resource.RLIM_INFINITY))
    told.append(attempt(store, 1 + room, lambda params, path: os.symlink(os.path.abspath("big"), path)
                        if False else write_file(params, path)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with Store("results", "runs.json", file_suffix=".txt") as other:
        assert {0} <= {record.params["n"] for record in other.list()}
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
told.append(attempt(store, 999))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert attempt(store, 999) is None
print(json.dumps(told))
"""
    )

    assert told[-1][0] == errno.EFBIG
    with open_store() as store:
        require_intact(store, 0, 999)


def test_an_index_at_the_limit_of_file_sizes() -> None:
    """A write cut short in the middle of a line leaves no part of it behind."""
    told = in_child(
        """
import tempfile
def short(params, path):
    path.write_text("x")
for n in range(20):
    store.run({"n": n}, short)
told = []
for room in range(0, 1200, 80):
    size = os.path.getsize("runs.json")
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
    told.append(attempt(store, 100 + room, short))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    text = Path("runs.json").read_bytes()
    assert text.endswith(b"\\n}}\\n"), text[-20:]
    json.loads(text)
    assert (store.retrieve({"n": 100 + room}) is None) == (told[-1] is not None)
print(json.dumps(told))
"""
    )

    refused = [answer for answer in told if answer is not None]
    assert refused
    assert any(answer is None for answer in told)
    assert all(
        code == errno.EFBIG and text.startswith("Cannot record the run: File too large") for code, text in refused
    )


def test_too_many_open_files() -> None:
    """Whatever descriptors are left, one run succeeds or says so; none leaks, and it works again afterwards."""
    told = in_child(
        """
store.run({"n": 0}, write_file)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
used = len(os.listdir("/proc/self/fd")) - 1
told = []
for free in range(0, 12):
    before = sorted(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + free, hard))
    told.append(attempt(store, 1 + free))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert attempt(store, 1 + free) is None
print(json.dumps(told))
"""
    )

    assert told[0] is not None
    assert told[-1] is None
    assert all(code == errno.EMFILE and "/" in text for code, text in filter(None, told)), told
    with open_store() as store:
        require_intact(store, *range(13))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 128 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", place]).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_is_really_full(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill it run by run, until nothing fits; all that was reported is there, and with room again it goes on."""
    monkeypatch.chdir(small_disk)
    reported, refused = [], []
    with open_store() as store:
        for n in range(60):
            try:
                store.run_or_retrieve({"n": n}, lambda params, path: path.write_text(CONTENT))
                reported.append(n)
            except OSError as error:
                refused.append(error)
        assert refused
        assert all(error.errno == errno.ENOSPC for error in refused)
        require_intact(store, *reported)
        with open_store() as other:
            require_intact(other, *reported)

        for n in reported[:8]:
            store.list({"n": n})[0].result_path.unlink()
        for path in store.check().orphans:
            path.unlink()
        store.run_or_retrieve({"n": 1000}, lambda params, path: path.write_text(CONTENT))
        for n in reported[:8]:
            store.delete({"n": n})
        require_intact(store, *reported[8:], 1000)


# ---- folders that vanish -------------------------------------------------------------------------------------


def test_the_results_folder_vanishes(caplog: pytest.LogCaptureFixture) -> None:
    """Between two runs: it may be a disk that is not mounted. Once it is taken as it is, what it held runs again."""
    with open_store() as store:
        store.run_or_retrieve({"n": 1}, write_file)
        shutil.rmtree("results")

        assert store.retrieve({"n": 1}) is None
        with pytest.raises(OtherFolderError, match="--repair"):
            store.run_or_retrieve({"n": 1}, write_file)
        store.check(repair=True)
        store.run_or_retrieve({"n": 1}, write_file)
        assert "Stale" in caplog.text
        require_intact(store, 1)
        assert len(store.list()) == 1


def test_the_results_folder_vanishes_during_a_run() -> None:
    """An error that names the place; nothing is recorded, and it works again."""

    def runner(params: dict[str, Any], path: Path) -> None:
        write_file(params, path)
        shutil.rmtree("results")

    with open_store() as store:
        store.run_or_retrieve({"n": 0}, write_file)
        with pytest.raises(OSError, match="results"):
            store.run_or_retrieve({"n": 1}, runner)

        assert [record.params["n"] for record in store.list()] == [0]
        store.check(repair=True)
        store.run_or_retrieve({"n": 1}, write_file)
        store.run_or_retrieve({"n": 0}, write_file)
        require_intact(store, 0, 1)


def test_the_index_vanishes() -> None:
    """Nothing is known any more, in this process as in others; new runs make a new index."""
    with open_store() as store:
        store.run_or_retrieve({"n": 0}, write_file)
        Path("runs.json").unlink()

        assert store.retrieve({"n": 0}) is None
        assert store.list() == []
        store.run_or_retrieve({"n": 1}, write_file)
        assert [record.params["n"] for record in open_store().list()] == [1]


# ---- clocks, names, chance ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.0, -3600.0], ids=["still", "back"])
def test_a_clock_that_does_not_advance(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Equal and falling timestamps: every run has a file of its own, and the newest record is the last one."""
    now = [1_700_000_000.0]

    def clock() -> float:
        now[0] += step
        return now[0]

    monkeypatch.setattr(_names.time, "time", clock)
    with open_store() as store:
        records = [store.run({"n": 0}, write_file, number=number) for number in range(20)]
        latest = store.retrieve({"n": 0})

        assert len({record.result_path for record in records}) == 20
        assert latest is not None
        assert latest.metadata["number"] == 19
        assert [record.metadata["number"] for record in store.list()] == list(range(20))


TWIN = """
import random, time
random.seed(0)
getpid = os.getpid
os.getpid = lambda: 4242
time.time = lambda: 1700000000.0
def runner(params, path):
    path.write_text(str(params["n"]))
print("ready", flush=True)
sys.stdin.readline()
paths = []
for n in range(30):
    paths.append(str(store.run({"n": n}, runner).result_path))
    store.run_or_retrieve({"n": 1000 + n}, runner)
assert random.random() == 0.8444218515250481, "the global random state was used"
print(json.dumps(paths))
"""


def test_twins() -> None:
    """Two machines of one name, process id, clock and random seed disturb each other in nothing."""
    twins = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD + TWIN, "[]"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for twin in twins:
        assert twin.stdout is not None
        assert twin.stdout.readline() == "ready\n"
    for twin in twins:
        assert twin.stdin is not None
        twin.stdin.write("\n")
        twin.stdin.flush()
    paths = [json.loads(twin.communicate(timeout=120)[0]) for twin in twins]

    assert [twin.returncode for twin in twins] == [0, 0]
    assert len(set(paths[0]) | set(paths[1])) == 60
    with open_store() as store:
        for record in store.list():
            assert record.result_path.read_text() == str(record.params["n"])
        assert len(store.list()) == 90


def test_a_seeded_random_state_is_neither_used_nor_changed() -> None:
    """Two runs after the same seed: two folders, and the sequence goes on as if nothing had been."""
    with open_store() as store:
        random.seed(7)
        store.run({"n": 0}, write_file)
        first = random.random()
        random.seed(7)
        store.run({"n": 0}, write_file)

        assert random.random() == first
        assert len(store.list()) == 2


def test_files_for_the_group() -> None:
    """With umask 002 colleagues can read and write whatever appears: index, results, folders, locks."""
    in_child(
        """
os.umask(0o002)
os.rmdir("results")
store = Store("results", "runs.json", file_suffix=".txt")
modes = {}
def runner(params, path):
    write_file(params, path)
    for place in [*Path("results").rglob("*"), Path("results"), Path("runs.json")]:
        if place.exists():
            modes[str(place)] = place.stat().st_mode
store.run({"n": 0}, runner)
store.run_or_retrieve({"n": 1}, runner)
store.delete({"n": 0})
store.run_or_retrieve({"n": 2}, runner)
for place in [*Path("results").rglob("*"), Path("runs.json")]:
    modes[str(place)] = place.stat().st_mode
lacking = {name: oct(mode) for name, mode in modes.items() if mode & 0o060 != 0o060}
assert not lacking, lacking
assert any(name.endswith(".lock") for name in modes)
print("null")
"""
    )


# ---- power cuts ----------------------------------------------------------------------------------------------


class Disk:
    """What would be on disk if the power went: notes, in order, what was written, synced and named."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        for name in ("fsync", "pwrite", "rename", "replace", "link", "mkdir", "open"):
            monkeypatch.setattr(os, name, self._noting(name, getattr(os, name)))

    def _noting(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not (args[1] & os.O_CREAT and not os.path.exists(args[0])):
                return original(*args, **kwargs)
            if isinstance(args[0], int):
                place = os.readlink(f"/proc/self/fd/{args[0]}")
            else:
                place = os.fspath(args[0 if name in ("mkdir", "open") else 1])
            result = original(*args, **kwargs)
            self.events.append((name, os.path.abspath(place)))
            return result

        return call

    def last(self, name: str, place: Path) -> int:
        """When this last happened there."""
        return max(number for number, event in enumerate(self.events) if event == (name, str(place)))

    def first(self, *names: str, place: Path) -> int:
        """When one of these first happened there."""
        return min(number for number, (name, at) in enumerate(self.events) if name in names and at == str(place))


@pytest.mark.parametrize("runner", [write_file, write_folder], ids=["file", "folder"])
def test_what_is_reported_survives_a_power_cut(monkeypatch: pytest.MonkeyPatch, runner: Callable[..., None]) -> None:
    """Synced before it has its name, its name synced before the index has it, the index synced before the answer."""
    root = Path.cwd()
    with open_store() as store, monkeypatch.context() as patched:
        disk = Disk(patched)
        first = store.run_or_retrieve({"n": 0}, runner)
        second = store.run_or_retrieve({"n": 1}, runner)
    for record in (first, second):
        name = record.result_path.name
        files = ["a", "b", ""] if runner is write_folder else [""]
        staged = [place for event, place in disk.events if event == "fsync" and "/staging/" in place and name in place]
        named = disk.first("link", "rename", place=record.result_path)
        synced = [number for number, event in enumerate(disk.events) if event == ("fsync", str(root / "results"))]

        assert len(staged) >= len(files)
        assert all(disk.last("fsync", Path(place)) < named for place in staged)
        assert any(number > named for number in synced)

    index = root / "runs.json"
    appended = disk.last("pwrite", index)
    assert disk.last("fsync", root / "results") < appended < disk.last("fsync", index)


def test_folders_that_are_made_survive_a_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new results folder, and a new index in a new folder: every name on the way to them is synced."""
    root = Path.cwd()
    with monkeypatch.context() as patched:
        disk = Disk(patched)
        with Store("a/b/results", "c/d/runs.json", file_suffix=".txt") as store:
            store.run_or_retrieve({"n": 0}, write_file)
    for made in ("a", "a/b", "a/b/results", "c", "c/d"):
        place = root / made
        named = disk.first("mkdir", place=place)

        assert ("fsync", str(place.parent)) in disk.events[named:], f"{made} may be gone"


def test_without_durability_nothing_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """``durable=False`` costs no sync at all."""
    with monkeypatch.context() as patched, open_store(durable=False) as store:
        disk = Disk(patched)
        store.run_or_retrieve({"n": 0}, write_file)
        store.delete({"n": 0})

    assert [event for event in disk.events if event[0] == "fsync"] == []


def test_a_failed_sync_fails_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the result, at its folder, at the index: nothing is reported, nothing recorded."""
    with open_store() as store:
        store.run({"n": 0}, write_file)
        for number in (1, 2, 3):
            with monkeypatch.context() as patched:
                Fault(patched, number, errno.EIO, ("fsync",))
                with pytest.raises(OSError, match="Input/output error"):
                    store.run({"n": 1}, write_file)
            assert store.retrieve({"n": 1}) is None
            with open_store() as other:
                assert other.retrieve({"n": 1}) is None
        store.run({"n": 1}, write_file)


def test_files_have_no_more_rights_than_the_umask_gives() -> None:
    """The default: readable by all, as any program would make them."""
    with open_store() as store:
        record = store.run_or_retrieve({"n": 0}, write_file)
    umask = os.umask(0)
    os.umask(umask)

    assert stat.S_IMODE(Path("runs.json").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(record.result_path.stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(Path("results").stat().st_mode) == 0o777 & ~umask
    assert time.time() > 0
