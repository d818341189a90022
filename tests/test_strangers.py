"""What a store, an index or a folder from somebody else may make of us: nothing but answers and errors of our own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic import Store, param
from entropic.hashing import hash_params

PAST = "2026-01-01T00:00:00.000000+00:00"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def row(params: dict[str, Any], path: str, /, **changes: Any) -> dict[str, Any]:
    """One line of an index, as somebody may have written it."""
    made = {"params_hash": hash_params(params), "result_path": path, "created_at": PAST, "metadata": {}, **params}
    return {**made, **changes}


def stranger(*rows: dict[str, Any], place: str = "theirs", results: str = "results") -> Store:
    """A store with these lines, and two results, ``a.txt`` and ``b.txt``."""
    folder = Path(place)
    folder.joinpath("results").mkdir(parents=True, exist_ok=True)
    for name in ("a.txt", "b.txt"):
        folder.joinpath("results", name).write_text("fine")
    head = json.dumps({"_store": {"1": {"format": 1, "results_dir": results}}})[:-1]
    lines = ",\n".join(f'"{number}": {json.dumps(one)}' for number, one in enumerate(rows, 1))
    folder.joinpath("entropic.json").write_text(f'{head}, "_default": {{\n{lines}\n}}}}\n')
    return Store(folder / "results", folder / "entropic.json", ".txt")


def files_below(folder: str) -> set[str]:
    """The names of all that lies in a folder."""
    return {os.path.join(top, name) for top, folders, names in os.walk(folder) for name in (*folders, *names)}


ODD_VALUES: list[Any] = [
    *(None, True, -1, 10**400, 1.5, "", "x", "a\0b", "../../x", "/etc/passwd", "a" * 5000, "\ud800", "\x1b[2J\n"),
    *([], [[]], [1], ["a\0"], [".."], {}, {"a": 1}, {"$datetime": "garbage"}, {"$Decimal": "sNaN"}, {"$map": 7}),
]
ODD_PLACES = [
    *("result_path", "created_at", "params_hash", "metadata", "provenance", "d"),
    *("metadata.elapsed_seconds", "provenance.size_bytes", "provenance.mtime_ns", "provenance.digest"),
    *("provenance.siblings", "provenance.members", "provenance.function", "provenance.version", "provenance.closure"),
    *("provenance.code", "provenance.bytecode", "provenance.replicate", "provenance.inputs", "provenance.place"),
]
OPERATIONS: dict[str, Callable[[Store], object]] = {
    "list": lambda store: repr(store.list()),
    "html": lambda store: store.list()._repr_html_(),
    "csv": lambda store: store.list().to_csv(),
    "page": lambda store: store.to_html(),
    "order": lambda store: store.list(order_by=["d", "created_at", "metadata.elapsed_seconds"]),
    "condition": lambda store: store.list((param("d") < 3) | (param("provenance.size_bytes") > 1)),
    "current": lambda store: store.list(current=True),
    "hit": lambda store: store.retrieve({"n": 1}),
    "ask": lambda store: [store.retrieve({"n": n, "d": 1}) for n in range(2, 500)],
    "explain": lambda store: (str(store.explain({"n": 4, "d": 1})), str(store.explain({"n": 99}))),
    "check": lambda store: str(store.check(contents=True)),
    "plan": lambda store: str(store.plan([{"n": n} for n in range(5)])),
    "prune": lambda store: store.prune(keep_newest=0, max_size_bytes=0, by="value", preview=True),
    "old": lambda store: store.prune(older_than_seconds=1, preview=True),
    "reproduce": lambda store: str(store.reproduce(1.0)),
    "link": lambda store: store.link_view("view", "{params_hash}"),
    "merge": lambda store: Store("ours", "ours.json").merge(store, outside=True),
    "export": lambda store: (store.export("out"), store.export("out.zip")),
    "failures": lambda store: store.failures(),
    "forget": lambda store: store.delete({"n": 1}),
    "remove": lambda store: [removed(store, n) for n in range(2, 500, 20)],
}


def removed(store: Store, number: int) -> bool:
    with contextlib.suppress(ValueError):  # of a result that is not in the folder: nothing is removed then
        return store.delete({"n": number, "d": 1}, remove_file=True)
    return False


def changed(number: int, place: str, value: Any) -> dict[str, Any]:
    """A record in which one field is something else."""
    params = {"n": number, "d": 1}
    made = row(params, "b.txt", metadata={"elapsed_seconds": 1.0}, provenance={"size_bytes": 4})
    outer, _, inner = place.partition(".")
    if inner:
        made[outer][inner] = value
    else:
        made[outer] = value
    return made


def test_odd_fields_disturb_nobody(tmp_path: Path) -> None:
    """Each call works or raises an error of ours, and nothing is removed that is not the store's."""
    failures = []
    tmp_path.joinpath("x").write_text("mine")
    odd = [(place, value) for place in ODD_PLACES for value in ODD_VALUES if is_line(place, value)]
    rows = [changed(number, place, value) for number, (place, value) in enumerate(odd, 2)]
    store = stranger(row({"n": 1}, "a.txt"), *rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, operation in OPERATIONS.items():
            try:
                operation(store)
            except entropic.errors.EntropicError:
                pass
            except Exception as error:
                failures.append(f"{name}: {type(error).__name__}: {error!s:.80}")
    assert failures == []
    assert tmp_path.joinpath("x").read_text() == "mine"


def is_line(place: str, value: Any) -> bool:
    """Whether a line with this value in this place is a record at all; one that is none is the damage of an index."""
    if place in ("metadata", "provenance"):
        return isinstance(value, dict)
    return isinstance(value, str) or place not in ("result_path", "created_at", "params_hash")


ODD_HEADS: list[Any] = [None, -1, 10**400, "", "a\0b", "../x", "a" * 5000, "\ud800", [], {}, {"1": 7}]
RECORD = '"params_hash": "a", "result_path": "b", "created_at": "c"'
ODD_LINES = {
    "nested deeply": f'"9": {{{RECORD}, "x": {"[" * 9999}{"]" * 9999}}}',
    "names twice": f'"9": {{"params_hash": "b", {RECORD}}}',
    "no mapping": '"9": [1]',
    "no number": f'"x": {{{RECORD}}}',
    "a number twice": f'"1": {{{RECORD}}}',
    "a large number": f'"{"9" * 5000}": {{{RECORD}}}',
    "a large value": f'"9": {{{RECORD}, "n": {"9" * 9999}}}',
    "infinity": f'"9": {{{RECORD}, "n": 1e999}}',
    "no text": f'"9": {{{RECORD}, "n": "\udcff"}}',
}


def odd_indexes() -> Iterator[tuple[str, str]]:
    """What an index may be, one part of it being something else; with a name for each."""
    good = json.dumps(row({"n": 1}, "a.txt"))
    runs = f'"_default": {{\n"1": {good}\n}}}}\n'
    for value in ODD_HEADS:
        heads: list[Any] = [{"_store": value}, {"_store": {"1": value}}, {"_store": {"1": {"format": 1}}, "x": value}]
        for place in ("format", "results_dir", "folder_id"):
            heads.append({"_store": {"1": {"format": 1, "results_dir": "results", place: value}}})
        for head in heads:
            yield f"head {head!r:.60}", f"{json.dumps(head)[:-1]}, {runs}"
    for name, text in ODD_LINES.items():
        yield name, f'{{"_store": {{"1": {{"format": 1}}}}, "_default": {{\n"1": {good},\n{text}\n}}}}\n'


def test_an_odd_index_is_read_or_refused_in_words() -> None:
    """Its head, or a line of it, may be anything: each call works or raises an error of ours."""
    failures = []
    for name, text in odd_indexes():
        store = stranger()
        Path("theirs/entropic.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        shutil.rmtree("out", ignore_errors=True)
        for call, operation in OPERATIONS_ON_INDEXES.items():
            try:
                operation(store)
            except entropic.errors.EntropicError:
                pass
            except Exception as error:
                failures.append(f"{call} with {name}: {type(error).__name__}: {error!s:.80}")
    assert failures == []


OPERATIONS_ON_INDEXES: dict[str, Callable[[Store], object]] = {
    "list": lambda store: store.list(),
    "run": lambda store: store.run_or_retrieve({"n": 2}, lambda params, path: path.write_text("x")),
    "check": lambda store: store.check(repair=True),
    "merge": lambda store: Store("ours", "ours.json").merge(store),
    "export": lambda store: store.export("out"),
}


EVIL = "\x1b]0;pwned\x07\x1b[2J\r\u202egnp.exe<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
IN_WORDS: dict[str, Callable[[Store], object]] = {
    "list": lambda store: repr(store.list()),
    "record": lambda store: [repr(record) for record in store.list()],
    "checked": lambda store: str(store.check(contents=True)),
    "check": lambda store: repr(store.check(contents=True)),
    "explained": lambda store: (str(store.explain({"n": 5})), repr(store.explain({"n": 5}))),
    "reproduced": lambda store: str(store.reproduce(1.0)),
    "merged": lambda store: [str(one) for one in Store("ours", "ours.json").merge(store).refused],
    "exported": lambda store: [str(one) for one in store.export("out", preview=True).refused],
    "plan": lambda store: repr(store.plan([{"n": n} for n in range(9)])),
    "asked": lambda store: [store.retrieve({f"p{EVIL}": EVIL, "n": n}) for n in (1, 2)],
    "slips": lambda store: store.list({f"p{EVIL}": 1}, order_by=f"no{EVIL}"),
    "removed": lambda store: store.delete(store.list()[-1], remove_file=True),
}
IN_HTML: dict[str, Callable[[Store], str]] = {
    "list": lambda store: store.list()._repr_html_(),
    "record": lambda store: "".join(record._repr_html_() for record in store.list()),
    "explained": lambda store: store.explain({"n": 5})._repr_html_(),
    "plan": lambda store: store.plan([{"n": 5}])._repr_html_(),
    "page": lambda store: store.to_html(title=EVIL) or "",
}


def evil_store() -> Store:
    """A store in which every text tries to be more than a text."""
    odd = {
        "metadata": {"elapsed_seconds": 1.0, f"m{EVIL}": EVIL},
        "provenance": {
            "function": f"f{EVIL}",
            "version": EVIL,
            "siblings": [f"s{EVIL}".replace("/", "")],
            "code": EVIL,
        },
        "created_at": EVIL,
    }
    name = f"a{EVIL}.txt".replace("/", "")
    point = {f"p{EVIL}": EVIL, "nested": {EVIL: [EVIL]}, "n": 1}
    store = stranger(
        row(point, name, **odd),
        row({**point, "n": 2}, name, params_hash=hash_params({f"p{EVIL}": EVIL, "n": 2}), provenance={"size_bytes": 5}),
        row({**point, "n": 3}, f"../{name}", params_hash=f"{EVIL}"),
    )
    store.results_dir.joinpath(name).write_text(EVIL)
    return store


@pytest.mark.parametrize("name", IN_WORDS)
def test_no_text_reaches_a_terminal_as_more_than_a_text(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in what is printed, raised, warned of or logged."""
    store = evil_store()
    caplog.set_level("DEBUG")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            told = IN_WORDS[name](store)
        except (entropic.errors.EntropicError, ValueError) as error:
            told = str(error)
    said = [*(told if isinstance(told, list | tuple) else [told]), *(str(one.message) for one in warned), caplog.text]
    for text in said:
        if isinstance(text, str):
            assert not [sign for sign in text if not sign.isprintable() and sign != "\n"]


@pytest.mark.parametrize("name", IN_HTML)
def test_no_text_is_code_in_a_page_or_notebook(name: str) -> None:
    """In no place of a table, nor in the data of a page."""
    if name == "page":
        pytest.importorskip("plotly")
    text = IN_HTML[name](evil_store())

    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_nothing_is_imported_because_a_record_names_it(tmp_path: Path) -> None:
    """Neither what lies among the results nor anything else; what the user names is."""
    name = "provenance_payload"
    tmp_path.joinpath(f"{name}.py").write_text("import pathlib; pathlib.Path('RAN').touch()")
    stranger(row({"n": 1}, "a.txt", provenance={"function": f"{name}.f"}))
    code = "import sys, entropic; print(entropic.Store('theirs/results', 'theirs/entropic.json').reproduce(1.0{}))"

    def said(trust: str) -> str:
        done = subprocess.run([sys.executable, "-c", code.format(trust)], capture_output=True, text=True, check=True)
        return done.stdout

    assert f"trust=['{name}']" in said("")
    assert f"trust=['{name}']" in said(", trust=['provenance', 'x']")
    assert not Path("RAN").exists()
    assert "nor found by importing it" in said(f", trust='{name}'")
    assert Path("RAN").exists()


GIT_CONFIGURATIONS = {
    "filter": '[filter "evil"]\n clean = {program}\n',
    "process": '[filter "evil"]\n process = {program}\n required = true\n',
    "included": "[include]\n path = {place}/more\n",
    "monitor": "[core]\n fsmonitor = {program}\n",
    "hooks and pager": "[core]\n hooksPath = {place}\n pager = {program}\n[diff]\n external = {program}\n",
    "fetching": '[extensions]\n partialClone = o\n[remote "o"]\n url = ext::{program}\n',
}


def test_git_runs_no_program_of_a_received_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its configuration says; and what the user's own configuration says still holds."""
    from entropic._code._repository import repository_state

    monkeypatch.setenv("HOME", str(tmp_path))
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/RAN\ncat\n")
    program.chmod(0o755)
    received = tmp_path / "received"
    received.mkdir()
    git = ["git", "-C", str(received), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    received.joinpath("data.csv").write_text("1")
    received.joinpath(".gitattributes").write_text("*.csv filter=evil\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    received.joinpath("data.csv").write_text("2")
    received.joinpath("more").write_text(GIT_CONFIGURATIONS["filter"].format(program=program))
    config = received / ".git" / "config"
    plain = config.read_text()

    for text in GIT_CONFIGURATIONS.values():
        config.write_text(plain + text.format(program=program, place=received))
        repository_state.cache_clear()
        assert repository_state(str(received))["dirty"] is True
        assert not Path("RAN").exists(), text

    tmp_path.joinpath(".gitconfig").write_text(GIT_CONFIGURATIONS["filter"].format(program=program))
    repository_state.cache_clear()
    assert repository_state(str(received))["dirty"] is True
    assert Path("RAN").exists()


def test_what_lies_in_our_place_is_not_waited_for(tmp_path: Path) -> None:
    """Pipes, folders and links where our own files would be: nothing hangs, and nothing is followed."""
    tmp_path.joinpath("secret").write_text("mine")
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink(tmp_path / "secret", path)):
        for name in ("id", "journal/runs-v1.jsonl", f"locks/{hash_params({'n': 5})}.lock", "code/abc.json"):
            store = stranger(row({"n": 1}, "a.txt"), place=f"theirs-{make.__class__}-{id(make)}-{name[:2]}")
            path = store.results_dir / ".entropic" / name
            path.parent.mkdir(parents=True)
            make(path)
            for operation in (
                OPERATIONS["check"],
                lambda one: one.run_or_retrieve({"n": 5}, lambda p, q: q.write_text("x")),
            ):
                try:
                    operation(store)
                except OSError:
                    pass  # in words, of what is in the way
    assert tmp_path.joinpath("secret").read_text() == "mine"


def test_accepting_changes_writes_only_what_is_ours() -> None:
    """The fingerprint of a record becomes part of the name of a file."""
    store = Store("results", "runs.json", ".txt")

    @entropic.cached(store, name="f", on_change="ignore")
    def f(n, *, result_path):
        result_path.write_text("x")

    digest = f(1).provenance.get("code") or "0" * 16
    before = files_below(".")
    for text in ("../../../outside", "/tmp/outside", "a.b", "a" * 100):
        store._engine.codebook.accept([text], digest)
        assert store._engine.codebook.known(text) is None
    assert {name for name in files_below(".") - before if "accepted" not in name} == set()
    assert not os.path.exists("/tmp/outside")


OWN_PLACES = ("", "locks", "sessions", "staging", "failed", "journal", "code", "code/accepted", "checkpoints-v1")


@pytest.mark.parametrize("place", OWN_PLACES)
def test_no_link_in_our_place_is_followed_to_fill_or_clean_a_folder(place: str, tmp_path: Path) -> None:
    """Who runs something in a received store, or mends or prunes it, loses nothing and is told of the link."""
    home = tmp_path / "home"
    store = stranger(row({"n": 1}, "a.txt"))
    target = store.results_dir / ".entropic" / place
    for name in (
        "thesis",
        "a.draft",
        "a.lock",
        "0" * 16,
        "runs-v1.jsonl",
        "sessions/letter",
        "locks/a.lock",
        "p.1.x/y",
    ):
        home.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        home.joinpath(name).write_text("mine")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(home)
    if place == "staging":  # with the session of a dead process, to which a folder there seems to belong
        store.results_dir.joinpath(".entropic", "sessions").mkdir()
        store.results_dir.joinpath(".entropic", "sessions", "p").touch()

    with pytest.raises(entropic.errors.StoreWriteError, match="it is a link"):
        store.run({"n": 2}, lambda params, path: path.write_text("x"))
    with contextlib.suppress(entropic.errors.StoreWriteError):
        store.check(repair=True)
    store.prune(failed=True)
    store.delete({"n": 1})

    assert all(path.read_text() == "mine" for path in home.rglob("*") if path.is_file())
    assert len(files_below("home")) == 11
