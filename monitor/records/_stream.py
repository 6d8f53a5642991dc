"""A streamed response, put together: OpenAI chunks or Responses events, as a list or as the raw
text of server-sent events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from monitor.records._decode import decode
from monitor.records._fields import Malformed, as_object
from monitor.records._messages import first_choice, text_or_empty

_LINE: Final = re.compile(r"\r\n|\n|\r")
_SSE_LINE: Final = re.compile(r"(?:data|event|id|retry)?:|\s*$")
_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_FIRST: Final = frozenset({"response.created", "response.queued", "response.in_progress"})


class Assembled(NamedTuple):
    """A response as it would have come without streaming."""

    response: Mapping[str, object]
    truncated_head: bool


def is_sse(text: str) -> bool:
    """Whether `text` is a stream of server-sent events, perhaps without its beginning."""
    return text.startswith(("data:", "event:", ": ")) or "\ndata:" in text


def assemble_sse(text: str, field: str) -> Assembled:
    """Chunks from the text of server-sent events.

    A last event that was cut off is left out; a first one that was cut off, or that is no event
    at all, means that the beginning of the stream is missing.
    """
    lines = _LINE.split(text)
    payloads = [line[5:].strip() for line in lines if line.startswith("data:")]
    cut = not _SSE_LINE.match(lines[0])
    chunks: list[object] = []
    for i, payload in enumerate(payloads):
        if payload in ("", "[DONE]"):
            continue
        try:
            chunks.append(decode(payload.encode("utf-8", "replace"), field))
        except Malformed:
            cut |= i == 0
    response, truncated_head = assemble(chunks, field)
    return Assembled(response, truncated_head or cut)


def assemble(chunks: Sequence[object], field: str) -> Assembled:
    """One response from its chunks, in the order they came."""
    if chunks and all(isinstance(chunk, str) for chunk in chunks):
        return assemble_sse("\n".join(map(str, chunks)), field)
    events = [as_object(chunk, field) for chunk in chunks]
    if any(text_or_empty(event.get("type")).startswith("response.") for event in events):
        return _from_events(events, field)
    return _from_chunks(events, field)


def _from_chunks(chunks: Sequence[Mapping[str, object]], field: str) -> Assembled:
    texts: list[str] = []
    refusals: list[str] = []
    reasoning = tool_call = completion = False
    finish: object = None
    head: Mapping[str, object] | None = None
    for chunk in chunks:
        choice = _choice_zero(chunk, field)
        if choice is None:
            continue
        delta = as_object(choice.get("delta") or choice.get("message"), f"{field}.delta")
        head = delta if head is None else head
        completion |= "text" in choice
        texts.append(text_or_empty(delta.get("content") or choice.get("text")))
        refusals.append(text_or_empty(delta.get("refusal")))
        reasoning |= bool(delta.get("reasoning_content") or delta.get("reasoning"))
        tool_call |= bool(delta.get("tool_calls") or delta.get("function_call"))
        finish = choice.get("finish_reason") or finish
    message = {
        "role": "assistant",
        "content": "".join(texts) or None,
        "refusal": "".join(refusals),
        "reasoning": reasoning,
        "tool_calls": tool_call,
    }
    choice = {"index": 0, "message": message, "finish_reason": finish}
    # The first delta of a chat names the role; text completions have no such mark.
    truncated_head = head is not None and "role" not in head and not completion
    return Assembled({**_envelope(chunks), "choices": [choice]}, truncated_head)


def _choice_zero(chunk: Mapping[str, object], field: str) -> Mapping[str, object] | None:
    """Choice 0 of a chunk; chunks of usage and of other choices have none."""
    choices = chunk.get("choices")
    if not isinstance(choices, list) or not choices:
        return None
    choice = first_choice(choices, f"{field}.choices")
    return choice if choice.get("index", 0) == 0 else None


def _from_events(events: Sequence[Mapping[str, object]], field: str) -> Assembled:
    for event in reversed(events):
        response = event.get("response")
        if (
            text_or_empty(event.get("type")) in _TERMINAL
            and isinstance(response, dict)
            and response.get("output")
        ):
            return Assembled(response, truncated_head=False)
    output: list[object] = []
    for kind, part, key in (
        ("response.output_text.delta", "output_text", "text"),
        ("response.refusal.delta", "refusal", "refusal"),
    ):
        text = "".join(text_or_empty(e.get("delta")) for e in events if e.get("type") == kind)
        if text:
            output.append({"type": "message", "content": [{"type": part, key: text}]})
    for event in events:
        item = event.get("item")
        if event.get("type") == "response.output_item.added" and isinstance(item, dict):
            output.append({"type": item.get("type")} if item.get("type") != "message" else {})
    opening = as_object(events[0].get("response"), f"{field}.response")
    last = as_object(events[-1].get("response"), f"{field}.response")
    return Assembled(
        {**opening, **last, "output": output},
        truncated_head=text_or_empty(events[0].get("type")) not in _FIRST,
    )


def _envelope(chunks: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """What every chunk repeats, from the first that has it."""
    found: dict[str, object] = {}
    for name in ("id", "created", "model", "system_fingerprint"):
        found[name] = next((c[name] for c in chunks if c.get(name)), None)
    return found
