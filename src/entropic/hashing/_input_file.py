"""Input files: parameters that stand for the content of a file or folder, wherever it lies and whatever its name."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .._fs import content_digest
from ..errors import InputFileChangedError, InputFileError
from ._keys import Key
from ._normalize import normalize
from ._tags import INPUT_TAG, is_input


class InputFile:
    """
    A file or folder whose content, not its place, is the value of a parameter.

    As a value, ``InputFile("mesh.msh")``, or as the annotation of a parameter, which then takes a path. The run is
    keyed by a digest of the content; of a folder, by names and contents of all that is below it: links count as what
    they lead to, empty folders and links that lead nowhere count, too. Params show the name and the digest. The
    function, or the runner, gets an absolute `pathlib.Path`. Should the content change while it runs, nothing is
    recorded.

    Args:
        path: The file or folder; made absolute now, so a function may change directory.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("mesh.msh").write_text("1 2 3"), Path("copy.msh").write_text("1 2 3")
        >>> from entropic.hashing import hash_params
        >>> hash_params({"mesh": InputFile("mesh.msh")}) == hash_params({"mesh": InputFile("copy.msh")})
        True
    """

    __module__ = "entropic"
    __slots__ = ("path",)

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(os.fspath(path), str):
            raise TypeError(f"Cannot use {path!r} as an input file: its path must be text.")
        self.path = Path(os.path.abspath(path))

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
        path = str(self.path)
        try:
            digest = content_digest(path)
        except OSError as error:
            raise InputFileError(error.filename or path, _reason(error)) from error
        if digest is None:
            raise InputFileError(path, "it is neither a file nor a folder. Pass what it leads to.")
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
    if (noted := getattr(_noting, "files", None)) is not None:
        noted.append((file, sha256))
    return {INPUT_TAG: {"name": name, "sha256": sha256}}


# Where this thread notes the input files that it normalises: wherever they hide in the params, none is missed.
_noting = threading.local()


# ---- what reaches the function --------------------------------------------------------------------------------------


@contextlib.contextmanager
def unchanged(key: Key, again: Callable[[], Key]) -> Iterator[None]:
    """
    Hold a run to the input files its key was made from, from its begin to its end.

    Args:
        key: The key.
        again: Makes it anew.

    Raises:
        InputFileChangedError: One has another content now, or none.
    """
    asked = list(_inputs_in(key.params))
    if not asked:
        yield
        return
    if (files := _noted(asked, again)) is None:
        raise InputFileChangedError([one["name"] for one in asked])
    yield
    # Not by making the key once more: what else is in the arguments, the run may have changed for itself.
    if not all(_is_still(file, sha256) for file, sha256 in files):
        raise InputFileChangedError([one["name"] for one in asked])


def _noted(asked: list[dict[str, str]], again: Callable[[], Key]) -> list[tuple[InputFile, str]] | None:
    """The files behind a key, with their digests; None if they are not what it was made from."""
    files: list[tuple[InputFile, str]] = []
    _noting.files = files
    try:
        found = list(_inputs_in(again().params))
    except InputFileError:
        return None
    finally:
        _noting.files = None
    return files if [one["sha256"] for one in found] == [one["sha256"] for one in asked] else None


def _is_still(file: InputFile, sha256: str) -> bool:
    with contextlib.suppress(InputFileError):
        return file.sha256() == sha256
    return False


def _inputs_in(normalized: Any) -> Iterator[dict[str, str]]:
    if is_input(normalized):
        yield normalized[INPUT_TAG]
    elif isinstance(normalized, (dict, list)):
        for item in normalized.values() if isinstance(normalized, dict) else normalized:
            yield from _inputs_in(item)


def _reason(error: OSError) -> str:
    if isinstance(error, BlockingIOError):
        return f"{error.strerror}. Call again, once it is complete."
    reason = "there is no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
    return f"{reason}. Check its path, from {os.getcwd()!r}."
