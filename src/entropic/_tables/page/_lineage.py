"""The page's drawing of what was made from what: run by run, or of many runs function by function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..._record import RunInput, RunRecord, call_text, short_name
from .._graph import Link, Node, drawn_graph

_MOST_RUNS = 60

Key = tuple[str, str]


def lineage_section(runs: Sequence[RunRecord]) -> str:
    """
    Return the section of the page, as HTML; empty if no run was made from another.

    Example:
        >>> lineage_section([])
        ''
    """
    if not any(run.inputs for run in runs):
        return ""
    nodes, links = _run_by_run(runs)
    if len(nodes) > _MOST_RUNS:
        nodes, links = _by_function(runs)
    return (
        '<section class="card" id="lineage-card" aria-labelledby="lineage-title">'
        '<div class="bar"><h2 id="lineage-title">What was made from what</h2></div>'
        f'<div class="scroller">{drawn_graph(nodes, links)}</div></section>'
    )


def _run_by_run(runs: Sequence[RunRecord]) -> tuple[list[Node], list[Link]]:
    """Each run that was made from another, and what it was made from, which may not be on the page."""
    by_mark: dict[Key, Node] = {}
    calls = {(run.params_hash, run.created_at): call_text(run) for run in runs}
    links: list[tuple[Key, Key, str]] = []
    for run in runs:
        own = run.params_hash, run.created_at
        for one in run.inputs:
            mark = one.params_hash, one.created_at
            by_mark[mark] = (calls.get(mark) or f"{_name(one)}(…)", one.params_hash[:8], False)
            by_mark[own] = (calls[own], run.params_hash[:8], False)
            links.append((mark, own, one.name))
    places = {mark: place for place, mark in enumerate(by_mark)}
    return list(by_mark.values()), [(places[source], places[target], name) for source, target, name in links]


def _by_function(runs: Sequence[RunRecord]) -> tuple[list[Node], list[Link]]:
    counts = Counter(str(run.provenance.get("function") or "") for run in runs if run.inputs)
    used: dict[str, set[Key]] = {}
    arrows: dict[tuple[str, str, str], None] = {}
    for run in runs:
        for one in run.inputs:
            used.setdefault(one.function, set()).add((one.params_hash, one.created_at))
            arrows[one.function, str(run.provenance.get("function") or ""), one.name.partition("[")[0]] = None
    functions = list(dict.fromkeys([*used, *counts]))
    nodes = [
        (short_name(name) or "plain runs", f"{max(counts[name], len(used.get(name, ())))} runs", False)
        for name in functions
    ]
    return nodes, [(functions.index(source), functions.index(target), name) for source, target, name in arrows]


def _name(one: RunInput) -> str:
    return short_name(one.function) or "run"
