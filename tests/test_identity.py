"""Which function a run belongs to: modules, scripts and notebooks; who runs them, where they lie, and what moves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached

STUDY = """
import entropic

store = entropic.Store({folder!r} + "/results", {folder!r} + "/runs.json", file_suffix=".txt")


@entropic.cached(store, load=lambda path: path.read_text(){options})
def simulate(n, *, result_path):
    print("RUNNING")
    result_path.write_text(str(n * {factor}))


if __name__ != "study.sim":
    print(simulate.cache_parameters()["name"], simulate(3))
"""


def written(folder: Path, name: str, *, factor: int = 2, options: str = "", store: Path | None = None) -> Path:
    """A script with a function, whose runs are kept in a folder."""
    script = folder / name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(STUDY.format(folder=str(store or folder), factor=factor, options=options))
    return script


def output(*arguments: Any, cwd: Path | None = None, **environment: str) -> str:
    """What a Python program prints, and what it warns of."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


# ---- who runs it ----------------------------------------------------------------------------------------------------

AS_MODULE = [["-m", "study.sim"], ["-m", "cProfile", "-m", "study.sim"], ["-m", "runpy", "study.sim"]]
AS_SCRIPT = [["{}"], ["-m", "cProfile", "{}"], ["-m", "trace", "--count", "-C", "counts", "{}"]]
AS_SCRIPT += [["-m", "pdb", "-c", "continue", "-c", "quit", "{}"], ["-c", "import runpy; runpy.run_path({!r})"]]


@pytest.mark.parametrize("way", AS_MODULE, ids=lambda way: way[1])
def test_a_module_goes_by_its_name(tmp_path: Path, way: list[str]) -> None:
    """Imported, run by ``python -m``, or run by a profiler: it is one function."""
    written(tmp_path, "study/sim.py")
    written(tmp_path, "study/__init__.py").write_text("")

    assert "RUNNING" in output("-c", "import study.sim; study.sim.simulate(3)", cwd=tmp_path)
    shown = output(*way, cwd=tmp_path)

    assert "study.sim.simulate 6" in shown
    assert "RUNNING" not in shown
    assert "NameSharedWarning:" not in shown
    assert "StaleResultWarning:" not in shown


@pytest.mark.parametrize("way", AS_SCRIPT, ids=lambda way: way[1:2] or "plain")
def test_a_script_goes_by_its_stem(tmp_path: Path, way: list[str]) -> None:
    """Whoever runs it, a profiler or a debugger."""
    script = written(tmp_path, "heat.py")
    output(script)

    shown = output(*[part.format(str(script)) for part in way], cwd=tmp_path)

    assert "heat.simulate 6" in shown
    assert "RUNNING" not in shown


# ---- where it lies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", ", on_change='rerun'", ", on_change='error'", ", on_change='ignore'"])
def test_two_scripts_of_one_name_never_answer_for_each_other(tmp_path: Path, options: str) -> None:
    """Other code at another place is another function: a warning says that they share a name, whatever the policy."""
    first = written(tmp_path, "heat/run.py", factor=2, store=tmp_path, options=options)
    second = written(tmp_path, "wave/run.py", factor=100, store=tmp_path, options=options)
    output(first)

    shown = output(second)

    assert "RUNNING\nrun.simulate 300" in shown
    assert "NameSharedWarning: Two functions share the name 'run.simulate'" in shown
    assert str(first) in shown
    assert "RUNNING" not in output(first)
    assert "run.simulate 6" in output(first)
    assert "RUNNING" not in output(second)


def test_each_lists_its_own(tmp_path: Path) -> None:
    """A namesake's runs are none of its own: neither listed, counted, cleared nor accepted."""
    first = written(tmp_path, "heat/run.py", factor=2, store=tmp_path)
    second = written(tmp_path, "wave/run.py", factor=100, store=tmp_path)
    with second.open("a") as file:
        file.write("print(len(simulate.list()), simulate.accept_changes()); simulate.cache_clear()")
    output(first)

    assert "\n1 0\n" in output(second)
    assert [len(run.params) for run in Store(tmp_path / "results", tmp_path / "runs.json").list()] == [1]
    assert "RUNNING" not in output(first)


def test_the_same_code_at_another_place_answers(tmp_path: Path) -> None:
    """A project that was moved, or is reached by a link, finds its runs."""
    project = tmp_path / "project"
    written(project, "run.py", store=tmp_path)
    output(project / "run.py")
    (tmp_path / "link").symlink_to(project)

    through_a_link = output(tmp_path / "link" / "run.py")
    moved = output(project.rename(tmp_path / "moved") / "run.py")

    for shown in (through_a_link, moved):
        assert "run.simulate 6" in shown
        assert "RUNNING" not in shown
        assert "Warning" not in shown


def test_a_script_edited_in_place_is_the_same_function(tmp_path: Path) -> None:
    """What its runs are good for is for ``on_change`` to say."""
    output(written(tmp_path, "run.py", factor=2))

    shown = output(written(tmp_path, "run.py", factor=3))

    assert "run.simulate 6" in shown
    assert "StaleResultWarning" in shown


def test_a_moved_and_edited_script_can_take_its_runs_along(tmp_path: Path) -> None:
    """By choosing them, as the warning says."""
    first = written(tmp_path, "old/run.py", factor=2, store=tmp_path)
    output(first)
    second = written(tmp_path, "new/run.py", factor=3, store=tmp_path)
    second.write_text(second.read_text().replace("if __name__", "simulate.accept_changes({'n': 3})\nif __name__"))

    shown = output(second)

    assert "run.simulate 6" in shown
    assert "Warning" not in shown


def test_a_name_of_ones_own_says_where_it_belongs(tmp_path: Path) -> None:
    """With ``name=``, place plays no part, and ``on_change`` decides."""
    output(written(tmp_path, "heat/run.py", factor=2, store=tmp_path, options=", name='flow'"))

    shown = output(written(tmp_path, "wave/run.py", factor=3, store=tmp_path, options=", name='flow'"))

    assert "flow 6" in shown
    assert "StaleResultWarning" in shown


def test_workers_of_a_script_record_its_place(tmp_path: Path) -> None:
    """So that its runs are its own wherever they were made."""
    script = written(tmp_path, "run.py")
    script.write_text(script.read_text().replace("simulate(3))", "simulate.sweep([{'n': 3}], workers=1))"))
    output(script)

    record = Store(tmp_path / "results", tmp_path / "runs.json").list()[0]

    assert record.provenance["function"] == "run.simulate"
    assert record.provenance["place"] == str(script)


# ---- what it was called before --------------------------------------------------------------------------------------


def test_a_renamed_function_keeps_its_runs(store: Store) -> None:
    """By its former names, whatever its parameters have become; they are its own in every way."""

    @cached(store, name="study.old")
    def old(n, h, *, result_path):
        result_path.write_text("old")

    @cached(store, name="study.new", former_names=("study.older", "study.old"), renamed={"h": "dt"})
    def new(n, dt, *, result_path):
        result_path.write_text("new")

    record = old(1, 0.5)

    assert new(1, dt=0.5).result_path == record.result_path
    assert new(2, 0.5).result_path.read_text() == "new"
    assert [run.params for run in new.list()] == [{"n": 1, "dt": 0.5}, {"n": 2, "dt": 0.5}]
    assert new.cache_info()[::3] == (1, 2)
    assert new.migrate() == 1
    assert new.migrate() == 0
    assert {run.provenance["function"] for run in store.list()} == {"study.new"}
    assert new(1, dt=0.5).result_path == record.result_path
    assert old.retrieve(1, 0.5) is None
    assert new.delete(1, 0.5)


def test_a_former_name_excuses_no_change_of_code(tmp_path: Path) -> None:
    """A script that was renamed finds its runs; if it was edited as well, ``on_change`` decides about them."""
    output(written(tmp_path, "old.py"))

    same = output(written(tmp_path, "new.py", options=", former_names=('old.simulate',)"))
    edited = output(written(tmp_path, "new.py", factor=3, options=", former_names=('old.simulate',)"))

    for shown in (same, edited):
        assert shown.startswith("new.simulate 6\n")
    assert "Warning:" not in same
    assert "StaleResultWarning" in edited


METHOD = """
class A:
    @entropic.cached(store, load=lambda path: path.read_text(), ignore=("self",))
    def step(self, n, *, result_path):
        result_path.write_text("step")
A().step(3)
"""
MOVES: dict[str, tuple[str, list[str], list[tuple[str, str]], str]] = {
    "a script renamed": ("new.py", ["new.py"], [], "old.simulate"),
    "a function renamed": ("old.py", ["old.py"], [("simulate", "solve")], "old.simulate"),
    "a script that became a module": ("study/sim.py", ["-m", "study.sim"], [], "old.simulate"),
    "a class renamed": ("old.py", ["old.py"], [("A()", "B()"), ("class A", "class B")], "old.A.step"),
}


@pytest.mark.parametrize("move", MOVES)
def test_a_renamed_function_is_told_where_its_runs_are(tmp_path: Path, move: str) -> None:
    """At the first point that is missing, once, with what to paste; pasted, it answers and nothing is said."""
    place, way, edits, former = MOVES[move]
    method = METHOD if "A.step" in former else ""
    script = written(tmp_path, "old.py", store=tmp_path)
    script.write_text(source := script.read_text() + method)
    output(script)
    script.unlink()
    for old, new in edits:
        source = source.replace(old, new)
    moved = written(tmp_path, place)
    moved.write_text(source.replace("read_text()", f"read_text(), former_names=('{former}',)"))
    declared = output(*way, cwd=tmp_path)
    moved.write_text(source)
    shown = output(*way, cwd=tmp_path)

    assert "Warning" not in declared
    assert "RUNNING" not in declared
    assert shown.count("RenamedFunctionWarning:") == 1
    assert f'    former_names=("{former}",)\n    name="{former}"\n' in shown


def test_a_function_renamed_again_is_told_of_all_its_names(tmp_path: Path) -> None:
    """Of those that it ran under, and of that to which its records were migrated."""
    for name, options, more in (
        ("one.py", "", ""),
        ("two.py", ", former_names=('one.simulate',)", "simulate.migrate()"),
        ("three.py", "", "simulate(5)"),
    ):
        script = written(tmp_path, name, store=tmp_path, options=options)
        script.write_text(f"{script.read_text()}\n{more}\n")
        shown = output(script)

    assert 'former_names=("one.simulate", "two.simulate")' in shown
    assert 'name="two.simulate"' in shown


def test_equal_code_is_no_renamed_function_if_both_are_there(tmp_path: Path) -> None:
    """Nor is other code, nor another version of it."""
    output(written(tmp_path, "one.py", store=tmp_path))
    two = written(tmp_path, "two.py", store=tmp_path)
    two.write_text(f"import one\n{two.read_text()}")

    shown = [
        output(two),
        output(written(tmp_path, "three.py", store=tmp_path, factor=3)),
        output(written(tmp_path, "four.py", store=tmp_path, options=", version=2")),
    ]

    assert all("RUNNING" in one and "Warning" not in one for one in shown)


def test_a_plan_and_the_explanation_tell_of_the_former_name(tmp_path: Path) -> None:
    """Before anything runs twice."""
    output(written(tmp_path, "old.py", store=tmp_path))
    new = written(tmp_path, "new.py", store=tmp_path)
    new.write_text(
        new.read_text().replace("simulate(3))", "simulate.explain(3), simulate.plan([{'n': 3}]), simulate.retrieve(3))")
    )

    shown = output(new)

    assert "RUNNING" not in shown
    assert shown.count("RenamedFunctionWarning:") == 1
    assert shown.count('former_names=("old.simulate",)') == 2
    assert "the same code has run it as old.simulate" in shown


def test_former_names_are_a_tuple(store: Store) -> None:
    """One text would be taken for its letters."""
    with pytest.raises(TypeError, match="former_names='old'"):

        @cached(store, former_names="old")
        def simulate(n, *, result_path): ...
