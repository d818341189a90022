"""
Warnings that point at the user's own line, and that come back from other processes.

What a worker process warns of would be printed once by each of them, or where nobody looks: beside a notebook's server,
in the log of a cluster. So entropic's own warnings are collected there, and given once where the work was asked for.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from ._fork import forks_held_off
from ._memo import remember

_TRANSPARENT = ("contextlib", "functools")

_MANY_SUBJECTS = 4096

_collecting = 0
_collected: deque[Warning] = deque()
_given: dict[Hashable, bool] = {}  # and whether it came from another process


def warn(text: str | Warning, category: type[Warning]) -> None:
    """Warn at the line of the user's code that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_ours(frame.f_globals):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
    if isinstance(text, Warning):
        remember(_given, _subject(text), False, _MANY_SUBJECTS)


def was_given_again(warning: Warning) -> bool:
    """Whether a warning of the same subject has come from another process, and was given here."""
    return _given.get(_subject(warning), False)


def give_again(warning: Warning) -> None:
    """Give a warning that comes from another process, unless one of the same subject has been given here."""
    subject = _subject(warning)
    if subject not in _given:
        warn(warning, type(warning))
        remember(_given, subject, True, _MANY_SUBJECTS)


@contextlib.contextmanager
def collecting_warnings() -> Iterator[None]:
    """In the block, entropic's own warnings that this process would show are collected instead."""
    global _collecting
    with forks_held_off():
        _collecting += 1
        if _collecting == 1:
            _Collector.install()
    try:
        yield
    finally:
        with forks_held_off():
            _collecting -= 1
            if not _collecting:
                _Collector.remove()


def collected_warnings() -> list[Warning]:
    """What has been collected, each once: by any thread of this process."""
    found: list[Warning] = []
    with contextlib.suppress(IndexError):
        while True:
            found.append(_collected.popleft())
    return found


class _Collector:
    """What shows warnings while they are collected; what is not ours is shown as before."""

    before: Any = None

    @classmethod
    def install(cls) -> None:
        # It may be there still: put back by a thread that ended a `catch_warnings` of its own after we had removed it.
        if warnings.showwarning != cls.show:
            cls.before, warnings.showwarning = warnings.showwarning, cls.show

    @classmethod
    def remove(cls) -> None:
        if warnings.showwarning == cls.show:  # else somebody has put theirs over it, which is for them to remove
            warnings.showwarning = cls.before

    @classmethod
    def show(cls, message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if _collecting and isinstance(message, Warning) and _is_ours({"__name__": category.__module__}):
            _collected.append(message)
        else:
            cls.before(message, category, *where, **more)


def _subject(warning: Warning) -> Hashable:
    """What a warning is about: two that differ only in their words, such as the time of a run, are the same."""
    return type(warning), getattr(warning, "subject", None) or str(warning)


def _is_ours(namespace: Mapping[str, Any]) -> bool:
    name = str(namespace.get("__name__", ""))
    return name.startswith("entropic.") or name in _TRANSPARENT
