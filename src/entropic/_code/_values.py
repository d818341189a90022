"""What names are bound to: functions behind whatever wrappers, and values by what they hold."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from ._constants import describe
from ._drafts import Description
from ._graph import Constant, Receiver, Target
from ._late import reading
from ._libraries import is_standard, is_standard_code
from ._names import Binding, Holder, holder_of_defining_module
from ._objects import (
    ABSENT,
    class_attribute,
    code_held_by,
    dictionary_of,
    foreign_name,
    functions_behind,
    is_a,
    is_callable,
    kind_name,
)
from ._ownership import Ownership
from ._units import Part, digest_of

if TYPE_CHECKING:
    from ._walker import Walker

_TRANSPARENT = (staticmethod, classmethod, functools.cached_property, type(functools.lru_cache(len)))


class ValueReader:
    """Adds values to the parts, and leads to the code in them."""

    def __init__(self, walk: Walker, ownership: Ownership) -> None:
        self._walk = walk
        self._graph = walk.graph
        self._ownership = ownership

    def value(
        self,
        value: Any,
        receiver: Receiver | None,
        name: str,
        holder: Holder,
        *,
        shown: str = "",
        only_code: bool = False,
    ) -> Target:
        """What a name that is used as a whole leads to."""
        self._graph.watch(holder, name, value)
        target: Target = self.code(value, receiver, name, holder)
        if target is not ABSENT:
            return target
        return self.describe(value, name, holder, shown or name, only_code=only_code)

    def code(self, value: Any, receiver: Receiver | None, name: str = "", holder: Holder | None = None) -> Any:
        """The part of a function, a class, a module or a wrapper of one; ABSENT for anything else."""
        if is_a(value, ModuleType):
            return self._walk.classes.of_module(value)
        if is_a(value, type):
            return self._walk.classes.of_class(value)
        kind = "helper" if receiver is None else "method"
        if is_a(value, FunctionType):
            if self._ownership.has(value):
                return self._walk.function(value, receiver, kind)
            return self._wrapper(value, receiver) or f"foreign({foreign_name(value)})"
        settings = class_attribute(type(value), "__entropic_settings__")
        if settings is not ABSENT:
            return self._cached(value, settings, receiver)
        if is_a(value, MethodType):
            return self._method(value)
        if is_a(value, _TRANSPARENT):
            return self._transparent(value, receiver)
        if is_a(value, (functools.partial, BuiltinFunctionType)) or self._ownership.has(type(value)):
            return ABSENT
        number = self._wrapper(value, receiver)
        if isinstance(number, int) and holder is not None:
            self._add_making(number, name, holder)
        return number or ABSENT

    def _transparent(self, value: Any, receiver: Receiver | None) -> Target:
        (inner, *_) = code_held_by(value) or [None]
        if is_a(value, staticmethod):
            receiver = None
        found = self.code(inner, receiver) if inner is not None else ABSENT
        return f"foreign({foreign_name(value)})" if found is ABSENT or found is None else found

    def _method(self, value: MethodType) -> Target:
        function: Any = value.__func__
        if not is_a(function, FunctionType):
            inner = self.code(function, None)
            return None if inner is ABSENT else inner
        owner: Any = value.__self__
        receiver = Receiver(owner, ABSENT) if is_a(owner, type) else Receiver(type(owner), owner)
        return self._walk.function(function, receiver, "method") or f"foreign({foreign_name(function)})"

    def _wrapper(self, value: Any, receiver: Receiver | None) -> Target:
        """Something of someone else's around functions of the user's: what it calls, and how it was made."""
        held = [one for one in code_held_by(value) if any(map(self._ownership.has, functions_behind(one)))]
        if not held:
            return None
        key = ("wrapper", id(value), receiver.key() if receiver is not None else None)
        if key in self._graph.numbers:
            return self._graph.numbers[key]
        if self._graph.is_full():
            return "beyond"
        self._graph.kept += [value, receiver]
        name = getattr(functions_behind(value)[-1], "__qualname__", "")
        number = self._graph.add(key, Part("helper", name, "", ""))
        for place, one in enumerate(held):
            target = self.code(one, receiver)
            self._graph.edge(number, f"calls {place}", None if target is ABSENT else target)
        told = [foreign_name(type(value)), *self._settings_of(value)]
        decorators = reading.decorators_of(functions_behind(value))
        registered = []
        registry = _registry_of(value)
        if registry is not None:
            registered = list(map(kind_name, registry))
            self._graph.views.append((registry.values(), tuple(registry.values())))
        part = self._graph.parts[number]
        digests = [f"live-{digest_of(repr(one + registered))}" for one in (told + decorators, told)]
        # With the source out of sight, or younger than the process, nothing is lost of what shows all it was told.
        part.bytecode, part.other = reversed(digests) if _shows_all(value) else digests
        return number

    def _settings_of(self, value: Any) -> list[str]:
        """What a wrapper was told when it was made, as far as it keeps that in the open."""
        held = dictionary_of(value) or {}
        if type(value).__module__.partition(".")[0] == "numba":
            held = held.get("targetoptions", {})  # of the rest, most is what it has compiled so far
        names = sorted(str(name) for name in held if not str(name).startswith("_") and name != "doc")
        described = [(name, describe(held[name], self._ownership)) for name in names]
        return [f"{name}={one.text}" for name, one in described if not one.code and not one.is_opaque]

    def _cached(self, value: Any, settings: Any, receiver: Receiver | None) -> Target:
        """A cached function that is called by another: its code, and what it was decorated with."""
        key = ("cached", id(value), receiver.key() if receiver is not None else None)
        if key in self._graph.numbers:
            return self._graph.numbers[key]
        self._graph.kept += [value, receiver]
        function, told = settings(value)
        number = self._graph.add(key, Part("cached helper", getattr(function, "__qualname__", ""), "", ""))
        for place, one in enumerate(functions_behind(function)):
            self._graph.edge(number, f"calls {place}", self._walk.function(one, receiver, "helper"))
        texts = []
        for name, one in sorted(told.items()):
            described = describe(one, self._ownership)
            texts.append(f"{name}={described.text}")
            self.link(number, f"{name} ", described)
        self._graph.parts[number].bytecode = f"live-{digest_of(repr(texts))}"
        return number

    def describe(self, value: Any, name: str, holder: Holder, shown: str, *, only_code: bool = False) -> Target:
        described = describe(value, self._ownership, holder.file)
        if only_code and not described.code:
            return None
        if is_callable(value) and described.text.startswith("foreign(") and not (described.code or described.is_opaque):
            return described.text
        key = ("constant", holder.place(name))
        if key in self._graph.numbers:
            return self._graph.numbers[key]
        if self._graph.is_full():
            return "beyond"
        self._graph.kept.append(value)
        label = _constant_name(value, shown)
        file = os.path.basename(holder.file)
        content = "code" if only_code else f"live-{digest_of(described.text)}"
        part = Part("constant", label, file, content, read=lambda: reading.text_of_value(value))
        number = self._graph.add(key, part)
        if described.is_opaque:
            self._add_making(number, name, holder)
        self.link(number, "", described)
        binding = Binding(holder.get, name, value, holder.cells.get(name))
        self._graph.constants.append(Constant(number, holder.place(name), value, binding, described, holder.file))
        return number

    def _add_making(self, number: int, name: str, holder: Holder) -> None:
        """Of a value that shows nothing of how it was made: what the source says of that, and what that names."""
        making = reading.making_of(name, holder)
        self._graph.parts[number].assigned = making.digest
        module = holder_of_defining_module(holder)
        if module is not None and making.names:
            self._walk.later(functools.partial(self._follow_making, number, making.names, module))
        if holder.kind == "object" and holder.owner is not None:
            self._graph.edge(number, "made by", self._walk.classes.of_class(holder.owner))

    def _follow_making(self, number: int, names: frozenset[tuple[str, ...]], module: Holder) -> None:
        for chain in sorted(names):
            self._graph.edge(number, f"made with {'.'.join(chain)}", self._walk.chains.chain(module, chain))

    def link(self, number: int, prefix: str, described: Description) -> None:
        """The code that a value holds."""
        for place, one in enumerate(described.code):
            target = self.code(one, None)
            self._graph.edge(number, f"{prefix}[{place}]", None if target is ABSENT else target)

    def given(self, value: Any, name: str, holder: Holder) -> Target:
        """What a decorator was given: it stays what it is, and is not compared on hits as names are."""
        target: Target = self.code(value, None, name, holder)
        return self.describe(value, name, holder, name) if target is ABSENT else target

    def argument(self, value: Any) -> Target:
        target = self.code(value, None)
        return None if target is ABSENT else target


def _constant_name(value: Any, shown: str) -> str:
    if is_a(value, functools.partial):
        return f"partial of {getattr(value.func, '__qualname__', type(value.func).__qualname__)}"
    return shown


def _shows_all(value: Any) -> bool:
    """Whether a wrapper keeps no option that only its decorator shows: those of the standard library."""
    return is_standard_code(value) if is_a(value, FunctionType) else is_standard(type(value))


def _registry_of(value: Any) -> Mapping[type, Any] | None:
    """The types that a `functools.singledispatch` tells apart, with what it calls for them."""
    dispatcher = value.dispatcher if is_a(value, functools.singledispatchmethod) else value
    registry = dispatcher.__dict__.get("registry") if is_a(dispatcher, FunctionType) else None
    return registry if is_a(registry, MappingProxyType) else None
