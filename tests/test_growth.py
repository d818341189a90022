"""A configuration that grows: fields by dotted names, a function that converts, and a warning where nothing is said."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic import Store, cached
from entropic._function._nested import ABSENT, found, moved, put, without
from entropic.errors import MissingFieldWarning, StaleResultWarning
from entropic.reports import CachedFunction

Cached = CachedFunction[..., Any, Any]
Make = Callable[..., Any]


def of_dataclass(**fields: Any) -> Any:
    return make_dataclass("Config", list(fields))(**fields)


def of_attrs(**fields: Any) -> Any:
    return pytest.importorskip("attrs").make_class("Config", list(fields))(**fields)


def of_pydantic(**fields: Any) -> Any:
    return pytest.importorskip("pydantic").create_model("Config", **dict.fromkeys(fields, (Any, ...)))(**fields)


KINDS: dict[str, Make] = {"dict": dict, "dataclass": of_dataclass, "attrs": of_attrs, "pydantic": of_pydantic}


def function(store: Store, **options: Any) -> Cached:
    @cached(store, name="flow", on_change="ignore", **options)
    def flow(config, *, result_path):
        result_path.write_text("x")

    return flow


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_fields_are_declared_by_dotted_names(store: Store, make: Make) -> None:
    """Added, renamed and removed, at any depth, in every kind of configuration."""
    old = function(store)(make(nx=8, h=0.5, verbose=False, solver=make(dt=0.1)))
    flow = function(
        store,
        added={"config.solver.tol": 1e-6},
        renamed={"config.h": "config.dx"},
        removed={"config.verbose": False},
    )

    answer = flow.retrieve(make(nx=8, dx=0.5, solver=make(dt=0.1, tol=1e-6)))

    assert answer is not None
    assert answer.result_path == old.result_path
    assert answer.params["config"]["solver"]["tol"] == 1e-6
    assert flow.retrieve(make(nx=8, dx=0.5, solver=make(dt=0.1, tol=1e-5))) is None
    assert flow.retrieve(make(nx=8, dx=0.4, solver=make(dt=0.1, tol=1e-6))) is None
    assert flow.list("config.solver.tol=1e-6 config.dx=.5") == [answer]
    assert flow.migrate() == 1
    assert store.list()[0].params["config"] == answer.params["config"]


def test_a_field_may_become_a_parameter_and_a_parameter_a_field(store: Store) -> None:
    """Names lead from one mapping into another."""
    old = function(store)({"n": 1, "seed": 3})

    @cached(store, name="flow", on_change="ignore", renamed={"config.seed": "seed"})
    def flow(config, seed, *, result_path):
        result_path.write_text("today")

    assert flow({"n": 1}, 3).result_path == old.result_path
    assert flow.retrieve({"n": 1}, 4) is None


def test_a_plain_mapping_without_the_field_is_the_same_point(store: Store) -> None:
    """As a keyword that is left out is, where a function takes any."""
    flow = function(store, added={"config.tol": 1.0}, renamed={"config.h": "config.dx"})

    assert flow.key({"n": 1}) == flow.key({"n": 1, "tol": 1.0})
    with pytest.raises(TypeError, match=r"'config\.h'.*renamed to 'config\.dx'"):
        flow({"h": 1})


def test_where_there_is_no_configuration_nothing_is_added(store: Store) -> None:
    """None has no fields."""
    old = function(store)(None)

    assert function(store, added={"config.tol": 1.0})(None) == old


NESTED = st.recursive(st.integers(0, 2), lambda inner: st.dictionaries(st.sampled_from("ab"), inner), max_leaves=6)


@given(st.dictionaries(st.sampled_from("ab"), NESTED), st.sampled_from(["a", "a.b", "b.a.a"]))
def test_what_is_put_is_found_and_what_is_taken_is_gone(params: dict[str, Any], name: str) -> None:
    """And all else stays as it is."""
    there = put(params, name, "new")

    assert found(there, name) == "new"
    assert found(without(there, name), name) is ABSENT
    if found(params, name) is ABSENT:
        assert without(there, name) == params
        assert moved(moved(there, name, "c"), "c", name) == there


SOURCE = """
import dataclasses, entropic
store = entropic.Store("results", "runs.json", file_suffix=".txt")
@dataclasses.dataclass
class Config:
    nx: int = 8
    {field}
    def twice(self):
        return {twice}
@entropic.cached(store{options})
def flow(config, *, result_path):
    result_path.write_text(str(config.twice()))
"""


def study(monkeypatch: pytest.MonkeyPatch, field: str = "", options: str = "", twice: str = "2 * self.nx") -> Any:
    """A module whose configuration has a further field."""
    Path("grown.py").write_text(SOURCE.format(field=field, options=options, twice=twice))
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("grown", None)
    return importlib.import_module("grown")


ADDED = ', added={"config.tol": 1.0}'


@pytest.mark.parametrize(("twice", "warns"), [("2 * self.nx", False), ("3 * self.nx", True)])
def test_the_class_that_grows_with_the_declaration_is_no_change(
    monkeypatch: pytest.MonkeyPatch, twice: str, warns: bool
) -> None:
    """A method of it that changes is."""
    before = study(monkeypatch)
    old = before.flow(before.Config())
    after = study(monkeypatch, "tol: float = 1.0", ADDED, twice)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert after.flow(after.Config()).result_path == old.result_path
    assert [one.category for one in said] == ([StaleResultWarning] if warns else [])


def test_runs_that_lack_only_a_field_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, with what to declare; and not of runs that differ in other ways too."""
    before = study(monkeypatch)
    before.flow(before.Config())
    after = study(monkeypatch, "tol: float = 1.0")

    with warnings.catch_warnings():
        warnings.simplefilter("error", MissingFieldWarning)
        after.flow(after.Config(nx=9))
    with pytest.warns(MissingFieldWarning, match=r"lacks config\.tol; 1 in all.*added=\{'config\.tol': 1\.0\}"):
        after.flow(after.Config())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after.flow.run(after.Config())


def test_a_keyword_that_a_call_may_leave_out_is_no_field(store: Store) -> None:
    """Where a function takes any name, or a mapping, each combination is a point of its own."""

    @cached(store, name="any")
    def any_keyword(a, *, result_path, **more):
        result_path.write_text("x")

    @cached(store, name="runner")
    def runner(params, result_path):
        result_path.write_text("x")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function_of_any in (any_keyword, runner):
            function_of_any(a=1)
            function_of_any(a=1, b=2)


def test_what_is_declared_is_not_told_again(store: Store) -> None:
    """Another value of the added field is another point, and no slip."""
    function(store)({"n": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        function(store, added={"config.tol": 1.0})({"n": 1, "tol": 2.0})


def test_a_function_converts_what_declarations_cannot_say(store: Store) -> None:
    """Two parameters become one; what it leaves alone stays, and a preview changes nothing."""

    @cached(store, name="last_years", on_change="ignore")
    def last_years(length, parts, *, result_path):
        result_path.write_text("old")

    old = [last_years(length, 4) for length in (1.0, 2.0)]

    @cached(store, name="flow", on_change="ignore", former_names=("last_years",))
    def flow(step, *, result_path):
        result_path.write_text("today")

    def convert(params: dict[str, Any]) -> dict[str, Any] | None:
        return {"step": params["length"] / params["parts"]} if params.get("length") == 2.0 else None

    assert flow.migrate(convert, preview=True) == 1
    assert flow.retrieve(0.5) is None
    assert flow.migrate(convert) == 1
    assert flow.retrieve(0.5) == store.list({"step": 0.5})[0]
    assert flow(0.5).result_path == old[1].result_path
    assert flow.migrate(convert) == 0
    assert store.list({"length": 1.0}) == [old[0]]


def test_converted_values_may_be_those_of_records_or_of_calls(store: Store) -> None:
    """Also those with a class."""
    old = function(store)(of_dataclass(nx=8))
    flow = function(store)

    flow.migrate(lambda params: {"config": {**params["config"], "tol": of_dataclass(rel=0.1)}})

    assert flow(of_dataclass(nx=8, tol=of_dataclass(rel=0.1))).result_path == old.result_path


@pytest.mark.parametrize("wrong", [{}, {"config": 1, "more": 2}, 3, {"config": object()}])
def test_what_no_call_takes_is_refused(store: Store, wrong: Any) -> None:
    """Before anything is rewritten."""
    old = function(store)({"n": 1})

    with pytest.raises(TypeError):
        function(store).migrate(lambda params: wrong)
    assert store.list() == [old]


def test_runs_with_a_configuration_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call brings along is looked for again when tables are made: as long as it has not changed, it answers."""
    before = study(monkeypatch)
    before.flow(before.Config())

    assert before.flow.collect(read=len_of)["value"].tolist() == [2]
    assert len(before.flow.list(current=True)) == 1

    after = study(monkeypatch, twice="3 * self.nx")
    assert after.flow.list(current=True) == []


def len_of(path: Path) -> int:
    return len(path.read_text())
