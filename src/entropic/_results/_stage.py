"""One run's private folder, and the step that moves what was written there into the results folder."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._fs import (
    FileContent,
    NamedTuple,
    content_of,
    group_rights,
    move_new,
    process_id,
    remove,
    share_in_group,
    share_tree,
    start_write_back,
    sync,
    sync_tree,
)
from ._failures import keep_folder, write_report
from ._layout import note_of
from ._names import is_own_name, suffix_of, unused_stem
from ._written import missing, result_among

if TYPE_CHECKING:
    from ._sessions import Session
    from ._staging import StagingArea

# To bring less than this to disk takes no longer than to note that a run has ended.
_SYNCED_AT_ONCE_BYTES = 1 << 20


class Written(NamedTuple):
    """
    What a runner wrote, and where, still in its private folder.

    Attributes:
        path: Where.
        status: Of what it is, or leads to.
    """

    path: str
    status: os.stat_result

    @property
    def takes_long(self) -> bool:
        """Whether it takes longer to be brought to disk than a note of it."""
        return stat.S_ISDIR(self.status.st_mode) or self.status.st_size > _SYNCED_AT_ONCE_BYTES


class Published(NamedTuple):
    """
    Where a result now stands.

    Attributes:
        name: Its name in the results folder.
        siblings: The names of what was written beside it.
        content: What it holds, if it is one plain file; None if that is still to be looked at.
    """

    name: str
    siblings: list[str]
    content: FileContent | None = None


class Stage:
    """
    One run's private folder, until it is published, discarded or kept aside.

    Attributes:
        path: Where the runner is to write its result; in ``folder``, which is all its own.
        stem: What the name of its result begins with.
    """

    _seen: tuple[dict[str, os.stat_result], str] | None = None
    _content: FileContent | None = None
    _has_note = _is_on_disk = _is_emptied = False

    def __init__(self, area: StagingArea, session: Session, folder: str, name: str, stem: str) -> None:
        self._area = area
        self._session: Session | None = session  # which lasts until this is done
        self._name = name
        self._owner = process_id()
        self._published: tuple[str, list[tuple[str, str]]] = "", []
        self.folder = f"{area.staging}/{folder}"
        self.stem = stem
        self.path = area.layout.staging / f"{folder}/{name}"

    @property
    def is_durable(self) -> bool:
        """Whether the result is brought to disk before it is published."""
        return self._area.durable

    def note(self, note: Mapping[str, Any]) -> None:
        """
        Note what the run is of, beside the folder: should the process be killed, what the run wrote is kept with it.

        Raises:
            OSError: It cannot be written.
        """
        self._has_note = True
        path = note_of(self.folder)
        Path(path).write_text(json.dumps(note), encoding="utf-8")
        share_in_group(path, os.path.dirname(path))

    def written(self) -> Written:
        """
        What the runner wrote, still in its private folder.

        Raises:
            ResultMissingError: Nothing was written, or a link that leads nowhere.
            AmbiguousResultError: Several things were written, none under the expected name.
        """
        entries, name = self._look()
        path, status = f"{self.folder}/{name}", entries[name]
        if stat.S_ISLNK(status.st_mode):
            try:
                status = os.stat(path)
            except FileNotFoundError:
                raise missing(self.path) from None
        return Written(path, status)

    def start_write_back(self) -> None:
        """Have what the runner wrote be on its way to disk, if it is to be there; see `bring_to_disk`."""
        if self._area.durable:
            for name, status in self._look()[0].items():
                if stat.S_ISREG(status.st_mode):
                    start_write_back(f"{self.folder}/{name}")

    def bring_to_disk(self, digest_up_to_bytes: int | None = -1) -> None:
        """
        Sync what the runner wrote, if durable; what the result holds, if it is a plain file, is read in the same go.

        Args:
            digest_up_to_bytes: A plain file up to this size is digested; None for no limit.

        Raises:
            ResultMissingError, AmbiguousResultError: As `written`.
            OSError: It cannot be synced, or not be read.
        """
        entries, written = self._look()
        if rights := group_rights(self._area.results_dir):
            for name in entries:
                share_tree(f"{self.folder}/{name}", rights)
        self._content = self._brought_to_disk(entries, written, digest_up_to_bytes)
        self._is_on_disk = True

    def publish(self, digest_up_to_bytes: int | None = -1, *, syncs_folder: bool = True) -> Published:
        """
        Move what the runner wrote into the results folder, on disk first if durable. Never over anything there.

        The emptied staging folder stays until `discard`, to say that the result is about to be recorded.

        Args:
            digest_up_to_bytes: As for `bring_to_disk`, which is called first unless it has been.
            syncs_folder: Bring its new name to disk, too, if durable; else that is up to the caller.

        Raises:
            ResultMissingError: Nothing was written.
            AmbiguousResultError: Several things were written, none under the expected name.
            OSError: Syncing or moving failed; nothing is published, and the staging folder is still there.
            RuntimeError: This is a forked child of the process that runs.
        """
        if not self.is_ours():
            raise RuntimeError(
                "Cannot publish the result: this process was forked inside the run, and the run is its parent's. "
                "End a child inside the runner with os._exit, or use multiprocessing."
            )
        if not self._is_on_disk:
            self.bring_to_disk(digest_up_to_bytes)
        entries, written = self._look()
        place = self._area.shards.place_for(self.stem)
        try:
            if len(entries) > 1 and self._area.keeps_together:
                raise FileExistsError
            name, siblings = self._publish_in(place, entries, written, syncs_folder=syncs_folder)
        except FileExistsError:
            # A name is taken where there are companions. What refers to one of them by its name has to find its own.
            in_folder = self._new_run_folder(place)
            name, siblings = self._publish_in(in_folder, entries, written, syncs_folder=syncs_folder)
        self._is_emptied = True
        return Published(name, siblings, self._content)

    def take_back(self) -> None:
        """Undo the publication, as far as that can be done: its place cannot be brought to disk."""
        place, moved = self._published
        self._is_emptied = False
        for name, now in moved:
            with contextlib.suppress(OSError):
                os.rename(f"{place}/{now}", f"{self.folder}/{name}")
        if is_own_name(os.path.basename(place)):
            with contextlib.suppress(OSError):
                os.rmdir(place)

    def _look(self) -> tuple[dict[str, os.stat_result], str]:
        """What the runner wrote, by name, each with its status; and which of it is the result."""
        if self._seen is None:
            folder = self.folder
            names = os.listdir(folder)
            if len(names) > 1:
                names.sort()
            entries = {name: os.lstat(f"{folder}/{name}") for name in names}
            self._seen = entries, result_among(self.path, self._name, entries)
        return self._seen

    def _brought_to_disk(
        self, entries: dict[str, os.stat_result], written: str, digest_up_to_bytes: int | None
    ) -> FileContent | None:
        """Sync what was written, if durable; what the result holds, if it is a plain file, is read in the same go."""
        content = None
        for name, status in entries.items():
            if name == written and stat.S_ISREG(status.st_mode):
                path = f"{self.folder}/{name}"
                content = content_of(path, status, digest_up_to_bytes, syncs=self._area.durable)
            elif self._area.durable:
                sync_tree(f"{self.folder}/{name}", status.st_mode)
        return content

    def _publish_in(
        self, folder: str, entries: dict[str, os.stat_result], written: str, *, syncs_folder: bool
    ) -> tuple[str, list[str]]:
        """Move all that was written into a folder below the results folder, or into that itself; how it is called."""
        results_dir = self._area.results_dir
        place = f"{results_dir}/{folder}" if folder else results_dir
        moved: list[tuple[str, str]] = []  # each as it was called, and as it is
        self._published = place, moved
        try:
            mode = entries[written].st_mode
            for name, status in entries.items():
                if name != written:
                    move_new(f"{self.folder}/{name}", f"{place}/{name}", status.st_mode)
                    moved.append((name, name))
            result = self._move_result(written, mode, place, may_rename=not moved)
            moved.append((written, result))
            if stat.S_ISLNK(mode) and not os.path.exists(f"{place}/{result}"):
                raise missing(self.path)  # it leads into the staging folder
            if self._area.durable and syncs_folder:
                sync(place)
        except BaseException:
            self.take_back()  # a failed publication shows nothing, and loses nothing
            raise
        return f"{folder}/{result}" if folder else result, [name for name, _ in moved[:-1]]

    def _new_run_folder(self, place: str) -> str:
        above = os.path.join(self._area.results_dir, place)
        while True:
            name = unused_stem(above, self.stem.partition("_")[2], "")
            try:
                os.mkdir(os.path.join(above, name))
            except FileExistsError:
                continue
            if self._area.durable:
                sync(above)
            return os.path.join(place, name)

    def discard(self) -> None:
        """Remove the folder and whatever is left in it; not in a forked child, whose parent is still writing there."""
        if not self.is_ours():
            return
        self._remove_note()
        session, self._session = self._session, None
        try:
            if self._is_emptied and session is not None and self._area.keep_for_next(session, self.folder):
                return
        except OSError:
            pass
        try:
            os.rmdir(self.folder)
        except OSError:
            with contextlib.suppress(OSError):
                remove(Path(self.folder))

    def keep_aside(self, report: str, note: Mapping[str, Any]) -> Path:
        """
        Move the folder to where failed runs are kept, with a report and a note; not in a forked child.

        Raises:
            OSError: It cannot be moved; it is where it was.
        """
        if not self.is_ours():
            return self.path.parent
        kept = keep_folder(self._area.layout, self.folder, self.stem)
        write_report(kept, report, note)
        self._remove_note()
        self._session = None
        return kept

    def moved_to(self) -> Path | None:
        """Where the folder is by now, if it was moved together with the results folder while the run went on."""
        layout = self._session.layout_now() if self._session is not None else None
        place = None if layout is None else layout.staging / os.path.basename(self.folder)
        return place if place is not None and place.is_dir() else None

    def _remove_note(self) -> None:
        if self._has_note:
            with contextlib.suppress(OSError):
                os.unlink(note_of(self.folder))
            self._has_note = False

    def is_ours(self) -> bool:
        """Whether this is the process that runs, and no child that was forked inside the run."""
        return process_id() == self._owner

    def _move_result(self, written: str, mode: int, place: str, *, may_rename: bool) -> str:
        source, name = f"{self.folder}/{written}", self._name
        if written != name:
            name = self.stem + suffix_of(written, self.stem, name.removeprefix(self.stem))
        while True:
            try:
                move_new(source, f"{place}/{name}", mode)
                return name
            except FileExistsError:
                if not may_rename:
                    raise
                # Another process, in the same microsecond; or a clock that was set back.
                moment, _, rest = name.partition("_")
                name = f"{float(moment) + 1e-6:.6f}_{rest}"
