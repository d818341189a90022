"""A fresh process that asks for every record. Argument: folder."""

import sys
from pathlib import Path

import entropic

folder = sys.argv[1]
store = entropic.Store(f"{folder}/results", f"{folder}/runs.json", file_suffix=".txt")
assert len(store.list()) > 0
print(Path("/proc/self/status").read_text())
