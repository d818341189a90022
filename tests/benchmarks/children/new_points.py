"""
A process that has trivial new points run by workers, twice, and says how many seconds each time took.

Arguments: ``joblib``, ``quick`` or ``durable``; folder, number of workers, number of points. Nobody has started any
workers before the first time; those of joblib live on until the second.
"""

import sys
import time

how, folder, workers, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def joblib_run(n):
    return "x"


def joblib_calls():
    import joblib

    cached_run = joblib.Memory(f"{folder}/joblib", verbose=0).cache(joblib_run)
    return lambda numbers: joblib.Parallel(workers)(joblib.delayed(cached_run)(n) for n in numbers)


def sweeps():
    import entropic

    store = entropic.Store(f"{folder}/{how}", f"{folder}/{how}.json", file_suffix=".txt", durable=how == "durable")

    @entropic.cached(store, name="benchmark.simulate")
    def simulate(n, *, result_path):
        result_path.write_bytes(b"x")

    return lambda numbers: simulate.sweep([{"n": n} for n in numbers], workers=workers, progress=False)


if __name__ == "__main__":
    run = joblib_calls() if how == "joblib" else sweeps()
    for turn in range(2):
        began = time.perf_counter()
        run(range(turn * count, (turn + 1) * count))
        print(time.perf_counter() - began, flush=True)
