"""The results folder: where runs write, and how their results get their final names."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._attempts import FILES, read_attempts, read_checkpoint_note
    from ._checkpoints import Checkpoint, CheckpointArea, checkpoint_places, is_in_use, remove_checkpoint
    from ._failures import kept_folders, read_note, read_report, write_report
    from ._identity import folder_id, give_folder_id, is_folder_id, seal_of
    from ._journal import Entry, Event, Journal
    from ._layout import PRIVATE_FOLDER, Layout, require_locks, run_note_of
    from ._names import is_own_name, own_parts
    from ._running import Seen, runs_seen
    from ._sessions import dead_sessions, living_sessions, take_dead_work, unclaimed_work
    from ._shards import ResultLinks, is_shard, own_results
    from ._stage import Published, Stage, Written
    from ._staging import StagingArea
    from ._task_files import TaskFile, TaskName, dead_task_files
    from ._waiting import announcer
    from ._written import OUTPUT_ENDING

__all__ = [
    "FILES",
    "OUTPUT_ENDING",
    "PRIVATE_FOLDER",
    "Checkpoint",
    "CheckpointArea",
    "Entry",
    "Event",
    "Journal",
    "Layout",
    "Published",
    "ResultLinks",
    "Seen",
    "Stage",
    "StagingArea",
    "TaskFile",
    "TaskName",
    "Written",
    "announcer",
    "checkpoint_places",
    "dead_sessions",
    "dead_task_files",
    "folder_id",
    "give_folder_id",
    "is_folder_id",
    "is_in_use",
    "is_own_name",
    "is_shard",
    "kept_folders",
    "living_sessions",
    "own_parts",
    "own_results",
    "read_attempts",
    "read_checkpoint_note",
    "read_note",
    "read_report",
    "remove_checkpoint",
    "require_locks",
    "run_note_of",
    "runs_seen",
    "seal_of",
    "take_dead_work",
    "unclaimed_work",
    "write_report",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_attempts": "FILES read_attempts read_checkpoint_note",
        "_checkpoints": "Checkpoint CheckpointArea checkpoint_places is_in_use remove_checkpoint",
        "_failures": "kept_folders read_note read_report write_report",
        "_identity": "folder_id give_folder_id is_folder_id seal_of",
        "_journal": "Entry Event Journal",
        "_layout": "Layout PRIVATE_FOLDER require_locks run_note_of",
        "_names": "is_own_name own_parts",
        "_running": "Seen runs_seen",
        "_sessions": "dead_sessions living_sessions take_dead_work unclaimed_work",
        "_shards": "ResultLinks is_shard own_results",
        "_stage": "Published Stage Written",
        "_staging": "StagingArea",
        "_waiting": "announcer",
        "_written": "OUTPUT_ENDING",
        "_task_files": "TaskFile TaskName dead_task_files",
    },
)
