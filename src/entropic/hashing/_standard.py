"""Values of the standard library, known by the name of their type, so that no module is loaded for them."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, KeysView, ValuesView
from typing import Any

from ..errors import UnsupportedTypeError
from ._forms import Fields, Tagged
from ._types import type_name

_LONGEST_LISTED = 100_000
_NO_NAMED_ZONE = ("UTC", None)


def _isoformat(value: Any) -> str:
    return f"{value.isoformat()}{'#fold' if getattr(value, 'fold', 0) else ''}"


def _datetime_text(value: Any) -> str:
    zone = _zone_name(value.tzinfo)
    return _isoformat(value) if zone in _NO_NAMED_ZONE else f"{_isoformat(value)}[{zone}]"


def _time_text(value: Any) -> str:
    if value.tzinfo is None or value.utcoffset() is not None:
        return _isoformat(value)
    # Without a date there is no offset to write, and the zone's name must tell it from others.
    zone = _zone_name(value.tzinfo)
    if zone is None:
        raise UnsupportedTypeError("", type_name(value.tzinfo), "A time of day needs a zone with a name.")
    return f"{_isoformat(value)}[{zone}]"


def _zone_name(zone: Any) -> str | None:
    """The name of a zone of `zoneinfo` or pytz; None where it has none."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return name if isinstance(name, str) else None


def _zone(value: Any) -> str:
    if value.key is None:
        raise UnsupportedTypeError("", type_name(value), "It has no name. Use ZoneInfo(name).")
    return str(value.key)


def _range(value: range) -> Any:
    # As long a list would only fill the index.
    return list(value) if len(value) <= _LONGEST_LISTED else Tagged("$range", [value.start, value.stop, value.step])


def _memoryview(value: memoryview) -> Any:
    if value.format != "B" or value.ndim != 1:
        raise UnsupportedTypeError("", "memoryview", "Only a flat view of bytes is one value. Pass an array.")
    return bytes(value)


def _user_data(value: Any) -> Any:
    if vars(value).keys() != {"data"}:
        raise UnsupportedTypeError("", type_name(value), "It has attributes beside its value. Pass its .data.")
    return value.data


def _namespace(value: Any) -> Any:
    return Fields(type(value).__qualname__, dict(vars(value)))


TEXT_FORMS: dict[tuple[str, str], Callable[[Any], str]] = {
    ("decimal", "Decimal"): str,
    ("fractions", "Fraction"): str,
    ("uuid", "UUID"): str,
    ("datetime", "datetime"): _datetime_text,
    ("datetime", "date"): _isoformat,
    ("datetime", "time"): _time_text,
    ("datetime", "timedelta"): str,
    ("ipaddress", "IPv4Address"): str,
    ("ipaddress", "IPv6Address"): str,
    ("ipaddress", "IPv4Network"): str,
    ("ipaddress", "IPv6Network"): str,
    ("zoneinfo", "ZoneInfo"): _zone,
}
"""Types whose text says all there is, and becomes ``{"$TypeName": text}``; subclasses keep their class."""

FORMS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("builtins", "range"): _range,
    ("builtins", "slice"): lambda value: Tagged("$slice", [value.start, value.stop, value.step]),
    ("builtins", "memoryview"): _memoryview,
    ("builtins", "ellipsis"): lambda value: Tagged("$Ellipsis", None),
    ("builtins", "NotImplementedType"): lambda value: Tagged("$NotImplemented", None),
    ("collections", "deque"): list,
    ("collections", "UserList"): _user_data,
    ("collections", "UserString"): _user_data,
    ("array", "array"): list,
    ("re", "Pattern"): lambda value: Tagged("$Pattern", [value.pattern, value.flags]),
    ("types", "SimpleNamespace"): _namespace,
    ("argparse", "Namespace"): _namespace,
    ("datetime", "timezone"): lambda value: Tagged("$timezone", [value.utcoffset(None), value.tzname(None)]),
}
"""What other types become."""

NAMESPACES = frozenset({("types", "SimpleNamespace"), ("argparse", "Namespace")})
"""Types whose form names the class of the instance itself."""


def view_form(value: Any) -> Any:
    """A view of a dict: of keys a set, of items a dict, of values a list; None if it is no view."""
    for view, plain in ((KeysView, set), (ItemsView, dict), (ValuesView, list)):
        if issubclass(type(value), view):
            return plain(value)
    return None
