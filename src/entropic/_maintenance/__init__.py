"""Upkeep of a store: check, prune, merge, export, explain, reproduce. Loaded by those who ask for it."""

from ._ancestry import LineageRun, files_behind
from ._check import CheckReport, OutdatedRun, check, salvage
from ._checkpoints import CheckpointedRun, checkpoints, prune_checkpoints
from ._evict import evict
from ._explain import Explanation, Neighbour, explain
from ._export import Exported, ExportOptions, export
from ._failures import FailedRun, failures
from ._import import Imported, import_runs
from ._lineage import Lineage, LineageLink, lineage
from ._links import link_view
from ._merge import Merged, MergeOptions, merge
from ._orphans import remove_orphans
from ._prune import Limits, Pruned, prune, prune_failures, remove_all
from ._rebuild import rebuild, undelete
from ._reproduce import Reproduction, ReproductionReport, reproduce, run_again
from ._run_diff import RunDiff, diff
from ._under_way import ActiveRun, Estimates, under_way
from ._unused_notes import prune_notes

__all__ = [
    "ActiveRun",
    "CheckReport",
    "CheckpointedRun",
    "Estimates",
    "Explanation",
    "ExportOptions",
    "Exported",
    "FailedRun",
    "Imported",
    "Limits",
    "Lineage",
    "LineageLink",
    "LineageRun",
    "MergeOptions",
    "Merged",
    "Neighbour",
    "OutdatedRun",
    "Pruned",
    "Reproduction",
    "ReproductionReport",
    "RunDiff",
    "check",
    "checkpoints",
    "diff",
    "evict",
    "explain",
    "export",
    "failures",
    "files_behind",
    "import_runs",
    "lineage",
    "link_view",
    "merge",
    "prune",
    "prune_checkpoints",
    "prune_failures",
    "prune_notes",
    "rebuild",
    "remove_all",
    "remove_orphans",
    "reproduce",
    "run_again",
    "salvage",
    "undelete",
    "under_way",
]
