"""
Stores that are only read: asked when ours has no answer, in their order; what they have is fetched and recorded here.

Nothing is written to them, and no lock taken there. What they say is verified: a result that is gone, cut, or not what
its record says is no answer. A store that cannot be read is none either. Both are said once, and the next one is asked.
One that has taken long to fail, such as a server that does not answer, is not asked for a while: not each of a thousand
points waits for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from .._code import Codebook, RunNotes
from .._fs import NamedTuple, status_of, warn
from .._record import RecordedReads, RunRecord, folded
from .._results import folder_id
from .._tables import RecordList, from_store
from ..errors import EntropicError, FallbackWarning, HashCollisionError, IndexCorruptError, IndexVersionError
from ..hashing import Key
from ..index import Index, adapt, is_index_file, open_index, remembered_folder
from ..query import Selection, fields_of
from ._acceptance import run_mark
from ._arrival import require_as_recorded
from ._ending import write_error
from ._finder import Finder
from ._lookup import Candidate, Lookup
from ._parts import CannotTakeError, require_own_key
from ._paths import ResultPaths
from ._recorder import Recorder
from ._settings import Settings
from ._staleness import StalenessPolicy
from ._transfer import Transfer
from ._writer import IndexWriter

if TYPE_CHECKING:
    from ._cache import RunCache

_PAUSE_FACTOR = 10.0
_LONGEST_PAUSE_SECONDS = 60.0
_CANNOT_READ = (OSError, IndexCorruptError, IndexVersionError, HashCollisionError)
_DEFAULT_INDEX = "entropic.json"


class Source:
    """
    A store that is only read.

    Args:
        settings: What it was made with.

    Attributes:
        results_dir: Its results folder.
        index: Its index.
        paths: The paths of its results.
        finder: Looks keys up in it.
        codebook: What it knows of code.
    """

    def __init__(self, settings: Settings) -> None:
        self.results_dir = settings.results_dir
        self.index = adapt(settings.index)
        self.paths = ResultPaths(settings.results_dir, self.index)
        self.finder = Finder(self.index, self.paths, may_change=False)
        self.codebook = Codebook(settings.results_dir)
        self._said: set[str] = set()
        self._asked_again_at = 0.0

    def answer(self, key: Key, policy: StalenessPolicy | None) -> Candidate | None:
        """
        The record that answers a key here, if there is one whose result is whole.

        Raises:
            CodeChangedError: It was made by other code, and *policy* makes an error of that.
        """
        policy = policy and policy.for_runs_in(self.results_dir)
        try:
            found = self.look_up(key, policy)
        except _CANNOT_READ as error:
            self.say(str(error))
            return None
        if found is None:
            return None
        if found.candidate is not None and found.is_broken:
            self.say(f"{found.candidate.path!r}: {found.reason}")
        elif found.candidate is None and self.index.path is not None and not self.index.path.exists():
            self.say(f"there is no index {str(self.index.path)!r}")
        return found.candidate if self.finder.answer(found, key, policy) is not None else None

    def look_up(self, key: Key, policy: StalenessPolicy | None) -> Lookup | None:
        """
        What a key finds here; None if this store has taken long to fail, and is not asked again yet.

        Raises:
            OSError, IndexCorruptError, IndexVersionError: It cannot be read.
            HashCollisionError: The record of this key is of other params, or of another function.
        """
        began = monotonic()
        if began < self._asked_again_at:
            return None
        try:
            return self.finder.look_up(key, policy)
        except _CANNOT_READ:
            ended = monotonic()
            self._asked_again_at = ended + min(_PAUSE_FACTOR * (ended - began), _LONGEST_PAUSE_SECONDS)
            raise

    def say(self, reason: str) -> None:
        """Warn, once, of why this store does not answer."""
        if reason not in self._said:
            self._said.add(reason)
            warn(FallbackWarning(str(self.results_dir), reason), FallbackWarning)


class Found(NamedTuple):
    """What a key finds in another store."""

    source: Source
    candidate: Candidate


class Fallbacks:
    """
    The stores that one store falls back on, and those that these fall back on.

    Args:
        settings: What the store was made with.
        paths: The paths of its results.
        recorder: Publishes its results.
        writer: Changes its index.
        codebook: What it knows of code.
        notes: What it knows of the circumstances of runs.
    """

    def __init__(
        self,
        settings: Settings,
        paths: ResultPaths,
        recorder: Recorder,
        writer: IndexWriter,
        codebook: Codebook,
        notes: RunNotes,
    ) -> None:
        self._sources = [Source(one) for one in _each_once(settings)]
        self._settings = settings
        self._paths = paths
        self._recorder = recorder
        self._writer = writer
        self._codebook = codebook
        self._notes = notes
        self._known_codes: set[object] = set()

    def find(self, key: Key, policy: StalenessPolicy | None) -> Found | None:
        """What a key finds; nothing is written. One look-up in each store that is asked."""
        for source in self._sources:
            candidate = source.answer(key, policy)
            if candidate is not None:
                return Found(source, candidate)
        return None

    def expected(self, key: Key, policy: StalenessPolicy | None) -> Found | None:
        """As `find`, without a warning or an error."""
        is_permitted = policy is not None and policy.on_change in ("warn", "ignore")
        for source in self._sources:
            with contextlib.suppress(*_CANNOT_READ):
                found = source.look_up(key, policy and policy.for_runs_in(source.results_dir))
                if found is None or found.candidate is None:
                    continue
                if found.is_hit or (is_permitted and found.kind == "other code"):
                    return Found(source, found.candidate)
        return None

    def is_of_earlier_code(self, found: Found, key: Key) -> bool:
        """Whether what a key has found was made by code that has changed since."""
        return found.source.finder.is_of_earlier_code(key)

    def fetch(self, found: Found, *, keeps_name: bool = True) -> bool:
        """
        Take over a run: its result, its record, and what is known of its code. False if its result cannot be used.

        Args:
            found: The run.
            keeps_name: As for `Transfer.copied`.

        Raises:
            StoreWriteError: The record cannot be written here.
        """
        source, record = found.source, found.candidate.record
        transfer = Transfer(source.paths, self._recorder, self._paths, link=None, is_exact=True)
        try:
            require_own_key(record)
            self._take_over_code(source, record)
            if transfer.stays(record):
                require_as_recorded(record, record.result_path, is_exact=True)
                self._insert(_with_origin(transfer.kept_in_place(record), source))
                return True
            with transfer.copied(record, keeps_name=keeps_name) as taken:
                self._insert(_with_origin(taken, source))
        except CannotTakeError as reason:
            source.say(f"{str(record.result_path)!r}: {reason}")
            return False
        except EntropicError:
            raise
        except OSError as error:  # should it be ours that cannot be written, the run that follows says so
            source.say(f"{str(record.result_path)!r}: {error}")
            return False
        return True

    def records(self) -> Iterator[RunRecord]:
        """All records of the other stores, as their users see them."""
        for source in self._sources:
            try:
                yield from map(source.paths.shown, source.index.iter())
            except _CANNOT_READ as error:
                source.say(str(error))

    def _insert(self, record: RunRecord) -> None:
        try:
            self._writer.insert(record)
        except EntropicError:
            raise
        except OSError as error:
            place = self._settings.results_dir
            raise write_error("Cannot record the run", error, place, "It is recorded in the other store.") from error

    def _take_over_code(self, source: Source, record: RunRecord) -> None:
        reads = RecordedReads.of(record)
        told = source, record.provenance.get("code"), record.provenance.get("function"), reads and reads.mark
        code, name, data = ([text] if isinstance(text, str) else [] for text in told[1:])
        if told not in self._known_codes or source.codebook.accepted.beginning_with(code + data):
            self._codebook.take_over(source.codebook, code + data, name, frozenset({run_mark(record)}))
            self._known_codes.add(told)
        (self._recorder.notes or self._notes).take_over(RunNotes(source.results_dir), [record.provenance])


def select_with_fallbacks(engine: RunCache, selection: Selection, *, current: bool) -> RecordList:
    """
    Records of the other stores that we do not have, then ours, as a query means them.

    Args:
        engine: Ours.
        selection: Which.
        current: Of each, only what answers: of a point that ours answers, nothing of theirs.
    """
    ours = engine.select(Selection(selection.condition), current=current)
    recorded = ours if current else engine.index.iter()
    known = {record.params_hash if current else _run_of(record) for record in recorded}
    theirs: dict[object, RunRecord] = {}
    for record in engine.fallbacks.records():
        mark = record.params_hash if current else _run_of(record)
        if mark not in known:
            theirs.setdefault(_run_of(record), record)  # of two that have one run, the first one that is asked
    every = [*RecordList(theirs.values()).where(selection.condition), *ours]
    return from_store(folded(selection.arranged(every, fields_of)), engine.origin())


def _run_of(record: RunRecord) -> tuple[str, str]:
    """What tells a run from others, in whichever store it is recorded."""
    return record.params_hash, record.created_at


def _with_origin(record: RunRecord, source: Source) -> RunRecord:
    origin = {
        "results_dir": str(source.results_dir),
        "folder_id": folder_id(source.results_dir),
        "fetched_at": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
    }
    if "origin" in record.provenance:  # it had been fetched before
        origin["origin"] = record.provenance["origin"]
    record.provenance["origin"] = origin
    return record


def _each_once(settings: Settings) -> list[Settings]:
    """The stores to ask, in their order, each followed by those that it falls back on itself."""
    seen, ordered = {_place(settings)}, list[Settings]()
    left = list(reversed(settings.fallback))
    while left:
        one = left.pop()
        if _place(one) not in seen:
            seen.add(_place(one))
            ordered.append(one)
            left += reversed(one.fallback)
    return ordered


def _place(settings: Settings) -> tuple[str, object]:
    index: Index = adapt(settings.index)
    place = os.path.realpath(index.path) if index.path is not None else index.url
    return os.path.realpath(settings.results_dir), place or id(settings.index)


def settings_of(fallback: Iterable[object]) -> tuple[Settings, ...]:
    """
    What the stores were made with that a user names: stores, or paths.

    Raises:
        TypeError: It is one store or path, and not several; or something else.
        ValueError: A path that leads to no index.
    """
    if isinstance(fallback, str | os.PathLike) or not isinstance(fallback, Iterable):
        raise TypeError(f"Cannot fall back on {fallback!r}: give a list of stores or paths, such as [{fallback!r}].")
    return tuple(map(_settings_of, fallback))


def _settings_of(one: object) -> Settings:
    if isinstance(one, Settings):
        return one
    if isinstance(one, str | os.PathLike):
        return _settings_at(os.fspath(one))
    settings = getattr(getattr(one, "_engine", None), "settings", None)
    if not isinstance(settings, Settings):
        raise TypeError(f"Cannot fall back on {one!r}: it is neither a Store nor the path of one.")
    return settings


def _settings_at(path: str) -> Settings:
    if "://" in path:
        raise ValueError(
            f"Cannot fall back on {path!r}: this is a URL. Pass a store: entropic.Store(results_dir, index=URL)."
        )
    place = Path(os.path.abspath(os.path.expanduser(path)))
    index = _index_in(place) if place.is_dir() else place
    folder = remembered_folder(index) or index.parent / "results"
    results_dir = Path(os.path.abspath(folder))
    return Settings(results_dir=results_dir, file_suffix="", index=open_index(None, index, folder))


def _index_in(folder: Path) -> Path:
    """The index in a folder, which may be an export."""
    default = folder / _DEFAULT_INDEX
    found: Sequence[Path] = [default] if status_of(default) else sorted(filter(is_index_file, folder.glob("*.json")))
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        raise ValueError(
            f"Cannot fall back on {str(folder)!r}: it holds no single index ({names}). Name the file of the index."
        )
    return found[0]
