"""The ground: files and folders, their digests, locks on open files, forks, bounded memories, warnings."""

from typing import TYPE_CHECKING

from ._door import door

if TYPE_CHECKING:
    from ._atomic import abandoned_drafts, make_file, new_draft_name, remove_drafts, replacing
    from ._context import reset_value
    from ._dataclass import dataclass, field
    from ._descriptors import closer, held_open_below, is_descriptor_of
    from ._digests import (
        FileContent,
        content_digest,
        content_of,
        digest_like,
        files_below,
        is_as_recorded,
        measure,
        measure_known,
    )
    from ._files import (
        group_rights,
        make_folder,
        make_shared_folder,
        move_new,
        remove,
        require_access,
        share_file,
        share_in_group,
        share_tree,
        start_write_back,
        sync,
        sync_tree,
    )
    from ._flock import (
        byte_unlocker,
        has_byte_locks,
        has_locks,
        is_abandoned,
        is_at,
        remove_abandoned,
        suspended_holder,
        try_lock,
        try_lock_byte,
        unlock,
        wait_for_lock,
    )
    from ._fork import forks_held_off, process_id, watch_forks
    from ._frames import calling_frame, is_finished
    from ._held_file import HeldFile
    from ._holder import Holder, holder_in, holder_note, host_name, read_holder
    from ._kept_file import KeptFile
    from ._late import LateModule, late
    from ._logger import logger
    from ._memo import chunks, remember
    from ._mounts import is_local
    from ._named import NamedTuple
    from ._opened import OpenedFiles, current_files, opened_files
    from ._options import Options, dataclass_transform
    from ._reading import is_linked, open_own_file, own_entries, read_own_file, status_of
    from ._stamp import Stamp, is_settled
    from ._telling import listeners, one_line
    from ._text_set import TextSet
    from ._turns import takes_turn
    from ._warn import collected_warnings, collecting_warnings, give_again, warn, was_given_again

__all__ = [
    "FileContent",
    "HeldFile",
    "Holder",
    "KeptFile",
    "LateModule",
    "NamedTuple",
    "OpenedFiles",
    "Options",
    "Stamp",
    "TextSet",
    "abandoned_drafts",
    "byte_unlocker",
    "calling_frame",
    "chunks",
    "closer",
    "collected_warnings",
    "collecting_warnings",
    "content_digest",
    "content_of",
    "current_files",
    "dataclass",
    "dataclass_transform",
    "digest_like",
    "door",
    "field",
    "files_below",
    "forks_held_off",
    "give_again",
    "group_rights",
    "has_byte_locks",
    "has_locks",
    "held_open_below",
    "holder_in",
    "holder_note",
    "host_name",
    "is_abandoned",
    "is_as_recorded",
    "is_at",
    "is_descriptor_of",
    "is_finished",
    "is_linked",
    "is_local",
    "is_settled",
    "late",
    "listeners",
    "logger",
    "make_file",
    "make_folder",
    "make_shared_folder",
    "measure",
    "measure_known",
    "move_new",
    "new_draft_name",
    "one_line",
    "open_own_file",
    "opened_files",
    "own_entries",
    "process_id",
    "read_holder",
    "read_own_file",
    "remember",
    "remove",
    "remove_abandoned",
    "remove_drafts",
    "replacing",
    "require_access",
    "reset_value",
    "share_file",
    "share_in_group",
    "share_tree",
    "start_write_back",
    "status_of",
    "suspended_holder",
    "sync",
    "sync_tree",
    "takes_turn",
    "try_lock",
    "try_lock_byte",
    "unlock",
    "wait_for_lock",
    "warn",
    "was_given_again",
    "watch_forks",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_atomic": "abandoned_drafts make_file new_draft_name remove_drafts replacing",
        "_context": "reset_value",
        "_dataclass": "dataclass field",
        "_descriptors": "closer held_open_below is_descriptor_of",
        "_digests": (
            "FileContent content_digest content_of digest_like files_below is_as_recorded measure measure_known"
        ),
        "_files": (
            "group_rights make_folder make_shared_folder move_new remove require_access share_file "
            "share_in_group share_tree start_write_back sync sync_tree"
        ),
        "_flock": (
            "byte_unlocker has_byte_locks has_locks is_abandoned is_at remove_abandoned suspended_holder "
            "try_lock try_lock_byte unlock wait_for_lock"
        ),
        "_fork": "forks_held_off process_id watch_forks",
        "_frames": "calling_frame is_finished",
        "_held_file": "HeldFile",
        "_holder": "Holder holder_in holder_note host_name read_holder",
        "_kept_file": "KeptFile",
        "_late": "LateModule late",
        "_logger": "logger",
        "_memo": "chunks remember",
        "_mounts": "is_local",
        "_named": "NamedTuple",
        "_options": "Options dataclass_transform",
        "_opened": "OpenedFiles current_files opened_files",
        "_reading": "is_linked open_own_file own_entries read_own_file status_of",
        "_stamp": "Stamp is_settled",
        "_telling": "listeners one_line",
        "_text_set": "TextSet",
        "_turns": "takes_turn",
        "_warn": "collected_warnings collecting_warnings give_again warn was_given_again",
    },
)
