"""Whether a function has been renamed or moved: runs that are missing may be there under the name it had before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .._code import Fingerprint
from .._engine import RunCache, StalenessPolicy, agrees, is_known
from .._fs import warn
from .._record import RunRecord
from ..errors import RenamedFunctionWarning
from ..hashing import Identity, Key, key_of

if TYPE_CHECKING:
    from ._evolution import Evolution


class RenameWatch:
    """
    Looks, when a point is missing, for a run of it by the same code under another name; says so once.

    What is kept of today's code tells which names it had, so a miss of a function that had no other costs next to
    nothing, however many runs are recorded; any other one more look-up by hash.

    Args:
        engine: Where runs are recorded.
        name: The function's name.
        evolution: How its parameters, and its names, have changed, if they have.
    """

    def __init__(self, engine: RunCache, name: str, evolution: Evolution | None) -> None:
        self._engine = engine
        self._name = name
        self._evolution = evolution
        self._declared = () if evolution is None else evolution.former_names
        self._code: Fingerprint | None = None
        self._names: list[str] = []
        self._has_told = False

    def notice(self, key: Key, policy: StalenessPolicy) -> None:
        """Say that a missing point is recorded under another name, if it is."""
        if self._has_told:
            return
        code = policy.code_now()
        if self._code is not code:
            self._code, self._names = code, self._undeclared(policy.former_names())
        for name in self._names:
            record = self._run_of(name, key)
            if record is not None:
                self._has_told = True
                declared = [*self._declared, *self._names]
                warn(RenamedFunctionWarning(self._name, name, record.created_at, declared), RenamedFunctionWarning)
                return

    def _undeclared(self, names: list[str]) -> list[str]:
        """Names that no function goes by today: two of equal code may well stand side by side."""
        others = [name for name in names if name not in self._declared]
        return [name for name in others if not is_known(name, self._engine.settings.results_dir)]

    def _run_of(self, name: str, key: Key) -> RunRecord | None:
        identity = Identity.of({**key.identity.fields, "function": name})
        for form in self._forms(key, identity):
            record = self._engine.index.peek(form.params_hash)
            if record is not None and agrees(record, form):
                return record
        return None

    def _forms(self, key: Key, identity: Identity) -> Iterator[Key]:
        older = () if self._evolution is None else self._evolution.older(key.params)
        return (key_of(params, identity) for params in (key.params, *older))
