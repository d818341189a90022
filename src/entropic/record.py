"""The memory of one run, its document form in an index, and the list a query returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from .hashing import RESERVED, copy_mapping, decode_params, encode

__all__ = ["RecordList", "RunRecord"]

_CONTAINERS = ("params", "metadata", "provenance")
_REQUIRED = ("params_hash", "result_path", "created_at")


@dataclass(frozen=True)
class RunRecord:
    """
    One run: what it was asked, where its result is, and when it was made.

    Frozen, and every record handed out has containers of its own: changing them changes nothing that is stored.

    Attributes:
        params: The parameters, normalised: what a fresh run returns equals what a later hit returns.
        result_path: The result file or folder.
        params_hash: The key, 16 hex digits.
        created_at: When the run was recorded, ISO 8601 in UTC.
        metadata: What the user passed, plus ``elapsed_seconds`` for a run.
        provenance: What entropic itself recorded, such as ``function``, ``version``, ``size_bytes``, ``digest``.

    Example:
        >>> record = RunRecord({"n": 1}, Path("a.csv"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00")
        >>> RunRecord.from_dict(record.to_dict()) == record
        True
    """

    params: dict[str, Any]
    result_path: Path
    params_hash: str
    created_at: str
    metadata: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.params_hash, self.created_at, self.result_path))

    def to_dict(self) -> dict[str, Any]:
        """
        The document form: one flat, JSON-ready dict, in which the params stand as fields of their own.

        Example:
            >>> record = RunRecord({"n": 1}, Path("a.csv"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00")
            >>> sorted(record.to_dict())
            ['created_at', 'metadata', 'n', 'params_hash', 'result_path']
        """
        document: dict[str, Any] = {
            "params_hash": self.params_hash,
            "result_path": str(self.result_path),
            "created_at": self.created_at,
            "metadata": encode(self.metadata),
        }
        if self.provenance:
            document["provenance"] = encode(self.provenance)
        for name, value in self.params.items():
            document[name] = encode(value)
        return document

    def fields(self) -> dict[str, Any]:
        """The fields of `to_dict` as they are in the record, not copied: what queries look at."""
        return {
            **self.params,
            "params_hash": self.params_hash,
            "result_path": str(self.result_path),
            "created_at": self.created_at,
            "metadata": self.metadata,
            "provenance": self.provenance,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunRecord:
        """
        Read the document form back.

        Args:
            data: A document as `to_dict` made it; ``metadata`` and ``provenance`` may be missing.

        Raises:
            ValueError: A field is missing, or is not of its type.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"the record is no mapping, but {data!r}")
        for name in _REQUIRED:
            if not isinstance(data.get(name), str):
                raise ValueError(f"the record has no text field {name!r}")
        metadata, provenance = data.get("metadata", {}), data.get("provenance", {})
        if not isinstance(metadata, dict) or not isinstance(provenance, dict):
            raise ValueError("the record's 'metadata' or 'provenance' is not a mapping")
        return cls(
            params=decode_params({name: value for name, value in data.items() if name not in RESERVED}),
            result_path=Path(data["result_path"]),
            params_hash=data["params_hash"],
            created_at=data["created_at"],
            metadata=decode_params(metadata),
            provenance=decode_params(provenance),
        )

    def copied(self, result_path: Path | None = None) -> RunRecord:
        """A record equal to this one (or at another *result_path*) that shares no container with it."""
        return RunRecord(
            params=copy_mapping(self.params),
            result_path=result_path or self.result_path,
            params_hash=self.params_hash,
            created_at=self.created_at,
            metadata=copy_mapping(self.metadata),
            provenance=copy_mapping(self.provenance),
        )

    def handed_out(self) -> RunRecord:
        """
        As `copied`, for a record that nobody will change: its containers are copied when they are asked for.

        A hit hands out such a copy; most of those who get one only want the path.
        """
        # Filled past the frozen __setattr__, which would cost as much as the rest of a hit.
        twin = object.__new__(RunRecord)
        fields = twin.__dict__
        fields["result_path"] = self.result_path
        fields["params_hash"] = self.params_hash
        fields["created_at"] = self.created_at
        fields["_copied_from"] = self
        return twin

    if not TYPE_CHECKING:  # a type checker shall go on to complain of attributes that do not exist

        def __getattr__(self, name: str) -> Any:
            source = self.__dict__.get("_copied_from")
            if source is None or name not in _CONTAINERS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            # Two threads may both copy; setdefault lets one copy win for both.
            return self.__dict__.setdefault(name, copy_mapping(getattr(source, name)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class RecordList(list[RunRecord]):
    """
    Runs, oldest first: a real list whose slices stay record lists.

    Example:
        >>> RecordList()
        RecordList of 0 runs
    """

    def __init__(self, records: Iterable[RunRecord] = ()) -> None:
        super().__init__(records)

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> RunRecord: ...

    @overload
    def __getitem__(self, place: slice, /) -> RecordList: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> RunRecord | RecordList:
        if isinstance(place, slice):
            return RecordList(super().__getitem__(place))
        return super().__getitem__(place)

    def __repr__(self) -> str:
        shown = "".join(f"\n  {_one_line(record)}" for record in self[:20])
        rest = f"\n  ... and {len(self) - 20} more" if len(self) > 20 else ""
        return f"RecordList of {len(self)} run{'' if len(self) == 1 else 's'}{shown}{rest}"


def _one_line(record: RunRecord) -> str:
    params = ", ".join(f"{name}={value!r}" for name, value in record.params.items())
    return f"{record.params_hash}  {record.created_at[:19]}  {params}  -> {record.result_path.name}"
