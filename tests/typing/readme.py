"""The README's own style, with the path of the result as a keyword: mypy checks it by our plugin; never run."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from entropic import RunRecord, Store, cached

store = Store("results", "runs.json")


@cached(store)
def simulate(n: int, steps: int, dt: float = 0.01, *, result_path: Path) -> None: ...


assert_type(simulate(100, steps=5000), RunRecord)
assert_type(simulate.retrieve(100, 5000, 0.1), "RunRecord | None")
assert_type(simulate.with_metadata(note="x")(100, 5000), RunRecord)
simulate(100)  # type: ignore[call-arg]
simulate("100", 5000)  # type: ignore[arg-type]
simulate(100, 5000, result_path=Path("x"))  # type: ignore[call-arg]
simulate.key(100, step=5000)  # type: ignore[call-arg]
simulate.with_metadata(note="x")(100)  # type: ignore[call-arg]


@cached(store)
def count(source: Path, result_path: Path, *, most: int = 3) -> None: ...


count(Path("text"), most=4)
count(most=4)  # type: ignore[call-arg]


@cached(store, load=lambda path: path.read_text())
async def fetch(address: str, *, result_path: Path) -> None: ...


coroutine: Coroutine[Any, Any, str] = fetch("a")
fetch.key(1)  # type: ignore[arg-type]


class Model:
    """A class with a decorated method."""

    @cached(store, ignore=("self",))
    def step(self, n: int, *, result_path: Path) -> None: ...


assert_type(Model().step(1), RunRecord)
assert_type(Model.step(Model(), 1), RunRecord)
Model().step("one")  # type: ignore[arg-type]


# What a run puts by its callers do not see either.
@cached(store)
def long(n: int, *, result_path: Path, checkpoint_dir: Path) -> None: ...


@cached(store)
def first(result_path: Path, n: int, *, checkpoint_dir: Path) -> None: ...


@cached(store, save=lambda path, value: path.write_text(value), load=lambda path: path.read_text())
def returned(n: int, checkpoint_dir: Path) -> str:
    return "x"


assert_type(long(1), RunRecord)
assert_type(first(1), RunRecord)
assert_type(returned(1), str)
long(1, checkpoint_dir=Path("x"))  # type: ignore[call-arg]
first("1")  # type: ignore[arg-type]
returned(1, Path("x"))  # type: ignore[call-arg]


# A runner takes its parameters as one mapping, or as keywords.
@cached(store)
def runner(params: dict[str, Any], result_path: Path) -> None: ...


runner({"n": 1})
runner(n=1)
