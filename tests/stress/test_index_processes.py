"""Real processes on one index file: none loses a record, none reads a torn one, none is stopped by a killed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tinydb

from entropic.index import TinyDBIndex
from entropic.testing import make_record

# ENTROPIC_STRESS=33 makes 10,000 inserts and 1,000 kills.
FACTOR = int(os.environ.get("ENTROPIC_STRESS", "1"))
INSERTS = 304 * FACTOR
KILLS = 30 * FACTOR
WRITERS = 8

_WRITE = """
import sys
from entropic.index import TinyDBIndex
from entropic.testing import make_record
path, writer, first, last, durable = sys.argv[1], *map(int, sys.argv[2:])
index = TinyDBIndex(path, durable=bool(durable))
print("ready", flush=True)
sys.stdin.readline()
for n in range(first, last):
    record = make_record({"writer": writer, "n": n, "text": "x" * (n * 37 % 6000)})
    index.insert(record)
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
    if n % 40 == 39:
        index.insert(make_record({"doomed": writer}))
        index.delete_by_hash(make_record({"doomed": writer}).params_hash)
"""

_READ = """
import json, sys, tinydb
from entropic.index import TinyDBIndex
from entropic.testing import make_record
path, writers = sys.argv[1], int(sys.argv[2])
index, looks, seen = TinyDBIndex(path), 0, 0
print("ready", flush=True)
done = False
while not done:
    done = bool(index.find_by_hash(make_record({"end": 1}).params_hash))
    records = [record for record in index.all() if "writer" in record.params]
    assert len(records) >= seen, "a record is gone"
    seen = len(records)
    for writer in range(writers):
        numbers = [record.params["n"] for record in records if record.params["writer"] == writer]
        assert numbers == list(range(len(numbers))), numbers
        if numbers:
            wanted = make_record({"writer": writer, "n": numbers[-1], "text": "x" * (numbers[-1] * 37 % 6000)})
            found = index.find_by_hash(wanted.params_hash)
            assert found is not None and found.params == wanted.params
            assert len(index.search({"writer": writer, "n": numbers[-1]})) == 1
    looks += 1
print(looks, seen)
"""


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=600)
    assert errors == ""
    assert process.returncode == 0
    return output


def _is_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@pytest.mark.parametrize("durable", [False, True], ids=["unsynced", "synced"])
def test_writers_lose_nothing_and_readers_read_nothing_torn(tmp_path: Path, durable: bool) -> None:
    """Eight processes append and rewrite, one reads: every record is there, in order, whenever looked at."""
    path = tmp_path / "runs.json"
    each = INSERTS // WRITERS
    reader = _start(_READ, path, WRITERS)
    writers = [_start(_WRITE, path, writer, 0, each, int(durable)) for writer in range(WRITERS)]
    for process in (reader, *writers):
        _is_ready(process)

    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _finish(writer)
    index = TinyDBIndex(path)
    index.insert(make_record({"end": 1}))
    looks, seen = map(int, _finish(reader).split())

    assert looks >= 2
    assert seen == WRITERS * each
    runs = [(record.params["writer"], record.params["n"]) for record in index.search({}) if "writer" in record.params]
    assert sorted(runs) == [(writer, n) for writer in range(WRITERS) for n in range(each)]
    with tinydb.TinyDB(path, access_mode="r") as database:
        assert len(database) == WRITERS * each + 1
    names = {entry.name for entry in tmp_path.iterdir()}
    assert names - {f".runs.json.offsets-v2.{rank}" for rank in range(4)} == {"runs.json"}


def test_killed_writers_lose_nothing_they_reported(tmp_path: Path) -> None:
    """SIGKILL at random moments, two writers at a time: what was reported is there, and the next writer goes on."""
    path = tmp_path / "runs.json"
    chance = random.Random(20260101)
    reported: dict[int, int] = {0: 0, 1: 0}

    for _ in range(KILLS // 2):
        writers = {writer: _start(_WRITE, path, writer, reported[writer], 10**6, 0) for writer in reported}
        for process in writers.values():
            _is_ready(process)
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for writer, process in writers.items():
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                reported[writer] = int(process.stdout.readline()) + 1
            for _ in range(chance.randrange(20_000)):
                pass  # so that it is not always killed right after a report
            process.send_signal(signal.SIGKILL)
        for writer, process in writers.items():
            output, errors = process.communicate(timeout=120)
            assert errors == ""
            # The last line may have been cut by the kill itself.
            numbers = output.split("\n")[:-1]
            reported[writer] = max([reported[writer], *(int(number) + 1 for number in numbers)])
        runs: dict[int, set[int]] = {writer: set() for writer in reported}
        for record in TinyDBIndex(path).all():
            if "writer" in record.params:
                runs[record.params["writer"]].add(record.params["n"])
        assert {writer: set(range(number)) - runs[writer] for writer, number in reported.items()} == {
            0: set(),
            1: set(),
        }
