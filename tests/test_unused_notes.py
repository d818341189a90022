"""Patches and environments are kept once for all runs that name them, and go once no run does."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from entropic import Store

from .test_streams import invoke


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", tmp_path / "runs.json", ".txt", durable=False)


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text("x")


def notes_of(store: Store) -> list[Path]:
    private = Path(store.results_dir, ".entropic")
    return sorted([*private.glob("patches-v1/*"), *private.glob("environments-v1/*")])


def stray_patch(store: Store) -> Path:
    """A patch of a run that is gone."""
    path = Path(store.results_dir, ".entropic", "patches-v1", "0123456789abcdef.patch")
    path.parent.mkdir(exist_ok=True)
    path.write_text("diff")
    return path


def test_what_no_run_names_goes(store: Store) -> None:
    """What one names stays, and nothing at all goes for a preview."""
    record = store.run({"n": 1}, write)
    kept = notes_of(store)
    patch = stray_patch(store)

    assert store.prune(notes=True, preview=True) == [patch]
    assert patch.exists()
    assert store.prune(notes=True) == [patch]
    assert notes_of(store) == kept != []
    assert store.prune(notes=True) == []

    store.delete(record)
    assert store.prune(notes=True) == []  # its result is there, and undelete brings it back
    store.undelete()
    store.delete(record, remove_file=True)
    assert store.prune(notes=True) == kept
    assert notes_of(store) == []


def test_a_process_that_goes_on_keeps_its_notes_anew(store: Store) -> None:
    """What it had kept before was removed."""
    store.delete(store.run({"n": 1}, write), remove_file=True)
    kept = store.prune(notes=True)
    assert kept

    store.run({"n": 2}, write)
    assert notes_of(store) == kept

    store.delete({"n": 2}, remove_file=True)
    assert store.prune(notes=True) == kept
    store.close()
    store.run({"n": 3}, write)
    assert notes_of(store) == kept


def test_another_index_of_the_folder_is_asked(store: Store, tmp_path: Path) -> None:
    """By the journal; and by the file that lies there, of a time before there was one."""
    other = Store(tmp_path / "results", tmp_path / "others.json", ".txt", durable=False)
    other.run({"n": 1}, write)
    other.close()
    assert store.prune(notes=True) == []

    Path(store.results_dir, ".entropic", "journal").rename(tmp_path / "journal")
    assert store.prune(notes=True) == []
    Path(tmp_path / "others.json").unlink()
    kept = notes_of(store)
    assert store.prune(notes=True) == kept != []


def test_a_run_under_way_keeps_them_all(store: Store) -> None:
    """What it has seen there it will name."""
    found = []

    def look(params: dict[str, Any], path: Path) -> None:
        found.append(store.prune(notes=True))
        path.write_text("x")

    store.delete(store.run({"n": 1}, write), remove_file=True)
    store.run({"n": 2}, look)

    assert found == [[]]
    assert notes_of(store) != []


OTHER = """
import sys, entropic
store = entropic.Store(sys.argv[1], sys.argv[2], ".txt")
def write(params, path): path.write_text("x")
store.delete(store.run({"n": 5}, write), remove_file=True)
print("ready", flush=True)
input()
store.run({"n": 6}, write)
store.close()
print("done", flush=True)
input()
"""


def test_a_process_that_may_run_more_keeps_them_all(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Until it has ended, or closed its store; and the log says so."""
    arguments = [sys.executable, "-c", OTHER, str(tmp_path / "results"), str(tmp_path / "runs.json")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        patch = stray_patch(store)
        with caplog.at_level(logging.WARNING, "entropic"):
            assert store.prune(notes=True) == []
        assert f"process {process.pid}" in caplog.text
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        assert store.prune(notes=True) == [patch]
        process.stdin.write("\n")
        process.stdin.close()

    environment = store.list()[0].provenance["environment"]
    assert environment in [path.stem for path in notes_of(store)]


def test_the_command_line_shows_them_first(store: Store) -> None:
    """And takes no limits with it."""
    store.run({"n": 1}, write)
    store.close()  # or it may run more
    patch = stray_patch(store)

    assert str(patch) in invoke(store, "prune", "--notes", "--preview")
    assert patch.exists()
    assert "removed 1" in invoke(store, "prune", "--notes", "--yes")
    assert not patch.exists()
    assert "nothing to prune" in invoke(store, "prune", "--notes")
    with pytest.raises(ValueError, match="notes"):
        store.prune(notes=True, keep_newest=1)  # type: ignore[call-overload]
