"""
What of the code in a repository is not committed: a patch to its commit, of text alone.

As for the state of the repository, nothing is run that the repository itself names. Files that are meant to hold
secrets are left out, and passwords in URLs are masked.
"""

from __future__ import annotations

import fnmatch
import os
import re
import sys
from collections.abc import Iterable, Iterator

from .._fs import NamedTuple
from ._ownership import is_own_file
from ._repository import read_limited, tracked_among

MOST_BYTES = 1 << 20
"""A patch that is larger is not kept."""

SWITCH = "ENTROPIC_PATCHES"
"""The environment variable that switches patches off, by 0, no, off or false."""

_OFF = ("0", "no", "off", "false")
_SECRET = (".env", ".env.*", "*.pem", "*.key", "*.p12", "id_rsa*", "id_ed25519*", ".netrc", "*credentials*", "*secret*")
_DIFF = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative", "--ignore-submodules=all")
_PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
# Up to the last @ of a word: there may be one in the password, and a slash.
_PASSWORD = re.compile(
    r"(://[^:/\s@]*:)[^\s\"']+(?=@)|([?&]\w*(?:password|token|secret)\w*=)[^&#\s\"']*", re.IGNORECASE
)
_PLAIN_NAME = re.compile(r"[\w./ +@=,~-]+")


class Patch(NamedTuple):
    """
    What is not committed.

    Attributes:
        text: The patch; empty if there is none, or it is left out. Bytes that are no UTF-8 are surrogates, as in paths.
        left_out: Why it is left out; empty if it is not.
    """

    text: str
    left_out: str = ""


NO_PATCH = Patch("")


def patch_of(repository: str, files: Iterable[str], *, is_dirty: bool) -> Patch:
    """
    What is not committed in a repository.

    Args:
        repository: Its folder.
        files: Files of code in use: those of them that git does not know are part of the patch.
        is_dirty: Whether what git knows differs from the commit.

    Raises:
        OSError: There is no git, or a file cannot be read.
        SubprocessError: It fails, or takes too long.
        ValueError: The repository names something that no option can switch off.
    """
    if os.environ.get(SWITCH, "").lower() in _OFF:
        return NO_PATCH
    excluded = [f":(exclude,icase,glob)**/{name}" for name in _SECRET]
    text = ""
    if is_dirty:
        answer = read_limited(repository, MOST_BYTES, *_DIFF, *_PREFIXES, "--", ":/", *excluded)
        if answer is None:
            return Patch("", "it is larger than 1 MiB")
        text = answer.decode("utf-8", "surrogateescape")
    text += "".join(_added(repository, files))
    if len(text.encode("utf-8", "surrogateescape")) > MOST_BYTES:
        return Patch("", "it is larger than 1 MiB")
    return Patch(_PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", text))


def loaded_files() -> list[str]:
    """The files of the user's own modules that are loaded."""
    files = (getattr(module, "__dict__", {}).get("__file__") for module in list(sys.modules.values()))
    paths = {os.path.abspath(path) for path in files if isinstance(path, str) and path.endswith(".py")}
    return sorted(filter(is_own_file, paths))


def _added(repository: str, files: Iterable[str]) -> Iterator[str]:
    """Files that git does not know, each as a patch that adds it."""
    folder = os.path.join(repository, "")
    names = [path.removeprefix(folder) for path in files if path.startswith(folder)]
    names = [name for name in names if _PLAIN_NAME.fullmatch(name) and not _may_be_secret(name)]
    known = tracked_among(repository, names) if names else set()
    for name in names:
        if name not in known and (text := _text_of(os.path.join(repository, name))):
            lines = text.removesuffix("\n").split("\n")  # git knows no other ends of lines
            ending = "" if text.endswith("\n") else "\\ No newline at end of file\n"
            yield f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
            yield f"@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines) + ending


def _may_be_secret(name: str) -> bool:
    return any(fnmatch.fnmatchcase(os.path.basename(name).lower(), one) for one in _SECRET)


def _text_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError:
        return ""  # it is gone
    return "" if b"\0" in content else content.decode("utf-8", "surrogateescape")
