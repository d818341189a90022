"""What runs have saved that are not recorded yet: listed with its size, and removed on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .._engine import RunCache
from .._fs import one_line
from .._record import cell_text, flatten, local_time, moment_of
from .._results import (
    FILES,
    CheckpointArea,
    checkpoint_places,
    is_in_use,
    read_attempts,
    read_checkpoint_note,
    remove_checkpoint,
)
from ..query import Where, predicate
from ._places import decoded_params, noted_moment, size_on_disk


@dataclass(frozen=True)
class CheckpointedRun:
    """
    A run that has saved something in its ``checkpoint_dir``, and is not recorded yet.

    Attributes:
        path: The folder.
        params: Its parameters, as a record would show them; None if they cannot be read.
        params_hash: Its key, 16 hex digits; empty if that is not known.
        function: What is run; None for a plain run, or if it is not known.
        purpose: What was asked for: ``"call"``, ``"run"`` for one more run of a point, ``"replicate 3"``.
        attempts: The attempts until now, the oldest first, as a record would list them.
        last_seen_at: When the last of them ended, or last showed that it was alive; ISO 8601 in UTC.
        size_bytes: What the folder takes.
        is_in_use: Whether an attempt is under way.
    """

    path: Path
    params: dict[str, Any] | None
    params_hash: str
    function: str | None
    purpose: str
    attempts: list[dict[str, Any]]
    last_seen_at: str
    size_bytes: int
    is_in_use: bool

    @property
    def elapsed_seconds(self) -> float:
        """How long all attempts together have taken, as far as that is known."""
        times = (one.get("elapsed_seconds") for one in self.attempts)
        return float(sum(one for one in times if isinstance(one, (int, float))))

    @property
    def state(self) -> str:
        """``"under way"``, ``"not begun"``, or how the last attempt ended, such as ``"stopped"``."""
        if self.is_in_use:
            return "under way"
        return str(self.attempts[-1].get("outcome", "")) if self.attempts else "not begun"

    def remove(self) -> bool:
        """
        Remove the folder, unless an attempt is under way; tell whether it is gone.

        Raises:
            OSError: It cannot be removed.
        """
        return remove_checkpoint(self.path.parent)

    def __hash__(self) -> int:
        return hash(self.path)

    def __str__(self) -> str:
        flat = {} if self.params is None else flatten(self.params)
        point = ", ".join(f"{name}={cell_text(value)}" for name, value in flat.items())
        asked = "" if self.purpose == "call" else self.purpose
        what = " ".join(filter(None, [self.params_hash, self.function, f"({point})" if point else "", asked]))
        count = len(self.attempts)
        tried = f"{count} attempt{'' if count == 1 else 's'}, {self.elapsed_seconds:.1f} s, {self.state}"
        return one_line(f"{local_time(self.last_seen_at)} {what or 'an unknown run'}: {tried}; at {self.path}")


CheckpointedRun.__module__ = "entropic.reports"


def checkpoints(engine: RunCache, where: Where | None = None) -> list[CheckpointedRun]:
    """Runs that have saved something, the longest unseen first; see `entropic.Store.checkpoints`."""
    found = [_read(place) for place in checkpoint_places(engine.staging.layout)]
    if where is not None:
        is_meant = predicate(where)
        found = [one for one in found if one.params is not None and is_meant(_fields(one))]
    return sorted(found, key=lambda one: one.last_seen_at)


def prune_checkpoints(
    engine: RunCache, older_than_seconds: float | None, where: Where | None, *, preview: bool
) -> list[CheckpointedRun]:
    """Remove what runs have saved, and return what that was; see `entropic.Store.prune`."""
    now = datetime.now(timezone.utc)
    found = [one for one in checkpoints(engine, where) if not one.is_in_use]
    if older_than_seconds is not None:
        ages = ((now - (moment_of(one.last_seen_at) or now)).total_seconds() for one in found)
        found = [one for one, age in zip(found, ages, strict=True) if age > older_than_seconds]
    if preview:
        return found
    removed = [one for one in found if one.remove()]
    CheckpointArea(engine.staging.layout, durable=False).clean_up()  # of what others began to remove, and were killed
    return removed


def _fields(run: CheckpointedRun) -> Mapping[str, Any]:
    """What a query can ask of such a run."""
    return {
        **(run.params or {}),
        "params_hash": run.params_hash,
        "created_at": run.last_seen_at,
        "result_path": str(run.path),
        "metadata": {"elapsed_seconds": run.elapsed_seconds},
        "provenance": {"function": run.function},
    }


def _read(place: Path) -> CheckpointedRun:
    note, attempts = read_checkpoint_note(place), read_attempts(place)
    provenance = note.get("provenance")
    function = provenance.get("function") if isinstance(provenance, dict) else None
    return CheckpointedRun(
        path=place / FILES,
        params=decoded_params(note.get("params")),
        params_hash=str(note.get("params_hash", "")),
        function=function if isinstance(function, str) else None,
        purpose=str(note.get("purpose", "")),
        attempts=attempts,
        last_seen_at=_last_seen(attempts, place),
        size_bytes=size_on_disk(place),
        is_in_use=is_in_use(place),
    )


def _last_seen(attempts: list[dict[str, Any]], place: Path) -> str:
    last = attempts[-1] if attempts else {}
    told = next((last[name] for name in ("ended_at", "last_seen_at", "began_at") if name in last), None)
    return noted_moment(told, place)
