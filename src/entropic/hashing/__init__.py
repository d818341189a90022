"""
From parameters to a key: one form for equal values, one byte string, one digest.

`normalize` brings a value to JSON form, `canonical` writes that form as the one text that is hashed, `hash_params`
is the digest. Two values share a key only if they mean the same; nothing falls back to ``str()``, because a truncated
array or a memory address in a key is a wrong result or a cache that never hits.
"""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._annotations import form_of as form_of
    from ._canonical import canonical as canonical
    from ._canonical import decode as decode
    from ._canonical import decode_params as decode_params
    from ._canonical import encode as encode
    from ._canonical import fields_text as fields_text
    from ._canonical import rounded as rounded
    from ._copies import copy_mapping as copy_mapping
    from ._copies import is_copied as is_copied
    from ._copies import own_copy as own_copy
    from ._functions import main_module as main_module
    from ._functions import module_name as module_name
    from ._functions import name_of as name_of
    from ._input_file import InputFile as InputFile
    from ._keys import PLAIN as PLAIN
    from ._keys import PLAIN_TYPES as PLAIN_TYPES
    from ._keys import RESERVED as RESERVED
    from ._keys import Identity as Identity
    from ._keys import Key as Key
    from ._keys import PlainKeys as PlainKeys
    from ._keys import hash_params
    from ._keys import key_of as key_of
    from ._keys import make_key as make_key
    from ._keys import normalize_params as normalize_params
    from ._normalize import normalize
    from ._normalize import normalize_at as normalize_at
    from ._received import paths as paths
    from ._received import received as received
    from ._runs import has_companions as has_companions
    from ._runs import recorded_digest as recorded_digest
    from ._runs import run_digest as run_digest
    from ._runs import run_text as run_text
    from ._sources import Source as Source
    from ._sources import sources_of as sources_of
    from ._sources import unchanged as unchanged
    from ._tags import INPUT_TAG as INPUT_TAG
    from ._tags import RUN_TAG as RUN_TAG
    from ._tags import content_text as content_text
    from ._tags import file_text as file_text
    from ._tags import is_input as is_input
    from ._tags import is_run as is_run
    from ._tags import untagged as untagged
    from ._types import is_record as is_record
    from ._types import is_record_list as is_record_list

__all__ = ["hash_params", "normalize"]

__getattr__, __dir__ = door(
    __name__,
    {
        "_annotations": "form_of",
        "_canonical": "canonical decode decode_params encode fields_text rounded",
        "_copies": "copy_mapping is_copied own_copy",
        "_functions": "main_module module_name name_of",
        "_input_file": "InputFile",
        "_keys": "Identity Key PLAIN PLAIN_TYPES PlainKeys RESERVED hash_params key_of make_key normalize_params",
        "_normalize": "normalize normalize_at",
        "_received": "paths received",
        "_runs": "has_companions recorded_digest run_digest run_text",
        "_sources": "Source sources_of unchanged",
        "_types": "is_record is_record_list",
        "_tags": "INPUT_TAG RUN_TAG content_text file_text is_input is_run untagged",
    },
)
