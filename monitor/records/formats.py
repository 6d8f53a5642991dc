"""From one record, as bytes, to an `Interaction`.

Five formats: ``native``, ``openai``, ``otel``, ``litellm``, and ``auto``, which looks at the keys.
Whatever the bytes are, the outcome is an interaction whose texts can be encoded as UTF-8 and
whose identity is short and printable, or `Malformed`.

A record holds one interaction. Of several candidate answers (``n > 1``) choice 0 is judged. Of
duplicate keys the last one counts. A missing id is empty; the caller gives it a position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from monitor.records import _litellm, _native, _openai, _otel, _plain
from monitor.records._decode import decode_object
from monitor.records._fields import Limits, Malformed, Reason, bounded
from monitor.records.interaction import Interaction

__all__ = ["DEFAULT_LIMITS", "Format", "Limits", "Malformed", "Reason", "parse"]

DEFAULT_LIMITS: Final = Limits()


class Format(StrEnum):
    """How records are written."""

    AUTO = "auto"
    NATIVE = "native"
    OPENAI = "openai"
    OTEL = "otel"
    LITELLM = "litellm"


_READERS: Final[Mapping[Format, Callable[[Mapping[str, object], str, Limits], Interaction]]] = {
    Format.NATIVE: _native.read,
    Format.OPENAI: _openai.read,
    Format.OTEL: _otel.read,
    Format.LITELLM: _litellm.read,
}
_OPENAI_KEYS: Final = frozenset(
    {"request", "request_body", "response_body", "choices", "chunks", "response_chunks", "output"}
)
_NATIVE_ANSWERS: Final = frozenset({"response", "output_messages"})


def parse(
    value: bytes,
    fmt: Format = Format.AUTO,
    default_deployment: str = "default",
    limits: Limits = DEFAULT_LIMITS,
) -> Interaction:
    """Read one record.

    Args:
        value: the record as it arrived.
        fmt: its format.
        default_deployment: used where the record names no deployment.
        limits: bounds on the record and its texts.

    Raises:
        Malformed: it cannot be read; the message says what is wrong without quoting it.
    """
    if fmt is Format.AUTO or fmt is Format.NATIVE:
        plain = _plain.read(value, default_deployment, limits)
        if plain is not None:
            return plain
    record = decode_object(value, limits)
    if fmt is Format.AUTO:
        fmt = detect(record)
    reader = _native.read if fmt is Format.NATIVE else _READERS[fmt]
    try:
        return reader(record, default_deployment, limits)
    except Malformed as problem:
        named = record.get("deployment")
        problem.deployment = bounded(named) if isinstance(named, str) else ""
        raise


def detect(record: Mapping[str, object]) -> Format:
    """The format of a record by its keys; native if no other fits."""
    if "standard_logging_object" in record or ("model_group" in record and "startTime" in record):
        return Format.LITELLM
    if not _OPENAI_KEYS.isdisjoint(record) or isinstance(record.get("response"), dict | list):
        return Format.OPENAI
    if not _NATIVE_ANSWERS.isdisjoint(record):
        return Format.NATIVE
    return Format.OTEL if _otel.is_otel(record) else Format.NATIVE
