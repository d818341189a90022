"""The code behind a function: a fingerprint of what it says and of all of the user's own code that it reaches."""

from typing import TYPE_CHECKING

from ._arguments import code_in, found_again
from ._bytecode import code_digest, layers_of
from ._comparison import Change, diff_of
from ._fingerprint import Code, Fingerprint
from ._history import Codebook, is_fingerprint
from ._ownership import EVERYTHING_OWN, Ownership
from ._units import ITSELF, Part

if TYPE_CHECKING:
    from ._provenance import Meter, circumstances

__all__ = [
    "EVERYTHING_OWN",
    "ITSELF",
    "Change",
    "Code",
    "Codebook",
    "Fingerprint",
    "Meter",
    "Ownership",
    "Part",
    "circumstances",
    "code_digest",
    "code_in",
    "diff_of",
    "found_again",
    "is_fingerprint",
    "layers_of",
]


def __getattr__(name: str) -> object:
    # A hit records nothing, so it does not load what finds out where and at what cost a run was made.
    if name not in ("Meter", "circumstances"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _provenance

    return getattr(_provenance, name)
