"""Whatever has been declared: an older form of a point is found by that point, and by no other."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from entropic._function._evolution import Evolution
from entropic.hashing import canonical

VALUES = st.sampled_from([0, 1, 1.0, True, False, None, "a", 0.3, 0.1 + 0.2, float("nan"), [1], [1.0], {"a": 1}, ""])


class History(NamedTuple):
    """What was declared, the parameters of today, and for each parameter ever the names it had, the last one last."""

    evolution: Evolution
    names: list[str]
    stories: list[tuple[list[str], bool, bool, Any]]  # names, is removed, has a value, the value


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Some parameters, each with its story."""
    added: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    removed: dict[str, Any] = {}
    stories = []
    changes = 0
    for number in range(draw(st.integers(1, 4))):
        names = [f"p{number}{letter}" for letter in "abc"[: draw(st.integers(1, 3))]]
        is_removed, was_added, value = draw(st.booleans()), draw(st.booleans()), draw(VALUES)
        if changes + len(names) + 1 > 10:
            names, is_removed, was_added = names[:1], False, False
        changes += len(names) - 1 + (is_removed or was_added)
        renamed |= dict(itertools.pairwise(names))
        if is_removed:
            removed[names[-1]] = value
        elif was_added:
            added[draw(st.sampled_from(names))] = value
        stories.append((names, is_removed, is_removed or was_added, value))
    today = [names[-1] for names, is_removed, _, _ in stories if not is_removed]
    return History(Evolution("f", added, renamed, removed, today, takes_more=False), today, stories)


def recorded_form(draw: st.DrawFn, history: History) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """A form that a run may be recorded in, and the point of today it belongs to, if any."""
    form: dict[str, Any] = {}
    point: dict[str, Any] | None = {}
    for names, is_removed, has_value, declared in history.stories:
        is_absent = has_value and draw(st.booleans())
        value = declared if is_absent else draw(st.one_of(VALUES, st.just(declared)))
        if not is_absent:
            form[draw(st.sampled_from(names))] = value
        if not is_removed and point is not None:
            point[names[-1]] = value
        elif is_removed and canonical(value) != canonical(declared):
            point = None
    return form, point


@given(history=histories(), data=st.data())
def test_a_point_finds_its_older_forms_and_no_others(history: History, data: st.DataObject) -> None:
    """The forms a call looks under are exactly those that mean its point."""
    form, point = recorded_form(data.draw, history)
    asked = {name: data.draw(st.one_of(VALUES, st.just((point or {}).get(name)))) for name in history.names}
    looked_under = {canonical(asked), *map(canonical, history.evolution.older(asked))}

    is_meant = point is not None and canonical(asked) == canonical(point)
    assert (canonical(form) in looked_under) == is_meant


@given(history=histories(), data=st.data())
def test_a_recorded_form_is_one_point(history: History, data: st.DataObject) -> None:
    """What a list shows is the point whose call finds the run."""
    form, point = recorded_form(data.draw, history)
    shown = history.evolution.today(form)

    assert canonical(shown) == canonical(point)
    if point is not None:
        assert canonical(history.evolution.today(point)) == canonical(point)


@given(history=histories(), data=st.data())
def test_no_form_is_looked_under_twice(history: History, data: st.DataObject) -> None:
    """A miss costs a look-up for each form, and not more."""
    asked = {name: data.draw(VALUES) for name in history.names}
    forms = [canonical(asked), *map(canonical, history.evolution.older(asked))]

    assert len(forms) == len(set(forms)) <= 1024
