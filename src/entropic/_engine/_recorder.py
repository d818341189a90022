"""From a runner that is about to start to its record in the index: stage, run, publish, insert."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import _log
from .._record import RunRecord
from .._results import Published, Stage, StagingArea
from ..errors import (
    AmbiguousResultError,
    EntropicError,
    IndexUnavailableError,
    OtherFolderError,
    ResultMissingError,
    ResultNotSavedError,
    StoreWriteError,
)
from ..hashing import Key, decode_params
from ..index import Index
from ._arguments import checked_metadata
from ._folder import FolderIdentity
from ._lookup import Lookup
from ._manifest import describe_result, has_content
from ._paths import ResultPaths
from ._returned import describe, returned_metadata, write_value
from ._run import Metadata, RunUnderWay, kept_aside, save_of, suffix_of
from ._settings import Settings
from ._staleness import StalenessPolicy
from ._writer import IndexWriter


class Recorder:
    """
    Publishes results and inserts their records.

    Args:
        settings: What the store was made with.
        paths: The paths of its results.
        folder: Whether its results folder is the one of the index.
        writer: What changes the index.
        staging: Its staging places.
        index: Its index.
    """

    def __init__(
        self,
        settings: Settings,
        paths: ResultPaths,
        folder: FolderIdentity,
        writer: IndexWriter,
        staging: StagingArea,
        index: Index,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._index = index
        self._folder = folder
        self._writer = writer
        self._staging = staging

    def require_writable(self) -> None:
        """Refuse before the run what would be refused after it."""
        try:
            self._index.require_writable()
            self._folder.require_own()
            self._staging.prepare()
        except OtherFolderError:
            raise
        except OSError as error:
            place = self._settings.results_dir
            raise write_error("Cannot record a run", error, place, "Nothing has been run.") from error

    @contextlib.contextmanager
    def new_run(
        self, key: Key, work: object, metadata: Metadata, policy: StalenessPolicy | None, found: Lookup
    ) -> Iterator[RunUnderWay]:
        """Stage; hand over to the runner; publish, insert, and put the record on the run."""
        details = checked_metadata(metadata)
        _log.miss(key.params_hash)
        if found.candidate is not None and found.is_broken:
            _log.stale(key.params_hash, found.candidate.path, found.reason)
        stage = self._open_stage(key, suffix_of(work) or self._settings.file_suffix)
        run = RunUnderWay(stage.path, tells_circumstances=self._settings.provenance)
        try:
            with run.told(work, policy, found.reason):
                yield run
        except BaseException:
            self._abandon(stage)
            raise
        if (save := save_of(work)) is not None:
            _save(save, stage, run.returned)
            run.returned = None
        elif not self._settings.allow_empty:  # what a program or a function that breaks off leaves
            _refuse_empty(stage)
        published = self.publish(stage, run.returned)
        if published.siblings:
            run.provenance["siblings"] = published.siblings
        try:
            path = os.path.join(self._settings.results_dir, published.name)
            indexed = self._paths.published(published.name)
            told = {"elapsed_seconds": run.elapsed_seconds, **returned_metadata(run.returned), **details}
            run.record = self.insert(key, path, indexed, told, run.provenance, run.elapsed_seconds)
        finally:
            stage.discard()
        _log.run_completed(key.params_hash, str(run.record.result_path), run.elapsed_seconds)
        if found.candidate is not None and found.is_broken:
            self._writer.delete_stale(found.candidate.stored)

    def publish(self, stage: Stage, returned: object = None) -> Published:
        """Publish what the runner wrote. It has done its work: whatever fails from here on must not cost the result."""
        try:
            return stage.publish()
        except ResultMissingError as error:
            raise _nothing_lost(stage, error, returned) from None
        except AmbiguousResultError as error:
            raise AmbiguousResultError(error.expected, error.found, kept_aside(stage)) from None
        except OSError as error:
            advice = f"What the runner wrote is kept at {kept_aside(stage)!r}."
            raise write_error("Cannot publish the result", error, self._settings.results_dir, advice) from error

    def insert(
        self,
        key: Key,
        path: str,
        indexed_path: Path,
        metadata: dict[str, Any],
        provenance: Mapping[str, Any],
        elapsed_seconds: float = 0.0,
    ) -> RunRecord:
        """Insert the record of a result that stands in its place, and return it as users see it."""
        place: str | os.PathLike[str] = path
        try:
            limit = self._settings.digest_limit(elapsed_seconds)
            told = describe_result(path, provenance.get("siblings", ()), limit)
            provenance = {**key.identity.fields, **told, **provenance}
            record = RunRecord(
                params=decode_params(key.params),
                result_path=indexed_path,
                params_hash=key.params_hash,
                created_at=datetime.now(timezone.utc).isoformat(timespec="microseconds"),
                metadata=metadata,
                provenance=decode_params(provenance),
            )
            place = self._index.path or path
            self._folder.require_own(may_return_identity=False)  # a disk may have been unmounted meanwhile
            self._writer.insert(record)
        except OSError as error:
            if isinstance(error, OtherFolderError):
                self._folder.look_again()
            if isinstance(error, EntropicError) and not isinstance(error, IndexUnavailableError):
                raise
            advice = f"The result is kept at {path!r}: once the cause is gone, register it."
            raise write_error("Cannot record the run", error, place, advice) from error
        except BaseException:
            _log.not_recorded(path)
            raise
        return self._paths.shown(record)

    def _open_stage(self, key: Key, suffix: str) -> Stage:
        try:
            return self._staging.stage(key.params_hash, suffix)
        except OSError as error:
            raise write_error("Cannot make a place for the run", error, self._settings.results_dir) from error

    def _abandon(self, stage: Stage) -> None:
        """Drop unfinished work, or keep it for a look. The runner's own exception is on its way, and stays the one."""
        if self._settings.keep_failed:
            kept_aside(stage)
        stage.discard()


def _save(save: Callable[[Path, object], object], stage: Stage, value: object) -> None:
    """Write what a function has returned; if that cannot be done, it is kept aside."""
    try:
        save(stage.path, value)
    except BaseException as error:
        folder, name = stage.path.parent, ""
        with contextlib.suppress(OSError):
            name = write_value(value, folder)
        kept_at = os.path.join(kept_aside(stage), name)
        if not isinstance(error, Exception):
            raise
        raise ResultNotSavedError(f"{type(error).__name__}: {error}", kept_at) from error


def _refuse_empty(stage: Stage) -> None:
    """
    Keep an empty result aside.

    Raises:
        ResultMissingError: The result is empty.
    """
    try:
        path = str(stage.written())
        if has_content(path):
            return
    except (OSError, EntropicError):
        return  # said by the publication, which asks the same
    reason = (
        f"the result that the runner wrote is empty. What it wrote is kept at {kept_aside(stage)!r}. If an empty "
        f"result is meant, make the store with allow_empty=True."
    )
    raise ResultMissingError(path, "Cannot record the run", reason)


def _nothing_lost(stage: Stage, error: ResultMissingError, returned: object) -> ResultMissingError:
    """The error of a runner that wrote no result; what it has written or returned instead is kept aside."""
    folder, name = stage.path.parent, ""
    if returned is not None:
        with contextlib.suppress(OSError):
            name = write_value(returned, folder)
    if not os.listdir(folder):
        stage.discard()
        return error
    kept_at = kept_aside(stage)
    if not name:
        reason = f"{error.reason} What it wrote instead is kept at {kept_at!r}."
    else:
        reason = (
            f"the runner wrote no result, and returned {describe(returned)}, which is kept at "
            f"{os.path.join(kept_at, name)!r}. Write the result to result_path, or have what is returned written, with "
            f"save= of entropic.cached."
        )
    return ResultMissingError(error.path, error.what, reason)


def write_error(what: str, error: OSError, path: str | os.PathLike[str], advice: str = "") -> StoreWriteError:
    """A failed write, with the place it concerns."""
    return StoreWriteError(what, error, error.filename or path, advice)
