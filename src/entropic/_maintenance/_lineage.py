"""The lineage of a run: all it was made from, and all that was made of it, as text, rows, JSON and a drawing."""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._engine import RunCache
from .._fs import NamedTuple, one_line
from .._record import RunRecord, local_time
from .._tables import RecordList, drawn_graph
from ..errors import NotRecordedError
from ..hashing import encode
from ..query import param
from ._ancestry import Ancestry, LineageRun

__all__ = ["Lineage", "LineageLink"]

_SHOWN_LINES = 60
_DEEPEST_INDENT = 20

# From some runs to those next to them: by the mark of each, with the names of the parameters.
Step = Callable[[Sequence[LineageRun]], Mapping[tuple[str, str], Sequence[tuple[str, LineageRun]]]]


class LineageLink(NamedTuple):
    """
    That one run was made from another.

    Attributes:
        source: What was used.
        name: The parameter it came in by.
        target: What was made of it.
    """

    source: LineageRun
    name: str
    target: LineageRun


LineageLink.__module__ = "entropic.reports"


class Lineage:
    """
    What a run was made from, and what was made of it; printing it shows both, one run a line.

    Attributes:
        run: The run that was asked for.
        runs: All of them, each behind those that it was made from.
        links: Which was made from which.
    """

    def __init__(self, run: LineageRun, runs: Iterable[LineageRun], links: Iterable[LineageLink]) -> None:
        self.run = run
        self.links = tuple(dict.fromkeys(links))
        self.runs = tuple(_in_order(list(runs), self.links))

    @property
    def ancestors(self) -> RecordList:
        """The records of all it was made from; without those that are gone."""
        return self._records(self._reached(self.run, upwards=True))

    @property
    def descendants(self) -> RecordList:
        """The records of all that was made of it."""
        return self._records(self._reached(self.run, upwards=False))

    @property
    def outdated(self) -> tuple[LineageRun, ...]:
        """Of what it was made from, what has changed since, or is gone; each tells why as its ``status``."""
        above = self._reached(self.run, upwards=True)
        return tuple(run for run in self.runs if run.mark in above and run.status)

    def rows(self) -> list[dict[str, Any]]:
        """
        Return one mapping for each run, for a table: ``pandas.DataFrame(lineage.rows())``.

        ``level`` is how many steps it is away: negative above, positive below.
        """
        levels, names = self._levels(), defaultdict(list)
        for link in self.links:
            names[link.target.mark].append(link.name)
        return [
            {
                "level": levels[run.mark],
                "call": run.call,
                "function": run.function,
                "params_hash": run.params_hash,
                "created_at": run.created_at,
                "inputs": ", ".join(names.get(run.mark, ())),
                "digest": run.digest,
                "result_path": "" if run.record is None else str(run.record.result_path),
                "status": run.status,
            }
            for run in self.runs
        ]

    def to_json(self) -> str:
        """Return all of it as JSON: ``run``, the hash of the run that was asked for, ``runs`` and ``links``."""
        numbers = {run.mark: number for number, run in enumerate(self.runs)}
        links = [
            {"from": numbers[link.source.mark], "to": numbers[link.target.mark], "name": link.name}
            for link in self.links
        ]
        runs = [{**row, "params": _params(run)} for row, run in zip(self.rows(), self.runs, strict=True)]
        return json.dumps({"run": numbers[self.run.mark], "runs": runs, "links": links}, indent=2)

    def to_svg(self) -> str:
        """Return a drawing: a graph from left to right, as the text of an SVG file."""
        numbers = {run.mark: number for number, run in enumerate(self.runs)}
        nodes = [(run.call, f"{run.params_hash[:8]} {run.status}".strip(), bool(run.status)) for run in self.runs]
        links = [(numbers[link.source.mark], numbers[link.target.mark], link.name) for link in self.links]
        return drawn_graph(nodes, links, marked=numbers[self.run.mark])

    def __str__(self) -> str:
        lines = [f"{self.run}  {local_time(self.run.created_at)}"]
        for title, upwards in (("made from", True), ("used by", False)):
            below = list(self._tree(upwards=upwards))
            lines += [f"  {title}", *below] if below else []
        if len(lines) > _SHOWN_LINES:
            lines = [*lines[:_SHOWN_LINES], f"  … {len(lines) - _SHOWN_LINES} more: see rows()"]
        return "\n".join(map(one_line, lines))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.to_svg()

    # ---- ways through it --------------------------------------------------------------------------------------------

    def _neighbours(self, *, upwards: bool) -> dict[tuple[str, str], list[tuple[str, LineageRun]]]:
        found: dict[tuple[str, str], list[tuple[str, LineageRun]]] = defaultdict(list)
        for link in self.links:
            here, there = (link.target, link.source) if upwards else (link.source, link.target)
            found[here.mark].append((link.name, there))
        return found

    def _reached(self, run: LineageRun, *, upwards: bool) -> dict[tuple[str, str], int]:
        """All that is reached from a run, with the least number of steps to it."""
        neighbours, steps = self._neighbours(upwards=upwards), {run.mark: 0}
        level = [run]
        while level:
            following = []
            for one in level:
                for _, other in neighbours.get(one.mark, ()):
                    if other.mark not in steps:
                        steps[other.mark] = steps[one.mark] + 1
                        following.append(other)
            level = following
        del steps[run.mark]
        return steps

    def _levels(self) -> dict[tuple[str, str], int]:
        above = {mark: -steps for mark, steps in self._reached(self.run, upwards=True).items()}
        return {**self._reached(self.run, upwards=False), **above, self.run.mark: 0}

    def _records(self, marks: Iterable[tuple[str, str]]) -> RecordList:
        wanted = set(marks)
        return RecordList(run.record for run in self.runs if run.mark in wanted and run.record is not None)

    def _tree(self, *, upwards: bool) -> Iterator[str]:
        """One line for each run on the way, deeper ones further in; what stands above already is not unfolded again."""
        neighbours, seen = self._neighbours(upwards=upwards), {self.run.mark}
        left = [(2, name, run) for name, run in reversed(neighbours[self.run.mark])]
        while left:
            depth, name, run = left.pop()
            indent = "  " * min(depth, _DEEPEST_INDENT)
            told = f"{name}: {run}" if upwards else f"{run} ({name})"
            is_again = run.mark in seen
            yield f"{indent}{told}{' (see above)' if is_again and neighbours.get(run.mark) else ''}"
            if not is_again:
                seen.add(run.mark)
                left += [(depth + 1, *pair) for pair in reversed(neighbours.get(run.mark, []))]


Lineage.__module__ = "entropic.reports"


def lineage(engine: RunCache, run: RunRecord | str, others: Iterable[RunCache]) -> Lineage:
    """Follow a run up and down; see `entropic.Store.lineage`."""
    ancestry = Ancestry(engine, others)
    start = ancestry.run_of(run if isinstance(run, RunRecord) else _newest(engine, run))
    above = list(_followed(start, lambda runs: {run.mark: list(ancestry.inputs_of(run)) for run in runs}))
    below = list(_followed(start, ancestry.users_of))
    links = [LineageLink(other, name, one) for one, name, other in above]
    links += [LineageLink(one, name, other) for one, name, other in below]
    runs = {one.mark: one for one in [start, *(run for _, _, run in above), *(run for _, _, run in below)]}
    return Lineage(start, runs.values(), links)


def _params(run: LineageRun) -> dict[str, Any]:
    """The parameters of a run in the form of a document."""
    return {} if run.record is None else {name: encode(value) for name, value in run.record.params.items()}


def _newest(engine: RunCache, hash_begin: str) -> RunRecord:
    found = list(engine.index.find_all_by_hash(hash_begin))
    if not found and hash_begin:
        found = list(engine.index.iter(param("params_hash").matches(f"^({re.escape(hash_begin)})")))
    if not found:
        raise NotRecordedError("", hash_begin)
    return engine.paths.shown(found[-1])


def _followed(start: LineageRun, step: Step) -> Iterator[tuple[LineageRun, str, LineageRun]]:
    """All steps from a run on, each once: an index that somebody has made up may lead round in a circle."""
    seen, level = {start.mark}, [start]
    while level:
        beside, following = step(level), []
        for run in level:
            for name, other in beside.get(run.mark, ()):
                yield run, name, other
                if other.mark not in seen:
                    seen.add(other.mark)
                    following.append(other)
        level = following


def _in_order(runs: list[LineageRun], links: Iterable[LineageLink]) -> Iterator[LineageRun]:
    """Each run behind those that it was made from; what leads round in a circle, at the end."""
    waits, followers = dict.fromkeys((run.mark for run in runs), 0), defaultdict(list)
    by_mark = {run.mark: run for run in runs}
    for link in links:
        waits[link.target.mark] += 1
        followers[link.source.mark].append(link.target.mark)
    ready = deque(mark for mark, count in waits.items() if count == 0)
    done: dict[tuple[str, str], None] = {}
    while ready:
        mark = ready.popleft()
        done[mark] = None
        for other in followers[mark]:
            waits[other] -= 1
            if waits[other] == 0:
                ready.append(other)
    yield from (by_mark[mark] for mark in [*done, *(mark for mark in waits if mark not in done)])
