"""Processes on this machine that see other file systems and go by other names, as the nodes of a cluster do."""

from __future__ import annotations

import functools
import os
import pickle
import queue
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

_PROGRAM = """
import pickle, struct, sys
from entropic._sweep import _handshake
_handshake._patience.seconds = 0.0  # what is not there will not come
read, write = sys.stdin.buffer, sys.stdout.buffer
while head := read.read(8):
    function, args = pickle.loads(read.read(struct.unpack("Q", head)[0]))
    answer = pickle.dumps(function(*args))
    write.write(struct.pack("Q", len(answer)) + answer)
    write.flush()
"""


@functools.cache
def can_be_made() -> bool:
    """Whether this user may give a process its own view of the file system."""
    command = ["unshare", "--mount", "--uts", "sh", "-c", "hostname node && mount -t tmpfs none /mnt"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


class Node:
    """
    One of them.

    Args:
        name: Its host name.
        mounts: What it sees at some folders: other folders.
    """

    def __init__(self, name: str, mounts: Mapping[str | Path, str | Path]) -> None:
        lines = [f"mount --bind '{Path(other).absolute()}' '{Path(at).absolute()}'" for at, other in mounts.items()]
        script = " && ".join([f"hostname {name}", *lines, f"cd '{os.getcwd()}'", 'exec "$0" "$@"'])
        command = ["unshare", "--mount", "--uts", "sh", "-c", script, sys.executable, "-c", _PROGRAM]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def run(self, message: bytes) -> Any:
        """Have it call what is in a message, and return what that returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(struct.pack("Q", len(message)) + message)
        self._process.stdin.flush()
        (length,) = struct.unpack("Q", self._process.stdout.read(8))
        return pickle.loads(self._process.stdout.read(length))

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class Cluster(Executor):
    """
    An executor whose workers are some nodes.

    Args:
        nodes: Each does one thing at a time.
    """

    def __init__(self, *nodes: Node) -> None:
        self._nodes = nodes
        self._free: queue.Queue[Node] = queue.Queue()
        for node in nodes:
            self._free.put(node)
        self._pool = ThreadPoolExecutor(len(nodes))

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Send it to a node that is free."""
        return self._pool.submit(self._run, pickle.dumps((function, args)))

    def _run(self, message: bytes) -> Any:
        node = self._free.get()
        try:
            return node.run(message)
        finally:
            self._free.put(node)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self._nodes:
            node.end()
        self._pool.shutdown()
