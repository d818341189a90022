"""Interrupts, such as Ctrl-C, at each place of a call where Python runs signal handlers."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import entropic
from entropic import Store

_OURS = os.path.dirname(entropic.__file__)
_EACH = 3  # of so many places one: all of them, in all calls together


class Interrupt(BaseException):
    """What a signal handler raises."""


class AtPlace:
    """
    Raises at the n-th place of a call at which a signal handler may come in: where one of our functions begins, and
    where a call of something built in has ended.
    """

    def __init__(self, number: int) -> None:
        self._left = number
        self.where = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event not in ("call", "c_return") or not code.co_filename.startswith(_OURS) or code.co_name == "__del__":
            return
        self._left -= 1
        if self._left == 0:
            self.where = f"{os.path.relpath(code.co_filename, _OURS)}:{frame.f_lineno} {code.co_name}, {event}"
            raise Interrupt


def interrupted(call: Callable[[int], object], first: int, prepare: Callable[[int], object]) -> Iterator[str]:
    """Interrupt one call after the other, each at a later place; yields where, until a call has no such place."""
    for number in range(first, 5000, _EACH):
        prepare(number)
        hook, raised = AtPlace(number), None
        sys.setprofile(hook)
        try:
            call(number)
        except BaseException as error:
            raised = error
        finally:
            sys.setprofile(None)
        if not hook.where:
            assert raised is None
            return
        assert type(raised) is Interrupt, (hook.where, raised)
        yield hook.where
    raise AssertionError("the call has no end")


def text_of(result: Any) -> str:
    path = Path(result)
    return (path / "values.txt" if path.is_dir() else path).read_text()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", tmp_path / "runs.json", ".txt", durable=False)


def calls(store: Store) -> dict[str, Callable[[int], Any]]:
    def write(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text(f"result of {params['n']}")

    def write_folder(params: dict[str, Any], result_path: Path) -> None:
        result_path.mkdir()
        (result_path / "values.txt").write_text(f"result of {params['n']}")

    @entropic.cached(store)
    def decorated(n: int, result_path: Path) -> None:
        result_path.write_text(f"result of {n}")

    @entropic.cached(store, save=lambda path, value: Path(path).write_text(value))
    def saved(n: int) -> str:
        return f"result of {n}"

    @entropic.cached(store)
    async def coroutine(n: int, result_path: Path) -> None:
        result_path.write_text(f"result of {n}")

    @entropic.cached(store)
    def resumable(n: int, result_path: Path, checkpoint_dir: Path) -> None:
        (checkpoint_dir / "half").touch()
        result_path.write_text(f"result of {n}")

    return {
        "store": lambda n: store.run_or_retrieve({"n": n}, write),
        "folder": lambda n: store.run_or_retrieve({"n": n}, write_folder),
        "decorated": decorated,
        "saved": saved,
        "coroutine": lambda n: asyncio.run(coroutine(n)),
        "resumable": resumable,
        "sweep": lambda n: store.sweep([{"n": n}, {"n": -n}], write)[0],
    }


@pytest.mark.parametrize(
    ("call", "first"),
    [("store", 1), ("folder", 2), ("decorated", 3), ("saved", 1), ("coroutine", 2), ("resumable", 3), ("sweep", 1)],
)
def test_an_interrupt_comes_out_as_it_is_and_costs_no_point(store: Store, call: str, first: int) -> None:
    made = calls(store)[call]
    places = list(interrupted(made, first, lambda number: made(number + 10**6)))
    assert len(places) > 100
    points = range(first, first + _EACH * len(places), _EACH)
    wrong = list[Any]()

    def ask_again() -> None:
        wrong.extend(point for point in points if text_of(made(point)) != f"result of {point}")
        wrong.append("the end")

    thread = threading.Thread(target=ask_again, daemon=True)  # which waits for whatever the main thread still holds
    thread.start()
    thread.join(120)
    assert wrong == ["the end"]
    report = store.check(contents=True)
    assert not (report.dangling or report.changed or report.unreadable_lines)
