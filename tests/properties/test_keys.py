"""The laws of keys, for generated values: held against an equality that is defined apart from the code."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import fractions
import json
import math
import os
import random
import subprocess
import sys
from typing import Any, NamedTuple

import attrs
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from entropic.hashing import canonical, decode_params, encode, hash_params, make_key, normalize

FLOATS = st.one_of(
    st.floats(),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: round(x, 3)),
    st.sampled_from([0.0, -0.0, 1.0, 1e-13, 2e-13, 0.1 + 0.2, 0.3, 1 - 1e-12, 1 - 1e-13, 5e-324, 1e308]),
)
ARRAYS = st.builds(
    lambda numbers, dtype, turn: np.array(numbers, dtype=dtype)[:: -1 if turn else 1],
    st.lists(st.integers(0, 3), max_size=4),
    st.sampled_from(["i1", "i8", ">i8", "f4", "f8", "c16", "?"]),
    st.booleans(),
)
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 2),
    FLOATS,
    st.text(max_size=3),
    st.sampled_from(["", "$float", "$set", "$map", "nan", "1", "None", "\ud800", "a.b"]),
    st.binary(max_size=2),
    st.complex_numbers(max_magnitude=2),
    st.decimals(places=1, min_value=-2, max_value=2),
    st.fractions(-2, 2, max_denominator=3),
    st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 3)),
    st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2)),
    st.timedeltas(dt.timedelta(-1), dt.timedelta(1)),
)
VALUES = st.recursive(
    HASHABLE | ARRAYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2) | st.sampled_from(["$float", "$set", "$map", "$class"]), inner, max_size=3),
        st.sets(st.integers(-2, 2) | st.text(max_size=1), max_size=3),
        st.frozensets(st.booleans() | st.floats(0.5, 2), max_size=2),
        st.dictionaries(st.integers(-2, 2) | st.none() | st.binary(max_size=1), inner, max_size=2),
    ),
    max_leaves=8,
)
NAMES = st.text(max_size=3) | st.sampled_from(["$float", "$set", "a.b", "n"])
PARAMS = st.dictionaries(NAMES, VALUES, max_size=4)


def meaning(value: Any) -> Any:
    """What a value means, as nested tuples: the oracle, written without the code under test."""
    if isinstance(value, (list, tuple)):
        return "list", tuple(map(meaning, value))
    if isinstance(value, (set, frozenset)):
        return "set", tuple(sorted(map(repr, map(meaning, value))))
    if isinstance(value, dict):
        return "dict", tuple(sorted(repr((meaning(key), meaning(item))) for key, item in value.items()))
    if isinstance(value, np.ndarray):
        value = value.astype(value.dtype.newbyteorder("<"))
        return "array", value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, float):
        return "float", rounded(value)
    if isinstance(value, complex):
        return "complex", rounded(value.real), rounded(value.imag)
    return type(value).__name__, repr(value)


def rounded(x: float) -> Any:
    """Twelve digits by decimal arithmetic: decimals from 1 on, significant ones below."""
    if math.isnan(x) or math.isinf(x):
        return repr(x).lstrip("-") if math.isnan(x) else repr(x)
    exact = decimal.Decimal(x)
    if abs(x) < 1:
        return float(decimal.Context(prec=12, Emin=-400).plus(exact)) + 0.0
    return float(decimal.Context(prec=400).quantize(exact, decimal.Decimal("1e-12")))


@given(VALUES, VALUES)
def test_two_values_share_a_text_exactly_if_they_mean_the_same(one: Any, other: Any) -> None:
    """No two meanings have one text, and no meaning has two."""
    assert (canonical(normalize(one)) == canonical(normalize(other))) == (meaning(one) == meaning(other))


@given(st.lists(VALUES, min_size=2, max_size=12))
def test_many_values_have_as_many_keys_as_meanings(values: list[Any]) -> None:
    """The same for the keys themselves."""
    keys = {hash_params({"x": value}) for value in values}

    assert len(keys) == len({repr(meaning(value)) for value in values})


@given(VALUES, st.randoms(use_true_random=False))
def test_a_near_copy_is_told_apart(value: Any, chance: random.Random) -> None:
    """Of a value and one changed in a single place, the keys differ if and only if the meanings do."""
    changed = _changed(value, chance)

    assert (hash_params({"x": value}) == hash_params({"x": changed})) == (meaning(value) == meaning(changed))


def _changed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, (list, tuple)) and value:
        place = chance.randrange(len(value))
        return [_changed(item, chance) if n == place else item for n, item in enumerate(value)]
    if isinstance(value, dict) and value:
        key = chance.choice(list(value))
        return {name: _changed(item, chance) if name is key else item for name, item in value.items()}
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and abs(value) < 2**1000:
        return float(value)
    if isinstance(value, float):
        return math.nextafter(value, math.inf)
    if isinstance(value, np.ndarray):
        return value.reshape(1, -1)
    return chance.choice([str(value), [value], {"x": value}, None])


@given(PARAMS, st.randoms(use_true_random=False))
def test_order_never_matters(params: dict[str, Any], chance: random.Random) -> None:
    """Params and the dicts in them may be written in any order."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(name, shuffled(item)) for name, item in value.items()]
            chance.shuffle(items)
            return dict(items)
        if isinstance(value, (list, tuple)):
            return type(value)(map(shuffled, value))
        return value

    assert hash_params(shuffled(params)) == hash_params(params)


@given(PARAMS)
def test_the_way_through_json_changes_nothing(params: dict[str, Any]) -> None:
    """Params are stored as JSON and come back as they were: same record, same text, so same key."""
    key = make_key(params)
    recorded = decode_params(key.params)
    document = {name: encode(value) for name, value in recorded.items()}

    read = decode_params(json.loads(json.dumps(document, allow_nan=False)))

    assert read == recorded
    assert canonical(read) == canonical(recorded) == key.canonical


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda name: name[:1] != "$"), inner),
)


@given(PLAIN)
def test_plain_values_are_their_own_normal_form(value: Any) -> None:
    """What JSON itself can hold stays as it is, and normalising twice is normalising once."""
    once = normalize(value)

    assert once == value
    assert normalize(once) == once
    assert normalize(json.loads(json.dumps(once))) == once


@given(FLOATS)
def test_rounding_is_that_of_exact_decimal_arithmetic(x: float) -> None:
    """The text of a float is that of its value rounded to 12 digits, and rounding it again changes nothing."""
    text = canonical(x)

    if math.isfinite(x):
        assert text == repr(rounded(x) + 0.0)
        assert canonical(float(text)) == text


@given(FLOATS, FLOATS)
def test_noise_never_joins_what_differs_in_twelve_digits(x: float, y: float) -> None:
    """Floats that share a text are within the noise of each other."""
    if canonical(x) == canonical(y) and math.isfinite(x) and math.isfinite(y):
        assert abs(x - y) <= max(1e-12 if max(abs(x), abs(y)) >= 1 else 1e-11 * abs(x), math.ulp(x))


@given(st.fractions() | st.decimals(allow_nan=False) | st.timedeltas() | st.datetimes() | st.uuids())
def test_texts_of_tagged_values_are_exact(value: Any) -> None:
    """From the text of a tagged value the value itself can be had again."""
    ((tag, text),) = normalize(value).items()
    read = {"$Fraction": fractions.Fraction, "$Decimal": decimal.Decimal, "$datetime": dt.datetime.fromisoformat}

    assert tag == f"${type(value).__name__}"
    assert read.get(tag, lambda text: value)(text.removesuffix("#fold")) == value


# ---- instances ------------------------------------------------------------------------------------------------------


class Asked:
    """A descriptor that tells when it is asked."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        raise AssertionError("a property was asked")


@dataclasses.dataclass
class Plain:
    a: Any
    b: Any = None
    noted: Any = dataclasses.field(default=None, compare=False)
    shown = Asked()


@dataclasses.dataclass(slots=True)
class Slotted:
    a: Any
    b: Any = None
    noted: Any = dataclasses.field(default=None, compare=False)


@attrs.define(slots=False)
class Declared:
    a: Any
    b: Any = None
    noted: Any = attrs.field(default=None, eq=False)
    shown = Asked()


@attrs.frozen(cache_hash=True)
class Frozen:
    a: Any
    b: Any = None
    noted: Any = attrs.field(default=None, eq=False)


class Pair(NamedTuple):
    a: Any
    b: Any


class Turned(NamedTuple):
    b: Any
    a: Any


class Metres(float):
    pass


class Name(str):
    __slots__ = ()


class Row(list):  # type: ignore[type-arg]
    pass


WITH_FIELDS = [Plain, Slotted, Declared, Frozen]
INSTANCES = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.builds(lambda kind, a, b, noted: kind(a, b, noted), st.sampled_from(WITH_FIELDS), inner, inner, inner),
        st.builds(lambda kind, a, b: kind(a, b), st.sampled_from([Pair, Turned]), inner, inner),
        st.floats(-2, 2).map(Metres),
        st.text(max_size=2).map(Name),
        st.lists(inner, max_size=2).map(Row),
    ),
    max_leaves=6,
)


def meaning_of(value: Any) -> Any:
    """As `meaning`, of instances too: their class and the fields that `==` compares."""
    kind = type(value)
    if kind in WITH_FIELDS:
        return kind.__name__, meaning_of(value.a), meaning_of(value.b)
    if kind in (Pair, Turned):
        return kind.__name__, meaning_of(value.a), meaning_of(value.b)
    if kind in (Metres, Name, Row):
        return kind.__name__, meaning_of(kind.__bases__[0](value))
    if isinstance(value, (list, tuple)):
        return "list", tuple(map(meaning_of, value))
    if isinstance(value, dict):
        return "dict", tuple(sorted(repr((meaning(key), meaning_of(item))) for key, item in value.items()))
    return meaning(value)


def held_by(value: Any) -> list[tuple[str, int]]:
    """What an instance holds, by identity."""
    slots = [name for cls in type(value).__mro__ for name in vars(cls).get("__slots__", ()) if name[:2] != "__"]
    held = {name: object.__getattribute__(value, name) for name in slots if name in dir(value)}
    return [(name, id(item)) for name, item in {**held, **getattr(value, "__dict__", {})}.items()]


@given(INSTANCES, INSTANCES)
def test_instances_share_a_key_exactly_if_they_are_equal(one: Any, other: Any) -> None:
    """Class and compared fields decide, and nothing else."""
    assert (hash_params({"x": one}) == hash_params({"x": other})) == (meaning_of(one) == meaning_of(other))


CLASSES = st.sampled_from(WITH_FIELDS)


@given(CLASSES, CLASSES, INSTANCES, INSTANCES, st.randoms(use_true_random=False))
def test_a_changed_class_or_field_is_another_key(
    kind: Any, other: Any, a: Any, noted: Any, chance: random.Random
) -> None:
    """A near copy differs in its key if its class or a compared leaf differs; what is not compared never matters."""
    key = hash_params({"x": kind(a, 1, None)})
    changed = _changed(a, chance)

    assert hash_params({"x": kind(a, 1, noted)}) == key
    assert (hash_params({"x": other(a, 1)}) == key) == (other is kind)
    assert hash_params({"x": kind(a, True)}) != key
    assert (hash_params({"x": kind(changed, 1)}) == key) == (meaning_of(changed) == meaning_of(a))


@given(st.sampled_from(WITH_FIELDS), INSTANCES)
def test_making_a_key_leaves_an_instance_as_it_was(kind: Any, inner: Any) -> None:
    """Nothing is put into it, and no descriptor is asked."""
    value = kind(kind(inner), [inner])
    before = held_by(value), held_by(value.a)

    hash_params({"x": value, "y": {"z": (value,)}})

    assert (held_by(value), held_by(value.a)) == before


SCRIPT = """
import dataclasses, datetime, decimal, functools, types
from typing import NamedTuple
from entropic.hashing import hash_params

@dataclasses.dataclass
class Model:
    tags: object

class Pair(NamedTuple):
    a: object

values = [Model({"x", "y", ("z", 1)}), Pair(frozenset("abc")), {("k", 1): {"u"}, None: 2}]
values += [functools.partial(len, x={1, "a"})]
values += [types.SimpleNamespace(s={"p", "q"}), {"b": 1, "a": 2}.keys(), datetime.timezone.utc, decimal.Decimal(1)]
print(hash_params({"x": values}))
"""


def test_no_key_depends_on_the_hash_seed() -> None:
    """Sets inside instances, views and partials come in another order in each process."""
    keys = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2", "3")
    }

    assert len(keys) == 1
