"""
What is remembered of code, beside the results: the parts of each fingerprint, what was accepted, and defaults.

All of it lies in ``results_dir/.entropic/code``, in small files that are named by their content and never change, so
that processes share them without a lock. None is needed to answer a call: a missing one makes a warning less precise.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import _log
from .._fs import is_settled, make_shared_folder, remember, remove_abandoned, replacing
from .._results import Layout
from ._comparison import UNKNOWN, Change, LegacyPart, changes, diff_of, legacy_changes
from ._fingerprint import Fingerprint
from ._units import ARGUMENT, Part

_DRAFT = ".draft"
_FORMAT = 2
_MOST_REMEMBERED = 4096

_Accepted = dict[str, list[tuple[str, frozenset[str] | None]]]


class Codebook:
    """
    The files of one results folder.

    Args:
        results_dir: The results folder; nothing is made in it before something is kept.

    Attributes:
        folder: Where they are.
    """

    def __init__(self, results_dir: str | os.PathLike[str]) -> None:
        layout = Layout(results_dir)
        self.folder = str(layout.code)
        self._accepted_folder = str(layout.accepted)
        self._accepted: tuple[int, _Accepted] = (-1, {})
        self._lists: dict[str, frozenset[str]] = {}
        self._kept: dict[str, bool] = {}
        self._functions: dict[str, list[str]] = {}
        self._arguments: dict[str, list[str]] = {}

    # ---- parts ------------------------------------------------------------------------------------------------------

    def keep(self, function_name: str, fingerprint: Fingerprint) -> None:
        """Note down what a fingerprint was made from, once; a failure costs the words of a warning, and no run."""
        name = f"{fingerprint.digest}.json"
        if f"{function_name} {name}" not in self._kept:
            remember(self._kept, f"{function_name} {name}", True, _MOST_REMEMBERED)
            if not os.path.exists(os.path.join(self.folder, name)):
                parts = [part.to_dict() for part in fingerprint.parts]
                fields = {"function": function_name, "format": _FORMAT, "bytecode": fingerprint.bytecode}
                self._write(name, {**fields, "parts": parts})
            else:
                self.note_name(fingerprint.digest, function_name)

    def note_name(self, digest: str, function_name: str) -> None:
        """Note that a function of this name has runs by a recorded fingerprint, if that is not known."""
        known = self.functions_of(digest)
        if known and function_name not in known:
            self._functions[digest] = [*known, function_name]
            self._replace(_names_of(digest), {"functions": self._functions[digest]})

    def functions_of(self, digest: str) -> list[str]:
        """What functions with a recorded fingerprint were called when they ran: several, if one was renamed."""
        if digest not in self._functions:
            found = self._functions_noted(digest)
            if not found:
                return []  # nothing has run with it, or not yet
            remember(self._functions, digest, found, _MOST_REMEMBERED)
        return self._functions[digest]

    def _functions_noted(self, digest: str) -> list[str]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return [str(name) for name in self._read(_names_of(digest))["functions"]]
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return [str(self._read(f"{digest}.json")["function"])]
        return []

    def known(self, digest: str) -> Fingerprint | list[LegacyPart] | None:
        """What a recorded fingerprint was made from, if that is known; as the first format has it, for one of those."""
        try:
            kept = self._read(f"{digest}.json")
            if "format" not in kept:
                return [LegacyPart(**part) for part in kept["parts"]]
            return Fingerprint([Part.from_dict(part) for part in kept["parts"]], str(kept["bytecode"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def arguments_of(self, digest: str) -> list[str]:
        """The functions and classes that calls with a recorded fingerprint handed in: labels, as of `code_in`."""
        if digest not in self._arguments:
            known = self.known(digest)
            if known is None:
                return []
            labels = known.parts[0].edges if isinstance(known, Fingerprint) and known.parts else {}
            found = [label.removeprefix(ARGUMENT) for label in labels if label.startswith(ARGUMENT)]
            remember(self._arguments, digest, found, _MOST_REMEMBERED)
            return found
        return self._arguments[digest]

    def changes_since(self, digest: str, today: Fingerprint) -> list[Change]:
        """What differs between a recorded fingerprint and today's; none if they are of the same code."""
        before = self.known(digest)
        if before is None:
            return [Change(UNKNOWN, None, None)]
        if isinstance(before, list):
            return legacy_changes(before, today.parts)
        return changes(before, today)

    def text(self, digest: str) -> str:
        """The text of the code with a recorded fingerprint, part by part; nothing if it is not known."""
        known = self.known(digest)
        if known is None:
            return ""
        if isinstance(known, list):
            told = [(f"{one.name} in {one.file}", one.source) for one in known]
        else:
            told = [(str(part), part.text.source) for part in known.parts]
        return "\n".join(f"# {name}\n{source.rstrip()}\n" for name, source in told if source)

    def diff(self, old: str, new: str) -> str:
        """What differs between the code of two recorded fingerprints, as a unified diff."""
        return diff_of(self.changes_between(old, new), None)

    def changes_between(self, old: str, new: str) -> list[Change]:
        """What differs between two recorded fingerprints; nothing if the later one is not known."""
        known = self.known(new) if old != new else None
        return self.changes_since(old, known) if isinstance(known, Fingerprint) else []

    # ---- what was accepted ------------------------------------------------------------------------------------------

    def accept(self, old: str, new: str, runs: Collection[str] | None = None) -> None:
        """
        Declare runs of *old* code good for *new*: for all processes, from now on.

        Args:
            old: Their fingerprint.
            new: The other one.
            runs: Which of them, each by a text of its own; None for all of that code, those to come as well.

        Raises:
            OSError: It cannot be written.
        """
        folder = self._accepted_folder
        make_shared_folder(folder)
        listed = "" if runs is None else "".join(f"{run}\n" for run in sorted(runs))
        name = f"{old}.{new}" if runs is None else f"{old}.{new}.{_digest(listed)}"
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            with replacing(path) as draft:
                Path(draft).write_text(listed, encoding="utf-8")
        self._accepted = (-1, {})

    def accepted_for(self, old: str, run: str = "") -> list[str]:
        """The codes that runs of an *old* one are good for, or one run is, directly or by way of other changes."""
        pairs = self._accepted_pairs()
        reached, left = [old], [old]
        while left:
            for later, runs in pairs.get(left.pop(), ()):
                if later not in reached and (runs is None or run in runs):
                    reached.append(later)
                    left.append(later)
        return reached[1:]

    def has_single_runs(self) -> bool:
        """Whether single runs were accepted, and not only all runs of a code."""
        return any(runs is not None for several in self._accepted_pairs().values() for _, runs in several)

    def _accepted_pairs(self) -> _Accepted:
        """By old code: the new ones, each with the runs that it was accepted for; None for all."""
        folder = self._accepted_folder
        try:
            changed_at = os.stat(folder).st_mtime_ns
        except OSError:
            return {}
        # Of a folder that has just changed, the time says nothing yet: it may change again at the same moment.
        if changed_at != self._accepted[0] or not is_settled(changed_at):
            pairs: _Accepted = {}
            for name in os.listdir(folder):
                old, new, listed = (*name.split("."), "", "")[:3]
                if not name.endswith(_DRAFT):
                    pairs.setdefault(old, []).append((new, self._listed(name) if listed else None))
            self._accepted = changed_at, pairs
        return self._accepted[1]

    def _listed(self, name: str) -> frozenset[str]:
        """The runs that are listed in a file, whose content never changes."""
        known = self._lists.get(name)
        if known is None:
            known = frozenset()
            with contextlib.suppress(OSError):
                text = Path(self._accepted_folder, name).read_text(encoding="utf-8")
                known = self._lists[name] = frozenset(text.splitlines())
        return known

    # ---- what was current ---------------------------------------------------------------------------------------

    def note_current(self, function_name: str, code: str, passed: tuple[str, str] | None) -> None:
        """Note that a code is current again though there are newer runs of another; a failure is none."""
        at = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        fields = {"function": function_name, "code": code, "passed": passed, "at": at}
        self._replace(_current_name(function_name), fields)

    def current_note(self, function_name: str) -> dict[str, Any] | None:
        """What was noted last of the code that is current again."""
        with contextlib.suppress(OSError, ValueError):
            return self._read(_current_name(function_name))
        return None

    # ---- defaults ---------------------------------------------------------------------------------------------------

    def keep_defaults(self, function_name: str, defaults: Mapping[str, str]) -> None:
        """Note down the defaults a function has run with; each a text by parameter name."""
        name = f"{_defaults_prefix(function_name)}{_digest(json.dumps(dict(defaults), sort_keys=True))}.json"
        if name not in self._kept:
            remember(self._kept, name, True, _MOST_REMEMBERED)
            self._write(name, {"function": function_name, "defaults": {**defaults}})

    def defaults(self, function_name: str) -> list[dict[str, str]]:
        """All sets of defaults that a function has run with, the one kept last first."""
        prefix = _defaults_prefix(function_name)
        found: list[tuple[float, dict[str, str]]] = []
        for name in self._names():
            if name.startswith(prefix):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    kept_at = os.stat(os.path.join(self.folder, name)).st_mtime
                    found.append((kept_at, dict(self._read(name)["defaults"])))
        return [defaults for _, defaults in sorted(found, key=lambda one: one[0], reverse=True)]

    # ---- fields -----------------------------------------------------------------------------------------------------

    def keep_fields(self, function_name: str, names: Collection[str]) -> None:
        """Note down what the parameters of a run were called, dotted names of fields included."""
        ordered = sorted(names)
        name = f"{_fields_prefix(function_name)}{_digest(json.dumps(ordered))}.json"
        self._write(name, {"function": function_name, "fields": ordered})

    def fields(self, function_name: str) -> list[frozenset[str]]:
        """All sets of names that runs of a function have had."""
        prefix = _fields_prefix(function_name)
        found = []
        for name in self._names():
            if name.startswith(prefix):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    found.append(frozenset(map(str, self._read(name)["fields"])))
        return found

    # ---- growth -----------------------------------------------------------------------------------------------------

    def code_grown_with(self, function_name: str, growth: str, today: str, *, may_note: bool) -> str:
        """
        The code with which a function's parameters have grown in this way: that of today, if they just have.

        Args:
            function_name: Whose.
            growth: All that is declared, as one text.
            today: Fingerprint of today's code.
            may_note: Note it down, if none is. Should that fail, it is asked again next time.
        """
        name = f"grown-{_digest(function_name + growth)}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(self._read(name)["code"])
        if may_note:
            self._write(name, {"function": function_name, "growth": growth, "code": today})
        return today

    # ---- merging ----------------------------------------------------------------------------------------------------

    def take_over(self, other: Codebook) -> None:
        """
        Add what another results folder remembers; what both have is the same.

        Raises:
            OSError: It cannot be read or written.
        """
        pairs = ((other.folder, self.folder), (other._accepted_folder, self._accepted_folder))
        for theirs, ours in pairs:
            missing = _files(theirs) - _files(ours)
            if missing:
                make_shared_folder(ours)
            for name in missing:
                with replacing(os.path.join(ours, name)) as draft:
                    shutil.copyfile(os.path.join(theirs, name), draft)

    # ---- files ------------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(Path(self.folder, name).read_text(encoding="utf-8"))
        return content

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        path = os.path.join(self.folder, name)
        if os.path.exists(path):
            return
        try:
            make_shared_folder(self.folder)
            self._remove_dead_drafts()
            with replacing(path) as draft:
                Path(draft).write_text(json.dumps(content, indent=1), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            _log.not_noted(path, error)

    def _replace(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one of the few files that change; of two who do so at once, one wins."""
        with contextlib.suppress(OSError), replacing(os.path.join(self.folder, name)) as draft:
            Path(draft).write_text(json.dumps(content, indent=1), encoding="utf-8", errors="backslashreplace")

    def _remove_dead_drafts(self) -> None:
        """Those of processes that were killed while writing."""
        for name in self._names():
            if name.endswith(_DRAFT):
                remove_abandoned(os.path.join(self.folder, name))

    def _names(self) -> Iterator[str]:
        with contextlib.suppress(OSError):
            yield from os.listdir(self.folder)


def _files(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file() and not entry.name.endswith(_DRAFT)}
    except OSError:
        return set()


def _names_of(digest: str) -> str:
    return f"names-{digest}.json"


def _current_name(function_name: str) -> str:
    return f"current-{_digest(function_name)}.json"


def _defaults_prefix(function_name: str) -> str:
    return f"defaults-{_digest(function_name)}-"


def _fields_prefix(function_name: str) -> str:
    return f"fields-{_digest(function_name)}-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
