"""Interrupts, such as Ctrl-C, at each place of a call where Python runs signal handlers."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
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


class Interrupt(BaseException):
    """What a signal handler raises."""


class AtPlace:
    """
    Raises at the n-th place of a call at which a signal handler may come in: where one of our functions begins, and
    where a call of something built in has ended.

    Not where an ``__exit__`` begins: nothing written in Python can be done about an interrupt there.
    """

    def __init__(self, number: int) -> None:
        self._left = number
        self.where = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event not in ("call", "c_return") or not code.co_filename.startswith(_OURS):
            return
        if code.co_name == "__exit__" and event == "call":
            return
        if code.co_name == "__del__" or code.co_flags & inspect.CO_GENERATOR:  # may drop what is raised, as they end
            return
        self._left -= 1
        if self._left == 0:
            self.where = f"{os.path.relpath(code.co_filename, _OURS)}:{frame.f_lineno} {code.co_name}, {event}"
            raise Interrupt


def interrupted(call: Callable[[int], object], numbers: range, prepare: Callable[[int], object]) -> Iterator[str]:
    """Interrupt one call after the other, each at a later place; yields where, until a call has no such place."""
    for number in numbers:
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
        del raised  # with its traceback, which holds what the call was about to give back
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
        Path(os.environ["MARKS"], str(params["n"])).touch()

    def write_folder(params: dict[str, Any], result_path: Path) -> None:
        result_path.mkdir()
        (result_path / "values.txt").write_text(f"result of {params['n']}")
        Path(os.environ["MARKS"], str(params["n"])).touch()

    @entropic.cached(store)
    def decorated(n: int, result_path: Path) -> None:
        result_path.write_text(f"result of {n}")
        Path(os.environ["MARKS"], str(n)).touch()

    @entropic.cached(store, save=lambda path, value: Path(path).write_text(value))
    def saved(n: int) -> str:
        Path(os.environ["MARKS"], str(n)).touch()
        return f"result of {n}"

    @entropic.cached(store)
    async def coroutine(n: int, result_path: Path) -> None:
        result_path.write_text(f"result of {n}")
        Path(os.environ["MARKS"], str(n)).touch()

    @entropic.cached(store)
    def resumable(n: int, result_path: Path, checkpoint_dir: Path) -> None:
        (checkpoint_dir / "half").touch()
        result_path.write_text(f"result of {n}")
        Path(os.environ["MARKS"], str(n)).touch()

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
    ("call", "first", "step"),
    [
        ("store", 1, 3),
        ("folder", 2, 3),
        ("decorated", 3, 3),
        ("saved", 1, 3),
        ("coroutine", 2, 3),
        ("resumable", 4, 13),
        ("sweep", 1, 5),
    ],
)
def test_an_interrupt_comes_out_as_it_is_and_costs_no_point(
    store: Store, call: str, first: int, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("MARKS", str(marks))
    made = calls(store)[call]
    numbers = range(first, 20_000, step)
    places = list(interrupted(made, numbers, lambda number: made(number + 10**6)))
    assert len(places) > 50
    points = numbers[: len(places)]
    kept = b"\n".join(file.read_bytes() for file in store.results_dir.rglob("*") if file.is_file())
    ended = {where: point for where, point in zip(places, points, strict=True) if (marks / str(point)).exists()}
    assert [where for where, point in ended.items() if not re.search(rb"result of %d\b" % point, kept)] == []
    wrong = list[Any]()

    def ask_again() -> None:
        wrong.extend(point for point in points if text_of(made(point)) != f"result of {point}")
        wrong.append("the end")

    thread = threading.Thread(target=ask_again, daemon=True)  # which waits for whatever the main thread still holds
    thread.start()
    thread.join(120)
    assert wrong == ["the end"]
    report = store.check(contents=True)
    assert (report.dangling, report.changed, report.unreadable_lines) == ([], [], [])
