"""A large index: removals in place, and a table of offsets beside it. Here every index is taken for a large one."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tinydb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from entropic import RunRecord, Store, param
from entropic.errors import IndexCorruptError
from entropic.index import TinyDBIndex
from entropic.index.tinydb import (
    _format,
    _line_content,
    _lines,
    _offset_file,
    _offset_writer,
    _offsets,
    _removal,
    _write_lock,
    _writer,
)
from entropic.query import read_query
from entropic.testing import make_record

from .test_reentry_index import at_each_line_of


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files are treated as large ones are."""
    monkeypatch.setattr(_line_content, "_SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(_line_content, "_LARGE_FILE_BYTES", 0)
    monkeypatch.setattr(_offsets, "MOST_TAIL_BYTES", 600)
    monkeypatch.setattr(_writer, "MOST_TAIL_BYTES", 600)
    for module in (_offset_file, _offset_writer):
        monkeypatch.setattr(module, "MOST_LINES", (4, 8, 16, 1 << 62))
        monkeypatch.setattr(module, "BLOCK_LINES", 3)
    monkeypatch.setattr(_offset_file, "_BLOCK_BYTES", 32)


def opened(path: Path) -> TinyDBIndex:
    return TinyDBIndex(path, durable=False)


def stock(path: Path) -> list[int]:
    with tinydb.TinyDB(path) as database:
        return [run["n"] for run in database]


def require(index: TinyDBIndex, expected: list[RunRecord], every: list[RunRecord]) -> None:
    """What an index says is what a list of records says."""
    assert index.all() == expected
    assert index.count() == len(expected)
    for record in every:
        same = [one for one in expected if one.params_hash == record.params_hash]
        assert index.find_all_by_hash(record.params_hash) == same
        assert index.find_by_hash(record.params_hash) == (same[-1] if same else None)
        n = record.params["n"]
        assert index.search({"n": n}) == [one for one in expected if one.params["n"] == n]
    assert list(index.iter(newest_first=True)) == expected[::-1]


@pytest.mark.parametrize("seed", range(8))
def test_an_index_is_a_list_of_records(tmp_path: Path, seed: int) -> None:
    """Whatever is inserted and removed by whom, for every object, a new one, and stock TinyDB."""
    draw = random.Random(seed)
    path, expected = tmp_path / "runs.json", []
    every = [make_record({"n": n % 8}, number=n) for n in range(40)]
    every[3] = make_record({"n": 3, "text": " " * 9 + '"7": {' + "x" * 700})
    living = [opened(path), opened(path)]
    for _ in range(40):
        index = draw.choice(living)
        doing = draw.random()
        if doing < 0.5 or not expected:
            added = draw.sample(every, draw.choice([1, 1, 3]))
            index.insert_many(added)
            expected += added
        elif doing < 0.7:
            gone = draw.choice(expected[-2:])
            index.delete_by_hash(gone.params_hash)
            expected = [one for one in expected if one.params_hash != gone.params_hash]
        else:
            gone_too = draw.sample(expected, min(len(expected), 2))
            assert index.delete_records(gone_too) == sum(one in gone_too for one in expected)
            expected = [one for one in expected if one not in gone_too]
        require(draw.choice(living), expected, every[:8])
        require(opened(path), expected, every[:8])
        assert stock(path) == [one.params["n"] for one in expected]
        if draw.random() < 0.1:
            living[0] = opened(path)


def test_a_removal_costs_the_same_at_any_size(tmp_path: Path) -> None:
    """One line is written over, and one number in the head; no byte of the others moves."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(50)]
    opened(path).insert_many(records)
    before = path.read_bytes()

    assert opened(path).delete_by_hash(records[20].params_hash)

    after = path.read_bytes()
    assert len(after) == len(before)
    changed = [place for place, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    line = before.split(b"\n")[21]
    head = changed[0]
    assert head < before.index(b"\n")
    assert changed[-1] - changed[1] <= len(line) + 1
    assert b"\n" + b" " * len(line) + b'\t"22": {' in after


def test_an_annotation_of_a_large_index_is_one_line(tmp_path: Path) -> None:
    """And the one before it is removed in place: the file stays the same one."""
    store = Store(tmp_path / "results", tmp_path / "runs.json", ".txt")
    for n in range(5):
        store.run({"n": n}, lambda params, path: path.write_text("x"))
    inode = os.stat(tmp_path / "runs.json").st_ino

    store.annotate({"n": 2}, verdict="good")
    store.annotate({"n": 2}, verdict="good")

    assert os.stat(tmp_path / "runs.json").st_ino == inode
    assert [(one.params["n"], one.metadata.get("verdict")) for one in store.list()] == [
        (0, None),
        (1, None),
        (3, None),
        (4, None),
        (2, "good"),
    ]
    assert sorted(stock(tmp_path / "runs.json")) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_removal_that_a_crash_cuts_short(tmp_path: Path, place: int) -> None:
    """Whatever part of it reached the disk: the others are all there, and the one is there or not."""
    path, cut = tmp_path / "runs.json", tmp_path / "cut.json"
    records = [make_record({"n": n, "text": "x" * 300}) for n in range(6)]
    opened(path).insert_many(records)
    before = path.read_bytes()
    opened(path).delete_by_hash(records[place].params_hash)
    after = path.read_bytes()
    changed = [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    begin, end = changed[1], changed[-1] + 1
    shapes = [after[:at] + before[at:] for at in range(begin, end, 7)]  # what comes first is on disk first
    shapes += [before[:at] + after[at:] for at in (begin, end)]  # without what the head tells, and it alone
    others = [record for record in records if record != records[place]]
    for number, content in enumerate(shapes):
        cut.write_bytes(content)
        found = opened(cut).all()
        assert found in (others, records), number
        for record in others:
            assert opened(cut).find_by_hash(record.params_hash) == record, number
        assert opened(cut).find_by_hash(records[place].params_hash) in (None, records[place])
        index = opened(cut)
        index.insert(make_record({"n": 9}))
        assert index.delete_by_hash(others[1].params_hash)
        assert [one.params["n"] for one in opened(cut).all() if one.params["n"] != place] == [
            *(one.params["n"] for one in others if one != others[1]),
            9,
        ]


def test_what_was_remembered_is_forgotten_once_it_is_removed(tmp_path: Path) -> None:
    """By every object, also where the size of the file has not changed, nor what its last line says."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(9)]
    opened(path).insert_many(records)
    others = [opened(path) for _ in range(3)]
    for index in others:
        require(index, records, records)
    os.utime(path, (1e9, 1e9))  # not just now, so that an unchanged file is known as such
    for index in others:
        assert index.find_by_hash(records[4].params_hash) == records[4]

    opened(path).delete_by_hash(records[4].params_hash)

    for index in others:
        assert index.find_by_hash(records[4].params_hash) is None
        require(index, [*records[:4], *records[5:]], records)


def test_a_run_is_removed_while_another_process_reads_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the head, which counts the removals, and the lines, of which a table is made: each is counted once."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(9)]
    opened(path).insert_many(records)
    for place in beside(path):
        place.unlink()
    entries = _line_content.LineContent.entries

    def entries_later(content: _line_content.LineContent, descriptor: int, end: int) -> Any:
        meanwhile.undo()
        opened(path).delete_by_hash(records[4].params_hash)
        return entries(content, descriptor, end)

    reader = opened(path)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(_line_content.LineContent, "entries", entries_later)
        for record in records[:4]:
            assert reader.find_by_hash(record.params_hash) == record

    require(reader, [*records[:4], *records[5:]], records)
    require(opened(path), [*records[:4], *records[5:]], records)


@pytest.mark.parametrize("inner", ["inserts", "removes"])
@pytest.mark.parametrize("place", [1, 5])
def test_a_call_comes_in_at_any_line_of_a_removal(tmp_path: Path, place: int, inner: str) -> None:
    """Both are done, and everybody knows of both."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(6)]
    added = make_record({"n": 9})
    opened(path).insert_many(records)
    template = path.read_bytes()
    files = frozenset(module.__file__ for module in (_lines, _line_content, _removal, _writer, _write_lock))

    def new() -> tuple[TinyDBIndex, TinyDBIndex]:
        path.write_bytes(template)
        pair = opened(path), opened(path)
        for index in pair:
            require(index, records, records)
        return pair

    def call(pair: tuple[TinyDBIndex, TinyDBIndex]) -> None:
        assert pair[0].delete_by_hash(records[place].params_hash)

    def come_in(pair: tuple[TinyDBIndex, TinyDBIndex]) -> None:
        if inner == "inserts":
            pair[0].insert(added)
        else:
            pair[0].delete_by_hash(records[3].params_hash)

    expected = [one for one in records if one != records[place]]
    expected = [*expected, added] if inner == "inserts" else [one for one in expected if one != records[3]]
    tried = 0
    for where, pair, raised in at_each_line_of(files, new, call, come_in, 4):
        assert raised is None, where
        for index in (*pair, opened(path)):
            require(index, expected, [*records, added])
        assert stock(path) == [one.params["n"] for one in expected], where
        tried += 1
    assert tried > 10


# ---- the tables of offsets beside it --------------------------------------------------------------------------------


def beside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f".{path.name}.offsets-v2.*"))


@pytest.fixture
def known(tmp_path: Path) -> tuple[Path, list[RunRecord]]:
    """An index with tables of offsets of several sizes beside it, and a line behind what they know."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(30)]
    opened(path).insert_many(records[:18])
    for start in range(18, 30, 3):
        opened(path).insert_many(records[start : start + 3])
    assert len(beside(path)) > 1
    return path, records


@pytest.fixture
def reads_no_more(known: tuple[Path, list[RunRecord]], monkeypatch: pytest.MonkeyPatch) -> None:
    """All lines are neither searched nor read."""
    made = _offsets.LineOffsets._made

    def made_of_files(*args: Any) -> Any:
        assert args[-1], "read all lines"
        return made(*args)

    monkeypatch.setattr(_lines.LinesContent, "_scan", lambda *_: pytest.fail("searched all bytes"))
    monkeypatch.setattr(_offsets.LineOffsets, "_made", made_of_files)


@pytest.mark.usefixtures("reads_no_more")
def test_a_new_process_reads_no_more_than_what_it_asks_for(known: tuple[Path, list[RunRecord]]) -> None:
    """For what is recorded, and for what is not."""
    path, records = known
    for record in records:
        assert opened(path).find_by_hash(record.params_hash) == record
    assert opened(path).find_by_hash("nothing") is None
    assert opened(path).count() == 30


@pytest.mark.usefixtures("reads_no_more")
@pytest.mark.parametrize("count", [1, 2, 5])
def test_tables_last_though_the_lines_that_bind_them_are_removed(
    known: tuple[Path, list[RunRecord]], count: int
) -> None:
    """The last line that each of them knows, and some beside it."""
    path, records = known
    for at in sorted({*range(18 - count, 18 + count), *range(30 - count, 30)}, reverse=True):
        opened(path).delete_by_hash(records.pop(at).params_hash)

    require(opened(path), records, [])

    for record in records:
        assert opened(path).find_by_hash(record.params_hash) == record


@pytest.mark.usefixtures("reads_no_more")
def test_a_table_that_is_replaced_while_it_is_used(known: tuple[Path, list[RunRecord]]) -> None:
    """Whoever has opened it looks again."""
    path, records = known
    readers = [opened(path) for _ in records]
    for reader in readers:
        assert reader.find_by_hash("nothing") is None
    added = [make_record({"n": n}) for n in range(30, 60)]
    for record in added:
        opened(path).insert(record)

    for record, reader in zip(records, readers, strict=True):
        assert reader.find_by_hash(record.params_hash) == record
        assert reader.find_by_hash(added[-1].params_hash) == added[-1]


def test_lines_of_one_hash_fill_many_blocks(tmp_path: Path) -> None:
    """And those of others are before and behind them."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": 1 if 20 < n < 80 else n}, number=n) for n in range(100)]
    opened(path).insert_many(records)
    assert beside(path)

    require(opened(path), records, records)


def garbled(path: Path) -> None:
    for place in beside(path):
        content = bytearray(place.read_bytes())
        content[-5] ^= 1
        place.write_bytes(content)


def garbled_at_the_beginning(path: Path) -> None:
    content = bytearray(beside(path)[-1].read_bytes())
    content[50] ^= 1
    beside(path)[-1].write_bytes(content)


def shortened(path: Path) -> None:
    for place in beside(path):
        os.truncate(place, place.stat().st_size - 8)


def exchanged(path: Path) -> None:
    first, *_, last = beside(path)
    one, other = first.read_bytes(), last.read_bytes()
    first.write_bytes(other)
    last.write_bytes(one)


def without_the_largest(path: Path) -> None:
    beside(path)[-1].unlink()


def without_the_smallest(path: Path) -> None:
    beside(path)[0].unlink()


def of_another_file(path: Path) -> None:
    twin = path.with_name("twin.json")
    opened(twin).insert_many([make_record({"n": n}) for n in range(100, 118)])
    for n in range(118, 130):
        opened(twin).insert(make_record({"n": n}))
    for place, other in zip(beside(path), beside(twin), strict=False):
        shutil.copyfile(other, place)


def edited(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    del lines[3]
    path.write_bytes(b"\n".join(lines))


def copied(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def put_back(path: Path) -> None:
    """The index as it was before some runs, with others in their place."""
    content = path.read_bytes()
    cut = content[: content.index(b',\n"15"')] + b"\n}}\n"
    path.write_bytes(cut)
    twin = path.with_name("twin.json")
    shutil.copyfile(path, twin)
    opened(twin).insert_many([make_record({"n": n}) for n in range(215, 230)])
    path.write_bytes(twin.read_bytes())


def rewritten(path: Path) -> None:
    opened(path).db.runs.update({"n": 5}, tinydb.where("n") == 5)


def emptied(path: Path) -> None:
    for place in beside(path):
        place.write_bytes(b"")


def of_another_kind(path: Path) -> None:
    for place in beside(path):
        place.unlink()
        place.mkdir()


CHANGES = [
    garbled,
    garbled_at_the_beginning,
    shortened,
    exchanged,
    without_the_largest,
    without_the_smallest,
    of_another_file,
    edited,
    copied,
    put_back,
    rewritten,
    emptied,
    of_another_kind,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_is_not_of_this_file_is_not_believed(
    known: tuple[Path, list[RunRecord]], change: Callable[[Path], None]
) -> None:
    """Then all is read, as without one; also by one who has seen the file before, and by one who writes."""
    path, _ = known
    seen = opened(path)
    assert seen.find_by_hash("nothing") is None
    change(path)

    found = opened(path).all()

    for record in found:
        assert opened(path).find_by_hash(record.params_hash) == record
        assert seen.find_by_hash(record.params_hash) == record
    assert opened(path).count() == len(found)
    assert opened(path).find_by_hash("nothing") is None
    more = [make_record({"n": n}) for n in range(300, 330)]
    for record in more:
        index = opened(path)
        assert index.find_by_hash(record.params_hash) is None
        index.insert(record)
    require(opened(path), [*found, *more], [*found, *more])


@pytest.mark.parametrize("change", [garbled, garbled_at_the_beginning, shortened, emptied, without_the_largest, copied])
def test_tables_that_are_damaged_are_written_again(
    known: tuple[Path, list[RunRecord]], change: Callable[[Path], None], request: pytest.FixtureRequest
) -> None:
    """By whoever has looked for what is not recorded, and records it."""
    path, records = known
    change(path)
    for n in range(300, 320):
        index = opened(path)
        for record in records:
            assert index.find_by_hash(record.params_hash) == record
        index.insert(make_record({"n": n}))
    assert len(beside(path)) > 0

    request.getfixturevalue("reads_no_more")

    for record in records:
        assert opened(path).find_by_hash(record.params_hash) == record


@settings(max_examples=20)
@example(seed=1579)
@given(seed=st.integers(0, 1 << 30))
def test_whatever_happens_to_the_tables_the_answer_is_right(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Bytes of them are changed, they are cut, put back as they were; lines are added and removed meanwhile."""
    draw = random.Random(seed)
    path, expected = tmp_path_factory.mktemp("any") / "runs.json", list[RunRecord]()
    every = [make_record({"n": n % 30}, number=n) for n in range(60)]
    kept: dict[Path, bytes] = {}
    living = [opened(path), opened(path)]
    for _ in range(40):
        doing, index = draw.random(), draw.choice([*living, opened(path)])
        places = beside(path)
        if doing < 0.5 or not expected:
            added = draw.sample(every, draw.choice([1, 3, 6]))
            index.insert_many(added)
            expected += added
        elif doing < 0.65:
            gone = draw.sample(expected, min(len(expected), 3))
            index.delete_records(gone)
            expected = [one for one in expected if one not in gone]
        elif doing < 0.7:
            kept = {place: place.read_bytes() for place in places}
        elif doing < 0.75:
            for place, content in kept.items():
                place.write_bytes(content)
        elif places and doing < 0.95:
            place = draw.choice(places)
            content = bytearray(place.read_bytes())
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            place.write_bytes(content if doing < 0.9 else content[: draw.randrange(len(content))])
        elif doing < 0.98:
            whole = path.read_bytes()
            if whole.endswith(b"\n}}\n"):
                path.write_bytes(whole[: -draw.choice([1, 2, 3])])  # an append that a kill cut short
        else:
            opened(path).db.runs.update({"n": 99}, tinydb.where("n") == 99)
        asked = draw.choice([*living, opened(path)])
        for record in draw.sample(every, 6):
            same = [one for one in expected if one.params_hash == record.params_hash]
            assert asked.find_by_hash(record.params_hash) == (same[-1] if same else None)
            assert asked.find_all_by_hash(record.params_hash) == same
    require(opened(path), expected, every)


def test_a_power_cut_leaves_a_gap_before_the_end_of_a_table(
    known: tuple[Path, list[RunRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood behind it is lost, and what is recorded in its place by the same process is found."""
    path, records = known
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(512) + content[4608:])
    monkeypatch.setattr(_offsets, "MOST_TAIL_BYTES", 3500)  # a writer does not look at tables for a while
    index = opened(path)
    there = [one for one in records if index.find_by_hash(one.params_hash) is not None]
    assert there == records[: len(there)]
    assert 15 < len(there) < 30
    added = [make_record({"n": n, "text": "x" * 7}) for n in range(100, 110)]
    for record in added:
        index.insert(record)

    require(index, [*there, *added], [*records, *added])
    require(opened(path), [*there, *added], [*records, *added])


def killed_at(step: str) -> None:
    """From now on, this process dies when it is about to take a step of writing a table."""

    def die(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    owner, name = {"write": (_offset_writer, "_sealed"), "rename": (os, "replace"), "remove": (os, "unlink")}[step]
    setattr(owner, name, die)


@pytest.mark.parametrize("step", ["write", "rename", "remove"])
def test_a_writer_is_killed_while_it_writes_a_table(known: tuple[Path, list[RunRecord]], step: str) -> None:
    """What it has appended is there, others write tables again, and nothing is left of its own."""
    path, records = known
    more = [make_record({"n": n}) for n in range(100, 140)]
    child = os.fork()
    if child == 0:
        killed_at(step)
        for record in more:
            opened(path).insert(record)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])

    there = opened(path).all()
    assert there[:30] == records
    assert there[30:] == more[: len(there) - 30]
    for record in more[len(there) - 30 :]:
        index = opened(path)
        assert index.find_by_hash(record.params_hash) is None
        index.insert(record)
    require(opened(path), [*records, *more], [*records, *more])
    assert {entry.name for entry in path.parent.iterdir()} == {path.name, *(place.name for place in beside(path))}


def test_a_folder_where_no_table_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are recorded all the same; it is tried again whenever twice as many lines are in no table."""
    path, tried = tmp_path / "runs.json", []

    def refuse(place: str, **_: Any) -> Any:
        tried.append(place)
        raise PermissionError(place)

    opened(path).insert(make_record({"n": -1}))
    monkeypatch.setattr(_offset_writer, "replacing", refuse)
    index = opened(path)
    records = [make_record({"n": n}) for n in range(300)]
    for record in records:
        assert index.find_by_hash(record.params_hash) is None
        index.insert(record)

    assert index.all()[1:] == records
    assert 5 < len(tried) < 12


def test_reading_writes_no_table(tmp_path: Path) -> None:
    """Writers do, those who read do not."""
    path = tmp_path / "runs.json"
    opened(path).insert_many([make_record({"n": n}) for n in range(30)])
    for place in beside(path):
        place.unlink()
    assert opened(path).find_by_hash("nothing") is None
    assert os.listdir(tmp_path) == ["runs.json"]


def test_a_head_of_an_earlier_release_counts_no_removals() -> None:
    """Such an index is written anew by its first removal."""
    old = b'{"_store": {"1": {"format": 1}}, "_default": {'

    assert _format.count_place(old) == _format.counted_removals(old) == 0
    assert _format.uncounted(old) == old
    new = _format.head({"format": 1}, {})
    assert _format.counted_removals(new) == 0
    place = _format.count_place(new)
    counted = new[:place] + _format.removal_count(70000) + new[place + 24 :]
    assert _format.counted_removals(counted) == 70000
    assert _format.uncounted(counted) == new


def test_a_whole_hash_is_found_without_reading_the_others(
    known: tuple[Path, list[RunRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a query, and as the beginning of one."""
    path, records = known
    monkeypatch.setattr(_line_content.LineContent, "_chunks", lambda *_, **__: pytest.fail("read all lines"))
    key = records[5].params_hash

    for query in (param("params_hash") == key, read_query(key).condition()):
        assert opened(path).search(query) == [records[5]]
        assert opened(path).search(query & (param("n") == 6)) == []
        assert list(opened(path).iter(query, newest_first=True)) == [records[5]]


def test_the_beginning_of_a_hash_is_searched_for_in_the_bytes(
    known: tuple[Path, list[RunRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the lines that have it are parsed; also with a filter beside it, and newest first."""
    path, records = known
    parsed: list[bytes] = []
    parse = _format.parse_line
    index = opened(path)
    index.count()
    monkeypatch.setattr(_format, "parse_line", lambda text: parsed.append(text) or parse(text))
    begin = records[5].params_hash[:8]

    for text in (begin, f"{records[5].params_hash[:12]} {begin}", f"{begin} n=5", f"n=5 {begin}"):
        assert index.search(read_query(text).condition()) == [records[5]]
    assert list(index.iter(read_query(begin).condition(), newest_first=True)) == [records[5]]
    assert index.search(read_query(f"{begin} n=6").condition()) == []
    monkeypatch.setattr(TinyDBIndex, "_document", lambda *_: pytest.fail("read a line as a list that is long does"))
    assert list(index.listed(read_query(begin).condition())) == [records[5]]
    assert len(parsed) <= 14


def test_a_hash_that_is_spelled_otherwise_is_found_by_its_beginning(tmp_path: Path) -> None:
    """JSON knows more than one way to write a digit."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(9)]
    opened(path).insert_many(records)
    wanted = records[4].params_hash
    spelled = f'"\\u00{ord(wanted[0]):02x}{wanted[1:]}"'
    path.write_bytes(path.read_bytes().replace(f'"{wanted}"'.encode(), spelled.encode()))

    assert opened(path).search(read_query(wanted[:6]).condition()) == [records[4]]


def test_a_line_that_is_no_record_is_told_by_whatever_meets_it(tmp_path: Path) -> None:
    """By the name of the file, and not by what Python says of it."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(9)]
    opened(path).insert_many(records)
    lines = path.read_bytes().split(b"\n")
    lines[5] = b'"5": {"params_hash": "x", "result_path": "a/b", "m": 1},'
    path.write_bytes(b"\n".join(lines))
    index = opened(path)

    for ask in (
        lambda: list(index.may_use(["a"])),
        lambda: list(index.iter_after(records[0])),
        lambda: list(index.iter_after(records[8], newest_first=True)),
        lambda: index.has_param("m"),
    ):
        with pytest.raises(IndexCorruptError, match=r"runs\.json"):
            ask()
