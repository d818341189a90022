"""
What is noted of many runs at once, in small files beside their results: patches and environments, named by content.

A record names them by their digests. None is needed to answer a call, and none ever changes, so that processes share
them without a lock.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _fs, _log
from .._fs import LateModule, make_shared_folder, own_entries, process_id, read_own_file, remember, status_of
from .._results import Layout
from ._environment import environment
from ._patch import NO_PATCH, Patch, loaded_files, patch_of
from ._provenance import circumstances, code_folder
from ._repository import repository_of, repository_state
from ._units import digest_of

if TYPE_CHECKING:
    import subprocess

    from ._fingerprint import Fingerprint
else:  # loaded by those whose code is in a repository
    subprocess = LateModule("subprocess")

_DIGEST = re.compile(r"[0-9a-f]{16}")
_MOST_KEPT = 4096


class RunNotes:
    """
    The patches and environments of one results folder.

    Args:
        results_dir: The results folder; nothing is made in it before something is kept.
    """

    def __init__(self, results_dir: str | os.PathLike[str]) -> None:
        layout = Layout(results_dir)
        self._patches, self._environments = str(layout.patches), str(layout.environments)
        self._kept: dict[str, str] = {}
        self._last: tuple[dict[str, Any], str] = {}, ""
        self._begun: dict[tuple[object, ...], dict[str, Any]] = {}

    # ---- of the runs of this process --------------------------------------------------------------------------------

    def before_run(self, module_name: str | None, code: Fingerprint | None) -> dict[str, Any]:
        """
        Where and with what code a run begins, for its record.

        All but the first of one code asks nobody anything, and is told the same object, which nobody changes.

        Args:
            module_name: The module of the function; whose imports and repository are told of.
            code: Its code, if that is watched.
        """
        kind = process_id(), module_name, "" if code is None else code.digest
        told = self._begun.get(kind)
        if told is None:
            told = self._found_out(module_name, code)
            remember(self._begun, kind, told, _MOST_KEPT)
        return told

    def _found_out(self, module_name: str | None, code: Fingerprint | None) -> dict[str, Any]:
        told = circumstances(module_name)
        git, patch = _repository(module_name or "", "" if code is None else code.digest)
        if not git:
            return told
        if patch.text:
            git = {**git, "patch": self._keep(self._path(self._patches, digest_of(patch.text), "patch"), patch.text)}
        elif patch.left_out:
            git = {**git, "patch_left_out": patch.left_out}
        return {**told, "git": git}

    def prepare(self, module_name: str | None, code: Fingerprint | None) -> None:
        """Find out what runs are told of, here or in a process that is forked from this one."""
        self.before_run(module_name, code)
        _environments.told(environment())

    def after_run(self) -> str:
        """In what environment a run has ended: only then have all libraries that it uses been loaded."""
        now = environment()
        if self._last[0] is not now:
            text, digest = _environments.told(now)
            self._last = now, self._keep(self._path(self._environments, digest, "json"), text)
        return self._last[1]

    # ---- of any run -------------------------------------------------------------------------------------------------

    def patch(self, digest: object) -> bytes:
        """A patch, in whatever encodings the files are that it changes; nothing if it is not known."""
        return self._read(self._patches, digest, "patch").encode("utf-8", "surrogateescape")

    def environment(self, digest: object) -> dict[str, Any]:
        """An environment; nothing if it is not known."""
        try:
            found = json.loads(self._read(self._environments, digest, "json") or "{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def files(self) -> Iterator[Path]:
        """The files that are kept."""
        for folder, ending in ((self._patches, ".patch"), (self._environments, ".json")):
            yield from (
                path
                for path in own_entries(Path(folder))
                if path.suffix == ending and _DIGEST.fullmatch(path.stem) is not None
            )

    def named_by(self, provenance: Mapping[str, Any]) -> set[str]:
        """The paths of the files that a run names."""
        patch = self._path(self._patches, _patch_named(provenance), "patch")
        return {patch, self._path(self._environments, provenance.get("environment"), "json")} - {""}

    def forget(self) -> None:
        """Look anew at what is kept: others may have removed it."""
        self._kept, self._last, self._begun = {}, ({}, ""), {}

    def take_over(self, other: RunNotes, provenances: Iterable[Mapping[str, Any]]) -> None:
        """
        Add what runs of another results folder name.

        Args:
            other: What is noted there.
            provenances: Of the runs.
        """
        for provenance in provenances:
            for folder, theirs, digest, suffix in (
                (self._patches, other._patches, _patch_named(provenance), "patch"),
                (self._environments, other._environments, provenance.get("environment"), "json"),
            ):
                path = self._path(folder, digest, suffix)
                if path and path not in self._kept and (text := self._read(theirs, digest, suffix)):
                    self._keep(path, text)

    # ---- files ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _path(folder: str, digest: object, suffix: str) -> str:
        is_ours = isinstance(digest, str) and _DIGEST.fullmatch(digest)
        return os.path.join(folder, f"{digest}.{suffix}") if is_ours else ""

    def _read(self, folder: str, digest: object, suffix: str) -> str:
        """What a file holds; nothing if it is not what its name says: it may come from a stranger, or be torn."""
        path = self._path(folder, digest, suffix)
        try:
            text = read_own_file(path).decode("utf-8", "surrogateescape") if path else ""
        except OSError:
            return ""
        return text if digest_of(text) == digest else ""

    def _keep(self, path: str, text: str) -> str:
        """Write a file, once; a failure costs a note, and no run. Returns the digest in its name."""
        digest = os.path.basename(path).partition(".")[0]
        if path not in self._kept:
            remember(self._kept, path, digest, _MOST_KEPT)
            if not os.path.exists(path):
                try:
                    make_shared_folder(os.path.dirname(path))
                    with _fs.replacing(path) as draft:
                        Path(draft).write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
                except OSError as error:
                    _log.not_noted(path, error)
        return digest


class _Environments:
    """The last environment as it is kept, which that of a forked process most likely is, too."""

    def __init__(self) -> None:
        self._last: tuple[dict[str, Any], str, str] = {}, "", ""

    def told(self, environment: dict[str, Any]) -> tuple[str, str]:
        """Its text, and the digest of that."""
        last, text, digest = self._last
        if last != environment:
            text = json.dumps(environment, indent=1, sort_keys=True) + "\n"
            digest = digest_of(text)
            self._last = environment, text, digest
        return text, digest


_environments = _Environments()


def _patch_named(provenance: Mapping[str, Any]) -> object:
    git = provenance.get("git")
    return git.get("patch") if isinstance(git, dict) else None


@functools.lru_cache(maxsize=4096)
def _repository(module_name: str, code: str) -> tuple[dict[str, Any], Patch]:
    """The state of the repository that a module is in, for one state of its code; and what is not committed."""
    folder = code_folder(module_name)
    repository = repository_of(folder) if folder else None
    if not folder or not repository:
        return {}, NO_PATCH
    files = tuple(path for path in loaded_files() if path.startswith(os.path.join(repository, "")))
    looks = _looks_of([*files, *(os.path.join(repository, ".git", name) for name in ("HEAD", "index", "logs/HEAD"))])
    return _state(folder, repository, files, looks)


@functools.lru_cache(maxsize=256)
def _state(folder: str, repository: str, files: tuple[str, ...], looks: str) -> tuple[dict[str, Any], Patch]:
    """What git answers, asked once for as long as neither the code in use nor what git knows looks changed."""
    git = repository_state(folder, looks)
    try:
        return git, patch_of(repository, files, is_dirty=git["dirty"]) if git else NO_PATCH
    except (OSError, ValueError, subprocess.SubprocessError):
        return git, Patch("", "git does not answer")


def _looks_of(paths: Iterable[str]) -> str:
    statuses = ((path, status_of(path)) for path in paths)
    return repr([(path, one and (one.st_mtime_ns, one.st_size, one.st_ino)) for path, one in statuses])
