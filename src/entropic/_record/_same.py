"""What many records have in common, and its text, which is written once for all of them."""

from __future__ import annotations

from typing import Any

from ..hashing import encode, fields_text


class SameFields:
    """
    Fields of the provenance that are the same for many runs.

    Attributes:
        fields: They themselves, as a record holds them; nobody changes them.
        text: The same as JSON in ASCII, without the braces around it.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        self.text = fields_text(encode(fields))
