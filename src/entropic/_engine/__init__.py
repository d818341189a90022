"""One run: looked up, run, published and recorded; what stands between a store and its index."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._acceptance import run_mark
    from ._annotation import annotate, annotate_newest, set_pinned
    from ._arguments import checked_metadata, require_callable, require_same_point
    from ._arrival import require_as_recorded, written
    from ._attempts import given_new_checkpoint
    from ._away import AwayResults
    from ._cache import RunCache
    from ._defaults import DefaultsWatch
    from ._ending import not_removed
    from ._failure import keep_failure
    from ._fallback import select_with_fallbacks
    from ._group import RunGroup
    from ._known import CannotReplayError, Comparison, call_of, is_known, judge_of_code, make_known
    from ._lookup import Candidate, Lookup, agrees, has_own_key, identity_fields, identity_of, judge
    from ._manifest import differs, first_defect, has_recorded_digests, is_stored
    from ._open_caches import open_caches
    from ._origins import fetch_result, origins_of, readable_id, records_in_journal
    from ._parts import CannotTakeError, Part, Refused, Rules, copy_parts, is_inside, require_own_key
    from ._paths import ResultPaths
    from ._plain_runs import PlainRuns, durations_of, similar_runs
    from ._reads import ReadsWatch, changed_files
    from ._records import by_key, moved
    from ._run import Metadata
    from ._runner import BoundRunner, Runner
    from ._settings import DIGEST_UP_TO_BYTES, Settings, checked_suffix
    from ._staleness import FIELDS, POLICIES, StalenessPolicy
    from ._transfer import Transfer
    from ._unknown_names import warn_of_slips
    from ._work import Traits, Work

__all__ = [
    "DIGEST_UP_TO_BYTES",
    "FIELDS",
    "POLICIES",
    "AwayResults",
    "BoundRunner",
    "Candidate",
    "CannotReplayError",
    "CannotTakeError",
    "Comparison",
    "DefaultsWatch",
    "Lookup",
    "Metadata",
    "Part",
    "PlainRuns",
    "ReadsWatch",
    "Refused",
    "ResultPaths",
    "Rules",
    "RunCache",
    "RunGroup",
    "Runner",
    "Settings",
    "StalenessPolicy",
    "Traits",
    "Transfer",
    "Work",
    "agrees",
    "annotate",
    "annotate_newest",
    "by_key",
    "call_of",
    "changed_files",
    "checked_metadata",
    "checked_suffix",
    "copy_parts",
    "differs",
    "durations_of",
    "fetch_result",
    "first_defect",
    "given_new_checkpoint",
    "has_own_key",
    "has_recorded_digests",
    "identity_fields",
    "identity_of",
    "is_inside",
    "is_known",
    "is_stored",
    "judge",
    "judge_of_code",
    "keep_failure",
    "make_known",
    "moved",
    "not_removed",
    "open_caches",
    "origins_of",
    "readable_id",
    "records_in_journal",
    "require_as_recorded",
    "require_callable",
    "require_own_key",
    "require_same_point",
    "run_mark",
    "select_with_fallbacks",
    "set_pinned",
    "similar_runs",
    "warn_of_slips",
    "written",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_acceptance": "run_mark",
        "_annotation": "annotate annotate_newest set_pinned",
        "_arguments": "checked_metadata require_callable require_same_point",
        "_attempts": "given_new_checkpoint",
        "_away": "AwayResults",
        "_cache": "RunCache",
        "_defaults": "DefaultsWatch",
        "_arrival": "require_as_recorded written",
        "_ending": "not_removed",
        "_fallback": "select_with_fallbacks",
        "_failure": "keep_failure",
        "_group": "RunGroup",
        "_known": "CannotReplayError Comparison call_of is_known judge_of_code make_known",
        "_lookup": "Candidate Lookup agrees has_own_key identity_fields identity_of judge",
        "_manifest": "differs first_defect has_recorded_digests is_stored",
        "_open_caches": "open_caches",
        "_origins": "fetch_result origins_of readable_id records_in_journal",
        "_parts": "CannotTakeError Part Refused Rules copy_parts is_inside require_own_key",
        "_paths": "ResultPaths",
        "_plain_runs": "PlainRuns durations_of similar_runs",
        "_reads": "ReadsWatch changed_files",
        "_records": "by_key moved",
        "_run": "Metadata",
        "_settings": "DIGEST_UP_TO_BYTES Settings checked_suffix",
        "_staleness": "FIELDS POLICIES StalenessPolicy",
        "_transfer": "Transfer",
        "_unknown_names": "warn_of_slips",
        "_runner": "BoundRunner Runner",
        "_work": "Traits Work",
    },
)
