"""Runs that earlier releases of entropic have recorded, in a TinyDB file or an SQLite file, taken over as they were."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import _log
from .._engine import RunCache
from .._fs import NamedTuple
from .._record import RunRecord
from .._tables import RecordList
from ..errors import NotImportableError
from ..hashing import RESERVED, make_key

_SQLITE_MARK = b"SQLite format 3\0"
_SQL_FIELDS = frozenset({"id", "result_file", "created_at", "custom_data"})
_JSON_FIELDS = frozenset({"params_hash", "result_path", "created_at"})


class Imported(NamedTuple):
    """
    What came of taking over the runs of an earlier release.

    Attributes:
        taken: The records that were added.
        known: How many were here already.
        missing: The results that are not there any more, as they were recorded; their runs were left out.
    """

    taken: RecordList
    known: int
    missing: list[str]

    def __str__(self) -> str:
        told = f"{len(self.taken)} taken over, {self.known} here already"
        return f"{told}, {len(self.missing)} without result" if self.missing else told


Imported.__module__ = "entropic.reports"


class _Run(NamedTuple):
    params: dict[str, Any]
    result: str
    created_at: str
    metadata: dict[str, Any]


def import_runs(engine: RunCache, path: str | os.PathLike[str]) -> Imported:
    """Take over the runs in a file of an earlier release; see `entropic.Store.import_runs`."""
    source = Path(os.path.abspath(path))
    present = {_mark(record.params_hash, record.created_at, record.result_path) for record in engine.index.iter()}
    taken: list[RunRecord] = []
    known, missing = 0, []
    for run in list(_runs_in(source)):
        place = _found(run.result, source, engine.settings.results_dir)
        if place is None:
            missing.append(run.result)
            continue
        key = make_key(run.params)
        indexed = engine.paths.indexed(place)
        mark = _mark(key.params_hash, run.created_at, indexed)
        if mark in present:
            known += 1
            continue
        present.add(mark)
        taken.append(engine.adopt(key, place, run.metadata, created_at=run.created_at))
    return Imported(RecordList(taken), known, missing)


def _mark(params_hash: str, created_at: str, path: Path) -> tuple[str, str, str]:
    return params_hash, created_at, os.fspath(path)


def _found(result: str, source: Path, results_dir: Path) -> str | None:
    """Where a result is: as it was recorded, beside the file, or in the results folder."""
    path = os.path.expanduser(result)
    places = [path if os.path.isabs(path) else os.path.join(source.parent, path), os.path.abspath(path)]
    places.append(os.path.join(results_dir, os.path.basename(path)))
    return next((os.path.normpath(place) for place in places if os.path.exists(place)), None)


def _runs_in(source: Path) -> Iterator[_Run]:
    with source.open("rb") as file:
        is_sqlite = file.read(len(_SQLITE_MARK)) == _SQLITE_MARK
    for run in _rows_of(source) if is_sqlite else _documents_of(source):
        reserved = RESERVED & run.params.keys()
        if reserved:
            _log.import_passed_over(str(source), f"its parameter {min(reserved)!r} has a name that is reserved")
        else:
            yield run


# ---- the TinyDB file of releases 2.0 and 2.1 ------------------------------------------------------------------------


def _documents_of(source: Path) -> Iterator[_Run]:
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        documents = list(content["_default"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotImportableError(str(source)) from None
    for one in documents:
        if not isinstance(one, Mapping) or not one.keys() >= _JSON_FIELDS:
            _log.import_passed_over(str(source), f"it is no run: {one!r:.80}")
            continue
        params = {name: value for name, value in one.items() if name not in {*_JSON_FIELDS, "metadata", "provenance"}}
        metadata = one.get("metadata")
        told = dict(metadata) if isinstance(metadata, Mapping) else {}
        yield _Run(params, str(one["result_path"]), str(one["created_at"]), told)


# ---- the SQLite file of releases 2.2 and 2.3 ------------------------------------------------------------------------


def _rows_of(source: Path) -> Iterator[_Run]:
    address = f"{source.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found = [(name, kinds) for name in tables if (kinds := _columns_of(database, name)).keys() >= _SQL_FIELDS]
            if not found:
                raise NotImportableError(str(source))
            for table, kinds in found:
                names = ", ".join(map(_quoted, kinds))
                for row in database.execute(f"SELECT {names} FROM {_quoted(table)} ORDER BY created_at, rowid"):
                    yield _run_of(dict(zip(kinds, row, strict=True)), kinds)
    except sqlite3.Error as error:
        raise NotImportableError(str(source), f"SQLite says: {error}") from None


def _columns_of(database: sqlite3.Connection, table: str) -> dict[str, str]:
    """The columns of a table, and what they are declared to hold."""
    return {row[1]: str(row[2]).upper() for row in database.execute(f"PRAGMA table_info({_quoted(table)})")}


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _run_of(row: dict[str, Any], kinds: Mapping[str, str]) -> _Run:
    params = {name: _value(value, kinds[name]) for name, value in row.items() if name not in _SQL_FIELDS}
    metadata = _value(row["custom_data"], "JSON")
    told = dict(metadata) if isinstance(metadata, Mapping) else {}
    return _Run(params, str(row["result_file"]), _moment(str(row["created_at"])), told)


def _value(value: Any, kind: str) -> Any:
    """What SQLite keeps as a number or a text, as what the column was declared to hold."""
    if value is None:
        return None
    if kind.startswith("BOOL"):
        return bool(value)
    if kind.startswith(("FLOAT", "REAL", "DOUBLE", "NUMERIC")) and isinstance(value, int):
        return float(value)
    if kind.startswith("JSON") and isinstance(value, str):
        return json.loads(value)
    if kind.startswith("DATETIME") and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def _moment(text: str) -> str:
    """A moment of the file, which is in UTC and does not say so, as records have it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).isoformat(timespec="microseconds")
