"""Fields of a record: what is accepted, how it is cleaned and bounded, and how it is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

MAX_IDENTITY: Final = 200
"""Longest id, deployment, model, user and so on, in characters."""

MAX_ADAPTERS: Final = 16
MAX_ATTRIBUTES: Final = 32
MAX_ATTRIBUTE_NAME: Final = 64
MAX_ATTRIBUTE_VALUE: Final = 256

_EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_EPOCH_UNITS: Final = (1, 10**3, 10**6, 10**9)
_NUMERAL: Final = re.compile(r"\d{9,19}(?:\.\d{1,9})?")


class Reason(StrEnum):
    """Why a record cannot be read: a closed set, safe as a metric label."""

    INVALID_JSON = "invalid_json"
    INVALID_UTF8 = "invalid_utf8"
    NOT_AN_OBJECT = "not_an_object"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    OUT_OF_RANGE = "out_of_range"
    UNSUPPORTED = "unsupported"


class Malformed(Exception):
    """A record that cannot be read as an interaction.

    The message is one line that names the field and the fix. It is made of fixed words only:
    nothing of the record's own text, keys or values is in it, so it may be logged.
    """

    def __init__(self, reason: Reason, field: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.deployment = ""
        """Of which deployment the record says it is, if that much can be read; not in the
        message."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one record."""

    record_bytes: int = 16 * 2**20
    """Longer records are refused (`too_large`)."""
    text_chars: int = 64 * 2**10
    """Of longer prompts, responses and system prompts the first and the last half of this many
    characters are kept, so that both ends of a text stay visible to the classifiers."""


def wrong_type(field: str, expected: str, value: object) -> Malformed:
    return Malformed(
        Reason.WRONG_TYPE, field, f"{field}: expected {expected}, got {_kind(value)}; correct it"
    )


def missing(field: str, fix: str) -> Malformed:
    return Malformed(Reason.MISSING_FIELD, field, f"{field}: missing; {fix}")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def as_object(value: object, field: str) -> Mapping[str, object]:
    """`value` as a JSON object; ``null`` counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(field, "an object", value)
    return value


def identity(value: object, field: str) -> str:
    """A name or id as bounded printable text; ``null`` is empty, numbers become text."""
    if type(value) is str:
        plain = len(value) <= MAX_IDENTITY and value.isprintable()
        return value.strip() if plain else bounded(value)
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bounded(str(value))
    raise wrong_type(field, "text", value)


def bounded(name: str, length: int = MAX_IDENTITY) -> str:
    """`name` without control characters and at most `length` characters long.

    What is cut off is replaced by a digest of the whole, so that two long names that begin
    alike (signed tokens do) stay two names.
    """
    if len(name) > length:
        digest = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=6).hexdigest()
        name = f"{name[: length - 13]}~{digest}"
    if not name.isprintable():
        name = "".join(c if c.isprintable() else "\ufffd" for c in name.strip())
    return name.strip()


def adapters(value: object) -> tuple[str, ...]:
    """Names or digests of adapters (LoRA); one of them may come as bare text."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise wrong_type("adapters", "a list of text", value)
    if len(value) > MAX_ADAPTERS:
        raise Malformed(
            Reason.OUT_OF_RANGE, "adapters", f"adapters: more than {MAX_ADAPTERS}; send fewer"
        )
    names = (identity(item, "adapters") for item in value)
    return tuple(name for name in names if name)


def timestamp(value: object) -> float | None:
    """Seconds since 1970 from RFC 3339 or epoch seconds, milli-, micro- or nanoseconds.

    ``None`` for what is missing, not readable, or outside 2020-2100: a record is never refused
    for its time. A time without a zone is UTC.
    """
    if isinstance(value, str):
        return _text_time(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number_time(value)
    return None


def _text_time(text: str) -> float | None:
    if "-" not in text and _NUMERAL.fullmatch(text):
        return _number_time(float(text) if "." in text else int(text))
    try:
        time = datetime.fromisoformat(text)
        seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if _EARLIEST <= seconds < _LATEST else None


def _number_time(number: float) -> float | None:
    for unit in _EPOCH_UNITS:
        if _EARLIEST * unit <= number < _LATEST * unit:
            return number / unit
    return None


def sampling_rate(value: object) -> float:
    """Share of the traffic that was captured, in (0, 1]; 1 when missing."""
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type("sampling_rate", "a number", value)
    if not 0.0 < value <= 1.0:
        raise Malformed(
            Reason.OUT_OF_RANGE,
            "sampling_rate",
            "sampling_rate: not in (0, 1]; send the share of traffic captured, such as 0.1",
        )
    return float(value)


def attributes(pairs: Iterable[tuple[str, object]]) -> dict[str, str]:
    """The scalars among `pairs` as text, for `exclude:` matchers: the first 32, each bounded.

    Of two pairs with one name the first counts.
    """
    kept: dict[str, str] = {}
    for name, value in pairs:
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int | float):
            value = str(value)
        if isinstance(value, str) and len(kept) < MAX_ATTRIBUTES:
            kept.setdefault(bounded(name, MAX_ATTRIBUTE_NAME), bounded(value, MAX_ATTRIBUTE_VALUE))
    return kept


def clip(text: str, limits: Limits) -> str:
    """`text`, or its two ends if it is longer than allowed."""
    if len(text) <= limits.text_chars:
        return text
    half = limits.text_chars // 2
    return text[:half] + text[-half:]


def first_scalar(source: Mapping[str, object], *names: str) -> object:
    """The first of `names` that holds a text that is not empty, or a number; else ``None``."""
    for name in names:
        value = source.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            return value
    return None
