"""One run: looked up, run, published and recorded; what stands between a store and its index."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._acceptance import run_mark
    from ._arguments import checked_metadata, require_callable
    from ._cache import RunCache
    from ._defaults import DefaultsWatch
    from ._ending import not_removed
    from ._known import CannotReplayError, Comparison, call_of, is_known, make_known
    from ._lookup import Candidate, Lookup, agrees, has_own_key, identity_fields, identity_of, judge
    from ._manifest import differs, first_defect, has_recorded_digests
    from ._open_caches import open_caches
    from ._origins import origins_of, records_in_journal
    from ._paths import ResultPaths
    from ._plain_runs import SIMILAR_RUNS, PlainRuns, durations_of
    from ._reads import ReadsWatch
    from ._records import by_key, moved
    from ._run import AsyncWork, BoundRunner, Look, Metadata, Runner, RunUnderWay, Work, save_of, suffix_of
    from ._settings import DIGEST_UP_TO_BYTES, Settings, checked_suffix
    from ._staleness import FIELDS, POLICIES, StalenessPolicy
    from ._unknown_names import warn_of_slips
    from ._writer import signature

__all__ = [
    "DIGEST_UP_TO_BYTES",
    "FIELDS",
    "POLICIES",
    "SIMILAR_RUNS",
    "AsyncWork",
    "BoundRunner",
    "Candidate",
    "CannotReplayError",
    "Comparison",
    "DefaultsWatch",
    "Look",
    "Lookup",
    "Metadata",
    "PlainRuns",
    "ReadsWatch",
    "ResultPaths",
    "RunCache",
    "RunUnderWay",
    "Runner",
    "Settings",
    "StalenessPolicy",
    "Work",
    "agrees",
    "by_key",
    "call_of",
    "checked_metadata",
    "checked_suffix",
    "differs",
    "durations_of",
    "first_defect",
    "has_own_key",
    "has_recorded_digests",
    "identity_fields",
    "identity_of",
    "is_known",
    "judge",
    "make_known",
    "moved",
    "not_removed",
    "open_caches",
    "origins_of",
    "records_in_journal",
    "require_callable",
    "run_mark",
    "save_of",
    "signature",
    "suffix_of",
    "warn_of_slips",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_acceptance": "run_mark",
        "_arguments": "checked_metadata require_callable",
        "_cache": "RunCache",
        "_defaults": "DefaultsWatch",
        "_ending": "not_removed",
        "_known": "CannotReplayError Comparison call_of is_known make_known",
        "_lookup": "Candidate Lookup agrees has_own_key identity_fields identity_of judge",
        "_manifest": "differs first_defect has_recorded_digests",
        "_open_caches": "open_caches",
        "_origins": "origins_of records_in_journal",
        "_paths": "ResultPaths",
        "_plain_runs": "PlainRuns SIMILAR_RUNS durations_of",
        "_reads": "ReadsWatch",
        "_records": "by_key moved",
        "_run": "AsyncWork BoundRunner Look Metadata RunUnderWay Runner Work save_of suffix_of",
        "_settings": "DIGEST_UP_TO_BYTES Settings checked_suffix",
        "_staleness": "FIELDS POLICIES StalenessPolicy",
        "_unknown_names": "warn_of_slips",
        "_writer": "signature",
    },
)
