"""The benchmarks run from end to end, on tiny stores; what they measure is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "benchmarks" / "run.py"


def run(*options: str) -> str:
    """What a smoke run prints."""
    command = [sys.executable, str(RUN), "--quick", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="whole processes are measured through /proc")
def test_the_benchmarks_run_and_write_their_figures(tmp_path: Path) -> None:
    """One smoke run prints every section and leaves the same as JSON."""
    figures = tmp_path / "figures.json"
    output, sections = "", []
    # Servers, and processes that load much, are started for one size of stores only.
    for options in (["--sizes", "20"], ["--sizes", "20", "40", "--only", "queries"]):
        output += run(*options, "--json", str(figures))
        sections += json.loads(figures.read_text())
    titles = {section["title"] for section in sections}
    measured = [figure for section in sections for row in section["figures"].values() for figure in row.values()]

    assert {"Warm hit", "Miss, with syncs", "Peak memory of a process", "Hit by index, warm"} <= titles
    assert all(title in output for title in titles)
    assert all(figure is not None for figure in measured)
