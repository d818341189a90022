"""A fingerprint of the code behind a function, taken anew when something it reaches has changed."""

from __future__ import annotations

import functools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import is_
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from .._fs import NamedTuple
from ._bytecode import PYTHON
from ._dependencies import Walk
from ._graph import Constant, Graph, OwnState, Unloaded
from ._late import constants, drafts
from ._names import Binding, any_changed
from ._objects import ABSENT
from ._ownership import EVERYTHING_OWN, Ownership
from ._units import EDITED, RESULT, Part, digest_of

if TYPE_CHECKING:
    from ._arrays import Reading
    from ._drafts import Description, View

Edge = tuple[str, "int | str"]

_MANY = 8  # from here on, names of one holder are compared faster in one go
_EVERY_ABSENT = repeat(ABSENT)


class Fingerprint:
    """
    The code of a function at one moment. The same object as long as nothing has changed.

    Args:
        parts: What it is made from, the function itself first; the names in each lead to others.

    Attributes:
        bytecode: Digest for this version of Python, marked with it: of what compiled code and live objects say.
        parts: As given.
        unloaded: The modules that are not loaded, of which it has the source.
    """

    unloaded: Sequence[Unloaded] = ()

    def __init__(self, parts: Sequence[Part], bytecode: str = "") -> None:
        self.parts = parts
        self.bytecode = bytecode or PYTHON + digest_of(
            repr([_content(part.bytecode + part.assigned, part, part.edges) for part in parts])
        )

    def with_results(self, results: Mapping[str, str]) -> Fingerprint:
        """That of a run which has used results by other code: the digest of that, by the name of a cached function."""
        return self._with({f"{RESULT}{name}": f"by {code}" for name, code in results.items()})

    def with_edited(self, names: Iterable[str]) -> Fingerprint:
        """That of a run which has loaded modules that were edited meanwhile: before or after, nobody can tell."""
        return self._with({f"{EDITED}{name}": os.urandom(8).hex() for name in names})

    def _with(self, edges: Mapping[str, str]) -> Fingerprint:
        from copy import copy  # for few runs

        itself = copy(self.parts[0])
        itself.edges = {**itself.edges, **edges}
        return Fingerprint([itself, *self.parts[1:]])

    @functools.cached_property
    def digest(self) -> str:
        """
        Digest for every version of Python: of what the source says, where that is proven to be what runs.

        Where it is not, bytecode takes part, and the digest is marked with the version of Python.
        """
        contents = [_content(part.content(), part, edges) for part, edges in self._loud()]
        mark = PYTHON if any(content[2].startswith("py") for content in contents) else ""
        return mark + digest_of(repr(contents))

    def _loud(self) -> Iterator[tuple[Part, dict[str, int | str]]]:
        """The parts that count, numbered anew: those that are read only to be told about are left out."""
        numbers = {0: 0} if self.parts else {}
        left = deque(numbers)
        while left:
            part = self.parts[left.popleft()]
            edges: dict[str, int | str] = {}
            for label, target in sorted(part.edges.items()):
                if label in part.text.quiet:
                    continue
                if isinstance(target, int) and target not in numbers:
                    numbers[target] = len(numbers)
                    left.append(target)
                edges[label] = numbers[target] if isinstance(target, int) else target
            yield part, edges


def _content(said: str, part: Part, edges: dict[str, int | str]) -> tuple[str, str, str, list[Edge]]:
    # Not the file: moving a helper to another module changes nothing it does.
    kind = "helper" if part.kind == "method" else part.kind
    return kind, part.name, said, sorted(edges.items())


class Code:
    """
    The code behind one function, looked at when asked.

    Args:
        function: The function.
        owner: The class of the object it is a method of.
        ownership: Whose code counts.
        arguments: Functions and classes that a call hands in, each with the name of its parameter.
        save: What writes the value that the function returns.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        owner: type | None = None,
        ownership: Ownership = EVERYTHING_OWN,
        arguments: Iterable[tuple[str, Any]] = (),
        save: Callable[..., object] | None = None,
    ) -> None:
        self._function = function
        self._owner = owner
        self._ownership = ownership
        self._arguments = tuple(arguments)
        self._save = save
        self._look_back: _Look | None = None
        self._last_fingerprint: Fingerprint | None = None
        self._own_state: OwnState = {}

    def with_arguments(self, arguments: Iterable[tuple[str, Any]]) -> Code:
        """The code of calls that hand in these functions and objects of these classes."""
        return Code(self._function, self._owner, self._ownership, arguments, self._save)

    def now(self) -> Fingerprint:
        """
        The fingerprint, as far as can be told at a glance: a hit asks for it.

        What names are bound to is compared each time, and so is what containers, objects and small arrays hold, and
        what functions do. Of an array of more than 64 KB some elements are compared, and of what only a library can
        take apart, such as a table of pandas, nothing: a run looks at all of it.
        """
        last = self._look_back
        if last is None:
            return self._look()
        few, codes, others, fingerprint = last.glance  # in one go: each by itself takes as long
        for get, name, value in few:
            if get(name, ABSENT) is not value:
                return self._look()
        for function, code in codes:
            if function.__code__ is not code:
                return self._look()
        if others is not None and others.have_changed():
            return self._look()
        return fingerprint

    def before_run(self) -> Fingerprint:
        """The fingerprint of what is about to run: everything is looked at."""
        last = self._look_back
        if last is None or any_changed(last.bindings):
            return self._look()
        if last.uncovered and any(map(self._has_changed, last.uncovered)):
            return self._look()
        if last.seldom and any(map(drafts.has_changed, last.seldom)):
            return self._look()
        return self.now()

    def with_edited(self, fingerprint: Fingerprint, names: Iterable[str]) -> Fingerprint:
        """That of a run which has loaded modules that were edited meanwhile; what is loaded now is seen next time."""
        self._look_back = None
        return fingerprint.with_edited(names)

    def after_run(self) -> None:
        """
        What the run has changed in place is its own state, such as a memo, and counts as it was before.

        A value bound anew is not: that is for the next call to see.
        """
        last = self._look_back
        if last is None or not (last.views or last.readings or last.uncovered):
            return
        for constant in last.constants:
            if not constant.binding.has_changed() and self._has_changed(constant):
                was = last.glance.fingerprint.parts[constant.number].bytecode
                self._own_state[constant.place] = constant.value, was
                self._look_back = None

    def _has_changed(self, constant: Constant) -> bool:
        before = constant.description
        if before.has_changed_in_place():
            return True
        if before.is_covered:
            return False
        return constants.describe(constant.value, self._ownership, constant.file).text != before.text

    def _look(self) -> Fingerprint:
        walk = Walk(self._ownership)
        walk.run(self._function, self._owner, self._arguments, self._own_state, self._save)
        fingerprint = Fingerprint(walk.graph.parts)
        last = self._last_fingerprint
        if last is not None and last.bytecode == fingerprint.bytecode:
            fingerprint = last
        fingerprint.unloaded = walk.graph.unloaded
        self._last_fingerprint = fingerprint
        self._look_back = _Look.of(fingerprint, walk.graph)
        return fingerprint


class _Others(NamedTuple):
    """
    What only some functions have.

    Attributes:
        groups: Names of which one holder has many, to be compared in one go.
        cells: What is closed over.
        views: Containers and objects, with what they held.
        readings: Arrays, with their bytes.
        unloaded: Modules that a run will load, with their files.
    """

    groups: tuple[_Group, ...]
    cells: tuple[tuple[CellType, Any], ...]
    views: tuple[View, ...]
    readings: tuple[Reading, ...]
    unloaded: tuple[Unloaded, ...]

    def have_changed(self) -> bool:
        """Whether something is bound to another value, or holds something else, than it did."""
        for get, names, values in self.groups:
            if not all(map(is_, map(get, names, _EVERY_ABSENT), values)):
                return True
        if any(_content_of(cell) is not value for cell, value in self.cells):
            return True
        for now, before in self.views:
            if len(now) != len(before) or not all(map(is_, now, before)):  # type: ignore[arg-type]
                return True
        if any(map(Unloaded.has_changed, self.unloaded)):
            return True
        return any(read() != before for read, before in self.readings)


class _Glance(NamedTuple):
    """
    What every hit compares.

    Attributes:
        few: Names: how to look one up, and what it was bound to.
        codes: The functions, with their code.
        others: What else is to be looked at, if anything is.
        fingerprint: What stands for as long as all of it is as it was.
    """

    few: tuple[tuple[Callable[[str, Any], Any], str, Any], ...]
    codes: tuple[tuple[FunctionType, CodeType], ...]
    others: _Others | None
    fingerprint: Fingerprint

    @classmethod
    def of(
        cls, fingerprint: Fingerprint, graph: Graph, views: tuple[View, ...], readings: tuple[Reading, ...]
    ) -> _Glance:
        watched = graph.bindings if _is_interactive() else graph.glances
        groups = list(_grouped(one for one in watched.values() if one.cell is None))
        many = tuple(group for group in groups if len(group[1]) >= _MANY)
        cells = tuple((one.cell, one.value) for one in watched.values() if one.cell is not None)
        others = _Others(many, cells, views, readings, tuple(graph.unloaded))
        few = [
            (get, *pair)
            for get, names, values in groups
            if len(names) < _MANY
            for pair in zip(names, values, strict=True)
        ]
        return cls(
            (*few, *_defaults_of(graph.functions[1:])),
            tuple((function, function.__code__) for function in graph.functions),
            others if any(others) else None,
            fingerprint,
        )


class _Look(NamedTuple):
    """
    What was seen when the code was last looked at.

    Attributes:
        glance: As much of it as every hit compares.
        bindings: All names.
        constants: The values.
        uncovered: Those of which a change does not show in the views and readings.
        views: Containers and objects, with what they held.
        readings: Arrays, with their bytes.
        seldom: Classes of other people's, looked at before a run.
    """

    glance: _Glance
    bindings: tuple[Binding, ...]
    constants: tuple[Constant, ...]
    uncovered: tuple[Constant, ...]
    views: tuple[View, ...]
    readings: tuple[Reading, ...]
    seldom: tuple[View, ...]

    @classmethod
    def of(cls, fingerprint: Fingerprint, graph: Graph) -> _Look:
        described: list[Description] = [constant.description for constant in graph.constants]
        views = (*graph.views, *(view for one in described for view in one.views))
        readings = tuple(reading for one in described for reading in one.readings)
        return cls(
            _Glance.of(fingerprint, graph, views, readings),
            tuple(graph.bindings.values()),
            tuple(graph.constants),
            tuple(one for one in graph.constants if not one.description.is_covered),
            views,
            readings,
            tuple(graph.seldom.values()),
        )


def _is_interactive() -> bool:
    """Whether functions are typed in and typed anew here, and modules reloaded: a notebook, or a prompt."""
    return not hasattr(sys.modules.get("__main__"), "__file__")


def _defaults_of(functions: Iterable[FunctionType]) -> Iterator[tuple[Callable[[str, Any], Any], str, Any]]:
    """What helpers have for defaults, as names that are looked up in them; of the function itself keys tell them."""
    for one in functions:
        for name, value in (("__defaults__", one.__defaults__), ("__kwdefaults__", one.__kwdefaults__)):
            if value is not None:
                yield functools.partial(getattr, one), name, value


_Group = tuple[Callable[[str, Any], Any], tuple[str, ...], tuple[Any, ...]]


def _grouped(bindings: Iterable[Binding]) -> Iterator[_Group]:
    """Names of one holder together, so that they are compared in one go."""
    groups: dict[Any, list[Binding]] = {}
    for one in bindings:
        groups.setdefault(one.get, []).append(one)
    for get, several in groups.items():
        yield get, tuple(one.name for one in several), tuple(one.value for one in several)


def _content_of(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return ABSENT
