"""Pruning by worth: what saves the least for the room it takes goes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import entropic


def make(store: entropic.Store, n: int, seconds: Any, size_bytes: int) -> entropic.RunRecord:
    """A run of a given cost and size."""
    return store.run({"n": n}, lambda params, path: path.write_bytes(b"x" * size_bytes), elapsed_seconds=seconds)


# Seconds and bytes of runs 0, 1, 2, the oldest first; bytes to keep; what goes by age, and by value.
WORTHS = [
    ([(100, 10), (1, 10), (10, 10)], 20, [0], [1]),
    ([(100, 10), (1, 10), (10, 10)], 10, [0, 1], [1, 2]),
    ([(100, 1000), (1, 10), (1, 20)], 500, [0], [0, 2]),
    ([(5, 10), (5, 10), (5, 10)], 10, [0, 1], [0, 1]),
    ([(0, 10), (1e-9, 10), (None, 10)], 10, [0, 1], [0, 1]),
    ([(None, 10), ("long", 10), (float("nan"), 10)], 20, [0], [0]),
    ([(None, 10), (True, 10), (1e9, 10)], 20, [0], [2]),
    ([(1, 0), (1, 10), (2, 10)], 10, [1], [1]),
    ([(1, 10), (1, 10), (1, 10)], 30, [], []),
]


@pytest.mark.parametrize(("runs", "kept_bytes", "by_age", "by_value"), WORTHS)
def test_what_goes_first(
    store: entropic.Store, runs: list[tuple[Any, int]], kept_bytes: int, by_age: list[int], by_value: list[int]
) -> None:
    """By age the oldest; by value what saves the fewest seconds a byte; unknown times last."""
    store = entropic.Store(store.results_dir, "runs.json", file_suffix=".txt", allow_empty=True)
    for n, (seconds, size_bytes) in enumerate(runs):
        make(store, n, seconds, size_bytes)
    shown = store.prune(max_size_bytes=kept_bytes, preview=True)
    removed = store.prune(max_size_bytes=kept_bytes, by="value")

    assert [record.params["n"] for record in shown] == by_age
    assert [record.params["n"] for record in removed] == by_value
    assert not any(record.result_path.exists() for record in removed)
    assert len(store.list()) == len(runs) - len(by_value)


def test_the_newest_of_a_point_can_be_kept(store: entropic.Store) -> None:
    """However little it is worth."""
    make(store, 1, 100, 10)
    make(store, 1, 1, 10)

    assert [
        record.metadata["elapsed_seconds"] for record in store.prune(max_size_bytes=0, keep_newest=1, by="value")
    ] == [100]


def test_the_newest_is_the_one_that_answers(store: entropic.Store) -> None:
    """Whatever the clock of the host said that made an earlier one: what was recorded last is kept."""
    for text in ("bad", "good"):
        store.run({"n": 1}, lambda params, path, text=text: path.write_text(text))
    path = Path(store.index.path)  # type: ignore[attr-defined]
    bad, _ = store.list()
    path.write_text(path.read_text().replace(bad.created_at, "2999-01-01T00:00:00.000000+00:00"))

    assert [record.result_path for record in store.prune(max_size_bytes=4, preview=True)] == [bad.result_path]
    assert [record.result_path for record in store.prune(keep_newest=1)] == [bad.result_path]

    found = store.retrieve({"n": 1})
    assert found is not None
    assert found.result_path.read_text() == "good"


def test_age_and_value_together(store: entropic.Store) -> None:
    """What is too large goes whatever it is worth; the rest by worth."""
    for n, (seconds, size_bytes) in enumerate([(1e6, 100), (1, 10), (2, 10)]):
        make(store, n, seconds, size_bytes)

    lost = store.prune(larger_than_bytes=50, max_size_bytes=10, by="value")

    assert [record.params["n"] for record in lost] == [0, 1]


@pytest.mark.parametrize(
    ("limits", "told"), [({"by": "value"}, "max_size_bytes"), ({"by": "size", "max_size_bytes": 0}, "'age', 'value'")]
)
def test_an_order_without_sense_is_refused(store: entropic.Store, limits: dict[str, Any], told: str) -> None:
    """Before anything is removed."""
    record = make(store, 1, 1, 10)

    with pytest.raises(ValueError, match=told):
        store.prune(**limits)

    assert record.result_path.exists()


def test_a_result_outside_is_never_given_up(store: entropic.Store, tmp_path: Path) -> None:
    """Worth nothing or not."""
    own = tmp_path / "own.csv"
    own.write_text("0123456789")
    store.register({"n": 1}, own, elapsed_seconds=0)

    assert store.prune(max_size_bytes=0, by="value") == []
    assert own.exists()


def write(params: dict[str, Any], path: Path) -> object:
    """A runner whose results have ten bytes."""
    return path.write_text("0123456789")


def numbers(records: Any) -> list[int]:
    """Which runs these are."""
    return [record.params["n"] for record in records]


def test_a_query_restricts_what_is_given_up(store: entropic.Store) -> None:
    """Limits hold among the runs that it means, all of which go without any."""
    for n in (1, 1, 2, 3):
        store.run({"n": n}, write)

    assert numbers(store.prune(where={"n": 1}, keep_newest=1, preview=True)) == [1]
    assert numbers(store.prune(where=entropic.param("n") >= 2, max_size_bytes=10, preview=True)) == [2]
    assert store.prune(where={"n": 1}, older_than_seconds=3600) == []
    assert numbers(store.prune(where={"n": 1})) == [1, 1]
    assert numbers(store.list()) == [2, 3]


def test_a_query_deletes_what_it_means(store: entropic.Store) -> None:
    """Of decorated functions too; seen first; with their results or without."""

    @entropic.cached(store, name="f")
    def f(n, *, result_path):
        result_path.write_text("x")

    one, two = store.run({"n": 1}, write), f(2)
    assert store.delete(where={"n": 2}, preview=True) == [two]
    assert len(store.list()) == 2
    assert store.delete(where={"n": 2}) == [two]
    assert two.result_path.exists()
    assert store.delete(where={"n": 2}) == []
    assert store.delete(where={}, remove_file=True) == [one]
    assert not one.result_path.exists()
    assert store.undelete({"n": 2}) == [two]


@pytest.mark.parametrize("arguments", [{}, {"params": {"n": 1}, "where": {}}, {"params": {"n": 1}, "preview": True}])
def test_what_to_delete_has_to_be_clear(store: entropic.Store, arguments: dict[str, Any]) -> None:
    """Nothing is all, and nothing is deleted by mistake."""
    store.run({"n": 1}, write)

    with pytest.raises(TypeError, match="where="):
        store.delete(**arguments)
    assert len(store.list()) == 1


def test_pinned_runs_stay(store: entropic.Store, tmp_path: Path) -> None:
    """Whatever the limits and queries; by name they go. Answers, order of a point and digests are as before."""
    first, second, third = (store.run({"n": n}, write) for n in (1, 1, 2))

    (pinned,) = store.pin(first)
    assert pinned.provenance == {**first.provenance, "pinned": True}
    assert store.pin(pinned) == []
    assert store.retrieve({"n": 1}).result_path == second.result_path
    assert {one.result_path for one in store.prune(keep_newest=0)} == {second.result_path, third.result_path}
    assert store.list() == [pinned]
    assert store.prune(max_size_bytes=0) == []
    assert store.delete(where={}) == []
    assert store.list({"provenance.pinned": True}) == [pinned]
    assert "pinned" in repr(store.list())

    other = entropic.Store("results", "again.json", file_suffix=".txt")
    assert [record.provenance.get("pinned") for record in other.rebuild(former_index="../runs.json")] == [True]
    assert store.delete(where={}, pinned=True, preview=True) == [pinned]
    (unpinned,) = store.unpin({"n": 1})
    assert unpinned.provenance == first.provenance
    assert "pinned" not in repr(store.list())
    assert store.pin(store.list()) != []
    assert store.delete({"n": 1})
    with pytest.raises(LookupError):
        store.pin({"n": 1})


def test_many_runs_are_pinned_at_once(store: entropic.Store) -> None:
    """In two rewrites of the index, however many; those that were pinned already stay as they are."""
    for n in (1, 2, 1, 3):
        store.run({"n": n}, write)
    answers = [store.retrieve({"n": n}).result_path for n in (1, 2, 3)]
    store.pin({"n": 2})

    assert sorted(numbers(store.pin(store.list()))) == [1, 1, 3]
    assert len(store.list()) == 4
    assert [store.retrieve({"n": n}).result_path for n in (1, 2, 3)] == answers
    assert store.check().is_clean


def test_a_function_deletes_what_a_query_means(store: entropic.Store) -> None:
    """Its own runs alone, as `Store.delete`; where a parameter may have that name, it is a call."""

    @entropic.cached(store, name="f")
    def f(n, *, result_path):
        result_path.write_text("x")

    @entropic.cached(store, name="g")
    def g(where, *, result_path):
        result_path.write_text("x")

    @entropic.cached(store, name="h")
    def h(params, result_path):
        result_path.write_text("x")

    plain, one, two = store.run({"n": 1}, write), f(1), f(2)
    called, free = g("there"), h(where="here")

    assert f.delete(where={"n": 1}, preview=True) == [one]
    store.pin(two)
    assert f.delete(where={}, remove_file=True) == [one]
    assert not one.result_path.exists()
    assert len(f.delete(where=entropic.param("n") == 2, pinned=True)) == 1
    assert f.delete(where={}) == []
    assert g.delete(where="there") is True
    assert h.delete(where="here") is True
    assert {plain.result_path} == {record.result_path for record in store.list()}
    assert called.result_path.exists()
    assert free.result_path.exists()
    with pytest.raises(TypeError):
        f.delete(where={}, preview=True, remove_files=True)


@pytest.mark.parametrize("method", ["pin", "unpin", "delete_records"])
@pytest.mark.parametrize("given", ["n=1", 3, ["n=1"], None])
def test_a_query_in_the_place_of_records_is_refused(store: entropic.Store, method: str, given: Any) -> None:
    """With what to pass instead; nothing is pinned or deleted."""
    store.run({"n": 1}, lambda params, path: path.write_text("x"))

    with pytest.raises(TypeError, match="as a record: pass records"):
        getattr(store, method)(given)

    assert len(store.list()) == 1
    assert store.count("provenance.pinned=True") == 0


@pytest.mark.parametrize("limit", ["older_than_seconds", "larger_than_bytes", "keep_newest", "max_size_bytes"])
def test_a_limit_is_a_number(store: entropic.Store, limit: str) -> None:
    """A text as on the command line is refused by name, whether anything is recorded or not."""
    with pytest.raises(TypeError, match=f"{limit}='90d': it has to be a number"):
        store.prune(**{limit: "90d"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="older_than_seconds='90d'"):
        store.prune(failed=True, older_than_seconds="90d")  # type: ignore[call-overload]
