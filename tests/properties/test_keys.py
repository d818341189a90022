"""The laws of keys, for generated values: held against an equality that is defined apart from the code."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import json
import math
import random
from typing import Any

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
