"""
Two fingerprints held against each other, part by part: what runs now, and what a recorded run was made with.

Like is compared with like. Bytecode of one version of Python is compared with that of the same, what sources say with
what sources say; a part of which neither can be compared counts as changed.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from .._fs import NamedTuple
from ._fingerprint import Fingerprint
from ._units import EDITED, IMPORT, ITSELF, RESULT, SAVE, SOURCE, Part

UNKNOWN = "its code (which part is not known: what was noted of it is missing)"
_LONGEST_DIFF = 60
_WIDTH = 78  # and two more where a diff is told with other things


class Change(NamedTuple):
    """
    One part that differs.

    Attributes:
        name: What it is, in words.
        before: The part as it was, if there was one.
        after: The part as it is, if there is one.
    """

    name: str
    before: Part | None
    after: Part | None


class LegacyPart(NamedTuple):
    """A part of a fingerprint in the first format: what was reached, and not by which name."""

    kind: str
    name: str
    file: str
    digest: str
    source: str


def changes(old_fingerprint: Fingerprint, new_fingerprint: Fingerprint) -> list[Change]:
    """
    The parts that differ, followed from the function itself along names that both have; none if all is the same.

    The function itself comes first, the others in the order of their names.
    """
    walk = _Walk(old_fingerprint, new_fingerprint)
    walk.follow()
    ordered = sorted(walk.found)
    return [walk.found[name] for name in sorted(ordered, key=lambda name: name != ITSELF)]


class _Walk:
    """
    From the two functions along the names that both have, part by part.

    Attributes:
        found: What differs, by its name.
    """

    def __init__(self, old_fingerprint: Fingerprint, new_fingerprint: Fingerprint) -> None:
        self._before, self._after = old_fingerprint.parts, new_fingerprint.parts
        self._is_other_python = mark_of(old_fingerprint.bytecode) != mark_of(new_fingerprint.bytecode)
        self._left: list[tuple[int, int]] = [(0, 0)] if self._before and self._after else []
        self._known = set(self._left)
        self.found: dict[str, Change] = {}

    def follow(self) -> None:
        """Compare what is reached, to the end."""
        while self._left:
            old_number, new_number = self._left.pop()
            self._compare(self._before[old_number], self._after[new_number])

    def _compare(self, old: Part, new: Part) -> None:
        is_same = _are_same(old, new, self._is_other_python)
        if not is_same:
            self._note(_difference(old, new), old, new)
        is_import = _imports_compared(old, new)
        for label, was, now in _shared_edges(old, new):
            if is_import(label):
                self._go_along(label, was, now)
        for label in sorted((old.edges.keys() ^ new.edges.keys()) - {SAVE}):  # fingerprints of earlier releases lack it
            self._compare_unshared(label, old, new, counts=is_same and is_import(label))

    def _go_along(self, label: str, was: int | str, now: int | str) -> None:
        """Compare what a name that both have leads to."""
        if not isinstance(was, int) or not isinstance(now, int):
            if was != now:
                self._note_rebound(label, was, now)
        elif (was, now) not in self._known:
            self._known.add((was, now))
            self._left.append((was, now))

    def _compare_unshared(self, label: str, old: Part, new: Part, *, counts: bool) -> None:
        """Judge a name that only one of two parts has; whether it *counts* if it is no more than that."""
        if label.startswith(RESULT):
            self._note(f"a {label.replace(RESULT, 'result of `')}` by earlier code, which it has used", old, new)
        elif label.startswith(EDITED):
            module = label.removeprefix(EDITED)
            self._note(f"module `{module}`, which was edited during the run that loaded it", old, new)
        elif _is_made_of(label, old):
            self._note(_difference(old, new), old, new)
        elif counts and not self._is_other_python and label not in old.text.quiet | new.text.quiet:
            # The same name means something of the user's here, and nothing that counts there.
            self._note_rebound(label, old.edges.get(label, ""), new.edges.get(label, ""))

    def _note(self, name: str, old: Part | None, new: Part | None) -> None:
        self.found.setdefault(name, Change(name, old, new))

    def _note_rebound(self, label: str, was: int | str, now: int | str) -> None:
        old = self._before[was] if isinstance(was, int) else None
        new = self._after[now] if isinstance(now, int) else None
        self._note(_rebound(label.rpartition(" ")[2] or label, old, new), old, new)


def _shared_edges(old: Part, new: Part) -> Iterator[tuple[str, int | str, int | str]]:
    quiet = old.text.quiet & new.text.quiet
    for label in sorted(old.edges.keys() & new.edges.keys() - quiet):
        yield label, old.edges[label], new.edges[label]


def _imports_compared(old: Part, new: Part) -> Callable[[str], bool]:
    """
    Which labels are to be compared: of imports in a body, what was loaded on both sides, and else what is by source.

    What is only loaded, since it is not what its source says, is comparable with nothing but its like.
    """
    shared = old.edges.keys() & new.edges.keys()
    loaded = {label.removeprefix(IMPORT) for label in shared if label.startswith(IMPORT)}

    def is_compared(label: str) -> bool:
        if label.startswith(IMPORT):
            what = label.removeprefix(IMPORT)
            return what in loaded or not _has_source(what, shared)
        if label.startswith(SOURCE):
            return label.removeprefix(SOURCE).partition(" ")[0] not in loaded
        return True

    return is_compared


def _has_source(what: str, labels: Collection[str]) -> bool:
    return any(label.startswith(f"{SOURCE}{what} ") for label in labels)


def _is_made_of(label: str, old: Part) -> bool:
    """Whether what only one of two parts has is more than a name in its code: a member, a default, a wrapper."""
    if old.kind in ("class", "constant"):
        return not label.startswith((IMPORT, SOURCE))  # of the modules that texts name
    return label.startswith(("default of ", "attribute ", "wrapper ", "argument "))


def _are_same(old: Part, new: Part, is_other_python: bool) -> bool:
    if old.name != new.name or _kind(old) != _kind(new):
        return False
    if old.assigned != new.assigned and old.assigned and new.assigned:
        return False
    if old.bytecode in (new.bytecode, new.other):
        return True
    # What a class holds is compared name by name; what it says besides may be told otherwise by another Python.
    by_syntax = old.bytecode.startswith("py") or (old.kind == "class" and is_other_python)
    return by_syntax and bool(old.text.syntax) and old.text.syntax == new.text.syntax


def mark_of(bytecode: str) -> str:
    """The version of Python that a digest of bytecode is of."""
    return bytecode.partition("-")[0]


def _kind(part: Part) -> str:
    return "helper" if part.kind == "method" else part.kind


def _difference(old: Part, new: Part) -> str:
    if (old.kind, old.name) == (new.kind, new.name) or new.kind == "itself":
        return f"{new}{_cannot_be_compared(old, new)}"
    return f"{new} in the place of {old}"


def _cannot_be_compared(old: Part, new: Part) -> str:
    is_other_python = mark_of(old.bytecode) != mark_of(new.bytecode)
    if not is_other_python or (old.text.syntax and new.text.syntax):
        return ""
    return " (which cannot be compared: it was run by another Python, and its source is not proven)"


def _rebound(name: str, old: Part | None, new: Part | None) -> str:
    """That a name means something else now, in words."""
    if new is not None:
        return f"{new}" if old is None and new.kind == "constant" else f"name `{name}`, now {new}"
    return f"name `{name}`" if old is None else f"name `{name}`, which was {old}"


# ---- in words -------------------------------------------------------------------------------------------------------


def diff_of(changed: Sequence[Change], longest: int | None = _LONGEST_DIFF) -> str:
    """A unified diff of what changed, from the texts that are known, in lines that fit a terminal."""
    lines: list[str] = []
    for change in changed:
        old = change.before.text.source if change.before is not None else ""
        new = change.after.text.source if change.after is not None else ""
        if old != new and (old or new):
            lines += _unified(old, new, change.after or change.before)
    if longest is not None and len(lines) > longest:
        lines[longest:] = [f"... and {len(lines) - longest} lines more"]
    return "\n".join(lines)


def _unified(old: str, new: str, part: Part | None) -> list[str]:
    name = f"{part.file or 'typed in'}: {part.name or ITSELF}" if part is not None else ""
    compared = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"{name} (recorded)", f"{name} (now)", lineterm="", n=2
    )
    return [folded for line in compared for folded in _folded(line.rstrip("\n"))]


def _folded(line: str) -> list[str]:
    """
    A line of a diff as several that fit a terminal, each of which begins with the sign of the first.

    Example:
        >>> _folded("-" + "word " * 20)[1]
        '-    word word word word word'
    """
    if len(line) <= _WIDTH:
        return [line]
    sign, indent = line[:1], " " * (len(line) - 1 - len(line[1:].lstrip()))
    first = sign + (indent if len(indent) < _WIDTH // 2 else "")
    return textwrap.wrap(
        line[1:].strip(),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=f"{first}    ",
        replace_whitespace=False,
        expand_tabs=False,
        break_on_hyphens=False,
    )


# ---- the first format -----------------------------------------------------------------------------------------------


def legacy_changes(before: Sequence[LegacyPart], after: Sequence[Part]) -> list[Change]:
    """As `changes`, for a fingerprint in the first format: of what it knows, as far as that can be compared."""
    known: dict[tuple[str, str], list[Part]] = {}
    for part in after:
        known.setdefault((part.kind, part.name), []).append(part)
    found: dict[str, Change] = {}
    for old in before:
        same = known.get((old.kind, old.name), []) or known.get((_OTHER_KIND.get(old.kind, ""), old.name), [])
        if not any(_is_legacy_same(old, part) for part in same):
            name = str(Part(old.kind, old.name, old.file, ""))
            found.setdefault(name, Change(name, None, same[0] if same else None))
    return [found[name] for name in sorted(found, key=lambda name: (name != ITSELF, name))]


_OTHER_KIND: Mapping[str, str] = {"method": "helper", "helper": "method"}


def _is_legacy_same(old: LegacyPart, new: Part) -> bool:
    return bool(old.digest) and old.digest == new.text.legacy()


_MADE_OF_FIELDS = ("__match_args__", "__slots__", "__attrs_attrs__", "__dataclass_fields__")


def is_of_a_class(change: Change) -> bool:
    """Whether the fields of a class have changed, or what is made of them; its methods are parts of their own."""
    parts = [part for part in (change.before, change.after) if part is not None]
    if all(part.kind == "constant" and part.name.endswith(_MADE_OF_FIELDS) for part in parts):
        return True
    return len(parts) == 2 and all(part.kind == "class" for part in parts)
