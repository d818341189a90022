"""What a type checker says of a user's code: it accepts what works, and every slip is an error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

USES = Path(__file__).with_name("typing")
SLIP = re.compile(r"# type: ignore\[([\w-]+)\]")


def slips(path: Path) -> list[int]:
    """The lines in which a file does something wrong."""
    return [number for number, line in enumerate(path.read_text().splitlines(), 1) if SLIP.search(line)]


def test_mypy_checks_the_readmes_style_by_the_plugin(tmp_path: Path) -> None:
    """In a project of a user's, which names the plugin and nothing else."""
    api = pytest.importorskip("mypy.api")
    script = tmp_path / "study.py"
    script.write_text(SLIP.sub("", USES.joinpath("readme.py").read_text()))
    tmp_path.joinpath("mypy.ini").write_text("[mypy]\nstrict = true\nplugins = entropic.mypy_plugin\n")

    told, errors, _ = api.run(["--config-file", str(tmp_path / "mypy.ini"), "--no-error-summary", str(script)])

    assert errors == ""
    found = {int(line.split(":")[1]) for line in told.splitlines() if " error: " in line}
    assert sorted(found) == slips(USES / "readme.py")


def pyright(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pyright as this Python has it; what it prints as it fetches its own parts is kept out."""
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "PYRIGHT_PYTHON_FORCE_VERSION": ""}
    command = [sys.executable, "-m", "pyright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)


def test_pyright_checks_the_forms_that_are_shown_first(tmp_path: Path) -> None:
    """A function that returns its result, and one whose first parameter is the path."""
    pytest.importorskip("pyright")
    if pyright("--version").returncode:
        pytest.skip("pyright cannot be started: it needs Node, and its own package from npm")
    script, settings = tmp_path / "study.py", tmp_path / "pyrightconfig.json"
    script.write_text(SLIP.sub("", USES.joinpath("editors.py").read_text()))
    settings.write_text(json.dumps({"typeCheckingMode": "standard", "include": [str(script)]}))

    done = pyright("--outputjson", "--project", str(settings), "--pythonpath", sys.executable)

    told: list[dict[str, Any]] = json.loads(done.stdout)["generalDiagnostics"]
    errors = [one for one in told if one["severity"] == "error" and one["rule"] != "reportReturnType"]
    assert sorted({one["range"]["start"]["line"] + 1 for one in errors}) == slips(USES / "editors.py")
