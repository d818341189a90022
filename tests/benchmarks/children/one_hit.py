"""A fresh process: one decorated call, for a point that is recorded. Arguments: folder, [peak]."""

import sys
import warnings
from pathlib import Path

import entropic

folder = sys.argv[1]
store = entropic.Store(f"{folder}/results", f"{folder}/runs.json", file_suffix=".txt")


warnings.simplefilter("error")  # a run of other code would be no hit of the kind that is measured


# The same code as in fixtures.py.
@entropic.cached(store, name="benchmark.simulate")
def simulate(n, steps, dt=0.01, *, result_path):
    result_path.write_bytes(b"x")


simulate(100, 5000)
if sys.argv[2:]:
    print(Path("/proc/self/status").read_text())
