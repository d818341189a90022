"""Whether the defaults of a function's parameters are still those that its recorded runs had."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from .. import errors
from .._code import Codebook
from .._fs import warn


class DefaultsWatch:
    """
    The defaults of a function's parameters, held against those that its recorded runs had.

    Args:
        function_name: For messages.
        defaults: The defaults of today, as texts by parameter name.
        codebook: Where earlier ones are kept.
        count_runs: How many recorded runs have this value (as text) of a parameter.
    """

    def __init__(
        self,
        function_name: str,
        defaults: Mapping[str, str],
        codebook: Codebook,
        count_runs: Callable[[str, str], int],
    ) -> None:
        self._function_name = function_name
        self._defaults = defaults
        self._codebook = codebook
        self._count_runs = count_runs
        self._earlier: dict[str, list[str]] | None = None
        self._are_kept = False

    def notice(self, left_out: Callable[[], set[str]]) -> None:
        """Say once of each parameter that a call leaves out, if its default is not what it was in recorded runs."""
        if not self._defaults:
            return
        if self._earlier is None:
            self._earlier = self._look_back()
        if self._earlier:
            for name in sorted(left_out() & self._earlier.keys()):
                self._say(name, self._earlier[name])
                del self._earlier[name]

    def keep(self) -> None:
        """Note down the defaults of today once a run has been made with them, and nothing is left to say of them."""
        if self._defaults and not self._earlier and not self._are_kept:
            self._are_kept = True
            self._codebook.keep_defaults(self._function_name, self._defaults)

    def _look_back(self) -> dict[str, list[str]]:
        known = self._codebook.defaults(self._function_name)
        if self._defaults in known:
            return {}
        changed: dict[str, list[str]] = {}
        for name, text in self._defaults.items():
            earlier = dict.fromkeys(one[name] for one in known if one.get(name, text) != text)
            if earlier:
                changed[name] = list(earlier)
        return changed

    def _say(self, name: str, earlier: list[str]) -> None:
        for text in earlier:
            count = self._count_runs(name, text)
            if count:
                runs = "1 recorded run has" if count == 1 else f"{count} recorded runs have"
                now, then = _shown(self._defaults[name]), _shown(text)
                warn(
                    f"The default of {name} in {self._function_name} is {now} now and was {then}, which {runs}: "
                    f"calls without {name} are new points. Pass {name}={then} for the recorded ones.",
                    errors.ChangedDefaultWarning,
                )


def _shown(text: str) -> str:
    return repr(json.loads(text))
