"""One value as one cell: the text that every view shows of it, and what programs get."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..hashing import content_text, untagged

# The text under these tags speaks for itself; other tags are named before it.
_PLAIN_TAGS = frozenset({"$date", "$datetime", "$time", "$timedelta", "$Decimal", "$Fraction", "$complex", "$UUID"})
_DIGEST_DIGITS = 8


def cell_text(value: Any, is_value: bool = True) -> str:
    r"""
    Return a value as one line of text that is not taken for another: what all views show to people.

    Scalars are written as Python writes them, floats to 12 digits; a text that could be taken for another value, or
    not be seen, in quotes; lists and mappings as JSON; what has a tag by its content. What is no value but, say, a
    version is quoted only if it could not be seen.

    Example:
        >>> [cell_text(value) for value in (1, 1.0, "1", "rk4", None, {"$date": "2026-01-01"}, "two\nlines")]
        ['1', '1.0', "'1'", 'rk4', 'None', '2026-01-01', "'two\\nlines'"]
        >>> cell_text([1, "a", {"$set": [2, None]}])
        '[1, "a", "{2, null}"]'
    """
    text = plain_text(value)
    if type(value) is float:
        return repr(float(f"{value:.12g}"))
    return repr(text) if is_misleading(text, is_value and isinstance(value, str)) else text


def plain_text(value: Any) -> str:
    """
    Return a value as `cell_text`, but texts as they are and floats in full: what programs read.

    Example:
        >>> plain_text("1"), plain_text(0.1 + 0.2), plain_text({"$class": "Euler", "dt": 0.1})
        ('1', '0.30000000000000004', 'Euler(dt=0.1)')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _tagged_text(value) or _json(value)
    return _json(value) if isinstance(value, list) else str(value)


def frame_value(value: Any) -> Any:
    """
    Return what a DataFrame holds: dates, Decimals and so on as such, what else has a tag as its text.

    Example:
        >>> frame_value({"$date": "2026-01-01"}), frame_value({"$set": [1]}), frame_value([1])
        (datetime.date(2026, 1, 1), '{1}', [1])
    """
    plain = untagged(value)
    if isinstance(plain, dict):
        return _tagged_text(plain) or plain
    return plain


def is_misleading(text: str, is_text: bool = True) -> bool:
    """Whether a text would be read as something else, or not be seen at all."""
    if not text.isprintable():
        return True
    if not is_text:
        return False
    if text.strip() != text or text in ("", "None", "True", "False"):
        return True
    try:
        float(text)
    except ValueError:
        return text[0] in "'\""
    return True


def moment_of(text: str) -> datetime | None:
    """Return the moment that a record tells, aware; None if it is no moment. Without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def local_time(text: str) -> str:
    """Return when a run was recorded for people: to the second, in local time, with its offset from UTC."""
    moment = moment_of(text)
    try:
        return text if moment is None else moment.astimezone().isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):  # a year that the local zone cannot have
        return text


def _tagged_text(value: Mapping[str, Any]) -> str | None:
    """The text of a value with a tag; None for a plain mapping."""
    if isinstance(name := value.get("$class"), str):
        fields = {f"{field}=": item for field, item in value.items() if field != "$class"}
        texts = [f"{'' if field == '$value=' else field}{_inner_text(item)}" for field, item in fields.items()]
        return f"{name}({', '.join(texts)})"
    if (text := content_text(value)) is not None:
        return text
    if len(value) != 1:
        return None
    ((tag, content),) = value.items()
    if not tag.startswith("$"):
        return None
    return _text_under(tag, content)


def _text_under(tag: str, content: Any) -> str:
    if tag == "$set" and isinstance(content, list):
        return f"{{{', '.join(map(_inner_text, content))}}}"
    if tag in _PLAIN_TAGS and isinstance(content, str):
        return content
    if isinstance(content, dict):
        parts = [
            str(item)[:_DIGEST_DIGITS] if name in ("sha256", "digest") else str(item) for name, item in content.items()
        ]
        return f"{tag[1:]} {' '.join(parts)}"
    return f"{tag[1:]} {content if isinstance(content, str) else _json(content)}"


def _inner_text(value: Any) -> str:
    return (_tagged_text(value) if isinstance(value, dict) else None) or _json(value)


def _json(value: Any) -> str:
    try:
        text = json.dumps(plain := _without_tags(value), ensure_ascii=False)
        return text if text.isprintable() else json.dumps(plain)
    except RecursionError:
        return "(nested too deeply to be shown)"


def _without_tags(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_tags(item) for item in value]
    if isinstance(value, dict):
        return _tagged_text(value) or {name: _without_tags(item) for name, item in value.items()}
    return value


def is_utf8(text: str) -> bool:
    r"""
    Whether a file can hold a text. One with half of a surrogate pair it cannot, as of a name that is no UTF-8.

    Example:
        >>> is_utf8("café"), is_utf8("caf\udce9")
        (True, False)
    """
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
