"""
How the parameters of a function have changed over the years, and so in which older forms a point may be recorded.

Declared by the user: a parameter was *added* (old runs implicitly had one value of it), *renamed*, or *removed* (its
value had become a constant); or, by a dotted name, a field of a parameter was. Each declared change may or may not have
been made when a run was recorded, so a point has as many older forms as there are combinations that apply to it.

Why no wrong run is found
    `Evolution.today` brings any recorded form to the one form it has today, or to none. It is a function, so a recorded
    run belongs to one point at most; and the older forms of a point are those, and only those, that it brings back to
    that point.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._engine import FIELDS, has_own_key, identity_of
from .._fs import NamedTuple
from .._record import RunRecord, with_params
from ..hashing import Identity, Key, canonical, decode_params, key_of, normalize_at
from ._nested import ABSENT, container, found, moved, put, without

_MOST_CHANGES = 10
_EXAMPLES = {"added": {"method": "rk4"}, "renamed": {"h": "dt"}, "removed": {"verbose": False}}


class _Story(NamedTuple):
    """
    What has become of one parameter.

    Attributes:
        name: Its name today, or the last one it had.
        former: The names it had before.
        is_removed: It is no parameter any more.
        has_value: A value is declared: the one that runs without the parameter had.
        value: That value, normalised.
        text: Its canonical form.
    """

    name: str
    former: tuple[str, ...]
    is_removed: bool
    has_value: bool
    value: Any
    text: str

    def forms(self, params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """How a point of today may stand in a record, as far as this parameter goes; today's form is the first one."""
        if self.is_removed:
            names = [name for name in (self.name, *self.former) if container(params, name) is not None]
            return [params, *(put(params, name, self.value) for name in names)]
        value = found(params, self.name)
        if value is ABSENT:
            return [params]
        names = [name for name in self.former if container(params, name) is not None]
        forms = [params, *(moved(params, self.name, name) for name in names)]
        return [*forms, without(params, self.name)] if self.has_value and canonical(value) == self.text else forms

    def today(self, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Recorded params with this parameter as it is today; None if no call of today means them."""
        present = [name for name in (self.name, *self.former) if found(params, name) is not ABSENT]
        if len(present) > 1:
            return None
        if self.is_removed:
            if not present:
                return params
            return without(params, present[0]) if canonical(found(params, present[0])) == self.text else None
        if present:
            return params if present[0] == self.name else moved(params, present[0], self.name)
        return self._added(params) if self.has_value else params

    def _added(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        # Where there is no such mapping, such as a configuration of None, its fields are none of its.
        return params if container(params, self.name) is None else put(params, self.name, self.value)


def _forms(params: Mapping[str, Any], stories: Sequence[_Story]) -> Iterator[Mapping[str, Any]]:
    """All combinations of the forms that parameters may have, each made when it is asked for."""
    if not stories:
        yield params
        return
    for form in stories[0].forms(params):
        yield from _forms(form, stories[1:])


class Evolution:
    """
    The changes declared for one function.

    Args:
        function_name: For error messages.
        added: Parameters of today, and the values that runs recorded before implicitly had.
        renamed: Former names of parameters, and the names that took their place.
        removed: Parameters of the past, and the values that calls of today stand for.
        names: The parameters of today that take part in the key.
        takes_more: Whether the function takes parameters of any name.
        former_names: Names that the function itself had in the keys of recorded runs.

    Attributes:
        former_names: As given.
        text: All that is declared of parameters; equal for equal declarations, and empty if nothing is.

    Raises:
        TypeError: What was declared does not fit the function, or contradicts itself.
    """

    def __init__(
        self,
        function_name: str,
        added: Mapping[str, Any],
        renamed: Mapping[str, str],
        removed: Mapping[str, Any],
        names: Collection[str],
        *,
        takes_more: bool,
        former_names: Sequence[str] = (),
    ) -> None:
        self._function_name = function_name
        self.former_names = self._checked_names(former_names)
        for word, changes in (("added", added), ("renamed", renamed), ("removed", removed)):
            self._require_mapping(word, changes, str if word == "renamed" else object)
        if len(added) + len(renamed) + len(removed) > _MOST_CHANGES:
            self._refuse(f"more than {_MOST_CHANGES} changes are declared. Rewrite the old runs with migrate() first")
        self._require_gone({**renamed, **removed}, names)
        last = {name: self._last_name(name, renamed) for name in (*added, *renamed, *removed)}
        self._require_there({name: last[name] for name in (*added, *renamed)}, names, removed, takes_more=takes_more)
        self._require_one_meaning(added, renamed, removed, last)
        self._completes = {last[name]: value for name, value in added.items() if takes_more or "." in last[name]}
        self._gone = {**{name: f"renamed to {last[name]!r}" for name in renamed}, **dict.fromkeys(removed, "removed")}
        values = {
            last[name]: normalize_at(f"{word}[{name!r}]", value)
            for word, declared in (("added", added), ("removed", removed))
            for name, value in declared.items()
        }
        self._stories = [
            _Story(
                name=name,
                former=tuple(old for old in reversed([*renamed]) if last[old] == name and old != name),
                is_removed=name in removed,
                has_value=name in values,
                value=values.get(name),
                text=canonical(values.get(name)),
            )
            for name in dict.fromkeys(last.values())
        ]
        stories = [[one.name, list(one.former), one.is_removed, one.has_value, one.text] for one in self._stories]
        of_fields = any("." in name for one in self._stories for name in (one.name, *one.former))
        self.text = f"{FIELDS if of_fields else ''}{canonical(stories)}" if stories else ""

    def __repr__(self) -> str:
        return f"Evolution({self.text})"

    def __str__(self) -> str:
        return self.text

    def completed(self, params: dict[str, Any]) -> dict[str, Any]:
        """
        The params of a call as those of today, where any name can be given: what was added is there.

        So it is for functions that take any name, and in configurations that are plain mappings.

        Raises:
            TypeError: A call with a parameter that is declared to be gone.
        """
        gone = next((name for name in self._gone if found(params, name) is not ABSENT), None)
        if gone is not None:
            raise TypeError(
                f"{self._function_name}() got the parameter {gone!r}, which cached() declares to be {self._gone[gone]}"
            )
        for name, value in self._completes.items():
            if found(params, name) is ABSENT and container(params, name) is not None:
                params = put(params, name, value)
        return params

    def __call__(self, key: Key) -> Iterator[Key]:
        """The keys under which a point may have been recorded before, each made when it is asked for."""
        yield from (key_of(params, key.identity) for params in self.older(key.params))
        for name in self.former_names:
            identity = Identity.of({**key.identity.fields, "function": name})
            yield from (key_of(params, identity) for params in (key.params, *self.older(key.params)))

    def older(self, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """
        The older forms of a point.

        Example:
            >>> grown = Evolution("f", {"method": "rk4"}, {"h": "dt"}, {}, ["dt", "method"], takes_more=False)
            >>> list(grown.older({"dt": 0.1, "method": "rk4"}))
            [{'h': 0.1, 'method': 'rk4'}, {'dt': 0.1}, {'h': 0.1}]
            >>> list(grown.older({"dt": 0.1, "method": "euler"}))
            [{'h': 0.1, 'method': 'euler'}]
        """
        forms = _forms(params, self._stories)
        next(forms)  # today's
        yield from map(dict, forms)

    def oldest(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The form of a point before any of the changes that apply to it: what it has had from the beginning."""
        oldest = params
        for oldest in self.older(params):  # noqa: B007  # the last one
            pass
        return oldest

    def today(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """
        Recorded params in their form of today; None if no call of today means this run.

        Example:
            >>> grown = Evolution("f", {"m": 4}, {"h": "dt"}, {"quiet": True}, ["dt", "m"], takes_more=False)
            >>> grown.today({"h": 0.1, "quiet": True})
            {'dt': 0.1, 'm': 4}
            >>> grown.today({"h": 0.1, "quiet": False}) is None
            True
        """
        form = params
        for story in self._stories:
            later = story.today(form)
            if later is None:
                return None
            form = later
        return dict(form)

    def names_of_today(self, names: Collection[str]) -> frozenset[str]:
        """What parameters and their fields, by the names of some time, are called today."""
        today = set(names)
        for story in self._stories:
            was_there = not today.isdisjoint((story.name, *story.former))
            today -= {story.name, *story.former}
            if not story.is_removed and (was_there or story.has_value):
                today.add(story.name)
        return frozenset(today)

    # ---- records ------------------------------------------------------------------------------------------------

    def of_today(self, record: RunRecord) -> RunRecord:
        """A record with the params of the call that finds it; as it is, if none does."""
        params = self.today(record.params)
        return record if params is None else with_params(record, decode_params(params))

    def rewritten(self, records: Iterable[RunRecord], name: str) -> list[tuple[RunRecord, RunRecord]]:
        """Those of the records that have an older form or name, each with the one that is to take its place."""
        return [(record, twin) for record in records if (twin := self._rewritten(record, name)) is not None]

    def _rewritten(self, record: RunRecord, name: str) -> RunRecord | None:
        params = self.today(record.params)
        is_of_today = record.provenance.get("function") == name and canonical(params) == canonical(record.params)
        if params is None or is_of_today or not has_own_key(record):
            return None  # no call finds it, or one does already
        return rekeyed(record, params, name)

    # ---- what can be declared ---------------------------------------------------------------------------------------

    def _checked_names(self, names: Sequence[str]) -> tuple[str, ...]:
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            self._refuse(f"former_names={names!r} must be a tuple of texts, such as ('study.simulate',)")
        return tuple(names)

    def _require_mapping(self, word: str, changes: Any, kind: type) -> None:
        if not isinstance(changes, Mapping) or not all(
            isinstance(name, str) and isinstance(value, kind) for name, value in changes.items()
        ):
            self._refuse(f"{word}={changes!r} must be a mapping such as {_EXAMPLES[word]}")

    def _require_gone(self, gone: Mapping[str, Any], names: Collection[str]) -> None:
        for name in gone:
            if name in names:
                self._refuse(f"{name!r} is declared to be renamed or removed, and is a parameter of it. Take one away")

    def _require_there(
        self, last: Mapping[str, str], names: Collection[str], removed: Mapping[str, Any], *, takes_more: bool
    ) -> None:
        for name, end in last.items():
            is_field = "." in end and end.partition(".")[0] in names
            if end not in names and end not in removed and not takes_more and not is_field:
                told = f"{name!r}" if name == end else f"{name!r} becomes {end!r}, which"
                has = ", ".join(map(repr, names)) or "none"
                self._refuse(f"{told} is no parameter of it that takes part in the key. It has {has}")

    def _require_one_meaning(
        self,
        added: Mapping[str, Any],
        renamed: Mapping[str, str],
        removed: Mapping[str, Any],
        last: Mapping[str, str],
    ) -> None:
        for name in removed:
            if name in renamed:
                self._refuse(f"{name!r} is declared both renamed and removed. Choose one")
        seen: dict[str, str] = {}
        for name in added:
            end = last[name]
            if end in removed:
                self._refuse(f"{name!r} is declared both added and removed. Say only removed, with its value")
            if end in seen:
                self._refuse(f"{name!r} and {seen[end]!r} are one parameter, and both declared added. Choose one")
            seen[end] = name

    def _last_name(self, name: str, renamed: Mapping[str, str]) -> str:
        seen = [name]
        while seen[-1] in renamed:
            seen.append(renamed[seen[-1]])
            if seen[-1] in seen[:-1]:
                self._refuse(f"renamed goes round in a circle: {' -> '.join(seen)}")
        return seen[-1]

    def _refuse(self, reason: str) -> None:
        raise TypeError(f"Cannot decorate {self._function_name}: {reason}.")


def rekeyed(record: RunRecord, params: dict[str, Any], name: str) -> RunRecord:
    """A record with other params, normalised ones, and another name of its function: under the key that these have."""
    key = key_of(params, Identity.of({**identity_of(record).fields, "function": name}))
    return RunRecord(
        params=decode_params(key.params),
        result_path=record.result_path,
        params_hash=key.params_hash,
        created_at=record.created_at,
        metadata=record.metadata,
        provenance={**record.provenance, "function": name},
    )
