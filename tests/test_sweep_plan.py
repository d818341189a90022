"""What a sweep tells: the plan before it, the progress during it, and the time that runs will take."""

from __future__ import annotations

import io
import pickle
import re
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached, grid
from entropic._sweep._progress import SweepProgress, duration
from entropic.errors import MissingExtraError, StaleResultWarning


def record(store: Store, params: dict[str, Any], seconds: float) -> None:
    """A run of so many seconds, without waiting for it."""
    path = Path("made.txt")
    path.write_text("x")
    store.register(params, path, elapsed_seconds=seconds)


# ---- plans ----------------------------------------------------------------------------------------------------------


def test_a_plan_counts(store: Store, runner: Any) -> None:
    """Cached, duplicates and what would run, in its order; nothing runs."""
    store.run_or_retrieve({"n": 2}, runner)
    before = sorted(Path().rglob("*"))

    plan = store.plan([{"n": n} for n in (1, 2, 3, 1, 2, 4)])

    assert (plan.total, plan.cached, plan.duplicates, plan.to_run) == (6, 1, 2, ({"n": 1}, {"n": 3}, {"n": 4}))
    assert runner.count == 1
    assert sorted(Path().rglob("*")) == before
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_a_plan_writes_nothing_where_nothing_is() -> None:
    """No more than the folder that constructing the store has made."""
    plan = Store("results", "runs.json").plan(grid(n=[1, 2]))

    assert str(plan) == "2 points: 0 cached, 2 to run on 1 worker; no recorded run shows how long that takes"
    assert repr(plan) == f"<Plan: {plan}>"
    assert plan.estimated_seconds is None
    assert list(Path().rglob("*")) == [Path("results")]


def test_a_plan_estimates_from_recorded_runs(store: Store) -> None:
    """Of the nearest parameters; shared among the workers, and never less than the longest run."""
    for n, seconds in ((10, 1.0), (100, 10.0), (1000, 100.0)):
        record(store, {"n": n}, seconds)

    assert store.plan([{"n": 10}]).estimated_seconds == 0.0
    alone = store.plan(grid(n=[99, 101])).estimated_seconds
    both = store.plan(grid(n=[99, 101]), workers=2).estimated_seconds
    many = store.plan(grid(n=[99, 101]), workers=50).estimated_seconds
    assert alone == pytest.approx(20, rel=0.05)
    assert both == many == pytest.approx(10, rel=0.05)
    assert "about 20 s on 1 worker" in str(store.plan(grid(n=[99, 101])))


def test_a_plan_of_a_function_asks_its_own_runs(store: Store) -> None:
    """Other functions on the store tell nothing of it."""
    record(store, {"n": 1}, 1000.0)

    @cached(store)
    def simulate(n, *, result_path):
        result_path.write_text("x")

    assert simulate.plan(grid(n=[1, 2])).estimated_seconds is None
    simulate(1)
    plan = simulate.plan(grid(n=[1, 2]))
    assert (plan.cached, plan.to_run) == (1, ({"n": 2},))
    assert 0 < (plan.estimated_seconds or 0) < 10


@pytest.mark.parametrize("points", [[{"n": object()}], [{"n": 1}, 7], {"n": 1}])
def test_a_plan_of_bad_points_is_refused(store: Store, points: Any) -> None:
    """As calls are."""
    with pytest.raises(TypeError):
        store.plan(points)


@pytest.mark.parametrize("workers", [0, -2, 1.5])
def test_a_plan_needs_workers(store: Store, workers: Any) -> None:
    """At least one, or -1 for all there are."""
    with pytest.raises(ValueError, match="1 or more"):
        store.plan([{"n": 1}], workers=workers)


# ---- progress -------------------------------------------------------------------------------------------------------


def test_a_function_is_told(store: Store) -> None:
    """Frozen numbers that add up, at the end if nowhere else."""
    store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
    told: list[SweepProgress] = []

    def runner(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text(str(1 / params["n"]))

    points = [{"n": n} for n in (1, 2, 0, 3, 2)]
    store.sweep(points, runner, progress=told.append, on_error="skip")

    assert told[-1] == SweepProgress(total=5, cached=2, done=2, failed=1, running=0, seconds_left=0.0)
    assert all(one.answered + one.running <= 5 for one in told)
    with pytest.raises(AttributeError):
        told[-1].done = 7  # type: ignore[misc]


def test_progress_of_a_generator_has_no_total(store: Store, runner: Any) -> None:
    """Nor a time left."""
    told: list[SweepProgress] = []

    store.sweep(({"n": n} for n in range(3)), runner, progress=told.append)

    assert (told[-1].total, told[-1].done, told[-1].seconds_left) == (None, 3, None)


def test_progress_goes_on_while_runs_do(store: Store) -> None:
    """A long run is no reason to say nothing: the time left comes from records first."""
    for n in range(3):
        record(store, {"n": n}, 100.0)
    done, told = threading.Event(), []

    def runner(params: dict[str, Any], result_path: Path) -> None:
        assert done.wait(120)
        result_path.write_text("x")

    def tell(progress: SweepProgress) -> None:
        told.append(progress)
        if progress.seconds_left is not None and progress.seconds_left > 50:
            done.set()

    with ThreadPoolExecutor(2) as executor:
        store.sweep([{"n": n} for n in range(6)], runner, executor=executor, progress=tell)

    assert told[-1].done == 3
    assert max(one.running for one in told) == 3


def test_a_sink_that_raises_ends_the_sweep(store: Store, runner: Any) -> None:
    """As points that raise do."""

    def stop(progress: SweepProgress) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        store.sweep(grid(n=range(5)), runner, progress=stop)


def test_a_demanded_bar_needs_tqdm(store: Store, runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to itself, a sweep does without."""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)

    with pytest.raises(MissingExtraError, match=r"entropic\[progress\]"):
        store.sweep(grid(n=[1]), runner, progress=True)
    assert runner.count == 0
    assert len(store.sweep(grid(n=[1]), runner)) == 1


class Terminal(io.StringIO):
    """Someone looks."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("progress", "stream", "is_shown"),
    [(None, Terminal, True), (None, io.StringIO, False), (True, io.StringIO, True), (False, Terminal, False)],
)
def test_a_bar_is_shown_to_who_looks(
    store: Store, runner: Any, monkeypatch: pytest.MonkeyPatch, progress: Any, stream: Any, is_shown: bool
) -> None:
    """On a terminal, or where it is demanded."""
    pytest.importorskip("tqdm")
    monkeypatch.setattr("entropic._sweep._progress._BLINK_SECONDS", 0.0)
    screen = stream()
    monkeypatch.setattr(sys, "stderr", screen)

    store.sweep(grid(n=range(4)), runner, progress=progress)

    assert ("4/4" in screen.getvalue()) is is_shown
    assert ("4/4 [00:00, 4 run here" in screen.getvalue()) is is_shown


def test_a_bar_begins_with_the_time_left(store: Store, runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow terminal cuts its end. When all is done, no time is left, and none is shown."""
    pytest.importorskip("tqdm")
    monkeypatch.setattr("entropic._sweep._progress._BLINK_SECONDS", 0.0)
    monkeypatch.setattr("entropic._sweep._progress._REPORT_SECONDS", 0.0)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)

    store.sweep(grid(n=range(4)), runner)
    shown = screen.getvalue().split("\r")

    assert any(re.search(r"\[00:00, \S+ s left, [1-3] run here\]", line) for line in shown)
    assert shown[-1].strip().endswith("4/4 [00:00, 4 run here]")


def test_a_blink_shows_no_bar(store: Store, runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would only flicker."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)

    store.sweep(grid(n=range(4)), runner)

    assert screen.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 s"), (9.96, "1e+01 s"), (59.6, "1 min 0 s"), (7260, "2 h 1 min"), (86400 * 30, "30 d")],
)
def test_times_are_said_as_people_do(seconds: float, said: str) -> None:
    """In two units at most."""
    assert duration(seconds) == said.replace("1e+01 s", "10 s")


# ---- answers by earlier code ----------------------------------------------------------------------------------------


SCALE = 1


@pytest.mark.parametrize(("on_change", "cached_points", "by_earlier_code"), [("warn", 5, 3), ("ignore", 5, 0)])
def test_answers_by_earlier_code_are_counted(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    on_change: Any,
    cached_points: int,
    by_earlier_code: int,
) -> None:
    """In the plan, in the progress and at the end; each time anew, and only those whose code has changed since."""

    @cached(store, on_change=on_change)
    def simulate(n, *, result_path):
        result_path.write_text(str(SCALE * n))

    simulate.sweep(grid(n=range(3)))
    monkeypatch.setitem(globals(), "SCALE", 2)
    for n in (3, 4):
        simulate(n)

    for _ in range(2):
        told: list[SweepProgress] = []
        with warnings.catch_warnings(), caplog.at_level("INFO", "entropic"):
            warnings.simplefilter("ignore", StaleResultWarning)
            plan = simulate.plan(grid(n=range(6)))
            simulate.sweep(grid(n=range(5)), progress=told.append)

        assert (plan.cached, plan.by_earlier_code, len(plan.to_run)) == (cached_points, by_earlier_code, 1)
        assert (told[-1].cached, told[-1].by_earlier_code) == (cached_points, by_earlier_code)
        for said in (str(plan), caplog.messages[-1]):
            assert ("5 cached (3 of them by earlier code)" in said) is bool(by_earlier_code)
    simulate.accept_changes()
    assert simulate.plan(grid(n=range(6))).by_earlier_code == 0


def test_replicates_by_earlier_code_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the points of any sweep."""

    @cached(store, seed=None)
    def simulate(n, *, result_path):
        result_path.write_text(str(SCALE * n))

    simulate.replicates(2, 1)
    monkeypatch.setitem(globals(), "SCALE", 2)
    told: list[SweepProgress] = []
    with pytest.warns(StaleResultWarning):
        simulate.replicates(3, 1, progress=told.append)

    assert (told[-1].cached, told[-1].by_earlier_code, told[-1].done) == (2, 2, 1)


def test_what_runs_anew_is_not_counted_as_cached(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With rerun there is no answer by earlier code."""

    @cached(store, on_change="rerun")
    def simulate(n, *, result_path):
        result_path.write_text(str(SCALE * n))

    simulate.sweep(grid(n=range(3)))
    monkeypatch.setitem(globals(), "SCALE", 2)
    plan = simulate.plan(grid(n=range(3)))

    assert (plan.cached, plan.by_earlier_code, len(plan.to_run)) == (0, 0, 3)
