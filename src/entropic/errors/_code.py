"""Functions and their code, then and now."""

from collections.abc import Sequence

from ._base import Declared, EntropicError

_SHOWN_CHANGES = 8


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
        since = f"since {self._when}"
        told = [f"The code of {self.name} has changed {since}: {_listed(self.changed)}."] if self.changed else []
        if self.files:
            told.append(f"What {self.name} has read has changed {since}: {_listed(self.files)}.")
        return " ".join(told)


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

    __module__ = "entropic.errors"

    subject: tuple[str, ...] = ()


class UnseenReadsWarning(Declared, UserWarning):
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


class StaleCheckpointWarning(Declared, UserWarning):
    """
    A run begins at the beginning, because its code has changed since an earlier attempt was interrupted.

    What that attempt has saved is kept until it is pruned, and is taken again by the code that it is of.

    Attributes:
        function: The function.
        changes: What of its code has changed, if that is known.
        began_at: When the earlier attempt began.
        path: Where what it has saved is kept.
    """

    function: str
    changes: Sequence[str]
    began_at: str
    path: str
    _template = (
        "The code of {function} has changed since {_when}, when a run of these parameters began that was interrupted"
        "{_changes}. This run begins at the beginning. What was saved is kept at {path!r} until it is pruned; the "
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

    __module__ = "entropic.errors"


class MissingFieldWarning(UserWarning):
    """
    A call runs though a recorded run differs from it only in that it lacks a parameter, or a field of one.

    Where the field was added since, and recorded runs had one value of it all the same, ``cached(added=...)`` says so.
    """

    __module__ = "entropic.errors"


class NameSharedWarning(Declared, UserWarning):
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


class RenamedFunctionWarning(Declared, UserWarning):
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
