"""What a call does about recorded runs of code that has changed, told by processes that run edited files."""

from __future__ import annotations

import functools
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import entropic
from entropic.errors import ChangedDefaultWarning, CodeChangedError, EntropicError, StaleResultWarning

MODEL = """
G = 9.81

def rhs(x):
    return -G * x
"""

STUDY = """
import json, sys, warnings
import entropic, model

store = entropic.Store("results", "runs.json", file_suffix=".txt")

@entropic.cached(store, on_change="POLICY")
def simulate(n, dt=0.1, *, result_path):
    result_path.write_text(f"{n * model.rhs(dt):.2f}")

if __name__ == "__main__":
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = eval(sys.argv[1])
    told = [f"{one.category.__name__}: {one.message}" for one in caught]
    print(json.dumps({"answer": answer, "told": told, "misses": simulate.cache_info().misses}))
"""

TEXT = "simulate(2).result_path.read_text()"
FLIPPED = ("-G * x", "G * x")
MOON = ("9.81", "1.62")
COMMENT = ("-G * x", "-G * x  # Hooke")
OWN = ("{n * model", "{1 + n * model")


def play(expression: str = TEXT, *edits: tuple[str, str], policy: str = "warn") -> dict[str, Any]:
    """Run the study in a process of its own, after edits of it or its model: what it answers, and what it warns of."""
    for name, source in (("model", MODEL), ("study", STUDY.replace("POLICY", policy))):
        for old, new in edits:
            source = source.replace(old, new)
        Path(f"{name}.py").write_text(source)
    command = [sys.executable, "study.py", expression]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        return {"error": done.stderr.splitlines()[-1]}
    assert done.stderr == ""
    told: dict[str, Any] = json.loads(done.stdout)
    return told


# ---- the policies ---------------------------------------------------------------------------------------------------


def test_a_comment_changes_nothing() -> None:
    """A hit stays one, and nothing is said, when comments have changed."""
    play()

    assert play(TEXT, COMMENT) == {"answer": "-1.96", "told": [], "misses": 0}


@pytest.mark.parametrize(
    ("edit", "named"),
    [(FLIPPED, "helper `rhs` in model.py"), (MOON, "constant `G` in model.py"), (OWN, "the function itself")],
    ids=["helper", "constant", "itself"],
)
def test_by_default_a_change_is_said_once(edit: tuple[str, str], named: str) -> None:
    """The recorded result is handed out, with one warning that names what changed and what to do."""
    play()
    told = play(f"[{TEXT}, {TEXT}, simulate.retrieve(2).params, len(store.list())]", edit)

    assert told["answer"] == ["-1.96", "-1.96", {"n": 2, "dt": 0.1}, 1]
    assert told["misses"] == 0
    assert len(told["told"]) == 1
    for words in ("StaleResultWarning", "study.simulate", named, "accept_changes()", "version=", "rerun"):
        assert words in told["told"][0]


def test_the_warning_points_at_the_call() -> None:
    """The warning is of the line of the user's that led to it."""
    play()
    Path("model.py").write_text(MODEL.replace(*FLIPPED))
    program = "import study\nstudy.simulate(2)\n"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr

    assert said.startswith("<string>:2: StaleResultWarning")


def test_a_changed_function_may_run_again() -> None:
    """With rerun, the point runs anew, and the old record and its file are kept."""
    play(policy="rerun")
    told = play(f"[{TEXT}, {TEXT}, [one.result_path.read_text() for one in store.list()]]", FLIPPED, policy="rerun")

    assert told == {"answer": ["1.96", "1.96", ["-1.96", "1.96"]], "told": [], "misses": 1}


@pytest.mark.parametrize("policy", ["warn", "rerun", "error"])
def test_code_put_back_finds_its_results(policy: str) -> None:
    """After the change is reverted the older record answers again, though a newer one of other code is there."""
    play(policy="rerun")
    play(TEXT, FLIPPED, policy="rerun")

    assert play(f"[{TEXT}, {TEXT}]", policy=policy) == {"answer": ["-1.96", "-1.96"], "told": [], "misses": 0}
    assert play(TEXT, FLIPPED, policy=policy) == {"answer": "1.96", "told": [], "misses": 0}


def test_a_change_may_be_an_error() -> None:
    """With error the call is refused, and so is retrieve; a new point runs."""
    play()
    refused = play(TEXT, FLIPPED, policy="error")["error"]

    assert "CodeChangedError: Cannot answer" in refused
    assert "helper `rhs` in model.py" in refused
    assert "CodeChangedError" in play("simulate.retrieve(2)", FLIPPED, policy="error")["error"]
    assert play("simulate(3).params", FLIPPED, policy="error")["misses"] == 1


def test_a_change_may_be_ignored() -> None:
    """With ignore nobody looks, and what code a run was made with is recorded all the same."""
    play(policy="ignore")
    told = play(f"[{TEXT}, len(store.list()[0].provenance['code'])]", FLIPPED, policy="ignore")

    assert told == {"answer": ["-1.96", 16], "told": [], "misses": 0}
    assert play(TEXT, FLIPPED)["told"] != []


def test_retrieve_follows_the_call() -> None:
    """With rerun, a record of other code is none for retrieve either."""
    play(policy="rerun")

    assert play("simulate.retrieve(2)", FLIPPED, policy="rerun")["answer"] is None


def test_a_stale_record_whose_result_is_gone_runs_again() -> None:
    """Of a result that is gone nothing is handed out, whatever its code: it runs, without a word of the code."""
    play()
    for path in Path("results").glob("*.txt"):
        path.unlink()

    assert play(f"[{TEXT}, len(store.list())]", FLIPPED) == {"answer": ["1.96", 1], "told": [], "misses": 1}


def test_records_without_a_fingerprint_are_good(store: entropic.Store) -> None:
    """What was registered, or recorded by an earlier release, answers."""

    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    cached = entropic.cached(store, on_change="error", name="simulate")(simulate)
    Path("made.txt").write_text("elsewhere")
    record = cached.register("made.txt", 1)

    assert "code" not in record.provenance
    assert cached(1) == record


def test_an_unknown_policy_is_refused_when_decorating(store: entropic.Store) -> None:
    """A misspelt policy is no policy."""
    with pytest.raises(ValueError, match=r"on_change='rerunn' is none of 'warn', 'rerun', 'error', 'ignore'"):
        entropic.cached(store, on_change="rerunn")(lambda result_path: None)  # type: ignore[call-overload]


def test_what_changed_is_told_without_the_notes() -> None:
    """Without the notes of the earlier code the warning cannot name the part, and comes all the same."""
    play()
    for path in Path("results/.entropic/code").glob("*.json"):
        path.unlink()
    (told,) = play(TEXT, FLIPPED)["told"]

    assert "which part is not known" in told


def test_the_notes_hold_sources_and_no_values() -> None:
    """Of functions the text is kept, of constants only a digest: a value may be a secret."""
    play(TEXT, ("9.81", "9.8123"))
    text = "".join(path.read_text() for path in Path("results/.entropic/code").glob("*.json"))

    assert "return -G * x" in text
    assert "9.8123" not in text


def test_what_is_kept_of_code_is_no_leftover() -> None:
    """Checking finds all well, and repairing keeps it."""
    play()
    answer = play("[store.check(repair=True).is_clean, str(store.check())]")["answer"]

    assert answer == [True, "1 record checked\nall is well"]
    kept = sorted(path.name.partition("-")[0] for path in Path("results/.entropic/code").glob("*-*.json"))
    assert kept == ["defaults", "fields"]
    assert len(list(Path("results/.entropic/code").glob("*.json"))) == 3


# ---- accepting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["warn", "rerun", "error"])
def test_accepted_runs_answer(policy: str) -> None:
    """Accepted once, recorded runs answer in every process and mode, and the records are as they were."""
    play("[simulate(2) and None, simulate(3) and None]")
    before = Path("runs.json").read_bytes()

    assert play("simulate.accept_changes()", FLIPPED)["answer"] == 2
    assert play("simulate.accept_changes()", FLIPPED)["answer"] == 0
    assert Path("runs.json").read_bytes() == before
    assert play(TEXT, FLIPPED, policy=policy) == {"answer": "-1.96", "told": [], "misses": 0}


def test_chosen_runs_are_accepted() -> None:
    """Of runs of several codes those of one can be accepted, and the others stay what they are."""
    play()
    play("simulate(2) and None", FLIPPED, policy="rerun")
    chosen = "simulate.accept_changes(where={'provenance.code': simulate.list()[0].provenance['code']})"

    assert play(f"[{chosen}, {TEXT}]", OWN) == {"answer": [1, "-1.96"], "told": [], "misses": 0}


def texts(*points: int) -> Callable[[Any], list[str]]:
    """What a function answers for some points."""
    return lambda function: [function(n).result_path.read_text() for n in points]


def accept(where: Any = None) -> Callable[[Any], Any]:
    return lambda function: function.accept_changes(where)


# Each step is an edit, what is done about changed code, and what is called; then what it gives.
STORIES: dict[str, list[tuple[float, str, Callable[[Any], Any], Any]]] = {
    "all points": [
        (1, "warn", texts(1, 2), ["1", "2"]),
        (3, "rerun", accept(), 2),
        (3, "rerun", accept(), 0),
        (3, "error", texts(1, 2, 3), ["1", "2", "9"]),
    ],
    "one point, and not the others of its code": [
        (1, "warn", texts(1, 2), ["1", "2"]),
        (3, "rerun", accept({"n": 1}), 1),
        (3, "rerun", accept({"n": 7}), 0),
        (3, "rerun", texts(1, 2), ["1", "6"]),
    ],
    "one point, then the others": [
        (1, "warn", texts(1, 2), ["1", "2"]),
        (3, "rerun", accept({"n": 1}), 1),
        (3, "rerun", accept(), 1),
        (3, "error", texts(1, 2), ["1", "2"]),
    ],
    "one point, from edit to edit": [
        (1, "warn", texts(1, 2), ["1", "2"]),
        (3, "rerun", accept({"n": 1}), 1),
        (4, "rerun", accept({"n": 1}), 1),
        (4, "rerun", texts(1, 2), ["1", "8"]),
    ],
    "a code that was given up for an earlier one": [
        (1, "rerun", texts(1, 2), ["1", "2"]),
        (2, "rerun", texts(1, 2), ["2", "4"]),
        (1, "rerun", texts(1, 2), ["1", "2"]),
        (3, "rerun", accept(), 2),
        (3, "error", texts(1, 2), ["1", "2"]),
    ],
    "the same for one point: it is the point that was chosen, and no code": [
        (1, "rerun", texts(1, 2), ["1", "2"]),
        (2, "rerun", texts(1, 2), ["2", "4"]),
        (1, "rerun", texts(1, 2), ["1", "2"]),
        (3, "rerun", accept({"n": 1}), 1),
        (3, "rerun", texts(1, 2), ["1", "6"]),
    ],
    "a code that was given up does not answer with a warning, either": [
        (1, "rerun", texts(1, 2), ["1", "2"]),
        (2, "rerun", texts(1, 2), ["2", "4"]),
        (1, "rerun", texts(1, 2), ["1", "2"]),
        (3, "warn", texts(1, 2), ["1", "2"]),
    ],
    "of each point what answered last": [
        (1, "rerun", texts(1, 2), ["1", "2"]),
        (2, "rerun", texts(1), ["2"]),
        (3, "rerun", accept(), 2),
        (3, "error", texts(1, 2), ["2", "2"]),
        (3, "error", lambda function: function.list()[-1].result_path.unlink(), None),
        (3, "rerun", texts(1), ["3"]),
    ],
    "replicates": [
        (1, "warn", lambda function: len(function.replicates(3, 1)), 3),
        (3, "rerun", accept(), 3),
        (3, "error", lambda function: [one.result_path.read_text() for one in function.replicates(4, 1)], [*"1113"]),
    ],
    "asked to run again": [
        (1, "warn", texts(1, 2), ["1", "2"]),
        (2, "warn", lambda function: function.run(1) and None, None),
        (3, "rerun", accept(), 2),
        (3, "error", texts(1, 2), ["2", "2"]),
    ],
    "the runs of one code": [
        (1, "rerun", texts(1, 2), ["1", "2"]),
        (2, "rerun", texts(1, 2), ["2", "4"]),
        (3, "rerun", lambda f: f.accept_changes({"provenance.code": f.list()[0].provenance["code"]}), 2),
        (3, "error", texts(1, 2), ["1", "2"]),
    ],
    "by a condition": [
        (1, "warn", texts(1, 2, 3), ["1", "2", "3"]),
        (2, "rerun", accept(entropic.param("n") > 1), 2),
        (2, "rerun", texts(1, 2, 3), ["2", "2", "3"]),
    ],
}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.filterwarnings("ignore::entropic.errors.StaleResultWarning")
@pytest.mark.filterwarnings("ignore::entropic.errors.UnknownNameWarning")
@pytest.mark.filterwarnings("ignore::entropic.errors.EqualReplicatesWarning")
def test_what_accepting_accepts(store: entropic.Store, monkeypatch: pytest.MonkeyPatch, story: str) -> None:
    """What answered before the edit, of the points that are chosen; nothing else answers because of it."""
    given, expected = [], []
    for factor, policy, call, answer in STORIES[story]:
        monkeypatch.setattr(sys.modules[__name__], "FACTOR", factor)
        given.append(call(entropic.cached(store, on_change=policy, seed=None)(scaled)))  # type: ignore[call-overload]
        expected.append(answer)

    assert given == expected


def test_accepting_says_what_it_did(store: entropic.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number, which at a prompt tells of what runs, and what has changed since they were made."""
    function = entropic.cached(store, name="study.scaled")(scaled)
    for n in (1, 2):
        function(n)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3.0)

    one = function.accept_changes({"n": 1})
    rest = pickle.loads(pickle.dumps(function.accept_changes()))

    assert repr(one) == (
        "<1 run of study.scaled, of 1 point, accepted for today's code. "
        "Changed since: constant `FACTOR` in test_changes.py.>"
    )
    assert (rest, f"{rest}", rest.points, rest.left_out) == (1, "1", 1, 0)
    assert repr(function.accept_changes()) == "<No run of study.scaled had to be accepted.>"


def test_single_runs_stay_accepted_when_they_are_renamed(
    store: entropic.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is the same, whatever its function is called."""
    before = entropic.cached(store, name="old")(scaled)
    for n in (1, 2):
        before(n)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3.0)
    now = entropic.cached(store, name="new", former_names=("old",), on_change="error")(scaled)
    assert now.accept_changes({"n": 1}) == 1
    assert now.migrate() == 2

    assert now(1).result_path.read_text() == "2.0"
    with pytest.raises(CodeChangedError):
        now(2)
    assert [record.params["n"] for record in now.list(current=True)] == [1]


def test_accepting_helps_at_once() -> None:
    """A process that accepts is answered from then on."""
    play(policy="rerun")
    told = play(f"[simulate.retrieve(2), simulate.accept_changes(), {TEXT}]", FLIPPED, policy="rerun")

    assert told == {"answer": [None, 1, "-1.96"], "told": [], "misses": 0}


def test_accepting_goes_one_way() -> None:
    """Old runs are good for the new code; runs of the new code are not good for the old one."""
    play()
    play("[simulate.accept_changes(), simulate(3) and None]", FLIPPED)

    assert play(TEXT, policy="error")["answer"] == "-1.96"
    assert "CodeChangedError" in play("simulate(3) and None", policy="error")["error"]


def test_accepting_goes_on_from_change_to_change() -> None:
    """What was good for the code before is good for the code now, if that accepts the one before."""
    play()
    play("simulate.accept_changes()", FLIPPED)
    play("simulate(4) and None", FLIPPED)
    play("simulate.accept_changes()", FLIPPED, MOON)

    assert play(f"[simulate(4).params['n'], {TEXT}]", FLIPPED, MOON, policy="error")["answer"] == [4, "-1.96"]


def test_a_merge_brings_what_was_accepted() -> None:
    """Runs taken over from another store are as good as they were there, and their code can be named."""
    play()
    play("simulate.accept_changes()", FLIPPED)
    ours = entropic.Store("ours", "ours.json", file_suffix=".txt")
    ours.merge(entropic.Store("results", "runs.json"))
    for name in ("results", "runs.json"):
        os.rename(name, f"theirs_{name}")
    os.rename("ours", "results")
    os.rename("ours.json", "runs.json")

    assert play(TEXT, FLIPPED, policy="error")["answer"] == "-1.96"
    assert "constant `G` in model.py" in play(TEXT, MOON)["told"][0]


def test_a_merge_accepts_nothing_for_runs_that_were_here() -> None:
    """Of our own runs of the same code nobody has said that they are still good."""
    play("simulate(4)")
    for name in ("results", "runs.json"):
        os.rename(name, f"ours_{name}")
    play()
    play("simulate.accept_changes()", FLIPPED)
    ours = entropic.Store("ours_results", "ours_runs.json", file_suffix=".txt")
    assert len(ours.merge(entropic.Store("results", "runs.json")).taken) == 1
    for name in ("results", "runs.json"):
        os.rename(name, f"theirs_{name}")
        os.rename(f"ours_{name}", name)

    assert play(TEXT, FLIPPED, policy="error")["answer"] == "-1.96"
    assert "CodeChangedError" in play("simulate(4)", FLIPPED, policy="error")["error"]


def test_a_folder_that_cannot_be_written_refuses_to_accept(store: entropic.Store) -> None:
    """Accepting that would not last is an error."""
    Path("results/.entropic").mkdir(parents=True)
    Path("results/.entropic/code").write_text("in the way")

    with pytest.raises(OSError, match="code"):
        store._engine.codebook.accept(["a"], "b")


# ---- in one process -------------------------------------------------------------------------------------------------

FACTOR = 2.0
calls: list[int] = []


def scaled(n: int, result_path: Path) -> None:
    calls.append(n)
    result_path.write_text(str(n * FACTOR))


def test_a_constant_changed_between_two_calls(store: entropic.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module-level value set anew between two calls is seen by the next one, whose run is of its own code."""
    cached = entropic.cached(store, on_change="rerun")(scaled)
    first = cached(1)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3.0)
    second = cached(1)
    monkeypatch.undo()

    assert [one.result_path.read_text() for one in (first, second, cached(1))] == ["2.0", "3.0", "2.0"]
    assert first.provenance["code"] != second.provenance["code"]


def weighted(n: int, weight: int = 1, *, bias: int = 0) -> int:
    return n * weight + bias


@pytest.mark.parametrize(("name", "value"), [("__defaults__", (5,)), ("__kwdefaults__", {"bias": 7})])
def test_defaults_of_a_helper_set_anew_between_two_calls(
    store: entropic.Store, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """What a helper stands in for a parameter that is left out is seen by the next call, not by the next run only."""

    def use(n: int, result_path: Path) -> None:
        result_path.write_text(str(weighted(n)))

    cached = entropic.cached(store, on_change="rerun")(use)
    cached(2)
    monkeypatch.setattr(weighted, name, value)
    changed = cached(2).result_path.read_text()
    monkeypatch.undo()

    assert (changed, cached(2).result_path.read_text()) == (str(10 if isinstance(value, tuple) else 9), "2")


def test_defaults_of_the_function_set_anew_between_two_calls(
    store: entropic.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a test does for a while: they are part of the key, and no run is recorded under those it was not made with."""

    def use(n: int, weight: int = 1, *, bias: int = 0, table: tuple[int, ...] = (0,), result_path: Path) -> None:
        result_path.write_text(str(n * weight + bias + sum(table)))

    cached = entropic.cached(store, load=Path.read_text)(use)
    told = [cached(2)]
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ChangedDefaultWarning)
        patch.setattr(use, "__defaults__", (5,))
        told += [cached(2), cached(3)]
        patch.setitem(use.__kwdefaults__, "table", (7,))
        told += [cached(4)]
        patch.setattr(use, "__kwdefaults__", {"bias": 100, "table": (0,)})
        told += [cached(2)]

    assert told == ["2", "10", "15", "27", "110"]
    assert [cached(n) for n in (2, 3, 4)] == ["2", "3", "4"]
    assert [cached(2, 5), cached(2, 5, bias=100)] == ["10", "110"]


TABLE = np.arange(4)
LARGE = np.arange(40_000)


@pytest.mark.parametrize("name", ["TABLE", "LARGE"])
def test_an_array_shaped_anew_in_place_between_two_calls(
    store: entropic.Store, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of the same bytes, an array of another shape or type is another value; one that was looked at can be resized."""
    table = np.arange(4 if name == "TABLE" else 40_000)
    monkeypatch.setattr(sys.modules[__name__], name, table)

    def small(n: int, result_path: Path) -> None:
        result_path.write_text(f"{TABLE.shape} {TABLE.dtype}")

    def large(n: int, result_path: Path) -> None:
        result_path.write_text(f"{LARGE.shape} {LARGE.dtype}")

    cached = entropic.cached(store, on_change="rerun", load=Path.read_text)(small if name == "TABLE" else large)
    told = [cached(1)]
    table.shape = (2, len(table) // 2)
    told.append(cached(1))
    table.dtype = np.dtype("f8")
    told.append(cached(1))

    assert told == [f"({len(table) * table.shape[1]},) int64", f"{table.shape} int64", f"{table.shape} float64"]


# What shows nothing of how it was made, and wrappers whose options a decorator shows.
OPAQUE = """
import random, struct, sys
from pathlib import Path
import entropic, parts
store = entropic.Store("results", "runs.json", file_suffix=".txt")
@entropic.cached(store, load=Path.read_text, on_change="rerun")
def simulate(n, *, result_path):
    seeded = parts.RANDOM is not None
    result_path.write_text(f"{parts.LAYOUT.size} {parts.Model().half} {parts.half(n)} {seeded}")
if sys.argv[1:]:
    source = Path(parts.__file__)
    source.write_text(source.read_text().replace("<2s", "<7s"))
print(simulate(4), simulate.cache_info().misses)
"""
PARTS = """
import functools, random, struct
SEED = 1
RANDOM = random.Random(SEED)
LAYOUT = struct.Struct("<2s")
class Model:
    @property
    def half(self): return 0.5
    def times(self, factor, n): return factor * n
    halved = functools.partialmethod(times, 0.5)
def half(n): return Model().halved(n)
"""


def opaque(*arguments: str) -> str:
    """What the program says that is kept in the folder."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "opaque.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_a_file_saved_right_before_the_process_began_is_what_it_runs() -> None:
    """As by a script that writes a program and starts it: what its source says is known, and no run is made twice."""
    Path("opaque.py").write_text(OPAQUE)
    Path("parts.py").write_text(PARTS)
    first, again = opaque(), opaque()
    Path("parts.py").write_text(PARTS.replace("<2s", "<7s"))

    assert (first, again, opaque()) == ("2 0.5 2.0 True 1", "2 0.5 2.0 True 0", "7 0.5 2.0 True 1")


def test_a_value_made_by_a_source_that_was_edited_since_is_not_that_of_the_edit() -> None:
    """A run of what was loaded before the edit does not answer for what is loaded after it."""
    others = "    seeded = parts.RANDOM is not None\n", " {parts.Model().half} {parts.half(n)} {seeded}"
    Path("opaque.py").write_text(OPAQUE.replace(others[0], "").replace(others[1], ""))
    Path("parts.py").write_text(PARTS)

    assert (opaque("edit"), opaque()) == ("2 1", "7 1")


def test_notes_that_cannot_be_written_harm_no_run(store: entropic.Store) -> None:
    """A run is recorded though what it was made from cannot be noted down."""
    Path("results/.entropic").mkdir(parents=True)
    Path("results/.entropic/code").write_text("in the way")
    cached = entropic.cached(store)(scaled)

    assert cached(1) == cached(1)


def test_followers_of_a_rerun_get_its_record(store: entropic.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that ask for a point of changed code at once share one new run."""
    cached = entropic.cached(store, on_change="rerun")(scaled)
    cached(1)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 5.0)
    calls.clear()
    barrier, records = threading.Barrier(4), []

    def ask() -> None:
        barrier.wait()
        records.append(cached(1))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert calls == [1]
    assert {record.result_path.read_text() for record in records} == {"5.0"}


def test_a_warning_that_is_an_error_stays_one(store: entropic.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who turns the warning into an error is not handed the result by asking again."""
    cached = entropic.cached(store)(scaled)
    cached(1)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 7.0)

    for _ in range(2):
        with pytest.raises(StaleResultWarning):
            cached(1)


class Model:
    def __init__(self, n: int) -> None:
        self.n = n

    def run(self, result_path: Path) -> None:
        result_path.write_text(str(self.rhs()))

    def rhs(self) -> float:
        return 0.0


class Lorenz(Model):
    def rhs(self) -> float:
        return FACTOR


def test_a_method_is_looked_at_as_its_object_has_it(store: entropic.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant that only a subclass reaches concerns the runs of that subclass alone; accepting covers both."""
    entropic.normalize.register(Model, lambda model: {"kind": type(model).__name__, "n": model.n})
    monkeypatch.setattr(Model, "run", entropic.cached(store, on_change="error")(Model.run))
    base, derived = Model(1), Lorenz(1)
    base.run()
    derived.run()
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 9.0)

    base.run()
    with pytest.raises(CodeChangedError, match="constant `FACTOR`"):
        derived.run()
    assert Model.run.accept_changes() >= 1  # type: ignore[attr-defined]
    assert derived.run().result_path.read_text() == "2.0"  # type: ignore[func-returns-value]


def test_the_error_keeps_its_words_when_pickled() -> None:
    """The error survives the way back from a worker."""
    error = CodeChangedError("m.f", ["helper `g` in m.py", "the function itself"], "2026-01-01T00:00:00.5+00:00")
    twin = pickle.loads(pickle.dumps(error))

    assert (str(twin), twin.name, twin.changed) == (str(error), error.name, error.changed)
    assert isinstance(error, (EntropicError, RuntimeError))
    assert "code of m.f has changed since 2026-01-01 00:00:00: helper `g` in m.py and the function itself." in str(
        error
    )


# ---- a notebook -----------------------------------------------------------------------------------------------------


def test_a_helper_typed_in_anew_is_noticed() -> None:
    """At a prompt, a helper that is replaced is seen by the next call, without decorating anew."""
    program = textwrap.dedent("""
        import entropic
        store = entropic.Store("results", "runs.json", file_suffix=".txt")
        def helper(): return 1
        @entropic.cached(store, on_change="rerun")
        def f(n, *, result_path): result_path.write_text(str(helper()))
        print(f(1).result_path.read_text(), f(1).result_path.read_text())
        def helper(): return 2
        print(f(1).result_path.read_text(), f.cache_info().misses)
    """)
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said == "1 1\n2 2\n"


# ---- defaults -------------------------------------------------------------------------------------------------------

DEFAULT = ("dt=0.1", "dt=0.2")


def test_a_changed_default_is_said() -> None:
    """A call that leaves out a parameter whose default has changed is told, once, how many runs had the old one."""
    play("[simulate(2) and None, simulate(3) and None]")
    told = play("[simulate(2) and None, simulate(4) and None]", DEFAULT)

    assert told["misses"] == 2
    (words,) = told["told"]
    assert words.startswith(f"{ChangedDefaultWarning.__name__}: The default of dt in study.simulate is 0.2 now and was")
    assert "was 0.1, which 2 recorded runs have" in words
    assert "Pass dt=0.1" in words


def test_a_changed_default_is_not_said_twice() -> None:
    """Once runs are recorded with it, the new default is one of those that are known."""
    play()
    play(TEXT, DEFAULT)

    assert play("simulate(5) and None", DEFAULT)["told"] == []
    assert play("simulate(6) and None")["told"] == []


def test_who_passes_a_value_is_told_nothing_of_its_default() -> None:
    """A call that passes the parameter hears nothing; the next one that leaves it out does."""
    play()

    assert play("simulate(5, 0.3) and None", DEFAULT)["told"] == []
    assert len(play("simulate(5) and None", DEFAULT)["told"]) == 1


def test_a_default_that_no_run_has_is_no_news() -> None:
    """A default that was changed before any recorded run had it is not spoken of."""
    play("simulate(2, dt=7.0) and None")

    assert play("simulate(2) and None", DEFAULT)["told"] == []


def test_a_hit_never_writes() -> None:
    """Answering from the store leaves no trace of the code that asked."""
    play()
    before = sorted(Path("results").rglob("*"))
    with warnings.catch_warnings():
        play(TEXT, FLIPPED)

    assert sorted(Path("results").rglob("*")) == before


def test_a_sweep_is_answered_like_its_calls() -> None:
    """Points of a sweep whose runs are of other code run again with rerun, and are said once by default."""
    play("[simulate(2) and None, simulate(3) and None]")
    points = "[dict(n=2), dict(n=3)]"

    told = play(f"len(simulate.sweep({points}))", FLIPPED)
    assert (told["misses"], len(told["told"])) == (0, 1)
    assert play(f"len(simulate.sweep({points}))", FLIPPED, policy="rerun")["misses"] == 2
    assert play(f"len(simulate.sweep({points}))", FLIPPED, policy="rerun")["misses"] == 0


@pytest.mark.parametrize(("policy", "runs"), [("rerun", 4), ("ignore", 2), ("warn", 2)])
def test_replicates_are_held_against_the_code(policy: str, runs: int) -> None:
    """Those of other code count, or are made anew, as the policy says; and those of code put back count again."""
    replicate = "[len(simulate.replicates(2, 2)), len(store.list())]"
    with_noise = ('result_path.write_text(f"', "result_path.write_text(f\"{__import__('os').urandom(16)}")
    play(replicate, with_noise, policy=policy)
    told = play(replicate, with_noise, FLIPPED, policy=policy)

    assert told["answer"] == [2, runs]
    assert len(told["told"]) == (policy == "warn")
    assert play(replicate, with_noise, policy=policy) == {"answer": [2, runs], "told": [], "misses": 0}


# What explain says of a run of earlier code, by policy: its verdict, and some of the words below.
EXPLAINED = [
    ("warn", "it would hit", ["handed out with a warning", "the code changed: helper `rhs` in model.py"]),
    ("rerun", "it would run", ['with on_change="rerun" it does not answer', "the code changed: helper `rhs`"]),
    ("error", "it would be refused", ['with on_change="error"', "the code changed: helper `rhs`"]),
    ("ignore", "it would hit", ["recorded 20"]),
]


@pytest.mark.parametrize(("policy", "verdict", "words"), EXPLAINED, ids=[policy for policy, *_ in EXPLAINED])
def test_code_is_part_of_the_explanation(policy: str, verdict: str, words: list[str]) -> None:
    """What would come of the call, and what of the code has changed; to ask warns of nothing, and refuses nothing."""
    play(policy=policy)
    assert play("str(simulate.explain(2))", policy=policy)["answer"].startswith("it would hit")

    told = play("str(simulate.explain(2))", FLIPPED, policy=policy)

    assert told["answer"].startswith(verdict)
    assert all(part in told["answer"] for part in words)
    assert told["told"] == []


def test_a_diff_fits_a_terminal() -> None:
    """Long lines go on in the next one, with their sign: in the warning, in `explain` and in `entropic show --code`."""
    long = ("-G * x", "-G * x + 0 * sum([" + ", ".join(map(str, range(100, 140))) + "])")
    play("simulate(2) and None", long)
    told = play("str(simulate.explain(2))", FLIPPED)["answer"].splitlines()
    warned = play("simulate(2) and None", FLIPPED)["told"][0].splitlines()[1:]
    play("simulate.run(2) and None", FLIPPED)
    shown = shown_by("show", "--code", "n=2").splitlines()

    expected = ["--- model.py: rhs (recorded)", "+++ model.py: rhs (now)", "+    return G * x"]
    for lines in (warned, shown, [line[2:] for line in told]):
        assert set(expected) <= set(lines)
        (at,) = [number for number, line in enumerate(lines) if line.startswith("-    return")]
        assert lines[at + 1].startswith("-        ")
        assert max(map(len, lines[at:])) <= 78
    assert "  it ran for this reason: no such run" in told


def shown_by(*arguments: str) -> str:
    """What the command line prints."""
    command = [sys.executable, "-m", "entropic", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_why_shows_what_has_changed_up_to_the_newest_run() -> None:
    """The command line knows no code of today: it compares with the newest run of the function."""
    play("[simulate(2) and None, simulate(3) and None]")
    before = shown_by("why", "n=2", "dt=0.1")
    play("simulate(4) and None", FLIPPED)
    shown = shown_by("why", "n=2", "dt=0.1")
    play("simulate.accept_changes({'n': 2}) and None", FLIPPED)

    assert "its code is" not in before
    assert "its code is not that of the newest run of study.simulate: helper `rhs` in model.py" in shown
    assert "-    return -G * x" in shown
    assert shown_by("why", "n=2", "dt=0.1") == before
    assert shown_by("why", "n=4", "dt=0.1").count("\n") == 3
    assert "its code is not" in shown_by("why", "n=3", "dt=0.1")


def test_the_explanation_of_earlier_code_is_the_same_after_the_warning() -> None:
    """A process that has been warned, and given the result, is told as much as one that has not."""
    play()

    told = play("[str(simulate.explain(2)), simulate(2) and str(simulate.explain(2))]", FLIPPED)

    before, after = told["answer"]
    assert before == after
    assert "handed out with a warning" in after


def test_the_nearest_run_may_differ_in_its_code_too() -> None:
    """Told beside the parameters that differ."""
    play()

    told = play("simulate.explain(3).nearest[0].differences", FLIPPED)

    assert told["answer"] == ["the code changed: helper `rhs` in model.py", "n: 2 -> 3"]


# ---- with parameters that grow --------------------------------------------------------------------------------------

GROWN = (
    'on_change="warn")\ndef simulate(n, dt=0.1, *,',
    'added={"method": "rk4"})\ndef simulate(n, dt=0.1, method="rk4", *,',
)


def test_the_edit_that_grew_the_parameters_is_declared_with_them() -> None:
    """It is no change to warn of; what the function reaches is, and so is any later edit of the function itself."""
    play()

    assert play(TEXT, GROWN) == {"answer": "-1.96", "told": [], "misses": 0}
    assert "helper `rhs`" in play(TEXT, GROWN, FLIPPED)["told"][0]
    assert "the function itself" in play(TEXT, GROWN, OWN)["told"][0]
    assert play(TEXT, GROWN) == {"answer": "-1.96", "told": [], "misses": 0}


def test_a_later_edit_can_be_accepted() -> None:
    """For runs of every form at once."""
    play()
    play("simulate(3)", GROWN)

    assert play("simulate.accept_changes()", GROWN, OWN)["answer"] == 2
    assert play(TEXT, GROWN, OWN) == {"answer": "-1.96", "told": [], "misses": 0}


def test_what_was_migrated_is_as_good_as_before() -> None:
    """Of today's form now, it is not warned of; and is again once the function is edited."""
    play()

    assert play("simulate.migrate()", GROWN)["answer"] == 1
    assert play(TEXT, GROWN) == {"answer": "-1.96", "told": [], "misses": 0}
    assert "the function itself" in play(TEXT, GROWN, OWN)["told"][0]


SENDER = """
import base64, pathlib, subprocess, sys, time
import cloudpickle, entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")

def helper(n):
    return 2 * n

@entropic.cached(store)
def simulate(n, *, result_path):
    result_path.write_text(str(helper(n)))

if __name__ == "__main__":
    program = pathlib.Path(__file__)
    program.write_text(program.read_text().replace("2 * n", "3 * n"))
    while time.time() < program.stat().st_ctime + 0.1:
        pass  # until the clock tells the edit from the worker's beginning
    sent = base64.b64encode(cloudpickle.dumps(simulate)).decode()
    worker = "import base64, pickle, sys; print(pickle.loads(base64.b64decode(sys.argv[1]))(5).provenance['code'])"
    subprocess.run([sys.executable, "-c", worker, sent], check=True)
"""


def test_a_file_edited_before_a_worker_begins_is_not_what_was_sent() -> None:
    """A function sent by value is what its sender had read: no fingerprint is made of what its file says by now."""
    pytest.importorskip("cloudpickle")
    Path("sender.py").write_text(SENDER)
    done = subprocess.run([sys.executable, "sender.py"], capture_output=True, text=True, check=True)
    [written] = [path.read_text() for path in Path("results").glob("*.txt")]
    use = "import sender; print(sender.simulate.run(5).provenance['code'])"
    later = subprocess.run([sys.executable, "-c", use], capture_output=True, text=True, check=True)

    assert written == "10"
    assert done.stdout != later.stdout


def test_source_and_bytecode_are_compared_where_they_can_be() -> None:
    """Run without its source, as from a zip file, a function whose constants have changed is not taken for the same."""
    Path("zipped.py").write_text(
        "import entropic, sys\nG = int(sys.argv[1])\n"
        "store = entropic.Store('results', 'runs.json', file_suffix='.txt')\n"
        "@entropic.cached(store, on_change='rerun')\n"
        "def f(n, *, result_path): result_path.write_text(str(n * G))\n"
    )
    with zipfile.ZipFile("zipped.zip", "w") as packed:
        packed.write("zipped.py")

    def answer(place: str, g: int, use: str = "f(3).result_path.read_text()") -> str:
        program = f"import sys; sys.path.insert(0, {place!r}); from zipped import f; print({use})"
        command = [sys.executable, "-I", "-c", program, str(g)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert answer(".", 1) == "3"
    assert answer("zipped.zip", 1) == "3"
    assert answer("zipped.zip", 1, "len(f.list())") == "1"
    assert answer("zipped.zip", 2) == "6"
    assert answer(".", 5, "[*f.explain(3).reasons][1]").startswith("the code changed: constant `G`")
    assert answer("zipped.zip", 7, "f.accept_changes(), f(3).result_path.read_text()") == "1 6"


# ---- results that come of results by earlier code -------------------------------------------------------------------

CHAIN = """
import sys, warnings
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")
load = lambda path: path.read_text()
FACTOR = {factor}

@entropic.cached(store, load=load, on_change="{inner}")
def inner(n, *, result_path):
    result_path.write_text(str(n * FACTOR))

@entropic.cached(store, load=load, on_change="{outer}")
def outer(n, *, result_path):
    result_path.write_text("o" + inner(1))

@entropic.cached(store, load=load, on_change="{outer}")
def outermost(n, *, result_path):
    result_path.write_text("O" + outer(n))

warnings.simplefilter("ignore")
print(*eval(sys.argv[1]))
"""


def chained(call: str, factor: int, inner: str = "warn", outer: str = "warn") -> list[str]:
    Path("chain.py").write_text(CHAIN.format(factor=factor, inner=inner, outer=outer))
    done = subprocess.run([sys.executable, "chain.py", call], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_what_comes_of_a_result_by_earlier_code_is_no_result_of_todays() -> None:
    """It was made by today's function, and of what a changed one had left: it is handed out with a warning only."""
    misses = ", outer.cache_info().misses, outermost.cache_info().misses"
    chained("[inner(1)]", 1)
    assert chained(f"[inner(1), outermost(5), outer(6){misses}]", 2) == ["1", "Oo1", "o1", "2", "1"]

    told = chained("[str(outermost.explain(5)), str(outer.explain(6))]", 2)
    planned = chained("[outer.plan([{'n': 5}, {'n': 6}]).by_earlier_code]", 2)
    once = chained(f"[outer(6), outer(6){misses}]", 2, outer="rerun")
    again = chained(f"[outer(6), outer(5), outermost(5){misses}]", 2, "rerun", "rerun")

    assert " ".join(told).count("by earlier code, which it has used") == 2
    assert planned == ["2"]
    assert once == ["o1", "o1", "1", "0"]
    assert again == ["o1", "o2", "Oo2", "1", "1"]


def test_what_comes_of_a_result_by_earlier_code_can_be_accepted() -> None:
    """As any other run."""
    chained("[inner(1)]", 1)
    chained("[outer(6)]", 2)

    assert chained("[outer.accept_changes()]", 2) == ["1"]
    assert chained("[outer(6), outer.cache_info().misses]", 2, "error", "error") == ["o1", "0"]


# ---- from worker processes ------------------------------------------------------------------------------------------

NESTED = """
import sys, warnings
from concurrent.futures import ProcessPoolExecutor
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")
FACTOR = {factor}

@entropic.cached(store, load=lambda path: path.read_text())
def inner(n, *, result_path):
    result_path.write_text(str(n * FACTOR))

@entropic.cached(store, load=lambda path: path.read_text())
def outer(n, *, result_path):
    result_path.write_text(inner(n % 4))

if __name__ == "__main__":
    begin = {begin}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outer.sweep([{{"n": n}} for n in range(begin, begin + 8)], workers=2)
        with ProcessPoolExecutor(2) as executor:
            outer.sweep([{{"n": n}} for n in range(begin + 8, begin + 16)], executor=executor)
        inner(3)
    print([f"{{one.category.__name__}} {{one.message}}".split(" has")[0] for one in caught])
"""


def test_workers_hand_back_what_they_warn_of() -> None:
    """One warning for each pair of codes, given where the sweep was called, whichever processes met the change."""
    for factor, begin in ((1, 0), (2, 100)):
        Path("nested.py").write_text(NESTED.format(factor=factor, begin=begin))
        done = subprocess.run([sys.executable, "nested.py"], capture_output=True, text=True, check=True)

        assert done.stderr == ""
    told = [f"StaleResultWarning The code of nested.{name}" for name in ("inner", "outer")]
    assert done.stdout == f"{told}\n"


# ---- how values are saved and loaded --------------------------------------------------------------------------------


def plainly(path: Path, value: object) -> None:
    path.write_text(str(value))


def quoted(path: Path, value: object) -> None:
    path.write_text(repr(value))


def with_text(text: str, path: Path, value: object) -> None:
    path.write_text(f"{text}{value}")


class Saver:
    def __init__(self, text: str) -> None:
        self.text = text

    def write(self, path: Path, value: object) -> None:
        path.write_text(f"{self.text}{value}")


def half_of(n: int) -> float:
    return n / 2


@pytest.mark.parametrize(
    ("before", "now", "is_change"),
    [
        ({"save": plainly}, {"save": plainly}, False),
        ({"save": plainly}, {"save": plainly, "load": Path.read_text}, False),
        ({"save": plainly}, {"save": quoted}, True),
        ({"save": plainly}, {"save": lambda path, value: path.write_text(str(value))}, True),
        ({"save": functools.partial(with_text, "a")}, {"save": functools.partial(with_text, "a")}, False),
        ({"save": functools.partial(with_text, "a")}, {"save": functools.partial(with_text, "b")}, True),
        ({"save": Saver("a").write}, {"save": Saver("a").write}, False),
        ({"save": Saver("a").write}, {"save": Saver("b").write}, True),
        ({"save": np.save}, {"save": np.save}, False),
        ({"save": np.save}, {"save": np.savetxt}, True),
    ],
)
def test_what_saves_a_value_is_code_of_the_function(
    store: entropic.Store, before: dict[str, Any], now: dict[str, Any], is_change: bool
) -> None:
    """It decides what is in the file. What loads it does not: it is applied to recorded results as to new ones."""
    entropic.cached(store, **before)(half_of)(3)
    again = entropic.cached(store, on_change="error", **now)(half_of)

    if is_change:
        with pytest.raises(CodeChangedError):
            again(3)
    else:
        again(3)
