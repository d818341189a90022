"""
Whose code it is: the user's own, which counts; or that of an installed package, Python or entropic, which does not.

Packages and modules that are named can be made to count, or not to.
"""

from __future__ import annotations

import functools
import linecache
import os
import sys
from types import FunctionType, ModuleType
from typing import Any

from .._fs import NamedTuple

_MAIN = ("__main__", "__mp_main__")
_SENT = "<dynamic-code>"  # the file of all code that cloudpickle has sent here by value
_LINES_OF_GENERATED = 2
_PACKAGES = ("/site-packages/", "/dist-packages/")


class Ownership(NamedTuple):
    """
    What counts as the user's own.

    Attributes:
        tracked: Packages and modules that count wherever they lie.
        untracked: Those that do not count; of one name in both, the longer name decides.
        output: Statements that only log, print or show progress count too.
    """

    tracked: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    output: bool = False

    def has(self, value: Any) -> bool:
        """Whether a function, class or module is the user's own."""
        if self.tracked or self.untracked:
            said = self._said(_module_name(value))
            if said is not None:
                return said
        return is_own(value)

    def has_file(self, module_name: str, path: str) -> bool:
        """Whether a module that is not loaded is the user's own."""
        said = self._said(module_name)
        return is_own_file(path) if said is None else said

    def _said(self, module: str) -> bool | None:
        """What is said of a module by its name; None if nothing is."""
        tracked, untracked = (
            max(map(len, _above(module, names)), default=0) for names in (self.tracked, self.untracked)
        )
        return None if tracked == untracked else tracked > untracked


def _above(module: str, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if module == name or module.startswith(f"{name}.")]


def _module_name(value: Any) -> str:
    if issubclass(type(value), ModuleType):
        return str(value.__name__)
    if issubclass(type(value), FunctionType):
        return str(value.__globals__.get("__name__", ""))
    return str(getattr(value, "__module__", ""))


EVERYTHING_OWN = Ownership()
"""The user's own, by where it lies alone."""


@functools.lru_cache(maxsize=4096)
def is_own_file(path: str) -> bool:
    """Whether code from this file is the user's own: not the standard library's, an installed package's, or ours."""
    if path.startswith("<frozen") or any(map(path.replace("\\", "/").__contains__, _PACKAGES)):
        return False
    return path.startswith("<") or not any(path.startswith(folder) for folder in _foreign_folders())


def is_own(value: Any) -> bool:
    """Whether a function, class or module is the user's own."""
    if issubclass(type(value), FunctionType):
        written_in = value.__code__.co_filename
        return is_own_file(written_in) and (not written_in.startswith("<") or _is_written(value, written_in))
    module = value if issubclass(type(value), ModuleType) else sys.modules.get(_module_name(value))
    if module is None:
        return False
    path = vars(module).get("__file__") if issubclass(type(module), ModuleType) else None
    if isinstance(path, str):
        return is_own_file(path)
    return _module_name(module) in _MAIN or (value is module and _is_made_by_hand(module))


def _is_made_by_hand(module: Any) -> bool:
    """Whether somebody has made a module of `types.ModuleType`, to hold settings."""
    return issubclass(type(module), ModuleType) and vars(module).get("__spec__") is None


def _is_written(function: FunctionType, path: str) -> bool:
    """Whether somebody has typed in a function without a file: generated ones, as of a dataclass, say nothing new."""
    if path == "<string>":
        return _is_made_by_the_user(function)
    if path == _SENT:
        return _is_sent_by_the_user(function)
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    return path in linecache.cache or (module is not None and vars(module) is function.__globals__)


def _is_made_by_the_user(function: FunctionType) -> bool:
    """Whether `exec` or `eval` in the user's code has made a function, and not a dataclass or a named tuple."""
    name = function.__code__.co_name
    if name.startswith("__") and name.endswith("__"):
        return False
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    if module is None:
        return function.__module__ in (None, "builtins")
    return vars(module) is function.__globals__ and is_own(module)


def _is_sent_by_the_user(function: FunctionType) -> bool:
    """
    Whether a function that came here by value is the user's own.

    cloudpickle takes the file from its code, and keeps that of its module: nothing else tells a helper of a script from
    what an installed package has made.
    """
    if _is_generated(function):
        return False
    path = function.__globals__.get("__file__")
    return is_own_file(path) if isinstance(path, str) else function.__globals__.get("__name__") in _MAIN


def _is_generated(function: FunctionType) -> bool:
    """Whether `dataclasses` has made a method: where Python does not tell, by the first lines of a text of its own."""
    code = function.__code__
    qualname: str | None = getattr(code, "co_qualname", None)  # from Python 3.11 on
    if qualname is None:
        return code.co_firstlineno <= _LINES_OF_GENERATED and code.co_name.startswith("__")
    return qualname.startswith("__create_fn__.")


@functools.cache
def _foreign_folders() -> tuple[str, ...]:
    standard = {os.path.dirname(os.path.abspath(module.__file__ or "")) for module in (os, functools)}
    folders = {os.path.dirname(os.path.dirname(os.path.abspath(__file__))), *standard, *map(os.path.realpath, standard)}
    return tuple(os.path.join(folder, "") for folder in folders)


# ---- places ---------------------------------------------------------------------------------------------------------

_ROOT_MARKS = (".git", ".hg", "pyproject.toml", "setup.py", "setup.cfg")
_MODULE_ATTRIBUTES = frozenset(
    {"__file__", "__name__", "__path__", "__spec__", "__loader__", "__package__", "__cached__", "__doc__"}
    | {"__builtins__", "__annotations__", "__dict__", "__warningregistry__"}
)
_STARTED_IN = os.environ.get("PWD") or ""


def is_of_the_module(name: str) -> bool:
    """Whether a global name is one that Python gives every module: where it lies, and what it is called."""
    return name in _MODULE_ATTRIBUTES


@functools.lru_cache(maxsize=1024)
def root_of(module_file: str) -> tuple[str, str]:
    """The folder of a module's project, as it is called and without links; and the module's folder within it."""
    folder = os.path.dirname(os.path.abspath(module_file))
    root = folder
    while os.path.exists(os.path.join(root, "__init__.py")) and os.path.dirname(root) != root:
        root = os.path.dirname(root)
    above = root
    while os.path.dirname(above) != above:
        if any(os.path.exists(os.path.join(above, mark)) for mark in _ROOT_MARKS):
            root = above
            break
        above = os.path.dirname(above)
    return root, os.path.realpath(root)


def project_of(module_name: str) -> str:
    """The folder of the project that a module belongs to; empty if it has no file."""
    path = getattr(sys.modules.get(module_name), "__dict__", {}).get("__file__")
    return root_of(path)[0] if isinstance(path, str) else ""


def place_text(text: str, module_file: str) -> str:
    """
    A text, with what names a place in its module's project written as seen from there: a moved project is the same.

    Example:
        >>> place_text("no path at all", "study.py")
        'no path at all'
    """
    if not text.startswith(os.sep):
        return text
    for root in root_of(module_file) if module_file else ():
        if root != os.sep and (text == root or text.startswith(root + os.sep)):
            return f"$project{text[len(root) :]}"
    return "$folder" if text in _working_folders() else text


def _working_folders() -> tuple[str, ...]:
    try:
        return os.getcwd(), _STARTED_IN, os.path.realpath(_STARTED_IN)
    except OSError:
        return (_STARTED_IN,)
