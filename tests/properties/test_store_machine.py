"""Any sequence of operations of several stores on one folder agrees with a list of records in memory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from entropic import RunRecord, Store

pytestmark = pytest.mark.filterwarnings("ignore::entropic.errors.ResultChangedWarning")

points = st.integers(0, 4)
which = st.integers(0, 2)


class Entry(NamedTuple):
    """One record as the model knows it."""

    n: int
    content: str
    path: Path
    is_usable: bool


class StoreMachine(RuleBasedStateMachine):
    """Three stores on one folder against one list, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="entropic-machine-"))
        self.stores = [self.opened() for _ in range(3)]
        self.model: list[Entry] = []
        self.runs = 0

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    def opened(self) -> Store:
        return Store(self.folder / "results", self.folder / "runs.json", file_suffix=".txt", durable=False)

    def runner(self, params: dict[str, Any], path: Path) -> None:
        self.runs += 1
        path.write_text(f"{params['n']} {self.runs}")

    def newest(self, n: int) -> Entry | None:
        return next((entry for entry in reversed(self.model) if entry.n == n), None)

    def remember(self, n: int, record: RunRecord) -> None:
        self.model.append(Entry(n, f"{n} {self.runs}", record.result_path, True))

    # ---- what a user does --------------------------------------------------------------------------------------------

    @rule(who=which, n=points)
    def run(self, who: int, n: int) -> None:
        self.remember(n, self.stores[who].run({"n": n}, self.runner))

    @rule(who=which, n=points)
    def run_or_retrieve(self, who: int, n: int) -> None:
        newest, runs = self.newest(n), self.runs
        record = self.stores[who].run_or_retrieve({"n": n}, self.runner)
        if newest is not None and newest.is_usable:
            assert self.runs == runs, "ran although there was a good record"
            assert record.result_path == newest.path
            assert record.result_path.read_text() == newest.content
            return
        assert self.runs == runs + 1, "handed out what is not there"
        if newest is not None:
            self.model.remove(newest)
        self.remember(n, record)
        assert record.result_path.read_text() == f"{n} {self.runs}"

    @rule(who=which, n=points)
    def fail(self, who: int, n: int) -> None:
        def runner(params: dict[str, Any], path: Path) -> None:
            path.write_text("half")
            raise ZeroDivisionError

        try:
            self.stores[who].run({"n": n}, runner)
        except ZeroDivisionError:
            return
        raise AssertionError("a failed run passed for a good one")

    @rule(who=which, n=points, is_inside=st.booleans())
    def register(self, who: int, n: int, is_inside: bool) -> None:
        self.runs += 1
        place = (self.folder / "results" if is_inside else self.folder) / f"made{self.runs}.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"{n} {self.runs}")
        self.remember(n, self.stores[who].register({"n": n}, place))

    @rule(who=which, n=points, remove_file=st.booleans())
    def delete(self, who: int, n: int, remove_file: bool) -> None:
        mine = [entry for entry in self.model if entry.n == n]
        if remove_file and any(self.folder / "results" not in entry.path.parents for entry in mine):
            try:
                self.stores[who].delete({"n": n}, remove_file=True)
            except ValueError:
                return
            raise AssertionError("removed what lies outside")
        assert self.stores[who].delete({"n": n}, remove_file=remove_file) == bool(mine)
        self.model = [entry for entry in self.model if entry.n != n]
        for entry in mine:
            assert not entry.is_usable or entry.path.exists() != remove_file

    @precondition(lambda self: self.model)
    @rule(who=which, data=st.data())
    def delete_one(self, who: int, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.model) - 1))
        record = self.stores[who].list()[place]
        assert self.stores[who].delete(record)
        assert self.model.pop(place).path == record.result_path

    # ---- what happens behind its back --------------------------------------------------------------------------------

    @precondition(lambda self: self.model)
    @rule(data=st.data(), is_cut=st.booleans())
    def damage(self, data: st.DataObject, is_cut: bool) -> None:
        place = data.draw(st.integers(0, len(self.model) - 1))
        entry = self.model[place]
        if is_cut and entry.path.exists():
            entry.path.write_text("")
        else:
            entry.path.unlink(missing_ok=True)
        self.model[place] = entry._replace(is_usable=False)

    @precondition(lambda self: any(entry.is_usable for entry in self.model))
    @rule(data=st.data())
    def lengthen(self, data: st.DataObject) -> None:
        usable = [place for place, entry in enumerate(self.model) if entry.is_usable]
        place = data.draw(st.sampled_from(usable))
        entry = self.model[place]
        with entry.path.open("a") as file:
            file.write("+")
        self.model[place] = entry._replace(content=entry.content + "+")

    @rule(who=which)
    def reopen(self, who: int) -> None:
        self.stores[who].close()
        self.stores[who] = self.opened()

    # ---- what everybody sees -----------------------------------------------------------------------------------------

    @invariant()
    def all_stores_agree(self) -> None:
        for store in self.stores:
            store.count()  # what it has put off is removed now
        for store in self.stores:
            assert [(r.params["n"], r.result_path) for r in store.list()] == [(e.n, e.path) for e in self.model]
        for n in range(5):
            newest = self.newest(n)
            for store in self.stores:
                found = store.retrieve({"n": n})
                assert (found is not None) == (newest is not None and newest.is_usable)
                if found is not None and newest is not None:
                    assert found.result_path == newest.path
                    assert found.result_path.read_text() == newest.content

    @invariant()
    def nothing_is_left_over(self) -> None:
        private = self.folder / "results" / ".entropic"
        assert [*private.glob("locks/*"), *private.glob("staging/*")] == []


TestStoreMachine = StoreMachine.TestCase
