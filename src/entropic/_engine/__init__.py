"""One run: looked up, run, published and recorded; what stands between a store and its index."""

from ._arguments import checked_metadata, checked_suffix, own_copy, require_callable
from ._lookup import Candidate, agrees, identity_fields
from ._older import OlderForms, as_of_today, rewritten
from ._paths import Places
from ._records import by_key, exchange, fields, let_newest_answer, report_unknown_names, search, signature
from ._run import AsyncWork, BoundRunner, Look, Metadata, Runner, RunUnderWay, Work, kept_aside
from ._staleness import POLICIES, DefaultsWatch, Watch, answer_among

__all__ = [
    "POLICIES",
    "AsyncWork",
    "BoundRunner",
    "Candidate",
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
    "exchange",
    "fields",
    "identity_fields",
    "kept_aside",
    "let_newest_answer",
    "own_copy",
    "report_unknown_names",
    "require_callable",
    "rewritten",
    "search",
    "signature",
]
