"""A process with all that it has started: ended as a whole, and measured."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any

from .._fs import NamedTuple
from ..errors import MissingExtraError

_MOST_ROUNDS = 5


class _Entry(NamedTuple):
    parent: int
    session: int


def begin_session() -> None:
    """Let this process, and what it starts, be known as one: they bear its number as their session."""
    with contextlib.suppress(OSError):  # it begins one already
        os.setsid()


def kill_tree(pid: int, *, is_alive: bool) -> None:
    """
    Kill a process that has begun a session, what is in that session, and what these have started.

    Looked for again until nothing is left: what was being started meanwhile has been by then.

    Args:
        pid: The process.
        is_alive: Whether it has not ended: else its number may be another's by now, and only its session is meant.
    """
    known = {pid} if is_alive else set[int]()
    for _ in range(_MOST_ROUNDS):
        table = _table()
        known |= {one for one, entry in table.items() if entry.session == pid}
        known = _grown(known, table)
        alive = known & table.keys()
        for one in alive:
            with contextlib.suppress(OSError):
                os.kill(one, signal.SIGKILL)
        if not table:  # a system that does not tell: its group is all that is known
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        if not alive:
            return


def _grown(known: set[int], table: dict[int, _Entry]) -> set[int]:
    """Those processes, and all that they have started."""
    found = set(known)
    while True:
        more = {pid for pid, one in table.items() if one.parent in found or one.session in found} - {os.getpid()}
        if more <= found:
            return found
        found |= more


def _table() -> dict[int, _Entry]:
    """All processes that have not ended, by their numbers; empty if this system does not tell."""
    return dict(_from_proc()) or dict(_from_psutil())


def _from_proc() -> Iterator[tuple[int, _Entry]]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in filter(str.isdigit, names):
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            if fields[0] not in (b"Z", b"X"):
                yield int(name), _Entry(int(fields[1]), int(fields[3]))


def _from_psutil() -> Iterator[tuple[int, _Entry]]:
    try:
        import psutil
    except ImportError:
        return
    for process in psutil.process_iter(["ppid", "status"]):
        with contextlib.suppress(OSError):
            if process.info["status"] != psutil.STATUS_ZOMBIE:
                yield process.pid, _Entry(process.info["ppid"] or 0, os.getsid(process.pid))


def require_measuring() -> None:
    """
    Refuse to limit memory where it cannot be measured.

    Raises:
        MissingExtraError: psutil is not installed.
    """
    try:
        import psutil  # noqa: F401
    except ImportError:
        raise MissingExtraError("Cannot limit the memory of runs", "psutil", "supervise") from None


def memory_of_tree(pid: int, limit: float = 0.0) -> int:
    """
    The bytes of memory that a process takes with all that it has started; 0 if it is gone.

    What several processes share counts once, divided among them. To find that out takes longer; so below a *limit*
    a higher number is returned, in which it counts for each.
    """
    import psutil

    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    roughly = sum(_measures(tree, "memory_info", ("rss",)))
    return roughly if roughly <= limit else sum(_measures(tree, "memory_full_info", ("pss", "uss", "rss")))


def _measures(tree: Iterable[Any], method: str, names: tuple[str, ...]) -> Iterator[int]:
    import psutil

    for process in tree:
        with contextlib.suppress(psutil.Error, OSError):
            found = getattr(process, method)()
            yield next(int(getattr(found, name)) for name in names if hasattr(found, name))
