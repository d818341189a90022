"""The code behind a function: a fingerprint of what it says and of all of the user's own code that it reaches."""

from ._reach import ITSELF, Code, Fingerprint, Part, are_comparable

__all__ = ["ITSELF", "Code", "Fingerprint", "Part", "are_comparable"]
