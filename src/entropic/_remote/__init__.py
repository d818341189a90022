"""Results in an object store: made once, held against what is recorded of them, and fetched."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._bucket import Look
    from ._manifest import CannotFetchError
    from ._object_names import top_of
    from ._results import Piece, RemoteResults, Stored

__all__ = ["CannotFetchError", "Look", "Piece", "RemoteResults", "Stored", "top_of"]

__getattr__, __dir__ = door(
    __name__,
    {
        "_bucket": "Look",
        "_manifest": "CannotFetchError",
        "_object_names": "top_of",
        "_results": "Piece RemoteResults Stored",
    },
)
