"""Functions, classes and modules as values: by name. Their code is for the fingerprint of the call."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from .. import errors
from ._forms import Tagged
from ._types import attributes_of, class_attribute, type_name

_MAIN = ("__main__", "__mp_main__")
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType)
_NAMED_BY_THEMSELVES = frozenset(
    {"BaseObjectProxy", "ObjectProxy", "cython_function_or_method", "fused_cython_function", "PjitFunction"}
)
_UFUNC_HOMES = ("numpy", "scipy.special")
_ADVICE = "It is not what is found under its name: define it at module level, by a name of its own."


def function_form(value: Any) -> Any:
    """
    A function, method, partial, class or module as a tagged name; None if it is none of these.

    Raises:
        UnsupportedTypeError: Its name leads to something else, or to nothing: a lambda, or a function in a function.
    """
    kind = type(value)  # not isinstance: it asks an object for its __class__
    if issubclass(kind, ModuleType):
        return Tagged("$module", value.__name__)
    if issubclass(kind, partial):
        return Tagged("$function", _name_or_self(value.func), {"args": list(value.args), "kwargs": value.keywords})
    if issubclass(kind, MethodType):
        return Tagged("$function", _required_name(value.__func__), {"self": value.__self__})
    if issubclass(kind, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType | None):
        return Tagged("$function", f"{type_name(value.__self__)}.{value.__name__}", {"self": value.__self__})
    if issubclass(kind, type):
        return Tagged("$type", _required_name(value))
    if issubclass(kind, _FUNCTIONS):
        return Tagged("$function", _required_name(value))
    name = name_of(value) if callable(value) else None
    return Tagged("$function", name) if name else None


def name_of(value: Any) -> str | None:
    """The public name under which a function or class is found, if it is exactly what is found there."""
    if type(value).__name__ == "ufunc":
        return next(
            (f"{home}.{value.__name__}" for home in _UFUNC_HOMES if _found(home, value.__name__) is value), None
        )
    module, qualname = _own_names(value)
    if not (isinstance(module, str) and isinstance(qualname, str)) or "<" in qualname:
        return None
    found = _found(module, qualname)
    if found is None and module in _MAIN and module in sys.modules:
        found = value  # sent by value to a process that has another main module
    return (
        f"{public_module(value, module, qualname) or module_name(value, module)}.{qualname}" if found is value else None
    )


def module_name(value: Any, module: str) -> str:
    """
    The module a function or class is known to be of, wherever its program runs.

    Where a script or a notebook stands for the module, the stem of its file; of a module run by ``python -m``, its own
    name; ``__main__`` where nothing is known, as at a prompt.
    """
    if not _is_main(module):
        return module
    name, path = main_module(value, module)
    return name or ("__main__" if path is None else Path(path).stem)


def main_module(value: Any, module: str) -> tuple[str | None, str | None]:
    """
    The name of the main module that a function or class is of, if it is a module, and its file, if one is known.

    The namespace of a function knows this better than the main module, which may be that of a profiler. What a notebook
    server says of a notebook counts in a kernel only: a script that is started there is told the same.
    """
    # While a spawned worker runs the script anew, under its second name, ``__main__`` is still the pool's own.
    scope = getattr(value, "__globals__", None) or attributes_of(sys.modules.get(module))
    name = getattr(scope.get("__spec__"), "name", None)
    path = scope.get("__file__") or scope.get("__vsc_ipynb_file__")
    if path is None and "ipykernel" in sys.modules:
        path = os.environ.get("JPY_SESSION_NAME")
        path = path if path is not None and path.endswith(".ipynb") else None
    return name if isinstance(name, str) and not _is_main(name) else None, path if isinstance(path, str) else None


def _is_main(module: str) -> bool:
    """Whether the name of a module says nothing of it, as ``__main__`` or ``<run_path>``."""
    return module in _MAIN or module.startswith("<")


def public_module(value: Any, module: str, qualname: str) -> str | None:
    """The package above a private module (``scipy.linalg._basic``) in which an object is found as well."""
    public, private, _ = module.partition("._")
    return public if private and _found(public, qualname) is value else None


def _name_or_self(function: Any) -> Any:
    form = function_form(function)
    return form.content if form is not None and not form.more else function


def _required_name(value: Any) -> str:
    name = name_of(value)
    if name is None:
        raise errors.UnsupportedTypeError("", type_name(value), _ADVICE)
    return name


def _own_names(value: Any) -> tuple[Any, Any]:
    if issubclass(type(value), (type, *_FUNCTIONS)):
        module = getattr(value, "__module__", None) or getattr(getattr(value, "__objclass__", None), "__module__", None)
        return module, value.__qualname__
    if not _NAMED_BY_THEMSELVES.isdisjoint(base.__name__ for base in type(value).__mro__):
        return getattr(value, "__module__", None), getattr(value, "__qualname__", None)  # as the function it wraps
    held = attributes_of(value)
    return held.get("__module__"), held.get("__qualname__")


def _found(module: str, qualname: str) -> Any:
    """What a name leads to, looked up without running anything."""
    first, *inner = qualname.split(".")
    found = vars(sys.modules[module]).get(first) if module in sys.modules else None
    for name in inner:
        found = class_attribute(found, name) if isinstance(found, type) else None
    return found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
