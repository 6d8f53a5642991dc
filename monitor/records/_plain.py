"""Native records with nothing unusual in them, which are most: decoded straight into a struct.

What does not fit, in any way, is left to `_decode` and `_native`. They say what is allowed and
what is an error; this module only takes the short way to the same `Interaction`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from monitor.records._fields import MAX_IDENTITY, Limits, timestamp
from monitor.records._messages import finish_reason
from monitor.records._reasoning import may_hold_reasoning
from monitor.records.interaction import Interaction


class _Record(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields of a native record that are texts or times, and no others."""

    prompt: str
    response: str
    id: str | None = None
    timestamp: str | int | float | None = None
    deployment: str | None = None
    model: str | None = None
    revision: str | None = None
    replica: str | None = None
    conversation: str | None = None
    user: str | None = None
    client: str | None = None
    system_fingerprint: str | None = None
    system_prompt: str | None = None
    finish_reason: str | None = None
    risk: str | None = None


_decoder: Final = msgspec.json.Decoder(_Record)


def read(value: bytes, default_deployment: str, limits: Limits) -> Interaction | None:
    """The interaction, or ``None`` if the general way has to be taken."""
    if len(value) > limits.record_bytes:
        return None
    try:
        record = _decoder.decode(value)
    except (ValueError, RecursionError):
        return None
    response, system = record.response, record.system_prompt or ""
    longest = max(len(record.prompt), len(response), len(system))
    if longest > limits.text_chars or may_hold_reasoning(response) or not response.strip():
        return None
    names = (
        record.id or "",
        record.deployment or "",
        record.model or "",
        record.revision or "",
        record.replica or "",
        record.conversation or "",
        record.user or "",
        record.client or "",
        record.system_fingerprint or "",
        record.risk or "",
        finish_reason(record.finish_reason),
    )
    if not _are_plain(names):
        return None
    id_, deployment, model, revision, replica, conversation, user, client, build, risk, end = names
    return Interaction(
        id=id_,
        timestamp=timestamp(record.timestamp),
        deployment=deployment or default_deployment,
        model=model,
        revision=revision,
        replica=replica,
        system_prompt=system,
        system_fingerprint=build,
        prompt=record.prompt,
        response=response,
        finish_reason=end,
        conversation=conversation,
        user=user,
        client=client,
        risk=risk,
    )


def _are_plain(names: tuple[str, ...]) -> bool:
    """Whether each of `names` is what `_fields.bounded` would make of it."""
    joined = "".join(names)
    if not joined.isprintable():
        return False
    if " " in joined and any(name != name.strip() for name in names):
        return False
    return len(joined) <= MAX_IDENTITY or max(map(len, names)) <= MAX_IDENTITY
