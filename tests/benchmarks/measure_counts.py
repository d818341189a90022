"""System calls of a hit and of a new point: counts, which are the same on every machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from report import Section
from timing import ENVIRONMENT, python

_CALLER = Path(__file__).parent / "children" / "call_often.py"
_CALLS = 200
_MARK = "entropic-benchmark-mark"
_ENDS_OF_MARKS = 2  # what is left of the lines of the two marks
_ABSENT = 3
_CONTENDERS = {
    "bare system calls": "bare",
    "entropic, hit": "hit",
    "entropic, new point": "miss",
    "joblib.Memory, new point": "joblib",
    "diskcache, new point": "diskcache",
    "signac, new point": "signac",
}


def counts(scratch: Path) -> list[Section]:
    """Of one call each, with syncs and without; empty where there is no strace."""
    if shutil.which("strace") is None:
        return []
    section = Section("System calls of one call", "bare system calls", unit="calls")
    for column, durable in (("without syncs", False), ("with syncs", True)):
        section.add(column, _counted(scratch / column.replace(" ", "-"), durable=durable))
    return [section]


def _counted(folder: Path, *, durable: bool) -> Mapping[str, float]:
    contenders = _CONTENDERS if not durable else {name: what for name, what in _CONTENDERS.items() if what in _SYNCED}
    figures = {name: _per_call(what, folder / what, durable) for name, what in contenders.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


_SYNCED = ("bare", "hit", "miss")  # no peer syncs what it writes


def _per_call(what: str, folder: Path, durable: bool) -> float | None:
    """The calls between the two marks that the process leaves in its trace; None if the peer is not installed."""
    folder.mkdir(parents=True)
    trace = folder / "trace.txt"
    caller = python(_CALLER, what, folder, str(int(durable)), str(_CALLS))
    status = subprocess.run(["strace", "-f", "-qq", "-o", os.fspath(trace), *caller], env=ENVIRONMENT).returncode
    if status == _ABSENT:
        return None
    if status:
        raise RuntimeError(f"Cannot count the calls of {caller}: it ended with status {status}.")
    _, between, _ = trace.read_text(errors="replace").split(_MARK)
    return (sum(" resumed>" not in line for line in between.splitlines()) - _ENDS_OF_MARKS) / _CALLS
