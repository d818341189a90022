"""
Quickstart: a damped pendulum, swept over its length and damping.

Run this script twice, and watch the lines that begin with "running": they come from inside the simulation.
The second time there are none, since every point is found by its parameters in ``runs_quickstart/``. Then
add a value to the sweep: only the new points run.
"""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path

import entropic

store = entropic.Store("runs_quickstart/results", "runs_quickstart/index.json", file_suffix=".csv")


@entropic.cached(store)
def swing(result_path: Path, length: float, damping: float, dt: float = 0.0001) -> None:
    """Let a pendulum of this length (m) and damping (1/s) go at 1 rad; integrate 10 s by Runge-Kutta."""
    print(f"  running length={length} damping={damping}")

    def slope(angle: float, speed: float) -> tuple[float, float]:
        return speed, -damping * speed - 9.81 / length * math.sin(angle)

    angle, speed = 1.0, 0.0
    with result_path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["time", "angle"])
        for step in range(round(10 / dt) + 1):
            if step % 1000 == 0:
                table.writerow([step * dt, angle])
            a1, s1 = slope(angle, speed)
            a2, s2 = slope(angle + dt / 2 * a1, speed + dt / 2 * s1)
            a3, s3 = slope(angle + dt / 2 * a2, speed + dt / 2 * s2)
            a4, s4 = slope(angle + dt * a3, speed + dt * s3)
            angle += dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
            speed += dt / 6 * (s1 + 2 * s2 + 2 * s3 + s4)


def main() -> None:
    print("A sweep of 2 x 3 points:")
    began = time.perf_counter()
    swing.sweep(entropic.grid(length=[0.5, 1.0], damping=[0.1, 0.2, 0.4]))
    print(f"  took {time.perf_counter() - began:.4f} s")

    print("The same point written differently is the same run:")
    print(f"  {swing(1.0, 0.4) == swing(damping=0.4, length=1.0, dt=1e-4)}")

    print("All runs with damping 0.4, and where the pendulum is after 10 s:")
    for record in store.list(where={"damping": 0.4}):
        with record.result_path.open(newline="") as file:
            angle = float(list(csv.DictReader(file))[-1]["angle"])
        print(f"  length {record.params['length']} m: {angle:+.4f} rad, read from {record.result_path.name}")

    info = swing.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits; {info.currsize} points recorded.")


if __name__ == "__main__":
    main()
