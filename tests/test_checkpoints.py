"""A run that was interrupted carries on from what it has put by: of the same key and code, one attempt at a time."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import InputFile, Store, cached, command
from entropic._engine import _attempts
from entropic.errors import (
    InputFileChangedError,
    ParameterError,
    ReentrantRunError,
    RunStopped,
    StaleCheckpointWarning,
    StoreWriteError,
)

STEPS = 6


class Broken(Exception):
    """What interrupts a run in these tests."""


def do(folder: Path) -> int:
    """Carry on to the end; or to the step at which the test wants it to break, once. Notes in a file what was done."""
    state, breaks_at = folder / "state", Path("breaks_at")
    done = int(state.read_text()) if state.exists() else 0
    with open("log", "a") as log:
        log.write(f"{done} {folder}\n")
    for step in range(done, STEPS):
        if breaks_at.exists() and step == int(breaks_at.read_text()):
            breaks_at.unlink()
            raise Broken
        folder.joinpath("draft").write_text(str(step + 1))
        os.replace(folder / "draft", state)
    return STEPS


class Work:
    """What `do` is to do, and what it has done."""

    def __init__(self) -> None:
        self.break_at(3)

    def break_at(self, step: int | None) -> None:
        """Have it break once, at a step."""
        if step is None:
            Path("breaks_at").unlink(missing_ok=True)
        else:
            Path("breaks_at").write_text(str(step))

    def _log(self) -> list[list[str]]:
        return [line.split(" ", 1) for line in Path("log").read_text().splitlines()] if Path("log").exists() else []

    @property
    def starts(self) -> list[int]:
        """The step at which each attempt began."""
        return [int(start) for start, _ in self._log()]

    @property
    def folders(self) -> list[str]:
        """The folder that each was given."""
        return [folder for _, folder in self._log()]


@pytest.fixture
def work() -> Work:
    """Work that breaks once."""
    return Work()


def attempt(call: Callable[[], Any]) -> Any:
    """What a call returns; None if it broke."""
    try:
        return call()
    except Broken:
        return None


def places(store: Store) -> list[Path]:
    """The places in which something is put by."""
    return sorted(store.results_dir.glob(".entropic/checkpoints-v1/*/*"))


# ---- the forms ------------------------------------------------------------------------------------------------------


def by_keyword(store: Store) -> Callable[[], Any]:
    @cached(store, name="f")
    def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    return lambda: f(1)


def by_position(store: Store) -> Callable[[], Any]:
    @cached(store, name="f")
    def f(checkpoint_dir: Path, n: int, result_path: Path, m: int = 2) -> None:
        assert (n, m) == (1, 5)
        result_path.write_text(str(do(checkpoint_dir)))

    return lambda: f(1, 5)


def by_position_only(store: Store) -> Callable[[], Any]:
    @cached(store, name="f")
    def f(n: int, m: int = 2, checkpoint_dir: Path = Path(), result_path: Path = Path(), /) -> None:
        assert (n, m) == (1, 2)
        result_path.write_text(str(do(checkpoint_dir)))

    return lambda: f(1)


def by_another_name(store: Store) -> Callable[[], Any]:
    @cached(store, name="f", checkpoint_arg="scratch", result_arg="out")
    def f(n: int, *, scratch: Path, out: Path) -> None:
        out.write_text(str(do(scratch)))

    return lambda: f(1)


def with_save(store: Store) -> Callable[[], Any]:
    @cached(store, name="f", save=lambda path, value: path.write_text(str(value)))
    def f(n: int, checkpoint_dir: Path) -> int:
        return do(checkpoint_dir)

    return lambda: f(1)  # type: ignore[call-arg]


def as_method(store: Store) -> Callable[[], Any]:
    class Model:
        @cached(store, name="f", ignore=("self",))
        def f(self, n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
            result_path.write_text(str(do(checkpoint_dir)))

    return lambda: Model().f(1)


def as_static_method(store: Store) -> Callable[[], Any]:
    class Model:
        @staticmethod
        @cached(store, name="f")
        def f(n: int, result_path: Path, checkpoint_dir: Path) -> None:
            result_path.write_text(str(do(checkpoint_dir)))

    return lambda: Model.f(1)


def as_coroutine(store: Store) -> Callable[[], Any]:
    @cached(store, name="f")
    async def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    return lambda: asyncio.run(f(1))


def as_decorated_runner(store: Store) -> Callable[[], Any]:
    @cached(store, name="f")
    def f(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    return lambda: f(n=1)


def as_decorated_runner_the_other_way_round(store: Store) -> Callable[[], Any]:
    @cached(store, name="f")
    def f(params: dict[str, Any], checkpoint_dir: Path, result_path: Path) -> None:
        assert params == {"n": 1}
        result_path.write_text(str(do(checkpoint_dir)))

    return lambda: f({"n": 1})


def as_sweep(store: Store) -> Callable[[], Any]:
    @cached(store, name="f")
    def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    def swept() -> Any:
        records = f.sweep([{"n": 1}], on_error="skip")
        return records[0] if records else None

    return swept


def as_replicate(store: Store) -> Callable[[], Any]:
    @cached(store, name="f", seed=None)
    def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    def replicated() -> Any:
        records = f.replicates(1, n=1, on_error="skip")
        return records[0] if records else None

    return replicated


def plain(store: Store) -> Callable[[], Any]:
    def runner(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    return lambda: store.run_or_retrieve({"n": 1}, runner)


def plain_wrapped(store: Store) -> Callable[[], Any]:
    def runner(params: dict[str, Any], result_path: Path, *, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    @functools.wraps(runner)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        runner(*args, **kwargs)

    return lambda: store.run_or_retrieve({"n": 1}, functools.partial(wrapped))


def plain_object(store: Store) -> Callable[[], Any]:
    class Base:
        def __call__(self, params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
            result_path.write_text(str(do(checkpoint_dir)))

    class Runner(Base): ...

    return lambda: store.run_or_retrieve({"n": 1}, Runner())


def plain_method(store: Store) -> Callable[[], Any]:
    class Model:
        def run(self, params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
            result_path.write_text(str(do(checkpoint_dir)))

    return lambda: store.run_or_retrieve({"n": 1}, Model().run)


def further(store: Store) -> Callable[[], Any]:
    @cached(store, name="f")
    def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    return lambda: f.run(1)


FORMS = [
    by_keyword,
    by_position,
    by_position_only,
    by_another_name,
    with_save,
    as_method,
    as_static_method,
    as_coroutine,
    as_decorated_runner,
    as_decorated_runner_the_other_way_round,
    as_sweep,
    as_replicate,
    plain,
    plain_wrapped,
    plain_object,
    plain_method,
    further,
]


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupted_run_carries_on(store: Store, work: Work, form: Callable[..., Callable[[], Any]]) -> None:
    """In every form: from the last step that was put by; what was put by goes when the run is recorded."""
    call = form(store)

    assert attempt(call) is None
    assert len(places(store)) == 1
    record = call()

    assert work.starts == [0, 3]
    assert record.result_path.read_text() == str(STEPS)
    assert list(store.results_dir.glob(".entropic/checkpoints-v1/*")) == []
    assert [one["outcome"] for one in record.provenance["attempts"]] == ["raised Broken", "completed"]


def test_the_folder_is_gone_from_the_signature(store: Store) -> None:
    """It takes no part in the key, a caller cannot give it, and a parameter of that name can be left to the callers."""

    @cached(store, name="f")
    def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text("x")

    @cached(store, name="g", checkpoint_arg=None)
    def g(n: int, checkpoint_dir: str, result_path: Path) -> None:
        result_path.write_text(checkpoint_dir)

    assert str(f.__signature__).startswith("(n: 'int')")
    assert f(1).params == {"n": 1}
    with pytest.raises(TypeError, match="checkpoint_dir"):
        f(2, checkpoint_dir=Path())
    assert g(1, "mine").result_path.read_text() == "mine"


def test_a_run_without_it_makes_no_folder(store: Store) -> None:
    """Nor has its record a list of attempts."""
    record = store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))

    assert not store.results_dir.joinpath(".entropic", "checkpoints-v1").exists()
    assert "attempts" not in record.provenance


def test_costs_add_up(store: Store, work: Work) -> None:
    """Of all attempts, of which each is listed: when and where it was, and what it took."""
    call = by_keyword(store)
    attempt(call)
    record = call()
    first, second = record.provenance["attempts"]

    assert record.metadata["elapsed_seconds"] == pytest.approx(
        first["elapsed_seconds"] + second["elapsed_seconds"], abs=1e-4
    )
    assert record.provenance["cpu_seconds"] == pytest.approx(first["cpu_seconds"] + second["cpu_seconds"], abs=1e-4)
    assert first["began_at"] < first["ended_at"] < second["began_at"] < second["ended_at"]
    assert {first["pid"], second["pid"]} == {os.getpid()}


# ---- whose it is ----------------------------------------------------------------------------------------------------


def changing(store: Store, what: str, **options: Any) -> Any:
    """A function whose code reads a text."""
    scope: dict[str, Any] = {"do": do, "cached": cached, "store": store, "options": options}
    source = (
        "@cached(store, name='f', **options)\n"
        "def f(n, *, result_path, checkpoint_dir):\n"
        f"    result_path.write_text(str(do(checkpoint_dir)) + {what!r})\n"
    )
    exec(source, scope)
    return scope["f"]


def test_changed_code_begins_at_the_beginning_and_says_so(store: Store, work: Work) -> None:
    """What the former code has put by is kept; that code carries on from it."""
    attempt(lambda: changing(store, "a")(1))
    (kept,) = places(store)
    work.break_at(4)
    with pytest.warns(StaleCheckpointWarning, match="code of f has changed") as given:
        attempt(lambda: changing(store, "b")(1))
    work.break_at(5)
    attempt(lambda: changing(store, "a")(1))
    record = changing(store, "b")(1)

    assert work.starts == [0, 0, 3, 4]
    assert record.result_path.read_text() == f"{STEPS}b"
    assert str(kept) in str(given[0].message)
    assert places(store) == [kept]


def test_code_that_does_not_count_carries_on(store: Store, work: Work) -> None:
    """With ``on_change="ignore"`` nobody looks at the code."""
    attempt(lambda: changing(store, "a", on_change="ignore")(1))
    changing(store, "b", on_change="ignore")(1)

    assert work.starts == [0, 3]


@pytest.mark.parametrize(
    "other",
    [
        lambda store: changing(store, "a")(2),
        lambda store: changing(store, "a")(1.0),
        lambda store: changing(store, "a", version=2)(1),
        lambda store: changing(store, "a").run(1),
    ],
    ids=["params", "type", "version", "a further run"],
)
def test_another_run_begins_at_the_beginning(store: Store, work: Work, other: Callable[..., Any]) -> None:
    """Of other parameters, another version, or one that is to be independent of what is recorded."""
    attempt(lambda: changing(store, "a")(1))
    other(store)

    assert work.starts == [0, 0]
    assert len(places(store)) == 1


def test_two_functions_share_nothing(store: Store, work: Work) -> None:
    """Though their code is the same."""
    functions = []
    for name in ("f", "g"):

        @cached(store, name=name)
        def function(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
            result_path.write_text(str(do(checkpoint_dir)))

        functions.append(function)
    attempt(lambda: functions[0](1))
    functions[1](1)

    assert work.starts == [0, 0]


def test_the_code_of_a_plain_runner_counts(store: Store, work: Work) -> None:
    """A hit does not look at it; a run that was interrupted does."""

    def one(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir)))

    def two(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(do(checkpoint_dir) + 1))

    attempt(lambda: store.run_or_retrieve({"n": 1}, one))
    with pytest.warns(StaleCheckpointWarning, match="two"):
        store.run_or_retrieve({"n": 1}, two)

    assert work.starts == [0, 0]


def edit_note(place: Path, **changes: Any) -> None:
    note = json.loads(place.joinpath("note.json").read_text())
    place.joinpath("note.json").write_text(json.dumps({**note, **changes}))


def test_runs_of_one_hash_are_two(store: Store, work: Work) -> None:
    """The key has 16 digits of a digest, and what is put by the whole of it."""
    call = by_keyword(store)
    attempt(call)
    edit_note(places(store)[0], key="0" * 64)
    call()

    assert work.starts == [0, 0]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"provenance": 1}', "\x00"])
def test_a_place_whose_note_is_damaged_is_not_used(store: Store, work: Work, text: str) -> None:
    """It is left for a look."""
    call = by_keyword(store)
    attempt(call)
    (place,) = places(store)
    place.joinpath("note.json").write_text(text)
    call()

    assert work.starts == [0, 0]
    assert places(store) == [place]


@pytest.mark.parametrize("text", ["", '{"began_at": "2026', "[]\n1\n", '\n\n{"outcome": "x"}\n', "\xff"])
def test_a_damaged_list_of_attempts_costs_the_list(store: Store, work: Work, text: str) -> None:
    """And not what was put by."""
    call = by_keyword(store)
    attempt(call)
    places(store)[0].joinpath("attempts.jsonl").write_text(text, encoding="latin-1")
    record = call()

    assert work.starts == [0, 3]
    assert record.provenance["attempts"][-1]["outcome"] == "completed"


# ---- links, and what is half there ----------------------------------------------------------------------------------


def test_a_link_in_the_place_of_all_is_refused(store: Store, work: Work, tmp_path: Path) -> None:
    """Before anything runs."""
    call = by_keyword(store)
    attempt(call)
    folder = store.results_dir / ".entropic" / "checkpoints-v1"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreWriteError, match="Nothing has been run"):
        call()

    assert work.starts == [0]


def test_a_link_in_the_place_of_a_key_is_refused(store: Store, work: Work, tmp_path: Path) -> None:
    """Nothing is made where it leads to."""
    call = by_keyword(store)
    attempt(call)
    folder = places(store)[0].parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreWriteError, match="it is a link"):
        call()

    assert len(list(tmp_path.joinpath("elsewhere").iterdir())) == 1


def test_a_protected_folder_is_removed_as_well(store: Store) -> None:
    """As one may have copied it from somewhere."""

    def runner(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        checkpoint_dir.joinpath("deep").mkdir()
        checkpoint_dir.joinpath("deep", "file").touch()
        checkpoint_dir.joinpath("deep").chmod(0o555)
        result_path.write_text("x")

    store.run_or_retrieve({"n": 1}, runner)

    assert list(store.results_dir.glob(".entropic/checkpoints-v1/*")) == []


def test_a_folder_that_a_runner_has_already_is_left_to_it(store: Store, tmp_path: Path) -> None:
    """One that was put in by `functools.partial`."""

    def runner(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text(str(checkpoint_dir))

    record = store.run_or_retrieve({"n": 1}, functools.partial(runner, checkpoint_dir=tmp_path))

    assert record.result_path.read_text() == str(tmp_path)


@pytest.mark.parametrize("part", ["", "files", "lock", "note.json"])
def test_a_link_in_a_place_is_not_followed(store: Store, work: Work, tmp_path: Path, part: str) -> None:
    """The run begins at the beginning, somewhere else; what the link leads to stays as it is."""
    call = by_keyword(store)
    attempt(call)
    target = places(store)[0] / part
    target.rename(tmp_path / "elsewhere")
    target.symlink_to(tmp_path / "elsewhere")
    call()

    assert work.starts == [0, 0]
    assert tmp_path.joinpath("elsewhere").exists()


def test_what_is_half_removed_is_not_used(store: Store, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed while it removes a place leaves none; the next run clears away what is left."""
    call = by_keyword(store)
    work.break_at(None)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *args, **kwargs: None)
        call().result_path.unlink()
    left = list(store.results_dir.glob(".entropic/checkpoints-v1/*"))
    call()

    assert len(left) == 1
    assert work.starts == [0, 0]
    assert list(store.results_dir.glob(".entropic/checkpoints-v1/*")) == []


def test_no_place_no_run(store: Store, work: Work) -> None:
    """A disk that is full, or a file in the way: refused before the run."""
    call = by_keyword(store)
    store.results_dir.joinpath(".entropic").mkdir()
    store.results_dir.joinpath(".entropic", "checkpoints-v1").write_text("")

    with pytest.raises(StoreWriteError, match="Cannot make a place for checkpoints"):
        call()

    assert work.starts == []


def test_it_stays_until_the_run_is_recorded(store: Store, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has ended, and whose record cannot be written, has lost nothing."""
    call = by_keyword(store)
    work.break_at(None)
    with monkeypatch.context() as patched:
        patched.setattr(type(store._engine.writer), "insert", refuse)
        with pytest.raises(OSError, match="full"):
            call()
    record = call()

    assert work.starts == [0, STEPS]
    assert len(record.provenance["attempts"]) == 2


def refuse(*arguments: object) -> None:
    """An index on a disk that is full."""
    raise OSError(28, "full")


def test_an_input_that_was_changed_meanwhile_spoils_it(store: Store, tmp_path: Path) -> None:
    """What was put by may come of the other content: no attempt carries on from it, and it is kept for a look."""
    mesh = tmp_path / "mesh.txt"
    mesh.write_text("old")
    scope: dict[str, Any] = {"cached": cached, "store": store, "Path": Path, "InputFile": InputFile, "mesh": str(mesh)}
    source = (
        "@cached(store, name='f')\n"
        "def f(file: InputFile, *, result_path, checkpoint_dir):\n"
        "    seen = checkpoint_dir / 'seen'\n"
        "    if not seen.exists():\n"
        "        if not Path('changed').exists():\n"
        "            Path(file).write_text('new')\n"
        "            Path('changed').touch()\n"
        "        seen.write_text(Path(file).read_text())\n"
        "    result_path.write_text(seen.read_text())\n"
    )
    exec(source, scope)
    with pytest.raises(InputFileChangedError):
        scope["f"](mesh)
    mesh.write_text("old")

    assert scope["f"](mesh).result_path.read_text() == "old"
    assert [run.purpose for run in store.checkpoints()] == ["spoiled"]


def test_files_that_are_watched_are_refused_beside_it(store: Store) -> None:
    """What a killed attempt has read is known to nobody."""
    with pytest.raises(TypeError, match=r"f.*watch_reads.*InputFile"):

        @cached(store, watch_reads=True)
        def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None: ...


def test_a_run_that_removes_its_folder_gets_another(store: Store, work: Work) -> None:
    """An empty one, at the same place."""
    call = by_keyword(store)
    attempt(call)
    shutil.rmtree(places(store)[0] / "files")
    call()

    assert work.starts == [0, 0]
    assert len(set(work.folders)) == 1
    assert places(store) == []


# ---- one at a time --------------------------------------------------------------------------------------------------


def test_runs_at_once_have_folders_of_their_own(store: Store) -> None:
    """Further runs of one point exclude nobody; each carries on from one that was left."""
    both = threading.Barrier(2)
    found: list[Path] = []

    def runner(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        found.append(checkpoint_dir)
        both.wait(30)
        result_path.write_text("x")

    threads = [threading.Thread(target=store.run, args=({"n": 1}, runner)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 2
    assert places(store) == []


def test_a_place_that_is_still_in_use_is_not_taken(
    store: Store, work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a process that has lost its lock on a database, or a program that outlives its parent: after some patience."""
    monkeypatch.setattr(_attempts, "_PATIENCE_SECONDS", 0.1)
    call = by_keyword(store)
    attempt(call)
    held = os.open(places(store)[0] / "lock", os.O_RDWR)
    import fcntl

    fcntl.flock(held, fcntl.LOCK_EX)
    call()
    os.close(held)

    assert work.starts == [0, 0]
    assert "still in use" in caplog.text
    assert len(places(store)) == 1


def test_the_wait_for_a_place_is_no_part_of_the_run(store: Store, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take as long as a lost host is given."""
    monkeypatch.setattr(_attempts, "_PATIENCE_SECONDS", 0.3)
    taken_at: list[float] = []
    take = _attempts.CheckpointArea.take

    def taken(*args: Any, **kwargs: Any) -> Any:
        found = take(*args, **kwargs)
        taken_at.append(time.perf_counter())
        return found

    call = by_keyword(store)
    attempt(call)
    held = os.open(places(store)[0] / "lock", os.O_RDWR)
    import fcntl

    fcntl.flock(held, fcntl.LOCK_EX)
    monkeypatch.setattr(_attempts.CheckpointArea, "take", taken)
    call()
    since = time.perf_counter() - taken_at[0]
    os.close(held)

    assert store.list()[0].metadata["elapsed_seconds"] <= since


def test_places_are_made_while_others_clean(store: Store) -> None:
    """Threads that make a place each, and clear away what is dead, never take one another's for dead."""
    begin = threading.Barrier(4)
    failed: list[BaseException] = []

    def runner(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        checkpoint_dir.joinpath("a").write_text("a")
        result_path.write_text("x")

    def run(thread: int) -> None:
        begin.wait(30)
        try:
            for number in range(25):
                store.run_or_retrieve({"n": number, "thread": thread}, runner)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert len(store.list()) == 100
    assert list(store.results_dir.glob(".entropic/checkpoints-v1/*")) == []


NESTED = """
@cached(store, name="inner")
def inner(n, *, result_path, checkpoint_dir):
    result_path.write_text(str(do(checkpoint_dir)))

@cached(store, name="outer")
def outer(n, *, result_path, checkpoint_dir):
    Path("outer").write_text(str(checkpoint_dir))
    inner(1)
    if n:
        outer(n)
    result_path.write_text("x")
"""


def test_a_call_within_a_call(store: Store, work: Work) -> None:
    """Each has a folder of its own; a run that asks for itself is refused as ever."""
    scope: dict[str, Any] = {"cached": cached, "store": store, "do": do, "Path": Path}
    exec(NESTED, scope)

    assert attempt(lambda: scope["outer"](0)) is None
    scope["outer"](0)
    with pytest.raises(ReentrantRunError):
        scope["outer"](1)

    assert work.starts == [0, 3]
    assert len({Path("outer").read_text(), *work.folders}) == 2


def test_a_child_that_was_forked_ends_nothing(store: Store) -> None:
    """A child that leaves the run by an exception leaves what is put by to its parent."""

    @cached(store, name="f")
    def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        pid = os.fork()
        if not pid:
            raise Broken
        os.waitpid(pid, 0)
        checkpoint_dir.joinpath("a").write_text("a")
        result_path.write_text("x")

    parent = os.getpid()
    try:
        record = f(1)
    finally:
        if os.getpid() != parent:
            os._exit(0)

    assert record.result_path.read_text() == "x"
    assert places(store) == []


def test_a_run_that_is_compared_has_a_folder_of_its_own(store: Store, work: Work) -> None:
    """`reproduce` begins at the beginning, and leaves nothing."""
    f = changing(store, "a")
    work.break_at(None)
    f(1)

    assert f.reproduce(1).outcome == "same"
    assert work.starts == [0, 0]
    assert list(store.results_dir.glob(".entropic/checkpoints-v1/*")) == []


# ---- listed, sized, removed -----------------------------------------------------------------------------------------


@pytest.fixture
def left(store: Store, work: Work) -> Store:
    """A store in which two runs were interrupted."""
    f = changing(store, "a")
    attempt(lambda: f(1))
    work.break_at(3)
    attempt(lambda: f.run(2))
    return store


def test_runs_that_are_not_recorded_are_listed(left: Store) -> None:
    """With what they are of, what they take, and their attempts."""
    first, second = left.checkpoints()

    assert (first.params, first.function, first.purpose) == ({"n": 1}, "f", "call")
    assert (second.params, second.purpose) == ({"n": 2}, "run")
    assert first.params_hash == changing(left, "a").key(1)
    assert first.path.joinpath("state").read_text() == "3"
    assert first.size_bytes > 0
    assert not first.is_in_use
    assert [one["outcome"] for one in first.attempts] == ["raised Broken"]
    assert first.elapsed_seconds == first.attempts[0]["elapsed_seconds"]
    assert "f (n=1): 1 attempt" in str(first)
    assert [run.params for run in left.checkpoints("n=2")] == [{"n": 2}]
    assert [run.params for run in left.checkpoints({"n": 3})] == []


def test_what_is_in_use_is_never_removed(store: Store) -> None:
    """Neither by a preview nor in earnest."""
    seen: list[Any] = []

    def runner(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        (run,) = store.checkpoints()
        seen.extend([run.is_in_use, store.prune(checkpoints=True), run.remove(), checkpoint_dir.is_dir()])
        assert "under way" in str(run)
        result_path.write_text("x")

    store.run_or_retrieve({"n": 1}, runner)

    assert seen == [True, [], False, True]


def test_what_is_given_up_is_pruned(left: Store) -> None:
    """All of it, or what a query and an age mean; then the run begins at the beginning."""
    assert len(left.prune(checkpoints=True, preview=True)) == 2
    assert left.prune(checkpoints=True, older_than_seconds=3600) == []
    assert [run.params for run in left.prune(checkpoints=True, where="n=1")] == [{"n": 1}]
    assert [run.params for run in left.checkpoints()] == [{"n": 2}]
    assert left.checkpoints()[0].remove()
    assert left.checkpoints() == []
    with pytest.raises(ValueError, match="checkpoints by size"):
        left.prune(checkpoints=True, keep_newest=1)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="nor both"):
        left.prune(checkpoints=True, failed=True)  # type: ignore[call-overload]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"params": {"n": {"$date": 1}}}', '{"provenance": {"function": 3}}'])
def test_what_cannot_be_read_is_listed(left: Store, text: str) -> None:
    """And can be removed."""
    places(left)[0].joinpath("note.json").write_text(text)
    places(left)[0].joinpath("attempts.jsonl").write_text(text)

    assert len(left.checkpoints()) == 2
    assert all(str(run) for run in left.checkpoints())
    assert len(left.prune(checkpoints=True)) == 2


def test_upkeep_leaves_it_alone(left: Store, tmp_path: Path) -> None:
    """It is no orphan and no leftover; an export, a merge and a rebuilt index have nothing of it."""
    report = left.check(repair=True)
    other = Store(tmp_path / "other", tmp_path / "other.json", file_suffix=".txt")
    other.merge(left)
    left.run({"n": 5}, lambda params, path: path.write_text("x"))
    left.export(tmp_path / "exported")
    left.rebuild()
    left.remove_orphans(left.check().orphans)

    assert report.is_clean
    assert report.checkpoints == places(left)
    assert "checkpoint of a run that is not recorded" in str(report)
    assert len(left.checkpoints()) == 2
    assert other.checkpoints() == []
    assert list(tmp_path.joinpath("exported").rglob("checkpoints*")) == []
    assert len(left.list()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is protected from the superuser")
def test_a_folder_that_cannot_be_written_is_listed(left: Store) -> None:
    """Reading writes nothing."""
    folders = [path for path in (left.results_dir, *left.results_dir.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert len(left.checkpoints()) == 2
    finally:
        for folder in folders:
            folder.chmod(0o755)


def entropic(*words: str, status: int = 0) -> tuple[str, str]:
    """What the command line prints and says."""
    pytest.importorskip("click")
    done = subprocess.run([sys.executable, "-m", "entropic", *words], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def test_on_the_command_line(left: Store) -> None:
    """Listed, counted and removed."""
    left.run({"n": 5}, lambda params, path: path.write_text("x"))
    listed, _ = entropic("checkpoints", "--index", "runs.json", "--results", "results")
    rows = [json.loads(line) for line in entropic("checkpoints", "--json", "--index", "runs.json")[0].splitlines()]
    counted, _ = entropic("stats", "--index", "runs.json", "--results", "results")
    _, asked = entropic("prune", "--checkpoints", "n=1", "--preview", "--index", "runs.json", "--results", "results")
    _, gone = entropic("prune", "--checkpoints", "--yes", "--index", "runs.json", "--results", "results")
    _, wrong = entropic("prune", "--checkpoints", "--keep-newest", "1", "--index", "runs.json", status=2)

    assert [line.split()[0] for line in listed.splitlines()] == ["hash", *(row["params_hash"][:8] for row in rows)]
    assert all(row["path"] in listed for row in rows)
    assert [row["params"] for row in rows] == [{"n": 1}, {"n": 2}]
    assert "of 2 unrecorded runs" in counted
    assert "what 1 unrecorded run saved" in asked
    assert "what 2 unrecorded runs saved" in gone
    assert "--checkpoints goes with filters" in wrong
    assert left.checkpoints() == []


# ---- programs -------------------------------------------------------------------------------------------------------

# Ends a second late when it is asked to, and puts by what it has by then; so a second one would be beside it.
PROGRAM = """#!/bin/sh
state=$2/state
i=0
[ -f "$state" ] && i=$(cat "$state")
echo "begins $i" >> log
keep() { echo "$i" > "$2/draft" && mv "$2/draft" "$state"; }
trap 'echo "it ends"; sleep 1; keep "$@"; echo "last $i" >> log; exit 1' TERM
while [ "$i" -lt "$1" ]; do
    i=$((i + 1))
    sleep 0.01
    [ -f stop ] && { rm stop; keep "$@"; exit 75; }
done
echo "$i" > "$3"
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """A program that carries on, and the arguments it takes."""
    path = tmp_path / "count.sh"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return ["./count.sh", "{n}", "{checkpoint_dir}", "{result_path}"]


def log_lines() -> list[str]:
    return Path("log").read_text().splitlines() if Path("log").exists() else []


def test_a_program_that_was_killed_carries_on(program: list[str]) -> None:
    """The next attempt waits until the former program has ended, which outlives its parent for a while."""
    pytest.importorskip("click")
    words = [sys.executable, "-m", "entropic", "run", "-p", "n=100", "--", *program]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not log_lines():
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.wait()
    (path,) = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    first, last, second = log_lines()

    assert first == "begins 0"
    assert int(last.removeprefix("last ")) > 0
    assert second == last.replace("last", "begins")
    assert Path(path).read_text() == "100\n"
    assert len(Store("results", "entropic.json").list()[0].provenance["attempts"]) == 2


def test_a_program_that_stops_is_no_failure(store: Store, program: list[str]) -> None:
    """Its exit status says so: 75, as of a trouble that passes."""
    runner = command(program)
    Path("stop").touch()
    with pytest.raises(RunStopped, match="exit status 75"):
        store.run_or_retrieve({"n": 5}, runner)
    store.run_or_retrieve({"n": 5}, runner)

    assert log_lines() == ["begins 0", "begins 1"]
    assert places(store) == []


def test_a_program_takes_no_parameter_of_that_name(store: Store, program: list[str]) -> None:
    """It would be the folder, or not be it."""
    with pytest.raises(ParameterError, match="checkpoint_dir"):
        store.run_or_retrieve({"n": 5, "checkpoint_dir": "here"}, command(program))


# ---- real processes -------------------------------------------------------------------------------------------------

STUDY = """
import os, sys, time
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt", durable=False)

@entropic.cached(store, name="count")
def count(steps, *, result_path, checkpoint_dir):
    state = checkpoint_dir / "state"
    total, first = map(int, state.read_text().split()) if state.exists() else (0, 0)
    os.write(1, f"begins {first}\\n".encode())
    for step in range(first, steps):
        total += step * step
        (checkpoint_dir / "draft").write_text(f"{total} {step + 1}")
        os.replace(checkpoint_dir / "draft", state)
        os.write(1, f"did {step}\\n".encode())
        time.sleep(0.001)
    result_path.write_text(str(total))

def ask():
    os.write(1, f"answer {count(int(sys.argv[1])).result_path.read_text()}\\n".encode())

for _ in range(int(sys.argv[2])):  # children that somebody kills
    if not os.fork():
        ask()
        os._exit(0)
    os.wait()
ask()
"""


class Killed:
    """
    A study that is killed at random moments.

    Args:
        steps: How many there are.
        children: How many children of one process are killed; or none, and the process itself is.
    """

    def __init__(self, steps: int, children: int = 0) -> None:
        Path("study.py").write_text(STUDY)
        self._command = [sys.executable, "study.py", str(steps), str(children)]
        self._drawn = random.Random(7)
        self.done = 0
        self.answer = ""

    def run(self, *, kills: int) -> None:
        """Run the study, and kill it or so many of its children, each at most 30 ms after its first word."""
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        timers = []
        for line in process.stdout:
            word, _, number = line.strip().partition(" ")
            if word == "begins":
                assert int(number) >= self.done, "a step was lost that had been put by"
                if len(timers) < kills:
                    victim = process.pid if self._command[-1] == "0" else self._child_of(process.pid)
                    timers.append(threading.Timer(self._drawn.uniform(0.0, 0.03), os.kill, (victim, signal.SIGKILL)))
                    timers[-1].start()
            elif word == "did":
                self.done = max(self.done, int(number) + 1)
            else:
                self.answer = number
        process.stdout.close()
        process.wait()
        for timer in timers:
            timer.join()

    def _child_of(self, pid: int) -> int:
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


def require_right_answer(study: Killed, steps: int, kills: int) -> None:
    """The sum of all squares, in as many attempts as there must have been, and nothing left."""
    (record,) = Store("results", "runs.json").list()
    attempts = record.provenance["attempts"]

    assert study.answer == str(sum(step * step for step in range(steps)))
    assert study.done == steps
    assert len(attempts) == kills + 1
    assert record.metadata["elapsed_seconds"] == pytest.approx(
        sum(one["elapsed_seconds"] for one in attempts), abs=0.01
    )
    assert list(Path("results").glob(".entropic/checkpoints-v1/*")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the system has to tell the child of a process")
def test_killed_at_random_moments() -> None:
    """The right answer in the end, and no step is done twice that was put by."""
    study = Killed(steps=400, children=15)
    study.run(kills=15)

    require_right_answer(study, 400, kills=15)


@pytest.mark.soak
def test_killed_200_times_at_random_moments() -> None:
    """The same, with an interpreter for each attempt."""
    study = Killed(steps=3000)
    for number in range(201):
        study.run(kills=1 if number < 200 else 0)

    require_right_answer(study, 3000, kills=200)
