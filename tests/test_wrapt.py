"""A decorator loads wrapt without asyncio and importlib.metadata, and nobody notices but by the time it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SPARED = ("asyncio", "importlib.metadata", "email", "ssl")
OURS = "import entropic; entropic.cached"
THEIRS = "import wrapt"


def run(script: str) -> Any:
    """What a fresh interpreter prints, read as JSON."""
    answer = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout or "null")


def test_what_most_programs_do_not_use_is_not_loaded() -> None:
    """A decorator is there, and wrapt; asyncio, importlib.metadata and what they load are not."""
    script = (
        f"import sys; before = set(sys.modules); {OURS}; import json; print(json.dumps([*{{*sys.modules}} - before]))"
    )
    loaded = run(script)

    assert "wrapt.synchronization" in loaded
    assert set(SPARED) & set(loaded) == set()


LOOK = """
import builtins, json, sys, types
import wrapt, asyncio, importlib.metadata
wrapt.synchronization.asyncio.run, wrapt.importer.importlib.metadata

def kind(value):
    return value.__qualname__ if isinstance(value, type) else type(value).__qualname__

seen = {}
for name in sorted(one for one in sys.modules if one.partition(".")[0] == "wrapt"):
    module = sys.modules[name]
    for own, value in vars(module).items():
        seen[f"{name}.{own}"] = kind(value)
        if isinstance(value, types.FunctionType):
            assert value.__builtins__ is vars(builtins), value
        if isinstance(value, types.ModuleType):
            assert type(value) is types.ModuleType, value
    loader = module.__loader__
    assert loader is module.__spec__.loader
    assert set(vars(loader)) == {"name", "path"}, vars(loader)
for place in wrapt.__path__:
    seen[place] = kind(sys.path_importer_cache[place])
print(json.dumps(seen))
"""


def test_wrapt_is_as_it_would_be_without_us() -> None:
    """Its modules, what is in them, and how they were found and loaded: nothing of ours is left."""
    assert run(f"{OURS}\n{LOOK}") == run(f"{THEIRS}\n{LOOK}")


FEATURES = """
import wrapt

@wrapt.synchronized
async def locked(n):
    return n + 1

@wrapt.async_to_sync
async def bridged(n):
    return n + 1

@wrapt.sync_to_async
def waited(n):
    return n + 1

async def both():
    return await locked(1) + await waited(1)

from pathlib import Path
Path("plugin-1.dist-info").mkdir()
Path("plugin-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\\nName: plugin\\nVersion: 1\\n")
Path("plugin-1.dist-info/entry_points.txt").write_text("[hooks]\\nthis = plugin:loaded\\n")
Path("plugin.py").write_text("seen = []\\ndef loaded(module): seen.append(module.__name__)")
wrapt.discover_post_import_hooks("hooks")
import this, plugin, asyncio, inspect, json, sys
calls = [bridged(1), asyncio.run(both()), plugin.seen, inspect.iscoroutinefunction(wrapt.mark_as_async(waited))]
sys.stdout = sys.__stdout__
print(json.dumps(calls))
"""
QUIET = "import io, sys; sys.stdout = io.StringIO()\n"  # what `this` prints


@pytest.mark.parametrize("first", ["", "import asyncio, importlib.metadata", THEIRS])
def test_what_wrapt_offers_works(first: str) -> None:
    """Locks and bridges of coroutines, and hooks named by entry points: whatever was imported before us."""
    assert run(f"{QUIET}{first}\n{OURS}\n{FEATURES}") == [2, 4, ["this"], True]


# What programs do with the two modules afterwards; each line is a program of its own.
AFTERWARDS = {
    "import": "import asyncio as one, importlib.metadata; two = importlib.metadata",
    "from": "from importlib import metadata as two; import asyncio as one",
    "member": "from asyncio import events; from importlib.metadata import version; one = two = None",
    "submodule": "import asyncio.events as one, asyncio; assert asyncio.events is one; two = None",
    "by name": "import importlib; one, two = map(importlib.import_module, ('asyncio', 'importlib.metadata'))",
    "anew": "import asyncio, importlib; one = importlib.reload(asyncio); two = None",
    "wrapt anew": "import importlib, wrapt, asyncio as one; importlib.reload(wrapt.synchronization); two = None",
    "after wrapt": "import wrapt; wrapt.synchronization.asyncio.run; import asyncio as one; two = None",
    "patched": (
        "import wrapt; from unittest import mock; import asyncio as one; two = None\n"
        "with mock.patch('wrapt.synchronization.asyncio.run', lambda coroutine: (coroutine.close(), 7)[1]):\n"
        "    async def f(): pass\n"
        "    assert wrapt.async_to_sync(f)() == one.run(f()) == 7\n"
        "assert one.run(f()) is None"
    ),
    "patched before it is loaded": (
        "import wrapt; late = vars(wrapt.synchronization)['asyncio']; late.run = 7; late.new = 8; del late.Queue\n"
        "import asyncio as one; assert one.run == 7; assert one.new == 8; assert not hasattr(one, 'Queue'); two = None"
    ),
    "looked at": "import wrapt; assert 'run' in dir(wrapt.synchronization.asyncio); import asyncio as one; two = None",
    "sent by value": (
        "import pickle, wrapt; late = vars(wrapt.synchronization)['asyncio']; two = None\n"
        "one = pickle.loads(pickle.dumps(late)); assert one.run is late.run"
    ),
    "pickled": (
        "import asyncio as one, pickle, wrapt, inspect; two = None\n"
        "assert pickle.loads(pickle.dumps(one.Queue)) is one.Queue\n"
        "assert inspect.getmodule(wrapt.synchronized) is sys.modules['wrapt.synchronization']\n"
        "assert 'asyncio.Lock()' in inspect.getsource(wrapt.synchronization)"
    ),
}
WHOLE = """
if one is not None and one.__name__ == "asyncio":
    assert one is sys.modules["asyncio"] and type(one) is type(sys)
if two is not None:
    import importlib
    assert two is sys.modules["importlib.metadata"] is importlib.metadata and type(two) is type(sys)
    assert two.version("wrapt")
for name in [name for name in sys.modules if name.startswith(("asyncio.", "importlib.metadata."))]:
    parent, _, child = name.rpartition(".")
    assert getattr(sys.modules[parent], child) is sys.modules[name], name
"""


@pytest.mark.parametrize("case", AFTERWARDS)
def test_programs_import_what_was_spared_as_ever(case: str) -> None:
    """They get the modules themselves, each loaded once and whole."""
    run(f"import sys\n{OURS}\nassert 'asyncio' not in sys.modules\n{AFTERWARDS[case]}\n{WHOLE}")


THREADS = """
import sys, threading
started = threading.Barrier(5)
wrong = []

def wait(work):
    started.wait()
    try:
        work()
    except BaseException as error:
        wrong.append(repr(error))

def decorate():
    import entropic
    entropic.cached

def lock():
    decorate()
    import wrapt
    assert wrapt.synchronization.asyncio.Lock() is not None

def use():
    import asyncio.events, importlib.metadata
    asyncio.run(asyncio.sleep(0)), importlib.metadata.version("wrapt")

def wraps():
    import wrapt
    wrapt.FunctionWrapper, wrapt.synchronization.asyncio.Queue()

threads = [threading.Thread(target=wait, args=(work,)) for work in (decorate, lock, use, use, wraps)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not wrong, wrong
one = two = None
"""


def test_threads_import_at_once() -> None:
    """One decorates, others import and use wrapt, asyncio and importlib.metadata: each has them whole."""
    run(f"{THREADS}\n{WHOLE}\nimport asyncio\nassert sys.modules['wrapt.synchronization'].asyncio is asyncio")


HOOKED = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "wrapt.synchronization":
            import asyncio.events, importlib.metadata
            importlib.invalidate_caches()
            self.seen = asyncio.events, importlib.metadata

sys.meta_path.insert(0, finder := Finder())
import entropic
entropic.cached
import asyncio
assert finder.seen == (sys.modules["asyncio.events"], sys.modules["importlib.metadata"])
one, two = asyncio, finder.seen[1]
"""


def test_hooks_import_in_the_middle() -> None:
    """What runs while wrapt is imported, as hooks and signal handlers do, sees the modules themselves."""
    run(f"{HOOKED}\n{WHOLE}")


BROKEN = {
    "missing": "raise ImportError('broken')",
    "unlike": "import asyncio as io, importlib.metadata as metadata\nfrom asyncio import run\nassert io.run is run\n"
    "value = metadata.version, __import__('os').sep, len(())\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_other_forms_of_wrapt(case: str, tmp_path: Path) -> None:
    """What does not import as it does today is loaded as it is, and what cannot be imported says why."""
    folder = tmp_path / "wrapt"
    folder.mkdir()
    folder.joinpath("__init__.py").write_text("from .synchronization import *")
    folder.joinpath("synchronization.py").write_text(BROKEN[case])
    script = "import entropic, sys\ntry: entropic.cached\nexcept (ImportError, AttributeError) as error: print(error)\n"
    script += "print(all('entropic' not in type(one).__module__ for one in sys.path_importer_cache.values()))"

    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    answer = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )

    expected = {"missing": "broken", "unlike": "module 'wrapt' has no attribute 'FunctionWrapper'"}
    assert answer.stdout.splitlines() == [expected[case], "True"]


PURE = """
import inspect, wrapt
from pathlib import Path
from entropic import Store, cached

assert wrapt.FunctionWrapper.__module__ == "wrapt.wrappers"
store = Store("results", "runs.json", file_suffix=".txt")

@cached(store)
def simulate(n: int, *, result_path: Path) -> None:
    result_path.write_text(str(n))

class Study:
    @cached(store, ignore=("self",))
    def simulate(self, n: int, *, result_path: Path) -> None:
        result_path.write_text(str(n))

assert [simulate(1).result_path.read_text(), Study().simulate(2).result_path.read_text()] == ["1", "2"]
assert (simulate(1), simulate.cache_info().hits) == (simulate.retrieve(1), 1)
assert str(inspect.signature(simulate)) == "(n: int) -> None" == str(inspect.signature(Study().simulate))
assert set(simulate.__annotations__) == {"n", "result_path", "return"} == set(Study.simulate.__annotations__)
"""


def test_wrapt_without_its_extension() -> None:
    """As it is installed where no compiler is: functions and methods are decorated all the same."""
    environment = {**os.environ, "WRAPT_DISABLE_EXTENSIONS": "1"}
    done = subprocess.run([sys.executable, "-c", PURE], capture_output=True, text=True, env=environment)

    assert done.returncode == 0, done.stderr
