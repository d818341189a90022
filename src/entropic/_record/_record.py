"""`RunRecord`, and the copies of it that the engine makes."""

# Annotations are evaluated here: the class bears the name of a public module, where nobody could look them up.

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any

from .. import hashing
from .._fs import dataclass, field
from ..hashing import RESERVED, decode, decode_params, encode, fields_text

if TYPE_CHECKING:
    from typing import Protocol

    from ._inputs import RunInput
    from ._reads import ReadFile

    class Pack(Protocol):
        """Holds records, to be made anew when they are looked at."""

        def record(self, place: int) -> "RunRecord":
            """The one at a place."""
            ...


_CONTAINERS = ("params", "metadata", "provenance")
_OFTEN_THE_SAME = frozenset({"function", "code", "host", "user", "python", "platform", "entropic", "command"})
_REQUIRED = ("params_hash", "result_path", "created_at")
_FIELDS = frozenset({*_CONTAINERS, *_REQUIRED})
_PICKLED = ("params_hash", "created_at", *_CONTAINERS)


def _noted(provenance: dict[str, Any]) -> dict[str, Any]:
    """What was noted of a run; names, and texts that most records of an index have in common, are held once."""
    noted = {}
    for name, value in provenance.items():
        kind = type(value)
        if kind is str:
            noted[intern(name)] = intern(value) if name in _OFTEN_THE_SAME else value
        else:
            noted[intern(name)] = decode(value) if kind is dict or kind is list else value
    return noted


def _params_in(document: Mapping[str, Any]) -> dict[str, Any]:
    """The params among the fields of a document, decoded: most are plain, and there are many records."""
    params = {}
    for name, value in document.items():
        if name not in RESERVED:
            kind = type(value)
            params[intern(name)] = decode(value) if kind is dict or kind is list else value
    return params


@dataclass(frozen=True, repr=False)
class RunRecord:
    """
    One run: what it was asked, where its result is, and when it was made.

    Frozen, and every record handed out has containers of its own: changing them changes nothing that is stored. A
    record is a path (`os.PathLike`): ``open(record)`` and ``np.load(record)`` open its result.

    Attributes:
        params: The parameters, normalised: what a fresh run returns equals what a later hit returns.
        result_path: The result file or folder.
        params_hash: The key, 16 hex digits.
        created_at: When the run was recorded, ISO 8601 in UTC.
        metadata: What the user passed, plus ``elapsed_seconds`` for a run.
        provenance: What entropic itself recorded: ``function``, ``version``, ``size_bytes``, ``digest``, and under what
            circumstances; of this the repr shows the function only.

    Example:
        >>> record = RunRecord({"n": 1}, Path("a.csv"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00")
        >>> RunRecord.from_dict(record.to_dict()) == record
        True
        >>> import os
        >>> os.fspath(record)
        'a.csv'
    """

    params: dict[str, Any]
    result_path: Path
    params_hash: str
    created_at: str
    metadata: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        params: dict[str, Any],
        result_path: Path,
        params_hash: str,
        created_at: str,
        metadata: dict[str, Any] | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.__dict__.update(
            params=params,
            result_path=result_path,
            params_hash=params_hash,
            created_at=created_at,
            metadata={} if metadata is None else metadata,
            provenance={} if provenance is None else provenance,
        )

    def __repr__(self) -> str:
        # Without the provenance, which would be two thirds of it; what names the function is worth its place.
        shown = ("params", "result_path", "params_hash", "created_at", "metadata")
        told = [f"{name}={getattr(self, name)!r}" for name in shown]
        function = self.provenance.get("function")
        return f"RunRecord({', '.join([*told, *([f'{function=}'] if function is not None else [])])})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        from ._html import short_text  # loaded by IPython, as is the next one

        printer.text(short_text(self))

    def _repr_html_(self) -> str:
        from ._flat import flatten  # loaded by notebooks, not by every process that looks something up
        from ._html import pairs_as_html

        own: dict[str, Any] = {
            "result_path": str(self.result_path),
            "params_hash": self.params_hash,
            "created_at": self.created_at,
        }
        params = {f"params.{name}": value for name, value in flatten(self.params).items()}
        metadata = {f"metadata.{name}": value for name, value in flatten(self.metadata).items()}
        function: dict[str, Any] = {
            name: self.provenance[name] for name in ("function", "version") if name in self.provenance
        }
        return pairs_as_html({**params, **function, **own, **metadata})

    @property
    def reads(self) -> "list[ReadFile]":
        """
        The files that the run has read, of a function decorated with ``watch_reads=True``; else none.

        With size, time and digest as they were then. What could not be seen is in ``provenance["reads"]["unseen"]``.
        """
        from ._reads import RecordedReads  # read by those who ask

        recorded = RecordedReads.of(self)
        return [] if recorded is None else recorded.placed()

    def __hash__(self) -> int:
        return hash((self.params_hash, self.created_at, self.result_path))

    def __fspath__(self) -> str:
        return path_text(self)

    @property
    def inputs(self) -> "tuple[RunInput, ...]":
        """
        The results of other runs that it was made from: those that were among its parameters.

        Example:
            >>> RunRecord({"n": 1}, Path("a.csv"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00").inputs
            ()
        """
        from ._inputs import inputs_among  # loaded by those who ask

        return inputs_among(self.provenance)

    def __dir__(self) -> list[str]:
        inherited = {name for name in object.__dir__(self) if name.startswith("__") or not name.startswith("_")}
        return sorted(inherited | _FIELDS)

    def to_dict(self) -> dict[str, Any]:
        """
        The document form: one flat, JSON-ready dict, in which the params stand as fields of their own.

        Example:
            >>> record = RunRecord({"n": 1}, Path("a.csv"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00")
            >>> sorted(record.to_dict())
            ['created_at', 'metadata', 'n', 'params_hash', 'result_path']
        """
        params = {name: encode(value) for name, value in self.params.items()}
        return _document(self, encode(self.metadata), encode(self.provenance), params)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RunRecord":
        """
        Read the document form back.

        Args:
            data: A document as `to_dict` made it; ``metadata`` and ``provenance`` may be missing.

        Raises:
            ValueError: A field is missing, or is not of its type.
        """
        if type(data) is not dict and not isinstance(data, Mapping):
            raise ValueError(f"the record is no mapping, but {data!r}")
        for name in _REQUIRED:
            if not isinstance(data.get(name), str):
                raise ValueError(f"the record has no text field {name!r}")
        metadata, provenance = data.get("metadata", {}), data.get("provenance", {})
        if not isinstance(metadata, dict) or not isinstance(provenance, dict):
            raise ValueError("the record's 'metadata' or 'provenance' is not a mapping")
        record = object.__new__(cls)
        record.__dict__.update(
            params=_params_in(data),
            params_hash=data["params_hash"],
            created_at=data["created_at"],
            metadata=decode_params(metadata),
            provenance=_noted(provenance),
            _path=data["result_path"],
        )
        return record

    if not TYPE_CHECKING:  # a type checker has to go on to complain of attributes that do not exist

        def __getattr__(self, name: str) -> Any:
            if "_folded" in self.__dict__ and name in _FIELDS:
                return _unfold(self, name)
            if name == "result_path" and (path := self.__dict__.get("_path")) is not None:
                return self.__dict__.setdefault(name, Path(path))
            source = self.__dict__.get("_copied_from")
            if source is None or name not in _FIELDS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            value = getattr(source, name)
            # Two threads may both copy; setdefault lets one copy win for both.
            return self.__dict__.setdefault(name, hashing.copy_mapping(value) if name in _CONTAINERS else value)

    def __getstate__(self) -> dict[str, Any]:
        own = self.__dict__
        source = own.get("_copied_from", self)
        # What is pickled is a copy: that of a lazy one need not be made before. Nor is the path, which is a text there.
        state = {name: own[name] if name in own else getattr(source, name) for name in _PICKLED}
        given = own.get("result_path", source.__dict__.get("result_path"))
        if given is None or isinstance(given, Path):
            return {**state, "_path": path_text(self)}
        return {**state, "result_path": given}  # a text, say: it stays one


RunRecord.__module__ = "entropic.record"


def _document(
    record: RunRecord, metadata: dict[str, Any], provenance: dict[str, Any], params: dict[str, Any]
) -> dict[str, Any]:
    document = {
        "params_hash": record.params_hash,
        "result_path": path_text(record),
        "created_at": record.created_at,
        "metadata": metadata,
    }
    if provenance:
        document["provenance"] = provenance
    document |= params
    return document


def unfolded_later(pack: "Pack", place: int) -> RunRecord:
    """Return the record at a place of a pack, which is asked for it when it is looked at."""
    record = object.__new__(RunRecord)
    # One attribute, and not by way of ``__dict__``: this would take more than all the rest.
    object.__setattr__(record, "_folded", (pack, place, False))
    return record


def folded_at(record: RunRecord) -> "tuple[Pack, int] | None":
    """Where a record is folded, for as long as none of its containers has been handed out; else None."""
    try:
        pack, place, has_containers = object.__getattribute__(record, "_folded")
    except AttributeError:
        return None
    return None if has_containers else (pack, place)


def _unfold(record: RunRecord, name: str) -> Any:
    """A field of a folded record, which it then has; one of the containers by itself, since they take the most."""
    fields = record.__dict__
    if name == "result_path" and (path := fields.get("_path")) is not None:
        return fields.setdefault(name, Path(path))
    pack, place, _ = fields["_folded"]
    source = pack.record(place)
    if name in _CONTAINERS:
        fields["_folded"] = pack, place, True
        return fields.setdefault(name, getattr(source, name))
    fields.update(params_hash=source.params_hash, created_at=source.created_at, _path=path_text(source))
    return getattr(record, name)


def document_text(record: RunRecord) -> str:
    """The document form as JSON text; the one that `encoded` remembers, if it does."""
    text: str | None = record.__dict__.get("_text")
    if text is None:
        try:
            text = _document_text(record)
        except ValueError:  # a number that JSON has none for
            text = json.dumps(record.to_dict(), allow_nan=False)
    return text


def _document_text(record: RunRecord) -> str:
    provenance, same = record.__dict__.get("_parts") or (record.provenance, "")
    texts = [
        fields_text(
            {"params_hash": record.params_hash, "result_path": path_text(record), "created_at": record.created_at}
        ),
        f'"metadata": {{{fields_text(record.metadata)}}}',
    ]
    if provenance or same:
        texts.append(f'"provenance": {{{", ".join(filter(None, (same, fields_text(provenance))))}}}')
    if record.params:
        texts.append(fields_text(record.params))
    return f"{{{', '.join(texts)}}}"


class encoded:
    """Remembers `document_text` of some records until the end of the block: an index and a journal write the same."""

    def __init__(self, records: Sequence[RunRecord]) -> None:
        self._records = records

    def __enter__(self) -> None:
        for record in self._records:
            record.__dict__["_text"] = document_text(record)

    def __exit__(self, *exception: object) -> None:
        for record in self._records:
            record.__dict__.pop("_text", None)
            record.__dict__.pop("_parts", None)


def path_text(record: RunRecord) -> str:
    """The result path as text; a `Path` is made of it when one is asked for, which takes as long as reading it."""
    fields = record.__dict__
    path: str | None = fields.get("_path") or fields.get("_copied_from", record).__dict__.get("_path")
    return path or str(record.result_path)


def is_pinned(record: RunRecord) -> bool:
    """Whether a run is kept until it is deleted by name; see `entropic.Store.pin`."""
    return record.provenance.get("pinned") is True


def copy_record(record: RunRecord, result_path: Path | None = None) -> RunRecord:
    """Return a record equal to this one (or at another *result_path*) that shares no container with it."""
    return RunRecord(
        params=hashing.copy_mapping(record.params),
        result_path=result_path or record.result_path,
        params_hash=record.params_hash,
        created_at=record.created_at,
        metadata=hashing.copy_mapping(record.metadata),
        provenance=hashing.copy_mapping(record.provenance),
    )


def place_below(record: RunRecord, folder: str) -> RunRecord:
    """Return the same run with its path below a folder, sharing its containers: for records nobody mutates."""
    twin = object.__new__(RunRecord)
    fields, path = twin.__dict__, path_text(record)
    fields.update(record.__dict__)
    fields.pop("result_path", None)
    fields["_path"] = path if path[:1] == "/" else f"{folder}/{path}"
    return twin


def handed_out(record: RunRecord, folder: str) -> RunRecord:
    """As `lazy_copy`, with the path below a folder."""
    twin = object.__new__(RunRecord)
    fields, path = twin.__dict__, path_text(record)
    fields["_copied_from"] = record
    fields["_path"] = path if path[:1] == "/" else f"{folder}/{path}"
    return twin


def lazy_copy(record: RunRecord) -> RunRecord:
    """
    Copy a record that nobody mutates; what it has is taken, its containers copied, when it is asked for.

    A hit hands out such a copy; most of those who get one only want the path.
    """
    # Filled past the frozen __setattr__, which would cost as much as the rest of a hit.
    twin = object.__new__(RunRecord)
    twin.__dict__["_copied_from"] = record
    return twin


def with_params(record: RunRecord, params: dict[str, Any]) -> RunRecord:
    """Return a `lazy_copy` of the same run whose params are written in another form."""
    twin = lazy_copy(record)
    twin.__dict__["_copied_from"] = record.__dict__.get("_copied_from", record)
    twin.__dict__["params"] = params
    return twin


def signature(record: RunRecord) -> tuple[str, str, Path]:
    """What tells one record from another: a nan in it that has been pickled is equal to no other."""
    return record.params_hash, record.created_at, record.result_path


def signature_text(record: RunRecord) -> str:
    """`signature` as one text, for sets of very many."""
    return "\0".join(map(str, signature(record)))
