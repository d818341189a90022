"""
The code behind a function: a fingerprint of it, and of all of the user's own code that it reaches.

What is reached: the global names that the code reads, in its nested functions too, as they are bound now. Functions
count by what they say, also behind wrappers; classes by all they say, with their bases; constants by their content;
modules by what is read of them. A method reaches what it calls on its own object, as the class of that object has it.
Installed packages and the standard library do not count.

Code is read from source where that can be trusted to be what runs, and from bytecode elsewhere. Bytecode changes with
the version of Python and with line breaks, so the two kinds, and those of two versions, say nothing about each other.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import sys
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from . import _source
from ._bytecode import code_digest
from ._constants import (
    IMMUTABLE,
    content_of,
    copied,
    filled_in,
    functions_behind,
    has_members,
    is_approachable,
    is_code,
    is_memo,
    is_plain,
)
from ._syntax import (
    SUPER,
    Chain,
    Import,
    Names,
    class_content,
    content,
    content_as_decorated,
    first_parameter,
    methods,
    open_names,
    open_names_as_decorated,
)

_DIGITS = 16
_BYTECODE = f"py{sys.version_info[0]}{sys.version_info[1]}-"
_ABSENT = object()

Place = tuple[int, str]
"""Where a value is bound: an object's id, and a name."""

ITSELF = "the function itself"
"""The part of a decorated function that is its own, in words."""
_ITSELF = "itself"
_CACHED = "cached helper"
_OUR_DECORATOR = "entropic.reports"


class Part(NamedTuple):
    """
    One piece of what a function is made of.

    Attributes:
        kind: ``itself``, ``helper``, ``method``, ``class`` or ``constant``.
        name: Its name, with its class.
        file: The name of the file it is in; empty for what was typed in.
        digest: Of what it says.
        source: Its text; empty for constants, whose value may be a secret.
    """

    kind: str
    name: str
    file: str
    digest: str
    source: str

    def __str__(self) -> str:
        if self.kind == _ITSELF:
            return ITSELF
        return f"{self.kind} `{self.name}`" + (f" in {self.file}" if self.file else "")


class Fingerprint:
    """
    The code of a function at one moment. The same object as long as nothing has changed.

    Attributes:
        digest: 16 hex digits; with a mark before them if any of the code could only be had as bytecode.
        parts: What it was made from.
    """

    __slots__ = ("digest", "parts")

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts
        # Not the files: moving a helper to another module changes nothing it does.
        told = sorted((part.kind, part.name, part.digest) for part in parts)
        mark = _BYTECODE if any(part.digest.startswith(_BYTECODE) for part in parts) else ""
        self.digest = mark + _digest(repr(told))


def are_comparable(first: str, second: str) -> bool:
    """Whether two digests are of one kind, so that a difference means something."""
    return first.rpartition("-")[0] == second.rpartition("-")[0]


class Code:
    """
    The code behind one function, looked at when asked.

    Args:
        function: The function.
        owner: The class of the object it is a method of.
    """

    def __init__(self, function: Callable[..., Any], owner: type | None = None) -> None:
        self._function = function
        self._owner = owner
        self._look_back: _Look | None = None
        self._last_fingerprint: Fingerprint | None = None
        self._own_state: dict[Place, Part] = {}

    def now(self) -> Fingerprint:
        """
        The fingerprint, as far as can be told at a glance: a hit asks for it.

        What the names are bound to is compared each time, and so is what constants hold, if they are plain values. What
        functions and classes say is, where they are typed in: files do not change it.
        """
        last = self._look_back
        if last is None:
            return self._look()
        for get, name, value, held, copy in last.at_a_glance:
            if get(name, _ABSENT) is not value or (copy is not None and held != copy):
                return self._look()
        for function, code in last.typed_in:
            if function.__code__ is not code:
                return self._look()
        return last.fingerprint

    def before_run(self) -> Fingerprint:
        """The fingerprint of what is about to run: everything is looked at."""
        last = self._look_back
        if last is None or any(one.has_changed() for one in last.names) or last.has_changed_code():
            return self._look()
        return last.fingerprint

    def after_run(self) -> None:
        """
        What the run has changed in place is its own state, such as a memo, and counts as it was before.

        A value bound anew is not: that is for the next call to see.
        """
        for one in self._look_back.constants if self._look_back is not None else ():
            if one.part is not None and one.is_bound_as_before() and one.has_changed():
                self._own_state[_place(one.scope, one.name)] = one.part
                self._look_back = None

    def _look(self) -> Fingerprint:
        reached = _Reached(self._own_state)
        reached.add_decorated(self._function, self._owner)
        fingerprint = Fingerprint(tuple(reached.settled()))
        last = self._last_fingerprint
        if last is not None and last.digest == fingerprint.digest:
            fingerprint = last
        self._last_fingerprint = fingerprint
        self._look_back = _Look.of(fingerprint, reached)
        return fingerprint


class _Look(NamedTuple):
    """What was seen when the code was last looked at."""

    fingerprint: Fingerprint
    names: tuple[_Seen, ...]
    constants: tuple[_Seen, ...]
    at_a_glance: tuple[tuple[Callable[[str, Any], Any], str, Any, Any, Any], ...]
    functions: tuple[tuple[FunctionType, CodeType], ...]
    typed_in: tuple[tuple[FunctionType, CodeType], ...]

    @classmethod
    def of(cls, fingerprint: Fingerprint, reached: _Reached) -> _Look:
        names = tuple(one for place, one in reached.seen.items() if place not in reached.own_state)
        constants = tuple(one for one in names if one.part is not None)
        functions = tuple((function, function.__code__) for function in reached.functions)
        is_interactive = _is_interactive()
        watched = names if is_interactive else [one for one in names if one.part is not None or one.is_own_code()]
        at_a_glance = tuple((_looks_up(one.scope), one.name, one.value, one.held, one.copy) for one in watched)
        return cls(fingerprint, names, constants, at_a_glance, functions, functions if is_interactive else ())

    def has_changed_code(self) -> bool:
        return any(function.__code__ is not code for function, code in self.functions)


class _Seen:
    """A name when it was last looked at: what it was bound to, and what that held if it can change in place."""

    __slots__ = ("content", "copy", "held", "name", "part", "scope", "value")

    def __init__(self, scope: Scope, name: str, value: Any) -> None:
        self.scope = scope
        self.name = name
        self.value = value
        self.part: Part | None = None
        self.content: str | None = None
        self.held: Any = None
        self.copy: Any = None

    def take(self, part: Part, text: str) -> None:
        self.part, self.content = part, text
        held = vars(self.value) if has_members(self.value) else self.value
        if isinstance(held, (list, dict, set, bytearray)) and is_plain(held):
            self.held, self.copy = held, copied(held)

    def is_own_code(self) -> bool:
        # Not isinstance: a proxy is asked for its class then, and may have nothing behind it.
        return issubclass(type(self.value), (FunctionType, type)) and _source.is_own(self.value)

    def is_bound_as_before(self) -> bool:
        return self.scope.get(self.name, _ABSENT) is self.value

    def has_changed(self) -> bool:
        if not self.is_bound_as_before():
            return True
        if self.part is None or isinstance(self.value, IMMUTABLE):
            return False
        return bool(self.held != self.copy) if self.copy is not None else content_of(self.value, []) != self.content


class _Unit(NamedTuple):
    """A piece of code on its own, read once: its parts, and the names they leave open."""

    parts: tuple[Part, ...]
    names: Names
    receiver: str | None


class _Visit(NamedTuple):
    """A unit whose names are to be followed: where they are looked up, and whose method it is."""

    unit: _Unit
    module: dict[str, Any]
    cells: _Cells
    owner: type | None
    function: FunctionType | None


class _Reached:
    """What one function reaches: a walk over names, from one piece of code to the next."""

    def __init__(self, own_state: dict[Place, Part]) -> None:
        self.seen: dict[Place, _Seen] = {}
        self.own_state = {**own_state}
        self.functions: list[FunctionType] = []
        self._parts: dict[object, tuple[Part, ...]] = {}
        self._changed: set[Place] = set()
        self._left: list[_Visit] = []

    def settled(self) -> Iterator[Part]:
        """Follow all names to their ends, and tell the parts: a name that any of the code changes is no constant."""
        while self._left:
            self._follow(self._left.pop())
        for parts in self._parts.values():
            yield from parts
        for place, one in self.seen.items():
            if place in self._changed:
                one.part = None
            elif one.part is not None:
                yield self.own_state.get(place, one.part)

    def add_decorated(self, decorated: Callable[..., Any], owner: type | None) -> None:
        functions = list(functions_behind(decorated))
        for function in functions:
            is_innermost = function is functions[-1]
            # What the function itself closes over is in its key, unless it is code.
            self._add_function(function, owner, _ITSELF if is_innermost else "helper", only_code=is_innermost)

    # ---- code -------------------------------------------------------------------------------------------------------

    def _add_function(self, function: FunctionType, owner: type | None, kind: str, *, only_code: bool = False) -> None:
        made = id(function.__closure__), id(function.__defaults__), id(function.__kwdefaults__)
        place = (function.__code__, id(function.__globals__), made, owner)
        if place in self._parts or (kind != _ITSELF and not _source.is_own(function)):
            return
        unit = _unit_of_function(function, kind)
        self._parts[place] = unit.parts
        self.functions.append(function)
        if kind != _ITSELF:
            self._add_defaults(function)
        self._left.append(_Visit(unit, function.__globals__, _Cells(function, only_code), owner, function))

    def _add_class(self, kind: type) -> None:
        if kind in self._parts or not _source.is_own(kind):
            return
        unit = _unit_of_class(kind)
        module = sys.modules.get(kind.__module__)
        self._parts[kind] = unit.parts
        self._left.append(_Visit(unit, vars(module) if module else {}, _Cells.of_class(kind), kind, None))
        if any(part.source for part in unit.parts):
            return
        for value in vars(kind).values():
            self._add_functions_behind(value, kind, "method")
        for base in kind.__bases__:
            self._add_class(base)

    def _follow(self, visit: _Visit) -> None:
        unit, module, cells, owner, function = visit
        for chain in unit.names.changed:
            self._changed.add(_place_of_chain(chain, cells if chain[0] in cells else module))
        for chain in sorted(unit.names.chains):
            root = chain[0]
            if root in unit.names.imports:
                self._add_imported(unit.names.imports[root], chain[1:], module)
            elif root == SUPER or (root == unit.receiver and len(chain) > 1):
                if owner is not None and function is not None:
                    self._add_member(owner, chain[1], function if root == SUPER else None)
            else:
                self._add_name(cells if root in cells else module, root, chain[1:])

    def _add_member(self, owner: type, name: str, calls_super: FunctionType | None) -> None:
        """What a method uses of its own object: looked up as Python does, in the class and its bases."""
        lineage = owner.__mro__
        if calls_super is not None:
            defining = [place for place, one in enumerate(lineage) if _defines(one, calls_super)]
            lineage = lineage[defining[0] + 1 :] if defining else lineage[1:]
        for one in lineage:
            if name in vars(one):
                if _source.is_own(one):
                    self._add_value(_Members(one), name, vars(one)[name], owner, f"{one.__qualname__}.{name}")
                return

    # ---- names ------------------------------------------------------------------------------------------------------

    def _add_imported(self, one: Import, rest: Chain, namespace: dict[str, Any]) -> None:
        module = _imported(one, namespace)
        if module is None or not _source.is_own(module):
            return
        if one.member is not None:
            self._add_name(vars(module), one.member, rest)
        elif rest:
            self._add_name(vars(module), rest[0], rest[1:])

    def _add_name(self, scope: Scope, name: str, rest: Chain) -> None:
        value = scope.get(name, _ABSENT)
        self._note(scope, name, value)
        if name.startswith("__") or value is _ABSENT or not is_approachable(value):
            return
        if isinstance(value, ModuleType):
            if rest and _source.is_own(value):
                self._add_name(vars(value), rest[0], rest[1:])
            return
        self._add_value(scope, name, value, None, name)
        if rest and isinstance(value, type):
            self._add_member(value, rest[0], None)  # it may have been bound anew, outside the body of the class

    def _add_value(self, scope: Scope, name: str, value: Any, owner: type | None, shown: str) -> None:
        seen = self._note(scope, name, value)
        if isinstance(value, type):
            self._add_class(value)
        elif not self._add_functions_behind(value, owner, "method" if owner else "helper"):
            self._add_constant(seen, shown)

    def _add_functions_behind(self, value: Any, owner: type | None, kind: str) -> bool:
        """Add the functions behind a value, if it is made of any."""
        functions = list(functions_behind(value))
        if isinstance(value, MethodType):
            owner = value.__self__ if isinstance(value.__self__, type) else type(value.__self__)
        for function in functions:
            self._add_function(function, owner, _CACHED if type(value).__module__ == _OUR_DECORATOR else kind)
        if functions and not isinstance(value, FunctionType):
            self._add_class(type(value))  # of a callable object, or a decorator that is a class
        self._add_filled_in(value)
        return bool(functions)

    def _add_filled_in(self, value: Any) -> None:
        """What a `functools.partial` has filled in, and the object that a method is bound to."""
        items = filled_in(value)
        code: list[Any] = []
        text = content_of(items, code) if items is not None else None
        if text is None:
            return
        inner = value.func if isinstance(value, partial) else value.__func__
        name = getattr(inner, "__qualname__", type(inner).__qualname__)
        name = f"partial of {name}" if isinstance(value, partial) else f"object of {name}"
        place = _source.place_of(inner) if isinstance(inner, FunctionType) and _source.is_own(inner) else ""
        self._parts[name, text] = (Part("constant", name, place, _digest(text), ""),)
        self._add_code([*code, inner] if isinstance(inner, type) else code)

    def _add_defaults(self, function: FunctionType) -> None:
        """Defaults that are computed: functions of one making, such as those of a loop, are told apart by them."""
        items = [value for value in _source.computed_defaults(function) if not is_memo(value)]
        code: list[Any] = []
        text = content_of(items, code) if items else None
        if text is not None:
            name = f"default of {function.__qualname__}"
            self._parts[name, text] = (Part("constant", name, _source.place_of(function), _digest(text), ""),)
        self._add_code(code)

    def _add_constant(self, seen: _Seen, shown: str) -> None:
        if isinstance(seen.value, ModuleType) or seen.part is not None:
            return
        code: list[Any] = []
        text = content_of(seen.value, code)
        if text is not None:
            file = seen.scope.get("__file__", None)
            name = str(file).replace("\\", "/").rpartition("/")[2] if file else ""
            seen.take(Part("constant", shown, name, _digest(text), ""), text)
        self._add_code([*code, type(seen.value)])

    def _add_code(self, code: list[Any]) -> None:
        for one in code:
            if isinstance(one, type):
                self._add_class(one)
            else:
                self._add_functions_behind(one, None, "helper")

    def _note(self, scope: Scope, name: str, value: Any) -> _Seen:
        return self.seen.setdefault(_place(scope, name), _Seen(scope, name, value))


# ---- where names are bound ------------------------------------------------------------------------------------------


class _Cells:
    """What a function closes over, by name, as it is now."""

    def __init__(self, function: FunctionType | None, only_code: bool = False) -> None:
        names, cells = (function.__code__.co_freevars, function.__closure__ or ()) if function else ((), ())
        self.cells = dict(zip(names, cells, strict=False))
        self._only_code = only_code

    @classmethod
    def of_class(cls, kind: type) -> _Cells:
        """What the methods of a class close over, if it was made inside a function."""
        found = cls(None)
        for value in vars(kind).values():
            for function in functions_behind(value):
                if _source.is_own(function):
                    found.cells = {**cls(function).cells, **found.cells}
        return found

    def __contains__(self, name: str) -> bool:
        return name in self.cells

    def get(self, name: str, default: Any) -> Any:
        try:
            value = self.cells[name].cell_contents
        except (KeyError, ValueError):
            return default
        return default if self._only_code and not is_code(value) else value


class _Members:
    """What is written in the body of a class, by name, as it is now."""

    def __init__(self, owner: type) -> None:
        self.owner = owner

    def get(self, name: str, default: Any) -> Any:
        if name == "__file__":
            return getattr(sys.modules.get(self.owner.__module__), name, default)
        return vars(self.owner).get(name, default)


Scope = dict[str, Any] | _Cells | _Members


def _looks_up(scope: Scope) -> Callable[[str, Any], Any]:
    """Looks a name up, as fast as can be."""
    return vars(scope.owner).get if isinstance(scope, _Members) else scope.get


def _place(scope: Scope, name: str) -> Place:
    if isinstance(scope, _Cells):
        return id(scope.cells[name]), name
    return id(scope.owner if isinstance(scope, _Members) else scope), name


def _place_of_chain(chain: Chain, scope: Scope) -> Place:
    """Where the last name of a chain is bound: in a scope or, through modules, in one of theirs, or in a class."""
    for name, attribute in itertools.pairwise(chain):
        value = scope.get(name, None)
        if isinstance(value, type):
            return id(value), attribute
        if not isinstance(value, ModuleType):
            return _place(scope, name)  # an attribute of an object: it is the object that changes
        scope = vars(value)
    return _place(scope, chain[-1])


def _imported(one: Import, namespace: dict[str, Any]) -> ModuleType | None:
    """
    The module that an import inside a function leads to.

    If it is the user's own it is loaded now, as the run would: what it reaches must not depend on who ran before.
    """
    name = one.module
    try:
        if one.level:
            name = importlib.util.resolve_name("." * one.level + one.module, str(namespace.get("__package__") or ""))
        top = importlib.util.find_spec(name.partition(".")[0]) if name not in sys.modules else None
        if top is not None and not (top.origin and _source.is_own_file(top.origin)):
            return None
        module = importlib.import_module(name)
        if one.member is not None and not hasattr(module, one.member) and _source.is_own(module):
            importlib.import_module(f"{name}.{one.member}")
    except (Exception, SystemExit):
        return None  # the run will tell, if it comes to that
    return module


# ---- reading --------------------------------------------------------------------------------------------------------

_units: dict[tuple[int, str], tuple[CodeType, _Unit]] = {}
_class_units: weakref.WeakKeyDictionary[type, _Unit] = weakref.WeakKeyDictionary()
_NO_NAMES = Names(frozenset(), frozenset(), {})
_MANY_UNITS = 4096


def _unit_of_function(function: FunctionType, kind: str) -> _Unit:
    # By the very code object: equal ones may be of functions whose decorators or defaults differ.
    code = function.__code__
    known = _units.get((id(code), kind))
    if known is not None and known[0] is code:
        return known[1]
    if len(_units) >= _MANY_UNITS:
        _units.clear()
    unit = _read_function(function, kind)
    _units[id(code), kind] = code, unit
    return unit


def _read_function(function: FunctionType, kind: str) -> _Unit:
    name, place = "" if kind == _ITSELF else _name_of(function), _source.place_of(function)
    found = _source.function_node(function, decorators=kind not in (_ITSELF, _CACHED), defaults=kind != _ITSELF)
    if found is None:
        digest = _BYTECODE + code_digest(_without_wrapped(function))[:_DIGITS]
        return _Unit((Part(kind, name, place, digest, ""),), _names_of_bytecode(function.__code__), _self_of(function))
    node, text = found
    is_decorated = kind in (_ITSELF, _CACHED)
    said = content_as_decorated(node, defaults=kind == _CACHED) if is_decorated else content(node)
    names = open_names_as_decorated(node) if is_decorated else open_names(node)
    return _Unit((Part(kind, name, place, _digest(said), text),), names, first_parameter(node))


def _unit_of_class(kind: type) -> _Unit:
    unit = _class_units.get(kind)
    if unit is None:
        unit = _class_units[kind] = _read_class(kind)
    return unit


def _read_class(kind: type) -> _Unit:
    place, name = _source.place_of(kind), kind.__qualname__
    found = _source.class_node(kind)
    if found is None:
        # Made by a call, such as `collections.namedtuple`; or typed in without a method to know its source by.
        fields = [*_annotated(kind), *getattr(kind, "_fields", ())]
        values = {member: content_of(value, []) for member, value in vars(kind).items() if not member.startswith("__")}
        told = repr((fields, sorted((member, text) for member, text in values.items() if text is not None)))
        mark = "" if _source.is_made_by_a_call(kind) else _BYTECODE
        return _Unit((Part("class", name, place, mark + _digest(told), ""),), _NO_NAMES, None)
    node, text = found
    parts = [Part("class", name, place, _digest(class_content(node)), text)]
    parts += [Part("method", f"{name}.{one.name}", place, _digest(content(one)), "") for one in methods(node)]
    return _Unit(tuple(parts), open_names(node), None)


def _annotated(kind: type) -> list[str]:
    try:
        return [*getattr(kind, "__annotations__", ())]
    except Exception:
        return []  # from Python 3.14 on they are evaluated now, and may name what is not there


def _name_of(function: FunctionType) -> str:
    """A wrapper made with `functools.wraps` has taken the name of what it wraps; its code has not."""
    own = function.__code__.co_name
    return function.__qualname__ if own == function.__name__ else f"{own} around {function.__qualname__}"


def _without_wrapped(function: FunctionType) -> FunctionType:
    if "__wrapped__" not in function.__dict__:
        return function
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, None, function.__closure__)
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _self_of(function: FunctionType) -> str | None:
    return function.__code__.co_varnames[0] if function.__code__.co_argcount else None


def _names_of_bytecode(code: CodeType) -> Names:
    """Every name that the code mentions, and every attribute of every one of them: rather too many than too few."""
    mentioned = set(code.co_names) | set(code.co_freevars)
    inner = [_names_of_bytecode(one) for one in code.co_consts if isinstance(one, CodeType)]
    chains: set[Chain] = {(name,) for name in mentioned}
    chains |= {(name, other) for name in [*mentioned, *code.co_varnames[:1], SUPER] for other in code.co_names}
    return Names(chains=frozenset(chains).union(*(one.chains for one in inner)), changed=frozenset(), imports={})


def _defines(owner: type, function: FunctionType) -> bool:
    return any(function in functions_behind(value) for value in vars(owner).values())


def _is_interactive() -> bool:
    """Whether functions are typed in and typed anew here, and modules reloaded: a notebook, or a prompt."""
    return not hasattr(sys.modules.get("__main__"), "__file__")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGITS]
