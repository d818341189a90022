"""Upkeep of very many runs: it holds what it tells of, and of all others some bytes; and tells what it always told."""

from __future__ import annotations

import dataclasses
import gc
import math
import os
import random
import shutil
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic import RunRecord, Store
from entropic._fs import TextSet
from entropic._maintenance import MergeOptions, _merge, _rebuild, _weighed_runs, merge
from entropic.index import MemoryIndex, SQLIndex, TinyDBIndex
from entropic.index.tinydb import _line_content
from entropic.query import Selection
from entropic.testing import make_record

COUNT = 1500


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text("x")


# ---- the set --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_set_of_texts_is_a_set(seed: int) -> None:
    """Whatever is added and taken out."""
    draw, texts, expected = random.Random(seed), TextSet(), set[str]()
    every = [str(n) for n in range(3000)] + ["", "\ud800", "é", "\0"]
    for _ in range(20_000):
        text = draw.choice(every)
        if draw.random() < 0.6:
            assert texts.add(text) is (text not in expected)
            expected.add(text)
        else:
            assert texts.discard(text) is (text in expected)
            expected.discard(text)

    assert len(texts) == len(expected)
    assert {text for text in every if text in texts} == expected


# ---- memory ---------------------------------------------------------------------------------------------------------


def filled(folder: Path, count: int) -> Store:
    """A store of so many runs, each with a result of its own."""
    results = folder / "results"
    store = Store(results, folder / "runs.json", ".txt", durable=False)
    model = store.run({"n": -1}, write)
    source, made = model.result_path, []
    for n in range(count):
        record = make_record({"n": n, "text": "x" * 200}, number=n)
        shard = results / record.params_hash[:2]
        shard.mkdir(exist_ok=True)
        path = Path(record.params_hash[:2], f"{n}.000000_{record.params_hash}.txt")
        os.link(source, results / path)
        made.append(dataclasses.replace(record, result_path=path, provenance=model.provenance))
    store._engine.writer.insert_many(made)
    return store


@pytest.fixture(scope="module")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of many runs."""
    with filled(tmp_path_factory.mktemp("runs"), COUNT) as store:
        yield store


def merge_of_known(store: Store) -> object:
    """As the command line merges: what is known already is not told."""
    options = MergeOptions(preview=True, link=False, outside=False, tells_known=False)
    return merge(store._engine, store._engine, Selection.of(), options, lambda record: None)


QUESTIONS: dict[str, Callable[[Store], object]] = {
    "check": lambda store: store.check(),
    "prune": lambda store: store.prune(keep_newest=1, preview=True),
    "rebuild": lambda store: store.rebuild(),
    "undelete": lambda store: store.undelete(),
    "a merge of nothing new": lambda store: merge_of_known(store),
    "lineage": lambda store: str(store.lineage(store.list(limit=1)[0])),
    "prune by value": lambda store: store.prune(max_size_bytes=store.count() - 3, by="value", preview=True),
}


@pytest.mark.parametrize("what", QUESTIONS)
def test_what_tells_little_holds_few_records(filled_store: Store, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many runs there are, at no moment are there more than some hundred records in memory."""
    most, read, real = 0, 0, RunRecord.from_dict.__func__  # type: ignore[attr-defined]

    def from_dict(cls: type, document: Any) -> Any:
        nonlocal most, read
        read += 1
        if read % 250 == 0:
            most = max(most, sum(type(one) is RunRecord for one in gc.get_objects()) - before)
        return real(cls, document)

    monkeypatch.setattr(RunRecord, "from_dict", classmethod(from_dict))
    monkeypatch.setattr(_merge, "_AT_ONCE", 100)
    gc.collect()
    before = sum(type(one) is RunRecord for one in gc.get_objects())
    QUESTIONS[what](filled_store)

    assert most < 400


def test_a_text_in_a_set_takes_few_bytes() -> None:
    """At most 24 once there are some thousand; a record takes 2,000."""
    tracemalloc.start()
    texts = TextSet()
    for n in range(20_000):
        texts.add(f"{n}.txt")
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert taken < 20_000 * 24


# ---- what goes ------------------------------------------------------------------------------------------------------


def chosen_of_all(held: list[tuple[RunRecord, int]], limits: dict[str, Any], meant: set[int]) -> list[RunRecord]:
    """What pruning gives up, with all runs at hand: by age, size, number and worth, and without what is needed."""
    by_key = defaultdict(list)
    for record, _ in held:
        by_key[record.params_hash].append(record)
    count = limits.get("keep_newest") or 0
    kept = [one for several in by_key.values() for one in several[len(several) - min(count, len(several)) :]]
    while True:
        gone = given_up(held, limits, meant, kept)
        needed = needed_by_others(held, gone)
        if not needed:
            return gone
        kept += needed


def given_up(
    held: list[tuple[RunRecord, int]], limits: dict[str, Any], meant: set[int], kept: list[RunRecord]
) -> list[RunRecord]:
    free = [(one, size) for one, size in held if one.params["n"] in meant and one not in kept]
    free = [(one, size) for one, size in free if not one.provenance.get("pinned")]
    gone: list[RunRecord] = []
    least, most = limits.get("larger_than_bytes"), limits.get("max_size_bytes")
    if least is not None or (most is None and ("where" in limits or limits.get("keep_newest") is not None)):
        gone = [one for one, size in free if least is None or size > least]
    if most is not None:
        left = sum(size for one, size in held if one.params["n"] in meant and one not in gone)
        worth = lambda one: one[0].metadata["elapsed_seconds"] / max(one[1], 1) if "by" in limits else 0  # noqa: E731
        for one, size in sorted(free, key=worth):
            if left > most and one not in gone and size:
                gone.append(one)
                left -= size
    return [one for one, _ in held if one in gone]


def needed_by_others(held: list[tuple[RunRecord, int]], gone: list[RunRecord]) -> list[RunRecord]:
    kept, needed = [one for one, _ in held if one not in gone], []
    wanted = [used for one in kept for used in one.inputs]
    while wanted:
        used = wanted.pop()
        behind = [one for one, _ in held if one.params_hash == used.params_hash]
        behind = [one for one in behind if used.created_at == one.created_at or one.provenance["digest"] == used.digest]
        if behind and not any(one in kept for one in behind):
            best = max(behind, key=lambda one: one.created_at == used.created_at)
            kept.append(best)
            needed.append(best)
            wanted += best.inputs
    return needed


def random_runs(store: Store, draw: random.Random) -> list[tuple[RunRecord, int]]:
    """Runs of some points and sizes, made from one another; as users see them, with what each takes."""
    made: list[RunRecord] = []
    results = Path(store.results_dir)
    for number in range(draw.randrange(2, 14)):
        path = results / f"{number}.txt"
        size = draw.choice([0, 1, 5, 10, 20])
        path.write_bytes(b"x" * size)
        record = make_record({"n": draw.randrange(5)}, number=number)
        used = draw.sample(made, min(len(made), draw.choice([0, 0, 1, 2])))
        inputs = [
            {"name": "a", "params_hash": one.params_hash, "digest": one.provenance["digest"], "function": "f"}
            | {"created_at": one.created_at}
            for one in used
        ]
        provenance: dict[str, Any] = {"digest": f"sha256:{draw.randrange(3)}", "function": "f", "inputs": inputs}
        provenance |= {"pinned": True} if draw.random() < 0.1 else {}
        made.append(
            dataclasses.replace(
                record,
                result_path=Path(path.name),
                provenance=provenance,
                metadata={"elapsed_seconds": draw.choice([1.0, 2.0, math.pi])},
                created_at=f"2026-01-01T00:00:{draw.randrange(60):02}.{number:06}+00:00",
            )
        )
    for record in made:
        store.index.insert(record)
    return [(one, one.result_path.stat().st_size) for one in store.list()]


@pytest.fixture(params=["tinydb", "memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store."""
    monkeypatch.setattr(_line_content, "_SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(_weighed_runs, "_SORTED_AT_ONCE", 3)
    made: dict[str, Callable[[], Any]] = {
        "tinydb": lambda: TinyDBIndex(tmp_path / "runs.json", durable=False),
        "memory": MemoryIndex,
        "sqlite": lambda: SQLIndex(f"sqlite:///{tmp_path / 'runs.sqlite3'}", durable=False),
    }
    with Store(tmp_path / "results", index=made[request.param](), file_suffix=".txt", durable=False) as store:
        yield store


@pytest.mark.parametrize("seed", range(12))
def test_what_is_given_up_is_what_it_would_be_of_all_runs_at_hand(store: Store, seed: int) -> None:
    """Whatever the limits, and whatever was made from what."""
    draw = random.Random(seed)
    held = random_runs(store, draw)
    for _ in range(6):
        limits: dict[str, Any] = draw.choice([{}, {"keep_newest": draw.randrange(3)}])
        limits |= draw.choice([{}, {"larger_than_bytes": draw.choice([0, 5])}])
        limits |= draw.choice([{}, {"max_size_bytes": draw.randrange(60)}])
        if "max_size_bytes" in limits:
            limits |= draw.choice([{}, {"by": "value"}])
        limits |= draw.choice([{}, {"where": entropic.param("n") < 3}])
        meant = {0, 1, 2} if "where" in limits else set(range(5))

        assert store.prune(**limits, preview=True) == chosen_of_all(held, limits, meant)


def test_runs_that_change_while_they_are_pruned(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are deleted and recorded between the two looks: none is given up in the place of another."""
    for n in range(9):
        store.run({"n": n}, write)
    choose = _weighed_runs.WeighedRuns.give_up

    def meanwhile(runs: Any, limits: Any, *, chosen_by_query: bool) -> int:
        count = choose(runs, limits, chosen_by_query=chosen_by_query)
        store.delete({"n": 0})
        store.delete({"n": 5})
        store.run({"n": 10}, write)
        return count

    monkeypatch.setattr(_weighed_runs.WeighedRuns, "give_up", meanwhile)

    assert [one.params["n"] for one in store.prune(max_size_bytes=3, preview=True)] == [1, 2, 3, 4]


# ---- in pieces, and all at once -------------------------------------------------------------------------------------


def some_runs(store: Store, draw: random.Random, count: int) -> None:
    """Runs of a few points; some of which are deleted, or have lost their results."""
    for _ in range(count):
        record = store.run({"n": draw.randrange(4)}, lambda params, path: path.write_text(f"{draw.random()}"))
        if draw.random() < 0.2:
            store.delete(record)
        elif draw.random() < 0.1:
            record.result_path.unlink()


def told(records: list[RunRecord]) -> list[tuple[str, str]]:
    return [(one.params_hash, one.created_at) for one in records]


@pytest.mark.parametrize("seed", range(4))
def test_a_merge_in_pieces_is_a_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """What is taken, what is left and who answers do not depend on how many runs are looked at together."""
    draw = random.Random(seed)
    for name in ("ours", "theirs"):
        with Store(tmp_path / name, tmp_path / f"{name}.json", ".txt", durable=False) as store:
            some_runs(store, draw, 9)
    with Store(tmp_path / "ours", tmp_path / "ours.json", ".txt", durable=False) as store:
        other = Store(tmp_path / "theirs", tmp_path / "theirs.json", ".txt", durable=False)
        store.merge(other, {"n": 1})
        some_runs(store, draw, 4)
    found = []
    for size in (1, 2, 1000):
        shutil.copytree(tmp_path / "ours", tmp_path / f"{size}")
        shutil.copy(tmp_path / "ours.json", tmp_path / f"{size}.json")
        monkeypatch.setattr(_merge, "_AT_ONCE", size)
        monkeypatch.setattr(_merge, "_MOST_PASSED", size)
        with Store(tmp_path / f"{size}", tmp_path / f"{size}.json", ".txt", durable=False) as store:
            previewed = store.merge(other, preview=True)
            merged = store.merge(other)
            again = store.merge(other)
            points = [store.retrieve({"n": n}) for n in range(4)]
            answers = [None if one is None else (one.params_hash, one.created_at) for one in points]
            found.append((told(store.list()), *map(told, merged[:3]), *map(told, previewed[:3]), answers))
        assert not again.taken
        assert told(merged.taken) == told(previewed.taken)
    other.close()

    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("seed", range(4))
def test_a_rebuild_in_batches_is_a_rebuild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """All that stood is there again, nothing that was deleted, and the same runs answer."""
    draw = random.Random(seed)
    with Store(tmp_path / "results", tmp_path / "runs.json", ".txt", durable=False) as store:
        some_runs(store, draw, 14)
        expected = store.list()
        gone = [one for one in store.undelete() if one not in expected]
        store.delete_records(gone)
    for size in (1, 2, 1000):
        monkeypatch.setattr(_rebuild, "_AT_ONCE", size)
        (tmp_path / "runs.json").unlink()
        with Store(tmp_path / "results", tmp_path / "runs.json", ".txt", durable=False) as store:
            rebuilt = store.rebuild()
            assert sorted(told(rebuilt)) == sorted(told(store.list())) == sorted(told(expected))
            for n in range(4):
                same, before = (
                    [one for one in records if one.params["n"] == n] for records in (store.list(), expected)
                )
                assert told(same) == told(before)
            assert store.rebuild() == []
            returned = store.undelete()
            assert set(told(returned)) == set(told(gone))
            store.delete_records(returned)
