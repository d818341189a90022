"""A folder of links to results, with names that people can read, kept true when it is made again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from entropic import Store
from entropic._cli import entropic as command
from entropic.errors import LinkNameError


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text(repr(params))


def names(folder: str = "view") -> list[str]:
    return sorted(os.listdir(folder))


def test_links_have_readable_names_and_lead_to_results(store: Store) -> None:
    """Nested names, number formats and dates as texts; the suffix is the result's; links move with the project."""
    for nx in (8, 16):
        store.run({"kappa": 0.5, "config": {"nx": nx}}, write)

    links = store.link_view("view", "{kappa:.2f}_{config.nx:03d}")

    assert names() == sorted(links) == ["0.50_008.txt", "0.50_016.txt"]
    assert Path("view/0.50_016.txt").read_text() == links["0.50_016.txt"].read_text()
    assert not os.path.isabs(os.readlink("view/0.50_016.txt"))
    assert sorted(store.link_view("by_what_varies")) == ["config.nx=16.txt", "config.nx=8.txt"]


def test_a_view_is_kept_true(store: Store) -> None:
    """New runs get links, re-runs theirs anew, what no longer matches loses its link; nothing else is touched."""
    store.run({"n": 1}, write)
    store.run({"n": 2}, write)
    store.link_view("view", "{n}")
    Path("view/notes.md").write_text("mine")
    Path("view/elsewhere").symlink_to("notes.md")
    before = os.readlink("view/1.txt")

    newest = store.run({"n": 1}, write)
    store.run({"n": 3}, write)
    store.delete({"n": 2})
    store.link_view("view", "{n}")

    assert names() == ["1.txt", "3.txt", "elsewhere", "notes.md"]
    assert os.readlink("view/1.txt") != before
    assert Path("view/1.txt").samefile(newest.result_path)


def test_no_link_takes_the_place_of_a_file(store: Store) -> None:
    """Where something else has a name, nothing is changed, and it is said."""
    store.run({"n": 1}, write)
    store.run({"n": 2}, write)
    Path("view").mkdir()
    Path("view/2.txt").write_text("mine")

    with pytest.raises(FileExistsError, match=r"2\.txt"):
        store.link_view("view", "{n}")

    assert names() == ["2.txt"]


def test_equal_names_bear_their_hash(store: Store) -> None:
    """Two runs never share a link."""
    for n in (1, 2):
        store.run({"n": n, "m": 1}, write)

    assert len(store.link_view("view", "{m}")) == 2
    assert all(name.startswith("1_") for name in names())


@pytest.mark.parametrize("value", ["../../x", "a/b", "..", ".", "", "a\0b", "x" * 400, "é" * 200, "\x1b[31m", "\ud800"])
def test_no_value_leads_out_of_the_folder(store: Store, value: str) -> None:
    """Whatever stands in a parameter, a link lies in the folder and has a name that a file can have."""
    try:
        store.run({"t": value}, write)
    except ValueError:
        pytest.skip("it cannot be recorded")

    (name,) = store.link_view("view", "{t}")

    assert names() == [name]
    assert name.isprintable()


@pytest.mark.parametrize("template", ["{kapa}", "{", "{n.__class__}", "{n:%%%}", "{0}"])
def test_a_template_names_what_there_is(store: Store, template: str) -> None:
    """A name that no run has, and what is no template, are errors before anything is made."""
    store.run({"n": 1}, write)

    with pytest.raises(LinkNameError, match="Cannot name links"):
        store.link_view("view", template)

    assert not Path("view").exists()


def test_the_command_makes_links(store: Store) -> None:
    """``entropic link`` takes filters and a template; a moved project keeps its links."""
    for n in (1, 2, 3):
        store.run({"n": n}, write)

    words = ["--index", "runs.json", "link", "view", "n>=2", "--name", "run-{n}"]
    done = CliRunner().invoke(command, words, catch_exceptions=False)

    assert done.output == "2 links in view\n"
    assert names() == ["run-2.txt", "run-3.txt"]
    Path("moved").mkdir()
    for part in ("view", "results"):
        shutil.move(part, f"moved/{part}")
    assert Path("moved/view/run-2.txt").read_text() == "{'n': 2}"
