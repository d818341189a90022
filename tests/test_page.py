"""The page as a file: what it holds, that it asks for nothing, and that data in it is never markup."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from entropic import RunRecord, Store, normalize
from entropic._tables import page as _page
from entropic._tables.page._columns import cell, page_columns
from entropic.record import RecordList

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
HOSTILE = ["<script>alert(1)</script>", "</script>", "<!--", '"><img src=x onerror=alert(1)>', "\u2028", "{{script}}"]
needs_libraries = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("plotly", "itables"))), reason="the extra 'page' is not installed"
)


def run(params: dict[str, Any], path: str = "result.txt", **metadata: Any) -> RunRecord:
    """A record that no store has made."""
    return RunRecord(params, Path(path).absolute(), "0123456789abcdef", "2026-01-01T00:00:00+00:00", metadata)


def columns(*runs: RunRecord) -> dict[str, dict[str, Any]]:
    """The columns of some runs, by name."""
    return {column["name"]: column for column in page_columns(runs)}


class Parsed(HTMLParser):
    """The elements and the script blocks of a page, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str | None, str] = {}
        self._open: str | None = "none"
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") if tag == "script" else tag

    def handle_data(self, data: str) -> None:
        self.blocks[self._open] = self.blocks.get(self._open, "") + data

    @property
    def data(self) -> Any:
        """What the page's script will read."""
        return json.loads(self.blocks["data"])


def page_of(*runs: RunRecord, **options: Any) -> Parsed:
    """The page of some runs, parsed."""
    return Parsed(str(RecordList(runs).to_html(**options)))


# ---- columns --------------------------------------------------------------------------------------------------------


def test_varying_params_come_first_and_nested_ones_are_dotted() -> None:
    """Columns: the params that differ, the params that do not, then what the record tells."""
    runs = [run({"same": 1, "solver": {"dt": dt}}, elapsed_seconds=2.0, note="x") for dt in (0.1, 0.2)]

    names = [column["name"] for column in page_columns(runs)]

    assert names == [
        "solver.dt",
        "same",
        "created_at",
        "elapsed_seconds",
        "params_hash",
        "metadata.note",
    ]


def test_a_param_that_only_some_runs_have_varies() -> None:
    """A missing param is neither None nor empty text, and makes its column one that varies."""
    found = columns(run({"n": 1}), run({"n": 1, "extra": None}), run({"n": 1}))

    assert found["extra"]["cells"] == [[], None, []]
    assert found["extra"]["varies"]
    assert not found["n"]["varies"]


def test_values_vary_as_their_keys_do() -> None:
    """0.1 + 0.2 is 0.3; 1, 1.0 and True are three values."""
    found = columns(run({"x": 0.3, "n": 1}), run({"x": 0.1 + 0.2, "n": True}))

    assert not found["x"]["varies"]
    assert found["n"]["varies"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        ("text", "text"),
        (0.5, 0.5),
        (2**53 + 1, {"x": "9007199254740993", "n": 9007199254740992.0}),
        (10**400, {"x": "1" + "0" * 400}),
        (float("nan"), {"x": "nan"}),
        (float("-inf"), {"x": "-inf"}),
        ([1, "a"], {"x": '[1, "a"]', "k": "list", "c": '[1,"a"]'}),
        ({}, {"x": "{}", "k": "dict", "c": "{}"}),
        ({"$date": "2026-01-01"}, {"x": "2026-01-01", "k": "date", "c": '{"$date":"2026-01-01"}'}),
        (normalize({1, 2}), {"x": "{1, 2}", "k": "dict"}),
        (normalize(b"a"), {"x": f"bytes {normalize(b'a')['$bytes']}", "k": "dict"}),
        (
            {"$ndarray": {"dtype": "<f8", "shape": [2, 3], "sha256": "0123456789"}},
            {"x": "array <f8 [2, 3] 01234567", "k": "dict"},
        ),
        ({"$map": [[1, 2]]}, {"x": "map [[1, 2]]", "k": "dict"}),
        ("1", {"x": "'1'", "s": "1"}),
        ("a" * 6000, "a" * 5000 + "…"),
    ],
)
def test_cells_are_json_that_browsers_read_unharmed(value: Any, expected: Any) -> None:
    """A browser has one kind of number: whatever it could not keep goes along as text."""
    assert cell(value) == expected
    json.dumps(cell(value), allow_nan=False)


def test_one_and_one_point_zero_stay_apart() -> None:
    """Where a column has integers and floats, a whole float says that it is one."""
    assert columns(run({"n": 1}), run({"n": 1.0}))["n"]["cells"] == [1, {"x": "1.0", "n": 1.0}]
    assert columns(run({"n": 1.0}), run({"n": 2.5}))["n"]["floats"]


def test_two_values_of_one_name_keep_apart() -> None:
    """Where a param called ``a.b`` and a nested one meet, the nested one stays whole; neither moves the rows below."""
    found = columns(run({"a.b": 1, "a": {"b": 2}}), run({"a": {"b": 3}}))

    assert found["a.b"]["cells"] == [1, 3]
    assert found["a"]["cells"] == [{"x": '{"b": 2}', "k": "dict", "c": '{"b":2}'}, []]


# ---- the file -------------------------------------------------------------------------------------------------------


@needs_libraries
def test_nothing_is_loaded_from_anywhere() -> None:
    """The page refers to no other file but results, and forbids itself to load any."""
    page = page_of(run({"n": 1}))
    attributes = [(tag, name, value) for tag, given in page.elements for name, value in given.items()]
    policy = next(given["content"] for tag, given in page.elements if given.get("http-equiv"))

    assert [found for found in attributes if found[1] in ("src", "srcset", "action")] == []
    assert [value for _, name, value in attributes if name == "href"] == ["data:,", "#table-card"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "http" not in policy


@needs_libraries
def test_the_libraries_lie_in_the_page() -> None:
    """What is unpacked in the browser is the library's own file, with its licence in it."""
    page = page_of(run({"n": 1}))
    unpacked = {name: gzip.decompress(base64.b64decode(page.blocks[name])) for name in ("plot-js", "table-js")}

    assert b"plotly.js v" in unpacked["plot-js"][:200]
    assert b"MIT" in unpacked["plot-js"][:400]
    assert b"DataTables" in unpacked["table-js"]


@needs_libraries
@pytest.mark.parametrize("text", HOSTILE)
def test_values_are_data_never_markup(text: str) -> None:
    """Names, values, metadata, titles and file names change nothing in the page's structure, and come back unharmed."""
    file = text.replace("/", "_")
    Path(file).write_text(text)

    plain = page_of(run({"name": "value"}), title="title")
    page = page_of(run({text: text}, file, note=text), title=text)

    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.data["title"] == text
    found = {column["name"]: column["cells"][0] for column in page.data["columns"]}
    assert (found[text]["s"] if isinstance(found[text], dict) else found[text]) == text
    assert found["metadata.note"] == found[text]
    assert page.data["results"][0][0]["name"] == file
    assert not re.search("[<>&\u2028]", page.blocks["data"])


@needs_libraries
def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    """A file name of any bytes, and half a surrogate pair in a value, do not keep the page from being written."""
    odd = os.fsdecode(b"\xff.txt")
    Path(odd).write_text("fine")

    RecordList([run({"n": "\ud800"}, odd)]).to_html("page.html", title="\ud800")

    shown = Parsed(Path("page.html").read_text("utf-8")).data["results"][0][0]
    assert (shown["name"], shown["href"], shown["text"]) == ("\ufffd.txt", "./%FF.txt", "fine")


@needs_libraries
def test_a_page_goes_to_a_file_or_comes_back(store: Store) -> None:
    """With a path the file is written, without one the text is returned; where and title choose and name."""
    for n in (1, 2):
        store.run_or_retrieve({"n": n}, lambda params, path: path.write_text("x"))

    assert store.to_html("runs.html", where={"n": 2}, title="Two") is None
    written = Parsed(Path("runs.html").read_text("utf-8"))
    returned = Parsed(str(store.to_html()))

    assert (written.data["count"], written.data["title"]) == (1, "Two")
    assert (returned.data["count"], returned.data["title"]) == (2, "results")


@needs_libraries
def test_an_empty_store_makes_a_page(store: Store) -> None:
    """Before the first run there is a page too, and making it writes nothing into the results folder."""
    assert Parsed(str(store.to_html())).data["count"] == 0
    assert not list(store.results_dir.iterdir())


# ---- results --------------------------------------------------------------------------------------------------------


@needs_libraries
def test_results_are_linked_from_where_the_page_lies() -> None:
    """Links are relative to the page, so that page and results can move together; no name becomes an address."""
    Path("pages").mkdir()
    Path("javascript:alert(1)").write_text("x")

    RecordList([run({}, "a b.bin"), run({}, "javascript:alert(1)")]).to_html("pages/runs.html")

    results = Parsed(Path("pages/runs.html").read_text("utf-8")).data["results"]
    assert [files[0]["href"] for files in results] == ["../a%20b.bin", "../javascript%3Aalert%281%29"]
    here = page_of(run({}, "javascript:alert(1)")).data["results"][0][0]
    assert here["href"].startswith("./")


@needs_libraries
@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "png"), ("a.JPG", "jpeg"), ("a.jpeg", "jpeg"), ("a.gif", "gif"), ("a.svg", "svg+xml")],
)
def test_pictures_lie_in_the_page(name: str, kind: str) -> None:
    """A picture goes along as data of its kind."""
    Path(name).write_bytes(PNG)

    [[shown]] = page_of(run({}, name)).data["results"]

    assert shown["picture"] == f"data:image/{kind};base64,{base64.b64encode(PNG).decode()}"


@needs_libraries
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.log"])
def test_text_lies_in_the_page_with_its_first_lines(name: str) -> None:
    """Of a text, the beginning is shown, and that it is one."""
    Path(name).write_text("\n".join(f"line {number}" for number in range(1000)))

    [[shown]] = page_of(run({}, name)).data["results"]

    assert shown["text"].startswith("line 0\nline 1\n")
    assert len(shown["text"]) < 3000
    assert shown["cut"]


@needs_libraries
def test_a_text_cut_inside_a_letter_ends_before_it() -> None:
    """Cutting a text by bytes leaves no broken letter at its end."""
    Path("a.txt").write_text("é" * 5000)

    [[shown]] = page_of(run({}, "a.txt")).data["results"]

    assert set(shown["text"]) == {"é"}


@needs_libraries
def test_there_is_a_bound_to_what_a_page_takes_in() -> None:
    """The newest results have the room; the others, and very large pictures, are linked and say why."""
    for name in ("old.png", "new.png"):
        Path(name).write_bytes(PNG)
    Path("huge.png").write_bytes(PNG + bytes(3 << 20))

    page = page_of(run({}, "huge.png"), run({}, "old.png"), run({}, "new.png"), embed_up_to_bytes=len(PNG))
    huge, old, new = (files[0] for files in page.data["results"])

    assert "picture" in new
    assert (old["note"], "picture" in old) == ("not in this page for its size", False)
    assert (huge["note"], "picture" in huge) == ("not in this page for its size", False)


@needs_libraries
def test_folders_and_siblings_show_their_files(store: Store) -> None:
    """What stands in a result folder, or was written beside a result, is shown as well: pictures first."""

    def folder(params: dict[str, Any], path: Path) -> None:
        path.mkdir()
        path.joinpath("a.txt").write_text("text")
        path.joinpath("b.png").write_bytes(PNG)

    def with_sibling(params: dict[str, Any], path: Path) -> None:
        path.write_text("result")
        path.with_suffix(".png").write_bytes(PNG)

    first = store.run({"n": 1}, folder).result_path.name
    store.run({"n": 2}, with_sibling)

    inside, beside = Parsed(str(store.to_html())).data["results"]

    assert [(file["name"], file.get("kind")) for file in inside] == [
        (first, "folder"),
        ("b.png", None),
        ("a.txt", None),
    ]
    assert "picture" in beside[1]


@needs_libraries
def test_results_that_cannot_be_shown_do_not_keep_the_page_from_being_made() -> None:
    """A result that is gone, empty or a pipe is told of; a pipe is not waited for."""
    Path("empty.png").touch()
    os.mkfifo("pipe.txt")

    page = page_of(run({}, "gone.txt"), run({}, "empty.png"), run({}, "pipe.txt"))

    notes = [files[0].get("note") for files in page.data["results"]]
    assert notes == ["not there any more", "empty", "not a regular file"]


SECRET = "a word from outside"


@needs_libraries
@pytest.mark.parametrize(
    "way", ["an absolute path", "../", "a sibling", "a link", "a link in a folder", "a linked folder"]
)
def test_nothing_from_outside_the_results_is_taken_in(way: str, store: Store) -> None:
    """Whatever a record, a name or a link says: what lies outside the results folder is no part of a page."""
    outside, results = Path("outside").absolute(), store.results_dir
    outside.mkdir()
    for name in ("secret.txt", "secret.png"):
        outside.joinpath(name).write_text(SECRET)
    results.joinpath("run").mkdir(parents=True)
    results.joinpath("a.txt").write_text("fine")
    results.joinpath("link.txt").symlink_to(outside / "secret.txt")
    results.joinpath("run", "link.png").symlink_to(outside / "secret.png")
    results.joinpath("folder").symlink_to(outside)
    places = {
        "an absolute path": outside / "secret.txt",
        "../": results / "../outside/secret.txt",
        "a link": results / "link.txt",
        "a link in a folder": results / "run",
        "a linked folder": results / "folder",
    }
    siblings = ["../outside/secret.txt", str(outside / "secret.png"), "link.txt"] if way == "a sibling" else []
    path = places.get(way, results / "a.txt")
    store.index.insert(RunRecord({"n": 1}, path, "0" * 16, "2026-01-01T00:00:00+00:00", {}, {"siblings": siblings}))

    page = Parsed(str(store.to_html()))

    assert SECRET not in page.blocks["data"]
    assert base64.b64encode(SECRET.encode()).decode() not in page.blocks["data"]
    assert "outside the results folder" in page.blocks["data"]


ODD = {
    "siblings that are a number": {"provenance": {"siblings": 7}},
    "siblings that are a mapping": {"provenance": {"siblings": {"a": 1}}},
    "a sibling with NUL": {"provenance": {"siblings": ["a\0", 7, "a" * 5000]}},
    "a path with NUL": {"result_path": Path("a\0")},
    "a long path": {"result_path": Path("a" * 5000)},
    "half a surrogate": {"result_path": Path("a\udc80\ud800")},
    "large numbers": {"params": {"n": 10**4000}, "provenance": {"size_bytes": 10**400}},
    "durations that are none": {"metadata": {"elapsed_seconds": "x"}},
    "times that are none": {"created_at": "never"},
    "no time": {"created_at": ""},
    "a deep value": {"params": {"n": json.loads("[" * 900 + "]" * 900)}},
    "a deep mapping": {"params": {"n": json.loads('{"a":' * 900 + "1" + "}" * 900)}},
}


@needs_libraries
@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_one_odd_record_does_not_stop_a_page(changes: dict[str, Any]) -> None:
    """Whatever a record holds, the others are shown, and it with them."""
    Path("a.txt").write_text("fine")
    fields = {name: getattr(run({"n": 1}, "a.txt"), name) for name in RunRecord.__dataclass_fields__}

    page = page_of(run({"n": 2}, "a.txt"), RunRecord(**{**fields, **changes}))

    assert page.data["count"] == 2
    assert page.data["results"][0][0]["text"] == "fine"


# ---- what it needs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["plotly", "itables"])
def test_a_missing_library_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says how to get it."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(ImportError, match=r'pip install "entropic\[page\]"'):
        _page._file_of(package, "x")


@needs_libraries
def test_making_a_page_imports_neither_library() -> None:
    """The libraries' files are read; their Python is not run."""
    script = "import sys; from entropic.record import RecordList; RecordList().to_html(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert {"plotly", "itables", "pandas"} & set(loaded) == set()
