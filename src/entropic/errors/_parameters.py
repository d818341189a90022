"""Values that cannot be parameters, input files, and queries."""

from collections.abc import Sequence

from ._base import EntropicError


class ParameterError(EntropicError, ValueError):
    """
    A parameter that cannot take part in a key: a reserved name, a circular or too deeply nested value.

    Rename the parameter, or pass a simpler value, as the message says. Nothing has run.

    Attributes:
        place: Where in the params, such as ``"mesh['points'][2]"``; empty when the value itself was passed.
        reason: What is wrong with it, and what to do.
    """

    place: str
    reason: str
    _template = "Cannot use {_parameter}: {reason}"


class ParameterNameError(ParameterError, TypeError):
    """A parameter name that is not text; a `TypeError` as well as a `ValueError`. Use text names."""


class UnsupportedTypeError(EntropicError, TypeError):
    """
    A value of a type that has no normaliser, so that no key can be made of it.

    Register a normaliser with `entropic.normalize.register`, or pass a plain value that stands for it. Nothing has run.

    Attributes:
        place: Where in the params; empty when the value itself was passed.
        type_name: The importable name of its type.
        advice: A further hint, or an empty text.
    """

    place: str
    type_name: str
    advice: str = ""
    _template = "Cannot hash {_parameter}: no normaliser for {type_name}.{_advice} {_ways_out}"

    @property
    def _ways_out(self) -> str:
        if self.type_name == "object":
            return "One object() cannot be distinguished from another. Pass a plain value, such as a name."
        if self.type_name == "function":  # a normaliser for it would have to tell any two functions apart
            return "Or pass its name as text, and choose by it inside. See: entropic docs UnsupportedTypeError."
        return (
            f"Register one with entropic.normalize.register({self.type_name}, function), or pass a plain value such as "
            f"its file name. See: entropic docs UnsupportedTypeError."
        )


class NotAMappingError(UnsupportedTypeError):
    """
    Parameters, or a point of a sweep, that are not a mapping of names to values. Pass one, such as ``{"n": 100}``.

    Attributes:
        place: ``"params"`` or ``"point"``.
        type_name: The importable name of what was passed instead.
    """

    _template = "Cannot use a value of type {_kind} as {place}: pass a mapping of names to values, {{'n': 100}}."

    @property
    def _kind(self) -> str:
        return self.type_name.removeprefix("builtins.")


class InputFileError(EntropicError, FileNotFoundError):
    """
    An input file that is missing or cannot be read, so that no key can be made of its content.

    Check the path, and the folder it starts from. Nothing has run.

    Attributes:
        path: The file or folder, absolute; only its name if it comes from a record.
        reason: What is wrong with it, and what to do.
        place: The parameter it is the value of; empty when the value itself was passed.
    """

    path: str
    reason: str
    place: str = ""
    _template = "Cannot use the input file {path!r} as {_parameter}: {reason}"


PLACED = (UnsupportedTypeError, ParameterError, InputFileError)
"""What is raised of one value, and says where that is."""


class InputFileChangedError(EntropicError, RuntimeError):
    """
    An input file that changed, or was removed, while the run that reads it was under way.

    The result belongs to neither the old content nor the new one, so it is not recorded. Call again.

    Attributes:
        names: The input files of the run.
    """

    names: Sequence[str]
    _template = (
        "Cannot record the run: an input file ({_names}) changed after the call began, so the result cannot be "
        "recorded for the old content. Call again once nothing writes to it."
    )

    @property
    def _names(self) -> str:
        return ", ".join(map(repr, self.names))


class QueryTextError(EntropicError, ValueError):
    """
    A text is no query.

    Attributes:
        text: The text.
        position: At which of its letters it stops being one, counted from 1.
        reason: What is wrong there.
        advice: What to write instead, if that can be told.
    """

    text: str
    position: int
    reason: str
    advice: str = ""
    _template = "Cannot read the query {text!r}: at position {position}, {reason}.{_advice}"


class UnknownNameWarning(UserWarning):
    """
    A query, or an order, is by a name that no recorded run has, or for a kind of value that none has under that name.

    So a typo, or ``3.0`` where ``3`` is recorded, does not look like an empty result. Nothing is given on a store
    without runs.
    """

    __module__ = "entropic.errors"
