"""
Who holds a lease, as noted in the database; and whether that process is gone, where this can be told for certain.

It can be told of processes of this machine, on Linux: a process is known by the boot of its system, its namespace of
process ids, its id and the moment it began. Whatever cannot be told counts as living.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone

from ..._fs import host_name


def holder_note() -> str:
    """Note who we are, for those who wait: in words, and as what a process can be known by."""
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    note = {"host": host_name(), "pid": os.getpid(), "since": since}
    return json.dumps({**note, "system": _system(), "began": _state_of(os.getpid())[1]})


def told(note: str) -> str:
    """A note in words; of one that cannot be read, that it is another process."""
    try:
        holder = json.loads(note)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def is_gone(note: str) -> bool:
    """Whether the process of a note has ended for certain."""
    try:
        holder = json.loads(note)
        host, pid, system, began = (holder[name] for name in ("host", "pid", "system", "began"))
    except (ValueError, KeyError, TypeError):
        return False
    if not system or not began or (host, system) != (host_name(), _system()):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's
    state, began_now = _state_of(pid)
    return bool(state) and (state in "ZX" or began_now != began)  # ended and not buried yet, or another of its number


def _system() -> str:
    """The boot of this system, and our namespace of process ids; empty where there is no such thing."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _state_of(pid: int) -> tuple[str, str]:
    """State of a process and when it began, in ticks since the boot; empty if that cannot be seen."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # the name before it may hold anything
        return fields[0], fields[19]
    except (OSError, IndexError):
        return "", ""
