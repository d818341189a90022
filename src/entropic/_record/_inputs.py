"""What a run was made from: the results of other runs among its parameters, as its record names them."""

from __future__ import annotations

from typing import Any

from .._fs import NamedTuple

_TEXTS = (
    "name",
    "function",
    "params_hash",
    "digest",
    "created_at",
    "result_path",
    "results_dir",
    "relative_dir",
    "store",
)


class RunInput(NamedTuple):
    """
    One result that a run was made from.

    Attributes:
        name: The parameter it came in by, and where in it, as ``mesh``, ``meshes[0]`` or ``case.mesh``.
        params_hash: The key of the run that made it, 16 hex digits.
        digest: The digest of its content, which is part of the key.
        function: The function that made it; empty for a plain run.
        created_at: When that run was recorded; empty if it is not known.
        result_path: Its path, relative to its results folder; absolute, if it lies in none.
        results_dir: That folder, where it was then.
        relative_dir: The same as seen from the results folder of the run that was made; so both may move together.
        store: The identity of that folder, by which it is known wherever it is now.
    """

    name: str
    params_hash: str
    digest: str
    function: str = ""
    created_at: str = ""
    result_path: str = ""
    results_dir: str = ""
    relative_dir: str = ""
    store: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.function or 'run'} {self.params_hash[:8]}"

    def to_dict(self) -> dict[str, str]:
        """Return what is known, as a record keeps it."""
        return {name: value for name, value in self._asdict().items() if value}


RunInput.__module__ = "entropic.reports"


def inputs_among(provenance: dict[str, Any]) -> tuple[RunInput, ...]:
    """The inputs that a provenance names; what is not of our form in it is passed over."""
    listed = provenance.get("inputs")
    entries = listed if isinstance(listed, list) else []
    return tuple(RunInput(**_texts(entry)) for entry in entries if _is_input(entry))


def inputs_text(inputs: tuple[RunInput, ...], most: int = 20) -> list[str]:
    """Some inputs, each as a short text; of many the first ones, and how many more there are."""
    more = [] if len(inputs) <= most else [f"and {len(inputs) - most} more"]
    return [*map(str, inputs[:most]), *more]


def _is_input(entry: Any) -> bool:
    needed = ("name", "params_hash", "digest")
    return isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in needed)


def _texts(entry: dict[str, Any]) -> dict[str, str]:
    return {name: entry[name] for name in _TEXTS if isinstance(entry.get(name), str)}
