"""
What a record tells of the files that its run has read.

``provenance["reads"]`` has the folder of the project, the files, ``[path, size, mtime_ns, digest, inode, ctime_ns]`` of
each, and what could not be seen. In earlier records the last ones are missing. A path below the folder of the project
is relative to it: a project that is moved takes its files along. Of a file that was looked for, and was not there, all
but the path is null.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._fs import LateModule, NamedTuple
from ._record import RunRecord

if TYPE_CHECKING:
    import hashlib
else:  # for those who compare
    hashlib = LateModule("hashlib")

_LEAST_FIELDS = 4  # of the earliest records


class ReadFile(NamedTuple):
    """
    A file that a run has read.

    Attributes:
        path: The file; of a project that was moved since, where it was.
        size_bytes: Its size; None of a file that was looked for, and was not there.
        mtime_ns: The time of its last change; None if that was too young to tell this content from the next.
        digest: The digest of its content; None of a file that is too large, or was not there.
        inode: Its number in the file system, which tells it from another one of the same size and time.
        ctime_ns: When the file system last noted a change, also one after which the time was set back; None if unknown.
    """

    path: Path
    size_bytes: int | None
    mtime_ns: int | None
    digest: str | None
    inode: int | None = None
    ctime_ns: int | None = None

    @property
    def content(self) -> str:
        """Stands for its content: the digest, or size and time where there is none."""
        return self.digest or f"{self.size_bytes} {self.mtime_ns}"


ReadFile.__module__ = "entropic.reports"


class RecordedReads(NamedTuple):
    """
    What a record tells of what its run has read; what is not of the form that we write is passed over.

    Attributes:
        project: The folder of the project; empty if there was none.
        files: The files, with paths as they are recorded.
        unseen: What could not be seen, in words.
    """

    project: str
    files: tuple[ReadFile, ...]
    unseen: tuple[str, ...]

    @classmethod
    def of(cls, record: RunRecord) -> RecordedReads | None:
        """What a record tells; None if nothing was watched."""
        told = record.provenance.get("reads")
        if not isinstance(told, dict):
            return None
        project, files, unseen = told.get("project"), told.get("files"), told.get("unseen")
        return cls(
            project if isinstance(project, str) else "",
            tuple(filter(None, map(_read_file, files if isinstance(files, list) else []))),
            tuple(text for text in unseen if isinstance(text, str)) if isinstance(unseen, list) else (),
        )

    @property
    def mark(self) -> str:
        """Stands for these files with these contents; see `content_mark`."""
        return content_mark((str(one.path), one.content) for one in self.files)

    def placed(self) -> list[ReadFile]:
        """The files, with absolute paths."""
        return [one._replace(path=Path(os.path.join(self.project, one.path))) for one in self.files]


def content_mark(contents: Iterable[tuple[str, str]]) -> str:
    """One text that stands for names of files and what stands for their contents, as a fingerprint does for code."""
    text = "\n".join(f"{name}\0{content}" for name, content in sorted(contents))
    return f"reads-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}"


def _read_file(entry: Any) -> ReadFile | None:
    if not isinstance(entry, list) or not _LEAST_FIELDS <= len(entry) <= len(ReadFile._fields):
        return None
    path, size_bytes, mtime_ns, digest, *others = entry
    is_ours = isinstance(path, str) and "\0" not in path and (digest is None or isinstance(digest, str))
    numbers = (size_bytes, mtime_ns, *others)
    if not is_ours or any(number is not None and type(number) is not int for number in numbers):
        return None
    return ReadFile(Path(path), size_bytes, mtime_ns, digest, *others)
