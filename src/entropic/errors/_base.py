"""What all errors have in common: a message made from fields, which survives pickling."""

import os
from typing import Any, ClassVar

from .._fs import dataclass_transform


@dataclass_transform(eq_default=False)
class Declared:
    """
    A message made from fields.

    The annotations of a class are its fields, in the order of the constructor's arguments, and their values the
    defaults. ``_template`` is the message, with fields and properties in braces. Lists become tuples and paths text, so
    that an error stays as it was raised.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _template: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__.startswith(f"{__package__}."):
            cls.__module__ = __package__  # pickles and tracebacks name the public place
        cls._fields += tuple(name for name in cls.__annotations__ if not name.startswith("_"))

    def __init__(self, *values: Any, **named: Any) -> None:
        given = {**dict(zip(self._fields, values, strict=False)), **named}
        missing = [name for name in self._fields if name not in given and not hasattr(type(self), name)]
        if missing or len(values) + len(named) > len(given) or given.keys() - set(self._fields):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self._fields)}; given were {values} and {named}")
        for name in self._fields:
            setattr(self, name, _kept(given.get(name, getattr(type(self), name, None))))
        self.args = tuple(getattr(self, name) for name in self._fields)

    def __str__(self) -> str:
        return _harmless(self._template.format_map(_Attributes(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        added = {name: value for name, value in vars(self).items() if name not in self._fields}  # such as notes
        return type(self), tuple(getattr(self, name) for name in self._fields), added or None

    @property
    def _when(self) -> str:
        return str(getattr(self, "created_at", ""))[:19].replace("T", " ")

    @property
    def _advice(self) -> str:
        advice = getattr(self, "advice", "")
        return f" {advice}" if advice else ""

    @property
    def _parameter(self) -> str:
        place = getattr(self, "place", "")
        return f"parameter {place!r}" if place else "the value"


class _Attributes:
    """What a template can name: the attributes of one error."""

    def __init__(self, error: Declared) -> None:
        self._error = error

    def __getitem__(self, name: str) -> Any:
        return getattr(self._error, name)


def _harmless(message: str) -> str:
    """A message that cannot hurt a terminal, whatever text of a record or name of a file is in it."""
    if message.isprintable():
        return message
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in message)


def _kept(value: Any) -> Any:
    if type(value) is list:
        return tuple(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class EntropicError(Declared, Exception):
    """
    Base of all errors of entropic. Catch it to catch them all.

    Attributes:
        kept_at: Where the result of a finished run is that could not be recorded; empty if none was at stake.
    """

    kept_at = ""

    def __str__(self) -> str:
        text = super().__str__()
        if not self.kept_at or repr(self.kept_at) in text:
            return text
        return f"{text} What the run wrote is kept at {self.kept_at!r}."
