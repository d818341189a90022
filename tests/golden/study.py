"""What the golden runs were made with: imported by ``make.py`` and by the test that reads them. Do not edit."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import uuid
from pathlib import Path
from typing import Any

RATE = 0.5
STEPS = 10


class Method(enum.Enum):
    """How to integrate."""

    RK4 = "rk4"


@dataclasses.dataclass(frozen=True)
class Solver:
    """A value with fields."""

    order: int
    tolerance: float


def accepted(n: int, dt: float = 0.01, *, result_path: Path) -> None:
    """A function whose constant was edited, and whose edit was accepted."""
    result_path.write_text(f"{n} {dt} {RATE}")


def edited(n: int, *, result_path: Path) -> None:
    """A function whose constant was edited; nobody has said what that means."""
    result_path.write_text(f"{n} {STEPS}")


def folder(params: dict[str, Any], result_path: Path) -> None:
    """A result that is a folder."""
    (result_path / "deep").mkdir(parents=True)
    (result_path / "a.txt").write_text("a")
    (result_path / "deep" / "b.txt").write_text("b")


def with_companion(params: dict[str, Any], result_path: Path) -> None:
    """A result with a file beside it."""
    result_path.write_text("main")
    result_path.with_suffix(".xdmf").write_text(result_path.name)


def plain(params: dict[str, Any], result_path: Path) -> None:
    """A result that is a file."""
    result_path.write_text(repr(sorted(params)))


def fails(params: dict[str, Any], result_path: Path) -> None:
    """A run that writes something, and raises."""
    result_path.write_text("half")
    raise ArithmeticError("no convergence")


# Every kind of value that needs no extra, and the key it had.
VALUES: dict[str, Any] = {
    "none": None,
    "truth": True,
    "integer": 1,
    "float": 0.1 + 0.2,
    "nan": math.nan,
    "infinity": -math.inf,
    "text": "é\n$x",
    "list": [1, (2.5, None)],
    "nested": {"a": {"z": 1, "a": [1]}},
    "forged": {"$date": "no"},
    "mapping": {1: "one", (2, 3): "two"},
    "set": {3, 1, 2},
    "bytes": b"\x00\xff",
    "decimal": decimal.Decimal("1.10"),
    "complex": 1 - 2j,
    "uuid": uuid.UUID(int=5),
    "date": datetime.date(2026, 1, 31),
    "moment": datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc),
    "duration": datetime.timedelta(days=1, seconds=2),
    "enum": Method.RK4,
    "dataclass": Solver(4, 1e-9),
    "path": Path("a/b"),
}
