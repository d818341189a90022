"""
A shared index: two processes, as they might run on two hosts, keep their records in one PostgreSQL database.

Watch the lines that begin with "running": both processes ask for the same six points at the same time, and each point
runs once, in whichever process was first; the other one waits for it and is answered from the database. The script
starts a PostgreSQL server in a temporary folder, from ``pip install pgserver`` or an installed one, and removes it at
the end. So that a second run finds everything, the records are then moved to an SQLite file, and back at the begin.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import entropic
from entropic.index import SQLIndex, copy

FOLDER = Path("runs_shared_postgres")


def simulate(params: dict[str, int], result_path: Path) -> None:
    print(f"  running n={params['n']}", flush=True)
    result_path.write_text(str(sum(k**2 for k in range(params["n"] * 10_000))))


def work(url: str) -> None:
    """What each process does: all it needs to know is the URL and the folder of the results."""
    with entropic.Store(FOLDER / "results", index=url, file_suffix=".txt") as store:
        store.sweep(entropic.grid(n=[1, 2, 3, 4, 5, 6]), simulate)


@contextmanager
def server() -> Iterator[str]:
    """A PostgreSQL server of our own, for as long as the block lasts; you have its URL from whoever runs yours."""
    package = importlib.util.find_spec("pgserver")
    places = [Path(package.origin or "").parent / "pginstall/bin"] if package else []
    found = next(
        place for place in [*places, *Path("/usr/lib/postgresql").glob("*/bin")] if (place / "initdb").exists()
    )
    folder = tempfile.mkdtemp(prefix="postgres-")
    user = None if os.geteuid() else next(one.pw_uid for one in pwd.getpwall() if one.pw_name in ("postgres", "nobody"))
    if user is not None:
        os.chown(folder, user, -1)  # PostgreSQL refuses to run as root, and others may not see our packages
        if package:
            for name in ("pgserver", "pgserver.libs"):
                shutil.copytree(Path(package.origin or "").parents[1] / name, f"{folder}/{name}")
            found = Path(folder, "pgserver/pginstall/bin")

    def call(program: str, *arguments: str) -> None:
        command = [found / program, "-D", f"{folder}/data", *arguments]
        subprocess.run(command, check=True, cwd=folder, user=user, stdout=subprocess.DEVNULL)

    call("initdb", "-U", "team", "--auth=trust", "--no-sync")
    call("pg_ctl", "start", "-w", "-o", f"-k {folder} -c listen_addresses=")
    try:
        yield f"postgresql://team@/postgres?host={folder}"
    finally:
        call("pg_ctl", "stop", "-w")
        shutil.rmtree(folder)


def main() -> None:
    kept = f"sqlite:///{FOLDER}/kept.sqlite3"
    with server() as url:
        before = copy(SQLIndex(kept), SQLIndex(url))
        print("Two processes, the same six points:", flush=True)
        workers = [subprocess.Popen([sys.executable, __file__, url]) for _ in range(2)]
        assert [worker.wait() for worker in workers] == [0, 0]
        (FOLDER / "kept.sqlite3").unlink(missing_ok=True)
        after = copy(SQLIndex(url), SQLIndex(kept))
    print(f"This time: {after - before} runs, {12 - (after - before)} hits; {after} points recorded.")


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else work(sys.argv[1])
