"""What a key finds: hits, misses and their reasons, and what a look-up costs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import RunRecord, Store, cached
from entropic.index import IndexBackend, MemoryIndex


class CountingIndex:
    """An index with the five methods, which counts how often a key is looked up."""

    def __init__(self) -> None:
        self._index = MemoryIndex()
        self.lookups = 0

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        self.lookups += 1
        return self._index.find_by_hash(params_hash)

    def __getattr__(self, name: str) -> Any:
        if name not in ("find_by_params", "insert", "all", "delete_by_hash"):
            raise AttributeError(name)
        return getattr(self._index, name)


def write(params: dict[str, Any], result_path: Path) -> None:
    """The shortest runner."""
    result_path.write_text("0123456789")


def remove(record: RunRecord) -> None:
    record.result_path.unlink()


def cut(record: RunRecord) -> None:
    record.result_path.write_text("01")


def nothing(record: RunRecord) -> None:
    """The run is looked up as it is."""


@pytest.mark.parametrize(("spoil", "lookups"), [(nothing, 1), (remove, 2), (cut, 2)])
def test_lookups_of_a_point(tmp_path: Path, spoil: Callable[[RunRecord], None], lookups: int) -> None:
    """A hit looks its key up once; a miss twice, the second time under its flight."""
    index = CountingIndex()
    assert isinstance(index, IndexBackend)
    store = Store(tmp_path / "results", index=index)
    record = store.run_or_retrieve({"n": 1}, write)
    assert index.lookups == 2
    spoil(record)
    index.lookups = 0

    store.run_or_retrieve({"n": 1}, write)

    assert index.lookups == lookups


def test_lookups_of_a_sweep(tmp_path: Path) -> None:
    """A new point is looked up by the sweep, and once more under its flight."""
    index = CountingIndex()
    store = Store(tmp_path / "results", index=index)

    store.sweep([{"n": 1}], write)

    assert index.lookups == 2


def calls_of(function: Callable[[], object]) -> list[str]:
    """The names of the Python functions that a call enters, its own left out."""
    names: list[str] = []
    sys.setprofile(lambda frame, event, arg: names.append(frame.f_code.co_name) if event == "call" else None)
    try:
        function()
    finally:
        sys.setprofile(None)
    return names[2:]


@pytest.mark.parametrize("count", [1, 50])
def test_a_warm_hit_is_short(store: Store, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """A decorated function that has been called before answers within nine Python calls and two ``stat``s."""

    @cached(store, name="f")
    def f(n, *, result_path):
        result_path.write_text("x")

    for n in range(count):
        f(n)
    calls = calls_of(lambda: f(0))
    deadline = time.monotonic() + 120
    while len(calls) > 9 and time.monotonic() < deadline:
        calls = calls_of(lambda: f(0))  # the time of a file that is very young is not trusted yet
    stats: list[Any] = []
    true_stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *args, **kwargs: stats.append(args) or true_stat(*args, **kwargs))
    f(0)

    assert len(calls) <= 9, calls
    assert len(stats) <= 2


def reason_of(store: Store) -> str:
    reason = store.retrieve({"n": 1}).provenance["reason"]
    assert isinstance(reason, str)
    return reason


def test_the_reason_of_a_run_is_recorded(store: Store) -> None:
    """With each run: there was none, its result was gone or cut, or it was asked for."""
    record = store.run_or_retrieve({"n": 1}, write)
    assert reason_of(store) == "no such run"

    remove(record)
    record = store.run_or_retrieve({"n": 1}, write)
    assert reason_of(store) == "result is gone"

    cut(record)
    store.run_or_retrieve({"n": 1}, write)
    assert reason_of(store) == "result has 2 bytes instead of 10"

    store.run({"n": 1}, write)
    assert reason_of(store) == "asked to run"


SCALE = 2


def test_other_code_is_a_reason(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what has changed."""

    @cached(store, name="f", on_change="rerun")
    def f(n, *, result_path):
        result_path.write_text(str(n * SCALE))

    f(1)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 3)
    reason = f(1).provenance["reason"]

    assert reason.startswith("code changed: ")
    assert "SCALE" in reason


def test_a_store_without_circumstances_records_no_reason(tmp_path: Path) -> None:
    """It belongs to the circumstances of a run."""
    store = Store(tmp_path / "results", tmp_path / "runs.json", provenance=False)

    assert "reason" not in store.run({"n": 1}, write).provenance


PUBLIC = """
annotate check checkpoints close collect count delete delete_records diff evict explain export export_parquet failures
fetch file_suffix import_runs index iter lineage link_view list merge pin plan prune rebuild register remove_orphans
reproduce results_dir retrieve run run_or_retrieve salvage settings sweep sweep_as_completed to_html undelete under_way
unpin
"""


def test_a_store_shows_what_users_call(store: Store) -> None:
    """And nothing else: what is by key is not theirs."""
    assert [name for name in dir(store) if not name.startswith("_")] == PUBLIC.split()
