"""The code behind a function: a fingerprint of what it says and of all of the user's own code that it reaches."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._accepted import AcceptedCodes
    from ._arguments import code_in, found_again
    from ._bytecode import code_digest, layers_of
    from ._comparison import Change, diff_of, is_of_a_class
    from ._environment import environment
    from ._fingerprint import Code, Fingerprint
    from ._foreign import ForeignCodebook
    from ._graph import Unloaded
    from ._history import Codebook
    from ._ownership import EVERYTHING_OWN, Ownership, project_of
    from ._provenance import Meter, circumstances
    from ._run_notes import RunNotes
    from ._shared import SharedCodebook, SharedRunNotes
    from ._units import ITSELF, Part, is_fingerprint

__all__ = [
    "EVERYTHING_OWN",
    "ITSELF",
    "AcceptedCodes",
    "Change",
    "Code",
    "Codebook",
    "Fingerprint",
    "ForeignCodebook",
    "Meter",
    "Ownership",
    "Part",
    "RunNotes",
    "SharedCodebook",
    "SharedRunNotes",
    "Unloaded",
    "circumstances",
    "code_digest",
    "code_in",
    "diff_of",
    "environment",
    "found_again",
    "is_fingerprint",
    "is_of_a_class",
    "layers_of",
    "project_of",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_accepted": "AcceptedCodes",
        "_arguments": "code_in found_again",
        "_bytecode": "code_digest layers_of",
        "_comparison": "Change diff_of is_of_a_class",
        "_environment": "environment",
        "_fingerprint": "Code Fingerprint",
        "_graph": "Unloaded",
        "_foreign": "ForeignCodebook",
        "_history": "Codebook",
        "_ownership": "EVERYTHING_OWN Ownership project_of",
        "_provenance": "Meter circumstances",
        "_run_notes": "RunNotes",
        "_shared": "SharedCodebook SharedRunNotes",
        "_units": "ITSELF Part is_fingerprint",
    },
)
