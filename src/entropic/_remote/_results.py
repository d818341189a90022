"""
Results as objects: one file is one object; anything else is an object for each file, and a manifest written last.

::

    <url>/
    ├── 1769854174.763568_f444a074a2e52bf9.npy          a result, as it is called in a results folder
    ├── 1769854174.763568_0123456789abcdef/a.txt        a file of one that is a folder
    └── .entropic/
        ├── id                                          the identity of the store that the prefix belongs to
        ├── code-v1/                                    what is known of code and circumstances of runs
        └── manifests-v1/<name>.json                    what a result consists of that is more than one file

An object is made and never replaced. A record has the size, the ETag and the SHA-256 of its object, or of the manifest,
which has those of the others: whatever is fetched is held against them before anybody sees it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._fs import NamedTuple
from ..errors import OtherRemoteError, RemoteUnavailableError
from ._bucket import Bucket, Look, NameTakenError, NoSuchObjectError
from ._manifest import (
    CannotFetchError,
    is_link,
    is_plain,
    manifest_of,
    mode_of,
    read_manifest,
    require_inside,
    restore_time,
)
from ._object_names import MANIFESTS, object_name, top_of

_OWN = ".entropic/"
IDENTITY = ".entropic/id"
_CODE = ".entropic/code-v1/"

_CHUNK_BYTES = 1 << 20

Piece = tuple[str, str, str]
"""Name, kind and source of a part of a result: a ``file``, a ``folder`` or a ``link`` and where it leads to."""


class Stored(NamedTuple):
    """
    What a record keeps of its object.

    Attributes:
        name: Of the object, or of the manifest.
        size_bytes: Its size.
        etag: Its ETag; empty where there are none.
        sha256: The digest of its bytes.
        is_manifest: Whether it is one.
    """

    name: str
    size_bytes: int
    etag: str
    sha256: str
    is_manifest: bool = False

    @property
    def top(self) -> str:
        """As `top_of` its name."""
        return top_of(self.name)

    @classmethod
    def of(cls, told: object) -> Stored | None:
        """What a record says; None if it says nothing of that form."""
        if not isinstance(told, Mapping):
            return None
        values = [told.get(field) for field in cls._fields]
        if list(map(type, values)) != [str, int, str, str, bool] or not is_plain(str(values[0])):
            return None
        return cls(*values)  # type: ignore[arg-type]


class RemoteResults:
    """
    The results of one store in a bucket.

    Args:
        url: Where they are.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._bucket = Bucket(url)
        self._identity: str | None = None

    # ---- the prefix -------------------------------------------------------------------------------------------------

    def identity(self, wanted: str | None) -> str:
        """
        The identity of the prefix, which is given *wanted* as its own if it has none. Asked once in a process.

        Raises:
            OtherRemoteError: It has another one.
            RemoteUnavailableError: It cannot be read, or written.
        """
        if self._identity is None:
            self._identity = self._readable_identity() or self._given_identity(wanted or os.urandom(16).hex())
        if wanted is not None and wanted != self._identity:
            raise OtherRemoteError(self.url, self._identity, wanted)
        return self._identity

    def _readable_identity(self) -> str | None:
        try:
            return self._found_identity()
        except RemoteUnavailableError as error:
            if isinstance(error.__cause__, PermissionError):
                return None  # so S3 answers for what is not there, to who may not list what is
            raise

    def _found_identity(self) -> str | None:
        try:
            return self._bucket.read(IDENTITY).decode(errors="replace").strip() or None
        except NoSuchObjectError:
            return None

    def _given_identity(self, identity: str) -> str:
        content = f"{identity}\n".encode()
        try:
            self._bucket.put_bytes_new(content, IDENTITY)
            self._require_kept(content)
        except NameTakenError:
            pass  # another host was first
        found = self._found_identity()
        if found is None:
            raise RemoteUnavailableError("make", f"{self.url}/{IDENTITY}", "what was written there is gone")
        return found

    def _require_kept(self, content: bytes) -> None:
        """
        See, once for a prefix, that an object is not replaced: a store may not know what it is asked for.

        Raises:
            RemoteUnavailableError: It was.
        """
        with contextlib.suppress(NameTakenError):
            self._bucket.put_bytes_new(content, IDENTITY)
            reason = "it replaces objects that it is asked to make only if there are none, such as by If-None-Match"
            raise RemoteUnavailableError("store results safely", self.url, reason)

    # ---- storing ----------------------------------------------------------------------------------------------------

    def store(self, name: str, pieces: Sequence[Piece]) -> Stored:
        """
        Make objects of a result.

        Args:
            name: What it is called, relative to the results folder.
            pieces: What it consists of, with what lies beside it: each is named relative to the folder it lies in, and
                each folder comes before what is in it.

        Raises:
            RemoteUnavailableError: An object cannot be made; those that are there are orphans.
        """
        try:
            return self._store(name, pieces)
        except NameTakenError:  # another host, in the same microsecond
            return self._store(f"{os.urandom(4).hex()}/{name}", pieces)

    def _store(self, name: str, pieces: Sequence[Piece]) -> Stored:
        if [kind for _, kind, _ in pieces] == ["file"]:
            return self._store_file(pieces[0][2], object_name(name))
        folder = posixpath.dirname(name)
        entries = [self._store_piece(piece, folder) for piece in pieces]
        content = manifest_of(name, entries)
        manifest = f"{MANIFESTS}{object_name(name)}.json"
        digest = hashlib.sha256(content).hexdigest()
        try:
            self._bucket.put_bytes_new(content, manifest)
        except NameTakenError:
            self._require_own(manifest, digest)
        return Stored(manifest, len(content), self._looks(manifest, len(content)).etag, digest, True)

    def _store_piece(self, piece: Piece, folder: str) -> dict[str, Any]:
        name, kind, source = piece
        if kind != "file":
            return {"name": name, "kind": kind, **({"target": source} if kind == "link" else {})}
        status = os.stat(source)
        stored = self._store_file(source, object_name(posixpath.join(folder, name)))
        told = {"object": stored.name, "size_bytes": stored.size_bytes, "sha256": stored.sha256, "etag": stored.etag}
        return {"name": name, "kind": kind, **told, "mtime_ns": status.st_mtime_ns, "mode": mode_of(status)}

    def _store_file(self, source: str, name: str) -> Stored:
        size_bytes, digest = measured(source)
        try:
            self._bucket.put_new(source, name)
        except NameTakenError:
            self._require_own(name, digest)
        return Stored(name, size_bytes, self._looks(name, size_bytes).etag, digest)

    def _looks(self, name: str, size_bytes: int) -> Look:
        """What an object looks like that has just been made."""
        look = self._bucket.look(name)
        if look.size_bytes != size_bytes:
            reason = f"it has {look.size_bytes} bytes instead of {size_bytes}"
            raise RemoteUnavailableError("store a result", f"{self.url}/{name}", reason)
        return look

    def _require_own(self, name: str, digest: str) -> None:
        """Go on if what has the name has our content: an attempt whose answer was lost had succeeded."""
        try:
            if self._bucket.measure(name)[1] == digest:
                return
        except NoSuchObjectError:
            pass  # by now
        raise NameTakenError(name)

    # ---- fetching ---------------------------------------------------------------------------------------------------

    def fetch(self, stored: Stored, name: str, folder: str) -> None:
        """
        Write a result into a folder of the caller's own, verified.

        Args:
            stored: What the record keeps.
            name: What the result is called there.
            folder: An empty folder.

        Raises:
            CannotFetchError: An object is gone, or is not what was stored.
            RemoteUnavailableError: It cannot be had now.
            OSError: It cannot be written.
        """
        try:
            if not stored.is_manifest:
                self._fetch_file(stored.name, os.path.join(folder, name), stored.size_bytes, stored.sha256)
                return
            entries = self._manifest(stored)
            for entry in sorted(entries, key=is_link):  # links last: nothing is written by way of one
                self._fetch_entry(entry, folder)
            for entry in filter(is_link, entries):
                require_inside(entry["name"], folder)
            for entry in reversed(entries):  # what is written into a folder changes its time
                restore_time(entry, folder)
        except NoSuchObjectError as error:
            self._require_own_prefix()
            raise CannotFetchError(f"{error.args[0]} is gone") from error

    def _manifest(self, stored: Stored) -> list[dict[str, Any]]:
        return read_manifest(self._bucket.read(stored.name), stored.name, stored.sha256)

    def _fetch_entry(self, entry: dict[str, Any], folder: str) -> None:
        target = os.path.join(folder, entry["name"])
        if entry["kind"] == "folder":
            os.mkdir(target)
        elif entry["kind"] == "link":
            if os.path.isabs(entry["target"]):
                raise CannotFetchError(f"the link {entry['name']!r} leads elsewhere")
            os.symlink(entry["target"], target)
        else:
            self._fetch_file(entry["object"], target, entry["size_bytes"], entry["sha256"])

    def _fetch_file(self, name: str, target: str, size_bytes: int, sha256: str) -> None:
        for _ in range(2):  # what was spoilt on its way is not what is there
            self._bucket.get(name, target)
            if measured(target) == (size_bytes, sha256):
                return
        raise CannotFetchError(f"{name} has other content than recorded")

    def _require_own_prefix(self) -> None:
        """
        Tell an object that is gone from a bucket that is: as a disk that is not mounted looks like deleted files.

        Raises:
            RemoteUnavailableError: The prefix bears no identity.
        """
        if self._found_identity() is None:
            reason = "the bucket, or all that was in it, is gone"
            raise RemoteUnavailableError("fetch a result", self.url, reason)

    # ---- notes ------------------------------------------------------------------------------------------------------

    def read_note(self, name: str) -> bytes | None:
        """What was noted under a name; None if nothing was."""
        try:
            return self._bucket.read(f"{_CODE}{name}")
        except NoSuchObjectError:
            return None

    def write_note(self, name: str, content: bytes) -> None:
        """Note something, unless there is a note of that name."""
        with contextlib.suppress(NameTakenError):
            self._bucket.put_bytes_new(content, f"{_CODE}{name}")

    def notes_in(self, folder: str) -> list[str]:
        """The names of all notes in a folder."""
        prefix = f"{_CODE}{folder}"
        return [name.rpartition("/")[2] for name, _ in self._bucket.walk(prefix)]

    # ---- upkeep -----------------------------------------------------------------------------------------------------

    def is_there(self, stored: Stored, pieces: Sequence[Piece]) -> bool:
        """
        Whether all objects of a result are there and look as they did when it was stored, as it does here.

        Args:
            stored: What the record keeps.
            pieces: What it consists of here, as for `store`: what was added to it is nowhere else.
        """
        file = {**stored._asdict(), "name": pieces[0][0], "kind": "file", "object": stored.name}
        try:
            entries = self._manifest(stored) if stored.is_manifest else [file]
            told = {(one["name"], one["kind"]): one for one in entries}
            return (
                self._bucket.look(stored.name) == (stored.size_bytes, stored.etag)
                and told.keys() == {(name, kind) for name, kind, _ in pieces}
                and all(self._is_held(told[name, kind], source) for name, kind, source in pieces if kind == "file")
            )
        except (FileNotFoundError, CannotFetchError):
            return False

    def _is_held(self, told: Mapping[str, Any], source: str) -> bool:
        """Whether a file has the content that was stored, and its object looks as it did then."""
        is_same = measured(source) == (told["size_bytes"], told["sha256"])
        return is_same and self._bucket.look(told["object"]) == (told["size_bytes"], told["etag"])

    def _files_in(self, stored: Stored) -> dict[str, dict[str, Any]]:
        return {entry["name"]: entry for entry in self._manifest(stored) if entry["kind"] == "file"}

    def objects(self) -> Iterator[tuple[str, Look]]:
        """The names of all objects of results, each with what it looks like; our own notes left out, but manifests."""
        return (one for one in self._bucket.walk() if not one[0].startswith(_OWN) or one[0].startswith(MANIFESTS))

    def is_listed(self, stored: Stored, is_there: Callable[[str, int, str], bool], *, deep: bool) -> bool:
        """
        Whether the objects of a result are there, as they were stored.

        Args:
            stored: The result.
            is_there: Tells it of an object by name, size in bytes and ETag.
            deep: Ask it of those in a manifest, too.
        """
        if not is_there(stored.name, stored.size_bytes, stored.etag):
            return False
        try:
            files = self._files_in(stored).values() if deep and stored.is_manifest else []
        except (NoSuchObjectError, CannotFetchError):
            return False
        return all(is_there(one["object"], one["size_bytes"], one["etag"]) for one in files)

    def is_still_there(self, stored: Stored, *, deep: bool) -> bool:
        """As `is_listed`, asked of each object: a list may be older than it, or have the ETag in another form."""
        try:
            files = list(self._files_in(stored).values()) if deep and stored.is_manifest else []
            own = {"object": stored.name, "size_bytes": stored.size_bytes, "etag": stored.etag}
            return all(self._bucket.look(one["object"]) == (one["size_bytes"], one["etag"]) for one in [own, *files])
        except (NoSuchObjectError, CannotFetchError):
            return False

    def is_object(self, name: str) -> bool:
        """Whether there is an object of that name, asked now."""
        try:
            self._bucket.look(name)
        except NoSuchObjectError:
            return False
        return True

    def objects_of(self, stored: Stored) -> list[str]:
        """The names of the objects that a result consists of, as far as they can be known, the manifest last."""
        if not stored.is_manifest:
            return [stored.name]
        try:
            entries = self._manifest(stored)
        except (NoSuchObjectError, CannotFetchError):
            entries = []
        return [*(entry["object"] for entry in entries if entry["kind"] == "file"), stored.name]

    def remove(self, results: Iterable[Stored]) -> None:
        """Remove the objects of results; a manifest first, so that none names what is gone."""
        for stored in results:
            self._bucket.remove(reversed(self.objects_of(stored)))


def measured(path: str) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    digest, size_bytes = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()
