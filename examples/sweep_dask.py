"""
A sweep on a dask cluster: the logistic map at many growth rates, on two worker processes of this machine.

Watch that the sweep is the same as anywhere else, with ``executor=client``: the function of this very script goes to
the workers, each run is recorded by the worker that did it, and the second time no worker is asked at all. With a
``dask_jobqueue.SLURMCluster`` in place of the ``LocalCluster`` it runs on a cluster of machines with a common folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import entropic

folder = Path("runs_sweep_dask")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")


@entropic.cached(store)
def logistic(result_path: Path, rate: float, steps: int = 2000) -> None:
    """Where the map x -> rate x (1 - x) ends up: the number of different values, and who found out."""
    x, seen = 0.5, set()
    for step in range(steps):
        x = rate * x * (1 - x)
        if step > steps // 2:
            seen.add(round(x, 6))
    result_path.write_text(f"{len(seen)} {os.getpid()}")


def main() -> None:
    from distributed import Client, LocalCluster  # pip install "entropic[dask]"

    points = entropic.grid(rate=[2.8, 3.2, 3.5, 3.55, 3.7, 3.9])
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1")
    with cluster, Client(cluster) as client:
        records = logistic.sweep(points, executor=client)

    for record in records:
        values, worker = record.result_path.read_text().split()
        whose = "this process" if int(worker) == os.getpid() else "a worker"
        print(f"rate {record.params['rate']}: {values} values, found by {whose}")

    info = logistic.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits; {info.currsize} points.")


if __name__ == "__main__":
    main()
