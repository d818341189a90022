"""The spot check: recorded runs are run again in a private place, and the results compared. Nothing is replaced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from .._current import CurrentRun, hearing_signals
from .._engine import CannotReplayError, Comparison, RunCache, Work, call_of, given_new_checkpoint
from .._fs import NamedTuple, digest_like, one_line, status_of
from .._record import RunRecord
from .._results import Stage
from ._differences import first_difference

__all__ = ["Reproduction", "ReproductionReport"]

Outcome = Literal["same", "different", "failed", "skipped"]


class Reproduction(NamedTuple):
    """
    What came of running one recorded point again.

    Attributes:
        record: The recorded run.
        outcome: ``"same"``; ``"different"``; ``"failed"``, it raised, or wrote nothing; ``"skipped"``, it could not be
            called again.
        detail: Where the results differ, what it raised, or why it was skipped.
    """

    record: RunRecord
    outcome: Outcome
    detail: str = ""

    def __str__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.record.params.items())
        function = self.record.provenance.get("function", "a plain run")
        told = f"{self.outcome}: {function}({params}) [{self.record.params_hash}] {self.detail}".rstrip()
        return "\n".join(map(one_line, told.splitlines()))


Reproduction.__module__ = "entropic.reports"


class ReproductionReport(list[Reproduction]):
    """What came of a spot check, one `Reproduction` a run; printing it tells the story."""

    @property
    def has_reproduced(self) -> bool:
        """Whether every run that could be called again gave the same result, and there was one."""
        outcomes = {one.outcome for one in self} - {"skipped"}
        return outcomes == {"same"}

    def of(self, outcome: Outcome) -> list[Reproduction]:
        """Those that ended in one way."""
        return [one for one in self if one.outcome == outcome]

    def __str__(self) -> str:
        counted = [f"{len(self.of(name))} {name}" for name in ("same", "different", "failed", "skipped")]
        return "\n".join([f"{len(self)} run(s) checked: {', '.join(counted)}", *map(str, self._worth_telling())])

    def _worth_telling(self) -> list[Reproduction]:
        return [one for one in self if one.outcome != "same"]


ReproductionReport.__module__ = "entropic.reports"


# ---- running again --------------------------------------------------------------------------------------------------


def sample(records: Sequence[RunRecord], fraction: float, seed: int | None) -> list[RunRecord]:
    """
    Draw some records, at least one if there are any, without touching the global random state.

    Raises:
        ValueError: *fraction* is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"Cannot check a fraction of {fraction!r}: give one above 0 and at most 1.")
    import random  # by those who draw; whoever decorates a function shall not pay for it

    count = min(len(records), max(1, round(fraction * len(records))))
    places = sorted(random.Random(seed).sample(range(len(records)), count))
    return [records[place] for place in places]


def stem_of(record: RunRecord) -> str:
    """The name a runner was given for this result, without suffix: results that quote their own name then agree."""
    name = record.result_path.name
    head, found, _ = name.partition(record.params_hash)
    return head + found if found else record.result_path.stem


def reproduce(
    engine: RunCache,
    records: Sequence[RunRecord],
    fraction: float,
    comparison: Comparison | None,
    seed: int | None,
    trusted: Collection[str],
) -> ReproductionReport:
    """
    Run some of the records again, each with the function it names.

    Raises:
        ValueError: *fraction* is not above 0 and at most 1.
    """
    there = [record for record in records if status_of(record.result_path) is not None]
    chosen = sample(there, fraction, seed)
    return ReproductionReport(_reproduced(engine, record, comparison, trusted) for record in chosen)


def run_again(engine: RunCache, record: RunRecord, call: Work, comparison: Comparison | None) -> Reproduction:
    """Make the result of a record anew, in a private place, and compare the two."""
    suffix = call.traits.suffix or engine.settings.file_suffix
    with hearing_signals(), CurrentRun(), given_new_checkpoint(engine.staging, record.params_hash, call):
        stage = engine.staging.stage_again(record.params_hash, suffix, stem_of(record))
        return again(record, engine.paths.files_of(record), call, stage, comparison)


def _reproduced(
    engine: RunCache, record: RunRecord, comparison: Comparison | None, trusted: Collection[str]
) -> Reproduction:
    try:
        call, own_comparison = call_of(record, engine.settings.results_dir, trusted)
    except CannotReplayError as reason:
        return Reproduction(record, "skipped", str(reason))
    return run_again(engine, record, call, comparison or own_comparison)


def again(
    record: RunRecord,
    files: Sequence[Path],
    call: Work,
    stage: Stage,
    comparison: Comparison | None,
) -> Reproduction:
    """
    Run a recorded point once more in a private place, compare, and drop what was made.

    Args:
        record: The run.
        files: Its result, and what was written beside it.
        call: What makes the result anew, given a path.
        stage: Where to.
        comparison: How the two compare; None for byte for byte, and then with all that lies beside them.
    """
    try:
        try:
            returned = call(stage.path)
            if (save := call.traits.save) is not None:
                save(stage.path, returned)
            difference = _difference(record, files, Path(stage.written().path), comparison)
        except Exception as error:  # of the function or of the comparison: told, so that the other runs are checked too
            return Reproduction(record, "failed", f"{type(error).__name__}: {error}")
        return Reproduction(record, "same" if difference is None else "different", difference or "")
    finally:
        stage.discard()


def _difference(record: RunRecord, files: Sequence[Path], made: Path, comparison: Comparison | None) -> str | None:
    if comparison is not None:
        return _difference_by(comparison, files[0], made)
    if told := _difference_of(files[0], made):
        return told + _blame(record, made)
    pairs = ((path, made.parent / path.name) for path in files[1:])
    return next((f"{path.name}: {told}" for path, new in pairs if (told := _difference_of(path, new))), None)


def _difference_by(comparison: Comparison, recorded: Path, made: Path) -> str | None:
    try:
        answer = comparison(recorded, made)
    except AssertionError as error:
        return str(error).strip() or "the comparison says so"
    # An assertion that held has returned None.
    return None if answer is None or answer else "the comparison says so"


def _difference_of(recorded: Path, made: Path) -> str | None:
    for path, missing in ((recorded, "it is gone"), (made, "it was not written again")):
        if status_of(path) is None:
            return missing
    return first_difference(recorded, made)


def _blame(record: RunRecord, made: Path) -> str:
    """Whether it is rather the recorded file that has been changed."""
    digest = record.provenance.get("digest")
    if digest is None or digest_like(digest, str(made)) != digest:
        return ""
    return "; the run reproduces what was recorded, so the file has been changed since"
