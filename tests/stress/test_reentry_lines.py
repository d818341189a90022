"""Code that comes in at each single line of a call into a store, on each kind of index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from entropic.index import TinyDBIndex

from ..test_reentry_index import (
    INNER,
    OUTER,
    STORE_CALLS,
    new_index,  # noqa: F401  # fixtures
    template,  # noqa: F401
    try_lines,
    try_lines_of_index,
)

pytestmark = pytest.mark.soak  # some minutes; tests/test_reentry_index.py comes in at a sample of the lines


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_a_call_at_each_line_of_an_index(
    new_index: Callable[[], TinyDBIndex],  # noqa: F811
    outer: str,
    inner: str,
) -> None:
    """Both are done, once each."""
    assert try_lines_of_index(new_index, outer, inner, every=1) > 20


@pytest.mark.parametrize("url", [None, "sqlite://"])
@pytest.mark.parametrize("call", STORE_CALLS)
def test_a_store_is_called_at_each_line_of_its_own_call(tmp_path: Path, call: str, url: str | None) -> None:
    """Nothing hangs, nothing is lost."""
    assert try_lines(tmp_path, call, url, every=1) > 300
