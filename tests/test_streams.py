"""What has a small answer looks at few records, and holds none of the others: counted, since counts know no clock."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic import RunRecord, Store, cached, param
from entropic._cli import main as start
from entropic.errors import NotRecordedError, UnknownNameWarning
from entropic.hashing import hash_params
from entropic.index import IndexBackend, MemoryIndex, SQLIndex, TinyDBIndex
from entropic.index.tinydb import _format, _line_content
from entropic.testing import HOSTILE_PARAMS, make_record

COUNT = 2500


KINDS = ["five methods", "memory", "tinydb", "large tinydb", "sqlite", "postgresql"]


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexBackend]:
    """An empty index of each kind."""
    if request.param == "large tinydb":
        monkeypatch.setattr(_line_content, "_SMALL_FILE_BYTES", 0)
        monkeypatch.setattr(_line_content, "_LARGE_FILE_BYTES", 0)
    made: dict[str, Callable[[], Any]] = {
        "five methods": lambda: request.getfixturevalue("five_methods"),
        "memory": MemoryIndex,
        "sqlite": lambda: SQLIndex(f"sqlite:///{tmp_path / 'runs.sqlite3'}", durable=False),
        "postgresql": lambda: SQLIndex(request.getfixturevalue("postgres_url"), durable=False),
    }
    found = made.get(request.param, lambda: TinyDBIndex(tmp_path / "runs.json", durable=False))()
    yield found
    if isinstance(found, (SQLIndex, TinyDBIndex)):
        found.close()


@pytest.fixture
def store(index: IndexBackend, tmp_path: Path) -> Iterator[Store]:
    """An empty store on it."""
    with Store(tmp_path / "results", index=index, file_suffix=".txt", durable=False) as store:
        yield store


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text("x")


# ---- pages ----------------------------------------------------------------------------------------------------------


def mixed_records() -> list[RunRecord]:
    """Values of all kinds, ties, missing fields, and several runs of a point."""
    values: list[Any] = [3, 1.0, "b", None, True, 2, "a", [1], {"x": 1}, 2, float("nan"), 1, "b", 2.0, False, -1]
    records = [make_record({"v": value, "k": number % 3}) for number, value in enumerate(values)]
    records += [make_record({"k": number % 3}) for number in range(5)]
    records += [make_record({"v": 2, "k": 1}) for _ in range(3)] + [make_record(one) for one in HOSTILE_PARAMS[:4]]
    return [dataclasses.replace(one, result_path=Path(f"{number}.txt")) for number, one in enumerate(records)]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("order_by", [None, "v", "-v", ("k", "-v"), "created_at", "nothing"])
@pytest.mark.filterwarnings("ignore::entropic.errors.UnknownNameWarning")
def test_pages_are_the_list_in_pieces(store: Store, index: IndexBackend, order_by: Any, newest_first: bool) -> None:
    """Whatever the order, with ties and values of all kinds: page after page, nothing twice and nothing left out."""
    for record in mixed_records():
        index.insert(record)
    for where in (None, {"k": 1}, param("v").exists() & ~(param("k") == 0)):
        whole = store.list(where, order_by=order_by, newest_first=newest_first)
        for size in (1, 4):
            pages, last = [], None
            while page := store.list(where, order_by=order_by, newest_first=newest_first, limit=size, after=last):
                pages += page
                last = page[-1]
            assert list(map(repr, pages)) == list(map(repr, whole))
        assert store.list(where, order_by=order_by, newest_first=newest_first, after=whole[2]) == whole[3:]
        assert list(store.iter(where, newest_first=newest_first)) == store.list(where, newest_first=newest_first)
        assert store.count(where) == len(whole)


def test_an_index_that_changes_between_two_pages(store: Store) -> None:
    """Rewritten, grown or with others removed, the next page begins where the last one ended; or an error says so."""
    for n in range(9):
        store.run({"n": n}, write)
    page = store.list(limit=3)
    store.delete({"n": 1})
    store.delete({"n": 4})
    store.run({"n": 9}, write)
    assert [one.params["n"] for one in store.list(limit=4, after=page[-1])] == [3, 5, 6, 7]
    assert [one.params["n"] for one in store.list(after=page[-1], newest_first=True)] == [0]

    store.annotate({"n": 2}, note="changed")
    for order_by in (None, "n"):
        with pytest.raises(NotRecordedError, match="begin with the first page again"):
            store.list(limit=3, after=page[-1], order_by=order_by)
    with pytest.raises(TypeError, match="pass a record"):
        store.list(after="f444")  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"newest_first": True}, {"order_by": "-n"}])
@pytest.mark.parametrize("has_grown", [False, True])
def test_pages_of_a_function(store: Store, options: dict[str, Any], has_grown: bool) -> None:
    """Its own runs only, and with the parameters of today where these have grown."""

    @cached(store, name="paged")
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    for n in range(5):
        simulate(n)
        store.run({"n": n}, write)

    @cached(store, name="paged", added={"k": 1}, on_change="ignore")
    def grown(n: int, k: int = 1, *, result_path: Path) -> None:
        result_path.write_text("x")

    function, pages, last = (grown if has_grown else simulate), [], None
    while page := function.list(param("n") < 4, limit=2, after=last, **options):
        pages += page
        last = page[-1]

    assert len(pages) == 4
    assert pages == function.list(param("n") < 4, **options)


# ---- few are looked at ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["tinydb", "sqlite", "postgresql"])
def many(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store of some thousand runs on an index that is used for many, taken for as large as it may become."""
    monkeypatch.setattr(_line_content, "_SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(_line_content, "_LARGE_FILE_BYTES", 0)
    made: dict[str, Callable[[], Any]] = {
        "tinydb": lambda: TinyDBIndex(tmp_path / "runs.json", durable=False),
        "sqlite": lambda: SQLIndex(f"sqlite:///{tmp_path / 'runs.sqlite3'}", durable=False),
        "postgresql": lambda: SQLIndex(request.getfixturevalue("postgres_url"), durable=False),
    }
    with Store(tmp_path / "results", index=made[request.param](), file_suffix=".txt", durable=False) as store:
        store.run({"n": -1, "g": -1}, write)
        model = store.index.all()[0]
        points = [{"n": n, "g": n // 10} for n in range(COUNT)]
        hashes = [hash_params(one) for one in points]
        # As results lie once there are very many: those that came first in one folder, the others in folders by hash.
        paths = [Path(key[:2] if place > 6 else "", f"{place}.txt") for place, key in enumerate(hashes)]
        every = zip(points, hashes, paths, strict=True)
        store.index.insert_many(  # type: ignore[attr-defined]
            [dataclasses.replace(model, params=one, params_hash=key, result_path=path) for one, key, path in every]
        )
        yield store


def _simulate(n: int, *, result_path: Path) -> None:
    result_path.write_text("x")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every record that is read from a document, and every line of a file that is parsed."""
    made: list[Any] = []
    parse = _format.parse_line
    monkeypatch.setattr(_format, "parse_line", lambda text: made.append(text) or parse(text))
    real = RunRecord.from_dict.__func__  # type: ignore[attr-defined]

    def from_dict(cls: type, document: Any) -> Any:
        made.append(document["params_hash"])
        return real(cls, document)

    monkeypatch.setattr(RunRecord, "from_dict", classmethod(from_dict))
    return made


def point(n: int) -> dict[str, int]:
    """A recorded point."""
    return {"n": n, "g": n // 10}


SMALL: dict[str, tuple[Callable[[Store], Any], int]] = {
    "count": (lambda store: store.count(), 0),
    "first ones": (lambda store: len(store.list(limit=10)), 200),
    "last ones": (lambda store: len(store.list(limit=10, newest_first=True)), 200),
    "current ones": (lambda store: len(store.list(limit=10, current=True)), 500),
    "a page in the middle": (lambda store: len(store.list(limit=10, after=store.list({"n": 1500})[0])), 200),
    "a page from behind": (
        lambda store: len(store.list(limit=10, newest_first=True, after=store.list({"n": 1500})[0])),
        200,
    ),
    "a query": (lambda store: len(store.list({"g": 7})), 40),
    "a query, counted": (lambda store: store.count({"g": 7}), 40),
    "a hash": (lambda store: len(store.list(hash_params(point(5)))), 10),
    "the beginning of a hash": (lambda store: len(store.list(hash_params(point(5))[:10])), 10),
    "delete": (lambda store: store.delete(point(5)), 10),
    "delete of a record": (lambda store: store.delete(store.list(point(6))[0]), 20),
    "delete with its file": (lambda store: store.delete(store.list(point(7))[0], remove_file=True), 30),
    "delete with its file in a folder": (lambda store: store.delete(store.list(point(9))[0], remove_file=True), 30),
    "annotate": (lambda store: store.annotate(store.list(point(8))[0], note=1), 20),
    "plan": (lambda store: store.plan([point(5), {"m": 5}]).total, 1100),
    "plan of a function": (lambda store: cached(store, name="other")(_simulate).plan([{"n": 5}]).total, 10),
    "a miss": (lambda store: store.run_or_retrieve({"m": 1}, write).params, 10),
}


def test_a_small_answer_takes_few_records(many: Store, decoded: list[Any]) -> None:
    """However many there are."""
    many.retrieve({"n": -5})
    for what, (ask, most) in SMALL.items():
        decoded.clear()
        assert ask(many) or what == "nothing"
        assert len(decoded) <= most, f"{what}: {len(decoded)} records were read"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many records there are in memory."""
    gc.collect()
    before = sum(type(one) is RunRecord for one in gc.get_objects())
    return lambda: sum(type(one) is RunRecord for one in gc.get_objects()) - before


STREAMED: dict[str, Callable[[Store], Any]] = {
    "explain": lambda store: str(store.explain({"n": 5.5})),
    "explain of a function": lambda store: str(cached(store, name="other")(_simulate).explain(5)),
    "stats": lambda store: invoke(store, "stats"),
    "show": lambda store: invoke(store, "show"),
    "why": lambda store: invoke(store, "why", "n=77777", "g=1"),
    "ls --limit": lambda store: invoke(store, "ls", "--limit", "5"),
    "ls --reverse": lambda store: invoke(store, "ls", "--reverse", "--limit", "5"),
}


def invoke(store: Store, *words: str) -> str:
    """Call the command line on a store, in this process."""
    place = getattr(store.index, "_place", None)
    named = place.text if place is not None else str(getattr(store.index, "path", None))
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        patched.setattr(sys, "argv", ["entropic", *words, "--index", named, "--results", str(store.results_dir)])
        status = start()
    assert status in (0, 1), out.getvalue()
    return out.getvalue()


def test_what_looks_at_all_records_holds_few(
    many: Store, held: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other: at no moment are there more than some hundred."""
    most = count = 0
    real = RunRecord.from_dict.__func__  # type: ignore[attr-defined]

    def from_dict(cls: type, document: Any) -> Any:
        nonlocal most, count
        count += 1
        if count % 1000 == 0:
            most = max(most, held())
        return real(cls, document)

    monkeypatch.setattr(RunRecord, "from_dict", classmethod(from_dict))
    for what, look in STREAMED.items():
        most = 0
        assert look(many)
        assert most < 1000, f"{what}: {most} records were held"


def test_stats_count_what_there_is(many: Store) -> None:
    """Runs, points, functions; a result that two records share once."""
    shown = invoke(many, "stats")

    rows = dict(line.split(None, 1) for line in shown.splitlines() if len(line.split(None, 1)) == 2)
    assert rows["runs"] == rows["points"] == str(COUNT + 1)
    assert rows["function"].split() == [str(COUNT + 1), "(plain", "runs)"]


def test_a_name_that_no_run_has_is_asked_of_the_index(many: Store, decoded: list[Any]) -> None:
    """It is said as ever, after a look at some records instead of all."""
    many.list({"g": 1})
    decoded.clear()
    with pytest.warns(UnknownNameWarning, match=r"by 'gg'.*Did you mean 'g'"):
        assert many.list({"gg": 1}) == []

    assert len(decoded) <= 2200


# ---- which files are still used -------------------------------------------------------------------------------------


@pytest.mark.parametrize("most_entries", [1, 4096])
def test_a_file_that_another_record_uses_is_kept(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_entries: int
) -> None:
    """
    By its name, by a link, through a folder that is a link, from around it, from within, and as a companion; with the
    results in one folder, and in folders by hash.
    """
    monkeypatch.setattr("entropic._results._shards._MOST_ENTRIES", most_entries)
    monkeypatch.setattr("entropic._results._shards._SURELY_FEW_BYTES", 0)
    results = Path(store.results_dir)
    for n in range(5):
        store.run({"filler": n}, write)

    def kept(use: Callable[[RunRecord], Any]) -> bool:
        record = store.run({"n": random.random()}, write)
        use(record)
        store.delete(record, remove_file=True)
        return record.result_path.exists()

    def by_link(record: RunRecord) -> None:
        link = results / f"link{random.random()}.txt"
        link.symlink_to(record.result_path)
        store.register({"link": random.random()}, link)

    def by_link_beside(record: RunRecord) -> None:
        link = record.result_path.with_name(f"link{random.random()}.txt")
        link.symlink_to(record.result_path.name)
        store.register({"link": random.random()}, link)

    def by_linked_shard(record: RunRecord) -> None:
        folder = next(one for number in range(256) if not (one := results / f"{number:02x}").exists())
        folder.symlink_to(record.result_path.parent)
        store.register({"link": random.random()}, folder / record.result_path.name)

    def by_shard(record: RunRecord) -> None:
        if record.result_path.parent != results:
            store.register({"folder": random.random()}, record.result_path.parent)
        else:
            by_link(record)

    def by_link_elsewhere(record: RunRecord) -> None:
        link = tmp_path / f"latest{random.random()}.txt"
        link.symlink_to(record.result_path)
        store.register({"link": random.random()}, link)

    def by_linked_folder(record: RunRecord) -> None:
        folder = tmp_path / f"folder{random.random()}"
        folder.symlink_to(results)
        store.register({"link": random.random()}, folder / record.result_path.relative_to(results))

    def as_companion(record: RunRecord) -> None:
        mine = next(one for one in store.index.all() if one.params == record.params)
        siblings = {**mine.provenance, "siblings": [mine.result_path.name]}
        beside = mine.result_path.with_name("c.txt")
        twin = dataclasses.replace(mine, params={"c": 1}, params_hash="c" * 16, result_path=beside)
        store.index.insert(dataclasses.replace(twin, provenance=siblings))

    assert not kept(lambda record: None)
    assert kept(lambda record: store.register({"same": random.random()}, record.result_path))
    for use in (by_link, by_link_beside, by_link_elsewhere, by_linked_folder, as_companion, by_linked_shard, by_shard):
        assert kept(use), use.__name__
    folder = results / "of_mine"
    folder.mkdir()
    (folder / "inside.txt").write_text("x")
    outer, inner = store.register({"outer": 1}, folder), store.register({"inner": 1}, folder / "inside.txt")
    store.delete(inner, remove_file=True)
    assert inner.result_path.exists()
    store.delete(outer, remove_file=True)
    assert not folder.exists()
    assert not os.path.lexists(inner.result_path)
    assert entropic.Store is Store
