"""
Sweeps, without stores: points, workers, the engine between them, and what is shown and foretold of it.

Loaded piece by piece: naming an option costs nothing, and what runs a sweep comes with the first sweep.
"""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._estimate import Estimator, Run
    from ._options import OnError, Order, SweepOptions, worker_count
    from ._options import SweepKeywords as SweepKeywords
    from ._plan import Plan, plan_sweep
    from ._progress import Sink, SweepProgress, duration
    from ._run_limits import Retries, RunLimits
    from ._shown import shows_options
    from ._sweep import as_record, run_as_completed, run_sweep

__all__ = [
    "Estimator",
    "OnError",
    "Order",
    "Plan",
    "Retries",
    "Run",
    "RunLimits",
    "Sink",
    "SweepOptions",
    "SweepProgress",
    "as_record",
    "duration",
    "plan_sweep",
    "run_as_completed",
    "run_sweep",
    "shows_options",
    "worker_count",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_estimate": "Estimator Run",
        "_options": "OnError Order SweepOptions worker_count",
        "_plan": "Plan plan_sweep",
        "_progress": "Sink SweepProgress duration",
        "_run_limits": "Retries RunLimits",
        "_shown": "shows_options",
        "_sweep": "as_record run_as_completed run_sweep",
    },
)
