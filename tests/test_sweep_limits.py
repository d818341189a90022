"""The order of a sweep's points, and how long it may take: judged by recorded runs, and by those it has made."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from entropic import Store, grid
from entropic._sweep import SweepOptions
from entropic.errors import SweepError
from entropic.reports import SweepProgress

LONG_AGO = datetime(2020, 1, 1)


def record(store: Store, n: float, seconds: float) -> None:
    """Record a run that took so long."""
    path = store.results_dir / f"{n}.txt"
    path.write_text("x")
    store.register({"n": n}, path, elapsed_seconds=seconds)


def write(params: dict[str, Any], result_path: Path) -> None:
    """A runner that leaves a line of each run in the test's folder."""
    descriptor = os.open("runs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{params['n']}\n".encode())
    os.close(descriptor)
    result_path.write_text(str(params["n"]))


def runs() -> list[float]:
    """The points that have run, in their order."""
    log = Path("runs.log")
    return [float(line) for line in log.read_text().split()] if log.exists() else []


@pytest.fixture
def timed(store: Store) -> Store:
    """A store with runs that took as many seconds as their parameter says."""
    for n in (1.0, 10.0, 100.0, 1000.0):
        record(store, n, n)
    return store


# ---- the order ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_lazy", [False, True])
def test_the_longest_first(timed: Store, is_lazy: bool) -> None:
    """As recorded runs tell; the records come in the order that was given, from a generator that uses one dict too."""
    numbers = [2.0, 500.0, 10.0, 30.0, 500.0, 4.0]

    def points() -> Iterator[dict[str, float]]:
        point: dict[str, float] = {}
        for point["n"] in numbers:
            yield point

    records = timed.sweep(points() if is_lazy else [{"n": n} for n in numbers], write, order="longest")

    assert [one.params["n"] for one in records] == numbers
    assert runs() == [500.0, 30.0, 4.0, 2.0]


def test_without_a_run_that_tells_the_order_stays(store: Store) -> None:
    """As by default."""
    store.sweep(grid(n=[3, 1, 2]), write, order="longest")

    assert runs() == [3, 1, 2]


def test_a_bad_point_is_as_bad_in_any_order(timed: Store) -> None:
    """The first one is refused before anything runs; a later one is a failure of its own."""
    with pytest.raises(TypeError, match="Cannot hash parameter 'n'"):
        timed.sweep([{"n": object()}, {"n": 2.0}], write, order="longest")
    assert runs() == []

    with pytest.raises(SweepError) as caught:
        timed.sweep([{"n": 2.0}, 7, {"n": object()}, {"n": 3.0}], write, order="longest")
    assert [str(type(failure.point)) for failure in caught.value.failures] == ["<class 'int'>", "<class 'dict'>"]
    assert runs() == [3.0, 2.0]


def test_places_are_right_on_workers(timed: Store) -> None:
    """Whatever comes back first."""
    numbers = [float(n) for n in range(2, 60)]

    records = timed.sweep(grid(n=numbers), write, order="longest", workers=2)

    assert [one.params["n"] for one in records] == numbers


# ---- how long it may take -------------------------------------------------------------------------------------------

WAYS: dict[str, Callable[[], dict[str, Any]]] = {
    "serial": dict,
    "threads": lambda: {"executor": ThreadPoolExecutor(2)},
    "a process pool": lambda: {"executor": ProcessPoolExecutor(2, mp_context=get_context("fork"))},
    "workers": lambda: {"workers": 2},
}


@pytest.fixture(params=WAYS)
def where(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The ways to run a sweep, as its options."""
    options = WAYS[request.param]()
    yield options
    if "executor" in options:
        options["executor"].shutdown()


def test_what_would_not_be_done_in_time_is_not_begun(
    timed: Store, where: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It is in no result and no error, whatever its place; the progress counts it, and the log says so."""
    seen: list[SweepProgress] = []
    numbers = [900.0, 2.0, 10.0, 800.0, 3.0, 900.0, 1000.0]

    records = timed.sweep([{"n": n} for n in numbers], write, budget=400, progress=seen.append, **where)

    assert [one.params["n"] for one in records] == [2.0, 10.0, 3.0, 1000.0]
    assert sorted(runs()) == [2.0, 3.0]
    assert (seen[-1].cached, seen[-1].done, seen[-1].skipped, seen[-1].answered) == (2, 2, 3, 7)
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert said == ["Swept 7 point(s): 2 cached, 2 run here, 3 skipped"]


@pytest.mark.parametrize(
    "limit",
    [
        {"budget": 0},
        {"budget": -3.5},
        {"budget": timedelta(0)},
        {"until": LONG_AGO},
        {"until": LONG_AGO.replace(tzinfo=timezone.utc)},
        {"budget": 1e9, "until": LONG_AGO},
    ],
    ids=repr,
)
def test_when_the_time_is_over_only_what_is_recorded_is_answered(timed: Store, limit: Any, where: Any) -> None:
    """Seconds, a timedelta, a moment, and whichever ends first."""
    records = timed.sweep([{"n": n} for n in (1.0, 2.0, 10.0)], write, **limit, **where)

    assert [one.params["n"] for one in records] == [1.0, 10.0]
    assert runs() == []


def test_a_budget_without_end_is_none(store: Store) -> None:
    """Such as the time left of a job that may take as long as it does."""
    assert len(store.sweep(grid(n=[1, 2]), write, budget=float("inf"), until=None)) == 2


def test_an_error_tells_what_was_left_besides(timed: Store) -> None:
    """Not all others are recorded then."""

    def runner(params: dict[str, Any], result_path: Path) -> None:
        raise ValueError("bad")

    with pytest.raises(SweepError, match="1 point failed, 2 skipped; all others are recorded") as caught:
        timed.sweep([{"n": n} for n in (1.0, 2.0, 700.0, 800.0)], runner, budget=300)
    assert str(pickle.loads(pickle.dumps(caught.value)).progress) == "1 cached, 1 failed, 2 skipped"


class Clock:
    """A clock of the wall that goes when it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        stopped = SimpleNamespace(time=lambda: self.now)
        for room in ("_expected", "_options"):
            monkeypatch.setattr(f"entropic._sweep.{room}.time", stopped)


def test_the_sweep_learns_from_its_own_runs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is recorded, points are begun until the end; and the next are judged by those."""
    clock = Clock(monkeypatch)

    def runner(params: dict[str, Any], result_path: Path) -> None:
        write(params, result_path)
        clock.now += 10

    def attempt(*args: Any, **kwargs: Any) -> Any:
        report = true_attempt(*args, **kwargs)
        return report._replace(seconds=10.0)

    from entropic._sweep import _engine

    true_attempt = _engine.attempt
    monkeypatch.setattr(_engine, "attempt", attempt)
    records = store.sweep(grid(n=[*range(1, 9)]), runner, budget=35)

    assert [one.params["n"] for one in records] == [1, 2, 3]  # a fourth one would end five seconds late


def test_others_are_waited_for_no_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the budget what others have under way is left to them."""
    clock = Clock(monkeypatch)
    seen: list[SweepProgress] = []

    def runner(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("x")
        clock.now += 10

    with store._engine.flights.lead(store._engine.key_of({"n": 1}, None).params_hash), ThreadPoolExecutor(1) as thread:
        records = thread.submit(
            store.sweep, grid(n=[1, 2]), runner, budget=5, progress=lambda one: seen.append(one)
        ).result(60)

    assert [one.params["n"] for one in records] == [2]
    assert str(seen[-1]) == "1 run here, 1 under way elsewhere"


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"order": "shortest"}, ValueError, "order='shortest': it is one of 'given', 'longest'"),
        ({"budget": "1h"}, ValueError, "budget='1h': give seconds, or a datetime.timedelta"),
        ({"budget": True}, ValueError, "budget=True"),
        ({"budget": float("nan")}, ValueError, "budget=nan"),
        ({"until": 12.5}, TypeError, "until=12.5: give a datetime"),
    ],
)
def test_limits_are_looked_at_first(store: Store, options: Any, kind: type[Exception], said: str) -> None:
    """Before a point is drawn."""
    with pytest.raises(kind, match="Cannot use " + said.replace("(", r"\(")):
        store.sweep(iter([{"n": 1}]), write, **options)
    assert runs() == []


def test_options_are_checked_and_stay() -> None:
    """By name only those there are; once checked, they are not changed, and a change of some is checked as well."""
    options = SweepOptions(workers=2, on_error="skip")

    assert (options.workers, options.on_error, options.order) == (2, "skip", "given")
    assert options.replaced(workers=3).as_dict() == {**options.as_dict(), "workers": 3}
    with pytest.raises(TypeError, match="has executor, workers"):
        SweepOptions(worker=2)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="Cannot set workers"):
        options.workers = 0  # type: ignore[misc]
    with pytest.raises(ValueError, match="workers=0"):
        options.replaced(workers=0)
