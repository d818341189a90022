"""One run: looked up, run, published and recorded; what stands between a store and its index."""

from ._arguments import checked_metadata, checked_suffix, opened_index, require_callable
from ._lookup import Candidate, agrees, identity_fields
from ._older import OlderForms, as_of_today, rewritten
from ._paths import Places
from ._records import Catalog, by_key, report_unknown_names, signature
from ._run import AsyncWork, BoundRunner, Look, Metadata, Runner, RunUnderWay, Work, kept_aside
from ._staleness import POLICIES, DefaultsWatch, Watch, answer_among

__all__ = [
    "POLICIES",
    "AsyncWork",
    "BoundRunner",
    "Candidate",
    "Catalog",
    "DefaultsWatch",
    "Look",
    "Metadata",
    "OlderForms",
    "Places",
    "RunUnderWay",
    "Runner",
    "Watch",
    "Work",
    "agrees",
    "answer_among",
    "as_of_today",
    "by_key",
    "checked_metadata",
    "checked_suffix",
    "identity_fields",
    "kept_aside",
    "opened_index",
    "report_unknown_names",
    "require_callable",
    "rewritten",
    "signature",
]
