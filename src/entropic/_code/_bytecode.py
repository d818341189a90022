"""The digest of a function's compiled code."""

from __future__ import annotations

import dis
import hashlib
import inspect
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

from .. import errors
from ..hashing import canonical, normalize

PYTHON = f"py{sys.version_info[0]}{sys.version_info[1]}-"
"""The mark of a digest of bytecode: it says nothing about that of another Python."""

_DIGITS = 16
_CONSTANTS = frozenset(dis.hasconst)
_EXTENDED = dis.EXTENDED_ARG
_KINDS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE


def code_digest(function: Callable[..., Any]) -> str:
    """
    Digest of a function's compiled code and defaults; comments, formatting, place and docstring do not matter.

    Of a function wrapped by other decorators, the code of all of them. From Python 3.13 on the compiler joins steps
    that stand on one line, so a line break within an expression can matter.
    """
    parts = [
        (_code_parts(layer.__code__), _default_texts(layer))
        for layer in layers_of(function)
        if hasattr(layer, "__code__")
    ]
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest() if parts else ""


def body_digest(code: CodeType) -> str:
    """
    Digest of what a function's code does, for this Python; defaults, docstring, place and names of files are not in it.

    Example:
        >>> body_digest((lambda x: x + 1).__code__) == body_digest((lambda x: x + 2).__code__)
        False
    """
    return PYTHON + hashlib.sha256(repr(_body(code)).encode("utf-8", "backslashreplace")).hexdigest()[:_DIGITS]


def _body(code: CodeType) -> tuple[Any, ...]:
    """As `_code_parts`, read straight from the bytes: a fresh process asks for it before its first hit."""
    raw, constants = code.co_code, code.co_consts
    loaded: list[Any] = []
    steps = bytearray(raw)
    high = 0
    for place in range(0, len(raw), 2):
        opcode = raw[place]
        if opcode == _EXTENDED:
            high = (high | raw[place + 1]) << 8
            continue
        if opcode in _CONSTANTS:
            # Which number a constant has depends on whether there is a docstring.
            loaded.append(_constant_body(constants[raw[place + 1] | high]))
            steps[place + 1] = 0
        high = 0
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags & _KINDS)
    return bytes(steps), loaded, names, counts, getattr(code, "co_exceptiontable", b"")


def _constant_body(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return _body(constant)
    if isinstance(constant, (tuple, frozenset)):
        return _constant_parts(constant)
    return type(constant).__name__, repr(constant)


def layers_of(function: Any) -> list[Any]:
    """A function, and what it wraps by `functools.wraps`, from the outside in."""
    layers: list[Any] = []
    while function is not None and not any(layer is function for layer in layers):
        layers.append(function)
        function = getattr(function, "__wrapped__", None)
    return layers


def _code_parts(code: CodeType) -> tuple[Any, ...]:
    """The instructions with the constants they load: a docstring is a constant that none of them does."""
    steps = [
        (step.opname, _constant_parts(step.argval) if step.opcode in dis.hasconst else step.arg)
        for step in dis.get_instructions(code)
        if step.opname != "EXTENDED_ARG"
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags & _KINDS)
    return steps, names, counts, getattr(code, "co_exceptiontable", b"")


def _constant_parts(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return _code_parts(constant)
    if isinstance(constant, tuple):
        return [_constant_parts(item) for item in constant]
    if isinstance(constant, frozenset):
        return "frozenset", sorted(repr(_constant_parts(item)) for item in constant)
    return type(constant).__name__, repr(constant)


def _default_texts(function: Any) -> list[str]:
    texts = []
    for value in [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]:
        try:
            texts.append(canonical(normalize(value)))
        except errors.EntropicError:
            texts.append(type(value).__qualname__)  # such a value cannot be in a key, so its type will do
    return texts
