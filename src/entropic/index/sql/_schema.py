"""
The tables of an SQL index, and what a record becomes in them.

What counts is one column, ``document``: the record as JSON text in ASCII, exactly as it was. The others are there to
search by, and for whoever reads the tables with tools of their own. In them floats are rounded as in keys, and
characters that a database refuses (NUL, halves of surrogate pairs) are replaced. So whatever is equal in a record is
equal there, though not the other way round: what a database finds is asked once more of the record itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..._record import RunRecord
from ...errors import IndexVersionError
from ...hashing import canonical, encode, rounded

VERSION = 1
"""Of the tables below; written beside them."""

_REFUSED = re.compile("[\0\ud800-\udfff]")
REPLACEMENT = "\ufffd"
_JSON = JSON().with_variant(JSONB(), "postgresql")

tables = MetaData()

schema = Table("entropic_schema", tables, Column("version", Integer, primary_key=True, autoincrement=False))

settings = Table(
    "entropic_settings",
    tables,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "entropic_runs",
    tables,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),  # the order
    Column("uid", String(32), nullable=False, unique=True),  # of this insert: one that is repeated is no second one
    Column("params_hash", Text, nullable=False),
    Column("result_path", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("params", _JSON, nullable=False),
    Column("metadata", _JSON, nullable=False),
    Column("provenance", _JSON, nullable=False),
    Column("document", Text, nullable=False),
    sqlite_autoincrement=True,  # an id is never given again
)
Index("entropic_runs_by_hash", runs.c.params_hash, runs.c.id)

# PostgreSQL answers equalities from an index over the JSON; without a list of latest entries, which every query would
# have to read through. SQLite has none such: there, every value of every parameter has an entry of its own.
params_index = Index(
    "entropic_runs_by_params",
    runs.c.params,
    postgresql_using="gin",
    postgresql_ops={"params": "jsonb_path_ops"},
    postgresql_with={"fastupdate": "off"},
).ddl_if(dialect="postgresql")

tokens = Table(
    "entropic_tokens",
    tables,
    Column("token", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("run_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

leases = Table(
    "entropic_leases",
    tables,
    Column("params_hash", Text, primary_key=True),
    Column("token", String(32), nullable=False),  # of one claim
    Column("holder", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),  # by the clock of the server
)

# What is asked for again and again: the runs of a function, and of a time. PostgreSQL refuses long texts in an index;
# and the language of the database may have another order than Python.
TIME_KEY = 'left(entropic_runs.created_at, 64) COLLATE "C"'
FUNCTION_KEY = "left(jsonb_extract_path_text(entropic_runs.provenance, 'function'), 200)"
KEY_LENGTHS = {TIME_KEY: 64, FUNCTION_KEY: 200}
PATH_KEY = {"sqlite": "result_path", "postgresql": "left(entropic_runs.result_path, 200)"}
PATH_LENGTH = 200
# Results whose files cannot be told from their path: more than a bare name, or such a name in a folder by hash. They
# are few, as a rule, and looked at before a file is removed.
_DIGITS = ", ".join(f"'{digit}'" for digit in "0123456789abcdef")
_IN_FOLDER = " AND ".join(f"substr(result_path, {place}, 1) IN ({_DIGITS})" for place in (1, 2))
_NAME = f"CASE WHEN {_IN_FOLDER} AND substr(result_path, 3, 1) = '/' THEN substr(result_path, 4) ELSE result_path END"
_SIBLINGS = "'\"siblings\"'"
ELSEWHERE = {
    kind: f"({find}({_NAME}, '/') > 0 OR {find}({_NAME}, {make}(92)) > 0 OR {find}(document, {_SIBLINGS}) > 0)"
    for kind, find, make in (("sqlite", "instr", "char"), ("postgresql", "strpos", "chr"))
}
LAST_INDEX = "entropic_runs_elsewhere"
_FURTHER_INDEXES = {
    "sqlite": {
        "entropic_runs_by_time": "(created_at, id)",
        # The params of all runs are looked through without their documents, which are ten times as long.
        "entropic_runs_by_params": "(params)",
        "entropic_runs_by_path": f"({PATH_KEY['sqlite']})",
        LAST_INDEX: f"(id) WHERE {ELSEWHERE['sqlite']}",
    },
    "postgresql": {
        "entropic_runs_by_time": f"(({TIME_KEY}), id)",
        "entropic_runs_by_function": f"(({FUNCTION_KEY}), id)",
        "entropic_runs_by_beginning": "(params_hash text_pattern_ops)",
        "entropic_runs_by_path": f"(({PATH_KEY['postgresql']}))",
        LAST_INDEX: f"(id) WHERE {ELSEWHERE['postgresql']}",
    },
}


def has_tables(connection: Connection, place: str) -> bool:
    """
    Whether the tables are there, in a form that we know.

    Raises:
        IndexVersionError: They are of a later version.
    """
    if not inspect(connection).has_table(schema.name):
        return False
    return require_known(connection.execute(select(func.max(schema.c.version))).scalar_one(), place)


def require_known(version: int | None, place: str) -> bool:
    """
    Whether the tables have a version.

    Raises:
        IndexVersionError: It is a later one than ours.
    """
    if version is not None and version > VERSION:
        raise IndexVersionError(place, version, VERSION)
    return version is not None


def make_tables(connection: Connection, place: str) -> None:
    """
    Make the tables, or what an earlier release has not made of them; nobody else must be about it at the same time.

    An earlier release goes on to work beside us: what it knows stays as it is.
    """
    kind = connection.dialect.name
    unneeded = leases if kind == "sqlite" else tokens
    is_new = not has_tables(connection, place)
    tables.create_all(connection, tables=[table for table in tables.sorted_tables if table is not unneeded])
    for name, columns in _FURTHER_INDEXES[kind].items():
        connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {name} ON {runs.name} {columns}")
    if is_new:
        connection.execute(insert(schema).values(version=VERSION))


# ---- a record as a row ----------------------------------------------------------------------------------------------


def row_of(record: RunRecord) -> dict[str, Any]:
    """A record as a new row of ``entropic_runs``."""
    return {
        "uid": uuid.uuid4().hex,
        "params_hash": searchable(record.params_hash),
        "result_path": searchable(str(record.result_path)),
        "created_at": searchable(record.created_at),
        "params": searchable_mapping(record.params),
        "metadata": searchable_mapping(record.metadata),
        "provenance": searchable_mapping(record.provenance),
        "document": json.dumps(record.to_dict(), separators=(",", ":")),
    }


def record_of(document: str) -> RunRecord:
    """
    The record that a document tells, exactly as it was.

    Raises:
        ValueError: It is no record: the table was edited.
    """
    return RunRecord.from_dict(json.loads(document))


def searchable_mapping(mapping: dict[str, Any]) -> dict[str, Any]:
    """Every value of a mapping of a record, as the database searches it."""
    return {searchable(name): searchable(value) for name, value in mapping.items()}


def searchable(value: Any) -> Any:
    """A value as the database searches it; equal for all values that a query takes for equal."""
    kind = type(value)
    if kind is str:
        return _REFUSED.sub(REPLACEMENT, value)
    if kind is float:
        return rounded(value) + 0.0 if math.isfinite(value) else encode(value)
    if kind is dict:
        return {searchable(name): searchable(item) for name, item in value.items()}
    if kind is list:
        return [searchable(item) for item in value]
    return value


# ---- tokens ---------------------------------------------------------------------------------------------------------


def token_of(name: str, value: Any) -> int:
    """A number for a (perhaps dotted) name and the value found under it; two may share one, very rarely."""
    text = f"{json.dumps(name)}={canonical(value)}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


def tokens_of(record: RunRecord) -> set[int]:
    """The tokens of all that a name can lead to in the params, and of the function."""
    found = {token_of(name, value) for name, value in _named_values(record.params)}
    if "function" in record.provenance:
        found.add(token_of("provenance.function", record.provenance["function"]))
    return found


def _named_values(mapping: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        yield f"{prefix}{name}", value
        if type(value) is dict:
            yield from _named_values(value, f"{prefix}{name}.")
