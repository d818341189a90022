"""How a name can get its meaning: whatever the way, a change of what is reached by it is seen."""

from __future__ import annotations

import fractions
import importlib
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

from entropic import Store, cached
from entropic._code import Code, Fingerprint, _source
from entropic._code._comparison import changes

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _files_are_old(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files that a test writes count as older than the process; modules made by a test are gone after it."""
    monkeypatch.setattr(_source, "_STARTED_AT", time.time() + 1e6)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("study", "a", "b", "late", "pk", "plug"):
            del sys.modules[name]


def loaded(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module ``study`` of a new project of these files."""
    project = Path(f"project_{next(_numbers)}").resolve()
    for name, source in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(source)
    for name in [one for one in sys.modules if one.partition(".")[0] in ("study", "a", "b", "late", "pk", "plug")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(project)
    return importlib.import_module("study")


def looked_at(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Fingerprint:
    """The fingerprint of ``f``, or of the method ``run`` of a class ``OWNER``; with all that there is to read."""
    with monkeypatch.context() as patch:
        module = loaded(files, patch)
        owner = vars(module).get("OWNER")
        code = Code(module.f if owner is None else owner.run, owner)
        found = code.now()
        assert found.digest
        assert code.now() is code.before_run() is found
        return found


def project(source: str, **more: str) -> dict[str, str]:
    """Files by their names: ``pk__sub`` is ``pk/sub.py``, ``pk`` with others below it its ``__init__``."""
    packages = {name.partition("__")[0] for name in more if "__" in name}
    found = {
        f"{name}/__init__.py" if name in packages else f"{name.replace('__', '/')}.py": more[name] for name in more
    }
    return {"study.py": source, **found}


# By kind: a project, a piece of it, and what stands there after a change that has to be seen.
REACHED: dict[str, tuple[dict[str, str], str, str]] = {
    # ---- wrappers, and what hides behind what is written in C
    "function behind wrapt": (
        project(
            "import wrapt\n@wrapt.decorator\ndef d(w,i,a,k): return w(*a)\n@d\ndef g(): return 1\ndef f(n): return g()"
        ),
        "return 1",
        "return 2",
    ),
    "decorator of wrapt": (
        project(
            "import wrapt\n@wrapt.decorator\ndef d(w,i,a,k): return w(*a)\n@d\ndef g(): return 1\ndef f(n): return g()"
        ),
        "w(*a)",
        "w(*a) + 1",
    ),
    "wrapper by a slot": (
        project(
            "class W:\n  __slots__ = ('__wrapped__',)\n  def __init__(self, g): self.__wrapped__ = g\n"
            "  def __call__(self): return self.__wrapped__()\ndef h(): return 1\ng = W(h)\ndef f(n): return g()"
        ),
        "return 1",
        "return 2",
    ),
    "key made of a comparison": (
        project(
            "import functools\ndef c(a, b): return a - b\n"
            "K = functools.cmp_to_key(c)\ndef f(n): return sorted(n, key=K)"
        ),
        "a - b",
        "b - a",
    ),
    "made by a function of one's own": (
        project(
            "import functools\ndef c(a, b): return a - b\ndef made(): return functools.cmp_to_key(c)\nK = made()\n"
            "def f(n): return sorted(n, key=K)"
        ),
        "a - b",
        "b - a",
    ),
    "method of a list": (project("index = [1, 2].index\ndef f(n): return index(n)"), "[1, 2]", "[2, 1]"),
    "method of a dict": (project("get = {'a': 1}.get\ndef f(n): return get(n)"), "'a': 1", "'a': 2"),
    "class with types filled in": (
        project(
            "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass A(Generic[T]):\n  def g(self): return 1\n"
            "X = A[int]\ndef f(n): return X().g()"
        ),
        "return 1",
        "return 2",
    ),
    "random generator of one's own": (
        project("import random\nclass R(random.Random): pass\nK = R(1)\ndef f(n): return K.random()"),
        "R(1)",
        "R(2)",
    ),
    "exception": (project("E = ValueError(1)\ndef f(n): return E.args"), "(1)", "(2)"),
    "unit made of a float": (project("class U(float): pass\nK = U(1.0)\ndef f(n): return K"), "U(1.0)", "U(2.0)"),
    "unit made of a Decimal": (
        project("from decimal import Decimal\nclass U(Decimal): pass\nK = U('1')\ndef f(n): return K"),
        "'1'",
        "'2'",
    ),
    "structure of ctypes": (
        project(
            "import ctypes\nclass P(ctypes.Structure): _fields_ = [('a', ctypes.c_int)]\nK = P(1)\ndef f(n): return K.a"
        ),
        "P(1)",
        "P(2)",
    ),
    "variable of a context": (
        project("import contextvars\nV = contextvars.ContextVar('V', default=1)\ndef f(n): return V.get()"),
        "default=1",
        "default=2",
    ),
    "weak reference": (
        project("import weakref\nclass C: v = 1\nc = C()\nr = weakref.ref(c)\ndef f(n): return r().v"),
        "v = 1",
        "v = 2",
    ),
    "made by exec": (
        project("ns = {}\nexec('def g(): return 1', ns)\ng = ns['g']\ndef f(n): return g()"),
        "return 1",
        "return 2",
    ),
    "made by eval": (project("g = eval('lambda x: x + 1')\ndef f(n): return g(n)"), "x + 1", "x + 2"),
    # ---- what Python calls without being told to by name
    "setter of a property": (
        project(
            "class OWNER:\n  v = property(lambda self: 0)\n  @v.setter\n  def v(self, x): self._v = x + 1\n"
            "  def run(self):\n    self.v = 3\n    return self._v"
        ),
        "x + 1",
        "x + 2",
    ),
    "setter of a property of an object": (
        project(
            "class C:\n  v = property(lambda self: 0)\n  @v.setter\n  def v(self, x): self._v = x + 1\nc = C()\n"
            "def f(n): c.v = n"
        ),
        "x + 1",
        "x + 2",
    ),
    "setattr": (
        project(
            "class OWNER:\n  def __setattr__(self, k, v): object.__setattr__(self, k, v + 1)\n"
            "  def run(self):\n    self.v = 3\n    return self.v"
        ),
        "v + 1",
        "v + 2",
    ),
    "getattr": (
        project("class OWNER:\n  def __getattr__(self, k): return 1\n  def run(self): return self.other"),
        "return 1",
        "return 2",
    ),
    "getattribute": (
        project("class OWNER:\n  a = 1\n  def __getattribute__(self, k): return 1\n  def run(self): return self.a"),
        "return 1",
        "return 2",
    ),
    "someone else's method calls one's own": (
        project(
            "import string\nclass F(string.Formatter):\n  def format_field(self, v, p): return 'x'\nF1 = F()\n"
            "def f(n): return F1.format('{}', n)"
        ),
        "'x'",
        "'y'",
    ),
    "names to match by": (
        project("class A:\n  __match_args__ = ('x', 'y')\ndef f(n):\n  match n:\n    case A(p, q): return p\n"),
        "('x', 'y')",
        "('y', 'x')",
    ),
    "classes that derive from one": (
        project(
            "class B: pass\nclass A(B):\n  def r(self): return 1\n"
            "def f(n): return [c().r() for c in B.__subclasses__()]"
        ),
        "return 1",
        "return 2",
    ),
    # ---- imports and modules
    "two imports of one name": (
        project(
            "def f(n):\n  if n: from a import g\n  else: from b import g\n  return g()",
            a="def g(): return 1",
            b="def g(): return 0",
        ),
        "return 1",
        "return 2",
    ),
    "dictionary of a module": (
        project("import a\ndef f(n): return a.__dict__[n]()", a="def g(): return 1"),
        "return 1",
        "return 2",
    ),
    "values of a module that is handed on": (
        project("import a\ndef h(m): return m.K\ndef f(n): return h(a)", a="K = 1"),
        "K = 1",
        "K = 2",
    ),
    "module made by hand": (
        project("import types\ncfg = types.ModuleType('cfg')\ncfg.V = 1\ndef f(n): return cfg.V"),
        "V = 1",
        "V = 2",
    ),
    "module of a package that is not loaded": (
        project("from pk.m import f", pk="", pk__m="def f(n):\n  from . import k\n  return k.V", pk__k="V = 1"),
        "V = 1",
        "V = 2",
    ),
    "getattr of a module": (
        project("import a\ndef f(n): return a.other", a="def __getattr__(k): return 1"),
        "return 1",
        "return 2",
    ),
    "package that loads late": (
        project(
            "import pk\ndef f(n): return pk.g()",
            pk="import importlib\n_WHERE = {'g': '.sub'}\n"
            "def __getattr__(k): return getattr(importlib.import_module(_WHERE[k], __name__), k)\n",
            pk__sub="def g(): return 1",
        ),
        "return 1",
        "return 2",
    ),
    "module that loads late": (
        project(
            "import pk\ndef f(n): return pk.sub.g()",
            pk="import importlib\ndef __getattr__(k): return importlib.import_module('pk.' + k)\n",
            pk__sub="def g(): return 1",
        ),
        "return 1",
        "return 2",
    ),
    "module by its name": (
        project("import importlib\ndef f(n): return importlib.import_module('late').g()", late="def g(): return 1"),
        "return 1",
        "return 2",
    ),
    "module by a name in a table": (
        project(
            "import importlib\nT = {'x': 'plug'}\ndef f(n): return importlib.import_module(T[n]).g()",
            plug="def g(): return 1",
        ),
        "return 1",
        "return 2",
    ),
    "module by a name that is handed on": (
        project(
            "import importlib\ndef load(p):\n  m, _, c = p.rpartition('.')\n"
            "  return getattr(importlib.import_module(m), c)\n"
            "def f(n): return load('plug.C')().g()",
            plug="class C:\n  def g(self): return 1",
        ),
        "return 1",
        "return 2",
    ),
    "module in sys.modules": (
        project("import a, sys\ndef f(n): return sys.modules['a'].g()", a="def g(): return 1"),
        "return 1",
        "return 2",
    ),
    "text that is run": (
        project("def h(): return 1\ndef run(t): return eval(t)\ndef f(n): return run('h() + 1')"),
        "return 1",
        "return 2",
    ),
}


@pytest.mark.parametrize("kind", REACHED)
def test_what_is_reached_is_seen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change is another fingerprint in every form, and something is named; nothing changed is the same one."""
    files, old, new = REACHED[kind]
    changed = {name: source.replace(old, new) for name, source in files.items()}
    assert changed != files
    before, again, after = (looked_at(one, monkeypatch) for one in (files, files, changed))

    assert (again.bytecode, again.digest, changes(before, again)) == (before.bytecode, before.digest, [])
    assert after.bytecode != before.bytecode
    assert after.digest != before.digest
    assert changes(before, after)


def test_a_module_that_appears_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that failed, and found a module later, is a change."""
    files = project(
        "def f(n):\n  try: from late import g\n  except ImportError: from a import g\n  return g()",
        a="def g(): return 1",
    )
    before, after = (looked_at(one, monkeypatch) for one in (files, {**files, "late.py": "def g(): return 2"}))

    assert after.bytecode != before.bytecode
    assert changes(before, after)


# By kind: a function, a piece of it, and what stands there after a change that has to be seen, though it looks like one
# of what is only told.
COUNTS = {
    "loop whose variable is used": ("def f(n):\n  for i in range(3): print(i)\n  return i", "3", "4"),
    "sum of an iterator": ("def f(n):\n  it = iter(n)\n  print('a')\n  return list(it)", "'a'", "sum(it)"),
    "generator expression": ("def f(n):\n  it = (i for i in n)\n  print('a')\n  return list(it)", "'a'", "max(it)"),
    "generator of one's own": (
        "def g(n): yield n\ndef f(n):\n  it = g(n)\n  print('a')\n  return list(it)",
        "print('a')",
        "print(*it)",
    ),
    "member of an iterator": ("def f(n):\n  it = map(str, n)\n  print('a')\n  return list(it)", "'a'", "1 in it"),
    "lines of a file": ("def f(n):\n  with open(n) as h:\n    print('a')\n    return h.read()", "'a'", "list(h)"),
    "array that is written to": (
        "import numpy as np\ndef f(n):\n  print('a')\n  return n",
        "'a'",
        "np.add(n, 1, out=n)",
    ),
    "array that is changed": ("import numpy as np\ndef f(n):\n  print('a')\n  return n", "'a'", "np.put(n, 0, 1)"),
    "logger of one's own": (
        "import logging\nclass L(logging.Logger):\n  said = []\n  def info(self, m): self.said.append(m)\n"
        "log = L('x')\n"
        "def f(n):\n  log.info('a')\n  return log.said",
        "info('a')",
        "info('b')",
    ),
    "output that is caught": (
        "import io, contextlib\ndef f(n):\n  b = io.StringIO()\n  with contextlib.redirect_stdout(b): print('a')\n"
        "  return b.getvalue()",
        "'a'",
        "'b'",
    ),
    "output of a helper that is caught": (
        "import io, contextlib\ndef g(): print('a')\ndef f(n):\n  b = io.StringIO()\n"
        "  with contextlib.redirect_stdout(b): g()\n  return b.getvalue()",
        "'a'",
        "'b'",
    ),
    "output that is turned aside": (
        "import io, sys\ndef f(n):\n  sys.stdout = b = io.StringIO()\n  print('a')\n  return b.getvalue()",
        "'a'",
        "'b'",
    ),
    "warning that is an error": (
        "import warnings\ndef f(n):\n  warnings.simplefilter('error')\n  try: warnings.warn('a')\n"
        "  except UserWarning as e: return str(e)",
        "'a'",
        "'b'",
    ),
    "warning that is caught": (
        "import warnings\ndef f(n):\n  with warnings.catch_warnings(record=True) as w: warnings.warn('a')\n"
        "  return str(w)",
        "'a'",
        "'b'",
    ),
}

# As above, of what must not matter.
UNTOLD = {
    "loop that only prints": ("def f(n):\n  pass\n  return n", "pass", "for i in range(3): print(i)"),
    "logger asked for on the spot": (
        "import logging\ndef f(n):\n  pass\n  return n",
        "pass",
        "logging.getLogger('x').info('n=%s', n)",
    ),
    "logger asked for in the function": (
        "import logging\ndef f(n):\n  return n",
        "return n",
        "log = logging.getLogger('x')\n  log.info('a')\n  return n",
    ),
    "iterator that is named": ("def f(n):\n  it = iter(n)\n  print('a')\n  return list(it)", "'a'", "f'{it}', it"),
    "warnings that are silenced": (
        "import warnings\ndef f(n):\n  warnings.simplefilter('ignore')\n  warnings.warn('a')\n  return n",
        "'a'",
        "'b'",
    ),
    "hint without a value": ("def f(n):\n  y = 2\n  return y", "y = 2", "y = 2\n  z: int"),
    "docstring of a class": ("class C:\n  'a'\n  def g(self): return 1\ndef f(n): return C().g()", "  'a'\n", ""),
    "final": (
        "from typing import final\ndef g(): return 1\ndef f(n): return g()",
        "def g",
        "@final\ndef g",
    ),
}


@pytest.mark.parametrize("kind", COUNTS)
def test_what_looks_as_if_it_only_told_is_seen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that somebody catches, and what changes something on the way, is no mere output."""
    source, old, new = COUNTS[kind]
    assert old in source
    before, after = (looked_at(project(one), monkeypatch) for one in (source, source.replace(old, new, 1)))

    assert after.digest != before.digest
    assert changes(before, after)


@pytest.mark.parametrize("kind", UNTOLD)
def test_what_only_tells_is_not_seen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging, hints and words for readers are the same fingerprint, and nothing is named."""
    source, old, new = UNTOLD[kind]
    assert old in source
    before, after = (looked_at(project(one), monkeypatch) for one in (source, source.replace(old, new, 1)))

    assert after.digest == before.digest
    assert changes(before, after) == changes(after, before) == []


PATCHED = {
    "class": "import fractions\ndef f(n): return fractions.Fraction(n).limit_denominator()",
    "class by name": "from fractions import Fraction\ndef f(n): return Fraction(n).limit_denominator()",
    "base": "from fractions import Fraction\nclass F(Fraction): pass\ndef f(n): return F(n).limit_denominator()",
}


def mocked_by_hand(self: fractions.Fraction) -> int:
    return 7


@pytest.mark.parametrize("kind", PATCHED)
def test_a_library_patched_in_a_test_is_seen_before_a_run(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ran with a mock, or a function of the user's, in a class of a library is not taken for what runs without."""
    code = Code(loaded(project(PATCHED[kind]), monkeypatch).f)
    plain = code.before_run()
    with mock.patch.object(fractions.Fraction, "limit_denominator", return_value=7):
        mocked = code.before_run()
    with mock.patch.object(fractions.Fraction, "limit_denominator", mocked_by_hand):
        own = code.before_run()

    assert len({plain.bytecode, mocked.bytecode, own.bytecode}) == 3
    assert code.before_run().bytecode == plain.bytecode
    assert changes(plain, mocked)
    assert changes(own, plain)


SETS = {
    "functions": "def a(): return 1\ndef b(): return 2\ndef c(): return 3\nT = {a, b, c}\ndef f(n): return T",
    "lambdas": "T = {lambda: 1, lambda: 2, lambda: 3, lambda: 4}\ndef f(n): return T",
    "objects": "class C:\n  def __init__(self, v): self.v = v\nT = {C(1), C(2), C(3), C(4)}\ndef f(n): return T",
    "many texts": "T = {str(i) for i in range(60_000)}\ndef f(n): return T",
}


@pytest.mark.parametrize("kind", SETS)
def test_a_set_is_the_same_in_whatever_order(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of a set goes by addresses and hashes, which differ from process to process."""
    found = {looked_at(project(SETS[kind]), monkeypatch).bytecode for _ in range(6)}

    assert len(found) == 1


LARGE = {
    "lists held twice": "K = [1]\nfor _ in range(60): K = [K, K]",
    "dicts held twice": "K = {}\nfor _ in range(60): K = {'a': K, 'b': K}",
    "tuples held twice": "K = ()\nfor _ in range(60): K = (K, K)",
    "objects held twice": "class C:\n  def __init__(self, a): self.a = self.b = a\nK = 0\nfor _ in range(60): K = C(K)",
    "bytes": "K = bytes(20_000_000)",
    "text": "K = 'a' * 20_000_000",
    "set of texts": "K = {str(i) for i in range(200_000)}",
    "dict": "K = {i: str(i) for i in range(1_000_000)}",
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_looked_at_is_bounded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds itself over and over, or is large, is looked at all the same; unbounded, this would not end."""
    assert looked_at(project(f"{LARGE[kind]}\ndef f(n): return K"), monkeypatch).digest


WATCHED = (
    "__len__",
    "__iter__",
    "__getitem__",
    "__eq__",
    "__hash__",
    "__bool__",
    "__repr__",
    "__getattribute__",
    "keys",
    "items",
    "values",
)


@pytest.mark.parametrize("base", ["dict", "list", "set", "tuple", "str", "float", "object"])
def test_no_method_of_a_value_is_run(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a class of the user's does when it is looked at, it is not done."""
    methods = "\n".join(f"  def {one}(self, *a): RAN.append({one!r}); return {base}.{one}(self, *a)" for one in WATCHED)
    given = {"dict": "{'a': 1}", "list": "[1]", "set": "[1]", "tuple": "[1]", "str": "'a'", "float": "1.0"}.get(
        base, ""
    )
    source = f"RAN = []\nclass C({base}):\n{methods}\nK = C({given})\nL = [K, (K,)]\nRAN.clear()\ndef f(n): return K, L"
    module = loaded(project(source), monkeypatch)
    code = Code(module.f)
    module.RAN.clear()

    code.now()
    code.now()
    code.before_run()
    code.after_run()
    assert module.RAN == []


LATE = {
    "a module": {
        "study.py": "def f(n):\n    import late\n    return late.K",
        "late.py": "import ruff\nK = 1",
    },
    "one of a package": {
        "study.py": "def f(n):\n    from pk import late\n    return late.K",
        "pk/__init__.py": "",
        "pk/late.py": "K = 1",
    },
    "one that a text names": {
        "study.py": "import importlib\ndef f(n):\n    return importlib.import_module('late').K",
        "late.py": "K = 1",
    },
    "one of a package that a table names": {
        "study.py": "import importlib\nT = {'a': 'pk.late'}\ndef f(n):\n    return importlib.import_module(T['a']).K",
        "pk/__init__.py": "",
        "pk/late.py": "K = 1",
    },
    "one that is imported by it": {
        "study.py": "def f(n):\n    import a\n    return a.g()",
        "a.py": "import late\ndef g(): return late.K",
        "late.py": "K = 1",
    },
}


@pytest.mark.parametrize("kind", LATE)
def test_a_module_that_is_edited_before_it_is_loaded_is_read_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run loads it as it is by then; once that is done, what is loaded counts, and its file does not any more."""
    module = loaded(LATE[kind], monkeypatch)
    code = Code(module.f)
    (late,) = Path(str(module.__file__)).parent.rglob("late.py")
    before = code.now()
    monkeypatch.setattr(os, "stat", mock.Mock(wraps=os.stat))
    assert code.now() is before
    files = [Path(call.args[0]) for call in os.stat.call_args_list]  # type: ignore[attr-defined]
    assert late in files
    assert all(late.parents[1] in file.parents for file in files), "what others have written is not looked at"
    assert code.before_run() is before

    late.write_text("K = 2000")

    edited = code.before_run()
    assert edited.digest != before.digest
    assert code.now() is edited
    assert module.f(1) == 2000
    live = code.now()
    assert changes(edited, live) == []
    late.write_text("K = 30")
    assert code.now() is code.before_run() is live


@pytest.mark.parametrize("kind", LATE)
def test_a_module_that_a_run_has_loaded_is_watched_from_then_on(
    store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what was loaded before: loaded anew after an edit, or patched, it is seen by the next call."""
    source = (
        LATE[kind]["study.py"].replace("f(n)", "f(n, result_path)").replace("return ", "result_path.write_text(str(")
    )
    module = loaded({**LATE[kind], "study.py": f"{source}))"}, monkeypatch)
    f = cached(store, on_change="rerun", name="f", load=Path.read_text)(module.f)
    (late,) = Path(str(module.__file__)).parent.rglob("late.py")
    told = [f(1), f(1)]
    (name,) = (one for one in sys.modules if one in ("late", "pk.late"))
    late.write_text("K = 2000")
    importlib.reload(sys.modules[name])
    told += [f(1), f(1)]
    monkeypatch.setattr(sys.modules[name], "K", 3)
    told += [f(1)]

    assert (told, f.cache_info().misses) == (["1", "1", "2000", "2000", "3"], 3)


def test_a_module_that_is_edited_during_the_run_that_loads_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before or after the edit, nobody can tell: the run is of neither code. The next one is of what is loaded."""
    edit = "if 'EDIT' in os.environ: pathlib.Path(os.environ['EDIT']).write_text('K = 2000')"
    run = "import late\n    result_path.write_text(str(late.K))"
    files = project(f"import os, pathlib\ndef f(n, *, result_path):\n    {edit}\n    {run}", late="K = 1")
    module = loaded(files, monkeypatch)
    f = cached(store, on_change="rerun", name="f", load=Path.read_text)(module.f)
    late = Path(str(module.__file__)).with_name("late.py")
    monkeypatch.setenv("EDIT", str(late))

    assert f(1) == "2000"
    monkeypatch.delenv("EDIT")
    assert "edited during the run that loaded it" in str(f.explain(1))
    assert f(2) == "2000"
    assert f.retrieve(2) is not None

    late.write_text("K = 1")
    module = loaded(files, monkeypatch)
    f = cached(store, on_change="rerun", name="f", load=Path.read_text)(module.f)
    assert (f(1), f(2)) == ("1", "1")
