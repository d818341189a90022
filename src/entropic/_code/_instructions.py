"""The instructions of compiled code, and the names in them, for the versions of Python that there are."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

from .._fs import NamedTuple

GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
CELLS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
LOCALS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW"})
PAIRS = frozenset({"LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW", "STORE_FAST_LOAD_FAST"})
ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
STORES = frozenset({"STORE_FAST", "STORE_DEREF", "STORE_GLOBAL", "STORE_NAME", "STORE_FAST_LOAD_FAST"})
BOUND_ANEW = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
CELL_BOUND_ANEW = frozenset({"STORE_DEREF", "DELETE_DEREF"})
ONLY_POPS = frozenset({"POP_TOP", "POP_JUMP_IF_FALSE", "POP_JUMP_IF_TRUE", *STORES, "STORE_ATTR", "STORE_SUBSCR"})
ENDS = frozenset({"RETURN_VALUE", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_ABSOLUTE"})
SUBSCRIPT = 26
"""The argument of ``BINARY_OP`` that takes an item, from Python 3.14 on."""

_IS_310 = sys.version_info < (3, 11)
_MARKS_METHODS = sys.version_info >= (3, 12)  # in the lowest bit of what LOAD_ATTR is given
_SKIPPED = frozenset({"CACHE", "EXTENDED_ARG", "NOP", "RESUME", "PRECALL", "NOT_TAKEN"})
_OPNAMES = dis.opname
_CONSTANTS = frozenset(dis.hasconst)


class Step(NamedTuple):
    """One instruction."""

    name: str
    opcode: int
    arg: int


class Instructions:
    """
    The instructions of a piece of code.

    Attributes:
        steps: Those that do something.
    """

    def __init__(self, code: CodeType) -> None:
        self._code = code
        self.steps = list(_steps(code.co_code))

    def name(self, step: Step) -> str:
        """The global name that a step loads, or the name of what it imports."""
        is_shifted = step.name == "LOAD_GLOBAL" and not _IS_310
        return self._code.co_names[step.arg >> 1 if is_shifted else step.arg]

    def attribute(self, step: Step) -> str:
        """The attribute that a step loads."""
        is_shifted = step.name == "LOAD_ATTR" and _MARKS_METHODS
        return self._code.co_names[step.arg >> 1 if is_shifted else step.arg]

    def is_for_call(self, step: Step) -> bool:
        """Whether a step loads a name or an attribute to be called, and something beside it."""
        if step.name == "LOAD_GLOBAL":
            return not _IS_310 and bool(step.arg & 1)
        return step.name == "LOAD_METHOD" or (_MARKS_METHODS and step.name == "LOAD_ATTR" and bool(step.arg & 1))

    def local(self, place: int) -> str:
        """The local name of this number."""
        return self._code.co_varnames[place] if _IS_310 else self._any_local(place)

    def cell(self, place: int) -> str:
        """The closed-over name of this number."""
        if _IS_310:
            return (*self._code.co_cellvars, *self._code.co_freevars)[place]
        return self._any_local(place)

    def _any_local(self, place: int) -> str:
        name: str = self._code._varname_from_oparg(place)  # type: ignore[attr-defined,unused-ignore]
        return name

    def two_locals(self, step: Step) -> list[str]:
        """The local names that a step loads which does two things at once."""
        places = [step.arg & 15] if step.name == "STORE_FAST_LOAD_FAST" else [step.arg >> 4, step.arg & 15]
        return [self.local(place) for place in places]

    def stored(self, step: Step) -> str | None:
        """The name that a step binds, if it binds one."""
        if step.name not in STORES:
            return None
        if step.name == "STORE_DEREF":
            return self.cell(step.arg)
        if step.name in ("STORE_GLOBAL", "STORE_NAME"):
            return self._code.co_names[step.arg]
        return self.local(step.arg >> 4 if step.name == "STORE_FAST_LOAD_FAST" else step.arg)

    def constant(self, step: Step) -> Any:
        """The constant that a step loads, if it loads one."""
        if step.name == "LOAD_SMALL_INT":
            return step.arg
        return self._code.co_consts[step.arg] if step.opcode in _CONSTANTS else None


def code_objects_in(code: CodeType) -> Iterator[CodeType]:
    """The code of what is written inside a function: functions, lambdas, comprehensions, bodies of classes."""
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def _steps(raw: bytes) -> Iterator[Step]:
    high = 0
    for place in range(0, len(raw), 2):
        opcode, arg = raw[place], raw[place + 1] | high
        name = _OPNAMES[opcode]
        high = arg << 8 if name == "EXTENDED_ARG" else 0
        if name not in _SKIPPED:
            yield Step(name, opcode, arg)
