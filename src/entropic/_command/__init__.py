"""
A runner that starts a program: any program that writes a file is cached like a Python function.

What a run of a program depends on is its command line, so that is its identity: the template with its placeholders,
and the content of the program if it is named by a path, as one's own build is. Two programs never answer for each
other, and a solver that has been compiled anew, differently, runs again. A program looked up on the ``PATH`` goes by
its name, like any installed tool; files that matter besides are named in ``depends``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._process import signal_programs
    from ._program import Command, Output, typed_otherwise, with_typed

__all__ = ["Command", "command", "signal_programs", "typed_otherwise", "with_typed"]


def command(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    version: Any = None,
    depends: Sequence[str | os.PathLike[str]] = (),
    output: Output | None = None,
) -> Command:
    """
    Make a runner of a program, for `Store.run_or_retrieve`, `Store.run` and `Store.sweep`.

    No shell is involved: each argument reaches the program as it is, with its placeholders filled in. The program
    gets an empty standard input; what it prints is kept beside the result, as a sibling file. If it ends with an exit
    status other than 0, nothing is recorded.

    The program and what it starts are one process group, which is ended when the run is interrupted or this process
    dies. A helper that it leaves running is waited for only while it has a file of the result open.

    Args:
        arguments: The program and its arguments. ``{name}`` stands for a parameter, ``{solver.dt}`` for one inside a
            mapping, ``{n:04d}`` formats it as Python does; ``{result_path}``, once at least, is where the program has
            to write; ``{checkpoint_dir}`` is a folder that outlives kills, from which the next attempt carries on;
            ``{{`` and ``}}`` are braces. Text is filled in as it is, anything else in its JSON form.
        version: Takes part in the key instead of the content of the program: change it when results change.
        depends: Files and folders whose content takes part in the key, such as a script, a mesh or a table: the content
            alone, in this order, not the path. In folders, links are followed, and what interpreters, editors and file
            managers leave there does not count: ``__pycache__``, ``.ipynb_checkpoints``, ``.git``, ``*~``, ``.*.sw?``,
            ``#*#``, ``.#*``, ``.*.kate-swp``, ``.~lock.*#``, ``.DS_Store``, ``._*``, ``Thumbs.db``, ``desktop.ini``,
            ``.directory``, ``.nfs*``.
        output: Where to show what the program prints while it runs; nowhere by default.

    Raises:
        TypeError: *arguments* is one text and no list.
        ValueError: An argument is no valid template, or none of them says where to write.

    Example:
        >>> from pathlib import Path
        >>> from entropic import Store
        >>> store = Store("results", "runs.json", file_suffix=".txt")
        >>> copy = command(["cp", "{source}", "{result_path}"])
        >>> _ = Path("a.txt").write_text("some text")
        >>> store.run_or_retrieve({"source": "a.txt"}, copy).result_path.read_text()
        'some text'
        >>> copy
        command: cp {source} {result_path}
    """
    from ._program import Command  # loaded by those who run a program

    return Command(arguments, version=version, depends=depends, output=output)


def __getattr__(name: str) -> object:
    # Loaded by those who run a program, not by every process that imports entropic.
    if name == "signal_programs":
        from ._process import signal_programs

        return signal_programs
    if name in __all__:
        from . import _program

        return getattr(_program, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
