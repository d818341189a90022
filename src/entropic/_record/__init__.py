"""The memory of one run, its document form in an index, and how its values are written for people."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._amounts import seconds_of, size_text, time_text
    from ._cells import cell_text, frame_value, is_misleading, is_utf8, local_time, moment_of, plain_text
    from ._companions import companions_of, listed_members
    from ._flat import flatten
    from ._folded import Folding, folded, folded_texts, read_through
    from ._inputs import RunInput, inputs_among, inputs_text
    from ._labels import call_text, short_name
    from ._new import SameFields, new_record, note_in
    from ._reads import ReadFile, RecordedReads, content_mark
    from ._record import (
        RunRecord,
        copy_record,
        document_text,
        encoded,
        handed_out,
        is_pinned,
        lazy_copy,
        path_text,
        place_below,
        signature,
        signature_text,
        with_params,
    )

__all__ = [
    "Folding",
    "ReadFile",
    "RecordedReads",
    "RunInput",
    "RunRecord",
    "SameFields",
    "call_text",
    "cell_text",
    "companions_of",
    "content_mark",
    "copy_record",
    "document_text",
    "encoded",
    "flatten",
    "folded",
    "folded_texts",
    "frame_value",
    "handed_out",
    "inputs_among",
    "inputs_text",
    "is_misleading",
    "is_pinned",
    "is_utf8",
    "lazy_copy",
    "listed_members",
    "local_time",
    "moment_of",
    "new_record",
    "note_in",
    "path_text",
    "place_below",
    "plain_text",
    "read_through",
    "seconds_of",
    "short_name",
    "signature",
    "signature_text",
    "size_text",
    "time_text",
    "with_params",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_amounts": "seconds_of size_text time_text",
        "_cells": "cell_text frame_value is_misleading is_utf8 local_time moment_of plain_text",
        "_companions": "companions_of listed_members",
        "_flat": "flatten",
        "_folded": "Folding folded folded_texts read_through",
        "_inputs": "RunInput inputs_among inputs_text",
        "_labels": "call_text short_name",
        "_new": "SameFields new_record note_in",
        "_reads": "ReadFile RecordedReads content_mark",
        "_record": (
            "RunRecord copy_record document_text encoded handed_out is_pinned lazy_copy path_text place_below "
            "signature signature_text with_params"
        ),
    },
)
