"""Stores, records, errors and decorated functions on their way into other processes."""

from __future__ import annotations

import copy
import math
import multiprocessing
import os
import pickle
import pickletools
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cloudpickle
import pytest

import entropic
from entropic import RunRecord, Store, cached
from entropic.index import TinyDBIndex

SOURCE = Path(__file__).parents[1] / "src"


PUBLIC = [
    entropic.InputFile("mesh.msh"),
    entropic.grid(n=[1, 2], m=range(3)),
    (entropic.param("n") > 1) & ~entropic.param("s").matches("x"),
    entropic.query.Stored({"$date": "2026-01-01"}),
    RunRecord({"n": 1}, "x.txt", "0" * 16, "2026-01-01T00:00:00+00:00", {}),
]


@pytest.mark.parametrize("value", PUBLIC, ids=lambda value: type(value).__name__)
def test_pickles_name_no_private_module(value: Any) -> None:
    """What users pickle is found again where they import it from, however the package is arranged inside."""
    pickled = pickle.dumps(value)

    assert pickle.loads(pickled) == value or list(pickle.loads(pickled)) == list(value)
    names = [text for operation, text, _ in pickletools.genops(pickled) if isinstance(text, str)]
    assert not [name for name in names if name.startswith("entropic._") or "._" in name]


# ---- in this process ------------------------------------------------------------------------------------------------

FOLDER = TemporaryDirectory(prefix="entropic-")  # not the folder in which the tests were started
SHARED = Store(f"{FOLDER.name}/results", f"{FOLDER.name}/runs.json", file_suffix=".txt")


@cached(SHARED)
def simulate(n, *, result_path):
    result_path.write_text(str(n))


@dataclass
class Solver:
    order: int

    @cached(SHARED)
    def solve(self, n, *, result_path):
        result_path.write_text(str(n))

    @cached(SHARED)
    @classmethod
    def of_class(cls, n, *, result_path):
        result_path.write_text(str(n))

    @staticmethod
    @cached(SHARED)
    def static(n, *, result_path):
        result_path.write_text(str(n))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_decorated_function_pickles_by_name(protocol: int) -> None:
    """As `functools.lru_cache` does: what comes back is the function itself."""
    pickled = pickle.dumps(simulate, protocol)

    assert pickle.loads(pickled) is simulate
    assert len(pickled) < 200


METHODS: list[Callable[[], Any]] = [
    lambda: Solver(4).solve,
    lambda: Solver.solve,
    lambda: Solver.of_class,
    lambda: Solver.static,
    lambda: Solver(4).static,
]


@pytest.mark.parametrize("get", METHODS)
def test_methods_pickle_as_methods_do(get: Callable[[], Any]) -> None:
    """With what they are bound to."""
    method = get()

    back = pickle.loads(pickle.dumps(method))

    arguments = (Solver(4), 1) if "self" in method.bind.__self__.__signature__.parameters else (1,)
    assert back.key(*arguments) == method.key(*arguments)


def test_a_store_pickles_by_its_settings() -> None:
    """The copy is another store on the same folder and index; nothing open goes along."""
    options = {"file_suffix": ".txt", "durable": False, "keep_failed": True, "digest_up_to_bytes": 7}
    store = Store("results", "runs.json", **options)
    record = store.run({"n": 1}, lambda params, path: path.write_text("x"))

    for twin in (pickle.loads(pickle.dumps(store)), copy.copy(store), copy.deepcopy(store)):
        assert twin.results_dir == store.results_dir
        assert {name: twin.settings[name] for name in options} == options
        assert twin.retrieve({"n": 1}) == record
        twin.run({"n": 2}, lambda params, path: path.write_text("y"))

    assert len(store.list(where={"n": 2})) == 3


def test_a_pickled_store_does_not_hang_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made absolute before it went."""
    pickled = pickle.dumps(Store("results", "runs.json"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")

    twin = pickle.loads(pickled)

    assert twin.results_dir == tmp_path / "results"
    assert twin.index.path == tmp_path / "runs.json"


class ListIndex(list[RunRecord]):
    """The five methods over a list, which pickles."""

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        return next((record for record in reversed(self) if record.params_hash == params_hash), None)

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        return [record for record in self if params.items() <= record.params.items()]

    def insert(self, record: RunRecord) -> None:  # type: ignore[override]
        self.append(record)

    def all(self) -> list[RunRecord]:
        return list(self)

    def delete_by_hash(self, params_hash: str) -> bool:
        raise NotImplementedError


def test_an_index_of_ones_own_goes_along() -> None:
    """It pickles as it pickles."""
    store = Store("results", index=ListIndex())
    store.run({"n": 1}, lambda params, path: path.write_text("x"))

    assert len(pickle.loads(pickle.dumps(store)).list()) == 1
    assert isinstance(pickle.loads(pickle.dumps(TinyDBIndex("runs.json"))), TinyDBIndex)


def test_a_record_pickles(store: Store) -> None:
    """Nested params, nan and all."""
    record = store.run({"n": [1, {"a": 2.5}], "x": math.inf}, lambda params, path: path.write_text("x"), note="é")

    twin = pickle.loads(pickle.dumps(record))

    assert isinstance(twin, RunRecord)
    assert twin == record
    assert hash(twin) == hash(record)
    assert twin.to_dict() == record.to_dict()


def test_a_local_function_goes_by_value(store: Store) -> None:
    """What nobody can import is rebuilt from its code by cloudpickle; it answers for the same calls."""

    @cached(store, version=2, load=lambda path: path.read_text())
    def local(n, *, result_path):
        result_path.write_text(str(n))

    assert local(1) == "1"

    twin = pickle.loads(cloudpickle.dumps(local))

    assert twin is not local
    assert twin.key(1) == local.key(1)
    assert (twin(1), twin.cache_info().hits) == ("1", 1)


def test_two_stores_of_one_function_stay_apart(store: Store) -> None:
    """A function decorated twice comes back as the one that was sent."""

    def plain(n, *, result_path):
        result_path.write_text(str(n))

    one, two = cached(store, name="one")(plain), cached(store, name="two")(plain)

    for sent in (one, two):
        assert pickle.loads(cloudpickle.dumps(sent)).key(1) == sent.key(1)


# ---- other processes ------------------------------------------------------------------------------------------------

STUDY = """
import os, sys
from entropic import Store, cached, grid

store = Store("results", "runs.json", file_suffix=".txt", durable=False)

@cached(store)
def simulate(n, *, result_path):
    result_path.write_text(f"{n} {os.getpid()}")

class Solver:
    @cached(store, ignore=("self",))
    def solve(self, n, *, result_path):
        result_path.write_text("solved")
"""

POOL = """
if __name__ == "__main__":
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    context = multiprocessing.get_context(sys.argv[1])
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        records = list(pool.map(simulate, [1, 2, 3, 1, 2, 3]))
        solved = list(pool.map(Solver().solve, [1, 1]))
    assert records[:3] == records[3:], records
    assert records == [simulate(n) for n in [1, 2, 3, 1, 2, 3]]
    assert solved[0] == solved[1]
    assert not any(str(os.getpid()) in record.result_path.read_text().split() for record in records)
    print(simulate.cache_info().misses, records[0].provenance["function"])
"""


def run_script(text: str, *arguments: str, name: str = "study.py") -> str:
    """Run a script in a process of its own, and return what it prints."""
    Path(name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-W", "error", name, *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("first", ["", "import cloudpickle\n"], ids=["pickle", "cloudpickle at hand"])
def test_a_scripts_functions_run_in_process_pools(method: str, first: str) -> None:
    """Each point once, in the workers; the script's file stem stands for ``__main__``."""
    assert run_script(first + STUDY + POOL, method) == "0 study.simulate"


def test_a_script_and_its_import_are_one() -> None:
    """What the script has run, a module that imports it finds; and the other way round."""
    run_script(STUDY + "\nsimulate(1); Solver().solve(1)\n")
    finding = """
        from study import simulate, Solver, store
        assert simulate.retrieve(1) and Solver().solve.retrieve(1)
        print(len(store.list()))
        simulate(2)
    """

    assert run_script("\n".join(line.strip() for line in finding.splitlines()), name="other.py") == "2"
    assert run_script(STUDY + "\nprint(simulate.retrieve(2) is not None)\n") == "True"


SEND = """
import cloudpickle

factor = 3

def make(power):
    @cached(store)
    def scaled(n, *, result_path):
        result_path.write_text(str(factor * n ** power))
    return scaled

square = make(2)
assert square(2).result_path.read_text() == "12"
with open("sent", "wb") as file:
    file.write(cloudpickle.dumps([simulate, square, Solver().solve, store]))
simulate(1)
"""
RECEIVE = """
import pickle
import pickletools
with open("sent", "rb") as file:
    simulate, square, solve, store = pickle.load(file)
assert simulate(1) and simulate.cache_info().misses == 0
assert square(2) and square.cache_info().misses == 0
assert square(3).result_path.read_text() == "27"
assert solve(1).provenance["function"] == "study.Solver.solve"
simulate(2)
with open("sent", "rb") as file:
    again = pickle.load(file)[0]
assert again(2) == simulate(2)
print(simulate(2).provenance["function"])
"""


def test_a_scripts_functions_go_by_value_where_the_script_is_not() -> None:
    """As to a worker of a cluster: another main program rebuilds them, and finds the runs of before."""
    run_script(STUDY + SEND)
    Path("study.py").unlink()

    assert run_script(RECEIVE, name="worker.py") == "study.simulate"


def work(number: int) -> Any:
    """One worker's share: the same points, from another end."""
    store = Store("results", "runs.json", file_suffix=".txt", durable=False)
    order = range(10) if number % 2 else reversed(range(10))
    return [store.run_or_retrieve({"n": n}, _write).result_path.name for n in order]


def _write(params: dict[str, Any], result_path: Path) -> None:
    result_path.write_text(str(os.getpid()))


def test_processes_share_a_folder() -> None:
    """Four processes ask for the same ten points at once: ten runs."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        answers = list(pool.map(work, range(4)))

    store = Store("results", "runs.json")
    assert len(store.list()) == 10
    assert len({name for names in answers for name in names}) == 10
