"""Small answers of a large store, asked for by fresh processes: processor time, and memory beyond the process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fixtures import Population
from measure_hits import CHILDREN
from measure_sql import Place, places_of
from report import Section, sized
from timing import ENVIRONMENT, QUICK, Effort, knows_peaks, python

SMALL = [
    "count",
    "list(limit=10)",
    "list(limit=10, after=)",
    "list(limit=10, current=True)",
    "list of 10 matches",
    "list sorted by a parameter",
    "count of a comparison",
    "list by a whole hash",
    "list by the beginning of a hash",
    "a hit",
    "a new run",
    "delete of a point",
    "delete(remove_file=True)",
    "plan of 10 points",
]
WHOLE = ["explain of a miss", "iter", "list", "check", "prune, previewed", "rebuild"]


def scale(populations: list[Population], scratch: Path, effort: Effort) -> list[Section]:
    """Each question by itself, of each kind of index; on the largest population."""
    if not knows_peaks():
        return []
    sections = []
    largest = max(populations, key=lambda population: population.size)
    speeds = Section("Records copied for this", "SQLite", "per second")
    with places_of(largest, scratch, speeds) as places:
        for name, place in places.items():
            answers = dict(_answers(place, SMALL[:2] if effort == QUICK else SMALL + WHOLE))
            column = f"{name}, {sized(largest.size)}"
            seconds = Section(f"Processor time of one question, {column}", SMALL[0])
            megabytes = Section(
                f"Memory beyond the process, {column}", SMALL[0], "MB", goal="60 MB, but for a whole list"
            )
            for what, (took, peak) in answers.items():
                seconds.add(sized(largest.size), {what: took})
                megabytes.add(sized(largest.size), {what: max(peak, 0.0)})
            sections += [seconds, megabytes]
    return sections


def _answers(place: Place, questions: list[str]) -> Iterator[tuple[str, tuple[float, float]]]:
    for what in questions:
        command = python(CHILDREN / "at_scale.py", what, place.folder, *([place.url] if place.url else []))
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)
        seconds, peak = json.loads(done.stdout.splitlines()[-1])
        yield what, (seconds, peak)
