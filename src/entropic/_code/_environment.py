"""
What a run could have used of its machine: Python, what is installed, linear algebra, threads, processor, GPU.

Looked up once in a process, and once more when a numerical library has been loaded since, which brings its linear
algebra along. No process is started for it, and nothing is loaded but `threadpoolctl`, if it is there. No user, host or
place is named, so equal machines have equal environments.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from .._fs import forks_held_off, process_id

_VARIABLES = re.compile(
    r"(OMP|OPENBLAS|MKL|BLIS|GOTO|NUMEXPR|NUMBA|VECLIB|KMP|RAYON|POLARS|TBB|JULIA)_[A-Z_]*"
    r"(THREADS|THREADING_LAYER|BIND|PLACES|SCHEDULE|DYNAMIC|CBWR|CORETYPE|AFFINITY)"
    r"|VECLIB_MAXIMUM_THREADS|CUDA_VISIBLE_DEVICES|CUBLAS_WORKSPACE_CONFIG|TF_DETERMINISTIC_OPS|JAX_ENABLE_X64"
    r"|PYTHONHASHSEED|NVIDIA_TF32_OVERRIDE"
)
_MODULES = "LOADEDMODULES"
_MODULE_NAMES = re.compile(r"[\w.+-]+(/[\w.+-]+)*(:[\w.+-]+(/[\w.+-]+)*)*")
_PLAIN_VALUE = re.compile(r"[\w.,:;{}()+ -]{0,80}")
_NUMERICAL = ("numpy", "scipy", "torch", "jax", "numba", "sklearn")
_DISTRIBUTION = re.compile(r"(?P<name>[\w.]+?)-(?P<version>[^-]+)(-py[\d.]+)?\.(dist|egg)-info", re.ASCII)
_FIRST_BYTES = 1 << 14
_NVIDIA = "/proc/driver/nvidia"


def environment() -> dict[str, Any]:
    """The environment of this process, as far as it is known; always the same object until it changes."""
    return _environment(process_id(), tuple(map(sys.modules.__contains__, _NUMERICAL)))


@functools.lru_cache(maxsize=4)
def _environment(pid: int, loaded: tuple[bool, ...]) -> dict[str, Any]:
    system = os.uname()
    told: dict[str, Any] = {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "compiler": sys.version.rpartition("[")[2].rpartition("]")[0],  # as of `platform`, which takes long to load
        "system": f"{system.sysname}-{system.machine}",
        "libc": _libc(),
        "processor": _processor(),
        "packages": installed(),
        "conda": _installed_by_conda(),
        "linear_algebra": _linear_algebra() if any(loaded) else [],
        "variables": _variables(),
        "gpu": sorted(_gpus()),
        "gpu_driver": _gpu_driver(),
    }
    return {name: value for name, value in told.items() if value}


@functools.cache
def _libc() -> str:
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    return ""


@functools.cache
def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", _beginning("/proc/cpuinfo"), re.MULTILINE)
    if found:
        return found[1].strip()
    import platform  # for systems without /proc

    return platform.processor()


def installed() -> dict[str, str]:
    """Names and versions of what is installed, as the names of folders tell them: to open each takes its time."""
    return _installed_below(tuple(sys.path))


@functools.lru_cache(maxsize=1)
def _installed_below(folders: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in reversed(folders):  # what comes first is what is imported
        with contextlib.suppress(OSError):
            for name in os.listdir(folder or os.curdir):
                if name.endswith("-info") and (one := _DISTRIBUTION.fullmatch(name)):
                    found[normalized(one["name"])] = one["version"]
    return dict(sorted(found.items()))


def normalized(name: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed_by_conda() -> dict[str, str]:
    """Likewise of an environment of conda, which holds more than Python's packages: compilers, MPI, HDF5."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listdir(os.path.join(sys.prefix, "conda-meta"))
    parts = (name.removesuffix(".json").rsplit("-", 2) for name in sorted(names) if name.endswith(".json"))
    return {one[0]: one[1] for one in parts if len(one) == 3}


def _linear_algebra() -> list[str]:
    """The libraries for linear algebra that are loaded, with versions and threads; else what NumPy was built with."""
    with forks_held_off(importing=True):
        try:
            from threadpoolctl import threadpool_info
        except ImportError:
            return _built_with()
    try:
        libraries = threadpool_info()
    except Exception:  # of a library that it does not know
        return _built_with()
    names = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    return sorted({" ".join(f"{one[name]}" for name in names if one.get(name)) for one in libraries})


def _built_with() -> list[str]:
    configuration = getattr(sys.modules.get("numpy.__config__"), "CONFIG", None)
    try:
        libraries = dict(configuration["Build Dependencies"])  # type: ignore[index]
        return sorted({f"{one['name']} {one['version']}" for one in libraries.values() if one.get("found")})
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _variables() -> dict[str, str]:
    """The variables that say how numbers are computed; a value that is no plain word or number is left out."""
    chosen = {name: value for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name)}
    found = {name: value for name, value in chosen.items() if _PLAIN_VALUE.fullmatch(value)}
    modules = os.environ.get(_MODULES, "")  # of a cluster, such as gcc/13.2:openmpi/4.1
    return {**found, _MODULES: modules} if _MODULE_NAMES.fullmatch(modules) else found


def _gpus() -> Iterator[str]:
    with contextlib.suppress(OSError):
        for name in os.listdir(f"{_NVIDIA}/gpus"):
            found = re.search(r"^Model:\s*(.*)$", _beginning(f"{_NVIDIA}/gpus/{name}/information"), re.MULTILINE)
            if found:
                yield found[1].strip()


def _gpu_driver() -> str:
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)\s", _beginning(f"{_NVIDIA}/version"))
    return found[1] if found else ""


def _beginning(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_FIRST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
