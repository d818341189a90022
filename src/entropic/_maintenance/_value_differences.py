"""In what two values differ, in words: as from the recorded one to that of the call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._engine import RunCache, open_caches
from .._fs import one_line
from .._record import call_text, short_name
from .._results import own_parts
from ..hashing import INPUT_TAG, RUN_TAG, canonical, decode, encode, file_text, is_input, is_run, untagged

_LONGEST_TEXT = 60
_SHOWN_DIGITS = 8
_MISSING = object()
_KINDS: dict[type, str] = {int: "int", float: "float", str: "text"}
_ARRAY_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex", "S": "bytes", "U": "text", "M": "datetime64"}


class RunNames:
    """
    Names runs whose results are parameters, as the calls that made them.

    Args:
        engine: The store in which they are looked for first; then come others that are open.
    """

    def __init__(self, engine: RunCache) -> None:
        self._engine = engine

    def call_of(self, value: Any) -> str | None:
        """The call behind the normalised form of a record, or of an input file that is a result; else None."""
        if is_run(value):
            held = value[RUN_TAG]
            return self._call(str(held["params_hash"])) or f"{short_name(str(held['function'] or 'run'))}(…)"
        parts = own_parts(value[INPUT_TAG]["name"]) if is_input(value) else None
        return None if parts is None else self._call(parts[0].partition("_")[2])

    def _call(self, params_hash: str) -> str | None:
        for engine in (self._engine, *open_caches()):
            try:
                found = engine.index.find_all_by_hash(params_hash)
            except Exception:  # of whatever kind of index: it only lacks a name then
                continue
            if found:
                return call_text(found[-1])
        return None


def differences_of(
    asked: Mapping[str, Any], recorded: Mapping[str, Any], names: RunNames, prefix: str = "", kind: str = "parameter "
) -> Iterator[str]:
    """The differences of two mappings, name by name."""
    kind = "" if prefix else kind
    for name in dict.fromkeys([*asked, *recorded]):
        mine, theirs = asked.get(name, _MISSING), recorded.get(name, _MISSING)
        if theirs is _MISSING:
            yield f"{kind}{prefix}{name} is new: {value_text(mine)}"
        elif mine is _MISSING:
            yield f"{kind}{prefix}{name} is missing: was {value_text(theirs)}"
        else:
            yield from _value_differences(f"{prefix}{name}", mine, theirs, names)


def changed_entries(old: Any, new: Any, names: Sequence[str] | None = None) -> Iterator[str]:
    """What has another value in two mappings, of texts above all."""
    before, after = (one if isinstance(one, Mapping) else {} for one in (old, new))
    for name in sorted(before.keys() | after.keys()) if names is None else names:
        was, now = before.get(name), after.get(name)
        if canonical(encode(was)) == canonical(encode(now)):
            continue
        if was is None or now is None:
            yield f"{name} {_entry_text(was if now is None else now)} is {'missing' if now is None else 'new'}"
        else:
            yield f"{name} {_entry_text(was)} -> {_entry_text(now)}"


def _entry_text(value: Any) -> str:
    """A value as it is written for people: no parameter, of which it would matter whether it is a text."""
    return one_line(value) if isinstance(value, str) else value_text(value)


def _value_differences(place: str, asked: Any, recorded: Any, names: RunNames) -> Iterator[str]:
    """In what two values differ, if their keys would."""
    if canonical(asked) == canonical(recorded):
        return
    asked, recorded = decode(asked), decode(recorded)
    if _is_nested(asked) and _is_nested(recorded):
        yield from differences_of(asked, recorded, names, f"{place}.")
    elif isinstance(asked, list) and isinstance(recorded, list):
        yield from _list_differences(place, asked, recorded, names)
    else:
        said = (
            _run_difference(asked, recorded, names)
            or _array_difference(asked, recorded)
            or _file_difference(asked, recorded)
        )
        yield f"{place}: {said or _plain_difference(asked, recorded)}"


def _plain_difference(asked: Any, recorded: Any) -> str:
    looks_the_same = asked == recorded or value_text(asked) == value_text(recorded)
    if not looks_the_same:
        return f"{value_text(recorded)} -> {value_text(asked)}"
    if isinstance(asked, bool) or isinstance(recorded, bool):
        return f"{value_text(asked)} instead of {value_text(recorded)}"
    return f"{_kind_and_text(asked)} instead of {_kind_and_text(recorded)}"


def _list_differences(place: str, asked: list[Any], recorded: list[Any], names: RunNames) -> Iterator[str]:
    if len(asked) != len(recorded):
        yield f"{place}: a list of {len(asked)} instead of {len(recorded)}"
        return
    places = [
        at for at, pair in enumerate(zip(asked, recorded, strict=True)) if canonical(pair[0]) != canonical(pair[1])
    ]
    yield from _value_differences(f"{place}[{places[0]}]", asked[places[0]], recorded[places[0]], names)
    if len(places) > 1:
        yield f"{place}: {len(places)} items of {len(asked)} differ"


def _array_difference(asked: Any, recorded: Any) -> str | None:
    mine, theirs = _array(asked), _array(recorded)
    if mine is None and theirs is None:
        return None
    if mine is None or theirs is None:
        return f"{_array_or_kind(asked, mine)} instead of {_array_or_kind(recorded, theirs)}"
    if mine.get("dtype") != theirs.get("dtype"):
        return f"numpy {_dtype(mine)} array instead of {_dtype(theirs)}"
    if mine.get("shape") != theirs.get("shape"):
        return f"an array of shape {_shape(mine)} instead of {_shape(theirs)}"
    return "array contents differ"


def _array(value: Any) -> dict[str, Any] | None:
    inner = value.get("$ndarray") if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else None


def _array_or_kind(value: Any, array: dict[str, Any] | None) -> str:
    return f"numpy {_dtype(array)} array" if array is not None else _kind_and_text(value)


def _dtype(array: dict[str, Any]) -> str:
    """``<i8`` as ``int64``; whatever is less common as it stands."""
    text = str(array.get("dtype"))
    kind, size = text[1:2], text[2:]
    if text[:1] in "<|=" and kind in "fiuc" and size.isdigit():
        return f"{_ARRAY_KINDS[kind]}{8 * int(size)}"
    return "bool" if text == "|b1" else text


def _shape(array: dict[str, Any]) -> str:
    return str(tuple(array.get("shape", ())))


def _run_difference(asked: Any, recorded: Any, names: RunNames) -> str | None:
    mine, theirs = names.call_of(asked), names.call_of(recorded)
    if mine is None and theirs is None:
        return None
    if mine is not None and mine == theirs:
        return f"{mine}: another result ({_digits(recorded)} -> {_digits(asked)})"
    return f"{theirs or value_text(recorded)} -> {mine or value_text(asked)}"


def _digits(value: Any) -> str:
    digest = value[RUN_TAG]["digest"] if is_run(value) else value[INPUT_TAG]["sha256"]
    return str(digest).rpartition(":")[2][:_SHOWN_DIGITS]


def _file_difference(asked: Any, recorded: Any) -> str | None:
    mine, theirs = file_text(asked), file_text(recorded)
    if mine is None and theirs is None:
        return None
    if mine is None or theirs is None:
        return f"{mine or _kind_and_text(asked)} instead of {theirs or _kind_and_text(recorded)}"
    return f"contents differ: {theirs} -> {mine}"


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) and all(name[:1] != "$" or name == "$class" for name in value)


def _kind_and_text(value: Any) -> str:
    kind = _KINDS.get(type(value))
    return f"{kind} {value_text(value)}" if kind is not None else value_text(value)


def value_text(value: Any) -> str:
    """A value as it is shown: as its user would write it, and not too long."""
    file = file_text(value)
    plain = untagged(value)
    text = file or (repr(plain) if isinstance(plain, (str, float)) else str(plain))
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
