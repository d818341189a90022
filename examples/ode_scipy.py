"""
NumPy and SciPy: the Van der Pol oscillator, from gentle to stiff.

Watch ``load=``: the call returns what it makes of the result file, here a dict of arrays, whether the point
has just run or was recorded last year. The record behind it is still there, from ``retrieve``.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import entropic

store = entropic.Store("runs_ode_scipy/results", "runs_ode_scipy/index.json", file_suffix=".npz")


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


@entropic.cached(store, load=arrays)
def van_der_pol(result_path: Path, mu: float, rtol: float = 1e-8) -> None:
    """Integrate x'' = mu (1 - x^2) x' - x over some periods; note when x passes zero on its way up."""
    print(f"  running mu={mu}")

    def upward(t: float, y: np.ndarray) -> float:
        return y[0]

    upward.direction = 1
    solution = solve_ivp(
        lambda t, y: [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]],
        t_span=(0, 40 + 5 * mu),
        y0=[2.0, 0.0],
        method="Radau",
        rtol=rtol,
        events=upward,
    )
    np.savez(result_path, t=solution.t, x=solution.y[0], upward=solution.t_events[0])


def main() -> None:
    print("The period grows with mu, towards (3 - 2 ln 2) mu:")
    for mu in (1.0, 10.0, 100.0, 1000.0):
        began = time.perf_counter()
        result = van_der_pol(mu)
        took = time.perf_counter() - began
        period, limit = np.diff(result["upward"])[-1], (3 - 2 * np.log(2)) * mu
        print(f"  mu {mu:6}: {period:9.4f}, limit {limit:9.4f}; {result['t'].size} steps in {took:.4f} s")

    record = van_der_pol.retrieve(1000.0)
    print(f"The stiffest one ran {record.metadata['elapsed_seconds']:.3f} s on {record.created_at[:10]}.")
    info = van_der_pol.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


if __name__ == "__main__":
    main()
