"""Plain rows as tables: what a cell shows, how columns are named, aligned and left out."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import html
import io
import os
import re
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from entropic import RunRecord, Store
from entropic._cli import entropic as command
from entropic._record import cell_text, flatten
from entropic._tables._columns import Table
from entropic._tables._render import html_table, text_table
from entropic._tables.page._columns import page_columns
from entropic.hashing import normalize, untagged
from entropic.record import RecordList


@dataclass
class Solver:
    """A parameter with fields."""

    dt: float
    order: dict[str, int]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"n": 1, "a": {"b": 1, "c": {"d": 2}}}, {"n": 1, "a.b": 1, "a.c.d": 2}),
        ({"a": {}, "l": [{"b": 1}]}, {"a": {}, "l": [{"b": 1}]}),
        ({"d": {"$date": "2026-01-01"}}, {"d": {"$date": "2026-01-01"}}),
        ({"s": {"$class": "Solver", "dt": 1}}, {"s": "Solver", "s.dt": 1}),
        ({"s": {"$class": "Solver", "o": {"$class": "Order"}}}, {"s": "Solver", "s.o": "Order"}),
        ({"s": {"$class": "Solver", "dt": 1}, "s.dt": 2}, {"s": {"$class": "Solver", "dt": 1}, "s.dt": 2}),
        ({"a": {"b": 1}, "a.b": 2}, {"a": {"b": 1}, "a.b": 2}),
        ({"a": {"b": {"c": 1}, "b.c": 2}}, {"a": {"b": {"c": 1}, "b.c": 2}}),
        ({"a.b": {"c": 1}, "a": {"b": {"c": 2}}}, {"a.b": {"c": 1}, "a": {"b": {"c": 2}}}),
        ({"a.b": {"c": 1}, "a": {"b": 2}}, {"a.b.c": 1, "a": {"b": 2}}),
    ],
)
def test_nested_values_get_dotted_names(values: dict[str, Any], expected: dict[str, Any]) -> None:
    """Every value has one column; where two would share a name, the nested one stays whole."""
    assert flatten(values) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((1, "1"), (1.0, "1.0"), (0.1 + 0.2, "0.3"), (1e-13, "1e-13"), (True, "True"), (None, "None")),
        *(("1", "'1'"), ("nan", "'nan'"), ("True", "'True'"), ("", "''"), (" x", "' x'"), ("a b", "a b"), ("é", "é")),
        *(("'1'", "\"'1'\""), ("a\nb", r"'a\nb'"), ("\ud800", r"'\ud800'"), ("\x1b[31m", r"'\x1b[31m'")),
        *(([1, "a"], '[1, "a"]'), ({"$set": [1]}, "{1}"), ({"$timedelta": "1 day, 2:00:00"}, "1 day, 2:00:00")),
        *(({"$time": "10:00:00[Europe/Berlin]"}, "10:00:00[Europe/Berlin]"), ({"$bytes": "00ff"}, "bytes 00ff")),
        *(({"$map": [[1, 2]]}, "map [[1, 2]]"), ({"a": {"$date": "2026-01-01"}}, '{"a": "2026-01-01"}')),
        ({"$class": "Solver", "dt": 1, "name": "x"}, 'Solver(dt=1, name="x")'),
        ([{"$class": "Solver", "dt": 1}], '["Solver(dt=1)"]'),
        ([["\x1b[31m", "\u2028"]], '[["\\u001b[31m", "\\u2028"]]'),
        ({"$ndarray": {"dtype": "<f8", "shape": [3], "sha256": "9f86"}}, "array <f8 [3] 9f86"),
    ],
)
def test_a_cell_is_not_taken_for_another(value: Any, expected: str) -> None:
    """Values that differ look different, on one line, and nothing moves the cursor of a terminal."""
    assert cell_text(value) == expected


MIXED = {
    "n": 3,
    "x": 0.25,
    "method": "rk4",
    "numeral": "10",
    "on": True,
    "none": None,
    "day": dt.date(2026, 1, 1),
    "at": dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone.utc),
    "price": Decimal("1.50"),
    "pause": dt.timedelta(minutes=1),
    "tags": {"b", "a"},
    "levels": [1, None, "a", dt.date(2026, 1, 1)],
    "solver": Solver(0.1, {"max": 4}),
    "solvers": [Solver(0.1, {})],
    "mesh": np.arange(3.0),
    "nested": {"deep": {"er": 1}},
}


def views_of(store: Store) -> dict[str, dict[str, str]]:
    """What each view shows of the only run: names of its parameters, and the texts of their cells."""
    records = store.list()
    names = records.param_names
    rows = csv.DictReader(io.StringIO(records.to_csv()))
    html_heads, html_cells = (re.findall(f"<{tag}>(.*?)</{tag}>", records._repr_html_()) for tag in ("th", "td"))
    text_heads, text_cells = (re.split("  +", line.strip()) for line in RecordText(records).lines)
    frame = records.to_dataframe()
    listed = run_command("ls", "--csv")
    heads, cells = (re.split("  +", line.strip()) for line in run_command("ls").splitlines())
    shown = dict(line.split(maxsplit=1) for line in run_command("show").splitlines())
    page = {column["label"]: text_in_browser(column["cells"][0]) for column in page_columns(records)}
    every = {
        "CSV": next(rows),
        "CSV of the command": next(csv.DictReader(io.StringIO(listed))),
        "HTML": dict(zip(map(html.unescape, html_heads), map(html.unescape, html_cells), strict=True)),
        "text": dict(zip(text_heads, text_cells, strict=True)),
        "DataFrame": {name: text_in_frame(frame[name][0]) for name in frame.columns},
        "ls": dict(zip(heads, cells, strict=True)),
        "show": {name.removeprefix("params."): text for name, text in shown.items()},
        "page": page,
    }
    return {view: {name: cells.get(name, "no such column") for name in names} for view, cells in every.items()}


class RecordText:
    """The head and the first row of the table in a terminal that is as wide as need be."""

    def __init__(self, records: RecordList) -> None:
        self.lines = text_table(records.table(), rows=1, width=10_000).splitlines()


def run_command(*words: str) -> str:
    """What a subcommand prints."""
    return CliRunner().invoke(command, ["--index", "runs.json", *words], catch_exceptions=False).stdout


def text_in_browser(cell: Any) -> str:
    """A cell as the page's script writes it."""
    return cell["x"] if isinstance(cell, dict) else str(cell)


def text_in_frame(value: Any) -> str:
    """A value of a DataFrame as a cell; pandas has classes of its own for some of them."""
    if isinstance(value, (list, dict)):
        return cell_text(value)
    if hasattr(value, "to_pytimedelta"):
        return str(value.to_pytimedelta())
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return cell_text(normalize(value.item() if isinstance(value, np.generic) else value))


def test_what_goes_by_name_or_content_is_shown_by_it() -> None:
    """Functions, partials, results of runs and values of classes of their own read as in Python."""
    run = {"$run": {"function": "m.mesh", "params_hash": "0" * 16, "digest": "sha256:0123456789"}}

    assert cell_text(normalize(len)) == "builtins.len"
    assert cell_text(normalize(functools.partial(len, 1, b="x"))) == "builtins.len(1, b='x')"
    assert cell_text(run) == "run 00000000 of m.mesh, result 01234567"
    assert cell_text({"$class": "Metres", "$value": 3.0}) == "Metres(3.0)"


def test_all_views_agree(store: Store) -> None:
    """Terminal, notebook, CSV, DataFrame, page and command line show the same columns with the same texts."""
    store.run_or_retrieve(MIXED, lambda params, path: path.write_text("x"))

    seen = views_of(store)

    names = ["solver", "solver.dt", "solver.order.max", "day", "nested.deep.er"]
    assert set(names) <= set(seen["CSV"])
    assert seen["CSV"]["solver"] == "Solver"
    assert seen["CSV"]["day"] == "2026-01-01"
    programs = {"numeral": "10"}  # which quotes a text only where it has to
    for view, cells in seen.items():
        expected = {**seen["text"], **(programs if view.startswith("CSV") else {})}
        assert cells == expected, view


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "12:00:00+00:00"), ("Asia/Kolkata", "17:30:00+05:30")])
def test_times_are_local_for_people_and_utc_for_programs(
    zone: str, shown: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People read local time with its offset; CSV has the text of the record, a DataFrame aware moments in UTC."""
    when = "2026-01-01T12:00:00.000000+00:00"
    records = RecordList([RunRecord({"n": 1}, Path("a.csv"), "0" * 16, when)])
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert f"2026-01-01 {shown}" in repr(records)
        assert f"2026-01-01 {shown}" in records._repr_html_()
        assert when in records.to_csv()
        assert records.to_dataframe()["created_at"][0] == dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone.utc)
    finally:
        monkeypatch.undo()
        time.tzset()


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


def test_a_name_that_is_no_utf_8_is_in_a_frame(store: Store) -> None:
    """As it is, wherever pandas keeps its texts."""
    pytest.importorskip("pandas", reason="the extra 'pandas' is not installed")
    names = [os.fsdecode(b"caf\xe9.msh"), "plain.msh"]
    for name in names:
        store.run_or_retrieve({"mesh": name}, lambda params, path: path.write_text("x"))

    assert list(store.list().to_dataframe()["mesh"]) == names
