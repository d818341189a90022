"""Replicates: independent runs of one point, topped up to the number that is asked for."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic.errors import EqualReplicatesWarning, SweepError


def seeded(store: entropic.Store, **options: Any) -> Any:
    @entropic.cached(store, name="seeded", **options)
    def simulate(n: int, dt: float = 0.1, *, seed: int, result_path: Path) -> None:
        result_path.write_text(f"{n} {dt} {random.Random(seed).random()}")

    return simulate


def unseeded(store: entropic.Store, **options: Any) -> Any:
    @entropic.cached(store, name="unseeded", **options)
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text(os.urandom(16).hex())

    return simulate


def test_each_replicate_has_a_seed_of_its_own(store: entropic.Store) -> None:
    """Derived, recorded as a parameter, fit for every generator, and the same whenever it is asked for."""
    simulate = seeded(store)
    records = simulate.replicates(20, 5)
    seeds = [record.params["seed"] for record in records]

    assert len(set(seeds)) == 20
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert simulate.replicates(20, n=5, dt=0.1) == records
    assert simulate.cache_info()[1] == 20
    assert [simulate(5, seed=seed) for seed in seeds] == records
    assert simulate.list(where={"n": 5, "seed": seeds[7]}) == [records[7]]


SEEDS = [279753198, 4189099646, 3566471782]


def test_the_seeds_never_change(store: entropic.Store) -> None:
    """Release after release: whoever tops up next year gets the same ones; other points get others."""
    simulate = seeded(store)

    assert [record.params["seed"] for record in simulate.replicates(3, 5)] == SEEDS
    assert simulate.replicates(1, 6)[0].params["seed"] not in SEEDS


def test_topping_up(store: entropic.Store) -> None:
    """Only those run that are not there; fewer are a part of more."""
    simulate = seeded(store)
    three = simulate.replicates(3, 5)
    five = simulate.replicates(5, 5)

    assert five[:3] == three
    assert simulate.replicates(2, 5) == three[:2]
    assert simulate.replicates(0, 5) == []
    assert simulate.cache_info()[1] == 5


def test_versions_share_their_seeds(store: entropic.Store) -> None:
    """So that two versions can be compared seed by seed."""
    first, second = seeded(store, version=1), seeded(store, version=2)

    assert [r.params for r in first.replicates(3, 5)] == [r.params for r in second.replicates(3, 5)]
    assert len(store.list()) == 6


def test_a_seed_of_another_name(store: entropic.Store) -> None:
    """Named when decorating; a name that is no parameter is refused then."""

    @entropic.cached(store, name="other", seed="rng")
    def simulate(n: int, rng: int, *, result_path: Path) -> None:
        result_path.write_text(f"a number: {rng}")

    assert len({record.params["rng"] for record in simulate.replicates(4, 1)}) == 4
    with pytest.raises(TypeError, match="seed='rgn' is no parameter"):
        entropic.cached(store, name="typo", seed="rgn")(simulate.__wrapped__)


@pytest.mark.parametrize(("args", "kwargs"), [((1,), {"seed": 3}), ((1, 0.1), {"seed": 3})])
def test_a_seed_is_not_to_be_given(store: entropic.Store, args: Any, kwargs: Any) -> None:
    """Each replicate has its own; and nothing has run."""
    with pytest.raises(TypeError, match="sweep over them"):
        seeded(store).replicates(2, *args, **kwargs)
    assert store.list() == []


@pytest.mark.parametrize(("count", "error"), [(-1, ValueError), (2.5, TypeError), ("3", TypeError)])
def test_a_count_is_a_number(store: entropic.Store, count: Any, error: type[Exception]) -> None:
    """Refused before anything runs."""
    with pytest.raises(error):
        seeded(store).replicates(count, 1)
    assert store.list() == []


def test_without_a_seed_the_point_runs_again(store: entropic.Store) -> None:
    """Further records of one key, told apart by their numbers; an ordinary call is answered by the newest."""
    simulate = unseeded(store)
    records = simulate.replicates(4, 1)

    assert len({record.result_path.read_text() for record in records}) == 4
    assert {record.params_hash for record in records} == {simulate.key(1)}
    assert [record.provenance["replicate"] for record in records] == [0, 1, 2, 3]
    assert simulate.list(where={"provenance.replicate": 2}) == [records[2]]
    assert simulate.replicates(4, 1) == records
    assert simulate(1) == records[-1]


def test_ordinary_runs_count(store: entropic.Store) -> None:
    """They stand for the lowest numbers that are free; those whose result is gone do not."""
    simulate = unseeded(store)
    first, second = simulate(1), simulate.run(1)
    records = simulate.replicates(3, 1)

    assert records[:2] == [first, second]
    assert simulate.cache_info()[1] == 3
    second.result_path.unlink()
    assert simulate.replicates(3, 1)[0] == first
    assert simulate.cache_info()[1] == 4


def test_a_seed_left_out_of_the_key(store: entropic.Store) -> None:
    """The point runs again with a seed each, which the metadata tell."""

    @entropic.cached(store, name="ignored", ignore=("seed",))
    def simulate(n: int, seed: int = 0, *, result_path: Path) -> None:
        result_path.write_text(f"a number: {seed}")

    records = simulate.replicates(3, 1)

    assert [r.result_path.read_text() for r in records] == [f"a number: {r.metadata['seed']}" for r in records]
    assert len({record.metadata["seed"] for record in records}) == 3
    assert len({record.params_hash for record in records}) == 1


def test_equal_results_are_said(store: entropic.Store) -> None:
    """Replicates that repeat each other are no statistics; a short result may be equal by chance."""

    @entropic.cached(store, name="fixed")
    def fixed(n: int, *, result_path: Path) -> None:
        result_path.write_text("0.123456789012345678")

    @entropic.cached(store, name="count")
    def count(n: int, *, result_path: Path) -> None:
        result_path.write_text("3")

    with pytest.warns(EqualReplicatesWarning, match="Only 1 of 3 replicates of fixed") as told:
        fixed.replicates(3, 1)
    assert told[0].filename == __file__
    assert isinstance(pickle.loads(pickle.dumps(told[0].message)), EqualReplicatesWarning)
    count.replicates(3, 1)


def test_loaded_replicates(store: entropic.Store) -> None:
    """With ``load=`` the values come back."""
    assert all(text.startswith("5 0.1 ") for text in seeded(store, load=Path.read_text).replicates(3, 5))


def test_methods_and_coroutines(store: entropic.Store) -> None:
    """As for any call."""

    class Model:
        @entropic.cached(store, ignore=("self",))
        def simulate(self, n: int, seed: int, *, result_path: Path) -> None:
            result_path.write_text(f"a number: {seed}")

    @entropic.cached(store, name="later")
    async def later(n: int, seed: int, *, result_path: Path) -> None:
        result_path.write_text(f"a number: {seed}")

    assert len(Model().simulate.replicates(3, 1)) == 3
    assert len(later.replicates(3, 1)) == 3
    assert len(store.list()) == 6


@pytest.mark.parametrize("make", [seeded, unseeded])
def test_threads_share_the_work(store: entropic.Store, make: Any) -> None:
    """Two who top up at once make every replicate once."""
    simulate = make(store)
    barrier = threading.Barrier(4)
    found: list[Any] = []

    def top_up() -> None:
        barrier.wait()
        found.append(simulate.replicates(6, 1))

    threads = [threading.Thread(target=top_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store.list()) == 6
    assert all(records == found[0] for records in found)


@pytest.mark.parametrize("make", [seeded, unseeded])
def test_on_an_executor(store: entropic.Store, make: Any) -> None:
    """Only what is missing is submitted; the answer is the same as without."""
    simulate = make(store)
    three = simulate.replicates(3, 1)
    with ThreadPoolExecutor(2) as executor:
        records = simulate.replicates(12, 1, executor=executor)

    assert records[:3] == three
    assert simulate.replicates(12, 1) == records
    assert len({record.result_path.read_text() for record in records}) == len(store.list()) == 12


WORKERS = """
import os, random
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt", durable=False)

@entropic.cached(store)
def seeded(n, seed, *, result_path):
    result_path.write_text(f"{os.getpid()} {random.Random(seed).random()}")

@entropic.cached(store)
def unseeded(n, *, result_path):
    result_path.write_text(f"{os.getpid()} {random.SystemRandom().random()}")

if __name__ == "__main__":
    for function in (seeded, unseeded):
        records = function.replicates(6, n=1, workers=2, progress=False)
        texts = {record.result_path.read_text() for record in records}
        print(len(texts), str(os.getpid()) in " ".join(texts), function.cache_info().misses)
"""


def test_on_processes_of_our_own() -> None:
    """Every replicate is made by a worker, once, and has its own result."""
    Path("study.py").write_text(WORKERS)
    done = subprocess.run([sys.executable, "study.py"], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == ["6 False 6", "6 False 6"], done.stderr


def test_failures_are_those_of_a_sweep(store: entropic.Store) -> None:
    """The others are recorded; the error has the numbers of those that failed; a further call makes up for them."""
    fails = [False, False, True, True, False, False]

    @entropic.cached(store, name="unsteady", ignore=("fails",))
    def simulate(n: int, fails: list[bool] = fails, *, result_path: Path) -> None:
        result_path.write_text(os.urandom(16).hex())
        if fails.pop(0):
            raise RuntimeError("diverged")

    with pytest.raises(SweepError) as caught:
        simulate.replicates(4, 1)
    assert [failure.point for failure in caught.value.failures] == [2, 3]
    assert len(simulate.replicates(4, 1)) == 4


def test_options_that_are_parameters(store: entropic.Store) -> None:
    """They go to the function."""

    @entropic.cached(store, name="parallel")
    def simulate(n: int, workers: int, *, seed: int, result_path: Path) -> None:
        result_path.write_text(f"a number: {seed}")

    assert {record.params["workers"] for record in simulate.replicates(2, 1, workers=8)} == {8}
    with pytest.raises(ValueError, match="on_error"):
        simulate.replicates(2, 1, workers=8, on_error="never")


SCRIPT = """
import os, sys
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")

@entropic.cached(store, name="model.simulate")
def simulate(n, *, result_path):
    result_path.write_text(os.urandom(16).hex())

sys.stdin.readline()
print(*sorted(record.result_path.name for record in simulate.replicates(8, 1)))
"""


def test_processes_share_the_work(store: entropic.Store, tmp_path: Path) -> None:
    """The same across processes, whose every flight is one of its number."""
    several = [
        subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate("go\n")[0] for process in several]

    assert [process.returncode for process in several] == [0, 0, 0]
    assert len(store.list()) == 8
    assert len(set(answers)) == 1


@pytest.mark.parametrize("make", [seeded, unseeded])
def test_a_replicate_cut_short_is_made_again(store: entropic.Store, make: Any) -> None:
    """As for any call, a result that is empty, or shorter than it was, is none."""
    simulate = make(store)
    simulate.replicates(3, 1)[1].result_path.write_text("")
    sizes = [record.result_path.stat().st_size for record in simulate.replicates(3, 1)]

    assert min(sizes) >= 16
    assert simulate.cache_info()[1] == 4
