"""Params and queries that are easily mistaken, and records made of them."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._record import RunRecord
from ..hashing import RESERVED, decode_params, hash_params, normalize_params
from ..query import Where, param

HOSTILE_PARAMS: tuple[dict[str, Any], ...] = (
    {},
    {"": 0},
    {"x": math.nan, "y": math.inf, "z": -math.inf, "list": [math.nan, [math.inf]], "deep": {"x": math.nan}},
    {"x": 0.1 + 0.2, "tiny": 5e-324, "huge": 1.7976931348623157e308, "zero": -0.0, "int": 10**30},
    {"text": "é ε 日本 \U0001d11e \u2028 \ud800 \x7f"},
    {"ε": 1, "Ω.é": {"\U0001d11e": 2}},
    {"text": 'a "quoted" \\ back\\\\slash / and \\u0041'},
    {"text": "line\nfeed\r\nand\ttab\0nul"},
    {"text": '"params_hash": "2bfd14f43d17fc7c"'},
    {"text": '{"1": {"params_hash": "2bfd14f43d17fc7c", "n": 1}}'},
    {"text": '\n"7": {"params_hash": "2bfd14f43d17fc7c", "n": 1},\n}}\n'},
    {"text": "}}\n", "brackets": "}}}},,,{{{{"},
    {"inner": dict.fromkeys(sorted(RESERVED), "x")},
    {"inner": {"params_hash": "2bfd14f43d17fc7c", "n": 1}},
    {'": {"params_hash': "2bfd14f43d17fc7c"},
    {'quote"d': 1, "back\\slash": 2, "line\nfeed": 3, "_default": 4, "1": 5},
    {"tag": {"$float": "nan"}, "map": {1: "a", "1": "b"}, "set": {1, 2}, "bytes": None},
    {"none": None, "true": True, "false": False, "empty": [], "nothing": {}},
    {"long": "x" * 70_000},
)
"""Params that an index may be tempted to read as its own text."""

QUERY_PARAMS: tuple[dict[str, Any], ...] = (
    {"n": 1, "x": 0.3, "method": "rk4"},
    {"n": 1.0, "x": 0.1 + 0.2, "method": "euler"},
    {"n": True, "x": 0.3000001},
    {"n": "1", "x": "0.3"},
    {"n": [1], "x": [0.3]},
    {"n": None, "x": math.nan},
    {"n": {"n": 1}, "solver": {"dt": 0.1 + 0.2, "order": {"n": 1}}},
    {"solver.dt": 0.3, "n": 10},
    {"solver": {"dt": 0.3}, "solver.dt": 1},
    {"text": '"n": 1', "ε": "é"},
    {"n": -1, "x": 0.0},
    {"n": 0, "x": -0.0},
    {"n": 11, "x": math.inf},
    {"shape": [4, 4.0], "mesh": {"b": 1, "a": [math.nan]}},
    *({"day": datetime.date(2026, 1, day), "n": day / 2} for day in (1, 2, 3)),
    {"function": "tests.simulate", "metadata.seed": 7, "n": 1},
)
"""Params that are easily mistaken for one another in a query."""

QUERIES: tuple[Where, ...] = (
    {},
    {"n": 1},
    {"n": 1.0},
    {"n": True},
    {"n": "1"},
    {"n": None},
    {"n": [1]},
    {"n": {"n": 1}},
    {"n": 0},
    {"n": 2},
    {"x": 0.3},
    {"x": 0.1 + 0.2},
    {"x": 0.0},
    {"x": math.nan},
    {"x": math.inf},
    {"x": [0.1 + 0.2]},
    {"n": 1, "x": 0.3},
    {"n": 1, "method": "euler"},
    {"method": "rk4"},
    {"solver.dt": 0.3},
    {"solver.dt": 1},
    {"solver.order.n": 1},
    {"solver.order": {"n": 1}},
    {"n.n": 1},
    {"n.x": 1},
    {"ε": "é"},
    {"text": '"n": 1'},
    {"shape": (4, 4.0)},
    {"mesh": {"a": [math.nan], "b": 1}},
    {"mesh.b": 1},
    {"missing": 1},
    {"metadata": {}},
    {"created_at": "2026-01-01T00:00:00+00:00"},
    {"function": "tests.simulate", "n": 1},
    {"metadata.seed": 7},
    param("n") != 1,
    param("n") < 2,
    param("n") >= 1.0,
    param("n") > "0",
    param("n").between(0, 1.5),
    param("x") <= 0.3,
    param("x") > 0.3,
    param("x") < math.inf,
    param("x").isin([0.3, math.nan, [0.3]]),
    param("solver.dt").exists(),
    param("method").matches("^e"),
    param("day") > datetime.date(2026, 1, 1),
    param("day").between(datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)),
    (param("x") == 0.3) & (param("n") == 1),
    (param("x") == 0.3) & (param("n") > 0),
    (param("x") == 0.3) & ~(param("n") == 1),
    (param("n") == 1) | (param("method") == "euler"),
    ~(param("n") == 1),
    ~(param("n") < 2),
    ~param("n").exists() & ~param("x").exists(),
    (param("n") == 1) & (param("n") == 2),
    param("created_at") > "2026-01-01",
    param("metadata") == {},
    param("metadata.seed") > 6,
    param("function").matches("simulate$") & param("params_hash").matches("^[0-9a-f]{16}$"),
    param("provenance.size_bytes") > 0,
)
"""Queries over `QUERY_PARAMS`; `entropic.query.matches` says what each of them finds."""

_numbers = itertools.count(1)


def make_record(params: Mapping[str, Any], **metadata: Any) -> RunRecord:
    """
    Make a record as the store would, for params of any supported type; no two are equal.

    Example:
        >>> make_record({"n": 1}, seed=7).metadata
        {'seed': 7}
    """
    number = next(_numbers)
    return RunRecord(
        params=decode_params(normalize_params(params)),
        result_path=Path(f"{number:06}.npy"),
        params_hash=hash_params(params),
        created_at=f"2026-01-01T00:00:00.{number:06}+00:00",
        metadata=decode_params(normalize_params(metadata)),
        provenance={"function": "tests.simulate", "size_bytes": number},
    )
