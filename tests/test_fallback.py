"""Stores that are only read, and asked when ours has no answer."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic import RunRecord, Store
from entropic.errors import CodeChangedError, FallbackWarning, StaleResultWarning


def store_at(place: str, *fallback: Any, **options: Any) -> Store:
    """A store in a folder of its own."""
    return Store(f"{place}/results", f"{place}/entropic.json", ".txt", fallback=fallback, **options)


def write(params: dict[str, Any], path: Path) -> None:
    """A result that tells its point."""
    path.write_text(f"result of {params['n']}")


def write_with_companion(params: dict[str, Any], path: Path) -> None:
    """A folder, and a file beside it."""
    path.mkdir()
    path.joinpath("state").write_text(f"state of {params['n']}")
    path.with_name("log.txt").write_text("log")


def never(params: dict[str, Any], path: Path) -> None:
    """A runner that is not to be called."""
    raise AssertionError(f"{params} has run")


def tree(folder: str) -> dict[str, tuple[int, int]]:
    """What lies below a folder, with size and time of change of each."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


@pytest.fixture
def theirs() -> Iterator[Store]:
    """A store with the points 1 and 2, which is not written to."""
    store = store_at("theirs")
    for n, runner in ((1, write), (2, write_with_companion)):
        store.run({"n": n}, runner, note=f"theirs, {n}")
    before = tree("theirs")
    yield store
    assert tree("theirs") == before


@pytest.mark.parametrize(
    "ask",
    [
        lambda ours, n: ours.run_or_retrieve({"n": n}, never),
        lambda ours, n: ours.retrieve({"n": n}),
        lambda ours, n: ours.sweep([{"n": n}], never)[0],
        lambda ours, n: ours.sweep([{"n": n}], never, workers=1, progress=False)[0],
    ],
    ids=["run_or_retrieve", "retrieve", "sweep", "sweep in a worker"],
)
@pytest.mark.parametrize("n", [1, 2])
def test_what_another_store_has_is_fetched_and_recorded_here(
    theirs: Store, ask: Callable[[Store, int], RunRecord], n: int
) -> None:
    """Once: after that it is a run of ours, which tells where it is from, whole with all that belongs to it."""
    ours, original = store_at("ours", theirs), theirs.list()[n - 1]
    assert ours.plan([{"n": 1}, {"n": 2}, {"n": 3}]).cached == 2
    assert ours.count() == 0

    record = ask(ours, n)

    assert ours.results_dir in record.result_path.parents
    assert (record.created_at, record.metadata) == (original.created_at, original.metadata)
    assert record.provenance["origin"]["results_dir"] == str(theirs.results_dir)
    assert ours.count() == 1
    alone = store_at("ours")
    assert alone.retrieve({"n": n}) == record
    assert alone.check(contents=True).is_clean
    if n == 2:
        assert record.result_path.with_name("log.txt").read_text() == "log"


def test_a_store_of_ours_is_asked_first_and_a_hit_asks_no_other(theirs: Store) -> None:
    """One look-up for each other store on a miss; none on a hit."""
    asked: list[str] = []

    class Counting:
        """An index that notes what it is asked for."""

        def find_by_hash(self, params_hash: str) -> Any:
            asked.append(params_hash)
            return theirs.index.find_by_hash(params_hash)

        def find_by_params(self, params: Any) -> Any:
            return theirs.index.find_by_params(params)

        def all(self) -> Any:
            return theirs.index.all()

        def insert(self, record: Any) -> None:
            raise AssertionError("it is only read")

        def delete_by_hash(self, params_hash: str) -> Any:
            raise AssertionError("it is only read")

    ours = store_at("ours", Store(theirs.results_dir, index=Counting()))
    ours.run_or_retrieve({"n": 9}, write)
    assert len(asked) == 1
    ours.run_or_retrieve({"n": 1}, never)
    assert len(asked) == 2

    for _ in range(3):
        ours.run_or_retrieve({"n": 1}, never)
        ours.run_or_retrieve({"n": 9}, never)

    assert len(asked) == 2


@pytest.mark.parametrize("place", ["theirs/entropic.json", "theirs", Path("theirs")])
def test_a_path_leads_to_a_store(theirs: Store, place: Any) -> None:
    """An index file, or a folder with one; nothing is made there."""
    ours = store_at("ours", place)

    assert ours.run_or_retrieve({"n": 1}, never).result_path.read_text() == "result of 1"
    assert pickle.loads(pickle.dumps(ours)).run_or_retrieve({"n": 2}, never).result_path.is_dir()


@pytest.mark.parametrize(
    ("fallback", "error", "said"),
    [
        ("theirs", TypeError, "give a list"),
        ([3], TypeError, "neither a Store nor"),
        (["postgresql://host/runs"], ValueError, "Pass a store"),
        (["."], ValueError, "no single index"),
    ],
)
def test_what_is_no_store_is_refused(fallback: Any, error: type[Exception], said: str) -> None:
    """When the store is made, not when it is asked."""
    with pytest.raises(error, match=said):
        Store("results", "runs.json", fallback=fallback)


def test_stores_that_fall_back_on_others_are_asked_with_those() -> None:
    """In their order, each once; the nearest answer is taken, and tells the way that it has come."""
    first = store_at("first")
    for n in (1, 2):
        first.run({"n": n}, write, of="first")
    second = store_at("second", first)
    second.run({"n": 2}, write, of="second")
    ours = store_at("ours", second, first)

    assert ours.run_or_retrieve({"n": 1}, never).metadata["of"] == "first"
    assert ours.run_or_retrieve({"n": 2}, never).metadata["of"] == "second"
    assert second.count() == 1
    fetched = store_at("third", ours).run_or_retrieve({"n": 1}, never)
    assert fetched.provenance["origin"]["results_dir"] == str(ours.results_dir)
    assert fetched.provenance["origin"]["origin"]["results_dir"] == str(first.results_dir)


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_text("res")


def exchange(path: Path) -> None:
    path.write_text("result of 7")


def add(path: Path) -> None:
    path.write_text("result of 1, and more")


@pytest.mark.parametrize("damage", [remove, cut, exchange, add])
def test_a_damaged_result_is_no_answer(damage: Callable[[Path], None]) -> None:
    """It is said once, and the next store is asked; if none has it whole, the point runs."""
    damaged, whole = store_at("damaged"), store_at("whole")
    for n in (1, 2):
        damaged.run({"n": n}, write, of="damaged")
    whole.run({"n": 1}, write, of="whole")
    damage(damaged.list()[0].result_path)
    ours = store_at("ours", damaged, whole)

    with pytest.warns(FallbackWarning, match="damaged"):
        assert ours.run_or_retrieve({"n": 1}, never).metadata["of"] == "whole"
    ours.delete({"n": 1}, remove_file=True)
    assert ours.run_or_retrieve({"n": 1}, never).metadata["of"] == "whole"
    assert ours.run_or_retrieve({"n": 2}, never).metadata["of"] == "damaged"
    alone = store_at("alone", damaged)
    with pytest.warns(FallbackWarning, match="damaged"):
        assert alone.run_or_retrieve({"n": 1}, write, of="ours").metadata["of"] == "ours"
    assert list(ours.results_dir.glob(".entropic/staging/*")) == []


def test_a_store_that_cannot_be_read_is_no_answer() -> None:
    """It is not there, or damaged: said once for each, and the points run."""
    Path("broken").mkdir()
    Path("broken/entropic.json").write_text('{"_store": {"1": {"format": 1, "results_dir": "results"}}, "_default": {x')
    ours = store_at("ours", "gone/entropic.json", "broken")

    with pytest.warns(FallbackWarning) as given:
        ours.sweep([{"n": 1}, {"n": 2}], write)

    places = [warning.message.results_dir for warning in given if isinstance(warning.message, FallbackWarning)]
    assert places == [os.path.abspath("gone/results"), os.path.abspath("broken/results")]
    assert not Path("gone").exists()


def test_a_result_of_ours_that_is_gone_is_fetched_again(theirs: Store) -> None:
    """The new record takes the place of the one without a result."""
    ours = store_at("ours", theirs)
    ours.run_or_retrieve({"n": 1}, never).result_path.unlink()

    record = ours.run_or_retrieve({"n": 1}, never)

    assert record.result_path.read_text() == "result of 1"
    assert [one.result_path for one in ours.list()] == [record.result_path]
    assert ours.check(contents=True).is_clean


def test_theirs_are_listed_where_that_is_asked_for(theirs: Store) -> None:
    """Each run once, with its result where it lies; nothing is fetched."""
    ours = store_at("ours", theirs)
    ours.run_or_retrieve({"n": 1}, never)
    ours.run({"n": 1}, write)
    ours.run({"n": 3}, write)

    assert [record.params["n"] for record in ours.list()] == [1, 1, 3]
    assert [record.params["n"] for record in ours.list(fallback=True)] == [2, 1, 1, 3]
    assert [record.params["n"] for record in ours.list("n<3", fallback=True, order_by="-n", limit=2)] == [2, 1]
    assert [record.params["n"] for record in ours.list(fallback=True, current=True)] == [2, 1, 3]
    assert theirs.results_dir in ours.list({"n": 2}, fallback=True)[0].result_path.parents
    assert ours.count() == 3


def test_a_write_protected_result_is_linked_and_another_one_copied() -> None:
    """What is added to our copy is not in theirs; of what nobody writes to, one copy is enough."""
    theirs = store_at("theirs")
    originals = [theirs.run({"n": n}, write).result_path for n in (1, 2)]
    originals[1].chmod(0o444)
    ours = store_at("ours", theirs)

    fetched = [ours.run_or_retrieve({"n": n}, never).result_path for n in (1, 2)]

    assert not fetched[0].samefile(originals[0])
    assert fetched[1].samefile(originals[1])


def test_a_registered_result_stays_where_it_is() -> None:
    """It is recorded here by its path."""
    Path("measured.csv").write_text("1,2")
    theirs = store_at("theirs")
    theirs.register({"sample": "A"}, "measured.csv")

    record = store_at("ours", theirs).retrieve({"sample": "A"})

    assert record is not None
    assert record.result_path == Path("measured.csv").absolute()


def decorated(store: Store, text: str, **options: Any) -> Any:
    """One function, by its name, whose code tells what it writes."""
    body = f"def simulate(n, *, result_path):\n    result_path.write_text({text!r})\n"
    namespace: dict[str, Any] = {"__name__": "study"}
    exec(compile(body, f"<study {text}>", "exec"), namespace)
    return entropic.cached(store, name="simulate", **options)(namespace["simulate"])


def test_runs_of_other_code_are_judged_as_ours_are() -> None:
    """By `on_change`, in a call and in a plan; what was accepted there, or here, counts."""
    theirs = store_at("theirs")
    decorated(theirs, "old")(1)

    rerun = decorated(store_at("rerun", theirs), "new", on_change="rerun")
    assert rerun.plan([{"n": 1}]).cached == 0
    assert rerun(1).result_path.read_text() == "new"
    with pytest.raises(CodeChangedError):
        decorated(store_at("error", theirs), "new", on_change="error")(1)
    warned = decorated(store_at("warned", theirs), "new")
    with pytest.warns(StaleResultWarning):
        assert warned.plan([{"n": 1}]).by_earlier_code == 1
    assert warned(1).result_path.read_text() == "old"
    unchanged = decorated(store_at("unchanged", theirs), "old", on_change="error")
    assert unchanged.retrieve(1).result_path.read_text() == "old"
    assert unchanged.cache_info().misses == 0
    decorated(theirs, "new").accept_changes()
    accepted = decorated(store_at("accepted", theirs), "new", on_change="error")
    assert accepted(1).result_path.read_text() == "old"
    shutil.rmtree("theirs")
    assert decorated(store_at("accepted"), "new", on_change="error")(1).result_path.read_text() == "old"


def test_what_is_known_of_their_code_comes_along() -> None:
    """So that a later edit is told by name, and not as a code that is unknown."""
    theirs = store_at("theirs")
    decorated(theirs, "old")(1)
    ours = store_at("ours", theirs)
    decorated(ours, "old")(1)
    shutil.rmtree("theirs")
    later = decorated(store_at("ours"), "new", on_change="error")

    with pytest.raises(CodeChangedError, match="simulate") as raised:
        later(1)

    assert raised.value.changed == ("the function itself",)


def test_another_function_or_value_never_answers(theirs: Store) -> None:
    """Keys are compared as in our own store: the name of a function and the types of values count."""
    ours = store_at("ours", theirs)

    assert ours.retrieve({"n": 1.0}) is None
    assert decorated(ours, "own").retrieve(1) is None
    assert ours.count() == 0


def test_eight_threads_fetch_a_point_once(theirs: Store) -> None:
    """Under the flight of its key, as runs are."""
    from concurrent.futures import ThreadPoolExecutor

    ours = store_at("ours", theirs)
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda _: ours.run_or_retrieve({"n": 1}, never), range(16)))

    assert len({record.result_path for record in records}) == 1
    assert ours.count() == 1


def test_it_is_explained_what_would_be_fetched(theirs: Store) -> None:
    """No run would follow; and nothing is fetched for the explanation."""
    ours = store_at("ours", theirs)

    found = ours.explain({"n": 1})

    assert found.is_hit
    assert f"it would be fetched from {theirs.results_dir}" in str(found)
    assert not ours.explain({"n": 3}).is_hit
    assert ours.count() == 0


class Slow:
    """An index on a server that does not answer, which takes ten seconds to find out; and the clock of that."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked = 0

    def find_by_hash(self, params_hash: str) -> Any:
        self.asked += 1
        self.now += 10.0
        raise TimeoutError("the server does not answer")

    def find_by_params(self, params: Any) -> Any:
        raise AssertionError("it was found to be silent by then")

    all = insert = delete_by_hash = find_by_params


def test_a_store_that_takes_long_to_fail_is_not_asked_for_each_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """But again after a minute; that it is passed over is said once."""
    index = Slow()
    monkeypatch.setattr("entropic._engine._fallback.monotonic", lambda: index.now)
    ours = store_at("ours", Store("theirs/results", index=index))

    with pytest.warns(FallbackWarning, match="does not answer") as given:
        ours.sweep([{"n": n} for n in range(20)], write)
    assert (index.asked, len(given)) == (1, 1)
    index.now += 61.0
    ours.plan([{"n": n} for n in range(20, 30)])  # a second warning would be an error
    assert index.asked == 2


def say(**fields: Any) -> Callable[[dict[str, Any]], object]:
    """Change what a line says of a run."""
    return lambda line: line.update(fields)


def say_of_result(**fields: Any) -> Callable[[dict[str, Any]], object]:
    """Change what a line says of a result."""
    return lambda line: line["provenance"].update(fields)


@pytest.mark.parametrize(
    "lie",
    [
        say(result_path="../../secret.txt"),
        say(result_path=f"{os.sep}etc/hostname"),
        say(n=2),
        say(metadata="text"),
        say(provenance=[]),
        say_of_result(digest="sha256:" + "0" * 64),
        say_of_result(digest="md5:0"),
        say_of_result(size_bytes=7),
        say_of_result(function=["f"]),
        say_of_result(version=3),
        say_of_result(members=[["../../secret.txt", 7, 1]], siblings=["../../secret.txt"]),
        say_of_result(members=[["log.txt", 1 << 70, 1]]),
        say_of_result(environment="../../secret", git={"patch": "../../secret"}, code="../../secret"),
        say_of_result(remote={"name": "x"}, inputs=[3], reads=3, origin={"origin": "x"}, mtime_ns=1 << 90),
    ],
)
def test_what_a_stranger_says_is_no_answer_or_a_good_one(lie: Callable[[dict[str, Any]], object]) -> None:
    """Nothing from outside its folder is taken, nothing that is not as recorded, and what is taken is whole here."""
    Path("secret.txt").write_text("secret\n")
    store_at("theirs").run({"n": 1}, write)
    index = json.loads(Path("theirs/entropic.json").read_text())
    lie(index["_default"]["1"])
    Path("theirs/entropic.json").write_text(json.dumps(index))
    ours = store_at("ours", "theirs/entropic.json")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        record = ours.run_or_retrieve({"n": 1}, write)
        ours.plan([{"n": 1}, {"n": 2}]), ours.explain({"n": 2}), ours.list(fallback=True)

    assert record.result_path.read_text() == "result of 1"
    assert ours.check(contents=True).is_clean, ours.check(contents=True)
    assert [path for path in Path("ours").rglob("*") if "secret" in path.name] == []


def test_an_index_beside_ours_is_a_fallback_like_any_other() -> None:
    """Of the same results folder: each has a file of its own, and may go without the other."""
    theirs = Store("results", "theirs.json", ".txt")
    original = theirs.run({"n": 1}, write).result_path
    ours = Store("results", "ours.json", ".txt", fallback=[theirs])

    assert not ours.run_or_retrieve({"n": 1}, never).result_path.samefile(original)
    ours.delete({"n": 1}, remove_file=True)
    assert theirs.run_or_retrieve({"n": 1}, never).result_path == original
    assert ours.check(contents=True).is_clean, ours.check(contents=True)


def test_a_store_does_not_fall_back_on_itself() -> None:
    """By whatever path it is named, or by way of others that fall back on it."""
    store_at("ours").run({"n": 1}, write).result_path.unlink()
    store_at("other").run({"n": 2}, write)
    Path("link").symlink_to("ours")
    ours = store_at("ours", "link", store_at("other", "link"))

    assert ours.retrieve({"n": 1}) is None  # a warning that it is gone there as well would be an error
    assert len(ours.list(fallback=True)) == 2
