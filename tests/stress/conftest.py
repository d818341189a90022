"""Processes for the stress tests: started together, ended always."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., "subprocess.Popen[str]"]


EACH_IN_A_CHILD = """
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            child(int(line))
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def start_forking(start: Start) -> Start:
    """As `start`, of code whose function ``child`` is called in a forked child for each number in the input."""
    return lambda code, *args: start(code + EACH_IN_A_CHILD, *args)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start Python code in a process of its own, in the test's folder; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.kill()
        with contextlib.suppress(ValueError):
            process.communicate()


# Forks of one process, since to start as many interpreters takes longer than what they are started for. Each ends as a
# process does that was started by itself.
FORKS = """
import json, os, sys
before, code, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
exec(before)
is_ready, ready = os.pipe()
may_begin, begins = os.pipe()
def begin():
    os.write(ready, b".")
    os.read(may_begin, 1)  # until all that could write to it have closed it
children = []
for number, argument in enumerate(arguments):
    children.append(os.fork())
    if children[-1] == 0:
        os.close(begins)
        break
else:
    for _ in children:
        os.read(is_ready, 1)
    os.close(begins)
    sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
try:
    exec(code)
except BaseException:
    os.write(ready, b".")  # nobody waits for it
    raise
with open(f"answer{number}", "w") as file:
    json.dump(answer, file)
"""
Together = Callable[..., list[Any]]


@pytest.fixture
def together(start: Start, tmp_path: Path) -> Together:
    """
    Run code in as many processes as there are arguments, and return the ``answer`` of each.

    The code finds its ``argument``, and calls ``begin()`` where it is to wait for all others. What comes *before* is
    imported once for all.
    """

    def together(code: str, arguments: list[Any], before: str = "import entropic.store") -> list[Any]:
        process = start(FORKS, before, code, json.dumps(arguments))
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        return [json.loads((tmp_path / f"answer{number}").read_text()) for number in range(len(arguments))]

    return together


@pytest.fixture(autouse=True)
def _no_descriptor_left() -> Iterator[None]:
    """No stress leaves a descriptor open."""
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
