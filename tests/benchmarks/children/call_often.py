"""
A fresh process that makes one kind of call many times, between two marks in a trace.

Arguments: what, folder, durable (0 or 1), calls.
Ends with status 3 if the library of that kind is not installed.
"""

import itertools
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from fixtures import decorated
from floors import bare_miss
from peers import miss_peers

import entropic

what, folder, durable, calls = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "1", int(sys.argv[4])
_PEERS = {"joblib": "joblib.Memory", "diskcache": "diskcache memoize", "signac": "signac job"}


def call():
    if what == "bare":
        return bare_miss(folder / "bare", durable=durable)
    if what in _PEERS:
        return miss_peers(folder / "peers").get(_PEERS[what])
    store = entropic.Store(folder / "results", folder / "runs.json", file_suffix=".txt", durable=durable)
    simulate, numbers = decorated(store), itertools.count(1)
    simulate(0, 5000)
    return (lambda: simulate(0, 5000)) if what == "hit" else (lambda: simulate(next(numbers), 5000))


function = call()
if function is None:
    sys.exit(3)
function()
os.access("entropic-benchmark-mark", os.F_OK)
for _ in range(calls):
    function()
os.access("entropic-benchmark-mark", os.F_OK)
