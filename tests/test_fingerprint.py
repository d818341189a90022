"""Identity: a function's name, its code, and the values it closes over, as they are when it is called."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import pickle
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scipy.linalg

import entropic
from entropic import Store, cached
from entropic._code import code_digest
from entropic._function._closure import Closure, importable_name
from entropic._function._names import function_name


def compiled(source: str, name: str = "f", **scope: Any) -> Callable[..., Any]:
    """The function of this name that the source defines."""
    exec(source, scope)
    function: Callable[..., Any] = scope[name]
    return function


# ---- the name -------------------------------------------------------------------------------------------------------


class Box:
    def method(self, result_path): ...


def test_the_name_is_module_and_qualname() -> None:
    """Functions, methods and local functions are told apart by where they are written."""

    def local(): ...

    assert function_name(Box.method) == f"{__name__}.Box.method"
    assert function_name(local).endswith("test_the_name_is_module_and_qualname.<locals>.local")


def test_a_lambda_needs_a_name(store: Store) -> None:
    """All lambdas of a module have one name, so one has to be given."""
    with pytest.raises(TypeError, match="name="):
        cached(store)(lambda n, result_path: None)

    assert cached(store, name="square")(lambda n, result_path: None).key(1)


def test_in_a_script_the_files_stem_stands_for_the_module(tmp_path: Path) -> None:
    """Run as a script or imported as a module, a function has one name and one key."""
    script = tmp_path / "model.py"
    script.write_text(
        "import entropic\n"
        "store = entropic.Store()\n"
        "@entropic.cached(store)\n"
        "def simulate(n, *, result_path): ...\n"
        "print(simulate.key(1), simulate.cache_parameters()['name'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    run = functools.partial(subprocess.run, env=environment, capture_output=True, check=True, text=True)

    as_script = run([sys.executable, str(script)]).stdout
    as_module = run([sys.executable, "-c", "import model"]).stdout

    assert as_script == as_module
    assert as_script.endswith(" model.simulate\n")


# ---- the code -------------------------------------------------------------------------------------------------------

SAME_CODE = [
    "def f(x, y=1):\n    return x + y\n",
    "def f(x, y=1):\n    # a comment\n    return (\n        x + y\n    )\n",
    'def f(x, y=1):\n    """A docstring."""\n    return x + y\n',
    "\n\n\ndef f(x: int, y: int = 1) -> int: return x + y\n",
]

OTHER_CODE = [
    *("def f(x, y=2): return x + y", "def f(x, y=1.0): return x + y", "def f(x, y=True): return x + y"),
    *("def f(x, *, y=1): return x + y", "def f(x, y=1, /): return x + y", "def f(x, *y): return x + y"),
    *("def f(x, **y): return x + y", "def f(x, z=1): return x + z", "def f(x, y=1): return x - y"),
    *("def f(x, y=1): return x + 1", "def f(x, y=1): return x + 1.0", "def f(x, y=1): return x + True"),
    *("def f(x, y=1): return x + 0.0", "def f(x, y=1): return x + -0.0", "def f(x, y=1): return x + 'y'"),
    *("def f(x, y=1): return x + b'y'", "def f(x, y=1): return x in (1, 2)", "def f(x, y=1): return x in (1, 2.0)"),
    *("def f(x, y=1): return x in {1, 2}", "def f(x, y=1): return x in {1, 3}"),
    "def f(x, y=1): return x in {'a', 'b'}",
    *("def f(x, y=1): return [i * 2 for i in x]", "def f(x, y=1): return [i * 3 for i in x]"),
    *("def f(x, y=1): return lambda z: z + 1", "def f(x, y=1): return lambda z: z + 2"),
    *("def f(x, y=1):\n  def g(): return 1\n  return g", "def f(x, y=1):\n  def g(): return 2\n  return g"),
    *("def f(x, y=1):\n  def g(a=1): return a\n  return g", "def f(x, y=1):\n  def g(a=2): return a\n  return g"),
    *("def f(x, y=1):\n  class A:\n    k = 1\n  return A", "def f(x, y=1):\n  class A:\n    k = 2\n  return A"),
    *("def f(x, y=1): return f'{x}'", "def f(x, y=1): return f'{x!r}'", "def f(x, y=1): return f'{x:.2f}'"),
    *("def f(x, y=1): return x.a", "def f(x, y=1): return x.b", "def f(x, y=1): return a(x)", "def f(x, y=1): yield x"),
    *("async def f(x, y=1): return x", "def f(x, y=1): return x", "def f(x, y=1): 'doc'; return 'doc'"),
    "def f(x, y=1):\n  try: x()\n  except ValueError: y()",
    "def f(x, y=1):\n  try: x()\n  except TypeError: y()",
    "def f(x, y=1): return x if y else 0",
    "def f(x, y=1): return 0 if y else x",
]  # fmt: skip


def test_the_digest_sees_code_and_nothing_else() -> None:
    """Comments, formatting, annotations, place and docstring do not matter; operations, constants, defaults do."""
    same = {code_digest(compiled(source)) for source in SAME_CODE}
    others = [code_digest(compiled(source)) for source in OTHER_CODE]

    assert len(same) == 1
    assert len(same.union(others)) == 1 + len(OTHER_CODE)


def test_docstrings_of_inner_functions_do_not_matter() -> None:
    """A docstring is a constant no instruction loads, wherever it stands."""
    bare = "def f():\n  def g():\n    return None\n  return g"
    told = "def f():\n  'outer'\n  def g():\n    'inner'\n    return None\n  return g"

    assert code_digest(compiled(bare)) == code_digest(compiled(told))


def test_the_order_of_a_sets_constants_does_not_matter() -> None:
    """Equal sets written in another order, or in a process with another hash seed, are one constant."""
    script = (
        "from entropic._code._bytecode import code_digest\n"
        "def f(x): return x in {'a', 'b', 'c', 'd'}\n"
        "print(code_digest(f))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "0123"
    }
    turned = {code_digest(compiled(f"def f(x): return x in {{{items}}}")) for items in ("0, 8, 16", "16, 8, 0")}

    assert len(digests) == 1
    assert len(turned) == 1


def test_the_digest_looks_through_wrappers() -> None:
    """Under another decorator, the code that counts is that of the wrapped function as well."""

    def timed(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    one, other = compiled("def f(x): return 1"), compiled("def f(x): return 2")

    assert code_digest(timed(one)) != code_digest(timed(other))
    assert code_digest(timed(one)) == code_digest(timed(one))


def test_defaults_that_cannot_be_in_a_key_count_by_type() -> None:
    """A default such as an open file does not stop a function from being decorated twice."""
    digests = {code_digest(compiled("def f(x=y): ...", y=value)) for value in (object(), object(), [1], [2])}

    assert len(digests) == 3
    assert code_digest(len) == ""


# ---- what it closes over --------------------------------------------------------------------------------------------


def make(store: Store, value: Any) -> Any:
    @cached(store, name="make.simulate")
    def simulate(n, *, result_path):
        result_path.write_text(repr((n, value)))

    return simulate


CLOSED_OVER = [
    *(None, True, 1, 2, 1.0, 0.5, math.nan, "1", b"1", (1,), [1, 2], {"a": 1}, {1}, Path("p")),
    *(math, os, math.sin, math.cos, function_name, code_digest, Store, Box, dict),
]


def test_values_closed_over_are_part_of_the_key(store: Store) -> None:
    """Functions made by one factory with different values never answer for each other."""
    keys = {make(store, value).key(1): value for value in CLOSED_OVER}

    assert len(keys) == len(CLOSED_OVER)
    assert make(store, 2).key(1) == make(store, 2).key(1)
    assert make(store, 2)(1).result_path.read_text() == "(1, 2)"
    assert make(store, 3)(1).result_path.read_text() == "(1, 3)"


def scaled(function: Any, factor: int) -> Any:
    @functools.wraps(function)
    def wrapper(x: float) -> Any:
        return factor * function(x)

    return wrapper


def base(x: float) -> float:
    return x


def _local_class() -> type:
    return types.new_class("Box")


REFUSED = [
    object(),
    lambda: 1,
    Box(),
    Box().method,
    iter([]),
    threading.Lock(),
    functools.partial(scaled(base, 2)),
    scaled(base, 2),
    compiled("def _lambdifygenerated(x): return x", "_lambdifygenerated"),
    compiled("def base(x): return x", "base", __name__=__name__),
    _local_class(),
]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_cannot_be_in_a_key_is_refused_when_decorating(store: Store, value: Any) -> None:
    """Objects without a normal form, and code that is not found under its own name, would answer for others."""
    with pytest.raises(TypeError, match=r"closes over 'value', which cannot be part of a key.*ignore=\('value',\)"):
        make(store, value)


def test_a_name_must_lead_to_the_object() -> None:
    """A wrapper or a generated function bears a name under which something else is found."""
    assert importable_name(base) == f"{__name__}.base"
    assert importable_name(math) == "math"
    assert importable_name(math.sin) == "math.sin"
    assert importable_name(scaled(base, 2)) is None
    assert importable_name(lambda: 1) is None
    assert importable_name(3) is None


def test_a_public_name_is_preferred() -> None:
    """Keys name what users import, and no private module: those may move."""
    assert importable_name(entropic.grid) == "entropic.grid"
    assert importable_name(entropic.InputFile) == "entropic.InputFile"
    assert importable_name(entropic.Store) == "entropic.store.Store"
    assert importable_name(entropic.param) == "entropic.query.param"
    assert importable_name(entropic.cached) == "entropic.cached"
    assert importable_name(scipy.linalg.solve) == "scipy.linalg.solve"


def test_what_a_script_sends_to_a_worker_keeps_its_name(tmp_path: Path) -> None:
    """A worker has a main module of its own, in which a function sent by value is not found."""
    script = tmp_path / "model.py"
    script.write_text(
        "from entropic._function._closure import importable_name\n"
        "def helper(): ...\n"
        "sent = helper\n"
        "there = importable_name(sent)\n"
        "del helper\n"
        "print(there, importable_name(sent))\n"
    )

    names = subprocess.run([sys.executable, str(script)], capture_output=True, check=True, text=True).stdout

    assert names == "model.helper model.helper\n"


def test_a_value_that_does_not_exist_yet_is_refused(store: Store) -> None:
    """What is assigned after the decoration could not be part of the key."""

    def build() -> None:
        @cached(store)
        def simulate(n, *, result_path):
            return later

        later = 3

    with pytest.raises(TypeError, match="'later', which has no value yet"):
        build()


def test_a_function_may_call_itself_and_super(store: Store) -> None:
    """Its own name and its own class have no value while it is decorated, and say nothing new."""

    @cached(store)
    def countdown(n, *, result_path):
        if n:
            countdown(n - 1)
        result_path.write_text(str(n))

    class Base:
        def path_text(self, n: int) -> str:
            return str(n)

    class Derived(Base):
        @cached(store, ignore=("self",))
        def simulate(self, n, *, result_path):
            result_path.write_text(super().path_text(n))

    assert countdown(2).result_path.read_text() == "2"
    assert countdown.cache_info().misses == 3
    assert countdown.key(2) == countdown.key(2)
    assert Derived().simulate(5).result_path.read_text() == "5"


def test_under_other_decorators_all_that_is_closed_over_counts(store: Store) -> None:
    """A function wrapped by `functools.wraps` is keyed by the values of every layer."""

    def build(inner: int, outer: int) -> Any:
        def repeated(function: Any) -> Any:
            @functools.wraps(function)
            def wrapper(n, *, result_path):
                function(n * outer, result_path=result_path)

            return wrapper

        @cached(store)
        @repeated
        def simulate(n, *, result_path):
            result_path.write_text(str(n + inner))

        return simulate

    texts = {build(i, o)(10).result_path.read_text() for i in (1, 2) for o in (3, 4)}

    assert texts == {"31", "32", "41", "42"}
    assert build(1, 3).key(1) == build(1, 3).key(1)


# ---- values that change ---------------------------------------------------------------------------------------------


def test_what_its_own_runs_change_is_not_part_of_the_question(store: Store) -> None:
    """A list the function appends to, or a count it keeps, is output: the second call is a hit."""
    log: list[int] = []
    count = 0

    @cached(store)
    def simulate(n, *, result_path):
        nonlocal count
        count += 1
        log.append(n)
        result_path.write_text("x")

    before = simulate.key(1)
    for _ in range(3):
        simulate(1)
        simulate(2)

    assert simulate.key(1) == before
    assert (log, count) == ([1, 2], 2)


CHANGES = [(1, 2), (1, True), (1, 1.0), ("a", b"a"), ([1], [2]), ((1,), [1, 2]), (base, function_name), (math, os)]


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=lambda value: getattr(value, "__name__", repr(value)))
def test_what_others_rebind_is_another_question(store: Store, old: Any, new: Any) -> None:
    """A name bound to another value changes the key, even to one Python calls equal; bound back, it is the old key."""
    value = old

    @cached(store)
    def simulate(n, *, result_path):
        result_path.write_text(repr((n, value)))

    first = simulate.key(1)
    value = new
    second = simulate.key(1)
    value = old

    assert first != second
    assert simulate.key(1) == first


def test_what_others_change_in_place_is_another_question(store: Store) -> None:
    """So does a container changed from outside, before the first run and after it."""
    settings = {"order": [4]}

    @cached(store)
    def simulate(n, *, result_path):
        result_path.write_text(repr(settings))

    keys = [simulate.key(1)]
    for order in (5, 6):
        settings["order"].append(order)
        keys.append(simulate.key(1))
        assert simulate(1).result_path.read_text() == repr(settings)

    assert len(set(keys)) == 3


def test_a_name_rebound_by_another_thread_during_a_run_counts_at_once(store: Store) -> None:
    """The function's code never binds the name, so it was somebody else, and the next call asks anew."""
    factor = 2
    started, changed = threading.Event(), threading.Event()

    @cached(store, ignore=("meanwhile",))
    def simulate(n, meanwhile=None, *, result_path):
        result_path.write_text(str(n * factor))
        if meanwhile:
            meanwhile()

    def wait() -> None:
        started.set()
        assert changed.wait(120)

    def run_and_wait() -> None:
        with contextlib.suppress(RuntimeError):  # a run whose question changed under it may be refused
            simulate(0, wait)

    before = simulate.key(7)
    thread = threading.Thread(target=run_and_wait)
    thread.start()
    assert started.wait(120)
    factor = 3
    during = simulate(7)
    changed.set()
    thread.join()

    assert during.params_hash != before
    assert during.result_path.read_text() == "21"
    assert simulate.key(7) == during.params_hash


def closure_over(value: Any) -> tuple[Closure, Callable[[Any], None]]:
    """The closure of a function over a value, and a way for others to bind it anew."""

    def function() -> Any:
        return value

    def rebind(new: Any) -> None:
        nonlocal value
        value = new

    return Closure(function, "f", {"function": "f"}), rebind


def test_a_run_whose_values_were_changed_by_others_is_not_recorded() -> None:
    """From the call to the end of its run the question stays what it was, or nobody knows what was answered."""
    closure, rebind = closure_over(2)
    asked = closure.identity()
    rebind(3)
    with pytest.raises(RuntimeError, match="f: what it closes over was changed"), closure.running(asked):
        pytest.fail("it must not run")

    asked = closure.identity()
    with pytest.raises(RuntimeError, match="f: what it closes over was changed"), closure.running(asked):
        rebind(4)

    with closure.running(closure.identity()):
        pass


def test_what_a_run_makes_unfit_for_a_key_costs_the_next_call_and_not_its_result() -> None:
    """The finished run stands; the next question cannot be told any more, and is refused."""
    log: list[Any] = []
    closure, rebind = closure_over(log)

    with closure.running(closure.identity()):
        log.append(object())
    with pytest.raises(TypeError, match="'value', which cannot be part of a key"):
        closure.identity()

    rebind([])
    assert closure.identity().fields["closure"] == {"value": []}


def test_identities_are_one_object_until_something_changes() -> None:
    """So that a caller can remember keys for as long as it is the same."""
    closure, rebind = closure_over([1])
    first = closure.identity()

    assert closure.identity() is first
    rebind([1])
    assert closure.identity() is first
    rebind([2])
    assert closure.identity() is not first


def test_many_threads_see_each_change_they_made() -> None:
    """A thread that has changed a value never gets the identity of before, whatever others look at meanwhile."""
    closure, rebind = closure_over(0)
    stop, wrong = threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            closure.identity()

    watchers = [threading.Thread(target=look) for _ in range(4)]
    for thread in watchers:
        thread.start()
    for number in range(1, 400):
        rebind(number)
        if closure.identity().fields["closure"] != {"value": number}:
            wrong.append(number)
    stop.set()
    for thread in watchers:
        thread.join()

    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_inherits_neither_the_lock_nor_the_runs_of_other_threads() -> None:
    """In the child those threads do not exist: looking does not hang, and changes are others' again."""
    closure, rebind = closure_over([1])
    before = closure.identity().line
    entered, leave = threading.Event(), threading.Event()

    def run() -> None:
        with closure, closure._lock:
            entered.set()
            leave.wait(120)

    thread = threading.Thread(target=run)
    thread.start()
    assert entered.wait(120)
    child = os.fork()
    if child == 0:
        rebind([1, 2])
        os._exit(0 if closure.identity().line != before else 1)
    leave.set()
    thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_identity_travels() -> None:
    """Identities are plain data, equal after pickling."""
    closure, _ = closure_over({"a": [1, math.inf]})

    assert pickle.loads(pickle.dumps(closure.identity())) == closure.identity()
