"""
The page: runs as one HTML file with a table, plots and results, that needs no server and no network.

Python only gathers what is shown, as JSON; the table (DataTables) and the plots (plotly.js) are drawn in the browser by
the libraries' own files, which lie compressed inside the page. What the runs hold is data all the way: it stands in a
block of JSON without any ``<``, and the script puts it on the page as text. A content security policy forbids the page
to load anything, and to run any script but its own.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..._record import RunRecord
from ...errors import MissingExtraError
from ._columns import page_columns
from ._lineage import lineage_section
from ._results import Shelf
from ._under_way import under_way_section

__all__ = ["make_page"]

_FOLDER = Path(__file__).parent
_TABLE_LIBRARY = "itables"
_PLOT_LIBRARY = "plotly"


def make_page(
    runs: Sequence[RunRecord],
    title: str,
    *,
    relative_to: str | os.PathLike[str] = ".",
    embed_up_to_bytes: int = 16 << 20,
    results_dir: str | os.PathLike[str] | None = None,
    why_superseded: Sequence[str] = (),
    under_way: Sequence[Mapping[str, object]] | None = None,
    refresh_seconds: float | None = None,
) -> str:
    """
    Show runs as the text of one self-contained HTML file.

    Args:
        runs: What to show, oldest first.
        title: Headline and title of the page; text, not markup.
        relative_to: The folder the page will lie in; results are linked from there.
        embed_up_to_bytes: How many bytes of pictures and text to take into the page, newest results first.
        results_dir: The folder of the results; of what lies outside it nothing is taken into the page.
        why_superseded: Of each run why it no longer answers, or nothing.
        under_way: What runs at the moment, for a page that follows; see `under_way_section`.
        refresh_seconds: After how long a browser loads the page again; None for never.

    Raises:
        MissingExtraError: The libraries of the extra ``page`` are not installed (an `ImportError`).
    """
    table_js, table_css, plot_js = _libraries()
    script = _own("filter.js") + _own("page.js")
    shelf = Shelf(os.path.abspath(relative_to), embed_up_to_bytes, results_dir)
    shown = {
        "title": title,
        "written_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "count": len(runs),
        "columns": page_columns(runs, why_superseded),
        "results": shelf.place(runs),
        "refresh_seconds": refresh_seconds,
    }
    parts = {
        "title": html.escape(title),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": _own("page.css"),
        "script": script,
        "lineage": lineage_section(runs),
        "under_way": under_way_section(under_way),
        "runs": as_data(shown),
        "table_js": _packed(table_js),
        "table_css": _packed(table_css),
        "plot_js": _packed(plot_js),
    }
    # In one pass over the template alone: what is filled in is never looked at again.
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _own("page.html"))
    return page.encode("utf-8", "replace").decode()


def as_data(value: Any) -> str:
    r"""
    JSON that can stand inside a script element: pure ASCII, without any character that HTML gives a meaning.

    Example:
        >>> print(as_data(["</script>", "<!--", "\u2028"]))
        ["\u003c/script\u003e","\u003c!--","\u2028"]
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _own(name: str) -> str:
    return _FOLDER.joinpath(name).read_text("utf-8")


def _libraries() -> tuple[str, str, str]:
    """The table's script and style, and the plots' script, from the installed packages."""
    return (
        _file_of(_TABLE_LIBRARY, "html", "dt_bundle.js"),
        _file_of(_TABLE_LIBRARY, "html", "dt_bundle.css"),
        _file_of(_PLOT_LIBRARY, "package_data", "plotly.min.js"),
    )


def _file_of(package: str, *names: str) -> str:
    # Found, not imported: importing these packages takes longer than making the page, and runs code we do not need.
    spec = None if sys.modules.get(package, ...) is None else importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, *names)).is_file():
            return path.read_text("utf-8")
    raise MissingExtraError("Cannot make a page of runs", package, "page")


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
