"""What a function closes over, as part of its identity."""

from __future__ import annotations

import contextlib
import dis
import sys
import threading
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from .. import errors
from .._code import layers_of
from .._fs import NamedTuple, watch_forks
from ..hashing import Identity, canonical, module_name, name_of, normalize

_MAIN = ("__main__", "__mp_main__")
_IMMUTABLE = frozenset({int, float, str, bool, bytes, type(None)})
_CODE = (FunctionType, BuiltinFunctionType, type, ModuleType)
_SETS_A_CELL = ("STORE_DEREF", "DELETE_DEREF")


class Closure:
    """
    The values a function closes over, as part of its identity.

    What the function's own runs change, such as a list they append to, is their output and not part of the question
    they answer: such a value counts as it was before. What anybody else changes makes another question.

    While a run is under way, a name bound to another value is the function's own doing only if its code does that. A
    value changed in place cannot tell who did it, and counts as changed by the run: change it between the runs.

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
        self._cells, self._assigned = _cells_of(function)
        self._lock = threading.RLock()
        self._running: list[int] = []
        self._seen: dict[str, _Seen] = {}
        self._seen = {name: self._look(name) for name in self._cells}
        self._asked = dict(self._seen)
        self._identity = self._new_identity()
        watch_forks(self)

    def after_fork(self) -> None:
        """Other threads, their hold on the lock and their runs stay in the parent."""
        self._lock = threading.RLock()
        self._running = [thread for thread in self._running if thread == threading.get_ident()]

    def identity(self) -> Identity:
        """
        The function's identity as of now.

        Raises:
            TypeError: A value is no longer one that can be part of a key.
        """
        if not self._cells:
            return self._identity
        # Looked at under the lock: else a slow thread could put back what it saw before a change.
        with self._lock:
            self._take_notice({name: self._look(name) for name in self._cells})
            return self._identity

    @property
    def holds_anything(self) -> bool:
        """Whether the function closes over anything; if not, its identity stays the same."""
        return bool(self._cells)

    def running(self, identity: Identity) -> contextlib.AbstractContextManager[None]:
        """
        A run for a key made with *identity*: what changes in place from now on, it may have changed itself.

        Raises:
            RuntimeError: Somebody else has changed what the function closes over since the key was made, so that its
                result would be recorded as the answer to another question.
        """
        return self._held_to(identity) if self._cells else contextlib.nullcontext()

    @contextlib.contextmanager
    def _held_to(self, identity: Identity) -> Iterator[None]:
        with self:
            self._require_unchanged(identity)
            yield
        self._require_unchanged(identity)

    def __enter__(self) -> None:
        if self._cells:
            with self._lock:
                self.identity()
                self._running.append(threading.get_ident())

    def __exit__(self, *exception: object) -> None:
        if self._cells:
            with self._lock:
                self._take_notice({name: self._look_after_run(name) for name in self._cells})
                self._running.remove(threading.get_ident())

    def _require_unchanged(self, identity: Identity) -> None:
        if self._identity.line != identity.line:
            raise RuntimeError(
                f"Cannot record a run of {self._name}: what it closes over was changed after the call began. "
                f"Change it between calls, or pass it as a parameter."
            )

    def _take_notice(self, now: dict[str, _Seen]) -> None:
        """Tell what others have changed from what a run has; only the former makes another identity."""
        of_others = {
            name: seen
            for name, seen in now.items()
            if seen.text != self._seen[name].text and not self._is_own_change(name, seen.value)
        }
        self._seen = now
        if of_others:
            self._asked.update(of_others)
            self._identity = self._new_identity()

    def _is_own_change(self, name: str, value: Any) -> bool:
        return bool(self._running) and (name in self._assigned or value is self._seen[name].value)

    def _look(self, name: str) -> _Seen:
        try:
            value = self._cells[name].cell_contents
        except ValueError:
            reason = "which has no value yet. Define it before the function"
            raise TypeError(f"Cannot cache {self._name}: it closes over {name!r}, {reason}.") from None
        seen = self._seen.get(name)
        if seen is not None and seen.value is value and (type(value) in _IMMUTABLE or isinstance(value, _CODE)):
            return seen
        if code := importable_name(value):
            return _Seen.of(value, {"$code": code})
        try:
            return _Seen.of(value, normalize(value))
        except errors.EntropicError as error:
            advice = f"Pass it as a parameter, with ignore=({name!r},) if results do not depend on it."
            if callable(value):
                advice = f"Define it at module level, where its name tells it apart. Or p{advice[1:]}"
            reason = f"it closes over {name!r}, which cannot be part of a key ({error})"
            raise TypeError(f"Cannot cache {self._name}: {reason} {advice}") from None

    def _look_after_run(self, name: str) -> _Seen:
        try:
            return self._look(name)
        except TypeError:
            # The run has made it unfit for a key. The next call says so; this run's result is not to blame.
            return _Seen(self._seen[name].value, None, "")

    def _new_identity(self) -> Identity:
        values = {name: seen.normalized for name, seen in self._asked.items()}
        return Identity.of({**self._fields, "closure": values} if values else self._fields)


class _Seen(NamedTuple):
    """A closed-over value when it was last looked at; the text tells 1 from True, as comparing values would not."""

    value: Any
    normalized: Any
    text: str

    @classmethod
    def of(cls, value: Any, normalized: Any) -> _Seen:
        return cls(value, normalized, canonical(normalized))


def importable_name(value: Any) -> str | None:
    """The name under which a module, function or class can be imported, if it, or what wraps it, is found there."""
    if isinstance(value, ModuleType):
        return value.__name__
    if not isinstance(value, _CODE):
        return None
    name = getattr(value, "__qualname__", None)
    if found := name_of(value):
        return found
    is_wrapped = name and "<" not in name and _is_found(value, name)
    return f"{module_name(value, str(value.__module__))}.{name}" if is_wrapped else None


def _is_found(value: Any, qualname: str) -> bool:
    """Whether a name leads to this object: generated functions often share one, such as ``_lambdifygenerated``."""
    found: Any = sys.modules.get(str(value.__module__))
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is None:
        return value.__module__ in _MAIN  # sent by value to a process that has another main module
    return any(layer is value for layer in layers_of(found))


def _cells_of(function: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """What a function and those it wraps close over, and which of it their own code binds anew (``nonlocal``)."""
    layers = layers_of(function)
    cells: dict[str, Any] = {}
    assigned: set[str] = set()
    for depth, layer in enumerate(layers):
        mark = f"@{depth}" if depth else ""
        for name, cell in zip(*_closed_over(layer), strict=True):
            if not _is_own(name, cell, layers):
                cells[name + mark] = cell
                assigned.update({name + mark} if name in _assigned_names(layer.__code__) else ())
    return cells, frozenset(assigned)


def _closed_over(function: Any) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    cells = getattr(function, "__closure__", None) or ()
    return (function.__code__.co_freevars, cells) if cells else ((), ())


def _is_own(name: str, cell: Any, layers: list[Any]) -> bool:
    """Whether a cell holds the function itself, or its class: named by the identity already, if bound at all yet."""
    try:
        content = cell.cell_contents
    except ValueError:
        return name == "__class__" or name == layers[0].__name__
    codes = [layer.__code__ for layer in layers if hasattr(layer, "__code__")]
    return name == "__class__" or any(getattr(own, "__code__", None) in codes for own in layers_of(content))


def _assigned_names(code: CodeType) -> set[str]:
    names = {step.argval for step in dis.get_instructions(code) if step.opname in _SETS_A_CELL}
    return names.union(*(_assigned_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))
