"""Parameters that grow: a run recorded before its function's parameters changed still answers, and no other does."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic import Store, cached
from entropic.errors import EntropicError, UnknownNameWarning
from entropic.index import MemoryIndex
from entropic.reports import CachedFunction

Cached = CachedFunction[..., Any, Any]


@pytest.fixture
def old(store: Store) -> Cached:
    """Last year's function."""

    @cached(store, name="simulate")
    def simulate(n, h=0.1, verbose=False, *, result_path):
        result_path.write_text("last year")

    return simulate


@pytest.fixture
def new(store: Store) -> Cached:
    """The same function today."""
    return todays(store)


def todays(store: Store) -> Cached:
    @cached(store, name="simulate", added={"method": "rk4"}, renamed={"h": "dt"}, removed={"verbose": False})
    def simulate(n, dt=0.1, method="rk4", *, result_path):
        result_path.write_text("today")

    return simulate


def test_an_older_run_answers(old: Cached, new: Cached) -> None:
    """It is handed out with today's params, under its own hash, and nothing is written."""
    recorded = old(8, h=0.3)
    found = new(8, dt=0.1 + 0.2)

    assert found.result_path == recorded.result_path
    assert found.params == {"n": 8, "dt": 0.1 + 0.2, "method": "rk4"}
    assert (found.params_hash, found.created_at) == (recorded.params_hash, recorded.created_at)
    assert new(8, dt=0.3) == new.retrieve(8, 0.3)
    assert new.cache_info() == (2, 0, None, 1)
    assert [record.params for record in new.cache_parameters()["store"].list()] == [recorded.params]


POINTS = [
    ({"n": 8}, {"n": 8, "method": "euler"}),
    ({"n": 8, "verbose": True}, {"n": 8}),
    ({"n": 8, "h": 0.2}, {"n": 8, "dt": 0.1}),
    ({"n": 8}, {"n": 8.0}),
    ({"n": 8, "verbose": 0}, {"n": 8}),
    ({"n": 8, "h": 1}, {"n": 8, "dt": 1.0}),
]


@pytest.mark.parametrize(("recorded", "asked"), POINTS)
def test_another_point_runs(
    old: Cached,
    new: Cached,
    recorded: dict[str, Any],
    asked: dict[str, Any],
) -> None:
    """Whatever differs from what was declared is another point."""
    old(**recorded)

    assert new.retrieve(**asked) is None
    assert new(**asked).result_path.read_text() == "today"


def test_new_runs_are_recorded_in_full(new: Cached, store: Store) -> None:
    """Under today's key, with today's params."""
    record = new(8)

    assert record.params_hash == new.key(8)
    assert store.list()[0].params == {"n": 8, "dt": 0.1, "method": "rk4"}


def test_a_rerun_answers_from_then_on(old: Cached, new: Cached) -> None:
    """The newest run of a point is the one of today."""
    old(8)
    assert new(8).result_path.read_text() == "last year"
    again = new.run(8)

    assert new(8) == again


def test_of_several_older_forms_the_newest_answers(store: Store, old: Cached) -> None:
    """A point may be recorded in more than one older form."""

    @cached(store, name="simulate", renamed={"h": "dt"}, removed={"verbose": False})
    def between(n, dt=0.1, *, result_path):
        result_path.write_text("between")

    old(8)
    between.run(8)

    assert todays(store)(8).result_path.read_text() == "between"
    assert len(todays(store).list()) == 2
    assert todays(store).cache_info().currsize == 1


def test_lists_and_queries_see_one_function(
    old: Cached,
    new: Cached,
    store: Store,
) -> None:
    """The function's own list shows the points of today; the store's shows what is recorded."""
    old(8)
    old(8, verbose=True)
    new(8, method="euler")

    assert [record.params.get("method") for record in new.list()] == ["rk4", None, "euler"]
    assert [record.params["dt"] for record in new.list(where={"method": "rk4"})] == [0.1]
    assert len(new.list(entropic.param("dt") < 1, order_by="-method", limit=1)) == 1
    assert [record.params for record in store.list(where={"h": 0.1, "verbose": False})] == [
        {"n": 8, "h": 0.1, "verbose": False}
    ]
    with pytest.warns(UnknownNameWarning, match="methud"):
        assert new.list(where={"methud": "rk4"}) == []


def test_an_older_run_is_forgotten(old: Cached, new: Cached, store: Store) -> None:
    """By its point of today, or by the record as it was handed out, with its file."""
    old(8)
    old(9)
    record = new(9)

    assert (new.delete(8), new.delete(8)) == (True, False)
    assert store.delete(pickle.loads(pickle.dumps(record)), remove_file=True)
    assert not record.result_path.exists()
    assert store.list() == []


def test_an_older_run_without_result_is_replaced(
    old: Cached,
    new: Cached,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As any stale run is."""
    old(8).result_path.unlink()

    assert new(8).result_path.read_text() == "today"
    assert [record.params_hash for record in store.list()] == [new.key(8)]
    assert "is gone" in caplog.text


def test_sweeps_find_older_runs(old: Cached, new: Cached) -> None:
    """Point by point, as calls do."""
    for n in (1, 2):
        old(n)
    new.sweep(entropic.grid(n=[1, 2, 3], method=["rk4", "euler"]))

    assert new.cache_info() == (2, 4, None, 6)


def test_it_pickles_by_its_options(store: Store) -> None:
    """The options travel with a function that goes by value."""
    options = todays(store).cache_parameters()

    assert (options["added"], options["renamed"], options["removed"]) == (
        {"method": "rk4"},
        {"h": "dt"},
        {"verbose": False},
    )


def test_another_version_is_another_function(store: Store, old: Cached) -> None:
    """Growing parameters do not bridge a version."""
    old(8)

    @cached(store, name="simulate", version=2, renamed={"h": "dt"}, removed={"verbose": False})
    def simulate(n, dt=0.1, *, result_path):
        result_path.write_text("today")

    assert simulate.retrieve(8) is None


# ---- kinds of functions ---------------------------------------------------------------------------------------------


def test_coroutines(store: Store, old: Cached) -> None:
    """Awaited, with the same answers."""
    recorded = old(8)

    @cached(store, name="simulate", renamed={"h": "dt"}, removed={"verbose": False})
    async def simulate(n, dt=0.1, *, result_path):
        result_path.write_text("today")

    assert asyncio.run(simulate(8)).result_path == recorded.result_path
    assert asyncio.run(simulate(9)).result_path.read_text() == "today"


def test_runners_and_keywords(store: Store, write_text: Callable[..., object]) -> None:
    """What takes any name is completed: a call without an added parameter means its declared value."""

    @cached(store, name="simulate")
    def before(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("last year")

    before(n=8, h=0.1)

    @cached(store, name="simulate", added={"method": "rk4"}, renamed={"h": "dt"})
    def runner(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("today")

    @cached(store, name="simulate", added={"method": "rk4"}, renamed={"h": "dt"}, removed={"x": 1})
    def keywords(n, *, result_path, **more):
        result_path.write_text("today")

    for function in (runner, keywords):
        assert function(n=8, dt=0.1, method="rk4").result_path.read_text() == "last year"
        assert function(n=8, dt=0.1).params == {"n": 8, "dt": 0.1, "method": "rk4"}
        assert function.retrieve(n=8, dt=0.1, method="euler") is None
        with pytest.raises(TypeError, match=r"'h', which cached\(\) declares to be renamed to 'dt'"):
            function(n=8, h=0.1)


def test_methods(tmp_path: Path) -> None:
    """Of an instance, with self left out of the key."""
    store = Store(tmp_path / "results", index=MemoryIndex(), file_suffix=".txt")

    class Model:
        @cached(store, name="model", ignore=("self",))
        def before(self, n, *, result_path):
            result_path.write_text("last year")

        @cached(store, name="model", ignore=("self",), added={"method": "rk4"})
        def solve(self, n, method, *, result_path):
            result_path.write_text("today")

    Model().before(8)

    assert Model().solve(8, "rk4").result_path.read_text() == "last year"
    assert Model().solve.migrate() == 1


def test_a_parameter_that_left_the_key(store: Store, old: Cached) -> None:
    """One that is ignored now counts as removed."""
    old(8)

    @cached(store, name="simulate", ignore=("verbose",), removed={"verbose": False})
    def simulate(n, h=0.1, verbose=False, *, result_path):
        result_path.write_text("today")

    assert simulate(8, verbose=True).result_path.read_text() == "last year"


# ---- migrating ------------------------------------------------------------------------------------------------------


def test_migrate(
    old: Cached,
    new: Cached,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rewrites what has an older form, once; everything else of a record stays."""
    first, other = old(8), old(8, verbose=True)
    todays_own = new(9)

    assert (new.migrate(preview=True), store.list()) == (1, [first, other, todays_own])
    assert (new.migrate(), new.migrate()) == (1, 0)
    found = new(8)
    assert (found.params_hash, found.params) == (new.key(8), {"n": 8, "dt": 0.1, "method": "rk4"})
    for name in ("result_path", "created_at", "metadata", "provenance"):
        assert getattr(found, name) == getattr(first, name)
    assert sorted(record.created_at for record in store.list()) == sorted(
        record.created_at for record in (first, other, todays_own)
    )
    assert store.check().is_clean


def test_migrate_keeps_the_newest_answer(old: Cached, new: Cached) -> None:
    """An older run does not overtake a newer one of the same point."""
    old(8)
    newest = new.run(8)
    new.migrate()

    assert new(8).result_path == newest.result_path
    assert len(new.list(where={"n": 8})) == 2


@pytest.mark.parametrize("first", ["old", "new"])
def test_migrate_knows_no_clock(old: Cached, new: Cached, store: Store, first: str) -> None:
    """Of a point that was run in both forms, the one recorded last answers, whatever times the hosts had."""
    order = [old, new] if first == "old" else [new, old]
    records = [function.run(8) for function in order]
    stored = store.index.all()
    behind = [
        replace(record, created_at=f"20{60 - number}-01-01T00:00:00+00:00") for number, record in enumerate(stored)
    ]
    for record in stored:
        store.index.delete_by_hash(record.params_hash)
    for record in behind:
        store.index.insert(record)

    new.migrate()

    assert new(8).result_path == records[-1].result_path
    assert len(new.list(where={"n": 8})) == 2
    assert new.migrate() == 0


def test_migrate_survives_a_crash(tmp_path: Path) -> None:
    """Broken off before the old records are gone, it loses none, and is carried on."""

    class Breaks(MemoryIndex):
        breaks = True

        def delete_by_hash(self, params_hash: str) -> bool:
            if self.breaks:
                raise OSError("no more")
            return super().delete_by_hash(params_hash)

    index = Breaks()
    store = Store(tmp_path / "results", index=index, file_suffix=".txt")

    @cached(store, name="f")
    def before(n, *, result_path):
        result_path.write_text("last year")

    @cached(store, name="f", added={"m": 1})
    def after(n, m, *, result_path):
        result_path.write_text("today")

    before(8)
    with pytest.raises(OSError, match="no more"):
        after.migrate()
    assert after(8, 1).result_path.read_text() == "last year"
    index.breaks = False

    assert after.migrate() == 1
    assert len(store.list()) == 1


def test_migrate_without_changes(old: Cached) -> None:
    """There is nothing to do for a function that declares none."""
    old(8)

    assert old.migrate() == 0


# ---- what is refused ------------------------------------------------------------------------------------------------

REFUSED = [
    ({"added": ["method"]}, "must be a mapping such as"),
    ({"renamed": {"h": 3}}, "must be a mapping such as {'h': 'dt'}"),
    ({"added": {"speed": 1}}, "'speed' is no parameter of it that takes part in the key. It has 'n', 'dt', 'method'"),
    ({"added": {"quiet": 1}}, "'quiet' is no parameter of it that takes part in the key"),
    ({"renamed": {"h": "step"}}, "'h' becomes 'step', which is no parameter"),
    ({"renamed": {"dt": "n"}}, "'dt' is declared to be renamed or removed, and is a parameter of it"),
    ({"removed": {"dt": 1}}, "'dt' is declared to be renamed or removed"),
    ({"renamed": {"h": "g", "g": "h"}}, "circle"),
    ({"renamed": {"h": "dt"}, "removed": {"h": 1}}, "both renamed and removed"),
    ({"added": {"x": 1}, "removed": {"x": 1}}, "both added and removed"),
    ({"added": {"h": 1, "dt": 1}, "renamed": {"h": "dt"}}, "are one parameter"),
    ({"removed": {f"x{number}": 1 for number in range(11)}}, "more than 10 changes"),
    ({"added": {"method": object()}}, "added['method']"),
]


@pytest.mark.parametrize(("options", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_does_not_fit_is_refused(store: Store, options: dict[str, Any], told: str) -> None:
    """When decorating, by an error that says what to do."""
    with pytest.raises(TypeError) as caught:

        @cached(store, ignore=("quiet",), name="simulate", **options)
        def simulate(n, dt, method, quiet=True, *, result_path): ...

    assert told in str(caught.value)
    assert isinstance(caught.value, EntropicError) or "Cannot decorate" in str(caught.value)


def test_chains_of_changes(store: Store) -> None:
    """A parameter added, renamed and renamed again has four forms; one renamed before it was removed, three."""

    @cached(
        store,
        name="f",
        added={"step": 1},
        renamed={"step": "h", "h": "dt", "loud": "verbose"},
        removed={"verbose": False},
    )
    def today(n, dt, *, result_path): ...

    recipe = today._self_cache
    older = {repr(sorted(form.params)) for form in recipe.key((8, 1), {}).forms()}

    assert older == {
        repr(sorted(["n", *time, *talk]))
        for time in (["dt"], ["h"], ["step"], [])
        for talk in ([], ["verbose"], ["loud"])
    }


def test_a_hit_under_todays_key_makes_no_older_form(new: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was declared costs nothing where it is not needed."""
    new(8)
    monkeypatch.setattr("entropic._function._evolution.key_of", None)

    assert new(8).result_path.read_text() == "today"


def test_the_second_hit_looks_under_one_older_key(old: Cached, new: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which form answered is remembered."""
    old(8)
    new(8)
    monkeypatch.setattr("entropic._function._evolution.key_of", None)

    assert new(8).result_path.read_text() == "last year"


def test_single_flight_is_on_todays_key(old: Cached, new: Cached, caplog: pytest.LogCaptureFixture) -> None:
    """A run that none of the older forms answers is one of today."""
    caplog.set_level(logging.DEBUG, "entropic")
    new(8)

    assert f"Miss {new.key(8)}: running" in caplog.text


# ---- with replicates and spot checks --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [{}, {"seed": 0}], ids=["numbered", "seeded"])
def test_replicates_are_kept(store: Store, seed: dict[str, int]) -> None:
    """Those made before the parameters grew count; only what is missing runs."""
    if seed:

        @cached(store, name="f")
        def before(n, seed, *, result_path):
            result_path.write_text(str(seed))

        @cached(store, name="f", added={"method": "rk4"}, renamed={"n": "size"})
        def today(size, method, seed, *, result_path):
            result_path.write_text(str(seed))
    else:

        @cached(store, name="f")
        def before(n, *, result_path):
            result_path.write_text("x")

        @cached(store, name="f", added={"method": "rk4"}, renamed={"n": "size"})
        def today(size, method, *, result_path):
            result_path.write_text("x")

    paths = [record.result_path for record in before.replicates(3, 8)]
    found = today.replicates(4, 8, "rk4")

    assert [record.result_path for record in found[:3]] == paths
    assert {record.params["size"] for record in found} == {8}
    assert today.cache_info()[:2] == (3, 1)


def test_older_runs_are_reproduced(old: Cached, new: Cached, store: Store) -> None:
    """By a call of today; what no call of today means is skipped."""
    old(8)
    old(8, verbose=True)
    new(9)

    assert new.reproduce(8).outcome == "different"
    assert sorted(one.outcome for one in store.reproduce(fraction=1)) == ["different", "same", "skipped"]


def test_a_remembered_form_answers_for_its_point_only(old: Cached, new: Cached, store: Store) -> None:
    """Even should another point have the same hash."""
    old(8)
    key, other = (new._self_cache.key((n,), {}) for n in (8, 9))

    assert store._engine.recall(key) is not None
    assert store._engine.recall(other._replace(params_hash=key.params_hash)) is None
