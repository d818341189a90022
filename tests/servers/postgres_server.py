"""
A PostgreSQL server of one's own: in a temporary folder, on a port nobody else uses, gone at the end.

Its programs come from the package ``pgserver``, from PATH, or from Debian's packages. PostgreSQL refuses to run as
root; for root it is started as a user without rights.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from ports import free_port
from psycopg import sql

PASSWORD = "Pa55-w0rd"
_UNPRIVILEGED = ("postgres", "nobody")
_WAIT_SECONDS = "300"  # for a hang alone


def programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; None if there is none on this machine."""
    return next((folder for folder in _places() if (folder / "initdb").exists()), None)


def _places() -> Iterator[Path]:
    package = importlib.util.find_spec("pgserver")  # found, not imported: it would start things of its own
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "pginstall" / "bin"
    if on_path := shutil.which("initdb"):
        yield Path(on_path).parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class Server:
    """
    A running server; a context manager that ends it, and removes its folder.

    Args:
        durable: Have it sync what it commits.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="entropic-pg-"))  # short: the path of a socket has 107 characters
        self._data = self._folder / "data"
        self._user = _user()
        self._numbers = itertools.count(1)
        self._port = free_port()
        found = programs()
        assert found is not None, "PostgreSQL is not installed"
        if self._user is not None:
            shutil.chown(self._folder, *self._user)
            if not _is_open_to_all(found):
                found = _copied(found, self._folder)
        self._programs = found
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        auth = ["-A", "scram-sha-256", "-U", "entropic", f"--pwfile={password}"]
        self._call("initdb", *auth, "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8")
        self._options = f"-k {self._folder} -p {self._port} -c listen_addresses=127.0.0.1 -c shared_buffers=256MB"
        self._options += "" if durable else " -c fsync=off"
        self.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = str(self._folder / "log")
        self._call("pg_ctl", "start", "-w", "-t", _WAIT_SECONDS, "-l", log, "-o", self._options)

    def stop(self) -> None:
        """End it at once: sessions are cut, as in a crash or a restart."""
        self._call("pg_ctl", "stop", "-w", "-t", _WAIT_SECONDS, "-m", "fast")

    def restart(self) -> None:
        """End it and start it again."""
        self.stop()
        self.start()

    def new_database(self) -> str:
        """Make a database, and return its URL."""
        name = f"runs{next(self._numbers)}"
        self._tell(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._tell(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(url.rpartition("/")[2])))

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://entropic:{PASSWORD}@127.0.0.1:{self._port}/{database}"

    def _tell(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _call(self, program: str, *arguments: str) -> None:
        user = {} if self._user is None else {"user": self._user[0], "group": self._user[1], "extra_groups": []}
        output = self._folder / "output"  # no pipe: the server would inherit it, and keep it open
        with output.open("w") as file:
            command = [str(self._programs / program), "-D", str(self._data), *arguments]
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=self._folder, check=False, **user
            )
        assert done.returncode == 0, output.read_text()


def _user() -> tuple[int, int] | None:
    """User and group to run as; None for our own."""
    if os.geteuid():
        return None
    known = {entry.pw_name: (entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    return next(known[name] for name in _UNPRIVILEGED if name in known)


def _is_open_to_all(folder: Path) -> bool:
    """Whether a user without rights gets there: into a private folder with a virtual environment, for instance, not."""
    return all(os.stat(place).st_mode & 0o001 for place in (folder, *folder.parents))


def _copied(programs: Path, folder: Path) -> Path:
    """A copy of the package's programs, with the libraries that lie beside it."""
    package = programs.parents[1]
    for place in (package, package.with_name(f"{package.name}.libs")):
        if place.exists():
            shutil.copytree(place, folder / place.name, symlinks=True)
    return folder / programs.relative_to(package.parent)
