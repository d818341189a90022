"""One small program for each kind of change: what must be seen in a fingerprint, and what must not."""

from __future__ import annotations

import ast
import copy
import importlib.util
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic._code import Code, Fingerprint, _source
from entropic._code._comparison import changes

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _files_are_old(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files that a test writes count as older than the process; modules made by a test are gone after it."""
    monkeypatch.setattr(_source, "_STARTED_AT", time.time() + 1e6)
    yield
    sys.modules.pop("kind", None)


def loaded(source: str, folder: Path | None = None) -> ModuleType:
    """A new module with this source."""
    path = (folder or Path()) / f"kind_{next(_numbers)}" / "kind.py"
    path.parent.mkdir()
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("kind", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kind"] = module
    spec.loader.exec_module(module)
    return module


def looked_at(source: str, folder: Path | None = None) -> Fingerprint:
    """The fingerprint of ``f``, a method of the class ``OWNER`` if there is one; with all that there is to read."""
    module = loaded(source, folder)
    found = Code(module.f, getattr(module, "OWNER", None)).now()
    assert found.digest
    return found


# By kind: a program, a piece of it, and what stands there after a change that has to be seen.
SEEN = {
    "exchange": (
        ("def a(x): return x+1\ndef b(x): return x*2\np,q=a,b\ndef f(n): return p(q(n))"),
        "p,q=a,b",
        "p,q=b,a",
    ),
    "alias of foreign": (
        "import math\ng=math.sin\ndef f(n): return g(n)",
        "math.sin",
        "math.cos",
    ),
    "alias np": (
        "import numpy as np\ng=np.sin\ndef f(n): return g(n)",
        "np.sin",
        "np.cos",
    ),
    "alias of a dispatched function": (
        "import numpy as np\ng=np.mean\ndef f(n): return g(n)",
        "np.mean",
        "np.median",
    ),
    "partial of a dispatched function": (
        "import numpy as np, functools\ng=functools.partial(np.mean, axis=0)\ndef f(n): return g(n)",
        "np.mean",
        "np.median",
    ),
    "memo around foreign": (
        "import json, functools\ng=functools.lru_cache(json.dumps)\ndef f(n): return g(n)",
        "json.dumps",
        "json.loads",
    ),
    "method of a ufunc": (
        "import numpy as np\ng=np.add.reduce\ndef f(n): return g(n)",
        "np.add",
        "np.multiply",
    ),
    "method of a table": (
        "T={'a': 1}\ng=T.get\ndef f(n): return g(n)",
        "'a': 1",
        "'a': 2",
    ),
    "method of a pattern": (
        "import re\ng=re.compile('a').match\ndef f(n): return g(n)",
        "('a')",
        "('b')",
    ),
    "constants exchanged modules": (
        ("import types\na=types.SimpleNamespace(V=1); b=types.SimpleNamespace(V=2)\ndef f(n): return a.V-b.V"),
        "(V=1); b=types.SimpleNamespace(V=2)",
        "(V=2); b=types.SimpleNamespace(V=1)",
    ),
    "closure": (
        ("def mk(k):\n  def g(x): return k*x\n  return g\nl,r=mk(2),mk(5)\ndef f(n): return l(n)-r(0)"),
        "mk(2),mk(5)",
        "mk(5),mk(2)",
    ),
    "closure of closure": (
        ("def mk(k):\n  def g(x):\n    def h(): return k\n    return h()\n  return g\nl=mk(2)\ndef f(n): return l(n)"),
        "mk(2)",
        "mk(3)",
    ),
    "partial": (
        ("from functools import partial\ndef g(k,x): return k*x\nl=partial(g,2)\ndef f(n): return l(n)"),
        "(g,2)",
        "(g,3)",
    ),
    "partial kw": (
        ("from functools import partial\ndef g(x,k): return k*x\nl=partial(g,k=2)\ndef f(n): return l(n)"),
        "k=2",
        "k=3",
    ),
    "partial of partial": (
        ("from functools import partial\ndef g(k,x): return k*x\nl=partial(partial(g,2))\ndef f(n): return l(n)"),
        "(g,2)",
        "(g,3)",
    ),
    "kwdefaults": (
        "def g(x,*,k=1): return k\ndef f(n): return g(n)",
        "k=1",
        "k=2",
    ),
    "defaults set": (
        "def g(x,k=1): return k\ng.__defaults__=(1,)\ndef f(n): return g(n)",
        "=(1,)",
        "=(2,)",
    ),
    "default list": (
        "def g(x,k=[1]): return k[0]\ndef f(n): return g(n)",
        "[1]",
        "[2]",
    ),
    "function attr": (
        "def g(x): return g.k\ng.k=1\ndef f(n): return g(n)",
        "g.k=1",
        "g.k=2",
    ),
    "function attr2": (
        "def g(x): return x\ng.k=1\ndef f(n): return g.k",
        "g.k=1",
        "g.k=2",
    ),
    "private module": (
        "def __rhs(x): return x+1\ndef f(n): return __rhs(n)",
        "x+1",
        "x+2",
    ),
    "private const": (
        "__K=1\ndef f(n): return __K",
        "__K=1",
        "__K=2",
    ),
    "private in class": (
        (
            "class C:\n"
            "  def __a(self): return 1\n"
            "  def run(self): return self.__a()\n"
            "  __k=1\n"
            "  def z(self): return self.__k\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "return 1",
        "return 2",
    ),
    "private attr": (
        "class C:\n  __k=1\n  def run(self): return self.__k\nf=C.run\nOWNER=C",
        "__k=1",
        "__k=2",
    ),
    "type(self)": (
        "class C:\n  G=1\n  def run(self): return type(self).G\nf=C.run\nOWNER=C",
        "G=1",
        "G=2",
    ),
    "self call": (
        ("class C:\n  def __call__(self,x): return 1\n  def run(self): return self(1)\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "self item": (
        ("class C:\n  def __getitem__(self,x): return 1\n  def run(self): return self[1]\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "self matmul": (
        ("class C:\n  def __matmul__(self,x): return 1\n  def run(self): return self@1\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "self len": (
        ("class C:\n  def __len__(self): return 1\n  def run(self): return len(self)\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "self with": (
        (
            "class C:\n"
            "  def __enter__(self): return 1\n"
            "  def __exit__(self,*a): pass\n"
            "  def run(self):\n"
            "    with self as x: return x\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "self iter": (
        ("class C:\n  def __iter__(self): yield 1\n  def run(self):\n    for x in self: return x\nf=C.run\nOWNER=C"),
        "yield 1",
        "yield 2",
    ),
    "self alias": (
        ("class C:\n  def g(self): return 1\n  def run(self):\n    me=self\n    return me.g()\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "self in comprehension": (
        ("class C:\n  def g(self): return 1\n  def run(self): return [self.g() for _ in (1,2)]\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "self in lambda": (
        ("class C:\n  def g(self): return 1\n  def run(self): return (lambda: self.g())()\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "super": (
        ("class B:\n  def g(self): return 1\nclass C(B):\n  def run(self): return super().g()\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "super 2 args": (
        ("class B:\n  def g(self): return 1\nclass C(B):\n  def run(self): return super(C,self).g()\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "super explicit": (
        ("class B:\n  def g(self): return 1\nclass C(B):\n  def run(self): return B.g(self)\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "getattr self": (
        ("class C:\n  def g(self): return 1\n  def run(self): return getattr(self,'g')()\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "property": (
        ("class C:\n  @property\n  def g(self): return 1\n  def run(self): return self.g\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "property in base with helper": (
        (
            "def h(): return 1\n"
            "class B:\n"
            "  @property\n"
            "  def g(self): return h()\n"
            "class C(B):\n"
            "  def run(self): return self.g\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "cached_property": (
        (
            "import functools\n"
            "class C:\n"
            "  @functools.cached_property\n"
            "  def g(self): return 1\n"
            "  def run(self): return self.g\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "classmethod": (
        (
            "class C:\n"
            "  @classmethod\n"
            "  def g(cls): return cls.k\n"
            "  k=1\n"
            "  def run(self): return self.g()\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "k=1",
        "k=2",
    ),
    "static": (
        ("class C:\n  @staticmethod\n  def g(): return 1\n  def run(self): return self.g()\nf=C.run\nOWNER=C"),
        "return 1\n",
        "return 2\n",
    ),
    "partialmethod": (
        (
            "import functools\n"
            "class C:\n"
            "  def h(self,k): return k\n"
            "  g=functools.partialmethod(h,1)\n"
            "  def run(self): return self.g()\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "(h,1)",
        "(h,2)",
    ),
    "singledispatch": (
        (
            "import functools\n"
            "@functools.singledispatch\n"
            "def g(x): return 0\n"
            "@g.register\n"
            "def _(x:int): return 1\n"
            "def f(n): return g(n)"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "singledispatch type": (
        (
            "import functools\n"
            "@functools.singledispatch\n"
            "def g(x): return 0\n"
            "def h(x): return 1\n"
            "g.register(int,h)\n"
            "def f(n): return g(n)"
        ),
        "(int,h)",
        "(float,h)",
    ),
    "singledispatchmethod": (
        (
            "import functools\n"
            "class C:\n"
            "  @functools.singledispatchmethod\n"
            "  def g(self,x): return 0\n"
            "  @g.register\n"
            "  def _(self,x:int): return 1\n"
            "  def run(self): return self.g(1)\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "monkeypatched method": (
        ("class C:\n  def g(self): return 1\nC.g=lambda self: 5\ndef f(n): return C().g()"),
        "self: 5",
        "self: 6",
    ),
    "method patched instance": (
        ("class C:\n  def g(self): return 1\nO=C()\nO.g=lambda: 5\ndef f(n): return O.g()"),
        ": 5",
        ": 6",
    ),
    "instance attr": (
        "class C:\n  pass\nO=C()\nO.k=1\ndef f(n): return O.k",
        "O.k=1",
        "O.k=2",
    ),
    "instance whole": (
        "class C:\n  pass\nO=C()\nO.k=1\ndef g(o): return o.k\ndef f(n): return g(O)",
        "O.k=1",
        "O.k=2",
    ),
    "nested instance": (
        "class C:\n  pass\nO=C()\nO.i=C()\nO.i.k=1\ndef f(n): return O.i.k",
        "k=1",
        "k=2",
    ),
    "slots instance": (
        "class C:\n  __slots__=('k',)\nO=C()\nO.k=1\ndef f(n): return O.k",
        "k=1",
        "k=2",
    ),
    "attrs": (
        ("import attrs\n@attrs.define\nclass C:\n  k: int = 1\nO=C()\ndef f(n): return O.k"),
        "= 1",
        "= 2",
    ),
    "attrs nested": (
        (
            "import attrs\n"
            "@attrs.define\n"
            "class D:\n"
            "  z: int=1\n"
            "@attrs.define\n"
            "class C:\n"
            "  d: D = attrs.Factory(D)\n"
            "O=C()\n"
            "def f(n): return O.d.z"
        ),
        "int=1",
        "int=2",
    ),
    "attrs converter": (
        (
            "import attrs\n"
            "@attrs.define\n"
            "class C:\n"
            "  k: int = attrs.field(converter=lambda v: v*2)\n"
            "def f(n): return C(n).k"
        ),
        "v*2",
        "v*3",
    ),
    "dataclass default": (
        ("from dataclasses import dataclass\n@dataclass\nclass C:\n  k: int = 1\ndef f(n): return C().k"),
        "= 1",
        "= 2",
    ),
    "dataclass factory": (
        (
            "from dataclasses import dataclass,field\n"
            "@dataclass\n"
            "class C:\n"
            "  k: list = field(default_factory=lambda: [1])\n"
            "def f(n): return C().k"
        ),
        "[1]",
        "[2]",
    ),
    "dataclass order": (
        ("from dataclasses import dataclass\n@dataclass(order=True)\nclass C:\n  k: int = 1\ndef f(n): return C()"),
        "order=True",
        "order=False",
    ),
    "dataclass field order": (
        ("from dataclasses import dataclass\n@dataclass\nclass C:\n  a: int\n  b: int\ndef f(n): return C(1,2).a"),
        "a: int\n  b: int",
        "b: int\n  a: int",
    ),
    "namedtuple": (
        ("from collections import namedtuple\nC=namedtuple('C','a b')\ndef f(n): return C(1,2).a"),
        "a b",
        "b a",
    ),
    "NamedTuple default": (
        ("from typing import NamedTuple\nclass C(NamedTuple):\n  a: int = 1\ndef f(n): return C().a"),
        "= 1",
        "= 2",
    ),
    "enum": (
        "import enum\nclass E(enum.Enum):\n  A=1\n  B=2\ndef f(n): return E.A.value",
        "A=1\n  B=2",
        "A=3\n  B=2",
    ),
    "enum exchange": (
        "import enum\nclass E(enum.Enum):\n  A=1\n  B=2\nM=E.A\ndef f(n): return M",
        "M=E.A",
        "M=E.B",
    ),
    "enum method": (
        ("import enum\nclass E(enum.Enum):\n  A=1\n  def go(self): return 1\ndef f(n): return E.A.go()"),
        "return 1\n",
        "return 2\n",
    ),
    "metaclass": (
        ("class M(type):\n  def __call__(cls,*a): return 1\nclass C(metaclass=M): pass\ndef f(n): return C()"),
        "return 1\n",
        "return 2\n",
    ),
    "init_subclass": (
        ("class B:\n  def __init_subclass__(cls,**k): cls.k=1\nclass C(B): pass\ndef f(n): return C.k"),
        "cls.k=1",
        "cls.k=2",
    ),
    "class decorator": (
        ("def deco(c):\n  c.k=1\n  return c\n@deco\nclass C: pass\ndef f(n): return C.k"),
        "c.k=1",
        "c.k=2",
    ),
    "decorator wrapper": (
        (
            "import functools\n"
            "def deco(k):\n"
            "  def d(fn):\n"
            "    @functools.wraps(fn)\n"
            "    def w(*a): return fn(*a)*k\n"
            "    return w\n"
            "  return d\n"
            "@deco(2)\n"
            "def g(x): return x\n"
            "def f(n): return g(n)"
        ),
        "@deco(2)",
        "@deco(3)",
    ),
    "lru wrapped": (
        ("import functools\n@functools.lru_cache\ndef g(x): return 1\ndef f(n): return g(n)"),
        "return 1\n",
        "return 2\n",
    ),
    "contextmanager": (
        ("import contextlib\n@contextlib.contextmanager\ndef g(): yield 1\ndef f(n):\n  with g() as x: return x"),
        "yield 1",
        "yield 2",
    ),
    "np.vectorize": (
        "import numpy as np\ng=np.vectorize(lambda x: x+1)\ndef f(n): return g(n)",
        "x+1",
        "x+2",
    ),
    "np.vectorize otypes": (
        ("import numpy as np\ndef h(x): return x\ng=np.vectorize(h, otypes=[float])\ndef f(n): return g(n)"),
        "float",
        "int",
    ),
    "np.vectorize excluded": (
        ("import numpy as np\ndef h(x): return x\ng=np.vectorize(h, signature='()->()')\ndef f(n): return g(n)"),
        "'()->()'",
        "'(n)->(n)'",
    ),
    "table of functions": (
        ("def a(): return 1\ndef b(): return 2\nT={'x':a,'y':b}\ndef f(n): return T['x']()"),
        "'x':a,'y':b",
        "'x':b,'y':a",
    ),
    "list of lambdas": (
        "T=[lambda: 1, lambda: 2]\ndef f(n): return T[0]()",
        "lambda: 1, lambda: 2",
        "lambda: 2, lambda: 1",
    ),
    "registry by decorator": (
        (
            "R={}\n"
            "def reg(name):\n"
            "  def d(fn):\n"
            "    R[name]=fn\n"
            "    return fn\n"
            "  return d\n"
            "@reg('a')\n"
            "def a(): return 1\n"
            "def f(n): return R['a']()"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "array": (
        "import numpy as np\nA=np.array([1.,2.])\ndef f(n): return A.sum()",
        "[1.,2.]",
        "[1.,3.]",
    ),
    "array dtype": (
        ("import numpy as np\nA=np.array([1,2],dtype='i4')\ndef f(n): return A.sum()"),
        "'i4'",
        "'i8'",
    ),
    "array in dict": (
        "import numpy as np\nA={'a':np.array([1.,2.])}\ndef f(n): return A['a']",
        "[1.,2.]",
        "[1.,3.]",
    ),
    "array large": (
        ("import numpy as np\nA=np.zeros(10**6);A[77777]=1\ndef f(n): return A.sum()"),
        "=1\n",
        "=2\n",
    ),
    "poly1d": (
        "import numpy as np\nP=np.poly1d([1,2])\ndef f(n): return P(n)",
        "[1,2]",
        "[1,3]",
    ),
    "Polynomial": (
        ("from numpy.polynomial import Polynomial\nP=Polynomial([1,2])\ndef f(n): return P(n)"),
        "[1,2]",
        "[1,3]",
    ),
    "pattern": (
        "import re\nP=re.compile('a')\ndef f(n): return P.match(n)",
        "'a'",
        "'b'",
    ),
    "decimal": (
        "from decimal import Decimal\nD=Decimal('1.5')\ndef f(n): return D",
        "1.5",
        "1.6",
    ),
    "datetime": (
        "import datetime\nD=datetime.date(2020,1,1)\ndef f(n): return D.year",
        "2020",
        "2021",
    ),
    "fraction": (
        "from fractions import Fraction\nD=Fraction(1,3)\ndef f(n): return D*2",
        "1,3",
        "1,4",
    ),
    "frozenset": (
        "D=frozenset({1,2})\ndef f(n): return n in D",
        "{1,2}",
        "{1,3}",
    ),
    "counter": (
        ("from collections import Counter\nD=Counter('aab')\ndef f(n): return D['a']"),
        "'aab'",
        "'aaab'",
    ),
    "defaultdict": (
        ("from collections import defaultdict\nD=defaultdict(lambda: 1)\ndef f(n): return D['a']"),
        "lambda: 1",
        "lambda: 2",
    ),
    "chainmap": (
        ("from collections import ChainMap\nD=ChainMap({'a':1})\ndef f(n): return D['a']"),
        "'a':1",
        "'a':2",
    ),
    "mappingproxy": (
        ("from types import MappingProxyType\nD=MappingProxyType({'a':1})\ndef f(n): return D['a']"),
        "'a':1",
        "'a':2",
    ),
    "dict subclass": (
        "class D(dict): pass\nX=D(a=1)\ndef f(n): return X['a']",
        "a=1",
        "a=2",
    ),
    "list subclass method": (
        "class D(list):\n  def s(self): return 1\nX=D([1])\ndef f(n): return X.s()",
        "return 1\n",
        "return 2\n",
    ),
    "generator helper": (
        "def g():\n  yield 1\ndef f(n): return list(g())",
        "yield 1",
        "yield 2",
    ),
    "async helper": (
        "async def g(): return 1\nasync def f(n): return await g()",
        "return 1\n",
        "return 2\n",
    ),
    "lambda in default": (
        "def g(x, k=lambda: 1): return k()\ndef f(n): return g(n)",
        "lambda: 1",
        "lambda: 2",
    ),
    "nested func default": (
        "def f(n):\n  def g(k=1): return k\n  return g()",
        "k=1",
        "k=2",
    ),
    "callable object": (
        ("class C:\n  def __init__(s,k): s.k=k\n  def __call__(s,x): return s.k*x\ng=C(2)\ndef f(n): return g(n)"),
        "C(2)",
        "C(3)",
    ),
    "descriptor": (
        (
            "class D:\n"
            "  def __init__(s,k): s.k=k\n"
            "  def __get__(s,i,o=None): return s.k\n"
            "class C:\n"
            "  v=D(1)\n"
            "def f(n): return C().v"
        ),
        "D(1)",
        "D(2)",
    ),
    "descriptor code": (
        (
            "class D:\n"
            "  def __get__(s,i,o=None): return 1\n"
            "class C:\n"
            "  v=D()\n"
            "  def run(self): return self.v\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "__getattr__ module": (
        ("import sys\ndef g(): return 1\ndef f(n): return sys.modules[__name__].g()"),
        "return 1\n",
        "return 2\n",
    ),
    "globals()": (
        "def g(): return 1\ndef f(n): return globals()['g']()",
        "return 1\n",
        "return 2\n",
    ),
    "abc": (
        (
            "import abc\n"
            "class B(abc.ABC):\n"
            "  @abc.abstractmethod\n"
            "  def g(self): ...\n"
            "  def run(self): return self.g()\n"
            "class C(B):\n"
            "  def g(self): return 1\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "mixin order": (
        (
            "class A:\n"
            "  def g(self): return 1\n"
            "class B:\n"
            "  def g(self): return 2\n"
            "class C(A,B):\n"
            "  def run(self): return self.g()\n"
            "f=C.run\n"
            "OWNER=C"
        ),
        "C(A,B)",
        "C(B,A)",
    ),
    "factory class": (
        ("def mk(k):\n  class C:\n    def g(self): return k\n  return C\nC=mk(1)\ndef f(n): return C().g()"),
        "mk(1)",
        "mk(2)",
    ),
    "type()": (
        "C=type('C',(),{'g':lambda self: 1})\ndef f(n): return C().g()",
        ": 1",
        ": 2",
    ),
    "setattr loop": (
        ("class C: pass\nfor n_,v in (('a',1),('b',2)): setattr(C,n_,v)\ndef f(n): return C.a"),
        "('a',1)",
        "('a',3)",
    ),
    "conditional class": (
        ("if True:\n  class C:\n    k=1\nelse:\n  class C:\n    k=2\ndef f(n): return C.k"),
        "k=1",
        "k=5",
    ),
    "__call__ class attr fn": (
        ("def h(x): return 1\nclass C:\n  g=staticmethod(h)\ndef f(n): return C.g(n)"),
        "return 1\n",
        "return 2\n",
    ),
    "operator overload instance": (
        "class V:\n  def __add__(s,o): return 1\nA=V()\ndef f(n): return A+n",
        "return 1\n",
        "return 2\n",
    ),
    "binop arg order": (
        "def g(a,b): return a-b\ndef f(n): return g(n,1)",
        "g(n,1)",
        "g(1,n)",
    ),
    "kw": (
        "def g(a,b=0): return a-b\ndef f(n): return g(n,b=1)",
        "b=1)",
        "b=2)",
    ),
    "fstring": (
        "def f(n): return f'{n:.3f}'",
        ".3f",
        ".4f",
    ),
    "compare": (
        "def f(n): return n<1",
        "<",
        "<=",
    ),
    "bool op": (
        "def f(n): return n and 1",
        "and",
        "or",
    ),
    "star": (
        "def g(*a): return a\nX=[1]\ndef f(n): return g(*X)",
        "*X",
        "X",
    ),
    "try": (
        "def f(n):\n  try: return n\n  except ValueError: return 1",
        "ValueError",
        "TypeError",
    ),
    "global rebound by function": (
        "K=1\ndef setk():\n  global K\n  K=5\nsetk()\ndef f(n): return K",
        "K=5",
        "K=6",
    ),
    "module __getattr__": (
        ("class Lazy:\n  def __getattr__(s,n): return 1\nL=Lazy()\ndef f(n): return L.foo"),
        "return 1\n",
        "return 2\n",
    ),
    "isinstance": (
        "class A: pass\nclass B(A): pass\nT=B\ndef f(n): return isinstance(n,T)",
        "T=B",
        "T=A",
    ),
    "exception class": (
        ("class E(Exception):\n  code=1\ndef f(n):\n  try: raise E\n  except E as e: return e.code"),
        "code=1",
        "code=2",
    ),
    "closure cell over module const": (
        ("def mk():\n  k=[1]\n  def g(): return k[0]\n  return g\ng=mk()\ndef f(n): return g()"),
        "[1]",
        "[2]",
    ),
    "numpy random seed const": (
        "import numpy as np\nSEED=1\ndef f(n): return np.random.default_rng(SEED)",
        "SEED=1",
        "SEED=2",
    ),
    "print with call": (
        "def h(x): return 1\ndef f(n):\n  print(h(n))\n  return n",
        "return 1\n",
        "return 2\n",
    ),
    "print file": (
        "def f(n,result_path):\n  print('a',file=result_path)\n  return n",
        "'a'",
        "'b'",
    ),
    "own print": (
        "def print(*a): return 1\ndef f(n):\n  print('a')\n  return n",
        "'a'",
        "'b'",
    ),
    "log walrus": (
        ("import logging\nlog=logging.getLogger()\ndef f(n):\n  log.info('%s',(y:=1))\n  return y"),
        "y:=1",
        "y:=2",
    ),
    "tqdm iterable": (
        ("from tqdm import tqdm\ndef f(n):\n  for i in tqdm(range(3)): n+=i\n  return n"),
        "range(3)",
        "range(4)",
    ),
    "string template": (
        ("from string import Template\nT=Template('$a b')\ndef f(n): return T.substitute(a=n)"),
        "$a b",
        "$a c",
    ),
    "struct": (
        "import struct\nS=struct.Struct('<i')\ndef f(n): return S.pack(n)",
        "<i",
        ">i",
    ),
    "itemgetter": (
        "import operator\ng=operator.itemgetter(1)\ndef f(n): return g(n)",
        "(1)",
        "(2)",
    ),
    "threading.local const": (
        "class P: pass\nP.a,P.b=1,2\ndef f(n): return P.a-P.b",
        "=1,2",
        "=2,1",
    ),
    "nested class": (
        "class A:\n  class B:\n    class C:\n      k=1\ndef f(n): return A.B.C.k",
        "k=1",
        "k=2",
    ),
    "class in list": (
        "class A:\n  k=1\nL=[A]\ndef f(n): return L[0].k",
        "k=1",
        "k=2",
    ),
    "instance in list": (
        "class A:\n  def __init__(s,k): s.k=k\nL=[A(1)]\ndef f(n): return L[0].k",
        "A(1)",
        "A(2)",
    ),
    "functools.reduce op": (
        ("import functools,operator\nOP=operator.add\ndef f(n): return functools.reduce(OP,[1,2])"),
        "operator.add",
        "operator.mul",
    ),
    "str const in tuple": (
        "T=('a',('b',1))\ndef f(n): return T",
        "('b',1)",
        "('c',1)",
    ),
    "nan/neg zero": (
        "Z=0.0\ndef f(n): return 1/Z if Z else Z",
        "0.0",
        "-0.0",
    ),
    "bool vs int": (
        "Z=1\ndef f(n): return Z",
        "Z=1",
        "Z=True",
    ),
    "del patched builtin": (
        "import builtins\ndef f(n): return len(n)\n",
        "def f",
        "def len(x): return 1\ndef f",
    ),
    "typing cast/Protocol": (
        (
            "from typing import Protocol\n"
            "class P(Protocol):\n"
            "  def g(self): return 1\n"
            "class C(P): pass\n"
            "def f(n): return C().g()"
        ),
        "return 1\n",
        "return 2\n",
    ),
    "string annotation dataclass kw": (
        (
            "from dataclasses import dataclass,field\n"
            "@dataclass\n"
            "class C:\n"
            "  a: int = field(default=1,repr=False)\n"
            "def f(n): return repr(C())"
        ),
        "repr=False",
        "repr=True",
    ),
}

NEEDS = {"np": "numpy", "attrs": "attrs", "tqdm": "tqdm", "numpy": "numpy"}


@pytest.mark.parametrize("kind", SEEN)
def test_what_is_seen(kind: str) -> None:
    """The change is another fingerprint in every form, and something is named; nothing changed is the same one."""
    source, old, new = SEEN[kind]
    for word, package in NEEDS.items():
        if f"import {word}" in source or f"as {word}" in source:
            pytest.importorskip(package)
    assert old in source
    before, again, after = (looked_at(one) for one in (source, source, source.replace(old, new, 1)))

    assert (again.bytecode, again.digest, changes(before, again)) == (before.bytecode, before.digest, [])
    assert after.bytecode != before.bytecode
    assert after.digest != before.digest
    assert changes(before, after)


# By kind: a program, a piece of it, and what stands there after a change that must not matter.
UNSEEN = {
    "log line": (
        ("import logging\nlog = logging.getLogger('x')\ndef f(n):\n    pass\n    return n"),
        "pass",
        "log.info('n=%s', n)",
    ),
    "log text": (
        "import logging\ndef f(n):\n    logging.info('a')\n    return n",
        "'a'",
        "'b %s', n",
    ),
    "print": (
        "def f(n):\n    print('a')\n    return n",
        "print('a')",
        "pass",
    ),
    "print to stderr": (
        "import sys\ndef f(n):\n    pass\n    return n",
        "pass",
        "print(n, file=sys.stderr)",
    ),
    "write to stdout": (
        "import sys\ndef f(n):\n    pass\n    return n",
        "pass",
        "sys.stdout.write('.')",
    ),
    "warning": (
        "import warnings\ndef f(n):\n    pass\n    return n",
        "pass",
        "warnings.warn(f'odd {n:.3f}')",
    ),
    "print in a branch": (
        ("def f(n):\n    for i in range(n):\n        if i % 10 == 0:\n            print(i)\n    return n"),
        "10",
        "100",
    ),
    "what a print computes": (
        "def h(x): return x\ndef f(n):\n    h(n)\n    return n",
        "h(n)\n",
        "print('now', h(n))\n",
    ),
    "logger of a class": (
        (
            "import logging\n"
            "class C:\n"
            "    log = logging.getLogger('x')\n"
            "    def run(self):\n"
            "        pass\n"
            "        return 1\n"
            "f = C.run\n"
            "OWNER = C"
        ),
        "pass",
        "self.log.debug('run')",
    ),
    "log in a helper": (
        (
            "import logging\n"
            "log = logging.getLogger('x')\n"
            "def h(x):\n"
            "    log.info('a')\n"
            "    return x\n"
            "def f(n): return h(n)"
        ),
        "'a'",
        "'b'",
    ),
    "progress bar": (
        ("from tqdm import tqdm\ndef f(n):\n    for i in range(n):\n        n += i\n    return n"),
        "range(n)",
        "tqdm(range(n), desc='f')",
    ),
    "progress bar by hand": (
        ("from tqdm import tqdm\ndef f(n):\n    for i in range(n):\n        n += i\n    return n"),
        "    for i in range(n):\n        n += i\n",
        ("    with tqdm(total=n) as bar:\n        for i in range(n):\n            n += i\n            bar.update()\n"),
    ),
    "setting that is not read": (
        "class S: pass\nX = S()\nX.a, X.b = 1, 2\ndef f(n): return X.a",
        "1, 2",
        "1, 3",
    ),
    "field of no account": (
        (
            "from dataclasses import dataclass, field\n"
            "@dataclass\n"
            "class S:\n"
            "    a: int = 1\n"
            "    t: int = field(default=0, compare=False)\n"
            "X = S(1, 2)\n"
            "def g(s): return s\n"
            "def f(n): return g(X)"
        ),
        "S(1, 2)",
        "S(1, 3)",
    ),
    "order of plain settings": (
        "X = {'a': 1, 'b': 2}\ndef f(n): return X",
        "'a': 1, 'b': 2",
        "'b': 2, 'a': 1",
    ),
    "method that is not used": (
        ("class C:\n    def plot(self): return 1\n    def run(self): return 2\nf = C.run\nOWNER = C"),
        "return 1",
        "return 3",
    ),
    "hints": (
        "def h(x): return x\ndef f(n): return h(n)",
        "h(x):",
        "h(x: 'int') -> 'int':",
    ),
    "place": (
        "def h(x): return x\ndef f(n): return h(n)",
        "def h",
        "\n\n# moved\ndef h",
    ),
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_what_is_not_seen(kind: str) -> None:
    """What only tells, and what is not read, is the same fingerprint, and nothing is named."""
    source, old, new = UNSEEN[kind]
    if "tqdm" in source:
        pytest.importorskip("tqdm")
    assert old in source
    before, after = looked_at(source), looked_at(source.replace(old, new, 1))

    assert after.digest == before.digest
    assert changes(before, after) == changes(after, before) == []


def test_a_moved_project_is_the_same() -> None:
    """What a module says of its own place is told as seen from there."""
    source = (
        "import os, pathlib\nHERE = pathlib.Path(__file__).parent\n"
        "DATA = os.path.join(os.path.dirname(__file__), 'd')\n"
        "def f(n): return HERE / 'x', DATA, __file__\n"
    )

    assert looked_at(source).digest == looked_at(source).digest


# ---- random edits ---------------------------------------------------------------------------------------------------

SAMPLE = """
import functools
import math
from dataclasses import dataclass

SCALE = 2.5
TABLE = {"a": 1.5, "b": (2, 3)}


def weight(x, power=2, *, offset=0.25):
    if x < 0 and power != 3:
        return -weight(-x, power)
    return (x + offset) ** power - math.sin(x) * SCALE


@dataclass
class Rod:
    length: float = 1.0
    cells: int = 8

    @property
    def step(self):
        return self.length / self.cells

    def __call__(self, x):
        return [weight(x * self.step, k) for k in range(1, self.cells)]


def made(factor):
    def scaled(x):
        return factor * x + TABLE["a"]

    return scaled


double, triple = made(2), made(3)
halved = functools.partial(weight, power=0.5)


def f(n):
    rod = Rod(cells=4)
    values = rod(n) if n > 1 else [double(n), triple(n + 1)]
    while len(values) >= 3:
        values = values[1:]
    return max(values) - halved(n) + divmod(n, 3)[0]
"""

OTHER_OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
OTHER_COMPARISONS: dict[type, type] = {ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.NotEq: ast.Eq}


def mutants(tree: ast.Module) -> list[ast.Module]:
    """The program with one thing changed: a literal, an operator, a comparison, the order of two values."""
    found = []
    for place in range(len(list(ast.walk(tree)))):
        twin = copy.deepcopy(tree)
        if mutated(list(ast.walk(twin))[place]):
            found.append(ast.fix_missing_locations(twin))
    return found


def mutated(node: ast.AST) -> bool:
    """Change a node in place; whether it can be."""
    if isinstance(node, ast.BinOp):
        node.op = OTHER_OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Compare):
        node.ops[0] = OTHER_COMPARISONS[type(node.ops[0])]()
    elif isinstance(node, ast.Constant):
        node.value = node.value + ("x" if isinstance(node.value, str) else 1)
    elif isinstance(node, ast.Call) and len(node.args) == 2 and not isinstance(node.args[0], ast.Starred):
        node.args.reverse()
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        node.elts.reverse()
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or()
    else:
        return False
    return True


MUTANTS = mutants(ast.parse(SAMPLE))


@given(st.sampled_from(MUTANTS))
def test_a_random_edit_is_seen(tmp_path_factory: pytest.TempPathFactory, mutant: ast.Module) -> None:
    """Whatever is changed of what the function reaches, the fingerprint is another one."""
    folder = tmp_path_factory.mktemp("edits")
    before = looked_at(ast.unparse(ast.parse(SAMPLE)), folder)
    try:
        after = looked_at(ast.unparse(mutant), folder)
    except (KeyError, TypeError, ImportError):
        return  # it does not even load

    assert after.digest != before.digest
    assert after.bytecode != before.bytecode
    assert changes(before, after)


@given(st.lists(st.sampled_from(["# a comment", "", "    # deep", "UNUSED = 1", "def unused(): return 1"]), max_size=4))
def test_a_random_decoration_is_not_seen(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    """Comments, blank lines and code that is not reached leave it as it is, wherever they stand."""
    folder = tmp_path_factory.mktemp("decorations")
    decorated = "\n".join(lines) + "\n" + SAMPLE.replace("def weight", "\n".join([*lines, "def weight"]))
    before, after = looked_at(SAMPLE, folder), looked_at(decorated, folder)

    assert after.digest == before.digest
    assert after.bytecode == before.bytecode
    assert changes(before, after) == []
