"""
One piece of code on its own: what it is called, what its bytecode says, and what its source says if that can be told.

The source is read only when it is asked for: a hit on a run that was made by this Python needs none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from .._fs import NamedTuple

DIGITS = 16

ITSELF = "the function itself"
"""The part of a decorated function that is its own, in words."""

ARGUMENT = "argument "
"""Before the label of code that an argument brings along."""

SAVE = "save="
"""The label of what writes the value that the function returns."""

RESULT = "result of "
"""Before the name of a cached function of which a run has used a result by earlier code."""

EDITED = "edited in the run: "
"""Before the name of a module that was edited during the run that loaded it."""

IMPORT = "import "
"""Before what an import in the body of a function leads to, as it is loaded."""

SOURCE = "source of "
"""Before what it leads to by the source of a module."""

Edges = dict[str, "int | str"]
"""By what a piece of code calls it: the number of the part that a name leads to, or what else it is bound to."""


class Text(NamedTuple):
    """
    What the source of a part says.

    Attributes:
        syntax: Digest of its meaning, without layout, comments, docstrings, annotations, and what only tells.
        source: The text itself.
        quiet: Names that it reads only to tell about its progress.
        legacy: Finds the digest that the first format of fingerprints has; nothing if it has none.
    """

    syntax: str
    source: str
    quiet: frozenset[str]
    legacy: Callable[[], str]


NO_TEXT = Text("", "", frozenset(), str)


class Output:
    """
    Whether statements that only log, print or warn count in all that is reached: somebody there may catch it.

    Attributes:
        counts: So far.
    """

    def __init__(self, counts: bool) -> None:
        self.counts = counts


class Part:
    """
    One piece of what a function is made of.

    Attributes:
        kind: ``itself``, ``helper``, ``method``, ``class``, ``constant`` or ``module``.
        name: Its name, with its class.
        file: The name of the file it is in; empty for what was typed in.
        bytecode: Digest of what it does: of functions for one version of Python, of values for all.
        edges: What the names in it lead to.
        assigned: Digest of the statement that made it, of a value that shows nothing of how it was made.
        other: Another digest that it may have been recorded with, of a wrapper: with what the source says of it, or
            without, as where none is seen; not kept.
    """

    __slots__ = ("_read", "_text", "assigned", "bytecode", "edges", "file", "kind", "name", "other")

    def __init__(
        self,
        kind: str,
        name: str,
        file: str,
        bytecode: str,
        edges: Edges | None = None,
        read: Callable[[], Text] | None = None,
        text: Text | None = None,
    ) -> None:
        self.kind = kind
        self.name = name
        self.file = file
        self.bytecode = bytecode
        self.edges: Edges = edges if edges is not None else {}
        self.assigned = self.other = ""
        self._read = read
        self._text = text

    def __repr__(self) -> str:
        return f"Part({self.kind!r}, {self.name!r}, {self.file!r})"

    def __str__(self) -> str:
        if self.kind == "itself":
            return ITSELF
        return f"{self.kind} `{self.name}`" + (f" in {self.file}" if self.file else "")

    @property
    def text(self) -> Text:
        """What its source says; nothing where that is not proven to be the source of what runs."""
        if self._text is None:
            self._text = self._read() if self._read is not None else NO_TEXT
            self._read = None
        return self._text

    def content(self) -> str:
        """What compares best across processes: what its source says, or else what its bytecode does."""
        return (self.text.syntax or self.bytecode) + self.assigned

    def to_dict(self) -> dict[str, Any]:
        """As it is kept."""
        fields: dict[str, Any] = {"kind": self.kind, "name": self.name, "file": self.file, "bytecode": self.bytecode}
        text = self.text
        told = {
            "assigned": self.assigned,
            "syntax": text.syntax,
            "source": text.source,
            "quiet": sorted(text.quiet),
            "edges": self.edges,
        }
        return {**fields, **{name: value for name, value in told.items() if value}}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Part:
        """
        As it was kept.

        Raises:
            KeyError: Something is missing.
            TypeError: Something is of another kind.
        """
        quiet = frozenset(map(str, fields.get("quiet", ())))
        text = Text(str(fields.get("syntax", "")), str(fields.get("source", "")), quiet, str)
        edges = {
            str(label): one if isinstance(one, int) else str(one) for label, one in fields.get("edges", {}).items()
        }
        kind, name, file, bytecode = (str(fields[one]) for one in ("kind", "name", "file", "bytecode"))
        part = cls(kind, name, file, bytecode, edges, text=text)
        part.assigned = str(fields.get("assigned", ""))
        return part


def digest_of(text: str) -> str:
    """Sixteen hex digits for a text."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:DIGITS]


def is_fingerprint(text: str) -> bool:
    """Whether a text has the form of a recorded fingerprint. Any other might lead a path elsewhere."""
    return re.fullmatch(r"[0-9A-Za-z-]{1,64}", text) is not None
