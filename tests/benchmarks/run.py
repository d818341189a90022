"""
Measure entropic in one run, against the least possible and against its peers, and print one table of ratios.

::

    python tests/benchmarks/run.py                      # the whole table, some minutes
    python tests/benchmarks/run.py --only hits misses   # some of it
    python tests/benchmarks/run.py --quick --sizes 100  # does it all work? some seconds, figures mean nothing
    python tests/benchmarks/run.py --only misses disk sweeps --folder /mnt/other   # on another file system

What a run costs that is brought to disk is the file system's to say, above all whether it has a journal: the first
line tells which one it was. Peers that are not installed are left out (``pip install joblib diskcache signac numpy``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fixtures import Population, populate
from measure_arrays import arrays
from measure_counts import counts
from measure_disk import disk
from measure_hits import first_hits, warm_hits
from measure_memory import memory
from measure_misses import misses
from measure_queries import queries
from measure_scale import scale
from measure_sql import sql
from measure_sweeps import sweeps
from report import Section, text
from timing import QUICK, Effort

MEASURES: dict[str, Callable[[list[Population], Path, Effort], list[Section]]] = {
    "hits": warm_hits,
    "first": first_hits,
    "misses": misses,
    "disk": lambda populations, scratch, effort: disk(scratch, effort),
    "counts": lambda populations, scratch, effort: counts(scratch),
    "queries": queries,
    "memory": lambda populations, scratch, effort: memory(populations),
    "arrays": lambda populations, scratch, effort: arrays(effort),
    "sweeps": lambda populations, scratch, effort: sweeps(_middle(populations), scratch, effort),
    "sql": sql,
    "scale": scale,
}

_SIZES = [100, 10_000, 100_000]
_AS_WRITTEN = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Build the stores, measure, print as it goes."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="entropic-benchmarks-", dir=options.folder))
    try:
        sections = []
        print(_machine(folder), flush=True)
        for section in _measured(options, folder):
            print("\n" + text(section), flush=True)
            sections.append(section)
        if options.json:
            options.json.write_text(json.dumps([section.as_json() for section in sections], indent=1))
    finally:
        shutil.rmtree(folder)


def _measured(options: argparse.Namespace, folder: Path) -> Iterator[Section]:
    effort = QUICK if options.quick else Effort()
    populations = [populate(folder / f"store{size}", size) for size in options.sizes]
    for name in options.only:
        scratch = folder / name
        scratch.mkdir()
        yield from MEASURES[name](populations, scratch, effort)
        shutil.rmtree(scratch)
    if options.million:
        million = populate(folder / "store1000000", 1_000_000)
        yield from memory([million])
        if "sql" in options.only:
            yield from sql([million], folder / "sql1000000", effort)
        if "scale" in options.only:
            yield from scale([million], folder / "scale1000000", effort)


def _middle(populations: list[Population]) -> Population:
    return populations[len(populations) // 2]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AS_WRITTEN)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="numbers of records (multiples of 20)")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="what to measure")
    parser.add_argument(
        "--million", action="store_true", help="also memory, databases and small answers at 1,000,000 records"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--json", type=Path, help="where to write all figures as JSON")
    parser.add_argument("--folder", type=Path, help="where to build the stores")
    return parser.parse_args()


def _machine(folder: Path) -> str:
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_file_system(folder)}"
    return f"Python {platform.python_version()}, {system}; each cell: ratio to the reference, and the figure"


def _file_system(folder: Path) -> str:
    """The kind of the file system below a folder, as Linux names it; of an ext4, whether it has a journal."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            about_place, _, about_kind = line.partition(" - ")
            if about_place.split()[2] == number:
                kind, source = about_kind.split()[:2]
                return kind if kind != "ext4" else f"ext4 {_journal(Path(source).name)}"
    return "file system unknown"


def _journal(name: str) -> str:
    task = Path(f"/sys/fs/ext4/{name}/journal_task")
    if not task.exists():
        return "(journal unknown)"
    return "without a journal" if task.read_text().strip() == "<none>" else "with a journal"


if __name__ == "__main__":
    sys.exit(main())
