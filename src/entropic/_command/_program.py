"""One run of a program: its command line filled in, its output kept beside the result."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from .._current import STOPPED, inherited_descriptors, stopped
from .._fs import content_digest
from .._results import OUTPUT_ENDING
from ..errors import CommandError, ParameterError, ResultMissingError
from ..hashing import Identity, Key, decode_params, make_key, normalize
from ..query import has_name, look_up
from ._process import NotStarted, Program

RESULT_PATH = "result_path"
CHECKPOINT_DIR = "checkpoint_dir"
NAME_PREFIX = "$ "
NOT_STARTED = 126
NOT_FOUND = 127
_NEEDS_NO_QUOTES = re.compile(r"[\w@%+=:,./{}-]+", re.ASCII)


class Output(Protocol):
    """Where the output of a program is shown while it runs, such as ``sys.stderr.buffer``."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""
        ...

    def flush(self) -> object:
        """Show them."""
        ...


class Command:
    """
    What `command` returns: a runner that knows its own identity.

    Args:
        typed: Parameters as they were typed, by name. Where that is not how the value is written, the program gets what
            was typed, letter by letter, and it takes part in the key: ``1.10`` and ``1.1`` are two texts to a program.

    Attributes:
        arguments: The template, as it was given.
        name: The template as a shell would show it; the function name of its records.
        placeholders: The names in it.
    """

    def __init__(
        self,
        arguments: Sequence[str | os.PathLike[str]],
        *,
        version: Any = None,
        depends: Sequence[str | os.PathLike[str]] = (),
        output: Output | None = None,
        typed: Mapping[str, str] | None = None,
    ) -> None:
        for what, value in (("the command", arguments), ("depends", depends)):
            if isinstance(value, (str, bytes)):
                raise TypeError(f"Cannot use {value!r} as {what}: pass a list of texts; no shell takes it apart.")
        self.arguments = tuple(str(os.fspath(argument)) for argument in arguments)
        if not self.arguments:
            raise ValueError("Cannot use an empty command: it needs a program.")
        self.name = NAME_PREFIX + " ".join(map(_quoted, self.arguments))
        self.version = version
        self.depends = tuple(str(os.fspath(path)) for path in depends)
        self.output = output
        self.typed = dict(typed or {})
        self.placeholders = {name for argument in self.arguments for name in _placeholders(argument)}
        if _placeholders(self.arguments[0]):
            raise ValueError(f"Cannot use the command {self.name!r}: the program itself cannot be a placeholder.")
        if RESULT_PATH not in self.placeholders:
            raise ValueError(
                f"Cannot use the command {self.name!r}: it does not say where to write. Put {{result_path}} where the "
                f"program expects the name of its output file."
            )

    def __repr__(self) -> str:
        return f"command: {self.name.removeprefix(NAME_PREFIX)}"

    @property
    def __entropic_checkpoint__(self) -> bool:
        """Whether it takes a folder for checkpoints."""
        return CHECKPOINT_DIR in self.placeholders

    def __call__(self, params: Mapping[str, Any], result_path: Path, checkpoint_dir: Path | str = "") -> None:
        """
        Run the program, and wait for it.

        Raises:
            RunStopped: The program has stopped on request, as it says by its exit status 75.
            ParameterError: A placeholder without parameter, or a parameter without placeholder; nothing has run.
            CommandError: The program could not be started, or has failed.
            ResultMissingError: It has written nothing.
        """
        filled = self.fill(params, result_path, checkpoint_dir)
        log_path = result_path.with_name(result_path.name + OUTPUT_ENDING)
        with open(log_path, "xb") as log:
            status = _run(filled, result_path.parent, log, self.output)
        if status == STOPPED and self.__entropic_checkpoint__:
            raise stopped("run", f"so says the exit status {STOPPED} of {filled[0]!r}")
        if status:
            raise CommandError(filled[0], status)
        if not os.path.getsize(log_path):
            log_path.unlink()
        if all(name == log_path.name for name in os.listdir(result_path.parent)):
            reason = f"the program {filled[0]!r} wrote no result. It has to write to {{result_path}}."
            raise ResultMissingError(os.fspath(result_path), "Cannot record the run", reason)

    def __entropic_identity__(self) -> Identity:
        """What its keys cover besides the params: the template, and the content of what it depends on."""
        closure: dict[str, Any] = {}
        if self.depends:
            closure["depends"] = [_digest(path) for path in self.depends]  # the content, wherever it lies
        if self.typed:
            closure["typed"] = self.typed
        if self.version is None and os.path.dirname(self.arguments[0]):
            if not os.path.exists(self.arguments[0]):
                raise CommandError(self.arguments[0], NOT_FOUND, os.strerror(errno.ENOENT))
            closure[self.arguments[0]] = _digest(self.arguments[0])
        fields: dict[str, Any] = {"function": self.name}
        if self.version is not None:
            fields["version"] = normalize(self.version)
        if closure:
            fields["closure"] = closure
        return Identity.of(fields)

    def __entropic_files__(self, identity: Identity) -> list[tuple[str, str, str]]:
        """What is held still while it runs: place, path and digest of the files whose content is in its identity."""
        closure = identity.fields.get("closure", {})
        depends = zip(self.depends, closure.get("depends", ()), strict=False)
        named = [(f"depends[{place}]", path, digest) for place, (path, digest) in enumerate(depends)]
        named += [(path, path, closure[path]) for path in self.arguments[:1] if path in closure]
        return [(place, path, digest) for place, path, digest in named if digest is not None]

    def key(self, params: Mapping[str, Any]) -> Key:
        """
        The key of a point, for `Store.recall`.

        Raises:
            CommandError: The program, named by a path, is not there.
            ResultMissingError: What it depends on is not there.
        """
        return make_key(params, self.__entropic_identity__())

    def fill(
        self,
        params: Mapping[str, Any],
        result_path: str | os.PathLike[str],
        checkpoint_dir: str | os.PathLike[str] = "",
    ) -> list[str]:
        """
        The command line of one run.

        Raises:
            ParameterError: A placeholder without parameter, a parameter without placeholder, or a value that does not
                fit the format asked for.

        Example:
            >>> Command(["./solve", "--n={n:03d}", "{result_path}"]).fill({"n": 7}, "out.csv")
            ['./solve', '--n=007', 'out.csv']
        """
        given = decode_params({name: normalize(value) for name, value in params.items()})
        used = {name if name in given else name.partition(".")[0] for name in self.placeholders}
        for name in given:
            if name not in used:
                reason = f"the command has no placeholder {{{name}}}, so it could not change the result. Leave it out."
                raise ParameterError(name, reason)
        if CHECKPOINT_DIR in given:
            raise ParameterError(CHECKPOINT_DIR, "the program is given a folder by this name. Rename the parameter.")
        values = {**given, RESULT_PATH: os.fspath(result_path), CHECKPOINT_DIR: os.fspath(checkpoint_dir)}
        return [_filled(argument, values, self.typed) for argument in self.arguments]


Command.__module__ = "entropic.reports"


def _placeholders(argument: str) -> set[str]:
    """The names in an argument."""
    try:
        parts = list(string.Formatter().parse(argument))
    except ValueError as error:
        raise ValueError(f"Cannot use the argument {argument!r}: {error}. Write {{{{ and }}}} for braces.") from None
    names = set()
    for _, name, template, conversion in parts:
        if name is None:
            continue
        if not name or conversion or "{" in (template or ""):
            advice = "a placeholder is a name, or a name and a format such as {n:04d}. Write {{ and }} for braces."
            raise ValueError(f"Cannot use the argument {argument!r}: {advice}")
        names.add(name)
    return names


def _filled(argument: str, values: Mapping[str, Any], typed: Mapping[str, str]) -> str:
    """An argument with its placeholders filled in."""
    texts = []
    for literal, name, template, _ in string.Formatter().parse(argument):
        texts.append(literal)
        if name is None:
            continue
        if not has_name(values, name):
            raise ParameterError(name, f"the command has a placeholder {{{name}}}, and no such parameter was given.")
        value = look_up(values, name)
        try:
            texts.append(format(value, template) if template else typed.get(name) or text_of(value))
        except ValueError as error:
            raise ParameterError(
                name, f"{value!r} does not fit the placeholder {{{name}:{template}}} ({error})."
            ) from None
    text = "".join(texts)
    if "\0" in text:
        raise ParameterError(argument, "no argument of a program can hold a NUL character.")
    return text


def typed_otherwise(texts: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """
    What was typed, of those parameters that a program would else get in another form than they were typed in.

    Example:
        >>> typed_otherwise({"n": "1", "version": "1.10", "name": "x"}, {"n": 1, "version": 1.1, "name": "x"})
        {'version': '1.10'}
    """
    return {
        name: text
        for name, text in texts.items()
        if not isinstance(values[name], str) and text_of(values[name]) != text
    }


def with_typed(fields: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """The identity of a recorded program with parameters that were typed otherwise; that of a function as it is."""
    if not str(fields.get("function", "")).startswith(NAME_PREFIX):
        return {**fields}
    closure = {name: value for name, value in fields.get("closure", {}).items() if name != "typed"}
    closure |= {"typed": dict(texts)} if texts else {}
    others = {name: value for name, value in fields.items() if name != "closure"}
    return {**others, "closure": closure} if closure else others


def text_of(value: Any) -> str:
    """Text as it is, numbers as the shortest text that reads back as the same, anything else as JSON."""
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else json.dumps(value)


def _quoted(argument: str) -> str:
    """An argument as a shell would need it; told apart from every other list of arguments, but with bare braces."""
    return argument if _NEEDS_NO_QUOTES.fullmatch(argument) else shlex.quote(argument)


def _digest(path: str) -> str | None:
    try:
        return content_digest(path)
    except FileNotFoundError as error:
        raise ResultMissingError(path, "Cannot make the key of the run, which depends on this file") from error


def _run(filled: Sequence[str], folder: Path, log: IO[bytes], output: Output | None) -> int:
    """The exit status of a program; its output is kept and shown as it comes."""
    shown = output

    def show(chunk: bytes) -> None:
        nonlocal shown
        log.write(chunk)
        shown = _shown(chunk, shown)

    try:
        return Program(filled, folder, inherited_descriptors()).run(show)
    except NotStarted as error:
        cause = error.__cause__
        assert isinstance(cause, OSError)
        status = NOT_FOUND if isinstance(cause, FileNotFoundError) else NOT_STARTED
        raise CommandError(filled[0], status, cause.strerror or str(cause)) from cause


def _shown(chunk: bytes, output: Output | None) -> Output | None:
    """Show some output; None once nobody looks any more, as when a pipe was closed: no reason to stop a long run."""
    if output is not None:
        try:
            output.write(chunk)
            output.flush()
        except (OSError, ValueError):
            return None
    return output
