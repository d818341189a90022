"""The site is built from the guides without a warning, its links lead somewhere, and it fits a desk and a telephone."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import entropic

pytest.importorskip("material", reason="mkdocs-material is not installed")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
ROOT = Path(__file__).parents[1]
GUIDES = {path.stem for path in (ROOT / "src" / "entropic" / "docs").glob("*.md")}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
pytestmark = pytest.mark.xdist_group("site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by the command that the contributor's page names, into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    words = ["build", "-f", str(ROOT / ".site" / "mkdocs.yml"), "-d", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    built = subprocess.run([sys.executable, "-m", "mkdocs", *words], capture_output=True, text=True, env=quiet)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class _Page(HTMLParser):
    """Where a page can be entered, and where it leads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.anchors |= {name for name in (named.get("id"), named.get("name")) if name}
        self.links |= {link for link in (named.get("href"), named.get("src")) if link}


def _pages(site: Path) -> dict[Path, _Page]:
    return {path: _Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_every_guide_and_every_public_name_has_its_place(site: Path) -> None:
    """The guides are pages; what a module offers stands on the page of the module."""
    assert {path.stem for path in site.glob("*.html")} >= {*GUIDES, "index", "examples", "changes", "subcommands"}
    for path in (site / "api").glob("*.html"):
        names = set(importlib.import_module(path.stem).__all__) - {"__version__", "errors"}
        ends = {anchor.rpartition(".")[2] for anchor in _Page(path).anchors}
        assert names - ends == set(), path.stem
    assert (site / "api" / "entropic.html").read_text().count("run_or_retrieve") > 1
    assert entropic.cached.__doc__ is not None


def test_every_link_leads_somewhere(site: Path) -> None:
    """Pages, headings, pictures and scripts are there, and nothing is fetched from elsewhere."""
    pages = _pages(site)
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "data"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            inside = not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].anchors
            if not target.exists() or not inside:
                broken.append(f"{path.name}: {link}")
    assert broken == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the pages."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=SWITCHES, timeout=120_000)
        yield browser
        browser.close()


def test_the_pages_fit_two_widths_and_stay_quiet(site: Path, browser: Any) -> None:
    """No page is wider than its window, complains in the console, or asks the network for anything."""
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url[:5] == "file:" else complaints.append(request.url))
    for path in _pages(site):
        page.goto(path.as_uri())
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                complaints.append(f"{path.name} is wider than {width}")
    assert complaints == []
