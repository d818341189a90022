"""Every error is also the builtin it resembles, says what to do, and survives the way between processes."""

from __future__ import annotations

import copy
import errno
import inspect
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic import errors
from entropic.errors import EntropicError

# One of each, the builtin it resembles, and what its text has to say.
ERRORS: list[tuple[EntropicError, type[Exception], list[str]]] = [
    (errors.ParameterError("mesh['a'][2]", "it contains itself."), ValueError, ["mesh['a'][2]", "contains itself"]),
    (errors.ParameterNameError("1", "names are text."), TypeError, ["'1'", "names are text"]),
    (errors.UnsupportedTypeError("mesh", "lib.Mesh"), TypeError, ["'mesh'", "lib.Mesh", "register", "plain value"]),
    (errors.UnsupportedTypeError("", "lib.Mesh", "A hint."), TypeError, ["the value", "A hint."]),
    (errors.NotAMappingError("point", "builtins.int"), TypeError, ["type int as point", "mapping"]),
    (errors.InputFileError("a/mesh.msh", "it is gone.", "mesh"), FileNotFoundError, ["a/mesh.msh", "'mesh'", "gone"]),
    (errors.InputFileChangedError(["mesh.msh"]), RuntimeError, ["mesh.msh", "Call again"]),
    (errors.ResultMissingError("a/b.h5", "Cannot register"), FileNotFoundError, ["Cannot register", "a/b.h5", "path"]),
    (errors.ResultMissingError("a/b.h5", "Cannot record", "nothing."), FileNotFoundError, ["Cannot record: nothing."]),
    (errors.NotImportableError("a.db", "it is odd"), ValueError, ["'a.db'", "it is odd", "earlier release"]),
    (errors.QueryTextError("n=>2", 3, "it is odd", "Do this."), ValueError, ["'n=>2'", "position 3", "odd. Do this."]),
    (errors.LinkNameError("{kapa}", "no run has 'kapa'"), ValueError, ["'{kapa}'", "no run has 'kapa'", "{config.nx}"]),
    (
        errors.ResultNotSavedError("ValueError: no", "a/b.pickle"),
        RuntimeError,
        ["ValueError: no", "a/b.pickle", "save="],
    ),
    (errors.AmbiguousResultError("a.h5", ["b", "c"]), ValueError, ["'a.h5'", "'b', 'c'", "result_path"]),
    (
        errors.StoreWriteError("Cannot record a run", OSError(errno.ENOSPC, "No space left"), "runs.json", "Do this."),
        OSError,
        ["Cannot record a run", "No space left", "runs.json", "Do this."],
    ),
    (errors.IndexCorruptError("runs.json", 7, "it is no run"), ValueError, ["runs.json", "line 7", "untouched"]),
    (errors.IndexCorruptError("runs.json", 0, "it is no run"), ValueError, ["runs.json", "no run"]),
    (errors.IndexUnavailableError("postgresql://host/db", "it is down"), OSError, ["postgresql://host/db", "is down"]),
    (errors.IndexUnavailableError("postgresql://host/db", "it is down"), ConnectionError, ["database is up"]),
    (errors.IndexVersionError("runs.sqlite3", 3, 1), RuntimeError, ["runs.sqlite3", "version 3", "beyond 1", "later"]),
    (errors.IndexURLError("mysql:", "there is no such kind"), ValueError, ["'mysql:'", "no such kind", "sqlite:///"]),
    (errors.IndexNotEmptyError("SQLIndex('x')"), ValueError, ["SQLIndex('x')", "records already", "merge"]),
    (errors.SeveralIndexesError("results", ["a.json"]), ValueError, ["'results'", "a.json", "former_index="]),
    (errors.OtherFolderError("results", "I", True), OSError, ["'results'", "of I", "Mount", "--repair"]),
    (errors.OtherFolderError("results", "I", False), OSError, ["'results'", "another one"]),
    (errors.RemoteUnavailableError("read", "s3://b/x", "OSError: busy"), OSError, ["read", "'s3://b/x'", "busy"]),
    (errors.OtherRemoteError("s3://b", "abc", "def"), OSError, ["'s3://b'", "abc", "def", "prefix of its own"]),
    (errors.HashCollisionError("0123", "{asked}", "{recorded}"), RuntimeError, ["0123", "{asked}", "{recorded}"]),
    (errors.SeveralRanksError(4), RuntimeError, ["one of 4 ranks", "ENTROPIC_RANKS=independent", "mpirun"]),
    (errors.ReentrantRunError("0123"), RuntimeError, ["0123", "within itself", "__wrapped__"]),
    (errors.CommandError("./solve", 3), RuntimeError, ["./solve", "exit status 3", "discarded"]),
    (errors.CommandError("./solve", -9), RuntimeError, ["./solve", "signal 9"]),
    (errors.CommandError("./solve", 127, "No such file"), RuntimeError, ["./solve", "No such file", "path"]),
    (errors.SeveralCodesError("{'n': 1}", ["a1", "b2"]), ValueError, ["'n': 1", "'a1'", "provenance.code"]),
    (
        errors.CodeChangedError("study.f", ["helper `g` in m.py"], "2026-01-01T00:00:00+00:00"),
        RuntimeError,
        ["code of study.f has changed since 2026-01-01 00:00:00: helper `g` in m.py.", "accept_changes()", "version="],
    ),
    (errors.DuplicateFunctionError("study.f"), ValueError, ["study.f", "name=", "version="]),
    (errors.SweepError([], []), RuntimeError, ["points failed", ".records", ".failures", "again"]),
    (errors.WorkerDiedError(-9), RuntimeError, ["signal 9", "out of memory", "foreground"]),
    (errors.WorkerDiedError(3), RuntimeError, ["exit status 3"]),
    (errors.RunTimeoutError(1.5), TimeoutError, ["longer than the 1.5 s", "timeout=", "checkpoint_dir"]),
    (errors.MemoryLimitError(10**9, 2_345_678_901), MemoryError, ["2,346 MB", "1,000 MB", "memory="]),
    (errors.JobLostError("17", "TIMEOUT", "17.err", "Killed"), RuntimeError, ["17 (TIMEOUT)", "ends with: Killed"]),
    (errors.JobLostError("17", "NODE_FAIL", "17.err", ""), RuntimeError, ["Nothing is in its error stream, 17.err"]),
    (errors.WorkerError("lib.Odd", "it was"), RuntimeError, ["lib.Odd: it was"]),
    (errors.NotSharedError("Index()", "they differ"), RuntimeError, ["they differ", "Index()", "threads"]),
    (
        errors.OtherCodeError("study.f", "node7", ["constant `G` in m.py"]),
        RuntimeError,
        ["A worker on node7", "code of study.f", "constant `G` in m.py", "anew"],
    ),
    (errors.NotRecordedError("study.f", "0123"), LookupError, ["study.f", "0123", "Call the function first"]),
    (
        errors.MissingExtraError("Cannot do it", "lib", "lib"),
        ImportError,
        ["Cannot do it", 'pip install "entropic[lib]"'],
    ),
    (errors.UnsupportedSystemError("fcntl"), NotImplementedError, ["'fcntl'", "nothing has been run", "Linux"]),
]
IDS = [type(error).__name__ for error, _, _ in ERRORS]


@pytest.mark.parametrize(("error", "builtin", "told"), ERRORS, ids=IDS)
def test_an_error_is_the_builtin_it_resembles(error: EntropicError, builtin: type[Exception], told: list[str]) -> None:
    """Both ``except`` habits work, and the text names the culprit and what to do."""
    assert isinstance(error, EntropicError)
    assert isinstance(error, builtin)
    assert all(part in str(error) for part in told)


@pytest.mark.parametrize(("error", "builtin", "told"), ERRORS, ids=IDS)
@pytest.mark.parametrize("travel", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_an_error_survives_the_way_between_processes(
    error: EntropicError, builtin: type[Exception], told: list[str], travel: object
) -> None:
    """With its text and everything it keeps."""
    twin = travel(error)  # type: ignore[operator]

    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert repr(vars(twin)) == repr(vars(error))


def test_an_os_error_carries_errno_and_filename() -> None:
    """As any other `OSError`."""
    error = errors.StoreWriteError("Cannot record", OSError(errno.EROFS, "Read-only"), "runs.json")

    assert (error.errno, error.filename, error.strerror) == (errno.EROFS, "runs.json", "Read-only")


DECLARED = [
    value
    for value in (getattr(errors, name) for name in errors.__all__)
    if hasattr(value, "_fields") and value is not errors.Failure
]
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    bool: st.booleans(),
    int: st.integers(),
    int | None: st.none() | st.integers(),
    Sequence[str]: st.lists(st.text()),
    Sequence[Any]: st.lists(st.integers()),
    Any: st.none() | st.integers(),
    float: st.floats(allow_nan=False),
    OSError: st.builds(OSError, st.integers(1, 99), st.text()),
    Sequence[errors.Failure]: st.lists(st.builds(errors.Failure, st.integers(), st.builds(ValueError, st.text()))),
}


@pytest.mark.parametrize("kind", DECLARED)
@given(data=st.data())
def test_what_an_error_is_made_of_travels(kind: type[Exception], data: st.DataObject) -> None:
    """Whatever the values: by position or by name, pickled, copied, and with notes that were added."""
    types = {
        name: hint for base in reversed(kind.__mro__) for name, hint in vars(base).get("__annotations__", {}).items()
    }
    values = {name: data.draw(VALUES[types[name]], name) for name in kind._fields}  # type: ignore[attr-defined]
    error = kind(*values.values())
    error.__notes__ = ["a note"]  # as add_note does from Python 3.11 on

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert (str(twin), repr(twin), twin.__notes__) == (str(error), repr(error), ["a note"])
        assert all(repr(getattr(twin, name)) == repr(getattr(error, name)) for name in values)
    assert str(kind(**values)) == str(error)


@pytest.mark.parametrize("arguments", [{}, {"name": "f"}, {"name": "f", "changed": [], "created_at": "", "more": 1}])
def test_an_error_takes_its_fields_and_nothing_else(arguments: dict[str, object]) -> None:
    """Like any function: one too few, or too many, is a `TypeError`."""
    with pytest.raises(TypeError, match="name, changed, created_at"):
        errors.CodeChangedError(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", DECLARED)
def test_every_error_says_what_to_do(kind: type[Exception]) -> None:
    """Its docstring names the fields; what it means and what to do stands before them."""
    text = inspect.getdoc(kind) or ""
    own = [name for name in kind._fields if name in vars(kind).get("__annotations__", {})]  # type: ignore[attr-defined]

    assert all(f"{name}: " in text for name in own)
    assert text.partition("Attributes:")[0].count(". ") + text.count(".\n") >= 1


def test_all_is_complete() -> None:
    """Everything public is promised, bears the name of the one public module, and is found there."""
    public = [getattr(errors, name) for name in dir(errors) if name[0].isupper() and not name.isupper()]

    assert {one.__name__ for one in public} == set(errors.__all__)
    assert {one.__module__ for one in public} == {"entropic.errors"}


def test_a_sweep_error_can_be_shown_whatever_failed() -> None:
    """The text of an exception is code of the user's, which may raise."""

    class NoText(Exception):
        def __str__(self) -> str:
            raise AttributeError("response")

    error = errors.SweepError([], [errors.Failure({"n": 1}, NoText(), "")])

    assert "NoText: (it has no text)" in str(error)


def test_every_error_is_tested_and_drawn() -> None:
    """A new one needs a place in the tree of the module's docstring, and a line above."""
    names = {name for name in errors.__all__ if issubclass(getattr(errors, name), EntropicError)}

    assert names - {"EntropicError"} == set(IDS)
    assert all(name in (errors.__doc__ or "") for name in names)
