"""The memory of one run, and its document form in an index."""

from ._record import RunRecord, copy_record, lazy_copy, path_text, place_below, with_params

__all__ = ["RunRecord", "copy_record", "lazy_copy", "path_text", "place_below", "with_params"]
