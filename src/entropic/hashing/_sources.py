"""Input files and results that a run reads: held to what its key was made from, from the run's begin to its end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .._fs import NamedTuple
from ..errors import InputFileChangedError, InputFileError
from ._input_file import InputFile
from ._keys import PLAIN_TYPES, Key
from ._noting import noting
from ._tags import INPUT_TAG, RUN_TAG, is_input, is_run

_NOTHING: contextlib.nullcontext[list[Source]] = contextlib.nullcontext([])


class Source(NamedTuple):
    """
    One thing on disk that a key was made from.

    Attributes:
        place: The parameter it is in, and where in it, as ``meshes[0]`` or ``case.mesh``.
        value: The `InputFile`, or the record of a run.
        digest: What has gone into the key.
    """

    place: str
    value: Any
    digest: str

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.value.name if isinstance(self.value, InputFile) else self.value.result_path.name

    def require_there(self, fetch: Callable[[Any], bool]) -> None:
        """
        Refuse to run with what is gone and cannot be fetched; a key can be made of it, by its recorded digest.

        Raises:
            InputFileError: It is gone.
        """
        record = self.value.record if isinstance(self.value, InputFile) else self.value
        try:
            self._require_there()
        except InputFileError:
            if record is None or not fetch(record):
                raise
            self._require_there()

    def _require_there(self) -> None:
        if not isinstance(self.value, InputFile):
            _run_digest(self.value)
        elif not os.path.exists(self.value):
            raise InputFileError(str(self.value.path), "the result of the run is gone. Run it again.")

    def is_unchanged(self) -> bool:
        """Whether it is there, with the same content."""
        with contextlib.suppress(InputFileError):
            self._require_there()
            value = self.value
            return (value.sha256() if isinstance(value, InputFile) else _run_digest(value)) == self.digest
        return False


def _run_digest(record: Any) -> str:
    from ._runs import run_digest  # loaded by those who pass records

    return run_digest(record, must_exist=True)


def unchanged(
    key: Key, again: Callable[[], Key], fetch: Callable[[Any], bool], besides: Sequence[Source] = ()
) -> contextlib.AbstractContextManager[list[Source]]:
    """
    Hold a run to the input files and results its key was made from, from its begin to its end; yields what they are.

    Args:
        key: The key.
        again: Makes it anew.
        fetch: Has the result of a record here that is not; false if it cannot.
        besides: What else has gone into the key, by way of its identity.

    Raises:
        InputFileChangedError: One has another content now, or none.
        InputFileError: One was gone before; nothing has run.
    """
    asked = [] if PLAIN_TYPES.issuperset(map(type, key.params.values())) else list(_tagged_in(key.params))
    return _held(asked, again, fetch, besides) if asked or besides else _NOTHING


@contextlib.contextmanager
def _held(
    asked: list[tuple[str, str, str]], again: Callable[[], Key], fetch: Callable[[Any], bool], besides: Sequence[Source]
) -> Iterator[list[Source]]:
    sources = _sources(asked, again) if asked else []
    if sources is None:
        raise InputFileChangedError([name for _, name, _ in asked])
    for source in sources:
        source.require_there(fetch)
    _require_unchanged(besides)
    sources = [*sources, *besides]
    yield sources
    # Not by making the key once more: what else is in the arguments, the run may have changed for itself.
    _require_unchanged(sources)


def _require_unchanged(sources: Sequence[Source]) -> None:
    if changed := [source.name for source in sources if not source.is_unchanged()]:
        raise InputFileChangedError(changed)


def sources_of(key: Key, again: Callable[[], Key]) -> list[Source]:
    """The input files and results that a key was made from; none if they are others by now."""
    asked = list(_tagged_in(key.params))
    return (_sources(asked, again) or []) if asked else []


def _sources(asked: list[tuple[str, str, str]], again: Callable[[], Key]) -> list[Source] | None:
    """What is behind a key; None if it is not what the key was made from."""
    with noting() as noted:
        try:
            found = list(_tagged_in(again().params))
        except InputFileError:
            return None
    if [digest for _, _, digest in found] != [digest for _, _, digest in asked]:
        return None
    return list(_placed(found, noted))


def _placed(found: list[tuple[str, str, str]], noted: list[tuple[Any, str]]) -> Iterator[Source]:
    """What was noted, each with its place; by the digest, since sets are not in the order in which they are noted."""
    left = list(noted)
    for place, _, digest in found:
        match = next((one for one in left if one[1] == digest), None)
        if match is not None:  # else it came out of a record, as a description
            left.remove(match)
            yield Source(place, *match)
    for value, digest in left:
        yield Source("", value, digest)


def _tagged_in(normalized: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Place, name and digest of the input files and results in normalised params."""
    if is_input(normalized):
        yield place, normalized[INPUT_TAG]["name"], normalized[INPUT_TAG]["sha256"]
    elif is_run(normalized):
        held = normalized[RUN_TAG]
        yield place, f"the result of {held['function'] or held['params_hash']}", held["digest"]
    elif isinstance(normalized, dict):
        for name, item in normalized.items():
            inner = place if name[:1] == "$" else f"{place}.{name}" if place else name
            yield from _tagged_in(item, inner)
    elif isinstance(normalized, list):
        for at, item in enumerate(normalized):
            if isinstance(item, (dict, list)):
                yield from _tagged_in(item, f"{place}[{at}]")
