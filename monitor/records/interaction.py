"""One prompt-response pair of production traffic, in the shape every later step reads."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Interaction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One interaction, whatever format it arrived in.

    All text is what the classifiers judge: `prompt` is the text of the last user message,
    `response` the final answer without reasoning. Missing values are empty strings, never
    ``None``, except `timestamp`.
    """

    id: str
    timestamp: float | None = None
    """Event time, seconds since 1970 (UTC); ``None`` when missing or not between 2020 and 2100."""
    deployment: str = "default"
    model: str = ""
    revision: str = ""
    adapters: tuple[str, ...] = ()
    replica: str = ""
    system_prompt: str = ""
    chat_template: str = ""
    system_fingerprint: str = ""
    prompt: str = ""
    response: str = ""
    finish_reason: str = ""
    conversation: str = ""
    user: str = ""
    client: str = ""
    """Forwarded client address; the last resort as a source for deduplication."""
    sampling_rate: float = 1.0
    risk: str = ""
    """The operator's own label of the prompt's risk, if the record carries one."""
    attributes: Mapping[str, str] = {}
    unjudged: str = ""
    """Why the response cannot be judged (``tool_call``, ``no_content``, ``truncated_head``,
    ``redacted``), or empty."""
