"""Whatever arrives, `parse` returns a clean interaction or raises `Malformed`."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.records import Interaction, KeyColumn
from monitor.records.artifact import artifact_id
from monitor.records.formats import Format, Limits, Malformed, parse
from monitor.records.keys import keys_of

FORMATS = st.sampled_from(list(Format))
LIMITS = Limits(record_bytes=1 << 16, text_chars=64)
NAMES = st.sampled_from(
    [
        "id",
        "timestamp",
        "deployment",
        "model",
        "revision",
        "adapters",
        "replica",
        "prompt",
        "messages",
        "response",
        "output_messages",
        "finish_reason",
        "conversation",
        "user",
        "client",
        "system_fingerprint",
        "sampling_rate",
        "risk",
        "attributes",
        "system_prompt",
        "chat_template",
        "truncated_head",
        "tool_calls",
        "reasoning",
        "role",
        "content",
        "parts",
        "type",
        "text",
        "refusal",
        "request",
        "chunks",
        "choices",
        "message",
        "delta",
        "index",
        "output",
        "input",
        "instructions",
        "body",
        "data",
        "name",
        "key",
        "value",
        "stringValue",
        "arrayValue",
        "kvlistValue",
        "values",
        "status",
        "error",
        "code",
        "usage",
        "phase",
        "standard_logging_object",
        "model_group",
        "startTime",
        "metadata",
        "request_tags",
        "error_information",
        "end_user",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.response.id",
        "gen_ai.prompt.0.content",
        "gen_ai.completion.0.content",
        "gen_ai.response.finish_reasons",
        "events",
        "item",
        "resourceLogs",
        "resourceSpans",
        "scopeLogs",
        "scopeSpans",
        "logRecords",
        "spans",
        "traceId",
        "spanId",
        "resource",
        "audio",
        "transcript",
        "incomplete_details",
        "function_call",
        "created",
        "conversation_id",
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(), max_size=80),
    st.sampled_from(
        [
            "user",
            "assistant",
            "system",
            "text",
            "output_text",
            "reasoning",
            "tool_call",
            "message",
            "refusal",
            "function_call",
            "gen_ai.choice",
            "gen_ai.user.message",
            "response.completed",
            "response.output_text.delta",
            "<think>",
            "</think>",
            "<|channel|>final<|message|>",
            "analysisA",
            'data:{"choices":[{"delta":{}}]}',
            '{"a":1}',
            "[{}]",
            "content_filter",
            "failure",
            "1750000000",
            "2025-01-01T00:00:00Z",
            "\ud800",
            "\x00",
            "redacted-by-litellm",
        ]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(NAMES, TEXTS), inner, max_size=5),
    ),
    max_leaves=30,
)
RECORDS = st.dictionaries(st.one_of(NAMES, TEXTS), VALUES, max_size=8)
ALWAYS = settings(derandomize=True, deadline=None, max_examples=200)


def assert_clean(interaction: Interaction) -> None:
    """What every later step relies on."""
    identity = (
        interaction.id, interaction.deployment, interaction.model, interaction.revision,
        interaction.replica, interaction.finish_reason, interaction.conversation,
        interaction.user, interaction.client, interaction.system_fingerprint, interaction.risk,
        *interaction.adapters,
    )  # fmt: skip
    assert all(
        len(name) <= 200 and name.isprintable() and name.encode() for name in identity if name
    )
    assert interaction.deployment
    assert len(interaction.adapters) <= 16
    assert len(interaction.attributes) <= 32
    for name, value in interaction.attributes.items():
        assert len(name.encode()) <= 4 * 64
        assert len(value.encode()) <= 4 * 256
    for text in (
        interaction.prompt, interaction.response, interaction.system_prompt,
        interaction.chat_template,
    ):  # fmt: skip
        assert len(text) <= LIMITS.text_chars
        text.encode()
    assert interaction.timestamp is None or 1.5e9 < interaction.timestamp < 4.2e9
    assert 0 < interaction.sampling_rate <= 1
    assert interaction.unjudged in {
        "", "tool_call", "no_content", "truncated_head", "redacted",
    }  # fmt: skip
    assert len(artifact_id(interaction, b"k")) <= 213
    assert keys_of([interaction], b"k").shape == (1, len(KeyColumn))


def check(value: bytes, fmt: Format) -> Interaction | None:
    try:
        interaction = parse(value, fmt, "default", LIMITS)
    except Malformed as problem:
        message = str(problem)
    else:
        assert_clean(interaction)
        return interaction
    assert len(message) < 200
    assert message.isprintable()
    return None


@ALWAYS
@given(st.binary(max_size=200), FORMATS)
def test_arbitrary_bytes_never_stop_the_pipeline(value: bytes, fmt: Format) -> None:
    check(value, fmt)


@ALWAYS
@given(VALUES, FORMATS)
def test_arbitrary_json_never_stops_the_pipeline(value: Any, fmt: Format) -> None:
    check(json.dumps(value).encode(), fmt)


@settings(ALWAYS, max_examples=500)
@given(RECORDS, FORMATS)
def test_records_of_known_fields_in_any_arrangement_never_stop_the_pipeline(
    record: dict[str, Any], fmt: Format
) -> None:
    check(json.dumps(record).encode(), fmt)


@settings(ALWAYS, max_examples=300)
@given(VALUES, VALUES, st.sampled_from(["native", "chat", "responses", "litellm", "otel"]))
def test_arbitrary_contents_in_the_right_places_never_stop_the_pipeline(
    asked: Any, said: Any, shape: str
) -> None:
    user = [{"role": "user", "content": asked, "parts": asked}]
    choices = [{"message": said, "delta": said, "text": said}]
    records: dict[str, Any] = {
        "native": {"messages": user, "output_messages": [said]},
        "chat": {"request": {"messages": user}, "response": {"choices": choices}},
        "responses": {"request": {"input": user}, "response": {"output": [said]}},
        "litellm": {"standard_logging_object": {"messages": user, "response": said}},
        "otel": {"gen_ai.input.messages": user, "gen_ai.output.messages": [said]},
    }
    check(json.dumps(records[shape]).encode(), Format.AUTO)
    streamed = {"request": {"messages": user}, "chunks": [said, {"choices": choices}]}
    check(json.dumps(streamed).encode(), Format.AUTO)


@ALWAYS
@given(TEXTS, TEXTS)
def test_any_text_survives_the_way_through(prompt: str, response: str) -> None:
    wrote = {"prompt": prompt, "messages": [], "response": response}
    interaction = check(json.dumps(wrote).encode(), Format.NATIVE)
    assert interaction is not None
    mended = prompt.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(mended) <= LIMITS.text_chars:
        assert interaction.prompt == mended


WORD = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=9)
WORDS = st.lists(WORD, min_size=1, max_size=30).map(" ".join)
EDGE = st.lists(WORD, min_size=12, max_size=20).map(" ".join)


@ALWAYS
@given(EDGE, EDGE, WORDS, WORDS)
def test_wrappers_share_both_edges_whatever_they_wrap(
    before: str, after: str, one: str, two: str
) -> None:
    prompts = [f"{before} {question} {after}" for question in (one, two)]
    rows = keys_of([Interaction(id="1", prompt=p) for p in prompts], b"k")
    assert rows[0, KeyColumn.HEAD] == rows[1, KeyColumn.HEAD] != 0
    assert rows[0, KeyColumn.TAIL] == rows[1, KeyColumn.TAIL] != 0
    assert (rows[0, KeyColumn.TEMPLATE] == rows[1, KeyColumn.TEMPLATE]) == (one == two)
