"""From a private folder into the results folder: what becomes of whatever a runner writes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import os
import socket
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import Store
from entropic.errors import AmbiguousResultError, EntropicError, ResultMissingError, ResultOpenWarning

KEY = "2bfd14f43d17fc7c"
Runner = Callable[[dict[str, Any], Path], object]


def run(runner: Callable[[Path], object], suffix: str = ".h5", **options: Any) -> Path:
    """Run one point, and return where its result is."""
    store = Store("results", "runs.json", file_suffix=suffix, **options)
    return store.run({"n": 1}, lambda params, result_path: runner(result_path)).result_path


def published() -> list[str]:
    """What stands in the results folder, without the moment each name begins with."""
    return sorted(name.partition("_")[2] or name for name in os.listdir("results") if name != ".entropic")


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def fill_folder(path: Path) -> None:
    path.mkdir()
    (path / "data.txt").write_text("x")


# What is written, given the path, and under which ending it is published.
ADOPTIONS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "as asked": (".h5", lambda path: path.write_text("x"), ".h5"),
    "np.save": (".h5", lambda path: np.save(path, np.zeros(2)), ".npy"),
    "np.savez": (".h5", lambda path: np.savez(path, a=np.zeros(2)), ".npz"),
    "np.save, told .npy": (".npy", lambda path: np.save(path, np.zeros(2)), ".npy"),
    "np.save, told nothing": ("", lambda path: np.save(path, np.zeros(2)), ".npy"),
    "np.save, told .tar.gz": (".tar.gz", lambda path: np.save(path, np.zeros(2)), ".npy"),
    "suffix exchanged": (".h5", lambda path: path.with_suffix(".csv").write_text("x"), ".csv"),
    "suffix dropped": (".h5", lambda path: path.with_suffix("").write_text("x"), ""),
    "two suffixes": (".h5", lambda path: path.with_suffix(".csv.gz").write_text("x"), ".csv.gz"),
    "another name": (".h5", lambda path: path.with_name("out.vtu").write_text("x"), ".vtu"),
    "another name, packed": (".h5", lambda path: path.with_name("out.v1.tar.gz").write_text("x"), ".tar.gz"),
    "another name, none": (".h5", lambda path: path.with_name("RESULT").write_text("x"), ""),
    "a folder": (".h5", fill_folder, ".h5"),
    "a folder of another name": (".h5", lambda path: fill_folder(path.with_suffix(".zarr")), ".zarr"),
}


@pytest.mark.parametrize(("suffix", "write", "ending"), ADOPTIONS.values(), ids=ADOPTIONS)
def test_the_one_thing_written_is_the_result(suffix: str, write: Callable[[Path], object], ending: str) -> None:
    """Under the expected name or not, and it keeps its real suffix."""
    path = run(write, suffix)

    assert path.exists()
    assert published() == [KEY + ending]
    assert path.name.endswith(KEY + ending)


def test_siblings_move_along_under_their_own_names() -> None:
    """``run.xdmf`` beside ``run.h5`` still refers to it; they are noted in the provenance."""

    def write(params: dict[str, Any], path: Path) -> None:
        path.write_text("data")
        path.with_suffix(".xdmf").write_text(path.name)
        path.with_name("notes").mkdir()
        path.with_name("notes").joinpath("a.md").write_text("a")

    record = Store("results", "runs.json").run({"n": 1}, write)
    xdmf = record.result_path.with_suffix(".xdmf")

    assert xdmf.read_text() == record.result_path.name
    assert Path("results/notes/a.md").read_text() == "a"
    assert sorted(record.provenance["siblings"]) == sorted(["notes", xdmf.name])


def test_a_companion_never_replaces_another_runs() -> None:
    """Where a name is taken, result and companions go into a folder of the run, so that each finds its own."""
    for text in ("first", "second", "third"):
        path = run(lambda path, text=text: (path.write_text("log.txt"), path.with_name("log.txt").write_text(text)))
        assert path.with_name(path.read_text()).read_text() == text

    assert Path("results/log.txt").read_text() == "first"
    assert [path.name for path in Path("results").rglob("log.txt")] == ["log.txt"] * 3


def test_a_protected_folder_is_published_protected() -> None:
    """A runner may write-protect what it has written; the folder is unprotected only for the move."""

    def write(path: Path) -> None:
        path.mkdir()
        path.joinpath("data").write_text("x")
        path.joinpath("data").chmod(0o444)
        path.chmod(0o555)

    path = run(write, "")

    assert path.joinpath("data").read_text() == "x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o555
    path.chmod(0o755)


def test_a_run_folder_goes_with_its_last_file() -> None:
    """Deleting a run that lies in a folder of its own leaves none."""
    store = Store("results", "runs.json", file_suffix=".txt")

    def pair(params: dict[str, Any], path: Path) -> None:
        path.write_text("log.txt")
        path.with_name("log.txt").write_text(str(params["n"]))

    for n in (1, 2):
        store.run({"n": n}, pair)
    store.delete({"n": 2}, remove_file=True)

    assert sorted(path.suffix for path in Path("results").iterdir() if path.name != ".entropic") == [".txt", ".txt"]
    assert store.check().is_clean


def test_a_folder_is_published_whole() -> None:
    """With everything below it, links too."""

    def write(path: Path) -> None:
        path.joinpath("deep", "deeper").mkdir(parents=True)
        path.joinpath("deep", "deeper", "a").write_text("a")
        path.joinpath("link").symlink_to("deep/deeper/a")

    path = run(write, "")

    assert path.joinpath("link").read_text() == "a"


def test_nothing_written_is_an_error() -> None:
    """`ResultMissingError`, and nothing stays."""
    with pytest.raises(ResultMissingError, match="wrote no result"):
        run(lambda path: None)

    assert published() == []


def test_several_and_none_of_the_name_is_an_error_that_lists_them() -> None:
    """Nobody guesses which file was meant."""
    with pytest.raises(AmbiguousResultError, match=r"'a\.csv', 'b\.csv'") as caught:
        run(lambda path: (path.with_name("b.csv").touch(), path.with_name("a.csv").touch()))

    assert isinstance(caught.value, ValueError)
    assert published() == []


@pytest.mark.parametrize("target", ["nowhere", None], ids=["broken", "into the staging folder"])
def test_a_link_that_leads_nowhere_is_no_result(target: str | None) -> None:
    """Nor one that would lead nowhere once the private folder is gone."""

    def write(path: Path) -> None:
        if target is None:
            path.with_name("data").write_text("x")
        path.symlink_to(target or path.with_name("data"))

    with pytest.raises(ResultMissingError):
        run(write)

    assert Store("results", "runs.json").list() == []


def test_a_link_to_elsewhere_is_a_result() -> None:
    """As of a runner that writes to a scratch disk."""
    Path("scratch").write_text("large")
    path = run(lambda path: path.symlink_to(Path("scratch").absolute()))

    assert path.is_symlink()
    assert path.read_text() == "large"


def test_pipes_and_sockets_do_not_hang_a_run() -> None:
    """What some solver left beside its result is not read."""

    def write(path: Path) -> None:
        path.write_text("x")
        os.mkfifo(path.with_name("pipe"))
        with socket.socket(socket.AF_UNIX) as listening:
            before = Path.cwd()
            os.chdir(path.parent)
            listening.bind("socket")
            os.chdir(before)

    assert run(write).read_text() == "x"


def test_an_existing_file_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever put a file under the very name, before or during the run, keeps it."""
    monkeypatch.setattr("time.time", lambda: 1e9)
    Path("results").mkdir()
    for ending in (".h5", ".npy"):
        Path(f"results/1000000000.000000_{KEY}{ending}").write_text("mine")

    def write(path: Path) -> None:
        np.save(path, np.zeros(2))
        Path(f"results/1000000000.000001_{KEY}.npy").write_text("mine too")

    run(write)

    texts = {path.name: path.read_bytes()[:8] for path in Path("results").iterdir() if path.is_file()}
    assert sorted(texts.values()) == [b"mine", b"mine", b"mine too", b"\x93NUMPY\x01\x00"]


def test_file_systems_without_links_serve_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is reserved, then replaced by the result."""

    def no_links(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)

    assert run(lambda path: path.write_text("x")).read_text() == "x"


FAILURES = {
    "syncing a file": ("fsync", lambda path: path.write_text("hours of work")),
    "syncing a folder": ("fsync", fill_folder),
    "moving a folder": ("rename", fill_folder),
}


@pytest.mark.parametrize(("operation", "write"), FAILURES.values(), ids=FAILURES)
def test_a_failure_while_publishing_records_nothing(operation: str, write: Callable[[Path], object]) -> None:
    """An `OSError` that tells what; nothing under a final name, no record, and the next call runs."""
    store = Store("results", "runs.json")

    def failing(*args: Any) -> None:
        raise OSError(errno.EIO, "I/O error")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="I/O error") as caught:
        store.run_or_retrieve({"n": 1}, lambda params, path: (write(path), patch.setattr(os, operation, failing)))

    assert isinstance(caught.value, EntropicError)
    assert published() == []
    assert store.list() == []
    assert store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))


def test_results_are_synced_before_they_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result, its folder and the index; with ``durable=False`` nothing is."""
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    path = run(lambda path: path.write_text("x"))

    assert [name for name in synced if name.endswith(path.name)]
    assert str(path.parent) in synced
    assert any("runs.json" in name for name in synced)
    # The folder was synced before as well, when its identity came to it.
    after = synced[[name.endswith(path.name) for name in synced].index(True) :]
    assert after.index(str(path.parent)) < ["runs.json" in name for name in after].index(True)

    synced.clear()
    run(lambda path: path.write_text("x"), durable=False)
    assert synced == []


KILLED = """
import os, signal
from entropic import Store
def runner(params, result_path):
    result_path.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
Store("results", "runs.json").run({"n": 1}, runner)
"""


def test_the_next_writer_removes_what_the_dead_left(caplog: pytest.LogCaptureFixture) -> None:
    """A process killed in a run leaves a private folder; nobody takes it for a result, and it does not stay."""
    assert subprocess.run([sys.executable, "-c", KILLED], check=False).returncode == -9
    folder, note = sorted(os.listdir("results/.entropic/staging"))

    assert note == f"{folder}.run"
    assert Store("results", "runs.json").retrieve({"n": 1}) is None

    run(lambda path: path.write_text("x"))

    assert os.listdir("results/.entropic/staging") == []
    assert [entry for entry in caplog.records if "dead process" in entry.getMessage()]


def test_beside_many_one_a_minute_removes_what_the_dead_left() -> None:
    """Not each process that begins: the first one that is killed here has looked, and the last run comes later."""
    staging, sessions, mark = (Path("results/.entropic", name) for name in ("staging", "sessions", "cleaned-v1"))
    Store("results", "runs.json").run({"n": 0}, lambda params, path: path.write_text("x"))
    left = []
    with contextlib.ExitStack() as alive:
        for number in range(40):
            fcntl.flock(alive.enter_context((sessions / f"{number:016x}").open("w")), fcntl.LOCK_EX)
        for has_passed in (False, False, True):
            subprocess.run([sys.executable, "-c", KILLED], check=False)
            if has_passed:
                os.utime(mark, (mark.stat().st_mtime - 60,) * 2)
            Store("results", "runs.json").run({"n": 2}, lambda params, path: path.write_text("x"))
            left.append(len([path for path in staging.iterdir() if path.is_dir()]))

    assert left == [1, 2, 0]


def test_the_work_of_the_living_is_never_removed() -> None:
    """Another store that begins while a run is under way leaves it alone."""

    def write(path: Path) -> None:
        path.write_text("first half")
        other = Store("results", "runs.json")
        other.run({"other": 1}, lambda params, path: path.write_text("x"))
        other.check(repair=True)
        with path.open("a") as file:
            file.write(", second half")

    assert run(write).read_text() == "first half, second half"


def test_our_folder_may_be_removed_at_any_time() -> None:
    """Everything in ``.entropic`` is made anew when it is needed."""
    import shutil

    store = Store("results", "runs.json")
    for n in range(2):
        store.run({"n": n}, lambda params, path: path.write_text("x"))
        shutil.rmtree("results/.entropic")

    assert len(store.list()) == 2


def test_a_runners_own_traceback_is_kept() -> None:
    """``keep_failed`` writes its report beside what is there, never over it."""

    def write(path: Path) -> None:
        path.with_name("traceback.txt").write_text("the solver's own")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        run(write, keep_failed=True)

    (kept,) = Path("results/.entropic/failed").iterdir()
    assert kept.joinpath("traceback.txt").read_text() == "the solver's own"
    assert "ValueError" in kept.joinpath("_traceback.txt").read_text()


@pytest.mark.parametrize("limit", [0, 4, None])
def test_small_results_have_a_digest(limit: int | None) -> None:
    """Up to ``digest_up_to_bytes``, however short the run was; files and folders alike."""
    store = Store("results", "runs.json", digest_up_to_bytes=limit)
    short = store.run({"n": 1}, lambda params, path: path.write_text("1234"))
    long = store.run({"n": 2}, lambda params, path: (path.mkdir(), (path / "a").write_bytes(bytes(1 << 22))))

    assert ("digest" in short.provenance, "digest" in long.provenance) == (limit != 0, limit is None)


HELD = {
    "the result": (lambda path: path.open("w"), "h5"),
    "a file in the folder": (lambda path: (path.mkdir(), (path / "a.dat").open("w"))[1], "a.dat"),
    "a companion": (lambda path: (path.write_text("x"), path.with_suffix(".log").open("wb"))[1], ".log"),
}


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="what is open is seen in /proc")
@pytest.mark.parametrize(("hold", "name"), HELD.values(), ids=HELD)
def test_a_result_that_is_still_open_is_told(hold: Callable[[Path], Any], name: str) -> None:
    """It would be cut if the process were killed now; the run is recorded as it is."""
    held = []

    def write(path: Path) -> None:
        held.append(hold(path))
        held[0].write("begin" if "b" not in held[0].mode else b"begin")
        held[0].flush()
        time.sleep(0.001)

    with pytest.warns(ResultOpenWarning, match="Close the file") as caught:
        path = run(write)
    held[0].close()

    (told,) = [warning.message for warning in caught if isinstance(warning.message, ResultOpenWarning)]
    assert told.path == str(path)
    assert [one.endswith(name) for one in told.names] == [True]


def test_a_result_that_is_closed_or_read_is_not_told() -> None:
    """A reader cuts nothing; nor is anything told of files of other runs."""
    with open("elsewhere", "w"):

        def write(path: Path) -> Any:
            path.write_text("x")
            time.sleep(0.001)
            return path.open()

        kept = []
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert run(lambda path: kept.append(write(path))).exists()
        kept[0].close()


# ---- folders that are used again ------------------------------------------------------------------------------------


SPARE = Path("results", ".entropic", "spare-v1")


def test_a_staging_folder_is_used_again() -> None:
    """Under another name each time, which nobody knows from before; it goes with the store."""
    seen: list[tuple[int, str]] = []

    def runner(params: dict[str, Any], path: Path) -> None:
        seen.append((path.parent.stat().st_ino, path.parent.name))
        assert list(path.parent.iterdir()) == []
        path.write_text("x")

    with Store("results", "runs.json") as store:
        for n in range(3):
            store.run_or_retrieve({"n": n}, runner)
        assert len(list(SPARE.iterdir())) == 1
        assert store.check().is_clean
    gc.collect()

    assert len({inode for inode, _ in seen}) == 1
    assert len({name for _, name in seen}) == 3
    assert list(SPARE.iterdir()) == []


def test_what_comes_late_into_an_emptied_folder_is_no_result() -> None:
    """A thread that a runner has left behind writes on where it was: by name it finds nothing."""
    folders: list[tuple[Path, int]] = []

    def runner(params: dict[str, Any], path: Path) -> None:
        folders.append((path, os.open(path.parent, os.O_RDONLY)))
        path.write_text("x")

    with Store("results", "runs.json") as store:
        store.run_or_retrieve({"n": 1}, runner)
        path, folder = folders.pop()
        with pytest.raises(FileNotFoundError):
            path.write_text("late")
        os.close(os.open("late.h5", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
        os.close(folder)
        with pytest.raises(ResultMissingError):
            store.run_or_retrieve({"n": 2}, lambda params, path: None)


def test_folders_of_the_killed_are_removed() -> None:
    """By the next process that writes; and they are nothing that `check` would tell of."""
    script = (
        "import os, signal, entropic\n"
        "store = entropic.Store('results', 'runs.json')\n"
        "store.run_or_retrieve({'n': 1}, lambda params, path: path.write_text('x'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    left = list(SPARE.iterdir())

    with Store("results", "runs.json") as store:
        assert store.check().is_clean
        store.run_or_retrieve({"n": 2}, lambda params, path: path.write_text("x"))

    assert len(left) == 1
    assert not left[0].exists()
