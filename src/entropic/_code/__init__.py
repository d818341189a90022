"""The code behind a function: a fingerprint of what it says and of all of the user's own code that it reaches."""

from ._bytecode import code_digest, layers_of
from ._dependencies import ITSELF, Code, Fingerprint, Part, are_comparable
from ._history import Codebook, what_changed, what_surely_changed

__all__ = [
    "ITSELF",
    "Code",
    "Codebook",
    "Fingerprint",
    "Part",
    "are_comparable",
    "code_digest",
    "layers_of",
    "what_changed",
    "what_surely_changed",
]
