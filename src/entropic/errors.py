"""
Every exception entropic raises, each also the builtin it resembles, so both ``except`` habits work.

::

    EntropicError
    ├── ParameterError          ValueError         a name or value that cannot be a parameter
    │   └── ParameterNameError  TypeError          a name that is not text
    ├── UnsupportedTypeError    TypeError          a value with no normaliser
    │   └── NotAMappingError    TypeError          parameters, or a point of a sweep, that are no mapping
    ├── InputFileError          FileNotFoundError  an input file that is missing, or cannot be read
    ├── InputFileChangedError   RuntimeError       an input file that was changed while its run was under way
    ├── ResultMissingError      FileNotFoundError  a runner, or a registration, without a result
    ├── ResultNotSavedError     RuntimeError       a value that a function returned, and save= could not write
    ├── AmbiguousResultError    ValueError         a runner that wrote several things, none of them the result
    ├── StoreWriteError         OSError            a place that cannot be written, or a record that could not be kept
    ├── IndexCorruptError       ValueError         an index file, or a record in it, that cannot be read
    ├── IndexUnavailableError   ConnectionError    a database that does not answer, or refuses (also an OSError)
    ├── IndexVersionError       RuntimeError       an index that a later entropic has made
    ├── IndexURLError           ValueError         a text that names no index
    ├── OtherFolderError        OSError            a results folder that is not the one of the index
    ├── RemoteUnavailableError  ConnectionError    an object store that does not answer, or refuses (also an OSError)
    ├── OtherRemoteError        OSError            a prefix in an object store that belongs to another store
    ├── NotImportableError      ValueError         a file that holds no runs of an earlier release
    ├── QueryTextError          ValueError         a text that is no query
    ├── LinkNameError           ValueError         a template for names of links that names what no run has
    ├── IndexNotEmptyError      ValueError         an index to be copied into that has records already
    ├── SeveralIndexesError     ValueError         a lost index of which it is not clear which one it was
    ├── HashCollisionError      RuntimeError       a record found by hash that belongs to other parameters
    ├── ReentrantRunError       RuntimeError       a run that asks for its own result
    ├── SeveralRanksError       RuntimeError       a run by one of several ranks of an MPI program
    ├── DuplicateFunctionError  ValueError         two different functions of one name on one store
    ├── CodeChangedError        RuntimeError       a recorded run of other code, where that is to be an error
    ├── SeveralCodesError       ValueError         changes to accept, of which it has to be said which
    ├── NotRecordedError        LookupError        a call to reproduce, or a point to annotate, without a recorded run
    ├── SweepError              RuntimeError       a sweep some of whose points have failed
    ├── WorkerDiedError         RuntimeError       a point whose worker process died, not for the first time
    ├── RunTimeoutError         TimeoutError       a run that took longer than it may
    ├── MemoryLimitError        MemoryError        a run that took more memory than it may
    ├── JobLostError            RuntimeError       a job of a batch system that has ended without a result
    ├── WorkerError             RuntimeError       what a worker raised, where that itself could not travel
    ├── NotSharedError          RuntimeError       a sweep in processes that would not see each other's records
    ├── OtherCodeError          RuntimeError       a worker of a sweep runs other code than the process that sweeps
    ├── MissingExtraError       ImportError        a package that is needed for this only, and is not installed
    ├── UnsupportedSystemError  NotImplementedError  a system on which files cannot be locked, so that nothing is run
    └── CommandError            RuntimeError       a program that could not be started, or has failed

What a runner raises passes through unchanged: none of these wraps it. `RunStopped` is none of them, nor an
`Exception`: a run has stopped on request, and carries on when it is called again. The warnings are::

    UserWarning
    ├── StaleResultWarning                         a recorded result is used although its code has changed since
    ├── StaleCheckpointWarning                     an interrupted run begins anew: its code has changed
    ├── LostIndexWarning                           an index without runs beside a folder full of results
    ├── ChangedDefaultWarning                      a default has changed since runs were recorded with it
    ├── MissingFieldWarning                        a call differs from recorded runs only by a field that they lack
    ├── ResultChangedWarning                       a result is not what it was when it was recorded
    ├── ResultOpenWarning                          a result that the process still has open when its run has ended
    ├── MetadataWarning                            what a runner returned cannot be kept as metadata
    ├── NameSharedWarning                          a recorded run is of another function of the same name
    ├── RenamedFunctionWarning                     a run that is missing is recorded by the same code, by another name
    ├── UnseenReadsWarning                         files that a run may have read, and that are not watched
    ├── UnknownNameWarning                         a query by a name, or for a kind of value, that no recorded run has
    ├── RemoteResultWarning                        a result in an object store that is gone, or is not what was stored
    ├── FallbackWarning                            a store that is fallen back on, or a result in it, cannot be used
    ├── IncompleteGridWarning                      collected values with gaps: points without a result
    └── EqualReplicatesWarning                     replicates whose results are byte for byte the same

Every error keeps what its message is made of as attributes, takes them in the order in which they are listed, and
survives pickling and copying with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform as dataclass_transform
else:

    def dataclass_transform(**options: bool) -> Callable[[type], type]:
        """Tell type checkers, and no one else, that the annotations of a class are its constructor's arguments."""
        return lambda cls: cls


__all__ = [
    "AmbiguousResultError",
    "ChangedDefaultWarning",
    "CodeChangedError",
    "CommandError",
    "DuplicateFunctionError",
    "EntropicError",
    "EqualReplicatesWarning",
    "Failure",
    "FallbackWarning",
    "HashCollisionError",
    "IncompleteGridWarning",
    "IndexCorruptError",
    "IndexNotEmptyError",
    "IndexURLError",
    "IndexUnavailableError",
    "IndexVersionError",
    "InputFileChangedError",
    "InputFileError",
    "JobLostError",
    "LinkNameError",
    "LostIndexWarning",
    "MemoryLimitError",
    "MetadataWarning",
    "MissingExtraError",
    "MissingFieldWarning",
    "NameSharedWarning",
    "NotAMappingError",
    "NotImportableError",
    "NotRecordedError",
    "NotSharedError",
    "OtherCodeError",
    "OtherFolderError",
    "OtherRemoteError",
    "ParameterError",
    "ParameterNameError",
    "QueryTextError",
    "ReentrantRunError",
    "RemoteResultWarning",
    "RemoteUnavailableError",
    "RenamedFunctionWarning",
    "ResultChangedWarning",
    "ResultMissingError",
    "ResultNotSavedError",
    "ResultOpenWarning",
    "RunStopped",
    "RunTimeoutError",
    "SeveralCodesError",
    "SeveralIndexesError",
    "SeveralRanksError",
    "StaleCheckpointWarning",
    "StaleResultWarning",
    "StoreWriteError",
    "SweepError",
    "UnknownNameWarning",
    "UnseenReadsWarning",
    "UnsupportedSystemError",
    "UnsupportedTypeError",
    "WorkerDiedError",
    "WorkerError",
]

_SHOWN_FAILURES = 5
_SHOWN_CHANGES = 8


@dataclass_transform(eq_default=False)
class _Declared:
    """
    A message made from fields.

    The annotations of a class are its fields, in the order of the constructor's arguments, and their values the
    defaults. ``_template`` is the message, with fields and properties in braces. Lists become tuples and paths text, so
    that an error stays as it was raised.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _template: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._fields += tuple(name for name in cls.__annotations__ if not name.startswith("_"))

    def __init__(self, *values: Any, **named: Any) -> None:
        given = {**dict(zip(self._fields, values, strict=False)), **named}
        missing = [name for name in self._fields if name not in given and not hasattr(type(self), name)]
        if missing or len(values) + len(named) > len(given) or given.keys() - set(self._fields):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self._fields)}; given were {values} and {named}")
        for name in self._fields:
            setattr(self, name, _kept(given.get(name, getattr(type(self), name, None))))
        self.args = tuple(getattr(self, name) for name in self._fields)

    def __str__(self) -> str:
        return _harmless(self._template.format_map(_Attributes(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        added = {name: value for name, value in vars(self).items() if name not in self._fields}  # such as notes
        return type(self), tuple(getattr(self, name) for name in self._fields), added or None

    @property
    def _advice(self) -> str:
        advice = getattr(self, "advice", "")
        return f" {advice}" if advice else ""

    @property
    def _parameter(self) -> str:
        place = getattr(self, "place", "")
        return f"parameter {place!r}" if place else "the value"


class _Attributes:
    """What a template can name: the attributes of one error."""

    def __init__(self, error: _Declared) -> None:
        self._error = error

    def __getitem__(self, name: str) -> Any:
        return getattr(self._error, name)


def _harmless(message: str) -> str:
    """A message that cannot hurt a terminal, whatever text of a record or name of a file is in it."""
    if message.isprintable():
        return message
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in message)


def _kept(value: Any) -> Any:
    if type(value) is list:
        return tuple(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class EntropicError(_Declared, Exception):
    """
    Base of all errors of entropic. Catch it to catch them all.

    Attributes:
        kept_at: Where the result of a finished run is that could not be recorded; empty if none was at stake.
    """

    kept_at = ""

    def __str__(self) -> str:
        text = super().__str__()
        if not self.kept_at or repr(self.kept_at) in text:
            return text
        return f"{text} What the run wrote is kept at {self.kept_at!r}."


# ---- parameters -----------------------------------------------------------------------------------------------------


class ParameterError(EntropicError, ValueError):
    """
    A parameter that cannot take part in a key: a reserved name, a circular or too deeply nested value.

    Rename the parameter, or pass a simpler value, as the message says. Nothing has run.

    Attributes:
        place: Where in the params, such as ``"mesh['points'][2]"``; empty when the value itself was passed.
        reason: What is wrong with it, and what to do.
    """

    place: str
    reason: str
    _template = "Cannot use {_parameter}: {reason}"


class ParameterNameError(ParameterError, TypeError):
    """A parameter name that is not text; a `TypeError` as well as a `ValueError`. Use text names."""


class UnsupportedTypeError(EntropicError, TypeError):
    """
    A value of a type that has no normaliser, so that no key can be made of it.

    Register a normaliser with `entropic.normalize.register`, or pass a plain value that stands for it. Nothing has run.

    Attributes:
        place: Where in the params; empty when the value itself was passed.
        type_name: The importable name of its type.
        advice: A further hint, or an empty text.
    """

    place: str
    type_name: str
    advice: str = ""
    _template = "Cannot hash {_parameter}: no normaliser for {type_name}.{_advice} {_ways_out}"

    @property
    def _ways_out(self) -> str:
        if self.type_name == "object":
            return "One object() cannot be distinguished from another. Pass a plain value, such as a name."
        if self.type_name == "function":  # a normaliser for it would have to tell any two functions apart
            return "Or pass its name as text, and choose by it inside. See: entropic docs UnsupportedTypeError."
        return (
            f"Register one with entropic.normalize.register({self.type_name}, function), or pass a plain value such as "
            f"its file name. See: entropic docs UnsupportedTypeError."
        )


class NotAMappingError(UnsupportedTypeError):
    """
    Parameters, or a point of a sweep, that are not a mapping of names to values. Pass one, such as ``{"n": 100}``.

    Attributes:
        place: ``"params"`` or ``"point"``.
        type_name: The importable name of what was passed instead.
    """

    _template = "Cannot use a value of type {_kind} as {place}: pass a mapping of names to values, {{'n': 100}}."

    @property
    def _kind(self) -> str:
        return self.type_name.removeprefix("builtins.")


class InputFileError(EntropicError, FileNotFoundError):
    """
    An input file that is missing or cannot be read, so that no key can be made of its content.

    Check the path, and the folder it starts from. Nothing has run.

    Attributes:
        path: The file or folder, absolute; only its name if it comes from a record.
        reason: What is wrong with it, and what to do.
        place: The parameter it is the value of; empty when the value itself was passed.
    """

    path: str
    reason: str
    place: str = ""
    _template = "Cannot use the input file {path!r} as {_parameter}: {reason}"


class InputFileChangedError(EntropicError, RuntimeError):
    """
    An input file that changed, or was removed, while the run that reads it was under way.

    The result belongs to neither the old content nor the new one, so it is not recorded. Call again.

    Attributes:
        names: The input files of the run.
    """

    names: Sequence[str]
    _template = (
        "Cannot record the run: an input file ({_names}) changed after the call began, so the result cannot be "
        "recorded for the old content. Call again once nothing writes to it."
    )

    @property
    def _names(self) -> str:
        return ", ".join(map(repr, self.names))


# ---- results --------------------------------------------------------------------------------------------------------


class ResultMissingError(EntropicError, FileNotFoundError):
    """
    A result that does not exist: a runner wrote nothing, or the file to register is not there.

    Write the result to the path that the runner is given, or check the path to register.

    Attributes:
        path: Where the result was expected.
        what: What could not be done.
        reason: Why, and what to do; empty if a path of the caller's own leads nowhere.
    """

    path: str
    what: str
    reason: str = ""
    _template = "{what}: {_why}"

    @property
    def _why(self) -> str:
        return self.reason or f"nothing was found at {self.path!r}. Check the path."


class ResultChangedWarning(_Declared, UserWarning):
    """
    A recorded result that is handed out has other content than when it was recorded; given once for each change.

    An analysis that was added to a file is one reason, and a file that was overwritten another. Register the result
    anew if it is to be so; delete its record to have it made again.

    Attributes:
        path: The result, or what lies beside it.
        created_at: When it was recorded.
    """

    path: str
    created_at: str
    _template = (
        "The result {path!r} has changed since it was recorded, {_when}. It is used all the same. "
        "Register it anew if that is as it should be; delete its record to have it made again."
    )

    @property
    def _when(self) -> str:
        return self.created_at[:19].replace("T", " ")


class ResultNotSavedError(EntropicError, RuntimeError):
    """
    A function has returned its result, and the function given as ``save=`` could not write it.

    Nothing is recorded, and the value is kept. The error that ``save`` raised is the cause of this one.

    Attributes:
        reason: What ``save`` raised.
        kept_at: The file that the value was written to.
    """

    reason: str
    kept_at: str
    _template = (
        "Cannot save the result: save= raised {reason}. What the function returned is kept at {kept_at!r}. Mend save=, "
        "and register what it makes of that."
    )


class AmbiguousResultError(EntropicError, ValueError):
    """
    A runner wrote several files or folders, and none of them under the name it was given.

    Write the main file to ``result_path``. What was written is kept.

    Attributes:
        expected: The name the runner was asked to write.
        found: The names it wrote instead.
        kept_at: The folder in which they are kept; empty if they are still where they were written.
    """

    expected: str
    found: Sequence[str]
    kept_at: str = ""
    _template = (
        "Cannot tell which file is the result: the runner was given {expected!r} and wrote {_names}. "
        "Write the main file to result_path; other files beside it are kept under their own names.{_kept}"
    )

    @property
    def _names(self) -> str:
        return ", ".join(map(repr, self.found))

    @property
    def _kept(self) -> str:
        return f" What it wrote is kept at {self.kept_at!r}." if self.kept_at else ""


class StoreWriteError(EntropicError, OSError):
    """
    A place that cannot be written, or a finished run that could not be recorded.

    Free some space or correct the permissions, then do what the message says. Has ``errno``, ``strerror`` and
    ``filename`` as any `OSError`.

    Attributes:
        what: What could not be done.
        cause: The error of the system, reduced to its number and text.
        path: The place.
        advice: What to do about it; where a finished result is kept.
    """

    what: str
    cause: OSError
    path: str
    advice: str = ""
    _template = "{what}: {strerror} ({path!r}).{_advice}"

    def __init__(self, what: str, cause: OSError, path: str | os.PathLike[str], advice: str = "") -> None:
        plain = OSError(cause.errno, cause.strerror or str(cause))  # without what a foreign subclass may hold
        super().__init__(what, plain, path, advice)
        self.errno, self.strerror, self.filename = plain.errno, plain.strerror, self.path


# ---- the index ------------------------------------------------------------------------------------------------------


class IndexCorruptError(EntropicError, ValueError):
    """
    An index that cannot be read. It is left as it is: nothing is ever written over a damaged index.

    Restore a copy, mend the line, or recover the intact runs with `Store.salvage`.

    Attributes:
        path: The index file.
        line: Number of the line that cannot be read, counted from 1; 0 when it is not known.
        reason: What is wrong with it.
        advice: What to do about it, besides restoring a copy.
    """

    path: str
    line: int
    reason: str
    advice: str = "mend the line by hand, or recover every intact run with Store.salvage()"
    _template = (
        "Cannot read the index {path!r}{_where}: {reason}. It has been left untouched; restore a copy, {advice}. "
        "See: entropic docs IndexCorruptError."
    )

    @property
    def _where(self) -> str:
        return f", line {self.line}" if self.line else ""


class IndexUnavailableError(EntropicError, ConnectionError):
    """
    A database that does not answer, or refuses what was asked of it. An `OSError` as well.

    Check that the server is up, and that this user may use the database.

    Attributes:
        place: The database, without password.
        reason: What the database, or its driver, reports.
    """

    place: str
    reason: str
    _template = "Cannot use the index {place!r}: {reason}. Check that the database is up and may be used."

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        # As an OSError has them, but without a number: no system has given one.
        self.errno, self.strerror, self.filename = None, reason, place


class IndexVersionError(EntropicError, RuntimeError):
    """
    An index in a format of a later entropic. It is left as it is. Install a later entropic to use it.

    Attributes:
        place: The index.
        found: The version of its format.
        known: The latest version that this entropic knows.
    """

    place: str
    found: int
    known: int
    _template = (
        "Cannot use the index {place!r}: its format is version {found}, and this entropic knows none beyond {known}. "
        "Install a later entropic."
    )


class IndexURLError(EntropicError, ValueError):
    """
    A text that names no index. Correct the URL.

    Attributes:
        shown: As much of it as can be shown without a password.
        reason: What is wrong with it.
    """

    shown: str
    reason: str
    _template = (
        "Cannot use {shown!r} as an index: {reason}. Write sqlite:///runs.sqlite3, or "
        "postgresql://user:password@host/database with special characters in it percent-encoded."
    )


class OtherFolderError(EntropicError, OSError):
    """
    The results folder is not the one that the index belongs to, though it is at its place. Nothing has run.

    A disk that is not mounted leaves an empty folder, and each node of a cluster may have its own under one path. Mount
    the disk, or name the right folder. If it was emptied on purpose, ``check(repair=True)`` takes it as it is.

    Attributes:
        results_dir: The folder.
        index: The index, as its repr.
        lacks_identity: Whether the folder is new or emptied; otherwise it belongs to other runs.
    """

    results_dir: str
    index: str
    lacks_identity: bool
    _template = "Cannot record a run: {results_dir!r} is not the results folder of {index}, but {_difference}."

    @property
    def _difference(self) -> str:
        if self.lacks_identity:
            return (
                "a new, empty or missing one. Nothing has run. Mount the disk it is on. If it was deleted on purpose, "
                "call check(repair=True) on the store, or run `entropic check --repair`: points whose results are "
                "gone then run again"
            )
        return "another one at its place. Name the right folder as results_dir, or use an index of its own"


class RemoteUnavailableError(EntropicError, ConnectionError):
    """
    An object store does not answer, or refuses, after several attempts. A finished result is kept here.

    Attributes:
        what: What could not be done.
        place: The object, or the prefix.
        reason: The answer.
    """

    what: str
    place: str
    reason: str
    _template = "Cannot {what} at {place!r}: {reason}"


class OtherRemoteError(EntropicError, OSError):
    """
    A prefix in an object store belongs to another store. Nothing has run.

    Give each store a prefix of its own, or the one that its index belongs to.

    Attributes:
        url: The prefix.
        found: The identity of the store that it belongs to.
        wanted: The identity that the index, or the results folder, has.
    """

    url: str
    found: str
    wanted: str
    _template = (
        "Cannot use {url!r}: it belongs to the store {found}, and the index or the results folder to {wanted}. Nothing "
        "has run. Give each store a prefix of its own."
    )


class RemoteResultWarning(_Declared, UserWarning):
    """
    A result in an object store is gone, or is not what was stored: its record does not answer, and the point runs.

    Attributes:
        url: The prefix.
        reason: What is wrong with it.
    """

    url: str
    reason: str
    _template = "A recorded result in {url!r} cannot be used, and its point runs again: {reason}"


class IndexNotEmptyError(EntropicError, ValueError):
    """
    An index to copy into that has records already. Copy into a new one, or merge two stores with `Store.merge`.

    Attributes:
        target: The index.
    """

    target: str
    _template = (
        "Cannot copy into {target}: it has records already, and some of them would be there twice. Copy into a new "
        "index, or merge two stores with Store.merge."
    )


class SeveralIndexesError(EntropicError, ValueError):
    """
    A results folder whose journal has runs of several indexes, none of which is this one. Name the one to rebuild.

    Attributes:
        results_dir: The results folder.
        names: The indexes, by their paths relative to the results folder, or their URLs.
    """

    results_dir: str
    names: Sequence[str]
    _template = (
        "Cannot rebuild the index of {results_dir!r}: its runs were recorded in several, {names!r}. Pass one of "
        "these as former_index=."
    )


class HashCollisionError(EntropicError, RuntimeError):
    """
    A record found under the right hash that belongs to other parameters or to another function.

    It is not used. Delete that record, or change a parameter.

    Attributes:
        params_hash: The hash both share.
        asked: What was asked for.
        recorded: What the record holds.
    """

    params_hash: str
    asked: str
    recorded: str
    _template = (
        "Cannot answer for {asked}: the record under {params_hash} belongs to {recorded}. "
        "Either the index was edited, or two keys collide. Delete that record, or change a parameter."
    )


# ---- runs and functions ---------------------------------------------------------------------------------------------


class ReentrantRunError(EntropicError, RuntimeError):
    """
    A run that asks for its own result, and would wait for itself for ever.

    Call the function with other arguments inside itself, or the undecorated function through ``__wrapped__``.

    Attributes:
        params_hash: The key that is being run.
    """

    params_hash: str
    _template = (
        "Cannot wait for the run {params_hash}: it is asked for from within itself. "
        "Call the function with other arguments, or the undecorated one through __wrapped__."
    )


class SeveralRanksError(EntropicError, RuntimeError):
    """
    A run by one of several ranks of an MPI program, of which it cannot be known whether they have to act together.

    If they have to, one would run and wait for the others, while these wait for its record. Say what they are, as the
    message advises. Nothing has run.

    Attributes:
        count: How many ranks there are.
    """

    count: int
    _template = (
        "Cannot run: this process is one of {count} ranks of an MPI program. If each works by itself, set "
        "ENTROPIC_RANKS=independent. If all of them make a run together, they would wait for each other here: start "
        "the launcher inside the run, entropic.command(['mpirun', '-n', '{count}', ...]), or have rank 0 retrieve or "
        "register the result and hand it to the others. Nothing has been run. See: entropic docs SeveralRanksError."
    )


class DuplicateFunctionError(EntropicError, ValueError):
    """
    Two functions of one name, with different code, decorated for one store: their results would be mixed up.

    Pass ``name=`` to tell them apart, or ``version=`` if one is a newer form of the other.

    Attributes:
        name: The name they share.
    """

    name: str
    _template = (
        "Cannot decorate {name!r}: another function of that name, with different code, already uses this store, and "
        "would answer for it. If one is an edit of the other, keep that one alone, or give it a version=. Else pass "
        "name= to tell them apart."
    )


class CodeChangedError(EntropicError, RuntimeError):
    """
    A recorded run is of code, or has read files, that have changed since, and the function has ``on_change="error"``.

    If the result is still good, call ``accept_changes()`` on the function; if not, call its ``run()``.

    Attributes:
        name: The function.
        changed: What has changed, such as ``"helper `rhs` in model.py"``.
        created_at: When the run was recorded.
        files: Files that the run has read and that have changed, of a function with ``watch_reads=True``.
    """

    name: str
    changed: Sequence[str]
    created_at: str
    files: Sequence[str] = ()
    _template = (
        "Cannot answer from the recorded run. {story} If the result is still good, call accept_changes() on the "
        "function once; if not, give the function a new version=, or call its run()."
    )

    @property
    def story(self) -> str:
        """What has changed since when, in a sentence."""
        since = f"since {self.created_at[:19].replace('T', ' ')}"
        told = [f"The code of {self.name} has changed {since}: {_listed(self.changed)}."] if self.changed else []
        if self.files:
            told.append(f"What {self.name} has read has changed {since}: {_listed(self.files)}.")
        return " ".join(told)


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence, but for those that would make it too long."""
    more = ["more"] if len(names) > _SHOWN_CHANGES else []
    shown = [*names[:_SHOWN_CHANGES], *more]
    return ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else "".join(shown)


class SeveralCodesError(EntropicError, ValueError):
    """
    Runs of one point by several versions of the code differ, and which of them to accept has to be chosen.

    Choose one with ``accept_changes(where={"provenance.code": ...})``.

    Attributes:
        point: The parameters, as text.
        codes: The fingerprints, as in ``provenance["code"]``.
    """

    point: str
    codes: Sequence[str]
    _template = (
        "Cannot accept the changes: runs of {point} by several versions of the code have different results. "
        "Choose one of {codes!r} with where={{'provenance.code': ...}}."
    )


class StaleResultWarning(UserWarning):
    """
    A recorded result is used although its code, or a file that its run has read, has changed since.

    Given once for each pair of codes, and for each state of the files.

    Also where ``collect`` leaves out points for that reason.
    If the result is still good, call ``accept_changes()`` on the function; if not, give it a new ``version=``.

    Attributes:
        subject: The results folder, the function, the code of the record, and that of today.
    """

    subject: tuple[str, ...] = ()


class RunStopped(_Declared, BaseException):
    """
    A run, or a sweep, that has stopped because it was asked to: nothing is recorded of it, and nothing has failed.

    Call again to carry on. Like `KeyboardInterrupt` it is no `Exception`, so that code which goes on after failures
    does not go on after this.

    Attributes:
        what: What has stopped.
        reason: Why; empty if that is not known.
        done: Of a sweep, how far it has come.
    """

    what: str = "run"
    reason: str = ""
    done: str = ""
    _template = "The {what} was stopped{_why}{_far}. Call again to carry on."

    @property
    def _why(self) -> str:
        return f": {self.reason}" if self.reason else ""

    @property
    def _far(self) -> str:
        return f" ({self.done})" if self.done else ""


class UnseenReadsWarning(_Declared, UserWarning):
    """
    A run of a function with ``watch_reads=True`` has read files, or may have, that cannot be watched.

    Given once for each function and thing. Where a result depends on such a file, make it a parameter annotated as
    `InputFile`.

    Attributes:
        name: The function.
        unseen: What was not seen, such as ``"child processes"``.
    """

    name: str
    unseen: Sequence[str]
    _template = (
        "What {name} reads is not seen in full: {_listed}. A change of such files goes unnoticed. Where the result "
        "depends on one, make its path a parameter annotated as entropic.InputFile."
    )

    @property
    def _listed(self) -> str:
        return _listed(self.unseen)


class StaleCheckpointWarning(_Declared, UserWarning):
    """
    A run begins at the beginning, because its code has changed since an earlier attempt was interrupted.

    What that attempt has put by is kept until it is pruned, and is taken again by the code that it is of.

    Attributes:
        function: The function.
        changes: What of its code has changed, if that is known.
        began_at: When the earlier attempt began.
        path: Where what it has put by is kept.
    """

    function: str
    changes: Sequence[str]
    began_at: str
    path: str
    _template = (
        "The code of {function} has changed since {_when}, when a run of these parameters began that was interrupted"
        "{_changes}. This run begins at the beginning. What was put by is kept at {path!r} until it is pruned; the "
        "former code would carry on from it."
    )

    @property
    def _when(self) -> str:
        return self.began_at[:19].replace("T", " ")

    @property
    def _changes(self) -> str:
        shown = ", ".join(self.changes[:_SHOWN_CHANGES])
        return f": {shown}" if shown else ""


class ChangedDefaultWarning(UserWarning):
    """
    A parameter that a call leaves out has another default now than when runs were recorded.

    Such calls are other points than before. Pass the old value to get the recorded runs.
    """


class MissingFieldWarning(UserWarning):
    """
    A call runs though a recorded run differs from it only in that it lacks a parameter, or a field of one.

    Where the field was added since, and recorded runs had one value of it all the same, ``cached(added=...)`` says so.
    """


class MetadataWarning(UserWarning):
    """
    What a runner returned cannot be kept as metadata; its result is recorded without it.

    Return a mapping of plain values, such as numbers and texts; or nothing.
    """


class ResultOpenWarning(_Declared, UserWarning):
    """
    A result that this process still has open for writing when its run has ended, and is recorded.

    What is still to be written is missing in it until the file is closed, and for ever if the process is killed before.
    Close it in the runner, such as by a ``with`` statement.

    Attributes:
        path: The result.
        names: The files in question: the result, in it, or beside it.
    """

    path: str
    names: Sequence[str]
    _template = (
        "The result {path!r} is still open for writing ({_names}) after its run has ended. It is recorded as it is "
        "now; what is written later is lost if the process is killed. Close the file before the runner returns."
    )

    @property
    def _names(self) -> str:
        return ", ".join(map(repr, self.names))


class CommandError(EntropicError, RuntimeError):
    """
    A program, started by the runner that `entropic.command` makes, that could not be started or has failed.

    Nothing is recorded. Its output is part of what ``keep_failed`` keeps.

    Attributes:
        program: Its name.
        exit_status: What it returned; the negative number of the signal that ended it; 127 if there is no such
            program and 126 if it could not be started, as in a shell.
        reason: Why it could not be started; empty if it was.
    """

    program: str
    exit_status: int
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"Cannot start the program {self.program!r}: {self.reason}. Check its path, and that it may be run."
        how = _ended(self.exit_status, "failed with")
        return (
            f"Cannot record the run: the program {self.program!r} {how}. What it wrote is discarded, unless the store "
            f"keeps failed runs (keep_failed)."
        )


class NotRecordedError(EntropicError, LookupError):
    """
    A run to reproduce, to annotate or to look at that is not recorded. Call the function, or run the point, first.

    Attributes:
        name: Of the function; empty for a plain run.
        params_hash: The key of the call, or what else names the run.
        deed: What was to be done with it.
        advice: What to do instead.
    """

    name: str
    params_hash: str
    deed: str = ""
    advice: str = ""
    _template = "Cannot {_deed}: there is no recorded run ({params_hash}). {_way_out}"

    @property
    def _deed(self) -> str:
        if self.deed:
            return f"{self.deed} this run"
        return f"reproduce this call of {self.name}" if self.name else "annotate this point"

    @property
    def _way_out(self) -> str:
        if self.advice:
            return self.advice
        if self.deed:
            return "Pass the first digits of a recorded hash, or the path of a result."
        return "Call the function first." if self.name else "Run or register it first."


class WorkerDiedError(EntropicError, RuntimeError):
    """
    A point took its worker process down twice, the second time with no other point running.

    Run the point alone, in the foreground, to see why; often the machine ran out of memory.

    Attributes:
        exit_status: What the process returned; the negative number of the signal that ended it.
    """

    exit_status: int | None
    _template = (
        "Cannot run the point: its worker process {_how}, and did so again with no other point running. Run the point "
        "alone, in the foreground, to see why."
    )

    @property
    def _how(self) -> str:
        hint = " (out of memory, perhaps)" if self.exit_status == -9 else ""
        return _ended(self.exit_status or 0, "ended with") + hint


class RunTimeoutError(EntropicError, TimeoutError):
    """
    A run has taken longer than it may, and was ended, with all processes that it had started.

    Nothing of it is recorded. Give it more time with ``timeout=``, or let it carry on from checkpoints.

    Attributes:
        timeout: The seconds that it may take.
    """

    timeout: float
    _template = (
        "Cannot finish the run: it has taken longer than the {timeout:g} s that it may, and was ended. Nothing of it "
        "is recorded. Give it more with timeout=, or let it carry on with checkpoint_dir."
    )


class MemoryLimitError(EntropicError, MemoryError):
    """
    A run has taken more memory than it may, and was ended, with all processes that it had started.

    In a sweep, its point was tried once more with no other point running. Nothing of it is recorded.

    Attributes:
        limit_bytes: What it may take.
        used_bytes: What it took, with all its processes, when that was seen.
    """

    limit_bytes: int
    used_bytes: int
    _template = (
        "Cannot finish the run: it has taken {_used} of memory, more than the {_limit} that it may, and was ended. "
        "Nothing of it is recorded. Give it more with memory=, or make it need less."
    )

    @property
    def _used(self) -> str:
        return f"{self.used_bytes / 1e6:,.0f} MB"

    @property
    def _limit(self) -> str:
        return f"{self.limit_bytes / 1e6:,.0f} MB"


class JobLostError(EntropicError, RuntimeError):
    """
    A job of a batch system has ended and left no result: it was cancelled, or was killed, or lost its node.

    What it had recorded before is recorded, and counts.

    Attributes:
        job: Its number.
        state: What the batch system says of it.
        error_file: The file with its error stream.
        last_line: The last line in there; empty if there is none.
    """

    job: str
    state: str
    error_file: str
    last_line: str
    _template = "Cannot run the point: its job {job} ({state}) has not produced any output. {_told}"

    @property
    def _told(self) -> str:
        if not self.last_line:
            return f"Nothing is in its error stream, {self.error_file}. Ask the batch system why it has ended."
        return f"Its error stream, {self.error_file}, ends with: {self.last_line}"


class WorkerError(EntropicError, RuntimeError):
    """
    Stands for an exception of a worker that cannot be pickled, and so cannot leave its process.

    Attributes:
        type_name: The type of that exception.
        text: Its message.
    """

    type_name: str
    text: str

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class NotSharedError(EntropicError, RuntimeError):
    """
    A sweep in other processes on a store whose index those processes do not share: their records would be lost.

    Use an index that all of them see, or threads.

    Attributes:
        index: The index, as its ``repr`` shows it.
        reason: How that was noticed.
    """

    index: str
    reason: str
    _template = (
        "Cannot sweep in other processes: {reason}, so they do not share the index {index}. Use an index that all of "
        "them see, such as the default one on a common file system, or threads, or no executor."
    )


class OtherCodeError(EntropicError, RuntimeError):
    """
    A worker of a sweep has recorded a run by other code than the process that sweeps has; ``on_change`` forbids it.

    Start the one with the older code anew, or bring the copy of the code on that host up to date.

    Attributes:
        name: The function.
        host: Where the worker is.
        changed: What differs, such as ``"helper `rhs` in model.py"``.
    """

    name: str
    host: str
    changed: Sequence[str]
    _template = (
        "Cannot answer from the run of a worker. {story} Start the one with the older code anew, or bring the copy of "
        "the code on {host} up to date; then sweep again."
    )

    @property
    def story(self) -> str:
        """Which worker has other code, and what differs, in a sentence."""
        return (
            f"A worker on {self.host} runs other code of {self.name} than the process that sweeps: "
            f"{_listed(self.changed)}."
        )


class Failure(NamedTuple):
    """
    A point of a sweep that has no record, and why.

    Attributes:
        point: The point as it was given.
        error: What was raised; a `WorkerError` stands for it if it could not leave its process.
        traceback: Where it was raised, as text.
    """

    point: Any
    error: BaseException
    traceback: str = ""

    def __str__(self) -> str:
        first_line = _text_of(self.error).strip().partition("\n")[0]
        return f"{self.point!r}: {type(self.error).__name__}" + (f": {first_line}" if first_line else "")

    def __reduce__(self) -> tuple[Any, ...]:
        point = self.point if _can_travel(self.point) else repr(self.point)
        return Failure, (point, sendable(self.error), self.traceback)


class SweepError(EntropicError, RuntimeError):
    """
    Some points of a sweep have failed.

    Look at ``failures``, mend the cause, and sweep again: only what is missing runs.

    Attributes:
        records: The records of the points that have one, in the order of the points (a
            `RecordList`). Empty if they were handed out one by one.
        failures: A `Failure` for each point that has failed, in their order.
        progress: How the sweep stood at its end (a ``SweepProgress``).
    """

    records: Sequence[Any]
    failures: Sequence[Failure]
    progress: Any = None
    _template = (
        "Cannot complete the sweep: {_count} failed{_left}; all others are recorded, and in .records. The tracebacks "
        "are in .failures. Sweep again to run what is missing.{_first}"
    )

    @property
    def _left(self) -> str:
        skipped, under_way = getattr(self.progress, "skipped", 0), getattr(self.progress, "under_way", 0)
        said = [f"{skipped} skipped"] if skipped else []
        return ", ".join(["", *said, *([f"{under_way} under way elsewhere"] if under_way else [])])

    @property
    def _count(self) -> str:
        return f"{len(self.failures)} point{'' if len(self.failures) == 1 else 's'}"

    @property
    def _first(self) -> str:
        first = "".join(f"\n  {failure}" for failure in self.failures[:_SHOWN_FAILURES])
        rest = len(self.failures) - _SHOWN_FAILURES
        return f"{first}\n  and {rest} more" if rest > 0 else first


def sendable(error: BaseException) -> BaseException:
    """The exception if it survives pickling, else a `WorkerError` with its type and text."""
    if _can_travel(error):
        return error
    return WorkerError(type(error).__qualname__, _text_of(error))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the text of a user's exception is their code, and must not cost us the report
        return "(it has no text)"


def _can_travel(value: object) -> bool:
    import pickle  # needed where something has failed, not for a hit

    try:
        pickle.loads(pickle.dumps(value))
    except Exception:  # a user's __reduce__ or __init__ may raise anything
        return False
    return True


def _ended(exit_status: int, verb: str) -> str:
    return f"was ended by signal {-exit_status}" if exit_status < 0 else f"{verb} exit status {exit_status}"


class NameSharedWarning(_Declared, UserWarning):
    """
    A recorded run has the name of a function, and was made by other code at another place: it does not answer.

    Give one of the functions another name, with ``name=``.

    Attributes:
        name: The name.
        other: Where the run was made: a script, a notebook, or a session without a known file.
        place: Where the function is.
    """

    name: str
    other: str
    place: str
    _template = (
        "Two functions share the name {name!r}: a recorded run was made by other code at {other!r}, and does not "
        "answer for the one at {place!r}. Give one of them a name of its own, with name=. If they are one function "
        "that was moved and changed, choose its runs with accept_changes(where=...)."
    )


class RenamedFunctionWarning(_Declared, UserWarning):
    """
    A point has no run of a function, and one by the very same code under another name; given once for each function.

    The function, its class, its module or its script was renamed or moved. Declare the former name, and the runs
    answer; `migrate` rewrites their records for good.

    Attributes:
        name: What the function is called.
        former: What it was called when the run was recorded.
        created_at: When that was.
        former_names: All names to declare: those that are declared already, and those that this code has had besides.
    """

    name: str
    former: str
    created_at: str
    former_names: Sequence[str]
    _template = (
        "No run of {name} with these parameters is recorded, but one of {former}, made by the same code on {_when}. "
        "If the function was renamed or moved, paste one of these into cached(), and its runs answer:\n"
        "    {_paste}\n"
        '    name="{former}"\n'
        "Else the point runs anew."
    )

    @property
    def _when(self) -> str:
        return self.created_at[:19].replace("T", " ")

    @property
    def subject(self) -> tuple[str, ...]:
        """What it is about, whatever run it names."""
        return self.name, self.former

    @property
    def _paste(self) -> str:
        return declaration(self.former_names)


def declaration(former_names: Sequence[str]) -> str:
    """
    What to paste into ``cached()`` so that runs under former names answer.

    Example:
        >>> declaration(["study.simulate"])
        'former_names=("study.simulate",)'
    """
    quoted = "".join(f'"{name}", ' for name in former_names)
    return f"former_names=({quoted.strip() if len(former_names) == 1 else quoted.removesuffix(', ')})"


class LostIndexWarning(_Declared, UserWarning):
    """
    The index is empty, and the results folder has runs that were recorded in it and never deleted.

    The file was removed, emptied, or is another one than before. Call ``Store.rebuild()``, or run ``entropic rebuild``.

    Attributes:
        path: The index.
        results_dir: The results folder.
        count: How many runs its journal has.
    """

    path: str
    results_dir: str
    count: int
    _template = (
        "The index {path!r} has no runs, but {count} were recorded in {results_dir!r} and not deleted. To have them "
        "back, call rebuild() of the store, or run `entropic rebuild`."
    )


class FallbackWarning(_Declared, UserWarning):
    """
    A store that is fallen back on cannot be read, or a result in it cannot be used; given once for each reason.

    It does not answer: the next one is asked, and if none has an answer, the point runs.

    Attributes:
        results_dir: The results folder of the other store.
        reason: What is wrong with it.
    """

    results_dir: str
    reason: str
    _template = "Cannot use the fallback store with results in {results_dir!r}, so it is passed over: {reason}"


class UnknownNameWarning(UserWarning):
    """
    A query, or an order, is by a name that no recorded run has, or for a kind of value that none has under that name.

    So a typo, or ``3.0`` where ``3`` is recorded, does not look like an empty result. Nothing is given on a store
    without runs.
    """


class IncompleteGridWarning(UserWarning):
    """Values were collected into a grid that has gaps; there is NaN where a point has no result, or a shorter one."""


class NotImportableError(EntropicError, ValueError):
    """
    A file holds no runs of an earlier release.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    path: str
    reason: str = "it is neither a TinyDB file nor an SQLite file with runs"
    _template = "Cannot import runs from {path!r}: {reason}. Name the index of an earlier release."


class QueryTextError(EntropicError, ValueError):
    """
    A text is no query.

    Attributes:
        text: The text.
        position: At which of its letters it stops being one, counted from 1.
        reason: What is wrong there.
        advice: What to write instead, if that can be told.
    """

    text: str
    position: int
    reason: str
    advice: str = ""
    _template = "Cannot read the query {text!r}: at position {position}, {reason}.{_advice}"


class LinkNameError(EntropicError, ValueError):
    """
    A template for the names of links cannot be used.

    Attributes:
        template: The template.
        reason: What is wrong with it.
    """

    template: str
    reason: str
    _template = (
        "Cannot name links by {template!r}: {reason}. Write names of parameters in braces, as in "
        "'{{kappa}}_{{config.nx}}'."
    )


class EqualReplicatesWarning(_Declared, UserWarning):
    """
    Replicates whose results are byte for byte the same: they are not independent.

    Give the function a seed, and draw all its random numbers from it.

    Attributes:
        name: Of the function.
        count: How many replicates there are.
        different: How many different results.
    """

    name: str
    count: int
    different: int
    _template = (
        "Only {different} of {count} replicates of {name} have a result of their own: they are not independent. Let "
        "the function take a seed, and make all its random numbers from it."
    )


# ---- installation ---------------------------------------------------------------------------------------------------


class MissingExtraError(EntropicError, ImportError):
    """
    A package that one feature needs is not installed. Install the extra that the message names.

    Attributes:
        what: What could not be done.
        package: The package.
        extra: The extra of entropic that brings it.
    """

    what: str
    package: str
    extra: str
    _template = '{what}: it needs {package}, which is not installed. Install it with pip install "entropic[{extra}]".'

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(what, package, extra)
        self.name = package


class UnsupportedSystemError(EntropicError, NotImplementedError):
    """
    A system on which files cannot be locked, such as Windows, so that no run could be kept from running twice.

    Use Linux or macOS; on Windows, the Windows Subsystem for Linux.

    Attributes:
        module: The module of the standard library that this Python lacks.
    """

    module: str
    _template = (
        "Cannot run or record anything: this Python has no {module!r} module, so files cannot be locked, and nothing "
        "has been run. Use Linux or macOS; on Windows, use the Windows Subsystem for Linux."
    )
