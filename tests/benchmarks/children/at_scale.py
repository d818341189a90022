"""
A fresh process that asks a large store one thing. Arguments: what, folder, [URL].

Prints processor seconds and megabytes beyond what it took before it asked, as JSON.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import entropic
import entropic._engine
import entropic._tables
from entropic.errors import UnknownNameWarning
from entropic.hashing import hash_params

what, folder, *url = sys.argv[1:]
if url:
    import entropic.index.sql._index
POINT = {"n": 100, "steps": 5000, "dt": 0.01}
warnings.simplefilter("ignore", UnknownNameWarning)
store = entropic.Store(f"{folder}/results", f"{folder}/runs.json", ".txt", url[0] if url else None, durable=False)


def write(params, path):
    path.write_text("x")


def last():
    return store.list(limit=1, newest_first=True)[0]


ASKED = {
    "count": lambda: store.count(),
    "list(limit=10)": lambda: store.list(limit=10),
    "list(limit=10, after=)": lambda: store.list(limit=10, after=store.list(POINT)[0]),
    "list(limit=10, current=True)": lambda: store.list(limit=10, current=True),
    "list of 10 matches": lambda: store.list({"steps": 5001}),
    "list sorted by a parameter": lambda: store.list(order_by="n", limit=10),
    "count of a comparison": lambda: store.count(entropic.param("n") > 100),
    "list by a whole hash": lambda: store.list(hash_params(POINT)),
    "list by the beginning of a hash": lambda: store.list(hash_params(POINT)[:8]),
    "a hit": lambda: store.retrieve(POINT),
    "a new run": lambda: store.run_or_retrieve({"m": time.time()}, write),
    "delete of a point": lambda: store.delete(store.run({"m": time.time()}, write).params),
    "delete(remove_file=True)": lambda: store.delete(store.run({"m": time.time()}, write), remove_file=True),
    "plan of 10 points": lambda: store.plan([{"m": number} for number in range(10)]),
    "explain of a miss": lambda: store.explain({"n": 100, "steps": 5000, "dt": 0.5}),
    "iter": lambda: sum(1 for _ in store.iter()),
    "list": lambda: store.list(),
    "check": lambda: store.check(),
    "prune, previewed": lambda: store.prune(keep_newest=1, preview=True),
    "rebuild": lambda: store.rebuild(),
}


def kilobytes(name):
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


before, began = kilobytes("VmRSS:"), time.process_time()
answer = ASKED[what]()
seconds = time.process_time() - began
print(json.dumps([seconds, (kilobytes("VmHWM:") - before) / 1024]))
store.close()
