"""
Under what circumstances a run was made: where, by whom, with which versions of what, and at what cost.

Nothing secret: no environment variables. The command line is what the user typed, but for passwords in URLs. What is
the same for all runs of a process is looked up once; what cannot be told is left out.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .._fs import forks_held_off, process_id
from ..hashing import main_module
from ._environment import installed, normalized
from ._ownership import is_own

try:
    import resource
except ImportError:  # as on Windows, where the package imports and a run is refused
    resource = None  # type: ignore[assignment]

_LONGEST_COMMAND = 200
# In a URL, as liberal as those who read them: between user and host, and among the options.
_PASSWORD = re.compile(r"(://[^:/]*:)[^@]*(?=@)|([?&]\w*password=)[^&#]*", re.IGNORECASE)
_MAX_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def circumstances(module_name: str | None) -> dict[str, Any]:
    """
    Where a function of a module runs now, for a record; of a notebook, which one it is.

    Args:
        module_name: Whose imports to tell of.
    """
    return {**_of_process(process_id()), **_of_module(module_name or "")}


class Meter:
    """
    What a run costs, as far as that can be told apart from the rest of the process; from `begin` to `end`;
    until `leave` it counts as under way.

    CPU seconds are those of all threads of the process, and of child processes that have ended; told only if no other
    run of ours overlaps. Peak memory is that of the process, or of one child; told only if this run has reached it.
    """

    # No lock: a signal handler, or the collector, may begin and end a run of its own at any line. Who comes later sees
    # who is there and marks both; nothing ever sets the mark back. One that was interrupted as it began tells nothing.

    _is_alone = True
    _began: tuple[Any, Any] | None = None
    _ended: tuple[Any, Any] | None = None

    def begin(self) -> None:
        """Measure from now on."""
        _under_way.add(self)
        if len(_under_way) > 1:
            for one in set(_under_way):
                one._is_alone = False
        self._began = _used()

    def end(self) -> None:
        """Measure until now."""
        self._ended = _used()

    def leave(self) -> None:
        """Overlap with no other run from now on."""
        _under_way.discard(self)

    def cpu_seconds_so_far(self) -> float | None:
        """What has been used until now; None if another run overlaps."""
        return _cpu_seconds(self._began, _used()) if self._began and self._is_alone else None

    def told(self) -> dict[str, Any]:
        """The costs that are known, for a record."""
        costs: dict[str, Any] = {}
        if self._began is None or self._ended is None:
            return costs
        if self._is_alone:
            costs["cpu_seconds"] = round(_cpu_seconds(self._began, self._ended), 6)
        peaks = [
            after.ru_maxrss
            for before, after in zip(self._began, self._ended, strict=True)
            if after.ru_maxrss > before.ru_maxrss
        ]
        if peaks:
            costs["peak_memory_bytes"] = max(peaks) * _MAX_RSS_UNIT
        return costs


def _used() -> tuple[Any, Any]:
    """What the process and its ended children have used so far."""
    return resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)


def _cpu_seconds(before: tuple[Any, Any], after: tuple[Any, Any]) -> float:
    seconds: float = _seconds_in(after) - _seconds_in(before)
    return seconds


def _seconds_in(used: tuple[Any, Any]) -> Any:
    own, children = used
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


_under_way: set[Meter] = set()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_under_way.clear)  # those of the parent are not under way in its child


# ---- the process ----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _of_process(pid: int) -> dict[str, Any]:
    system = os.uname()
    told: dict[str, Any] = {
        "host": system.nodename,
        "user": _user(),
        "pid": pid,
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "platform": f"{system.sysname}-{system.release}-{system.machine}",
        "entropic": _version_of("entropic"),
        "command": _command(),
    }
    return {name: value for name, value in told.items() if value}


def _user() -> str:
    with forks_held_off(importing=True):
        import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _command() -> str:
    try:
        arguments = [str(argument) for argument in sys.argv[:_LONGEST_COMMAND]]
        # Cut before it is searched: the time of the search grows with the square of the length.
        text = shlex.join(_without_password(argument[: 4 * _LONGEST_COMMAND]) for argument in arguments)
    except Exception:
        return ""  # of an embedded interpreter, there may be none
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST_COMMAND else text[: _LONGEST_COMMAND - 1] + "…"


def _without_password(argument: str) -> str:
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", argument)


# ---- the module -----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _of_module(name: str) -> dict[str, Any]:
    module = sys.modules.get(name)
    if module is None:
        return {}
    told: dict[str, Any] = {"packages": dict(_packages(module))}
    told["notebook"] = _notebook(name)
    return {name: value for name, value in told.items() if value}


def code_folder(module_name: str) -> str | None:
    """The folder that the code of one of the user's own modules is in; None of others, and of one that is gone."""
    module = sys.modules.get(module_name)
    if module is None or not is_own(module):
        return None
    path = getattr(module, "__file__", None)
    with contextlib.suppress(OSError):  # of a working directory that is gone
        return os.path.dirname(os.path.abspath(path)) if path else os.getcwd()
    return None


def _notebook(name: str) -> str:
    """The path of the notebook whose cells are the main module; nothing if they are none, or no server tells."""
    path = main_module(None, name)[1] if name == "__main__" else None
    return os.path.abspath(path) if path is not None and path.endswith(".ipynb") else ""


def _packages(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The installed packages that a module has imported from, with their versions."""
    names = set()
    for value in list(vars(module).values()):
        try:
            owner = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        except Exception:
            continue  # a proxy, as web frameworks have them, with nothing behind it now
        if isinstance(owner, str):
            names.add(owner.partition(".")[0])
    for name in sorted(names - {"entropic", "builtins", "__main__"} - set(sys.stdlib_module_names)):
        imported = sys.modules.get(name)
        if imported is not None and not is_own(imported):
            version = getattr(imported, "__dict__", {}).get("__version__")
            version = version if isinstance(version, str) else _version_of(name)
            if version:
                yield name, version


@functools.lru_cache(maxsize=256)
def _version_of(name: str) -> str:
    """The version of an installed distribution, or of the one that brings a module of this name."""
    if version := installed().get(normalized(name)):
        return version
    with forks_held_off(importing=True):  # it imports as it goes
        from importlib import metadata  # read on a miss only: it takes longer to load than a hit

        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
        try:
            return metadata.version(metadata.packages_distributions()[name][0])
        except Exception:
            return ""  # no distribution, or one with damaged metadata: a version that cannot be told
