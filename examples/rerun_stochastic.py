"""
``run``: one more run of the same point, whenever it is called; a random epidemic without a seed.

A plain call answers with the newest record, ``list`` shows all of them. Watch that this script runs only what is
missing. (For so many replicates in one call, each with a seed of its own, see replicates.py.)
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import mean

import entropic

REPLICATES = 5

folder = Path("runs_rerun_stochastic")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".json")


@entropic.cached(store)
def epidemic(result_path: Path, people: int, contagion: float) -> None:
    """Gillespie's algorithm: ten are ill at first; each meets others at a rate, and recovers at rate 1."""
    print(f"  running people={people} contagion={contagion}")
    healthy, ill, time = people - 10, 10, 0.0
    while ill:
        infection, recovery = contagion * healthy * ill / people, float(ill)
        time += random.expovariate(infection + recovery)
        if random.random() * (infection + recovery) < infection:
            healthy, ill = healthy - 1, ill + 1
        else:
            ill -= 1
    result_path.write_text(json.dumps({"spared": healthy, "duration": time}))


def spared(record: entropic.RunRecord) -> int:
    return int(json.loads(record.result_path.read_text())["spared"])


def main() -> None:
    for contagion in (0.8, 1.5):
        point = {"people": 20_000, "contagion": contagion}
        print(f"contagion {contagion}:")
        for _ in range(REPLICATES - len(epidemic.list(where=point))):
            epidemic.run(**point)
        numbers = [spared(record) for record in epidemic.list(where=point)]
        print(f"  spared, oldest first: {numbers}, on average {mean(numbers):.0f}")
        print(f"  a plain call answers with the newest: {spared(epidemic(**point))}")

    info, records = epidemic.cache_info(), epidemic.list()
    print(f"This time: {info.misses} runs, {info.hits} hits; {info.currsize} points, {len(records)} records.")


if __name__ == "__main__":
    main()
