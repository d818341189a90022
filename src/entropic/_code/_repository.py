"""
What git says of the repository that code is in, without running anything that the repository itself names.

A folder with code may have been received from somebody, with a ``.git`` in it. Its configuration may name programs:
filters, hooks, a monitor, a way to fetch what is missing. None of them is run.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .._fs import LateModule, read_own_file

if TYPE_CHECKING:
    import subprocess
else:  # loaded by those whose code is in a repository
    subprocess = LateModule("subprocess")

_PATIENCE_SECONDS = 2.0
_NOTHING_SET = 1  # what `git config` ends with if nothing matches
_NO_FILTER = {"clean": "", "process": "", "required": "false"}
_OF_THE_USER = ("system", "global")
_STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules")
# Of the environment nothing of git's is handed on: as in one of its hooks, it may name another repository.
_ENVIRONMENT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
_OPTIONS = ("--no-optional-locks", "--no-pager", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")


@functools.lru_cache(maxsize=256)
def repository_state(folder: str, code: str = "") -> dict[str, Any]:
    """
    The commit of the repository a folder is in, and whether its files differ from it; nothing if there is none.

    Args:
        folder: The folder.
        code: What stands for the code that is about to run: asked anew where that has changed.
    """
    above = repository_of(folder)
    if above is None:
        return {}
    try:
        lines = _answer(above, *_without_its_filters(above), *_STATUS).decode("utf-8", "replace").splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    commits = [line.rpartition(" ")[2] for line in lines if line.startswith("# branch.oid ")]
    if not commits or commits[0].startswith("("):
        return {}
    return {"commit": commits[0][:12], "dirty": any(not line.startswith("#") for line in lines)}


def repository_of(folder: str) -> str | None:
    """The folder of the repository that a folder is in; None if it is in none."""
    above = folder
    while not os.path.exists(os.path.join(above, ".git")):
        above, below = os.path.dirname(above), above
        if above == below:
            return None
    return above


def tracked_among(repository: str, names: Iterable[str]) -> set[str]:
    """
    Those of some files that git knows, by their names in the repository.

    Raises:
        OSError: There is no git.
        SubprocessError: It fails, or takes too long.
    """
    answer = _answer(repository, "--literal-pathspecs", "ls-files", "-z", "--", *names)
    return set(answer.decode("utf-8", "surrogateescape").split("\0"))


def read_limited(repository: str, most_bytes: int, *words: str) -> bytes | None:
    """
    What git answers, unless that is too much.

    Raises:
        OSError: There is no git.
        SubprocessError: It fails, or takes too long.
        ValueError: The repository names a filter that no option can switch off.
    """
    command = _command(repository, *_without_its_filters(repository), *words)
    asked = subprocess.Popen(
        command, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    timer = threading.Timer(_PATIENCE_SECONDS, asked.kill)
    timer.start()
    try:
        assert asked.stdout is not None
        with asked.stdout as answer:
            content = answer.read(most_bytes + 1)
        if len(content) > most_bytes:
            return None
        if asked.wait():
            raise subprocess.CalledProcessError(asked.returncode, "git")
        return content
    finally:
        timer.cancel()
        asked.kill()
        asked.wait()


def _without_its_filters(repository: str) -> list[str]:
    """Options by which the filters that a repository names are those that the user has elsewhere, or none."""
    if not _may_name_filters(repository):
        return []
    asked = ("config", "--null", "--show-scope", "--get-regexp", r"^filter\.")
    answer = _answer(repository, *asked, or_ends_with=_NOTHING_SET)
    own: dict[str, str] = {}
    named: dict[str, str] = {}
    for scope, name, value in _settings(answer.decode("utf-8", "surrogateescape")):
        (own if scope in _OF_THE_USER else named)[name] = value
    if any("=" in name for name in named):
        raise ValueError("it has a filter that no option can switch off")
    drivers = {name.rpartition(".")[0] for name in named}
    wanted = {f"{driver}.{key}": value for driver in drivers for key, value in _NO_FILTER.items()}
    return [part for name, value in wanted.items() for part in ("-c", f"{name}={own.get(name, value)}")]


def _may_name_filters(repository: str) -> bool:
    """Whether its configuration has to be asked, which takes a process; false of nearly every repository."""
    try:
        text = read_own_file(os.path.join(repository, ".git", "config")).lower()
    except OSError:
        return True  # a work tree, whose configuration is elsewhere
    return any(word in text for word in (b"filter", b"include", b"worktreeconfig"))


def _settings(answer: str) -> Iterator[tuple[str, str, str]]:
    fields = answer.split("\0")[:-1]
    for scope, setting in zip(fields[::2], fields[1::2], strict=True):
        name, _, value = setting.partition("\n")
        yield scope, name, value


def _answer(repository: str, *words: str, or_ends_with: int = 0) -> bytes:
    """
    What git answers.

    Raises:
        OSError: There is no git.
        SubprocessError: It fails, or takes too long.
    """
    done = subprocess.run(
        _command(repository, *words),
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode not in (0, or_ends_with):
        raise subprocess.CalledProcessError(done.returncode, "git")
    return done.stdout


def _command(repository: str, *words: str) -> list[str]:
    return ["git", *_OPTIONS, "-C", repository, *words]


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**environment, **_ENVIRONMENT}
