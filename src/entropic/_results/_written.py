"""Which of the things that a runner has written is its result."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from ..errors import AmbiguousResultError, ResultMissingError

OUTPUT_ENDING = ".output.txt"
"""What the name of the result is followed by in the name of the file that keeps what a program has printed."""


def result_among(expected: Path, name: str, found: Collection[str]) -> str:
    """Which of the names in a staging folder is the result, that was expected under this path, and so this name."""
    if name in found:
        return name
    output = name + OUTPUT_ENDING
    names = [one for one in found if one != output] or [*found]
    if not names:
        raise missing(expected)
    if len(names) > 1:
        raise AmbiguousResultError(name, names)
    return names[0]


def missing(path: Path) -> ResultMissingError:
    reason = "the runner wrote no result. Write it to the path that the runner is given as result_path."
    return ResultMissingError(os.fspath(path), "Cannot record the run", reason)
