"""
A method of a model: the Lorenz system, whose constants are the fields of a frozen dataclass.

``self`` takes part in the key, by its fields. Watch that a second, equal model finds the run of the first,
that another model does not, and that ``where={"self.rho": ...}`` reaches into the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import entropic

store = entropic.Store("runs_methods/results", "runs_methods/index.json", file_suffix=".npy")


@dataclass(frozen=True)
class Lorenz:
    """A fluid heated from below; rho says how strongly."""

    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8 / 3

    def slope(self, t: float, state: np.ndarray) -> list[float]:
        """Lorenz' equations."""
        x, y, z = state
        return [self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z]

    @entropic.cached(store)
    def trajectory(self, result_path: Path, duration: float) -> None:
        """Write x, y and z at 2001 times."""
        print(f"  running {self} for {duration}")
        times = np.linspace(0, duration, 2001)
        np.save(result_path, solve_ivp(self.slope, (0, duration), [1, 1, 1], t_eval=times, rtol=1e-8).y)


def main() -> None:
    weather = Lorenz()
    print("Three models:")
    for model in (replace(weather, rho=1.5), replace(weather, rho=14.0), weather):
        record = model.trajectory(duration=40.0)
        late = np.load(record.result_path)[0, 1000:]
        print(f"  rho {model.rho:4}: later on x stays between {late.min():7.3f} and {late.max():7.3f}")

    print("An equal model is the same model:")
    print(f"  {Lorenz(rho=28.0).trajectory(40.0) == weather.trajectory(40.0)}")

    print("All runs with rho = 14:")
    for record in store.list(where={"self.rho": 14.0}):
        print(f"  {record.params}")

    info = Lorenz.trajectory.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


if __name__ == "__main__":
    main()
