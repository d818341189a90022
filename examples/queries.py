"""
Queries and tables: a sweep over a pendulum, asked, laid out and plotted.

Watch ``param``: a condition is data, built with ``&`` and ``|`` and read by every index. ``varying()`` leaves only the
parameters that differ between the runs, and ``to_dataframe()`` makes of them what pandas and matplotlib work with.
In a notebook each of these lists shows itself as a table.
"""

from __future__ import annotations

import math
from pathlib import Path

import entropic
from entropic import param

folder = Path("runs_queries")
store = entropic.Store(folder / "results", folder / "index.json", file_suffix=".txt")


@entropic.cached(store)
def period(amplitude: float, method: str, dt: float, gravity: float = 9.81, *, result_path: Path) -> None:
    """Let a pendulum of one metre go, and write the time it takes to come back."""
    print(f"  running amplitude={amplitude} method={method} dt={dt}")
    angle, speed, time = amplitude, 0.0, 0.0
    while angle > 0:  # a quarter of the period
        change = -gravity * math.sin(angle) * dt
        angle += (speed if method == "explicit" else speed + change) * dt
        speed, time = speed + change, time + dt
    result_path.write_text(repr(4 * (time + angle / -speed)))  # back to where it passed the lowest point


def main() -> None:
    for point in entropic.grid(amplitude=[0.1, 0.5, 1.0, 1.5, 2.0], method=["explicit", "symplectic"], dt=[1e-2, 1e-4]):
        period(**point)

    wide = (param("amplitude") >= 1) & (param("method") == "symplectic")
    print(f"{len(store.list(wide))} runs satisfy {wide}, {len(store.list(~wide))} do not. The longest runs:")
    print(store.list(order_by="-metadata.elapsed_seconds", limit=3).varying())

    runs = period.list(param("dt") > 1e-3, order_by=["method", "amplitude"]).varying()
    try:
        frame = runs.to_dataframe()
    except ImportError as error:
        print(error)
    else:
        frame["period"] = [float(Path(path).read_text()) for path in frame["result_path"]]
        print(frame[[*runs.param_names, "period"]].to_string(index=False))
        plot(frame)
    info = period.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


def plot(frame: object) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(6, 4), layout="tight")
    axes = figure.add_subplot(
        xlabel="amplitude", ylabel="period [s]", title="The wider the swing, the longer it takes (dt = 0.01)"
    )
    for method, rows in frame.groupby("method"):
        axes.plot(rows["amplitude"], rows["period"], marker="o", label=method, alpha=0.7)
    axes.legend()
    figure.savefig(folder / "period.png")


if __name__ == "__main__":
    main()
