r"""
Queries as text: ``n>=2 dt<0.3``.

The one grammar of the command line, of Python and of the page; ``_tables/page/filter.js`` follows it letter by letter,
and one table of cases tests both::

    query    = term { space term }                      all must match, and one of the hashes if there are any
    term     = name operator value | hash               with or without spaces around the operator
    name     = word | quoted
    operator = "==" | "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"
    value    = quoted | list or mapping in JSON | day and time | word      after "~": quoted | anything but spaces
    quoted   = text in " or '; \" \' \\ \n \t \r and \uXXXX stand for one letter, any other backslash for itself
    word     = neither spaces nor = < > ! ~; the first letter is no quotation mark
    hash     = 4 to 16 of 0-9 a-f
"""

from __future__ import annotations

import functools
import json
import operator
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from typing import Any, NoReturn

from .._fs import NamedTuple
from ..errors import QueryTextError
from ._conditions import EVERY_RUN, Condition
from ._param import Param, param
from ._typed import kind_of, value_of

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\s=<>!~]+")
_OPERATOR = re.compile(r"<=|>=|!=|==|=|<|>|~")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_PATTERN = re.compile(r"\S+")
_HASH = re.compile(r"[0-9a-f]{4,16}")
_DAY = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?"
_SPACED_MOMENT = re.compile(rf"{_DAY} {_TIME}(?!\S)", re.ASCII)
_MOMENT = re.compile(rf"{_DAY}(?:[T ]{_TIME})?", re.ASCII)
_ESCAPES = re.compile(r"\\(?:([\"'\\])|([ntr])|u([0-9a-fA-F]{4}))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r"}
_HASH_DIGITS = 16
_TEXTS = frozenset({"created_at", "params_hash", "result_path"})
_CONDITIONS: dict[str, Callable[[Param, Any], Condition]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "~": Param.matches,
}


class Filter(NamedTuple):
    """``dt<0.01``: a name, an operator and a value."""

    name: str
    operator: str
    value: Any

    def __str__(self) -> str:
        if self.operator == "~":
            return f"{self.name} matches {self.value!r}"
        return f"{self.name} {self.operator} {self.value!r} ({kind_of(self.value)})"

    def condition(self) -> Condition:
        """Return what holds for a run that matches."""
        compare, asked = _CONDITIONS[self.operator], param(self.name)
        return functools.reduce(operator.or_, (compare(asked, value) for value in self._meanings()))

    def _meanings(self) -> Iterator[Any]:
        """What the value may stand for: a text that tells a day or a moment stands for that as well."""
        yield self.value
        if self.operator == "~" or self.name in _TEXTS or not isinstance(self.value, str):
            return
        if not _MOMENT.fullmatch(self.value):
            return
        try:
            moment = datetime.fromisoformat(_python_form(self.value))
        except ValueError:  # such as the 31st of February
            return
        if len(self.value) == len("2026-01-01"):
            yield date.fromisoformat(self.value)
        if moment.tzinfo is None:
            yield moment
        yield moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


class TextQuery(NamedTuple):
    """What a text asks for: filters, all of which must match, and beginnings of hashes, one of which must."""

    filters: tuple[Filter, ...] = ()
    prefixes: tuple[str, ...] = ()

    def __str__(self) -> str:
        hashes = [f"hash {' or '.join(self.prefixes)}..."] if self.prefixes else []
        return ", ".join([*map(str, self.filters), *hashes])

    def __add__(self, other: TextQuery) -> TextQuery:  # type: ignore[override]  # of queries, not of tuples
        return TextQuery(self.filters + other.filters, self.prefixes + other.prefixes)

    def condition(self) -> Condition:
        """Return what holds for the runs that are meant."""
        conditions = [one.condition() for one in self.filters]
        if self.prefixes:
            conditions.append(self._has_hash())
        return functools.reduce(operator.and_, conditions) if conditions else EVERY_RUN

    def _has_hash(self) -> Condition:
        if len(self.prefixes) == 1 and len(self.prefixes[0]) == _HASH_DIGITS:
            return param("params_hash") == self.prefixes[0]  # which an index finds without reading the others
        return param("params_hash").matches(f"^({'|'.join(self.prefixes)})")


def read_query(text: str) -> TextQuery:
    """
    Return what a text asks for.

    Raises:
        QueryTextError: It is no query; the message tells the position (a `ValueError`).

    Example:
        >>> print(read_query("n>=2 dt<.3 f444"))
        n >= 2 (an integer), dt < 0.3 (a float), hash f444...
        >>> read_query("method~^rk 'my name'=1").condition()
        param('method').matches('^rk') & (param('my name') == 1)
    """
    reader = _Reader(text)
    filters: list[Filter] = []
    prefixes: list[str] = []
    while not reader.is_at_end():
        term = reader.term()
        if isinstance(term, str):
            prefixes.append(term)
        else:
            filters.append(term)
    if not filters and not prefixes:
        reader.refuse("there is nothing in it", "Leave the query out to mean all runs.", 0)
    return TextQuery(tuple(filters), tuple(prefixes))


def spelled_name(name: str) -> str:
    """
    A name as it can stand in a query.

    Example:
        >>> print(spelled_name("solver.dt"), spelled_name("my name"))
        solver.dt "my name"
    """
    return name if _WORD.fullmatch(name) and name[0] not in "\"'" else _in_quotes(name)


def spelled_value(value: Any) -> str | None:
    """
    A value as it can stand in a query; None for one that has no such form.

    Example:
        >>> print(*map(spelled_value, (1, 1.0, None, True, "rk4", "1", "a b", [1, "a"])))
        1 1.0 None True rk4 "1" "a b" [1, "a"]
    """
    if isinstance(value, str):
        is_plain = _WORD.fullmatch(value) and value[0] not in "\"'[{" and value_of(value) == value
        return value if is_plain else _in_quotes(value)
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    text = json.dumps(value)
    return None if "$" in text else text


def _in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class _Reader:
    """A text and how far it has been read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def is_at_end(self) -> bool:
        self._skip_space()
        return self._place == len(self._text)

    def term(self) -> Filter | str:
        """The next filter, or the beginning of a hash."""
        start = self._place
        name = self._quoted() or self._taken(_WORD)
        if name is None:
            advice = "Close it." if self._text[start] in "\"'" else "Begin with a name, as in n>=2."
            self.refuse(f"{self._text[start]!r} begins no name", advice, start)
        self._skip_space()
        sign = self._taken(_OPERATOR)
        if sign is not None:
            return self._filter(name, sign)
        if _HASH.fullmatch(self._text[start : start + len(name)]):
            return name
        advice = (
            'Filters are like n=100, dt<0.01 or name~regex; a value with spaces stands in quotes, as in note="a b".'
        )
        return self.refuse(f"{name!r} is neither a filter nor the first digits of a hash", advice, start)

    def _filter(self, name: str, sign: str) -> Filter:
        self._skip_space()
        start = self._place
        quoted = self._quoted()
        if sign == "~":
            pattern = quoted if quoted is not None else self._taken(_PATTERN)
            return Filter(name, sign, self._checked_pattern(name, pattern, start))
        if quoted is not None:
            return Filter(name, sign, quoted)
        word = self._json() or self._taken(_SPACED_MOMENT) or self._taken(_WORD)
        if word is not None:
            self._require_end_of_value()
            return Filter(name, sign, word if name in _TEXTS else value_of(word))
        if start < len(self._text):
            self._refuse_sign(start)
        return self._refuse_nothing(name, start)

    def _checked_pattern(self, name: str, pattern: str | None, start: int) -> str:
        if pattern is None:
            self._refuse_nothing(name, start)
        try:
            re.compile(pattern)
        except re.error as error:
            self.refuse(f"{pattern!r} is no regular expression ({error})", "", start)
        return pattern

    def _require_end_of_value(self) -> None:
        if self._place < len(self._text) and not self._text[self._place].isspace():
            self._refuse_sign(self._place)

    def _refuse_sign(self, start: int) -> NoReturn:
        advice = 'A value with = < > ! or ~ stands in quotes, as in name="a=b".'
        self.refuse(f"{self._text[start]!r} cannot stand in a value", advice, start)

    def _refuse_nothing(self, name: str, start: int) -> NoReturn:
        self.refuse(f"the value of {name!r} is missing", f'An empty text is written as in {name}="".', start)

    def _quoted(self) -> str | None:
        """A text in quotes, if one comes next, and nothing is attached to its end but an operator."""
        start = self._place
        if self._text[start : start + 1] not in ('"', "'"):
            return None
        found = _QUOTED.match(self._text, start)
        if found is None:
            self.refuse("a quotation mark is not closed", "", start)
        self._place = found.end()
        if not re.match(r"\s|[=<>!~]|\Z", self._text[self._place :][:1]):
            self.refuse("a space is missing after the quotation mark", "", self._place)
        return _ESCAPES.sub(_letter, found[0][1:-1])

    def _json(self) -> str | None:
        """A list or a mapping, if one comes next: up to the bracket that closes it, with a space or the end behind."""
        opened, place = 0, self._place
        if self._text[place : place + 1] not in ("[", "{"):
            return None
        while place < len(self._text):
            sign = self._text[place]
            if sign == '"' and (inner := _QUOTED.match(self._text, place)) is not None:
                place = inner.end()
                continue
            opened += (sign in "[{") - (sign in "]}")
            place += 1
            if not opened:
                is_whole = self._text[place : place + 1].isspace() or place == len(self._text)
                return self._taken_up_to(place) if is_whole else None
        return None

    def _taken_up_to(self, place: int) -> str:
        start, self._place = self._place, place
        return self._text[start:place]

    def _taken(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._place)
        return None if found is None else self._taken_up_to(found.end())

    def _skip_space(self) -> None:
        self._taken(_SPACE)

    def refuse(self, reason: str, advice: str, place: int) -> NoReturn:
        raise QueryTextError(self._text, place + 1, reason, advice)


def _letter(found: re.Match[str]) -> str:
    sign, letter, number = found.groups()
    return str(sign) if sign else _LETTERS[letter] if letter else chr(int(number, 16))


def _python_form(moment: str) -> str:
    """A moment as the oldest Python that we support reads it."""
    text, dot, rest = moment.replace("Z", "+00:00").partition(".")
    digits = re.match(r"\d*", rest)
    return f"{text}{dot}{digits[0]:0<6}{rest[digits.end() :]}" if dot and digits else text
