"""The spot check: recorded points run again, aside, and the results are compared; nothing is replaced."""

from __future__ import annotations

import asyncio
import enum
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic.errors import NotRecordedError, ResultChangedWarning


def everything(store: entropic.Store) -> dict[str, bytes]:
    """Every file of a store, with its content."""
    folder = store.results_dir
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_call_that_reproduces(store: entropic.Store) -> None:
    """The same bytes; the record, its file and the counts stay as they are."""

    @entropic.cached(store)
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(n))

    record = simulate(3)
    before = everything(store)
    again = simulate.reproduce(n=3)

    assert (again.outcome, again.record, again.detail) == ("same", record, "")
    assert everything(store) == before
    assert simulate.cache_info()[:2] == (0, 1)
    assert store.list() == [record]


def drift(store: entropic.Store, make: Any) -> Any:
    """A function whose every run writes something else."""
    runs = iter(range(100))

    @entropic.cached(store, name="drift", ignore=("runs", "make"))
    def simulate(n: int, runs: Any = runs, make: Any = make, *, result_path: Path) -> None:
        make(result_path, next(runs))

    return simulate


def write_folder(path: Path, run: int) -> None:
    path.mkdir()
    (path / "a").write_text("a")
    (path / f"b{run}").write_text("b")


def write_sibling(path: Path, run: int) -> None:
    path.write_text("result")
    path.with_name("field.xdmf").write_text(f"{run}")


def fail_later(path: Path, run: int) -> None:
    if run:
        raise RuntimeError("no convergence")
    path.write_text("x")


# What the first and the second run write; how it ended, and what is told of it.
ENDS = [
    (lambda path, run: path.write_text(f"abc{run}"), "different", "byte 3 of 4"),
    (lambda path, run: path.write_text("x" * (run + 1)), "different", "2 bytes instead of 1"),
    (lambda path, run: path.mkdir() if run else path.write_text("x"), "different", "a folder instead of a file"),
    (write_folder, "different", "b0 is missing"),
    (write_sibling, "different", "field.xdmf: byte 0 of 1"),
    (fail_later, "failed", "RuntimeError: no convergence"),
    (lambda path, run: None if run else path.write_text("x"), "failed", "wrote no result"),
]


@pytest.mark.parametrize(("make", "outcome", "told"), ENDS, ids=[told for *_, told in ENDS])
def test_a_call_that_does_not(store: entropic.Store, make: Any, outcome: str, told: str) -> None:
    """Told where the results first differ, or what went wrong; the store is as before, private folder included."""
    simulate = drift(store, make)
    simulate(1)
    before = everything(store)

    again = simulate.reproduce(1)

    assert again.outcome == outcome
    assert told in again.detail
    assert everything(store) == before
    assert list(store.results_dir.glob(".entropic/staging/*")) == []


def test_a_result_that_was_changed_on_disk(store: entropic.Store) -> None:
    """The run is not to blame, and it is said."""

    @entropic.cached(store)
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text("true")

    simulate(1).result_path.write_text("fake")

    with pytest.warns(ResultChangedWarning):
        detail = simulate.reproduce(1).detail

    assert detail.endswith("reproduces what was recorded, so the file has been changed since")


def says_no(recorded: Path, made: Path) -> None:
    raise AssertionError("off by 3 %")


@pytest.mark.parametrize(
    ("compare", "outcome", "detail"),
    [
        (lambda recorded, made: True, "same", ""),
        (lambda recorded, made: None, "same", ""),
        (lambda recorded, made: False, "different", "the comparison says so"),
        (says_no, "different", "off by 3 %"),
    ],
)
def test_a_comparison_of_ones_own(store: entropic.Store, compare: Any, outcome: str, detail: str) -> None:
    """Whatever the bytes: the comparison decides; for the decorated function, and for a spot check of the store."""
    runs = iter(range(100))

    @entropic.cached(store, name="noisy", compare=compare, ignore=("runs",))
    def noisy(n: int, runs: Any = runs, *, result_path: Path) -> None:
        result_path.write_text(str(next(runs)))

    noisy(1)

    assert noisy.reproduce(1)[1:] == (outcome, detail)
    assert store.reproduce(1.0)[0][1:] == (outcome, detail)
    assert store.reproduce(1.0, compare=lambda recorded, made: made.read_text() > recorded.read_text()).has_reproduced


def test_a_call_without_a_run(store: entropic.Store) -> None:
    """There is nothing to compare with."""

    @entropic.cached(store)
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    with pytest.raises(NotRecordedError, match="Call the function first"):
        simulate.reproduce(1)
    assert list(store.results_dir.iterdir()) == []


def test_methods_and_coroutines(store: entropic.Store) -> None:
    """Through the object that has the method; a coroutine runs in an event loop of its own."""

    class Model:
        @entropic.cached(store, ignore=("self",))
        def simulate(self, n: int, *, result_path: Path) -> None:
            result_path.write_text(str(n))

    @entropic.cached(store)
    async def later(n: int, *, result_path: Path) -> None:
        await asyncio.sleep(0)
        result_path.write_text(str(n))

    model = Model()
    model.simulate(1)
    asyncio.run(later(1))

    assert model.simulate.reproduce(1).outcome == "same"
    assert later.reproduce(1).outcome == "same"
    assert [one.outcome for one in store.reproduce(1.0)] == ["skipped", "same"]


def test_a_result_that_quotes_its_own_name(store: entropic.Store) -> None:
    """It is given the same name again."""

    @entropic.cached(store)
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.with_suffix(".dat").write_text(result_path.stem)

    simulate(1)

    assert simulate.reproduce(1).outcome == "same"


class Scheme(enum.Enum):
    RK4 = "rk4"


def test_the_store_calls_from_its_records(store: entropic.Store) -> None:
    """Every kind of parameter, wherever it stands; what is recorded as a description only is skipped, and told."""

    @entropic.cached(store)
    def everything_kind(a: int, /, b: float, *rest: int, c: str = "c", result_path: Path, **more: Any) -> None:
        result_path.write_text(repr((a, b, rest, c, more)))

    @entropic.cached(store)
    def opaque(a: Any, b: int = 1, *, result_path: Path) -> None:
        result_path.write_text("x")

    @entropic.cached(store, ignore=("b",))
    def forgetful(a: int, b: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    everything_kind(1, float("nan"), 3, 4, c="d", x={"y": [1, 2.5]})
    everything_kind(1, 2.5)
    opaque(b"bytes")
    opaque([1, {"z": {1, 2}}])
    forgetful(1, 2)
    store.run({"n": 1}, lambda params, path: path.write_text("x"))
    report = store.reproduce(1.0)

    assert [one.outcome for one in report] == ["same", "same", "skipped", "skipped", "skipped", "skipped"]
    assert "$bytes" in report[2].detail
    assert "$set" in report[3].detail
    assert "'b'" in report[4].detail
    assert "plain run" in report[5].detail
    assert str(report).splitlines()[0] == "6 run(s) checked: 2 same, 0 different, 0 failed, 4 skipped"
    assert len(str(report).splitlines()) == 5


def test_another_version_is_skipped(store: entropic.Store) -> None:
    """What version 1 has written, version 2 is not to be measured by."""

    def decorate(version: int) -> Any:
        @entropic.cached(store, name="f", version=version)
        def f(n: int, *, result_path: Path) -> None:
            result_path.write_text("x")

        return f

    first = decorate(1)
    first(1)
    second = decorate(2)

    report = store.reproduce(1.0)
    assert [one.detail for one in report] == ["made by version 1; today it is 2"]
    assert not report.has_reproduced
    assert second.retrieve(1) is None


def test_a_sample(store: entropic.Store) -> None:
    """At least one, the asked share otherwise, chosen among those asked for; the same draw for the same seed."""

    @entropic.cached(store)
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(n))

    simulate.sweep(entropic.grid(n=range(40)))

    def drawn(*args: Any, **options: Any) -> list[int]:
        return [one.record.params["n"] for one in store.reproduce(*args, **options)]

    assert len(drawn()) == 1
    assert len(drawn(0.25)) == 10
    assert drawn(0.25, seed=1) == drawn(0.25, seed=1) != drawn(0.25, seed=2)
    assert drawn(1.0, where=entropic.param("n") < 3) == [0, 1, 2]
    assert drawn(0.1, where={"n": -1}) == []
    assert drawn(0.1, seed=4) == sorted(drawn(0.1, seed=4))


@pytest.mark.parametrize("fraction", [0, -1, 1.5, float("nan")])
def test_a_fraction_out_of_range(store: entropic.Store, fraction: float) -> None:
    """Refused before anything runs."""
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        store.reproduce(fraction)


MODEL = """
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")

@entropic.cached(store)
def simulate(n, *, result_path):
    result_path.write_text(str(n * {factor}))
"""
CHECK = """
import entropic

report = entropic.Store("results", "runs.json", file_suffix=".txt").reproduce(1.0, trust=["model"])
print(*(one.outcome for one in report), *(one.detail for one in report), sep="|")
"""


def python(code: str) -> str:
    """What a fresh interpreter prints, the current folder on its path."""
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_a_function_is_found_by_importing_it(tmp_path: Path) -> None:
    """In a process that knows nothing but the store; and a model that computes otherwise by now is found out."""
    model = tmp_path / "model.py"
    model.write_text(MODEL.format(factor=2))
    python("import model; model.simulate(21)")

    assert python(CHECK) == "same|"
    model.write_text(MODEL.format(factor=4))
    assert python(CHECK) == "different|byte 0 of 2"
    model.write_text("import nothing_of_that_name\n")
    assert python(CHECK).startswith("skipped|importing model fails: ModuleNotFoundError")
    model.unlink()
    assert python(CHECK) == "skipped|its function is not known here, nor found by importing it"


def test_an_interrupt_leaves_nothing(store: entropic.Store) -> None:
    """It passes through, and the private folder goes."""
    runs = iter([0, 1])

    @entropic.cached(store, name="interrupted", ignore=("runs",))
    def simulate(n: int, runs: Any = runs, *, result_path: Path) -> None:
        result_path.write_text("x")
        if next(runs):
            raise KeyboardInterrupt

    simulate(1)

    with pytest.raises(KeyboardInterrupt):
        simulate.reproduce(1)
    assert list(store.results_dir.glob(".entropic/staging/*")) == []


def test_of_several_runs_the_one_that_answers() -> None:
    """Code that was put back as it was is held against its own run, not against the newest one, of other code."""
    program = (
        "import entropic, sys\nstore = entropic.Store('results', 'runs.json', file_suffix='.txt')\n"
        "G = int(sys.argv[1])\n"
        "@entropic.cached(store, on_change='rerun')\ndef f(n, *, result_path): result_path.write_text('x' * n * G)\n"
        "print(eval(sys.argv[2]))\n"
    )
    Path("study.py").write_text(program)
    answers = [
        subprocess.run([sys.executable, "study.py", g, use], capture_output=True, text=True, check=True).stdout
        for g, use in (("1", "f(5)"), ("2", "f(5)"), ("1", "f.reproduce(5).outcome"))
    ]

    assert answers[2].strip() == "same"
