"""What a store offers for many points at once; the work is told in `_sweeping`, which is loaded by those who sweep."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._engine import Runner, require_callable
from ._record import RunRecord
from ._tables import RecordList

if TYPE_CHECKING:
    from ._sweep._plan import Plan
    from ._sweep._progress import Sink


class Sweeps:
    """The part of a store that sweeps and plans; whoever has it is a `_sweeping.RunsPoints`."""

    def sweep(
        self,
        points: Iterable[Mapping[str, Any]],
        runner: Runner,
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
    ) -> RecordList:
        """
        `run_or_retrieve` every point, here or in parallel, and return the records in the order of the points.

        Recorded points are answered at once, duplicates run once, and each run is recorded the moment it finishes: a
        sweep that was stopped, by Ctrl-C or by a crash, carries on when it is started again. Points are drawn as they
        are needed, so a generator of millions is welcome.

        Args:
            points: Mappings: `entropic.grid`, a list, a generator, or a DataFrame, whose rows they are then.
            runner: As for `run_or_retrieve`. For other processes it stands at the top of a module or script, or
                cloudpickle is installed.
            executor: Where to run: anything with a ``submit``, such as a thread or process pool of
                `concurrent.futures`, or a dask ``Client``. Without one, and without *workers*, points run one after
                the other, here.
            workers: Run in so many processes of our own. If one dies, what it had in hand is tried again.
            progress: True for a bar (extra ``progress``), False for none; by default there is one if tqdm is installed
                and someone looks. Or a function, called with a ``SweepProgress`` some times a second.
            on_error: ``"raise"``: the other points go on, and at the end a `SweepError` has the records and the
                failures. ``"skip"``: failures are logged, and the other records returned.

        Raises:
            SweepError: Some points have failed.
            NotSharedError: Other processes would not see the index; before anything runs where it can be known.
            TypeError: Executor and workers are both given; or the first point cannot be one, and nothing has run (a
                later one like that is a failure); or the runner cannot be sent to other processes.

        Example:
            >>> from entropic import Store, grid
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> records = store.sweep(grid(n=[1, 2]), lambda params, path: path.write_text("x"))
            >>> [record.params["n"] for record in records]
            [1, 2]
        """
        from ._sweep import _sweep as _sweeping

        require_callable(runner)
        options = _sweeping.Options.checked(executor, workers, progress, on_error)
        return RecordList(_sweeping.swept(_sweeping.PlainRuns(self, runner), points, options, _sweeping.as_it_is))

    def sweep_as_completed(
        self,
        points: Iterable[Mapping[str, Any]],
        runner: Runner,
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
    ) -> Generator[tuple[Mapping[str, Any], RunRecord], None, None]:
        """
        As `sweep`, but hand out each point with its record as soon as it is there, and keep none.

        Leaving the loop early ends the runs under way; what was recorded stays. Failures are told at the end, by a
        `SweepError` without records.

        Example:
            >>> from entropic import Store
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for point, record in store.sweep_as_completed([{"n": 1}], lambda params, path: path.write_text("x")):
            ...     print(point, record.result_path.read_text())
            {'n': 1} x
        """
        from ._sweep import _sweep as _sweeping

        require_callable(runner)
        options = _sweeping.Options.checked(executor, workers, progress, on_error)
        return _sweeping.swept_as_completed(_sweeping.PlainRuns(self, runner), points, options, _sweeping.as_it_is)

    def plan(self, points: Iterable[Mapping[str, Any]], runner: Runner | None = None, *, workers: int = 1) -> Plan:
        """
        Tell what a sweep would do: which points are recorded, which would run, and for how long.

        Runs and writes nothing. The time is judged by recorded plain runs of similar parameters.

        Args:
            points: As for `sweep`.
            runner: As for `sweep`; of use only if it is a program, see `entropic.command`.
            workers: How many would run at one time.

        Raises:
            TypeError, ValueError: A point cannot be one.

        Example:
            >>> from entropic import Store
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> plan = store.plan([{"n": 9}, {"n": 9}])
            >>> plan.total, plan.duplicates, plan.to_run
            (2, 1, ({'n': 9},))
        """
        from ._sweep import _sweep as _sweeping

        return _sweeping.planned(_sweeping.PlainRuns(self, runner), points, workers)
