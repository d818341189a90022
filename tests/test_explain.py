"""Why did this run: what a call would find, and in what it differs from the nearest recorded runs."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import InputFile, Store, cached, grid
from entropic._maintenance import _explain
from entropic.errors import InputFileError
from entropic.index import MemoryIndex, TinyDBIndex

COMPARED: list[tuple[Any, Any, list[str]]] = [
    # recorded, asked, told
    (0.01, 0.0100001, ["x: 0.01 -> 0.0100001"]),
    ("rk4", "euler", ["x: 'rk4' -> 'euler'"]),
    (1.0, 1, ["x: int 1 instead of float 1.0"]),
    (1, True, ["x: True instead of 1"]),
    (0.0, False, ["x: False instead of 0.0"]),
    (100, "100", ["x: 100 -> '100'"]),
    (None, 1, ["x: None -> 1"]),
    (float("nan"), 1.0, ["x: nan -> 1.0"]),
    (np.zeros(4), np.zeros(4, int), ["x: numpy int64 array instead of float64"]),
    (np.zeros(4), np.zeros(3), ["x: an array of shape (3,) instead of (4,)"]),
    (np.zeros(4), np.ones(4), ["x: array contents differ"]),
    (np.zeros(4), np.zeros(4, bool), ["x: numpy bool array instead of float64"]),
    (np.zeros(4), 1, ["x: int 1 instead of numpy float64 array"]),
    ([1.0], np.ones(1), ["x: numpy float64 array instead of [1.0]"]),
    ([1, 2, 3], [1, 2], ["x: a list of 2 instead of 3"]),
    ([1, 2, 3], [1, 2, 4], ["x[2]: 3 -> 4"]),
    ([1, 2, 3], [0, 2, 4], ["x[0]: 1 -> 0", "x: 2 items of 3 differ"]),
    ({"tol": 1e-6, "a": 1}, {"tol": 1e-7, "a": 1}, ["x.tol: 1e-06 -> 1e-07"]),
    ({"a": 1}, {"b": 1}, ["x.b is new: 1", "x.a is missing: was 1"]),
    ({1, 2}, {1, 3}, ["x: {'$set': [1, 2]} -> {'$set': [1, 3]}"]),
    ("a" * 100, "b", ["x: '" + "a" * 59 + "… -> 'b'"]),
]


@pytest.mark.parametrize(("recorded", "asked", "told"), COMPARED, ids=[told[0] for _, _, told in COMPARED])
def test_differences(store: Store, write_text: Any, recorded: Any, asked: Any, told: list[str]) -> None:
    """Each kind of difference in a few words, from the recorded run to the call."""
    store.run({"x": recorded, "n": 1}, write_text)
    explanation = store.explain({"x": asked, "n": 1})

    assert not explanation.is_hit
    assert [list(one.differences) for one in explanation.nearest] == [told]


def test_what_answers_is_told(store: Store) -> None:
    """With the record that would be handed out; nothing is counted, run or written."""

    @cached(store, name="simulate")
    def simulate(n, dt=0.1, *, result_path):
        result_path.write_text("x")

    record = simulate(8)
    before = Path("runs.json").read_bytes()
    explanation = simulate.explain(n=8)

    assert (explanation.is_hit, explanation.record, explanation.nearest) == (True, record, ())
    assert explanation.params == record.params
    assert str(explanation).startswith(f"it would hit: simulate {record.params_hash}\n  recorded ")
    assert not simulate.explain(9).is_hit
    assert simulate.cache_info()[:2] == (0, 1)
    assert Path("runs.json").read_bytes() == before


def test_an_empty_store() -> None:
    """Constructing a store makes its folder, and looking at it nothing more."""
    store = Store("results", "runs.json")

    assert store.explain({"n": 1}).reasons == ("no plain run is recorded",)
    assert os.listdir() == ["results"]


def test_no_run_of_this_function(store: Store, write_text: Any) -> None:
    """Runs of others are not compared, but for those with the same params: it may have been renamed."""

    @cached(store, name="study.simulate")
    def simulate(n, *, result_path):
        result_path.write_text("x")

    @cached(store, name="study.solve")
    def solve(n, *, result_path): ...

    simulate(8)
    simulate(9)
    store.run({"n": 7}, write_text)

    assert solve.explain(10).reasons == ("no run of study.solve is recorded",)
    assert solve.explain(10).nearest == ()
    assert solve.explain(8).nearest[0].differences == ("function renamed: was study.simulate",)
    assert solve.explain(7).nearest[0].differences == ("recorded as a plain run of the store, not by this function",)
    assert store.explain({"n": 8}).nearest[0].differences == (
        "recorded by the function study.simulate, not as a plain run",
    )


def test_version_and_closure(store: Store) -> None:
    """What else is part of a key is told as well."""

    def make(k: int, version: Any) -> Any:
        @cached(store, name="f", version=version)
        def f(n, *, result_path):
            result_path.write_text(str(k))

        return f

    make(2, 2)(8)

    assert make(2, 3).explain(8).nearest[0].differences == ("version 2 -> 3",)
    assert make(3, 2).explain(8).nearest[0].differences == ("closed-over k: 2 -> 3",)
    assert make(3, None).explain(9).nearest[0].differences == (
        "version 2 -> None",
        "closed-over k: 2 -> 3",
        "n: 8 -> 9",
    )


def test_new_and_missing_parameters(store: Store) -> None:
    """As after a change of the signature; and a default that has changed is seen as one."""

    @cached(store, name="f", version=None)
    def before(n, verbose=False, *, dt=0.1, result_path):
        result_path.write_text("x")

    @cached(store, name="f", removed={"verbose": 0})
    def today(n, method="rk4", *, dt=0.2, result_path):
        result_path.write_text("x")

    before(8)

    assert today.explain(8).nearest[0].differences == (
        "the code changed: the function itself",
        "parameter method is new: 'rk4' (by default)",
        "dt: 0.1 -> 0.2 (by default)",
        "parameter verbose is missing: was False",
    )
    assert today.explain(8, "rk4", dt=0.2).nearest[0].differences[:3] == (
        "the code changed: the function itself",
        "parameter method is new: 'rk4'",
        "dt: 0.1 -> 0.2",
    )


def test_the_nearest_come_first(store: Store) -> None:
    """Fewest differing parameters, then the newest; each way to differ once, three at most."""

    @cached(store, name="f")
    def f(n, m, k=0, *, result_path):
        result_path.write_text("x")

    f.sweep(grid(n=[1, 2, 3], m=[1, 2]))
    f.run(2, 2)

    assert [one.differences for one in f.explain(2, 3).nearest] == [
        ("m: 2 -> 3",),
        ("m: 1 -> 3",),
        ("n: 3 -> 2", "m: 2 -> 3"),
    ]


def test_a_number_of_another_type_is_nearest(store: Store) -> None:
    """It is most often why a point runs again, so newer runs of other numbers do not hide it."""
    for speed in (10.0, 1.0, 2.0, 3.0, 4.0):
        store.run({"speed": speed}, lambda params, path: path.write_text("x"))

    assert store.explain({"speed": 10}).nearest[0].differences == ("speed: int 10 instead of float 10.0",)


def test_a_result_that_is_gone(store: Store) -> None:
    """The reason is the file, not the parameters."""

    @cached(store, name="f")
    def f(n, *, result_path):
        result_path.write_text("0123456789")

    record = f(1)
    record.result_path.write_text("01")
    assert f.explain(1).reasons == (f"the result has 2 bytes instead of 10: {record.result_path}",)
    record.result_path.unlink()
    assert f.explain(1).reasons == (f"the result is gone: {record.result_path}",)
    assert f.explain(1).nearest == ()


def test_parameters_that_grew(store: Store) -> None:
    """An older run that answers says so; others are compared in today's terms."""

    @cached(store, name="f")
    def before(n, h, *, result_path):
        result_path.write_text("x")

    @cached(store, name="f", added={"method": "rk4"}, renamed={"h": "dt"})
    def today(n, dt, method="rk4", *, result_path): ...

    before(8, 0.1)

    assert "before its parameters grew" in str(today.explain(8, 0.1))
    changed = "the code changed: the function itself"
    assert today.explain(8, 0.2).nearest[0].differences == (changed, "dt: 0.1 -> 0.2")
    assert today.explain(8, 0.1, "euler").nearest[0].differences == (changed, "method: 'rk4' -> 'euler'")


def test_input_files(store: Store) -> None:
    """By name and content; one that is missing is told as in a call."""
    Path("mesh.msh").write_text("1")

    @cached(store, name="f")
    def f(mesh: InputFile, *, result_path):
        result_path.write_text("x")

    f("mesh.msh")
    Path("mesh.msh").write_text("2")

    assert f.explain("mesh.msh").nearest[0].differences[0].startswith("mesh: contents differ: mesh.msh (")
    with pytest.raises(InputFileError):
        f.explain("gone.msh")


ASKED: list[dict[str, Any]] = [
    {"n": 3, "dt": 0.1, "method": "rk4", "opts": {"tol": 1e-6}},
    {"n": 3.0, "dt": 0.1 + 0.2, "method": "rk4", "opts": {"tol": 1}},
    {"n": 1, "dt": 1, "method": 'é"', "opts": None},
    {"n": 77, "dt": float("nan"), "method": "none", "opts": [1]},
    {"n": True, "dt": 0.1},
    {"other": 5},
]


@pytest.mark.parametrize("asked", ASKED, ids=repr)
def test_what_is_passed_over_is_not_nearer(
    tmp_path: Path, write_text: Any, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """The default index reads few of many runs, and what it finds is what is found by reading all of them."""
    monkeypatch.setattr(_explain, "_MOST_KEPT", 4)
    every, index = MemoryIndex(), TinyDBIndex(tmp_path / "runs.json", durable=False)
    with Store(tmp_path / "results", index=every, durable=False) as whole:
        for n, dt, method, opts in itertools.product(
            [3, 3.0, 30, 1], [0.1, 0.3, 1.0, float("nan")], ["rk4", 'é"'], [{"tol": 1e-6}, [2], None]
        ):
            params = {"n": n, "dt": dt, "method": method, "opts": opts}
            if whole.retrieve(params) is None:
                whole.run(params, write_text)
        cached(whole, name="f")(lambda n, *, result_path: result_path.write_text("x"))(3)
        index.insert_many(every.all())
        reads: list[Any] = []
        read = index._read
        monkeypatch.setattr(index._reader, "_read", lambda document: reads.append(document) or read(document))
        with Store(tmp_path / "results", index=index, durable=False) as store:
            assert str(store.explain(asked)) == str(whole.explain(asked))

    assert len(reads) < len(every.all()) // 2 or len(asked) < 3


STEP = 1


def test_at_a_prompt_the_first_reason_stands_beside_the_verdict(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hit by earlier code would else look like any other."""

    @cached(store)
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text(f"{n + STEP}")

    simulate(1)
    monkeypatch.setattr(sys.modules[__name__], "STEP", 2)

    assert repr(simulate.explain(2)).endswith("; no run of these parameters is recorded>")
    assert repr(simulate.explain(1)).endswith("; handed out with a warning>")
