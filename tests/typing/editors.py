"""Forms of decorated functions that every type checker checks, mypy without a plugin as pyright; checked, never run."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from entropic import RunRecord, Store, cached, grid
from entropic.record import RecordList

store = Store("results", "runs.json")


def save(path: Path, value: object) -> None: ...


def load(path: Path) -> list[int]:
    return []


# ---- a function that returns its result


@cached(store, save=save, load=load)
def divisors(n: int, *, most: int | None = None) -> list[int]:
    return []


assert_type(divisors(12, most=3), list[int])
assert_type(divisors.retrieve(12), "RunRecord | None")
assert_type(divisors.sweep(grid(n=[1, 2])), list[list[int]])
divisors("12")  # type: ignore[arg-type]
divisors(12, least=3)  # type: ignore[call-arg]
divisors.key()  # type: ignore[call-arg]


@cached(store, save=save)
def squares(n: int) -> list[int]:
    return []


assert_type(squares(3), RunRecord)


# ---- the path of the result first


@cached(store)
def simulate(result_path: Path, n: int, *, dt: float = 0.1) -> None: ...


assert_type(simulate(1, dt=0.2), RunRecord)
assert_type(simulate.run(n=1), RunRecord)
assert_type(simulate.sweep(grid(n=[1, 2]), on_error="skip"), RecordList)
assert_type(simulate.replicates(3, 1), RecordList)
assert_type(simulate.with_metadata(note="x").sweep(grid(n=[1, 2])), RecordList)
simulate.sweep(grid(n=[1, 2])).to_dataframe()
simulate("one")  # type: ignore[arg-type]
simulate(1, step=2)  # type: ignore[call-arg]
simulate.explain()  # type: ignore[call-arg]
simulate.with_metadata(note="x")("one")  # type: ignore[arg-type]
simulate.sweep(grid(n=[1, 2]), on_error="stop")  # type: ignore[call-overload]
simulate.sweep(grid(n=[1, 2]), order="shortest")  # type: ignore[call-overload]
cached(store, on_change="maybe")  # type: ignore[call-overload]


@cached(store, load=load)
async def fetch(result_path: Path, address: str) -> None: ...


coroutine: Coroutine[Any, Any, list[int]] = fetch("a")
fetch.key(1)  # type: ignore[arg-type]


class Model:
    """A class with a decorated method."""

    @cached(store, ignore=("self",))
    def step(self, result_path: Path, n: int) -> None: ...


assert_type(Model().step(1), RunRecord)
assert_type(Model.step(Model(), 1), RunRecord)
assert_type(Model().step.key(1), str)
Model().step("one")  # type: ignore[arg-type]
Model().step()  # type: ignore[call-arg]
