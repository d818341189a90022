"""Places that results come from: object stores, and stores that are fallen back on."""

from ._base import Declared, EntropicError


class RemoteUnavailableError(EntropicError, ConnectionError):
    """
    An object store does not answer, or refuses, after several attempts. A finished result is kept here.

    Attributes:
        what: What could not be done.
        place: The object, or the prefix.
        reason: The answer.
    """

    what: str
    place: str
    reason: str
    _template = "Cannot {what} at {place!r}: {reason}"


class OtherRemoteError(EntropicError, OSError):
    """
    A prefix in an object store belongs to another store. Nothing has run.

    Give each store a prefix of its own, or the one that its index belongs to.

    Attributes:
        url: The prefix.
        found: The identity of the store that it belongs to.
        wanted: The identity that the index, or the results folder, has.
    """

    url: str
    found: str
    wanted: str
    _template = (
        "Cannot use {url!r}: it belongs to the store {found}, and the index or the results folder to {wanted}. Nothing "
        "has run. Give each store a prefix of its own."
    )


class RemoteResultWarning(Declared, UserWarning):
    """
    A result in an object store is gone, or is not what was stored: its record does not answer, and the point runs.

    Attributes:
        url: The prefix.
        reason: What is wrong with it.
    """

    url: str
    reason: str
    _template = "A recorded result in {url!r} cannot be used, and its point runs again: {reason}"


class FallbackWarning(Declared, UserWarning):
    """
    A store that is fallen back on cannot be read, or a result in it cannot be used; given once for each reason.

    It does not answer: the next one is asked, and if none has an answer, the point runs.

    Attributes:
        results_dir: The results folder of the other store.
        reason: What is wrong with it.
    """

    results_dir: str
    reason: str
    _template = "Cannot use the fallback store with results in {results_dir!r}, so it is passed over: {reason}"
