"""
The code behind a function: a walk over what it reaches, from name to name, as they are bound now.

Each function, class and constant is a part; each name that a part reads leads to another. So what is compared later is
not a bag of parts but what each name means where it is read. Live objects decide: the class that runs, what has been
put into it, what a function closes over and has for defaults. Installed packages and the standard library do not count.
"""

from __future__ import annotations

import functools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from .._fs import NamedTuple, late
from ._bytecode import body_digest
from ._graph import Graph, OwnState, Receiver, Target
from ._late import modules, reading, texts
from ._names import Holder, holder_of_cells, holder_of_module
from ._objects import ABSENT, functions_behind, is_a, lineage_of, members_of
from ._ownership import Ownership
from ._scopes import WHOLE, Chain, Import, label_of, reads_of, turning_texts
from ._units import ARGUMENT, IMPORT, SAVE, SOURCE, Output, Part

if TYPE_CHECKING:
    from ._chains import ChainReader
    from ._classes import ClassReader
    from ._texts import TextReader
    from ._values import ValueReader

# What names are looked up in by names that are computed.
_WHOLE_MODULE = frozenset({("globals",), ("sys", "modules")})


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

    Attributes:
        graph: What was found.
        chains: Follows names and attributes.
        classes: Looks at classes and modules.
        values: Looks at values.
    """

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._left: deque[Callable[[], None]] = deque()
        self._functions: list[tuple[int, FunctionType]] = []
        self._turning: set[str] = set()
        self._texts: TextReader | None = None
        self._output = Output(ownership.output)
        self.graph = self._graph = Graph(ownership)

    @late
    def chains(self) -> ChainReader:
        from ._chains import ChainReader

        return ChainReader(self, self._ownership)

    @late
    def classes(self) -> ClassReader:
        from ._classes import ClassReader

        return ClassReader(self, self._ownership)

    @late
    def values(self) -> ValueReader:
        from ._values import ValueReader

        return ValueReader(self, self._ownership)

    def run(
        self,
        decorated: Callable[..., Any],
        owner: type | None,
        arguments: Iterable[tuple[str, Any]],
        own_state: OwnState,
        save: Callable[..., object] | None = None,
    ) -> None:
        """Walk to the ends: from a function with its wrappers, what saves its value, and code in its arguments."""
        functions = functions_behind(decorated)
        if not functions:
            return
        receiver = Receiver(owner, ABSENT) if owner is not None else None
        self.function(functions[-1], receiver, "itself", only_code=True)
        for depth, function in enumerate(functions[:-1]):
            self.graph.edge(0, f"wrapper {depth}", self.function(function, receiver, "helper"))
        for label, value in arguments:
            self.graph.edge(0, f"{ARGUMENT}{label}", self.values.argument(value))
        if save is not None:
            holder = Holder({"save": save}.get, id(save), functions[-1].__code__.co_filename)
            self.graph.edge(0, SAVE, self.values.given(save, "save", holder))
        self._follow_all()
        while self._follow_texts():
            self._follow_all()
        self.graph.settle(own_state)

    def _follow_all(self) -> None:
        while self._left:
            self._left.popleft()()

    def _follow_texts(self) -> bool:
        """Follow what is looked up by texts; whether there were any that had not been followed."""
        if not self._turning:
            return False
        if self._texts is None:
            self._texts = texts.TextReader(self._turning, self._functions[0][1].__globals__)
        found = list(self._texts.new([*self._functions], [*self._graph.constants]))
        for number, namespace, text in found:
            module = self._texts.module_in(text)
            if module is not None:
                self._follow_import(number, *module, namespace, as_a_whole=True)
            for chain in self._texts.names_in(text):
                if chain[0] in namespace:
                    target = self.chains.chain(holder_of_module(namespace), chain)
                    self._graph.edge(number, f"in a text {'.'.join(chain)}", target)
        return bool(found)

    def later(self, step: Callable[[], None]) -> None:
        """Follow what a part reads, once the parts before it have been followed."""
        self._left.append(step)

    # ---- functions ----------------------------------------------------------------------------------------------

    def function(
        self, function: FunctionType, receiver: Receiver | None, kind: str, *, only_code: bool = False
    ) -> Target:
        if kind != "itself" and not self._ownership.has(function):
            return None
        key = (id(function), receiver.key() if receiver is not None else None)
        if key in self._graph.numbers:
            return self._graph.numbers[key]
        if self._graph.is_full():
            return "beyond"
        self._graph.kept += [function, receiver]
        code = function.__code__
        part = Part(
            kind,
            "" if kind == "itself" else _name_of(function),
            _file_of(function),
            body_digest(code),
            read=lambda: reading.text_of_function(function, receiver.kind if receiver else None, kind, self._output),
        )
        number = self._graph.add(key, part)
        self._graph.functions.append(function)
        if function.__kwdefaults__:
            self._graph.views.append((function.__kwdefaults__.values(), tuple(function.__kwdefaults__.values())))
        self.later(functools.partial(self._follow, _Visit(number, function, receiver, only_code)))
        return number

    def _follow(self, visit: _Visit) -> None:
        number, function, receiver, only_code = visit
        reads = reads_of(function.__code__)
        self._functions.append((number, function))
        self._turning |= turning_texts(reads)
        self._output.counts = self._output.counts or bool(reads.captures)
        module = holder_of_module(function.__globals__)
        cells = holder_of_cells(function, module.file)
        for kind, chain in reads.changed:
            self.chains.note_change(kind, chain, module, cells, receiver)
            for label, target in self.chains.run_by_writing(kind, chain, module, cells, receiver):
                self._graph.edge(number, label, target)
        for chain in sorted(reads.names):
            self._graph.edge(number, label_of(("", chain)), self.chains.chain(module, chain))
            if chain[:2] in _WHOLE_MODULE:
                own = sys.modules.get(str(function.__globals__.get("__name__")))
                self._graph.edge(number, "its module", self.classes.of_module(own) if own is not None else None)
        for chain in sorted(reads.cells):
            if chain[0] != "__class__":
                label = label_of(("closed-over ", chain))
                self._graph.edge(number, label, self.chains.chain(cells, chain, only_code=only_code))
            elif len(chain) == 1:
                self._graph.edge(number, "its class", self._cell_class(cells))
        if receiver is not None:
            for chain in sorted(reads.own):
                self._graph.edge(number, label_of(("", ("self", *chain))), self.chains.own(receiver, chain))
            for label, target in self.chains.run_by_reading(receiver) if reads.own else ():
                self._graph.edge(number, label, target)
            for name in sorted(reads.supers):
                self._follow_super(number, function, receiver, name)
        for one, chain in sorted(reads.imports, key=str):
            self._follow_import(number, one, chain, function.__globals__)
        self._follow_defaults(number, function, reads.filled, only_code)
        self._follow_attributes(number, function, module.file)

    def _cell_class(self, cells: Holder) -> Target:
        kind = cells.get("__class__", ABSENT)
        return self.classes.of_class(kind) if is_a(kind, type) else None

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
                self._graph.edge(
                    number, label, self.values.value(value, None, name, holder, shown=shown, only_code=only_code)
                )

    def _follow_attributes(self, number: int, function: FunctionType, file: str) -> None:
        """What has been put into a function, which whoever gets it may read."""
        held = function.__dict__
        for name in sorted(held):
            if name not in ("__wrapped__", "__final__", "__override__") and not name.startswith("_self_"):
                holder = Holder(held.get, id(held), file)
                shown = f"{function.__qualname__}.{name}"
                self._graph.edge(
                    number, f"attribute {name}", self.values.value(held[name], None, name, holder, shown=shown)
                )

    def _follow_super(self, number: int, function: FunctionType, receiver: Receiver, name: str) -> None:
        lineage = lineage_of(receiver.kind)
        defining = [place for place, one in enumerate(lineage) if _defines(one, function)]
        above = lineage[defining[0] + 1 :] if defining else lineage[1:]
        if name == WHOLE:
            for one in above:
                self._graph.edge(
                    number,
                    f"super() in {one.__qualname__}",
                    self.classes.of_class(one) if self._ownership.has(one) else None,
                )
        else:
            self._graph.edge(number, f"super().{name}", self.chains.member(above, name, receiver))

    def _follow_import(
        self, number: int, one: Import, chain: Chain, namespace: dict[str, Any], *, as_a_whole: bool = False
    ) -> None:
        """
        What an import in the body leads to: as it is loaded, and by the source of the modules that it names.

        Whether they are loaded depends on who ran before; so there is something to compare either way.
        """
        name = modules.absolute_name(one, namespace)
        if name is None:
            return
        if one.member is not None:
            chain = (one.member, *chain)
        label = ".".join((name, *chain))
        target = self._loaded(name, chain, as_a_whole=as_a_whole)
        if target is not None:
            self._graph.edge(number, f"{IMPORT}{label}", target)
        if target is None or self._is_as_written(target):
            for source in self._sources(name, chain):
                self._graph.edge(number, f"{SOURCE}{label} {self._graph.parts[source].name}", source)

    def _loaded(self, name: str, chain: Chain, *, as_a_whole: bool) -> Target:
        while chain and f"{name}.{chain[0]}" in sys.modules and not self._is_bound(name, chain[0]):
            name, chain = f"{name}.{chain[0]}", chain[1:]
        module = sys.modules.get(name)
        if module is None or not (chain or as_a_whole) or not self._has(module):
            return None
        if not chain:
            return self.classes.of_module(module)  # what of it is read, a text does not say
        if not self._is_bound(name, chain[0]) and not self._is_bound(name, "__getattr__"):
            return None  # such as a module of a package that nobody has loaded yet
        return self.chains.of_module(module, chain)

    def _is_as_written(self, target: Target) -> bool:
        """Whether what is loaded is what the source says, as far as that can be told."""
        if not isinstance(target, int):
            return True
        if self._graph.parts[target].kind == "module":
            module = sys.modules.get(self._graph.parts[target].name)
            return not reading.may_be_another(str(getattr(module, "__file__", None) or ""))
        constant = next((one for one in self._graph.constants if one.number == target), None)
        if constant is not None:
            return reading.is_as_assigned(constant.file, constant.binding.name, constant.value)
        return bool(self._graph.parts[target].text.syntax)

    def _sources(self, name: str, chain: Chain) -> Iterator[int]:
        for depth in range(len(chain) + 1):
            found = self.source(".".join((name, *chain[:depth])))
            if found is None and depth:
                return
            if found is not None:
                yield found

    def _is_bound(self, name: str, attribute: str) -> bool:
        module = sys.modules.get(name)
        return module is not None and attribute in vars(module)

    def _has(self, module: ModuleType) -> bool:
        return is_a(module, ModuleType) and self._ownership.has(module)

    def source(self, name: str) -> int | None:
        """A module by its source: what that says, and that of the modules it imports."""
        if (number := self._graph.numbers.get(("source", name))) is not None:
            return number
        found = modules.find(name)
        if found is None or not self._ownership.has_file(name, found):
            return None
        text = reading.text_of_module(name, self._ownership.has_file, self._graph.unloaded)
        part = Part("module", name, os.path.basename(found), text.syntax, text=text)
        return self._graph.add(("source", name), part)


def _name_of(function: FunctionType) -> str:
    """A wrapper made with `functools.wraps` has taken the name of what it wraps; its code has not."""
    own = function.__code__.co_name
    return function.__qualname__ if own == function.__name__ else f"{own} around {function.__qualname__}"


def _file_of(function: FunctionType) -> str:
    path = function.__code__.co_filename
    return "" if path.startswith("<") else os.path.basename(path)


def _defines(owner: type, function: FunctionType) -> bool:
    return any(function in functions_behind(value) for value in members_of(owner).values())
