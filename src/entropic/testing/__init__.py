"""
The conformance suite for an index of one's own: what the store relies on, as tests to inherit.

Give the class an ``index`` fixture that makes a new, empty index, and run it with pytest::

    import pytest
    from entropic.testing import IndexContract

    class TestMyIndex(IndexContract):
        @pytest.fixture
        def index(self, tmp_path):
            return MyIndex(tmp_path / "runs")

An index with just the five methods of `entropic.index.IndexBackend` passes if it keeps its promises; of one that
derives from `entropic.index.Index`, all methods are tested. `IndexMachine`, which needs hypothesis, tries any order of
operations. For readable failures, call ``pytest.register_assert_rewrite("entropic.testing")`` in a ``conftest.py``
before the import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._cases import HOSTILE_PARAMS, QUERIES, QUERY_PARAMS, make_record
from ._contract import IndexContract

if TYPE_CHECKING:
    from ._machine import IndexMachine

__all__ = ["HOSTILE_PARAMS", "QUERIES", "QUERY_PARAMS", "IndexContract", "IndexMachine", "make_record"]

IndexContract.__module__ = make_record.__module__ = __name__


def __getattr__(name: str) -> Any:
    """Load `IndexMachine` when it is asked for: it needs hypothesis."""
    if name != "IndexMachine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._machine import IndexMachine

    return IndexMachine
