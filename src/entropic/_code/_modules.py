"""Modules that imports inside functions lead to: what they are called, and where they lie. Nothing is imported."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from ._scopes import Import


def absolute_name(one: Import, namespace: dict[str, Any]) -> str | None:
    """The full name of the module that an import in a function of some module names; None if it has none."""
    if not one.level:
        return one.module
    package = namespace.get("__package__") or str(namespace.get("__name__", "")).rpartition(".")[0]
    try:
        return importlib.util.resolve_name("." * one.level + one.module, str(package))
    except (ImportError, ValueError):
        return None


def find(name: str) -> str | None:
    """
    The file of a module that is not loaded; None if there is none of Python source.

    Its packages are looked through, not imported.
    """
    found = _spec(name)
    return found[0] if found is not None else None


def _spec(name: str) -> tuple[str | None, Sequence[str]] | None:
    parent, _, _ = name.rpartition(".")
    path: Sequence[str] | None = None
    if parent:
        loaded = sys.modules.get(parent)
        if isinstance(loaded, ModuleType):
            path = vars(loaded).get("__path__")
        else:
            above = _spec(parent)
            path = above[1] if above is not None else None
        if not path:
            return None
    elif name in sys.stdlib_module_names or name in sys.builtin_module_names:
        return None
    try:
        spec = PathFinder.find_spec(name, list(path) if path is not None else None)
    except Exception:
        return None
    if spec is None:
        return None
    file = spec.origin if spec.has_location and str(spec.origin).endswith(".py") else None
    return file, list(spec.submodule_search_locations or ())


@functools.lru_cache(maxsize=256)
def package_of(name: str, file: str) -> str:
    """The package that relative imports in a module start from."""
    return name if file.endswith("__init__.py") else name.rpartition(".")[0]
