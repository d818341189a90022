"""The index, and whether it is the one of the results folder."""

from collections.abc import Sequence

from ._base import Declared, EntropicError


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
        "postgresql://user:password@host/database with special characters in it percent-encoded. A file such as "
        "runs.json is named as db_path."
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
                f"a new, empty or missing one. {'' if self.kept_at else 'Nothing has run. '}Mount the disk it is on. "
                "If it was deleted on purpose, call check(repair=True) on the store, or run `entropic check --repair`: "
                "points whose results are gone then run again"
            )
        return "another one at its place. Name the right folder as results_dir, or use an index of its own"


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


class LostIndexWarning(Declared, UserWarning):
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
