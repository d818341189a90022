"""What a decorated function offers of its records as a whole: to list, count, read, rewrite and forget them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from .. import query
from ._function import CacheInfo, FunctionCache

if TYPE_CHECKING:
    import pandas
    import xarray

    from .._maintenance import FailedRun
    from .._record import RunRecord
    from .._tables import RecordList
    from ..query import Where
    from ._accepted import AcceptedChanges


class RecordMethods:
    """The methods of a decorated function, free or bound, that are about all of its records."""

    def _self_parts(self) -> tuple[FunctionCache, tuple[Any, ...]]:
        """What is behind it, and what it is bound to, if to anything."""
        raise NotImplementedError

    def failures(self, where: Where | None = None) -> Sequence[FailedRun]:
        """List runs of this function that were not recorded and have left something; see `Store.failures`."""
        from .._maintenance import failures  # loaded by those who ask

        cache, _ = self._self_parts()
        return failures(cache.engine, where, cache.name)

    def list(
        self,
        where: Where | None = None,
        *,
        order_by: str | Iterable[str] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        after: RunRecord | None = None,
        current: bool = False,
    ) -> RecordList:
        """
        Return the records of this function, of all its versions, oldest first; chosen as by `Store.list`.

        With *limit*, and as *after* the last record of such a list, the next page follows.

        Tables, frames and pages of the list mark what was superseded: a run of a point that has a newer one, a run of
        other code. With *current* it is left out.
        """
        selection = query.Selection.of(where, order_by, limit, newest_first, after)
        return self._self_parts()[0].records.chosen(selection, current=current)

    @overload
    def collect(
        self,
        where: Where | None = None,
        *,
        read: Callable[[Path], Any] | None = None,
        to: Literal["dataframe"] = "dataframe",
    ) -> pandas.DataFrame: ...

    @overload
    def collect(
        self, where: Where | None = None, *, read: Callable[[Path], Any] | None = None, to: Literal["dataset", "dask"]
    ) -> xarray.Dataset: ...

    def collect(
        self,
        where: Where | None = None,
        *,
        read: Callable[[Path], Any] | None = None,
        to: Literal["dataframe", "dataset", "dask"] = "dataframe",
    ) -> pandas.DataFrame | xarray.Dataset:
        """
        Read the results that answer today into a DataFrame or an xarray Dataset; see `RecordList.collect`.

        Args:
            where: Which runs, as for `list`; superseded ones are left out.
            read: Takes the path of a result and returns what is in it; ``load`` of the decorator without one.
            to: ``"dataframe"``, or ``"dataset"`` with the varying parameters as dimensions, or ``"dask"``, the same
                of dask arrays, which read a result when they are computed.

        Raises:
            TypeError: There is neither *read* nor ``load``.

        Warns:
            StaleResultWarning: Points are left out, since all of their runs were made by code that has changed since.
        """
        cache, _ = self._self_parts()
        reader = read or cache.load
        if reader is None:
            raise TypeError("Cannot collect results: the function has no load=. Pass read=, such as read=np.load.")
        return cache.records.answering(query.Selection.of(where)).collect(reader, to)

    def migrate(
        self,
        convert: Callable[[dict[str, Any]], Mapping[str, Any] | None] | None = None,
        *,
        preview: bool = False,
    ) -> int:
        """
        Rewrite the records that have an older form (see ``added``, ``renamed`` and ``removed``) to today's form.

        Result files stay where they are. Killed at any moment, no run is lost; call it again, and it is carried on.

        Args:
            convert: For what these cannot say: takes the params of a recorded run and returns those of the call of
                today that it is to answer, or None to leave it as it is. Values may stay as they were recorded, or be
                any that a call takes.
            preview: Rewrite nothing; only count.

        Returns:
            How many there were.

        Raises:
            TypeError: What *convert* returns are no parameters of a call of today; nothing has been rewritten.
        """
        cache, _ = self._self_parts()
        if convert is None:
            return cache.records.migrate(preview=preview)
        from ._conversion import convert_records  # loaded by those who convert

        return convert_records(cache, convert, preview=preview)

    def adopt_plain_runs(self, where: Where | None = None, *, preview: bool = False) -> RecordList:
        """
        Record the store's plain runs as runs of this function, so that its calls find them.

        For a study that began with `Store.run_or_retrieve`. A plain run is adopted if a call can have its parameters;
        those that it lacks have the defaults of the function. The plain runs stay, with the same results.

        Args:
            where: Which plain runs, as for `list`; those of another runner are better left out.
            preview: Record nothing.

        Returns:
            The new records: of each point that the function has no run of, the newest plain run.

        Example:
            >>> from entropic import Store, cached
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> plain = store.run({"size": 8}, lambda params, path: path.write_text("x"))
            >>> @cached(store)
            ... def grow(size, speed=1.0, *, result_path):
            ...     result_path.write_text("x")
            >>> [record.params for record in grow.adopt_plain_runs({"size": 8})]
            [{'size': 8, 'speed': 1.0}]
            >>> grow(8).result_path == plain.result_path
            True
        """
        from ._conversion import adopt_plain_runs  # loaded by those who adopt

        return adopt_plain_runs(self._self_parts()[0], where, preview=preview)

    def cache_info(self) -> CacheInfo:
        """
        Return hits and misses of this process, and the number of points recorded.

        Reads the whole index to count them.
        """
        return self._self_parts()[0].cache_info()

    def cache_clear(self) -> None:
        """Forget all records of this function, and set the counts to zero. Result files are kept."""
        self._self_parts()[0].cache_clear()

    def accept_changes(self, where: Where | None = None) -> AcceptedChanges:
        """
        Declare recorded runs of this function good for its code as it is today; returns how many, and says which.

        Of each point, the runs that answered before the edit: those by the code that was current last. Code that was
        given up stays so. For all processes, from now on; the records stay as they are. Meant to be called once, after
        a change: left in a script, it accepts every change to come. It goes one way: runs of today's code are not good
        for the earlier one by that.

        Args:
            where: Which runs, as for `list`, instead of all. Other points are not accepted, though by the same code.
                Where those chosen of a point are by one code, that is accepted, whatever answered last.

        Returns:
            How many runs were accepted that were not good already; at a prompt it says of what, and what has changed.

        Raises:
            SeveralCodesError: Runs of a point by several codes differ, and which was current last cannot be told.
            OSError: It cannot be noted down in the results folder.
        """
        return self._self_parts()[0].records.accept_changes(query.Selection.of(where))

    def cache_parameters(self) -> dict[str, Any]:
        """Return what the function was decorated with."""
        cache, _ = self._self_parts()
        return {"maxsize": None, "typed": True, "store": cache.store, **cache.options.as_dict(), "name": cache.name}
