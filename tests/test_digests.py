"""Digests of files and folders: what counts, what does not, and what earlier releases have recorded."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic import Store, command
from entropic._fs import content_digest, files_below, is_as_recorded, measure
from entropic._fs._digests import is_left_behind

# A folder as nested mappings: of a file its content, of a folder its entries, of a link where it leads to.
Tree = dict[str, Any]


def make(tree: Tree, folder: Path) -> Path:
    """Make a folder of what a tree says."""
    folder.mkdir()
    for name, what in tree.items():
        if isinstance(what, dict):
            make(what, folder / name)
        elif isinstance(what, Path):
            folder.joinpath(name).symlink_to(what)
        else:
            folder.joinpath(name).write_bytes(what)
    return folder


def digest(folder: Path) -> str | None:
    """The digest of a folder, which reading it anew and reading it with a memory give alike."""
    size_bytes, found = measure(str(folder), None)
    assert content_digest(str(folder)) == found
    assert measure(str(folder), -1) == (size_bytes, None)
    return found


names = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=3)
names = names.filter(lambda name: name not in (".", "..") and not is_left_behind(name))
files = st.sampled_from([b"", b"x", b"y", hashlib.sha256(b"x").hexdigest().encode()])
trees = st.recursive(files, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6)


@given(st.dictionaries(names, trees, max_size=4), st.dictionaries(names, trees, max_size=4))
def test_equal_trees_and_no_others_have_one_digest(
    tmp_path_factory: pytest.TempPathFactory, one: Tree, other: Tree
) -> None:
    """Names and contents of everything below count: empty folders too, and which is which."""
    place = tmp_path_factory.mktemp("trees")

    first, second = digest(make(one, place / "one")), digest(make(other, place / "other"))

    assert (first == second) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": b"1", "y": b"2"}, {"x\n" + hashlib.sha256(b"2").hexdigest() + " y": b"1"}),
        ({"a": {"b": b""}}, {"a": {}, "b": b""}),
        ({"a": b"b"}, {"ab": b""}),
        ({"a": {}}, {"a": b""}),
        ({"a": {}}, {}),
        ({"a": Path("gone")}, {"a": Path("lost")}),
        ({"a": Path("gone")}, {"a": b"gone"}),
        ({"a": {"b": Path("..")}}, {"a": {"b": Path("../..")}}),
    ],
)
def test_other_trees_have_other_digests(tmp_path: Path, one: Tree, other: Tree) -> None:
    """Trees that are told apart only by where one name ends and the next begins, or by kind."""
    assert digest(make(one, tmp_path / "one")) != digest(make(other, tmp_path / "other"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """No file has the digest of a folder: another function makes it."""
    folder = make({"a": b"x"}, tmp_path / "folder")

    assert str(digest(folder)).startswith("tree2:")
    assert measure(str(folder / "a"), None) == (1, "sha256:" + hashlib.sha256(b"x").hexdigest())


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    """A folder with links, and its copy without, have one digest and one size."""
    make({"points": b"1 2 3", "more": {"faces": b"4"}}, tmp_path / "mesh")
    linked = make({"mesh": tmp_path / "mesh", "again": Path("mesh"), "file": Path("mesh/points")}, tmp_path / "linked")
    copied = tmp_path / "copied"
    subprocess.run(["cp", "-rL", str(linked), str(copied)], check=True)

    assert digest(linked) == digest(copied)
    assert measure(str(linked), -1) == (6 + 6 + 5, None)
    assert sorted(files_below(str(linked))) == sorted(files_below(str(copied)))


def test_circles_of_links_end(tmp_path: Path) -> None:
    """A link to a folder it lies in, two folders that lead to one another, a link to itself."""
    tree = {"a": {"up": Path(".."), "over": Path("../b")}, "b": {"over": Path("../a"), "x": b"1"}, "me": Path("me")}
    one, other = make(tree, tmp_path / "one"), make(tree, tmp_path / "other")

    assert digest(one) == digest(other)
    assert "b/x" in set(files_below(str(one)))
    other.joinpath("b", "x").write_bytes(b"2")
    assert digest(one) != digest(other)


@pytest.mark.parametrize("leads_back", [False, True])
def test_a_maze_of_links_ends_soon(tmp_path: Path, leads_back: bool) -> None:
    """A hundred folders, each linked twice from the one before, have more ways through them than can be gone."""
    for number in range(100):
        links = {name: Path(f"../{(number + 1) % 100}") for name in ("left", "right")}
        last: Tree = {"x": b"1"} if not leads_back else {**links, "x": b"1"}
        make(links if number < 99 else last, tmp_path / str(number))

    assert str(measure(str(tmp_path / "0"), -1)) != ""
    assert str(digest(tmp_path / "0")).startswith("tree2:")


def test_a_deep_folder_is_measured(tmp_path: Path) -> None:
    """Folders may be nested deeper than Python can call."""
    place = tmp_path / "deep"
    place.mkdir()
    here = os.open(place, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    try:
        assert str(digest(place)).startswith("tree2:")
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)  # whoever clears up after the tests calls itself


def test_what_is_neither_file_nor_folder_is_not_read(tmp_path: Path) -> None:
    """A pipe has no end; it counts by its kind."""
    one, other = make({"a": b""}, tmp_path / "one"), make({}, tmp_path / "other")
    os.mkfifo(other / "a")

    assert digest(one) != digest(other)
    assert content_digest(str(other / "a")) is None


# ---- what earlier releases have recorded ----------------------------------------------------------------------------


def test_a_folder_recorded_by_an_earlier_release_is_not_called_changed(store: Store) -> None:
    """Its digest is compared in the form it has, with its size; a change is noticed all the same."""
    elsewhere = make({"points": b"1 2 3"}, Path("elsewhere").absolute())

    def runner(params: Any, path: Path) -> None:
        make({"b": b"22", "a": {"c": b"1"}, "empty": {}, "file": elsewhere / "points", "mesh": elsewhere}, path)

    path = store.run({"n": 1}, runner).result_path
    lines = [(b"1", "a/c"), (b"22", "b"), (b"1 2 3", "file")]  # as they were: linked folders did not count
    text = "".join(f"{hashlib.sha256(content).hexdigest()} {name}\n" for content, name in lines)
    recorded = "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    assert is_as_recorded(str(path), 8, recorded, contents=True)
    assert is_as_recorded(str(path), 8, recorded, contents=False)
    assert is_as_recorded(str(path), 8, None, contents=True)
    assert not is_as_recorded(str(path), 9, recorded, contents=False)
    path.joinpath("b").write_bytes(b"23")
    assert not is_as_recorded(str(path), 8, recorded, contents=True)


def test_a_folder_recorded_today_is_held_to_all_of_it(store: Store) -> None:
    """What lies behind a link in it, and a folder that came to it, are noticed."""
    elsewhere = make({"points": b"1 2 3"}, Path("elsewhere").absolute())
    record = store.run({"n": 1}, lambda params, path: make({"mesh": elsewhere}, path))

    assert record.provenance["size_bytes"] == 5
    assert store.check(contents=True).is_clean
    elsewhere.joinpath("points").write_bytes(b"3 2 1")
    assert store.check(contents=True).changed == [record]
    elsewhere.joinpath("points").write_bytes(b"1 2 3")
    record.result_path.joinpath("new").mkdir()
    assert store.check(contents=True).changed == [record]


# ---- what a program depends on --------------------------------------------------------------------------------------


def test_a_linked_folder_that_a_program_depends_on_counts() -> None:
    """When the link leads to another mesh, or the mesh behind it is edited, the program runs again."""
    for version in (b"v1", b"v2"):
        make({"mesh.txt": version}, Path(version.decode()))
    inputs = make({"mesh": Path("../v1")}, Path("inputs"))
    run = [sys.executable, "-m", "entropic", "run", "--depends", "inputs", "--"]
    run += ["sh", "-c", 'cat inputs/mesh/mesh.txt > "$1"', "sh", "{result_path}"]

    def answer() -> str:
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        return Path(done.stdout.split()[-1]).read_text()

    assert answer() == "v1"
    inputs.joinpath("mesh").unlink()
    inputs.joinpath("mesh").symlink_to("../v2")
    assert answer() == "v2"
    Path("v2", "mesh.txt").write_text("v2, refined")
    assert answer() == "v2, refined"


def test_folders_that_a_program_depends_on_are_told_apart(store: Store) -> None:
    """A file whose name is like the beginning of the next line is not taken for two files."""
    one = make({"x": b"1", "y": b"2"}, Path("one"))
    other = make({"x\n" + hashlib.sha256(b"2").hexdigest() + " y": b"1"}, Path("other"))
    depends = Path("depends")
    solver = command(["sh", "-c", 'set -- "$1" depends/*; echo $# > "$1"', "sh", "{result_path}"], depends=["depends"])
    answers = []
    for folder in (one, other):
        folder.rename(depends)
        answers.append(store.run_or_retrieve({}, solver).result_path.read_text())
        depends.rename(folder)

    assert answers == ["3\n", "2\n"]


@pytest.mark.parametrize("value", [None, "long", True, -1, 10**400, float("inf")], ids=lambda value: f"{value!r:.8}")
def test_a_time_of_the_users_that_is_none(store: Store, value: Any) -> None:
    """Whatever the metadata has for the time of a run, it is recorded, with its digest."""
    record = store.run({"n": 1}, lambda params, path: path.write_text("x"), elapsed_seconds=value)

    assert record.metadata["elapsed_seconds"] == value
    assert record.provenance["digest"] == f"sha256:{hashlib.sha256(b'x').hexdigest()}"


@pytest.mark.parametrize("change", [lambda folder: folder.joinpath("new").mkdir(), lambda folder: None])
def test_an_unread_file_is_not_read_twice(
    store: Store, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a program depends on is read once in a process; an added folder makes another key all the same."""
    folder = make({"a": b"1"}, Path("depends"))
    later = folder.joinpath("a").stat().st_ctime_ns + 10_000_000_000
    monkeypatch.setattr("time.time_ns", lambda: later)
    solver = command(["sh", "-c", 'echo > "$1"', "sh", "{result_path}"], depends=["depends"])
    first = solver.key({}).params_hash
    monkeypatch.setattr("entropic._fs._digests._file_digest", lambda *_: pytest.fail("read again"))
    change(folder)

    assert (solver.key({}).params_hash == first) == (not folder.joinpath("new").exists())
