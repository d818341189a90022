"""Records that are about to be inserted, and their texts, which an index and a journal write alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..hashing import decode_params, encode, fields_text
from ._record import RunRecord, path_text


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
    same: SameFields | None = None,
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
    if same is None:
        fields["provenance"] = provenance
    else:
        fields["provenance"] = decode_params({**same.fields, **provenance})
        fields["_parts"] = provenance, same.text
    return record


def note_in(record: RunRecord, name: str, value: Any) -> None:
    """Note something in the provenance of a record that is about to be inserted."""
    record.provenance[name] = value
    record.__dict__.pop("_parts", None)


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
