"""What is noted of a run while it lasts: with what code, why, under what circumstances, how long and at what cost."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from .._code import Fingerprint, Meter, RunNotes, Unloaded
from .._fs import remember
from .._record import SameFields
from ..hashing import Key, decode_params
from ._staleness import StalenessPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MANY_KINDS = 1024
_NOTHING: dict[str, Any] = {}


class Observation:
    """
    What is noted of one run.

    Args:
        key: The key of the run.
        module: The module of the function that is run.
        policy: What its code means; None for runs that belong to no function.
        notes: Notes where, by whom, with which versions and at what cost it is made; None if that is not wanted.
        reason: Why it runs.

    Attributes:
        tells_circumstances: Whether that is wanted.
        provenance: What has been noted of this run alone.
        code: What is noted of its code.
        same: What is noted of all runs like this one; when it has ended.
        elapsed_seconds: How long it took.
    """

    _code: Fingerprint | None = None
    _unloaded: Sequence[Unloaded] = ()
    _circumstances = _NOTHING
    _meter: Meter | None = None
    _reading: contextlib.AbstractContextManager[dict[str, Any]] | None = None
    _reads: Mapping[str, Any] | None = None
    _is_under_way = False
    _began = elapsed_seconds = 0.0

    def __init__(
        self, key: Key, module: str | None, policy: StalenessPolicy | None, notes: RunNotes | None, reason: str
    ) -> None:
        self._key = key
        self._module = module
        self._policy = policy
        self._notes = notes
        self._reason = reason
        self.tells_circumstances = notes is not None
        self.provenance: dict[str, Any] = {}

    def begin(self) -> None:
        """Note the code and the circumstances, and start the clock."""
        policy, notes = self._policy, self._notes
        self._is_under_way = True
        if policy is not None:
            self._code = policy.before_run()
            if self._code.unloaded:
                self._unloaded = [one for one in self._code.unloaded if not one.is_loaded()]
            self._reading = policy.reading()
            if self._reading is not None:
                self._reads = self._reading.__enter__()
        if notes is not None:
            self._circumstances = notes.before_run(self._module, self._code)
            self._meter = Meter()
            self._meter.begin()
        self._began = time.perf_counter()

    def begin_now(self) -> None:
        """Count its time from now on: what was waited for until now is no part of it."""
        self._began = time.perf_counter()

    def costs_so_far(self) -> tuple[float, float | None]:
        """How long it has taken until now, and how much of the processors, if that is known."""
        cpu_seconds = None if self._meter is None else self._meter.cpu_seconds_so_far()
        return time.perf_counter() - self._began, cpu_seconds

    def stop(self, error: BaseException | None = None) -> None:
        """Stop the clock: the runner has returned, or has raised *error*. To be called again if it was cut short."""
        if not self._is_under_way:
            return
        if self._began:
            self.elapsed_seconds = time.perf_counter() - self._began
            self._began = 0.0
        try:
            if self._meter is not None:
                self._meter.end()
                self.provenance |= self._meter.told()
            reading, self._reading = self._reading, None
            if reading is not None:
                reading.__exit__(None if error is None else type(error), error, None)
        finally:
            if self._meter is not None:
                self._meter.leave()
            self._is_under_way = False
            if self._policy is not None:
                self._policy.note_state_after_run()

    def complete(self, used: Mapping[str, str]) -> None:
        """
        Add what can be told of a run that has returned.

        Args:
            used: The results by earlier code that it has used: of each function, the code.
        """
        if self._reads is not None:
            self.provenance["reads"] = self._reads
        edited = [one.name for one in self._unloaded if one.is_loaded_and_edited()] if self._unloaded else []
        if (used or edited) and self._policy is not None and self._code is not None:
            self._code = self._policy.as_it_ran(self._code, used, edited)
        environment = "" if self._notes is None else self._notes.after_run()
        kind = (self._key.identity.line, self._code, self._place, self._reason, id(self._circumstances), environment)
        same = _same.get(kind)
        if same is None or same.circumstances is not self._circumstances:
            same = _Same(self._told(environment), self._circumstances)
            remember(_same, kind, same, _MANY_KINDS)
        self.same: SameFields = same

    @property
    def code(self) -> dict[str, str]:
        """What is noted of its code."""
        if self._code is None:
            return {}
        told = {"code": self._code.digest, "bytecode": self._code.bytecode}
        return told if self._place is None else {**told, "place": self._place}

    @property
    def _place(self) -> str | None:
        return None if self._policy is None else self._policy.place

    def _told(self, environment: str) -> dict[str, Any]:
        told = {**self._key.identity.fields, **self.code}
        if self._notes is not None:
            told |= {"reason": self._reason, **self._circumstances, "environment": environment}
        return decode_params(told)


class _Same(SameFields):
    """What all runs of one kind have in common, with what it was made from."""

    def __init__(self, fields: dict[str, Any], circumstances: dict[str, Any]) -> None:
        super().__init__(fields)
        self.circumstances = circumstances  # kept, so that no other has its identity


_same: dict[tuple[object, ...], _Same] = {}
