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
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _fs, _log
from .._fs import LateModule, late, make_shared_folder, own_entries, read_own_file, remember
from .._results import Layout
from ._fingerprint import Fingerprint
from ._late import comparison
from ._units import ARGUMENT, Part, is_fingerprint

if TYPE_CHECKING:
    import datetime

    from ._accepted import AcceptedCodes
    from ._comparison import Change, LegacyPart
else:  # for what is noted
    datetime = LateModule("datetime")

_DRAFT = ".draft"
_FORMAT = 2
_MOST_REMEMBERED = 4096


class Codebook:
    """
    The files of one results folder.

    Args:
        results_dir: The results folder; nothing is made in it before something is kept.

    Attributes:
        folder: Where they are.
        accepted: The changes that were accepted.
    """

    def __init__(self, results_dir: str | os.PathLike[str]) -> None:
        self._layout = Layout(results_dir)
        self.folder = str(self._layout.code)
        self._kept: dict[str, bool] = {}
        self._functions: dict[str, list[str]] = {}
        self._arguments: dict[str, list[str]] = {}

    # ---- changes that were accepted ---------------------------------------------------------------------------------

    @late
    def accepted(self) -> AcceptedCodes:
        from ._accepted import AcceptedCodes  # loaded by those whose code has changed

        return AcceptedCodes(str(self._layout.accepted))

    def accept(self, old: Iterable[str], new: str, runs: Collection[str] | None = None) -> None:
        """See `AcceptedCodes.accept`."""
        self.accepted.accept(old, new, runs)

    def accepted_for(self, old: str, run: str = "") -> list[str]:
        """See `AcceptedCodes.accepted_for`."""
        return self.accepted.accepted_for(old, run)

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
        if not is_fingerprint(digest):
            return None
        try:
            kept = self._read(f"{digest}.json")
            if "format" not in kept:
                return [comparison.LegacyPart(**part) for part in kept["parts"]]
            return Fingerprint([Part.from_dict(part) for part in kept["parts"]], str(kept["bytecode"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
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
            return [comparison.Change(comparison.UNKNOWN, None, None)]
        if isinstance(before, list):
            return comparison.legacy_changes(before, today.parts)
        return comparison.changes(before, today)

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
        return comparison.diff_of(self.changes_between(old, new), None)

    def changes_between(self, old: str, new: str) -> list[Change]:
        """What differs between two recorded fingerprints; nothing if the later one is not known."""
        known = self.known(new) if old != new else None
        return self.changes_since(old, known) if isinstance(known, Fingerprint) else []

    # ---- what was current ---------------------------------------------------------------------------------------

    def note_current(self, function_name: str, code: str, passed: tuple[str, str] | None) -> None:
        """Note that a code is current again though there are newer runs of another; a failure is none."""
        at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
        fields = {"function": function_name, "code": code, "passed": passed, "at": at}
        self._replace(_current_name(function_name), fields)

    def current_note(self, function_name: str) -> dict[str, Any] | None:
        """What was noted last of the code that is current again."""
        with contextlib.suppress(OSError, ValueError):
            note = self._read(_current_name(function_name))
            return note if isinstance(note.get("code"), str) and isinstance(note.get("at"), str) else None
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
                    found.append((kept_at, _texts(self._read(name)["defaults"])))
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

    def take_over(
        self, other: Codebook, codes: Collection[str], function_names: Collection[str], runs: frozenset[str]
    ) -> None:
        """
        Add what another results folder remembers of some code. What both have is left as it is; what is no file of the
        form that we write is passed over.

        Args:
            other: What is known in the other folder.
            codes: Recorded fingerprints.
            function_names: The functions they are of.
            runs: What the runs are called that are taken over. What was accepted there holds for these alone: of other
                runs of the same code nobody has said here that they are still good.

        Raises:
            OSError: It cannot be written.
        """
        accepted = other.accepted.beginning_with(codes)
        known = {f"{code}.json" for code in {*codes, *(one.new for one in accepted)} if is_fingerprint(code)}
        for name in sorted(_files(other.folder) - _files(self.folder)):
            if name in known or other._is_note_of(name, function_names):
                self._take(name, other)
        for one in accepted:
            meant = runs if one.runs is None else runs & one.runs
            if meant:
                self.accept([one.old], one.new, meant)

    def _is_note_of(self, name: str, function_names: Collection[str]) -> bool:
        """Whether a file notes something of one of these functions, other than a fingerprint."""
        if not name.startswith(("current-", "defaults-", "fields-", "grown-")):
            return False
        with contextlib.suppress(OSError, ValueError):
            return self._read(name).get("function") in function_names
        return False

    def _take(self, name: str, other: Codebook) -> None:
        try:
            content = read_own_file(os.path.join(other.folder, name))
        except OSError as error:
            _log.not_noted(os.path.join(other.folder, name), error)
            return
        make_shared_folder(self.folder)
        with _fs.replacing(os.path.join(self.folder, name)) as draft:
            Path(draft).write_bytes(content)

    # ---- files ------------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(read_own_file(os.path.join(self.folder, name)))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(content, dict):
            raise ValueError("it is no mapping")
        return content

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        path = os.path.join(self.folder, name)
        if os.path.exists(path):
            return
        try:
            make_shared_folder(self.folder)
            self._remove_dead_drafts()
            with _fs.replacing(path) as draft:
                Path(draft).write_text(json.dumps(content, indent=1), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            _log.not_noted(path, error)

    def _replace(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one of the few files that change; of two who do so at once, one wins."""
        with contextlib.suppress(OSError), _fs.replacing(os.path.join(self.folder, name)) as draft:
            Path(draft).write_text(json.dumps(content, indent=1), encoding="utf-8", errors="backslashreplace")

    def _remove_dead_drafts(self) -> None:
        """Those of processes that were killed while writing."""
        for name in self._names():
            if name.endswith(_DRAFT):
                _fs.remove_abandoned(os.path.join(self.folder, name))

    def _names(self) -> Iterator[str]:
        with contextlib.suppress(OSError):
            yield from (path.name for path in own_entries(self.folder))


def _texts(defaults: Mapping[str, str]) -> dict[str, str]:
    """Defaults by name, as far as they are of the form that we write: JSON."""
    texts = {}
    for name, text in defaults.items():
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            json.loads(text)
            texts[name] = text
    return texts


def _files(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            files = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
            return {name for name in files if not name.endswith(_DRAFT)}
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
