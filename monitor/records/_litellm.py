"""LiteLLM's `standard_logging_object`, bare or under that key.

Fields as of https://docs.litellm.ai/docs/proxy/logging_spec. What LiteLLM calls a model group is
the served name, so it is the deployment. A failed request has no answer: `blocked` if a content
policy stopped it, else unjudged. Texts that LiteLLM redacted cannot be judged (`redacted`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from monitor.records._fields import Limits, as_object, first_scalar, missing
from monitor.records._messages import Answer, Exchange, Prompt
from monitor.records._native import assemble
from monitor.records._openai import CONVERSATION, exchange_of, response_of
from monitor.records.interaction import Interaction

_REDACTED: Final = "redacted-by-litellm"
_NOBODY: Final = "default_user_id"
_POLICY_ERROR: Final = "ContentPolicyViolationError"
_TEXTS: Final = frozenset({"messages", "response", "error_str"})


def read(record: Mapping[str, object], default_deployment: str, limits: Limits) -> Interaction:
    """One logged call."""
    wrapped = record.get("standard_logging_object")
    call = record if wrapped is None else as_object(wrapped, "standard_logging_object")
    metadata = as_object(call.get("metadata"), "metadata")
    return assemble(
        _fields(call, metadata),
        _exchange(call),
        _others(call, metadata),
        default_deployment,
        limits,
    )


def _fields(call: Mapping[str, object], metadata: Mapping[str, object]) -> Mapping[str, object]:
    response = call.get("response")
    answered = response if isinstance(response, dict) else {}
    requester = metadata.get("requester_metadata")
    requester = requester if isinstance(requester, dict) else {}
    user = first_scalar(call, "end_user") or first_scalar(
        metadata, "user_api_key_end_user_id", "user_api_key_user_id"
    )
    return {
        "id": first_scalar(call, "id") or first_scalar(answered, "id"),
        "timestamp": first_scalar(call, "startTime", "endTime"),
        "deployment": first_scalar(call, "model_group"),
        "model": first_scalar(call, "model") or first_scalar(answered, "model"),
        "replica": first_scalar(call, "model_id"),
        "system_fingerprint": first_scalar(answered, "system_fingerprint"),
        "conversation": first_scalar(requester, *CONVERSATION)
        or first_scalar(metadata, *CONVERSATION),
        "user": None if user == _NOBODY else user,
        "client": first_scalar(call, "requester_ip_address")
        or first_scalar(metadata, "requester_ip_address"),
    }


def _exchange(call: Mapping[str, object]) -> Exchange:
    if "messages" not in call:
        raise missing("messages", "log the whole standard_logging_object")
    messages = call["messages"]
    if isinstance(messages, dict):
        messages = messages.get("messages") or [messages]
    request = {"prompt": messages} if isinstance(messages, str | None) else {"messages": messages}
    if call.get("status") == "failure":
        error = call.get("error_information")
        filtered = isinstance(error, dict) and error.get("error_class") == _POLICY_ERROR
        finish = "content_filter" if filtered else "error"
        exchange = exchange_of(request, {"error": {"code": finish}})
    else:
        response, truncated_head = response_of({"response": _answered(call)})
        exchange = exchange_of(request, response)._replace(truncated_head=truncated_head)
    return _unredacted(exchange)


def _answered(call: Mapping[str, object]) -> object:
    if "response" not in call:
        raise missing("response", "log the whole standard_logging_object")
    response = call["response"]
    if isinstance(response, dict) and response.keys() == {"text"}:
        return response["text"]
    return response


def _unredacted(exchange: Exchange) -> Exchange:
    if exchange.prompt.text == _REDACTED:
        exchange = exchange._replace(prompt=Prompt())
    if exchange.answer.text == _REDACTED:
        exchange = exchange._replace(answer=Answer("", "redacted"))
    return exchange


def _others(
    call: Mapping[str, object], metadata: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    tags = call.get("request_tags")
    if isinstance(tags, list):
        yield "request_tags", ",".join(tag for tag in tags if isinstance(tag, str))
    yield from ((name, call[name]) for name in call if name not in _TEXTS)
    for name, value in metadata.items():
        if name == "requester_metadata" and isinstance(value, dict):
            yield from ((f"metadata.{key}", inner) for key, inner in value.items())
        else:
            yield f"metadata.{name}", value
