"""Packages and systems: what is needed, and missing."""

from ._base import EntropicError


class MissingExtraError(EntropicError, ImportError):
    """
    A package that one feature needs is not installed. Install the extra that the message names.

    Attributes:
        what: What could not be done.
        package: The package.
        extra: The extra of entropic that brings it.
    """

    what: str
    package: str
    extra: str
    _template = '{what}: it needs {package}, which is not installed. Install it with pip install "entropic[{extra}]".'

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(what, package, extra)
        self.name = package


class UnsupportedSystemError(EntropicError, NotImplementedError):
    """
    A system on which files cannot be locked, such as Windows, so that no run could be kept from running twice.

    Use Linux or macOS; on Windows, the Windows Subsystem for Linux.

    Attributes:
        module: The module of the standard library that this Python lacks.
    """

    module: str
    _template = (
        "Cannot run or record anything: this Python has no {module!r} module, so files cannot be locked, and nothing "
        "has been run. Use Linux or macOS; on Windows, use the Windows Subsystem for Linux."
    )
