"""Ending a run before it is killed: what a run may ask and say, the signals it hears, and the end of a batch job."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._current import CurrentRun, hearing_signals, inherited_descriptors, should_stop, spare_results, stop_here
    from ._end_time import time_left
    from ._signals import StopRequests

__all__ = [
    "CurrentRun",
    "StopRequests",
    "hearing_signals",
    "inherited_descriptors",
    "should_stop",
    "spare_results",
    "stop_here",
    "time_left",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_current": "CurrentRun hearing_signals inherited_descriptors should_stop spare_results stop_here",
        "_end_time": "time_left",
        "_signals": "StopRequests",
    },
)
