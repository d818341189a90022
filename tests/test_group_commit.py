"""Runs that are inserted at the same moment share a sync, which is made while nobody holds the lock of the index."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tinydb

from entropic import RunRecord, Store
from entropic._record import _record
from entropic.index import TinyDBIndex
from entropic.index.tinydb import _line_content
from entropic.testing import make_record

IO_ERROR = OSError(errno.EIO, os.strerror(errno.EIO))


def insert_at_once(index: TinyDBIndex, count: int, insert: Callable[[int], None], go: threading.Event) -> None:
    """Insert runs in as many threads; the first sync is to wait for *go*, which is set once all of them are written."""
    threads = [threading.Thread(target=insert, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    while len(index._writer._syncs._appended) < count:
        threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join()


def test_threads_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is synced, the others gather; none returns before it is on disk."""
    path = tmp_path / "runs.json"
    index = TinyDBIndex(path)
    index.insert(make_record({"n": -1}))
    real, made, all_are_written = os.fsync, list[bytes](), threading.Event()

    def fsync(descriptor: int) -> None:
        content = path.read_bytes()
        if not made:
            assert all_are_written.wait(60)
        real(descriptor)
        made.append(content)

    on_disk_when_told: list[bool] = []

    def insert(n: int) -> None:
        index.insert(make_record({"n": n}))
        on_disk_when_told.append(any(b'"n": %d}' % n in content for content in made))

    monkeypatch.setattr(os, "fsync", fsync)
    insert_at_once(index, 8, insert, all_are_written)

    assert len(made) < 8 / 2  # two, if they come in turn
    assert on_disk_when_told == [True] * 8
    assert sorted(record.params["n"] for record in TinyDBIndex(path).all()) == [-1, *range(8)]
    with tinydb.TinyDB(path) as stock:
        assert len(stock) == 9


def test_a_sync_that_fails_fails_one_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are tried again by their own calls; what failed is not recorded."""
    path = tmp_path / "runs.json"
    index = TinyDBIndex(path)
    index.insert(make_record({"n": -1}))
    real, made, all_are_written = os.fsync, list[int](), threading.Event()

    def fsync(descriptor: int) -> None:
        made.append(descriptor)
        if len(made) == 1:
            assert all_are_written.wait(60)
        if len(made) == 2:
            raise IO_ERROR
        real(descriptor)

    failed: list[int] = []

    def insert(n: int) -> None:
        try:
            index.insert(make_record({"n": n}))
        except OSError:
            failed.append(n)

    monkeypatch.setattr(os, "fsync", fsync)
    insert_at_once(index, 6, insert, all_are_written)

    assert len(failed) == 1
    assert sorted(record.params["n"] for record in TinyDBIndex(path).all()) == sorted({-1, *range(6)} - {*failed})


SUSPENDED_IN_ITS_SYNC = """
import os, signal, sys
from entropic.index import TinyDBIndex
from entropic.testing import make_record

real = os.fsync

def fsync(descriptor):
    os.kill(os.getpid(), signal.SIGSTOP)
    real(descriptor)

index = TinyDBIndex(sys.argv[1])
os.fsync = fsync
index.insert(make_record({"n": int(sys.argv[2])}))
"""


def wait_until_suspended(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pid, status = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED)
        if pid:
            assert os.WIFSTOPPED(status)
            return
        threading.Event().wait(0.005)
    raise AssertionError("it is not suspended in its sync: it waits for the lock")


def test_processes_sync_at_the_same_moment(tmp_path: Path) -> None:
    """None waits for the sync of another: while three are suspended in theirs, a fourth records a run."""
    path = tmp_path / "runs.json"
    index = TinyDBIndex(path)
    index.insert(make_record({"n": -1}))
    command = [sys.executable, "-c", SUSPENDED_IN_ITS_SYNC, str(path)]
    processes = [subprocess.Popen([*command, str(n)]) for n in range(3)]
    try:
        for process in processes:
            wait_until_suspended(process)
        index.insert(make_record({"n": 3}))
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)

    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert sorted(record.params["n"] for record in index.all()) == [-1, 0, 1, 2, 3]


def first_sync(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object], *, in_thread: bool) -> list[int]:
    """Have something done in the first sync, which fails then; returns the inodes of what is synced."""
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        if len(synced) > 1:
            return
        if in_thread:
            thread = threading.Thread(target=meanwhile)
            thread.start()
            thread.join()
        else:  # as a signal handler does
            meanwhile()
        if monkeypatch.fails:  # type: ignore[attr-defined]
            raise IO_ERROR

    monkeypatch.setattr(os, "fsync", fsync)
    return synced


OLD = [make_record({"n": n}) for n in range(3)]
NEW, OTHER = [make_record({"n": n}) for n in (10, 11)], make_record({"n": 20})
MEANWHILE: dict[str, tuple[Callable[[TinyDBIndex], object], list[RunRecord]]] = {
    "nothing": (lambda index: None, OLD),
    "an insert": (lambda index: index.insert(OTHER), [*OLD, OTHER]),
    "a removal": (lambda index: index.delete_records([OLD[1]]), [OLD[0], OLD[2]]),
    "both": (lambda index: (index.insert(OTHER), index.delete_records([OLD[1]])), [OLD[0], OLD[2], OTHER]),
    "a removal of it": (lambda index: index.delete_records(NEW[:1]), OLD),
}


@pytest.mark.parametrize("in_thread", [True, False], ids=["elsewhere", "within"])
@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_failed_sync_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str, is_large: bool, in_thread: bool
) -> None:
    """Whatever others have written meanwhile stays, as they have written it."""
    path = tmp_path / "runs.json"
    if is_large:
        monkeypatch.setattr(_line_content, "_LARGE_FILE_BYTES", 0)
    index, reader = TinyDBIndex(path), TinyDBIndex(path)
    index.insert_many(OLD)
    assert reader.find_by_hash(OLD[0].params_hash) == OLD[0]
    change, expected = MEANWHILE[meanwhile]
    monkeypatch.fails = True  # type: ignore[attr-defined]
    first_sync(monkeypatch, lambda: change(TinyDBIndex(path)), in_thread=in_thread)

    with pytest.raises(OSError, match="Input/output error"):
        index.insert_many(NEW)

    assert index.all() == reader.all() == TinyDBIndex(path).all() == expected
    assert [index.find_by_hash(record.params_hash) for record in NEW] == [None, None]
    index.insert_many(NEW)
    assert reader.all() == [*expected, *NEW]
    with tinydb.TinyDB(path) as stock:
        assert len(stock) == len(expected) + 2


@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
def test_a_disk_that_fails_and_fails_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """What is to be removed cannot be synced either: for those who read the file it is gone all the same."""
    path = tmp_path / "runs.json"
    if is_large:
        monkeypatch.setattr(_line_content, "_LARGE_FILE_BYTES", 0)
    index, reader, other = TinyDBIndex(path), TinyDBIndex(path), TinyDBIndex(path, durable=False)
    index.insert_many(OLD)
    appended, pwrite = list[None](), os.pwrite

    def fail(descriptor: int) -> None:
        if not appended:
            appended.append(other.insert(OTHER))
            assert reader.find_by_hash(NEW[0].params_hash) == NEW[0]
        raise IO_ERROR

    def write(descriptor: int, content: bytes, place: int) -> int:
        written = pwrite(descriptor, content, place)
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DSYNC:
            raise IO_ERROR
        return written

    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", fail)
        failing.setattr(os, "pwrite", write)
        with pytest.raises(OSError, match="Input/output error"):
            index.insert_many(NEW)

    assert index.all() == reader.all() == TinyDBIndex(path).all() == [*OLD, OTHER]
    for one in (index, reader, TinyDBIndex(path)):
        assert [one.find_by_hash(record.params_hash) for record in NEW] == [None, None]
    index.insert_many(NEW)
    assert reader.all() == TinyDBIndex(path).all() == [*OLD, OTHER, *NEW]


def test_a_file_that_replaces_the_index_is_synced_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one who syncs nothing, before what was appended to the old one is synced: the record stands in the new one."""
    path = tmp_path / "runs.json"
    TinyDBIndex(path).insert_many(OLD)
    monkeypatch.fails = False  # type: ignore[attr-defined]
    other = TinyDBIndex(path, durable=False)
    synced = first_sync(monkeypatch, lambda: other.delete_records([OLD[1]]), in_thread=True)
    before = path.stat().st_ino

    TinyDBIndex(path).insert(OTHER)

    assert synced == [before, path.stat().st_ino, tmp_path.stat().st_ino]
    assert other.all() == [OLD[0], OLD[2], OTHER]


def test_an_interrupt_in_a_sync_records_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a write; and another thread's sync, which serves it as well, is not cut short by that."""
    path = tmp_path / "runs.json"
    index = TinyDBIndex(path)
    index.insert_many(OLD)

    def interrupted(descriptor: int) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.insert(OTHER)

    assert index.all() == TinyDBIndex(path).all() == OLD
    index.insert(OTHER)
    assert index.all() == [*OLD, OTHER]


def test_a_child_forked_in_a_sync_records_runs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for no thread of its parent, and keeps nothing open."""
    path = tmp_path / "runs.json"
    index = TinyDBIndex(path)
    index.insert_many(OLD)
    statuses: list[int] = []

    def forked() -> None:
        if (pid := os.fork()) == 0:
            status = 1
            try:
                left = [one for one in os.listdir("/proc/self/fd") if leads_to(one) == str(path)]
                index.insert(OTHER)
                status = 2 if left else 0
            finally:
                os._exit(status)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    monkeypatch.fails = False  # type: ignore[attr-defined]
    first_sync(monkeypatch, forked, in_thread=True)
    index.insert(NEW[0])

    assert statuses == [0]
    assert index.all() == [*OLD, NEW[0], OTHER]


def leads_to(descriptor: str) -> str | None:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None


# ---- power cuts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [0, 1, 3, -1])
def test_a_power_cut_in_a_group_costs_no_run_that_was_reported(tmp_path: Path, lost: int) -> None:
    """Pages of it may reach the disk in any order: what stands behind one that did not was never reported."""
    path = tmp_path / "runs.json"
    before = [make_record({"n": n, "text": "x" * 200}) for n in range(7)]
    group = [make_record({"n": n, "text": "y" * 200}) for n in range(100, 140)]
    TinyDBIndex(path).insert_many(before)
    old = path.read_bytes()
    TinyDBIndex(path).insert_many(group)
    new = path.read_bytes()
    first = len(old) // 512 * 512
    pages = [new[at : at + 512] for at in range(first, len(new), 512)]
    pages[lost] = bytes(len(pages[lost]))
    if lost == 0:
        pages[0] = old[first:].ljust(512, b"\0")
    path.write_bytes(new[:first] + b"".join(pages))

    found = TinyDBIndex(path).all()

    assert found[:7] == before
    assert found[7:] == group[: len(found) - 7]
    added = make_record({"n": 1000})
    TinyDBIndex(path).insert(added)
    assert TinyDBIndex(path).all() == [*found, added]
    with tinydb.TinyDB(path) as stock:
        assert len(stock) == len(found) + 1


def states(path: Path, lengths: list[int]) -> list[bytes]:
    """The file as it is after each insert of a run whose line has about a length; the first two are on disk."""
    path.unlink(missing_ok=True)
    TinyDBIndex(path).insert_many([make_record({"n": n, "text": "x" * lengths[0]}) for n in range(2)])
    contents = [path.read_bytes()]
    for n, length in enumerate(lengths[1:], start=2):
        TinyDBIndex(path).insert(make_record({"n": n, "text": "y" * length}))
        contents.append(path.read_bytes())
    return contents


def disks(contents: list[bytes], sector: int) -> Iterator[bytes]:
    """What may be on disk: each sector as it was after any of the writes, and the file as long as it was."""
    begin, end = len(contents[0]) // sector * sector, -(-len(contents[-1]) // sector) * sector
    padded = [content.ljust(end, b"\0") for content in contents]
    choices = [sorted({content[at : at + sector] for content in padded}) for at in range(begin, end, sector)]
    for sectors in itertools.product(*choices):
        whole = contents[0][:begin] + b"".join(sectors)
        yield from {whole[: len(content)] for content in contents} | {whole}


def ending_at(path: Path, lengths: list[int], place: int) -> list[int]:
    """Lengths of which the last was changed so that the closing bytes end so many bytes behind the end of a sector."""
    return [*lengths[:-1], lengths[-1] + (place - len(states(path, lengths)[-1])) % 512]


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_power_cut_costs_no_run_that_was_reported(tmp_path: Path, sector: int) -> None:
    """Of what several writers have appended unsynced, any sectors may be on disk, and others not, or as they were."""
    path = tmp_path / "runs.json"
    drawn = random.Random(sector)
    for place in range(5):  # closing bytes that are whole in a sector, end with it, or are cut off by its end
        length = sector // 4 + drawn.randrange(sector)
        appended = ending_at(path, [300, length], place)
        contents = states(path, [*appended, 10, drawn.randrange(sector // 4)])
        seen = {content: TinyDBIndex(path).all()[: 2 + n] for n, content in enumerate(contents)}
        reported, everything = seen[contents[0]], seen[contents[-1]]
        for disk in disks(contents, sector):
            path.write_bytes(disk)
            index = TinyDBIndex(path)
            found = index.all()
            assert found == everything[: len(found)]
            assert found[:2] == reported
            index.insert(OTHER)
            assert index.all() == TinyDBIndex(path).all() == [*found, OTHER]
            for kept in tmp_path.glob("runs.json.torn-*"):
                kept.unlink()


def ending_in_a_sector(tmp_path: Path, place: int) -> TinyDBIndex:
    """An index whose first line ends at a place in a sector."""
    path, folder = tmp_path / "runs.json", tmp_path / "r"
    TinyDBIndex(path, folder).insert(OTHER)
    head = path.read_bytes().index(b"\n")
    path.unlink()
    return TinyDBIndex(path, folder.with_name("r" * (1 + (place - head) % 512)))


@pytest.mark.parametrize("place", [507, 508, 509, 510, 511, 0, 1])
def test_a_sector_may_end_with_the_first_line(tmp_path: Path, place: int) -> None:
    """The line feed behind it is no closing byte of before: what was on disk whole was cut off as unsynced."""
    index = ending_in_a_sector(tmp_path, place)
    for number in range(1, 4):
        index.insert(make_record({"n": number}))
        assert index.path.read_bytes().index(b"\n") % 512 == place
        assert len(TinyDBIndex(index.path).all()) == number


@pytest.mark.parametrize("place", [507, 508, 509, 510, 511, 0, 1])
def test_a_power_cut_in_the_first_append_to_an_emptied_index(tmp_path: Path, place: int) -> None:
    index = ending_in_a_sector(tmp_path, place)
    index.insert(OTHER)
    index.delete_records([OTHER])
    contents = [index.path.read_bytes()]
    index.insert(make_record({"n": 1, "text": "y" * 600}))
    contents.append(index.path.read_bytes())
    everything = index.all()
    for disk in disks(contents, 512):
        index.path.write_bytes(disk)
        found = TinyDBIndex(index.path).all()
        assert found == everything[: len(found)]
        TinyDBIndex(index.path).insert(OTHER)
        assert TinyDBIndex(index.path).all() == [*found, OTHER]


def test_a_power_cut_leaves_much_behind_a_gap(tmp_path: Path) -> None:
    """The closing bytes of before are on disk, and most of what was written after them: it is found however much."""
    path = tmp_path / "runs.json"
    old = next(old for length in range(300, 900) if len(old := states(path, [length])[0]) % 512 < 2)
    reported = TinyDBIndex(path).all()
    TinyDBIndex(path).insert_many([make_record({"n": n, "text": "y" * 600}) for n in range(100, 500)])
    end = len(old) // 512 * 512
    path.write_bytes(old[:end] + path.read_bytes()[end:])

    assert TinyDBIndex(path).all() == reported
    TinyDBIndex(path).insert(OTHER)
    assert TinyDBIndex(path).all() == [*reported, OTHER]


def test_a_record_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the index and the journal; what was encoded is not kept with it."""
    real, encoded = _record._document_text, list[RunRecord]()

    def write(record: RunRecord) -> str:
        encoded.append(record)
        return real(record)

    store = Store(tmp_path / "results", tmp_path / "runs.json", ".txt")
    monkeypatch.setattr(_record, "_document_text", write)
    record = store.run({"n": 1}, lambda params, path: path.write_text("x"))

    assert [one.params for one in encoded] == [{"n": 1}]
    assert "_text" not in record.__dict__["_copied_from"].__dict__
