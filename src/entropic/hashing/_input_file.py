"""Input files: parameters that stand for the content of a file or folder, wherever it lies and whatever its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .. import errors
from .._fs import content_digest
from ._normalize import normalize
from ._noting import note
from ._tags import INPUT_TAG
from ._types import is_record


class InputFile:
    """
    A file or folder whose content, not its place, is the value of a parameter.

    As a value, ``InputFile("mesh.msh")``, or as the annotation of a parameter, which then takes a path. The run is
    keyed by a digest of the content; of a folder, by names and contents of all that is below it: links count as what
    they lead to, empty folders and links that lead nowhere count, too. Params show the name and the digest. The
    function, or the runner, gets an absolute `pathlib.Path`. Should the content change while it runs, nothing is
    recorded.

    Args:
        path: The file or folder, or the record of a run, for its result; made absolute now, so a function may change
            directory.

    Attributes:
        path: The file or folder, absolute.
        record: The record that it was made from; None if it was made from a path.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("mesh.msh").write_text("1 2 3"), Path("copy.msh").write_text("1 2 3")
        >>> from entropic.hashing import hash_params
        >>> hash_params({"mesh": InputFile("mesh.msh")}) == hash_params({"mesh": InputFile("copy.msh")})
        True
    """

    __module__ = "entropic"
    __slots__ = ("path", "record")

    path: Path
    record: Any

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(os.fspath(path), str):
            raise TypeError(f"Cannot use {path!r} as an input file: its path must be text.")
        self.path = Path(os.path.abspath(path))
        self.record = path if is_record(type(path)) else None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name

    def sha256(self) -> str:
        """
        The digest of its content as of now, 64 hex digits; files that have not changed are read once in a process.

        Raises:
            InputFileError: It is missing, cannot be read, or is neither file nor folder (a `FileNotFoundError`).
        """
        path, record = str(self.path), self.record
        if record is not None and (known := _recorded_digest(record)) is not None:
            return known
        try:
            digest = content_digest(path)
        except OSError as error:
            raise errors.InputFileError(error.filename or path, _reason(error)) from error
        if digest is None:
            raise errors.InputFileError(path, "it is neither a file nor a folder. Pass what it leads to.")
        return digest.rpartition(":")[2]

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"InputFile({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, InputFile) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.path)


@normalize.register(InputFile)
def _tagged(file: InputFile) -> dict[str, Any]:
    name = file.name.encode("utf-8", "backslashreplace").decode()  # a name that is no text is shown, too
    sha256 = file.sha256()
    note(file, sha256)
    return {INPUT_TAG: {"name": name, "sha256": sha256}}


def _recorded_digest(record: Any) -> str | None:
    from ._runs import file_digest  # loaded by those who pass records

    return file_digest(record)


def _reason(error: OSError) -> str:
    if isinstance(error, BlockingIOError):
        return f"{error.strerror}. Call again, once it is complete."
    reason = "there is no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
    return f"{reason}. Check its path, from {os.getcwd()!r}."
