"""Plain rows as tables: what a cell shows, how columns are named, aligned and left out."""

from __future__ import annotations

from typing import Any

import pytest

from entropic._tables._render import Table, flattened, html_table, shown, text_table
from entropic.hashing import normalize, untagged


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"n": 1, "a": {"b": 1, "c": {"d": 2}}}, {"n": 1, "a.b": 1, "a.c.d": 2}),
        ({"a": {}, "l": [{"b": 1}]}, {"a": {}, "l": [{"b": 1}]}),
        ({"d": {"$date": "2026-01-01"}}, {"d": {"$date": "2026-01-01"}}),
        ({"s": {"$class": "Solver", "dt": 1}}, {"s.$class": "Solver", "s.dt": 1}),
        ({"a": {"b": 1}, "a.b": 2}, {"a": {"b": 1}, "a.b": 2}),
        ({"a": {"b": {"c": 1}, "b.c": 2}}, {"a": {"b": {"c": 1}, "b.c": 2}}),
        ({"a.b": {"c": 1}, "a": {"b": {"c": 2}}}, {"a.b": {"c": 1}, "a": {"b": {"c": 2}}}),
        ({"a.b": {"c": 1}, "a": {"b": 2}}, {"a.b.c": 1, "a": {"b": 2}}),
    ],
)
def test_nested_values_get_dotted_names(values: dict[str, Any], expected: dict[str, Any]) -> None:
    """Every value has one column; where two would share a name, the nested one stays whole."""
    assert flattened(values) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((1, "1"), (1.0, "1.0"), (0.1 + 0.2, "0.3"), (1e-13, "1e-13"), (True, "True"), (None, "None")),
        *(("1", "'1'"), ("nan", "'nan'"), ("True", "'True'"), ("", "''"), (" x", "' x'"), ("a b", "a b"), ("é", "é")),
        *(("'1'", "\"'1'\""), ("a\nb", r"'a\nb'"), ("\ud800", r"'\ud800'"), ("\x1b[31m", r"'\x1b[31m'")),
        *(([1, "a"], "[1, 'a']"), ({"$set": [1]}, "set [1]"), ({"$timedelta": "1 day, 2:00:00"}, "1 day, 2:00:00")),
        *(({"$time": "10:00:00[Europe/Berlin]"}, "time 10:00:00[Europe/Berlin]"), ({"$bytes": "00ff"}, "bytes 00ff")),
        ({"$ndarray": {"dtype": "<f8", "shape": [3], "sha256": "9f86"}}, "array <f8 [3] 9f86"),
    ],
)
def test_a_cell_is_not_taken_for_another(value: Any, expected: str) -> None:
    """Values that differ look different, on one line, and nothing moves the cursor of a terminal."""
    assert shown(value) == expected


def test_a_text_table_is_aligned() -> None:
    """Numbers stand to the right, texts to the left, wide characters take their room; missing cells are empty."""
    table = Table(["n", "t", "x"], [{"n": 1, "t": "日本", "x": 0.5}, {"n": 100, "t": "e\u0301"}, {"t": "long" * 20}])

    assert text_table(table, rows=2, width=80).splitlines() == [
        "    n  t       x",
        "    1  日本  0.5",
        "  100  e\u0301",
        "  ... and 1 more",
    ]
    assert text_table(table, rows=3, width=10).splitlines()[-1] == "  not sho…"
    assert "…" in text_table(table, rows=3, width=80)


def test_html_tells_what_is_left_out() -> None:
    """The caption says how many rows are shown; long values are cut."""
    shown = html_table(Table(["n"], [{"n": "x" * 300}] * 3), caption="3 runs", rows=2)

    assert "3 runs, the first 2 shown" in shown
    assert shown.count("<tr><td>") == 2
    assert "x" * 199 + "…" in shown


@pytest.mark.parametrize("text", ["NaN", "sNaN", "x"])
def test_what_cannot_be_ordered_stays_as_it_is_stored(text: str) -> None:
    """A Decimal that is no number, and text that is none at all, are left tagged."""
    assert untagged({"$Decimal": text}) == {"$Decimal": text}


def test_tagged_values_are_read_back() -> None:
    """What `normalize` wrote is read as it was."""
    import datetime as dt
    from decimal import Decimal
    from fractions import Fraction

    zone = dt.timezone(dt.timedelta(hours=2))
    for value in (
        *(dt.date(1, 2, 3), dt.datetime(2026, 1, 1, 1, 2, 3, 4), dt.datetime(2026, 1, 1, tzinfo=zone)),
        *(dt.time(1, 2, 3), dt.time(1, fold=0, tzinfo=zone), Decimal("1.50"), Fraction(1, 3)),
        *(dt.timedelta(days=-3, seconds=5, microseconds=7), dt.timedelta(days=1), dt.timedelta(microseconds=1)),
        *(dt.timedelta.min, dt.timedelta.max, dt.timedelta(0)),
    ):
        assert untagged(normalize(value)) == value
    assert untagged(normalize(dt.datetime(2026, 1, 1, fold=1))).fold == 1
    assert untagged({"$time": "10:00:00[Europe/Berlin]"}) == {"$time": "10:00:00[Europe/Berlin]"}
    assert untagged({"$timedelta": "soon"}) == {"$timedelta": "soon"}
