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
    ├── AmbiguousResultError    ValueError         a runner that wrote several things, none of them the result
    ├── StoreWriteError         OSError            a place that cannot be written, or a record that could not be kept
    ├── IndexCorruptError       ValueError         an index file, or a record in it, that cannot be read
    ├── IndexUnavailableError   ConnectionError    a database that does not answer, or refuses (also an OSError)
    ├── IndexVersionError       RuntimeError       an index that a later entropic has made
    ├── IndexURLError           ValueError         a text that names no index
    ├── IndexNotEmptyError      ValueError         an index to be copied into that has records already
    ├── HashCollisionError      RuntimeError       a record found by hash that belongs to other parameters
    ├── ReentrantRunError       RuntimeError       a run that asks for its own result
    ├── DuplicateFunctionError  ValueError         two different functions of one name on one store
    ├── CodeChangedError        RuntimeError       a recorded run of other code, where that is to be an error
    ├── SeveralCodesError       ValueError         changes to accept, of which it has to be said which
    ├── NotRecordedError        LookupError        a call that is to be reproduced, and has no recorded run
    ├── SweepError              RuntimeError       a sweep some of whose points have failed
    ├── WorkerDiedError         RuntimeError       a point whose worker process died, not for the first time
    ├── WorkerError             RuntimeError       what a worker raised, where that itself could not travel
    ├── NotSharedError          RuntimeError       a sweep in processes that would not see each other's records
    ├── MissingExtraError       ImportError        a package that is needed for this only, and is not installed
    ├── UnsupportedSystemError  NotImplementedError  a system on which files cannot be locked, so that nothing is run
    └── CommandError            RuntimeError       a program that could not be started, or has failed

What a runner raises passes through unchanged: none of these wraps it. The warnings are::

    UserWarning
    ├── StaleResultWarning                         a result of code that has changed since is handed out
    ├── ChangedDefaultWarning                      a default has changed since runs were recorded with it
    └── EqualReplicatesWarning                     replicates whose results are byte for byte the same
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_TOLD_FAILURES = 5


class EntropicError(Exception):
    """Base of all errors of entropic."""


class ParameterError(EntropicError, ValueError):
    """
    A parameter that cannot take part in a key: a reserved name, a circular or too deeply nested value.

    Attributes:
        place: Where in the params, such as ``"mesh['points'][2]"``; empty when the value itself was handed in.
        reason: What is wrong with it, and what to do.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"Cannot use {_parameter(self.place)}: {self.reason}"


class ParameterNameError(ParameterError, TypeError):
    """A parameter name that is not text; a `TypeError` as well as a `ValueError`."""


class UnsupportedTypeError(EntropicError, TypeError):
    """
    A value of a type that has no normaliser.

    Attributes:
        place: Where in the params; empty when the value itself was handed in.
        type_name: The importable name of its type.
        advice: A further hint, or an empty text.
    """

    def __init__(self, place: str, type_name: str, advice: str = "") -> None:
        super().__init__(place, type_name, advice)
        self.place = place
        self.type_name = type_name
        self.advice = advice

    def __str__(self) -> str:
        hint = f" {self.advice}" if self.advice else ""
        return (
            f"Cannot hash {_parameter(self.place)}: no normaliser for {self.type_name}.{hint} Register one with "
            f"entropic.normalize.register({self.type_name}, function), or pass a plain value such as its file name."
        )


class NotAMappingError(UnsupportedTypeError):
    """
    Parameters, or a point of a sweep, that are no mapping of names to values.

    Attributes:
        place: ``"params"`` or ``"point"``.
        type_name: The importable name of what was given instead.
    """

    def __init__(self, place: str, type_name: str) -> None:
        super().__init__(place, type_name)

    def __str__(self) -> str:
        kind = self.type_name.removeprefix("builtins.")
        return f"Cannot use a value of type {kind} as {self.place}: give a mapping of names to values, {{'n': 100}}."

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.place, self.type_name)


class InputFileError(EntropicError, FileNotFoundError):
    """
    An input file that is missing, or cannot be read: what depends on its content has no key.

    Attributes:
        path: The file or folder, absolute; only its name for one that comes out of a record.
        reason: What is wrong with it, and what to do.
        place: The parameter it is the value of; empty when the value itself was handed in.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str, place: str = "") -> None:
        self.path = os.fspath(path)
        self.reason = reason
        self.place = place
        super().__init__(f"Cannot use the input file {self.path!r} as {_parameter(place)}: {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.reason, self.place)


class InputFileChangedError(EntropicError, RuntimeError):
    """
    An input file that was changed, or removed, between the making of the key and the end of the run.

    Attributes:
        names: The input files of the run.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(tuple(names))
        self.names = tuple(names)

    def __str__(self) -> str:
        return (
            f"Cannot record the run: an input file ({', '.join(map(repr, self.names))}) was changed after the call "
            f"began, and the result would be recorded for the old content. Call again, once nobody writes to it."
        )


class ResultMissingError(EntropicError, FileNotFoundError):
    """
    A result that is not there: a runner wrote nothing, or a file to register does not exist.

    Attributes:
        path: Where the result was expected.
        what: What could not be done.
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        self.path = os.fspath(path)
        self.what = what
        super().__init__(f"{what}: nothing was found at {self.path!r}. Write to, or name, exactly that path.")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.what)


class AmbiguousResultError(EntropicError, ValueError):
    """
    A runner wrote several files or folders, and none of them under the name it was given.

    Attributes:
        expected: The name the runner was asked to write.
        found: The names it wrote instead.
        kept_at: The folder in which they are kept; empty if they are still where they were written.
    """

    def __init__(self, expected: str, found: Sequence[str], kept_at: str = "") -> None:
        super().__init__(expected, tuple(found), kept_at)
        self.expected = expected
        self.found = tuple(found)
        self.kept_at = kept_at

    def __str__(self) -> str:
        names = ", ".join(map(repr, self.found))
        kept = f" What it wrote is kept at {self.kept_at!r}." if self.kept_at else ""
        return (
            f"Cannot tell which file is the result: the runner was given {self.expected!r} and wrote {names}. "
            f"Write the main file to result_path; others beside it are kept under their own names.{kept}"
        )


class StoreWriteError(EntropicError, OSError):
    """
    A place that cannot be written, or a finished run that could not be recorded.

    Carries ``errno`` and ``filename`` as any `OSError`.

    Attributes:
        what: What could not be done.
        advice: What to do about it.
    """

    def __init__(self, what: str, cause: OSError, path: str | os.PathLike[str], advice: str = "") -> None:
        self.what = what
        self.advice = advice
        self._cause = (cause.errno, cause.strerror or str(cause))
        super().__init__(*self._cause, os.fspath(path))

    def __str__(self) -> str:
        hint = f" {self.advice}" if self.advice else ""
        return f"{self.what}: {self._cause[1]} ({self.filename!r}).{hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, OSError(*self._cause), self.filename, self.advice)


_RECOVER_A_FILE = "mend the line by hand, or recover every intact run with Store.salvage()"


class IndexCorruptError(EntropicError, ValueError):
    """
    An index that cannot be read. It is left as it is: nothing is written over a damaged index.

    Attributes:
        path: The index file.
        line: Number of the line that cannot be read, counted from 1; 0 when it cannot be told.
        reason: What is wrong with it.
        advice: What to do about it, besides restoring a copy.
    """

    def __init__(self, path: str, line: int, reason: str, advice: str = _RECOVER_A_FILE) -> None:
        super().__init__(path, line, reason, advice)
        self.path = path
        self.line = line
        self.reason = reason
        self.advice = advice

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return (
            f"Cannot read the index {self.path!r}{where}: {self.reason}. It has been left untouched; restore a copy, "
            f"{self.advice}."
        )


class IndexUnavailableError(EntropicError, ConnectionError):
    """
    A database that does not answer, or refuses what was asked of it. An `OSError` as well.

    Attributes:
        place: The database, without password.
        reason: What the database, or its driver, says.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        # As an OSError would have it, but for a number that no system has given.
        self.errno, self.strerror, self.filename = None, reason, place
        self.place = place
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.place, self.reason)

    def __str__(self) -> str:
        return f"Cannot use the index {self.place!r}: {self.reason}. See that the database is up and may be used."


class IndexVersionError(EntropicError, RuntimeError):
    """
    An index in a form that only a later entropic knows. It is left as it is.

    Attributes:
        place: The index.
        found: The version of its form.
        known: The latest version that this entropic knows.
    """

    def __init__(self, place: str, found: int, known: int) -> None:
        super().__init__(place, found, known)
        self.place = place
        self.found = found
        self.known = known

    def __str__(self) -> str:
        return (
            f"Cannot use the index {self.place!r}: it is of version {self.found}, and this entropic knows none beyond "
            f"{self.known}. Install a later entropic."
        )


class IndexURLError(EntropicError, ValueError):
    """
    A text that names no index.

    Attributes:
        shown: As much of it as can be shown without a password.
        reason: What is wrong with it.
    """

    def __init__(self, shown: str, reason: str) -> None:
        super().__init__(shown, reason)
        self.shown = shown
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Cannot use {self.shown!r} as an index: {self.reason}. Write sqlite:///runs.sqlite3, or "
            f"postgresql://user:password@host/database with special characters in it percent-encoded."
        )


class IndexNotEmptyError(EntropicError, ValueError):
    """
    An index to be copied into that has records already.

    Attributes:
        target: The index.
    """

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target

    def __str__(self) -> str:
        return (
            f"Cannot copy into {self.target}: it has records already, and would have some of them twice. Copy into a "
            f"new index; Store.merge brings two stores together."
        )


class HashCollisionError(EntropicError, RuntimeError):
    """
    A record was found under the right hash, but it belongs to other parameters or another function.

    Attributes:
        params_hash: The hash both share.
        asked: What was asked for.
        recorded: What the record holds.
    """

    def __init__(self, params_hash: str, asked: str, recorded: str) -> None:
        super().__init__(params_hash, asked, recorded)
        self.params_hash = params_hash
        self.asked = asked
        self.recorded = recorded

    def __str__(self) -> str:
        return (
            f"Cannot answer for {self.asked}: the record under {self.params_hash} is of {self.recorded}. "
            f"Either the index was edited, or two keys collide; change a parameter or delete that record."
        )


class ReentrantRunError(EntropicError, RuntimeError):
    """
    A run asked for the very result it is computing, which could only wait for itself.

    Attributes:
        params_hash: The key that is being run.
    """

    def __init__(self, params_hash: str) -> None:
        super().__init__(params_hash)
        self.params_hash = params_hash

    def __str__(self) -> str:
        return (
            f"Cannot wait for the run {self.params_hash}: it is asked for from within itself. "
            f"Call the function with other arguments, or the undecorated one through __wrapped__."
        )


class DuplicateFunctionError(EntropicError, ValueError):
    """
    Two functions of one name, with different code, were decorated for one store.

    Attributes:
        name: The name they share.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"Cannot decorate {self.name!r}: another function of that name, with different code, already uses this "
            f"store, and would answer for it. Pass name= to tell them apart, or version= if the code has changed."
        )


class CodeChangedError(EntropicError, RuntimeError):
    """
    A recorded run was made by code that has changed since, and the function says ``on_change="error"``.

    Attributes:
        name: The function.
        changed: What has changed, in words, such as ``"helper `rhs` in model.py"``.
        created_at: When the run was recorded.
    """

    def __init__(self, name: str, changed: Sequence[str], created_at: str) -> None:
        super().__init__(name, tuple(changed), created_at)
        self.name = name
        self.changed = tuple(changed)
        self.created_at = created_at

    @property
    def story(self) -> str:
        """What has changed since when, in a sentence."""
        shown = [*self.changed[:_SHOWN_CHANGES], *(["more"] if len(self.changed) > _SHOWN_CHANGES else [])]
        named = ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else "".join(shown)
        return f"of {self.name}, {named} changed since {self.created_at[:19].replace('T', ' ')}."

    def __str__(self) -> str:
        return (
            f"Cannot answer from the recorded run: {self.story} If it is still good, call accept_changes() of the "
            f"function once; if not, give it a new version=, or call its run()."
        )


_SHOWN_CHANGES = 8


class SeveralCodesError(EntropicError, ValueError):
    """
    Runs of one point by several versions of the code differ, and which of them to accept has to be chosen.

    Attributes:
        params: The point.
        codes: The fingerprints, as in ``provenance["code"]``.
    """

    def __init__(self, params: Mapping[str, Any], codes: Sequence[str]) -> None:
        super().__init__(dict(params), tuple(codes))
        self.params = dict(params)
        self.codes = tuple(codes)

    def __str__(self) -> str:
        return (
            f"Cannot accept the changes: runs of {self.params!r} by {len(self.codes)} versions of the code differ. "
            f"Choose one with where={{'provenance.code': {self.codes[0]!r}}}; there are {', '.join(self.codes)}."
        )


class StaleResultWarning(UserWarning):
    """A result is handed out whose code has changed since; said once for each function, code then and code now."""


class ChangedDefaultWarning(UserWarning):
    """A parameter that a call leaves out has another default now than recorded runs had."""


class CommandError(EntropicError, RuntimeError):
    """
    A program, started by the runner that `entropic.command` makes, that could not be started or has failed.

    Attributes:
        program: Its name.
        exit_status: What it returned; the negative number of the signal that ended it; 127 if there is no such
            program and 126 if it could not be started, as shells have it.
        reason: Why it could not be started; empty if it was.
    """

    def __init__(self, program: str, exit_status: int, reason: str = "") -> None:
        super().__init__(program, exit_status, reason)
        self.program = program
        self.exit_status = exit_status
        self.reason = reason

    def __str__(self) -> str:
        if self.reason:
            return f"Cannot start the program {self.program!r}: {self.reason}. Check its path, and that it may be run."
        how = (
            f"was ended by signal {-self.exit_status}"
            if self.exit_status < 0
            else f"failed, with exit status {self.exit_status}"
        )
        return f"Cannot record the run: the program {self.program!r} {how}. What it wrote has been discarded."


class NotRecordedError(EntropicError, LookupError):
    """
    A call that is to be reproduced, and has no recorded run.

    Attributes:
        name: Of the function.
        params_hash: The key of the call.
    """

    def __init__(self, name: str, params_hash: str) -> None:
        super().__init__(name, params_hash)
        self.name = name
        self.params_hash = params_hash

    def __str__(self) -> str:
        return (
            f"Cannot reproduce this call of {self.name}: it has no recorded run ({self.params_hash}). "
            f"Call the function first."
        )


class WorkerDiedError(EntropicError, RuntimeError):
    """
    A point took its worker process down: twice, the second time with no other point at work.

    Attributes:
        exit_status: What the process returned; the negative number of the signal that ended it.
    """

    def __init__(self, exit_status: int | None) -> None:
        super().__init__(exit_status)
        self.exit_status = exit_status

    def __str__(self) -> str:
        status = self.exit_status or 0
        how = f"was ended by signal {-status}" if status < 0 else f"ended itself, with exit status {status}"
        hint = " (out of memory, perhaps)" if status == -9 else ""
        return (
            f"Cannot run the point: its worker process {how}{hint}, and did so again with nothing else at work. "
            f"Run the point alone, in the foreground, to see why."
        )


class WorkerError(EntropicError, RuntimeError):
    """
    Stands for an exception of a worker that could not be sent to where the sweep is.

    Attributes:
        type_name: The type of that exception.
        text: What it said.
    """

    def __init__(self, type_name: str, text: str) -> None:
        super().__init__(type_name, text)
        self.type_name = type_name
        self.text = text

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class NotSharedError(EntropicError, RuntimeError):
    """
    A sweep in other processes on a store whose index those processes do not share: their records would be lost.

    Attributes:
        index: The index, as it shows itself.
        reason: How that was noticed.
    """

    def __init__(self, index: str, reason: str) -> None:
        super().__init__(index, reason)
        self.index = index
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Cannot sweep in other processes: {self.reason}, so they do not share the index {self.index}. Use an "
            f"index that all of them see, such as the default one on a common file system, or threads, or no executor."
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
        told = str(self.error).strip().partition("\n")[0]
        return f"{self.point!r}: {type(self.error).__name__}" + (f": {told}" if told else "")

    def __reduce__(self) -> tuple[Any, ...]:
        point = self.point if _can_travel(self.point) else repr(self.point)
        return Failure, (point, sendable(self.error), self.traceback)


class SweepError(EntropicError, RuntimeError):
    """
    Some points of a sweep have failed; all others have their records.

    Attributes:
        records: The records of the points that have one, in the order of the points (a
            `RecordList`). Empty if they were handed out one by one.
        failures: A `Failure` for each other point, in their order.
    """

    def __init__(self, records: Sequence[Any], failures: Sequence[Failure]) -> None:
        super().__init__(records, failures)
        self.records = records
        self.failures = list(failures)

    def __str__(self) -> str:
        first = "".join(f"\n  {failure}" for failure in self.failures[:_TOLD_FAILURES])
        rest = len(self.failures) - _TOLD_FAILURES
        more = f"\n  and {rest} more" if rest > 0 else ""
        return (
            f"Cannot complete the sweep: {_points(len(self.failures))} failed; what the others gave is recorded, and "
            f"in .records. See .failures for the tracebacks. Sweep again to run what is missing.{first}{more}"
        )


def sendable(error: BaseException) -> BaseException:
    """The exception if it survives pickling, else a `WorkerError` that tells what it was."""
    if _can_travel(error):
        return error
    try:
        text = str(error)
    except Exception:  # the text of somebody's exception is their code, and must not cost us the report
        text = "(its text cannot be told)"
    return WorkerError(type(error).__qualname__, text)


def _can_travel(value: object) -> bool:
    import pickle  # needed where something has failed, not for a hit

    try:
        pickle.loads(pickle.dumps(value))
    except Exception:  # whatever somebody's __reduce__ or __init__ may raise
        return False
    return True


def _points(count: int) -> str:
    return "1 point" if count == 1 else f"{count} points"


class MissingExtraError(EntropicError, ImportError):
    """
    A package that one feature needs is not installed.

    Attributes:
        what: What could not be done.
        package: The package.
        extra: The extra of entropic that brings it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(what, package, extra, name=package)
        self.what = what
        self.package = package
        self.extra = extra

    def __str__(self) -> str:
        return (
            f"{self.what}: it needs {self.package}, which is not installed. Install it with "
            f'pip install "entropic[{self.extra}]".'
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.package, self.extra)


class UnsupportedSystemError(EntropicError, NotImplementedError):
    """
    A system on which files cannot be locked, such as Windows: no run could be kept from running twice.

    Attributes:
        module: The module of the standard library that this Python lacks.
    """

    def __init__(self, module: str) -> None:
        super().__init__(module)
        self.module = module

    def __str__(self) -> str:
        return (
            f"Cannot run or record anything: this Python has no {self.module!r} module, so files cannot be locked, and "
            f"nothing has been run. Use Linux or macOS; on Windows, use the Windows Subsystem for Linux."
        )


def _parameter(place: str) -> str:
    return f"parameter {place!r}" if place else "the value"


class EqualReplicatesWarning(UserWarning):
    """
    Replicates whose results are byte for byte the same: they are not independent.

    Attributes:
        name: Of the function.
        count: How many replicates there are.
        different: How many different results.
    """

    def __init__(self, name: str, count: int, different: int) -> None:
        super().__init__(name, count, different)
        self.name = name
        self.count = count
        self.different = different

    def __str__(self) -> str:
        return (
            f"Of {self.count} replicates of {self.name} only {self.different} have a result of their own: they are not "
            f"independent. Let the function take a seed, and make all its random numbers from it."
        )
