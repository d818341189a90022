"""What a record names beside its code: the patch of what was not committed, and the environment, each kept once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest

import entropic
from entropic import Store

STUDY = """
import entropic, json, sys
import model

store = entropic.Store("results", "runs.json", file_suffix=".txt")

@entropic.cached(store, on_change="rerun")
def simulate(n, *, result_path):
    result_path.write_text(str(n * model.G))

if __name__ == "__main__":
    print(json.dumps([simulate(int(n)).provenance for n in sys.argv[1:]]))
"""
MODEL = "G = 9.81\n"
PATCHES = Path("results/.entropic/patches-v1")
ENVIRONMENTS = Path("results/.entropic/environments-v1")


def git(*words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def study() -> None:
    """A committed study."""
    Path("study.py").write_text(STUDY)
    Path("model.py").write_text(MODEL)
    Path(".gitignore").write_text("results\nruns.json*\n__pycache__\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")


def play(*numbers: int, **environment: str) -> list[dict[str, Any]]:
    """The provenance of runs of the study, in a process of its own."""
    command = [sys.executable, "study.py", *map(str, numbers)]
    played = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    told: list[dict[str, Any]] = json.loads(played.stdout)
    return told


def patch_text(told: dict[str, Any]) -> str:
    return (PATCHES / f"{told['git']['patch']}.patch").read_text()


# ---- patches --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("study")
def test_a_clean_repository_has_no_patch() -> None:
    """Its commit says it all; files that git does not know and that are not in use make no patch."""
    Path("notes.txt").write_text("unrelated")
    Path("other.py").write_text("unrelated = 1")

    (told,) = play(1)

    command = [sys.executable, "-m", "entropic", "show", "--patch"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    assert sorted(told["git"]) == ["commit", "dirty"]
    assert not PATCHES.exists()


@pytest.mark.usefixtures("study")
def test_the_patch_and_the_commit_give_the_code_that_has_run() -> None:
    """Of tracked files that were changed, and of modules in use that git does not know."""
    Path("model.py").write_text("from constants import G\n")
    Path("constants.py").write_text("G = 1.62")
    Path("unrelated.py").write_text("x = 1\n")

    first, second = play(1, 2)
    again = play(3)[0]

    assert first["git"]["patch"] == second["git"]["patch"] == again["git"]["patch"]
    assert [path.name for path in PATCHES.iterdir()] == [f"{first['git']['patch']}.patch"]
    assert first["git"]["patch"] == hashlib.sha256(patch_text(first).encode()).hexdigest()[:16]
    git("clone", "-q", ".", "elsewhere")
    command = [sys.executable, "-m", "entropic", "show", "--patch", "n=1"]
    shown = subprocess.run(command, capture_output=True, check=True).stdout
    subprocess.run(["git", "-C", "elsewhere", "apply"], input=shown, check=True)
    assert Path("elsewhere/model.py").read_text() == Path("model.py").read_text()
    assert Path("elsewhere/constants.py").read_text() == "G = 1.62"
    assert not Path("elsewhere/unrelated.py").exists()


AWKWARD = {
    "form_feed": b"G = 1\n\x0c\n# a page further\n",
    "crlf": b"G = 1\r\nH = 2\r\n",
    "cr": b"G = 1\rH = 2\r",
    "other_ends": "G = 1  # \x85 \u2028 \u2029 \x1c\n".encode(),
    "latin_1": b"# -*- coding: latin-1 -*-\nG = 1, '\xe9'\n",
    "no_end": b"G = 1",
    "blank_lines": b"\n\nG = 1\n\n",
}


@pytest.mark.usefixtures("study")
def test_a_patch_gives_every_byte() -> None:
    """Whatever ends lines for Python, and however a text is encoded; of files that git knows, and that it does not."""
    for name in AWKWARD:
        Path(f"known_{name}.py").write_text("G = 0\n")
    git("add", ".")
    git("commit", "-qm", "second")
    expected = {f"{kind}_{name}.py": content for kind in ("known", "new") for name, content in AWKWARD.items()}
    for name, content in expected.items():
        Path(name).write_bytes(content)
    Path("model.py").write_text(f"import {', '.join(name[:-3] for name in expected)}\nG = 1\n")

    play(1)

    git("-c", "core.autocrlf=false", "clone", "-q", ".", "elsewhere")
    command = [sys.executable, "-m", "entropic", "show", "--patch", "n=1"]
    shown = subprocess.run(command, capture_output=True, check=True).stdout
    subprocess.run(["git", "-C", "elsewhere", "apply", "--whitespace=nowarn"], input=shown, check=True)
    assert {name: Path("elsewhere", name).read_bytes() for name in expected} == expected


@pytest.mark.usefixtures("study")
def test_an_edit_in_a_long_session_has_a_patch_of_its_own() -> None:
    """Git is asked again once the code of a function is other code, and not before."""
    script = (
        "import importlib, json, sys; from pathlib import Path; sys.argv[1:] = []; import study, model\n"
        "told = []\n"
        "for n, text in enumerate(['G = 1.0\\n', 'G = 2.0\\n', 'G = 2.0\\n']):\n"
        "    Path('model.py').write_text(text); model.G = float(text[4:])\n"
        "    told.append(study.simulate(n).provenance)\n"
        "print(json.dumps(told))"
    )
    played = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second, third = (patch_text(told) for told in json.loads(played.stdout))

    assert "+G = 1.0" in first
    assert "+G = 2.0" in second == third


@pytest.mark.usefixtures("study")
def test_git_is_asked_once_for_many_functions() -> None:
    """And once more when something was committed, or code in use was edited; a commit alone is noticed by new code."""
    script = (
        "import json, subprocess, sys; from pathlib import Path\n"
        "asked = []\n"
        "sys.addaudithook(lambda event, args: event == 'subprocess.Popen' and asked.append(args[1]))\n"
        "sys.argv[1:] = []; import study, model, entropic\n"
        "body = study.simulate.__wrapped__\n"
        "functions = [entropic.cached(study.store, name=f'f{n}', version=n)(body) for n in range(3)]\n"
        "told = []\n"
        "def run(function, n):\n"
        "    before = len(asked); git = function(n).provenance['git']\n"
        "    told.append([len(asked) - before, git['dirty']])\n"
        "run(functions[0], 1); run(functions[0], 2); run(functions[1], 1)\n"
        "model.G = 1.0; run(functions[1], 2)\n"
        "Path('model.py').write_text('G = 2.0\\n'); model.G = 2.0; run(functions[2], 3)\n"
        "print(json.dumps(told))"
    )
    played = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    counts, dirty = zip(*json.loads(played.stdout), strict=True)
    assert [count > 0 for count in counts] == [True, False, False, False, True]
    assert dirty == (False, False, False, False, True)


@pytest.mark.usefixtures("study")
def test_secrets_are_left_out_or_masked() -> None:
    """Files made for secrets, and passwords in URLs; what else is in the code is in the patch."""
    for name in (".env", "deploy.pem", "my_secrets.py", "deep/.env.local"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("before\n")
    git("add", "-f", ".")
    git("commit", "-qm", "second")
    for name in (".env", "deploy.pem", "my_secrets.py", "deep/.env.local"):
        Path(name).write_text("hunter2\n")
    url, odd = "postgresql://me:hunter2@host/runs?password=hunter2&x=1", "redis://:h@unter2/hunter2@host"
    Path("Secret_keys.py").write_text("KEY = 'hunter2'\n")
    Path("model.py").write_text(f"import Secret_keys\nG = 1.0\nURL = '{url}'\nODD = '{odd}', 'x@y'\nOTHER = 'a:b@c'\n")

    text = patch_text(play(1)[0])

    assert "unter2" not in text
    assert "+ODD = 'redis://:***@host', 'x@y'" in text
    assert "+URL = 'postgresql://me:***@host/runs?password=***&x=1'" in text
    assert "+OTHER = 'a:b@c'" in text


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("word", ["0", "no", "off", "False"])
def test_patches_can_be_switched_off(word: str) -> None:
    """By an environment variable; the record still says that there was something."""
    Path("model.py").write_text("G = 1.0\n")

    (told,) = play(1, ENTROPIC_PATCHES=word)

    assert told["git"] == {"commit": told["git"]["commit"], "dirty": True}
    assert not PATCHES.exists()


@pytest.mark.usefixtures("study")
def test_what_is_large_or_no_text_is_left_out() -> None:
    """A patch of more than 1 MiB is not kept, and the record says so; of other files that are no text only the name."""
    Path("data.bin").write_bytes(b"\0" * 100)
    Path("table.csv").write_text("1\n")
    git("add", "-f", ".")
    git("commit", "-qm", "second")
    Path("data.bin").write_bytes(b"\1\0" * 100)
    small = patch_text(play(1)[0])
    Path("table.csv").write_text("2\n" * (1 << 20))

    assert "Binary files" in small
    assert "patch_left_out" not in play(1)[0]["git"]  # a hit
    assert play(2)[0]["git"]["patch_left_out"] == "it is larger than 1 MiB"


@pytest.mark.usefixtures("study")
def test_nothing_is_run_that_the_repository_names() -> None:
    """No filter, no external diff, no text conversion, no monitor of a repository that somebody has handed on."""
    trap = Path("trap.sh")
    trap.write_text('#!/bin/sh\necho "$0 $@" >> "$(dirname "$0")/sprung"\ncat\n')
    trap.chmod(0o755)
    Path(".gitattributes").write_text("*.py filter=trap diff=trap\n")
    settings = {"filter.trap.clean": trap, "diff.trap.command": trap, "diff.trap.textconv": trap, "diff.external": trap}
    for name, path in {**settings, "core.fsmonitor": trap, "core.pager": trap}.items():
        git("config", name, str(path.absolute()))
    Path("model.py").write_text("G = 1.0\n")

    text = patch_text(play(1)[0])

    assert "+G = 1.0" in text
    assert not Path("sprung").exists()


# ---- environments ---------------------------------------------------------------------------------------------------


def test_the_environment_is_kept_once(store: Store) -> None:
    """Python, what is installed and the machine, under one name for all runs that have it in common."""
    names = {store.run({"n": n}, lambda _, path: path.write_text("x")).provenance["environment"] for n in range(3)}

    (path,) = ENVIRONMENTS.iterdir()
    kept = json.loads(path.read_text())
    assert names == {path.stem}
    assert kept["python"] == "{}.{}.{}".format(*sys.version_info[:3])
    assert kept["packages"]["numpy"] == numpy.__version__
    assert kept["packages"]["tinydb"]
    assert not [value for value in map(str, kept.values()) if str(Path.home()) in value]


def test_linear_algebra_and_threads_are_told() -> None:
    """From the end of the run: only then is the library loaded. Variables are words and numbers, and no others."""
    Path("threadpoolctl.py").write_text(
        "def threadpool_info():\n"
        "    return [dict(internal_api='openblas', version='0.3.27', num_threads=4, filepath='/home/me/x.so')]\n"
    )
    Path("study.py").write_text(STUDY.replace("    result_path", "    import numpy\n    result_path"))
    Path("model.py").write_text(MODEL)

    modules = "gcc/13.2:openmpi/4.1.5-cuda"
    threads = {"OMP_NUM_THREADS": "4", "OMP_PLACES": "{0:4}", "MKL_CBWR": "AVX2", "LOADEDMODULES": modules}
    (told,) = play(1, **threads, OMP_SECRET_THREADS="/home/me/secret")
    other = play(2, OMP_NUM_THREADS="8", LOADEDMODULES="/home/me/secret:gcc/13.2")[0]
    kept = json.loads((ENVIRONMENTS / f"{told['environment']}.json").read_text())

    assert kept["linear_algebra"] == ["openblas 0.3.27 4"]
    assert threads.items() <= kept["variables"].items()
    assert "secret" not in str(kept)
    assert "/home" not in str(kept)
    assert other["environment"] != told["environment"]
    assert not any("/home" in path.read_text() for path in ENVIRONMENTS.iterdir())


def test_a_store_without_circumstances_keeps_neither(tmp_path: Path) -> None:
    """They belong to the circumstances of a run."""
    store = Store("results", "runs.json", provenance=False)

    told = store.run({"n": 1}, lambda _, path: path.write_text("x")).provenance

    assert "environment" not in told
    assert not ENVIRONMENTS.exists()


# ---- handed on ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("study")
def test_what_records_name_goes_along_with_them() -> None:
    """Into an export, a zip file, a merged store, and one that falls back on another; nothing else does."""
    Path("model.py").write_text("G = 1.0\n")
    first = play(1)[0]
    Path("model.py").write_text("G = 2.0\n")
    play(2)
    store = Store("results", "runs.json")
    store.export("folder", {"n": 1})
    store.export("runs.zip", {"n": 1})
    Store("merged", "merged.json").merge(store, {"n": 1})

    wanted = {f"patches-v1/{first['git']['patch']}.patch", f"environments-v1/{first['environment']}.json"}
    for folder in ("folder/results", "merged"):
        found = Path(folder, ".entropic").glob("*-v1/*.*")
        assert {f"{one.parent.name}/{one.name}" for one in found if one.suffix in (".patch", ".json")} == wanted
    names = zipfile.ZipFile("runs.zip").namelist()
    assert {name for name in names if name.endswith(".patch") or "environments" in name} == {
        f"results/.entropic/{one}" for one in wanted
    }


@pytest.mark.parametrize("told", [{"git": {"patch": "../../x"}}, {"git": []}, {"git": {"patch": 1}, "environment": []}])
def test_what_a_stranger_names_leads_nowhere(store: Store, told: dict[str, Any]) -> None:
    """A name that is none of ours is passed over."""
    record = store.run({"n": 1}, lambda _, path: path.write_text("x"))
    record.provenance.update(told)
    store.delete(record)
    store.index.insert(record)

    assert len(Store("merged", "merged.json").merge(store).taken) == 1
    assert entropic.Store("merged", "merged.json").count() == 1


@pytest.mark.usefixtures("study")
def test_what_is_not_what_its_name_says_is_not_known() -> None:
    """A patch, or an environment, that somebody has changed: it is neither shown nor taken over."""
    Path("model.py").write_text("G = 1.0\n")
    told = play(1)[0]
    (patch,), (kept,) = PATCHES.iterdir(), ENVIRONMENTS.iterdir()
    patch.write_text(patch_text(told).replace("+G = 1.0", "+G = 2.0"))
    kept.write_text(kept.read_text().replace('"python"', '"Python"'))

    Store("merged", "merged.json").merge(Store("results", "runs.json"))

    command = [sys.executable, "-m", "entropic", "--index", "runs.json", "show", "--patch", "n=1"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    assert not list(Path("merged").rglob("*.patch"))
    assert not list(Path("merged").rglob("environments-v1/*"))
