"""Tables that tell what answers today from what was superseded, in every view."""

from __future__ import annotations

import csv
import dataclasses
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from entropic import Store, cached
from entropic._cli import entropic as command
from entropic._tables.page._columns import page_columns
from entropic.index import MemoryIndex
from entropic.record import RecordList


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text("x")


def reasons(records: RecordList) -> list[str]:
    """The column ``superseded`` of a list, as its CSV has it."""
    return [row.get("superseded", "") for row in csv.DictReader(io.StringIO(records.to_csv()))]


def run_command(*words: str) -> str:
    """What a subcommand prints."""
    return CliRunner().invoke(command, ["--index", "runs.json", *words], catch_exceptions=False).stdout


@pytest.mark.parametrize("count", [1, 300])
def test_an_older_run_of_a_point_is_marked_in_every_view(tmp_path: Path, count: int) -> None:
    """Of several runs of one point only the newest answers; the others say so, however long the list is."""
    store = Store(tmp_path / "results", tmp_path / "runs.json", ".txt", durable=False)
    for n in [*range(count), 0]:
        store.run({"n": n}, write)

    records = store.list()

    assert reasons(records) == ["newer run", *[""] * count]
    assert "newer run" in repr(records[:1])
    assert "newer run" in records._repr_html_()
    assert list(records.to_dataframe()["superseded"].dropna()) == ["newer run"]
    marked = {column["name"]: column for column in page_columns(records, records._why_superseded())}["superseded"]
    assert marked["cells"][0] == "newer run"
    assert "newer run" in run_command("ls")
    assert "superseded" not in run_command("ls", "n=0", "--current")
    assert "newer run" not in run_command("show", "n=0")


def test_current_leaves_them_out_before_the_limit(store: Store) -> None:
    """``current=True`` keeps what answers; a limit counts those, and order and slices keep what is known."""
    for n in (1, 1, 2, 1):
        store.run({"n": n}, write)

    current = store.list(current=True)

    assert [record.params["n"] for record in current] == [2, 1]
    assert store.list(current=True, limit=1) == current[:1]
    assert store.list({"n": 1}, current=True) == current[1:] == store.list({"n": 1}).current()
    assert reasons(store.list()[::-1][1:]) == ["", "newer run", "newer run"]
    assert reasons(current) == ["", ""]
    assert reasons(RecordList(store.list())) == ["newer run", "newer run", "", ""]
    assert pickle.loads(pickle.dumps(store.list())).current() == store.list()


def test_replicates_do_not_supersede_each_other(store: Store) -> None:
    """Each replicate of a point answers; only a run that bears the same number takes its place."""

    @cached(store)
    def f(n: int, *, result_path: Path) -> None:
        result_path.write_text(f"{n} {result_path}")

    f.replicates(3, 1)

    assert reasons(f.list()) == ["", "", ""]


def test_any_index_tells(tmp_path: Path) -> None:
    """The newest is what the index has last, whatever index it is."""
    store = Store(tmp_path / "results", index=MemoryIndex(), file_suffix=".txt")
    for _ in range(2):
        store.run({"n": 1}, write)

    assert reasons(store.list()) == ["newer run", ""]


STUDY = """
import sys, entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")


@entropic.cached(store, on_change="rerun")
def f(n, *, result_path):
    result_path.write_text(str({factor} * n))


for n in {points}:
    f(n)
f.list(current={current}).to_csv(sys.stdout)
"""


def study(factor: int, *points: int, current: bool = False) -> list[dict[str, str]]:
    """Call a function with a factor in its code, in a new process; the table of its runs after that."""
    Path("study.py").write_text(STUDY.format(factor=factor, points=points, current=current))
    done = subprocess.run([sys.executable, "study.py"], capture_output=True, text=True, check=True)
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_a_run_of_other_code_is_marked() -> None:
    """Of a decorated function a run of other code is superseded, and ``code`` is a column; put back, it answers."""
    assert "superseded" not in study(2, 1, 2)[0]

    rows = study(3, 1)

    assert [row["superseded"] for row in rows] == ["other code", "other code", ""]
    assert rows[0]["code"] == rows[1]["code"] != rows[2]["code"]
    assert [row["n"] for row in study(3, current=True)] == ["1"]
    assert [row["superseded"] for row in study(2)] == ["", "", "other code"]


def test_version_is_a_column_where_it_differs(tmp_path: Path) -> None:
    """Where all runs of a function have one version, there is no column for it."""

    def f(n: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    def recorded(version: str) -> RecordList:
        function = cached(Store(tmp_path / "results", tmp_path / "runs.json", ".txt"), name="f", version=version)(f)
        function(1)
        return function.list()

    assert not {"version", "code"} & set(recorded("1").table().columns)
    assert [row["version"] for row in recorded("2").table().rows] == ["1", "2"]


def test_a_run_with_an_argument_of_a_local_class_is_current(store: Store) -> None:
    """What no module has is found again by where it was met."""

    @dataclasses.dataclass
    class Config:
        steps: int = 1

    @cached(store, name="configured")
    def configured(config: Config, *, result_path: Path) -> None:
        result_path.write_text("x")

    configured(Config())

    assert len(configured.list(current=True)) == len(configured.list()) == 1
