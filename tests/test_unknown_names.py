"""A typo, or a value of another kind, does not look like an empty result."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached, param
from entropic.errors import UnknownNameWarning


@pytest.fixture
def study(store: Store) -> Store:
    """Some runs with parameters of several kinds."""
    for n in (1, 2):
        params = {"n": n, "dt": 0.5, "method": "rk4", "solver": {"order": 4}, **({"late": None} if n == 2 else {})}
        store.run(params, lambda params, path: path.write_text("x"), note="x")
    return store


SLIPS: list[tuple[Any, dict[str, Any], str]] = [
    ({"nn": 1}, {}, "'nn'"),
    (param("metod") == "rk4", {}, "Did you mean 'method'"),
    (param("order") == 4, {}, "Did you mean 'solver.order'"),
    ({"n": 1, "solver.odrer": 4}, {}, "Did you mean 'solver.order'"),
    ((param("n") == 1) | (param("typo") == 2), {}, "'typo'"),
    (~(param("typo") == 2), {}, "'typo'"),
    ({"metadata.nte": "x"}, {}, "metadata.nte"),
    (None, {"order_by": "-typo"}, "'typo'"),
    ({"n": 1.0}, {}, "int, such as 1"),
    ({"n": "1"}, {}, "int, such as 1"),
    ({"dt": 1}, {}, "float, such as 0.5"),
    ({"method": 4}, {}, "str, such as rk4"),
    (param("method") > 4, {}, "str, such as rk4"),
    (param("n").isin([1.0, 2.0]), {}, "int, such as 1"),
    (param("late") == 3, {}, "NoneType, such as None"),
]


@pytest.mark.parametrize(("where", "options", "told"), SLIPS)
def test_a_slip_is_told(study: Store, where: Any, options: dict[str, Any], told: str) -> None:
    """A name that no run has, or a kind of value that none has, in a query or an order: a warning at the caller."""
    with pytest.warns(UnknownNameWarning, match=told) as caught:
        study.list(where, **options)

    assert len(caught) == 1
    assert caught[0].filename == __file__


SOUND: list[tuple[Any, dict[str, Any]]] = [
    ({"n": 3}, {}),
    ({"n": 1, "method": "euler"}, {}),
    (param("n") > 2.5, {}),
    (param("n").isin([7.0, 8]), {}),
    (param("late").exists() & (param("n") == 1), {}),
    ({"function": "f"}, {}),
    ({"params_hash": "0" * 16}, {"order_by": "created_at"}),
    (~(param("n") == 1), {"order_by": ("metadata.elapsed_seconds", "-solver.order")}),
    (None, {"order_by": "late"}),
]


@pytest.mark.parametrize(("where", "options"), SOUND)
def test_an_honest_empty_result_says_nothing(study: Store, where: Any, options: dict[str, Any]) -> None:
    """Values that there could be, fields of the record, and names that some runs have."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.list(where, **options)


def test_before_the_first_run_nothing_is_told(store: Store) -> None:
    """An empty store has no names at all."""
    assert store.list({"nn": 1}, order_by="nn") == []


def test_a_function_is_asked_of_its_own_runs(study: Store) -> None:
    """A parameter that only runs of others have is unknown to a function."""

    @cached(study)
    def f(m: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    assert f.list({"n": 1}) == []
    f(1)
    with pytest.warns(UnknownNameWarning, match="'n'"):
        assert f.list({"n": 1}) == []


def test_the_command_line_tells_in_one_line(study: Store) -> None:
    """On a terminal the warning is a line on stderr, in the manner of the command."""
    words = [sys.executable, "-m", "entropic", "--index", "runs.json", "ls", "nn=1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    lines = done.stderr.splitlines()
    assert lines[0] == "entropic: Found no run by 'nn': no recorded run has a parameter of that name. Did you mean 'n'?"
    assert len(lines) == 2
