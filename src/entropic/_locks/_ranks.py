"""
Ranks of an MPI program: whether one run is made by all of them, or each works by itself, cannot be told from outside.

Where a run needs all ranks, and one leads while the others wait for its record, nobody goes on. So ranks are refused
before the run, unless they are known to be independent: as ``ENTROPIC_RANKS`` says, or in a sweep, whose points are run
by one process each.
"""

from __future__ import annotations

import functools
import os
import sys
from contextvars import ContextVar

from .._fs import reset_value
from ..errors import SeveralRanksError

CHOICE, INDEPENDENT = "ENTROPIC_RANKS", "independent"
# Set by launchers. Under srun each task has one as well, and is often a run of its own.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE")
_OF_TASKS = "SLURM_PROCID"
_POOLS = "mpi4py.futures"  # its ranks are the workers of an executor

_are_independent: ContextVar[bool] = ContextVar("_are_independent", default=False)


def count_of_ranks() -> int:
    """How many ranks an MPI launcher has started of this program; 1 if none has, or if they are independent."""
    count = launched()
    return 1 if count == 1 or os.environ.get(CHOICE) == INDEPENDENT else count


@functools.cache
def launched() -> int:
    """As `count_of_ranks`, as the launcher has told when this process began: asked once."""
    sizes = [int(size) for name in _SIZES if (size := os.environ.get(name, "")).isdecimal()]
    return 1 if not sizes or _OF_TASKS in os.environ else max(sizes) or 1


def refuse_ranks() -> None:
    """
    Refuse to run as one of several ranks that may have to act together.

    Raises:
        SeveralRanksError: There are several.
    """
    if _are_independent.get() or _POOLS in sys.modules:
        return
    count = count_of_ranks()
    if "mpi4py.MPI" in sys.modules:
        count = max(count, _size_of_world())
    if count > 1:
        raise SeveralRanksError(count)


class independent_ranks:
    """In the block, each rank works by itself."""

    def __enter__(self) -> None:
        self._token = _are_independent.set(True)

    def __exit__(self, *exception: object) -> None:
        reset_value(self._token)


def _size_of_world() -> int:
    """The number of ranks as mpi4py knows it, if this process uses it."""
    mpi = sys.modules["mpi4py.MPI"]
    if os.environ.get(CHOICE) == INDEPENDENT:
        return 1
    try:
        return int(mpi.COMM_WORLD.Get_size()) if mpi.Is_initialized() and not mpi.Is_finalized() else 1
    except Exception:  # whatever a library raises that is no MPI
        return 1
