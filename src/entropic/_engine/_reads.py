"""
What the runs of one function read, and whether that is still the same.

What counts is data: files outside the Python environment and the system's own folders, outside the results folder, and
other than the source of modules, which the fingerprint of the code covers. What the run has written itself is none of
its input.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._fs import (
    LateModule,
    NamedTuple,
    OpenedFiles,
    content_digest,
    current_files,
    is_settled,
    opened_files,
    remember,
    status_of,
    warn,
)
from .._record import ReadFile, RecordedReads, RunRecord, content_mark
from ..errors import UnseenReadsWarning
from ._acceptance import run_mark
from ._records import by_key

if TYPE_CHECKING:
    import copy

    from .._code import AcceptedCodes
    from ._cache import RunCache
    from ._staleness import StalenessPolicy
else:
    copy = LateModule("copy")

MOST_FILES = 100
"""So many files of a run are noted; a hit looks at each of them."""

_CHANGED_MEANWHILE = "changed meanwhile"
_MANY_READS = 4096
_BYTECODE = (".pyc", ".pyo", ".so", ".pyd")
_OF_TOOLS = ("/.git/", "/site-packages/", "/dist-packages/", "/__pycache__/", ".egg-info/", ".dist-info/")
_OF_THE_SYSTEM = ("/proc", "/sys", "/dev", "/run", "/etc", "/bin", "/lib", "/lib64")
_OF_A_PREFIX = ("bin", "lib", "lib64", "libexec", "include", "share", "etc", "conda-meta", "DLLs", "Lib")
# Modules that open files where Python does not see it.
_OPEN_IN_C = re.findall(
    r"\w+",
    "ROOT adios2 cv2 dolfin dolfinx duckdb fiona fitsio gmsh h5py lmdb mdtraj mpi4py netCDF4 osgeo polars pyarrow "
    "pyogrio rasterio tables tensorflow vtkmodules",
)


class ReadsWatch:
    """
    Notes what the runs of a function read, and looks whether it is still the same.

    Args:
        function_name: For messages.
        own: The results folder and the file of the index: what is there does not count.
        project: The folder of the function's project; empty if there is none.
        digest_limit: Up to how many bytes a file is digested, by the seconds that its run took; None for no limit.
        accepted: Which changes were accepted.
        is_judged: Whether it counts what the files are now.
    """

    def __init__(
        self,
        function_name: str,
        own: Iterable[Path],
        project: str,
        digest_limit: Callable[[float], int | None],
        accepted: AcceptedCodes,
        *,
        is_judged: bool,
    ) -> None:
        self._function_name = function_name
        self._own = tuple({place for path in own for place in (os.path.abspath(path), os.path.realpath(path))})
        self._project = project
        self._digest_limit = digest_limit
        self._accept, self._accepted_for = accepted.accept, accepted.accepted_for
        self._is_judged = is_judged
        self._said: set[str] = set()
        self._known: dict[RecordedReads, Reads] = {}

    @classmethod
    def on(cls, engine: RunCache, function_name: str, project: str, *, is_judged: bool) -> ReadsWatch:
        """What watches a function whose runs are kept in a store."""
        settings, path = engine.settings, engine.index.path
        own = [settings.results_dir, *([] if path is None else [path])]
        accepted = engine.codebook.accepted
        return cls(function_name, own, project, settings.digest_limit, accepted, is_judged=is_judged)

    @contextlib.contextmanager
    def recording(self) -> Iterator[dict[str, Any]]:
        """Note what the block reads; at its end, what is yielded holds what a record has to tell of it."""
        told: dict[str, Any] = {}
        began = time.perf_counter()
        with opened_files(self._is_data) as opened:
            yield told
        limit = self._digest_limit(time.perf_counter() - began)
        found = _Found(opened, self._project, limit)
        told |= {"project": self._project, "files": found.files, "unseen": [*found.unseen, *_unseen_modules()]}

    def warn_of_unseen(self, record: RunRecord) -> None:
        """Warn of what was not seen of what the run of a record has read, once for each thing."""
        recorded = RecordedReads.of(record)
        new = [what for what in (recorded.unseen if recorded else ()) if what not in self._said]
        if new:
            self._said.update(new)
            warn(UnseenReadsWarning(self._function_name, new), UnseenReadsWarning)

    # ---- whether it is still the same -------------------------------------------------------------------------------

    def by(self, accepted_for: Callable[..., list[str]]) -> ReadsWatch:
        """One that judges by what was accepted elsewhere."""
        other = copy.copy(self)
        other._accepted_for = accepted_for
        return other

    def judged(self, record: RunRecord) -> Reads | None:
        """What the run of a record has read; None if nothing was watched, or it does not count."""
        return self._of(record) if self._is_judged else None

    def changed(self, record: RunRecord) -> list[str]:
        """The files that the run of a record has read, and that are not what they were; none if that was accepted."""
        reads = self.judged(record)
        changed = [] if reads is None else reads.changed()
        return [] if reads is None or not changed or self._are_accepted(reads, record) else changed

    def marks(self, record: RunRecord) -> tuple[str, ...]:
        """What stands for the files as they were, and as they are; nothing if they are as they were."""
        reads = self.judged(record)
        return () if reads is None or not self.changed(record) else (reads.mark, reads.mark_now())

    def accept(self, runs: Sequence[RunRecord], records: Sequence[RunRecord]) -> list[RunRecord]:
        """
        Accept the files that runs have read as they are today.

        Args:
            runs: The runs.
            records: All runs of the function.

        Returns:
            Those of the runs for which that was not so already.
        """
        new = [one for one in runs if self.changed(one)]
        for old, today in {self.marks(one) for one in new}:
            alike = [one for one in records if (reads := self.judged(one)) and reads.mark == old]
            chosen = [run_mark(one) for one in alike if one in new]
            self._accept([old], today, None if len(chosen) >= len(alike) else chosen)
        return new

    def earlier(
        self,
        records: Sequence[RunRecord],
        chosen: Sequence[RunRecord] | None,
        policy: StalenessPolicy,
    ) -> list[RunRecord]:
        """
        Of the runs of a function by today's code, those that answered before what they have read has changed.

        Args:
            records: All runs of the function, oldest first.
            chosen: Those of them that a user has chosen, instead of all.
            policy: What today's code means.
        """
        today = policy.today()

        def of_today(several: Sequence[RunRecord]) -> list[RunRecord]:
            return [one for one in several if policy.has_current_code(one, today)]

        if chosen is not None:
            return of_today(chosen)
        points = by_key(records).values()
        stale = (several for several in points if not any(policy.is_current(one, today) for one in several))
        return [one for several in stale for one in of_today(several)[-1:]]

    def _of(self, record: RunRecord) -> Reads | None:
        recorded = RecordedReads.of(record)
        if recorded is None:
            return None
        reads = self._known.get(recorded)  # most runs of a function read the same
        if reads is None:
            reads = Reads(recorded, self._project)
            remember(self._known, recorded, reads, _MANY_READS)
        return reads

    def _are_accepted(self, reads: Reads, record: RunRecord) -> bool:
        return reads.mark_now() in self._accepted_for(reads.mark, run_mark(record))

    def _is_data(self, path: str) -> bool:
        is_own = any(path == own or path.startswith(os.path.join(own, "")) for own in self._own)
        is_of_tools = path.endswith(_BYTECODE) or any(part in path for part in _OF_TOOLS)
        return not is_own and not is_of_tools and not path.startswith(_environment())


class Reads:
    """
    The files that one recorded run has read, as they are now.

    Args:
        recorded: What its record tells.
        project: The folder of the project today, which may have been moved.

    Attributes:
        mark: Stands for these files with these contents.
    """

    def __init__(self, recorded: RecordedReads, project: str) -> None:
        folder = project or recorded.project
        self._files = [_Watched(one, os.path.join(folder, one.path)) for one in recorded.files]
        self.mark = recorded.mark

    def changed(self) -> list[str]:
        """The names of the files that are not what they were; one look at each, and the digest if it looks changed."""
        return [one.name for one in self._files if one.has_changed()]

    def looks(self) -> tuple[tuple[int, ...] | None, ...] | None:
        """Sizes, times and inodes of the files, which stay as long as they do; None if one is too young to tell."""
        statuses = [_status(one.path) for one in self._files]
        if all(status is None or is_settled(status.st_mtime_ns) for status in statuses):
            return tuple(one and (one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino) for one in statuses)
        return None

    def mark_now(self) -> str:
        """Stands for the files as they are now."""
        return content_mark((one.name, one.content_now()) for one in self._files)

    def note_use(self) -> None:
        """Note that a run under way, if there is one, uses what was made of these files."""
        opened = current_files()
        if opened is not None:
            for one in self._files:
                opened.note_open(one.path, os.O_RDONLY, by_name=True)


def changed_files(record: RunRecord, accepted_for: Callable[..., list[str]] | None = None) -> list[str]:
    """
    The files that the run of a record has read, and that are not what they were; for those who lack its function.

    Args:
        record: The record. If its project is not where it was, nothing is known of the files.
        accepted_for: Tells what was accepted.
    """
    recorded = RecordedReads.of(record)
    if recorded is None or (recorded.project and not os.path.isdir(recorded.project)):
        return []
    reads = Reads(recorded, "")
    changed = reads.changed()
    is_accepted = changed and accepted_for and reads.mark_now() in accepted_for(reads.mark, run_mark(record))
    return [] if is_accepted else changed


class _Watched:
    """One file that was read."""

    def __init__(self, recorded: ReadFile, path: str) -> None:
        self.name = str(recorded.path)
        self.path = path
        self._recorded = recorded
        self._looks: tuple[int | None, ...] = recorded.size_bytes, recorded.mtime_ns, recorded.inode, recorded.ctime_ns

    def has_changed(self) -> bool:
        status = _status(self.path)
        if status is None or self._recorded.size_bytes is None:
            return (status is None) != (self._recorded.size_bytes is None)
        looks = status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns
        if looks == self._looks:
            return False
        if self._recorded.digest is None:  # too large to be read: another place on the disk says nothing by itself
            return looks[:2] != self._looks[:2]
        began_ns = time.time_ns()
        if _digest(self.path) != self._recorded.digest:
            return True
        if is_settled(status.st_mtime_ns, began_ns):
            self._looks = looks
        return False

    def content_now(self) -> str:
        if not self.has_changed():
            return self._recorded.content
        status = _status(self.path)
        if status is None:
            return "gone"
        return f"{status.st_size} {status.st_mtime_ns}" if self._recorded.digest is None else _digest(self.path)


class _Found:
    """
    What a run that has ended has read.

    Args:
        opened: What it has opened.
        project: The folder of the project.
        limit: Up to how many bytes a file is digested; None for no limit.

    Attributes:
        files: Of each file what its record tells.
        unseen: What could not be seen, in words.
    """

    def __init__(self, opened: OpenedFiles, project: str, limit: int | None) -> None:
        self.files: list[list[Any]] = []
        self.unseen: list[str] = list(opened.unseen)
        self._opened = opened
        self._folder = os.path.join(project, "") if project else ""
        self._limit = limit
        sources = _loaded_sources()
        names = [path for path in sorted(opened.read) if path not in sources and not self._is_product(path)]
        for path in names[:MOST_FILES]:
            self._take(path, opened.read[path])
        if len(names) > MOST_FILES:
            self.unseen.append(f"{len(names) - MOST_FILES} of {len(names)} files")

    def _is_product(self, path: str) -> bool:
        """Whether the run has made a file before it read it, perhaps in a child process."""
        before = self._opened.read[path]
        if before is None:
            return path in self._opened.written
        if _status(path) is None and before.st_ctime_ns >= self._opened.began_ns:
            return True
        return before.st_ctime_ns >= self._opened.unseen.get("child processes", before.st_ctime_ns + 1)

    def _take(self, path: str, before: os.stat_result | None) -> None:
        name = path.removeprefix(self._folder) if self._folder else path
        now = _status(path)
        content = (None, None) if now is None else self._content(path, now)
        after = _status(path)
        if _looks(before) == _looks(now) == _looks(after):
            size_bytes, *others = (None,) * 3 if now is None else (now.st_size, now.st_ino, now.st_ctime_ns)
            self.files.append([name, size_bytes, *content, *others])
        elif path in self._opened.written:
            self.unseen.append(f"{name!r}, which it has changed itself")
        else:
            self.unseen.append(f"{name!r}, which has changed meanwhile")
            self.files.append([name, -1 if after is None else after.st_size, None, _CHANGED_MEANWHILE, None, None])

    def _content(self, path: str, status: os.stat_result) -> tuple[int | None, str | None]:
        """Time and digest: of a time that is too young to be trusted the digest alone."""
        if self._limit is not None and status.st_size > self._limit:
            return status.st_mtime_ns, None
        is_trusted = is_settled(status.st_mtime_ns)
        return status.st_mtime_ns if is_trusted else None, _digest(path)


def _status(path: str) -> os.stat_result | None:
    """The status of a file; None if it is gone, or out of reach."""
    with contextlib.suppress(OSError):
        return status_of(path)
    return None


def _digest(path: str) -> str:
    try:
        return content_digest(path) or "no file"
    except OSError as error:
        return f"unreadable: {error.strerror}"


class _Looks(NamedTuple):
    size_bytes: int
    mtime_ns: int
    inode: int


def _looks(status: os.stat_result | None) -> _Looks | None:
    return None if status is None else _Looks(status.st_size, status.st_mtime_ns, status.st_ino)


def _loaded_sources() -> set[str]:
    """The files of the modules that are loaded: their code is covered by fingerprints."""
    files = (getattr(module, "__dict__", {}).get("__file__") for module in list(sys.modules.values()))
    return {os.path.abspath(path) for path in files if isinstance(path, str)}


def _unseen_modules() -> list[str]:
    return [f"{name} (opens files in C)" for name in _OPEN_IN_C if name in sys.modules]


@functools.cache
def _environment() -> tuple[str, ...]:
    """Where Python, what is installed, and the system lie."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, "/usr"}
    folders = {os.path.join(prefix, name) for prefix in prefixes for name in _OF_A_PREFIX}
    every = {*folders, *map(os.path.realpath, folders), *_OF_THE_SYSTEM}
    return tuple(os.path.join(folder, "") for folder in sorted(every))
