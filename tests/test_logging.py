"""One logger, ``entropic``: what it says of each event, and that it says nothing unasked."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import Store


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "entropic")


def write(params: dict[str, Any], result_path: Path) -> None:
    """The shortest runner."""
    result_path.write_text("x")


def hit(store: Store) -> None:
    store.run_or_retrieve({"n": 1}, write)


def stale(store: Store) -> None:
    for path in store.results_dir.glob("*.txt"):
        path.unlink()
    store.run_or_retrieve({"n": 1}, write)


def shared_file(store: Store) -> None:
    (path,) = store.results_dir.glob("*.txt")
    store.register({"n": 2}, path)
    store.delete({"n": 2}, remove_file=True)


EVENTS: list[tuple[Callable[[Store], None], list[tuple[str, str]]]] = [
    (hit, [("DEBUG", "Hit 2bfd14f43d17fc7c: ")]),
    (
        stale,
        [
            ("DEBUG", "Miss 2bfd14f43d17fc7c: running"),
            ("WARNING", "Stale 2bfd14f43d17fc7c: the result "),
            ("INFO", "Run completed 2bfd14f43d17fc7c in "),
        ],
    ),
    (shared_file, [("WARNING", "another record uses it")]),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS, ids=lambda value: getattr(value, "__name__", ""))
def test_events_are_told(
    store: Store,
    caplog: pytest.LogCaptureFixture,
    event: Callable[[Store], None],
    expected: list[tuple[str, str]],
) -> None:
    """Hits and misses at DEBUG, a completed run at INFO, repair and doubt at WARNING."""
    store.run_or_retrieve({"n": 1}, write)
    caplog.clear()

    event(store)

    told = [(entry.levelname, entry.getMessage()) for entry in caplog.records]
    assert len(told) == len(expected)
    assert all(any(level == have and text in said for have, said in told) for level, text in expected)
    assert {entry.name for entry in caplog.records} == {"entropic"}


def test_fields_stand_beside_the_text(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """For those who collect logs as data."""
    record = store.run_or_retrieve({"n": 1}, write)

    (completed,) = [entry for entry in caplog.records if entry.levelno == logging.INFO]
    assert completed.params_hash == record.params_hash
    assert completed.elapsed_seconds == record.metadata["elapsed_seconds"]


def test_we_never_print() -> None:
    """Without a handler of the user's, warnings of ours do not reach the terminal."""
    script = """
from entropic import Store
store = Store("results", "runs.json")
store.run({"n": 1}, lambda params, path: path.write_text("x")).result_path.unlink()
store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert (answer.stdout, answer.stderr) == ("", "")


def test_who_begins_to_listen_is_told(store: Store) -> None:
    """Hits before anybody has loaded logging cost nothing for it; those after are told as soon as it is set up."""
    store.run_or_retrieve({"n": 1}, write)
    script = """
import sys
from entropic import Store, cached
before = set(sys.modules)
store = Store("results", "runs.json", file_suffix=".txt")
assert store.retrieve({"n": 1}) is not None
assert "logging" not in set(sys.modules) - before
import logging
store.retrieve({"n": 1})
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
store.retrieve({"n": 1})
logging.getLogger("entropic").setLevel(logging.INFO)
store.retrieve({"n": 1})
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    (line,) = answer.stdout.splitlines()
    assert line.startswith("DEBUG entropic Hit 2bfd14f43d17fc7c: ")


LATE = """
import sys, warnings
from entropic import Store, cached

warnings.simplefilter("error")

@cached(Store("results", "runs.json", file_suffix=".txt"))
def simulate(n, *, result_path):
    import logging
    from logging import getLogger

    logging.info("{text}")
    getLogger("study").warning("{text}")
    result_path.write_text("x")

simulate(1)
print(simulate.cache_info().hits)
"""


def test_texts_logged_by_what_is_imported_in_a_body_may_change() -> None:
    """In processes that have loaded logging for nothing else, too."""
    for text, hits in (("started", "0"), ("started it", "1")):
        Path("study.py").write_text(LATE.format(text=text))
        answer = subprocess.run([sys.executable, "study.py"], capture_output=True, text=True, check=False)

        assert answer.stdout.split() == [hits], answer.stderr


NO_DESCRIPTORS = """
import resource, sys
from entropic import Store, cached

@cached(Store("results", "runs.json", file_suffix=".txt"))
def simulate(n, *, result_path):
    result_path.write_text("x")

simulate(1)
import logging
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
simulate(1)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(message)s")
simulate(1)
"""


def test_a_hit_when_no_file_can_be_opened() -> None:
    """It needs none, also when somebody has begun to listen: that is noticed with the next hit."""
    for _ in range(2):
        answer = subprocess.run([sys.executable, "-c", NO_DESCRIPTORS], capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stderr
    (line,) = answer.stdout.splitlines()
    assert line.startswith("Hit ")
