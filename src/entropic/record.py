"""The memory of one run, and the list that a query returns."""

from ._record import RunRecord
from ._tables import RecordList

__all__ = ["RecordList", "RunRecord"]
