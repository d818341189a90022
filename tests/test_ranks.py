"""Ranks of an MPI program: never does one lead a run while the others, whom it needs, wait for its record."""

from __future__ import annotations

import multiprocessing
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached
from entropic._locks import _ranks
from entropic.errors import SeveralRanksError

SIZES = ("OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE")


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a shell of one's own; and each time as a process that has just begun."""
    monkeypatch.setattr(_ranks, "launched", _ranks.launched.__wrapped__)
    for name in (*SIZES, "SLURM_PROCID", "ENTROPIC_RANKS"):
        monkeypatch.delenv(name, raising=False)


def write(params: dict[str, Any], path: Path) -> None:
    """The shortest runner."""
    path.write_text("x")


def mpi(size: int, *, is_initialized: bool = True) -> types.ModuleType:
    """What looks like mpi4py, as far as it is asked."""
    module = types.ModuleType("mpi4py.MPI")
    module.Is_initialized = lambda: is_initialized  # type: ignore[attr-defined]
    module.Is_finalized = lambda: False  # type: ignore[attr-defined]
    module.COMM_WORLD = types.SimpleNamespace(Get_size=lambda: size)  # type: ignore[attr-defined]
    return module


# What a process finds about itself, and whether it may run a point by itself.
CIRCUMSTANCES: dict[str, tuple[dict[str, str], dict[str, types.ModuleType], bool]] = {
    **{name: ({name: "4"}, {}, False) for name in SIZES},
    "one rank": ({"PMI_SIZE": "1"}, {}, True),
    "no number": ({"PMI_SIZE": "many", "OMPI_COMM_WORLD_SIZE": ""}, {}, True),
    "said to be independent": ({"PMI_SIZE": "4", "ENTROPIC_RANKS": "independent"}, {"mpi4py.MPI": mpi(4)}, True),
    "said to be something else": ({"PMI_SIZE": "4", "ENTROPIC_RANKS": "yes"}, {}, False),
    "tasks of srun": ({"PMI_SIZE": "4", "SLURM_PROCID": "0"}, {}, True),
    "tasks of srun that use MPI": ({"SLURM_PROCID": "0"}, {"mpi4py.MPI": mpi(4)}, False),
    "mpi4py alone": ({}, {"mpi4py.MPI": mpi(1)}, True),
    "mpi4py imported only": ({}, {"mpi4py.MPI": mpi(4, is_initialized=False)}, True),
    "something of that name": ({}, {"mpi4py.MPI": types.ModuleType("mpi4py.MPI")}, True),
    "workers of a pool": ({"PMI_SIZE": "4"}, {"mpi4py.futures": types.ModuleType("mpi4py.futures")}, True),
}


@pytest.mark.parametrize(("variables", "modules", "may_run"), CIRCUMSTANCES.values(), ids=CIRCUMSTANCES)
def test_who_may_run(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    modules: dict[str, types.ModuleType],
    may_run: bool,
) -> None:
    """Recorded points answer all ranks, and sweeps share their points; but a run is refused before it begins."""
    store.run({"n": 0}, write)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)

    @cached(store, name="f")
    def f(n: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    assert store.run_or_retrieve({"n": 0}, write).params == {"n": 0}
    assert len(store.sweep([{"n": 0}, {"n": 1}], write)) == 2
    assert len(f.sweep([{"n": 1}])) == 1
    assert f(1).params == {"n": 1}
    calls: list[Any] = [
        lambda: store.run_or_retrieve({"n": 2}, write),
        lambda: store.run({"n": 2}, write),
        lambda: f(2),
    ]
    for call in calls:
        if may_run:
            assert call().params == {"n": 2}
        else:
            with pytest.raises(SeveralRanksError, match="ENTROPIC_RANKS=independent"):
                call()
    assert store.count({"n": 2}) == (3 if may_run else 0)


def _rank(barrier: Any, answers: Any) -> None:
    def collective(params: dict[str, Any], path: Path) -> None:
        barrier.wait()
        path.write_text("x")

    try:
        Store("results", "runs.json", file_suffix=".txt").run_or_retrieve({"n": 1}, collective)
    except SeveralRanksError as error:
        answers.put(error.count)


def test_no_rank_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a run needs all ranks, all of them are refused."""
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(2), context.SimpleQueue()
    ranks = [context.Process(target=_rank, args=(barrier, answers)) for _ in range(2)]
    for rank in ranks:
        rank.start()

    assert [answers.get() for _ in ranks] == [2, 2]
    for rank in ranks:
        rank.join()
    assert os.listdir("results") == []
