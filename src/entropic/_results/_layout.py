"""
What lies in a results folder: every name below ``.entropic`` is drawn here, and spelt nowhere else.

::

    results/
    ├── 1769854174.763568_f444a074a2e52bf9.npy     a result: moment of the run, hash of its parameters, suffix
    ├── f4/1769854174.763568_f444a074a2e52bf9.npy  the same, of a run made when the folder had thousands of entries
    └── .entropic/
        ├── id                                     the identity of the folder, which its indexes remember
        ├── journal/runs-v1.jsonl                  a line for each run that was recorded or forgotten
        ├── staging/<session>.<number>.<hash>/     where one run writes, until its result is published
        ├── staging/<session>.<number>.<hash>.note what a run is of whose work is to be kept if it is killed
        ├── staging/<session>.<number>.<hash>.run  what a run under way is of, since when and how far; not of short ones
        ├── staging/kept_<stem>_<random>/          as in failed/, where nothing could be put there
        ├── spare-v1/<session>.<number>/            an emptied staging folder, for the next run of its process
        ├── sessions/<session>                     locked while the process lives whose staging folders bear its name
        ├── cleaned-v1                             its time tells when somebody last looked for the work of the dead,
        │                                          where many are at work
        ├── cleaned-locks-v1                       the same for locks/
        ├── waiting-v1/<session>.<number>.<hash>    a process that has waited for a while for a run of another
        ├── keys-v1.lock                           empty; a byte of it is locked for each key that is being run
        ├── locks/<hash>.lock                      the same where bytes cannot be locked; says who holds it
        ├── failed/<stem>_<random>/                what was written by a run that could not be recorded, and why:
        │                                          failure.json, traceback.txt
        ├── checkpoints-v1/<hash>/<number>/        what a run has saved, for the next attempt, in files/; beside it
        │                                          note.json, attempts.jsonl, and a lock that the attempt holds
        ├── checkpoints-v1/new.<random>/           the same, before it is whole
        ├── checkpoints-v1/gone.<random>/          the same, while it is removed
        ├── tasks-v1/<digest>.<random>             what the batches of a sweep have in common: the function, by value
        ├── patches-v1/<digest>.patch              what was not committed of the code of runs
        ├── environments-v1/<digest>.json          what was installed where runs were made, and on what machine
        └── code/                                  what is known of the code of runs
            ├── <fingerprint>.json                 what it consisted of
            ├── defaults-<function>-<digest>.json  defaults that a function has had
            ├── grown-<digest>.json                the code with which parameters have grown
            ├── current-<function>.json            the code that is current again, though newer runs are of another
            └── accepted/<old>.<new>               runs of one code that are good for another: all, or those listed

What may change its form has a version in its name. What has none is of version 1: should its form change, it gets a new
name, such as ``staging-v2``, and what lies under the old one goes on being read.

All of it lies here itself. A link in the place of one of these folders was put there by somebody, perhaps for our
cleaners to follow: it is refused before a run, and never followed to remove something.

Cleaners remove what is dead only: a session, task, lock or draft that no process holds, and the staging folders of such
a session. What runs have saved goes when they are recorded. All else is removed on request.
"""

from __future__ import annotations

import os
from pathlib import Path

from .. import _fs, errors
from .._fs import NamedTuple

PRIVATE_FOLDER = ".entropic"


class Layout:
    """
    Where things lie in one results folder; nothing is looked at, and nothing made.

    Attributes:
        results_dir: The folder.
        private: What is entropic's own in it.
        identity: The file with its identity.
        journal: The file in which runs are noted.
        staging: The folder of staging places.
        spare: The folder of emptied staging places.
        sessions: The folder of sessions.
        cleaned: The file whose time tells when sessions and tasks were looked through, where there are many.
        cleaned_locks: The same for lock files.
        waiting: The folder of notes of those who wait.
        keys: The file whose bytes are locked.
        locks: The folder of lock files.
        failed: The folder of runs that are kept for a look.
        checkpoints: The folder of what runs have saved.
        tasks: The folder of what the batches of sweeps have in common.
        patches: The folder of what was not committed.
        environments: The folder of what was installed.
        code: The folder of what is known of code.
        accepted: The folder of changes to it that were accepted.
    """

    def __init__(self, results_dir: str | os.PathLike[str]) -> None:
        self.results_dir = Path(results_dir)
        self.private = private = self.results_dir / PRIVATE_FOLDER
        self.identity = private / "id"
        self.journal = private / "journal" / "runs-v1.jsonl"
        self.staging = private / "staging"
        self.spare = private / "spare-v1"
        self.sessions = private / "sessions"
        self.cleaned = private / "cleaned-v1"
        self.cleaned_locks = private / "cleaned-locks-v1"
        self.waiting = private / "waiting-v1"
        self.keys = private / "keys-v1.lock"
        self.locks = private / "locks"
        self.failed = private / "failed"
        self.checkpoints = private / "checkpoints-v1"
        self.tasks = private / "tasks-v1"
        self.patches = private / "patches-v1"
        self.environments = private / "environments-v1"
        self.code = private / "code"
        self.accepted = self.code / "accepted"

    def foreign(self) -> Path | None:
        """The first of our folders and files in whose place a link stands; None if there is none."""
        own = [path for path in vars(self).values() if path not in (self.results_dir, self.private)]
        places = [self.private, *dict.fromkeys(place for path in own for place in (path.parent, path))]
        return next((place for place in places if place.is_symlink()), None)


class StagingName(NamedTuple):
    """The name of a staging folder, by its parts."""

    session: str
    number: str
    params_hash: str

    def __str__(self) -> str:
        return ".".join(self)

    @staticmethod
    def text(session: str, number: int, params_hash: str) -> str:
        """A name of these parts."""
        return f"{session}.{number}.{params_hash}"

    @classmethod
    def parse(cls, name: str) -> StagingName | None:
        """
        The parts of a name; None if it is of another form.

        Example:
            >>> StagingName.parse("0123456789abcdef.7.f444a074a2e52bf9").params_hash
            'f444a074a2e52bf9'
        """
        parts = name.split(".")
        return cls(*parts) if len(parts) == len(cls._fields) else None


def note_of(folder: str) -> str:
    """Where a note lies of the run that writes to a staging folder."""
    return f"{folder}.note"


def run_note_of(folder: str) -> str:
    """Where it is written what the run is of that writes to a staging folder, and how far it is."""
    return f"{folder}.run"


def require_locks() -> None:
    """
    Refuse to write where files cannot be locked.

    Raises:
        UnsupportedSystemError: This system has no file locks.
    """
    if not _fs.has_locks():
        raise errors.UnsupportedSystemError("fcntl")
