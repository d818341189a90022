"""Records and lists of them: the document form, copies that share nothing, and how they show themselves."""

from __future__ import annotations

import copy
import csv
import dataclasses
import datetime
import io
import json
import math
import os
import pickle
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from entropic import param
from entropic._record import copy_record, lazy_copy, with_params
from entropic.record import RecordList, RunRecord

WHEN = "2026-01-01T00:00:00.000000+00:00"


def a_record(**changes: Any) -> RunRecord:
    fields = {"params": {"n": 1}, "result_path": Path("a.csv"), "params_hash": "2bfd14f43d17fc7c", "created_at": WHEN}
    return RunRecord(**{**fields, **changes})


def test_the_document_is_flat() -> None:
    """In the document each parameter is a field of its own, beside those of the record."""
    record = a_record(params={"n": 1, "dt": 0.5}, metadata={"seed": 3}, provenance={"function": "m.f"})

    assert record.to_dict() == {
        "params_hash": "2bfd14f43d17fc7c",
        "result_path": "a.csv",
        "created_at": WHEN,
        "metadata": {"seed": 3},
        "provenance": {"function": "m.f"},
        "n": 1,
        "dt": 0.5,
    }


def test_an_empty_provenance_is_left_out() -> None:
    """A plain record has the fields TinyDB users know, and no more."""
    assert "provenance" not in a_record().to_dict()


VALUES = [
    *({}, {"n": None}, {"n": [1, [2.5, {"k": "v"}]]}, {"x": math.inf, "y": [-math.inf]}, {"x": math.nan}),
    *({"": 1}, {"a.b": 1}, {"$float": "nan"}, {"é\ud800\x00": "\ud800"}, {"big": 10**4000}, {"m": {"$map": []}}),
]


@pytest.mark.parametrize("params", VALUES)
def test_a_document_read_back_is_the_same_record(params: dict[str, Any]) -> None:
    """Whatever the values, `from_dict` undoes `to_dict`, with JSON text between them."""
    record = a_record(params=params, metadata=params, provenance={"p": [list(params.values())]})

    text = json.dumps(record.to_dict(), allow_nan=False)

    assert RunRecord.from_dict(json.loads(text)) == record


def test_metadata_and_provenance_may_be_missing() -> None:
    """Documents of earlier releases are read."""
    document = {"params_hash": "h", "result_path": "a", "created_at": WHEN, "n": 1}

    assert RunRecord.from_dict(document) == RunRecord({"n": 1}, Path("a"), "h", WHEN)


DAMAGED = [
    *({"params_hash": None}, {"params_hash": 7}, {"result_path": None}, {"created_at": 1.5}),
    *({"metadata": None}, {"metadata": [1]}, {"provenance": "x"}),
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_document_is_an_error_that_names_the_field(damage: dict[str, Any]) -> None:
    """A field that is missing or of another type is a `ValueError`."""
    with pytest.raises(ValueError, match=next(iter(damage))):
        RunRecord.from_dict({**a_record().to_dict(), **damage})
    if next(iter(damage)) not in ("metadata", "provenance"):
        with pytest.raises(ValueError, match=next(iter(damage))):
            RunRecord.from_dict({name: x for name, x in a_record().to_dict().items() if name not in damage})


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_a_document_is_a_mapping(document: Any) -> None:
    """Anything else is a `ValueError` as well."""
    with pytest.raises(ValueError, match="no mapping"):
        RunRecord.from_dict(document)


def test_records_are_frozen_and_hashable() -> None:
    """A record is a value: it cannot be assigned to, and equal ones are one in a set."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        a_record().params = {}  # type: ignore[misc]

    assert len({a_record(), a_record(), a_record(params_hash="0" * 16)}) == 2
    assert pickle.loads(pickle.dumps(a_record())) == a_record()


def test_a_record_shows_itself_in_short() -> None:
    """All fields but the provenance, of which only the function is told: a line to read, whatever was noted."""
    record = a_record(metadata={"note": "x"}, provenance={"function": "m.f", "host": "here", "pid": 1})

    told = "created_at='2026-01-01T00:00:00.000000+00:00', metadata={'note': 'x'}, function='m.f')"
    assert repr(record).endswith(told)
    assert "'n': 1" in repr(record)
    assert repr(a_record()).endswith("metadata={})")


def test_a_copy_shares_no_container() -> None:
    """Changing what was handed out changes nothing that is stored."""
    record = a_record(params={"a": {"b": [1, {"c": [2]}]}}, metadata={"m": [[1]]}, provenance={"p": {"q": [1]}})
    before = json.dumps(record.to_dict())

    for change in (copy_record(record), copy.deepcopy(record), RunRecord.from_dict(record.to_dict())):
        change.params["a"]["b"][1]["c"].append(3)
        change.params["new"] = 1
        change.metadata["m"][0].append(2)
        change.provenance["p"]["q"].append(2)
    record.to_dict()["a"]["b"].append(4)

    assert json.dumps(record.to_dict()) == before
    assert copy_record(record) == record
    assert copy_record(record, Path("/else")).result_path == Path("/else")


@pytest.mark.parametrize(
    "record",
    [a_record(), RunRecord.from_dict(a_record().to_dict()), lazy_copy(a_record()), with_params(a_record(), {"n": 2})],
)
def test_a_record_shows_its_fields_and_is_a_path(record: RunRecord) -> None:
    """Of however made a record ``dir`` shows the fields and the document form, and it opens as its result does."""
    shown = [name for name in dir(record) if not name.startswith("__")]

    fields = [field.name for field in dataclasses.fields(RunRecord)]
    assert shown == sorted([*fields, "inputs", "reads", "from_dict", "to_dict"])
    assert os.fspath(record) == "a.csv"
    assert isinstance(record, os.PathLike)
    assert Path(record) == record.result_path


def test_the_result_of_a_record_can_be_opened(tmp_path: Path) -> None:
    """Functions that take a path take a record."""
    (tmp_path / "a.txt").write_text("a result")

    assert Path(a_record(result_path=tmp_path / "a.txt")).read_text() == "a result"
    with open(a_record(result_path=tmp_path / "a.txt")) as file:
        assert file.read() == "a result"


def test_classes_bear_their_public_module() -> None:
    """Pickles and tracebacks name the door, and the annotations of the fields can be read."""
    assert RunRecord.__module__ == RecordList.__module__ == "entropic.record"
    assert typing.get_type_hints(RunRecord)["params"] == dict[str, Any]
    assert b"entropic.record" in pickle.dumps(a_record())
    assert b"_record" not in pickle.dumps(records_of({"n": 1}))


def test_values_of_a_record_are_data_in_a_notebook() -> None:
    """A notebook shows a record as names and values, none of them taken for markup."""
    hostile = "<script>alert('&')</script>"
    fields = {"params": {hostile: hostile, "deep": {"x": [hostile]}}, "metadata": {hostile: hostile}}
    record = a_record(**fields, result_path=Path(hostile), created_at=hostile, provenance={"function": hostile})

    shown = record._repr_html_()

    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 8
    assert "<th>params.n</th><td>1</td>" in a_record()._repr_html_()


# ---- lists of records -----------------------------------------------------------------------------------------------


def records_of(*points: dict[str, Any], **changes: Any) -> RecordList:
    return RecordList(a_record(params=params, **changes) for params in points)


def test_slices_sums_and_copies_are_lists_of_records() -> None:
    """A `RecordList` is a real list, and stays what it is when cut, joined, copied, sorted or pickled."""
    records = records_of(*({"n": n} for n in range(4)))

    assert isinstance(records, list)
    assert records[1].params == {"n": 1}
    assert records[:2] == [records[0], records[1]]
    assert [record.params["n"] for record in records[::-1]] == [3, 2, 1, 0]
    pickled = pickle.loads(pickle.dumps(records))
    for made in (records[1:3], records + records, records.copy(), copy.copy(records), pickled):
        assert isinstance(made, RecordList)
        assert made[0].params["n"] in (0, 1)


def test_a_list_of_records_can_be_asked_and_sorted() -> None:
    """What `Store.list` does with the runs of a store, the list does with its own."""
    records = records_of({"n": 2}, {"n": 1, "m": 1}, {"n": 3}, {})

    assert records.where(param("n") > 1) == [records[0], records[2]]
    assert records.where({"m": 1}) == [records[1]]
    assert records.sorted_by("-n") == [records[2], records[0], records[1], records[3]]
    assert isinstance(records.where({}), RecordList)
    assert isinstance(records.sorted_by("n"), RecordList)


def test_a_list_of_records_shows_its_runs() -> None:
    """The repr is a table of the first 20 runs, says how many more there are, and which columns had no room."""
    assert repr(RecordList()) == "RecordList of 0 runs"
    assert repr(records_of({"n": 1, "s": "x"}, metadata={"elapsed_seconds": 0.123456})).splitlines() == [
        "RecordList of 1 run",
        "  n  s  result_path  created_at                 elapsed_seconds",
        "  1  x  a.csv        2026-01-01 00:00:00+00:00            0.123",
    ]

    lines = repr(records_of(*[{f"parameter{n}": "x" * n for n in range(40)}] * 23)).splitlines()
    assert len(lines) == 1 + 1 + 20 + 2
    assert max(map(len, lines)) <= 120
    assert lines[-2] == "  ... and 3 more"
    assert lines[-1].startswith("  not shown: ")


def test_all_columns_are_there() -> None:
    """Params, nested ones dotted; then function, path, time, duration; then the rest of the metadata."""
    record = a_record(params={"n": 1, "o": {"dt": 0.5}}, provenance={"function": "m.f"}, metadata={"who": {"a": 1}})

    table = RecordList([record]).table()

    own = ["function", "result_path", "created_at", "elapsed_seconds", "metadata.who.a"]
    assert table.columns == ["n", "o.dt", *own]
    assert table.rows == [
        {"n": 1, "o.dt": 0.5, "function": "m.f", "result_path": "a.csv", "created_at": WHEN, "metadata.who.a": 1}
    ]
    assert RecordList().table().columns == ["result_path", "created_at", "elapsed_seconds"]


def test_no_column_takes_the_name_of_a_parameter() -> None:
    """A param called as one of our columns is under its name, and the column is called otherwise, shown or not."""
    params = {"function": 1, "elapsed_seconds": 2, "metadata.a": 3, "record.function": 4}
    record = a_record(params=params, provenance={"function": "m.f"}, metadata={"elapsed_seconds": 0.5, "a": "mine"})

    row = RecordList([record]).table().rows[0]

    assert {name: row[name] for name in params} == params
    assert row["record.record.function"] == "m.f"
    assert row["record.elapsed_seconds"] == 0.5
    assert row["record.metadata.a"] == "mine"
    assert "record.record.function" in RecordList([record]).varying().table().columns


def test_varying_shows_what_differs() -> None:
    """Only params that differ by their keys, or are missing in some records, are shown; in every view, slices too."""
    same = {"dt": 0.3, "method": "rk4", "s": [1], "solver": {"order": 4, "dt": 1}}
    records = records_of(
        {**same, "n": 1, "late": None},
        {**same, "n": True, "dt": 0.1 + 0.2},
        {**same, "n": 1.0, "solver": {"order": 4, "dt": 2}},
    )

    varying = records.varying()

    assert varying == records
    assert varying.param_names == ["solver.dt", "n", "late"]
    assert varying[:1].param_names == varying.param_names
    assert varying.copy().sorted_by("n").where({}).param_names == varying.param_names
    assert pickle.loads(pickle.dumps(varying)).param_names == varying.param_names
    assert varying.to_csv().splitlines()[0] == "solver.dt,n,late,result_path,created_at,elapsed_seconds"
    assert "rk4" not in repr(varying) + varying._repr_html_()
    assert (varying + varying).param_names == records.param_names
    assert records.param_names == ["dt", "method", "s", "solver.order", "solver.dt", "n", "late"]
    assert RecordList().varying().param_names == records[:1].varying().param_names == []


def test_values_are_data_in_a_notebook() -> None:
    """Whatever stands in a value, a name or a path is shown as text: no markup reaches the page."""
    hostile = "<script>alert('&')</script>"
    records = records_of(
        {hostile: hostile, "deep": {hostile: [hostile]}},
        provenance={"function": hostile},
        metadata={hostile: hostile},
        created_at=hostile,
        result_path=Path(hostile),
    )

    shown = records._repr_html_()

    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") >= 7
    assert "the first 200 shown" in records_of(*[{"n": 1}] * 201)._repr_html_()


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    """Every value is one cell, whatever is in it; the text is returned, or written to a path or an open file."""
    nasty = 'a "quoted", text;\r\nwith\rlines\n'
    records = records_of(
        {"n": 1, "t": nasty, "l": [1, None], "d": {"$date": "2026-01-01"}}, {"n": math.nan, "t": "\ud800é", "m": None}
    )
    expected = [
        *(["n", "t", "l", "d", "m", "result_path", "created_at", "elapsed_seconds"],),
        *(["1", nasty, "[1, null]", "2026-01-01", "", "a.csv", WHEN, ""],),
        *(["nan", "\\ud800é", "", "", "None", "a.csv", WHEN, ""],),
    ]

    text = records.to_csv()
    assert records.to_csv(tmp_path / "a.csv") is None
    with open(tmp_path / "b.csv", "w", encoding="utf-8", newline="") as file:
        records.to_csv(file)

    assert list(csv.reader(io.StringIO(text, newline=""))) == expected
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes() == text.encode()


def test_a_data_frame_has_a_row_for_each_run() -> None:
    """Numbers stay the numbers they are, also where some runs lack them; dates are dates, and missing is missing."""
    pandas = pytest.importorskip("pandas")
    records = records_of(
        {"n": 2**60 + 1, "x": 0.5, "d": {"$date": "2026-01-01"}, "b": True, "big": 10**30},
        {"x": 1.5, "l": [1], "t": "<b>"},
        metadata={"elapsed_seconds": 2.5},
    )

    frame = records.to_dataframe()

    own = ["result_path", "created_at", "elapsed_seconds"]
    assert list(frame.columns) == ["n", "x", "d", "b", "big", "l", "t", *own]
    assert frame["n"][0] == 2**60 + 1
    assert frame["big"][0] == 10**30
    assert frame["d"][0] == datetime.date(2026, 1, 1)
    assert frame["b"][0] is True
    assert frame["l"][1] == [1]
    assert frame["x"].sum() == 2.0
    missing = {name: count for name, count in frame.isna().sum().items() if count}
    assert missing == {"n": 1, "d": 1, "b": 1, "big": 1, "l": 1, "t": 1}
    assert isinstance(RecordList().to_dataframe(), pandas.DataFrame)
    assert list(RecordList().to_dataframe().columns) == own


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An `ImportError` names the extra."""
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ImportError, match=r'pip install "entropic\[pandas\]"') as caught:
        RecordList().to_dataframe()

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_data_frame_alone_loads_pandas() -> None:
    """Neither the import nor any other view needs pandas."""
    views = "repr(r), r._repr_html_(), r.to_csv(), r.varying()"
    code = f"import sys, entropic.record as e; r = e.RecordList(); {views}; print('pandas' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "False", done.stderr


def test_ipython_shows_a_record_in_short() -> None:
    """Its function, the begin of its hash, its parameters, its result; nothing that hurts a terminal."""
    pretty = pytest.importorskip("IPython.lib.pretty").pretty
    params = {"n": 1, "name": "a\x1b[31m", "solver": {"$class": "Euler", "dt": 0.1}, "long": "x" * 500}
    record = RunRecord(params, Path("r/a.npy"), "2bfd14f43d17fc7c", "2026-01-01", {}, {"function": "study.decay"})

    told = pretty(record)

    assert told.startswith("run 2bfd14f4 of study.decay (n=1, name=")
    assert told.endswith("\n  r/a.npy")
    assert "solver=Euler, solver.dt=0.1" in told
    assert "\x1b" not in told
    assert len(told) < 250
    many = pretty(RunRecord({f"p{i}": i for i in range(30)}, Path("a"), "0" * 16, "2026-01-01"))
    assert "p11=11, ...)" in many
