"""
Runs as a Parquet file, for DuckDB, pandas and whatever reads tables: written in parts, so that a million fit.

A parameter is a column of its own: of whole numbers, numbers, texts or truth values, if all runs have such a one, and
of JSON texts otherwise. ``params``, ``metadata`` and ``provenance`` are there as JSON as well, exact and whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from .._fs import chunks, replacing
from .._record import RunRecord, is_utf8, moment_of, seconds_of
from ..errors import MissingExtraError
from ..hashing import encode

if TYPE_CHECKING:
    import pyarrow

_ROWS = 20_000
_LARGEST = 1 << 63
_OWN = ("params_hash", "created_at", "result_path", "function", "elapsed_seconds", "size_bytes", "digest")
_JSON = ("params", "metadata", "provenance")


class _Widened(Exception):
    """A value that does not fit its column: the run was recorded after the columns had been found."""


def write_parquet(records: Callable[[], Iterable[RunRecord]], path: str | os.PathLike[str]) -> int:
    """
    Write runs to a Parquet file, in one step: a crash leaves what was there. Returns how many they are.

    Args:
        records: Hands the runs out, each time it is called: once to find the columns, once to write them.
        path: The file.

    Raises:
        MissingExtraError: pyarrow is not installed (an `ImportError`).
        OSError: The file cannot be written.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Cannot write a Parquet file", "pyarrow", "parquet") from error
    kinds: dict[str, str] = {}
    count = _note_kinds(kinds, records())
    while True:
        try:
            with replacing(path, or_in_place=True) as draft:
                schema = _schema(pyarrow, kinds)
                with pyarrow.parquet.ParquetWriter(draft, schema, compression="zstd") as writer:
                    for rows in _batches(islice(records(), count), kinds):
                        writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema), row_group_size=_ROWS)
            return count
        except _Widened:  # others record meanwhile
            continue


def _note_kinds(kinds: dict[str, str], records: Iterable[RunRecord]) -> int:
    """Find out what the values of each parameter are; how many runs there were."""
    count = 0
    for count, record in enumerate(records, start=1):  # noqa: B007
        for name, value in record.params.items():
            kinds[name] = _wider(kinds.get(name, "null"), _kind(value))
    return count


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is int:
        return "int" if -_LARGEST <= value < _LARGEST else "json"
    if type(value) is str:
        return "text" if is_utf8(value) else "json"
    return {float: "float", bool: "bool"}.get(type(value), "json")


def _wider(one: str, other: str) -> str:
    """What can hold values of both kinds."""
    if "null" in (one, other) or one == other:
        return other if one == "null" else one
    return "float" if {one, other} == {"int", "float"} else "json"


def _schema(pyarrow: Any, kinds: dict[str, str]) -> pyarrow.Schema:
    types = {
        "null": pyarrow.string(),
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "text": pyarrow.string(),
        "json": pyarrow.string(),
    }
    own = {name: pyarrow.string() for name in (*_OWN, *_JSON)}
    own |= {
        "created_at": pyarrow.timestamp("us", tz="UTC"),
        "elapsed_seconds": pyarrow.float64(),
        "size_bytes": pyarrow.int64(),
    }
    fields = [pyarrow.field(column_of(name), types[kind]) for name, kind in kinds.items()]
    return pyarrow.schema([*fields, *(pyarrow.field(name, own[name]) for name in (*_OWN, *_JSON))])


def column_of(name: str) -> str:
    """
    What the column of a parameter is called: like it, unless a column of every table has that name.

    Example:
        >>> column_of("dt"), column_of("digest")
        ('dt', 'params.digest')
    """
    return f"params.{name}" if name in (*_OWN, *_JSON) or name.startswith("params.") else name


def _batches(records: Iterable[RunRecord], kinds: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
    for some in chunks(records, _ROWS):
        before = dict(kinds)
        _note_kinds(kinds, some)
        if kinds != before:
            raise _Widened
        yield [_row(record, kinds) for record in some]


def _row(record: RunRecord, kinds: dict[str, str]) -> dict[str, Any]:
    row = {column_of(name): _cell(value, kinds[name]) for name, value in record.params.items()}
    size_bytes = record.provenance.get("size_bytes")
    own = {
        "params_hash": record.params_hash,
        "created_at": moment_of(record.created_at),
        "result_path": os.fspath(record.result_path),
        "function": _text(record.provenance.get("function")),
        "elapsed_seconds": seconds_of(record.metadata),
        "size_bytes": size_bytes if _kind(size_bytes) == "int" else None,
        "digest": _text(record.provenance.get("digest")),
    }
    return {**row, **own, **{name: _json(getattr(record, name)) for name in _JSON}}


def _cell(value: Any, kind: str) -> Any:
    if value is None:
        return None
    return _json(value) if kind == "json" else float(value) if kind == "float" else value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _json(value: Any) -> str:
    return json.dumps(encode(value))
