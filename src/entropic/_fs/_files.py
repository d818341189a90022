"""Bringing files and folders to disk, so that they outlast a power cut."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ._late import LateModule
from ._reading import status_of

if TYPE_CHECKING:
    from . import _logger
else:  # loaded where there is something to say
    _logger = LateModule("entropic._fs._logger")

# What some network and FUSE file systems say of a folder, which then they bring to disk in their own way, if at all.
_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)
_known_to_lack_syncs: set[int] = set()
_BY_EFFECTIVE_ID = os.access in os.supports_effective_ids


def sync(path: str) -> None:
    """Bring one file, or the entries of one folder, to disk; a folder whose file system cannot, is left to it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        status = os.fstat(descriptor)
        if error.errno not in _CANNOT or not stat.S_ISDIR(status.st_mode):
            raise
        if status.st_dev not in _known_to_lack_syncs:
            _known_to_lack_syncs.add(status.st_dev)
            _logger.logger.warning(
                "The file system of %s does not sync folders (%s): a power cut may undo a rename there", path, error
            )
    finally:
        os.close(descriptor)


def start_write_back(path: str) -> None:
    """
    Have a file written to disk soon, without waiting: of many that are synced after this, none waits for each alone.

    Whatever goes wrong is told by the sync.
    """
    with contextlib.suppress(OSError, AttributeError):  # not on every system
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def sync_tree(path: str, mode: int | None = None) -> None:
    """Bring a file, or a folder with all that is in it, to disk; its own mode may be known."""
    if mode is None:
        mode = os.lstat(path).st_mode
    if stat.S_ISDIR(mode):
        for place, _, names in os.walk(path):
            for name in names:
                if os.path.isfile(os.path.join(place, name)):
                    sync(os.path.join(place, name))
            sync(place)
    elif stat.S_ISREG(mode) or os.path.isfile(path):  # not a pipe or a socket, which cannot be synced
        sync(path)


def require_access(path: str, mode: int) -> None:
    """
    Refuse a place that this process may not use as *mode* says (`os.W_OK` and the like).

    Raises:
        PermissionError: It may not.
    """
    if not os.access(path, mode, effective_ids=_BY_EFFECTIVE_ID):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, protected or not; or nothing, if nothing is there."""
    if not path.is_symlink() and status_of(path) is None:
        return  # nor can a file have that name, perhaps
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        os.rmdir(path)  # it is empty, as what a process leaves at its end
        return
    except OSError:
        pass
    import shutil  # with three ways to compress, which only those load who remove full folders

    try:
        shutil.rmtree(path)
    except PermissionError:
        # A folder in it is write-protected. Its owner may take that back, nobody else.
        for place, _, _ in os.walk(path):
            mode = os.stat(place).st_mode
            if mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(place, stat.S_IMODE(mode) | stat.S_IRWXU)
        shutil.rmtree(path)


def make_folder(folder: str, *, durable: bool) -> None:
    """
    Make a folder and what is missing above it; if durable, each is synced into the one that holds it.

    Raises:
        OSError: It cannot be made, or something else stands there.
    """
    if os.path.isdir(folder):
        return
    above = os.path.dirname(folder)
    if above != folder:
        make_folder(above, durable=durable)
    try:
        os.mkdir(folder)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from None
    share_in_group(folder, above)
    if durable:
        sync(above)


def group_rights(folder: str) -> int:
    """
    Return the rights of the group in a folder that belongs to one, as bits of a mode; else 0.

    It does if it passes its group on to what is made in it (setgid), and the group may write there: whoever has set it
    up so wants what lies in it to be everyone's, whatever the umask of who makes it.
    """
    try:
        return _group_rights(folder)
    except OSError:
        return 0


@functools.lru_cache(64)
def _group_rights(folder: str) -> int:
    mode = os.stat(folder or os.curdir).st_mode
    return mode & stat.S_IRWXG if mode & stat.S_ISGID and mode & stat.S_IWGRP else 0


def share_in_group(path: str | int, folder: str) -> None:
    """Give a file or folder of ours the rights of the group whose folder it lies in; nothing in other folders."""
    rights = group_rights(folder)
    if rights:
        _share(path, rights)


def share_tree(path: str, rights: int) -> None:
    """
    Give the group such rights to a file, or a folder with all that is in it, as its owner has.

    So what is write-protected stays so. Links, and what belongs to others, are left as they are.
    """
    _share(path, rights)
    if os.path.isdir(path) and not os.path.islink(path):
        for place, folders, names in os.walk(path):
            for name in (*folders, *names):
                _share(os.path.join(place, name), rights)


def _share(path: str | int, rights: int) -> None:
    with contextlib.suppress(OSError):  # another user's, or a file system without modes
        mode = os.fstat(path).st_mode if isinstance(path, int) else os.lstat(path).st_mode
        wanted = mode | (mode & stat.S_IRWXU) >> 3 & rights
        if wanted != mode and not stat.S_ISLNK(mode):
            os.chmod(path, stat.S_IMODE(wanted))


def make_shared_folder(folder: str | os.PathLike[str]) -> None:
    """
    Make a folder, and what is missing above it, with the rights of the folder above it, whatever the umask.

    All who may write to a results folder have to write to our own folders in it.

    Raises:
        OSError: It cannot be made, or something else stands there.
    """
    path = os.fspath(folder)
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above != path:
        make_shared_folder(above or os.curdir)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    with contextlib.suppress(OSError):  # a file system without modes
        os.chmod(path, stat.S_IMODE(os.stat(above or os.curdir).st_mode))


def share_file(descriptor: int, folder: str, mode: int) -> None:
    """Give an open file of ours, whose mode is known, the rights that its folder has, whatever the umask."""
    with contextlib.suppress(OSError):  # another user's file, or a file system without modes
        rights = _rights_in(folder)
        if stat.S_IMODE(mode) != rights:
            os.fchmod(descriptor, rights)


@functools.lru_cache(64)
def _rights_in(folder: str) -> int:
    return stat.S_IMODE(os.stat(folder).st_mode) & 0o666


def move_new(source: str, target: str, mode: int | None = None) -> None:
    """Rename a file or folder, whose mode may be known, to a name that must be free; else `FileExistsError`."""
    if mode is None:
        mode = os.lstat(source).st_mode
    if stat.S_ISDIR(mode):
        _move_new_folder(source, target, stat.S_IMODE(mode))
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links. The empty file that reserves the name has no record, so nobody sees it.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            os.replace(source, target)
        except BaseException:
            if os.path.lexists(source):  # else an interrupt came in right behind it
                os.unlink(target)
            raise
    else:
        os.unlink(source)


def _move_new_folder(source: str, target: str, mode: int) -> None:
    os.mkdir(target)  # rename replaces an empty folder in one step, and this one is ours
    try:
        if not mode & stat.S_IWUSR:
            os.chmod(source, mode | stat.S_IWUSR)  # a protected folder cannot be moved, not even by its owner
        os.rename(source, target)
    except BaseException:
        if os.path.lexists(source):  # else an interrupt came in right behind it
            os.rmdir(target)
        raise
    finally:
        if not mode & stat.S_IWUSR:
            os.chmod(source if os.path.lexists(source) else target, mode)
