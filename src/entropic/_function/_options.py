"""What `cached` is given besides the store: one object, checked where it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from .._engine import Comparison, checked_suffix
from .._fs import Options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from typing_extensions import TypedDict

    from .._sweep import Retries, RunLimits

    class CacheKeywords(TypedDict, total=False):
        """The options of `cached` for type checkers, but for those that decide what a call returns."""

        name: str | None
        version: Any
        ignore: Sequence[str]
        suffix: str | None
        result_arg: str
        checkpoint_arg: str | None
        on_change: OnChange
        compare: Comparison | None
        seed: str | None
        added: Mapping[str, Any] | None
        renamed: Mapping[str, str] | None
        removed: Mapping[str, Any] | None
        former_names: Sequence[str]
        tracked: Sequence[str]
        untracked: Sequence[str]
        ignore_logging: bool
        allow_empty: bool | None
        watch_reads: bool
        timeout: float | timedelta | None
        retries: Retries | None
        memory: int | str | None


OnChange = Literal["warn", "rerun", "error", "ignore"]
_POLICIES = get_args(OnChange)


class CacheOptions(Options):
    """The options of one decorated function; `cached` tells what each means."""

    name: str | None = None
    version: Any = None
    ignore: Sequence[str] = ()
    load: Callable[[Path], Any] | None = None
    save: Callable[..., object] | None = None
    suffix: str | None = None
    result_arg: str = "result_path"
    checkpoint_arg: str | None = "checkpoint_dir"
    on_change: OnChange = "warn"
    compare: Comparison | None = None
    seed: str | None = "seed"
    added: Mapping[str, Any] | None = None
    renamed: Mapping[str, str] | None = None
    removed: Mapping[str, Any] | None = None
    former_names: Sequence[str] = ()
    tracked: Sequence[str] = ()
    untracked: Sequence[str] = ()
    ignore_logging: bool = True
    allow_empty: bool | None = None
    watch_reads: bool = False
    timeout: float | timedelta | None = None
    retries: Retries | None = None
    memory: int | str | None = None

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> CacheOptions:
        """The options that a decorator was called with."""
        known = cls.names()
        unknown = next((name for name in keywords if name not in known), None)
        if unknown is not None:
            raise TypeError(f"cached() got an unexpected keyword {unknown!r}. Its options are {', '.join(known)}.")
        return cls(**keywords)

    def _check(self) -> None:
        if not isinstance(self.ignore, str):  # a text is refused where the parameters are known
            vars(self)["ignore"] = tuple(self.ignore)
        for name in ("tracked", "untracked"):
            vars(self)[name] = _module_names(name, getattr(self, name))
        for word, function in (("save", self.save), ("load", self.load)):
            if function is not None and not callable(function):
                raise TypeError(f"Cannot decorate: {word}={function!r} must be a function, such as numpy.{word}.")
        if self.suffix is not None:
            checked_suffix(self.suffix)
        if self.on_change not in _POLICIES:
            known = ", ".join(map(repr, _POLICIES))
            raise ValueError(f"Cannot decorate: on_change={self.on_change!r} is none of {known}.")

        self.run_limits()

    def run_limits(self) -> RunLimits | None:
        """
        What each run may take; None for whatever it does.

        Raises:
            TypeError: A limit is nothing of its kind.
            ValueError: It has a value that it cannot have.
        """
        if self.timeout is None and self.retries is None and self.memory is None:
            return None
        from .._sweep import RunLimits  # loaded by those who limit something

        return RunLimits.of(self.timeout, self.retries, self.memory)


def _module_names(option: str, names: Sequence[str]) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) else tuple(names)
    wrong = next((name for name in found if not isinstance(name, str) or not name), None)
    if wrong is not None or not all(part.isidentifier() for name in found for part in name.split(".")):
        raise ValueError(f"Cannot decorate: {option}={names!r} holds something that is no name of a module.")
    return found
