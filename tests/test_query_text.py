"""The text form of queries: one table of cases, which the page in a browser is held to as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic import RunRecord, Store, cached, param
from entropic.errors import QueryTextError, UnknownNameWarning
from entropic.hashing import decode_params
from entropic.query import read_query
from entropic.record import RecordList

TABLE = json.loads(Path(__file__).with_name("golden").joinpath("queries.json").read_text("utf-8"))
pytestmark = pytest.mark.filterwarnings("ignore::entropic.errors.UnknownNameWarning")


def runs() -> RecordList:
    """The runs of the table."""
    return RecordList(
        RunRecord(
            decode_params(params),
            Path("result.bin").absolute(),
            f"{number:016x}",
            f"2026-01-01T{number:02}:00:00.000000+00:00",
            {"energy": float(number), "elapsed_seconds": 1.0 + number, **({"tag": "x"} if number == 0 else {})},
            {"function": "flow.simulate", "size_bytes": 1000 + number},
        )
        for number, params in enumerate(TABLE["runs"])
    )


@pytest.mark.parametrize(("text", "found"), TABLE["cases"], ids=[text for text, _ in TABLE["cases"]])
def test_a_text_means_these_runs(text: str, found: list[int]) -> None:
    """As the table says."""
    assert [int(record.params_hash, 16) for record in runs().where(text)] == found


@pytest.mark.parametrize(("text", "position"), [*TABLE["refused"], *TABLE["words"]])
def test_what_is_no_query_is_refused_with_its_position(text: str, position: int) -> None:
    """In one line, which shows the text."""
    with pytest.raises(QueryTextError) as caught:
        read_query(text)

    assert (caught.value.text, caught.value.position) == (text, position)
    assert f"at position {position}" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """And never anything else; what is refused is refused at a place in it."""
    position = 1
    try:
        read_query(text).condition()
    except QueryTextError as error:
        position = error.position

    assert 1 <= position <= len(text) + 1


@given(st.text(), st.sampled_from(["=", "!=", "<", ">=", "=="]))
def test_every_text_can_be_asked_for_in_quotes(value: str, sign: str) -> None:
    """Quotation marks and backslashes behind a backslash, all else as it is."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')

    assert read_query(f'n{sign}"{escaped}"').filters[0].value == value


@pytest.fixture
def study(store: Store) -> Callable[..., RunRecord]:
    """A decorated function with some runs."""

    @cached(store, name="decay")
    def decay(n: int, dt: float, *, result_path: Path) -> None:
        result_path.write_text(f"{n * dt}")

    for n in (1, 2, 3):
        decay(n, dt=n / 10)
    return decay


def test_every_way_to_choose_runs_takes_a_text(store: Store, study: Any, tmp_path: Path) -> None:
    """Of the store, of a function, of a list."""
    asked = "n>=2 dt<.3"
    expected = store.list((param("n") >= 2) & (param("dt") < 0.3))

    assert [record.params["n"] for record in expected] == [2]
    assert store.list(asked) == study.list(asked) == store.list().where(asked) == [*store.iter(asked)] == expected
    assert store.count(asked) == 1
    assert store.list("n>1", order_by="-n", limit=1)[0].params["n"] == 3
    assert store.list(expected[0].params_hash[:8]) == expected
    assert len(store.link_view(tmp_path / "links", "{n}", where=asked)) == 1
    frame = pytest.importorskip("pandas") and study.collect(asked, read=lambda path: float(path.read_text()))
    assert frame["value"].tolist() == [0.4]


def test_an_unknown_name_is_noticed(store: Store, study: Any) -> None:
    """As in every other form of a query."""
    with pytest.warns(UnknownNameWarning, match="'nn'"):
        assert store.list("nn>=2") == []
    with pytest.raises(QueryTextError, match="Leave the query out"):
        store.list("")
