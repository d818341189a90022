"""Forked children: of a store that is open, of one in the middle of a run, of a process with threads at work."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from entropic import Store
from entropic._fs import _fork

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")

HEAD = """
import json, os, signal, sys, threading, time, warnings
from pathlib import Path
from entropic import Store, cached
from entropic.errors import ReentrantRunError
from entropic.hashing import hash_params
from entropic._locks import key_locks_in
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of a fork beside threads: our subject
def runner(params, path):
    path.write_text(str(params["n"]))
def in_child(function):
    '''Run a function in a forked child, and return its exit code.'''
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            signal.alarm(120)
            function()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid
def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
store = Store("results", "runs.json", file_suffix=".txt")
"""


def forking(code: str, **options: Any) -> Any:
    """Run code in a process of its own and return what it printed, as JSON."""
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def require(*points: int) -> None:
    """These points are recorded, each once, with their results; nothing is left over."""
    with Store("results", "runs.json", file_suffix=".txt") as store:
        assert sorted(record.params["n"] for record in store.list()) == sorted(points)
        for record in store.list():
            assert record.result_path.read_text() == str(record.params["n"])
        assert store.check(contents=True).leftovers == []


def test_children_use_the_parents_store() -> None:
    """A store with records, a session and a warm index: parent and children go on with it, all at once."""
    codes = forking(
        """
store.run_or_retrieve({"n": 0}, runner)
def work(number):
    for n in range(10 * number, 10 * number + 10):
        store.run_or_retrieve({"n": n}, runner)
    assert store.retrieve({"n": 0}) is not None
    store.close()
children = [in_child(lambda: work(number)) for number in (1, 2, 3)]
work(4)
print(json.dumps([ended(pid) for pid in children]))
"""
    )

    assert codes == [0, 0, 0]
    require(0, *range(10, 50))


def test_a_fork_in_the_middle_of_a_run() -> None:
    """The child may use other keys; the run's own it may not wait for; the parent keeps its lock and its work."""
    codes = forking(
        """
codes = []
def forks(params, path):
    path.write_text("half")
    def child():
        store.run_or_retrieve({"n": 2}, runner)
        try:
            store.run_or_retrieve({"n": 1}, runner)
        except ReentrantRunError:
            pass
        else:
            raise AssertionError("waited for its parent")
    codes.append(ended(in_child(child)))
    others = key_locks_in("results/.entropic/keys-v1.lock", "results/.entropic/locks", str)
    assert others.try_lock(hash_params({"n": 1})) is None, "the lock went with the child"
    assert path.read_text() == "half", "the work went with the child"
    path.write_text("1")
store.run_or_retrieve({"n": 1}, forks)
print(json.dumps(codes))
"""
    )

    assert codes == [0]
    require(1, 2)


def test_a_child_of_a_run_that_leaves_by_exit() -> None:
    """Leaving the runner in the child, by an exception or in the regular way, does nothing to the parent's run."""
    codes = forking(
        """
codes = []
def leaves(params, path):
    path.write_text("half")
    pid = os.fork()
    if pid == 0:
        if params["n"] == 1:
            sys.exit(0)
        return
    codes.append(ended(pid))
    path.write_text(str(params["n"]))
parent = os.getpid()
for n in (1, 2):
    try:
        store.run_or_retrieve({"n": n}, leaves)
    except BaseException:
        if os.getpid() == parent:
            raise
        os._exit(0)
    if os.getpid() != parent:
        os._exit(0)
print(json.dumps(codes))
"""
    )

    assert codes == [0, 0]
    require(1, 2)


def test_a_fork_while_other_threads_are_at_work() -> None:
    """Threads that run, wait and read, and with them all our locks in any state: no child hangs."""
    codes = forking(
        """
store = Store("results", "runs.json", file_suffix=".txt", durable=False)  # more forks between steps, fewer in syncs
stop = threading.Event()
def busy(number):
    n = 0
    while not stop.is_set():
        n += 1
        store.run_or_retrieve({"n": 1000 + n % 50}, runner)
        store.run({"n": 2000 + number}, runner)
        store.list({"n": 0})
def child():
    store.run_or_retrieve({"n": os.getpid()}, runner)
    store.run_or_retrieve({"n": 1000}, runner)
    assert store.retrieve({"n": os.getpid()}) is not None
store.run_or_retrieve({"n": 0}, runner)
store.list({"n": 0})
threads = [threading.Thread(target=busy, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
codes = [ended(in_child(child)) for _ in range(40)]
stop.set()
for thread in threads:
    thread.join()
print(json.dumps(codes))
"""
    )

    assert codes == [0] * 40
    with Store("results", "runs.json", file_suffix=".txt") as store:
        store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("1"))
        assert store.check(contents=True).leftovers == []


def test_a_child_does_not_keep_its_parents_locks() -> None:
    """The parent is killed in the middle of a run, its child lives on: the key is free, its work is cleaned up."""
    lives = forking(
        """
import select
heard, told = os.pipe()
def runner_with_a_child(params, path):
    path.write_text("half")
    def child():
        os.write(told, b".")
        time.sleep(600)
    in_child(child)
    os.read(heard, 1)  # it has begun, so it has let go of what is its parent's
    os.kill(os.getpid(), signal.SIGKILL)
outer = os.fork()
if outer == 0:
    os.dup2(2, 1)
    os.setsid()
    store.run_or_retrieve({"n": 1}, runner_with_a_child)
os.close(told)
ended(outer)
store.run_or_retrieve({"n": 1}, runner)
ready, _, _ = select.select([heard], [], [], 0)  # its end of the pipe closes when it ends
print(json.dumps(not ready))
os.killpg(outer, signal.SIGKILL)
"""
    )

    assert lives
    require(1)


def test_pools_of_forked_workers() -> None:
    """A multiprocessing pool, begun within a run or outside of one."""
    counts = forking(
        """
import multiprocessing
context = multiprocessing.get_context("fork")
def part(n):
    return store.run_or_retrieve({"n": n % 5}, runner).result_path.read_text()
def whole(params, path):
    with context.Pool(3) as pool:
        found = pool.map(part, range(20))
    assert found == [str(n % 5) for n in range(20)]
    path.write_text("99")
store.run_or_retrieve({"n": 99}, whole)
with context.Pool(3) as pool:
    found = pool.map(part, range(20))
print(json.dumps(found))
"""
    )

    assert counts == [str(n % 5) for n in range(20)]
    require(0, 1, 2, 3, 4, 99)


def test_a_fork_waits_for_the_end_of_a_short_moment(tmp_path: Path) -> None:
    """Between the opening of a descriptor and its being noted down no thread forks."""
    moments = forking(
        """
from entropic._fs import forks_held_off
inside, order = threading.Event(), []
def hold():
    with forks_held_off():
        inside.set()
        threading.Event().wait(0.05)
        order.append("noted")
thread = threading.Thread(target=hold)
thread.start()
inside.wait()
pid = in_child(lambda: None)
order.append("forked")
thread.join()
with forks_held_off():
    order.append(ended(in_child(lambda: None)))  # the same thread does not wait for itself
print(json.dumps(order))
"""
    )

    assert moments == ["noted", "forked", 0]


def test_threads_that_load_the_same_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """One has the lock of a module, and needs what is loaded late; the other loads that module late."""
    (tmp_path / "shared.py").write_text(
        """
import __main__
__main__.has_begun.set()
assert __main__.is_loading.wait(60)
from entropic._fs import remove_drafts
"""
    )
    seen = forking(
        """
from entropic._fs import LateModule, _fork
sys.path.insert(0, os.getcwd())
has_begun, is_loading, over = threading.Event(), threading.Event(), []
def by_statement():
    import shared
    over.append("by statement")
def late():
    has_begun.wait(60)
    with _fork.forks_held_off(importing=True):
        is_loading.set()
        LateModule("shared").remove_drafts
    over.append("late")
threads = [threading.Thread(target=one, daemon=True) for one in (by_statement, late)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
over.append(ended(in_child(lambda: None)) if len(over) == 2 else "waits for ever")
print(json.dumps(over), flush=True)
os._exit(0)
"""
    )

    assert sorted(map(str, seen)) == ["0", "by statement", "late"]


def test_no_thread_forks_while_another_loads_what_a_run_needs(tmp_path: Path) -> None:
    """An import under way in another thread never ends in a child, which would wait for it for ever."""
    seen = forking(
        """
import importlib.abc
import entropic
from entropic._fs import _fork
unguarded = []
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if not _fork._imports.is_in():
            unguarded.append(name)
sys.meta_path.insert(0, Watch())
def write(params, path):
    path.write_text("x")
store.run_or_retrieve({"n": 1}, write)
store.run_or_retrieve({"n": 1}, write)
@entropic.cached(store)
def triple(n, *, result_path):
    result_path.write_text(str(n))
triple(1).result_path.unlink()
triple(1), triple(1)
print(json.dumps(unguarded))
"""
    )

    assert seen == []


def test_what_is_no_longer_used_is_no_longer_watched() -> None:
    """Stores come and go; a fork looks only at those that live."""
    gc.collect()
    before = len(_fork._living)
    for _ in range(100):
        Store("results", "runs.json")
    gc.collect()

    assert len(_fork._living) <= before
