"""The list of runs that a query returns: a real list, and a table."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TextIO, overload

from .. import _fs
from .._record import RunRecord, flatten
from ..hashing import canonical
from ..query import Selection, Where, fields_of, predicate
from ._columns import Table, tabulate
from ._origin import Origin

if TYPE_CHECKING:
    import pandas
    import xarray

    from ._collect import Read

_SHOWN_RUNS = 20
_SHOWN_IN_HTML = 200
_SHOWN_WIDTH = 120


class RecordList(list[RunRecord]):
    """
    Runs, oldest first unless another order was asked for: a real list, and a table.

    It shows itself as a table, in a terminal and in a notebook, and becomes a DataFrame or CSV: a column for each
    parameter (nested ones dotted), then ``function`` (if there is one), ``version`` and ``code`` where they differ,
    ``superseded`` where a run no longer answers, ``result_path``, ``created_at``, ``elapsed_seconds`` and what else is
    in the metadata as ``metadata.<name>``. Such a column never takes the name of
    a parameter: it is called ``record.function`` then. Slices, sums and copies are record lists as well.

    Example:
        >>> from pathlib import Path
        >>> path, time = Path("a.csv"), "2026-01-01T00:00:00+00:00"
        >>> records = RecordList(RunRecord({"n": n, "dt": 0.1}, path, "2bfd14f43d17fc7c", time) for n in (8, 16))
        >>> records
        RecordList of 2 runs
           n   dt  result_path  created_at                 elapsed_seconds
           8  0.1  a.csv        2026-01-01 00:00:00+00:00
          16  0.1  a.csv        2026-01-01 00:00:00+00:00
        >>> records.varying().param_names
        ['n']
    """

    def __init__(self, records: Iterable[RunRecord] = ()) -> None:
        super().__init__(records)
        self._origin: Origin | None = getattr(records, "_origin", None)
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
        return self._like(record for record in self if is_meant(fields_of(record)))

    def sorted_by(self, *names: str) -> RecordList:
        """
        The same, in the order of some names, the most important one first; as ``order_by`` of `Store.list`.

        Example:
            >>> RecordList().sorted_by("-metadata.elapsed_seconds", "n")
            RecordList of 0 runs
        """
        return self._like(Selection.of(order_by=names).arranged(self, fields_of))

    def current(self) -> RecordList:
        """
        Return those that answer a call of today: no record of a point that has a newer run, none of other code.

        Lists from a store or a decorated function know what was superseded; in other lists, and in one that has been
        pickled, every record counts as current.

        Example:
            >>> RecordList().current()
            RecordList of 0 runs
        """
        return self._like(record for record, why in zip(self, self._why_superseded(), strict=True) if not why)

    def varying(self) -> RecordList:
        """
        The same records, showing only the params in which they differ: what one wants to see of a sweep.

        All views keep to those params, slices too: repr, HTML, DataFrame and CSV. Their names are in `param_names`.
        Values differ if their keys would; a parameter that only some of the records have differs as well.
        """
        texts: dict[str, set[str]] = {}
        counts: Counter[str] = Counter()
        for record in self:
            for name, value in flatten(record.params).items():
                texts.setdefault(name, set()).add(canonical(value))
                counts[name] += 1
        view = self._like(self)
        view._names = tuple(name for name in texts if len(texts[name]) > 1 or counts[name] < len(self))
        return view

    # ---- and a table ------------------------------------------------------------------------------------------------

    @property
    def param_names(self) -> list[str]:
        """The parameters that are shown, nested ones dotted, in the order they first appear."""
        if self._names is not None:
            return list(self._names)
        return list(dict.fromkeys(name for record in self for name in flatten(record.params)))

    def table(self) -> Table:
        """All columns as plain rows: what the DataFrame and the CSV are made from."""
        return tabulate(self, self._names, self._why_superseded())

    def to_dataframe(self) -> pandas.DataFrame:
        """
        A pandas DataFrame, one row for each run; dates, times, Decimals and Fractions as such.

        Its columns of parameters, ``frame[records.param_names]``, are good as points of a sweep again, rows chosen or
        sorted as you like: what pandas shows as nan for a parameter that was None or not there is known by a note in
        ``frame.attrs``. What a frame shows as text only (an array, an object) is refused there.

        Raises:
            MissingExtraError: pandas is not installed; ``pip install "entropic[pandas]"`` (an `ImportError`).
        """
        from . import _frame

        return _frame.data_frame(self.table())

    @overload
    def collect(self, read: Read, to: Literal["dataframe"] = "dataframe", *, threads: int = 8) -> pandas.DataFrame: ...

    @overload
    def collect(self, read: Read, to: Literal["dataset", "dask"], *, threads: int = 8) -> xarray.Dataset: ...

    def collect(
        self, read: Read, to: Literal["dataframe", "dataset", "dask"] = "dataframe", *, threads: int = 8
    ) -> pandas.DataFrame | xarray.Dataset:
        """
        Read the results and put parameters and values side by side.

        Values are remembered in this process for as long as *read* lives, at most 10,000 of them and 256 MB: a second
        call with the same *read* reads only what is new or has changed. What it returns may be changed.

        Args:
            read: Takes the path of a result and returns a number, an array, or a mapping of names to these. Called in
                several threads at once.
            to: ``"dataframe"``: one row for each run, its parameters and what was read (``value``, if that is no
                mapping). ``"dataset"``: an xarray Dataset whose dimensions are the parameters that vary, and
                ``replicate`` where a point has several runs; points without a result are NaN, and a warning tells how
                many. ``"dask"``: the same, of dask arrays. Only the first result is read now, and the others when they
                are computed; arrays have one shape in all of them.
            threads: How many results are read at a time.

        Raises:
            MissingExtraError: pandas, xarray or dask is not installed (an `ImportError`).

        Warns:
            IncompleteGridWarning: The Dataset has gaps.
        """
        if self._origin is not None and self._origin.fetch is not None:
            for record in self:
                self._origin.fetch(record)
        from . import _collect

        if to not in ("dataframe", "dataset", "dask"):
            raise ValueError(f"Cannot collect to {to!r}: it is none of 'dataframe', 'dataset' and 'dask'.")
        if to == "dask":
            from . import _lazy

            return _lazy.lazy_dataset_of(self, read)
        values = _collect.read_all(self, read, threads)
        return _collect.frame_of(self, values) if to == "dataframe" else _collect.dataset_of(self, values)

    @overload
    def to_csv(self, path: None = None) -> str: ...

    @overload
    def to_csv(self, path: str | os.PathLike[str] | TextIO) -> None: ...

    def to_csv(self, path: str | os.PathLike[str] | TextIO | None = None) -> str | None:
        r"""
        CSV with a header, one row for each run; lists and nested values that remain as JSON, empty what is missing.

        Args:
            path: Where to write it, in UTF-8, in one step: a crash leaves what was there. Or an open text file. Without
                one the text is returned.

        Example:
            >>> RecordList().to_csv()
            'result_path,created_at,elapsed_seconds\n'
        """
        from . import _render

        text = _render.csv_text(self.table())
        if path is None:
            return text
        if not isinstance(path, (str, os.PathLike)):
            path.write(text)
            return None
        with _fs.replacing(path, or_in_place=True) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
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
        jpg, svg, gif) and the first lines of text results lie in the page; all results are linked, relative to it. Of
        what lies outside the results folder nothing is taken in.

        Args:
            path: The file to write, in one step: a crash leaves what was there. Without one the text is returned, with
                links from the current folder.
            title: Headline of the page.
            embed_up_to_bytes: How much of pictures and text results to take into the file, newest first; 0 for none.

        Raises:
            MissingExtraError: The libraries of the extra ``page`` are not installed (an `ImportError`).
        """
        if path is None:
            return self._page_text(".", title, embed_up_to_bytes)
        write_page(self, path, title, embed_up_to_bytes)
        return None

    def __repr__(self) -> str:
        from . import _render

        if not self:
            return self._title()
        return f"{self._title()}\n{_render.text_table(self._seen(_SHOWN_RUNS), rows=_SHOWN_RUNS, width=_SHOWN_WIDTH)}"

    def _repr_html_(self) -> str:
        from . import _render

        return _render.html_table(self._seen(_SHOWN_IN_HTML), caption=self._title(), rows=_SHOWN_IN_HTML)

    def _page_text(self, folder: str, title: str, embed_up_to_bytes: int, **following: Any) -> str:
        from . import page  # loaded by those who make one, not by every process that looks something up

        return page.make_page(
            self,
            title,
            relative_to=folder,
            embed_up_to_bytes=embed_up_to_bytes,
            results_dir=None if self._origin is None else self._origin.results_dir,
            why_superseded=self._why_superseded(),
            **following,
        )

    def _title(self) -> str:
        return f"RecordList of {len(self)} run{'' if len(self) == 1 else 's'}"

    def _seen(self, rows: int) -> Table:
        """The table as a person reads it; rows that will not be shown only count."""
        from . import _render  # loaded by those who look at a table, not by every process that looks something up

        table = _render.for_people(self[:rows].table())
        table.rows += [{}] * (len(self) - len(table.rows))
        return table

    def _like(self, records: Iterable[RunRecord]) -> RecordList:
        """Other records, of which the same is to be shown."""
        like = RecordList(records)
        like._names = self._names
        like._origin = self._origin
        return like

    def _why_superseded(self) -> list[str]:
        """Of each record why it no longer answers; nothing if it does, or nobody knows."""
        return [""] * len(self) if self._origin is None or not self else self._origin.why_superseded(self)

    def __getstate__(self) -> dict[str, Any]:
        # What was superseded is known where the index is.
        return {"_names": self._names, "_origin": None}


def from_store(records: Iterable[RunRecord], origin: Origin) -> RecordList:
    """Return a list of runs that knows where they come from."""
    found = RecordList(records)
    found._origin = origin
    return found


RecordList.__module__ = "entropic.record"


def write_page(
    runs: RecordList, path: str | os.PathLike[str], title: str, embed_up_to_bytes: int = 16 << 20, **following: Any
) -> None:
    """
    Write the page of some runs, in one step; see `RecordList.to_html`.

    Args:
        runs: What to show.
        path: The file to write.
        title: Headline of the page.
        embed_up_to_bytes: As for `RecordList.to_html`.
        **following: For a page that follows what runs: ``under_way`` and ``refresh_seconds`` of `page.make_page`.
    """
    text = runs._page_text(os.path.dirname(os.path.abspath(path)), title, embed_up_to_bytes, **following)
    with _fs.replacing(path, or_in_place=True) as draft, open(draft, "w", encoding="utf-8") as file:
        file.write(text)
