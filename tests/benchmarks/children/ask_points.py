"""
A process that asks for points when told to. Arguments: folder, number of points, seconds that each run takes, and how:
``calls`` or ``sweep``.

It says ``ready``, waits for a line, asks, and says ``done``; every run leaves a line in ``runs.log``.
"""

import os
import sys
import time

import entropic

folder, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
store = entropic.Store(f"{folder}/results", f"{folder}/runs.json", file_suffix=".txt")


@entropic.cached(store, name="benchmark.asked")
def simulate(n, *, result_path):
    time.sleep(seconds)
    descriptor = os.open(f"{folder}/runs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{n}\n".encode())
    os.close(descriptor)
    result_path.write_text("x")


print("ready", flush=True)
sys.stdin.readline()
if sys.argv[4] == "sweep":
    simulate.sweep(entropic.grid(n=range(count)), progress=False)
else:
    for n in range(count):
        simulate(n)
print("done", flush=True)
