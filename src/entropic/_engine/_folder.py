"""Whether the results folder of a store is the one that its index belongs to."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from .._results import Layout, folder_id, give_folder_id, is_folder_id, own_parts, own_results, seal_of
from ..errors import OtherFolderError, StoreWriteError
from ..index import Index
from ._settings import Settings


class FolderIdentity:
    """
    Refuses to run where results would go into a folder that only looks like the one of the index.

    A disk that is not mounted leaves an empty folder at its place, and a node of a cluster may have a folder of its own
    under a path that all nodes have. Runs made there would replace records whose results are whole, elsewhere.

    Args:
        settings: What the store was made with.
        index: Its index.
        remote_identity: For a folder that is a cache: the identity of the place that results are kept at, which is
            given the one it is called with if it has none.
    """

    def __init__(
        self, settings: Settings, index: Index, remote_identity: Callable[[str | None], str] | None = None
    ) -> None:
        self._remote_identity = remote_identity
        self._results_dir = settings.results_dir
        self._place = os.fspath(settings.results_dir)
        self._durable = settings.durable
        self._index = index
        self._seal: tuple[int, int] | None = None

    def require_own(self, *, may_return_identity: bool = True) -> None:
        """
        Give the folder an identity, if neither it nor the index has one. One ``stat``, once that is done.

        Args:
            may_return_identity: Whether a folder with recorded results, from which our private folder was removed, is
                given the identity of the index again. Not after a run, which may be told of no such folder before.

        Raises:
            OtherFolderError: The index belongs to another folder that should be at this place (an `OSError`).
            StoreWriteError: A link stands where a private folder of ours should be.
            OSError: The folder cannot be written.
        """
        if self._seal is not None and self._seal == seal_of(self._place):
            return
        require_no_links(self._results_dir)
        if self._remote_identity is not None:
            self._require_cache_of(self._remote_identity)
            return
        remembered, found = self._remembered(), folder_id(self._results_dir)
        if may_return_identity and remembered is not None and found is None and self._has_recorded_results():
            found = give_folder_id(self._results_dir, remembered, durable=self._durable)  # ours was removed from it
        if remembered is not None and found != remembered and self._is_at_remembered_place():
            raise OtherFolderError(str(self._results_dir), repr(self._index), lacks_identity=found is None)
        if found is None:
            found = give_folder_id(self._results_dir, durable=self._durable)
        self._index.remember_folder_id(found)
        self._seal = seal_of(self._place)

    def _require_cache_of(self, remote_identity: Callable[[str | None], str]) -> None:
        """Of the index, the folder and the place that results are kept at, all that have an identity have the same."""
        found = folder_id(self._results_dir)
        identity = remote_identity(self._remembered() or found)
        found = found or give_folder_id(self._results_dir, identity, durable=self._durable)
        remote_identity(found)
        self._index.remember_folder_id(identity)
        self._seal = seal_of(self._place)

    def look_again(self) -> None:
        """Compare the identities anew before the next run: the index has turned out to belong to another folder."""
        self._seal = None

    def adopt(self) -> bool:
        """Let the folder bear the identity that the index remembers, if it bears none; tell whether that was so."""
        remembered = self._remembered()
        if remembered is None or folder_id(self._results_dir) is not None:
            return False
        require_no_links(self._results_dir)
        give_folder_id(self._results_dir, remembered, durable=self._durable)
        return True

    def _remembered(self) -> str | None:
        identity = self._index.folder_id()
        return identity if identity is not None and is_folder_id(identity) else None

    def _has_recorded_results(self) -> bool:
        """
        Whether results of the index lie in the folder, so that it is no empty mount point.

        One that is not recorded speaks for any folder: a run that began as the disk went away has left it there.
        """
        try:
            return any(self._is_recorded(name) for name in map(os.path.basename, own_results(self._results_dir)))
        except OSError:
            return False

    def _is_recorded(self, name: str) -> bool:
        stem, _ = own_parts(name) or ("", "")
        same = self._index.find_all_by_hash(stem.rpartition("_")[2])
        return any(os.path.basename(record.result_path) == name for record in same)

    def _is_at_remembered_place(self) -> bool:
        place = self._index.remembered_folder()
        if place is None or not os.path.isdir(place):
            return True
        return os.path.realpath(place) == os.path.realpath(self._results_dir)


def require_no_links(results_dir: Path) -> None:
    """
    Refuse a folder that came with links in the place of our own folders in it, to be filled or cleaned elsewhere.

    Raises:
        StoreWriteError: There is one.
    """
    foreign = Layout(results_dir).foreign()
    if foreign is not None:
        error = OSError(errno.ELOOP, "it is a link", str(foreign))
        advice = f"It leads to {os.path.realpath(foreign)!r}. Nothing has been done there; remove the link."
        raise StoreWriteError("Cannot use the results folder", error, foreign, advice)
