"""The memory of one run, its document form in an index, and the list a query returns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any, SupportsIndex, TextIO, overload

from .hashing import RESERVED, canonical, copy_mapping, decode, decode_params, encode
from .query import Selection, Where, predicate

if TYPE_CHECKING:
    import pandas

    from ._tables._render import Table

__all__ = ["RecordList", "RunRecord"]

_CONTAINERS = ("params", "metadata", "provenance")
_SHOWN_RUNS = 20
_SHOWN_IN_HTML = 200
_SHOWN_WIDTH = 120
_OFTEN_THE_SAME = frozenset({"function", "code", "host", "user", "python", "platform", "entropic", "command"})
_REQUIRED = ("params_hash", "result_path", "created_at")


def _shared(name: str, value: Any) -> Any:
    """What was noted of a run; texts that most records of an index have in common are held once."""
    return intern(value) if name in _OFTEN_THE_SAME and type(value) is str else decode(value)


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
        provenance: What entropic itself recorded: ``function``, ``version``, ``size_bytes``, ``digest``, and under what
            circumstances; of this the repr shows the function only.

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

    def __repr__(self) -> str:
        # Without the provenance, which would be two thirds of it; what names the function is worth its place.
        shown = ("params", "result_path", "params_hash", "created_at", "metadata")
        told = [f"{name}={getattr(self, name)!r}" for name in shown]
        function = self.provenance.get("function")
        return f"RunRecord({', '.join([*told, *([f'{function=}'] if function is not None else [])])})"

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
        record = object.__new__(cls)
        record.__dict__.update(
            params={intern(name): decode(value) for name, value in data.items() if name not in RESERVED},
            params_hash=data["params_hash"],
            created_at=data["created_at"],
            metadata=decode_params(metadata),
            provenance={intern(name): _shared(name, value) for name, value in provenance.items()},
            _path=data["result_path"],
        )
        return record

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

    def below(self, folder: str) -> RunRecord:
        """The same run with its path below a folder, in the same containers: for records that nobody will change."""
        fields = {**self.__dict__, "_path": os.path.join(folder, self.path_text())}
        fields.pop("result_path", None)
        twin = object.__new__(RunRecord)
        twin.__dict__.update(fields)
        return twin

    def path_text(self) -> str:
        """The result path as text; a `Path` is made of it when one is asked for, which takes as long as reading it."""
        return self.__dict__.get("_path") or str(self.result_path)

    def handed_out(self) -> RunRecord:
        """
        As `copied`, for a record that nobody will change: its containers are copied when they are asked for.

        A hit hands out such a copy; most of those who get one only want the path.
        """
        # Filled past the frozen __setattr__, which would cost as much as the rest of a hit.
        twin = object.__new__(RunRecord)
        fields = twin.__dict__
        if "result_path" in self.__dict__:
            fields["result_path"] = self.result_path
        fields["params_hash"] = self.params_hash
        fields["created_at"] = self.created_at
        fields["_copied_from"] = self
        return twin

    def showing(self, params: dict[str, Any]) -> RunRecord:
        """The same run, of which the params are told in another form; a copy, as `handed_out`."""
        twin = self.handed_out()
        twin.__dict__["_copied_from"] = self.__dict__.get("_copied_from", self)
        twin.__dict__["params"] = params
        return twin

    if not TYPE_CHECKING:  # a type checker shall go on to complain of attributes that do not exist

        def __getattr__(self, name: str) -> Any:
            source = self.__dict__.get("_copied_from")
            if name == "result_path" and (path := self.__dict__.get("_path")) is not None:
                return self.__dict__.setdefault(name, Path(path))
            if name == "result_path" and source is not None:
                return self.__dict__.setdefault(name, source.result_path)
            if source is None or name not in _CONTAINERS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            # Two threads may both copy; setdefault lets one copy win for both.
            return self.__dict__.setdefault(name, copy_mapping(getattr(source, name)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class RecordList(list[RunRecord]):
    """
    Runs, oldest first unless another order was asked for: a real list, and a table.

    It shows itself as a table, in a terminal and in a notebook, and becomes a DataFrame or CSV: a column for each
    parameter (nested ones dotted), then ``function`` (if there is one), ``result_path``, ``created_at``,
    ``elapsed_seconds`` and what else is in the metadata as ``metadata.<name>``. Such a column never takes the name of
    a parameter: it is called ``record.function`` then. Slices, sums and copies are record lists as well.

    Example:
        >>> from pathlib import Path
        >>> path, time = Path("a.csv"), "2026-01-01T00:00:00+00:00"
        >>> records = RecordList(RunRecord({"n": n, "dt": 0.1}, path, "2bfd14f43d17fc7c", time) for n in (8, 16))
        >>> records
        RecordList of 2 runs
           n   dt  result_path  created_at           elapsed_seconds
           8  0.1  a.csv        2026-01-01 00:00:00
          16  0.1  a.csv        2026-01-01 00:00:00
        >>> records.varying().param_names
        ['n']
    """

    def __init__(self, records: Iterable[RunRecord] = ()) -> None:
        super().__init__(records)
        # Names of the params to show, once these have been chosen; else whatever the records have.
        self._names: tuple[str, ...] | None = None

    # ---- still a list -----------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> RunRecord: ...

    @overload
    def __getitem__(self, place: slice, /) -> RecordList: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> RunRecord | RecordList:
        if isinstance(place, slice):
            return self._like(super().__getitem__(place))
        return super().__getitem__(place)

    def __add__(self, other: list[Any], /) -> RecordList:  # type: ignore[override]  # of records, or it is a mistake
        return RecordList(super().__add__(other))

    def copy(self) -> RecordList:
        """The same records in another list."""
        return self._like(self)

    def where(self, where: Where) -> RecordList:
        """
        Those that a query means, as `Store.list` would find them.

        Example:
            >>> from entropic import param
            >>> RecordList().where(param("n") > 8)
            RecordList of 0 runs
        """
        is_meant = predicate(where)
        return self._like(record for record in self if is_meant(record.fields()))

    def sorted_by(self, *names: str) -> RecordList:
        """
        The same, in the order of some names, the most important one first; as ``order_by`` of `Store.list`.

        Example:
            >>> RecordList().sorted_by("-metadata.elapsed_seconds", "n")
            RecordList of 0 runs
        """
        return self._like(Selection.of(order_by=names).arranged(self, RunRecord.fields))

    def varying(self) -> RecordList:
        """
        The same records, showing only the params in which they differ: what one wants to see of a sweep.

        All views keep to those params, slices too: repr, HTML, DataFrame and CSV. Their names are in `param_names`.
        Values differ if their keys would; a parameter that only some of the records have differs as well.
        """
        from ._tables import _render as _views

        texts: dict[str, set[str]] = {}
        counts: Counter[str] = Counter()
        for record in self:
            for name, value in _views.flattened(record.params).items():
                texts.setdefault(name, set()).add(canonical(value))
                counts[name] += 1
        view = self._like(self)
        view._names = tuple(name for name in texts if len(texts[name]) > 1 or counts[name] < len(self))
        return view

    # ---- and a table ------------------------------------------------------------------------------------------------

    @property
    def param_names(self) -> list[str]:
        """The parameters that are shown, nested ones dotted, in the order they first appear."""
        from ._tables import _render as _views

        if self._names is not None:
            return list(self._names)
        return list(dict.fromkeys(name for record in self for name in _views.flattened(record.params)))

    def table(self) -> Table:
        """All columns as plain rows: what the DataFrame and the CSV are made from."""
        return self._table(_own_columns)

    def to_dataframe(self) -> pandas.DataFrame:
        """
        A pandas DataFrame, one row for each run; dates, times, Decimals and Fractions as such.

        Raises:
            MissingExtraError: pandas is not installed; ``pip install "entropic[pandas]"`` (an `ImportError`).
        """
        from ._tables import _render as _views

        return _views.data_frame(self.table())

    @overload
    def to_csv(self, path: None = None) -> str: ...

    @overload
    def to_csv(self, path: str | os.PathLike[str] | TextIO) -> None: ...

    def to_csv(self, path: str | os.PathLike[str] | TextIO | None = None) -> str | None:
        r"""
        CSV with a header, one row for each run; lists and nested values that remain as JSON, empty what is missing.

        Args:
            path: Where to write it, in UTF-8, or an open text file. Without one the text is returned.

        Example:
            >>> RecordList().to_csv()
            'result_path,created_at,elapsed_seconds\n'
        """
        from ._tables import _render as _views

        text = _views.csv_text(self.table())
        if path is None:
            return text
        if not isinstance(path, (str, os.PathLike)):
            path.write(text)
            return None
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return None

    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        title: str = "Runs",
        embed_up_to_bytes: int = 16 << 20,
    ) -> str | None:
        """
        Make a page of these runs: a table to filter and sort, plots, and results, in one self-contained HTML file.

        It needs no server and no network. What the runs hold is shown as text, never taken for markup. Pictures (png,
        jpg, svg, gif) and the first lines of text results lie in the page; all results are linked, relative to it.

        Args:
            path: The file to write; without one the text is returned, with links from the current folder.
            title: Headline of the page.
            embed_up_to_bytes: How much of pictures and text results to take into the file, newest first; 0 for none.

        Raises:
            MissingExtraError: The libraries of the extra ``page`` are not installed (an `ImportError`).
        """
        from ._tables import (
            page as _page,  # loaded by those who make a page, not by every process that looks something up
        )

        folder = os.path.dirname(os.path.abspath(path)) if path is not None else "."
        text = _page.make_page(self, title, relative_to=folder, embed_up_to_bytes=embed_up_to_bytes)
        if path is None:
            return text
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return None

    def __repr__(self) -> str:
        from ._tables import _render as _views

        if not self:
            return self._title()
        return f"{self._title()}\n{_views.text_table(self._seen(_SHOWN_RUNS), rows=_SHOWN_RUNS, width=_SHOWN_WIDTH)}"

    def _repr_html_(self) -> str:
        from ._tables import _render as _views

        return _views.html_table(self._seen(_SHOWN_IN_HTML), caption=self._title(), rows=_SHOWN_IN_HTML)

    def _title(self) -> str:
        return f"RecordList of {len(self)} run{'' if len(self) == 1 else 's'}"

    def _seen(self, rows: int) -> Table:
        """The table as a person reads it; rows that will not be shown only count."""
        table = self[:rows]._table(_own_columns_in_short)
        table.rows += [{}] * (len(self) - len(table.rows))
        return table

    def _table(self, own_columns: Callable[[RunRecord], dict[str, Any]]) -> Table:
        from ._tables import (
            _render as _views,  # loaded by those who look at a table, not by every process that looks something up
        )

        params = [_views.flattened(record.params) for record in self]
        shown = self.param_names
        table = _views.Table(shown, [{name: row[name] for name in shown if name in row} for row in params])
        taken = {name for row in params for name in row}  # also those that are not shown: one name, one meaning
        own = [own_columns(record) for record in self]
        functions = ["function"] if any("function" in row for row in own) else []
        table.add_columns([*functions, "result_path", "created_at", "elapsed_seconds"], own, taken)
        further = [_further_metadata(record, _views.flattened) for record in self]
        table.add_columns(dict.fromkeys(name for row in further for name in row), further, taken)
        return table

    def _like(self, records: Iterable[RunRecord]) -> RecordList:
        """Other records, of which the same is to be shown."""
        like = RecordList(records)
        like._names = self._names
        return like


def _own_columns(record: RunRecord) -> dict[str, Any]:
    own = {"function": record.provenance["function"]} if "function" in record.provenance else {}
    own |= {"result_path": str(record.result_path), "created_at": record.created_at}
    if "elapsed_seconds" in record.metadata:
        own["elapsed_seconds"] = record.metadata["elapsed_seconds"]
    return own


def _own_columns_in_short(record: RunRecord) -> dict[str, Any]:
    own = _own_columns(record)
    own["result_path"] = record.result_path.name
    own["created_at"] = record.created_at[:19].replace("T", " ")
    if type(own.get("elapsed_seconds")) is float:
        own["elapsed_seconds"] = float(f"{own['elapsed_seconds']:.3g}")
    return own


def _further_metadata(record: RunRecord, flattened: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    found = {name: value for name, value in record.metadata.items() if name != "elapsed_seconds"}
    return {f"metadata.{name}": value for name, value in flattened(found).items()}
