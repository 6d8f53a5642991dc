"""The same conversation as each format writes it. Shapes follow the public documentation of
OpenAI, LiteLLM, OpenTelemetry (semantic conventions 1.36 and 1.40) and vLLM."""

from __future__ import annotations

import json
from typing import Any

from monitor.records.formats import parse
from monitor.records.interaction import Interaction

Json = dict[str, Any]

QUESTION = "How do I repot a fern?"
ANSWER = "Loosen the roots, then use fresh soil."
THOUGHT = "The user asks about ferns; I should not refuse."
CALL = {"id": "call_1", "type": "function", "function": {"name": "shop", "arguments": "{}"}}
HARMONY = (
    f"<|channel|>analysis<|message|>{THOUGHT}<|end|>"
    f"<|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>"
)


def read(record: object, **options: Any) -> Interaction:
    return parse(json.dumps(record).encode(), **options)


def native(answer: Json | str = ANSWER, question: Any = QUESTION, **more: Any) -> Json:
    record: Json = {"id": "n1", "messages": [{"role": "user", "content": question}], **more}
    if isinstance(answer, str):
        return {**record, "response": answer}
    return {**record, "output_messages": [{"role": "assistant", **answer}]}


def openai(
    answer: Json | str = ANSWER, question: Any = QUESTION, finish: str = "stop", **more: Any
) -> Json:
    message = {"content": answer} if isinstance(answer, str) else answer
    return {
        "request": {"model": "ferns-8b", "messages": [{"role": "user", "content": question}]},
        "response": {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_750_000_000,
            "model": "ferns-8b",
            "system_fingerprint": "fp_1",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", **message},
                    "finish_reason": finish,
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
        },
        **more,
    }


def litellm(
    answer: Json | str = ANSWER, question: Any = QUESTION, finish: str = "stop", **more: Any
) -> Json:
    pair = openai(answer, question, finish)
    return {
        "id": "litellm-1",
        "trace_id": "trace-1",
        "call_type": "acompletion",
        "stream": False,
        "status": "success",
        "startTime": 1_750_000_000.25,
        "endTime": 1_750_000_001.5,
        "model": "ferns-8b",
        "model_id": "backend-3",
        "model_group": "garden-chat",
        "end_user": "",
        "requester_ip_address": "192.0.2.7",
        "request_tags": ["load-test", "nightly"],
        "metadata": {
            "user_api_key_user_id": "u-5",
            "user_api_key_end_user_id": None,
            "requester_metadata": {"session_id": "s-9", "team": "green"},
        },
        "messages": pair["request"]["messages"],
        "response": pair["response"],
        "error_str": None,
        **more,
    }


def otel(
    answer: list[Json] | str = ANSWER, question: Any = QUESTION, finish: str = "stop", **more: Any
) -> Json:
    """A log record of `gen_ai.client.inference.operation.details`, flattened attributes."""
    parts = [{"type": "text", "content": answer}] if isinstance(answer, str) else answer
    asked = [{"type": "text", "content": question}] if isinstance(question, str) else question
    return {
        "eventName": "gen_ai.client.inference.operation.details",
        "timeUnixNano": "1750000000250000000",
        "spanId": "00f067aa0ba902b7",
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "ferns",
            "gen_ai.response.model": "ferns-8b",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.conversation.id": "conv-1",
            "gen_ai.response.finish_reasons": [finish],
            "gen_ai.system_instructions": [{"type": "text", "content": "Be kind."}],
            "gen_ai.input.messages": [{"role": "user", "parts": asked}],
            "gen_ai.output.messages": [
                {"role": "assistant", "parts": parts, "finish_reason": finish}
            ],
            **more,
        },
    }


def otlp(attributes: Json) -> list[Json]:
    """Attributes in the list form of OTLP/JSON."""
    return [{"key": name, "value": _any_value(value)} for name, value in attributes.items()]


def _any_value(value: Any) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_any_value(item) for item in value]}}
        case _:
            pairs = [{"key": key, "value": _any_value(inner)} for key, inner in value.items()]
            return {"kvlistValue": {"values": pairs}}


def chunks(*deltas: Json, finish: str = "stop") -> list[Json]:
    """Chat completion chunks, with the closing chunk and the one of usage."""
    head = {"id": "chatcmpl-1", "created": 1_750_000_000, "model": "ferns-8b"}
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": finish}])
    return [{**head, "choices": c} for c in choices] + [{**head, "choices": [], "usage": {}}]


def sse(events: list[Json]) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def streamed(deltas: list[Json], **more: Any) -> Json:
    return {"request": openai()["request"], "chunks": chunks(*deltas), **more}
