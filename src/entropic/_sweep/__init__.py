"""
Sweeps, without stores: points, workers, the engine between them, and what is shown and foretold of it.

Loaded piece by piece: naming an option costs nothing, and what runs a sweep comes with the first sweep.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._options import OnError, Order, SweepOptions, shows_options, worker_count

if TYPE_CHECKING:
    from ._estimate import Estimator, Run
    from ._options import SweepKeywords as SweepKeywords
    from ._plan import Plan, plan_sweep
    from ._progress import Sink, SweepProgress, duration
    from ._run_limits import Retries, RunLimits
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

_PLACES = {
    "as_record": "_sweep",
    "Estimator": "_estimate",
    "Plan": "_plan",
    "Retries": "_run_limits",
    "Run": "_estimate",
    "RunLimits": "_run_limits",
    "Sink": "_progress",
    "SweepProgress": "_progress",
    "duration": "_progress",
    "plan_sweep": "_plan",
    "run_as_completed": "_sweep",
    "run_sweep": "_sweep",
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{place}"), name)
