"""
What a piece of compiled code reads: the names it looks up, the attributes it takes of them, the imports in its body.

Compiled code is what runs, so it is what is read here: private names are spelt as Python looks them up, and no name is
taken for that of another scope. A value that is handed on, called or computed with counts as a whole; a value of which
an attribute is taken counts by that attribute.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from itertools import chain as joined
from types import CodeType
from typing import Any

from .._fs import NamedTuple, remember
from ._instructions import (
    ATTRIBUTES,
    BOUND_ANEW,
    CELL_BOUND_ANEW,
    CELLS,
    ENDS,
    GLOBALS,
    LOCALS,
    ONLY_POPS,
    PAIRS,
    SUBSCRIPT,
    Instructions,
    Step,
    code_objects_in,
)

Chain = tuple[str, ...]
"""A name and its attributes: ``model.rhs`` is ``("model", "rhs")``."""

WHOLE = ""
"""Stands for anything at all that the bases of a class have, where `super()` is not asked for one attribute."""


class Import(NamedTuple):
    """What an import inside a function binds: a module, or a member of one."""

    module: str
    level: int
    member: str | None


class Reads(NamedTuple):
    """
    What a piece of code, with the code inside it, reads.

    Attributes:
        names: Looked up in the module.
        cells: Closed over.
        own: Taken of the first parameter, without its name; empty where that is used as a whole.
        supers: Attributes taken of ``super()``.
        imports: What imports in the body bind, with the attributes that are taken of it.
        changed: Names and attributes that the code binds anew or changes in place: (where the name is, chain).
        filled: Parameters and local names that the code changes in place.
        captures: Something, if the code may catch what is printed, or what is warned of.
    """

    names: frozenset[Chain]
    cells: frozenset[Chain]
    own: frozenset[Chain]
    supers: frozenset[str]
    imports: frozenset[tuple[Import, Chain]]
    changed: frozenset[tuple[str, Chain]]
    filled: frozenset[str]
    captures: frozenset[str]


CHANGING = frozenset(
    {"add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "fill", "insert"}
    | {"intersection_update", "move_to_end", "pop", "popitem", "popleft", "remove", "resize", "reverse", "setdefault"}
    | {"sort", "subtract", "symmetric_difference_update", "update", "__setitem__", "__delitem__"}
)
"""Methods by which containers are changed in place."""

LOADING = frozenset({"import_module", "__import__", "resolve_name", "modules"})
"""What finds modules by texts."""

RUNNING = frozenset({"eval", "exec"})
"""What runs texts."""

_MANY = 4096
_known: dict[int, tuple[CodeType, Reads]] = {}


def reads_of(code: CodeType) -> Reads:
    """What a function's code reads; remembered for the very code object."""
    known = _known.get(id(code))
    if known is not None and known[0] is code:
        return known[1]
    scan = _Scan(code, {})
    scan.run()
    reads = scan.reads()
    remember(_known, id(code), (code, reads), _MANY)
    return reads


def turning_texts(reads: Reads) -> frozenset[str]:
    """What of that which code reads turns texts into code."""
    read = {chain[-1] for chain in reads.names} | {chain[-1] for _, chain in reads.imports if chain}
    read |= {one.member for one, _ in reads.imports if one.member is not None}
    return frozenset(read & (LOADING | RUNNING))


Edge = tuple[str, Chain]
"""What a name is read in, and its chain."""


def edges_read(reads: Reads) -> set[Edge]:
    """The names that code reads, each with where it is looked up."""
    found: set[Edge] = {("", chain) for chain in reads.names}
    found |= {("closed-over ", chain) for chain in reads.cells}
    return found | {("", ("self", *chain)) for chain in reads.own}


def label_of(edge: Edge) -> str:
    """A name that is read, in words."""
    return edge[0] + ".".join(edge[1])


# ---- the scan -------------------------------------------------------------------------------------------------------

_Root = tuple[str, Any]
"""Where a chain begins: ``name``, ``cell``, ``own``, ``import`` or ``local``, and what is known of it."""
_Held = tuple[_Root, Chain]


class _Scan:
    """One pass over a piece of code, and over those inside it."""

    def __init__(self, code: CodeType, roots: dict[str, _Root]) -> None:
        self._code = code
        self._roots = roots
        self._lines = Instructions(code)
        self._steps = self._lines.steps
        self._cells = frozenset((*code.co_cellvars, *code.co_freevars))
        self._receiver = code.co_varnames[0] if not roots and code.co_argcount else None
        self._imports = _imports_in(self._lines)
        self._stack: list[_Held | None] = []
        self.found: dict[str, set[Any]] = {field: set() for field in Reads._fields}

    def reads(self) -> Reads:
        for one in joined.from_iterable(self._imports.values()):
            if not any(found == one for found, _ in self.found["imports"]):
                self.found["imports"].add((one, ()))  # imported for what the import does
        return Reads(*(frozenset(self.found[field]) for field in Reads._fields))

    def run(self) -> None:
        self.found["captures"].update(_captures_in(self._code))
        place = 0
        while place < len(self._steps):
            place = self._step(place)
        for inner in code_objects_in(self._code):
            scan = _Scan(inner, {"": ("", None), **self._roots_inside(inner)})
            scan.found = self.found
            scan.run()
            for one in joined.from_iterable(scan._imports.values()):
                self.found["imports"].add((one, ()))

    def _roots_inside(self, inner: CodeType) -> dict[str, _Root]:
        return {name: self._root_of_cell(name) for name in inner.co_freevars}

    def _root_of_cell(self, name: str) -> _Root:
        if name in self._imports:
            return "import", self._imports[name]
        if name == self._receiver:
            return "own", None
        if name in self._roots:
            return self._roots[name]
        return ("local", name) if name in self._code.co_cellvars else ("cell", name)

    # ---- one step -----------------------------------------------------------------------------------------------

    def _step(self, place: int) -> int:
        step = self._steps[place]
        if step.name in PAIRS:
            return self._load_two(place, self._lines.two_locals(step))
        root = self._loaded(step)
        if root is not None:
            return self._load(place, root)
        self._other(step)
        return place + 1

    def _load_two(self, place: int, names: list[str]) -> int:
        """Load two local names, or one after another was bound; of the last one an attribute may be taken."""
        roots = [self._root_of_local(name) for name in names]
        for root in roots[:-1]:
            self._use(root, ())
        self._stack += [(root, ()) for root in roots]
        return self._follow(place, roots[-1], ())

    def _loaded(self, step: Step) -> _Root | None:
        if step.name in GLOBALS:
            name = self._lines.name(step)
            return ("import", self._imports[name]) if name in self._imports else ("name", name)
        if step.name in LOCALS:
            name = self._lines.local(step.arg)
            # From Python 3.13 on the cells of inner functions are loaded so; what these read is seen in them.
            return None if name in self._cells else self._root_of_local(name)
        return self._root_of_cell(self._lines.cell(step.arg)) if step.name in CELLS else None

    def _root_of_local(self, name: str) -> _Root:
        if name in self._imports:
            return "import", self._imports[name]
        return ("own", None) if name == self._receiver else ("local", name)

    def _load(self, place: int, root: _Root) -> int:
        if root == ("name", "super"):
            return self._super(place)
        chain: Chain = (root[1],) if root[0] in ("name", "cell") else ()
        if self._lines.is_for_call(self._steps[place]):
            self._stack.append(None)  # what a call wants beside what is called
        self._stack.append((root, chain))
        return self._follow(place, root, chain)

    def _follow(self, place: int, root: _Root, chain: Chain) -> int:
        """Follow the attributes that are taken of what is on the stack, to the step after them."""
        place += 1
        while place < len(self._steps) and self._steps[place].name in ATTRIBUTES:
            step = self._steps[place]
            chain = (*chain, self._lines.attribute(step))
            self._stack[-1:] = [(root, chain)]
            if self._lines.is_for_call(step):
                self._stack.append(None)
            place += 1
        after = self._steps[place] if place < len(self._steps) else None
        if after is not None and after.name in ("STORE_ATTR", "DELETE_ATTR"):
            self.found["captures"].update({"stdout", "stderr"} & {self._code.co_names[after.arg]})
            self._change(root, (*chain, self._code.co_names[after.arg]))
        elif after is not None and self._is_copied_for_attribute(place):
            self._change(root, (*chain, self._lines.attribute(self._steps[place + 1])))
            self._use(root, (*chain, self._lines.attribute(self._steps[place + 1])))
        else:
            self._use(root, chain)
        return place

    def _is_copied_for_attribute(self, place: int) -> bool:
        """Whether an attribute is changed by ``+=`` and the like."""
        step = self._steps[place]
        is_copied = step.name == "DUP_TOP" or (step.name == "COPY" and step.arg == 1)
        return is_copied and place + 1 < len(self._steps) and self._steps[place + 1].name == "LOAD_ATTR"

    def _super(self, place: int) -> int:
        names = [step.name for step in self._steps[place + 1 : place + 4]]
        self._stack.append(None)
        if names[-1:] == ["LOAD_SUPER_ATTR"] and len(names) == 3:
            self.found["supers"].add(self._code.co_names[self._steps[place + 3].arg >> 2])
            return place + 4
        is_bare = names[:1] in (["CALL"], ["CALL_FUNCTION"]) and self._steps[place + 1].arg == 0
        if is_bare and names[1:2] and names[1] in ATTRIBUTES:
            self.found["supers"].add(self._lines.attribute(self._steps[place + 2]))
            return place + 3
        self.found["supers"].add(WHOLE)
        return place + 1

    def _other(self, step: Step) -> None:
        if step.name in BOUND_ANEW:
            self._change(("name", ""), (self._code.co_names[step.arg],))
        elif step.name in CELL_BOUND_ANEW:
            self._rebind(self._root_of_cell(self._lines.cell(step.arg)))
        elif step.name in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            self._change_item(2)
        elif step.name == "STORE_SLICE":
            self._change_item(3)
        self._move(step)

    def _rebind(self, root: _Root) -> None:
        if root[0] == "cell":
            self._change(root, (root[1],))

    # ---- the stack ----------------------------------------------------------------------------------------------

    def _change_item(self, depth: int) -> None:
        held = self._stack[-depth] if len(self._stack) >= depth else None
        if held is not None:
            self._change(*held)

    def _move(self, step: Step) -> None:
        """Keep track of what lies on the stack, as far as it matters where items are stored."""
        stack = self._stack
        if step.name in ("COPY", "DUP_TOP"):
            depth = step.arg if step.name == "COPY" else 1
            stack.append(stack[-depth] if len(stack) >= depth else None)
        elif step.name == "DUP_TOP_TWO":
            stack.extend(stack[-2:] if len(stack) >= 2 else [None, None])
        elif step.name == "SWAP":
            if len(stack) >= step.arg:
                stack[-step.arg], stack[-1] = stack[-1], stack[-step.arg]
        elif step.name in ("ROT_TWO", "ROT_THREE", "ROT_FOUR"):
            depth = {"ROT_TWO": 2, "ROT_THREE": 3, "ROT_FOUR": 4}[step.name]
            if len(stack) >= depth:
                stack.insert(len(stack) - depth, stack.pop())
        elif step.name == "BINARY_SUBSCR" or (step.name == "BINARY_OP" and step.arg == SUBSCRIPT):
            # An item of a container is changed with it.
            del stack[-1:]
        elif step.name in ENDS:
            stack.clear()
        else:
            self._move_by_effect(step)

    def _move_by_effect(self, step: Step) -> None:
        stack = self._stack
        try:
            effect = dis.stack_effect(step.opcode, step.arg if step.opcode >= dis.HAVE_ARGUMENT else None, jump=False)
        except ValueError:
            stack.clear()
            return
        if effect < 0:
            del stack[effect:]
        else:
            stack.extend([None] * effect)
        if stack and step.name not in ONLY_POPS:
            stack[-1] = None

    # ---- what was found -----------------------------------------------------------------------------------------

    def _use(self, root: _Root, chain: Chain) -> None:
        kind, what = root
        if kind == "name":
            self.found["names"].add(chain)
        elif kind == "cell":
            self.found["cells"].add(chain)
        elif kind == "own":
            self.found["own"].add(chain)
        elif kind == "import":
            self.found["imports"].update((one, chain) for one in what)
        if kind in ("local", "own") and chain and chain[-1] in CHANGING:
            self.found["filled"].add(what or self._receiver or "")

    def _change(self, root: _Root, chain: Chain) -> None:
        kind, what = root
        if kind in ("name", "cell", "own"):
            self.found["changed"].add((kind, chain))
        if kind in ("local", "own"):
            self.found["filled"].add(what or self._receiver or "")


def _captures_in(code: CodeType) -> Iterator[str]:
    """What may catch the output of the code, or that of what it calls; or make errors of warnings."""
    names = frozenset(code.co_names)
    yield from names & {"redirect_stdout", "redirect_stderr"}
    texts = {
        text for one in code.co_consts for text in (one if isinstance(one, tuple) else (one,)) if type(text) is str
    }
    if ("catch_warnings" in names and "record" in texts) or (
        names & {"simplefilter", "filterwarnings"} and "error" in texts
    ):
        yield "warnings"


def _imports_in(lines: Instructions) -> dict[str, tuple[Import, ...]]:
    """The names that imports in the body bind, each with all that may be bound to it: branches differ."""
    steps = lines.steps
    found: dict[str, tuple[Import, ...]] = {}
    module, level, wanted = "", 0, False
    for place, step in enumerate(steps):
        if step.name == "IMPORT_NAME":
            module = lines.name(step)
            given = lines.constant(steps[place - 2])
            level, wanted = given if isinstance(given, int) else 0, lines.constant(steps[place - 1]) is not None
            bound = lines.stored(steps[place + 1]) if place + 1 < len(steps) else None
            if bound is not None:
                one = Import(module if wanted or level else module.partition(".")[0], level, None)
                found[bound] = (*found.get(bound, ()), one)
                if not wanted and "." in module:
                    found[f"{bound} {module}"] = (Import(module, level, None),)
        elif step.name == "IMPORT_FROM":
            # ``import a.b as c`` looks for b in a, and binds the last of them.
            bound = next(filter(None, map(lines.stored, steps[place + 1 : place + 4])), None)
            if bound is not None:
                one = Import(module, level, lines.name(step) if wanted else None)
                found[bound] = (*found.get(bound, ()), one)
    return found
