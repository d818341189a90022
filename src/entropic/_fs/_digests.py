"""
Sizes and digests of files and folders: one algorithm for results, input files and what programs depend on.

The digest of a file is that of its bytes, ``sha256:<hex>``. That of a folder, ``tree2:<hex>``, is made of its entries
in the order of their names: of each its kind, its name with its length before it, and the digest of what it is::

    f  a file                     SHA-256 of its bytes
    d  a folder                   its own digest, made in the same way; an empty one counts, too
    l  a link that leads nowhere  SHA-256 of the text of the link
    c  a folder that the entry    how many levels up it lies
       lies in itself
    o  anything else              its kind, such as a pipe; it is not read

A link counts as what it leads to, so a folder and a copy of it without links have one digest. Folders are hashed with
another function than files (SHA-512, cut to 32 bytes), so no file has the digest of a folder.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator

from ._memo import remember
from ._named import NamedTuple
from ._stamp import is_settled

_FILE = "sha256:"
_TREE = "tree2:"
_CHUNK_BYTES = 1 << 20
_MOST_REMEMBERED = 1 << 16
_MOST_WALKS = 100  # through one folder; only circles of links lead through one more than once

Identity = tuple[int, int]
FileDigest = Callable[[str, os.stat_result], bytes]


def measure(path: str, digest_up_to_bytes: int | None) -> tuple[int, str | None]:
    """
    Size of a result and, if it is not too large, the digest of its content. Reads all of it.

    Args:
        path: A file or a folder.
        digest_up_to_bytes: Larger results get no digest; None for no limit.

    Returns:
        Size in bytes, of a folder that of all files below it, links followed; and the digest or None.

    Raises:
        OSError: Something in it cannot be read.
    """
    return measure_known(path, os.stat(path), digest_up_to_bytes)


def measure_known(path: str, status: os.stat_result, digest_up_to_bytes: int | None) -> tuple[int, str | None]:
    """As `measure`, of what has this status."""
    if stat.S_ISDIR(status.st_mode):
        size_bytes, _ = _Walk(path).measured()
        if digest_up_to_bytes is not None and size_bytes > digest_up_to_bytes:
            return size_bytes, None
        return size_bytes, _TREE + _Walk(path, _file_digest).measured()[1].hex()
    size_bytes = status.st_size
    if not stat.S_ISREG(status.st_mode) or (digest_up_to_bytes is not None and size_bytes > digest_up_to_bytes):
        return size_bytes, None
    return size_bytes, _FILE + _file_digest(path, status).hex()


class FileContent(NamedTuple):
    """
    What a plain file holds.

    Attributes:
        size_bytes: Its size.
        mtime_ns: When it was changed last.
        digest: Its digest; None if it is too large.
    """

    size_bytes: int
    mtime_ns: int
    digest: str | None


def content_of(path: str, status: os.stat_result, digest_up_to_bytes: int | None, *, syncs: bool) -> FileContent:
    """
    What a plain file holds, that nobody writes to any more; opened once, to be read and brought to disk.

    Args:
        path: The file.
        status: Its status.
        digest_up_to_bytes: A larger file gets no digest; None for no limit.
        syncs: Bring it to disk.

    Raises:
        OSError: It cannot be read, or not be brought to disk.
    """
    size_bytes, digest = status.st_size, None
    is_read = digest_up_to_bytes is None or size_bytes <= digest_up_to_bytes
    if is_read or syncs:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if is_read:
                digest = _FILE + _digest_of_open(descriptor, size_bytes).hexdigest()
            if syncs:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return FileContent(size_bytes, status.st_mtime_ns, digest)


def content_digest(path: str, *, all_names: bool = False) -> str | None:
    """
    The digest of a file or folder, without reading files that have not changed since this process last read them.

    A file that was written just before is read each time: it could be written once more without a trace. In folders,
    what interpreters, editors and file managers leave beside the content does not count; see `is_left_behind`.

    Args:
        path: The file or folder.
        all_names: Whether it counts all the same, as in the digest of a result.

    Returns:
        The digest; None for what is neither file nor folder.

    Raises:
        BlockingIOError: A file was written while it was read.
        OSError: Something in it cannot be read.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        skips = None if all_names else is_left_behind
        return _TREE + _Walk(path, _remembered_digest, skips=skips).measured()[1].hex()
    return _FILE + _remembered_digest(path, status).hex() if stat.S_ISREG(status.st_mode) else None


# By name: of Python, of notebooks and of Git; of vi, Emacs, Kate and LibreOffice; of macOS, Windows, KDE and NFS.
LEFT_BEHIND = (
    *("__pycache__", ".ipynb_checkpoints", ".git"),
    *(".*.sw?", "*~", "#*#", ".#*", ".*.kate-swp", ".~lock.*#"),
    *(".DS_Store", "._*", "Thumbs.db", "desktop.ini", ".directory", ".nfs*"),
)


def is_left_behind(name: str) -> bool:
    """Whether a name in an input folder is of a file that programs leave there unasked, so that it is no content."""
    return _left_behind().match(name) is not None


@functools.lru_cache(maxsize=1)
def _left_behind() -> re.Pattern[str]:
    import fnmatch  # for input folders, not for every hit

    return re.compile("|".join(map(fnmatch.translate, LEFT_BEHIND)))


def digest_like(recorded: str, path: str) -> str | None:
    """The digest of what lies at a path, in the form that a recorded one has."""
    if recorded.startswith(_FILE) and os.path.isdir(path):
        return _measure_in_first_form(path)[1]
    return measure(path, None)[1]


def is_as_recorded(path: str, size_bytes: int, digest: str | None, *, contents: bool) -> bool:
    """
    Whether a result is what its record says.

    Args:
        path: Where it lies.
        size_bytes: Its recorded size.
        digest: Its recorded digest, if there is one.
        contents: Compare the digest too, which reads all of it.
    """
    if contents and digest is not None and digest_like(digest, path) != digest:
        return False
    if measure(path, -1)[0] == size_bytes:  # with a limit of no bytes the size alone is measured
        return True
    is_newer = digest is not None and digest.startswith(_TREE)
    return not is_newer and os.path.isdir(path) and _measure_in_first_form(path, with_digest=False)[0] == size_bytes


def files_below(folder: str) -> Iterator[str]:
    """Names, relative to the folder, of all files in it and below; links are followed, circles end."""
    left: list[tuple[str, frozenset[Identity]]] = [("", frozenset())]
    while left:
        name, above = left.pop()
        place = os.path.join(folder, name)
        status = os.stat(place)
        if stat.S_ISREG(status.st_mode):
            yield name
        elif stat.S_ISDIR(status.st_mode) and _identity(status) not in above:
            within = above | {_identity(status)}
            below = (os.path.join(name, entry) for entry in os.listdir(place))
            left += [(entry, within) for entry in below if os.path.exists(os.path.join(folder, entry))]


# ---- folders --------------------------------------------------------------------------------------------------------


class _Folder:
    """A folder, some of whose entries have been taken in."""

    def __init__(self, path: str, name: str, identity: Identity, skips: Callable[[str], bool] | None) -> None:
        self.path = path
        self.name = name
        self.identity = identity
        names = os.listdir(path) if skips is None else [name for name in os.listdir(path) if not skips(name)]
        self.left = iter(sorted(names, key=os.fsencode))
        self.size_bytes = 0
        self.reaches_up_to = 1 << 30
        """The highest folder above that a circle of links leads back to, by its depth."""
        self._hash = hashlib.sha512(b"entropic tree 2\0")

    def take(self, kind: bytes, name: str, size_bytes: int, digest: bytes) -> None:
        """Count an entry."""
        self.size_bytes += size_bytes
        encoded = os.fsencode(name)
        self._hash.update(kind + len(encoded).to_bytes(8, "big") + encoded + digest)

    def measured(self) -> tuple[int, bytes]:
        """Size and digest of what was taken in."""
        return self.size_bytes, self._hash.digest()[:32]


class _Walk:
    """
    One way through all that lies below a folder: in the order of names, links followed.

    Args:
        root: The folder.
        digest_of: Digests a file; None if the size alone is wanted, and nothing is read.
        skips: Says of the name of an entry whether it does not count.
    """

    def __init__(
        self, root: str, digest_of: FileDigest | None = None, *, skips: Callable[[str], bool] | None = None
    ) -> None:
        self._digest_of = digest_of
        self._skips = skips
        self._known: dict[Identity, tuple[int, bytes]] = {}
        self._walks: Counter[Identity] = Counter()
        # A stack of our own: folders may be nested deeper than Python can call.
        self._open: list[_Folder] = []
        self._depths: dict[Identity, int] = {}
        self._open_folder(_Folder(root, "", _identity(os.stat(root)), self._skips))

    def measured(self) -> tuple[int, bytes]:
        """The size of all files, and the digest of the folder, which means nothing without *digest_of*."""
        while True:
            folder = self._open[-1]
            if any(self._enters(folder, name) for name in folder.left):
                continue
            self._open.pop()
            del self._depths[folder.identity]
            if not self._open:
                return folder.measured()
            self._leave(folder, self._open[-1])

    def _enters(self, folder: _Folder, name: str) -> bool:
        """Take in an entry; true if it is a folder that has to be gone through first."""
        path = os.path.join(folder.path, name)
        status = _status_behind(path)
        if status is None:
            folder.take(b"l", name, 0, hashlib.sha256(os.fsencode(os.readlink(path))).digest())
        elif stat.S_ISDIR(status.st_mode):
            return self._enters_folder(folder, name, path, _identity(status))
        elif stat.S_ISREG(status.st_mode):
            folder.take(b"f", name, status.st_size, b"" if self._digest_of is None else self._digest_of(path, status))
        else:
            folder.take(b"o", name, 0, stat.S_IFMT(status.st_mode).to_bytes(32, "big"))
        return False

    def _enters_folder(self, folder: _Folder, name: str, path: str, identity: Identity) -> bool:
        if identity in self._known:
            folder.take(b"d", name, *self._known[identity])
            return False
        depth = self._depths.get(identity)
        if depth is None:
            self._walks[identity] += 1
            if self._walks[identity] <= _MOST_WALKS:
                self._open_folder(_Folder(path, name, identity, self._skips))
                return True
            depth = 0  # a maze of circles, which has more ways through it than can be gone: it counts as one
        folder.reaches_up_to = min(folder.reaches_up_to, depth)
        folder.take(b"c", name, 0, (len(self._open) - depth).to_bytes(32, "big"))
        return False

    def _open_folder(self, folder: _Folder) -> None:
        self._depths[folder.identity] = len(self._open)
        self._open.append(folder)

    def _leave(self, folder: _Folder, above: _Folder) -> None:
        above.take(b"d", folder.name, *folder.measured())
        if folder.reaches_up_to < len(self._open):
            above.reaches_up_to = min(above.reaches_up_to, folder.reaches_up_to)
        else:  # the same, from wherever it is reached
            self._known[folder.identity] = folder.measured()


def _status_behind(path: str) -> os.stat_result | None:
    """The status of what a path leads to; None for a link that leads nowhere, or to itself."""
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and os.path.islink(path):
            return None
        raise


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


# ---- files ----------------------------------------------------------------------------------------------------------


# By path: what the file looked like when its digest was made, and the digest.
_known: dict[str, tuple[tuple[int, ...], bytes]] = {}


def _file_digest(path: str, status: os.stat_result) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _digest_of_open(descriptor, status.st_size).digest()
    finally:
        os.close(descriptor)


def _digest_of_open(descriptor: int, size_bytes: int) -> hashlib._Hash:
    digest, left = hashlib.sha256(), size_bytes
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        digest.update(chunk)
        left -= len(chunk)
        if left == 0:
            break  # the end is where it was said to be: no need to ask for it
    return digest


def _remembered_digest(path: str, status: os.stat_result) -> bytes:
    looks = _looks(status)
    known = _known.get(path)
    if known is not None and known[0] == looks:
        return known[1]
    began_ns = time.time_ns()
    digest = _file_digest(path, status)
    if _looks(os.stat(path)) != looks:
        raise BlockingIOError(errno.EAGAIN, "it is being written", path)
    if is_settled(max(status.st_mtime_ns, status.st_ctime_ns), began_ns):
        remember(_known, path, (looks, digest), _MOST_REMEMBERED)
    return digest


def _looks(status: os.stat_result) -> tuple[int, ...]:
    """What tells one content of a file from the next; the time of change too, which nobody can set back."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


# ---- the first form -------------------------------------------------------------------------------------------------


def _measure_in_first_form(folder: str, *, with_digest: bool = True) -> tuple[int, str | None]:
    """
    Size and digest of a folder as 2.0.0a1 recorded them: of its files alone, without those in linked folders.

    To be read only: an empty or a linked folder did not count, and names were not told from digests.
    """
    names = sorted(
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, files in os.walk(folder)
        for name in files
        if os.path.isfile(os.path.join(place, name))
    )
    statuses = [(os.path.join(folder, name), os.stat(os.path.join(folder, name))) for name in names]
    size_bytes = sum(status.st_size for _, status in statuses)
    if not with_digest:
        return size_bytes, None
    digest = hashlib.sha256()
    for name, (path, status) in zip(names, statuses, strict=True):
        digest.update(f"{_file_digest(path, status).hex()} {name}\n".encode("utf-8", "surrogateescape"))
    return size_bytes, _FILE + digest.hexdigest()
