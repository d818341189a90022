"""Several processes add to one record at the same moment: it stays one record, and has what each of them has added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from entropic import Store

Together = Callable[..., list[Any]]

WORKER = """
from entropic import Store
index = {"index": argument[0]} if "://" in argument[0] else {"db_path": argument[0]}
store = Store("results", **index)
record = store.list()[0]
begin()
answer = []
for turn in range(8):
    store.annotate(record, **{f"by_{argument[1]}_{turn}": turn})
    if turn == 4:
        store.pin({"n": 1})
"""


@pytest.mark.parametrize("index", ["runs.json", "sqlite:///runs.sqlite3"])
def test_annotations_at_the_same_moment(together: Together, index: str) -> None:
    """In any order of theirs, none is lost, and no run is there twice."""
    if "://" in index:
        pytest.importorskip("sqlalchemy", reason="the extra 'sql' is not installed")
    with Store("results", index=index) if "://" in index else Store("results", index) as store:
        for n in (1, 2):
            store.run_or_retrieve({"n": n}, lambda params, path: path.write_text("x"))
        together(WORKER, [[index, number] for number in range(4)])
        (annotated,) = store.list({"n": 1})

    added = {name for name in annotated.metadata if name.startswith("by_")}
    assert added == {f"by_{worker}_{number}" for worker in range(4) for number in range(8)}
    assert annotated.provenance["pinned"] is True
