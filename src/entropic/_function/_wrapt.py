"""
wrapt, without what only some of its features need.

Most of what it takes to import wrapt goes into two modules: asyncio, for decorators that lock and for bridges to
coroutines, and importlib.metadata, to look for entry points. A process with one hit would spend half of its time on
them. Here wrapt is imported with both left for the moment when a function of it asks them for something.

What is put in the place of an import is seen by the one module of wrapt that makes it, and never in `sys.modules`; so
nothing depends on what other threads, signal handlers or import hooks do meanwhile. (A stand-in in `sys.modules`, as
`importlib.util.LazyLoader` makes, would be seen by everybody, and can make two threads wait for each other.) Where the
import system finds wrapt otherwise, where wrapt writes its imports otherwise, or where somebody has imported wrapt or
those modules before, all is as ever.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .._fs import forks_held_off

if TYPE_CHECKING:
    from importlib.abc import PathEntryFinder

_LATE = frozenset(("asyncio", "importlib.metadata"))


class _LateImport(ModuleType):
    """
    What ``import name`` binds, until something in it is asked for: then the module is imported, and takes its place.

    Args:
        name: As it is written in the import.
        place: The globals in which it stands.
    """

    def __init__(self, name: str, place: dict[str, Any]) -> None:
        super().__init__(name.partition(".")[0])
        vars(self).update(_self_name=name, _self_place=place)

    def __getattr__(self, name: str) -> Any:
        return getattr(_imported(self), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_imported(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_imported(self), name)

    def __dir__(self) -> list[str]:
        return dir(_imported(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, (vars(self)["_self_name"],)  # for who sends functions of wrapt by value


def _imported(late: _LateImport) -> ModuleType:
    own = vars(late)
    with forks_held_off(importing=True):
        module = builtins.__import__(own["_self_name"])
    if own["_self_place"].get(module.__name__) is late:
        own["_self_place"][module.__name__] = module
    return module


def _import(
    place: dict[str, Any],
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """What import statements of a module call while it is executed; in its functions they are as ever."""
    place["__builtins__"] = vars(builtins)  # functions take it from here when they are defined
    if name in _LATE and not fromlist and level == 0 and name not in sys.modules:
        return _LateImport(name, place)
    return builtins.__import__(name, globals, locals, fromlist or (), level)


def _execute(loader: SourceFileLoader, module: ModuleType) -> None:
    """Do what ``loader.exec_module(module)`` does, with our `_import` where it spares something."""
    vars(loader).pop("exec_module", None)  # which is this function: from now on the loader is like any other
    code: Any = loader.get_code(module.__name__)
    place = vars(module)
    if not _LATE.isdisjoint(code.co_names):
        place["__builtins__"] = {**vars(builtins), "__import__": partial(_import, place)}
    exec(code, place)


class _Finder:
    """Finds the modules in the folder of wrapt, as the finder does that is asked otherwise."""

    def __init__(self, ordinary: PathEntryFinder) -> None:
        self._ordinary = ordinary

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = self._ordinary.find_spec(name, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            vars(spec.loader)["exec_module"] = partial(_execute, spec.loader)
        return spec

    def invalidate_caches(self) -> None:
        self._ordinary.invalidate_caches()


@contextmanager
def _late_imports(package: str) -> Iterator[None]:
    """A moment in which the modules of a package are imported without those of `_LATE`."""
    spec = None if package in sys.modules else find_spec(package)
    places = spec.submodule_search_locations or () if spec else ()
    finders: Any = sys.path_importer_cache
    PathFinder.find_spec(f"{package}.__main__", places)  # has the ordinary finders made
    ordinary = {place: finders[place] for place in places if finders.get(place)}
    finders.update({place: _Finder(finder) for place, finder in ordinary.items()})
    try:
        yield
    finally:
        finders.update(ordinary)


with _late_imports("wrapt"):
    import wrapt

__all__ = ["wrapt"]
