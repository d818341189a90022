"""The site is built from the guides without a warning, its links lead somewhere, and it fits a desk and a telephone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("material", reason="mkdocs-material is not installed")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
ROOT = Path(__file__).parents[1]
GUIDES = {path.stem for path in (ROOT / "src" / "entropic" / "docs").glob("*.md")}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def _built(folder: Path) -> Path:
    """The site, built by the command that the contributor's page names, into a folder of its own."""
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


def test_the_site(tmp_path: Path) -> None:
    """
    It has a page of each guide and a place of each public name; its links lead somewhere; and its pages fit two widths.

    All in one test, since to build it takes seconds.
    """
    site = _built(tmp_path / "site")
    pages = {path: _Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}

    assert {path.stem for path in site.glob("*.html")} >= {*GUIDES, "index", "examples", "changes", "subcommands"}
    assert [f"{path.stem}: {name}" for path in (site / "api").glob("*.html") for name in _without_place(path)] == []
    assert [f"{path.name}: {link}" for path, page in pages.items() for link in _broken(path, page, pages)] == []
    assert _complaints(pages) == []


def _without_place(path: Path) -> set[str]:
    """What a module offers that has no place on its page."""
    names = set(importlib.import_module(path.stem).__all__) - {"__version__", "errors"}
    return names - {anchor.rpartition(".")[2] for anchor in _Page(path).anchors}


def _broken(path: Path, page: _Page, pages: dict[Path, _Page]) -> list[str]:
    """The links of a page that lead nowhere, to no page, heading, picture or script."""
    broken = []
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "data"):
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        is_inside = not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].anchors
        if not target.exists() or not is_inside:
            broken.append(link)
    return broken


def _complaints(pages: Iterable[Path]) -> list[str]:
    """Pages that are wider than a window, or say something in the console, or ask the network for anything."""
    if BROWSER is None or importlib.util.find_spec("playwright") is None:
        return []
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=SWITCHES, timeout=120_000)
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url[:5] == "file:" else complaints.append(request.url))
        for path in pages:
            page.goto(path.as_uri())
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 900})
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    complaints.append(f"{path.name} is wider than {width}")
        browser.close()
    return complaints
