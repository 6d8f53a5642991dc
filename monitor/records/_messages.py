"""Chat messages, in the shapes the several APIs give them, to the texts that are judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from monitor.records._fields import as_object, wrong_type
from monitor.records._reasoning import separate

_TEXT: Final = frozenset({"", "text", "input_text", "output_text"})
_REASONING: Final = frozenset(
    {"reasoning", "reasoning_text", "summary_text", "thinking", "redacted_thinking"}
)
_TOOL_CALL: Final = frozenset({"tool_call", "tool_use", "function_call", "server_tool_call"})
_TOOL_RESULT: Final = frozenset(
    {"tool_result", "tool_call_response", "function_call_output", "server_tool_call_response"}
)
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "thinking_blocks")
_SYSTEM_ROLES: Final = frozenset({"system", "developer"})
_USER_ROLES: Final = frozenset({"user", "human"})
_FINISH: Final = {
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "safety": "content_filter",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "end_turn": "stop",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
}


@dataclass(slots=True)
class Content:
    """What the parts of one message hold. `text` is ``None`` if there is no text part at all."""

    text: str | None = None
    refusal: str = ""
    reasoning: bool = False
    tool_call: bool = False
    tool_result: bool = False
    omitted: tuple[str, ...] = ()
    """Types of the parts that are no text (images, audio, files)."""


class Prompt(NamedTuple):
    """The side of the user."""

    text: str = ""
    system: str = ""
    omitted: tuple[str, ...] = ()


class Answer(NamedTuple):
    """The side of the model: the final answer, or why there is none to judge."""

    text: str = ""
    unjudged: str = ""
    omitted: tuple[str, ...] = ()


class Exchange(NamedTuple):
    """Everything of an interaction that is text, whatever format it came in."""

    prompt: Prompt
    answer: Answer
    finish_reason: str = ""
    truncated_head: bool = False


def content(value: object, field: str) -> Content:
    """The content of a message: text, a part, a list of parts, or ``null``.

    Texts of several parts are joined by a newline. A part of unknown type counts as text if it
    has a ``text``.
    """
    if isinstance(value, str):
        return Content(value)
    if value is None:
        return Content()
    found = Content()
    texts: list[str] = []
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            _add_part(found, texts, part)
        else:
            raise wrong_type(field, "text or a list of parts", part)
    if texts:
        found.text = "\n".join(texts)
    return found


def _add_part(found: Content, texts: list[str], part: Mapping[str, object]) -> None:
    kind = text_or_empty(part.get("type"))
    text = part.get("text") if "text" in part else part.get("content")
    if kind in _REASONING:
        found.reasoning = True
    elif kind in _TOOL_CALL:
        found.tool_call = True
    elif kind in _TOOL_RESULT:
        found.tool_result = True
    elif kind == "refusal":
        found.refusal += text_or_empty(part.get("refusal"))
    elif isinstance(text, str) and (kind in _TEXT or "text" in part):
        texts.append(text)
    else:
        found.omitted += (kind or "unknown",)


def prompt(messages: object, field: str) -> Prompt:
    """The last user message of a chat, and the system and developer messages it starts with.

    Later system messages carry context (retrieved documents), not settings of the model. A user
    message that only returns the result of a tool is passed over.
    """
    if not isinstance(messages, list):
        raise wrong_type(field, "a list of messages", messages)
    system: list[str] = []
    user = Content()
    opening = True
    for item in messages:
        message = as_object(item, field)
        role = text_or_empty(message.get("role"))
        if role in _SYSTEM_ROLES:
            if opening:
                system.append(content(body(message), f"{field}.content").text or "")
            continue
        opening = False
        if role in _USER_ROLES:
            said = content(body(message), f"{field}.content")
            if said.text is not None or not said.tool_result:
                user = said
    return Prompt(user.text or "", "\n".join(filter(None, system)), user.omitted)


def body(message: Mapping[str, object]) -> object:
    """``content`` (OpenAI and its like) or ``parts`` (OTel) of a message."""
    return message["content"] if "content" in message else message.get("parts")


def answer(message: Mapping[str, object], field: str) -> Answer:
    """The final answer in one message of the model."""
    said = content(body(message), f"{field}.content")
    if said.text is None and isinstance(audio := message.get("audio"), dict):
        said.text = text_or_none(audio.get("transcript"))
    said.refusal = said.refusal or text_or_empty(message.get("refusal"))
    said.reasoning |= any(message.get(name) for name in _REASONING_FIELDS)
    said.tool_call |= bool(message.get("tool_calls") or message.get("function_call"))
    return conclude(said)


def conclude(said: Content) -> Answer:
    """What the user got to read.

    A refusal given in a field of its own is the answer. Without any text the answer is
    unjudged: `tool_call`, or `no_content` (nothing there, or reasoning that never ended). An
    empty text without reasoning is an answer: an empty one.
    """
    if said.refusal:
        return Answer(said.refusal, "", said.omitted)
    text, reasoning, tool_call = separate(said.text or "")
    if text.strip():
        return Answer(text, "", said.omitted)
    if tool_call or said.tool_call:
        return Answer("", "tool_call", said.omitted)
    if said.text is None or reasoning or said.reasoning:
        return Answer("", "no_content", said.omitted)
    return Answer(text, "", said.omitted)


def last_answer(messages: object, field: str) -> Answer:
    """The last message of the model among `messages` (a run of an agent may hold several)."""
    if not isinstance(messages, list):
        raise wrong_type(field, "a list of messages", messages)
    said = [as_object(item, field) for item in messages]
    by_model = [m for m in said if m.get("role") in (None, "assistant", "model")]
    return answer(by_model[-1], field) if by_model else Answer("", "no_content")


def first_choice(choices: Sequence[object], field: str) -> Mapping[str, object]:
    """Choice 0: of several candidates only the one that clients show by default is judged."""
    found = [as_object(choice, field) for choice in choices]
    return next((c for c in found if c.get("index") == 0), found[0] if found else {})


def finish_reason(*candidates: object) -> str:
    """The first reason that is text, in OpenAI's words where they have one."""
    for reason in candidates:
        if isinstance(reason, str) and reason:
            lowered = reason.lower()
            return _FINISH.get(lowered, lowered)
    return ""


def joined(texts: Iterable[str]) -> str:
    return "\n".join(filter(None, texts))


def text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def text_or_empty(value: object) -> str:
    return value if isinstance(value, str) else ""
