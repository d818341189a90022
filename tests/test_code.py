"""The fingerprint of a function's code: what must not change it, what must, and the parts it names."""

from __future__ import annotations

import ast
import datetime as dt
import functools
import hashlib
import importlib.util
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic._code import EVERYTHING_OWN, Code, Fingerprint, _source, code_in
from entropic._code._comparison import changes

_numbers = itertools.count()

MODEL = '''
import math
import functools
from dataclasses import dataclass
from enum import Enum

G = 9.81
TABLE = {"a": 1, "b": [1, 2]}
HELD = []


def rhs(x, t=0.0):
    """The right-hand side."""
    return -G * x + math.sin(t)  # a comment


def unused():
    return 1


def timed(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner


@timed
def wrapped(x):
    return x + 1


class Base:
    scale = 2.0

    def step(self, x):
        return rhs(x)


class Solver(Base):
    """Steps."""

    order: int = 4

    def step(self, x):
        return super().step(x) * self.scale

    def plot(self):
        return "plot"


class Method(Enum):
    RK4 = "rk4"


@dataclass
class Settings:
    dt: float = 0.1


SETTINGS = Settings()
METHODS = {"rhs": rhs, "wrapped": wrapped}
halved = functools.partial(rhs, t=0.5)


def simulate(n, dt=0.1, *, result_path):
    """Simulate."""
    x: float = 1.0
    for _ in range(n):
        x = x + dt * rhs(x)
    HELD.append(x)
    solver = Solver()
    y = [wrapped(solver.step(x)) for x in range(n)]
    f = lambda z: z * TABLE["a"] + SETTINGS.dt + halved(z)
    if n == 99:
        """Words that stand for a comment."""
        return METHODS["rhs"](f(y)), Method.RK4
    result_path.write_text(f"{x:.3f}")
'''


def loaded(source: str, name: str = "model") -> ModuleType:
    """A new module with this source."""
    path = Path(f"{name}_{next(_numbers)}") / f"{name}.py"
    path.parent.mkdir()
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def edited_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of this test are as new as they are; those of the others count as older than the process."""


@pytest.fixture(autouse=True)
def _files_are_old(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "edited_meanwhile" not in request.fixturenames:
        monkeypatch.setattr(_source, "_STARTED_AT", time.time() + 1e6)


@pytest.fixture(autouse=True)
def _own_modules() -> Iterator[None]:
    """Modules made by a test are gone after it."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if os.path.abspath(getattr(sys.modules[name], "__file__", None) or "/").startswith(os.getcwd()):
            del sys.modules[name]


def fingerprint(source: str, function: str = "simulate") -> str:
    return Code(getattr(loaded(source), function)).now().digest


def looked_at(source: str, function: str = "simulate") -> Fingerprint:
    """The fingerprint, with all that there is to read."""
    found = Code(getattr(loaded(source), function)).now()
    assert found.digest
    return found


def edited(*edits: tuple[str, str]) -> str:
    source = MODEL
    for old, new in edits:
        assert old in source
        source = source.replace(old, new, 1)
    return source


SAME = {
    "comment": ("# a comment", "# another one"),
    "comment gone": ("  # a comment", ""),
    "docstring": ('"""The right-hand side."""', '"""Something else."""'),
    "docstring gone": ('    """The right-hand side."""\n', ""),
    "own docstring": ('"""Simulate."""', '"""Simulates, and\n    writes."""'),
    "class docstring": ('"""Steps."""', '"""Steps on."""'),
    "blank lines": ("    solver = Solver()", "\n\n    solver = Solver()\n\n"),
    "line breaks": ("x = x + dt * rhs(x)", "x = (\n            x\n            + dt * rhs(x)\n        )"),
    "quotes": ('"a": 1', "'a': 1"),
    "parentheses": ("x + dt * rhs(x)", "x + (dt * (rhs(x)))"),
    "text for a comment": ('"""Words that stand for a comment."""', "pass"),
    "own default": ("dt=0.1", "dt=0.2"),
    "parameter annotations": ("def rhs(x, t=0.0):", "def rhs(x: float, t: float = 0.0) -> float:"),
    "variable annotation": ("x: float = 1.0", "x = 1.0"),
    "unused helper": ("return 1", "return 2"),
    "place in the file": ("def unused():", "NEW = 1\n\n\ndef unused():"),
    "own state": ("HELD = []", "HELD = [1]"),
    "its own decorator": ("def simulate", "@(lambda function: function)\ndef simulate"),
    "another import": ("import math", "import math, json"),
    "way of writing a number": ("G = 9.81", "G = 98.1e-1"),
}

OTHER = {
    "own body": ("x = x + dt", "x = x - dt", "the function itself"),
    "own parameters": ("*, result_path", "*args, result_path", "the function itself"),
    "helper": ("-G * x", "G * x", "helper `rhs` in model.py"),
    "helper's default": ("t=0.0", "t=0.5", "constant `default of t in rhs` in model.py"),
    "constant": ("G = 9.81", "G = 1.62", "constant `G` in model.py"),
    "type of a constant": ("G = 9.81", "G = 9", "constant `G` in model.py"),
    "table": ('"a": 1', '"a": 2', "constant `TABLE` in model.py"),
    "wrapper": ("return function(*args)", "return 2 * function(*args)", "helper `inner around wrapped` in model.py"),
    "wrapped": ("return x + 1", "return x + 2", "helper `wrapped` in model.py"),
    "method": ("* self.scale", "+ self.scale", "method `Solver.step` in model.py"),
    "base": ("return rhs(x)", "return -rhs(x)", "method `Base.step` in model.py"),
    "class attribute": ("scale = 2.0", "scale = 3.0", "constant `Base.scale` in model.py"),
    "class annotation": ("order: int = 4", "order: float = 4", "class `Solver` in model.py"),
    "enum": ('RK4 = "rk4"', 'RK4 = "RK4"', "class `Method` in model.py"),
    "dataclass": ("dt: float = 0.1", "dt: float = 0.2", "constant `SETTINGS.dt` in model.py"),
    "instance": ("SETTINGS = Settings()", "SETTINGS = Settings(3.0)", "constant `SETTINGS.dt` in model.py"),
    "table of functions": ('"wrapped": wrapped}', '"wrapped": rhs}', "constant `METHODS` in model.py"),
    "partial": ("rhs, t=0.5", "rhs, t=0.6", "constant `partial of rhs` in model.py"),
    "operator precedence": ("x + dt * rhs(x)", "(x + dt) * rhs(x)", "the function itself"),
    "format": (":.3f", ":.4f", "the function itself"),
    "lambda": ("z * TABLE", "z + TABLE", "the function itself"),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_what_does_not_matter(change: tuple[str, str]) -> None:
    """Comments, layout, docstrings, hints, own defaults and code that is not reached leave the fingerprint as it is."""
    assert fingerprint(edited(change)) == fingerprint(MODEL)


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER.keys())
def test_what_matters(change: tuple[str, str, str]) -> None:
    """Whatever changes what the code does changes the fingerprint, and the part that changed is named."""
    old, new, named = change
    before, after = looked_at(MODEL), looked_at(edited((old, new)))

    assert after.digest != before.digest
    assert after.bytecode != before.bytecode
    assert named in [change.name for change in changes(before, after)]


def test_a_fingerprint_has_sixteen_digits() -> None:
    """Read from source, a fingerprint is sixteen hex digits and knows no version of Python."""
    assert len(fingerprint(MODEL)) == 16
    assert int(fingerprint(MODEL), 16) > 0


def test_installed_code_is_not_looked_at() -> None:
    """Parts are the user's own: neither the standard library, nor an installed package, nor entropic."""
    source = "import math, pytest, entropic, json\ndef f(result_path):\n    json.dumps(pytest.raises), entropic.grid()"
    parts = Code(loaded(source).f).now().parts

    assert [part.kind for part in parts] == ["itself"]


REACHES = {
    "module attribute": ("import {other} as other\ndef f(result_path):\n    return other.helper()"),
    "import inside": ("def f(result_path):\n    from {other} import helper\n    return helper()"),
    "module imported inside": ("def f(result_path):\n    import {other}\n    return {other}.helper()"),
    "nested function": (
        "from {other} import *\ndef f(result_path):\n    def g():\n        return helper()\n    return g"
    ),
    "default of a helper": ("from {other} import *\ndef g(x=helper()):\n    pass\ndef f(result_path):\n    g()"),
    "comprehension": ("from {other} import *\ndef f(result_path):\n    return [helper() for x in result_path]"),
    "closure": (
        "from {other} import *\ndef make(k):\n    return lambda: k()\ng = make(helper)\ndef f(result_path): g()"
    ),
    "lambda": ("import {other} as m\ng = lambda: m.helper()\ndef f(result_path): g()"),
    "method": (
        "import {other} as m\nclass S:\n    def f(self, result_path): self.g()\n    def g(self): m.helper()\nf = S.f"
    ),
    "static": ("import {other} as m\nclass S:\n    @staticmethod\n    def g(): m.helper()\ndef f(result_path): S.g()"),
    "property": (
        "import {other} as m\nclass S:\n    @property\n    def g(self): m.helper()\ndef f(result_path): S().g"
    ),
    "bound": ("import {other} as m\nclass S:\n    def g(self): m.helper()\ng = S().g\ndef f(result_path): g()"),
    "cycle": ("import {other} as m\ndef g(): m.helper(); f()\ndef f(result_path): g()"),
    "lru_cache": ("import functools, {other} as m\n@functools.lru_cache\ndef g(): m.helper()\ndef f(result_path): g()"),
    "singledispatch": (
        "import functools, {other} as m\n@functools.singledispatch\ndef g(x): pass\n"
        "@g.register\ndef _(x: int): m.helper()\ndef f(result_path): g(1)"
    ),
    "match": ("import {other} as m\ndef f(result_path):\n    match result_path:\n        case m.Y: return m.helper()"),
}


@pytest.mark.parametrize("source", REACHES.values(), ids=REACHES.keys())
def test_what_is_reached(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change two modules away is seen, whichever way the code takes to get there."""
    monkeypatch.syspath_prepend(os.getcwd())
    Path("other.py").write_text("from deeper import core\nY = 1\ndef helper(): return core()\n")
    digests = set()
    for number in (1, 2):
        shutil.rmtree("__pycache__", ignore_errors=True)
        Path("deeper.py").write_text(f"def core():\n    return {number}\n")
        for name in ("deeper", "other"):
            sys.modules.pop(name, None)
        module = loaded(source.replace("{other}", "other"))
        code = Code(module.f, getattr(module, "S", None))
        digests.add(code.now().digest)

    assert len(digests) == 2


def test_a_subclass_is_looked_at_in_its_own_way() -> None:
    """What a method calls on its object is that of the object's class, inherited or overridden."""
    source = (
        "class Model:\n    def run(self, result_path): self.rhs()\n    def rhs(self): return 0\n"
        "class Lorenz(Model):\n    def rhs(self): return 1\nclass Plain(Model):\n    pass\n"
    )
    module = loaded(source)
    digests = {
        kind: Code(module.Model.run, getattr(module, kind)).now().digest for kind in ("Model", "Lorenz", "Plain")
    }

    assert digests["Model"] == digests["Plain"] != digests["Lorenz"]


def test_a_constant_is_looked_at_anew() -> None:
    """A table that is changed, or a name that is bound anew, is another fingerprint at once; put back, the old one."""
    module = loaded(MODEL)
    code = Code(module.simulate)
    before = code.now()
    module.TABLE["b"].append(3)
    changed = code.now()
    module.TABLE["b"].pop()
    module.G = 1.62
    rebound = code.now()
    module.G = 9.81

    assert len({before.digest, changed.digest, rebound.digest}) == 3
    assert code.now().digest == before.digest
    assert code.now() is code.now() is code.before_run()


def test_an_array_is_looked_at_before_each_run() -> None:
    """An array changed in place is seen before the next run."""
    numpy = pytest.importorskip("numpy")
    module = loaded("import numpy\nA = numpy.zeros(3)\ndef f(result_path):\n    return A\n")
    code = Code(module.f)
    before = code.now()
    module.A[0] = 1

    assert code.before_run().digest != before.digest
    assert numpy.zeros(3) is not module.A


def test_what_a_run_changes_is_its_own_state() -> None:
    """A memo that the run fills counts as it was, though no name tells that it is filled."""
    module = loaded("MEMO = {}\ndef fill(table): table[1] = 2\ndef f(result_path): fill(MEMO)\n")
    code = Code(module.f)
    before = code.before_run()
    module.f(None)
    code.after_run()

    assert code.now().digest == code.before_run().digest == before.digest


def test_a_counter_of_its_own_is_no_constant() -> None:
    """A global that the code sets itself holds a state."""
    module = loaded("COUNT = 0\ndef f(result_path):\n    global COUNT\n    COUNT += 1\n")
    code = Code(module.f)
    before = code.now()
    module.f(None)

    assert code.now().digest == code.before_run().digest == before.digest


def test_what_has_no_content_counts_by_its_class() -> None:
    """Locks, open files, loggers and stores: what they hold by now does not matter."""
    source = (
        "import threading, logging, sys\nLOCK, LOG = threading.Lock(), logging.getLogger({!r})\nOUT = open({!r}, 'w')\n"
        "import entropic\nSTORE = entropic.Store({!r}, 'runs.json')\n"
        "def f(result_path): return LOCK, LOG, OUT, STORE\n"
    )

    digests = set()
    for name in "ab":
        module = loaded(source.format(name, name, name))
        digests.add(Code(module.f).now().digest)
        module.OUT.close()
    assert len(digests) == 1


def test_moving_a_helper_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that is moved to another module, unchanged, is the same helper."""
    monkeypatch.syspath_prepend(os.getcwd())
    Path("moved_here.py").write_text("def g(x):\n    return x + 1\n")
    here = loaded("def g(x):\n    return x + 1\ndef f(result_path): g(1)\n")
    there = loaded("from moved_here import g\ndef f(result_path): g(1)\n")

    assert Code(here.f).now().digest == Code(there.f).now().digest


@pytest.mark.usefixtures("edited_meanwhile")
def test_a_file_newer_than_the_code_is_not_believed() -> None:
    """Edited while the process runs, the file says what will run next time: what runs now is told by its bytecode."""
    source = "def g(x): return x + {}\ndef f(result_path): return g(1)\n"
    trusted = looked_at(source.format(1), "f")
    module = loaded(source.format(1))
    Path(module.__file__ or "").write_text(source.format(2))
    doubted = Code(module.f).now()
    later = looked_at(source.format(2), "f")

    assert doubted.bytecode == trusted.bytecode
    assert doubted.digest.startswith("py3")
    assert changes(trusted, doubted) == changes(doubted, trusted) == []
    assert [change.name for change in changes(doubted, later)] == ["helper `g` in model.py"]


def test_bytecode_tells_changes_too() -> None:
    """Without source, a changed helper is a changed fingerprint, and an equal one is equal."""
    digests = []
    for source in (MODEL, MODEL, edited(("-G * x", "G * x"))):
        module = loaded(source)
        Path(module.__file__ or "").unlink()
        digests.append(Code(module.simulate).now().digest)

    assert digests[0] == digests[1] != digests[2]


def test_a_script_given_as_text_has_a_fingerprint() -> None:
    """What has no file at all, as under ``python -c``, is fingerprinted too."""
    program = (
        "from entropic._code import Code\ndef g(): return {}\ndef f(result_path): g()\nprint(Code(f).now().digest)\n"
    )
    digests = [
        subprocess.run([sys.executable, "-c", program.format(n)], capture_output=True, text=True, check=True).stdout
        for n in (1, 1, 2)
    ]

    assert digests[0] == digests[1] != digests[2]


def test_a_function_typed_in_anew_is_seen_at_once() -> None:
    """At a prompt a helper is replaced without the function that calls it being decorated again."""
    program = (
        "from entropic._code import Code\ndef g(): return 1\ndef f(result_path): g()\ncode = Code(f)\n"
        "first = code.now()\nassert code.now() is first\ndef g(): return 2\nprint(first.digest != code.now().digest)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert said.stdout == "True\n"


def test_a_long_chain_of_helpers_is_followed_to_its_end() -> None:
    """Calls may be as deep as they like."""
    chain = "\n".join(f"def g{n}(): return g{n + 1}()" for n in range(1500))
    source = f"{chain}\ndef g1500(): return 1\ndef f(result_path): g0()\n"

    assert len(Code(loaded(source).f).now().parts) == 1502


def test_a_long_sum_is_read_to_its_end() -> None:
    """A generated formula may be as long as Python takes it."""
    source = f"A = 1\ndef f(result_path):\n    return {' + '.join(['A * 2'] * 900)} + B\nB = {{}}\n"

    assert len({fingerprint(source.format(n), "f") for n in (1, 2)}) == 2


def test_nothing_runs_to_take_a_fingerprint() -> None:
    """No property, no descriptor, no `__getattr__`, no class that an object claims to be of, no import."""
    source = (
        "class Loud:\n    def __get__(self, instance, owner=None): 1 / 0\n"
        "class Meta(type):\n    def __getattribute__(cls, name): 1 / 0\n"
        "class Proxy:\n    __class__ = property(lambda self: 1 / 0)\n    __dict__ = property(lambda self: 1 / 0)\n"
        "    loud = Loud()\n    value = property(lambda self: 1 / 0)\n"
        "    def __getattr__(self, name): 1 / 0\n    def __getattribute__(self, name): 1 / 0\n"
        "    def __eq__(self, other): 1 / 0\n    def __hash__(self): 1 / 0\n    def __bool__(self): 1 / 0\n"
        "    def __len__(self): 1 / 0\n    def __iter__(self): 1 / 0\n    def __repr__(self): 1 / 0\n"
        "P = Proxy()\n"
        "def f(result_path):\n    import loud_one\n    P.name; P.loud; P.value; P(P); loud_one.x\n"
    )
    Path("loud_one.py").write_text("x = 1 / 0\n")
    sys.path.insert(0, os.getcwd())
    try:
        code = Code(loaded(source).f)
        before = code.now()
        assert before.digest
        assert code.before_run() is before
        code.after_run()
        assert "loud_one" not in sys.modules
        assert "module `loud_one` in loud_one.py" in map(str, before.parts)
    finally:
        sys.path.pop(0)


def test_names_of_an_outer_function_are_no_globals() -> None:
    """A name that an inner function sets in the outer one is not the global of that name, which stays a constant."""
    source = (
        "x = {}\ndef f(result_path):\n    def g():\n        k = 1\n        def h():\n            nonlocal k\n"
        "            k = 2\n        h()\n    g()\n    return x\n"
    )

    assert fingerprint(source.format(1), "f") != fingerprint(source.format(2), "f")


@pytest.mark.usefixtures("edited_meanwhile")
def test_a_file_moved_into_place_is_not_believed() -> None:
    """An older file that takes the place of the one that runs is as new as the moment it came."""
    module = loaded(MODEL)
    older = Path("older.py")
    older.write_text(edited(("-G * x", "G * x")))
    os.utime(older, (1, 1))
    os.replace(older, module.__file__ or "")

    assert Code(module.simulate).now().digest.startswith("py3")


DOUBTFUL = {
    "default": ("def g(x=1): return x\ndef f(result_path): g()\n", "x=1", "x=2"),
    "decorator": (
        "def two(h): return lambda: 2\ndef three(h): return lambda: 3\n@two\ndef g(): pass\ndef f(result_path): g()\n",
        "@two",
        "@three",
    ),
    "class attribute": ("class C:\n    k = 1\n    def m(self): return 0\ndef f(result_path): C()\n", "k = 1", "k = 2"),
    "class": ("class C:\n    k = 1\ndef f(result_path): C()\n", "k = 1", "k = 2"),
}


@pytest.mark.usefixtures("edited_meanwhile")
@pytest.mark.parametrize("case", DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_what_compiled_code_does_not_tell_is_not_believed(case: tuple[str, str, str]) -> None:
    """A file may be edited where no function's code shows it: today's code is not taken for what the file says now."""
    source, old, new = case
    module = loaded(source)
    Path(module.__file__ or "").write_text(source.replace(old, new))
    running = Code(module.f).now()
    later = Code(loaded(source.replace(old, new)).f).now()

    assert running.digest != later.digest


def test_closures_of_one_making_are_told_apart() -> None:
    """Two helpers made by one function from two values are two helpers."""
    source = "def make(k):\n    def g():\n        return k\n    return g\ng = make({})\ndef f(result_path): g()\n"

    assert fingerprint(source.format(1), "f") != fingerprint(source.format(2), "f")
    assert fingerprint(source.format(1), "f") == fingerprint(source.format(1), "f")


CONSTANTS = {
    "partial of an installed function": (
        "import functools, json\ng = functools.partial(json.dumps, indent={})",
        "g(1)",
    ),
    "partial of a class": (
        "import functools\nclass K:\n    def __init__(self, k): self.k = k\ng = functools.partial(K, {})",
        "g().k",
    ),
    "partials in a table": ("import functools\nT = [functools.partial(pow, {})]", "T[0](2)"),
    "a callable object": (
        "class Scaled:\n    def __init__(self, func): self.func = func\n"
        "    def __call__(self): return {} * self.func()\ndef h(): return 1\ng = Scaled(h)",
        "g()",
    ),
    "default that captures": ("def make(k):\n    def g(k=k): return k\n    return g\ng = make({})", "g()"),
    "default in a loop": ("T = [lambda k=k: k for k in (0, {})]", "T[1]()"),
    "order of a table": (
        "def make(k):\n    return lambda: k\nT = {{name: make(k) for name, k in zip('ab', ({0}, 3 - {0}))}}",
        "T['a']()",
    ),
    "class made by a function": (
        "def make(k):\n    class K:\n        def g(self): return k\n    return K\nK = make({})",
        "K().g()",
    ),
    "attribute set on a class": ("class K:\n    k = 0\nK.k = {}", "K.k"),
    "function in a dataclass": (
        "import dataclasses\ndef h(): return {}\n@dataclasses.dataclass\nclass K:\n    h: object\nmodel = K(h)",
        "model.h()",
    ),
    "method of an object": (
        "class K:\n    def h(self): return {}\n    def g(self): return self.h()\ng = K().g",
        "g()",
    ),
    "object of a method": (
        "import dataclasses\n@dataclasses.dataclass\nclass K:\n    k: int\n    def g(self): return self.k\ng = K({}).g",
        "g()",
    ),
    "objects in a table": ("class K:\n    def g(self): return {}\nT = {{'a': K()}}", "T['a'].g()"),
    "deque": ("import collections\nD = collections.deque([{}])", "D[0]"),
    "range": ("R = range({})", "sum(R)"),
    "slice": ("S = slice({})", "'abc'[S]"),
    "getter": ("import operator\ng = operator.itemgetter({})", "g('abc')"),
    "pattern": ("import re\nP = re.compile('a{}')", "P.match('a1')"),
}


@pytest.mark.parametrize("case", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_what_constants_hold(case: tuple[str, str]) -> None:
    """Whatever a constant of the module is made of, another content of it is another fingerprint."""
    source, use = case
    source += f"\ndef f(result_path): {use}\n"

    assert fingerprint(source.format(1), "f") == fingerprint(source.format(1), "f")
    assert fingerprint(source.format(1), "f") != fingerprint(source.format(2), "f")


@pytest.mark.parametrize(
    "source",
    [
        "class K:\n    n = 0\ndef f(result_path): K.n += 1",
        "class K:\n    seen = []\ndef f(result_path): K.seen.append(1)",
        "def g(memo={}): memo[1] = 1\ndef f(result_path): g()",
        "def g(memo=dict()): memo[1] = 1\ndef f(result_path): g()",
    ],
)
def test_what_the_code_keeps_for_itself_is_no_constant(source: str) -> None:
    """Counters in classes and memos in defaults may be filled by anyone: the code is the same."""
    module = loaded(source)
    before = Code(module.f).now().digest
    module.f(None)

    assert Code(module.f).now().digest == before


@pytest.mark.parametrize(
    "change",
    ["step = halved", "SETTINGS.dt = 2", "TABLE.k = 3", "K.k = 4"],
    ids=["function", "dataclass", "space", "class"],
)
def test_what_is_changed_between_calls_is_seen_at_a_glance(change: str) -> None:
    """A helper bound anew by a script, or a setting that is changed in its object, is seen by the next call."""
    module = loaded(
        "import dataclasses, types\n@dataclasses.dataclass\nclass S:\n    dt: float = 1\nclass K:\n    k = 1\n"
        "SETTINGS = S()\nTABLE = types.SimpleNamespace(k=1)\ndef step(): return 1\ndef halved(): return 2\n"
        "def f(result_path): return step(), SETTINGS.dt, TABLE.k, K.k\n"
    )
    code = Code(module.f)
    before = code.now()
    exec(change, vars(module))

    assert code.now().digest != before.digest


OTHER_PYTHONS = [
    str(path)
    for version in ("3.10", "3.12", "3.13", "3.14")
    for path in [shutil.which(f"python{version}"), *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    if path and "shims" not in str(path)
]


@pytest.mark.skipif(not OTHER_PYTHONS, reason="no other Python is installed")
@pytest.mark.parametrize("python", OTHER_PYTHONS)
def test_fingerprints_do_not_depend_on_the_version_of_python(python: str) -> None:
    """Whatever Python runs it, the code is the same."""
    sources = [MODEL, *(edited(change[:2]) for change in OTHER.values())]
    here = [_content_digest(source) for source in sources]
    Path("sources.json").write_text(json.dumps(sources))
    syntax = Path(importlib.util.find_spec("entropic").origin or "").with_name("_code") / "_syntax.py"  # type: ignore[union-attr]
    program = textwrap.dedent(f"""
        import ast, hashlib, importlib.util, json
        spec = importlib.util.spec_from_file_location("syntax", {str(syntax)!r})
        syntax = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(syntax)
        trees = [ast.parse(source) for source in json.load(open("sources.json"))]
        told = [syntax.content(tree) for tree in trees]
        print(json.dumps([hashlib.sha256(text.encode()).hexdigest() for text in told]))
    """)
    there = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True).stdout

    assert json.loads(there) == here


def _content_digest(source: str) -> str:
    from entropic._code._syntax import content

    return hashlib.sha256(content(ast.parse(source)).encode()).hexdigest()


# ---- laws -----------------------------------------------------------------------------------------------------------


def _joined(parts: tuple[str, str, str]) -> str:
    return f"({parts[0]}){parts[1]}({parts[2]})"


_names = st.sampled_from(["a", "b", "rhs", "G"])
_atoms = st.one_of(
    _names, st.integers(0, 99).map(str), st.floats(0, 1e300).map(repr), st.text("ab'\"{}\\\n", max_size=4).map(repr)
)
_expressions: st.SearchStrategy[str] = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "**", " and ", " if a else ", "<"]), inner).map(_joined),
        st.tuples(inner, inner).map(lambda pair: f"[{pair[0]}, *({pair[1]})]"),
        inner.map(lambda text: f"f({text}, k=({text}))"),
        inner.map(lambda text: f"(lambda x, y=({text}): x.z[{text}])"),
        inner.map(lambda text: f"[x for x in ({text}) if x]"),
        inner.map(lambda text: f"(-({text})).real"),
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(_names, _expressions), min_size=1, max_size=4))
def test_layout_says_nothing(statements: list[tuple[str, str]]) -> None:
    """Written out anew by `ast.unparse`, with other parentheses, quotes and lines, code has the same content."""
    from entropic._code._syntax import content

    body = "".join(f"    {name}: int = {text}  # {name}\n" for name, text in statements)
    tree = ast.parse(f"def f(p):\n    '''Doc.'''\n{body}    return a\n")
    again = ast.parse(ast.unparse(tree))

    assert content(again) == content(tree)


# ---- code in arguments ----------------------------------------------------------------------------------------------


def scaled(factor: float, x: float = 1.0) -> float:
    return factor * x


@dataclass
class Solver:
    name: str

    def step(self) -> None: ...


class Colour(Enum):
    RED = 1


half = functools.partial(scaled, 0.5)
with_solver = functools.partial(scaled, Solver("a"))
step = Solver("a").step


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (scaled, [scaled]),
        ([1, "a", None, 2.5, b"x"], []),
        (np.zeros(2), []),
        (dt.date(2026, 1, 1), []),
        ({"f": scaled, "n": (1, "x")}, [scaled]),
        ({scaled: 1}, [scaled]),
        (MappingProxyType({"f": scaled}), [scaled]),
        ({"f": scaled}.values(), [scaled]),
        (deque([scaled]), [scaled]),
        (SimpleNamespace(f=scaled), [scaled]),
        (frozenset({Colour.RED}), [Colour]),
        ([half], [half]),
        (with_solver, [with_solver, Solver]),
        (step, [step, Solver]),
        (Solver, [Solver]),
        (Solver("a"), [Solver]),
        (math.sin, []),
        (math, []),
    ],
)
def test_the_code_that_arguments_bring_along(value: object, found: list[object]) -> None:
    """Functions, what partials and methods hold, and classes of objects; nothing that is installed."""
    labelled = code_in([("x", value)], EVERYTHING_OWN)

    assert [one for _, one in labelled] == found
    assert all(label.startswith("x ") for label, _ in labelled)


def test_a_fingerprint_that_knows_nothing_of_saving_is_good_for_the_same_code() -> None:
    """As earlier releases recorded it."""
    earlier, now, other = (Code(scaled, save=save).now() for save in (None, half, with_solver))

    assert changes(earlier, now) == []
    assert [change.name for change in changes(now, other)] == ["constant `partial of scaled` in test_code.py"]
