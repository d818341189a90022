"""A decorated function as its callers see it: called like the function, with methods of its own."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from inspect import Signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from .._code import code_digest
from ..hashing import normalize
from ._function import FunctionCache
from ._methods import Methods
from ._names import found_by_name
from ._options import CacheOptions
from ._wrapt import wrapt

if TYPE_CHECKING:
    from ._function import AnyStore

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")  # what a call returns
R2 = TypeVar("R2")
S = TypeVar("S")
T = TypeVar("T")  # the same, once it is awaited
T2 = TypeVar("T2")

# What looks at the annotations of a class, as tools for documentation do, leaves some in it; they would hide those of
# the function. So each class has what the proxy has for them.
_ANNOTATIONS: Any = next(
    (
        vars(kind)["__annotations__"]
        for kind in reversed(wrapt.FunctionWrapper.__mro__)
        if "__annotations__" in vars(kind)
    ),
    {},  # of wrapt without its extension, where each proxy has its own
)

_ANSWERS_DEPEND_ON = ("version", "ignore", "load", "save", "suffix", "added", "renamed", "removed")


class BoundCachedFunction(Methods[P, R, T], wrapt.BoundFunctionWrapper[P, R]):
    """A decorated method, bound to its instance or class."""

    __annotations__ = _ANNOTATIONS

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        cache, first = self._self_parts()
        answer: R = cache.call(*first, *args, **kwargs)
        return answer

    @property
    def __signature__(self) -> Signature:
        cache, first = self._self_parts()
        signature = cache.binding.signature
        return signature.replace(parameters=list(signature.parameters.values())[len(first) :])

    @property
    def __func__(self) -> Any:
        """What is bound; `inspect` takes us for a method and asks."""
        return self._self_parent

    def __reduce__(self) -> tuple[Any, ...]:
        _, first = self._self_parts()
        if first:
            return getattr, (first[0], self.__name__)
        return found_by_name, (self.__module__, self.__qualname__)

    def _self_parts(self) -> tuple[FunctionCache, tuple[Any, ...]]:
        cache: FunctionCache = self._self_parent._self_cache
        bound_to = getattr(self.__wrapped__, "__self__", None)
        return cache, () if bound_to is None else (bound_to,)


BoundCachedFunction.__module__ = "entropic.reports"


class CachedFunction(Methods[P, R, T], wrapt.FunctionWrapper[P, R]):
    """A decorated function; made by `entropic.cached`."""

    __annotations__ = _ANNOTATIONS

    __bound_function_wrapper__ = BoundCachedFunction  # type: ignore[assignment]  # declared for one P and R only
    # What is called is kept in the object: with a method of the class, each hit would take a further step.
    __slots__ = ("__call__",)

    def __init__(self, wrapped: Callable[..., Any], cache: FunctionCache) -> None:
        super().__init__(wrapped, _unused)
        self._self_use(cache)
        cache.claim.decorated.append(weakref.ref(self))
        for other in cache.replaced:
            self._self_define(other)

    def _self_use(self, cache: FunctionCache) -> None:
        self._self_cache = cache
        self.__call__ = cache.call  # type: ignore[method-assign]

    def _self_define(self, other: CachedFunction[..., Any, Any]) -> None:
        """Be the definition of another one as well, which modules have imported by name, or objects have bound."""
        if type(other.__wrapped__) is type(self.__wrapped__):
            other.__wrapped__ = self.__wrapped__
            other._self_use(self._self_cache)
            self._self_cache.claim.decorated.append(weakref.ref(other))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "__dict__":  # of a function that is patched in place, as reloaders do: ours is in there, too
            self.__wrapped__.__dict__.update(value)
        else:
            super().__setattr__(name, value)

    @property
    def __signature__(self) -> Signature:
        return self._self_cache.binding.signature

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _reduced(self, self._self_cache)

    def __entropic_settings__(self) -> tuple[Any, dict[str, Any]]:
        """The function, and what else its answers depend on: for the fingerprints of functions that call it."""
        options = self._self_cache.options.as_dict()
        return self.__wrapped__, {name: options[name] for name in _ANSWERS_DEPEND_ON if options.get(name)}

    def _self_parts(self) -> tuple[FunctionCache, tuple[Any, ...]]:
        return self._self_cache, ()

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any] | None = None, /) -> BoundCachedFunction[P, R, T]: ...

        @overload
        def __get__(
            self: CachedFunction[Concatenate[S, P2], R2, T2], instance: S, owner: type[Any] | None = None, /
        ) -> BoundCachedFunction[P2, R2, T2]: ...

        def __get__(self, instance: Any, owner: type[Any] | None = None, /) -> Any: ...


CachedFunction.__module__ = "entropic.reports"


@normalize.register(CachedFunction)
def _identity_of(function: CachedFunction[..., Any, Any]) -> dict[str, Any]:
    """A decorated function, closed over by another or given to it, stands for its identity."""
    return function._self_cache.closure.identity().fields


def _unused(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    raise AssertionError("calls do not pass through wrapt's wrapper")


# ---- pickling -------------------------------------------------------------------------------------------------------


def _reduced(function: CachedFunction[..., Any, Any], cache: FunctionCache) -> str | tuple[Any, ...]:
    """
    Pickle by name, as `functools.lru_cache` does.

    What has no name to be found by elsewhere, a function of a script or notebook sent to a cluster, goes by value if
    cloudpickle (which dask and joblib bring along) is at work.
    """
    module, qualname = cache.function.__module__, cache.function.__qualname__
    found = found_by_name(module, qualname)
    if isinstance(found, CachedFunction) and found is not function and found._self_cache is cache:
        return found_by_name, (module, qualname)  # we are what the module showed before it was loaded anew
    cloudpickle = sys.modules.get("cloudpickle") or sys.modules.get("joblib.externals.cloudpickle")
    if cloudpickle is None or (module != "__main__" and found is function):
        return qualname
    content = (function.__wrapped__, cache.store, cache.options.replaced(name=cache.name), cache.place)
    digest = code_digest(cache.function)
    return _restored, (module, qualname, cache.name, digest, cloudpickle.dumps(content))


def _restored(module: str, qualname: str, name: str, digest: str, content: bytes) -> Any:
    """The function as this process knows it, if it does (a spawned worker has run the script, too); else a new one."""
    found = found_by_name(module, qualname)
    if isinstance(found, CachedFunction) and found._self_cache.is_known_as(name, digest):
        return found
    return _rebuilt(content)


@functools.lru_cache(maxsize=64)
def _rebuilt(content: bytes) -> Any:
    import pickle  # loaded already by those who come here

    wrapped, store, options, place = pickle.loads(content)
    return CachedFunction(wrapped, cache_of(wrapped, store, options, place=place, is_copy=True))


def cache_of(function: Callable[..., Any], store: AnyStore, options: CacheOptions, **how: Any) -> FunctionCache:
    """What is behind a function that is decorated: as its options say, with limits on its runs or without."""
    if options.run_limits() is None:
        return FunctionCache(function, store, options, **how)
    from ._supervised import SupervisedCache  # loaded by those who limit something

    return SupervisedCache(function, store, options, **how)
