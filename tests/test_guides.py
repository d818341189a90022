"""The guides are at hand wherever the library is: in Python, in a notebook and in a terminal."""

from __future__ import annotations

import pty
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import entropic
from entropic import errors
from entropic._cli import main as start
from entropic._cli._reflow import reflow
from entropic._results import _layout

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "src" / "entropic" / "docs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    """What ``entropic docs`` with some words exits with and prints."""
    monkeypatch.setattr(sys, "argv", ["entropic", "docs", *words])
    status = start()
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_is_shown_as_it_is_written(name: str) -> None:
    """In Python as text, at a prompt as its own repr, and in a notebook as Markdown."""
    guide = entropic.docs(name)

    assert guide == FOLDER.joinpath(f"{name}.md").read_text()
    assert repr(guide) == guide._repr_markdown_() == str(guide)


def test_without_a_topic_all_guides_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each on one line, with what it is about, a whole sentence; a newcomer finds the first two on top."""
    names = ["tutorial", "how-to", *(name for name in NAMES if name not in ("tutorial", "how-to"))]
    in_python = entropic.docs().splitlines()
    status, printed, _ = shown(capsys, monkeypatch)

    assert [line.split("`")[1] for line in in_python] == names
    assert status == 0
    assert [line.split()[0] for line in printed.splitlines()] == names
    assert [line for line in printed.splitlines() if not line.endswith(".") or len(line) > 120] == []


@pytest.mark.parametrize("topic", ["code-changes", "code changes", "Code_Changes", "code-changes.md"])
def test_a_name_may_be_written_in_several_ways(topic: str) -> None:
    """Blanks, underscores, capitals and the ending of the file make no difference."""
    assert entropic.docs(topic).startswith("# When code changes")


def test_a_section_is_found_by_its_heading() -> None:
    """It ends where the next one begins, and a comment in its code is no heading."""
    section = entropic.docs("dask")

    assert section.startswith("## dask\n")
    assert "# on the login node" in section
    assert "SLURMCluster" in section
    assert section.count("\n## ") == 0


def test_a_name_that_is_not_there_proposes_a_near_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Python as an error, and on the command line as one line with the exit status of wrong usage."""
    with pytest.raises(
        ValueError, match=r"Did you mean 'queries'.*tutorial, how-to, chains, checkpoints, clusters, code-changes"
    ):
        entropic.docs("querys")
    with pytest.raises(ValueError, match="Did you mean 'On a cluster'"):
        entropic.docs("on the cluster")
    with pytest.raises(ValueError, match=r"of that name\. The guides: ") as far:
        entropic.docs("xyzzy")
    status, printed, told = shown(capsys, monkeypatch, "querys")

    assert "Did you mean" not in str(far.value)
    assert (status, printed) == (2, "")
    assert "Did you mean 'queries'?" in told


@pytest.mark.parametrize(
    ("question", "section"),
    [
        ("resume", "'Which guide has the answer' in how-to"),
        ("which runs were made from this mesh", "'Which guide has the answer' in how-to"),
        ("squeue", "'submitit' in clusters"),
        ("MEMORY", "'Failures are rows' in supervised"),
    ],
)
def test_any_words_name_the_sections_that_mention_them(question: str, section: str) -> None:
    """Those with most of the words, so a question in plain words finds its guide."""
    with pytest.raises(ValueError, match=r"Sections that mention it: .*\. The guides: ") as raised:
        entropic.docs(question)

    assert section in str(raised.value)


def test_the_how_to_has_a_line_for_each_guide_on_a_task() -> None:
    """Its table leads to every guide but those that are looked up by name."""
    text = str(entropic.docs("which guide has the answer"))
    looked_up = {"command-line", "contributing", "errors", "files", "how-to", "indexes", "performance", "types"}

    assert set(NAMES) - looked_up - {name for name in NAMES if f"({name}.md)" in text} == set()


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide, nothing else, and no pager."""
    monkeypatch.setenv("PAGER", "false")

    assert shown(capsys, monkeypatch, "code", "changes") == (0, entropic.docs("code-changes") + "\n", "")


def test_a_terminal_gets_a_pager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that PAGER names is given the guide, as wide as the terminal."""
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {tmp_path}/paged\n")
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    leader, follower = pty.openpty()
    with open(leader, "rb"), open(follower, "rb") as terminal:
        command = [sys.executable, "-m", "entropic", "docs", "keys"]
        done = subprocess.run(command, stdin=terminal, stdout=follower, stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert tmp_path.joinpath("paged").read_text().strip() == reflow(entropic.docs("keys"), 80).strip()


CODE = re.compile(r"```.*?```", re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_guide_fits_the_terminal(name: str, columns: int) -> None:
    """No line is wider, no word is lost, none is parted, and code stays as it is."""
    guide = entropic.docs(name)
    shown = reflow(guide, columns)
    prose = CODE.sub("", shown)
    words = [re.sub(r"[|\\]|^-+$", " ", CODE.sub("", text)).split() for text in (guide, shown)]

    assert [line for line in prose.splitlines() if len(line) > columns and " " in line.strip()] == []
    assert CODE.findall(shown) == CODE.findall(guide)
    assert [word for word in words[0] if set(word) != {"-"}] == [word for word in words[1] if set(word) != {"-"}]


@pytest.mark.skipif(find_spec("hatchling") is None, reason="without it a wheel cannot be built here")
def test_the_wheel_has_the_guides(tmp_path: Path) -> None:
    """All of them; and they are read from a package that is in a zip file too."""
    builder = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", builder, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wheel = tmp_path / built.stdout.split()[-1]
    reader = "import sys; sys.path.insert(0, sys.argv[1]); import entropic; print(entropic.__file__, entropic.docs())"
    read = subprocess.run([sys.executable, "-c", reader, str(wheel)], capture_output=True, text=True, check=True)

    found = {Path(name).stem for name in zipfile.ZipFile(wheel).namelist() if name.startswith("entropic/docs/")}
    assert found == set(NAMES)
    assert read.stdout.startswith(str(wheel))
    assert all(f"`{name}`" in read.stdout for name in NAMES)


# ---- errors ---------------------------------------------------------------------------------------------------------

CLASSES = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)} - {"Failure"}
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", entropic.docs("errors"), re.MULTILINE | re.DOTALL))


def test_every_error_and_warning_has_its_section() -> None:
    """And no section is about a class that is not there; each is shown by the name of its class."""
    assert set(SECTIONS) == CLASSES
    assert all(entropic.docs(name).startswith(f"### {name}\n") for name in CLASSES)


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_an_error_has_a_cause_and_a_cure(name: str) -> None:
    """In that order, and short enough to be read beside a traceback."""
    section = SECTIONS[name]

    assert re.fullmatch(r"\s*\*\*Cause\.\*\* .+\*\*Cure\.\*\* .+", section, re.DOTALL)
    assert len(section.split()) <= 110


def test_what_a_message_refers_to_is_there() -> None:
    """Wherever a message, a docstring or a guide names a page, ``entropic docs`` has it."""
    sources = [*FOLDER.parent.rglob("*.py"), *FOLDER.glob("*.md"), ROOT / "README.md"]
    named = {name for path in sources for name in re.findall(r"entropic docs ([A-Za-z][\w-]+\w)", path.read_text())}

    assert "IndexCorruptError" in named
    assert [name for name in named - {"TOPIC", "NAME"} if not entropic.docs(name)] == []


def test_the_files_of_a_store_are_drawn_as_they_are() -> None:
    """The users' drawing has every name that lies in the private folder, and no other."""
    names = re.findall(r"^        [├└]── (\S+)", _layout.__doc__ or "", re.MULTILINE)
    private = {name.partition("/")[0] for name in names}
    drawn = {name.rstrip("/") for name in re.findall(r"^    [├└]── (\S+)", entropic.docs("files"), re.MULTILINE)}

    assert "journal" in private
    assert drawn == private
