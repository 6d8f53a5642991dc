"""OpenAI requests with their responses, as gateways and servers such as vLLM log them.

Chat completions, completions (legacy) and Responses; and answers that are a bare message, as
Anthropic's and Ollama's are. The pair may come as
``{"request": {...}, "response": {...}}`` (each also as JSON text or under ``body``), with the
fields of the request beside the response, or merged into one object. The response may be the
complete object, a list of chunks, or the text of the event stream. The identity fields of the
native format may stand beside the pair and win over what request and response say.

References: https://platform.openai.com/docs/api-reference ;
https://docs.vllm.ai/en/stable/features/reasoning_outputs (`reasoning`, was `reasoning_content`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

from monitor.records._decode import decode
from monitor.records._fields import Limits, as_object, first_scalar, missing, wrong_type
from monitor.records._messages import (
    Answer,
    Content,
    Exchange,
    Prompt,
    answer,
    conclude,
    content,
    finish_reason,
    first_choice,
    joined,
    prompt,
    text_or_empty,
    text_or_none,
)
from monitor.records._native import IDENTITY, assemble
from monitor.records._stream import Assembled, assemble_sse, is_sse
from monitor.records._stream import assemble as assemble_chunks
from monitor.records.interaction import Interaction

_REQUESTS: Final = ("request", "request_body")
_RESPONSES: Final = ("response", "response_body", "chunks", "response_chunks")
_TEXTS: Final = ("prompt", "input", "instructions", "output_text", "chat_template")
_STATUS: Final = {"completed": "stop", "incomplete": "length", "failed": "error"}
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation"})
CONVERSATION: Final = ("conversation_id", "session_id", "thread_id")
"""Where applications put the id of a conversation into a request's metadata."""


def read(record: Mapping[str, object], default_deployment: str, limits: Limits) -> Interaction:
    """A request with its response."""
    request = request_of(record)
    response, truncated_head = response_of(record)
    exchange = exchange_of(request, response)._replace(truncated_head=truncated_head)
    fields = {name: value for name, value in record.items() if name in IDENTITY}
    for name, value in _identity(request, response).items():
        if fields.get(name) in (None, ""):
            fields[name] = value
    fields["chat_template"] = text_or_none(request.get("chat_template"))
    return assemble(fields, exchange, _others(record, request), default_deployment, limits)


def _identity(
    request: Mapping[str, object], response: Mapping[str, object]
) -> Mapping[str, object]:
    conversation = request.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    metadata = request.get("metadata")
    if not conversation and isinstance(metadata, dict):
        conversation = first_scalar(metadata, *CONVERSATION)
    return {
        "id": first_scalar(response, "id"),
        "timestamp": first_scalar(response, "created", "created_at"),
        "model": first_scalar(response, "model") or first_scalar(request, "model"),
        "system_fingerprint": first_scalar(response, "system_fingerprint"),
        "conversation": conversation,
        "user": first_scalar(request, "user", "safety_identifier"),
    }


def _others(
    record: Mapping[str, object], request: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    used = IDENTITY.union(_REQUESTS, _RESPONSES, _TEXTS)
    yield from ((name, record[name]) for name in record if name not in used)
    metadata = request.get("metadata")
    if isinstance(metadata, dict):
        yield from ((f"metadata.{name}", value) for name, value in metadata.items())


def request_of(record: Mapping[str, object]) -> Mapping[str, object]:
    """The request of a pair, unwrapped."""
    for name in _REQUESTS:
        if record.get(name) is not None:
            return _unwrapped(record[name], name)
    if any(name in record for name in ("messages", "prompt", "input")):
        return record
    raise missing("request", "send the request's JSON beside its response")


def response_of(record: Mapping[str, object]) -> Assembled:
    """The response of a pair, unwrapped and, if it was streamed, put together."""
    for name in _RESPONSES:
        value = record.get(name)
        if isinstance(value, dict) and isinstance(value.get("body"), str | list):
            value = value["body"]
        if isinstance(value, list):
            return assemble_chunks(value, name)
        if isinstance(value, str) and is_sse(value):
            return assemble_sse(value, name)
        if isinstance(value, str) and not value.lstrip().startswith("{"):
            return Assembled({"output_text": value}, truncated_head=False)
        if value is not None:
            return Assembled(_unwrapped(value, name), truncated_head=False)
        if name in record:
            return Assembled({}, truncated_head=False)
    if any(name in record for name in ("choices", "output", "output_text", "error")):
        return Assembled(record, truncated_head=False)
    raise missing("response", "send the response's JSON, or its chunks, beside the request")


def _unwrapped(value: object, field: str) -> Mapping[str, object]:
    if isinstance(value, str):
        value = decode(value.encode("utf-8", "replace"), field)
    wrapped = as_object(value, field)
    return _unwrapped(wrapped["body"], f"{field}.body") if "body" in wrapped else wrapped


def exchange_of(request: Mapping[str, object], response: Mapping[str, object]) -> Exchange:
    """The texts of a request and its complete response."""
    asked = _asked(request, text_or_empty(response.get("instructions")))
    if isinstance(response.get("choices"), list):
        return Exchange(asked, *_from_choices(response))
    if isinstance(response.get("output"), list):
        return Exchange(asked, *_from_output(response))
    if isinstance(error := response.get("error"), dict):
        filtered = _FILTERED & {text_or_empty(error.get(name)) for name in ("code", "type")}
        return Exchange(asked, Answer("", "no_content"), "content_filter" if filtered else "error")
    if "content" in response or isinstance(response.get("message"), dict):
        message = as_object(response.get("message") or response, "response.message")
        finish = finish_reason(response.get("stop_reason"), response.get("done_reason"))
        return Exchange(asked, answer(message, "response.message"), finish)
    return Exchange(asked, conclude(Content(text_or_none(response.get("output_text")))))


def _asked(request: Mapping[str, object], instructions: str) -> Prompt:
    if request.get("messages") is not None:
        return prompt(request["messages"], "request.messages")
    given = request.get("input")
    if given is not None:
        asked = Prompt(given) if isinstance(given, str) else prompt(given, "request.input")
        instructions = text_or_empty(request.get("instructions")) or instructions
        return asked._replace(system=joined((instructions, asked.system)))
    text = request.get("prompt")
    if isinstance(text, list) and text and isinstance(text[0], str):
        return Prompt(text[0])
    if isinstance(text, list):
        return Prompt(omitted=("token_ids",))
    if text is None and "prompt" not in request and "messages" not in request:
        raise missing("request.messages", "send the request as it went to the model")
    if text is not None and not isinstance(text, str):
        raise wrong_type("request.prompt", "text", text)
    return Prompt(text or "")


def _from_choices(response: Mapping[str, object]) -> tuple[Answer, str]:
    choice = first_choice(cast(list[object], response["choices"]), "response.choices")
    finish = finish_reason(choice.get("finish_reason"))
    if "message" in choice or "text" not in choice:
        message = as_object(choice.get("message"), "response.choices.message")
        return answer(message, "response.choices.message"), finish
    return conclude(content(choice["text"], "response.choices.text")), finish


def _from_output(response: Mapping[str, object]) -> tuple[Answer, str]:
    """The items of a Responses output: messages, reasoning, and calls of tools."""
    output = response["output"]
    said = Content()
    texts: list[str] = []
    items = [as_object(item, "response.output") for item in cast(list[object], output)]
    final = [item for item in items if item.get("phase") == "final_answer"]
    for item in items:
        kind = text_or_empty(item.get("type"))
        said.reasoning |= kind == "reasoning"
        said.tool_call |= kind.endswith("_call")
        if kind == "message" and (not final or item in final):
            part = content(item.get("content"), "response.output.content")
            said.refusal += part.refusal
            said.omitted += part.omitted
            texts += [part.text] if part.text is not None else []
    if texts:
        said.text = "\n".join(texts)
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return conclude(said), finish_reason(reason, _STATUS.get(text_or_empty(response.get("status"))))
