"""Records and lists of them: the document form, copies that share nothing, and how they show themselves."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

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


def test_a_copy_shares_no_container() -> None:
    """Changing what was handed out changes nothing that is stored."""
    record = a_record(params={"a": {"b": [1, {"c": [2]}]}}, metadata={"m": [[1]]}, provenance={"p": {"q": [1]}})
    before = json.dumps(record.to_dict())

    for change in (record.copied(), RunRecord.from_dict(record.to_dict())):
        change.params["a"]["b"][1]["c"].append(3)
        change.params["new"] = 1
        change.metadata["m"][0].append(2)
        change.provenance["p"]["q"].append(2)
    record.to_dict()["a"]["b"].append(4)

    assert json.dumps(record.to_dict()) == before
    assert record.copied() == record
    assert record.copied(Path("/else")).result_path == Path("/else")


def test_slices_of_a_list_of_records_are_lists_of_records() -> None:
    """A `RecordList` is a real list, and stays what it is when sliced."""
    records = RecordList(a_record(params={"n": n}) for n in range(4))

    assert isinstance(records, list)
    assert isinstance(records[1:3], RecordList)
    assert [record.params["n"] for record in records[::-1]] == [3, 2, 1, 0]
    assert records[1].params == {"n": 1}
    assert records[:2] == [records[0], records[1]]


def test_a_list_of_records_shows_its_runs() -> None:
    """The repr has a line for each of the first 20 runs, and says how many more there are."""
    assert repr(RecordList()) == "RecordList of 0 runs"
    assert repr(RecordList([a_record()])) == (
        "RecordList of 1 run\n  2bfd14f43d17fc7c  2026-01-01T00:00:00  n=1  -> a.csv"
    )

    lines = repr(RecordList([a_record()] * 23)).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  ... and 3 more"
