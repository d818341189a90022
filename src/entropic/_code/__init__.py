"""The code behind a function: a fingerprint of what it says and of all of the user's own code that it reaches."""

from ._arguments import code_in, found_again
from ._bytecode import code_digest, layers_of
from ._comparison import Change, diff_of
from ._fingerprint import Code, Fingerprint
from ._history import Codebook
from ._ownership import EVERYTHING_OWN, Ownership
from ._units import ITSELF, Part

__all__ = [
    "EVERYTHING_OWN",
    "ITSELF",
    "Change",
    "Code",
    "Codebook",
    "Fingerprint",
    "Ownership",
    "Part",
    "code_digest",
    "code_in",
    "diff_of",
    "found_again",
    "layers_of",
]
