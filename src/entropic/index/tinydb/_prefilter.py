r"""
What a query can tell from the bytes of a line, before it is parsed.

A prefilter stands for one condition, such as ``n`` is 100. It finds every line that may satisfy it, and some that do
not: the caller parses what was found, and judges it by `entropic.query.predicate`. Nothing may be missed, however a
line is spelled: ``"n":100``, ``0.30000000000000004`` for 0.3, ``\u006e`` for n.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

from ..._fs import remember
from ...hashing import canonical

# A plain character as an escape, which we never write but JSON allows. Lines with one are always looked at.
_ODD = rb"\\(?:/|u00[2-7])"
_ANY_TOKEN = rb'("(?:[^"\\]|\\.)*"|[^\s"{}\[\],]+|[{\[])'
# More than a bare name, or one in a folder by hash.
_LEADS_ANYWHERE = re.compile(rb'"result_path"\s*:\s*"(?![0-9a-f]{2}/[^"/\\]*")[^"\\]*[/\\]')
_LONG_NAME = 16
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+")
_NUMBER = rb"(-?[0-9][0-9.eE+-]*)"
_NUMBER_END = rb"(?![0-9.eE])"
_CONTAINERS = {"{": rb"(?:[{NI]|-I|-?[0-9.]+[eE])", "[": rb"\["}  # nan: a mapping by our hand, a word by others'
_TOLERANCE = 1e-10  # wider than the rounding of canonical floats
_REMEMBERED_TOKENS = 1 << 12


class Prefilter(Protocol):
    """What a query can tell from the bytes of lines."""

    def places(self, chunk: bytes) -> Iterator[int]:
        """Where in a chunk of lines the condition may be met, in rising order."""
        ...

    def may_match(self, line: bytes) -> bool:
        """Whether a single line may satisfy the condition."""
        ...


class BytePrefilter:
    """One condition: a name, perhaps dotted, and a normalised value."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.key = _key_of(value)
        self._float = value if type(value) is float else None
        token = _NUMBER if self._float is not None else _token_pattern(value)
        self._field = _Field(name, token)

    def places(self, chunk: bytes) -> Iterator[int]:
        """Where in a chunk of lines the condition may be met, in rising order."""
        pattern = self._field.pattern_for(chunk)
        if self._float is None:
            return (match.start() for match in pattern.finditer(chunk))
        # Values repeat: it is quicker to gather them first, and to look for their places only if one fits.
        close = {token for token in set(pattern.findall(chunk)) if self._is_close(token)}
        if not close:
            return iter(())
        return (match.start() for match in pattern.finditer(chunk) if match[1] in close)

    def may_match(self, line: bytes) -> bool:
        """Whether a single line may satisfy the condition."""
        return is_odd(line) or next(self.places(line), None) is not None

    def _is_close(self, token: bytes) -> bool:
        assert self._float is not None
        try:
            return abs(float(token) - self._float) <= _TOLERANCE * abs(self._float)
        except ValueError:
            return True  # no number at all: to be looked at, and reported


class BeginningPrefilter:
    """A hash that begins with one of some texts of hexadecimal digits."""

    def __init__(self, beginnings: Sequence[str]) -> None:
        self._needles = [b'"' + beginning.encode() for beginning in beginnings]

    def places(self, chunk: bytes) -> Iterator[int]:
        """Where in a chunk of lines the condition may be met, in rising order."""
        return iter(sorted(place for needle in self._needles for place in _places(chunk, needle)))

    def may_match(self, line: bytes) -> bool:
        """Whether a single line may satisfy the condition."""
        return is_odd(line) or any(needle in line for needle in self._needles)


class ExistencePrefilter:
    """A name, perhaps dotted, with any value."""

    def __init__(self, name: str) -> None:
        last = name.rpartition(".")[2]
        # A plain name, with all before it or without: found by its end, in half the time.
        self._ending = last.encode() + b'"' if _PLAIN_NAME.fullmatch(last) else None
        self._field = _Field(name, b"")

    def places(self, chunk: bytes) -> Iterator[int]:
        """Where in a chunk of lines the condition may be met, in rising order."""
        if self._ending is not None:
            return _places(chunk, self._ending)
        return (match.start() for match in self._field.pattern_for(chunk).finditer(chunk))

    def may_match(self, line: bytes) -> bool:
        """Whether a single line may satisfy the condition."""
        return is_odd(line) or next(self.places(line), None) is not None


class UsePrefilter:
    """A result that may be, or lie in, something at one of some plain paths; or whose own path is none."""

    def __init__(self, paths: Collection[str]) -> None:
        # What lies beside a result in its folder is named without the folder. Of a long name the end is rare enough.
        names = {path: path.rpartition("/")[2] for path in paths}
        short = {f'"{one}"' for path, name in names.items() if len(name) < _LONG_NAME for one in (path, name)}
        long = {f'{name}"' for name in names.values() if len(name) >= _LONG_NAME}
        self._needles = [needle.encode() for needle in short | long]

    def places(self, chunk: bytes) -> Iterator[int]:
        """Where in a chunk of lines the condition may be met, in rising order."""
        found = {place for needle in self._needles for place in _places(chunk, needle)}
        found.update(match.start() for match in _LEADS_ANYWHERE.finditer(chunk))
        return iter(sorted(found))

    def may_match(self, line: bytes) -> bool:
        """Whether a single line may satisfy the condition."""
        return is_odd(line) or next(self.places(line), None) is not None


class NamePrefilter:
    """All values of one name: what a table of its lines is made from."""

    def __init__(self, name: str) -> None:
        self._field = _Field(name, _ANY_TOKEN)
        self._keys: dict[bytes, bytes | None] = {}

    def values(self, chunk: bytes) -> Iterator[tuple[int, bytes | None]]:
        """Place and key of every value in a chunk of lines; None for one that cannot be read."""
        for match in self._field.pattern_for(chunk).finditer(chunk):
            yield match.start(), self._key(match[1])

    def _key(self, token: bytes) -> bytes | None:
        key = self._keys.get(token, b"")
        if key == b"":
            key = _key_of_token(token)
            remember(self._keys, token, key, _REMEMBERED_TOKENS)
        return key


class _Field:
    """How a name and a value can stand in a line. A dotted name may be a way into nested params."""

    def __init__(self, name: str, token: bytes) -> None:
        self._quoted_name = json.dumps(name).encode()
        last = name.rpartition(".")[2]
        self._is_dotted = last != name
        self._nested = _field_pattern([last], token)
        self._either = _field_pattern([name, last], token) if self._is_dotted else self._nested

    def pattern_for(self, chunk: bytes) -> re.Pattern[bytes]:
        """The quicker pattern, where it is enough."""
        if self._is_dotted and (b"\\" in chunk or not chunk.isascii() or self._quoted_name in chunk):
            return self._either
        return self._nested


def _places(chunk: bytes, needle: bytes) -> Iterator[int]:
    place = chunk.find(needle)
    while place >= 0:
        yield place
        place = chunk.find(needle, place + 1)


def is_odd(chunk: bytes) -> bool:
    """Whether text stands in a chunk in a spelling that prefilters do not know."""
    return b"\\" in chunk and re.search(_ODD, chunk) is not None


def lines_with(prefilters: Sequence[Prefilter], chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines of a chunk that may satisfy all conditions, each with its place."""
    if is_odd(chunk):
        yield from _lines_one_by_one(prefilters, chunk)
        return
    first, *others = prefilters
    end = -1
    for place in first.places(chunk):
        if place < end:
            continue
        begin = chunk.rfind(b"\n", 0, place) + 1
        end = chunk.find(b"\n", place)
        end = len(chunk) if end < 0 else end
        line = chunk[begin:end]
        if all(prefilter.may_match(line) for prefilter in others):
            yield begin, line


def _lines_one_by_one(prefilters: Sequence[Prefilter], chunk: bytes) -> Iterator[tuple[int, bytes]]:
    begin = 0
    for line in chunk.split(b"\n"):
        if all(prefilter.may_match(line) for prefilter in prefilters):
            yield begin, line
        begin += len(line) + 1


def _key_of_token(token: bytes) -> bytes | None:
    if token in b"{[":
        return token
    try:
        return _key_of(json.loads(token))
    except ValueError:
        return None


def _key_of(value: Any) -> bytes:
    """Equal for values that a query takes for equal; containers share one key by kind."""
    text = canonical(value)
    return (text[0] if text[0] in "{[" else text).encode()


def _token_pattern(value: Any) -> bytes:
    if isinstance(value, (dict, list)):
        return _CONTAINERS["{" if isinstance(value, dict) else "["]
    if isinstance(value, str):
        return b'"' + _spelled(value) + b'"'
    text = json.dumps(value).encode()
    return (b"-?0" if value == 0 and value is not False else text) + _NUMBER_END


def _field_pattern(names: list[str], token: bytes) -> re.Pattern[bytes]:
    spelled = [_spelled(name) for name in names]
    either = spelled[0] if len(spelled) == 1 else b"(?:" + b"|".join(spelled) + b")"
    return re.compile(b'"' + either + rb'"\s*:\s*' + token, re.DOTALL)


def _spelled(text: str) -> bytes:
    """A pattern for the ways to write a text in JSON; plain characters only as themselves (see `is_odd`)."""
    return b"".join(_spelled_character(character) for character in text)


def _spelled_character(character: str) -> bytes:
    if " " <= character <= "~" and character not in '"\\':
        return re.escape(character.encode())
    spellings = [json.dumps(character)[1:-1], character]
    if len(character.encode("utf-16-le", "surrogatepass")) == 2:
        spellings.append(f"\\u{ord(character):04x}")
    escaped = {re.escape(spelling.encode("utf-8", "surrogatepass")) for spelling in spellings}
    return b"(?i:" + b"|".join(sorted(escaped)) + b")"
