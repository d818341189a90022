"""Keys: what every type becomes, which values share a key and which never do, and what is refused."""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime as dt
import decimal
import enum
import fractions
import functools
import hashlib
import io
import itertools
import json
import math
import os
import pathlib
import random
import re
import subprocess
import sys
import threading
import time
import tracemalloc
import types
import uuid
import zoneinfo
from array import array as typed_array
from dataclasses import InitVar, dataclass, field
from typing import Any, NamedTuple

import attrs
import numpy as np
import pydantic
import pytest

import entropic
from entropic import errors
from entropic.hashing import Identity, canonical, decode, encode, hash_params, make_key, normalize

# ---- the contract ---------------------------------------------------------------------------------------------------

VECTORS = [
    ({}, "44136fa355b3678a"),
    ({"n": 100, "steps": 5000, "dt": 0.01}, "f444a074a2e52bf9"),
    ({"x": 0.1 + 0.2}, "a1594679b041003f"),
    ({"x": 0.3}, "a1594679b041003f"),
    ({"n": 1}, "2bfd14f43d17fc7c"),
    ({"n": 1.0}, "3b6b06ecd1c968c8"),
    ({"n": True}, "61ef44a6f4a056c9"),
    ({"s": "é"}, "a2a87295805f4aec"),
    ({"a": {"z": 1, "a": [1, 2.5, None]}}, "2874c95261fa1d64"),
    ({"t": (1, 2)}, "ffe123b7f9907d93"),
]


@pytest.mark.parametrize(("params", "expected"), VECTORS)
def test_published_vectors(params: dict[str, Any], expected: str) -> None:
    """The hashes users find in their indexes never change."""
    assert hash_params(params) == expected


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Method(str, enum.Enum):
    RK4 = "rk4"


class Option(enum.Flag):
    FAST = 1
    SAFE = 2


@dataclass
class Solver:
    name: str
    order: int = 4


@attrs.define
class Mesh:
    cells: int
    origin: tuple[float, float] = (0.0, 0.0)


class Model(pydantic.BaseModel):
    mass: float
    tags: list[str] = []


class OpenModel(pydantic.BaseModel, extra="allow"):
    mass: float
    _seed: int = pydantic.PrivateAttr(0)


class Point(NamedTuple):
    x: int
    y: int


def base_function(a: int, b: Any = None) -> Any:
    return a, b


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


class Metres(float):
    """A subclass that is nothing but its value."""


class Quantity(float):
    def __new__(cls, value: float, unit: str) -> Quantity:
        self = super().__new__(cls, value)
        self.unit = unit
        return self


class SlottedQuantity(float):
    __slots__ = ("unit",)


class NamedList(list[int]):
    label = ""


def _with(value: Any, name: str, attribute: object) -> Any:
    setattr(value, name, attribute)
    return value


class Feet(float):
    """Another of the same value."""


class Polar(NamedTuple):
    r: int
    phi: int


TABLE = [
    (None, None),
    (True, True),
    (7, 7),
    ("text", "text"),
    (2.5, 2.5),
    (-0.0, 0.0),
    (math.nan, {"$float": "nan"}),
    (math.inf, {"$float": "inf"}),
    (-math.inf, {"$float": "-inf"}),
    (Color.RED, "red"),
    (Level.LOW, 1),
    (Method.RK4, "rk4"),
    (Option.FAST | Option.SAFE, 3),
    (pathlib.PurePosixPath("a/b"), "a/b"),
    (pathlib.Path("a") / "b", os.path.join("a", "b")),
    ([1, (2, 3)], [1, [2, 3]]),
    (Point(1, 2), {"$class": "Point", "x": 1, "y": 2}),
    ({"b": 1, "a": (2,)}, {"b": 1, "a": [2]}),
    (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    ({Method.RK4: 1}, {"rk4": 1}),
    ({2: "two", 1: "one"}, {"$map": [[1, "one"], [2, "two"]]}),
    (collections.defaultdict(list, a=[1]), {"a": [1]}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (collections.UserDict({"a": 1}), {"a": 1}),
    (collections.ChainMap({"a": 1}, {"a": 2, "b": 3}), {"a": 1, "b": 3}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (types.SimpleNamespace(a=1, b={2}), {"$class": "SimpleNamespace", "a": 1, "b": {"$set": [2]}}),
    (argparse.Namespace(a=1), {"$class": "Namespace", "a": 1}),
    (range(3), [0, 1, 2]),
    (range(0, 10**9, 2), {"$range": [0, 10**9, 2]}),
    (slice(1, None, 2), {"$slice": [1, None, 2]}),
    (collections.deque([1, 2]), [1, 2]),
    (collections.UserList([1]), [1]),
    (collections.UserString("a"), "a"),
    (typed_array("d", [1, 2]), [1.0, 2.0]),
    ({"a": 1}.keys(), {"$set": ["a"]}),
    ({"a": [1]}.values(), [[1]]),
    ({"a": [1]}.items(), {"a": [1]}),
    (memoryview(b"a"), {"$bytes": "61"}),
    (re.compile("^a", re.IGNORECASE), {"$Pattern": ["^a", 34]}),
    (..., {"$Ellipsis": None}),
    (len, {"$function": "builtins.len"}),
    (math.sin, {"$function": "math.sin"}),
    (str.upper, {"$function": "builtins.str.upper"}),
    ("a".join, {"$function": "str.join", "self": "a"}),
    (base_function, {"$function": f"{__name__}.base_function"}),
    (
        functools.partial(base_function, 1, b=[2]),
        {"$function": f"{__name__}.base_function", "args": [1], "kwargs": {"b": [2]}},
    ),
    (np.sin, {"$function": "numpy.sin"}),
    (np.mean, {"$function": "numpy.mean"}),
    (Solver, {"$type": f"{__name__}.Solver"}),
    (float, {"$type": "builtins.float"}),
    (np.float32, {"$type": "numpy.float32"}),
    (np.dtype("f4"), {"$dtype": "<f4"}),
    (math, {"$module": "math"}),
    ({"$float": "nan"}, {"$map": [["$float", "nan"]]}),
    ({3, 1, 2}, {"$set": [1, 2, 3]}),
    (frozenset({"b", "a"}), {"$set": ["a", "b"]}),
    (b"\x00\xff", {"$bytes": "00ff"}),
    (bytearray(b"\x01"), {"$bytes": "01"}),
    (decimal.Decimal("1.50"), {"$Decimal": "1.50"}),
    (fractions.Fraction(1, 3), {"$Fraction": "1/3"}),
    (1 + 2j, {"$complex": "(1+2j)"}),
    (uuid.UUID(int=1), {"$UUID": "00000000-0000-0000-0000-000000000001"}),
    (dt.date(2026, 1, 2), {"$date": "2026-01-02"}),
    (dt.datetime(2026, 1, 2, 3), {"$datetime": "2026-01-02T03:00:00"}),
    (dt.time(3, 4), {"$time": "03:04:00"}),
    (dt.timedelta(days=1, microseconds=1), {"$timedelta": "1 day, 0:00:00.000001"}),
    (Solver("rk"), {"$class": "Solver", "name": "rk", "order": 4}),
    (Mesh(3), {"$class": "Mesh", "cells": 3, "origin": [0.0, 0.0]}),
    (Model(mass=1), {"$class": "Model", "mass": 1.0, "tags": []}),
    (np.int32(3), 3),
    (np.float32(0.5), 0.5),
    (np.float64(0.1), 0.1),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.bytes_(b"a"), {"$bytes": "61"}),
    (np.complex64(1j), {"$complex": "1j"}),
    (np.datetime64(5, "s"), {"$datetime64": "5<M8[s]"}),
    (Metres(2.0), {"$class": "Metres", "$value": 2.0}),
    (dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc), {"$datetime": "2026-01-02T00:00:00+00:00"}),
    (dt.datetime(2026, 1, 2, tzinfo=BERLIN), {"$datetime": "2026-01-02T00:00:00+01:00[Europe/Berlin]"}),
    (complex(0.1 + 0.2, -0.0), {"$complex": "(0.3+0j)"}),
]


def shown(value: Any) -> str:
    """The name of a case, which is the same in every process."""
    text = repr(sorted(value, key=repr)) if isinstance(value, (set, frozenset)) else repr(value)
    return re.sub(" at 0x.*", "", text)[:40]


@pytest.mark.parametrize(("value", "expected"), TABLE, ids=shown)
def test_every_supported_type_has_one_json_form(value: Any, expected: Any) -> None:
    """Each row of the table of types: what the value becomes, in plain types only."""
    found = normalize(value)

    assert canonical(found) == canonical(expected)
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_an_array_is_its_dtype_shape_and_bytes() -> None:
    """An array becomes its dtype, its shape and the SHA-256 of its C-order bytes."""
    array = np.arange(6.0).reshape(2, 3)

    form = {"dtype": "<f8", "shape": [2, 3], "sha256": hashlib.sha256(array.tobytes()).hexdigest()}
    assert normalize(array) == {"$ndarray": form}
    assert normalize(array) == normalize(np.asfortranarray(array))


# ---- what shares a key ----------------------------------------------------------------------------------------------

ZONE = zoneinfo.ZoneInfo("UTC")

PAIRS_OF_ONE_KEY = [
    (0.1 + 0.2, 0.3),
    (-0.0, 0.0),
    (0.9999999999999, 1.0),
    (1 / 3, 0.333333333333),
    ((1, 2), [1, 2]),
    ({1, 2}, frozenset({2, 1})),
    (Color.RED, "red"),
    (pathlib.PurePosixPath("a"), "a"),
    (b"a", bytearray(b"a")),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1: "x", 2: "y"}, {2: "y", 1: "x"}),
    (np.float64(0.25), 0.25),
    (np.array([1, 2], ">i4"), np.array([1, 2], "<i4")),
    (0.1 + 0.2 + 1j, 0.3 + 1j),
    (complex(-0.0, 0.0), 0j),
    (types.MappingProxyType({"a": {"b": 1}}), {"a": {"b": 1}}),
    (dt.datetime(2026, 1, 1, tzinfo=ZONE), dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)),
    (np.ma.masked_array([1, 5], [False, True]), np.ma.masked_array([1, 6], [False, True])),
    (np.array(["a", None], object), np.array(["a", None], object)),
    (math.nan, -math.nan),
    (np.arange(9).reshape(3, 3)[:, ::2], np.array([[0, 2], [3, 5], [6, 8]])),
    (np.array([[1, 2], [3, 4]], order="F"), np.array([[1, 2], [3, 4]])),
]


@pytest.mark.parametrize(("one", "other"), PAIRS_OF_ONE_KEY, ids=lambda value: repr(value)[:30])
def test_values_that_mean_the_same_share_a_key(one: Any, other: Any) -> None:
    """The documented equivalences: equal containers, noise beyond 12 digits, layout of an array in memory."""
    assert hash_params({"x": one}) == hash_params({"x": other})


_aligned = np.dtype([("flag", "i1"), ("x", "f8")], align=True)
_big = np.zeros(2000)
_big_and_one = _big.copy()
_big_and_one[1000] = 1e-300


@dataclass
class Seeded:
    n: int
    seed: InitVar[int]

    def __post_init__(self, seed: int) -> None:
        self.first = seed * 2


class Bare(Solver):
    """A subclass that the decorator `dataclass` has not seen."""

    def __init__(self, name: str, step: float) -> None:
        super().__init__(name)
        self.step = step


def _private(seed: int) -> OpenModel:
    model = OpenModel(mass=1)
    model._seed = seed
    return model


class Text(enum.Enum):
    A = "a"


ALL_DIFFERENT = [
    *(None, True, False, 0, 1, 2, 0.0, 1.0, 0.5, "", "0", "1", "True", "None", "nan", "1.0"),
    *(math.nan, math.inf, -math.inf, "inf", {"$float": "nan"}, {"$float": "inf"}, {"float": "nan"}),
    *(1e-13, 2e-13, 5e-324, 1e-323, 1e308, 1.1e308, 2.0**60, 2**60, 2**60 + 1, 10**4000, 10**4000 + 1, -(10**4000)),
    *(2460000.5, 2460000.5 + 1e-9, 60000.5, 60000.5 + 1 / 86400e6, 1.0 + 1e-12, 1.0 - 1e-11),
    *([], [[]], [None], [[], []], {}, [{}], "[]", "{}", [1], [1.0], [True], ["1"], [1, 2], [2, 1], [[1], 2], [1, [2]]),
    *(set(), {1}, {1.0, 2}, {1, 2}, {"$set": [1, 2]}, {"$map": [["$set", [1, 2]]]}, {"$map": []}, {frozenset()}),
    *({"a": 1}, {"a": 1.0}, {"a": True}, {"a": None}, {"A": 1}, {1: "a"}, {"1": "a"}, {1.5: "a"}, {None: "a"}),
    *({True: "a"}, {(1, 2): 3}, {"a": 1, 2: 3}),
    *({"": 1}, {"$": 1}, {"$class": "Solver"}),
    *({"a": {"b": 1}}, {"a.b": 1}, {"a": [{"b": 1}]}, [["a", 1]], {"$map": [["a", 1]]}, {"a\x00": 1}, {"a\\u0000": 1}),
    *(b"", b"a", "a", "61", {"$bytes": "61"}, b"\x00", "\x00", "\ud800", "\\ud800", "\U0001f600", "e\u0301", "é"),
    *(decimal.Decimal("0.1"), 0.1, "0.1", decimal.Decimal("NaN"), fractions.Fraction(1, 10), fractions.Fraction(1)),
    *(1 + 0j, 1j, "1j", complex(math.nan, 0), complex(0, math.nan), uuid.UUID(int=1), str(uuid.UUID(int=1))),
    *(dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), "2026-01-01"),
    *(dt.datetime(2026, 1, 1, fold=1), dt.time(0), dt.time(0, fold=1), dt.time(0, tzinfo=dt.timezone.utc)),
    *(dt.time(0, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), dt.time(0, tzinfo=zoneinfo.ZoneInfo("Asia/Tokyo"))),
    *(dt.timedelta(1), dt.timedelta(1, 0, 1), dt.timedelta(-1), dt.datetime(2026, 1, 1, 0, 0, 0, 1)),
    *(Solver("a"), Solver("b"), Solver("a", 5)),
    *({"name": "a", "order": 4}, {"$class": "Solver", "name": "a", "order": 4}),
    *(Bare("a", 0.1), Bare("a", 0.2), Seeded(1, 1), Seeded(1, 2), Mesh(1), Mesh(2), Mesh(1, (0.0, 1.0))),
    *(Model(mass=1), Model(mass=2), OpenModel(mass=1), OpenModel(mass=1, extra=2), OpenModel(mass=1, extra=3)),
    *(OpenModel(**{"mass": 1, "$class": "Model", "tags": []}), OpenModel(**{"mass": 1, "$class": "x"}), _private(5)),
    *(np.zeros(0), np.zeros((0, 2)), np.zeros((2, 0)), np.zeros(1), np.zeros((1, 1)), [0.0], np.zeros(2)),
    *(np.arange(4), np.arange(4.0), np.arange(4, dtype="i2"), np.arange(4, dtype="u8"), np.arange(4, dtype="i4")),
    *(np.arange(4).reshape(2, 2), np.arange(4).reshape(2, 2).T, np.array([True]), np.array([1], "i1")),
    *(_big, _big_and_one),
    *(np.array(["a"]), np.array([b"a"]), np.array(["a", "b"]), np.array([0], "M8[s]"), np.array([0], "M8[ns]")),
    *(np.array([0], "m8[s]"), np.datetime64(0, "s"), np.datetime64(0, "ns"), np.timedelta64(0, "s")),
    *(np.datetime64("NaT", "s"), np.array(["NaT"], "M8[s]")),
    *(np.array([(1, 2)], "i4,i4"), np.array([(1, 2)], [("x", "i4"), ("y", "i4")]), np.array([(2, 1)], "i4,i4")),
    *(np.array((1, 2), [("x", "i4"), ("y", "i4")])[()], np.array((1, 2), [("y", "i4"), ("x", "i4")])[()]),
    *(np.array([1j]), np.array([1j], "c8"), np.array([1.0], "f4"), np.array([1.0], "f2"), np.array([math.nan])),
    *(Metres(2), 2.0 + 1e-3, Feet(2), Quantity(2.0, "m"), Quantity(2.0, "ft"), NamedList([1])),
    *(Polar(1, 2), Point(1, 2)),
    *(_with(NamedList([1]), "label", "x"), _with(SlottedQuantity(1.0), "unit", "m"), SlottedQuantity(1.0)),
    *(dt.datetime(2026, 7, 1, tzinfo=BERLIN), dt.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))),
    *(len, "builtins.len", Solver, float, base_function, functools.partial(base_function, 1), [1, None, 2]),
    *(functools.partial(base_function, 1, b=2), functools.partial(base_function, b=2), functools.partial(len)),
    *("a".join, "b".join, np.sin, np.cos, math.sin, slice(1, None, 2), slice(None), range(10**6), range(10**6 + 1)),
    *(types.SimpleNamespace(a=1), argparse.Namespace(a=1), types.SimpleNamespace(a=2), types.SimpleNamespace()),
    *(np.dtype("f4"), np.dtype("f8"), np.float32, np.float64, "<f4", np.dtype([("a", "f4")]), np.dtype([("b", "f4")])),
    *(np.dtype(">f4"), np.dtype([("a", ">f4")]), np.dtype([("flag", "i1"), ("x", "f8")]), _aligned),
    *(np.dtype("V8"), np.dtype(("i4", (2,))), np.dtype((">i4", (2,))), np.dtype([("a", "i4", (2,))])),
    *(np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": offsets}) for offsets in ([0, 0], [0, 4])),
    *(np.ma.masked_array([1, 5], [False, True]), np.ma.masked_array([1, 5], [True, False]), np.array([1, 5])),
    *(np.array([1, "a"], object), np.array(["1", "a"], object), np.array([1.0, "a"], object)),
    *(np.array([(1, "a")], [("n", "i4"), ("o", "O")]), np.array([(2, "a")], [("n", "i4"), ("o", "O")])),
    *(np.rec.array([(1,)], dtype=[("a", "i4")]), np.array([(1,)], dtype=[("a", "i4")]), np.poly1d([1, 2])),
    *(np.array([[1]]), np.random.SeedSequence(1), np.random.SeedSequence(2)),
    *(re.compile("a"), re.compile("a", re.I), re.compile(b"a"), ..., memoryview(b"abc"), {"a": 1, "$b": 2}, math),
    *(np.zeros(1, "V4"), np.zeros(2, "V2"), np.zeros(1, _aligned), np.zeros(1, [("v", "f8", (2,))])),
]  # fmt: skip


def test_values_that_differ_never_share_a_key() -> None:
    """Of all these values, many of which print alike, no two have one key, alone or nested."""
    for wrap in (lambda x: {"x": x}, lambda x: {"x": [x]}, lambda x: {"x": {"y": x}}, lambda x: {"x": {"k": (0, x)}}):
        by_key: dict[str, Any] = {}
        for value in ALL_DIFFERENT:
            key = hash_params(wrap(value))
            assert key not in by_key, f"{by_key[key]!r} and {value!r} share a key"
            by_key[key] = value


def test_names_count_as_much_as_values() -> None:
    """Which parameter has which value matters; in which order they are given does not."""
    keys = {hash_params(dict(zip("abc", values, strict=True))) for values in itertools.permutations((1, 2, 3))}
    orders = {hash_params(dict(items)) for items in itertools.permutations([("a", 1), ("b", 2), ("c", {"d": 3})])}

    assert len(keys) == 6
    assert len(orders) == 1


def test_padding_in_a_structured_array_is_not_part_of_it() -> None:
    """Bytes between the fields of an array are left over from before, and never reach the key."""
    clean, dirty = np.zeros(3, _aligned), np.frombuffer(b"\xaa" * 48, _aligned).copy()
    for array in (clean, dirty):
        array["flag"], array["x"] = 1, 2.5

    assert clean.tobytes() != dirty.tobytes()
    assert hash_params({"a": clean}) == hash_params({"a": dirty})
    assert hash_params({"a": clean[::2]}) == hash_params({"a": dirty[::2].copy()})


def test_fields_of_any_layout_can_be_hashed() -> None:
    """A structured dtype whose fields overlap or stand out of order has a key too."""
    union = np.dtype({"names": ["a", "b"], "formats": ["<i4", "<i2"], "offsets": [0, 0]})
    turned = np.dtype({"names": ["a", "b"], "formats": ["<i4", "<i2"], "offsets": [4, 0]})

    assert hash_params({"x": np.ones(2, union)}) != hash_params({"x": np.zeros(2, union)})
    assert hash_params({"x": np.ones(2, turned)}) == hash_params(
        {"x": np.ones(2, "<i4,<i2").astype([("a", "<i4"), ("b", "<i2")])}
    )


def test_rounding_keeps_twelve_digits_and_no_fewer() -> None:
    """The 13th digit is noise, the 12th is not; for numbers from 1 on it is the decimals that count."""
    assert canonical(0.123456789012) != canonical(0.123456789013)
    assert canonical(0.1234567890121) == canonical(0.1234567890122)
    assert canonical(1.000000000001) != canonical(1.000000000002)
    assert canonical(1.0000000000001) == canonical(1.0)
    assert canonical(123456.000000000001) == canonical(123456.0)
    assert canonical(1e-300) != canonical(1.00000000001e-300)
    assert [canonical(x) for x in (1e308, 5e-324, 1e16, -1e-7)] == ["1e+308", "5e-324", "1e+16", "-1e-07"]


def test_canonical_text_is_that_of_json() -> None:
    """The text is what ``json.dumps`` writes with sorted keys and no spaces, in ASCII."""
    value = {"b": [1, -2, True, False, None, 'é\n"\\\ud800\U0001f600'], "a": {"z": 1e-7, "": []}, "ä": {}}

    assert canonical(value) == json.dumps(value, sort_keys=True, separators=(",", ":"))


def test_a_key_is_the_same_in_every_process() -> None:
    """Neither the hash seed nor the order of a set reaches the key."""
    script = (
        "from entropic.hashing import hash_params as h\n"
        "print(h({'s': {'a', 'b', 'c', (1, 'x')}, 'm': {('k', 1): {'u', 'v'}, None: frozenset('xyz')}, 'b': b'q'}))"
    )
    seeds = ("0", "1", "2", "random")

    keys = {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in seeds
    }

    assert len(keys) == 1


def test_a_functions_key_is_never_a_plain_one() -> None:
    """The identity line stands before the params, so no params can imitate a function."""
    params = {"n": 1}
    ours, theirs = Identity.of({"function": "m.f"}), Identity.of({"function": "m.g"})

    keys = {make_key(params).params_hash, make_key(params, ours).params_hash, make_key(params, theirs).params_hash}
    digest = hashlib.sha256(b'{"function":"m.f"}\n{"n":1}').hexdigest()

    assert len(keys) == 3
    assert make_key(params, ours).params_hash == digest[:16]


# ---- what is refused ------------------------------------------------------------------------------------------------


def _circular() -> list[Any]:
    circle: list[Any] = [1]
    circle.append({"again": circle})
    return circle


UNSUPPORTED = [
    lambda: 1,
    functools.partial(lambda: 1),
    (number for number in [1]),
    memoryview(typed_array("d", [1])),
    random.Random(1),
    io.StringIO("a"),
    threading.Lock(),
    iter([1]),
    np.random.default_rng(1),
    np.array([1], np.longdouble),
    np.longdouble(1),
    _with(collections.UserString("a"), "x", 1),
    dt.time(0, tzinfo=type("Zone", (dt.tzinfo,), {"utcoffset": lambda self, when: None})()),
]


@pytest.mark.parametrize("value", UNSUPPORTED, ids=lambda value: type(value).__name__)
def test_what_cannot_be_told_apart_is_refused(value: Any) -> None:
    """Nothing falls back to its text: the error names the parameter, the type and the two ways out."""
    with pytest.raises(TypeError, match=r"parameter \"mesh\['a'\]\[1\]\".*no normaliser for") as caught:
        hash_params({"n": 1, "mesh": {"a": [0, value]}})

    assert isinstance(caught.value, errors.UnsupportedTypeError)
    told = str(caught.value)
    if caught.value.type_name == "function":  # a normaliser for it would have to tell any two of them apart
        assert "define it at module level" in told
        assert "Or pass its name as text" in told
    else:
        assert "entropic.normalize.register(" in told
        assert "or pass a plain value" in told


def test_the_place_of_an_error_is_told_from_the_outside_in() -> None:
    """The error leads to the culprit through mappings, lists, sets and fields."""
    with pytest.raises(TypeError, match=r"solver\['order'\]\[2\]\['k'\]"):
        hash_params({"solver": Solver("a", [0, 1, {"k": object()}])})
    with pytest.raises(TypeError, match="the value: no normaliser for object"):
        normalize(object())


@pytest.mark.parametrize("name", ["params_hash", "result_path", "created_at", "metadata", "provenance"])
def test_names_of_the_record_itself_are_reserved(name: str) -> None:
    """A parameter cannot be named as a field of the record; inside a value the name is free."""
    with pytest.raises(ValueError, match=f"'{name}'.*reserved"):
        hash_params({name: 1})

    assert hash_params({"x": {name: 1}})


@pytest.mark.parametrize("name", [1, None, ("a",), b"a", 1.5, Color.RED])
def test_names_are_text(name: Any) -> None:
    """A name that is not text is told by its repr, and with the text to use; both ``except`` habits work."""
    with pytest.raises(TypeError, match="names are text") as caught:
        hash_params({name: 1})

    assert isinstance(caught.value, ValueError)
    assert repr(name) in str(caught.value)


def test_a_name_may_be_of_a_text_type_that_is_nothing_else() -> None:
    """An enum of texts, or NumPy's text, names a parameter as its text does."""
    assert hash_params({Method.RK4: 1}) == hash_params({np.str_("rk4"): 1}) == hash_params({"rk4": 1})


@pytest.mark.parametrize("params", [None, 1, "n", [("n", 1)], {"n"}, object()])
def test_params_are_a_mapping(params: Any) -> None:
    """Anything but a mapping is refused as a whole."""
    with pytest.raises(TypeError, match="mapping of names to values"):
        hash_params(params)


def test_a_value_that_contains_itself_is_refused() -> None:
    """Circles and depths beyond reason are a `ValueError` that names the parameter and stays short."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (_circular(), deep):
        with pytest.raises(ValueError, match="parameter 'mesh': it contains itself, or is nested too deeply") as caught:
            hash_params({"mesh": value})
        assert len(str(caught.value)) < 200


def test_integers_beyond_what_python_writes_are_refused() -> None:
    """4300 digits are a key; more could not be read back, and are refused by name before anything runs."""
    assert hash_params({"n": 10**4300 - 1}) != hash_params({"n": 10**4300 - 2})
    for value in (10**4300, -(10**4300), np.array([10**5000], object)[0]):
        with pytest.raises(ValueError, match=r"parameter 'n'.*4300 digits"):
            hash_params({"n": value})
        with pytest.raises(ValueError, match=r"parameter 'n\[0\]'.*4300 digits"):
            hash_params({"n": [value]})


def test_keys_that_mean_the_same_are_refused() -> None:
    """With two keys of one meaning, nobody could tell which has which value."""
    for mapping in ({"a": 1, pathlib.PurePosixPath("a"): 2}, {0.3: 1, 0.1 + 0.2: 2}, {Text.A: 1, "a": 2}):
        with pytest.raises(ValueError, match="parameter 'm': two of its keys mean the same"):
            hash_params({"m": mapping})


def test_names_that_are_the_same_text_are_refused() -> None:
    """A mapping that shows one name twice, or two names of one text, loses no value silently."""

    class Twin(str):
        __hash__ = object.__hash__
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return self is other

    with pytest.raises(ValueError, match="two of its names are the same text"):
        hash_params({Twin("a"): 1, Twin("a"): 2})


def test_results_an_object_remembers_are_not_part_of_it() -> None:
    """A `functools.cached_property` that has been asked for changes no key."""

    @dataclass
    class Grid:
        n: int

        @functools.cached_property
        def spacing(self) -> float:
            return 1 / self.n

    class Lazy(pydantic.BaseModel):
        n: int

        @functools.cached_property
        def spacing(self) -> float:
            return 1 / self.n

    for value in (Grid(4), Lazy(n=4)):
        before = hash_params({"x": value})
        assert value.spacing == 0.25
        assert hash_params({"x": value}) == before


def test_slots_hold_values_as_well() -> None:
    """Fields in slots, and slots a subclass adds, are part of the value."""

    @dataclass(slots=True)
    class Base:
        n: int

    class More(Base):
        __slots__ = ("step",)

    assert normalize(Base(1)) == {"$class": Base.__qualname__, "n": 1}
    assert normalize(_with(More(1), "step", 2)) == {"$class": More.__qualname__, "n": 1, "step": 2}


def test_a_dict_that_is_its_own_attributes_is_a_dict() -> None:
    """The common class whose items can be written as attributes carries nothing besides."""

    class Attributes(dict[str, Any]):
        def __init__(self, **items: Any) -> None:
            super().__init__(**items)
            self.__dict__ = self

    assert normalize(Attributes(a=1)) == {"a": 1}


class Raises:
    """A property, or what works like one, of which nobody may ask."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        raise AssertionError("a property was asked")


@dataclass
class Watched:
    n: int
    made_at: float = field(default_factory=time.perf_counter, compare=False)

    shown = Raises()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"__getattr__ was asked for {name}")

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"__getattribute__ was asked for {name}")

    def __hash__(self) -> int:
        raise AssertionError("it was hashed")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("it was compared")


@attrs.frozen(cache_hash=True)
class Material:
    name: str
    note: str = attrs.field(default="", eq=False)


@attrs.define
class SlottedMesh:
    n: int

    @functools.cached_property
    def cells(self) -> int:
        return self.n**3


@dataclass
class Hiding:
    """A field that a property stands for keeps its value in a private attribute."""

    n: int

    def _read(self) -> int:
        return self._n

    def _write(self, n: int) -> None:
        self._n = n


Hiding.n = property(Hiding._read, Hiding._write)  # type: ignore[assignment]


class Remembering:
    """A cached property of another make than functools."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return instance.__dict__.setdefault(self.function.__name__, self.function(instance))


@dataclass
class Box:
    n: int

    def __post_init__(self) -> None:
        self._parts: dict[str, int] = {}

    @Remembering
    def cells(self) -> int:
        return self.n**3


def test_only_fields_that_take_part_in_equality_count() -> None:
    """Equal instances have one key: what their classes leave out of ``==`` is left out of it."""
    assert normalize(Watched(1)) == normalize(Watched(1)) == {"$class": "Watched", "n": 1}
    assert (
        normalize(Material("steel", "old")) == normalize(Material("steel")) == {"$class": "Material", "name": "steel"}
    )


def test_a_key_leaves_no_trace_and_runs_nothing() -> None:
    """No property, ``__getattr__``, ``__hash__`` or ``__eq__`` of a value is run, and nothing is left in it."""
    for value in (Watched(1), Material("steel"), SlottedMesh(2), Box(2), Model(mass=1), types.SimpleNamespace(a=1)):
        before = _held(value)

        hash_params({"x": value, "y": [value]})

        assert _held(value) == before


def _held(value: Any) -> dict[str, Any]:
    """All that an instance holds, in its dictionary or in slots, by identity."""
    slots = {name for cls in type(value).__mro__ for name in vars(cls).get("__slots__", ())} | {"__dict__"}
    found = {}
    for name in slots:
        with contextlib.suppress(AttributeError):
            found[name] = object.__getattribute__(value, name)
    return {**found, **{name: id(item) for name, item in found.pop("__dict__", {}).items()}}


def test_a_call_runs_nothing_of_its_arguments_either(store: entropic.Store) -> None:
    """A decorated function looks a call up without hashing what is no plain value."""

    @entropic.cached(store)
    def simulate(model: Any, *, result_path: pathlib.Path) -> None:
        result_path.write_text("x")

    assert simulate(Watched(1)) == simulate(Watched(1))
    assert simulate(material := Material("steel")) == simulate(Material("steel"))
    assert _held(material) == _held(Material("steel"))


def test_what_an_object_remembers_is_no_part_of_it() -> None:
    """Cached hashes, cached properties of any make, and private attributes change no key."""
    mesh, box, steel = SlottedMesh(2), Box(2), Material("steel")
    before = [hash_params({"x": value}) for value in (mesh, box, steel)]

    assert (mesh.cells, box.cells, isinstance(hash(steel), int)) == (8, 8, True)
    box._parts["a"] = 1

    assert [hash_params({"x": value}) for value in (mesh, box, steel)] == before


def test_values_hidden_in_private_attributes_count() -> None:
    """Where a property stands for a field, or an `InitVar` went into an attribute, it is the value that counts."""

    @dataclass
    class Seeded:
        n: int
        seed: InitVar[int]

        def __post_init__(self, seed: int) -> None:
            self._first = seed * 2

    assert hash_params({"x": Hiding(1)}) != hash_params({"x": Hiding(2)})
    assert hash_params({"x": Seeded(1, 1)}) != hash_params({"x": Seeded(1, 2)})


def test_a_field_that_is_not_set_is_left_out() -> None:
    """A slot without a value is no obstacle."""

    @dataclass(slots=True)
    class Open:
        n: int
        solution: Any = field(init=False)

    assert normalize(Open(1)) == {"$class": Open.__qualname__, "n": 1}


def test_a_remembered_result_never_answers_for_changed_fields(store: entropic.Store) -> None:
    """A run gets no cached property that is older than the fields of its argument, and the caller keeps his own."""

    @dataclass
    class Mesh:
        n: int

        @functools.cached_property
        def cells(self) -> int:
            return self.n**3

    @entropic.cached(store, load=pathlib.Path.read_text)
    def volume(mesh: Any, *, result_path: pathlib.Path) -> None:
        result_path.write_text(str(mesh.cells))

    mesh = Mesh(2)
    assert mesh.cells == 8
    mesh.n = 3

    assert volume(mesh) == volume(Mesh(3)) == "27"
    assert vars(mesh) == {"n": 3, "cells": 8}


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: (1, [inner])])
def test_how_deep_a_value_may_be_does_not_depend_on_the_stack(store: entropic.Store, runner: Any, wrap: Any) -> None:
    """What is recorded with much stack can be read with little; deeper values are refused before the run."""
    value: Any = 1
    while (depth := _depth(wrap(value))) <= 100:
        value = wrap(value)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    try:
        deepest = store.run_or_retrieve({"x": value}, runner)
        with pytest.raises(ValueError, match=r"parameter 'x'.*100 levels"):
            store.run_or_retrieve({"x": wrap(value)}, runner)
    finally:
        sys.setrecursionlimit(limit)

    assert depth > 100
    assert runner.count == 1
    assert store.list() == [deepest]


def _depth(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return max((1 + _depth(item) for item in items), default=int(isinstance(value, (dict, list, tuple))))


@pytest.mark.parametrize("text", ["\ud800", "caf\udce9.msh", "\udfff\ud800"])
def test_a_lone_surrogate_is_a_value_like_any_other(store: entropic.Store, runner: Any, text: str) -> None:
    """A file name that is no UTF-8 comes back as it was, as a name and as a value."""
    fresh = store.run_or_retrieve({"x": text, text: [text]}, runner)

    with entropic.Store(store.results_dir, store.index.path, file_suffix=".txt") as later:
        assert later.list({"x": text}) == [fresh]
    assert fresh.params == {"x": text, text: [text]}


# ---- records and functions as values --------------------------------------------------------------------------------


def test_a_record_is_the_content_of_its_result(store: entropic.Store) -> None:
    """Who made a result, when and where does not matter, and the function gets the path."""
    runs = []

    @entropic.cached(store)
    def mesh(n: int, *, result_path: pathlib.Path) -> None:
        result_path.write_text(f"mesh {n // 10}")

    @entropic.cached(store, load=pathlib.Path.read_text)
    def solve(mesh: Any, dt: float, *, result_path: pathlib.Path) -> None:
        runs.append(mesh)
        result_path.write_text(f"solved {mesh.read_text()}")

    first, alike, other = mesh(3), mesh(4), mesh(30)

    assert normalize(first) == {
        "$run": {
            "function": first.provenance["function"],
            "params_hash": first.params_hash,
            "digest": "sha256:" + hashlib.sha256(b"mesh 0").hexdigest(),
        }
    }
    assert [solve(first, 0.1), solve(alike, 0.1), solve(other, 0.1)] == [
        "solved mesh 0",
        "solved mesh 0",
        "solved mesh 3",
    ]
    assert runs == [first.result_path, other.result_path]
    assert solve.list({"mesh": alike}) == solve.list({"mesh": first}) != []
    assert solve(**solve.list({"mesh": first})[0].params) == "solved mesh 0"


def test_a_record_without_a_digest_is_read_or_refused(store: entropic.Store, tmp_path: pathlib.Path) -> None:
    """A result that is gone cannot be told from another."""
    path = tmp_path / "x.txt"
    path.write_text("x")
    record = entropic.RunRecord({}, path, "0" * 16, "2026-01-01T00:00:00+00:00", {})
    digest = normalize(record)["$run"]["digest"]
    path.unlink()

    assert digest == "sha256:" + hashlib.sha256(b"x").hexdigest()
    with pytest.raises(FileNotFoundError, match="the result of the run cannot be read"):
        hash_params({"x": record})


def scaled(factor: int) -> Any:
    def scale(x: int) -> int:
        return factor * x

    return scale


def wrapping(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@wrapping
def decorated(x: int) -> int:
    return x


class Holder:
    @staticmethod
    def static(x: int) -> int:
        return x

    @classmethod
    def made(cls, x: int) -> int:
        return x


def test_a_function_is_its_name() -> None:
    """The name under which it is found, whatever decorates it."""
    assert normalize(decorated) == {"$function": f"{__name__}.decorated"}
    assert normalize(Holder.static) == {"$function": f"{__name__}.Holder.static"}
    assert normalize(Holder.made)["$function"] == f"{__name__}.Holder.made"
    assert normalize(functools.lru_cache(base_function).__wrapped__) == normalize(base_function)


@pytest.mark.parametrize(
    "function", [scaled(2), decorated.__wrapped__, lambda x: x, functools.lru_cache(base_function)]
)
def test_a_function_that_is_not_found_by_its_name_is_refused(function: Any) -> None:
    """Two functions of one name would answer for each other."""
    with pytest.raises(TypeError, match="parameter 'f'"):
        hash_params({"f": function})


# ---- the registry ---------------------------------------------------------------------------------------------------


def test_a_registered_type_and_its_subclasses_are_normalised() -> None:
    """`normalize.register` teaches a type; what the function returns is normalised in turn."""

    class Field:
        def __init__(self, cells: Any) -> None:
            self.cells = cells

    class Fine(Field):
        pass

    with pytest.raises(TypeError, match="no normaliser for"):
        normalize(Field(1))

    entropic.normalize.register(Field, lambda field: {"field": field.cells, "kind": type(field).__name__})

    assert normalize(Field((1, {2}))) == {"field": [1, {"$set": [2]}], "kind": "Field"}
    assert normalize([Fine(1)]) == [{"field": 1, "kind": "Fine"}]


def test_register_is_a_decorator_too() -> None:
    """Without a function it returns a decorator, and gives the function back unchanged."""

    class Field:
        pass

    @entropic.normalize.register(Field)
    def by_name(field: Field) -> str:
        return "field"

    assert by_name(Field()) == normalize(Field()) == "field"


@pytest.mark.parametrize("cls", [int, float, str, bool, list, dict, tuple, set, bytes, type(None)])
def test_builtin_types_stay_what_they_are(cls: type) -> None:
    """What a builtin type becomes is fixed, or the keys of all earlier runs would be lost."""
    with pytest.raises(TypeError, match="fixed"):
        entropic.normalize.register(cls, repr)


@pytest.mark.parametrize("wrong", [object, "Mesh", None])
def test_what_would_hide_the_registry_itself_is_refused(wrong: type) -> None:
    """A normaliser for ``object`` would answer for every type without one; only classes can be registered."""
    with pytest.raises(TypeError, match="Cannot register a normaliser"):
        entropic.normalize.register(wrong, repr)

    with pytest.raises(TypeError) as caught:
        hash_params({"x": object()})
    assert "register" not in str(caught.value)


def test_a_normaliser_that_never_ends_is_an_error() -> None:
    """A function that returns the value itself is told apart from a hang."""

    class Loop:
        pass

    entropic.normalize.register(Loop, lambda loop: [loop])

    with pytest.raises(ValueError, match="contains itself"):
        hash_params({"x": Loop()})


# ---- records of the values ------------------------------------------------------------------------------------------


def test_nan_and_infinities_come_back_as_floats() -> None:
    """In a record they are floats, in a document they are tagged, and the way there and back loses nothing."""
    normal = normalize({"a": [math.nan, math.inf], "b": {"c": -math.inf}, "s": {math.nan}})

    decoded = decode(normal)

    assert decoded["a"][0] is math.nan
    assert decoded["a"][1] == math.inf
    assert decoded["b"]["c"] == -math.inf
    assert encode(decoded) == normal
    assert canonical(decoded) == canonical(normal)


@pytest.mark.parametrize("tag", ["bogus", 3, None, [1]])
def test_a_float_tag_of_somebody_else_is_left_alone(tag: Any) -> None:
    """A document made elsewhere may hold anything; what is no float stays as it stands."""
    assert decode({"$float": tag}) == {"$float": tag}


@pytest.mark.parametrize("value", [value for value, _ in TABLE], ids=shown)
def test_params_of_a_fresh_run_equal_those_of_a_later_hit(store: entropic.Store, runner: Any, value: Any) -> None:
    """A record is the same whether its run has just ended or is read from the index by another process."""
    fresh = store.run_or_retrieve({"x": value, "n": 1}, runner)

    with entropic.Store(store.results_dir, store.index.path, file_suffix=".txt") as later:
        hit = later.retrieve({"n": 1, "x": value})
        assert hit == fresh
        assert later.list(where={"x": value}) == [fresh]
    assert runner.count == 1


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrange", [np.asarray, np.asfortranarray, lambda a: a[::2, ::-1], lambda a: a.T])
def test_large_arrays_are_hashed_without_a_copy(arrange: Any) -> None:
    """However an array lies in memory, hashing it takes a small part of its size."""
    array = arrange(np.random.default_rng(1).random((2000, 1000)))
    expected = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()

    tracemalloc.start()
    found = normalize(array)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found["$ndarray"]["sha256"] == expected
    assert peak_bytes < array.nbytes / 4


def test_a_mapped_file_is_an_array(tmp_path: pathlib.Path) -> None:
    """A memory-mapped array has the key of the same array in memory."""
    np.save(tmp_path / "a.npy", np.arange(5))

    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")

    assert hash_params({"a": mapped}) == hash_params({"a": np.arange(5)})


def test_normalised_params_share_nothing_with_the_callers() -> None:
    """A key does not change when the caller's containers do."""
    inner = {"b": [1, 2]}
    key = make_key({"a": inner})

    inner["b"].append(3)

    assert key.params == {"a": {"b": [1, 2]}}
