"""Single flight: threads, processes, coroutines; who leads, who waits, and what is left behind."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import ctypes
import errno
import gc
import json
import linecache
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached
from entropic._fs import has_byte_locks
from entropic._locks import (
    ByteLocks,
    LockFiles,
    SingleFlight,
    UnderWayElsewhere,
    _byte_locks,
    _flights,
    _lock_files,
    _tickets,
    dead_locks,
)
from entropic._locks._lock_files import lock_file, remove_dead_locks
from entropic.errors import ReentrantRunError, StoreWriteError
from entropic.hashing import hash_params

OUR_FILES = {module.__file__ for module in (_flights, _byte_locks, _lock_files, _tickets)}
KEY = "00000000000000aa"
OTHER = "00000000000000bb"


@pytest.fixture(autouse=True)
def _no_descriptor_left(_own_folder: None) -> Iterator[None]:
    """No test leaves a descriptor open."""
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def byte_locks(folder: Path) -> ByteLocks:
    """Byte locks of a file beside the folder in which lock files would be."""
    return ByteLocks(f"{folder}.bytes", LockFiles(str(folder)), lambda _: "somebody")


def file_locks(folder: Path) -> LockFiles:
    """A lock file for each key, in a folder."""
    return LockFiles(str(folder))


Kind = Callable[[Path], ByteLocks | LockFiles]


@pytest.fixture(params=[byte_locks, file_locks])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Makes the locks of a folder; what is promised of one kind is promised of the other."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def flights(tmp_path: Path, kind: Kind) -> Iterator[SingleFlight]:
    """The flights of one folder."""
    locks = kind(tmp_path / "locks")
    yield SingleFlight(locks)
    locks.close()


@pytest.fixture
def file_flights(tmp_path: Path) -> SingleFlight:
    """The flights of one folder, with lock files."""
    return SingleFlight(file_locks(tmp_path / "locks"))


@pytest.fixture
def lock_files(tmp_path: Path) -> Callable[[], list[str]]:
    """Names of the lock files there are."""
    folder = tmp_path / "locks"
    return lambda: sorted(os.listdir(folder)) if folder.is_dir() else []


@pytest.fixture
def threads() -> Iterator[Callable[..., concurrent.futures.Future[Any]]]:
    """Start a function in a thread of its own; all have ended when the test has."""
    with concurrent.futures.ThreadPoolExecutor(128) as pool:
        yield pool.submit


HOLDER = """
import os, sys
from entropic._locks import ByteLocks, LockFiles, SingleFlight
locks = LockFiles(sys.argv[1])
if sys.argv[3] == "byte_locks":
    locks = ByteLocks(sys.argv[1] + ".bytes", locks, str)
flights = SingleFlight(locks)
with flights.lead(sys.argv[2]):
    print("leading", flush=True)
    sys.stdin.readline()
print("left", flush=True)
"""


@contextlib.contextmanager
def other_process(
    folder: Path, key: str = KEY, kind: Kind = file_locks, code: str = HOLDER
) -> Iterator[subprocess.Popen[str]]:
    """A process that leads a key until it is told to go on."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder), key, kind.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "leading\n"
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()


# Functions to decorate stand here, since what a function closes over is part of its key.
CACHED: dict[str, Any] = {}
RUNS: list[int] = []


def part(n: int, *, result_path: Path) -> None:
    result_path.write_text(str(n))


def recursive_sum(n: int, *, result_path: Path) -> None:
    below = CACHED["sum"](n - 1) if n else CACHED["part"](0)
    result_path.write_text(below.result_path.read_text() + "+")


def loop(n: int, *, result_path: Path) -> None:
    CACHED["loop"](n)


def threaded_loop(n: int, *, result_path: Path) -> None:
    asyncio.run(in_thread(CACHED["threaded loop"], n))


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(function, *args)


async def whole(n: int, *, result_path: Path) -> None:
    records = await asyncio.gather(*(asyncio.to_thread(CACHED["part"], k % 2) for k in range(8)))
    result_path.write_text("".join(record.result_path.read_text() for record in records))


async def counted(n: int, *, result_path: Path) -> None:
    RUNS.append(n)
    await asyncio.sleep(0.01)
    await asyncio.to_thread(result_path.write_text, "x")


async def stuck_once(n: int, *, result_path: Path) -> None:
    RUNS.append(n)
    if len(RUNS) == 1:
        await asyncio.Event().wait()
    result_path.write_text("x")


def decorate(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """Put the functions above on a store."""
    functions = {"part": part, "sum": recursive_sum, "loop": loop, "threaded loop": threaded_loop}
    coroutines = {"whole": whole, "counted": counted, "stuck once": stuck_once}
    for name, function in {**functions, **coroutines}.items():
        monkeypatch.setitem(CACHED, name, cached(store, name=name)(function))
    RUNS.clear()


def waiting(flights: SingleFlight, key: str, count: int) -> None:
    """Return once so many stand in line, the leader included."""
    while len(flights._lines.get(key, ())) < count:
        threading.Event().wait(0.0005)


# ---- threads -------------------------------------------------------------------------------------------------


def test_one_thread_leads_at_a_time(flights: SingleFlight, threads: Any) -> None:
    """Of 64 threads that want one key, never two are inside."""
    inside, most, together = [0], [0], threading.Barrier(64)

    def visit() -> None:
        together.wait()
        with flights.lead(KEY):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1

    for visit_ in [threads(visit) for _ in range(64)]:
        visit_.result()

    assert most == [1]
    assert flights._lines == {}


def test_who_does_not_wait_is_turned_away(flights: SingleFlight, threads: Any, lock_files: Any) -> None:
    """At once, while another thread leads; with the answer, if there is one; and nothing is left of it."""

    def pass_by(answer: str | None = None) -> str | None:
        with flights.lead(KEY, lambda: answer, waits=False) as found:
            return found or "led"

    assert not flights.is_led(KEY)
    with flights.lead(KEY):
        assert threads(flights.is_led, KEY).result()
        assert not threads(flights.is_led, OTHER).result()
        with pytest.raises(UnderWayElsewhere):
            threads(pass_by).result()
        assert threads(pass_by, "an answer").result() == "an answer"
    assert not flights.is_led(KEY)
    assert pass_by() == "led"
    assert flights._lines == {}
    assert lock_files() == []


def test_who_does_not_wait_is_turned_away_by_another_process(
    flights: SingleFlight, kind: Kind, tmp_path: Path, lock_files: Any
) -> None:
    """By its lock, which is free when it has left, or was killed."""
    for is_killed in (False, True):
        with other_process(tmp_path / "locks", kind=kind) as process:
            assert flights.is_led(KEY)
            with pytest.raises(UnderWayElsewhere), flights.lead(KEY, waits=False):
                pass
            process.kill() if is_killed else process.communicate("\n")
            process.wait()
            assert not flights.is_led(KEY)
            with flights.lead(KEY, waits=False) as found:
                assert found is None
    assert lock_files() == []


def test_a_coroutine_that_does_not_wait_is_turned_away(flights: SingleFlight) -> None:
    """As a thread is."""

    async def pass_by() -> str:
        async with flights.lead(KEY, waits=False):
            return "led"

    async def main() -> None:
        async with flights.lead(KEY):
            with pytest.raises(UnderWayElsewhere):
                await contextvars.Context().run(asyncio.ensure_future, pass_by())
        assert await pass_by() == "led"

    asyncio.run(main())


def test_threads_lead_in_the_order_they_came(flights: SingleFlight, threads: Any) -> None:
    """A line is a line."""
    order: list[int] = []

    def visit(number: int) -> None:
        with flights.lead(KEY):
            order.append(number)

    with flights.lead(KEY):
        visits = []
        for number in range(10):
            visits.append(threads(visit, number))
            waiting(flights, KEY, number + 2)
    for visit_ in visits:
        visit_.result()

    assert order == list(range(10))


def test_a_failing_leader_hands_over_to_one_follower(store: Store, threads: Any) -> None:
    """64 threads, nine leaders that fail one after the other: ten runs, never two at once, 55 records shared."""
    runs, inside, together = [0], [0], threading.Barrier(64)

    def runner(params: dict[str, Any], path: Path) -> None:
        runs[0] += 1
        inside[0] += 1
        assert inside[0] == 1
        path.write_text("x")
        inside[0] -= 1
        if runs[0] < 10:
            raise ValueError(runs[0])

    def ask() -> Any:
        together.wait()
        return store.run_or_retrieve({"n": 1}, runner)

    asked = [threads(ask) for _ in range(64)]
    failed = [future.exception() for future in asked if future.exception() is not None]
    records = [future.result() for future in asked if future.exception() is None]

    assert runs == [10]
    assert sorted(error.args[0] for error in failed) == list(range(1, 10))
    assert len(records) == 55
    assert all(record == records[0] for record in records)


def test_different_keys_never_wait_for_one_another(flights: SingleFlight, threads: Any) -> None:
    """A key that is led does not hold up another."""

    def visit() -> bool:
        with flights.lead(OTHER):
            return True

    with flights.lead(KEY):
        assert threads(visit).result(timeout=120)


def test_two_flights_of_one_folder_in_one_process(tmp_path: Path, threads: Any, kind: Kind) -> None:
    """Two stores on one folder share its flights, although they do not know of each other."""
    first, second = SingleFlight(kind(tmp_path / "locks")), SingleFlight(kind(tmp_path / "locks"))
    inside = threading.Event()

    def visit() -> bool:
        with second.lead(KEY):
            return inside.is_set()

    with first.lead(KEY):
        visit_ = threads(visit)
        assert kind(tmp_path / "locks").try_lock(KEY) is None
        inside.set()

    assert visit_.result(timeout=120)


# ---- within oneself ------------------------------------------------------------------------------------------


def test_the_same_key_from_within_is_an_error(file_flights: SingleFlight, lock_files: Any) -> None:
    """To wait for oneself would be for ever."""
    with file_flights.lead(KEY), pytest.raises(ReentrantRunError, match=KEY), file_flights.lead(KEY):
        pass

    assert lock_files() == []


def test_the_same_key_from_within_through_another_store(tmp_path: Path) -> None:
    """Nor does a second store on the folder help, even one that knows it by another name."""
    (tmp_path / "results").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "results")
    with Store("results", "runs.json") as store, Store("alias", "runs.json") as alias:

        def inner(params: dict[str, Any], path: Path) -> None:
            path.write_text("x")

        with pytest.raises(ReentrantRunError):
            store.run_or_retrieve({"n": 1}, lambda params, path: alias.run_or_retrieve(params, inner))


def test_cached_calls_within_cached_calls(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached function may call another, or itself with other arguments; not itself with the same ones."""
    decorate(monkeypatch, store)

    assert CACHED["sum"](3).result_path.read_text() == "0++++"
    with pytest.raises(ReentrantRunError):
        CACHED["loop"](1)
    assert CACHED["loop"].cache_info().currsize == 0


def test_a_flight_that_is_over_is_not_within_anything(flights: SingleFlight) -> None:
    """A task begun by a leader and still alive after it may lead the key itself."""

    async def later(may_go: asyncio.Event) -> bool:
        await may_go.wait()
        async with flights.lead(KEY):
            return True

    async def main() -> bool:
        may_go = asyncio.Event()
        async with flights.lead(KEY):
            task = asyncio.create_task(later(may_go))
        may_go.set()
        return await task

    assert asyncio.run(main())


# ---- coroutines ----------------------------------------------------------------------------------------------


def test_the_event_loop_is_free_while_coroutines_wait(flights: SingleFlight, threads: Any) -> None:
    """Coroutines wait for a thread; the loop goes on meanwhile."""
    leading, may_leave = threading.Event(), threading.Event()

    def thread() -> None:
        with flights.lead(KEY):
            leading.set()
            may_leave.wait()

    async def visit() -> bool:
        async with flights.lead(KEY):
            return may_leave.is_set()

    async def main() -> list[bool]:
        visits = [asyncio.create_task(visit()) for _ in range(20)]
        while len(flights._lines[KEY]) < 21:
            await asyncio.sleep(0)
        may_leave.set()
        return await asyncio.gather(*visits)

    leader = threads(thread)
    leading.wait()

    assert asyncio.run(main()) == [True] * 20
    leader.result()
    assert flights._lines == {}


def test_the_event_loop_is_free_while_it_waits_for_a_process(flights: SingleFlight, tmp_path: Path, kind: Kind) -> None:
    """The wait for a lock file is a wait of one coroutine, not of the loop."""

    async def main(process: subprocess.Popen[str]) -> bool:
        async def visit() -> bool:
            async with flights.lead(KEY):
                return process.poll() is None

        task = asyncio.create_task(visit())
        for _ in range(50):
            await asyncio.sleep(0)
        assert not task.done()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        return await task

    with other_process(tmp_path / "locks", kind=kind) as process:
        asyncio.run(main(process))


def test_one_run_for_many_coroutines(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 awaited calls of one point: one run, and the loop was free for the runner."""
    decorate(monkeypatch, store)

    async def main() -> list[Any]:
        return await asyncio.gather(*(CACHED["counted"](1) for _ in range(64)))

    records = asyncio.run(main())

    assert RUNS == [1]
    assert all(record == records[0] for record in records)


def test_a_leader_may_use_threads_that_call_cached_functions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """``asyncio.to_thread`` inherits what its leader leads: another key is fine, the same one an error."""
    decorate(monkeypatch, store)

    assert asyncio.run(CACHED["whole"](1)).result_path.read_text() == "01010101"
    with pytest.raises(ReentrantRunError):
        CACHED["threaded loop"](1)


def test_cancelled_followers_hand_over(flights: SingleFlight) -> None:
    """Whoever is cancelled in line, at the front or in the middle, holds up nobody."""
    seen: list[int] = []

    async def visit(number: int) -> None:
        async with flights.lead(KEY):
            seen.append(number)

    async def lead(may_leave: asyncio.Event) -> None:
        async with flights.lead(KEY):
            await may_leave.wait()

    async def main() -> None:
        leader = asyncio.create_task(lead(may_leave := asyncio.Event()))
        tasks = [asyncio.create_task(visit(number)) for number in range(6)]
        while len(flights._lines.get(KEY, ())) < 7:
            await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[3].cancel()
        may_leave.set()
        await leader
        # The front has been woken, and is cancelled before it comes to see it.
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())

    assert seen == [2, 4, 5]
    assert flights._lines == {}


def test_a_cancelled_leader_hands_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while it runs: nothing recorded, and a follower runs."""
    decorate(monkeypatch, store)

    async def main() -> Any:
        simulate = CACHED["stuck once"]
        leader, follower = asyncio.create_task(simulate(1)), asyncio.create_task(simulate(1))
        while not RUNS:
            await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        return await follower

    assert asyncio.run(main()).result_path.read_text() == "x"
    assert RUNS == [1, 1]
    assert len(store.list()) == 1


def test_an_event_loop_that_ended_holds_up_nobody(flights: SingleFlight) -> None:
    """Coroutines of a closed loop have left the line, whether they waited or led."""
    loop = asyncio.new_event_loop()

    async def visit() -> None:
        async with flights.lead(KEY):
            await asyncio.Event().wait()

    async def start() -> None:
        tasks.update(asyncio.ensure_future(visit()) for _ in range(3))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    tasks: set[asyncio.Future[None]] = set()
    loop.run_until_complete(start())
    logging.getLogger("asyncio").disabled = True  # "Task was destroyed but it is pending!"
    try:
        loop.close()
        tasks.clear()
        gc.collect()
    finally:
        logging.getLogger("asyncio").disabled = False

    with flights.lead(KEY):
        assert len(flights._lines[KEY]) == 1


# ---- processes -----------------------------------------------------------------------------------------------


def test_a_process_waits_for_another(flights: SingleFlight, tmp_path: Path, kind: Kind, threads: Any) -> None:
    """The key is free when its holder leaves, not before."""
    entered = threading.Event()

    def visit() -> None:
        with flights.lead(KEY):
            entered.set()

    with other_process(tmp_path / "locks", kind=kind) as process:
        follower = threads(visit)
        waiting(flights, KEY, 1)
        assert not entered.wait(0.05)
        out, _ = process.communicate("\n")

    follower.result(timeout=120)
    assert out == "left\n"


def test_a_suspended_holder_keeps_its_lock(flights: SingleFlight, tmp_path: Path, kind: Kind, threads: Any) -> None:
    """SIGSTOP is not death; SIGKILL is, and frees the lock at once."""
    entered = threading.Event()

    def visit() -> None:
        with flights.lead(KEY):
            entered.set()

    with other_process(tmp_path / "locks", kind=kind) as process:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        follower = threads(visit)
        waiting(flights, KEY, 1)
        assert not entered.wait(0.15)
        process.kill()
        assert entered.wait(120)
        follower.result()


def test_a_lock_file_says_who_holds_it(file_flights: SingleFlight, tmp_path: Path) -> None:
    """Host, process and since when."""
    with file_flights.lead(KEY):
        holder = json.loads((tmp_path / "locks" / f"{KEY}.lock").read_text())

    assert holder["host"] == socket.gethostname()
    assert holder["pid"] == os.getpid()
    assert holder["since"].endswith("+00:00")


def test_lock_files_go_with_their_holders(
    file_flights: SingleFlight, tmp_path: Path, lock_files: Callable[[], list[str]]
) -> None:
    """Removed on release; those of the dead by the next to write, those of the living never."""
    with file_flights.lead(KEY):
        assert lock_files() == [f"{KEY}.lock"]
    assert lock_files() == []

    with other_process(tmp_path / "locks", OTHER):
        with other_process(tmp_path / "locks"):
            pass  # killed
        (tmp_path / "locks" / "not-ours").mkdir()
        assert lock_files() == [f"{KEY}.lock", f"{OTHER}.lock", "not-ours"]
        assert dead_locks(str(tmp_path / "locks")) == [tmp_path / "locks" / f"{KEY}.lock"]

        with SingleFlight(LockFiles(str(tmp_path / "locks"))).lead("00000000000000cc"):
            assert lock_files() == [f"{OTHER}.lock", "00000000000000cc.lock", "not-ours"]

    assert remove_dead_locks(str(tmp_path / "locks")) == 1
    assert remove_dead_locks(str(tmp_path / "nowhere")) == 0


def test_a_holder_removes_no_other_holders_file(file_flights: SingleFlight, tmp_path: Path) -> None:
    """Should someone clear the folder, each still removes only the file it has locked."""
    path = tmp_path / "locks" / f"{KEY}.lock"
    with file_flights.lead(KEY):
        path.unlink()
        others = lock_file(str(path), create=True)
        assert others is not None

    assert path.exists()
    assert others.remove()


# ---- patience ------------------------------------------------------------------------------------------------


def test_a_follower_says_whom_it_waits_for(
    file_flights: SingleFlight,
    tmp_path: Path,
    threads: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Threads and coroutines, in line and at the lock file, tell after a while who holds the key."""
    monkeypatch.setattr(_flights, "_PATIENCE_SECONDS", 0.01)

    def visit() -> None:
        with file_flights.lead(KEY):
            pass

    async def visit_async() -> None:
        async with file_flights.lead(KEY):
            pass

    with caplog.at_level(logging.WARNING, "entropic"), other_process(tmp_path / "locks") as process:
        followers = [threads(visit) for _ in range(3)] + [threads(asyncio.run, visit_async())]
        waiting(file_flights, KEY, 4)
        while len({record.threadName for record in caplog.records}) < 4:
            threading.Event().wait(0.005)
        holder = process.pid
        process.kill()
        for follower in followers:
            follower.result(timeout=120)

    told = [record.getMessage() for record in caplog.records]
    assert f"held by process {holder} on {socket.gethostname()} since" in told[0]
    assert f"{KEY}.lock" in told[0]


def test_a_long_wait_does_not_fill_the_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Notices come at growing intervals: an hour of waiting is a dozen lines."""
    now = [0.0]
    monkeypatch.setattr(_flights.time, "monotonic", lambda: now[0])
    waited = _flights._Backoff(LockFiles("nowhere"), KEY)
    longest = 0.0
    for pause in waited.pauses():
        longest = max(longest, pause)
        now[0] += 0.05
        if now[0] > 3600:
            break

    assert longest < 1.0  # so soon does a follower see that its leader has been killed
    assert 5 <= len(caplog.records) <= 15
    assert "another process" in caplog.messages[0]


# ---- interrupts ----------------------------------------------------------------------------------------------


def interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in a thread."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt))


def test_ctrl_c_while_waiting_in_line(flights: SingleFlight, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is interrupted in line leaves it, and those behind are not held up."""
    monkeypatch.setattr(_flights, "_PATIENCE_SECONDS", 0.01)  # an exception set from outside arrives between waits
    ended: list[str] = []

    def visit(name: str) -> None:
        try:
            with flights.lead(KEY):
                ended.append(name)
        except KeyboardInterrupt:
            ended.append(f"{name} interrupted")

    with flights.lead(KEY):
        first, second = (threading.Thread(target=visit, args=(name,)) for name in ("first", "second"))
        first.start()
        waiting(flights, KEY, 2)
        second.start()
        waiting(flights, KEY, 3)
        interrupt(first)
        first.join()
        assert ended == ["first interrupted"]
    second.join()

    assert ended == ["first interrupted", "second"]
    assert flights._lines == {}


def test_ctrl_c_while_waiting_for_a_process(flights: SingleFlight, tmp_path: Path, kind: Kind) -> None:
    """The main thread leaves at once, and leaves nothing behind."""
    with other_process(tmp_path / "locks", kind=kind) as process:
        timer = threading.Timer(0.05, lambda: signal.raise_signal(signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt), flights.lead(KEY):
            pass
        timer.join()
        assert process.poll() is None

    assert flights._lines == {}


def test_an_interrupt_at_any_line_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """An exception out of nowhere at any line of taking a key: nobody behind is held up."""
    monkeypatch.setattr(_flights, "_PATIENCE_SECONDS", 0.01)
    flights = SingleFlight(kind(tmp_path / "locks"))
    interrupted = 0
    for place in range(1, 1000):
        lines = [0]

        def trace(frame: Any, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename not in OUR_FILES:
                return None
            # The line event on leaving a with statement stands where no real interrupt can strike.
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
            if event == "line" and not line.lstrip().startswith("with "):
                lines[0] += 1
                if lines[0] == place:
                    raise KeyboardInterrupt
            return trace

        def leader() -> bool:
            sys.settrace(trace)
            try:
                with flights.lead(KEY):
                    sys.settrace(None)
            except KeyboardInterrupt:
                return True
            finally:
                sys.settrace(None)
            return False

        before = sys.gettrace()
        try:
            was_interrupted = leader()
        finally:
            sys.settrace(before)
        if not was_interrupted:
            break
        interrupted += 1
        with flights.lead(KEY):
            assert len(flights._lines[KEY]) == 1, place
        assert flights._lines == {}, place

    assert interrupted > 40


# ---- trouble -------------------------------------------------------------------------------------------------


def test_a_file_system_without_locks_is_told(flights: SingleFlight, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no locks there is no single flight: say so, before anything runs."""

    def no_locks(*_: Any, **__: Any) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    monkeypatch.setattr("fcntl.fcntl", no_locks)
    with pytest.raises(StoreWriteError, match="may have no locks") as caught, flights.lead(KEY):
        pytest.fail("ran without a lock")

    assert caught.value.errno == errno.ENOLCK
    assert flights._lines == {}


@pytest.mark.parametrize("name", ["open", "ftruncate", "write", "mkdir"])
def test_a_lock_that_cannot_be_taken_is_given_back(
    file_flights: SingleFlight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    lock_files: Callable[[], list[str]],
) -> None:
    """A full disk in the middle of taking a lock: an error that names it, and the next attempt works."""
    if name == "ftruncate":  # there is something to cut off only where a dead holder has left its name
        file_flights.clean_up()
        (tmp_path / "locks").mkdir()
        (tmp_path / "locks" / f"{KEY}.lock").write_text("a process that is gone")

    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(_lock_files.os, name, full)
        with pytest.raises(StoreWriteError, match=r"Cannot lock a run: No space left.*\.lock"), file_flights.lead(KEY):
            pytest.fail("ran without a lock")

    assert lock_files() == []
    with file_flights.lead(KEY):
        assert lock_files() == [f"{KEY}.lock"]


def test_the_folder_of_locks_may_vanish(flights: SingleFlight, tmp_path: Path, kind: Kind) -> None:
    """It is made again, and what is locked there excludes those who come later."""
    for _ in range(2):
        with flights.lead(KEY):
            assert kind(tmp_path / "locks").try_lock(KEY) is None
        shutil.rmtree(tmp_path / "locks", ignore_errors=True)
        (tmp_path / "locks.bytes").unlink(missing_ok=True)


# ---- bytes of one file ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not has_byte_locks(), reason="no byte locks on this system")
class TestByteLocks:
    """What is promised of them alone."""

    def test_nothing_is_made_for_a_key(self, tmp_path: Path) -> None:
        """One empty file, whatever is locked; different keys exclude nobody, the same one everybody."""
        locks, others = byte_locks(tmp_path / "locks"), byte_locks(tmp_path / "locks")
        held = [locks.try_lock(f"{n:016x}") for n in (0, 0xAA, 0xFFFF_FFFF_FFFF_FFFF)]

        assert None not in held
        assert sorted(os.listdir(tmp_path)) == ["locks", "locks.bytes"]
        assert os.listdir(tmp_path / "locks") == []
        assert os.path.getsize(tmp_path / "locks.bytes") == 0
        assert [one.try_lock("ffffffffffffffff") for one in (locks, others)] == [None, None]
        for lock in held:
            assert lock is not None
            lock.release()
            lock.release()
        assert others.try_lock("ffffffffffffffff") is not None

    def test_a_dropped_lock_is_free(self, tmp_path: Path) -> None:
        """As is one whose file has been removed meanwhile."""
        locks, others = byte_locks(tmp_path / "locks"), byte_locks(tmp_path / "locks")
        lock = locks.try_lock(KEY)
        assert others.try_lock(KEY) is None
        del lock

        lock = others.try_lock(KEY)
        assert lock is not None
        (tmp_path / "locks.bytes").unlink()
        assert locks.try_lock(KEY) is None, "it is still being run"
        lock.release()
        assert locks.try_lock(KEY) is not None

    def test_a_second_release_frees_nobody_elses(self, tmp_path: Path) -> None:
        """Not even of this process, which shares the open file."""
        locks, others = byte_locks(tmp_path / "locks"), byte_locks(tmp_path / "locks")
        first = locks.try_lock(KEY)
        assert first is not None
        first.release()
        second = locks.try_lock(KEY)
        first.release()

        assert second is not None
        assert others.try_lock(KEY) is None

    def test_a_forked_child_holds_nothing(self, tmp_path: Path) -> None:
        """The lock ends with the parent's release, though the child lives; and the child's end frees nothing."""
        locks, others = byte_locks(tmp_path / "locks"), byte_locks(tmp_path / "locks")
        lock = locks.try_lock(KEY)
        assert lock is not None
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            lock.release()  # the parent's: nothing of it is freed
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
        assert others.try_lock(KEY) is None
        lock.release()
        assert others.try_lock(KEY) is not None
        os.close(writer)
        os.waitpid(child, 0)
        os.close(reader)

    def test_where_there_are_none_files_are_locked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Some file systems, and systems that only look like Linux, know the locks of whole files alone."""

        def unknown(*_: Any) -> int:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        monkeypatch.setattr("fcntl.fcntl", unknown)
        locks, others = byte_locks(tmp_path / "locks"), byte_locks(tmp_path / "locks")
        with SingleFlight(locks).lead(KEY):
            assert others.try_lock(KEY) is None
            assert os.listdir(tmp_path / "locks") == [f"{KEY}.lock"]
            assert others.place(KEY).endswith(f"{KEY}.lock")
            assert others.holder(KEY).startswith(f"process {os.getpid()} on ")

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        """A store may come from a stranger."""
        (tmp_path / "locks.bytes").symlink_to(tmp_path / "elsewhere")

        with pytest.raises(StoreWriteError, match="Cannot lock a run"):
            byte_locks(tmp_path / "locks").try_lock(KEY)
        assert not (tmp_path / "elsewhere").exists()


def test_the_log_says_who_runs_a_key(tmp_path: Path) -> None:
    """A store knows it by the staging folder, whose session says which process it is of."""
    with Store("results", "runs.json") as store:
        told: list[str] = []

        def runner(params: dict[str, Any], path: Path) -> None:
            told.append(store._engine.flights._locks.holder(hash_params(params)))
            path.write_text("x")

        store.run_or_retrieve({"n": 1}, runner)

    assert told[0].startswith(f"process {os.getpid()} on {socket.gethostname()} since ")
