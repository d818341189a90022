"""Fixtures of all tests: a folder of one's own, a store in it, and a runner that counts."""

from __future__ import annotations

import compileall
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, settings

import entropic
from entropic import Store
from entropic._engine import _reads
from entropic.index import MemoryIndex

sys.path.insert(0, str(Path(__file__).parent / "servers"))
import s3_server
from postgres_server import Server, programs

settings.register_profile("fast", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=2000, deadline=None, parent=settings.get_profile("fast"))
# Where it is decided whether a change may land, the examples are the same each time: what fails is what has changed.
settings.register_profile("checks", derandomize=True, database=None, parent=settings.get_profile("fast"))
FAST = "checks" if os.environ.get("CI") else "fast"
settings.load_profile("thorough" if os.environ.get("ENTROPIC_SOAK") else FAST)


# Times are shown in local time; what the documents print is of one zone.
os.environ["TZ"] = "UTC"
time.tzset()

# A shell starts what it runs in the background with these ignored, and so would be all that the tests start and signal.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# Hundreds of processes import the package. Where Python is told to write no bytecode, each would compile all of it.
compileall.compile_dir(Path(entropic.__file__).parent, quiet=2)

ROOT = Path(__file__).parents[1]
# Taken before any test module is imported: what is made at import counts as well.
ROOT_BEFORE = set(os.listdir(ROOT))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes runs where it is asked for."""
    if not os.environ.get("ENTROPIC_SOAK"):
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="a long run, only with ENTROPIC_SOAK=1"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Each process calls a test alike; several share them out."""
    varying = [item.nodeid for item in session.items if " at 0x" in item.nodeid]
    if varying:
        raise pytest.UsageError(f"The names of these tests hold an address; give them ids: {varying}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """
    How many workers ``-n auto`` means: two for each processor, since they often wait for what they have started.

    Each worker starts servers of its own: not too many.
    """
    return min(2 * (os.cpu_count() or 1), 8)


@pytest.fixture(autouse=True, scope="session")
def _no_wait_for_the_disk() -> Iterator[None]:
    """
    In the process of the tests itself a sync returns at once; that of other processes waits for the disk.

    It changes nothing that can be seen without a power cut, and half of the time of the tests would go into it. What is
    synced, and when, is asserted by tests that put something of their own in its place.
    """
    with pytest.MonkeyPatch.context() as patched:
        if not os.environ.get("ENTROPIC_SOAK"):
            patched.setattr(os, "fsync", _require_open)
        yield


def _require_open(file: int | IO[Any]) -> None:
    """Refuse what the true sync would refuse."""
    os.fstat(file if isinstance(file, int) else file.fileno())


@pytest.fixture(autouse=True, scope="session")
def _nothing_left_in_the_repository() -> Iterator[None]:
    """The tests leave the top of the repository as it was, but for caches of tools (dot-files)."""
    yield
    changed = {name for name in ROOT_BEFORE ^ set(os.listdir(ROOT)) if not name.startswith(".")}
    assert not changed, f"made or removed by the tests: {sorted(changed)}"


@pytest.fixture(autouse=True, scope="module")
def _what_was_there_before_is_not_looked_through() -> None:
    """
    The garbage collector passes over what lived before a module's tests: libraries, and other tests.

    Tests that collect before and after would take half a second each with all that the suite has loaded.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def five_methods() -> Any:
    """An index of a user's own, with the five methods alone."""
    index = MemoryIndex()
    names = ("find_by_hash", "find_by_params", "insert", "all", "delete_by_hash")
    return type("FiveMethods", (), {name: staticmethod(getattr(index, name)) for name in names})()


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test and doctest runs in an empty folder, and leaves nothing anywhere else."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _what_other_tests_have_loaded_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries that open files in C count for a test if it loads them itself, and not if another one has."""
    names = [name for name in _reads._OPEN_IN_C if name not in sys.modules]
    monkeypatch.setattr(_reads, "_OPEN_IN_C", names)


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """No test leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.daemon]
    assert not left, f"threads left running: {left}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in the test's own folder, writing ``.txt`` results."""
    with Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt") as store:
        yield store


class CountingRunner:
    """A runner that writes its params and counts its calls."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, params: dict[str, Any], result_path: Path) -> None:
        self.calls.append(dict(params))
        result_path.write_text(repr(params))

    @property
    def count(self) -> int:
        """How often it ran."""
        return len(self.calls)


@pytest.fixture
def runner() -> CountingRunner:
    """A runner that writes its params and counts its calls."""
    return CountingRunner()


@pytest.fixture
def write_text() -> Callable[[dict[str, Any], Path], object]:
    """The shortest runner."""
    return lambda params, result_path: result_path.write_text("x")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server for all tests."""
    if programs() is None:
        pytest.skip("neither the package pgserver nor an installed PostgreSQL is there")
    with Server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of a database of one's own."""
    url = postgres_server.new_database()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def s3() -> Iterator[s3_server.Server]:
    """An S3 server for all tests."""
    if not s3_server.is_installed():
        pytest.skip("the packages s3fs and moto[server] are not there")
    with s3_server.Server() as server:
        yield server


@pytest.fixture(scope="session")
def _s3_proxy(s3: s3_server.Server) -> Iterator[s3_server.Proxy]:
    with s3_server.Proxy(s3.port) as proxy:
        yield proxy


@pytest.fixture
def s3_proxy(_s3_proxy: s3_server.Proxy, monkeypatch: pytest.MonkeyPatch) -> s3_server.Proxy:
    """What lies between us and the S3 server; pauses between attempts are short."""
    _s3_proxy.begin()
    names = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**names, "AWS_ENDPOINT_URL": _s3_proxy.url, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("entropic._remote._bucket._PAUSES_SECONDS", (0.01, 0.01, 0.01))
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)  # it would pause as well
    return _s3_proxy


@pytest.fixture
def bucket(s3: s3_server.Server, s3_proxy: s3_server.Proxy) -> str:
    """The name of an empty bucket."""
    return s3.new_bucket()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'runs.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new database, of each kind in turn."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
