"""The names that results get: moment of the run, hash of its parameters, and the suffix of what was written."""

from __future__ import annotations

import re

_OWN_NAME = re.compile(r"(\d+\.\d{6}_[0-9a-f]{16})(\.[^/]*|)")


def own_parts(name: str) -> tuple[str, str] | None:
    """
    Stem and suffix of a name that entropic gave to a result; None for any other name.

    Example:
        >>> own_parts("1769854174.763568_f444a074a2e52bf9.npy")
        ('1769854174.763568_f444a074a2e52bf9', '.npy')
        >>> own_parts("notes.md") is None
        True
    """
    found = _OWN_NAME.fullmatch(name)
    return None if found is None else (found[1], found[2])


def is_own_name(name: str) -> bool:
    """Whether entropic gave a result this name."""
    return _OWN_NAME.fullmatch(name) is not None
