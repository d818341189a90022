"""
A fit by parameter sweep: the Lotka-Volterra model and a hundred-year-old record of lynx and hare.

Hares multiply at rate alpha and are eaten at rate beta; lynx starve at rate gamma and thrive on hares at
rate delta. The search lays a small grid around the best point so far, moves there, and refines the grid
once its middle is best. Neighbouring grids share points, and those are hits in the first run of this script
already: ``value * ratio / ratio`` is ``value`` to entropic, round-off or not. The second run is all hits.
Change the error measure or add rounds, and only points never seen before are simulated.

Data: pelts in thousands, collected by the Hudson's Bay Company 1900-1920, from P. Howard, "Modeling
Basics", lecture notes for Math 442, Texas A&M University (2009); also used by B. Carpenter, "Predator-Prey
Population Dynamics: the Lotka-Volterra model in Stan" (2018).
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import entropic

# fmt: off
HARE = [30.0, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22.0, 25.4, 27.1,  # 1900 to 1910
        40.3, 57.0, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6, 16.2, 24.7]         # 1911 to 1920
LYNX = [4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4,
        8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6]
# fmt: on
PELTS = np.array([HARE, LYNX])

Point = dict[str, float]
PUBLISHED: Point = {"alpha": 0.55, "beta": 0.028, "gamma": 0.84, "delta": 0.026}  # least squares, Howard

# Not durable: runs of a few milliseconds are made again sooner than each is synced to disk.
store = entropic.Store("runs_lynx_hare/results", "runs_lynx_hare/index.json", file_suffix=".npy", durable=False)


@entropic.cached(store, load=np.load)
def populations(result_path: Path, alpha: float, beta: float, gamma: float, delta: float) -> None:
    """Hares and lynx of every year, from the pelts of 1900 on."""

    def slope(year: float, population: np.ndarray) -> list[float]:
        hare, lynx = population
        return [(alpha - beta * lynx) * hare, (delta * hare - gamma) * lynx]

    years = np.arange(PELTS.shape[1])
    solution = solve_ivp(slope, (0, years[-1]), PELTS[:, 0], t_eval=years, rtol=1e-6)
    np.save(result_path, solution.y)


def error(point: Point) -> float:
    """Root mean square distance between model and data, in thousand pelts."""
    return float(np.sqrt(np.mean((populations(**point) - PELTS) ** 2)))


def first_guess() -> Point:
    """Over a cycle lynx average alpha / beta, and hares gamma / delta: this leaves two rates to sweep."""
    hare, lynx = PELTS.mean(axis=1)
    rates = entropic.grid(alpha=np.arange(0.3, 1.0, 0.1), gamma=np.arange(0.3, 1.0, 0.1))
    points = [{**rate, "beta": rate["alpha"] / lynx, "delta": rate["gamma"] / hare} for rate in rates]
    return min(points, key=error)


def refined(best: Point, rounds: int) -> Point:
    ratio = 1.1
    for number in range(1, rounds + 1):
        axes = {name: [value / ratio, value, value * ratio] for name, value in best.items()}
        centre, best = best, min(entropic.grid(**axes), key=error)
        print(f"  round {number:2}, steps of {ratio - 1:5.2%}: error {error(best):.4f}")
        if best == centre:
            ratio = ratio**0.5
    return best


def main() -> None:
    began = time.perf_counter()
    guess = first_guess()
    print(f"First guess: error {error(guess):.4f} thousand pelts")
    best = refined(guess, rounds=12)

    print("          " + "".join(f"{name:>9}" for name in PUBLISHED) + "    error")
    for title, point in (("best fit", best), ("published", PUBLISHED)):
        print(f"{title:10}" + "".join(f"{point[name]:9.4f}" for name in PUBLISHED) + f"{error(point):9.4f}")

    info = populations.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits, {time.perf_counter() - began:.2f} s.")


if __name__ == "__main__":
    main()
