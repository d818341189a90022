"""
Objects under a URL, by way of fsspec: made, never replaced; asked again where a store is busy or a connection is cut.

The packages are imported when a bucket is used, and not before.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
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
_RANGE_BYTES = 8 << 20
_PAUSES_SECONDS = (0.2, 0.6, 1.8, 5.0)
_LONGEST_SECONDS = 60.0  # after which it is not asked again: each attempt may have taken minutes
_REFUSALS = (PermissionError, NotADirectoryError, IsADirectoryError, NotImplementedError, TypeError, ValueError)
_TAKEN = ("PreconditionFailed", "412")
_DENIALS = ("400", "403", "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestExpired")
_OF_OUR_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EMFILE, errno.ENFILE)


class Look(NamedTuple):
    """What tells one content of an object from the next: its size, and its ETag if it has one."""

    size_bytes: int
    etag: str


class NameTakenError(Exception):
    """An object of that name is there already."""


class NoSuchObjectError(FileNotFoundError):
    """No object of that name is there. A file that is missing on this host is another matter."""


class _OursError(Exception):
    """An `OSError` of this host, which is nothing that the store has answered."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


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
        self._renewed_at: float | None = None
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
            OSError: The file cannot be written, such as on a full disk.
            RemoteUnavailableError: The object cannot be read.
        """
        try:
            self._find("fetch a result", name, lambda files, path: _get(files, path, target))
        except _OursError as error:
            raise error.error from None

    def read(self, name: str) -> bytes:
        """The content of a small object; errors as of `get`."""
        content: bytes = self._find("read an object", name, lambda files, path: files.cat_file(path))
        return content

    def measure(self, name: str) -> tuple[int, str]:
        """Size and SHA-256 of an object, which is read piece by piece and kept nowhere; errors as of `get`."""
        size_bytes, digest = self.look(name).size_bytes, hashlib.sha256()
        for start in range(0, size_bytes, _RANGE_BYTES):
            digest.update(self._find("read an object", name, partial(_range, start=start, size_bytes=size_bytes)))
        return size_bytes, digest.hexdigest()

    def look(self, name: str) -> Look:
        """Size and ETag of an object; errors as of `get`."""
        return self._find("look at an object", name, lambda files, path: _look_of(_info(files, path)))

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, as far as they are there."""
        for name in names:
            with contextlib.suppress(NoSuchObjectError):
                self._find("remove a result", name, lambda files, path: files.rm_file(path))

    def walk(self, folder: str = "") -> Iterator[tuple[str, Look]]:
        """Names of all objects, or of those in a folder, each with what it looks like; a page of them is held."""
        files, root = self._open()
        top = f"{root}/{folder}".rstrip("/")
        pages = self._pages_of_s3(top) if hasattr(files, "call_s3") else self._pages_by_folder(top)
        for name, look in (entry for page in pages for entry in page):
            if not name.endswith("/"):  # which some tools make in the place of a folder
                yield name[len(root) :].lstrip("/"), look

    def _pages_of_s3(self, top: str) -> Iterator[list[tuple[str, Look]]]:
        """All below at once: a folder by itself would be a question each."""
        token: dict[str, str] = {}
        while True:
            answer = self._try("list the results", "", partial(_page, folder=top, token=token))
            bucket = top.partition("/")[0]
            yield [(f"{bucket}/{entry['Key']}", _look_of(entry)) for entry in answer.get("Contents", ())]
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def _pages_by_folder(self, top: str) -> Iterator[list[tuple[str, Look]]]:
        folders = [top]
        while folders:
            entries = self._try("list the results", "", partial(_entries, folder=folders.pop()))
            folders += [entry["name"] for entry in entries if entry["type"] == "directory"]
            yield [(entry["name"], _look_of(entry)) for entry in entries if entry["type"] != "directory"]

    def _find(self, what: str, name: str, ask: Callable[[Any, str], T]) -> T:
        """As `_try`, of an object that has to be there."""
        try:
            return self._try(what, name, ask)
        except RemoteUnavailableError as error:
            cause = error.__cause__
            if isinstance(cause, FileNotFoundError) and _code_of(cause) != "NoSuchBucket":
                raise NoSuchObjectError(name) from cause
            raise

    def _try(self, what: str, name: str, ask: Callable[[Any, str], T]) -> T:
        """Ask, and again after growing pauses where that may help."""
        began = time.monotonic()
        for pause in (*_PAUSES_SECONDS, None):
            files, root = self._open()
            try:
                return ask(files, f"{root}/{name}" if name else root)
            except (NameTakenError, _OursError):
                raise
            except Exception as error:  # of fsspec, of the library behind it, of the one behind that
                if _is_taken(error):
                    raise NameTakenError(name) from error
                is_denied = _is_denied(error)
                if is_denied and self._renew(files):
                    continue
                is_late = time.monotonic() > began + _LONGEST_SECONDS
                if pause is None or is_late or is_denied or _is_final(error):
                    raise self._unavailable(what, name, error) from error
                _log.remote_asked_again(f"{self.url}/{name}", error)
                time.sleep(pause * (0.5 + random.SystemRandom().random()))
        raise AssertionError("the last attempt returns, or raises")

    def _unavailable(self, what: str, name: str, error: BaseException) -> RemoteUnavailableError:
        reason = f"{type(error).__name__}: {error}"
        if _is_denied(error):
            reason += ". Look at the credentials, which may have expired, and at what they permit"
        return RemoteUnavailableError(what, f"{self.url}/{name}".rstrip("/"), reason)

    def _renew(self, files: Any) -> bool:
        """Begin anew with the credentials of now, for those of before may have expired; not time and again."""
        with self._lock:
            now = time.monotonic()
            if self._opened.get(os.getpid(), (None,))[0] is not files:
                return True  # another thread has
            if self._renewed_at is not None and now < self._renewed_at + _LONGEST_SECONDS:
                return False
            self._opened, self._renewed_at = {}, now
            return True

    def _open(self) -> tuple[Any, str]:
        """The file system, and where in it the objects are; one for each process: connections outlive no fork."""
        process = os.getpid()
        with self._lock:
            if process not in self._opened:
                try:
                    from fsspec.core import url_to_fs

                    is_again = self._renewed_at is not None
                    # What others have made meanwhile is to be seen, so nothing of it is remembered.
                    options = {"use_listings_cache": False, "skip_instance_cache": is_again, **_options_of(self.url)}
                    found = url_to_fs(self.url, **options)
                except ImportError as error:
                    package = error.name or "fsspec"
                    raise MissingExtraError(f"Cannot use {self.url!r}", package, "remote") from error
                self._opened = {process: (found[0], found[1].rstrip("/"))}
            return self._opened[process]


def _options_of(url: str) -> dict[str, Any]:
    """
    For S3, that its client does not ask again by itself, unless the user has said how often.

    Two libraries ask again: without this a server that does not answer would be waited for by the one within the other,
    and within us, for hours.
    """
    if not url.startswith(("s3://", "s3a://")) or "AWS_MAX_ATTEMPTS" in os.environ:
        return {}
    return {"config_kwargs": {"retries": {"total_max_attempts": 1}}}


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


def _get(files: Any, path: str, target: str) -> None:
    try:
        files.get_file(path, target)
    except OSError as error:
        if error.errno in _OF_OUR_DISK or error.filename == target:
            raise _OursError(error) from error
        # The libraries raise the same error for it as for an object, and some without the name of what is missing.
        if isinstance(error, FileNotFoundError) and not os.path.isdir(os.path.dirname(target)):
            raise _OursError(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), target)) from error
        raise


def _info(files: Any, path: str) -> dict[str, Any]:
    entry: dict[str, Any] = files.info(path)
    if entry.get("type") == "directory":  # something lies below, as if it were a folder
        raise FileNotFoundError(path)
    return entry


def _range(files: Any, path: str, *, start: int, size_bytes: int) -> bytes:
    content: bytes = files.cat_file(path, start=start, end=min(start + _RANGE_BYTES, size_bytes))
    return content


def _page(files: Any, _: str, *, folder: str, token: dict[str, str]) -> dict[str, Any]:
    bucket, _, key = folder.partition("/")
    answer: dict[str, Any] = files.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{key}/" if key else "", **token)
    return answer


def _entries(files: Any, _: str, *, folder: str) -> list[dict[str, Any]]:
    try:
        found = files.ls(folder, detail=True, refresh=True)
    except FileNotFoundError:
        return []
    return [entry for entry in found if entry["name"].rstrip("/") != folder.rstrip("/")]


def _look_of(entry: dict[str, Any]) -> Look:
    return Look(
        int(entry.get("size") or entry.get("Size") or 0), str(entry.get("ETag") or entry.get("etag") or "").strip('"')
    )


def _is_taken(error: Exception) -> bool:
    return isinstance(error, FileExistsError) or _code_of(error) in _TAKEN or getattr(error, "errno", 0) == errno.EEXIST


def _is_denied(error: BaseException) -> bool:
    return isinstance(error, PermissionError) or _code_of(error) in _DENIALS


def _is_final(error: Exception) -> bool:
    """Whether asking again is of no use. An upload in parts that is gone has perhaps been completed."""
    is_missing = isinstance(error, FileNotFoundError) and _code_of(error) != "NoSuchUpload"
    return is_missing or isinstance(error, _REFUSALS) or getattr(error, "errno", 0) == errno.ENAMETOOLONG


def _code_of(error: BaseException) -> str:
    """What the store itself has answered, if the libraries keep it."""
    told: BaseException | None = error
    while told is not None:
        response = getattr(told, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        told = told.__cause__
    return ""
