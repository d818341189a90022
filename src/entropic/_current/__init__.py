"""The run under way here: what it shows of itself, what it may ask, the signals it hears, and how it stops."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._end_time import time_left
    from ._exit import STOPPED, stopped
    from ._interrupts import worker_interrupts
    from ._progress import report_progress
    from ._run import NOTE_VARIABLE, CurrentRun, inherited_descriptors, note_for_programs, note_use, watch_runs
    from ._signals import StopRequests
    from ._stop import hearing_signals, interim_work, interrupts_held_off, should_stop, spare_results, stop_here

__all__ = [
    "NOTE_VARIABLE",
    "STOPPED",
    "CurrentRun",
    "StopRequests",
    "hearing_signals",
    "inherited_descriptors",
    "interim_work",
    "interrupts_held_off",
    "note_for_programs",
    "note_use",
    "report_progress",
    "should_stop",
    "spare_results",
    "stop_here",
    "stopped",
    "time_left",
    "watch_runs",
    "worker_interrupts",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_end_time": "time_left",
        "_exit": "STOPPED stopped",
        "_interrupts": "worker_interrupts",
        "_progress": "report_progress",
        "_run": "NOTE_VARIABLE CurrentRun inherited_descriptors note_for_programs note_use watch_runs",
        "_signals": "StopRequests",
        "_stop": "hearing_signals interim_work interrupts_held_off should_stop spare_results stop_here",
    },
)
