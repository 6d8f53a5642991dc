"""Each kind of answer, in each format in which it occurs."""

from __future__ import annotations

import pytest

from monitor.records import Malformed
from tests.unit.records.examples import (
    ANSWER,
    CALL,
    HARMONY,
    QUESTION,
    THOUGHT,
    Json,
    chunks,
    litellm,
    native,
    openai,
    otel,
    otlp,
    read,
    sse,
    streamed,
)

TAGS = f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
PARTS = [{"type": "text", "text": "How do I repot"}, IMAGE, {"type": "text", "text": "a fern?"}]
OTEL_PARTS = [
    {"type": "text", "content": "How do I repot"},
    {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAAA"},
    {"type": "text", "content": "a fern?"},
]
OTEL_REASONING = {"type": "reasoning", "content": THOUGHT}
OTEL_CALL = {"type": "tool_call", "id": "call_1", "name": "shop", "arguments": {}}


def responses(*items: Json, **more: object) -> Json:
    return {
        "request": {"model": "ferns-8b", "instructions": "Be kind.", "input": QUESTION},
        "response": {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_750_000_000,
            "status": "completed",
            "model": "ferns-8b",
            "output": list(items),
            **more,
        },
    }


def message(text: str, kind: str = "output_text") -> Json:
    key = "refusal" if kind == "refusal" else "text"
    return {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": kind, key: text, "annotations": []}],
    }


REASONING_ITEM = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": THOUGHT}],
    "content": [{"type": "reasoning_text", "text": THOUGHT}],
}
FUNCTION_CALL = {"type": "function_call", "call_id": "call_1", "name": "shop", "arguments": "{}"}
COMPLETION = {
    "request": {"model": "ferns-8b", "prompt": QUESTION},
    "response": {"choices": [{"index": 0, "text": ANSWER, "finish_reason": "stop"}]},
}

JUDGED = {
    "plain native": native(),
    "plain native prompt": {"prompt": QUESTION, "response": ANSWER},
    "plain openai": openai(),
    "plain completions": COMPLETION,
    "plain responses": responses(message(ANSWER)),
    "plain litellm": litellm(),
    "plain litellm wrapped": {"standard_logging_object": litellm()},
    "plain litellm text": litellm(response=ANSWER, messages=QUESTION),
    "plain otel": otel(),
    "reasoning native tags": native(TAGS),
    "reasoning native, closing tag only": native(f"{THOUGHT}\n</think>\n\n{ANSWER}"),
    "reasoning native field": native(ANSWER, reasoning_content=THOUGHT),
    "reasoning openai tags": openai(TAGS),
    "reasoning openai reasoning_content": openai({"content": ANSWER, "reasoning_content": THOUGHT}),
    "reasoning openai reasoning": openai({"content": ANSWER, "reasoning": THOUGHT}),
    "reasoning openai parts": openai(
        {"content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": ANSWER}]}
    ),
    "reasoning responses": responses(REASONING_ITEM, message(ANSWER)),
    "reasoning litellm": litellm({"content": ANSWER, "reasoning_content": THOUGHT}),
    "reasoning litellm tags": litellm(TAGS),
    "reasoning otel": otel([OTEL_REASONING, {"type": "text", "content": ANSWER}]),
    "reasoning otel tags": otel(TAGS),
    "harmony native": native(HARMONY),
    "harmony openai": openai(HARMONY),
    "harmony completions": {**COMPLETION, "response": {"choices": [{"text": HARMONY}]}},
    "harmony litellm": litellm(HARMONY),
    "harmony otel": otel(HARMONY),
    "tool call beside text": openai({"content": ANSWER, "tool_calls": [CALL]}),
    "tool call beside text, responses": responses(FUNCTION_CALL, message(ANSWER)),
    "tool call beside text, otel": otel([{"type": "text", "content": ANSWER}, OTEL_CALL]),
    "streamed chunks": streamed(
        [{"role": "assistant", "content": ""}, {"content": ANSWER[:9]}, {"content": ANSWER[9:]}]
    ),
    "streamed reasoning": streamed(
        [{"role": "assistant"}, {"reasoning": THOUGHT}, {"content": ANSWER}]
    ),
    "streamed harmony": streamed(
        [{"role": "assistant"}, *({"content": HARMONY[i : i + 7]} for i in range(0, 200, 7))]
    ),
    "streamed text of events": {
        "request": openai()["request"],
        "response": sse(chunks({"role": "assistant", "content": ""}, {"content": ANSWER})),
    },
    "streamed completions": {
        "request": COMPLETION["request"],
        "chunks": [{"choices": [{"index": 0, "text": t}]} for t in (ANSWER[:5], ANSWER[5:])],
    },
    "streamed litellm": litellm(
        response=chunks({"role": "assistant", "content": ANSWER[:3]}, {"content": ANSWER[3:]})
    ),
}


@pytest.mark.parametrize("record", JUDGED.values(), ids=JUDGED.keys())
def test_what_the_user_asked_and_got_to_read_is_judged_and_nothing_else(record: Json) -> None:
    interaction = read(record)

    assert interaction.prompt == QUESTION
    assert interaction.response == ANSWER
    assert interaction.unjudged == ""


MULTI_PART = {
    "native": native(question=PARTS),
    "openai": openai(question=PARTS),
    "responses": {
        **responses(message(ANSWER)),
        "request": {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "How do I repot"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                        {"type": "input_text", "text": "a fern?"},
                    ],
                }
            ]
        },
    },
    "litellm": litellm(question=PARTS),
    "otel": otel(question=OTEL_PARTS),
}


@pytest.mark.parametrize("record", MULTI_PART.values(), ids=MULTI_PART.keys())
def test_the_text_of_a_question_with_an_image_is_kept_and_the_image_noted(record: Json) -> None:
    interaction = read(record)

    assert interaction.prompt == "How do I repot\na fern?"
    assert interaction.response == ANSWER
    assert interaction.attributes["omitted_parts"] in {"image_url", "input_image", "blob"}
    assert "AAAA" not in repr(interaction)


CALLS = {"content": None, "tool_calls": [CALL]}
UNJUDGED = {
    "native tool call": (native(CALLS), "tool_call"),
    "native tool call beside empty response": (native("", tool_calls=[CALL]), "tool_call"),
    "native call in text": (native('<tool_call>{"name": "shop"}</tool_call>'), "tool_call"),
    "openai tool call": (openai(CALLS, finish="tool_calls"), "tool_call"),
    "openai function call": (
        openai({"content": None, "function_call": {"name": "shop"}}),
        "tool_call",
    ),
    "openai harmony call": (
        openai(
            f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>"
            'commentary to=functions.shop <|constrain|>json<|message|>{"a": 1}<|call|>'
        ),
        "tool_call",
    ),
    "responses tool call": (responses(REASONING_ITEM, FUNCTION_CALL), "tool_call"),
    "litellm tool call": (litellm(CALLS), "tool_call"),
    "otel tool call": (otel([OTEL_CALL]), "tool_call"),
    "streamed tool call": (
        streamed(
            [
                {"role": "assistant", "content": None},
                {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "shop"}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
            ]
        ),
        "tool_call",
    ),
    "native null": ({"prompt": QUESTION, "response": None}, "no_content"),
    "native reasoning never ended": (native(f"<think>{THOUGHT}"), "no_content"),
    "openai null": (openai({"content": None}), "no_content"),
    "openai no choices": ({**openai(), "response": {"choices": []}}, "no_content"),
    "openai reasoning only": (
        openai({"content": "", "reasoning": THOUGHT}, finish="length"),
        "no_content",
    ),
    "openai harmony without final": (
        openai(f"<|channel|>analysis<|message|>{THOUGHT}", finish="length"),
        "no_content",
    ),
    "openai error": ({**openai(), "response": {"error": {"code": "overloaded"}}}, "no_content"),
    "responses reasoning only": (
        responses(REASONING_ITEM, incomplete_details={"reason": "max_output_tokens"}),
        "no_content",
    ),
    "otel reasoning only": (otel([OTEL_REASONING]), "no_content"),
    "otel nothing": (otel([]), "no_content"),
    "litellm failure": (
        litellm(status="failure", response={}, error_information={"error_class": "Timeout"}),
        "no_content",
    ),
    "litellm redacted": (litellm("redacted-by-litellm"), "redacted"),
    "litellm redacted text": (litellm(response={"text": "redacted-by-litellm"}), "redacted"),
    "streamed truncated": (streamed([{"content": "then fresh soil."}]), "truncated_head"),
    "event stream cut inside the first event": (
        {
            "request": openai()["request"],
            "response": sse(chunks({"role": "assistant", "content": ANSWER}, {"content": "."}))[
                40:
            ],
        },
        "truncated_head",
    ),
    "native truncated": (native("then fresh soil.", truncated_head=True), "truncated_head"),
    "openai truncated": (openai("then fresh soil.", truncated_head=True), "truncated_head"),
    "otel truncated": (otel(**{"backslide.truncated_head": True}), "truncated_head"),
    "litellm truncated": (litellm(response=chunks({"content": "fresh soil"})), "truncated_head"),
}


@pytest.mark.parametrize(("record", "reason"), UNJUDGED.values(), ids=UNJUDGED.keys())
def test_without_a_final_answer_the_record_says_why_instead_of_counting_as_an_answer(
    record: Json, reason: str
) -> None:
    assert read(record).unjudged == reason


BLOCKED = {
    "native": native("", finish_reason="content_filter"),
    "openai": openai({"content": None}, finish="content_filter"),
    "azure": {
        **openai(),
        "response": {"error": {"code": "content_filter", "message": "..."}},
    },
    "responses": responses(status="incomplete", incomplete_details={"reason": "content_filter"}),
    "litellm": litellm(
        status="failure",
        response={},
        error_information={"error_class": "ContentPolicyViolationError"},
    ),
    "bedrock through litellm": litellm({"content": None}, finish="guardrail_intervened"),
    "otel": otel([], finish="content_filter"),
}


@pytest.mark.parametrize("record", BLOCKED.values(), ids=BLOCKED.keys())
def test_what_a_filter_withheld_is_seen_as_blocked_and_not_as_unjudged(record: Json) -> None:
    interaction = read(record)

    assert interaction.finish_reason == "content_filter"
    assert interaction.unjudged == ""


REFUSALS = {
    "openai": openai({"content": None, "refusal": "I can't help with that."}),
    "responses": responses(message("I can't help with that.", "refusal")),
    "litellm": litellm({"content": None, "refusal": "I can't help with that."}),
    "streamed": streamed(
        [{"role": "assistant"}, {"refusal": "I can't help"}, {"refusal": " with that."}]
    ),
}


@pytest.mark.parametrize("record", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_in_its_own_field_is_judged_as_the_answer(record: Json) -> None:
    interaction = read(record)

    assert interaction.response == "I can't help with that."
    assert interaction.unjudged == ""


def test_otlp_lists_and_json_text_read_like_plain_attributes() -> None:
    plain = otel()
    listed = {**plain, "attributes": otlp(plain["attributes"])}
    assert read(listed) == read(plain)


@pytest.mark.parametrize("fields", [("model", "user", "risk"), ("risk", "user", "model")])
def test_of_several_mistakes_a_record_is_refused_for_the_first(fields: tuple[str, ...]) -> None:
    # Sets have another order in another process: a replay must write the same dead letters.
    record = openai(ANSWER) | {name: {} for name in fields}
    with pytest.raises(Malformed, match=f"^{fields[0]}: "):
        read(record)
