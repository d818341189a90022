"""Runs as a list and as a table: text, HTML, CSV, a DataFrame, a page."""

from ._record_list import RecordList

__all__ = ["RecordList"]
