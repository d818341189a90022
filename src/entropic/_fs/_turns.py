"""Whose turn it is to look for what dead processes have left: where many are at work, one a minute looks for all."""

from __future__ import annotations

import contextlib
import os
import time
from itertools import islice

from ._descriptors import closer
from ._files import share_file
from ._flock import try_lock

_FEW = 16
_PAUSE_SECONDS = 60.0
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def takes_turn(mark: str, *folders: str) -> bool:
    """
    Whether this process, which has just begun, is to look through some folders; the steps do not grow with these.

    Where little lies in them, each process looks. Else one does that finds that nobody has for a minute: whoever starts
    a thousand workers at once would have each of them try the locks of all others.

    Args:
        mark: A file that is made when somebody looks through what is many; its time tells when that was.
        folders: What is looked through.
    """
    if all(map(_has_few, folders)):
        return True
    try:
        if _is_recent(os.stat(mark, follow_symlinks=False)):
            return False
    except OSError:
        pass  # it is not there yet
    try:
        return _takes(mark)
    except OSError:
        return True  # another user's, or a link: better too often than never


def _takes(mark: str) -> bool:
    descriptor = os.open(mark, _FLAGS, 0o666)
    close = closer(descriptor)
    try:
        if not try_lock(descriptor):
            return False
        status = os.fstat(descriptor)
        if status.st_size and _is_recent(status):
            return False  # somebody came between the two looks
        if not status.st_size:
            share_file(descriptor, os.path.dirname(mark), status.st_mode)
        os.pwrite(descriptor, b"\n", 0)
        os.utime(descriptor)
        return True
    finally:
        close()


def _is_recent(status: os.stat_result) -> bool:
    return abs(time.time() - status.st_mtime) < _PAUSE_SECONDS


def _has_few(folder: str) -> bool:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return sum(1 for _ in islice(entries, _FEW + 1)) <= _FEW
    return True
