"""Records that are about to be inserted."""

from __future__ import annotations

from typing import Any

from ..hashing import decode_params, encode, fields_text
from ._record import RunRecord


class SameFields:
    """
    Fields of the provenance that are the same for many runs.

    Attributes:
        fields: They themselves, as a record holds them; nobody changes them.
        text: The same as JSON in ASCII, without the braces around it.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        self.text = fields_text(encode(fields))


def new_record(
    *,
    params: dict[str, Any],
    path: str,
    params_hash: str,
    created_at: str,
    metadata: dict[str, Any],
    provenance: dict[str, Any],
    same: SameFields,
) -> RunRecord:
    """
    Make a record whose path is a text as yet; see `path_text`.

    Args:
        params: As the record has them; so are the next ones.
        path: Of the result.
        params_hash: The key.
        created_at: When it was recorded.
        metadata: What the user passed.
        provenance: What was noted of this run.
        same: What is noted of many runs alike; until the record is inserted, its text is at hand.
    """
    record = object.__new__(RunRecord)
    fields = record.__dict__
    fields.update(params=params, _path=path, params_hash=params_hash, created_at=created_at, metadata=metadata)
    fields["provenance"] = decode_params({**same.fields, **provenance})
    fields["_parts"] = provenance, same.text
    return record


def note_in(record: RunRecord, name: str, value: Any) -> None:
    """Note something in the provenance of a record that is about to be inserted."""
    record.provenance[name] = value
    record.__dict__.pop("_parts", None)
