"""A run that has ended costs nothing: whatever cannot be recorded is kept, and the error or the log says where."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import InputFile, Store, cached
from entropic.errors import EntropicError, IndexCorruptError, InputFileChangedError, MetadataWarning, OtherFolderError

WORK = "hours of work"


def open_store(**options: Any) -> Store:
    """The store of this test's folder, as another process would see it."""
    return Store("results", "runs.json", file_suffix=".txt", **options)


def found() -> list[Path]:
    """Every file below the results folder that holds what the run has written."""
    files = (path for path in Path("results").rglob("*") if path.is_file() and path.name != "failure.json")
    return [path.absolute() for path in files if WORK.encode() in path.read_bytes()]


def failing(code: int) -> Callable[..., Any]:
    """What takes the place of a call of the system that fails."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


def interrupted(*args: Any, **kwargs: Any) -> Any:
    """What takes the place of a call during which Ctrl-C is pressed."""
    raise KeyboardInterrupt


def fail_in(patch: pytest.MonkeyPatch, name: str, fail: Callable[..., Any], *, after: int = 0) -> None:
    """Have a function of `os` fail, from the call with this number on."""
    original, calls = getattr(os, name), iter(range(10**6))
    patch.setattr(os, name, lambda *args, **kwargs: (fail if next(calls) >= after else original)(*args, **kwargs))


def exhausted(*args: Any, **kwargs: Any) -> Any:
    """What takes the place of a call for which there is no memory."""
    raise MemoryError


# What happens while the runner is at its end, having written its result; by what is done to the store or the system.
Trouble = Callable[[pytest.MonkeyPatch, Path], object]


def damage_index(patch: pytest.MonkeyPatch, path: Path) -> None:
    Path("runs.json").write_text('{"_default": {\n"1": {"params_hash": \n"2": no\n}}\n')


def replace_folder_identity(patch: pytest.MonkeyPatch, path: Path) -> None:
    identity = Path("results/.entropic/id")
    identity.rename(identity.with_name("old"))
    identity.write_text("0123456789abcdef\n")


def lead_nowhere(patch: pytest.MonkeyPatch, path: Path) -> None:
    path.rename(path.with_name("data"))
    path.symlink_to("nowhere")


def write_two(patch: pytest.MonkeyPatch, path: Path) -> None:
    path.rename(path.with_name("a.csv"))
    path.with_name("b.csv").touch()


def only_empty(patch: pytest.MonkeyPatch, path: Path) -> None:
    path.rename(path.with_name("data"))
    path.touch()


TROUBLES: dict[str, tuple[Trouble, type[BaseException]]] = {
    "a link that leads nowhere": (lead_nowhere, EntropicError),
    "several files": (write_two, EntropicError),
    "an empty result with a companion": (only_empty, EntropicError),
    "a full disk at the sync": (lambda patch, path: fail_in(patch, "fsync", failing(errno.ENOSPC)), OSError),
    "no permission to publish": (
        lambda patch, path: [fail_in(patch, name, failing(errno.EACCES)) for name in ("link", "replace")],
        OSError,
    ),
    "a full disk at the publication": (
        lambda patch, path: (fail_in(patch, "link", failing(errno.ENOSPC)), fail_in(patch, "open", failing(errno.EIO))),
        OSError,
    ),
    "a full disk for what is kept, too": (
        lambda patch, path: (fail_in(patch, "fsync", failing(errno.EIO)), fail_in(patch, "mkdir", failing(errno.EIO))),
        OSError,
    ),
    "an interrupt at the sync": (lambda patch, path: fail_in(patch, "fsync", interrupted), KeyboardInterrupt),
    "an interrupt at the publication": (lambda patch, path: fail_in(patch, "link", interrupted), KeyboardInterrupt),
    "an interrupt before the record": (
        lambda patch, path: fail_in(patch, "pwrite", interrupted),
        KeyboardInterrupt,
    ),
    "no memory at the publication": (lambda patch, path: fail_in(patch, "link", exhausted), MemoryError),
    "a full disk at the record": (lambda patch, path: fail_in(patch, "pwrite", failing(errno.ENOSPC)), OSError),
    "a damaged index": (damage_index, IndexCorruptError),
    "another folder at the place": (replace_folder_identity, OtherFolderError),
}
UNDER_WAY: list[tuple[Trouble, pytest.MonkeyPatch]] = []


def troubled(params: dict[str, Any], result_path: Path) -> None:
    """A runner that does its work, and then trouble begins."""
    result_path.write_text(WORK)
    trouble, patch = UNDER_WAY.pop()
    trouble(patch, result_path)


WAYS: dict[str, tuple[bool, Callable[[Store], object]]] = {
    "store": (False, lambda store: store.run_or_retrieve({"n": 1}, troubled)),
    "run": (False, lambda store: store.run({"n": 1}, troubled)),
    "cached": (False, lambda store: cached(store)(troubled)({"n": 1})),
    "keep_failed": (True, lambda store: store.run_or_retrieve({"n": 1}, troubled)),
}


@pytest.mark.parametrize(("keep_failed", "call"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("trouble", "kind"), TROUBLES.values(), ids=TROUBLES)
def test_what_a_finished_run_wrote_is_kept(
    trouble: Trouble,
    kind: type[BaseException],
    keep_failed: bool,
    call: Callable[[Store], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, also after the next process has cleared up; and the error or the log says where."""
    with open_store(keep_failed=keep_failed) as store:
        store.run({"n": 0}, lambda params, path: path.write_text("x"))
        with pytest.MonkeyPatch.context() as patch, pytest.raises(kind) as caught:
            UNDER_WAY.append((trouble, patch))
            call(store)
    if isinstance(caught.value, IndexCorruptError):
        Path("runs.json").unlink()
    with open_store() as other:
        other.check(repair=True)

    (place,) = found()
    said = str(caught.value) if isinstance(caught.value, EntropicError) else caplog.text
    assert any(f"{above}'" in said or f"{above}\n" in said for above in (place, place.parent))
    assert [record.params["n"] for record in open_store().list()] in ([0], [])


def test_what_a_warning_that_is_an_error_costs() -> None:
    """Not the result: it is kept."""
    with warnings.catch_warnings(), pytest.raises(MetadataWarning):
        warnings.simplefilter("error", MetadataWarning)
        open_store().run({"n": 1}, lambda params, path: path.write_text(WORK) and {"energy": object()})

    assert len(found()) == 1


def write_and_touch(path: Path, file: Path) -> None:
    path.write_text(WORK)
    file.write_text("changed")


@pytest.mark.parametrize("how", ["store", "cached", "save"])
def test_an_input_file_that_was_changed(how: str) -> None:
    """The result belongs to neither content; the error says where it is kept."""
    file = Path("mesh.txt")
    file.write_text("mesh")
    store = open_store()

    @cached(store, name="direct")
    def direct(mesh: InputFile, *, result_path: Path) -> None:
        write_and_touch(result_path, mesh)

    @cached(store, name="saved", save=lambda path, value: path.write_text(value))
    def saved(mesh: InputFile) -> str:
        Path(mesh).write_text("changed")
        return WORK

    calls: dict[str, Callable[[], object]] = {
        "store": lambda: store.run({"mesh": InputFile(file)}, lambda params, path: write_and_touch(path, file)),
        "cached": lambda: direct(file),
        "save": lambda: saved(file),
    }
    with pytest.raises(InputFileChangedError, match="kept at") as caught:
        calls[how]()

    (place,) = found()
    assert str(place).startswith(caught.value.kept_at)
    (failure,) = store.failures()
    assert failure.error.startswith("InputFileChangedError")
    assert failure.params is not None


def test_what_a_function_closes_over_was_changed() -> None:
    """During the run, by another: the result is no answer to the call, and is kept."""
    held = {"n": 1}

    def make(store: Store) -> Any:
        state = held["n"]

        @cached(store, name="closing")
        def closing(*, result_path: Path) -> None:
            nonlocal state
            result_path.write_text(f"{WORK} {state}")

        def change() -> None:
            nonlocal state
            state = 2

        return closing, change

    closing, change = make(open_store())
    assert closing().result_path.exists()
    change()
    assert closing().result_path.exists()


def test_interrupted_saving_keeps_the_value(caplog: pytest.LogCaptureFixture) -> None:
    """Ctrl-C while ``save=`` writes passes on as it is; the log says where the value is."""

    @cached(open_store(), name="valued", save=interrupted)
    def valued(n: int) -> str:
        return WORK

    with pytest.raises(KeyboardInterrupt):
        valued(1)

    (place,) = found()
    assert str(place) in caplog.text


NO_DESCRIPTORS = f"""
import resource
from entropic import Store, cached

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

def save(path, value):
    path.write_text(value)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    raise KeyboardInterrupt

@cached(Store("results", "runs.json", file_suffix=".txt"), save=save)
def simulate(n):
    return {WORK!r}

try:
    simulate(1)
except KeyboardInterrupt:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
else:
    raise AssertionError
"""


def test_interrupted_when_no_file_can_be_opened() -> None:
    """In the first run of a process, too: nothing has to be loaded to keep what there is, and to say so."""
    subprocess.run([sys.executable, "-c", NO_DESCRIPTORS], check=True)

    assert len(found()) == 1


def test_a_program_that_ends_well_and_writes_nothing_keeps_its_output() -> None:
    """It may have printed its result, or have written it elsewhere."""
    import entropic

    program = entropic.command([sys.executable, "-c", f"print('{WORK}')", "{result_path}"])
    with pytest.raises(EntropicError, match="kept at"):
        open_store().run({}, program)

    assert [path.name.endswith(".output.txt") for path in found()] == [True]


# ---- killed ---------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal
from entropic import Store
store = Store("results", "runs.json", file_suffix=".txt", {options})
def runner(params, path):
    {write}
def kill(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
store.run({{"n": 0}}, lambda params, path: path.write_text("x"))
os.{function} = kill
store.run({{"n": 1}}, runner)
"""
LARGE = f"path.write_text({WORK!r} * 100_000)"
FOLDER = f"path.mkdir(), (path / 'a').write_text({WORK!r})"


@pytest.mark.parametrize("write", [LARGE, FOLDER], ids=["large", "folder"])
@pytest.mark.parametrize("function", ["fsync", "pwrite"])
def test_killed_after_the_run(function: str, write: str) -> None:
    """While a result is brought to disk: it is kept. Between publication and record: it is an orphan, which is told."""
    code = KILLED.format(options="", write=write, function=function)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL

    store = open_store()
    store.run({"n": 2}, lambda params, path: path.write_text("x"))
    (place,) = found()
    report = store.check(repair=True)
    told = [failure.path for failure in store.failures()] if function == "fsync" else report.orphans

    assert found() == [place]
    assert len(told) == 1
    assert told[0] in (place, *place.parents)
    if function == "fsync":
        (failure,) = store.failures({"n": 1})
        assert failure.params == {"n": 1}
        assert "whole" in failure.error
    else:
        assert store.register({"n": 1}, told[0]).params == {"n": 1}


def test_killed_in_a_run_with_keep_failed() -> None:
    """Another store, which does not ask for it, keeps it as well; and what it was is known."""
    code = KILLED.format(options="keep_failed=True", write=f"path.write_text({WORK!r}), kill()", function="getcwdb")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL

    store = open_store()
    store.run({"n": 2}, lambda params, path: path.write_text("x"))

    (place,) = found()
    (failure,) = store.failures()
    assert (failure.params, failure.path) == ({"n": 1}, place.parent)
    assert "killed" in failure.error
    assert os.listdir("results/.entropic/staging") == []


# ---- and listed -----------------------------------------------------------------------------------------------------


def fail(params: dict[str, Any], path: Path) -> None:
    """A runner that writes something, and raises."""
    path.write_text("half")
    raise ValueError(f"diverged at {params['n']}")


def fail_all(store: Store, numbers: list[int]) -> None:
    for n in numbers:
        with pytest.raises(ValueError, match="diverged"):
            store.run({"n": n, "method": "rk4"}, fail)


def test_failures_name_what_failed() -> None:
    """Parameters, function, error, moment, host and place; the newest last, chosen as runs are."""
    store = open_store(keep_failed=True)
    fail_all(store, [1, 2])

    @cached(store, name="study.simulate", version=3)
    def simulate(n: int, *, result_path: Path) -> None:
        fail({"n": n}, result_path)

    with pytest.raises(ValueError, match="diverged"):
        simulate(3)
    one, two, three = store.failures()

    assert [one.params, two.params, three.params] == [{"n": n, "method": "rk4"} for n in (1, 2)] + [{"n": 3}]
    assert (one.function, three.function, three.error) == (None, "study.simulate", "ValueError: diverged at 3")
    assert three.params_hash == simulate.key(3)
    assert "in fail" in three.traceback
    assert "half" in {path.read_text() for path in three.path.iterdir()}
    assert one.failed_at < two.failed_at < three.failed_at
    assert [failure.params["n"] for failure in store.failures({"n": 2}) if failure.params] == [2]
    assert simulate.failures() == [three]
    assert simulate.failures({"n": 4}) == []
    assert "diverged at 3" in str(three)
    assert "n=3" in str(three)


def test_failures_of_earlier_releases_are_listed() -> None:
    """They have no note: the error comes from the traceback, the hash from the name."""
    store = open_store(keep_failed=True)
    fail_all(store, [1])
    (failure,) = store.failures()
    failure.path.joinpath("failure.json").unlink()
    Path("results/.entropic/failed/strange").mkdir()

    old, strange = sorted(store.failures(), key=lambda one: one.path.name)

    assert (old.params, old.params_hash, old.error) == (None, failure.params_hash, "ValueError: diverged at 1")
    assert (strange.params, strange.params_hash, strange.traceback) == (None, "", "")
    assert store.failures({"n": 1}) == []


@pytest.mark.parametrize("note", ["[]", "{", '{"params": 1, "error": 2, "params_hash": [], "failed_at": {}}', "null"])
def test_a_note_that_nobody_can_read_hurts_nothing(note: str) -> None:
    """It may be a stranger's."""
    store = open_store(keep_failed=True)
    fail_all(store, [1])
    store.failures()[0].path.joinpath("failure.json").write_text(note)

    (failure,) = store.failures()

    assert failure.params is None
    assert str(failure)


def test_failures_are_removed_on_request() -> None:
    """One by one, or by `prune`: by what they are of, and by age; records stay."""
    store = open_store(keep_failed=True)
    kept = store.run({"n": 0}, lambda params, path: path.write_text("x"))
    fail_all(store, [1, 2, 3])
    store.failures({"n": 1})[0].remove()
    assert len(store.failures()) == 2

    assert store.prune(failed=True, older_than_seconds=3600) == []
    assert store.prune(failed=True, preview=True) == store.failures()
    assert len(store.failures()) == 2
    store.prune(failed=True, where={"n": 2})
    assert [failure.params for failure in store.failures()] == [{"n": 3, "method": "rk4"}]
    store.prune(failed=True)
    assert store.failures() == []
    assert store.list() == [kept]


def test_the_note_is_json_that_others_can_read() -> None:
    """With what no JSON can hold in the form that the index has."""
    store = open_store(keep_failed=True)
    with pytest.raises(ValueError, match="diverged"):
        store.run({"n": float("nan"), "t": (1, 2)}, fail)
    (failure,) = store.failures()

    note = json.loads(failure.path.joinpath("failure.json").read_text())
    assert note["params"] == {"n": {"$float": "nan"}, "t": [1, 2]}
    assert failure.params is not None
    assert failure.params["t"] == [1, 2]
