"""Sweeps of coroutine functions: their points overlap, so many at a time, and end with the sweep."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic import Store, cached, grid
from entropic._sweep import _coroutines
from entropic.errors import ReentrantRunError, RunStopped, SweepError
from entropic.reports import SweepProgress

LONG_SECONDS = 60


class Meeting:
    """Lets coroutines go on when so many are in at once; knows how many that were at most."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.present = self.most = 0
        self.has_met: asyncio.Event | None = None

    async def attend(self) -> None:
        """Wait for the others."""
        self.has_met = self.has_met or asyncio.Event()
        self.present += 1
        self.most = max(self.most, self.present)
        if self.present == self.count:
            self.has_met.set()
        await asyncio.wait_for(self.has_met.wait(), LONG_SECONDS)
        self.present -= 1


meeting = Meeting(1)
staying: list[int] = []
cancelled: list[int] = []
threads: set[str] = set()


async def meet(n: int, *, result_path: Path) -> None:
    """Wait for others; a name of the module's, so that what it holds is no part of a key."""
    threads.add(threading.current_thread().name)
    await meeting.attend()
    result_path.write_text(str(n))


async def fail(n: int, *, result_path: Path) -> None:
    """Fail in several ways."""
    await asyncio.sleep(0)
    if n == 1:
        raise ValueError("bad")
    if n == 2:
        sys.exit("enough")
    if n == 3:
        raise asyncio.CancelledError
    result_path.write_text(str(n))


async def stay(n: int, *, result_path: Path) -> None:
    """Stay for ever, but for the first point, which goes when three others are in; tidy up when cancelled."""
    if n == 0:
        while len(staying) < 3:
            await asyncio.sleep(0)
        result_path.write_text("0")
        return
    staying.append(n)
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        cancelled.append(n)
        raise


@pytest.fixture
def decorated(store: Store) -> Callable[[Any], Any]:
    """Decorates on the test's store; what the functions of this module hold is not looked at."""
    return cached(store, on_change="ignore")


@pytest.mark.parametrize("count", [2, 5])
def test_so_many_at_a_time(decorated: Any, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """As many as were asked for meet, and never more; the records come in the order of the points."""
    monkeypatch.setitem(globals(), "meeting", Meeting(count))

    records = decorated(meet).sweep(grid(n=range(20)), concurrency=count)

    assert meeting.most == count
    assert [record.result_path.read_text() for record in records] == [str(n) for n in range(20)]


def test_they_overlap_by_default(decorated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are processors."""
    monkeypatch.setitem(globals(), "meeting", Meeting(3))
    monkeypatch.setattr("entropic._sweep._sweep.worker_count", lambda _: 3)

    assert len(decorated(meet).sweep(grid(n=range(6)))) == 6


def test_one_at_a_time_is_here(decorated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the thread of the caller, for what is bound to it."""
    monkeypatch.setitem(globals(), "meeting", Meeting(1))
    threads.clear()

    decorated(meet).sweep(grid(n=range(3)), concurrency=1)

    assert (meeting.most, threads) == (1, {threading.current_thread().name})


def test_an_error_is_that_of_its_point(decorated: Any) -> None:
    """Whatever is raised, the others go on."""
    with pytest.raises(SweepError) as caught:
        decorated(fail).sweep(grid(n=range(8)), concurrency=3)

    assert [record.params["n"] for record in caught.value.records] == [0, 4, 5, 6, 7]
    kinds = [type(failure.error) for failure in caught.value.failures]
    assert kinds == [ValueError, SystemExit, asyncio.CancelledError]


def test_a_loop_left_early_cancels_what_runs(store: Store, decorated: Any) -> None:
    """Each tidies up, nothing is left behind, and what was recorded stays."""
    staying.clear()
    cancelled.clear()
    before = threading.active_count()

    stream = decorated(stay).sweep_as_completed(grid(n=range(4)), concurrency=4)
    assert next(stream)[0] == {"n": 0}
    stream.close()

    assert sorted(cancelled) == [1, 2, 3]
    assert threading.active_count() == before
    assert [record.params["n"] for record in store.list()] == [0]
    assert store.check().leftovers == []


INTERRUPTED = """
import asyncio, entropic
store = entropic.Store("results", "runs.json", file_suffix=".txt")
@entropic.cached(store)
async def stay(n, *, result_path):
    if n == 0:
        result_path.write_text("0")
        return
    print("begun", flush=True)
    try:
        await asyncio.sleep(3600)
    finally:
        print("tidied up", flush=True)
stay.sweep(entropic.grid(n=range(3)), concurrency=3)
"""


def test_an_interrupt_ends_them(tmp_path: Path) -> None:
    """Ctrl-C cancels the coroutines, and passes."""
    Path("study.py").write_text(INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, "study.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert [process.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
            process.send_signal(signal.SIGINT)
            said, error = process.communicate(timeout=LONG_SECONDS)
        finally:
            process.kill()

    assert said == "tidied up\n" * 2
    assert error.rstrip().endswith("KeyboardInterrupt")
    with Store("results", "runs.json") as store:
        assert [record.params["n"] for record in store.list()] == [0]


has_begun, may_go_on = threading.Event(), threading.Event()


async def hold(n: int, result_path: Path) -> None:
    has_begun.set()
    may_go_on.wait(LONG_SECONDS)  # with the loop: what comes meanwhile, it hears of in one go
    await asyncio.sleep(LONG_SECONDS)


def test_what_is_cancelled_before_its_first_step_is_not_waited_for(
    decorated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt that comes right after a point was handed out: nothing of that runs yet that could tidy up."""
    call, cancels = _coroutines._Loop.call, []
    has_begun.clear()
    may_go_on.clear()

    def noted(self: Any, function: Callable[..., Any], *args: Any) -> None:
        call(self, function, *args)
        if function.__name__ == "_cancel":
            cancels.append(function)
            may_go_on.set()

    def points() -> Iterator[dict[str, Any]]:
        yield {"n": 0}
        has_begun.wait(LONG_SECONDS)
        yield {"n": 1}
        raise KeyboardInterrupt

    monkeypatch.setattr(_coroutines._Loop, "call", noted)
    with pytest.raises(KeyboardInterrupt):
        decorated(hold).sweep(points(), concurrency=9, progress=False)

    assert len(cancels) < 5, "until the time for tidying up was over"


def test_they_share_with_others(store: Store, decorated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way elsewhere is passed over, by coroutines too."""
    monkeypatch.setitem(globals(), "meeting", Meeting(2))
    function, seen = decorated(meet), list[SweepProgress]()

    with store._engine.flights.lead(function.key(1)):
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(
                function.sweep(grid(n=range(4)), concurrency=2, wait=False, progress=seen.append)
            )
        )
        thread.start()
        thread.join(LONG_SECONDS)

    assert [record.params["n"] for record in answers[0]] == [0, 2, 3]
    assert str(seen[-1]) == "3 run here, 1 under way elsewhere"


async def stop(n: int, *, result_path: Path) -> None:
    """Stop at one point."""
    await asyncio.sleep(0)
    if n == 5:
        entropic.stop_here("enough")
    result_path.write_text(str(n))


def test_one_that_stops_ends_the_sweep(store: Store, decorated: Any) -> None:
    """Those under way are waited for, and no further ones begin."""
    with pytest.raises(RunStopped, match="enough"):
        decorated(stop).sweep(({"n": n} for n in range(100_000)), concurrency=2)

    recorded = {record.params["n"] for record in store.list()}
    assert {0, 1, 2, 3, 4} <= recorded
    assert 5 not in recorded
    assert len(recorded) < 100_000
    assert store.check().leftovers == []


async def again(n: int, *, result_path: Path) -> None:
    """Sweep over itself."""
    function = loops[0]
    await asyncio.to_thread(function.sweep, [{"n": n}], concurrency=2)


loops: list[Any] = []


def test_a_sweep_within_its_own_point_is_recognised(decorated: Any) -> None:
    """In the loop of the sweep as anywhere else: it would wait for itself."""
    loops[:] = [decorated(again)]

    with pytest.raises(SweepError) as caught:
        loops[0].sweep([{"n": 1}], concurrency=2)

    error = caught.value.failures[0].error
    assert isinstance(error, SweepError)
    assert isinstance(error.failures[0].error, ReentrantRunError)


def test_in_an_event_loop_a_sweep_has_a_thread(decorated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the error says that is raised without one."""
    monkeypatch.setitem(globals(), "meeting", Meeting(2))
    function = decorated(meet)

    async def main() -> int:
        with pytest.raises(TypeError, match=r"await asyncio\.to_thread"):
            function.sweep(grid(n=range(4)))
        return len(await asyncio.to_thread(function.sweep, grid(n=range(4)), concurrency=2))

    assert asyncio.run(main()) == 4


def write(params: dict[str, Any], result_path: Path) -> None:
    """A runner that is no coroutine."""
    result_path.write_text("x")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"concurrency": 2}, TypeError),
        ({"concurrency": 0}, ValueError),
        ({"concurrency": True}, ValueError),
        ({"concurrency": 2, "workers": 2}, TypeError),
    ],
)
def test_a_bound_is_for_coroutines(store: Store, options: Any, kind: type[Exception]) -> None:
    """And a number of them."""
    with pytest.raises(kind, match="concurrency="):
        store.sweep(grid(n=[1]), write, **options)
