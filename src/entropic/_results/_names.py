"""The names that results get: moment of the run, hash of its parameters, and the suffix of what was written."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

_COMPRESSIONS = frozenset({".gz", ".bz2", ".xz", ".zst"})
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


def stem_of_now(params_hash: str) -> str:
    """A stem for a result of this moment."""
    return f"{time.time():.6f}_{params_hash}"


def unused_stem(results_dir: str, params_hash: str, suffix: str) -> str:
    """As `stem_of_now`, of a moment under which nothing stands in the results folder."""
    moment = time.time()
    while True:
        stem = f"{moment:.6f}_{params_hash}"
        if not os.path.lexists(os.path.join(results_dir, stem + suffix)):
            return stem
        moment += 1e-6


def suffix_of(written: str, stem: str, suffix: str) -> str:
    """
    The real suffix of what was written.

    ``np.save`` given ``x.h5`` writes ``x.h5.npy``, which is ``.npy``; a runner that exchanged the suffix wrote
    ``x.npy``; one that chose another name altogether keeps at least its ending.
    """
    if written == stem + suffix:
        return suffix
    for known in (stem + suffix, stem):
        if written == known or written.startswith(known + "."):
            return written.removeprefix(known)
    endings = Path(written).suffixes
    return "".join(endings[-2:] if endings and endings[-1] in _COMPRESSIONS else endings[-1:])
