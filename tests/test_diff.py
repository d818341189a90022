"""Two runs held against each other: what `Store.diff` and ``entropic diff`` say of each way in which they differ."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import RunRecord, Store, reports
from entropic.errors import NotRecordedError

FIELDS = ("function", "parameters", "code", "commit", "packages", "environment", "inputs", "reads", "result")


def a_run(store: Store, params: dict[str, Any], text: str = "x", **provenance: Any) -> RunRecord:
    """A recorded run, whose provenance tells what it is given; what is None is taken away."""
    record = store.run(params, lambda _, path: path.write_text(text))
    record.provenance.update(provenance)
    for name in [name for name, value in provenance.items() if value is None]:
        del record.provenance[name]
    return record


def an_environment(store: Store, **fields: Any) -> str:
    """A kept environment; what a record names."""
    environment = {"python": "3.12.1", "packages": {"scipy": "1.14.0", "zarr": "3.0"}, **fields}
    return a_note(store, "environments-v1", json.dumps(environment), "json")


def a_patch(store: Store, text: str) -> str:
    """A kept patch; what a record names."""
    return a_note(store, "patches-v1", text, "patch")


def a_note(store: Store, folder: str, text: str, suffix: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = store.results_dir / ".entropic" / folder / f"{digest}.{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return digest


def reads(*files: list[Any]) -> dict[str, Any]:
    return {"project": "/project", "files": list(files), "unseen": []}


def nothing(store: Store) -> tuple[RunRecord, RunRecord]:
    return a_run(store, {"n": 1}), a_run(store, {"n": 1})


def parameters(store: Store) -> tuple[RunRecord, RunRecord]:
    first = a_run(store, {"n": 1, "mesh": {"cells": 8}, "old": 1})
    return first, a_run(store, {"n": 2, "mesh": {"cells": 9}, "new": [1]})


def function(store: Store) -> tuple[RunRecord, RunRecord]:
    first = a_run(store, {"n": 1}, function="study.f", version=1)
    return first, a_run(store, {"n": 1}, function="study.g", version=2)


def commits(store: Store) -> tuple[RunRecord, RunRecord]:
    first = a_run(store, {"n": 1}, git={"commit": "abc", "dirty": False})
    return first, a_run(store, {"n": 1}, git={"commit": "def", "dirty": True, "patch": a_patch(store, "+x = 2\n")})


def patches(store: Store) -> tuple[RunRecord, RunRecord]:
    first, second = a_patch(store, " x\n+y = 1\n"), a_patch(store, " x\n+y = 2\n")
    both = ({"commit": "abc", "dirty": True, "patch": one} for one in (first, second))
    return tuple(a_run(store, {"n": 1}, git=git) for git in both)  # type: ignore[return-value]


def packages(store: Store) -> tuple[RunRecord, RunRecord]:
    first = an_environment(store)
    second = an_environment(store, packages={"scipy": "1.17.0", "numba": "0.61"})
    return a_run(store, {"n": 1}, environment=first), a_run(store, {"n": 1}, environment=second)


def machines(store: Store) -> tuple[RunRecord, RunRecord]:
    first = an_environment(store, linear_algebra=["openblas 0.3.27 4"], variables={"OMP_NUM_THREADS": "4"})
    second = an_environment(store, python="3.13.0", linear_algebra=["mkl 2025 8"], gpu=["NVIDIA H100"])
    return a_run(store, {"n": 1}, environment=first), a_run(store, {"n": 1}, environment=second)


def inputs(store: Store) -> tuple[RunRecord, RunRecord]:
    def made_from(digest: str, *more: str) -> list[dict[str, str]]:
        named = {"params_hash": "ab" * 8, "digest": digest, "function": "study.mesh"}
        return [{"name": name, **named} for name in ("mesh", *more)]

    first = a_run(store, {"n": 1}, inputs=made_from("sha256:1"))
    return first, a_run(store, {"n": 1}, inputs=made_from("sha256:2", "field"))


def files(store: Store) -> tuple[RunRecord, RunRecord]:
    first = a_run(store, {"n": 1}, reads=reads(["table.txt", 3, 1, "sha256:a", 1], ["old.txt", 1, 1, "sha256:b", 2]))
    return first, a_run(store, {"n": 1}, reads=reads(["table.txt", 4, 2, "sha256:c", 1]))


def results(store: Store) -> tuple[RunRecord, RunRecord]:
    return a_run(store, {"n": 1}, "x"), a_run(store, {"n": 1}, "xyz")


def unknown(store: Store) -> tuple[RunRecord, RunRecord]:
    a_run(store, {"n": 1})
    first = a_run(store, {"n": 1}, environment=None, digest=None, git=None, code="1" * 16)
    return first, a_run(store, {"n": 1}, reads=reads(), git={"commit": "abc", "dirty": False})


CASES: dict[str, tuple[Callable[[Store], tuple[RunRecord, RunRecord]], dict[str, list[str]]]] = {
    "nothing": (nothing, {}),
    "parameters": (
        parameters,
        {
            "parameters": [
                "n: 1 -> 2",
                "mesh.cells: 8 -> 9",
                "parameter new is new: [1]",
                "parameter old is missing: was 1",
            ]
        },
    ),
    "function": (function, {"function": ["function renamed: was study.f", "version 1 -> 2"]}),
    "commits": (commits, {"commit": ["commit abc -> def", "all was committed -> not all"]}),
    "patches": (patches, {"commit": ["what was not committed differs"]}),
    "packages": (packages, {"packages": ["numba 0.61 is new", "scipy 1.14.0 -> 1.17.0", "zarr 3.0 is missing"]}),
    "machines": (
        machines,
        {
            "environment": [
                "python 3.12.1 -> 3.13.0",
                "OMP_NUM_THREADS 4 is missing",
                "linear algebra openblas 0.3.27 4 -> mkl 2025 8",
                "gpu none -> NVIDIA H100",
            ]
        },
    ),
    "inputs": (
        inputs,
        {
            "inputs": [
                "mesh: study.mesh abababab -> study.mesh abababab, with another result",
                "field: study.mesh abababab is new",
            ]
        },
    ),
    "files": (
        files,
        {"reads": ["old.txt was read by the first run only", "table.txt: other content (3 -> 4 bytes)"]},
    ),
    "results": (results, {"result": ["size 1 B -> 3 B", "the content differs"]}),
    "unknown": (unknown, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_each_way_to_differ_is_told_in_its_place(store: Store, name: str) -> None:
    """And nothing else; in words, from the first run to the second; within 80 columns."""
    make, expected = CASES[name]

    compared = store.diff(*make(store))

    told = {field: list(getattr(compared, field)) for field in FIELDS if getattr(compared, field)}
    assert {field: sorted(lines) for field, lines in told.items()} == {
        field: sorted(lines) for field, lines in expected.items()
    }
    assert compared.is_equal == (not expected)
    assert type(compared) is reports.RunDiff
    assert max(map(len, str(compared).splitlines())) <= 80
    assert all(line.split(" -> ")[0][:20] in str(compared) for lines in expected.values() for line in lines)
    assert json.loads(compared.to_json())["equal"] is compared.is_equal


def test_what_is_not_known_is_said(store: Store) -> None:
    """It is no difference, and no sign that there is none."""
    compared = store.diff(*unknown(store))

    assert sorted(compared.unknown) == [
        "code of the second run",
        "the commit of the first run",
        "the content of the result of the first run",
        "the environment of the first run",
        "what the first run has read",
    ]
    assert "not known" in str(compared)


def test_a_patch_that_differs_is_shown(store: Store) -> None:
    """As a diff of the patches."""
    compared = store.diff(*patches(store))

    assert "-+y = 1" in compared.patch_diff.splitlines()
    assert "++y = 2" in compared.patch_diff.splitlines()
    assert compared.patch_diff.splitlines()[-1] in str(compared)


# ---- in a project ---------------------------------------------------------------------------------------------------

STUDY = """
import entropic, sys
from pathlib import Path

store = entropic.Store("results", "runs.json", file_suffix=".txt")

def rhs(x):
    return -x

@entropic.cached(store, watch_reads=True, on_change="rerun")
def simulate(n, *, result_path):
    result_path.write_text(str(n * rhs(float(Path("table.txt").read_text()))))

simulate(int(sys.argv[1]))
"""


def play(source: str, table: str, n: int = 1) -> None:
    Path("study.py").write_text(source)
    Path("table.txt").write_text(table)
    subprocess.run([sys.executable, "study.py", str(n)], capture_output=True, check=True)


def entropic(*words: str) -> tuple[int, str, str]:
    """What the command line answers."""
    answered = subprocess.run(
        [sys.executable, "-m", "entropic", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )
    return answered.returncode, answered.stdout, answered.stderr


def test_two_runs_of_a_study_are_compared_whole() -> None:
    """By hash, by path, and a run with the one before it; the exit status is that of diff."""
    play(STUDY, "1.5")
    play(STUDY.replace("return -x", "return x"), "2.5")
    play(STUDY.replace("return -x", "return x"), "2.5", n=2)
    store = Store("results", "runs.json")
    first, second, third = store.list()

    status, shown, _ = entropic("diff", first.params_hash[:6])
    by_path, as_json, _ = entropic("diff", str(first.result_path), third.params_hash, "--json")
    equal, alike, _ = entropic("diff", second.result_path.name, str(second.result_path))
    missing, _, error = entropic("diff", "ffff", "eeee")

    assert (status, by_path, equal, missing) == (1, 1, 0, 2)
    assert "helper `rhs` in study.py" in shown
    assert "  -    return -x\n  +    return x" in shown
    assert "table.txt: other content (3 -> 3 bytes)" in shown
    assert "the content differs" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert json.loads(as_json)["parameters"] == ["n: 1 -> 2"]
    assert "nothing differs" in alike
    assert "no recorded run (ffff)" in error
    assert store.diff(first, second).code == store.diff(second).code == ("helper `rhs` in study.py",)


@pytest.mark.parametrize("words", [("ffff", "eeee"), ("", "eeee"), ("results/none.txt", "eeee")])
def test_a_run_that_is_not_there_is_an_error(store: Store, words: tuple[str, str]) -> None:
    """A lookup error that says what was asked for."""
    a_run(store, {"n": 1})

    with pytest.raises(NotRecordedError, match=re.escape(f"no recorded run ({words[0]})")):
        store.diff(*words)


def test_the_first_run_of_a_point_has_none_before_it(store: Store) -> None:
    """So there is nothing to compare it with."""
    record = a_run(store, {"n": 1})

    with pytest.raises(NotRecordedError, match="before"):
        store.diff(record)


def test_explain_tells_of_other_packages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a recorded run answers that was made with other versions of what its function imports."""
    from entropic._code import _environment

    params = {"n": 1}
    store.run(params, lambda _, path: path.write_text("x"))
    assert "installed since" not in str(store.explain(params))

    now = _environment.environment()
    monkeypatch.setattr(
        _environment, "_environment", lambda *_: {**now, "packages": {**now["packages"], "pytest": "99"}}
    )

    assert re.search(r"installed since: pytest \S+ -> 99", str(store.explain(params)))
