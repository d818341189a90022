"""
Two runs held against each other as a whole: what was asked, by which code, from what, where, and what came out.

Differences are written as from the first run to the second: ``dt: 0.01 -> 0.02``.
"""

from __future__ import annotations

import difflib
import html
import json
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._code import diff_of
from .._engine import RunCache, identity_fields
from .._fs import one_line
from .._record import RecordedReads, RunRecord, local_time, path_text, size_text, time_text
from ..errors import NotRecordedError
from ..hashing import encode
from ._explain import identity_differences
from ._value_differences import RunNames, changed_entries, differences_of

__all__ = ["RunDiff"]

_WIDTH = 80
_SHOWN_LINES = 20
_SHOWN_DIGITS = 12
_MACHINE = ("python", "implementation", "compiler", "system", "libc", "processor", "gpu_driver")
_AROUND = ("host", "user", "platform", "entropic", "command", "notebook", "place")

Lines = tuple[str, ...]


@dataclass(frozen=True)
class RunDiff:
    """
    In what two recorded runs differ, each thing in words; printed, it fits 80 columns.

    Attributes:
        first: One run.
        second: The other one.
        function: In what their functions differ: name, version, closed-over values.
        parameters: Their parameters.
        code: The parts of the code that differ, by their names.
        code_diff: The same as a unified diff, as far as its text is known.
        commit: The commits of the repository that the code was in, and whether all was committed.
        patch_diff: What differs in what was not committed, as a unified diff of the patches.
        packages: Versions of what was installed.
        environment: Python, processor, linear algebra, threads and GPU.
        inputs: Results of other runs that they were made from.
        reads: Files that they have read, where that was watched.
        result: Size and content of what came out.
        around: When, where and at what cost each was made, which makes no difference.
        unknown: What cannot be compared, since a record does not have it.

    Example:
        >>> from entropic import Store
        >>> store = Store("results", "runs.json", file_suffix=".txt")
        >>> for dt in (0.1, 0.2):
        ...     _ = store.run({"dt": dt}, lambda params, path: path.write_text(str(params["dt"])))
        >>> compared = store.diff(*store.list())
        >>> compared.parameters, compared.is_equal
        (('dt: 0.1 -> 0.2',), False)
    """

    first: RunRecord
    second: RunRecord
    function: Lines = ()
    parameters: Lines = ()
    code: Lines = ()
    code_diff: str = ""
    commit: Lines = ()
    patch_diff: str = ""
    packages: Lines = ()
    environment: Lines = ()
    inputs: Lines = ()
    reads: Lines = ()
    result: Lines = ()
    around: Lines = ()
    unknown: Lines = ()

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs but what is around them."""
        return not any(self._sections().values()) and not self.patch_diff

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, the runs as documents."""
        told = {name: list(lines) for name, lines in self._sections().items()}
        return {
            "equal": self.is_equal,
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            **told,
            "code_diff": self.code_diff,
            "patch_diff": self.patch_diff,
            "around": list(self.around),
            "unknown": list(self.unknown),
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def _sections(self) -> dict[str, Lines]:
        names = "function parameters code commit packages environment inputs reads result"
        return {name: getattr(self, name) for name in names.split()}

    def __str__(self) -> str:
        lines = [f"- {_named(self.first)}", f"+ {_named(self.second)}"]
        diffs = {"code": self.code_diff, "commit": self.patch_diff}
        for name, differences in {**self._sections(), "around": self.around, "unknown": self.unknown}.items():
            diff = diffs.get(name, "")
            if differences or diff:
                lines += [_TITLES.get(name, name), *_shown(differences), *(f"  {line}" for line in diff.splitlines())]
        if self.is_equal:
            lines.append("nothing else differs" if self.around else "nothing differs")
        return "\n".join(map(one_line, lines))

    def __repr__(self) -> str:
        differing = [name for name, lines in self._sections().items() if lines]
        return f"<RunDiff: {', '.join(differing) or 'nothing differs'}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


RunDiff.__module__ = "entropic.reports"

_TITLES = {
    "commit": "commit, and what was not committed",
    "packages": "installed packages",
    "inputs": "made from",
    "reads": "files read",
    "around": "when, where and at what cost (makes no difference)",
    "unknown": "not known",
}


def diff(engine: RunCache, first: RunRecord | str, second: RunRecord | str | None) -> RunDiff:
    """Compare two runs; see `entropic.Store.diff`."""
    if second is None:
        later = _meant(engine, first)
        first, second = _before(engine, later), later
    one, other = _meant(engine, first), _meant(engine, second)
    compared = _Comparison(engine, one, other)
    return RunDiff(one, other, **compared.told())


class _Comparison:
    """Two runs being compared."""

    def __init__(self, engine: RunCache, first: RunRecord, second: RunRecord) -> None:
        self._engine = engine
        self._first, self._second = first, second
        self._both = first.provenance, second.provenance
        self._names = RunNames(engine)
        self._notes = engine.notes
        self._unknown: list[str] = []

    def told(self) -> dict[str, Any]:
        code, code_diff = self._code()
        packages, environment = self._environment()
        return {
            "function": tuple(identity_differences(identity_fields(self._second), self._first, self._names)),
            "parameters": tuple(self._parameters()),
            "code": code,
            "code_diff": code_diff,
            "commit": tuple(self._commit()),
            "patch_diff": self._patch_diff(),
            "packages": packages,
            "environment": environment,
            "inputs": tuple(self._inputs()),
            "reads": tuple(self._reads()),
            "result": tuple(self._result()),
            "around": tuple(self._around()),
            "unknown": tuple(self._unknown),
        }

    def _parameters(self) -> Iterator[str]:
        asked, recorded = encode(self._second.params), encode(self._first.params)
        return differences_of(asked, recorded, self._names)

    def _code(self) -> tuple[Lines, str]:
        old, new = (one.get("code") for one in self._both)
        if old == new:
            return (), ""
        if not isinstance(old, str) or not isinstance(new, str):
            self._note_unknown("code", old, new)
            return (), ""
        codebook = self._engine.codebook
        if codebook.known(old) is None or codebook.known(new) is None:
            self._unknown.append("which parts of the code differ: what was noted of it is missing")
            return (f"fingerprint {old} -> {new}",), ""
        changed = codebook.changes_between(old, new)
        return tuple(change.name for change in changed), diff_of(changed)

    def _commit(self) -> Iterator[str]:
        old, new = map(_git_of, self._both)
        if bool(old) != bool(new):
            self._note_unknown("the commit", old, new)
            return
        if old.get("commit") != new.get("commit"):
            yield f"commit {old.get('commit')} -> {new.get('commit')}"
        if old.get("dirty") != new.get("dirty"):
            yield "all was committed -> not all" if new.get("dirty") else "not all was committed -> all"
        elif old.get("patch") != new.get("patch"):
            yield "what was not committed differs"
        for which, git in (("first", old), ("second", new)):
            if reason := git.get("patch_left_out"):
                self._unknown.append(f"what was not committed for the {which} run: {reason}")

    def _patch_diff(self) -> str:
        digests = [_git_of(one).get("patch") for one in self._both]
        if digests[0] == digests[1]:
            return ""
        texts = [self._notes.patch(digest).decode("utf-8", "replace") for digest in digests]
        for digest, text in zip(digests, texts, strict=True):
            if digest and not text:
                self._unknown.append(f"the patch {digest}: it is missing")
                return ""
        return _text_diff(*texts)

    def _environment(self) -> tuple[Lines, Lines]:
        old, new = (self._notes.environment(one.get("environment")) for one in self._both)
        if not old or not new:
            if old or new or self._both[0].get("environment") != self._both[1].get("environment"):
                self._note_unknown("the environment", old, new)
            before, after = (one.get("packages") for one in self._both)
            return tuple(changed_entries(before, after)), tuple(changed_entries(*self._both, ("python",)))
        packages = tuple(
            line for name in ("packages", "conda") for line in changed_entries(old.get(name), new.get(name))
        )
        machine = [*changed_entries(old, new, _MACHINE), *changed_entries(old.get("variables"), new.get("variables"))]
        for name in ("linear_algebra", "gpu"):
            before, after = (", ".join(map(str, one.get(name, ()))) for one in (old, new))
            machine += [f"{name.replace('_', ' ')} {before or 'none'} -> {after or 'none'}"] if before != after else []
        return packages, tuple(machine)

    def _inputs(self) -> Iterator[str]:
        old, new = ({one.name: one for one in record.inputs} for record in (self._first, self._second))
        for name in dict.fromkeys([*old, *new]):
            before, after = old.get(name), new.get(name)
            if before is None or after is None:
                yield f"{after or before} is {'new' if before is None else 'missing'}"
            elif before.digest != after.digest:
                yield f"{before} -> {after.function or 'run'} {after.params_hash[:8]}, with another result"

    def _reads(self) -> Iterator[str]:
        old, new = (RecordedReads.of(record) for record in (self._first, self._second))
        if old is None or new is None:
            if old is not None or new is not None:
                self._unknown.append(f"what the {'second' if old is not None else 'first'} run has read")
            return
        before, after = ({str(one.path): one for one in recorded.files} for recorded in (old, new))
        for name in sorted(before.keys() | after.keys()):
            if name not in before or name not in after:
                yield f"{name} was read by the {'second' if name in after else 'first'} run only"
            elif before[name].content != after[name].content:
                yield f"{name}: other content ({before[name].size_bytes} -> {after[name].size_bytes} bytes)"

    def _result(self) -> Iterator[str]:
        digests, sizes = ([one.get(name) for one in self._both] for name in ("digest", "size_bytes"))
        if sizes[0] != sizes[1]:
            yield f"size {_size(sizes[0])} -> {_size(sizes[1])}"
        if None in digests:
            self._note_unknown("the content of the result", *digests)
        elif digests[0] != digests[1]:
            yield "the content differs"

    def _around(self) -> Iterator[str]:
        created = [local_time(record.created_at) for record in (self._first, self._second)]
        if created[0] != created[1]:
            yield f"recorded {created[0]} -> {created[1]}"
        seconds = [record.metadata.get("elapsed_seconds") for record in (self._first, self._second)]
        if seconds[0] != seconds[1]:
            yield f"it took {_time(seconds[0])} -> {_time(seconds[1])}"
        yield from changed_entries(*self._both, _AROUND)

    def _note_unknown(self, what: str, first: object, second: object) -> None:
        which = "either run" if not first and not second else f"the {'second' if first else 'first'} run"
        self._unknown.append(f"{what} of {which}")


def _git_of(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    git = provenance.get("git")
    return git if isinstance(git, dict) else {}


def _text_diff(old: str, new: str) -> str:
    compared = difflib.unified_diff(old.splitlines(), new.splitlines(), "first", "second", lineterm="", n=2)
    return "\n".join(line if len(line) < _WIDTH - 2 else f"{line[: _WIDTH - 3]}…" for line in compared)


def _named(record: RunRecord) -> str:
    name = record.provenance.get("function") or "plain run"
    return f"{record.params_hash} {name}, {os.path.basename(record.result_path)}"


def _shown(differences: Lines) -> Iterator[str]:
    for difference in differences[:_SHOWN_LINES]:
        yield from textwrap.wrap(
            one_line(difference), _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
    if len(differences) > _SHOWN_LINES:
        yield f"  ... and {len(differences) - _SHOWN_LINES} more"


def _size(size_bytes: Any) -> str:
    return (size_text(size_bytes) if type(size_bytes) is int else "") or "unknown"


def _time(seconds: Any) -> str:
    return time_text(seconds) or "unknown"


# ---- which runs are meant -------------------------------------------------------------------------------------------


def _meant(engine: RunCache, run: RunRecord | str) -> RunRecord:
    """The run that a path leads to, or the newest one whose hash begins so."""
    if isinstance(run, RunRecord):
        return run
    records = [engine.paths.shown(one) for one in _with_path(engine, run) or _with_hash(engine, run)]
    if not records:
        raise NotRecordedError("", str(run), "compare")
    return records[-1]


def _with_hash(engine: RunCache, begin: str) -> Sequence[RunRecord]:
    found = engine.index.find_all_by_hash(begin)
    return found or [one for one in engine.index.iter() if begin and one.params_hash.startswith(begin)]


def _with_path(engine: RunCache, path: str) -> list[RunRecord]:
    """The runs whose result is at a path, or has this name."""
    if os.sep not in path and not any(sign in path for sign in "._"):
        return []
    places = {os.path.realpath(path), os.path.realpath(engine.settings.results_dir / path)}
    name = os.path.basename(path.rstrip(os.sep))
    alike = (one for one in engine.index.iter() if os.path.basename(path_text(one)) == name)
    return [one for one in alike if os.path.realpath(engine.paths.absolute(one)) in places]


def _before(engine: RunCache, run: RunRecord) -> RunRecord:
    """The run of the same point that was recorded before a run."""
    same = [engine.paths.shown(one) for one in engine.index.find_all_by_hash(run.params_hash)]
    places = [at for at, one in enumerate(same) if one.created_at == run.created_at]
    if not places or not places[-1]:
        raise NotRecordedError("", f"of {run.params_hash} there is none before {run.created_at[:19]}", "compare")
    return same[places[-1] - 1]
