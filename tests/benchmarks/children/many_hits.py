"""A fresh process: 1,000 decorated calls, each for another recorded point. Arguments: folder, size."""

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


size = int(sys.argv[2])
reach = min(500, size // 2)
for place in range(-reach, reach):
    simulate(100 + place, 5000 + place // 10)
print(Path("/proc/self/status").read_text())
