"""What can be recovered from a damaged index: every run that still reads, and the numbers of the lines that do not."""

from __future__ import annotations

import json
import re
from typing import Any

from ..._fs import NamedTuple
from ..._record import RunRecord

_RUN_BEGINS = re.compile(r'"\d+": ?(?=\{)')
_FRAME = re.compile(r'(?:[\s{}\[\],:\0]|"_default")*')
_decoder = json.JSONDecoder()


class Salvaged(NamedTuple):
    """The intact runs of a damaged file, as documents in their order; and the lines on which something was lost."""

    documents: list[dict[str, Any]]
    damaged_lines: list[int]


def salvage(content: bytes) -> Salvaged:
    r"""
    Find the runs in the bytes of a damaged index; whatever its layout, and without trusting any of its structure.

    Example:
        >>> run = b'"1": {"params_hash": "a", "result_path": "b", "created_at": "c", "n": 1}'
        >>> salvage(b'{"_store": {}, "_default": {\n' + run + b',\n"2": {"params_hash": "d", "re\n}}\n')
        Salvaged(documents=[{'params_hash': 'a', 'result_path': 'b', 'created_at': 'c', 'n': 1}], damaged_lines=[3])
    """
    documents, damaged = [], []
    for number, line in enumerate(content.split(b"\n"), start=1):
        found, lost = _runs_in(line, is_head=number == 1)
        documents += found
        if lost:
            damaged.append(number)
    return Salvaged(documents, damaged)


def _runs_in(line: bytes, *, is_head: bool) -> tuple[list[dict[str, Any]], bool]:
    """The runs on one line (many, in TinyDB's own layout), and whether anything else of substance stands there."""
    text = line.decode("utf-8", "replace")
    runs, place, rest = [], 0, ""
    while match := _RUN_BEGINS.search(text, place):
        try:
            document, end = _decoder.raw_decode(text, match.end())
            RunRecord.from_dict(document)
        except (ValueError, RecursionError):
            rest += text[place : match.end()]
            place = match.end()
            continue
        runs.append(document)
        rest += text[place : match.start()]
        place = end
    rest += text[place:]
    return runs, not _is_frame(rest, is_head=is_head)


def _is_frame(rest: str, *, is_head: bool) -> bool:
    """Whether what is left of a line, its runs taken out, is only the brackets and table names around them."""
    if is_head and rest.rstrip().endswith('"_default": {'):
        return _is_json(rest.rstrip() + "}}")
    return _FRAME.fullmatch(rest) is not None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
