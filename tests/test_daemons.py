"""A process that becomes a daemon closes all that it has open, and what it opens next may get the same numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from entropic import Store

SCRIPT = """
import os, sys
from entropic import Store, cached

store = Store("results", "runs.json", file_suffix=".txt")

@cached(store)
def simulate(n, *, result_path):
    if n == 9:
        os.closerange(3, 256)  # in the middle of a run
    result_path.write_text(str(n))

for n in (1, 1, 2, 2):
    simulate(n)
os.closerange(3, 256)
mine = [os.open(f"mine{k}", os.O_RDWR | os.O_CREAT) for k in range(int(sys.argv[1]))]
simulate(1), simulate(3), simulate(3)
simulate(9)
mine += [os.open(f"mine_too{k}", os.O_RDWR | os.O_CREAT) for k in range(int(sys.argv[1]))]
simulate(4), simulate(2)
print(simulate.cache_info()[:2], len(simulate.list()))
[os.fstat(one) for one in mine[int(sys.argv[1]):]]
"""


@pytest.mark.parametrize("opened", [0, 16])
def test_a_daemon_goes_on(tmp_path: Path, opened: int) -> None:
    """It finds its runs, records new ones, and touches no file of its own that has got one of our numbers."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(opened)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split("\n")[0] == "(5, 5) 5"
    assert [path.name for path in tmp_path.glob("mine*") if path.stat().st_size] == []
    with Store(tmp_path / "results", tmp_path / "runs.json") as store:
        assert sorted(record.params["n"] for record in store.list()) == [1, 2, 3, 4, 9]
        assert store.check().is_clean
