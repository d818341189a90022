"""
Objects under a URL, by way of fsspec: made, never replaced; asked again where a store is busy or a connection is cut.

The packages are imported when a bucket is used, and not before.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from .. import _log
from .._fs import NamedTuple
from ..errors import MissingExtraError, RemoteUnavailableError

T = TypeVar("T")

_CHUNK_BYTES = 1 << 20
_PAUSES_SECONDS = (0.2, 0.6, 1.8, 5.0)
_REFUSALS = (PermissionError, NotADirectoryError, IsADirectoryError, NotImplementedError, TypeError, ValueError)
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412")


class Look(NamedTuple):
    """What tells one content of an object from the next: its size, and its ETag if it has one."""

    size_bytes: int
    etag: str


class NameTakenError(Exception):
    """An object of that name is there already."""


class NoSuchObjectError(FileNotFoundError):
    """No object of that name is there. A file that is missing on this host is another matter."""


class Bucket:
    """
    The objects under one URL, named relative to it.

    Safe to share between threads, and of use after a fork.

    Args:
        url: Such as ``s3://bucket/runs``, or of any other kind that fsspec knows.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._opened: dict[int, tuple[Any, str]] = {}
        self._lock = threading.Lock()

    def put_new(self, source: str, name: str) -> None:
        """
        Make an object of a file, unless there is one of that name.

        Raises:
            NameTakenError: There is one. Perhaps it is ours: the answer to an earlier attempt may have been lost.
            RemoteUnavailableError: It cannot be made.
        """
        self._try("store a result", name, lambda files, path: _put_new(files, source, path))

    def put_bytes_new(self, content: bytes, name: str) -> None:
        """As `put_new`, of a few bytes."""
        self._try("store a result", name, lambda files, path: _pipe_new(files, content, path))

    def get(self, name: str, target: str) -> None:
        """
        Write an object to a file, which is replaced.

        Raises:
            NoSuchObjectError: There is no such object.
            FileNotFoundError: There is no such folder as the one of *target*.
            RemoteUnavailableError: It cannot be read.
        """
        try:
            self._find("fetch a result", name, lambda files, path: files.get_file(path, target))
        except NoSuchObjectError as error:
            # The libraries raise the same error for it, and some without the name of what is missing.
            if not os.path.isdir(os.path.dirname(target)):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), target) from error
            raise

    def read(self, name: str) -> bytes:
        """The content of a small object; errors as of `get`."""
        content: bytes = self._find("read an object", name, lambda files, path: files.cat_file(path))
        return content

    def look(self, name: str) -> Look:
        """Size and ETag of an object; errors as of `get`."""
        return self._find("look at an object", name, lambda files, path: _look_of(files.info(path)))

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, as far as they are there."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._try("remove a result", name, lambda files, path: files.rm_file(path))

    def list(self, folder: str = "") -> Iterator[tuple[str, Look]]:
        """Names of all objects, or of those in a folder, each with what it looks like."""
        _, root = self._open()
        folders = [f"{root}/{folder}".rstrip("/")]
        while folders:
            for entry in self._try("list the results", "", partial(_entries, folder=folders.pop())):
                if entry["type"] == "directory":
                    folders.append(entry["name"])
                else:
                    yield entry["name"][len(root) :].lstrip("/"), _look_of(entry)

    def _find(self, what: str, name: str, ask: Callable[[Any, str], T]) -> T:
        """As `_try`, of an object that has to be there."""
        try:
            return self._try(what, name, ask)
        except FileNotFoundError as error:
            raise NoSuchObjectError(name) from error

    def _try(self, what: str, name: str, ask: Callable[[Any, str], T]) -> T:
        """Ask, and again after growing pauses where that may help."""
        files, root = self._open()
        path = f"{root}/{name}" if name else root
        for pause in (*_PAUSES_SECONDS, None):
            try:
                return ask(files, path)
            except NameTakenError:
                raise
            except FileNotFoundError as error:
                if _code_of(error) == "NoSuchBucket":
                    raise self._unavailable(what, name, error) from error
                raise
            except Exception as error:  # of fsspec, of the library behind it, of the one behind that
                if _is_taken(error):
                    raise NameTakenError(name) from error
                if pause is None or isinstance(error, _REFUSALS):
                    raise self._unavailable(what, name, error) from error
                _log.remote_asked_again(f"{self.url}/{name}", error)
                time.sleep(pause * (0.5 + random.SystemRandom().random()))
        raise AssertionError("the last attempt returns, or raises")

    def _unavailable(self, what: str, name: str, error: BaseException) -> RemoteUnavailableError:
        return RemoteUnavailableError(what, f"{self.url}/{name}".rstrip("/"), f"{type(error).__name__}: {error}")

    def _open(self) -> tuple[Any, str]:
        """The file system, and where in it the objects are; one for each process: connections outlive no fork."""
        process = os.getpid()
        with self._lock:
            if process not in self._opened:
                try:
                    from fsspec.core import url_to_fs

                    # What others have made meanwhile is to be seen, so nothing of it is remembered.
                    found = url_to_fs(self.url, use_listings_cache=False)
                except ImportError as error:
                    package = error.name or "fsspec"
                    raise MissingExtraError(f"Cannot use {self.url!r}", package, "remote") from error
                self._opened = {process: (found[0], found[1].rstrip("/"))}
            return self._opened[process]


def _put_new(files: Any, source: str, path: str) -> None:
    put = getattr(files, "_put_file", None)
    if put is not None and "mode" in inspect.signature(put).parameters:
        files.put_file(source, path, mode="create")  # by the store itself: of two, one succeeds
        return
    with open(source, "rb") as read:
        _write_new(files, path, lambda written: shutil.copyfileobj(read, written, _CHUNK_BYTES))


def _pipe_new(files: Any, content: bytes, path: str) -> None:
    pipe = getattr(files, "_pipe_file", None)
    if pipe is not None and "mode" in inspect.signature(pipe).parameters:
        files.pipe_file(path, content, mode="create")
        return
    _write_new(files, path, lambda written: written.write(content))


def _write_new(files: Any, path: str, write: Callable[[Any], object]) -> None:
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    with files.open(path, "xb") as written:
        write(written)


def _entries(files: Any, _: str, *, folder: str) -> list[dict[str, Any]]:
    try:
        found = files.ls(folder, detail=True, refresh=True)
    except FileNotFoundError as error:
        if _code_of(error) == "NoSuchBucket":
            raise
        return []
    return [entry for entry in found if entry["name"].rstrip("/") != folder.rstrip("/")]


def _look_of(entry: dict[str, Any]) -> Look:
    return Look(int(entry.get("size") or 0), str(entry.get("ETag") or entry.get("etag") or "").strip('"'))


def _is_taken(error: Exception) -> bool:
    return isinstance(error, FileExistsError) or _code_of(error) in _TAKEN or getattr(error, "errno", 0) == errno.EEXIST


def _code_of(error: BaseException) -> str:
    """What the store itself has answered, if the libraries keep it."""
    told: BaseException | None = error
    while told is not None:
        response = getattr(told, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        told = told.__cause__
    return ""
