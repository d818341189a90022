"""Which process a file belongs to, as that process has noted in it: for those who wait for it."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone

from ._named import NamedTuple
from ._reading import read_own_file

_LONGEST = 4096


def host_name() -> str:
    """The name of this host, as `socket.gethostname` has it, without what is loaded for networks."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def holder_note() -> bytes:
    """Host, process and time, as one line of JSON."""
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return json.dumps({"host": host_name(), "pid": os.getpid(), "since": since}).encode()


class Holder(NamedTuple):
    """
    A process, as it has noted itself.

    Attributes:
        host: Where it runs; empty if that is not known.
        pid: Its number there; 0 if that is not known.
        since: Since when, ISO 8601 in UTC; empty if that is not known.
    """

    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}" if self.pid else "another process"


def read_holder(path: str) -> Holder:
    """Who has left a note in a file; never raises."""
    try:
        holder = json.loads(read_own_file(path, _LONGEST))
        return Holder(str(holder["host"]), int(holder["pid"]), str(holder["since"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Holder("", 0, "")


def holder_in(path: str) -> str:
    """Who has left a note in a file, in words; never raises."""
    return str(read_holder(path))
