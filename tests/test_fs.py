"""The ground: locks on open files, and systems that have none."""

from __future__ import annotations

import copy
import dataclasses
import errno
import inspect
import os
import pickle
import stat
import subprocess
import sys
import typing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import Store
from entropic._fs import (
    NamedTuple,
    collected_warnings,
    collecting_warnings,
    dataclass,
    field,
    give_again,
    is_abandoned,
    is_settled,
    try_lock,
    unlock,
    wait_for_lock,
    warn,
    was_given_again,
)
from entropic._fs._warn import _given
from entropic.errors import StaleResultWarning


class Place(NamedTuple):
    """Where something is."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class ReferencePlace(typing.NamedTuple):
    """Where something is."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def test_a_named_tuple_is_one_of_the_standard_library() -> None:
    """In all that code, pickles, type hints and `help` see of it."""

    def seen(cls: Any) -> tuple[Any, ...]:
        place = cls("study.py")
        parts = (place, str(place), str(place._replace(line=3)), place._asdict(), pickle.loads(pickle.dumps(place)))
        names = (cls._fields, cls._field_defaults, cls.__match_args__, cls.__module__, cls.__mro__[1:], cls.__doc__)
        fields = [(one.name, one.default) for one in inspect.signature(cls).parameters.values()]
        kind = fields, typing.get_type_hints(cls), hasattr(place, "__dict__"), cls.line.__doc__
        return *parts, *names, *kind, cls.__str__.__qualname__[-8:]

    assert seen(Place) == seen(ReferencePlace)
    assert repr(Place("a", 1)) == "Place(path='a', line=1)"
    with pytest.raises(ValueError, match="column"):
        Place("a")._replace(column=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Place.__new__\(\) missing .* 'path'"):
        Place()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Expected 2 arguments, got 1"):
        Place._make(["a"])


@dataclass(frozen=True, repr=False)
class Spot:
    """Where something lies."""

    path: str
    notes: dict[str, Any] = field(default_factory=dict)

    def __init__(self, path: str, notes: dict[str, Any] | None = None) -> None:
        self.__dict__.update(path=path, notes={} if notes is None else notes)

    def __hash__(self) -> int:
        return hash(self.path)


@dataclasses.dataclass(frozen=True, repr=False)
class ReferenceSpot:
    """Where something lies."""

    path: str
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __init__(self, path: str, notes: dict[str, Any] | None = None) -> None:
        self.__dict__.update(path=path, notes={} if notes is None else notes)

    def __hash__(self) -> int:
        return hash(self.path)


def refused(change: Callable[..., object], *args: object) -> str:
    """What is said to who changes a frozen one."""
    with pytest.raises(dataclasses.FrozenInstanceError) as caught:
        change(*args)
    return str(caught.value)


# What shows that a class is a dataclass.
LOOKS: dict[str, Callable[[Any], object]] = {
    "is_dataclass": lambda cls: (dataclasses.is_dataclass(cls), dataclasses.is_dataclass(cls("a"))),
    "fields": lambda cls: [
        (one.name, one.type, one.default is dataclasses.MISSING, one.default_factory) for one in dataclasses.fields(cls)
    ],
    "params": lambda cls: repr(cls.__dataclass_params__),
    "replace": lambda cls: vars(dataclasses.replace(cls("a"), notes={"n": 1})),
    "asdict": lambda cls: dataclasses.asdict(cls("a", {"n": [1]})),
    "equality": lambda cls: (cls("a") == cls("a"), cls("a") == cls("b"), cls("a") == 1, hash(cls("a")) == hash("a")),
    "pattern": lambda cls: cls.__match_args__,
    "copies": lambda cls: (copy.deepcopy(cls("a")) == cls("a"), pickle.loads(pickle.dumps(cls("a"))) == cls("a")),
    "frozen": lambda cls: (refused(cls("a").__setattr__, "path", "b"), refused(cls("a").__delattr__, "path")),
    "new name": lambda cls: refused(cls("a").__setattr__, "other", 1),
    "class": lambda cls: (cls.__mro__[1:], cls.__doc__, cls.__module__, hasattr(cls, "notes")),
    "inherited": lambda cls: [
        vars(dataclasses.dataclass(frozen=True)(type("More", (cls,), {"__annotations__": {"n": "int"}, "n": 3}))("a"))
    ],
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_dataclass_is_one_of_the_standard_library(look: str) -> None:
    """For whatever asks; what answers is made then."""
    assert LOOKS[look](Spot) == LOOKS[look](ReferenceSpot)


# What the standard library lacks on Windows; asyncio and others that come with it are loaded before it is taken away.
WITHOUT_POSIX = """
import asyncio, multiprocessing, os, pathlib, pkgutil, subprocess, sys, wrapt
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for name in ("O_CLOEXEC", "fork", "geteuid", "getuid", "register_at_fork", "uname"):
    delattr(os, name)
"""


def without_posix(code: str) -> str:
    """What a program prints on a system that is like Windows in what it lacks."""
    program = [sys.executable, "-c", WITHOUT_POSIX + code]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports_without_posix() -> None:
    """No module of ours needs a POSIX system to be imported."""
    said = without_posix("""
import entropic
optional = ("click", "distributed", "itables", "pandas", "plotly", "psycopg", "sqlalchemy", "tqdm")
for module in pkgutil.walk_packages(entropic.__path__, "entropic."):
    if not module.name.endswith("__main__"):
        try:
            __import__(module.name)
        except ModuleNotFoundError as error:
            assert error.name.partition(".")[0] in optional, error
print("imported")
""")

    assert said == "imported\n"


def test_a_system_without_locks_refuses_to_run() -> None:
    """The first run, and a registration, say what is missing, before anything runs or is written."""
    said = without_posix("""
from entropic import Store, cached, errors
store = Store("results", "runs.json", file_suffix=".txt")
pathlib.Path("made.txt").write_text("x")
def runner(params, path):
    print("ran")
decorated = cached(store, name="decorated", result_arg="path")(runner)
async def awaited(params, path):
    print("ran")
awaited = cached(store, name="awaited", result_arg="path")(awaited)
for call in (
    lambda: store.run_or_retrieve({"n": 1}, runner),
    lambda: store.run({"n": 1}, runner),
    lambda: decorated({"n": 1}),
    lambda: asyncio.run(awaited({"n": 1})),
    lambda: store.sweep([{"n": 1}], runner, progress=False),
    lambda: store.register({"n": 1}, "made.txt"),
):
    try:
        call()
    except (errors.UnsupportedSystemError, errors.SweepError) as error:
        print("Cannot run or record anything" in str(error) and "'fcntl'" in str(error))
print([str(path) for path in pathlib.Path().rglob("*") if path.name != "results"], len(store.list()))
""")

    assert said == "True\n" * 6 + "['made.txt'] 0\n"


def test_one_open_file_locks_out_another(tmp_path: Path) -> None:
    """A lock belongs to an open file: another one of the same path is refused until it is given back."""
    path = tmp_path / "lock"
    with path.open("wb") as first, path.open("rb") as second:
        assert try_lock(first.fileno())
        assert not try_lock(second.fileno())
        assert not is_abandoned(path)

        unlock(first.fileno())

        assert is_abandoned(path)
        wait_for_lock(second.fileno())
        assert not try_lock(first.fileno())


def test_a_look_at_a_lock_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where a child, forked while it was looked at, has the same open file for as long as it lives."""
    path, close, kept = tmp_path / "lock", os.close, []
    path.touch()

    def fork_and_close(descriptor: int) -> None:
        kept.append(os.dup(descriptor))
        close(descriptor)

    with path.open("wb") as file:
        with monkeypatch.context() as patch:
            patch.setattr(os, "close", fork_and_close)
            assert is_abandoned(path)
        try:
            assert kept
            assert try_lock(file.fileno())
        finally:
            for descriptor in kept:
                close(descriptor)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_folders_that_cannot_be_synced_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """On such a file system runs are recorded, and one line of the log says what a power cut may undo."""
    fsync = os.fsync

    def refused_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refused_for_folders)
    monkeypatch.setattr("entropic._fs._files._known_to_lack_syncs", set())
    store = Store(tmp_path / "new" / "results", tmp_path / "new" / "runs.json", ".txt")

    for n in range(3):
        store.run_or_retrieve({"n": n}, lambda params, path: path.write_text("x"))
    store.delete({"n": 1})

    assert [record.params["n"] for record in store.list()] == [0, 2]
    assert [line.levelname for line in caplog.records].count("WARNING") == 1
    assert "does not sync folders" in caplog.text


def test_a_file_that_cannot_be_synced_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds of folders does not of files: their content would not be on disk."""

    def refused(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    store = Store(tmp_path / "results", tmp_path / "runs.json", ".txt")
    monkeypatch.setattr(os, "fsync", refused)

    with pytest.raises(OSError, match=r"(?i)invalid"):
        store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
    assert store.list() == []


@pytest.mark.parametrize(
    ("changed_ns", "seconds_later", "settled"),
    [
        (1_700_000_000_123_000_000, 0.0, False),
        (1_700_000_000_123_000_000, 0.04, False),
        (1_700_000_000_123_000_000, 0.06, True),
        (1_700_000_000_000_000_000, 0.06, False),  # whole seconds: a file system that keeps no finer times
        (1_700_000_000_000_000_000, 1.9, False),
        (1_700_000_000_000_000_000, 2.1, True),
        (1_700_000_000_123_000_000, -5.0, False),  # the clock of a file server is ahead of ours
    ],
)
def test_a_time_is_trusted_once_it_lies_back(changed_ns: int, seconds_later: float, settled: bool) -> None:
    """By one tick of the file system's clock, as coarse as the times that it keeps."""
    assert is_settled(changed_ns, changed_ns + int(seconds_later * 1e9)) == settled


# ---- warnings -------------------------------------------------------------------------------------------------------


def test_collected_warnings_are_given_once() -> None:
    """By their subject, whatever their words; those of others are shown as ever, and so are ours afterwards."""
    one, same, other = (StaleResultWarning(text) for text in ("one", "one, said otherwise", "other"))
    one.subject = same.subject = ("results", f"f{os.getpid()}", "a", "b")
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with collecting_warnings(), collecting_warnings():
            for warning in (one, same, other):
                warn(warning, StaleResultWarning)
            warnings.warn("somebody else's", stacklevel=1)
        collected = pickle.loads(pickle.dumps(collected_warnings()))
        again = [str(entry.message) for entry in shown]
        _given.clear()  # as in the process that gets them
        for warning in collected * 2:
            give_again(warning)
        assert was_given_again(same)
        warn(other, StaleResultWarning)

    assert again == ["somebody else's"]
    assert [str(entry.message) for entry in shown[1:]] == ["one", "other", "other"]
    assert collected_warnings() == []


def test_collecting_survives_those_who_put_back_what_shows_warnings() -> None:
    """A thread that ends a `catch_warnings` of its own puts back what it found, after we have removed it."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with collecting_warnings():
            left_over = warnings.showwarning
        for _ in range(2):
            warnings.showwarning = left_over
            with collecting_warnings():
                warnings.warn("somebody else's", stacklevel=1)
            warn("ours", StaleResultWarning)

    assert [str(entry.message) for entry in shown] == ["somebody else's", "ours"] * 2
    assert collected_warnings() == []
