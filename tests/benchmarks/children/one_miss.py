"""A fresh process: one decorated call, for a point that nobody has asked for. Arguments: folder."""

import random
import sys

import entropic

folder = sys.argv[1]
store = entropic.Store(f"{folder}/results", f"{folder}/runs.json", file_suffix=".txt", durable=False)


# The same code as in fixtures.py.
@entropic.cached(store, name="benchmark.simulate")
def simulate(n, steps, dt=0.01, *, result_path):
    result_path.write_bytes(b"x")


simulate(random.randrange(1 << 60), 5000)
