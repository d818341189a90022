"""
The attempts at one run: it carries on from what an earlier one has saved, which goes when the run is recorded.

What is saved belongs to the key, to the code, and to what is asked for: an ordinary call, one more run of a point, or
one of its numbered replicates. So an independent run never begins with the work of another one.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import _log
from .._code import Code
from .._current import CurrentRun
from .._fs import process_id, warn
from .._record import RunRecord
from .._results import Checkpoint, CheckpointArea, StagingArea, read_attempts, read_checkpoint_note
from ..errors import EntropicError, InputFileChangedError, RunStopped, StaleCheckpointWarning
from ..hashing import Key
from ._ending import write_error
from ._observation import Observation
from ._staleness import StalenessPolicy
from ._work import Work

_PATIENCE_SECONDS = 120.0  # a server of NFS takes its locks from a lost host after 90 s, as most are set up
_PATIENCE_IN_A_LOOP_SECONDS = 5.0  # an event loop would stand still
_GLANCE_SECONDS = 0.2  # where others may go on beside it: as long as somebody who lists the places may hold one


@contextlib.contextmanager
def given_new_checkpoint(staging: StagingArea, params_hash: str, work: Work) -> Iterator[None]:
    """In the block, what is run only to be compared has a place of its own, new and removed at the end."""
    if not work.traits.takes_checkpoint:
        yield
        return
    area = CheckpointArea(staging.layout, durable=False)
    note = {"purpose": "reproduce", "params_hash": params_hash}
    work.checkpoint = found = area.take(params_hash, note, lambda _: "other run", patience_seconds=0.0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            found.remove()
        found.release()


class Attempt:
    """
    One attempt at a run, which holds the place of its checkpoints.

    Args:
        staging: Of the results folder.
        key: The key of the run.
        work: What is run; it is given the place as ``checkpoint``.
        policy: What its code means for earlier attempts.
        purpose: What is asked for.
        observed: What is noted of the run.
    """

    def __init__(
        self,
        staging: StagingArea,
        key: Key,
        work: Work,
        policy: StalenessPolicy | None,
        purpose: str,
        observed: Observation,
    ) -> None:
        self._area = CheckpointArea(staging.layout, durable=staging.durable)
        self._folder = staging.layout.checkpoints
        self._key = key
        self._work = work
        self._policy = policy
        self._purpose = purpose
        self._observed = observed
        self._owner = process_id()
        self._checkpoint: Checkpoint | None = None
        self._costs: tuple[float, float | None] | None = None

    def begin(self, current: CurrentRun) -> None:
        """
        Take the place; the code of the run has been noted by now.

        Raises:
            StoreWriteError: None can be made.
        """
        self._code = _CodeOfRun(self._policy, self._work, self._observed.code)
        note = self._note()
        try:
            self._checkpoint = found = self._area.take(
                self._key.params_hash, note, self._judge(note), patience_seconds=self._patience_seconds()
            )
            found.begin()
        except OSError as error:
            advice = "Nothing has been run."
            raise write_error("Cannot make a place for checkpoints", error, self._folder, advice) from error
        self._work.checkpoint = found
        current.sign, current.descriptors = self._note_sign_of_life, (found.descriptor,)
        if found.is_beside_another and self._purpose != "run":
            _log.checkpoint_held(str(found.place.parent))
        if found.of_other_code is not None:
            self._warn(found.of_other_code)
        self._observed.begin_now()

    def end(self, error: BaseException | None) -> None:
        """
        Remove the place of a run that is recorded; keep that of one that was not, for the next attempt.

        Args:
            error: Why it was not.
        """
        checkpoint = self._checkpoint
        if checkpoint is None or process_id() != self._owner:  # a child that was forked inside the run
            return
        self._checkpoint = None  # what the run has left behind shows no more signs of life
        try:
            if error is None:
                self._remove(checkpoint)
            else:
                if self._is_spoiled_by(error):
                    checkpoint.spoil()
                checkpoint.end(_outcome_of(error), *self._own_costs())
        finally:
            checkpoint.release()

    def add_earlier(self, observed: Observation) -> None:
        """Add what earlier attempts have cost, and list all of them in the provenance."""
        assert self._checkpoint is not None
        self._costs = self._own_costs()
        elapsed_seconds, cpu_seconds = self._costs
        earlier = self._checkpoint.earlier
        observed.elapsed_seconds += sum(one.get("elapsed_seconds", 0.0) for one in earlier)
        if cpu_seconds is not None:
            observed.provenance["cpu_seconds"] = round(
                sum((one.get("cpu_seconds", 0.0) for one in earlier), cpu_seconds), 6
            )
        if observed.tells_circumstances:
            last = {**read_attempts(self._checkpoint.place)[-1], "outcome": "completed"}
            last.pop("last_seen_at", None)
            last |= {"ended_at": _now(), "elapsed_seconds": round(elapsed_seconds, 6)}
            if cpu_seconds is not None:
                last["cpu_seconds"] = cpu_seconds
            observed.provenance["attempts"] = [*earlier, last]

    def _is_spoiled_by(self, error: BaseException) -> bool:
        """Whether an input file, or what the function closes over, was changed while the run went on."""
        is_ours = type(error) is RuntimeError and self._work.has_ended
        return is_ours or isinstance(error, InputFileChangedError)

    def _patience_seconds(self) -> float:
        if self._purpose == "run":
            return _GLANCE_SECONDS
        return _PATIENCE_IN_A_LOOP_SECONDS if is_in_event_loop() else _PATIENCE_SECONDS

    def _note_sign_of_life(self) -> None:
        checkpoint = self._checkpoint
        if checkpoint is not None and process_id() == self._owner:
            checkpoint.note_sign_of_life(*self._observed.costs_so_far())

    def _own_costs(self) -> tuple[float, float | None]:
        return self._costs or (self._observed.elapsed_seconds, self._observed.provenance.get("cpu_seconds"))

    def _note(self) -> dict[str, Any]:
        """What a new place is of."""
        return {
            "key": _whole_digest(self._key),
            "purpose": self._purpose,
            "params_hash": self._key.params_hash,
            "params": self._key.params,
            "provenance": {**self._key.identity.fields, **self._code.provenance},
        }

    def _judge(self, note: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Any]:
        def judge(found: Mapping[str, Any]) -> str:
            if any(found.get(name) != note[name] for name in ("key", "purpose")):
                return "other run"
            return "same" if self._code.is_that_of(found) else "other code"

        return judge

    def _warn(self, place: Path) -> None:
        note, attempts = read_checkpoint_note(place), read_attempts(place)
        began_at = str(attempts[-1].get("began_at", "")) if attempts else ""
        changes = self._code.changes_since(note)
        warning = StaleCheckpointWarning(self._code.name, changes, began_at, str(place))
        warn(warning, StaleCheckpointWarning)

    def _remove(self, checkpoint: Checkpoint) -> None:
        try:
            checkpoint.remove()
        except OSError as error:
            _log.checkpoint_kept(str(checkpoint.place), error)


class _CodeOfRun:
    """The code that is about to run, beside that of an earlier attempt."""

    def __init__(self, policy: StalenessPolicy | None, work: Work, noted: Mapping[str, Any]) -> None:
        self._policy = policy
        if policy is not None:
            self.name = policy.function_name
            self.provenance = {name: noted[name] for name in ("code", "bytecode", "place") if name in noted}
            return
        function = work.function
        self.name = str(getattr(function, "__qualname__", None) or type(function).__qualname__)
        # That of a program is in its key.
        self.provenance = {} if hasattr(function, "__entropic_identity__") else _code_of(function)

    def is_that_of(self, note: Mapping[str, Any]) -> bool:
        """Whether the code of an earlier attempt is good for the run."""
        recorded = note.get("provenance")
        if not isinstance(recorded, dict):
            return False
        if self._policy is None:
            return any(recorded.get(one) == self.provenance.get(one) for one in ("code", "bytecode"))
        return self._policy.is_current(_as_record(note), self._policy.today())

    def changes_since(self, note: Mapping[str, Any]) -> list[str]:
        """What has changed since an earlier attempt, in words; nothing if that is not known."""
        if self._policy is None:
            return []
        with contextlib.suppress(EntropicError, OSError, KeyError):
            return self._policy.changes_since(_as_record(note))
        return []


def is_in_event_loop() -> bool:
    """Whether an event loop waits for this thread."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def _code_of(runner: Any) -> dict[str, Any]:
    """The fingerprint of a plain runner's code; of what is made of other things, that of what is called."""
    while hasattr(runner, "func") and hasattr(runner, "keywords"):  # functools.partial
        runner = runner.func
    owner = type(getattr(runner, "__self__", None)) if hasattr(runner, "__self__") else None
    function = getattr(runner, "__func__", runner)
    if not hasattr(function, "__code__"):
        owner, function = type(runner), _found_in(type(runner), "__call__")
    if not hasattr(function, "__code__"):  # compiled: its name is all there is
        name = f"{type(runner).__module__}.{type(runner).__qualname__}"
        return {"code": name, "bytecode": name}
    fingerprint = Code(function, owner).before_run()
    return {"code": fingerprint.digest, "bytecode": fingerprint.bytecode}


def _found_in(kind: type, name: str) -> Any:
    """What a class, or one that it derives from, has by a name."""
    return next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)


def _as_record(note: Mapping[str, Any]) -> RunRecord:
    """An earlier attempt in the form in which code is judged."""
    return RunRecord({}, Path(), str(note.get("params_hash")), "", {}, dict(note["provenance"]))


def _whole_digest(key: Key) -> str:
    """All of the digest of which the key shows the beginning: so that two runs of one hash are two."""
    return hashlib.sha256(f"{key.identity.line}\n{key.canonical}".encode("ascii")).hexdigest()


def _outcome_of(error: BaseException) -> str:
    if isinstance(error, RunStopped):
        return "stopped"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"raised {type(error).__qualname__}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")
