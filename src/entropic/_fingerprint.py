"""Which function this is: its name across scripts and processes, its code, and what it closes over."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from .errors import EntropicError
from .hashing import Identity, canonical, normalize

_MAIN = ("__main__", "__mp_main__")


def function_name(function: Callable[..., Any]) -> str:
    """
    The name a function keeps wherever it is called from: ``module.qualname``.

    In a script, the script's file stem stands for the module, so that running it and importing it are the same.

    Raises:
        TypeError: It is a lambda, and all lambdas of a module have one name.
    """
    if function.__name__ == "<lambda>":
        raise TypeError("Cannot decorate a lambda without a name of its own. Pass name= to cached().")
    return f"{_module_name(function)}.{function.__qualname__}"


def code_digest(function: Callable[..., Any]) -> str:
    """Digest of a function's compiled code and defaults; comments, formatting, place and docstring do not matter."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    parts = (_code_parts(code, function.__doc__), repr(_default_texts(function)))
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()


class Closure:
    """
    The values a function closes over, as part of its identity.

    What the function's own runs change, such as a list they append to, is their output and not part of the question
    they answer: such a value counts as it was before. What anybody else changes makes another question.

    Args:
        function: The function.
        name: For error messages, and the base of the identity.
        fields: The other fields of the identity.

    Raises:
        TypeError: A value cannot be normalised, and is neither a module nor an importable function or class.
    """

    def __init__(self, function: Callable[..., Any], name: str, fields: dict[str, Any]) -> None:
        self._name = name
        self._fields = fields
        cells = getattr(function, "__closure__", None) or ()
        names = function.__code__.co_freevars if cells else ()
        # A function that calls itself closes over its own name, which has no value yet while it is decorated.
        own = function.__name__
        self._cells = {name: cell for name, cell in zip(names, cells, strict=True) if name != own}
        self._lock = threading.Lock()
        self._running = 0
        self._seen = self._look()
        self._identity = self._identity_of(self._seen)

    def identity(self) -> Identity:
        """The function's identity as of now."""
        if self._cells:
            self._notice_changes()
        return self._identity

    def __enter__(self) -> None:
        """A run of the function begins: what changes from now on, it may have changed itself."""
        if self._cells:
            self.identity()
            with self._lock:
                self._running += 1

    def __exit__(self, *exception: object) -> None:
        if self._cells:
            with self._lock:
                self._running -= 1
                self._seen = self._look()

    def _notice_changes(self) -> None:
        now = self._look()
        with self._lock:
            if now != self._seen and not self._running:
                self._seen = now
                self._identity = self._identity_of(now)

    def _look(self) -> dict[str, Any]:
        return {name: self._normalized(name, cell) for name, cell in self._cells.items()}

    def _normalized(self, name: str, cell: Any) -> Any:
        try:
            value = cell.cell_contents
        except ValueError:
            reason = "which has no value yet. Define it before the function"
            raise TypeError(f"Cannot decorate {self._name}: it closes over {name!r}, {reason}.") from None
        if code := importable_name(value):
            return {"$code": code}
        try:
            return normalize(value)
        except EntropicError as error:
            raise TypeError(
                f"Cannot decorate {self._name}: it closes over {name!r}, which cannot be part of a key ({error}) "
                f"Pass it as a parameter, with ignore=({name!r},) if results do not depend on it."
            ) from None

    def _identity_of(self, values: dict[str, Any]) -> Identity:
        return Identity.of({**self._fields, "closure": values} if values else self._fields)


def importable_name(value: Any) -> str | None:
    """The name under which a module, function or class can be imported, if it can."""
    if isinstance(value, ModuleType):
        return value.__name__
    name = getattr(value, "__qualname__", None)
    if isinstance(value, (FunctionType, type)) and name and "<" not in name:
        return f"{_module_name(value)}.{name}"
    return None


def _module_name(value: Any) -> str:
    module = str(value.__module__)
    if module not in _MAIN:
        return module
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(script).stem if script else "__main__"


def _code_parts(code: CodeType, docstring: str | None) -> tuple[Any, ...]:
    constants = [
        _code_parts(constant, None) if isinstance(constant, CodeType) else (type(constant).__name__, repr(constant))
        for constant in code.co_consts
        if docstring is None or constant != docstring
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, constants, names, code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount


def _default_texts(function: Any) -> list[str]:
    texts = []
    for value in [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]:
        try:
            texts.append(canonical(normalize(value)))
        except EntropicError:
            texts.append(type(value).__qualname__)  # such a value cannot be in a key, so its type will do
    return texts
