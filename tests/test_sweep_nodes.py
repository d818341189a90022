"""Sweeps whose workers see other file systems: another index, another folder, a mount that is taken away."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nodes import Cluster, Node, can_be_made

from entropic import Store, grid
from entropic.errors import NotSharedError
from entropic.index import SQLIndex, TinyDBIndex

pytestmark = pytest.mark.skipif(not can_be_made(), reason="this user may not mount anything")


def write() -> Callable[[dict[str, Any], Path], object]:
    """A runner that notes who runs what; local, so that no node has to import all that a test does."""
    import socket

    def runner(params: dict[str, Any], result_path: Path) -> None:
        with open("runs.log", "a") as log:
            log.write(f"{params['n']} {socket.gethostname()}\n")
        result_path.write_text(str(params["n"]))

    return runner


def noted() -> list[list[str]]:
    """Each run: the point, and the host."""
    log = Path("runs.log")
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def store_in(folder: str, kind: str) -> Store:
    """A store with its index there."""
    index = f"sqlite:///{Path.cwd()}/{folder}/runs.sqlite3" if kind == "sqlite" else None
    return Store("results", f"{folder}/runs.json", ".txt", index=index)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Store:
    """A store whose index, of a kind, and results are in folders of their own, with one run."""
    Path("index").mkdir()
    store = store_in("index", request.param)
    store.run({"n": -1}, lambda params, path: path.write_text("first"))
    return store


def sweep(store: Store, *nodes: Node, runner: Any = None) -> Any:
    """Twelve points, each by itself."""
    with Cluster(*nodes) as cluster:
        return store.sweep(grid(n=range(12)), runner or write(), executor=cluster, batch_seconds=1e-9)


@pytest.mark.parametrize(
    ("store", "sees"),
    [("tinydb", "nothing"), ("tinydb", "a copy"), ("sqlite", "a copy"), ("sqlite", "another index")],
    indirect=["store"],
)
def test_a_node_that_sees_another_index_runs_nothing(sees: str, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """It is named once, and another node runs all points; of a new store as well, whose index is not there yet."""
    Path("other").mkdir()
    if sees == "another index":
        store_in("other", "sqlite").register({"n": -2}, store.list()[0].result_path)
    elif sees == "a copy":
        shutil.copytree("index", "other", dirs_exist_ok=True)

    records = sweep(store, Node("blind", {"index": "other"}), Node("seeing", {}))

    assert [record.params["n"] for record in records] == list(range(12))
    assert sorted(noted()) == sorted([str(n), "seeing"] for n in range(12))
    said = [record.getMessage() for record in caplog.records if "blind" in record.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("A worker on blind does not see the index, and runs nothing")
    assert store.count() == 13
    assert store.check().is_clean, store.check()


@pytest.mark.parametrize("store", ["tinydb"], indirect=True)
def test_nodes_none_of_which_sees_the_index(store: Store) -> None:
    """The sweep fails as a whole, before anything runs."""
    Path("other").mkdir()

    with pytest.raises(NotSharedError, match="a worker on blind does not see the index"):
        sweep(store, Node("blind", {"index": "other"}))
    assert noted() == []
    assert store.check().is_clean, store.check()


def write_or_lose(lost: str) -> Callable[[dict[str, Any], Path], object]:
    """As `write`; but on one node a mount is taken away in the second run, for which the other node waits."""
    write_and_note = write()
    import os
    import socket
    import subprocess
    import time

    def runner(params: dict[str, Any], result_path: Path) -> None:
        write_and_note(params, result_path)
        while socket.gethostname() == "whole" and not os.path.exists("gone"):
            time.sleep(0.01)
        with open("runs.log") as log:
            is_second = log.read().count("losing") == 2
        if socket.gethostname() == "losing" and is_second:
            subprocess.run(["umount", "--lazy", lost], check=True)
            with open("gone", "w"):
                pass

    return runner


@pytest.mark.parametrize(
    ("store", "lost"), [("tinydb", "results"), ("tinydb", "index"), ("sqlite", "index")], indirect=["store"]
)
def test_a_mount_that_is_taken_away_in_the_middle(lost: str, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """What ran then runs once more on another node, and the loss is said; no point fails, or is lost."""
    shutil.move(lost, "shared")
    Path(lost).mkdir()
    mounted = {lost: "shared"}
    subprocess.run(["mount", "--bind", "shared", lost], check=True)
    try:
        records = sweep(store, Node("losing", {}), Node("whole", mounted), runner=write_or_lose(lost))

        assert [record.result_path.read_text() for record in records] == list(map(str, range(12)))
        again = [point for point, count in Counter(point for point, _ in noted()).items() if count > 1]
        assert len(again) <= 1
        assert sum(host == "losing" for _, host in noted()) == 2
        said = [record.getMessage() for record in caplog.records if "losing" in record.getMessage()]
        assert len(said) == 1
        assert store.count() == 13
        assert store.check(contents=True).dangling == []
    finally:
        store.close()
        subprocess.run(["umount", "--lazy", lost], check=True)


def test_a_token_tells_one_database_from_another(postgres_server: Any, postgres_url: str) -> None:
    """Of one URL on two hosts; who opens the same one finds it, and it stays for the next sweep."""
    url = postgres_server.new_database()
    try:
        token = SQLIndex(postgres_url).leave_token()
        assert token is not None
        assert SQLIndex(postgres_url).has_token(token.text)
        assert not SQLIndex(url).has_token(token.text)  # one without tables
        other = SQLIndex(url).leave_token()
        assert other is not None
        assert not SQLIndex(url).has_token(token.text)
        assert SQLIndex(url).leave_token().text == other.text  # type: ignore[union-attr]
    finally:
        postgres_server.drop(url)


def test_a_token_stands_as_long_as_it_is_kept() -> None:
    """Beside an index in a file, by whatever path it is opened; and nothing is left of it."""
    Path("real").mkdir()
    Path("link.json").symlink_to("real/runs.json")
    index = TinyDBIndex("link.json")
    token = index.leave_token()

    assert token is not None
    assert TinyDBIndex("real/runs.json").has_token(token.text)
    assert not TinyDBIndex("runs.json").has_token(token.text)
    assert index.leftovers() == []
    token.remove()
    assert not index.has_token(token.text)
    assert list(Path("real").iterdir()) == []
