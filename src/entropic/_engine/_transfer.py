"""A copy of another store's result, published here under the rules for what may be handed on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .._fs import NamedTuple
from .._record import RunRecord, companions_of, copy_record, listed_members
from .._results import Published, own_parts
from ._arrival import written
from ._parts import Part, Rules, copy_parts
from ._paths import ResultPaths
from ._recorder import Recorder


class Transfer(NamedTuple):
    """
    From one store to another.

    Attributes:
        source: The paths of the store that is read.
        recorder: Publishes here.
        paths: The paths of the store here.
        outside: Whether links that lead out of the other results folder are followed.
        link: Whether files are linked, and not copied; None to link those that nobody may write to.
        is_exact: Whether a result that something was added to, and has no digest to tell it, is refused as well.
    """

    source: ResultPaths
    recorder: Recorder
    paths: ResultPaths
    outside: bool = False
    link: bool | None = False
    is_exact: bool = False

    @contextlib.contextmanager
    def copied(self, record: RunRecord, *, keeps_name: bool = True) -> Iterator[RunRecord]:
        """
        Publish a copy of a result, and yield its record, for the block to insert.

        Args:
            record: As the users of the other store see it.
            keeps_name: Give the copy the same name, where that is free: files that refer to each other go on doing so.

        Raises:
            CannotTakeError: A part of it may not be handed on, or its content is not what was recorded.
            OSError: It cannot be read, or the copy not written.
        """
        stage = self.recorder.open_stage(record.params_hash, *_stem_and_suffix(record.result_path, keeps_name))
        try:
            parts = self.parts(record, stage.path.name)
            written(
                record, stage.path, lambda folder: copy_parts(parts, folder, link=self.link), is_exact=self.is_exact
            )
            published = self.recorder.publish(stage)
            taken = copy_record(published_as(record, published), Path(self.paths.published(published.name)))
            self.recorder.store_away(taken)
            yield taken
        finally:
            stage.discard()

    def parts(self, record: RunRecord, name: str) -> list[Part]:
        """
        What is to be copied, of a result that is to be called *name* and of what lies beside it.

        Raises:
            CannotTakeError: A part of it may not be handed on.
        """
        rules = Rules(self.source, self.outside)
        beside = [record.result_path.with_name(one) for one in companions_of(record)]
        return [
            *rules.parts(record.result_path, name),
            *(part for one in beside for part in rules.parts(one, one.name)),
        ]

    def stays(self, record: RunRecord) -> bool:
        """Whether a result was registered, and stays where it is: it is named by a path that leads there itself."""
        return ".." not in record.result_path.parts and self.source.results_dir not in record.result_path.parents

    def kept_in_place(self, record: RunRecord) -> RunRecord:
        """The record of a result that stays where it is: what it says of objects is not said of those in our bucket."""
        twin = copy_record(record, self.paths.indexed(str(record.result_path)))
        twin.provenance.pop("remote", None)
        return twin


def published_as(record: RunRecord, published: Published) -> RunRecord:
    """Another store's record, with the names that its result has now."""
    twin = copy_record(record, Path(published.name))
    for name in ("siblings", "members", "remote"):
        twin.provenance.pop(name, None)
    members = [[*member[:3], *([] if member[3] is None else [member[3]])] for member in listed_members(record)]
    if members:
        twin.provenance["members"] = members
    if published.siblings:
        twin.provenance["siblings"] = published.siblings
    return twin


def _stem_and_suffix(path: Path, keeps_name: bool) -> tuple[str, str | None]:
    own = own_parts(path.name)
    suffix = own[1] if own else "".join(path.suffixes[-1:])
    return suffix, own[0] if own and keeps_name else None
