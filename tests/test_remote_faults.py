"""An object store that is busy, breaks off, denies, or errs; and a full disk here: nothing is lost, or wrong."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from s3_server import Proxy, Server

from entropic import Store
from entropic.errors import RemoteUnavailableError, StoreWriteError

INDEX = "sqlite:///runs.sqlite3"


def host(name: str, bucket: str, index: str = INDEX) -> Store:
    """A store with a folder of its own, as one host of several has it."""
    return Store(f"{name}/results", index=index, file_suffix=".txt", remote=f"s3://{bucket}/runs")


@pytest.fixture
def first(bucket: str) -> Store:
    """A host that shares no folder with the second one."""
    return host("first", bucket)


@pytest.fixture
def second(bucket: str) -> Store:
    """A host that shares no folder with the first one."""
    return host("second", bucket)


def write(params: dict[str, Any], path: Path) -> None:
    """A result that tells its point."""
    path.write_text(f"result of {params['n']}")


def write_two(params: dict[str, Any], path: Path) -> None:
    """A result and a file beside it."""
    write(params, path)
    path.with_name("log.txt").write_text(f"log of {params['n']}")


def never(params: dict[str, Any], path: Path) -> None:
    """A runner that is not to be called."""
    raise AssertionError(f"{params} has run")


def asks(method: str, *, for_list: bool = False) -> Callable[[str, str], bool]:
    """Requests by a method for results, or for their list; not for notes."""

    def is_meant(asked: str, path: str) -> bool:
        is_list = "list-type" in path
        return asked == method and is_list == for_list and ("/.entropic/" not in path or "/manifests" in path)

    return is_meant


@pytest.mark.parametrize(
    "fault", ["lost", "cut question", "SlowDown", "InternalError", "ConditionalRequestConflict", 429]
)
def test_a_result_is_stored_though_a_store_fails_once(fault: Any, first: Store, second: Store, s3_proxy: Proxy) -> None:
    """Whichever of its objects it is; an object that was made though the answer was lost is known as ours."""
    first.run({"n": 0}, write)
    s3_proxy.fail(*[fault, None] * 3, of=asks("PUT"))

    first.run({"n": 1}, write_two)

    assert s3_proxy.asked["PUT"] >= 6
    s3_proxy.begin()
    assert second.run_or_retrieve({"n": 1}, never).result_path.with_name("log.txt").read_text() == "log of 1"
    assert first.check(contents=True).is_clean, first.check(contents=True)


@pytest.mark.parametrize("fault", ["lost", "cut", "SlowDown", "other bytes", "other etag"])
def test_a_result_is_fetched_though_a_store_fails_once(
    fault: Any, first: Store, second: Store, s3_proxy: Proxy
) -> None:
    """What was spoilt on its way is asked for again."""
    first.run({"n": 1}, write)
    s3_proxy.fail(fault, of=asks("GET"))

    assert second.run_or_retrieve({"n": 1}, never).result_path.read_text() == "result of 1"
    assert s3_proxy.faults == []
    s3_proxy.begin()
    assert second.check(contents=True).is_clean


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any], Path], None]:
    """A runner whose result is stored in parts, as one of more than 100 MB is."""
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, chunksize=None: 5 << 20)
    return lambda params, path: Path.write_bytes(path, bytes([params.get("byte", 0)]) * (11 << 20))


def in_parts(method: str, path: str) -> bool:
    """The request that makes an object of the parts."""
    return method == "POST" and "uploadId" in path


@pytest.mark.parametrize("fault", ["lost", "InternalError", "NoSuchUpload"])
def test_an_upload_in_parts_whose_end_fails(
    fault: str, first: Store, second: Store, s3_proxy: Proxy, large: Any
) -> None:
    """As of any other: it is done once more, or known as ours."""
    first.run({"n": 0}, write)
    s3_proxy.fail(fault, of=in_parts)

    first.run({"n": 1}, large)

    assert s3_proxy.faults == []
    s3_proxy.begin()
    assert second.run_or_retrieve({"n": 1}, never).result_path.stat().st_size == 11 << 20
    assert first.check(contents=True).is_clean, first.check(contents=True)


def test_an_upload_in_parts_replaces_nothing(
    bucket: str, s3_proxy: Proxy, large: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts whose clocks show the same microsecond: each record has its own object."""
    monkeypatch.setattr(
        "entropic._results._staging.stem_of_now", lambda params_hash: f"1769854174.763568_{params_hash}"
    )
    hosts = [host("first", bucket), host("second", bucket, "sqlite:///other.sqlite3")]
    for byte, store in enumerate(hosts):
        store.run({"n": 1}, lambda params, path, byte=byte: large({"byte": byte}, path))

    for byte, store in enumerate(hosts):
        store.evict()
        assert store.run_or_retrieve({"n": 1}, never).result_path.read_bytes()[:1] == bytes([byte])


def test_a_store_that_replaces_objects_is_refused(first: Store, s3_proxy: Proxy) -> None:
    """Before anything runs: two hosts could replace each other's results."""
    s3_proxy.replaces = True

    with pytest.raises(RemoteUnavailableError, match="it replaces objects"):
        first.run({"n": 1}, never)


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken"])
def test_who_may_not_read_is_told_to_look_at_the_credentials(
    code: str, first: Store, second: Store, s3_proxy: Proxy
) -> None:
    """At once, and nothing runs; it goes on once they are good."""
    first.run({"n": 1}, write)
    s3_proxy.fail(always=code)

    for n in (1, 2):
        with pytest.raises(RemoteUnavailableError, match="Look at the credentials"):
            second.run_or_retrieve({"n": n}, never)
    assert s3_proxy.asked.total() < 12
    s3_proxy.begin()
    assert second.run_or_retrieve({"n": 1}, never).result_path.read_text() == "result of 1"


def test_credentials_that_were_renewed_are_used(first: Store, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a process that began with others, in the middle of its work."""
    first.run({"n": 1}, write)

    def write_slowly(params: dict[str, Any], path: Path) -> None:
        write(params, path)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
        s3_proxy.fail("ExpiredToken")

    first.run({"n": 2}, write_slowly)

    assert s3_proxy.users[0] == "test"
    assert {*s3_proxy.users[1:]} == {"renewed"}


def test_who_may_not_list_stores_and_fetches(first: Store, second: Store, s3_proxy: Proxy) -> None:
    """S3 answers then that what is not there is denied; only `check` needs the list, and says so."""

    def is_denied(method: str, path: str) -> bool:
        is_absent = path.endswith("/.entropic/id") and not s3_proxy.asked["PUT"]
        return method == "GET" and ("list-type" in path or is_absent)

    s3_proxy.fail(always="AccessDenied", of=is_denied)
    first.run({"n": 1}, write)

    assert second.run_or_retrieve({"n": 1}, never).result_path.read_text() == "result of 1"
    with pytest.raises(RemoteUnavailableError, match="Cannot list"):
        first.check()


def test_a_bucket_that_is_not_there_is_named(s3: Server, s3_proxy: Proxy) -> None:
    """Before anything runs."""
    with pytest.raises(RemoteUnavailableError, match=r"nonesuch.*does not exist"):
        host("first", "nonesuch").run({"n": 1}, never)


def test_a_store_that_takes_long_to_fail_is_not_asked_five_times(
    first: Store, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt may have taken minutes."""
    monkeypatch.setattr("entropic._remote._bucket._LONGEST_SECONDS", 0.0)
    s3_proxy.fail(always=503, of=asks("PUT"))

    with pytest.raises(StoreWriteError, match="Cannot record the run"):
        first.run({"n": 1}, write)
    assert len([path for method, path in s3_proxy.names if asks("PUT")(method, path)]) == 1


def test_a_store_is_asked_again_by_us_alone(first: Store, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its libraries would ask again as well, each within the other's attempts."""
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    s3_proxy.fail(always="InternalError", of=asks("PUT"))

    with pytest.raises(StoreWriteError, match="Cannot record the run"):
        first.run({"n": 1}, write)
    assert len([path for method, path in s3_proxy.names if asks("PUT")(method, path)]) == 4


def test_a_result_that_cannot_be_removed_there_is_removed_here(first: Store, s3_proxy: Proxy) -> None:
    """Its record is gone; `check` lists the object that is left."""
    path = first.run({"n": 1}, write).result_path
    s3_proxy.fail(always=503, of=lambda method, path: method in ("DELETE", "POST"))

    with pytest.raises(RemoteUnavailableError, match="Cannot remove"):
        first.delete({"n": 1}, remove_file=True)

    assert not path.exists()
    assert first.list() == []
    s3_proxy.begin()
    report = first.check()
    assert (report.orphans, len(report.remote_orphans)) == ([], 1)


KILLED = """
import os, signal, sys
from entropic import Store
store = Store("first/results", index="sqlite:///runs.sqlite3", file_suffix=".txt", remote=sys.argv[1])
store._engine.writer.insert = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
store.run({"n": 1}, lambda params, path: path.write_text("killed"))
"""


def test_a_list_of_several_pages_is_read_to_its_end(bucket: str, first: Store, s3: Server, s3_proxy: Proxy) -> None:
    """An orphan is what a killed run has left there, and what is nobody's."""
    subprocess.run([sys.executable, "-c", KILLED, f"s3://{bucket}/runs"], check=False)
    first.run({"n": 2}, write_two)
    for number in range(5):
        s3.write(f"{bucket}/runs/{number}_x/part", b"")
    last = first.run({"n": 3}, write)
    s3_proxy.most_listed = 2

    report = first.check()

    assert len(report.remote_orphans) == 6
    assert report.remote_missing == []
    s3.remove(f"{bucket}/runs/{last.provenance['remote']['name']}")
    assert [record.params for record in first.check().remote_missing] == [{"n": 3}]


def test_hosts_with_copies_of_one_index_keep_each_their_runs(bucket: str) -> None:
    """They share the bucket: what was recorded before the copy answers both, and nobody removes the other's."""
    first = Store("first/results", "first/runs.json", ".txt", remote=f"s3://{bucket}/runs")
    first.run({"n": 1}, write)
    Path("second").mkdir()
    shutil.copy("first/runs.json", "second/runs.json")
    second = Store("second/results", "second/runs.json", ".txt", remote=f"s3://{bucket}/runs")

    assert second.run_or_retrieve({"n": 1}, never).result_path.read_text() == "result of 1"
    for store in (first, second):
        store.run({"n": 2}, write)
    first.delete({"n": 2}, remove_file=True)

    second.evict()
    assert second.run_or_retrieve({"n": 2}, never).result_path.read_text() == "result of 2"
    assert len(first.check().remote_orphans) == 1


def test_a_list_that_is_late_is_no_reason_for_alarm(first: Store, s3_proxy: Proxy) -> None:
    """What it does not show yet, and what it shows though it is gone, is asked for by itself."""
    first.run({"n": 1}, write_two)
    s3_proxy.is_late = True
    assert first.check(contents=True).is_clean

    first.run({"n": 2}, write_two)
    first.delete({"n": 1}, remove_file=True)

    assert first.check(contents=True).is_clean, first.check(contents=True)


class Full:
    """A file on a full disk."""

    def __init__(self, path: str, mode: str) -> None:
        self._file = Path(path).open(mode)  # noqa: SIM115  # closed when we are

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> int:
        """Write a part of it."""
        self._file.write(content[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def tell(self) -> int:
        """How much was written."""
        return 0


@pytest.mark.parametrize("runner", [write, write_two])
def test_a_disk_that_is_full_here_is_no_store_that_does_not_answer(
    runner: Any, first: Store, second: Store, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said at once; nothing is left half, nothing runs, and the next call has it."""
    first.run({"n": 1}, runner)
    s3_proxy.begin()

    with monkeypatch.context() as patched:
        patched.setattr("s3fs.core.open", Full, raising=False)
        with pytest.raises(StoreWriteError, match="Cannot fetch the result: No space left") as raised:
            second.run_or_retrieve({"n": 1}, never)

    assert raised.value.errno == errno.ENOSPC
    assert len([path for method, path in s3_proxy.names if asks("GET")(method, path) and "/manifests" not in path]) == 1
    assert [path for path in second.results_dir.rglob("*") if ".entropic" not in path.parts] == []
    assert list(second.results_dir.glob(".entropic/staging/*/*")) == []
    assert second.run_or_retrieve({"n": 1}, never).result_path.read_text() == "result of 1"


ODD_NAMES = [
    *("a b", "a+b", "a%20b", "a?b", "a?versionId=3", "a#b", "a*b[c]", "é", "e\u0301", "a\nb", "a\\b", "\x01", "\x7f"),
    *("a%0Ab", "\udcff", "%ED%B3%BF", ".hidden", "a::b", " ", "x" * 200, "%" * 200, "a.", "~", "$HOME", "'\"", "<>&"),
]


@pytest.mark.parametrize("kind", ["s3", "file", "memory"])
def test_names_of_files_may_be_any(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Signs that object stores or their libraries take otherwise, long ways, and names that are no text."""
    place = request.getfixturevalue("bucket") if kind == "s3" else f"{tmp_path}/far"
    first, second = (
        Store(f"{name}/results", index=INDEX, file_suffix=".txt", remote=f"{kind}://{place}/runs")
        for name in ("first", "second")
    )

    def write_odd(params: dict[str, Any], path: Path) -> None:
        path.joinpath(*["long" * 50] * 6).mkdir(parents=True)
        path.joinpath(*["long" * 50] * 6, "way").write_text("way")
        for name in ODD_NAMES:
            path.joinpath(name).write_bytes(os.fsencode(name))
            path.with_name(f"beside {name}").write_bytes(os.fsencode(name))

    first.run({"n": 1}, write_odd)
    found = second.run_or_retrieve({"n": 1}, never).result_path

    assert all(found.joinpath(name).read_bytes() == os.fsencode(name) for name in ODD_NAMES)
    assert all(found.with_name(f"beside {name}").read_bytes() == os.fsencode(name) for name in ODD_NAMES)
    assert found.joinpath(*["long" * 50] * 6, "way").read_text() == "way"
    assert second.check(contents=True).is_clean, second.check(contents=True)
    second.delete({"n": 1}, remove_file=True)
    assert second.check().is_clean, second.check()
