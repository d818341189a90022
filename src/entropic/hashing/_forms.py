"""What a value is reduced to on its way to JSON form: a tag over content, a class with fields, or a digest."""

from __future__ import annotations

from typing import Any

from .._fs import NamedTuple

NOTHING = object()
"""No value at all, where None is one."""


class Tagged(NamedTuple):
    """A tag, what is normalised under it, and more of the same under names beside it."""

    tag: str
    content: Any
    more: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it


class Fields(NamedTuple):
    """
    An instance of a class that takes part in the value, by its fields.

    Attributes:
        class_name: The qualified name of the class.
        fields: Names and values.
        value: What an instance of a subclass of a builtin type is as that type.
    """

    class_name: str
    fields: dict[str, Any]
    value: Any = NOTHING


class Digested(NamedTuple):
    """Content that is too large to be written out: the digest of its canonical text stands for it."""

    content: Any
