"""A folder of links to results, with names that people can read."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from .._fs import make_folder
from .._record import RunRecord, cell_text, flatten
from .._tables import RecordList
from ..errors import LinkNameError
from ..query import fields_of

_LONGEST_NAME = 150
_MISSING = "none"
_HASH_DIGITS = 8


def link_view(records: RecordList, folder: Path, template: str | None, results_dir: Path) -> dict[str, Path]:
    """
    Make a folder hold one link for each run, and no other link to these results.

    Args:
        records: The runs.
        folder: The folder; made if it is not there.
        template: What a link is called, as ``"{kappa}_{config.nx}"``; the parameters that vary without one.
        results_dir: The folder of the results: links into it that are not wanted any more are removed.

    Returns:
        The results by the names of their links.

    Raises:
        LinkNameError: The template names what no run has, or is none; nothing has been changed then.
        FileExistsError: Something that is no link to a result has one of the names; nothing has been changed then.
    """
    possible = RecordList(record for record in records if _can_be(record.result_path))
    wanted = _named(possible, template or _default_template(possible))
    root = os.path.realpath(results_dir)
    old = _links_into(folder, root)
    for name in wanted:
        if name not in old and os.path.lexists(folder / name):
            raise FileExistsError(
                f"Cannot make the link {str(folder / name)!r}: something else has that name. Move it away."
            )
    make_folder(os.path.abspath(folder), durable=False)
    for name, result in wanted.items():
        target = os.path.relpath(result, os.path.realpath(folder))
        if old.get(name) != target:
            _replace_link(folder / name, target)
    for name in old.keys() - wanted.keys():
        os.unlink(folder / name)
    return wanted


def _can_be(path: Path) -> bool:
    """Whether a file can have this name, be it there or not."""
    try:
        os.lstat(path)
    except ValueError:
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def _links_into(folder: Path, root: str) -> dict[str, str]:
    """The links of a folder that lead into the results, whether or not these are still there."""
    found = {}
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    target = os.readlink(entry.path)
                    place = os.path.normpath(os.path.join(os.path.realpath(folder), target))
                    if place.startswith(root + os.sep):
                        found[entry.name] = target
    return found


def _replace_link(link: Path, target: str) -> None:
    draft = link.with_name(f".{os.urandom(8).hex()}.link")
    os.symlink(target, draft)
    os.replace(draft, link)


def _default_template(records: RecordList) -> str:
    names = records.varying().param_names or records.param_names
    return "_".join(f"{name}={{{name}}}" for name in names) or "{params_hash}"


def _named(records: Sequence[RunRecord], template: str) -> dict[str, Path]:
    """The results by names that are all different: where two would be the same, each bears its hash."""
    parts = _parts(template)
    values = [{**flatten(record.params), **_own(record)} for record in records]
    for name in (name for _, name, _, _ in parts if name is not None):
        if records and not any(name in one for one in values):
            known = ", ".join(dict.fromkeys(known for one in values for known in one))
            raise LinkNameError(template, f"no run has {name!r}; there are {known}")
    names = [_file_name(_filled(parts, one)) for one in values]
    counts = Counter(names)
    named = {}
    for record, name in zip(records, names, strict=True):
        unique = name if counts[name] == 1 else _file_name(f"{name}_{record.params_hash[:_HASH_DIGITS]}")
        suffix = _plain("".join(record.result_path.suffixes[-1:]))
        while unique + suffix in named:
            unique += "'"
        named[unique + suffix] = record.result_path
    return named


Part = tuple[str, str | None, str | None, str | None]


def _parts(template: str) -> list[Part]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise LinkNameError(template, f"it is no template ({error})") from None


def _own(record: RunRecord) -> dict[str, Any]:
    fields = fields_of(record)
    own = {name: fields[name] for name in ("params_hash", "created_at")}
    further = {f"metadata.{name}": value for name, value in flatten(record.metadata).items()}
    return {**own, "function": record.provenance.get("function", _MISSING), **further}


def _filled(parts: Sequence[Part], values: Mapping[str, Any]) -> str:
    return "".join(
        literal + ("" if name is None else _text(values.get(name, _MISSING), spec)) for literal, name, spec, _ in parts
    )


def _text(value: Any, spec: str | None) -> str:
    if isinstance(value, str):
        return value
    if spec and type(value) in (int, float):
        try:
            return format(value, spec)
        except ValueError as error:
            raise LinkNameError(f"{{...:{spec}}}", str(error)) from None
    return cell_text(value)


def _file_name(text: str) -> str:
    """A text as a name that any file system takes, and that leads nowhere else."""
    name = re.sub(r"^\.+", "_", _plain(text).strip()) or "_"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{name.encode()[: _LONGEST_NAME - 10].decode(errors='ignore')}_{digest}"


def _plain(text: str) -> str:
    return "".join("_" if sign in '/\\:*?"<>|' or not sign.isprintable() else sign for sign in text)
