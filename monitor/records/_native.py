"""The native format, and the last step of every other: named fields to an `Interaction`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

from monitor.records._fields import (
    Limits,
    adapters,
    as_object,
    attributes,
    clip,
    identity,
    missing,
    sampling_rate,
    timestamp,
    wrong_type,
)
from monitor.records._messages import (
    Answer,
    Content,
    Exchange,
    Prompt,
    conclude,
    finish_reason,
    last_answer,
    prompt,
)
from monitor.records.interaction import Interaction
from monitor.records.probe import flattened

_TEXTS: Final = frozenset(
    {
        "prompt", "messages", "response", "output_messages", "system_prompt", "chat_template",
        "reasoning", "reasoning_content", "tool_calls",
    }
)  # fmt: skip
IDENTITY: Final = frozenset(
    {
        "id", "timestamp", "deployment", "model", "revision", "adapters", "replica",
        "finish_reason", "conversation", "user", "client", "system_fingerprint",
        "sampling_rate", "risk", "truncated_head", "attributes",
    }
)  # fmt: skip
"""Fields that say what a record is about; in every format they may stand beside the texts."""

_NAMES: Final = frozenset(
    {
        "id", "deployment", "model", "revision", "replica", "system_fingerprint", "conversation",
        "user", "client", "risk",
    }
)  # fmt: skip
"""Fields that become bounded text."""

_KNOWN: Final = _TEXTS | IDENTITY


def read(record: Mapping[str, object], default_deployment: str, limits: Limits) -> Interaction:
    """A native record."""
    exchange = Exchange(
        _prompt(record),
        _answer(record),
        finish_reason(record.get("finish_reason")),
    )
    others: Iterable[tuple[str, object]] = ()
    if not _KNOWN.issuperset(record):
        others = ((name, record[name]) for name in record if name not in _KNOWN)
    return assemble(record, exchange, others, default_deployment, limits)


def _prompt(record: Mapping[str, object]) -> Prompt:
    text = record.get("prompt")
    system = _text(record, "system_prompt")
    messages = record.get("messages")
    if messages is None:
        if text is None and not ("prompt" in record or "messages" in record):
            raise missing("prompt", "send the user's text as `prompt`, or the chat as `messages`")
        return Prompt(_text(record, "prompt"), system)
    chat = prompt(messages, "messages")
    return Prompt(
        chat.text if text is None else _text(record, "prompt"),
        system or chat.system,
        chat.omitted,
    )


def _answer(record: Mapping[str, object]) -> Answer:
    text = record.get("response")
    if text is None and record.get("output_messages") is not None:
        return last_answer(record["output_messages"], "output_messages")
    if text is None and not ("response" in record or "output_messages" in record):
        raise missing("response", "send the model's text as `response` or `output_messages`")
    if text is not None and not isinstance(text, str):
        raise wrong_type("response", "text", text)
    reasoning = record.get("reasoning_content") or record.get("reasoning")
    return conclude(
        Content(text, reasoning=bool(reasoning), tool_call=bool(record.get("tool_calls")))
    )


def _text(record: Mapping[str, object], field: str) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong_type(field, "text", value)
    return value


def assemble(
    fields: Mapping[str, object],
    exchange: Exchange,
    others: Iterable[tuple[str, object]],
    default_deployment: str,
    limits: Limits,
) -> Interaction:
    """Clean and bound everything.

    Args:
        fields: the fields of `IDENTITY`, and ``chat_template``.
        others: names and values that `exclude:` matchers may ask for; scalars are kept.

    Raises:
        Malformed: a field has a type that cannot be understood.
    """
    (text, system, omitted_in), (response, unjudged, omitted_out), finish, beheaded = exchange
    if finish == "content_filter":
        # What a filter withheld is `blocked`, which is an outcome, not a failure to judge.
        unjudged = ""
    elif beheaded or fields.get("truncated_head") is True:
        unjudged = "truncated_head"
    names = {"id": ""}
    for name, value in fields.items():
        if name in _NAMES:
            names[name] = identity(value, name)
    names["deployment"] = names.get("deployment") or default_deployment
    return Interaction(
        timestamp=timestamp(fields.get("timestamp")),
        adapters=adapters(fields.get("adapters")),
        system_prompt=clip(system, limits),
        chat_template=clip(_text(fields, "chat_template"), limits),
        prompt=clip(text, limits),
        response=clip(response, limits),
        finish_reason=identity(finish, "finish_reason"),
        sampling_rate=sampling_rate(fields.get("sampling_rate")),
        attributes=_attributes(fields.get("attributes"), others, omitted_in + omitted_out),
        unjudged=unjudged,
        **names,
    )


def _attributes(
    given: object, others: Iterable[tuple[str, object]], omitted: tuple[str, ...]
) -> dict[str, str]:
    if given is None and not omitted and others == ():
        return {}
    noted = [("omitted_parts", ",".join(sorted(set(omitted))))] if omitted else []
    named = flattened(as_object(given, "attributes"))
    return attributes(chain(noted, named.items(), others))
