"""Which process a file belongs to, as that process has noted in it: for those who wait for it."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime, timezone

from ._reading import read_own_file

_LONGEST = 4096


def holder_note() -> bytes:
    """Host, process and time, as one line of JSON."""
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}).encode()


def holder_in(path: str) -> str:
    """Who has left a note in a file, in words; never raises."""
    try:
        holder = json.loads(read_own_file(path, _LONGEST))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
