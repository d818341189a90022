"""A run named as the call that made it: ``mesh(n=3)``."""

from __future__ import annotations

from typing import Any

from ..hashing import RUN_TAG, is_run
from ._cells import cell_text
from ._record import RunRecord

_LONGEST_TEXT = 60
_LONGEST_VALUE = 24


def call_text(record: RunRecord) -> str:
    """
    Return a run as a call, on one short line: the last part of its function's name, and its parameters.

    Example:
        >>> from pathlib import Path
        >>> call_text(RunRecord({"n": 3}, Path("a"), "0" * 16, "", {}, {"function": "study.mesh"}))
        'mesh(n=3)'
    """
    name = short_name(str(record.provenance.get("function") or "")) or "run"
    text = f"{name}({', '.join(f'{one}={_value_text(value)}' for one, value in record.params.items())})"
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…)"


def short_name(function: str) -> str:
    """
    Return the last part of a function's name; all of a name with a space in it, such as that of a program.

    Example:
        >>> short_name("study.Model.solve"), short_name("$ ./solver.sh {n}"), short_name("f.<locals>.g")
        ('solve', '$ ./solver.sh {n}', 'g')
    """
    return function if " " in function else function.rpartition(".")[2] or function


def _value_text(value: Any) -> str:
    if isinstance(value, list) and any(map(is_run, value)):
        return f"[{', '.join(map(_value_text, value))}]"
    text = cell_text(_with_short_names(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _with_short_names(value: Any) -> Any:
    """A value in which each run is named by its function only."""
    if is_run(value):
        return {"$function": short_name(str(value[RUN_TAG]["function"] or "run"))}
    if isinstance(value, dict):
        return {name: _with_short_names(item) for name, item in value.items()}
    return value
