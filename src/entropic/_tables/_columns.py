"""The one tabulation: which columns a list of runs has, and what is in them. All views are made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._record import RunRecord, flatten, is_pinned, path_text, read_through

PARAM, OWN, METADATA, PROVENANCE = "param", "record", "metadata", "provenance"
_CODE_DIGITS = 8
_MEASURED = "elapsed_seconds"
_HEADS = ("function", "version", "pinned", "size_bytes")


class Table:
    """
    Rows that need not have all columns.

    Attributes:
        columns: The names of the columns, in their order.
        rows: What is in each; a column that is missing is empty.
        groups: Where the columns of runs come from: ``param``, ``record``, ``metadata`` or ``provenance``.
        fields: What a column holds that is no parameter, where its name was taken.
        points: The parameters of each run, as its record has them.
    """

    def __init__(self, columns: Iterable[str] = (), rows: Iterable[dict[str, Any]] = ()) -> None:
        self.columns = [*columns]
        self.rows = [*rows]
        self.groups: dict[str, str] = {}
        self.fields: dict[str, str] = {}
        self.points: list[dict[str, Any]] = []

    def with_rows(self, rows: list[dict[str, Any]]) -> Table:
        """The same columns, with other rows."""
        other = Table(self.columns, rows)
        other.groups, other.fields, other.points = self.groups, self.fields, self.points
        return other

    def own(self, name: str) -> str | None:
        """Return the column that holds a field of the records; None if there is none."""
        return next((one for one in self.columns if self.groups.get(one) == OWN and self.fields[one] == name), None)

    def add_columns(
        self,
        names: Iterable[str],
        rows: Iterable[Mapping[str, Any]],
        taken: Iterable[str] = (),
        group: str = OWN,
    ) -> None:
        """Put further columns to the right; where a name is there already, or *taken*, ``record.<name>`` is used."""
        free = {}
        used = {*self.columns, *taken}
        for name in names:
            free[name] = name
            while free[name] in used:
                free[name] = f"record.{free[name]}"
            used.add(free[name])
            self.columns.append(free[name])
            self.groups[free[name]] = group
            self.fields[free[name]] = name
        for row, added in zip(self.rows, rows, strict=True):
            row.update({free[name]: value for name, value in added.items() if name in free})


def tabulate(
    records: Sequence[RunRecord],
    shown: Sequence[str] | None = None,
    why_superseded: Sequence[str] = (),
    *,
    everything: bool = False,
) -> Table:
    """
    Make the table of some runs: a column for each parameter, then what the records tell beside them.

    Args:
        records: The runs, one row each.
        shown: The parameters to show; all of them without it.
        why_superseded: Of each run why it no longer answers, or nothing.
        everything: Whether to take in size, hash and provenance as well.
    """
    table, flat, own, metadata, provenance, heads = Table(), [], [], [], [], _Heads()
    for place, record in enumerate(read_through(records)):
        table.points.append(record.params)
        flat.append(flatten(record.params))
        own.append(_own(record))
        metadata.append(_dotted(METADATA, record.metadata, {_MEASURED}))
        if everything:
            provenance.append(_dotted(PROVENANCE, _provenance_of(record), set(_HEADS)))
        if why_superseded and (why := why_superseded[place]):
            own[-1]["superseded"] = why
        heads.note(record)
    taken = dict.fromkeys(name for row in flat for name in row)  # also those not shown: one name, one meaning
    table.columns = list(taken if shown is None else shown)
    table.rows = flat if shown is None else [{name: row[name] for name in shown if name in row} for row in flat]
    table.groups = dict.fromkeys(table.columns, PARAM)
    table.add_columns(heads.names(any(why_superseded), everything), own, taken)
    table.add_columns(_names(metadata), metadata, taken, METADATA)
    if everything:
        table.add_columns(_names(provenance), provenance, taken, PROVENANCE)
    return table


class _Heads:
    """Which columns some runs have beside their parameters and what is measured."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._first: dict[tuple[str, str], Any] = {}

    def note(self, record: RunRecord) -> None:
        """Take in one run."""
        told = record.provenance
        if "function" in told:
            self._seen.add("function")
        if is_pinned(record):
            self._seen.add("pinned")
        function = str(told.get("function"))
        for name in ("version", "code"):  # shown where two runs of one function differ in it
            value = told.get(name)
            if self._first.setdefault((function, name), value) != value:
                self._seen.add(name)

    def names(self, any_superseded: bool, everything: bool) -> list[str]:
        """The columns, in their order."""
        heads: list[str] = [name for name in ("function", "version", "code") if name in self._seen]
        heads += ["superseded"] if any_superseded else []
        heads += ["pinned"] if "pinned" in self._seen else []
        own = [*heads, "result_path", "created_at", _MEASURED]
        return [*own, "size_bytes", "params_hash"] if everything else own


def _own(record: RunRecord) -> dict[str, Any]:
    own = {name: record.provenance[name] for name in _HEADS if name in record.provenance}
    if isinstance(code := record.provenance.get("code"), str):
        own["code"] = code.rpartition("-")[2][:_CODE_DIGITS]
    own |= {"result_path": path_text(record), "created_at": record.created_at, "params_hash": record.params_hash}
    if _MEASURED in record.metadata:
        own[_MEASURED] = record.metadata[_MEASURED]
    return own


def _provenance_of(record: RunRecord) -> dict[str, Any]:
    """The provenance, in which each input is one short text."""
    told = record.provenance
    if "inputs" not in told or not record.inputs:
        return told
    from .._record import inputs_text  # loaded by those whose runs have some

    return {**told, "inputs": ", ".join(inputs_text(record.inputs))}


def _dotted(prefix: str, values: Mapping[str, Any], left_out: set[str]) -> dict[str, Any]:
    kept = {name: value for name, value in values.items() if name not in left_out}
    return {f"{prefix}.{name}": value for name, value in flatten(kept).items()}


def _names(rows: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    return dict.fromkeys(name for row in rows for name in row)
