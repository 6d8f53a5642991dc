"""Bytes to JSON values: bounded in size and depth, lenient about what producers get wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from monitor.records._fields import Limits, Malformed, Reason

MAX_DEPTH: Final = 200
"""Deepest nesting of a record. The decoders recurse on the caller's stack, so the bound must be
one that holds whatever called them."""

_BOM: Final = b"\xef\xbb\xbf"
_decoder: Final = msgspec.json.Decoder()

# A string (closed or not) is skipped whole; possessive, so that the scan stays linear.
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)

# Group 1 is half a surrogate pair; other escapes are consumed so that `\\ud800` is left alone.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def decode_object(value: bytes, limits: Limits) -> Mapping[str, object]:
    """One record as a JSON object.

    Raises:
        Malformed: too large, too deep, not UTF-8, not JSON, or not an object.
    """
    if len(value) > limits.record_bytes:
        raise Malformed(
            Reason.TOO_LARGE,
            "",
            f"record: longer than {limits.record_bytes} bytes; cut long texts before sending",
        )
    record = decode(value)
    if not isinstance(record, dict):
        raise Malformed(
            Reason.NOT_AN_OBJECT, "", "record: not a JSON object; send one object per record"
        )
    return record


def decode(value: bytes, field: str = "record") -> object:
    """Any JSON value; `field` is the name used in errors."""
    value = value.removeprefix(_BOM)
    if _depth_exceeds(value, MAX_DEPTH):
        raise _too_deep(field)
    try:
        return _decoder.decode(value)
    except RecursionError:
        reason = Reason.TOO_DEEP
    except ValueError:
        reason = Reason.INVALID_JSON
    if reason is Reason.TOO_DEEP:
        raise _too_deep(field)
    return _decode_leniently(value, field)


def _decode_leniently(value: bytes, field: str) -> object:
    """What Python's own `json.dumps` may write and strict decoders refuse: half surrogate
    pairs, NaN and Infinity, numbers beyond 64 bits; and raw control characters in strings."""
    reason, message = Reason.INVALID_JSON, f"{field}: not valid JSON; send one JSON object"
    try:
        text = value.decode()
        return json.loads(_ESCAPE.sub(_mend, text), strict=False)
    except UnicodeDecodeError:
        reason, message = Reason.INVALID_UTF8, f"{field}: not UTF-8; encode it as UTF-8"
    except RecursionError:
        reason, message = Reason.TOO_DEEP, str(_too_deep(field))
    except ValueError:
        pass
    # Raised out here so that the decoder's error, which holds the record, is not its context.
    raise Malformed(reason, "" if field == "record" else field, message)


def _mend(match: re.Match[str]) -> str:
    return "\\ufffd" if match[1] else match[0]


def _too_deep(field: str) -> Malformed:
    return Malformed(
        Reason.TOO_DEEP,
        "" if field == "record" else field,
        f"{field}: nested deeper than {MAX_DEPTH} levels; flatten it",
    )


def _depth_exceeds(value: bytes, limit: int) -> bool:
    if value.count(b"[") + value.count(b"{") <= limit:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(value):
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth > limit:
                return True
        elif token in b"]}":
            depth -= 1
    return False
