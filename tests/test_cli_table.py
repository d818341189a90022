"""Tables on a narrow terminal: what is shown is whole, and what is not shown is named."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import entropic
from entropic import Store
from entropic._cli._table import Column, fitting


def on_terminal(columns: int, *arguments: str) -> list[str]:
    """The lines that a person sees on a terminal of so many columns."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(columns), "TZ": "UTC"}
    command = [sys.executable, "-m", "entropic", *arguments]
    done = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    seen = b""
    try:
        while piece := os.read(leader, 4096):
            seen += piece
    except OSError:
        pass  # Linux says so when the other side has closed
    os.close(leader)
    done.wait()
    return seen.decode().replace("\r\n", "\n").splitlines()


def fill(store: Store, *points: dict[str, Any]) -> list[str]:
    """Some recorded runs; the beginnings of their hashes."""
    return [store.run(point, lambda params, path: path.write_text("x")).params_hash[:8] for point in points]


@pytest.fixture
def wide() -> list[str]:
    """Runs with more parameters than 80 columns hold."""
    with Store("results", "entropic.json", ".txt") as store:
        return fill(
            store,
            *(
                {"kappa": 0.1234567891 + n, "method": "runge-kutta", "nx": 1024, "viscosity": 1.25e-11 * (n + 1),
                 "boundary": f"periodic in every direction {n}", "label": f"run{n}", "reynolds": 1000000 + n}
                for n in range(3)
            ),
        )  # fmt: skip


@pytest.mark.parametrize("columns", [200, 80, 60, 40, 20])
def test_nothing_that_matters_is_cut(wide: list[str], columns: int) -> None:
    """No line is too long, no number and no hash is cut, and what is left out is named."""
    lines = on_terminal(columns, "ls")

    table = [line for line in lines if line[:8] in wide]
    note = " ".join(line.strip() for line in lines).partition("too narrow for")[2]  # which takes several lines itself
    header = lines[lines.index(table[0]) - 1]
    assert [line[:8] for line in table] == wide
    assert all(len(line) <= columns for line in [header, *table])
    assert any("method = runge-kutta, nx = 1024" in line for line in lines) or columns < 40
    for name, values in (("kappa", ["0.1234567891", "1.1234567891"]), ("reynolds", ["1000000", "1000001"])):
        shown = all(value in line.split() for value, line in zip(values, table, strict=False))
        assert shown is (name in header.split())
        assert shown is not (name in note)
    assert bool(note) is (columns < 200)


def test_a_pipe_gets_everything(wide: list[str]) -> None:
    """A program has no width."""
    command = [sys.executable, "-m", "entropic", "ls"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    names = ["kappa", "method", "nx", "viscosity", "boundary", "label", "reynolds"]
    assert lines[0].split() == ["hash", "created", *names, "time", "size"]
    assert "periodic in every direction 0" in lines[1]


def test_one_run_has_nothing_in_common() -> None:
    """With itself, that is: its parameters stay in the table."""
    with Store("results", "entropic.json", ".txt") as store:
        fill(store, {"n": 1})

    header, row = on_terminal(80, "ls")

    assert "n" in header.split()
    assert "1" in row.split()


columns = st.builds(
    Column,
    title=st.text("abc", min_size=1, max_size=12),
    cells=st.lists(st.text("0123456789.-é日", max_size=30), min_size=2, max_size=2),
    rank=st.integers(0, 5),
    is_number=st.booleans(),
    is_whole=st.booleans(),
)


@given(st.lists(columns, min_size=1, max_size=8, unique_by=lambda column: column.title), st.integers(1, 120))
def test_columns_fit_or_go(asked: list[Column], width: int) -> None:
    """Numbers and hashes stay whole; all but the last column go before a line is too long; the order stays."""
    shown = fitting(asked, width)

    whole = {(column.title, tuple(column.cells)) for column in asked}
    assert all((column.title, tuple(column.cells)) in whole for column in shown if column.is_number or column.is_whole)
    assert len(shown) == 1 or sum(column.width for column in shown) + 2 * (len(shown) - 1) <= width
    titles = iter(column.title for column in asked)
    assert all(column.title in titles for column in shown)


def test_room_that_is_left_is_used() -> None:
    """A text is not cut for the sake of a column that goes all the same."""
    name = Column("function", ["study.simulate_flow"], 2)
    number = Column("time", ["1" * 20], 4, is_number=True)

    assert fitting([name, number], 30) == [name]


@pytest.mark.parametrize("columns", [200, 80, 60])
@pytest.mark.parametrize("command", ["failures", "checkpoints"])
def test_runs_without_a_record_fit_a_terminal(command: str, columns: int) -> None:
    """What failed, and what was interrupted, is a table like that of recorded runs: nothing is broken over lines."""
    with Store("results", "entropic.json", ".txt", keep_failed=True) as store:

        @entropic.cached(store, name="a.rather.long.name.of.a.module.simulate")
        def simulate(kappa: float, nx: int, method: str, *, result_path: Path, checkpoint_dir: Path) -> None:
            checkpoint_dir.joinpath("step").touch()
            raise ValueError("the residual has grown without bounds in the very first step, which is told at length")

        for kappa in (0.1234567891, 1.1234567891):
            with pytest.raises(ValueError, match="grown"):
                simulate(kappa, 1024, "runge-kutta")

    lines = on_terminal(columns, command)
    shared, head, first, second, *left_out = lines

    assert shared == "nx = 1024, method = runge-kutta"
    assert head.split()[0] == "hash"
    assert [row.split()[0] for row in (first, second)] == [run.params_hash[:8] for run in getattr(store, command)()]
    assert "  0.1234567891  " in first
    assert max(map(len, lines)) <= columns
    assert head.endswith("at") or "--json shows all" in " ".join(left_out)
