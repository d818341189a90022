"""A fresh process that asks an index, by its URL or as a file. Arguments: hit or all, peak or quiet, folder, [URL]."""

import sys
from pathlib import Path

import entropic

asked, told, folder, *url = sys.argv[1:]
store = entropic.Store(f"{folder}/results", f"{folder}/runs.json", ".txt", url[0] if url else None)
if asked == "hit":
    assert store.retrieve({"n": 100, "steps": 5000, "dt": 0.01}) is not None
else:
    assert len(store.list()) > 0
store.close()
if told == "peak":
    print(Path("/proc/self/status").read_text())
