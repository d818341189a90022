"""
The code behind a function: a walk over what it reaches, from name to name, as they are bound now.

Each function, class and constant is a part; each name that a part reads leads to another part. So what is compared later
is not a bag of parts but what each name means where it is read. Live objects decide: the class that runs, what has been
put into it, what a function closes over and has for defaults. Installed packages and the standard library do not count.
"""

from __future__ import annotations

import builtins
import enum
import functools
import os
import sys
from abc import ABCMeta
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from . import _modules, _reading
from ._bytecode import body_digest
from ._constants import Description, describe, is_fixed
from ._names import Binding, Holder, Place, holder_of_cells, holder_of_class, holder_of_module, holder_of_object
from ._objects import (
    ABSENT,
    class_attribute,
    code_held_by,
    dictionary_of,
    foreign_name,
    functions_behind,
    has_get,
    is_a,
    is_callable,
    is_data_descriptor,
    kind_name,
    lineage_of,
    members_of,
)
from ._ownership import Ownership, is_of_the_module
from ._scopes import CHANGING, WHOLE, Chain, Import, label_of, reads_of
from ._units import Part, digest_of

MOST_PARTS = 20_000
"""How many parts are looked at; what is only reached behind them takes no part."""

Target = int | str | None
"""What a name leads to: the number of a part, something that is known by a text, or nothing that counts."""

_BUILTINS = vars(builtins)
_TRANSPARENT = (staticmethod, classmethod, functools.cached_property, type(functools.lru_cache(len)))
_METACLASSES = (type, ABCMeta, enum.EnumMeta)
_CONTAINERS = (list, dict, set, deque, bytearray)
_OBJECT_MEMBERS = frozenset({"__slots__"})
_OPTIONS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")


class Receiver(NamedTuple):
    """
    The object that a method is called on.

    Attributes:
        kind: Its class.
        value: The object, or ABSENT where only its class is known.
    """

    kind: type
    value: Any

    def key(self) -> tuple[int, int]:
        """What tells it from others."""
        return id(self.kind), id(self.value)


class Constant(NamedTuple):
    """A value that is bound to a name, as it was described."""

    number: int
    place: Place
    value: Any
    binding: Binding
    description: Description
    file: str


class _Visit(NamedTuple):
    """A function whose names are to be followed."""

    number: int
    function: FunctionType
    receiver: Receiver | None
    only_code: bool


class Walk:
    """
    What one function reaches.

    Args:
        ownership: Whose code counts.
        own_state: Values that the function's own runs have changed in place, and what they were before.
        by_source: Modules that are known by their source though they may have been loaded meanwhile.

    Attributes:
        parts: What was found, the function itself first.
        bindings: Names, and what they were bound to.
        glances: Those of them that are compared on every hit.
        constants: Values, by what was described of them.
        views: Containers and objects that are part of no one constant, such as classes.
        functions: Functions.
    """

    def __init__(self, ownership: Ownership, own_state: Mapping[Place, str], by_source: set[str]) -> None:
        self._ownership = ownership
        self._own_state = own_state
        self._by_source = by_source
        self._numbers: dict[object, int] = {}
        self._kept: list[Any] = []
        self._left: deque[Callable[[], None]] = deque()
        self._changed: set[Place] = set()
        self.parts: list[Part] = []
        self.bindings: dict[Place, Binding] = {}
        self.glances: dict[Place, Binding] = {}
        self.constants: list[Constant] = []
        self.views: list[tuple[Any, tuple[Any, ...]]] = []
        self.functions: list[FunctionType] = []

    def run(self, decorated: Callable[..., Any], owner: type | None, arguments: Iterable[tuple[str, Any]]) -> None:
        """Walk, from a function that may have wrappers, and the code in its arguments, to the ends."""
        functions = functions_behind(decorated)
        receiver = Receiver(owner, ABSENT) if owner is not None else None
        if not functions:
            return
        itself = functions[-1]
        number = self._function(itself, receiver, "itself", only_code=True)
        for depth, function in enumerate(functions[:-1]):
            self._edge(number, f"wrapper {depth}", self._function(function, receiver, "helper"))
        for label, value in arguments:
            self._edge(number, f"argument {label}", self._argument(value))
        while self._left:
            self._left.popleft()()
        self._settle()

    def _settle(self) -> None:
        """What the code changes itself is its state, and no constant."""
        kept = []
        for constant in self.constants:
            if constant.place in self._changed:
                self.parts[constant.number].bytecode = "state"
                self.glances.pop(constant.place, None)
                self.bindings.pop(constant.place, None)
            elif constant.place in self._own_state:
                self.parts[constant.number].bytecode = self._own_state[constant.place]
            else:
                kept.append(constant)
        self.constants = kept

    # ---- parts --------------------------------------------------------------------------------------------------

    def _part(self, key: object, part: Part) -> int:
        number = self._numbers[key] = len(self.parts)
        self.parts.append(part)
        return number

    def _edge(self, number: int, label: str, target: Target) -> None:
        if target is not None:
            self.parts[number].edges[label] = target

    def _is_full(self) -> bool:
        return len(self.parts) >= MOST_PARTS

    def _function(
        self, function: FunctionType, receiver: Receiver | None, kind: str, *, only_code: bool = False
    ) -> Target:
        if kind != "itself" and not self._ownership.has(function):
            return None
        key = (id(function), receiver.key() if receiver is not None else None)
        if key in self._numbers:
            return self._numbers[key]
        if self._is_full():
            return "beyond"
        self._kept += [function, receiver]
        code = function.__code__
        part = Part(
            kind,
            "" if kind == "itself" else _name_of(function),
            _file_of(function),
            body_digest(code),
            read=functools.partial(_reading.text_of_function, function, receiver.kind if receiver else None, kind),
        )
        number = self._part(key, part)
        self.functions.append(function)
        self._left.append(functools.partial(self._follow, _Visit(number, function, receiver, only_code)))
        return number

    def _class(self, kind: type) -> Target:
        if not self._ownership.has(kind):
            return f"foreign({foreign_name(kind)})"
        if (number := self._numbers.get(id(kind))) is not None:
            return number
        if self._is_full():
            return "beyond"
        self._kept.append(kind)
        module = sys.modules.get(str(kind.__module__))
        file = vars(module).get("__file__") if is_a(module, ModuleType) else None
        shown = os.path.basename(file) if isinstance(file, str) else ""
        read = functools.partial(_reading.text_of_class, kind)
        number = self._part(id(kind), Part("class", kind.__qualname__, shown, "", read=read))
        members = members_of(kind)
        self.views.append((members.values(), tuple(members.values())))
        self._left.append(functools.partial(self._follow_class, number, kind, file if isinstance(file, str) else ""))
        return number

    def _module(self, module: ModuleType) -> Target:
        """A module that is handed on as a whole: all functions and classes that it defines."""
        if not self._ownership.has(module):
            return f"module({module.__name__})"
        if (number := self._numbers.get(id(module))) is not None:
            return number
        self._kept.append(module)
        number = self._part(id(module), Part("module", module.__name__, "", "live"))
        for name, value in sorted(vars(module).items()):
            if is_a(value, (FunctionType, type)) and value.__module__ == module.__name__:
                self._edge(number, name, self._value(value, None, name, holder_of_module(vars(module))))
        return number

    def _source(self, name: str) -> Target:
        """A module that is not loaded: what its source says, and that of the modules it imports."""
        if (number := self._numbers.get(("source", name))) is not None:
            return number
        found = _modules.find(name)
        if found is None or not self._ownership.has_file(name, found):
            return None
        text = _reading.text_of_module(name, self._ownership.has_file)
        part = Part("module", name, os.path.basename(found), text.syntax, text=text)
        return self._part(("source", name), part)

    # ---- functions ----------------------------------------------------------------------------------------------

    def _follow(self, visit: _Visit) -> None:
        number, function, receiver, only_code = visit
        reads = reads_of(function.__code__)
        module = holder_of_module(function.__globals__)
        cells = holder_of_cells(function, module.file)
        for kind, chain in reads.changed:
            self._note_change(kind, chain, module, cells, receiver)
        for chain in sorted(reads.names):
            self._edge(number, label_of(("", chain)), self._chain(module, chain))
        for chain in sorted(reads.cells):
            if chain[0] != "__class__":
                label = label_of(("closed-over ", chain))
                self._edge(number, label, self._chain(cells, chain, only_code=only_code))
            elif len(chain) == 1:
                self._edge(number, "its class", self._cell_class(cells))
        if receiver is not None:
            for chain in sorted(reads.own):
                self._edge(number, label_of(("", ("self", *chain))), self._own(receiver, chain))
            for name in sorted(reads.supers):
                self._follow_super(number, function, receiver, name)
        for one, chain in sorted(reads.imports, key=str):
            self._follow_import(number, one, chain, function.__globals__)
        self._follow_defaults(number, function, reads.filled, only_code)
        self._follow_attributes(number, function, module.file)

    def _cell_class(self, cells: Holder) -> Target:
        kind = cells.get("__class__", ABSENT)
        return self._class(kind) if is_a(kind, type) else None

    def _follow_defaults(self, number: int, function: FunctionType, filled: frozenset[str], only_code: bool) -> None:
        """What parameters stand for when they are left out; what the function fills itself, such as a memo, is not."""
        code = function.__code__
        positional = code.co_varnames[: code.co_argcount]
        defaults = function.__defaults__ or ()
        found = [*zip(positional[len(positional) - len(defaults) :], defaults, strict=True)]
        found += sorted((function.__kwdefaults__ or {}).items())
        for name, value in found:
            if name not in filled:
                file = holder_of_module(function.__globals__).file
                holder = Holder({name: value}.get, id(function.__defaults__ or function.__kwdefaults__), file)
                label = f"default of {name}"
                shown = f"default of {name} in {function.__qualname__}"
                self._edge(number, label, self._value(value, None, name, holder, shown=shown, only_code=only_code))

    def _follow_attributes(self, number: int, function: FunctionType, file: str) -> None:
        """What has been put into a function, which whoever gets it may read."""
        held = function.__dict__
        for name in sorted(held):
            if name != "__wrapped__" and not name.startswith("_self_"):
                holder = Holder(held.get, id(held), file)
                shown = f"{function.__qualname__}.{name}"
                self._edge(number, f"attribute {name}", self._value(held[name], None, name, holder, shown=shown))

    def _follow_super(self, number: int, function: FunctionType, receiver: Receiver, name: str) -> None:
        lineage = lineage_of(receiver.kind)
        defining = [place for place, one in enumerate(lineage) if _defines(one, function)]
        above = lineage[defining[0] + 1 :] if defining else lineage[1:]
        if name == WHOLE:
            for one in above:
                self._edge(number, f"super() in {one.__qualname__}", self._class(one) if self._owns(one) else None)
        else:
            self._edge(number, f"super().{name}", self._member(above, name, receiver))

    def _follow_import(self, number: int, one: Import, chain: Chain, namespace: dict[str, Any]) -> None:
        name = _modules.absolute_name(one, namespace)
        if name is None:
            return
        label = " ".join(filter(None, ("import", name, one.member, ".".join(chain))))
        if one.member is not None:
            chain = (one.member, *chain)
        for target in self._imported(name, chain):
            self._edge(number, label, target)
            label += " "

    def _imported(self, name: str, chain: Chain) -> list[Target]:
        """What is read of a module: as it is loaded, or else of the source of the modules that would be."""
        while chain and f"{name}.{chain[0]}" in sys.modules and not self._is_bound(name, chain[0]):
            name, chain = f"{name}.{chain[0]}", chain[1:]
        module = sys.modules.get(name)
        if module is not None and name not in self._by_source:
            return [self._chain(holder_of_module(vars(module)), chain)] if chain and self._has(module) else []
        found = []
        for one in [name, *(".".join((name, *chain[:depth])) for depth in range(1, len(chain) + 1))]:
            target = self._source(one)
            if target is None and one != name:
                break
            self._by_source.add(one)
            found.append(target)
        return found

    def _is_bound(self, name: str, attribute: str) -> bool:
        module = sys.modules.get(name)
        return module is not None and attribute in vars(module)

    def _has(self, module: ModuleType) -> bool:
        return is_a(module, ModuleType) and self._ownership.has(module)

    # ---- classes ------------------------------------------------------------------------------------------------

    def _follow_class(self, number: int, kind: type, file: str) -> None:
        part = self.parts[number]
        told: list[str] = [kind.__qualname__]
        for place, base in enumerate(kind.__bases__):
            told.append(kind_name(base) if not self._owns(base) else "own")
            if self._owns(base):
                self._edge(number, f"base {place}", self._class(base))
        if self._owns(type(kind)):
            self._edge(number, "metaclass", self._class(type(kind)))
        told.append(self._fields(number, kind, file))
        for name, value in sorted(members_of(kind).items()):
            if self._is_member(kind, name, value):
                told.append(name)
                self._edge(number, name, self._member_value(kind, name, Receiver(kind, ABSENT)))
        if not issubclass(type(kind), _METACLASSES) or type(kind) not in _METACLASSES or _is_attrs(kind):
            # Who has made the class may have read what only its source shows: hints, options.
            told.append(self._shell(kind))
        part.bytecode = f"live-{digest_of(repr(told))}"

    def _shell(self, kind: type) -> str:
        return _reading.text_of_class(kind).syntax if not self._owns(type(kind)) or _is_attrs(kind) else ""

    def _is_member(self, kind: type, name: str, value: Any) -> bool:
        if isinstance(kind, enum.EnumMeta):
            return any(map(self._owns, functions_behind(value)))
        if name in ("__dict__", "__weakref__", "__doc__", "__module__") or type(value) is type(_MEMBER):
            return False
        if name.startswith(("__", "_abc_")) and name.endswith(("__", "_impl")):
            return name in _OBJECT_MEMBERS or any(map(self._owns, functions_behind(value)))
        return True

    def _fields(self, number: int, kind: type, file: str) -> str:
        """What a class has made of its body: the fields of a dataclass, the members of an Enum, the hints."""
        members = members_of(kind)
        told: list[str] = []
        if isinstance(kind, enum.EnumMeta):
            for name, member in members.get("_member_map_", {}).items():
                held = dictionary_of(member) or {}
                told.append(f"{name}={self._told(number, f'member {name}', held.get('_value_'), file)}")
        fields = members.get("__dataclass_fields__")
        for name, one in fields.items() if is_a(fields, dict) else ():
            told.append(f"{name}: {one.init} {one.compare} {one.kw_only} {one._field_type}")
            for what in ("default", "default_factory"):
                told.append(self._told(number, f"{what} of {name}", getattr(one, what), file))
        options = members.get("__dataclass_params__")
        told += [f"{name}={getattr(options, name, None)}" for name in _OPTIONS if options is not None]
        hints = members.get("__annotations__")
        if is_a(hints, dict):
            told += [f"{name}: {_hint_text(hint)}" for name, hint in hints.items()]
        return repr(told)

    def _told(self, number: int, label: str, value: Any, file: str) -> str:
        described = describe(value, self._ownership, file)
        self._link(number, f"{label} ", described)
        return described.text

    def _owns(self, value: Any) -> bool:
        return self._ownership.has(value)

    def _member(self, lineage: Iterable[type], name: str, receiver: Receiver) -> Target:
        """What the first of some classes that binds a name binds it to; the others are watched, for they might."""
        for one in lineage:
            if name in members_of(one):
                return self._member_value(one, name, receiver) if self._counts_in(one, name) else None
            if self._owns(one):
                self._watch(holder_of_class(one, ""), name, ABSENT)
        return None

    def _counts_in(self, kind: type, name: str) -> bool:
        """Whether a member is of a class of the user's, or is code of the user's in one of someone else's."""
        return self._owns(kind) or any(map(self._owns, functions_behind(members_of(kind)[name])))

    def _member_value(self, kind: type, name: str, receiver: Receiver) -> Target:
        module = sys.modules.get(str(kind.__module__))
        file = vars(module).get("__file__") if is_a(module, ModuleType) else None
        holder = holder_of_class(kind, file if isinstance(file, str) else "")
        value = members_of(kind)[name]
        return self._value(value, receiver, name, holder, shown=f"{kind.__qualname__}.{name}")

    def _own(self, receiver: Receiver, chain: Chain) -> Target:
        """What a method takes of its own object."""
        if not chain:
            if receiver.value is ABSENT:
                return self._class(receiver.kind)
            holder = Holder({"": receiver.value}.get, id(receiver.value), "")
            return self._value(receiver.value, None, "", holder, shown=f"object of {receiver.kind.__qualname__}")
        if receiver.value is not ABSENT:
            return self._attribute(receiver.value, chain, "")
        if chain[0] == "__class__":
            return self._class_chain(receiver.kind, chain[1:])
        found = class_attribute(receiver.kind, chain[0])
        if found is not ABSENT and len(chain) > 1 and not has_get(found):
            owner = next(one for one in lineage_of(receiver.kind) if chain[0] in members_of(one))
            return self._chain(holder_of_class(owner, ""), chain)
        return self._member(lineage_of(receiver.kind), chain[0], receiver)

    def _class_chain(self, kind: type, chain: Chain) -> Target:
        """What is read of a class."""
        if not chain:
            return self._class(kind)
        name = chain[0]
        owner = next((one for one in lineage_of(kind) if name in members_of(one)), None)
        if owner is None:
            return self._class(kind) if self._owns(kind) else None
        value = members_of(owner)[name]
        if len(chain) > 1 and not has_get(value):
            for one in lineage_of(kind)[: lineage_of(kind).index(owner)]:
                self._watch(holder_of_class(one, ""), name, ABSENT)
            return self._chain(holder_of_class(owner, ""), chain)
        return self._member(lineage_of(kind), name, Receiver(kind, ABSENT))

    def _attribute(self, value: Any, chain: Chain, file: str, shown: str = "") -> Target:
        """What is read of an object of the user's, looked up where Python does."""
        name, kind = chain[0], type(value)
        if name == "__class__":
            return self._class_chain(kind, chain[1:])
        found = class_attribute(kind, name)
        holder = holder_of_object(value, file)
        if found is not ABSENT and has_get(found) and is_data_descriptor(found) and not _is_slot(found):
            return self._member(lineage_of(kind), name, Receiver(kind, value))
        held = holder.get(name, ABSENT) if holder is not None else ABSENT
        if holder is not None and (held is not ABSENT or found is ABSENT or not _is_slot(found)):
            self._watch(holder, name, held)
        if holder is not None and held is not ABSENT:
            return self._chain(holder, chain, shown=f"{shown or kind.__qualname__}.{name}")
        if found is ABSENT:
            # Computed by the object, or not there.
            return self._describe(value, name, Holder({name: value}.get, id(value), file), kind.__qualname__)
        if len(chain) > 1 and not has_get(found):
            owner = next(one for one in lineage_of(kind) if name in members_of(one))
            return self._chain(holder_of_class(owner, file), chain)
        return self._member(lineage_of(kind), name, Receiver(kind, value))

    # ---- names --------------------------------------------------------------------------------------------------

    def _chain(self, holder: Holder, chain: Chain, *, shown: str = "", only_code: bool = False) -> Target:
        """What a name, and the attributes that are taken of it, lead to."""
        name = chain[0]
        value = holder.get(name, ABSENT)
        if value is ABSENT:
            self._watch(holder, name, ABSENT)
            value = _BUILTINS.get(name, ABSENT)
            if value is ABSENT:
                return "absent"
            if name in ("globals", "vars") and len(chain) == 1:
                return None
            return self._value(value, None, name, holder) if self._is_patched(value) else None
        if is_of_the_module(name) and is_a(value, (str, type(None))):
            return None
        return self._approach(value, chain[1:], name, holder, shown or name, only_code)

    def _approach(self, value: Any, rest: Chain, name: str, holder: Holder, shown: str, only_code: bool) -> Target:
        """Follow the attributes that are taken of a value."""
        if not rest:
            return self._value(value, None, name, holder, shown=shown, only_code=only_code)
        self._watch(holder, name, value)
        if is_a(value, ModuleType):
            return self._module_chain(value, rest, only_code)
        if is_a(value, type):
            return self._class_chain(value, rest) if self._owns(value) else self._foreign_member(value, rest)
        if is_a(value, FunctionType) and rest[0] in value.__dict__:
            return self._chain(Holder(value.__dict__.get, id(value.__dict__), holder.file), rest, only_code=only_code)
        if self._owns(type(value)) and not is_a(value, enum.Enum):
            return self._attribute(value, rest, holder.file, shown)
        if is_a(value, _CONTAINERS) and rest[0] in CHANGING and type(value).__module__ in ("builtins", "collections"):
            self._changed.add(holder.place(name))
        held = dictionary_of(value)
        if held is not None and rest[0] in held and not functions_behind(value):
            inside = Holder(held.get, id(held), holder.file)
            return self._chain(inside, rest, shown=f"{shown}.{rest[0]}", only_code=only_code)
        return self._value(value, None, name, holder, shown=shown, only_code=only_code)

    def _module_chain(self, module: ModuleType, rest: Chain, only_code: bool) -> Target:
        namespace = vars(module)
        if self._ownership.has(module):
            if rest[0] not in namespace and f"{module.__name__}.{rest[0]}" in sys.modules:
                return self._module_chain(sys.modules[f"{module.__name__}.{rest[0]}"], rest[1:], only_code)
            return self._chain(holder_of_module(namespace), rest, only_code=only_code)
        # Of someone else's module only what the user has put there counts.
        holder = holder_of_module(namespace)
        value = namespace.get(rest[0], ABSENT)
        self._watch(holder, rest[0], value, is_glanced_at=False)
        if is_a(value, ModuleType) and len(rest) > 1:
            return self._module_chain(value, rest[1:], only_code)
        if value is not ABSENT and self._is_patched(value):
            return self._value(value, None, rest[0], holder)
        return self._foreign_member(value, rest[1:]) if is_a(value, type) and len(rest) > 1 else None

    def _foreign_member(self, kind: type, rest: Chain) -> Target:
        """A member of someone else's class, if the user has put it there."""
        value = class_attribute(kind, rest[0])
        if value is ABSENT or not self._is_patched(value):
            return None
        return self._member(lineage_of(kind), rest[0], Receiver(kind, ABSENT))

    def _is_patched(self, value: Any) -> bool:
        """Whether what stands in the place of someone else's code is the user's, or a mock."""
        if is_a(value, (type, FunctionType)):
            return self._owns(value)
        kind = type(value)
        return self._owns(kind) or kind.__module__ == "unittest.mock" or any(map(self._owns, functions_behind(value)))

    def _watch(self, holder: Holder, name: str, value: Any, *, is_glanced_at: bool = True) -> None:
        """Have a name compared with what it is bound to now: on every hit, if it may concern code of the user's."""
        place = holder.place(name)
        binding = Binding(holder.get, name, value, holder.cells.get(name))
        self.bindings.setdefault(place, binding)
        is_foreign = is_a(value, (ModuleType, BuiltinFunctionType)) or (value is ABSENT and name in _BUILTINS)
        if is_glanced_at and not is_foreign and not (is_a(value, (type, FunctionType)) and not self._owns(value)):
            self.glances.setdefault(place, binding)
        self._kept.append(holder.get)

    # ---- values -------------------------------------------------------------------------------------------------

    def _value(
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
        self._watch(holder, name, value)
        target = self._code(value, receiver)
        if target is not ABSENT:
            return target  # type: ignore[no-any-return]
        return self._describe(value, name, holder, shown or name, only_code=only_code)

    def _code(self, value: Any, receiver: Receiver | None) -> Any:
        """The part of a function, a class, a module or a wrapper of one; ABSENT for anything else."""
        if is_a(value, ModuleType):
            return self._module(value)
        if is_a(value, type):
            return self._class(value)
        kind = "helper" if receiver is None else "method"
        if is_a(value, FunctionType):
            if self._owns(value):
                return self._function(value, receiver, kind)
            return self._wrapper(value, receiver) or f"foreign({foreign_name(value)})"
        settings = class_attribute(type(value), "__entropic_settings__")
        if settings is not ABSENT:
            return self._cached(value, settings, receiver)
        if is_a(value, MethodType):
            return self._method(value)
        if is_a(value, _TRANSPARENT):
            return self._transparent(value, receiver)
        if is_a(value, (functools.partial, BuiltinFunctionType)) or self._owns(type(value)):
            return ABSENT
        return self._wrapper(value, receiver) or ABSENT

    def _transparent(self, value: Any, receiver: Receiver | None) -> Target:
        (inner, *_) = code_held_by(value) or [None]
        if is_a(value, staticmethod):
            receiver = None
        found = self._code(inner, receiver) if inner is not None else ABSENT
        return f"foreign({foreign_name(value)})" if found is ABSENT or found is None else found

    def _method(self, value: MethodType) -> Target:
        if not is_a(value.__func__, FunctionType):
            inner = self._code(value.__func__, None)
            return None if inner is ABSENT else inner  # type: ignore[no-any-return]
        owner = value.__self__
        receiver = Receiver(owner, ABSENT) if is_a(owner, type) else Receiver(type(owner), owner)
        return self._function(value.__func__, receiver, "method") or f"foreign({foreign_name(value.__func__)})"

    def _wrapper(self, value: Any, receiver: Receiver | None) -> Target:
        """Something of someone else's around functions of the user's: what it calls, and how it was made."""
        held = [one for one in code_held_by(value) if any(map(self._owns, functions_behind(one)))]
        if not held:
            return None
        key = ("wrapper", id(value), receiver.key() if receiver is not None else None)
        if key in self._numbers:
            return self._numbers[key]
        if self._is_full():
            return "beyond"
        self._kept += [value, receiver]
        name = getattr(functions_behind(value)[-1], "__qualname__", "")
        number = self._part(key, Part("helper", name, "", ""))
        for place, one in enumerate(held):
            target = self._code(one, receiver)
            self._edge(number, f"calls {place}", None if target is ABSENT else target)
        told = [foreign_name(type(value)), *_settings_of(value), *_reading.decorators_of(functions_behind(value))]
        told += [kind_name(one) for one in _dispatched_on(value)]
        self.parts[number].bytecode = f"live-{digest_of(repr(told))}"
        return number

    def _cached(self, value: Any, settings: Any, receiver: Receiver | None) -> Target:
        """A cached function that is called by another: its code, and what it was decorated with."""
        key = ("cached", id(value), receiver.key() if receiver is not None else None)
        if key in self._numbers:
            return self._numbers[key]
        self._kept += [value, receiver]
        function, told = settings(value)
        number = self._part(key, Part("cached helper", getattr(function, "__qualname__", ""), "", ""))
        for place, one in enumerate(functions_behind(function)):
            self._edge(number, f"calls {place}", self._function(one, receiver, "helper"))
        texts = []
        for name, one in sorted(told.items()):
            described = describe(one, self._ownership)
            texts.append(f"{name}={described.text}")
            self._link(number, f"{name} ", described)
        self.parts[number].bytecode = f"live-{digest_of(repr(texts))}"
        return number

    def _describe(self, value: Any, name: str, holder: Holder, shown: str, *, only_code: bool = False) -> Target:
        described = describe(value, self._ownership, holder.file)
        if only_code and not described.code:
            return None
        if is_callable(value) and not described.code and described.text.startswith("foreign("):
            return described.text
        key = ("constant", holder.place(name))
        if key in self._numbers:
            return self._numbers[key]
        if self._is_full():
            return "beyond"
        self._kept.append(value)
        label = _constant_name(value, shown)
        file = os.path.basename(holder.file)
        content = "code" if only_code else f"live-{digest_of(described.text)}"
        read = functools.partial(_reading.text_of_value, value)
        number = self._part(key, Part("constant", label, file, content, read=read))
        self._link(number, "", described)
        binding = Binding(holder.get, name, value, holder.cells.get(name))
        self.constants.append(Constant(number, holder.place(name), value, binding, described, holder.file))
        return number

    def _link(self, number: int, prefix: str, described: Description) -> None:
        """The code that a value holds."""
        for place, one in enumerate(described.code):
            target = self._code(one, None)
            self._edge(number, f"{prefix}[{place}]", None if target is ABSENT else target)

    def _argument(self, value: Any) -> Target:
        target = self._code(value, None)
        return None if target is ABSENT else target  # type: ignore[no-any-return]

    # ---- what the code changes itself -----------------------------------------------------------------------------

    def _note_change(
        self, kind: str, chain: Chain, module: Holder, cells: Holder, receiver: Receiver | None
    ) -> None:
        if kind == "own":
            if receiver is not None and receiver.value is not ABSENT and chain:
                self._note_change_of(receiver.value, chain)
            return
        holder = cells if kind == "cell" else module
        for depth, name in enumerate(chain):
            value = holder.get(name, ABSENT)
            if depth == len(chain) - 1 or value is ABSENT:
                self._changed.add(holder.place(name))
                return
            if is_a(value, ModuleType):
                holder = holder_of_module(vars(value))
            else:
                self._note_change_of(value, chain[depth + 1 :])
                return

    def _note_change_of(self, value: Any, chain: Chain) -> None:
        """An attribute of an object or a class is bound anew, or what it holds is changed in place."""
        for name in chain:
            if is_a(value, type):
                holder: Holder | None = holder_of_class(value, "")
            elif is_a(value, FunctionType):
                holder = Holder(value.__dict__.get, id(value.__dict__), "")
            else:
                holder = holder_of_object(value, "")
            if holder is None:
                return
            place, value = holder.place(name), holder.get(name, ABSENT)
            if name == chain[-1]:
                self._changed.add(place)


# ---- names of things --------------------------------------------------------------------------------------------------


class _WithSlot:
    __slots__ = ("slot",)


_MEMBER = _WithSlot.__dict__["slot"]


def _is_slot(value: Any) -> bool:
    return type(value) is type(_MEMBER)


def _name_of(function: FunctionType) -> str:
    """A wrapper made with `functools.wraps` has taken the name of what it wraps; its code has not."""
    own = function.__code__.co_name
    return function.__qualname__ if own == function.__name__ else f"{own} around {function.__qualname__}"


def _file_of(function: FunctionType) -> str:
    path = function.__code__.co_filename
    return "" if path.startswith("<") else os.path.basename(path)


def _constant_name(value: Any, shown: str) -> str:
    if is_a(value, functools.partial):
        return f"partial of {getattr(value.func, '__qualname__', type(value.func).__qualname__)}"
    return shown


def _hint_text(hint: Any) -> str:
    return hint if is_a(hint, str) else foreign_name(hint) if is_a(hint, type) else type(hint).__name__


def _is_attrs(kind: type) -> bool:
    return "__attrs_attrs__" in members_of(kind)


def _defines(owner: type, function: FunctionType) -> bool:
    return any(function in functions_behind(value) for value in members_of(owner).values())


def _settings_of(value: Any) -> list[str]:
    """What a wrapper was told when it was made, as far as it keeps that in the open."""
    held = dictionary_of(value) or {}
    found = held if type(value).__module__.partition(".")[0] != "numba" else held.get("targetoptions", {})
    names = (name for name in found if not str(name).startswith("_") and name != "doc")
    return [f"{name}={found[name]!r}" for name in sorted(names, key=str) if is_fixed(found[name])]


def _dispatched_on(value: Any) -> list[type]:
    """The types that a `functools.singledispatch` tells apart."""
    dispatcher = value.dispatcher if is_a(value, functools.singledispatchmethod) else value
    registry = dispatcher.__dict__.get("registry") if is_a(dispatcher, FunctionType) else None
    return list(registry) if isinstance(registry, Mapping) else []
