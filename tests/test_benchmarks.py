"""The benchmarks run from end to end, on tiny stores; what they measure is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "benchmarks" / "run.py"


def run(*options: str) -> str:
    command = [sys.executable, str(RUN), "--quick", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="whole processes are measured through /proc")
def test_the_benchmarks_run_and_write_their_figures(tmp_path: Path) -> None:
    """One smoke run prints every section and leaves the same as JSON."""
    output = run("--sizes", "20", "40", "--json", str(tmp_path / "figures.json"))
    sections = json.loads((tmp_path / "figures.json").read_text())
    titles = {section["title"] for section in sections}
    figures = [figure for section in sections for row in section["figures"].values() for figure in row.values()]

    assert {"Warm hit", "Miss, with syncs", "Peak memory of a process", "Hit by index, warm"} <= titles
    assert all(title in output for title in titles)
    assert all(figure is not None for figure in figures)
