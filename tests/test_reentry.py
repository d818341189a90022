"""Code that comes in at any line of taking and leaving a key: interrupts, signal handlers, the end of coroutines."""

from __future__ import annotations

import asyncio
import gc
import linecache
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from entropic._locks import ByteLocks, LockFiles, SingleFlight, _flights, _lock_files, _tickets
from entropic._results import StagingArea, _sessions, _staging

KEY, OTHER = "00000000000000aa", "00000000000000bb"
LOCKS = frozenset({_flights.__file__, _lock_files.__file__, _tickets.__file__})
STAGES = frozenset({_staging.__file__, _sessions.__file__})


class AtLine:
    """Does something before the n-th line of some files; for real it would be between two instructions."""

    def __init__(self, files: frozenset[str | None], number: int, action: Callable[[], object]) -> None:
        self._files = files
        self._left = number
        self._action = action
        self.where = ""

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        # The line event on leaving a with statement stands where nothing can come in.
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and not line.lstrip().startswith("with "):
            self._left -= 1
            if self._left == 0:
                self.where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} {line.strip()}"
                sys.settrace(None)
                self._action()
                return None
        return self


def at_each_line(
    files: frozenset[str | None], action: Callable[[], object], call: Callable[[], object]
) -> Iterator[tuple[str, BaseException | None]]:
    """Call with the action before each line in turn; yields where it was, and what the call raised."""
    for number in range(1, 5000):
        tracer, raised = AtLine(files, number, action), None
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            call()
        except BaseException as error:
            raised = error
        finally:
            sys.settrace(before)
        if not tracer.where:
            return
        yield tracer.where, raised
    raise AssertionError("the call has no end")


def in_time(call: Callable[[], object], where: str) -> None:
    """Call in another thread, which must be done at once: whoever waits for what was left behind waits longer."""
    done = threading.Event()

    def run() -> None:
        call()
        done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert done.wait(120), where
    thread.join()


@pytest.fixture(params=["bytes", "files"])
def new_flights(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SingleFlight]:
    """Makes flights of one folder, with bytes of a file to lock or with a file for each key."""

    def new() -> SingleFlight:
        files = LockFiles(str(tmp_path / "locks"))
        return SingleFlight(files if request.param == "files" else ByteLocks(str(tmp_path / "keys.lock"), files, str))

    return new


@pytest.fixture
def flights(new_flights: Callable[[], SingleFlight]) -> SingleFlight:
    """The flights of a folder."""
    return new_flights()


def lock_files(folder: Path) -> list[str]:
    """What lies in the folder of lock files, if there is one."""
    return os.listdir(folder / "locks") if (folder / "locks").is_dir() else []


def visit(flights: SingleFlight, key: str = KEY) -> None:
    """Lead a key and leave it."""
    with flights.lead(key):
        pass


def interrupt() -> None:
    raise KeyboardInterrupt


# An exception that strikes in a finaliser is dropped by Python, which tells of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RecursionError])
def test_an_exception_at_any_line_leaves_no_lock(
    new_flights: Callable[[], SingleFlight], tmp_path: Path, error: type[BaseException]
) -> None:
    """Though its traceback is kept, as interactive sessions do, the key is free for us and for others."""
    kept, flights = [], new_flights()

    def fail() -> None:
        raise error

    for where, raised in at_each_line(LOCKS, fail, lambda: visit(flights)):
        kept.append(raised)
        in_time(lambda: visit(flights), where)
        in_time(lambda: visit(new_flights()), where)
        assert lock_files(tmp_path) == [] or not flights._lines, where

    assert len(kept) > 60
    assert lock_files(tmp_path) == []


def test_a_signal_handler_may_run_another_key_at_any_line(flights: SingleFlight) -> None:
    """And the call that it came into goes on."""
    tried = 0
    for where, raised in at_each_line(LOCKS, lambda: visit(flights, OTHER), lambda: visit(flights)):
        assert raised is None, where
        tried += 1

    assert tried > 60
    assert flights._lines == {}


def test_a_coroutine_may_be_ended_by_the_collector_at_any_line(flights: SingleFlight, tmp_path: Path) -> None:
    """One that was given up while it led, and one while it stood in line behind us."""
    loop = asyncio.new_event_loop()
    given_up: list[Coroutine[Any, Any, None]] = []

    async def lead(key: str) -> None:
        async with flights.lead(key):
            await asyncio.Event().wait()

    def give_up() -> None:
        for key in (OTHER, KEY):
            coroutine = lead(key)
            asyncio._set_running_loop(loop)
            try:
                coroutine.send(None)
            finally:
                asyncio._set_running_loop(None)
            given_up.append(coroutine)

    def end() -> None:
        while given_up:
            given_up.pop().close()

    def call() -> None:
        with flights.lead("00000000000000cc"):
            give_up()
            visit(flights, "00000000000000dd")
            end()

    tried = 0
    for where, raised in at_each_line(LOCKS, end, call):
        assert raised is None, where
        end()
        in_time(lambda: visit(flights), where)
        in_time(lambda: visit(flights, OTHER), where)
        tried += 1
    loop.close()
    gc.collect()

    assert tried > 60
    assert lock_files(tmp_path) == []


def test_a_thread_that_waits_may_be_woken_by_its_own_signal_handler(flights: SingleFlight) -> None:
    """What the handler ends is what the thread waits for."""
    loop = asyncio.new_event_loop()

    async def lead() -> None:
        async with flights.lead(KEY):
            await asyncio.Event().wait()

    leader: list[Coroutine[Any, Any, None]] = []

    def call() -> None:
        visit(flights)

    tried = 0
    for number in range(1, 40):
        coroutine = lead()
        asyncio._set_running_loop(loop)
        try:
            coroutine.send(None)
        finally:
            asyncio._set_running_loop(None)
        leader[:] = [coroutine]
        tracer = AtLine(LOCKS, number, coroutine.close)
        outcome: list[object] = []

        def run(tracer: AtLine = tracer, outcome: list[object] = outcome) -> None:
            sys.settrace(tracer)
            try:
                call()
            finally:
                sys.settrace(None)
            outcome.append("led")

        in_time(run, str(number))
        assert outcome == ["led"], tracer.where
        tried += 1
        coroutine.close()
    loop.close()

    assert tried == 39


def test_a_stage_may_be_opened_at_any_line_of_another(tmp_path: Path) -> None:
    """Also while the first session of the process is made; the session of each lasts as long as it does."""

    def open_and_keep() -> None:
        areas[-1].stage(OTHER, ".txt")
        kept.append(areas[-1].stage(OTHER, ".txt"))

    def call() -> None:
        areas.append(StagingArea(str(tmp_path / "results"), durable=False))
        stages.append(areas[-1].stage(KEY, ".txt"))

    areas: list[StagingArea] = []
    stages: list[Any] = []
    kept: list[Any] = []
    tried = 0
    for where, raised in at_each_line(STAGES, lambda: areas and open_and_keep(), call):
        assert raised is None, where
        StagingArea(str(tmp_path / "results"), durable=False).clean_up()
        assert all(stage.path.parent.is_dir() for stage in (*stages, *kept)), where
        for stage in (*stages, *kept):
            stage.discard()
        stages.clear()
        kept.clear()
        areas.clear()
        tried += 1

    assert tried > 30
