"""The index file, cut, damaged, shared and starved: before or after, never between."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tinydb

from entropic.errors import IndexCorruptError, IndexVersionError
from entropic.index import TinyDBIndex
from entropic.record import RunRecord
from entropic.testing import HOSTILE_PARAMS, make_record

CLOSING = b"\n}}\n"


def opened(path: Path, **options: Any) -> TinyDBIndex:
    return TinyDBIndex(path, durable=False, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.json"


def filled(path: Path, count: int = 3) -> list[RunRecord]:
    """An index file with a few records."""
    records = [make_record({"n": n}) for n in range(count)]
    opened(path).insert_many(records)
    return records


def stock(path: Path) -> list[dict[str, Any]]:
    """What stock TinyDB reads."""
    with tinydb.TinyDB(path, access_mode="r") as database:
        return [dict(document) for document in database.all()]


def documents(records: list[RunRecord]) -> list[dict[str, Any]]:
    return [record.to_dict() for record in records]


# ---- cut at every byte ----------------------------------------------------------------------------------------------


def shapes(before: bytes, after: bytes, cut: int) -> Iterator[tuple[str, bytes]]:
    """What a crash may leave of an append of which *cut* bytes were written."""
    place = len(before) - len(CLOSING)
    written, rest = after[place : place + cut], len(after) - place - cut
    yield "truncated", after[:place] + written
    yield "overwritten", after[:place] + written + before[place + cut :]
    yield "zero-filled", after[:place] + written + bytes(rest)
    if cut >= len(CLOSING) and cut % 4 == 0:
        yield "closed by zeros", after[:place] + written + bytes(min(rest, 7))


def cuts(written: bytes) -> list[int]:
    """Every byte of a short append; of a long one its ends, around its line and page ends, and some between."""
    length = len(written)
    if length < 330:
        return list(range(length + 1))
    ends = [place for place, byte in enumerate(written) if byte == 10 or place % 4096 == 0]
    near = {end + shift for end in ends for shift in range(-12, 30)}
    return sorted({*near, *range(0, length, max(7, length // 60)), length} & {*range(length + 1)})


APPENDS = {
    "one": (3, [{"n": 10, "dt": 0.1, "text": 'q"}}\\,'}]),
    "first": (0, [{"n": 10}]),
    "long": (3, [{"n": 10, "text": "long, " * 3000}]),
    "first long": (0, [{"text": "}}" * 5000}]),
    "after a long one": (-1, [{"n": 10}]),
    "several": (3, [{"n": 10}, {"n": 11, "deep": {"a": [{}, {}]}}, {"n": 12}]),
    "several first": (0, [{"n": 10}, {"n": 11}]),
    "hostile": (1, [{"text": '\n"7": {"params_hash": "2bfd14f43d17fc7c"},\n}}\n'}]),
}


@pytest.mark.parametrize("name", APPENDS)
def test_an_append_cut_anywhere_leaves_before_or_after(path: Path, name: str) -> None:
    """Whatever part of an append reaches the disk, old and new readers see whole records, and the next insert mends."""
    count, params = APPENDS[name]
    records = filled(path, abs(count) or 1)
    if count == 0:
        opened(path).delete_records(records)
        records = []
    if count < 0:
        records.append(make_record({"text": "x" * 9000}))
        opened(path).insert(records[-1])
    before = path.read_bytes()
    added = [make_record(one) for one in params]
    opened(path).insert_many(added)
    after = path.read_bytes()
    outcomes = [[*records, *added[:number]] for number in range(len(added) + 1)]
    last = make_record({"n": 99})

    for cut in cuts(after[len(before) - len(CLOSING) :]):
        for shape, content in shapes(before, after, cut):
            path.write_bytes(before)
            reader = opened(path)
            assert reader.all() == records
            if records:
                reader.find_by_hash(records[-1].params_hash)
            with path.open("r+b") as file:
                file.write(content)
                file.truncate()
            fresh = opened(path)

            found = fresh.all()
            assert found in outcomes, (cut, shape)
            assert reader.all() == found, (cut, shape)
            assert path.read_bytes() == content
            for record in added:
                expected = record if record in found else None
                assert reader.find_by_hash(record.params_hash) == expected, (cut, shape)
                assert fresh.find_by_hash(record.params_hash) == expected, (cut, shape)
            if cut % 3 == 0 or cut < 8:
                fresh.insert(last)
                assert reader.all() == opened(path).all() == [*found, last], (cut, shape)
                assert stock(path) == documents([*found, last]), (cut, shape)


def test_a_torn_append_is_seen_whole_once_it_is_whole(path: Path) -> None:
    """A reader that looked in the middle of an append sees the rest when it is there."""
    records = filled(path)
    before = path.read_bytes()
    opened(path).insert(make_record({"n": 10}))
    after = path.read_bytes()
    added = opened(path).all()[-1]
    place = len(before) - len(CLOSING)

    for cut in range(1, len(after) - place):
        path.write_bytes(before)
        reader = opened(path)
        assert reader.find_by_hash(added.params_hash) is None
        with path.open("r+b") as file:
            file.seek(place)
            file.write(after[place : place + cut])
            file.flush()
            reader.find_by_hash(added.params_hash)
            assert reader.all()[:3] == records
            file.write(after[place + cut :])
            file.flush()
        assert reader.find_by_hash(added.params_hash) == added
        assert reader.all() == [*records, added]


def test_a_rewrite_cut_anywhere_leaves_the_old_file(path: Path) -> None:
    """A killed rewrite leaves a draft beside a whole file; the next rewrite removes it, and no other file."""
    records = filled(path)
    content = path.read_bytes()
    bystanders = [path.with_name(name) for name in (".runs.json.bak.0123456789abcdef.draft", ".runs.json.x.draft")]
    for bystander in bystanders:
        bystander.write_bytes(b"someone else's")
    draft = path.with_name(".runs.json.0123456789abcdef.draft")

    for cut in range(0, len(content), 7):
        draft.write_bytes(content[:cut])
        assert opened(path).all() == records
        opened(path).insert(records[0])
        assert opened(path).delete_records([make_record({"n": 0})]) == 0
        opened(path).delete_by_hash(records[0].params_hash)
        assert opened(path).all() == records[1:]
        assert not draft.exists()
        path.write_bytes(content)

    assert all(bystander.exists() for bystander in bystanders)


# ---- damage ---------------------------------------------------------------------------------------------------------


def _line_changed(number: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        lines = content.split(b"\n")
        lines[number - 1] = change(lines[number - 1])
        return b"\n".join(lines)

    return damage


def _without(field: str) -> Callable[[bytes], bytes]:
    def change(line: bytes) -> bytes:
        number, _, text = line.removesuffix(b",").partition(b": ")
        document = json.loads(text)
        del document[field]
        return number + b": " + json.dumps(document).encode() + (b"," if line.endswith(b",") else b"")

    return change


DAMAGES: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "head garbled": (1, _line_changed(1, lambda line: line.replace(b'"format"', b"'format'"))),
    "head without format": (1, _line_changed(1, lambda line: line.replace(b'"format": 1', b'"version": 1'))),
    "first line garbled": (2, _line_changed(2, lambda line: line[:40] + b"#" + line[41:])),
    "middle line garbled": (3, _line_changed(3, lambda line: line[:40] + b'"' + line[41:])),
    "last line garbled": (5, _line_changed(5, lambda line: b"#" + line[1:])),
    "not UTF-8": (3, _line_changed(3, lambda line: line[:40] + b"\xff\xfe" + line[42:])),
    "zeros in the middle": (3, _line_changed(3, lambda line: bytes(len(line)))),
    "empty line": (3, _line_changed(3, lambda line: b"")),
    "middle cut out": (
        3,
        lambda content: content[: content.index(b'\n"2":') + 31] + content[content.index(b'\n"3":') + 13 :],
    ),
    "conflict markers": (3, _line_changed(3, lambda line: b"<<<<<<< HEAD\n" + line)),
    "no hash": (3, _line_changed(3, _without("params_hash"))),
    "no path": (3, _line_changed(3, _without("result_path"))),
    "no time": (4, _line_changed(4, _without("created_at"))),
    "run is a list": (3, _line_changed(3, lambda line: b'"2": [1],')),
    "metadata is text": (3, _line_changed(3, lambda line: line.replace(b'"metadata": {}', b'"metadata": ""'))),
    "not JSON": (1, lambda content: b"not an index"),
    "zeros": (1, lambda content: bytes(len(content))),
    "a list": (1, lambda content: b"[1, 2]"),
    "a number": (1, lambda content: b"12"),
    "a table is a list": (1, lambda content: b'{"_default": [1, 2]}'),
    "stock run is a number": (0, lambda content: b'{"_default": {"1": 2}}'),
    "stock id is a word": (0, lambda content: b'{"_default": {"one": {}}}'),
    "stock run lacks fields": (0, lambda content: b'{"_default": {"1": {"n": 1}}}'),
    "stock cut": (1, lambda content: json.dumps(json.loads(content)).encode()[:-100]),
    "white space": (2, lambda content: b"\n"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told_and_left_alone(path: Path, name: str) -> None:
    """Reading a damaged file names file and line; no method changes a byte of it."""
    line, damage = DAMAGES[name]
    records = filled(path, 4)
    reader = opened(path)
    assert reader.find_by_hash(records[0].params_hash) == records[0]
    content = damage(path.read_bytes())
    assert content != path.read_bytes()
    path.write_bytes(content)

    methods: list[Callable[[TinyDBIndex], object]] = [
        lambda index: index.all(),
        lambda index: index.find_by_params({}),
        lambda index: index.delete_by_hash(records[0].params_hash),
        lambda index: index.delete_records(records),
    ]
    for index in (reader, opened(path)):
        for method in methods:
            with pytest.raises(IndexCorruptError) as caught:
                method(index)
            assert caught.value.path == str(path)
            assert caught.value.line == line
            assert path.read_bytes() == content


@pytest.mark.parametrize("name", [name for name in DAMAGES if "lacks" not in name and "no " not in name[:3]])
def test_damage_is_never_written_over(path: Path, name: str) -> None:
    """In a small file a look-up shows the damage as well; a run that would not be kept is refused before it starts."""
    filled(path, 4)
    content = DAMAGES[name][1](path.read_bytes())
    path.write_bytes(content)

    for method in (lambda index: index.find_by_hash("0" * 16), lambda index: index.db.truncate()):
        with contextlib.suppress(IndexCorruptError):
            method(opened(path))
            assert name in ("metadata is text",)
            path.write_bytes(content)
        assert path.read_bytes() == content


@pytest.mark.parametrize("place", [8, 50])
def test_a_garbled_line_of_a_large_file_is_told(path: Path, place: int) -> None:
    """A large file is not parsed for a look-up; whoever meets the damage tells its line."""
    records = [make_record({"n": n, "text": "x" * 300}) for n in range(400)]
    opened(path).insert_many(records)
    lines = path.read_bytes().split(b"\n")
    lines[200] = lines[200][:place] + b"#" + lines[200][place + 1 :]
    path.write_bytes(b"\n".join(lines))
    methods: list[Callable[[TinyDBIndex], object]] = [
        lambda index: index.all(),
        lambda index: index.find_by_hash(records[199].params_hash),
        lambda index: index.find_by_params({"n": 199}),
        lambda index: index.delete_by_hash(records[199].params_hash),
    ]

    assert opened(path).find_by_hash(records[5].params_hash) == records[5]
    for method in methods:
        with pytest.raises(IndexCorruptError) as caught:
            method(opened(path))
        assert caught.value.line == 201


def test_a_delete_copies_the_lines_of_others_as_they_stand(path: Path) -> None:
    """In a large file the lines of other keys are not parsed: damage in one of them is neither spread nor lost."""
    records = [make_record({"n": n, "text": "x" * 300}) for n in range(400)]
    opened(path).insert_many(records)
    lines = path.read_bytes().split(b"\n")
    lines[200] = lines[200][:50] + b"#" + lines[200][51:]
    path.write_bytes(b"\n".join(lines))

    for place in (0, 5, 6, 399):
        assert opened(path).delete_by_hash(records[place].params_hash)

    kept = [line for number, line in enumerate(lines[1:401]) if number not in (0, 5, 6, 399)]
    kept[-1] = kept[-1].removesuffix(b",")
    assert path.read_bytes().split(b"\n")[1:] == [*kept, b"}}", b""]


LATER = {
    "ours": lambda content: content,
    "stock layout": lambda content: json.dumps(json.loads(content)).encode(),
    "ours, and damaged": lambda content: content.replace(b'"n": 1', b'"n"; 1'),
    "head damaged": lambda content: content.replace(b'"_default": {', b'"_default" {'),
    "stock layout, and cut": lambda content: json.dumps(json.loads(content)).encode()[:-30],
}


@pytest.mark.parametrize("name", LATER)
def test_an_index_of_a_later_format_is_changed_by_nothing(path: Path, name: str) -> None:
    """Not by recovering it either, whatever else is wrong with it."""
    records = filled(path)
    content = LATER[name](path.read_bytes()).replace(b'"format": 1', b'"format": 2')
    path.write_bytes(content)
    methods: list[Callable[[TinyDBIndex], object]] = [
        lambda index: index.insert(records[0]),
        lambda index: index.delete_by_hash(records[0].params_hash),
        lambda index: index.db.update({"x": 1}),
        lambda index: index.salvage(),
    ]

    for method in methods:
        with pytest.raises((IndexVersionError, IndexCorruptError)) as caught:
            method(opened(path))
        assert "damaged" in name or "cut" in name or "version 2" in str(caught.value)
        assert path.read_bytes() == content
    with pytest.raises(IndexVersionError):
        opened(path).salvage()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_intact_is_recovered(path: Path, tmp_path: Path, name: str) -> None:
    """Wherever the damage is: the intact runs and the folder go into a new file, and the damaged one is kept."""
    index = TinyDBIndex(path, tmp_path / "elsewhere" / "results", durable=False)
    (tmp_path / "elsewhere" / "results").mkdir(parents=True)
    records = [make_record({"n": n}) for n in range(4)]
    index.insert_many(records)
    content = DAMAGES[name][1](path.read_bytes())
    path.write_bytes(content)
    found, lines = opened(path).read_intact()

    kept_as = TinyDBIndex(path, durable=False).salvage()

    assert kept_as is not None
    assert kept_as.read_bytes() == content
    assert lines
    assert opened(path).all() == found == [record for record in records if record in found]
    if content.startswith(b'{"_store"'):
        assert len(found) >= 2
        assert opened(path).remembered_folder() == tmp_path / "elsewhere" / "results"
    assert opened(path).salvage() is None


# ---- what is not an index file -------------------------------------------------------------------------------------

STRANGERS: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link to a pipe": lambda path: (os.mkfifo(path.with_name("pipe")), path.symlink_to("pipe")),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_no_file_is_refused(path: Path, name: str) -> None:
    """A pipe is not waited for, a device not read; each method says what is there, and leaves it."""
    STRANGERS[name](path)
    methods: list[Callable[[TinyDBIndex], object]] = [
        lambda index: index.all(),
        lambda index: index.count(),
        lambda index: index.find_by_hash("0" * 16),
        lambda index: index.search({"n": 1}),
        lambda index: index.insert(make_record({"n": 1})),
        lambda index: index.delete_by_hash("0" * 16),
        lambda index: index.require_writable(),
        lambda index: index.remembered_folder(),
        lambda index: index.read_intact(),
        lambda index: index.salvage(),
        lambda index: index.clean_up(),
    ]

    for method in methods:
        with pytest.raises(OSError, match=r"(?i)folder|pipe|director") as caught:
            method(opened(path))
        assert caught.value.filename == str(path)


@pytest.mark.parametrize("name", ["runs.json", "db"])
def test_a_link_that_leads_nowhere_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    """A record could not be kept behind it: that is known beforehand."""
    (tmp_path / name).symlink_to("/nonexistent/place")
    path = tmp_path / name if name == "runs.json" else tmp_path / name / "runs.json"

    with pytest.raises(OSError, match=r"link|director"):
        opened(path).require_writable()
    with pytest.raises(OSError, match=r"(?i)no such file|director"):
        opened(path).insert(make_record({"n": 1}))


# ---- other layouts --------------------------------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "one line": lambda tables: json.dumps(tables).encode(),
    "indented": lambda tables: json.dumps(tables, indent=4).encode(),
    "compact": lambda tables: json.dumps(tables, separators=(",", ":")).encode(),
    "raw UTF-8": lambda tables: json.dumps(tables, ensure_ascii=False).encode("utf-8", "surrogatepass"),
    "CRLF": lambda tables: json.dumps(tables, indent=1).replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stock_layouts_are_read_and_brought_to_ours(path: Path, layout: str) -> None:
    """A file of TinyDB's is read as it is, unchanged; the first write lays it out by lines and loses nothing."""
    hostile = [params for params in HOSTILE_PARAMS if "\ud800" not in params.get("text", "")]
    records = [make_record(params) for params in hostile]
    rows = {str(number): document for number, document in enumerate(documents(records), start=3)}
    notes = {"1": {"text": "mine", "deep": {"a": [1]}}}
    path.write_bytes(LAYOUTS[layout]({"_default": rows, "notes": notes}))
    content = path.read_bytes()
    index = opened(path)

    assert index.all() == records
    assert [index.find_by_hash(record.params_hash) for record in records] == records
    assert index.find_by_params({"none": None}) == [record for record in records if "none" in record.params]
    assert path.read_bytes() == content

    last = make_record({"n": 99})
    index.insert(last)

    assert path.read_bytes().count(b"\n") == len(records) + 3
    assert index.all() == opened(path).all() == [*records, last]
    assert stock(path) == documents([*records, last])
    assert index.db.table("notes").all() == [{"text": "mine", "deep": {"a": [1]}}]
    assert [document.doc_id for document in index.db.all()] == list(range(3, len(records) + 4))


def test_our_layout_with_other_line_ends(path: Path) -> None:
    """A file that git has given CRLF line ends is read, and mended by the first write."""
    records = filled(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert opened(path).all() == records
    opened(path).insert(records[0])
    assert opened(path).all() == [*records, records[0]]
    assert b"\r" not in path.read_bytes()


def test_an_empty_file_is_an_empty_index(path: Path) -> None:
    """As `tempfile` or ``touch`` makes it."""
    path.touch()
    index = opened(path)

    assert index.all() == []
    assert index.find_by_hash("0" * 16) is None
    assert path.read_bytes() == b""
    index.insert(make_record({"n": 1}))
    assert len(index.all()) == len(stock(path)) == 1


def test_files_of_earlier_releases(path: Path, tmp_path: Path) -> None:
    """Paths that were kept relative to the working directory are found in the results folder, also after a write."""
    rows = {
        "1": {"n": 1, "params_hash": "2bfd14f43d17fc7c", "result_path": "out/results/a.h5", "created_at": "x"},
        "2": {"n": 2, "params_hash": "0" * 16, "result_path": str(tmp_path / "b.h5"), "created_at": "y"},
    }
    path.write_text(json.dumps({"_default": rows}))
    index = TinyDBIndex(path, tmp_path / "out" / "results")

    for _ in range(2):
        assert [record.result_path for record in index.all()] == [Path("a.h5"), tmp_path / "b.h5"]
        assert index.find_by_hash("2bfd14f43d17fc7c") == index.all()[0]
        index.insert(make_record({"n": 3}))
        index.delete_by_hash(make_record({"n": 3}).params_hash)
    # The hash comes first on each line, for those who look for it there.
    assert all(line.split(b'"')[3] == b"params_hash" for line in path.read_bytes().split(b"\n")[1:3])


def test_large_stock_files_are_found_in_after_the_first_write(path: Path) -> None:
    """Fields in any order: a line begins with its hash once it is ours, so a search by bytes finds it."""
    records = [make_record({"n": n, "text": "x" * 500}) for n in range(300)]
    rows = {str(n): dict(reversed(row.items())) for n, row in enumerate(documents(records), start=1)}
    path.write_text(json.dumps({"_default": rows}))

    opened(path).insert(make_record({"n": 999}))

    for record in records[::50]:
        assert opened(path).find_by_hash(record.params_hash) == record


def test_stock_tinydb_may_write_between_our_writes(path: Path) -> None:
    """What stock TinyDB changes is seen at once by open readers, and brought to lines by our next write."""
    records = filled(path)
    index, other = opened(path), opened(path)

    for turn in range(6):
        index.find_by_hash(records[0].params_hash), other.all()
        with tinydb.TinyDB(path) as database:
            database.update({"turn": turn + 10 ** (turn % 4)}, doc_ids=[2])
            expected = [dict(document) for document in database.all()]
        assert documents(index.all()) == documents(other.all()) == expected
        found = index.find_by_hash(records[1].params_hash)
        assert found is not None
        assert found.params["turn"] == turn + 10 ** (turn % 4)
        if turn % 2:
            (index, other)[turn % 3 % 2].insert(make_record({"n": 100 + turn}))
            assert len(other.all()) == len(index.all()) == len(expected) + 1 == len(stock(path))


def test_hand_written_lines_are_found(path: Path) -> None:
    """Lines of a large file that were edited by hand, spelled in another way, are found as well."""
    records = [make_record({"n": n, "text": "x" * 500}) for n in range(300)]
    opened(path).insert_many(records)
    lines = path.read_bytes().split(b"\n")
    lines[100] = b'"100": { "result_path":"p" , "created_at" :"c","params_hash":"aaaabbbbccccdddd","n":12345,"x":3e-1},'
    lines[101] = b'"101": {"params_hash": "aaaabbbbccccddd2", "result_path": "p", "created_at": "c", "\\u006e": 12345},'
    lines[102] = (
        '"102": {"params_hash": "aaaabbbbccccddd3", "result_path": "p", "created_at": "c", "ε": "é\\/"},'.encode()
    )
    path.write_bytes(b"\n".join(lines))
    index = opened(path)

    for _ in range(3):
        assert [record.params_hash[-1] for record in index.search({"n": 12345})] == ["d", "2"]
        assert [record.params_hash[-1] for record in index.search({"x": 0.1 + 0.2})] == ["d"]
        assert [record.params_hash[-1] for record in index.search({"ε": "é/"})] == ["3"]
    for params_hash in ("aaaabbbbccccdddd", "aaaabbbbccccddd2", "aaaabbbbccccddd3", records[299].params_hash):
        found = opened(path).find_by_hash(params_hash)
        assert found is not None
        assert found.params_hash == params_hash


# ---- several views of one file --------------------------------------------------------------------------------------


def test_rewrites_between_two_looks_are_seen(path: Path) -> None:
    """However inodes are reused, and within whatever tick of the clock: a reader sees the file that is there."""
    records = filled(path, 4)
    writer, reader = opened(path), opened(path)

    for turn in range(120):
        gone = records.pop(turn % len(records))
        writer.delete_records([gone])
        if turn % 3:
            assert reader.find_by_hash(gone.params_hash) is None
        records.append(make_record({"n": 4 + turn % 9 if turn % 2 else gone.params["n"]}))
        writer.insert(records[-1])
        assert reader.find_by_hash(records[-1].params_hash) == records[-1]
        assert reader.all() == records


def test_a_file_of_the_same_size_written_in_place_is_seen(path: Path) -> None:
    """Not even the size needs to change, nor the clock to tick."""
    records = filled(path)
    index = opened(path)
    content = path.read_bytes()
    for digit in b"3456789":
        assert index.all()[2].params == index.find_by_hash(records[2].params_hash).params  # type: ignore[union-attr]
        changed = content.replace(b'"n": 2}', b'"n": %c}' % digit)
        with path.open("r+b") as file:
            file.write(changed)

        assert [record.params["n"] for record in index.all()] == [0, 1, digit - ord("0")]


def test_a_line_edited_in_place_is_looked_at_anew(path: Path) -> None:
    """By hand, to the same length, before lines that stay: what was found there is not handed out any more."""
    records = filled(path, 9)
    index = opened(path)
    assert [index.find_by_hash(record.params_hash) for record in records] == records

    content = path.read_bytes()
    with path.open("r+b") as file:
        file.write(content.replace(b'"n": 2}', b'"n": 7}'))
    os.utime(path, (0, 0))

    found = index.find_by_hash(records[2].params_hash)
    assert found is not None
    assert found.params == {"n": 7}
    assert index.find_by_hash(records[3].params_hash) == records[3]


def test_a_change_within_a_tick_of_an_append_is_seen(path: Path) -> None:
    """Two rewrites within a tick of the clock may bring size, time and inode back: an append is not trusted either."""
    records = filled(path)
    index = opened(path)
    index.insert(make_record({"n": 3}))
    status, content = path.stat(), path.read_bytes()
    assert index.find_by_hash(records[2].params_hash) == records[2]

    with path.open("r+b") as file:
        file.write(
            content.replace(b'{"_store"', b'{"_stort"')
            .replace(b'"_stort"', b'"_store"')
            .replace(b'"n": 2}', b'"n": 7}')
        )
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert path.stat().st_size == status.st_size
    assert [record.params["n"] for record in index.all()] == [0, 1, 7, 3]


def tell_old_size(patched: pytest.MonkeyPatch, path: Path, size: int) -> None:
    """Have the status of a file tell no more than some size, as a network file system does for a while."""

    def told_by(look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def told(file: Any, **options: Any) -> os.stat_result:
            status = look(file, **options)
            if isinstance(file, str) and file != str(path):
                return status
            fields = [*status]
            fields[stat.ST_SIZE] = min(status.st_size, size)
            named = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
            return os.stat_result(fields, named)

        return told

    for name in ("fstat", "stat"):
        patched.setattr(os, name, told_by(getattr(os, name)))


def test_an_old_size_overwrites_nobodys_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may tell a size from before others' appends, of a file known or just opened."""
    records = filled(path)
    writer = opened(path)
    assert writer.all() == records
    old_size = path.stat().st_size
    for n, params in enumerate(({"n": 10}, {"n": 11, "text": "x" * 5000}, {"n": 12})):
        records.append(make_record(params))
        opened(path).insert(records[-1])
        for index in (writer, opened(path)):
            with monkeypatch.context() as patched:
                tell_old_size(patched, path, old_size)
                records.append(make_record({"n": 20 + n}))
                index.insert(records[-1])
            assert opened(path).all() == records
        with monkeypatch.context() as patched:
            tell_old_size(patched, path, old_size)
            opened(path).delete_records([records.pop(1)])
        assert opened(path).all() == records
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_old_empty_file_overwrites_nobodys_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was empty when it was last seen may hold others' first records."""
    records = filled(path)

    with monkeypatch.context() as patched:
        tell_old_size(patched, path, 0)
        opened(path).insert(make_record({"n": 10}))

    assert opened(path).all()[:3] == records
    assert len(opened(path).all()) == 4


def test_what_mending_cuts_off_is_kept(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The rest of an interrupted append goes into a file beside the index, and the log says so; brackets do not."""
    records = filled(path)
    content = path.read_bytes()
    torn = b',\n"4": {"params_hash": "abc", "n'
    path.write_bytes(content.removesuffix(CLOSING) + torn)

    opened(path).insert(records[0])

    (kept,) = (entry for entry in path.parent.iterdir() if entry != path)
    assert kept.read_bytes() == torn
    assert kept.name.startswith("runs.json.torn-")
    assert str(kept) in caplog.text
    kept.unlink()
    path.write_bytes(content[:-2])
    opened(path).insert(records[0])
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert opened(path).all() == [*records, records[0]]


def test_two_objects_append_in_turn(path: Path) -> None:
    """Each reads the other's lines, and numbers go on."""
    one, two = opened(path), opened(path)
    records = [make_record({"n": n}) for n in range(20)]

    for record, index in zip(records, [one, two, two, one] * 5, strict=True):
        index.insert(record)
        assert one.find_by_hash(record.params_hash) == two.find_by_hash(record.params_hash) == record

    assert one.all() == two.all() == records
    assert [document.doc_id for document in one.db.all()] == list(range(1, 21))


def test_inserting_nothing_changes_nothing(path: Path) -> None:
    """No record, no write."""
    opened(path).insert_many([])
    assert not path.exists()
    filled(path)
    content = path.read_bytes()
    opened(path).insert_many([])
    assert path.read_bytes() == content


def test_a_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    """An index behind a link is rewritten where it lies; one that is not there yet is made there."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    path.symlink_to(there / "real.json")
    records = filled(path)

    opened(path).delete_records(records[:1])

    assert path.is_symlink()
    assert opened(there / "real.json").all() == opened(path).all() == records[1:]
    assert sorted(entry.name for entry in there.iterdir()) == ["real.json"]


def test_mode_and_group_are_kept(path: Path) -> None:
    """A shared index stays shared when it is rewritten; a new one gets what the umask gives."""
    umask = os.umask(0o002)
    try:
        records = filled(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o664
        path.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(path, -1, 12345)
        before = path.stat()

        opened(path).delete_records(records[:1])

        after = path.stat()
        assert (after.st_mode, after.st_gid) == (before.st_mode, before.st_gid)
        assert after.st_ino != before.st_ino
    finally:
        os.umask(umask)


def test_access_lists_and_notes_are_kept(path: Path) -> None:
    """A colleague who was given access keeps it when the index is rewritten, and what users note on the file stays."""
    records = filled(path)
    # Entries of a POSIX access list: tag, permissions, id. The owner, a user 12345, the group, the mask, others.
    entries = [(0x01, 6, -1), (0x02, 6, 12345), (0x04, 4, -1), (0x10, 6, -1), (0x20, 0, -1)]
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", listed)
        os.setxattr(path, "user.project", b"x")
    except OSError:
        pytest.skip("this file system has no access lists")

    opened(path).delete_records(records[:1])

    assert os.getxattr(path, "system.posix_acl_access") == listed
    assert os.getxattr(path, "user.project") == b"x"


def test_what_the_file_knows_of_its_store_is_kept(path: Path, tmp_path: Path) -> None:
    """A rewrite by someone who does not know the results folder does not forget it."""
    TinyDBIndex(path, tmp_path / "results").insert(make_record({"n": 1}))
    opened(path).insert(make_record({"n": 2}))
    opened(path).delete_by_hash(make_record({"n": 1}).params_hash)

    assert json.loads(path.read_bytes())["_store"]["1"] == {"format": 1, "results_dir": "results"}


def test_folders_are_made_when_first_written_to(tmp_path: Path) -> None:
    """Constructing and reading make nothing."""
    index = TinyDBIndex(tmp_path / "a" / "b" / "runs.json")

    assert index.all() == []
    index.require_writable()
    assert not (tmp_path / "a").exists()
    index.insert(make_record({"n": 1}))
    assert len(index.all()) == 1


def test_an_index_pickles_by_its_settings(path: Path) -> None:
    """The copy finds what the original found, in this process or another."""
    records = filled(path)
    index = TinyDBIndex(path, "results", durable=False)
    index.all()

    copy = pickle.loads(pickle.dumps(index))

    assert copy.all() == records
    copy.insert(make_record({"n": 9}))
    assert index.all() == copy.all()


def test_a_forked_child_goes_on_with_an_open_index(path: Path) -> None:
    """A child reads and writes through the object it inherited, whatever other threads were doing in the parent."""
    filled(path)
    index = opened(path)
    index.all()
    stop, started = threading.Event(), threading.Event()

    def keep_writing() -> None:
        while not stop.is_set():
            index.insert(make_record({"thread": 1}))
            started.set()

    thread = threading.Thread(target=keep_writing)
    thread.start()
    started.wait(120)
    try:
        for child in range(20):
            pid = _forked(lambda child=child: index.insert(make_record({"child": child})))
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()

    assert sorted(record.params["child"] for record in index.all() if "child" in record.params) == list(range(20))


def test_a_child_forked_in_a_write_keeps_no_lock(path: Path) -> None:
    """A lock ends with the write, and with the process that took it; not with a child that has its descriptors."""
    index = opened(path)
    index.insert(make_record({"n": 0}))
    reading, writing = os.pipe()
    pids = []

    def fork_in_between(tables: dict[str, Any]) -> None:
        pids.append(_forked(lambda: os.read(reading, 1)))

    index._writer.edit(fork_in_between)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _INSERT_ONE, str(path)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.stderr == ""
    finally:
        os.write(writing, b"x")
        os.waitpid(pids[0], 0)
        os.close(reading)
        os.close(writing)
    assert len(index.all()) == 2


_INSERT_ONE = """
import sys
from entropic.index import TinyDBIndex
from entropic.testing import make_record
TinyDBIndex(sys.argv[1]).insert(make_record({"n": 1}))
"""


def _forked(work: Callable[[], object]) -> int:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads
        pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            work()
            status = 0
        os._exit(status)
    return pid


# ---- writes that fail -----------------------------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[[TinyDBIndex, list[RunRecord]], object]] = {
    "append": lambda index, records: index.insert(records[0]),
    "append several": lambda index, records: index.insert_many(records),
    "rewrite": lambda index, records: index.delete_by_hash(make_record({"n": 1}).params_hash),
    "edit": lambda index, records: index.db.update({"seen": True}, doc_ids=[2]),
}


class Failing:
    """Stands in for a function of `os`: the n-th call fails, perhaps after half of its work."""

    def __init__(self, name: str, at: int, code: int) -> None:
        self.original = getattr(os, name)
        self.name, self.at, self.code = name, at, code
        self.calls = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            if self.name == "pwrite" and self.code != errno.EIO:
                self.original(args[0], bytes(args[1])[: len(args[1]) // 2], args[2])
            raise OSError(self.code, os.strerror(self.code))
        return self.original(*args, **options)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("start", ["lines", "torn", "stock", "bare"])
def test_a_failed_write_takes_itself_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, start: str
) -> None:
    """Whichever call fails: an OSError comes out, no earlier record is lost to any reader, and it works again after."""
    records = [] if start == "bare" else [make_record({"n": n}) for n in range(3)]
    opened(path).insert_many(records or filled(path, 1))
    if start == "bare":
        opened(path).db.truncate()
    content = path.read_bytes()
    content = {"torn": content[:-2], "stock": json.dumps(json.loads(content)).encode()}.get(start, content)
    new = [make_record({"n": 7}), make_record({"n": 8, "text": "x" * 5000})]
    failures = 0

    for name in ("open", "pwrite", "fsync", "replace", "ftruncate"):
        for code in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            for at in range(1, 8):
                path.write_bytes(content)
                writer, reader = TinyDBIndex(path), opened(path)
                assert reader.all() == writer.all() == records
                failing = Failing(name, at, code)
                with monkeypatch.context() as patched:
                    patched.setattr(os, name, failing)
                    told = _told(lambda writer=writer: OPERATIONS[operation](writer, new))
                assert (told == code) == (failing.calls >= at), (name, code, at)
                if told is None:
                    break
                failures += 1
                # A rename, once done, stands; what was called a failure may then be there, but nothing else is missing.
                expected = {record.created_at for record in records}
                if name in ("open", "fsync") and path.stat().st_ino != 0 and reader.all() != records:
                    assert {record.created_at for record in reader.all()} | {records[1].created_at} >= expected
                else:
                    assert reader.all() == opened(path).all() == records, (name, code, at)
                    assert writer.all() == records
                assert not [entry for entry in path.parent.iterdir() if entry.name.endswith(".draft")]
                kept = reader.all()
                for index in (writer, reader):
                    index.insert(make_record({"n": 9}))
                assert writer.all() == reader.all() == opened(path).all()
                assert reader.all()[: len(kept)] == kept
                assert len(stock(path)) == len(kept) + 2

    assert failures >= 3 or start == "bare"


def _told(work: Callable[[], object]) -> int | None:
    """The number of the OSError that some work ends with."""
    try:
        work()
    except OSError as error:
        return error.errno
    return None


def test_short_writes_are_gone_on_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes a few bytes at a time is finished."""
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, content, place: pwrite(fd, bytes(content)[:7], place))

    records = filled(path)
    opened(path).delete_records(records[:1])
    opened(path).insert(records[0])

    assert opened(path).all() == [*records[1:], records[0]]
    assert stock(path) == documents([*records[1:], records[0]])


_FILL_UP = """
import resource, sys, pathlib
from entropic.index import TinyDBIndex
from entropic.testing import make_record
path = pathlib.Path(sys.argv[1])
index = TinyDBIndex(path)
if sys.argv[2] == "limited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
reported = []
try:
    for n in range(100_000):
        record = make_record({"n": n, "text": "x" * 300})
        index.insert(record)
        reported.append(record)
except OSError as error:
    assert index.all() == TinyDBIndex(path).all() == reported, "lost"
    for _ in range(3):
        try:
            index.insert(make_record({"text": "y" * 40_000}))
        except OSError:
            pass
        else:
            raise AssertionError("no error")
    try:
        assert index.delete_by_hash(reported[0].params_hash)
        del reported[0]
    except OSError:
        pass
    assert index.all() == TinyDBIndex(path).all() == reported, "lost"
    print("full after", len(reported))
"""


def _fill_up(path: Path, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILL_UP, str(path), how], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("full after ")
    reported = int(done.stdout.split()[-1])
    assert reported > 10
    assert len(stock(path)) == len(opened(path).all()) == reported


def test_a_limit_on_file_size_loses_nothing(path: Path) -> None:
    """With RLIMIT_FSIZE, the append that does not fit is taken back."""
    _fill_up(path, "limited")


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """On a file system without room, the append that does not fit is taken back."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        _fill_up(disk / "runs.json", "full")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
