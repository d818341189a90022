"""The page in a real browser: it loads quietly, filters, sorts, draws, shows results, and runs nobody else's script."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from entropic import RunRecord
from entropic._tables import write_page
from entropic.hashing import decode_params
from entropic.record import RecordList

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("plotly", reason="the extra 'page' is not installed")
pytest.importorskip("itables", reason="the extra 'page' is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SWITCHES += ["--disable-component-update", "--disable-sync"]
HOSTILE = '<script>window.hacked=1</script><img src=x onerror="window.hacked=2">'
METHODS = ["euler", "rk4", "dopri"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of this module."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=SWITCHES, timeout=120_000)
        yield browser
        browser.close()


class Shown:
    """Pages opened in tabs of their own, and what they said in the console and asked of the network."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self._browser = browser
        self._path = folder / "page.html"
        self._contexts: list[Any] = []
        self._told: list[str] = []
        self._asked: list[str] = []

    def __call__(
        self,
        runs: list[RunRecord],
        until: str = "plots",
        *,
        scheme: str = "light",
        title: str = "Runs",
        before: str = "",
        **following: Any,
    ) -> Any:
        """Write the page of some runs and open it, until its table or its plots are drawn."""
        write_page(RecordList(runs), self._path, title, **following)
        context = self._browser.new_context(
            viewport={"width": 1300, "height": 900}, color_scheme=scheme, timezone_id="Europe/Berlin"
        )
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)  # for a hang alone
        page.add_init_script(before)
        page.on("console", lambda message: self._told.append(message.text))
        page.on("pageerror", lambda error: self._told.append(str(error)))
        page.on("request", lambda request: self._asked.append(request.url))
        page.goto(self._path.as_uri())
        if runs:
            page.wait_for_selector(f"html[data-{until}=drawn]", timeout=120_000)
        return page

    def close(self) -> None:
        """In the end, the console was silent and the network was not asked for anything."""
        for context in self._contexts:
            context.close()
        # The driver that draws without a graphics card speaks in the console too, of its own speed.
        assert [text for text in self._told if "GL Driver Message" not in text] == []
        assert [url for url in self._asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Shown]:
    """Open the page of some runs."""
    shown = Shown(browser, tmp_path)
    yield shown
    shown.close()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of a sweep, opened once: to unpack the plots takes longer than most tests."""
    shown = Shown(browser, tmp_path_factory.mktemp("sweep"))
    yield shown(sweep(), title="Channel flow")
    shown.close()


@pytest.fixture
def page(opened: Any) -> Any:
    """The page of a sweep, without a filter."""
    filter_by(opened, "")
    if opened.is_visible("#clear"):
        opened.click("#clear")
    opened.set_viewport_size({"width": 1300, "height": 900})
    return opened


def run(number: int, params: dict[str, Any], path: str = "result.bin", **metadata: Any) -> RunRecord:
    """A record that no store has made, one an hour."""
    created = f"2026-01-{1 + number // 24:02}T{number % 24:02}:00:00.000000+00:00"
    provenance = {"function": "flow.simulate", "size_bytes": 1000 + number}
    return RunRecord(params, Path(path).absolute(), f"{number:016x}", created, metadata, provenance)


def sweep(count: int = 60) -> list[RunRecord]:
    """Runs over three parameters, of which one is the same throughout."""
    points = [{"n": 10 * (i % 5), "method": METHODS[i % 3], "dt": 0.01, "x": i / 7} for i in range(count)]
    return [run(i, point, elapsed_seconds=float(1 + i * i)) for i, point in enumerate(points)]


def cells(page: Any, head: str) -> list[str]:
    """What a column of the table shows, from top to bottom."""
    heads = page.locator("#runs thead th .dt-column-title").all_inner_texts()
    return page.locator(f"#runs tbody td:nth-child({heads.index(head) + 1})").all_inner_texts()


def filter_by(page: Any, text: str) -> str:
    """Type into the filter; what the page then says of how many runs it shows."""
    page.fill("#filter", text)
    page.wait_for_function("text => document.getElementById('count').dataset.filter === text", arg=text)
    return page.inner_text("#count")


def picture(path: str) -> None:
    """Write a PNG of one red pixel."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0\xff\0\0"))]
    parts.append((b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


# ---- what runs at the moment ---------------------------------------------------------------------------------------


def test_what_runs_stands_above_all(show: Shown, tmp_path: Path) -> None:
    """With how far each is, as text; also where nothing is recorded yet."""
    rows = [{"run": "simulate", "parameters": HOSTILE, "progress": 0.25, "says": "step 3", "waiting": ""}]
    page = show(sweep(), "table", under_way=rows)
    cells = page.locator("#under-way tbody td").all_inner_texts()
    progress = page.locator("#under-way progress").get_attribute("value")
    page = show([], under_way=[])

    assert cells == ["simulate", HOSTILE, " 25%", "step 3", ""]
    assert progress == "0.2500"
    assert page.inner_text("#under-way-card").split("\n\n") == ["Under way", "Nothing runs at the moment."]
    assert page.is_visible("#under-way-card")
    assert page.evaluate("window.hacked") is None


def test_a_page_that_follows_loads_itself_again(show: Shown, tmp_path: Path) -> None:
    """And keeps the filter."""
    page = show(sweep(), "table")
    filter_by(page, "method=rk4")
    page.wait_for_function("location.hash.includes('rk4')")  # as soon as the menus beside it are filled
    path, address = tmp_path / "page.html", page.url
    write_page(RecordList(sweep()), path, "Runs", under_way=[], refresh_seconds=1)
    page.goto("about:blank")
    page.goto(address)
    write_page(RecordList(sweep()), path, "Runs")
    page.wait_for_function("document.querySelector('#under-way-card') === null")
    page.wait_for_selector("html[data-table=drawn]", timeout=120_000)

    assert page.input_value("#filter") == "method=rk4"


# ---- the table ------------------------------------------------------------------------------------------------------


def test_a_table_of_runs_with_the_varying_params_first(page: Any) -> None:
    """The table has the params that differ, then run time and time; what is the same everywhere is told once."""
    heads = page.locator("#runs thead th .dt-column-title").all_inner_texts()
    assert heads == ["run", "n", "method", "x", "run time", "created", "size", "result"]
    assert page.locator("#runs tbody tr").count() == 25
    assert page.title() == page.inner_text("h1") == "Channel flow"
    assert "dt = 0.01" in page.inner_text("#constants")
    assert cells(page, "created")[0] == "2026-01-03 12:00:00+01:00"


FILTERS = {
    "n=10": "12 of 60 runs",
    "n>=10 n<30": "24 of 60 runs",
    "method=rk4": "20 of 60 runs",
    "method!=rk4 n=40": "8 of 60 runs",
    "rk4": "20 of 60 runs",
    "rk4 n=40 x>1": "3 of 60 runs",
    "metadata.elapsed_seconds>100": "50 of 60 runs",
    "created_at>=2026-01-03": "12 of 60 runs",
    "created_at>=2026-01-03T00:00+01:00": "13 of 60 runs",
    "method~^r n==10": "4 of 60 runs",
    "method~[": "0 of 60 runs",
    "nowhere": "0 of 60 runs",
    "": "60 runs",
}


def test_filters(page: Any) -> None:
    """Conditions on names and hashes, as on the command line, and any text; several must all hold."""
    told = {text: (filter_by(page, text), page.inner_text(".dt-info").split(" of ")[-1]) for text in FILTERS}

    assert {text: counted for text, (counted, _) in told.items()} == FILTERS
    assert {text: shown for text, (_, shown) in told.items()} == {
        text: expected.split(" of ")[0].removesuffix(" runs") + " runs" for text, expected in FILTERS.items()
    }


def test_a_filter_can_be_taken_back_and_an_unknown_name_is_told(page: Any) -> None:
    """A typo does not look like an empty result."""
    assert filter_by(page, "metod=rk4") == "0 of 60 runs"
    assert "metod" in page.inner_text("#hint")
    assert filter_by(page, "elapsed_seconds>1") == "0 of 60 runs"
    assert page.inner_text("#hint") == "No run has elapsed_seconds. Did you mean metadata.elapsed_seconds?"
    page.click("#clear")
    assert page.inner_text("#count") == "60 runs"
    assert page.input_value("#filter") == ""


# Shows the runs of one query after the other; tells which they are, or at which position it was refused.
ASK = """(texts) => texts.map((text) => {
  const filter = document.getElementById('filter');
  filter.value = text;
  filter.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
  const refused = /^At position (\\d+):/.exec(document.getElementById('hint').textContent);
  if (refused) return Number(refused[1]);
  const rows = [...document.querySelectorAll('#runs tbody tr')].filter((row) => row.querySelector('.open'));
  return rows.map((row) => Number(row.lastElementChild.textContent)).sort();
})"""


def test_queries_mean_what_they_mean_in_python(show: Shown) -> None:
    """One table of cases: the same runs found, and what is refused is refused at the same letter."""
    table = json.loads(Path(__file__).with_name("golden").joinpath("queries.json").read_text("utf-8"))
    runs = []
    for number, params in enumerate(table["runs"]):
        tag = {"tag": "x"} if number == 0 else {}
        one = run(number, decode_params(params), f"{number}", energy=float(number), elapsed_seconds=1.0 + number, **tag)
        runs.append(replace(one, created_at=f"2026-01-01T{number:02}:00:00.000000+00:00"))
        Path(f"{number}").touch()
    page = show(runs, "table")

    cases = [*table["cases"], *table["refused"]]
    answers = dict(zip((text for text, _ in cases), page.evaluate(ASK, [text for text, _ in cases]), strict=True))

    assert {text: answers[text] for text, found in cases if answers[text] != found} == {}


def test_columns_sort_by_mouse_and_by_keyboard(page: Any) -> None:
    """A head sorts by its column, numbers as numbers."""
    page.click("#runs thead th:has-text('run time')")
    page.wait_for_selector("#runs tbody tr:first-child td span:text-is('1 s')")
    assert cells(page, "run time")[:3] == ["1 s", "2 s", "5 s"]
    page.locator("#runs thead th:has-text('run time') [role=button]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#runs tbody tr:first-child td:has-text('58 min 2 s')")


def test_columns_of_mixed_types_sort_sensibly(show: Shown) -> None:
    """Numbers by value, then nan, None, truth values, text by the numbers in it; what is missing is always last."""
    values = ["b10", 2, None, 10, "b9", float("inf"), True, 1.5, float("nan"), 2**70]
    page = show([run(i, {"v": value}) for i, value in enumerate(values)] + [run(20, {"other": 1})], "table")
    ordered = ["1.5", "2", "10", str(2**70), "inf", "nan", "None", "True", "b9", "b10"]

    for expected in (ordered, ordered[::-1]):
        page.click("#runs thead th:has-text('v')")
        page.wait_for_selector(f"#runs tbody tr:first-child td:nth-child(2) span:text-is('{expected[0]}')")
        assert cells(page, "v") == [*expected, "–"]


def test_a_function_can_be_chosen_and_the_address_keeps_the_state(show: Shown) -> None:
    """Filter, function and axes stand in the address: reloaded, or handed on, the page shows the same."""
    runs = [run(i, {"n": i % 4, "m": i}, elapsed_seconds=1.0, energy=float(i)) for i in range(12)]
    for one in runs[::2]:
        one.provenance["function"] = "mesh.make"
    page = show(runs)

    assert page.locator("#function option").all_inner_texts() == ["all functions", "flow.simulate (6)", "mesh.make (6)"]
    page.select_option("#function", label="mesh.make (6)")
    filter_by(page, "m>4")
    page.select_option("#against-x", label="energy")
    assert page.inner_text("#count") == "3 of 12 runs"
    page.reload()
    page.wait_for_selector("html[data-plots=drawn]", timeout=120_000)

    assert page.inner_text("#count") == "3 of 12 runs"
    assert page.input_value("#filter") == "m>4"
    assert page.evaluate("document.getElementById('against').layout.xaxis.title.text") == "energy"
    page.click("#clear")
    assert page.inner_text("#count") == "12 runs"


def test_axes_are_of_what_can_be_measured(show: Shown) -> None:
    """Numbers of interest have an axis, digests of arrays none; with no run shown no axis falls into another year."""
    array = {"$ndarray": {"dtype": "<f8", "shape": [3], "sha256": "0" * 64}}
    points = [{"n": i, "mesh": {"$ndarray": {**array["$ndarray"], "sha256": f"{i:064}"}}} for i in range(4)]
    page = show([run(i, point, elapsed_seconds=1.0 + i, energy=float(i)) for i, point in enumerate(points)])

    axes = page.evaluate("document.getElementById('parallel').data[0].dimensions.map((one) => one.label)")
    assert axes == ["n", "energy", "run time"]
    filter_by(page, "nowhere")
    page.wait_for_function("document.querySelectorAll('#against .point').length === 0")
    ranges = page.evaluate("document.getElementById('history').layout.xaxis.range")
    assert [moment[:7] for moment in ranges] == ["2026-01", "2026-01"]


def test_a_table_shows_that_it_scrolls(show: Shown) -> None:
    """By a shadow at the edge behind which there is more; what a row is about stays in sight."""
    page = show([run(i, {f"parameter {k}": i + k for k in range(12)}) for i in range(12)], "table")
    page.set_viewport_size({"width": 390, "height": 900})

    scrolling = page.locator("#table-view .dt-layout-table .dt-layout-cell")
    assert scrolling.evaluate("(cell) => cell.scrollWidth > cell.clientWidth")
    assert scrolling.evaluate("(cell) => getComputedStyle(cell).backgroundImage").count("gradient") == 4
    before = page.locator("#runs tbody td").first.bounding_box()["x"]
    scrolling.evaluate("(cell) => { cell.scrollLeft = 300; }")
    assert page.locator("#runs tbody td").first.bounding_box()["x"] == before
    page.wait_for_function("document.documentElement.scrollWidth <= 390")  # the charts follow a moment later


def test_counts_have_no_fractions_and_common_parameters_come_first(show: Shown) -> None:
    """Of runs of two functions, those with the parameter that most of them have are compared."""
    runs = [run(i, {"rare": i} if i % 4 == 0 else {"common": i}, elapsed_seconds=1.0 + i) for i in range(12)]
    page = show(runs)

    assert page.evaluate("document.getElementById('history').layout.yaxis.dtick") == 1
    assert page.evaluate("document.getElementById('against').layout.xaxis.title.text") == "common"


def test_a_single_run_shows_its_parameters(show: Shown) -> None:
    """Where nothing can vary, the table has all parameters."""
    page = show([run(0, {"n": 1, "solver": {"$class": "Euler", "dt": 0.1}})], "table")

    heads = page.locator("#runs thead th .dt-column-title").all_inner_texts()
    assert heads[:4] == ["run", "n", "solver", "solver.dt"]


# ---- the plots ------------------------------------------------------------------------------------------------------


def test_three_plots_are_drawn(page: Any) -> None:
    """Parallel coordinates of the varying params, one against another, and runs over time."""
    axes = page.evaluate("document.getElementById('parallel').data[0].dimensions.map((one) => one.label)")
    assert axes == ["n", "method", "x", "run time"]
    assert page.locator("#parallel canvas").count() > 0
    assert "WebGL" not in page.inner_text("#plots")
    assert inked(page, "#parallel .gl-canvas-context") > 0.01
    assert page.locator("#against .point").count() == 60
    assert page.locator("#history .point").count() > 1
    assert page.evaluate("document.getElementById('parallel').data[0].line.colorbar.title.text") == "run time"


def inked(page: Any, canvas: str) -> float:
    """Which part of a canvas is drawn on."""
    count = """(canvas) => {
        const copy = document.createElement("canvas");
        [copy.width, copy.height] = [canvas.width, canvas.height];
        const context = copy.getContext("2d", {willReadFrequently: true});
        context.drawImage(canvas, 0, 0);
        const alphas = context.getImageData(0, 0, copy.width, copy.height).data.filter((_, place) => place % 4 === 3);
        return alphas.filter((alpha) => alpha > 0).length / alphas.length;
    }"""
    return float(page.locator(canvas).first.evaluate(count))


def test_without_webgl_the_other_plots_are_there(show: Shown) -> None:
    """On a machine that cannot draw the parallel coordinates, it is told in their place."""
    page = show(sweep(), "table", before="HTMLCanvasElement.prototype.getContext = () => null")

    page.wait_for_selector("html[data-plots=drawn]")
    assert page.is_visible("#no-webgl")
    assert page.locator("#against .point").count() == 60


def test_run_time_is_shown_against_any_parameter(page: Any) -> None:
    """The menu has every varying param; choosing one draws it."""
    assert page.locator("#against-x option").all_inner_texts() == ["n", "method", "x", "run time", "size", "created"]
    page.select_option("#against-x", label="method")
    title = page.evaluate("document.getElementById('against').layout.xaxis.title.text")
    assert title == "method"
    assert page.locator("#against .point").count() == 60


def test_picking_on_an_axis_filters_the_table(page: Any) -> None:
    """A range dragged in the parallel coordinates is a filter for the table and the other plots."""
    page.evaluate("Plotly.restyle('parallel', {'dimensions[2].constraintrange': [[0, 1.01]]})")
    page.wait_for_function("document.getElementById('count').textContent === '8 of 60 runs'")
    page.wait_for_function("document.querySelectorAll('#against .point').length === 8")
    page.click("#clear")
    page.wait_for_function("document.getElementById('count').textContent === '60 runs'")


def test_the_filter_reaches_the_plots(page: Any) -> None:
    """Table and plots show the same runs."""
    filter_by(page, "method=rk4")
    page.wait_for_function("document.querySelectorAll('#against .point').length === 20")
    assert page.evaluate("document.getElementById('parallel').data[0].dimensions[0].values.length") == 20


# ---- results --------------------------------------------------------------------------------------------------------


def test_a_run_opens_with_its_result(show: Shown) -> None:
    """Pictures and text are shown, other results linked; one steps from run to run, and Escape closes."""
    picture("red.png")
    Path("table.csv").write_text("t,x\n0,1\n")
    page = show(
        [run(0, {"n": 1}, "table.csv"), run(1, {"n": 2}, "red.png", note="warm"), run(2, {"n": 3}, "x.bin")], "table"
    )

    page.click("#runs tbody tr:nth-child(2) button.open")
    assert page.evaluate("document.querySelector('#run img').naturalWidth") == 1
    assert "warm" in page.inner_text("#run")
    page.click("#run-after")
    assert page.inner_text("#run pre") == "t,x\n0,1\n".rstrip()
    assert page.get_attribute("#run-body a", "href") == "./table.csv"
    assert page.is_disabled("#run-after")
    page.keyboard.press("Escape")
    assert not page.is_visible("#run")


def test_pictures_can_be_seen_side_by_side(show: Shown) -> None:
    """Where results are pictures, they can be looked at together, in the order of the table."""
    picture("red.png")
    page = show([run(i, {"n": i}, "red.png") for i in range(60)], "table")

    page.click("#as-pictures")
    assert page.locator("#pictures-view img").count() == 48
    page.click("#more-pictures")
    assert page.locator("#pictures-view img").count() == 60
    assert page.inner_text("#pictures-view button:first-child") == "n 59"
    filter_by(page, "n<3")
    assert page.locator("#pictures-view img").count() == 3
    page.click("#pictures-view button:first-child")
    assert page.is_visible("#run img")


# ---- hostile data ---------------------------------------------------------------------------------------------------


def test_markup_in_data_is_text_and_runs_nowhere(show: Shown) -> None:
    """Names, values, metadata, function, title, file names, text and SVG results: all shown, nothing run."""
    name = HOSTILE.replace("/", "_") + ".txt"
    Path(name).write_text(HOSTILE)
    Path("evil.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="window.hacked=3">'
        "<script>parent.hacked=4; window.hacked=4</script></svg>"
    )
    odd = [HOSTILE, "</script><!--", "<b>bold</b> & \u2028 more", "javascript:alert(1)"]
    runs = [run(i, {HOSTILE: odd[i % 4], "n": i}, name, elapsed_seconds=i + 0.5, note=odd[i % 4]) for i in range(8)]
    runs.append(run(9, {HOSTILE: 1, "n": 9}, "evil.svg", elapsed_seconds=1.0))
    page = show(runs, title=HOSTILE)

    assert page.title() == page.inner_text("h1") == HOSTILE
    assert HOSTILE in cells(page, HOSTILE)
    assert name in cells(page, "result")
    for row in (1, 2, 3):
        page.click(f"#runs tbody tr:nth-child({row}) button.open")
        page.wait_for_timeout(50)
        page.click("#run-close")
    page.select_option("#against-x", label=HOSTILE)
    page.select_option("#against-colour", label=HOSTILE)
    page.click("#runs thead th:nth-child(2)")
    filter_by(page, '"<script>"')
    point = page.locator("#against .point").first.bounding_box()
    page.mouse.move(point["x"] + 2, point["y"] + 2)
    page.wait_for_timeout(200)

    assert page.evaluate("window.hacked") is None
    assert page.locator("main script, main [onerror], main [onload], dialog script").count() == 0
    assert "<b>bold</b>" in "".join(page.locator("#against svg text").all_text_contents())


# ---- sizes ----------------------------------------------------------------------------------------------------------


def test_ten_thousand_runs_stay_usable(show: Shown) -> None:
    """Of 10,000 runs the page shows a table in pieces, and a filter and an order that reach all of them."""
    page = show(many(10_000))

    assert page.locator("#runs tbody tr").count() == 25
    assert filter_by(page, "method=rk4 n=10") == "667 of 10,000 runs"
    page.click("#runs thead th:has-text('run time')")
    assert len(set(cells(page, "method"))) == 1


def many(count: int) -> list[RunRecord]:
    """A larger sweep, all in one month."""
    points = [{"n": 10 * (i % 5), "method": METHODS[i % 3], "x": (i * 7919 % 10007) / 7} for i in range(count)]
    return [run(i % 700, point, elapsed_seconds=float(1 + i % 977)) for i, point in enumerate(points)]


def test_an_empty_store_says_so(show: Shown) -> None:
    """Without runs there is a word about it, and no empty table."""
    page = show([])

    assert "No runs are recorded yet" in page.inner_text("body")
    assert not page.is_visible("#main")


@pytest.mark.parametrize("count", [1, 3])
def test_runs_in_which_nothing_varies_look_sensible(show: Shown, count: int) -> None:
    """One run, or runs of one point: no parallel coordinates, but a table."""
    page = show([run(i, {"n": 1}, elapsed_seconds=1.0 + i) for i in range(count)])

    assert not page.is_visible("#parallel-card")
    assert page.locator("#runs tbody tr").count() == count
    assert page.is_visible("#history-card") == (count > 1)


# ---- everybody can read it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(show: Shown, scheme: str) -> None:
    """Text has the contrast that the Web Content Accessibility Guidelines ask for, in light and dark mode."""
    page = show(sweep(5), "table", scheme=scheme)
    colour = "(name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
    card, *inks = (page.evaluate(colour, name) for name in ("--card", "--ink", "--soft", "--accent"))

    assert [round(contrast(card, ink), 1) for ink in inks if contrast(card, ink) < 4.5] == []


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as the guidelines reckon it."""

    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted([light(one), light(other)])
    return (bright + 0.05) / (dark + 0.05)


def test_a_small_screen_is_enough(page: Any) -> None:
    """On a telephone nothing hangs over the edge: wide tables and plots scroll by themselves."""
    page.set_viewport_size({"width": 390, "height": 800})

    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth", timeout=120_000)


def test_every_control_has_a_name(page: Any) -> None:
    """Whoever listens to the page is told what each field and button is for."""
    unnamed = """() => [...document.querySelectorAll('input, select, button')]
        .filter((one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim())
        .map((one) => one.outerHTML)"""

    assert page.evaluate(unnamed) == []
