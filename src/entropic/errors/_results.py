"""Results: what a run has written, and what became of it."""

import os
from collections.abc import Sequence

from ._base import Declared, EntropicError


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


class ResultChangedWarning(Declared, UserWarning):
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


class MetadataWarning(UserWarning):
    """
    What a runner returned cannot be kept as metadata; its result is recorded without it.

    Return a mapping of plain values, such as numbers and texts; or nothing.
    """

    __module__ = "entropic.errors"


class ResultOpenWarning(Declared, UserWarning):
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
