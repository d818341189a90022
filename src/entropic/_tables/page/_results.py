"""What the page shows of results: a link to each, and inside the page pictures and the first lines of text."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..._record import RunRecord

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

    Args:
        folder: The folder the page lies in.
        room_bytes: How many bytes of files there is room for.
    """

    def __init__(self, folder: str, room_bytes: int) -> None:
        self._folder = folder
        self._room_bytes = room_bytes
        self._room_files = _MOST_EMBEDDED

    def place(self, runs: Sequence[RunRecord]) -> list[list[dict[str, Any]]]:
        """The files of each run, in the order of runs; the newest runs get the room first."""
        placed = [[self._shown(path) for path in _files_of(run)] for run in reversed(runs)]
        return placed[::-1]

    def _shown(self, path: Path) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": _text(path.name), "href": self._link(path)}
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                shown["kind"] = "folder"
            elif stat.S_ISREG(status.st_mode):  # nothing else is opened: a pipe would wait for ever
                shown["size"] = status.st_size
                shown |= self._embedded(path, status.st_size)
        except FileNotFoundError:
            shown["note"] = "not there any more"
        except OSError as error:
            shown["note"] = f"cannot be read: {error.strerror}"
        return shown

    def _embedded(self, path: Path, size: int) -> dict[str, Any]:
        suffix = path.suffix.lower()
        if kind := _PICTURES.get(suffix):
            if not 0 < size <= _LARGEST_PICTURE or not self._take(size):
                return {"note": "not in this page for its size" if size else "empty"}
            return {"picture": f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"}
        if suffix in _TEXTS and self._take(min(size, _TEXT_BYTES)):
            with open(path, "rb") as file:
                start = file.read(_TEXT_BYTES)
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

    def _link(self, path: Path) -> str:
        # With a dot first, so that no file name is read as an address such as javascript:...
        relative = quote(os.fsencode(os.path.relpath(path, self._folder)))
        return relative if relative.startswith(".") else f"./{relative}"


def _files_of(run: RunRecord) -> Iterator[Path]:
    """The result, what stands in it if it is a folder, and what was written beside it."""
    yield run.result_path
    if run.result_path.suffix.lower() not in _PICTURES and run.result_path.is_dir():
        yield from _inside(run.result_path)
    for name in run.provenance.get("siblings", [])[:_FILES_OF_ONE_RUN]:
        yield run.result_path.parent / str(name)


def _inside(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            files = sorted(entry.path for entry in entries if entry.is_file())
    except OSError:
        return []
    # Those that can be shown first: they are why somebody opens the run.
    shown_first = sorted(files, key=lambda path: os.path.splitext(path)[1].lower() not in _PICTURES)
    return [Path(path) for path in shown_first[:_FILES_OF_ONE_RUN]]


def _text(name: str) -> str:
    """A file name that can be shown, whatever bytes it has."""
    return os.fsencode(name).decode("utf-8", "replace")
