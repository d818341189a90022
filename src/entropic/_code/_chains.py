"""What names lead to, with the attributes that are taken of them: looked up where Python does, and nothing is run."""

from __future__ import annotations

import enum
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from types import FunctionType, MemberDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any

from ..hashing import is_record
from ._graph import BUILTINS, Receiver, Target
from ._names import Holder, holder_of_class, holder_of_module, holder_of_object
from ._objects import (
    ABSENT,
    attribute_of,
    class_attribute,
    dictionary_of,
    functions_behind,
    has_get,
    is_a,
    is_cache,
    is_data_descriptor,
    lineage_of,
    members_of,
)
from ._ownership import Ownership, is_of_the_module
from ._scopes import CHANGING, Chain

if TYPE_CHECKING:
    from ._walker import Walker

_BUILTINS = Holder(BUILTINS.get, id(BUILTINS), "")
_FIELDS_OF_RECORDS = ("params", "metadata", "created_at", "params_hash", "provenance")
_CONTAINERS = (list, dict, set, deque, bytearray)


class ChainReader:
    """Follows chains of names to parts."""

    def __init__(self, walk: Walker, ownership: Ownership) -> None:
        self._walk = walk
        self._graph = walk.graph
        self._ownership = ownership

    def chain(self, holder: Holder, chain: Chain, *, shown: str = "", only_code: bool = False) -> Target:
        """What a name, and the attributes that are taken of it, lead to."""
        name = chain[0]
        value = holder.get(name, ABSENT)
        if value is ABSENT:
            self._graph.watch(holder, name, ABSENT)
            value = BUILTINS.get(name, ABSENT)
            if value is ABSENT:
                return "absent"
            if name in ("globals", "vars") and len(chain) == 1:
                return None
            self._graph.watch(_BUILTINS, name, value, is_glanced_at=False)
            return self._walk.values.value(value, None, name, holder) if self.is_patched(value) else None
        if is_of_the_module(name) and is_a(value, (str, type(None))):
            return None
        return self._approach(value, chain[1:], name, holder, shown or name, only_code)

    def _approach(self, value: Any, rest: Chain, name: str, holder: Holder, shown: str, only_code: bool) -> Target:
        """Follow the attributes that are taken of a value."""
        if not rest:
            return self._walk.values.value(value, None, name, holder, shown=shown, only_code=only_code)
        self._graph.watch(holder, name, value)
        if is_a(value, ModuleType):
            return self.of_module(value, rest, only_code)
        if is_a(value, type):
            return self.class_chain(value, rest) if self._ownership.has(value) else self._foreign_member(value, rest)
        if is_a(value, FunctionType) and rest[0] in value.__dict__:
            return self.chain(Holder(value.__dict__.get, id(value.__dict__), holder.file), rest, only_code=only_code)
        if is_record(type(value)):
            return self._field_of_record(value, rest[0], name, holder, shown)
        if self._ownership.has(type(value)) and not is_a(value, enum.Enum):
            return self._attribute(value, rest, holder.file, shown, (name, holder))
        if is_a(value, _CONTAINERS) and rest[0] in CHANGING and type(value).__module__ in ("builtins", "collections"):
            self._graph.changed.add(holder.place(name))
        held = dictionary_of(value)
        if held is not None and rest[0] in held and not functions_behind(value):
            inside = Holder(held.get, id(held), holder.file)
            return self.chain(inside, rest, shown=f"{shown}.{rest[0]}", only_code=only_code)
        return self._walk.values.value(value, None, name, holder, shown=shown, only_code=only_code)

    def _field_of_record(self, record: Any, field: str, name: str, holder: Holder, shown: str) -> Target:
        """What is read of the record of a run: of its result the content, of its fields what is in them."""
        if field not in _FIELDS_OF_RECORDS:
            return self._walk.values.describe(record, name, holder, shown)
        content = getattr(record, field)  # ours, and lazy: it may not be in the dictionary yet
        self._graph.kept.append(record)
        inside = Holder({field: content}.get, id(record), holder.file)
        return self._walk.values.describe(content, field, inside, f"{shown}.{field}")

    def of_module(self, module: ModuleType, rest: Chain, only_code: bool = False) -> Target:
        """What is read of a module."""
        if not rest:
            return self._walk.classes.of_module(module)
        namespace = vars(module)
        if self._ownership.has(module):
            if rest[0] == "__dict__":
                return self._walk.classes.of_module(module)
            if rest[0] not in namespace and f"{module.__name__}.{rest[0]}" in sys.modules:
                return self.of_module(sys.modules[f"{module.__name__}.{rest[0]}"], rest[1:], only_code)
            if rest[0] not in namespace and "__getattr__" in namespace:
                # Such as a package that loads its modules when they are asked for: all that it names may be meant.
                self._graph.watch(holder_of_module(namespace), rest[0], ABSENT)
                return self._walk.source(f"{module.__name__}.{rest[0]}") or self._walk.source(module.__name__)
            return self.chain(holder_of_module(namespace), rest, only_code=only_code)
        # Of someone else's module only what the user has put there counts.
        holder = holder_of_module(namespace)
        value = namespace.get(rest[0], ABSENT)
        self._graph.watch(holder, rest[0], value, is_glanced_at=False)
        if is_a(value, ModuleType) and len(rest) > 1:
            return self.of_module(value, rest[1:], only_code)
        if value is not ABSENT and self.is_patched(value):
            return self._walk.values.value(value, None, rest[0], holder)
        if not is_a(value, type):
            return None
        return self._foreign_member(value, rest[1:]) if len(rest) > 1 else self._walk.classes.patched(value)

    def _foreign_member(self, kind: type, rest: Chain) -> Target:
        """A member of someone else's class, if the user has put it there."""
        value = class_attribute(kind, rest[0])
        if value is ABSENT or not self.is_patched(value):
            return None
        return self.member(lineage_of(kind), rest[0], Receiver(kind, ABSENT))

    def is_patched(self, value: Any) -> bool:
        """Whether what stands in the place of someone else's code is the user's, or a mock."""
        if is_a(value, (type, FunctionType)):
            return self._ownership.has(value)
        kind = type(value)
        return (
            self._ownership.has(kind)
            or kind.__module__ == "unittest.mock"
            or any(map(self._ownership.has, functions_behind(value)))
        )

    def class_chain(self, kind: type, chain: Chain) -> Target:
        """What is read of a class."""
        if not chain:
            return self._walk.classes.of_class(kind)
        name = chain[0]
        if name == "__subclasses__":
            return self._walk.classes.with_subclasses(kind)
        owner = next((one for one in lineage_of(kind) if name in members_of(one)), None)
        if owner is None:
            return self._walk.classes.of_class(kind) if self._ownership.has(kind) else None
        value = members_of(owner)[name]
        if len(chain) > 1 and not has_get(value):
            for one in lineage_of(kind)[: lineage_of(kind).index(owner)]:
                self._graph.watch(holder_of_class(one, ""), name, ABSENT)
            return self.chain(holder_of_class(owner, ""), chain)
        return self.member(lineage_of(kind), name, Receiver(kind, ABSENT))

    def _attribute(
        self, value: Any, chain: Chain, file: str, shown: str = "", bound: tuple[str, Holder] | None = None
    ) -> Target:
        """What is read of an object of the user's, looked up where Python does; where that is *bound*, if it is."""
        name, kind = chain[0], type(value)
        if name == "__class__":
            return self.class_chain(kind, chain[1:])
        found = class_attribute(kind, name)
        holder = holder_of_object(value, file)
        if (
            found is not ABSENT
            and has_get(found)
            and is_data_descriptor(found)
            and not is_a(found, MemberDescriptorType)
        ):
            if not functions_behind(found):
                return self._whole(
                    value, bound or (name, Holder({name: value}.get, id(value), file))
                )  # computed in C, of what the object is
            return self.member(lineage_of(kind), name, Receiver(kind, value))
        if is_cache(kind, name):
            return self.member(lineage_of(kind), name, Receiver(kind, value))
        held = holder.get(name, ABSENT) if holder is not None else ABSENT
        if holder is not None and (held is not ABSENT or found is ABSENT or not is_a(found, MemberDescriptorType)):
            self._graph.watch(holder, name, held)
        if holder is not None and held is not ABSENT:
            return self.chain(holder, chain, shown=f"{shown or kind.__qualname__}.{name}")
        if found is ABSENT or self._is_of_someone_else(kind, name):
            # Computed by the object, or not there; or it may call what the object's own class has put over it.
            return self._whole(value, bound or (name, Holder({name: value}.get, id(value), file)))
        if len(chain) > 1 and not has_get(found):
            owner = next(one for one in lineage_of(kind) if name in members_of(one))
            return self.chain(holder_of_class(owner, file), chain)
        return self.member(lineage_of(kind), name, Receiver(kind, value))

    def _whole(self, value: Any, bound: tuple[str, Holder]) -> Target:
        """An object with all that it holds."""
        name, holder = bound
        return self._walk.values.describe(value, name, holder, type(value).__qualname__)

    def _is_of_someone_else(self, kind: type, name: str) -> bool:
        owner = next(one for one in lineage_of(kind) if name in members_of(one))
        return not self._counts_in(owner, name) and owner.__module__ != "builtins"

    def own(self, receiver: Receiver, chain: Chain) -> Target:
        """What a method takes of its own object."""
        if not chain:
            if receiver.value is ABSENT:
                return self._walk.classes.of_class(receiver.kind)
            holder = Holder({"": receiver.value}.get, id(receiver.value), "")
            return self._walk.values.value(
                receiver.value, None, "", holder, shown=f"object of {receiver.kind.__qualname__}"
            )
        if receiver.value is not ABSENT:
            return self._attribute(receiver.value, chain, "")
        if chain[0] == "__class__":
            return self.class_chain(receiver.kind, chain[1:])
        found = class_attribute(receiver.kind, chain[0])
        if found is not ABSENT and len(chain) > 1 and not has_get(found):
            owner = next(one for one in lineage_of(receiver.kind) if chain[0] in members_of(one))
            return self.chain(holder_of_class(owner, ""), chain)
        return self.member(lineage_of(receiver.kind), chain[0], receiver)

    def member(self, lineage: Iterable[type], name: str, receiver: Receiver) -> Target:
        """What the first of some classes that binds a name binds it to; the others are watched, for they might."""
        for one in lineage:
            if name in members_of(one):
                if self._counts_in(one, name):
                    return self.member_value(one, name, receiver)
                return self._behind_base(one, name, receiver)
            if self._ownership.has(one):
                self._graph.watch(holder_of_class(one, ""), name, ABSENT)
        return self._hook(receiver, "__getattr__")

    def _behind_base(self, base: type, name: str, receiver: Receiver) -> Target:
        """What someone else's method may call: anything that the class of the object has put over it."""
        if not self._ownership.has(receiver.kind) or (base.__module__ == "builtins" and name != "__dict__"):
            return None
        return self._walk.classes.of_class(receiver.kind)

    def _hook(self, receiver: Receiver, name: str) -> Target:
        """A method of the user's that Python calls when an attribute is read, bound or deleted."""
        owner = next((one for one in lineage_of(receiver.kind) if name in members_of(one)), None)
        if owner is None or not self._counts_in(owner, name):
            return None
        return self.member_value(owner, name, receiver)

    def run_by_reading(self, receiver: Receiver) -> Iterator[tuple[str, Target]]:
        """What runs for each attribute that a method takes of its own object."""
        yield "self.__getattribute__", self._hook(receiver, "__getattribute__")

    def run_by_writing(
        self, kind: str, chain: Chain, module: Holder, cells: Holder, receiver: Receiver | None
    ) -> Iterator[tuple[str, Target]]:
        """What runs when an attribute is bound or deleted: the setter of a property, `__setattr__`."""
        changed: Receiver | None = receiver
        if kind != "own":
            value = (cells if kind == "cell" else module).get(chain[0], ABSENT)
            changed, chain = Receiver(type(value), value), chain[1:]
        while changed is not None and len(chain) > 1:
            value = _held_by(changed, chain[0])
            changed, chain = Receiver(type(value), value), chain[1:]
        if changed is None or not chain or not self._ownership.has(changed.kind):
            return
        found = class_attribute(changed.kind, chain[0])
        if found is not ABSENT and is_data_descriptor(found) and not is_a(found, MemberDescriptorType):
            yield f"binds {chain[0]}", self.member(lineage_of(changed.kind), chain[0], changed)
        for name in ("__setattr__", "__delattr__"):
            yield f"{name} for {chain[0]}", self._hook(changed, name)

    def _counts_in(self, kind: type, name: str) -> bool:
        """Whether a member is of a class of the user's, or is code of the user's in one of someone else's."""
        return self._ownership.has(kind) or any(map(self._ownership.has, functions_behind(members_of(kind)[name])))

    def member_value(self, kind: type, name: str, receiver: Receiver) -> Target:
        module = sys.modules.get(str(kind.__module__))
        file = vars(module).get("__file__") if is_a(module, ModuleType) else None
        holder = holder_of_class(kind, file if isinstance(file, str) else "")
        value = members_of(kind)[name]
        return self._walk.values.value(value, receiver, name, holder, shown=f"{kind.__qualname__}.{name}")

    def note_change(self, kind: str, chain: Chain, module: Holder, cells: Holder, receiver: Receiver | None) -> None:
        if kind == "own":
            if receiver is not None and receiver.value is not ABSENT and chain:
                self._note_change_of(receiver.value, chain)
            return
        holder = cells if kind == "cell" else module
        for depth, name in enumerate(chain):
            value = holder.get(name, ABSENT)
            if depth == len(chain) - 1 or value is ABSENT:
                self._graph.changed.add(holder.place(name))
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
                self._graph.changed.add(place)


def _held_by(receiver: Receiver, name: str) -> Any:
    value = receiver.value
    if is_a(value, ModuleType):
        return vars(value).get(name, ABSENT)
    found = attribute_of(value, name) if value is not ABSENT else ABSENT
    return found if found is not ABSENT else class_attribute(receiver.kind, name)
