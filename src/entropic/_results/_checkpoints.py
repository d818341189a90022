"""
What runs have saved, so that the next attempt carries on: a place for each, with a note of what it is of.

A place appears whole, by a renaming, and goes by one: what is half made or half removed is never taken for one. It is
locked by the attempt that uses it, and by the programs which that has started, so no two ever write to one. The system
frees the lock however they end.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from .. import _log
from .._fs import (
    group_rights,
    host_name,
    is_abandoned,
    is_linked,
    make_shared_folder,
    own_entries,
    remove,
    replacing,
    share_file,
    share_tree,
    sync,
)
from ._attempts import ATTEMPTS, FILES, KILLED, LOCK, NOTE, is_folder, now_text, read_attempts, read_checkpoint_note
from ._checkpoint_lock import CheckpointLock
from ._layout import Layout

_DRAFT, _GONE = "new.", "gone."
_LOOK_SECONDS = 0.05
_SILENT_SECONDS = 5.0
_SIGN_BYTES = 160
SPOILED = "spoiled"
_UNLOCKED_DRAFT_SECONDS = 3600.0

Verdict = Literal["same", "other code", "other run"]


class CheckpointArea:
    """
    The places of one results folder.

    Args:
        layout: Of the folder.
        durable: Sync what is noted of a place before it appears.
    """

    def __init__(self, layout: Layout, *, durable: bool) -> None:
        self._folder = layout.checkpoints
        self._durable = durable

    def take(
        self,
        params_hash: str,
        note: Mapping[str, Any],
        judge: Callable[[Mapping[str, Any]], Verdict],
        *,
        patience_seconds: float,
    ) -> Checkpoint:
        """
        Take the place of a run, or make it one, and lock it.

        Args:
            params_hash: The key of the run.
            note: What a new place is of.
            judge: Tells of the note of a place whether it is of this run, and of its code.
            patience_seconds: How long to wait for a place that is locked; then a further one is made.

        Raises:
            OSError: None can be made.
        """
        for place in (self._folder, self._folder / params_hash):
            if is_linked(place):
                raise OSError(errno.ELOOP, "it is a link, or the folder around it is", str(place))
        self.clean_up()
        began = time.monotonic()
        is_told = False
        while True:
            found, is_held, of_other_code = self._look(params_hash, judge)
            if found is not None:
                return found
            waited_seconds = time.monotonic() - began
            if not is_held or waited_seconds >= patience_seconds:
                break
            if waited_seconds > _SILENT_SECONDS and not is_told:
                is_told = True
                _log.checkpoint_waited_for(str(self._folder / params_hash), patience_seconds)
            time.sleep(_LOOK_SECONDS)
        made = self._new(params_hash, note, of_other_code)
        made.is_beside_another = is_held
        return made

    def _look(
        self, params_hash: str, judge: Callable[[Mapping[str, Any]], Verdict]
    ) -> tuple[Checkpoint | None, bool, Path | None]:
        """A place that is free, whether one is locked, and the newest one of other code."""
        is_held, of_other_code = False, None
        for place in own_entries(self._folder / params_hash):
            verdict = judge(read_checkpoint_note(place))
            if verdict == "other code":
                of_other_code = place
            if verdict != "same":
                continue
            try:
                lock = CheckpointLock.on(place / LOCK)
            except OSError:
                continue  # another user's, who does not share it
            if lock is None:
                is_held = True
                continue
            try:
                if judge(read_checkpoint_note(place)) == "same" and _has_files(place) and _is_readable(place):
                    return Checkpoint(place, lock), False, None
            except BaseException:
                lock.release()
                raise
            lock.release()
        return None, is_held, of_other_code

    def _new(self, params_hash: str, note: Mapping[str, Any], of_other_code: Path | None) -> Checkpoint:
        draft, lock = self._new_draft()
        try:
            make_shared_folder(draft / FILES)
            self._write(draft / NOTE, json.dumps(note))
            place = self._put_in_place(draft, params_hash)
            return Checkpoint(place, lock, of_other_code)
        except BaseException:
            lock.release()
            _discard(draft)
            raise

    def _new_draft(self) -> tuple[Path, CheckpointLock]:
        while True:
            draft = self._folder / f"{_DRAFT}{os.urandom(8).hex()}"
            try:
                make_shared_folder(draft)
                if (lock := CheckpointLock.on(draft / LOCK)) is not None:
                    return draft, lock
            except FileNotFoundError:
                pass  # a cleaner came before we had locked it, and took us for dead
            except BaseException:
                _discard(draft)
                raise

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        if rights := group_rights(str(path.parent)):
            share_tree(str(path), rights)
        if self._durable:
            sync(str(path))
            sync(str(path.parent))

    def _put_in_place(self, draft: Path, params_hash: str) -> Path:
        folder, number = self._folder / params_hash, 0
        while True:
            number += 1
            place = folder / str(number)
            try:
                os.rename(draft, place)
            except FileNotFoundError:
                make_shared_folder(folder)  # or it went with the last of its places
                number -= 1
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            else:
                if self._durable:
                    sync(str(folder))
                return place

    def clean_up(self) -> None:
        """Remove what was about to appear, or to go, when its process was killed."""
        for path in own_entries(self._folder):
            if path.name.startswith(_GONE):
                _discard(path)
            elif path.name.startswith(_DRAFT):
                _remove_dead_draft(path)


class Checkpoint:
    """
    The place of a run, locked for as long as this attempt lasts.

    Attributes:
        path: The folder that the run is given.
        place: Where it lies.
        earlier: The attempts before this one.
        of_other_code: The newest place of the same run by other code, if this one was made beside it.
        is_beside_another: Whether it was made because another one of the same run was in use.
    """

    is_beside_another = False

    def __init__(self, place: Path, lock: CheckpointLock, of_other_code: Path | None = None) -> None:
        self.place = place
        self.path = place / FILES
        self.of_other_code = of_other_code
        self._lock = lock
        self.earlier = read_attempts(place)

    @property
    def descriptor(self) -> int:
        """What keeps the place locked in a program that inherits it."""
        return self._lock.descriptor

    def begin(self) -> None:
        """
        Note that an attempt begins.

        Raises:
            OSError: It cannot be noted.
        """
        self._close_last()
        began = {"began_at": now_text(), "host": host_name(), "pid": os.getpid()}
        self._append(began)
        self.note_sign_of_life(0.0, None)

    def note_sign_of_life(self, elapsed_seconds: float, cpu_seconds: float | None) -> None:
        """Note that the attempt is alive, in one small write over the last such note."""
        sign = {"seen_at": now_text(), "elapsed_seconds": round(elapsed_seconds, 6)}
        if cpu_seconds is not None:
            sign["cpu_seconds"] = round(cpu_seconds, 6)
        with contextlib.suppress(OSError):
            os.pwrite(self._lock.descriptor, json.dumps(sign).ljust(_SIGN_BYTES).encode(), 0)

    def end(self, outcome: str, elapsed_seconds: float, cpu_seconds: float | None) -> None:
        """Note how the attempt has ended; as far as it can be."""
        ended: dict[str, Any] = {"ended_at": now_text(), "outcome": outcome}
        ended["elapsed_seconds"] = round(elapsed_seconds, 6)
        if cpu_seconds is not None:
            ended["cpu_seconds"] = round(cpu_seconds, 6)
        with contextlib.suppress(OSError):
            self._append(ended)
        if rights := group_rights(str(self.place)):
            share_tree(str(self.place), rights)

    def spoil(self) -> None:
        """Have no attempt carry on from here: what was saved is of what was changed while the run went on."""
        note = {**read_checkpoint_note(self.place), "purpose": SPOILED}
        with contextlib.suppress(OSError), replacing(self.place / NOTE) as draft:
            Path(draft).write_text(json.dumps(note), encoding="utf-8")

    def release(self) -> None:
        """Unlock the place, for the next attempt."""
        self._lock.release()

    def remove(self) -> None:
        """
        Remove the place, in one step as far as others can see.

        Raises:
            OSError: It cannot be removed; it is whole.
        """
        _remove(self.place)

    def _close_last(self) -> None:
        """Note the end of an attempt that was killed, before its sign of life is written over."""
        if self.earlier and self.earlier[-1]["outcome"] == KILLED and "ended_at" not in self.earlier[-1]:
            last = {name: value for name, value in self.earlier[-1].items() if name not in ("began_at", "host", "pid")}
            self._append(last)

    def _append(self, line: Mapping[str, Any]) -> None:
        # What was torn by a full disk, or a power cut, ends here.
        path = self.place / ATTEMPTS
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            status = os.fstat(descriptor)
            share_file(descriptor, str(self.place), status.st_mode)
            os.write(
                descriptor, f"\n{json.dumps(line)}\n".encode() if status.st_size else f"{json.dumps(line)}\n".encode()
            )
        finally:
            os.close(descriptor)


def checkpoint_places(layout: Layout, params_hash: str | None = None) -> list[Path]:
    """All places of runs, by key and number; or those of one key."""
    if params_hash is not None:
        return own_entries(layout.checkpoints / params_hash)
    folders = [path for path in own_entries(layout.checkpoints) if not path.name.startswith((_DRAFT, _GONE))]
    return [place for folder in folders for place in own_entries(folder)]


def is_in_use(place: Path) -> bool:
    """Whether an attempt is under way at a place; what cannot be told counts as in use."""
    return not is_abandoned(place / LOCK) and os.path.lexists(place / LOCK)


def remove_checkpoint(place: Path) -> bool:
    """
    Remove a place, unless an attempt is under way there; tell whether it is gone.

    Raises:
        OSError: It cannot be removed; it is whole.
    """
    lock = CheckpointLock.on(place / LOCK)
    if lock is None:
        return not os.path.lexists(place)
    try:
        _remove(place)
    finally:
        lock.release()
    return True


def _has_files(place: Path) -> bool:
    """Whether the folder that a run is given is there; made anew, if the run has removed it."""
    if not os.path.lexists(place / FILES):
        make_shared_folder(place / FILES)
    return is_folder(place / FILES)


def _is_readable(place: Path) -> bool:
    """Whether we may carry on from here: one of the same group may have been killed before he shared his files."""
    closed = next((path for path in (place / FILES).rglob("*") if not _may_use(path)), None)
    if closed is not None:
        _log.checkpoint_unreadable(str(place), str(closed))
    return closed is None


def _may_use(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK | os.X_OK if path.is_dir() else os.R_OK) or path.is_symlink()


def _remove_dead_draft(draft: Path) -> None:
    """Remove what somebody was making who is gone: nobody holds its lock; or it has none yet, and is old."""
    with contextlib.suppress(OSError):
        is_young = time.time() - draft.lstat().st_mtime < _UNLOCKED_DRAFT_SECONDS
        if is_young and not os.path.lexists(draft / LOCK):
            return
        lock = CheckpointLock.on(draft / LOCK)
        if lock is not None:  # held while we remove it, or its maker might lock it now
            try:
                _discard(draft)
            finally:
                lock.release()


def _remove(place: Path) -> None:
    gone = place.parents[1] / f"{_GONE}{os.urandom(8).hex()}"
    os.rename(place, gone)
    _discard(gone)  # what is left is for the next who cleans up
    with contextlib.suppress(OSError):
        place.parent.rmdir()


def _discard(path: Path) -> None:
    """Remove what nobody may take for a place, as far as it can be: others may be at it too."""
    with contextlib.suppress(OSError):
        remove(path)
