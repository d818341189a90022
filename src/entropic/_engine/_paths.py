"""Where results are: the paths of an index, as users see them, and which of them may be removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .. import _record, _results, query
from .._fs import remember
from .._record import RunRecord, copy_record, handed_out, place_below
from ..index import Index

_MOST_PATHS = 100  # to search for; for more, all records are looked at
_MOST_FOLDERS = 1024
_BESIDE_DATABASES = ("-wal", "-shm", "-journal")


class ResultPaths:
    """
    The paths of one store.

    An index keeps the path of a result inside the results folder relative to it, so that the folder can move. Should
    two stores with different folders share an index, its relative paths are those of the folder that the index
    remembers, for as long as that one exists; the results of the other store are kept by their absolute paths.

    Args:
        results_dir: The results folder of the store, absolute.
        index: Its index.
        is_cache: Whether the folder is a cache of results that are elsewhere, so that each store has one of its own.

    Attributes:
        results_dir: As given.
    """

    def __init__(self, results_dir: Path, index: Index, *, is_cache: bool = False) -> None:
        self.results_dir = results_dir
        self._index = index
        self._base = results_dir if is_cache else None
        self._known_links: _results.ResultLinks | None = None

    def shown(self, record: RunRecord) -> RunRecord:
        """A record of the index as users see it: its path absolute."""
        return copy_record(record, self.absolute(record))

    def seen(self, record: RunRecord) -> RunRecord:
        """As `shown`, of a record that nobody changes, the index included: the two share what they hold."""
        return place_below(record, str(self._relative_to()))

    def handed_out(self, record: RunRecord) -> RunRecord:
        """As `shown`, of a record that nobody changes: what it holds is copied when it is asked for."""
        return handed_out(record, str(self._relative_to()))

    def fields(self, record: RunRecord) -> dict[str, Any]:
        """A record of the index as queries see it."""
        return {**query.fields_of(record), "result_path": str(self.absolute(record))}

    def absolute(self, record: RunRecord) -> Path:
        """Where the result of a record is."""
        return self._relative_to() / record.result_path

    def indexed(self, path: str) -> Path:
        """A path as the index keeps it."""
        if self._relative_to() != self.results_dir:
            return Path(path)
        as_named = _inside(path, str(self.results_dir))
        return as_named or _inside(_real_parent(path), os.path.realpath(self.results_dir)) or Path(path)

    def published(self, name: str) -> str:
        """As `indexed`, for a name in the results folder; as text."""
        return name if self._relative_to() is self.results_dir else f"{self.results_dir}/{name}"

    def files_of(self, record: RunRecord) -> list[Path]:
        """The result of a record, and what its runner wrote beside it."""
        result = self.absolute(record)
        return [result, *(result.parent / name for name in _record.companions_of(record))]

    def require_removable(self, path: Path) -> None:
        """
        Refuse what is not a result of this store.

        Raises:
            ValueError: It lies outside the results folder, links resolved; or it is entropic's own.
        """
        if not self.is_removable(path):
            raise ValueError(
                f"Cannot remove {str(path)!r}: it lies outside the results folder {str(self.results_dir)!r}, or is "
                f"not a result. Nothing has been deleted; delete the record without remove_file=True, and the file by "
                f"hand."
            )

    def is_removable(self, path: Path) -> bool:
        """Whether a path leads into the results folder, links resolved, and not to what is entropic's own in there."""
        return self.removable_test()(path)

    def removable_test(self) -> Callable[[Path], bool]:
        """`is_removable`, for many paths at one time: the links of each folder on the way are resolved once."""
        root, places = os.path.realpath(self.results_dir), _RealPaths()
        own = (os.path.join(root, _results.PRIVATE_FOLDER), *map(os.path.realpath, self.index_files()))

        def test(path: Path) -> bool:
            real = places.of(str(path))
            return _is_below(real, root) and not any(real == place or _is_below(real, place) for place in own)

        return test

    def index_files(self) -> list[Path]:
        """The file of the index, and what a database keeps beside its own while it is open."""
        if self._index.path is None:
            return []
        return [self._index.path, *(Path(f"{self._index.path}{ending}") for ending in _BESIDE_DATABASES)]

    def unused(self, paths: Iterable[Path]) -> dict[Path, bool]:
        """For each path, whether no record needs it, or anything in it or around it; links resolved."""
        places = _RealPaths()
        real = {path: places.named(str(path)) for path in paths}
        touched, needed = _Touched(frozenset(real.values())), set[str]()
        for record in self._may_use(touched.asked):
            for path in map(str, self.files_of(record)):
                # A link that is a result is needed itself, and so is what it leads to.
                for place in {places.named(path), places.of(path)}:
                    needed.update(touched.by(place))
        return {path: place not in needed for path, place in real.items()}

    def _may_use(self, places: Iterable[str]) -> Iterator[RunRecord]:
        """
        Every record of which a file may be at one of some places, in it or around it.

        A record whose path is a bare name, or one in a folder by hash, uses what is there. If that is no link, it is
        something else than a place to which another path leads from the results folder.
        """
        root = os.path.realpath(self.results_dir)
        if os.path.realpath(self._relative_to()) != root or not all(_is_below(place, root) for place in places):
            return self._index.iter()
        links = self._links(root)
        ways = [os.path.relpath(place, root).split(os.sep) for place in places]
        alone = {*links, *(way[0] for way in ways if len(way) == 1)}
        paths = {*links, *(os.path.join(*way[:length]) for way in ways for length in (1, 2))}
        # Whatever lies in a folder by hash that is a link, or is to go itself, is at one of the places.
        is_wide = len(paths) > _MOST_PATHS or any(map(_results.is_shard, alone))
        return self._index.iter() if is_wide else self._index.may_use(paths)

    def _links(self, root: str) -> set[str]:
        if self._known_links is None:
            self._known_links = _results.ResultLinks(root)
        return self._known_links.paths()

    def _relative_to(self) -> Path:
        if self._base is None:
            remembered = self._index.remembered_folder()
            if remembered is None and not (self._index.path and self._index.path.exists()):
                return self.results_dir  # no index yet; whoever makes it decides
            self._base = remembered if remembered is not None and self._is_other(remembered) else self.results_dir
        return self._base

    def _is_other(self, remembered: Path) -> bool:
        """Whether the folder that the index remembers is there, and is another one than that of the store."""
        if not os.path.isdir(remembered) or _is_same(remembered, self.results_dir):
            return False
        identity = self._index.folder_id()
        return identity is None or identity != _results.folder_id(
            self.results_dir
        )  # else it was moved, or copied, to here


def _inside(path: str, folder: str) -> Path | None:
    relative = os.path.relpath(path, folder)
    is_inside = Path(relative).parts[:1] != (os.pardir,) and relative != os.curdir
    return Path(relative) if is_inside else None


class _Touched:
    """
    Which of some paths are another one, lie around it, or (being below a folder) in it.

    Args:
        asked: The paths, links resolved.
    """

    def __init__(self, asked: frozenset[str]) -> None:
        self.asked = asked
        self._around = frozenset(str(above) for path in asked for above in Path(path).parents)
        self._above: dict[str, list[str]] = {}

    def by(self, place: str) -> Iterator[str]:
        """Those that a place touches."""
        if place in self.asked:
            yield place
        if place in self._around:
            yield from (one for one in self.asked if _is_below(one, place))
        folder = os.path.dirname(place)
        if folder not in self._above:
            above = [one for one in map(str, (Path(folder), *Path(folder).parents)) if one in self.asked]
            remember(self._above, folder, above, _MOST_FOLDERS)
        yield from self._above[folder]


class _RealPaths:
    """Paths with the links in them resolved; those on the way to a folder are looked at once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def named(self, path: str) -> str:
        """A path with the links on the way to it resolved, but not the one it may be itself."""
        folder, name = os.path.split(path)
        if folder not in self._folders:
            remember(self._folders, folder, _real(folder), _MOST_FOLDERS)
        return os.path.join(self._folders[folder], name)

    def of(self, path: str) -> str:
        """A path with all links resolved; as it is, if no file can have that name."""
        is_plain = os.path.basename(path) not in ("", os.curdir, os.pardir) and "\0" not in path
        return self.named(path) if is_plain and not os.path.islink(path) else _real(path)


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder + os.sep)


def _is_same(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def _real_parent(path: str) -> str:
    """A path with the links on the way to it resolved, but not the one it may be itself."""
    return os.path.join(_real(os.path.dirname(path)), os.path.basename(path))


def _real(path: str) -> str:
    """A path with all links resolved; as it is, if no file can have that name."""
    try:
        return os.path.realpath(path)
    except ValueError:
        return path
