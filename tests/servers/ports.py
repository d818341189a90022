"""Ports of this machine that nothing listens on."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """
    A port that nothing listens on, and that the system gives to no outgoing connection.

    What it gives out itself (32768 and up) may be taken in the second that a server needs to start, or to restart.
    """
    for port in random.SystemRandom().sample(range(15_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port between 15,000 and 30,000")
