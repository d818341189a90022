"""
Make the golden files anew: what users of a release have on their disks, to be read by every later one.

Run it with the code whose files are to be kept, in an empty folder: ``python make.py FOLDER``. The files beside it were
made by 2c4da7a. They are never made anew to please a change: a change that cannot read them breaks users' stores.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import getpass
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import tinydb

sys.path.insert(0, str(Path(__file__).parent))
import study

import entropic
from entropic import errors
from entropic.hashing import hash_params
from entropic.index import SQLIndex, TinyDBIndex, copy
from entropic.record import RecordList, RunRecord

KILLED = """
import os, sys, entropic
store = entropic.Store("results", "runs.json", file_suffix=".txt")
def runner(params, result_path):
    result_path.write_text("half")
    os._exit(9)
store.run({"killed": True}, runner)
"""


def fill() -> entropic.Store:
    """Runs of every kind, one that failed and one that was killed."""
    store = entropic.Store("results", "runs.json", file_suffix=".txt", keep_failed=True)
    for n in (1, 2):
        store.run({"n": n, "dt": 0.01}, study.plain, note="first")
    store.run({"n": 2, "dt": 0.01}, study.plain, note="again")
    Path("results", "registered.txt").write_text("one file, many records")
    for name, value in study.VALUES.items():
        store.register({"name": name, "value": value}, "results/registered.txt")
    store.run({"kind": "folder"}, study.folder)
    store.run({"kind": "companion"}, study.with_companion)
    study.RATE, study.STEPS = 0.25, 5
    entropic.cached(store, name="golden.accepted")(study.accepted)(1, dt=0.1)
    entropic.cached(store, name="golden.edited")(study.edited)(1)
    study.RATE, study.STEPS = 0.5, 10
    entropic.cached(store, name="golden.accepted", on_change="ignore")(study.accepted).accept_changes()
    program = entropic.command(["cp", "{source}", "{result_path}"])
    Path("input.txt").write_text("input")
    store.run({"source": "input.txt"}, program)
    with contextlib.suppress(ArithmeticError):
        store.run({"kind": "fails"}, study.fails)
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    return store


def make_neutral() -> None:
    """Leave out where and by whom the files were made."""
    replaced = {
        f'"host": "{os.uname().nodename}"': '"host": "node7"',
    }
    replaced |= {f'"user": "{getpass.getuser()}"': '"user": "ada"', str(Path(entropic.__file__).parent): "entropic"}
    for path in (Path("runs.json"), *Path("results/.entropic/failed").rglob("traceback.txt")):
        text = path.read_text()
        for old, new in replaced.items():
            text = text.replace(old, new)
        path.write_text(re.sub('"platform": "[^"]*"', '"platform": "Linux"', text))


def stock() -> None:
    """An index as stock TinyDB writes it: one line."""
    with tinydb.TinyDB("stock.json") as database:
        for n in (1, 2):
            name = f"stock{n}.txt"
            Path("results", name).write_text(str(n))
            document: dict[str, Any] = {"params_hash": hash_params({"stock": n}), "result_path": name}
            document |= {"created_at": f"2026-01-0{n}T00:00:00+00:00", "metadata": {"note": n}, "stock": n}
            database.insert(document)


def pickles() -> dict[str, Any]:
    """One of everything that pickles by a public name; indexes, and with them stores, did not yet."""
    first = RunRecord({"n": 1}, Path("/data/a.txt"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00", {"note": "x"})
    second = RunRecord({"n": 2, "x": [0.5]}, Path("/data/b.txt"), "0123456789abcdef", "2026-01-02T00:00:00+00:00", {})
    n = entropic.param("n")
    found: dict[str, Any] = {
        "RunRecord": first,
        "RecordList": RecordList([first, second]),
        "param": n,
        "condition": ((n > 1) & ~n.isin([3, 4])) | (entropic.param("x") == [0.5]),
        "normalised": {name: entropic.normalize(value) for name, value in study.VALUES.items()},
    }
    failure = errors.Failure({"n": 1}, ValueError("no"), "Traceback")
    for error in (
        errors.ParameterError("mesh['a']", "it contains itself."),
        errors.ParameterNameError("1", "names are text."),
        errors.UnsupportedTypeError("mesh", "lib.Mesh", "A hint."),
        errors.NotAMappingError("point", "builtins.int"),
        errors.InputFileError("a/mesh.msh", "it is gone.", "mesh"),
        errors.InputFileChangedError(["mesh.msh"]),
        errors.ResultMissingError("a/b.h5", "Cannot record the run"),
        errors.AmbiguousResultError("a.h5", ["b", "c"], "kept"),
        errors.StoreWriteError("Cannot record", OSError(errno.ENOSPC, "No space left"), "runs.json", "Do this."),
        errors.IndexCorruptError("runs.json", 7, "it is no run"),
        errors.IndexUnavailableError("postgresql://host/db", "it is down"),
        errors.IndexVersionError("runs.sqlite3", 3, 1),
        errors.IndexURLError("mysql:", "there is no such kind"),
        errors.IndexNotEmptyError("SQLIndex('x')"),
        errors.HashCollisionError("0123", "{asked}", "{recorded}"),
        errors.ReentrantRunError("0123"),
        errors.CommandError("./solve", -9),
        errors.CodeChangedError("study.f", ["helper `g` in m.py"], "2026-01-01T00:00:00+00:00"),
        errors.DuplicateFunctionError("study.f"),
        errors.SweepError([first], [failure]),
        errors.WorkerDiedError(-9),
        errors.WorkerError("lib.Odd", "it was"),
        errors.NotSharedError("Index()", "they differ"),
        errors.NotRecordedError("study.f", "0123"),
        errors.MissingExtraError("Cannot do it", "lib", "lib"),
        errors.EqualReplicatesWarning("study.f", 4, 2),
        failure,
    ):
        found[type(error).__name__] = error
    return found


def main(target: str) -> None:
    """Fill an empty folder."""
    texts = {name: base64.b64encode(pickle.dumps(value, 4)).decode() for name, value in pickles().items()}
    os.chdir(target)
    fill().close()
    make_neutral()
    copy(TinyDBIndex("runs.json"), SQLIndex("sqlite:///runs.sqlite3"))
    stock()
    keys = {name: hash_params({"value": value}) for name, value in study.VALUES.items()}
    Path("keys.json").write_text(json.dumps(keys, indent=1) + "\n")
    Path("pickles.json").write_text(json.dumps(texts, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
