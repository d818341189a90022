"""
What is noted of a run that saves its state: what it is of, and each attempt at it.

An attempt notes its begin before it runs, and its end if it can. Of one that was killed, the last sign of life tells
how long it lasted: a note of its own, or the newest change in its folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .._fs import read_own_file

NOTE, ATTEMPTS, LOCK, FILES = "note.json", "attempts.jsonl", "lock", "files"
"""What lies in the place of a run; the files are what it saves."""

KILLED = "killed, or the machine went down"
_MOST_LOOKED_AT = 10_000


def read_checkpoint_note(place: Path) -> dict[str, Any]:
    """What a place is of; empty if that cannot be read."""
    try:
        content = json.loads(read_own_file(place / NOTE)) if is_folder(place) else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_attempts(place: Path) -> list[dict[str, Any]]:
    """
    The attempts at a place, the oldest first: begin, end or last sign of life, host, process, and how it ended.

    Of one that has not noted its end, the last sign of life is the newest change in the folder, or one that it noted.
    """
    attempts: list[dict[str, Any]] = []
    for line in _lines_of(place):
        if "began_at" in line:
            attempts.append(line)
        elif attempts:
            attempts[-1] = {**attempts[-1], **line}
    for one in attempts[:-1]:
        one.setdefault("outcome", KILLED)
    if attempts and "outcome" not in attempts[-1]:
        attempts[-1] |= _last_sign(place, attempts[-1])
    return attempts


def _lines_of(place: Path) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(OSError):
        for line in read_own_file(place / ATTEMPTS).splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                content = json.loads(line)
                if isinstance(content, dict):
                    yield content


def _last_sign(place: Path, attempt: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of an attempt that has not noted its end."""
    began = _seconds(attempt.get("began_at"))
    sign: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads(read_own_file(place / LOCK))
        if isinstance(content, dict) and _seconds(content.get("seen_at")) >= began:
            sign = content
    seen = min(max(_seconds(sign.get("seen_at")), _last_change(place / FILES)), time.time())
    told: dict[str, Any] = {"last_seen_at": _text_of(max(seen, began)), "outcome": KILLED}
    told["elapsed_seconds"] = round(max(_number(sign.get("elapsed_seconds")), seen - began, 0.0), 6)
    return told | {name: sign[name] for name in ("cpu_seconds",) if _number(sign.get(name))}


def _last_change(folder: Path) -> float:
    """When something in a folder was last written, as far as a bounded look tells."""
    newest, left = 0.0, _MOST_LOOKED_AT
    for place, _, names in os.walk(folder):
        for path in (place, *(os.path.join(place, name) for name in names)):
            with contextlib.suppress(OSError):
                newest = max(newest, os.lstat(path).st_mtime)
            left -= 1
        if left < 0:
            break
    return newest


def now_text() -> str:
    """The present moment, as it is noted."""
    return _text_of(time.time())


def _text_of(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="microseconds")


def _seconds(text: object) -> float:
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and value >= 0 else 0.0


def is_folder(path: Path) -> bool:
    """Whether a folder stands there, and no link to one."""
    return path.is_dir() and not path.is_symlink()
