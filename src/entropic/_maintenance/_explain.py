"""
Why a call would run: what is asked for, held against what is recorded. Compares, and touches nothing.

Differences are told as from the recorded run to the call: ``dt: 0.01 -> 0.0100001``, or "int 1 instead of float 1.0",
where the call has the int.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .._code import RunNotes, environment
from .._engine import RunCache, StalenessPolicy, agrees, identity_fields
from .._fs import one_line
from .._record import RunRecord, local_time
from ..errors import declaration
from ..hashing import Identity, Key, canonical, decode_params, key_of
from ..query import Selection
from ._value_differences import RunNames, changed_entries, differences_of, value_text

__all__ = ["Explanation", "Neighbour"]

_NEAREST = 3
_MOST_KEPT = 200


@dataclass(frozen=True)
class Neighbour:
    """
    A recorded run near to what was asked for.

    Attributes:
        record: The run.
        differences: Each way in which it differs from the call, in words; never empty.
    """

    record: RunRecord
    differences: tuple[str, ...]


Neighbour.__module__ = "entropic.reports"


@dataclass(frozen=True)
class Explanation:
    """
    Whether a call would be answered by a recorded run, and if not, why not.

    Printed, it reads as a few lines of text.

    Attributes:
        is_hit: A recorded run would be handed out; nothing would run.
        is_error: Nothing would run either, because the code has changed and that is to be an error.
        function: The function's name; empty for a plain run.
        params: The params of the call, as its record would show them.
        params_hash: The key of the call.
        record: The run that would be handed out, or None.
        reasons: Why it is a hit, or why it is none.
        nearest: If it is none, the nearest recorded runs: those with the fewest differences, of which a
            number of another type (10 for 10.0) counts half; the newest ones first.
        diff: What has changed of the code, as a unified diff; empty if nothing has, or its text is not known.

    Example:
        >>> from entropic import Store
        >>> store = Store("results", "runs.json", file_suffix=".txt")
        >>> _ = store.run({"n": 1, "dt": 0.1}, lambda params, path: path.write_text("x"))
        >>> store.explain({"n": 1, "dt": 0.2}).nearest[0].differences
        ('dt: 0.1 -> 0.2',)
    """

    is_hit: bool
    function: str
    params: dict[str, Any]
    params_hash: str
    record: RunRecord | None
    reasons: tuple[str, ...]
    nearest: tuple[Neighbour, ...] = ()
    is_error: bool = False
    diff: str = ""

    def __str__(self) -> str:
        verdict = "it would hit" if self.is_hit else "it would be refused" if self.is_error else "it would run"
        lines = [f"{verdict}: {self.function or 'plain run'} {self.params_hash}", *(f"  {one}" for one in self.reasons)]
        for neighbour in self.nearest:
            record = neighbour.record
            lines.append(f"  differs from {record.params_hash}, recorded {local_time(record.created_at)}:")
            lines += [f"    {difference}" for difference in neighbour.differences]
        lines += [f"  {line}" for line in self.diff.splitlines()]
        return "\n".join(map(one_line, lines))

    def __repr__(self) -> str:
        verdict, *reasons = str(self).splitlines()[: 1 + bool(self.reasons)]  # a hit by earlier code is one to look at
        return f"<Explanation: {'; '.join([verdict, *map(str.strip, reasons)])}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


Explanation.__module__ = "entropic.reports"


class Function(Protocol):
    """What is known of the function that is called."""

    @property
    def former_names(self) -> Sequence[str]:
        """The names that it is declared to have had."""
        ...

    @property
    def has_older_forms(self) -> bool:
        """Whether records may have other params than calls of today."""
        ...

    def of_today(self, record: RunRecord) -> RunRecord:
        """A record of this function with the params it would have today."""
        ...


def explain(
    engine: RunCache,
    key: Key,
    function: Function | None = None,
    defaults: Collection[str] = (),
    policy: StalenessPolicy | None = None,
) -> Explanation:
    """
    Explain what a key finds in a store, or why it finds nothing.

    Args:
        engine: What is behind the store.
        key: What is asked for.
        function: Whose call it is; None for a plain run.
        defaults: Parameters that the call did not give: a default that has changed since shall be seen as one.
        policy: What its code of today means for recorded runs.
    """
    quiet = None if policy is None else policy.read_only()
    explained = _explain_here(engine, key, function, defaults, policy, quiet)
    if explained.is_hit or explained.is_error or not engine.settings.fallback:
        return explained
    found = engine.fallbacks.expected(key, quiet)
    if found is None:
        return explained
    where = f"it would be fetched from {found.source.results_dir}"
    return _explained(
        key,
        found.candidate.record,
        (where, *_why_it_answers(RunNotes(found.source.results_dir), found.candidate.record, key)),
    )


def _explain_here(
    engine: RunCache,
    key: Key,
    function: Function | None,
    defaults: Collection[str],
    policy: StalenessPolicy | None,
    quiet: StalenessPolicy | None,
) -> Explanation:
    found = engine.look_up(key, quiet)
    candidate = found.candidate
    if candidate is None:
        return _unrecorded(engine, key, function, defaults, quiet)
    if found.is_broken:
        return _explained(key, None, (f"the {found.reason}: {candidate.path}",))
    if found.kind == "other function":
        return _explained(key, None, (found.reason,))
    record = engine.shown(candidate, key)
    notes = engine.notes
    if found.is_hit or policy is None:
        return _explained(key, record, _why_it_answers(notes, candidate.record, key))
    return _of_earlier_code(key, record, _why_it_answers(notes, candidate.record, key), found.reason, policy)


def _explained(key: Key, record: RunRecord | None, reasons: tuple[str, ...], **further: Any) -> Explanation:
    function = str(key.identity.fields.get("function", ""))
    params = decode_params(key.params)
    return Explanation(record is not None, function, params, key.params_hash, record, reasons, **further)


def _of_earlier_code(
    key: Key, record: RunRecord, recorded: tuple[str, ...], reason: str, policy: StalenessPolicy
) -> Explanation:
    """There is a run, by code that has changed since: what that means is for the function to say."""
    reasons, diff = (f"the {reason} since it was recorded", *recorded), policy.diff_since(record)
    if policy.on_change == "warn":
        return _explained(key, record, ("handed out with a warning", *reasons), diff=diff)
    refused = f'with on_change="{policy.on_change}" it does not answer'
    return _explained(key, None, (refused, *reasons), is_error=policy.on_change == "error", diff=diff)


def _unrecorded(
    engine: RunCache,
    key: Key,
    function: Function | None,
    defaults: Collection[str],
    policy: StalenessPolicy | None,
) -> Explanation:
    name = key.identity.fields.get("function", "")
    near, elsewhere, has_own = _Nearest(key), _OtherNames(key, policy), False
    for record in _near_records(engine, key, near, function):
        is_own = record.provenance.get("function", "") == name
        has_own = has_own or is_own
        elsewhere.look_at(record, is_own=is_own)
        near.look_at(function.of_today(record) if function is not None and is_own else record)
    what = "run of these parameters" if has_own else f"run of {name}" if name else "plain run"
    nearest = tuple(near.neighbours(defaults, policy, RunNames(engine)))
    reasons = (f"no {what} is recorded", *_said_of_names(elsewhere.names(), function))
    return _explained(key, None, reasons, nearest=nearest)


def _near_records(engine: RunCache, key: Key, near: _Nearest, function: Function | None) -> Iterator[RunRecord]:
    """The records to look at, the newest first, one by one: all, if some may be read in another form than they have."""
    if function is not None and function.has_older_forms:
        return engine.iter(Selection.of(newest_first=True))
    engine.settle()
    name = str(key.identity.fields.get("function", ""))
    return map(engine.paths.seen, engine.index.iter_near(key.params, name, near.least))


def _code_of(record: RunRecord) -> str:
    code = record.provenance.get("code")
    return code if isinstance(code, str) else ""


class _OtherNames:
    """Under which other names a call was run by the same code; looks at records, the newest first."""

    def __init__(self, key: Key, policy: StalenessPolicy | None) -> None:
        self._key = key
        self._policy = policy
        self._own_codes: set[str] = set()
        self._found: dict[tuple[str, str], None] = {}

    def look_at(self, record: RunRecord, *, is_own: bool) -> None:
        """Take in a record."""
        name = record.provenance.get("function")
        if is_own:
            self._own_codes.add(_code_of(record))
        elif isinstance(name, str) and (self._policy is None or self._policy.has_code_of(record)):
            identity = Identity.of({**self._key.identity.fields, "function": name})
            if agrees(record, key_of(self._key.params, identity)):
                self._found.pop((name, _code_of(record)), None)
                self._found[name, _code_of(record)] = None

    def names(self) -> list[str]:
        """The names, in the order in which they were used first."""
        codes = self._own_codes - {""}
        found = [name for name, code in reversed(self._found) if self._policy is not None or code in codes]
        return list(dict.fromkeys(found))


def _said_of_names(names: Sequence[str], function: Function | None) -> Iterator[str]:
    if names:
        declared = () if function is None else function.former_names
        yield f"the same code has run it as {', '.join(names)}: paste one of these into cached(), and that run answers"
        yield f"  {declaration([*declared, *names])}"
        yield f'  name="{names[-1]}"'


def _why_it_answers(notes: RunNotes, record: RunRecord, key: Key) -> tuple[str, ...]:
    when = local_time(record.created_at)
    older = ", before its parameters grew" if record.params_hash != key.params_hash else ""
    told = [f"recorded {when}{older}: {record.result_path}"]
    if reason := record.provenance.get("reason"):
        told.append(f"it ran for this reason: {reason}")
    if other := [*_installed_since(record, notes)]:
        told.append(f"installed since: {', '.join(other)}")
    return tuple(told)


def _installed_since(record: RunRecord, notes: RunNotes) -> Iterator[str]:
    """Other versions of packages that the module of a run's function imports, than those it was made with."""
    named, recorded = record.provenance.get("packages"), notes.environment(record.provenance.get("environment"))
    if isinstance(named, dict) and recorded:
        before, now = recorded.get("packages"), environment().get("packages")
        yield from changed_entries(before, now, sorted(map(str, named)))


class _Nearest:
    """
    Runs of the function of a call, and runs of others with exactly its params: it may have been renamed.

    Looks at records, the newest first, and keeps a few.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._function = key.identity.fields.get("function", "")
        self._asked = {name: canonical(value) for name, value in key.params.items()}
        self._kept: dict[tuple[str, str], tuple[float, int, RunRecord]] = {}
        self._count = 0
        self._least = 0

    def look_at(self, record: RunRecord) -> None:
        """Take in a record."""
        self._count += 1
        mark = record.params_hash, _code_of(record)
        if mark in self._kept:
            return  # a newer run of the same point by the same code differs in the same way
        asked, theirs = self._asked, {name: canonical(value) for name, value in record.params.items()}
        names = [name for name in asked.keys() | theirs.keys() if asked.get(name) != theirs.get(name)]
        if not names or record.provenance.get("function", "") == self._function:
            # A number of another type, 10 for 10.0, is most often a slip, so it is nearer than another number.
            same = (self._key.params.get(name) == record.params.get(name) for name in names)
            self._kept[mark] = sum(0.5 if is_same else 1.0 for is_same in same), self._count, record
        if len(self._kept) >= 2 * _MOST_KEPT:
            self._kept = dict(self._in_order()[:_MOST_KEPT])
            farthest = max(distance for distance, _, _ in self._kept.values())
            # An older one that is as far away is of no use. A value that only looks the same counts as one that is.
            self._least = max(0, int(len(self._asked) - farthest) + 1)

    def least(self) -> int:
        """How many of the values that are asked for a further record must have, to be among the nearest."""
        return self._least

    def neighbours(
        self, defaults: Collection[str], policy: StalenessPolicy | None, run_names: RunNames
    ) -> Iterator[Neighbour]:
        """The nearest ones."""
        seen: set[tuple[str, ...]] = set()
        for _, (_, _, record) in self._in_order():
            differences = tuple(_differences(self._key, record, defaults, policy, run_names))
            # Of many runs that differ in the same way, such as replicates, one says it all.
            if differences and differences not in seen:
                seen.add(differences)
                yield Neighbour(record, differences)
            if len(seen) == _NEAREST:
                return

    def _in_order(self) -> list[tuple[tuple[str, str], tuple[float, int, RunRecord]]]:
        return sorted(self._kept.items(), key=lambda entry: entry[1][:2])


# ---- what differs ---------------------------------------------------------------------------------------------------


def _differences(
    key: Key, record: RunRecord, defaults: Collection[str], policy: StalenessPolicy | None, run_names: RunNames
) -> Iterator[str]:
    yield from identity_differences(key.identity.fields, record, run_names)
    if policy is not None and record.provenance.get("function") == key.identity.fields.get("function"):
        changed = policy.changes_since(record)
        yield from [_code_difference(changed)] if changed else ()
    for name in dict.fromkeys([*key.params, *record.params]):
        asked, recorded = ({name: one[name]} if name in one else {} for one in (key.params, record.params))
        by_default = " (by default)" if name in defaults else ""
        yield from (f"{difference}{by_default}" for difference in differences_of(asked, recorded, run_names))


def identity_differences(asked: Mapping[str, Any], record: RunRecord, run_names: RunNames) -> Iterator[str]:
    """In what the function of a call differs from that of a record: one line below for each thing that counts."""
    recorded = identity_fields(record)
    if asked.get("function") != recorded.get("function"):
        yield _renamed(asked.get("function"), recorded.get("function"))
    if canonical(asked.get("version")) != canonical(recorded.get("version")):
        yield f"version {value_text(recorded.get('version'))} -> {value_text(asked.get('version'))}"
    closure = recorded.get("closure", {})
    closed_over = closure if isinstance(closure, dict) else {}
    yield from differences_of(asked.get("closure", {}), closed_over, run_names, "closed-over ")


def _code_difference(changed: Sequence[str]) -> str:
    return f"the code changed: {', '.join(changed)}"


def _renamed(mine: str | None, theirs: str | None) -> str:
    if mine is None:
        return f"recorded by the function {theirs}, not as a plain run"
    if theirs is None:
        return "recorded as a plain run of the store, not by this function"
    return f"function renamed: was {theirs}"
