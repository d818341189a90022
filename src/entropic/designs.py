"""
Designs: points of a sweep that fill ranges of parameters, drawn with a seed that is recorded with the runs.

`random_points` draws them independently; `latin_hypercube` and `sobol` more evenly, by SciPy (extra ``designs``). What
they return is a sequence of points for ``sweep``, and can be combined with further axes by `entropic.grid`.
"""

from ._points import latin_hypercube, log, random_points, sobol

__all__ = ["latin_hypercube", "log", "random_points", "sobol"]
