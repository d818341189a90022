"""What the page shows of results: a link to each, and inside the page pictures and the first lines of text."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ..._record import RunRecord, companions_of

_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".svg": "image/svg+xml",
}
_TEXTS = frozenset({".txt", ".csv", ".tsv", ".json", ".log", ".md", ".yaml", ".yml", ".toml"})
_LARGEST_PICTURE = 2 << 20
_TEXT_BYTES = 3000
_TEXT_LINES = 40
_FILES_OF_ONE_RUN = 12
_MOST_EMBEDDED = 2000


class Shelf:
    """
    Takes results into a page until it is full; the others are linked.

    Nothing from outside the results folder is taken in, whatever a record, a name or a link in a folder says, and
    nothing but regular files is opened: records may come from somebody else.

    Args:
        folder: The folder the page lies in.
        room_bytes: How many bytes of files there is room for.
        results_dir: The folder of the results; without one each result's own folder.
    """

    def __init__(self, folder: str, room_bytes: int, results_dir: str | os.PathLike[str] | None = None) -> None:
        self._folder = folder
        self._room_bytes = room_bytes
        self._room_files = _MOST_EMBEDDED
        self._results_dir = None if results_dir is None else os.path.realpath(results_dir)

    def place(self, runs: Sequence[RunRecord]) -> list[list[dict[str, Any]]]:
        """The files of each run, in the order of runs; the newest runs get the room first."""
        placed = [self._files_of(run) for run in reversed(runs)]
        return placed[::-1]

    def _files_of(self, run: RunRecord) -> list[dict[str, Any]]:
        """The result, what stands in it if it is a folder, and what was written beside it."""
        path = os.fspath(run)
        root = self._results_dir or os.path.dirname(_real_path(path) or "/")
        shown = [self._shown(path, root)]
        if shown[0].get("kind") == "folder" and "note" not in shown[0]:
            shown += [self._shown(inner, root) for inner in _inside(path)]
        beside = [os.path.join(os.path.dirname(path), name) for name in companions_of(run)[:_FILES_OF_ONE_RUN]]
        return [*shown, *(self._shown(one, root) for one in beside)]

    def _shown(self, path: str, root: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": _text(os.path.basename(path.rstrip("/")) or path), "href": self._link(path)}
        try:
            shown |= self._content(path, root)
        except FileNotFoundError:
            shown["note"] = "not there any more"
        except OSError as error:
            shown["note"] = f"cannot be read: {error.strerror}"
        except ValueError:
            shown["note"] = "no file can have this name"
        return shown

    def _content(self, path: str, root: str) -> dict[str, Any]:
        place = os.path.realpath(path)
        status = os.stat(place)
        if not is_inside(place, root):
            return {"note": "outside the results folder"}
        if stat.S_ISDIR(status.st_mode):
            return {"kind": "folder"}
        if not stat.S_ISREG(status.st_mode):
            return {"note": "not a regular file"}
        return {"size": status.st_size} | self._embedded(place, os.path.splitext(path)[1].lower(), status.st_size)

    def _embedded(self, place: str, suffix: str, size: int) -> dict[str, Any]:
        if kind := _PICTURES.get(suffix):
            if not 0 < size <= _LARGEST_PICTURE or not self._take(size):
                return {"note": "not in this page for its size" if size else "empty"}
            return {"picture": f"data:{kind};base64,{base64.b64encode(_start_of(place, size)).decode()}"}
        if suffix in _TEXTS and self._take(min(size, _TEXT_BYTES)):
            start = _start_of(place, _TEXT_BYTES)
            lines = start.decode("utf-8", "ignore" if size > _TEXT_BYTES else "replace").splitlines()
            cut = size > len(start) or len(lines) > _TEXT_LINES
            return {"text": "\n".join(lines[:_TEXT_LINES]), "cut": cut}
        return {}

    def _take(self, size: int) -> bool:
        if size > self._room_bytes or not self._room_files:
            return False
        self._room_bytes -= size
        self._room_files -= 1
        return True

    def _link(self, path: str) -> str:
        """The way from the page to a file; nothing if no file can have this name."""
        # With a dot first, so that no file name is read as an address such as javascript:...
        try:
            relative = quote(os.fsencode(os.path.relpath(path, self._folder)))
        except ValueError:
            return ""
        return relative if relative.startswith(".") else f"./{relative}"


def is_inside(place: str, root: str) -> bool:
    """Whether a path, its links followed, is a folder or lies below it."""
    return place == root or place.startswith(root.rstrip(os.sep) + os.sep)


def _real_path(path: str) -> str | None:
    try:
        return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    except (OSError, ValueError):
        return None


def _start_of(place: str, length: int) -> bytes:
    """The first bytes of a regular file; what has become something else in the meantime is not waited for."""
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return file.read(length) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


def _inside(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            files = sorted(entry.path for entry in entries if entry.is_file())
    except OSError:
        return []
    # Those that can be shown first: they are why somebody opens the run.
    shown_first = sorted(files, key=lambda path: os.path.splitext(path)[1].lower() not in _PICTURES)
    return shown_first[:_FILES_OF_ONE_RUN]


def _text(name: str) -> str:
    """A file name that can be shown, whatever bytes it has."""
    return name.encode("utf-8", "surrogateescape" if _is_bytes(name) else "replace").decode("utf-8", "replace")


def _is_bytes(name: str) -> bool:
    try:
        os.fsencode(name)
    except ValueError:
        return False
    return True
