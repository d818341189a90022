"""What a sweep sends to other processes, pickled: by name, or by value where they could not find it."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

from ..errors import NotSharedError


def dumps(value: Any, *, by_value: bool = False) -> bytes:
    """Pickle; functions that other processes could not find by name go by value, if cloudpickle is installed."""
    try:
        pickled = pickle.dumps(value)
        if not (by_value and b"__main__" in pickled):
            return pickled
        reason = "it is part of the main program, which workers elsewhere do not know"
    except Exception as error:  # PicklingError, AttributeError, TypeError, or whatever a __reduce__ raises
        reason = str(error)
    dump = _cloudpickle_dumps()
    if dump is None:
        raise _cannot_be_sent(reason, "or install cloudpickle, which can send it as it is")
    try:
        return dump(value)
    except Exception as error:  # as above
        raise _cannot_be_sent(str(error), "without anything in it that belongs to this process alone") from error


def is_main_unknown() -> bool:
    """Whether another process could not run this main program again: a notebook, a prompt, ``python -c``."""
    return not hasattr(sys.modules["__main__"], "__file__")


def _cloudpickle_dumps() -> Callable[[Any], bytes] | None:
    try:
        import cloudpickle
    except ImportError:
        return None
    dump: Callable[[Any], bytes] = cloudpickle.dumps
    return dump


def _cannot_be_sent(reason: str, otherwise: str) -> TypeError:
    return TypeError(
        f"Cannot send the runs to other processes: {reason}. Define the function or runner at the top of a module, "
        f"{otherwise}; or sweep on threads."
    )


def require_shareable(index: object) -> None:
    """
    Refuse an index that no other process could open.

    Raises:
        NotSharedError: It cannot be pickled.
    """
    try:
        pickle.dumps(index)
    except Exception as error:  # as above
        raise NotSharedError(repr(index), f"the index cannot be opened by another process ({error})") from error
