"""Fields, bounds and errors of `parse`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from monitor.records import _decode
from monitor.records.formats import Format, Limits, Malformed, Reason, detect, parse
from tests.unit.records.examples import (
    ANSWER,
    QUESTION,
    Json,
    chunks,
    litellm,
    native,
    openai,
    otel,
    otlp,
    read,
    sse,
)

PAIR: Json = {"prompt": QUESTION, "response": ANSWER}


def refusal(value: bytes | Json, fmt: Format = Format.AUTO) -> Malformed:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(Malformed) as caught:
        parse(data, fmt)
    return caught.value


# Fields of each format


def test_every_native_field_arrives() -> None:
    interaction = read(
        {
            "id": 17,
            "timestamp": "2025-06-15T15:06:40.250Z",
            "deployment": "chat-prod",
            "model": "ferns-8b",
            "revision": "a1b2",
            "adapters": ["tone", "law"],
            "replica": "pod-3",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi"},
                {"role": "user", "content": QUESTION},
            ],
            "chat_template": "{{ messages }}",
            "response": ANSWER,
            "finish_reason": "stop",
            "conversation": "c1",
            "user": "u1",
            "client": "192.0.2.1",
            "system_fingerprint": "fp_9",
            "sampling_rate": 0.25,
            "risk": "high",
            "attributes": {"team": "green", "tier": 2, "beta": True, "nested": {"a": 1}},
            "purpose": "red-team",
        }
    )

    assert interaction.id == "17"
    assert interaction.timestamp == 1_750_000_000.25
    assert interaction.deployment == "chat-prod"
    assert (interaction.model, interaction.revision) == ("ferns-8b", "a1b2")
    assert interaction.adapters == ("tone", "law")
    assert interaction.replica == "pod-3"
    assert interaction.system_prompt == "Be kind."
    assert interaction.chat_template == "{{ messages }}"
    assert interaction.system_fingerprint == "fp_9"
    assert interaction.prompt == QUESTION
    assert interaction.response == ANSWER
    assert interaction.finish_reason == "stop"
    assert (interaction.conversation, interaction.user) == ("c1", "u1")
    assert interaction.client == "192.0.2.1"
    assert interaction.sampling_rate == 0.25
    assert interaction.risk == "high"
    assert interaction.attributes == {
        "team": "green",
        "tier": "2",
        "beta": "true",
        "purpose": "red-team",
    }


def test_identity_beside_an_openai_pair_wins_over_what_the_pair_says() -> None:
    record = openai(deployment="chat-prod", timestamp=1_760_000_000, revision="r2", team="green")
    record["request"] |= {"user": "u1", "metadata": {"session_id": "s1", "purpose": "load-test"}}
    interaction = read(record)

    assert interaction.id == "chatcmpl-1"
    assert interaction.deployment == "chat-prod"
    assert interaction.timestamp == 1_760_000_000
    assert interaction.model == "ferns-8b"
    assert interaction.revision == "r2"
    assert interaction.system_fingerprint == "fp_1"
    assert (interaction.user, interaction.conversation) == ("u1", "s1")
    assert interaction.attributes["team"] == "green"
    assert interaction.attributes["metadata.purpose"] == "load-test"


def test_without_its_own_time_an_openai_pair_has_the_time_of_the_response() -> None:
    assert read(openai()).timestamp == 1_750_000_000


def test_the_system_prompt_of_every_api_is_found() -> None:
    system = {"role": "system", "content": "Be kind."}
    chat = openai()
    chat["request"]["messages"].insert(0, system)
    developer = openai()
    developer["request"]["messages"].insert(0, {**system, "role": "developer"})
    responses = {
        "request": {"instructions": "Be kind.", "input": QUESTION},
        "response": {"output": [], "output_text": ANSWER},
    }
    logged = litellm()
    logged["messages"] = [system, *logged["messages"]]

    for record in (chat, developer, responses, logged, otel()):
        assert read(record).system_prompt == "Be kind."


def test_pairs_are_read_however_a_gateway_wraps_them() -> None:
    pair = openai()
    stream = chunks({"role": "assistant", "content": ANSWER})
    variants: list[Json] = [
        {"request": json.dumps(pair["request"]), "response": json.dumps(pair["response"])},
        {"request": {"body": pair["request"]}, "response": {"body": pair["response"]}},
        {"request_body": pair["request"], "response_body": pair["response"]},
        {**pair["request"], "response": pair["response"]},
        {**pair["request"], **pair["response"]},
        {"request": pair["request"], "response": {"status_code": 200, "body": pair["response"]}},
        {"request": pair["request"], "response": ANSWER},
        {"request": pair["request"], "response": sse(stream)},
        {"request": pair["request"], "response": [f"data: {json.dumps(c)}" for c in stream]},
    ]
    for record in variants:
        interaction = read(record)
        assert (interaction.prompt, interaction.response) == (QUESTION, ANSWER)
        assert interaction.unjudged == ""


def test_a_bare_message_is_an_answer_too() -> None:
    request = {"system": "Be kind.", "messages": [{"role": "user", "content": QUESTION}]}
    bare = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
    }
    for response in (
        bare,
        {"message": {"role": "assistant", "content": ANSWER}, "done_reason": "stop"},
    ):
        interaction = read({"request": request, "response": response})
        assert (interaction.response, interaction.finish_reason) == (ANSWER, "stop")
    called = {"role": "assistant", "content": [{"type": "tool_use", "name": "shop"}]}
    assert read({"request": request, "response": called}).unjudged == "tool_call"


def test_documents_put_into_a_chat_as_system_messages_are_not_its_settings() -> None:
    system, user = {"role": "system", "content": "Be kind."}, {"role": "user", "content": QUESTION}
    document = {"role": "system", "content": "Ferns like shade."}
    for messages in ([system, user, document], [system, user, document, user]):
        assert read({"messages": messages, "response": ANSWER}).system_prompt == "Be kind."


def test_the_result_of_a_tool_is_not_taken_for_the_question() -> None:
    result = {"role": "user", "content": [{"type": "tool_result", "content": "42"}]}
    tool = {"role": "tool", "content": "42"}
    asked = {"role": "user", "content": QUESTION}
    for later in (result, tool):
        assert read({"messages": [asked, later], "response": ANSWER}).prompt == QUESTION


def test_of_several_choices_the_one_clients_show_is_judged() -> None:
    record = openai()
    other = {"index": 1, "message": {"role": "assistant", "content": "Another."}}
    record["response"]["choices"].insert(0, other)
    assert read(record).response == ANSWER

    both = [
        {"choices": [{"index": 1, "delta": {"role": "assistant", "content": "Another."}}]},
        *chunks({"role": "assistant", "content": ANSWER}),
    ]
    assert read({**openai(), "response": both}).response == ANSWER


def test_a_prompt_of_token_ids_is_noted_and_has_no_text() -> None:
    record = {"request": {"prompt": [1, 2, 3]}, "response": {"choices": [{"text": ANSWER}]}}
    interaction = read(record)
    assert interaction.prompt == ""
    assert interaction.attributes["omitted_parts"] == "token_ids"


def test_a_streamed_responses_answer_is_put_together_with_or_without_its_last_event() -> None:
    def event(kind: str, **more: object) -> Json:
        return {"type": f"response.{kind}", **more}

    message = {"type": "message", "content": [{"type": "output_text", "text": ANSWER}]}
    start = event(
        "created", sequence_number=0, response={"id": "resp_1", "model": "m", "output": []}
    )
    deltas = [
        event("output_text.delta", delta=ANSWER[:4]),
        event("output_text.delta", delta=ANSWER[4:]),
    ]
    end = event("completed", response={"id": "resp_1", "status": "completed", "output": [message]})
    request = {"input": QUESTION}

    for events in ([start, *deltas, end], [start, *deltas], [end]):
        interaction = read({"request": request, "chunks": events})
        assert (interaction.id, interaction.response) == ("resp_1", ANSWER)
        assert interaction.unjudged == ""
    assert read({"request": request, "chunks": deltas}).unjudged == "truncated_head"
    called = [start, event("output_item.added", item={"type": "function_call", "name": "shop"})]
    assert read({"request": request, "chunks": called}).unjudged == "tool_call"


def test_a_stream_that_broke_off_is_judged_by_what_arrived() -> None:
    stream = sse(chunks({"role": "assistant", "content": ANSWER}, {"content": "lost"}))
    cut = stream[: stream.index("lost")]
    interaction = read({"request": openai()["request"], "response": cut})
    assert (interaction.response, interaction.unjudged) == (ANSWER, "")


def test_line_separators_inside_streamed_text_do_not_split_events() -> None:
    text = "one\u2028two\x85three"
    stream = "".join(
        f"data: {json.dumps(c, ensure_ascii=False)}\r\n\r\n"
        for c in chunks({"role": "assistant", "content": text})
    )
    assert read({"request": openai()["request"], "response": stream}).response == text


def test_litellm_fields_arrive() -> None:
    interaction = read(litellm())

    assert interaction.id == "litellm-1"
    assert interaction.timestamp == 1_750_000_000.25
    assert interaction.deployment == "garden-chat"
    assert interaction.model == "ferns-8b"
    assert interaction.replica == "backend-3"
    assert interaction.conversation == "s-9"
    assert interaction.user == "u-5"
    assert interaction.client == "192.0.2.7"
    assert interaction.attributes["request_tags"] == "load-test,nightly"
    assert interaction.attributes["metadata.team"] == "green"
    assert interaction.attributes["call_type"] == "acompletion"


def test_litellms_placeholder_for_nobody_is_not_one_busy_user() -> None:
    record = litellm(metadata={"user_api_key_user_id": "default_user_id"})
    assert read(record).user == ""


def test_redacted_litellm_prompts_are_not_all_one_template() -> None:
    assert read(litellm(question="redacted-by-litellm")).prompt == ""


def test_otel_fields_arrive_from_record_and_resource() -> None:
    record = otel(**{"backslide.deployment": "chat-prod", "backslide.adapters": ["tone"]})
    record["attributes"]["user.id"] = "u1"
    record["resource"] = {
        "attributes": otlp({"backslide.revision": "r2", "service.instance.id": "pod-3"})
    }
    interaction = read(record)

    assert interaction.id == "chatcmpl-1"
    assert interaction.timestamp == 1_750_000_000.25
    assert interaction.deployment == "chat-prod"
    assert (interaction.model, interaction.revision) == ("ferns-8b", "r2")
    assert interaction.adapters == ("tone",)
    assert interaction.replica == "pod-3"
    assert (interaction.conversation, interaction.user) == ("conv-1", "u1")
    assert interaction.finish_reason == "stop"
    assert interaction.attributes["gen_ai.operation.name"] == "chat"
    assert not any(ANSWER in value for value in interaction.attributes.values())


def test_flattened_otel_with_messages_as_json_text_is_read() -> None:
    attributes = otel()["attributes"]
    record = {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in attributes.items()
    }
    interaction = read({**record, "timestamp": "2025-06-15T15:06:40Z"})
    assert (interaction.prompt, interaction.response) == (QUESTION, ANSWER)
    assert interaction.timestamp == 1_750_000_000


def message_events(in_attributes: bool) -> list[Json]:
    bodies = {
        "gen_ai.system.message": {"content": "Be kind."},
        "gen_ai.user.message": {"content": QUESTION},
        "gen_ai.choice": {
            "index": 0,
            "finish_reason": "stop",
            "message": {"content": ANSWER, "role": "assistant"},
        },
    }
    if in_attributes:
        return [{"name": name, "attributes": otlp(body)} for name, body in bodies.items()]
    return [
        {"eventName": name, "traceId": "t1", "spanId": "s1", "body": otlp({"b": body})[0]["value"]}
        for name, body in bodies.items()
    ]


def test_the_older_otel_events_of_one_call_are_read_together() -> None:
    span = {
        "name": "chat ferns",
        "attributes": otlp({"gen_ai.request.model": "ferns-8b"}),
        "events": message_events(in_attributes=True),
    }
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": message_events(in_attributes=False)}]}]}
    for record in (span, logs):
        interaction = read(record)
        assert (interaction.prompt, interaction.response) == (QUESTION, ANSWER)
        assert interaction.system_prompt == "Be kind."
        assert interaction.finish_reason == "stop"
    assert read(span).model == "ferns-8b"


def test_an_export_of_several_calls_is_refused_instead_of_mixed_up() -> None:
    spans = [
        {"traceId": "t1", "spanId": f"s{i}", "attributes": otlp(otel()["attributes"])}
        for i in range(2)
    ]
    export = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    assert refusal(export).reason is Reason.UNSUPPORTED
    nameless = [{"attributes": span["attributes"]} for span in spans]
    export = {"resourceSpans": [{"scopeSpans": [{"spans": nameless}]}]}
    assert refusal(export).reason is Reason.UNSUPPORTED

    plain_http = {"traceId": "t1", "spanId": "s9", "name": "GET /", "attributes": []}
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [spans[0], plain_http]}]}]}
    assert read(export).response == ANSWER


def test_openllmetry_attributes_are_read() -> None:
    interaction = read(
        {
            "name": "openai.chat",
            "attributes": {
                "gen_ai.prompt.0.role": "system",
                "gen_ai.prompt.0.content": "Be kind.",
                "gen_ai.prompt.1.role": "user",
                "gen_ai.prompt.1.content": QUESTION,
                "gen_ai.completion.0.content": ANSWER,
                "gen_ai.completion.0.finish_reason": "stop",
            },
        }
    )
    assert (interaction.prompt, interaction.response) == (QUESTION, ANSWER)
    assert interaction.system_prompt == "Be kind."
    assert not interaction.attributes


@pytest.mark.parametrize(
    ("record", "fmt"),
    [
        (PAIR, Format.NATIVE),
        (native(), Format.NATIVE),
        ({**PAIR, "attributes": {"gen_ai.operation.name": "chat"}}, Format.NATIVE),
        (openai(), Format.OPENAI),
        ({"messages": [], "response": {"choices": []}}, Format.OPENAI),
        (litellm(), Format.LITELLM),
        ({"standard_logging_object": litellm()}, Format.LITELLM),
        (otel(), Format.OTEL),
        (otel()["attributes"], Format.OTEL),
        ({"resourceLogs": []}, Format.OTEL),
        ({}, Format.NATIVE),
    ],
)
def test_auto_tells_the_formats_apart(record: Json, fmt: Format) -> None:
    assert detect(record) is fmt


# What is missing or empty


def test_a_record_without_an_id_is_left_to_the_caller_to_name() -> None:
    assert read(PAIR).id == ""


def test_empty_texts_are_records() -> None:
    interaction = read({"prompt": "", "response": ""})
    assert (interaction.prompt, interaction.response, interaction.unjudged) == ("", "", "")


def test_without_a_deployment_the_default_is_used() -> None:
    assert read(PAIR, default_deployment="chat").deployment == "chat"
    assert read({**PAIR, "deployment": " "}, default_deployment="chat").deployment == "chat"


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"response": "x"}, "prompt"),
        ({"prompt": "x"}, "response"),
        ({}, "prompt"),
        ({"request": {"messages": []}}, "response"),
        ({"request": {}, "response": {"choices": []}}, "request.messages"),
        ({"choices": []}, "request"),
        ({"standard_logging_object": {"messages": []}}, "response"),
        ({"standard_logging_object": {"response": {}}}, "messages"),
        ({"gen_ai.output.messages": []}, "gen_ai.input.messages"),
        ({"gen_ai.input.messages": []}, "gen_ai.output.messages"),
        ({"name": "gen_ai.choice", "body": {"message": {"content": "x"}}}, "gen_ai.input.messages"),
        ({"name": "gen_ai.user.message", "body": {"content": "x"}}, "gen_ai.output.messages"),
    ],
)
def test_half_an_interaction_is_refused_by_the_name_of_the_missing_half(
    record: Json, field: str
) -> None:
    problem = refusal(record)
    assert problem.reason is Reason.MISSING_FIELD
    assert problem.field == field
    assert str(problem).startswith(f"{field}: ")


# What is wrong


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.INVALID_JSON),
        (b"{", Reason.INVALID_JSON),
        (b'{"prompt": "x"} tail', Reason.INVALID_JSON),
        (b"\x00" * 10, Reason.INVALID_JSON),
        (b'{"prompt": "\xff", "response": "y"}', Reason.INVALID_UTF8),
        (b"\xff\xfe{\x00}\x00", Reason.INVALID_UTF8),
        (b'[{"prompt": "x", "response": "y"}]', Reason.NOT_AN_OBJECT),
        (b'"text"', Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
        (b"[" * 1_000_000, Reason.TOO_DEEP),
        (b'{"a":' * 1_000_000, Reason.TOO_DEEP),
        (b'{"a":' + b"[" * 250 + b"]" * 250 + b"}", Reason.TOO_DEEP),
        (b'{"a": ' + b"9" * 5000 + b"}", Reason.INVALID_JSON),
    ],
)
def test_bytes_that_are_no_record_are_refused_with_a_reason(value: bytes, reason: Reason) -> None:
    assert refusal(value).reason is reason


WRONG_TYPES = {
    "prompt": {"prompt": 5, "response": "y"},
    "response": {"prompt": "x", "response": 5},
    "id": {**PAIR, "id": ["a"]},
    "deployment": {**PAIR, "deployment": {"a": 1}},
    "user": {**PAIR, "user": True},
    "model": {**PAIR, "model": []},
    "adapters": {**PAIR, "adapters": {"a": 1}},
    "attributes": {**PAIR, "attributes": "x"},
    "sampling_rate": {**PAIR, "sampling_rate": "1"},
    "messages": {"messages": "x", "response": "y"},
    "messages.content": {"messages": [{"role": "user", "content": [5]}], "response": "y"},
    "output_messages": {"prompt": "x", "output_messages": {"role": "assistant"}},
    "request": {"request": [], "response": {}},
    "request.prompt": {"request": {"prompt": 5}, "response": {"choices": []}},
    "response.choices": {"request": {"prompt": "x"}, "response": {"choices": [5]}},
    "response.choices.message": {
        "request": {"prompt": "x"},
        "response": {"choices": [{"message": "x"}]},
    },
    "gen_ai.input.messages": {"gen_ai.input.messages": 5, "gen_ai.output.messages": []},
}


@pytest.mark.parametrize(("field", "record"), WRONG_TYPES.items(), ids=WRONG_TYPES.keys())
def test_a_wrong_type_is_refused_by_the_name_of_its_field(field: str, record: Json) -> None:
    problem = refusal(record)
    assert problem.reason is Reason.WRONG_TYPE
    assert problem.field == field
    assert str(problem).startswith(f"{field}: expected ")


@pytest.mark.parametrize("rate", [0, -0.5, 1.5, 100, float("nan"), float("inf")])
def test_a_sampling_rate_that_cannot_be_one_is_refused_instead_of_weighting_wrongly(
    rate: float,
) -> None:
    assert refusal({**PAIR, "sampling_rate": rate}).reason is Reason.OUT_OF_RANGE


def test_a_refused_record_still_says_whose_it_is() -> None:
    assert refusal({"deployment": "chat-prod", "prompt": 5}).deployment == "chat-prod"
    assert refusal({"deployment": 5, "prompt": 5}).deployment == ""


def test_a_json_attribute_cut_by_a_length_limit_is_refused_by_name() -> None:
    cut = json.dumps(otel()["attributes"]["gen_ai.output.messages"])[:-5]
    problem = refusal({"gen_ai.input.messages": [], "gen_ai.output.messages": cut})
    assert (problem.reason, problem.field) == (Reason.INVALID_JSON, "gen_ai.output.messages")


# What producers get wrong and still is a record


@pytest.mark.parametrize(
    ("value", "prompt"),
    [
        (b'\xef\xbb\xbf{"prompt": "x", "response": "y"}', "x"),
        (b'{"prompt": "a", "prompt": "b", "response": "y"}', "b"),
        (b'{"prompt": "a\\u0000b", "response": "y"}', "a\x00b"),
        (b'{"prompt": "a\x00b", "response": "y"}', "a\x00b"),
        (b'{"prompt": "\\ud800x", "response": "y"}', "\ufffdx"),
        (b'{"prompt": "x\\udc00", "response": "y"}', "x\ufffd"),
        (b'{"prompt": "\\ud83d\\ude00 \\ud83d", "response": "y"}', "\U0001f600 \ufffd"),
        (b'{"prompt": "\\\\ud800", "response": "y", "n": NaN}', "\\ud800"),
        (b'{"prompt": "x", "response": "y", "logprob": -Infinity}', "x"),
        (b'{"prompt": "x", "response": "y", "cost": 1e999}', "x"),
        (b'{"prompt": "x", "response": "y", "n": 123456789012345678901234567890}', "x"),
    ],
)
def test_sloppy_json_is_read(value: bytes, prompt: str) -> None:
    interaction = parse(value)
    assert interaction.prompt == prompt
    assert interaction.prompt.encode()


def test_braces_inside_texts_are_not_depth() -> None:
    code = '{"a": [' * 500 + '\\"'
    assert read({"prompt": code, "response": "y"}).prompt == code


def test_the_depth_allowed_does_not_depend_on_who_calls() -> None:
    deepest = {"prompt": "x", "response": "y", "a": json.loads("[" * 199 + "]" * 199)}
    too_deep = {"prompt": "x", "response": "y", "a": json.loads("[" * 200 + "]" * 200)}

    def at(depth: int) -> None:
        if depth:
            at(depth - 1)
            return
        assert read(deepest).prompt == "x"
        assert refusal(too_deep).reason is Reason.TOO_DEEP

    at(0)
    at(300)


def test_deep_nesting_is_refused_before_the_decoder_recurses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = b'{"prompt": "x", "response": "y", "a": ' + b"[" * 300 + b"]" * 300 + b"}"
    assert refusal(record).reason is Reason.TOO_DEEP
    monkeypatch.setattr(_decode, "_depth_exceeds", lambda value, limit: False)
    assert parse(record).prompt == "x"


def test_skipping_strings_takes_linear_time_on_hostile_input() -> None:
    assert refusal(b'{"' + b'\\"' * 1_000_000 + b"[" * 300).reason is Reason.INVALID_JSON


# Time


@pytest.mark.parametrize(
    "value",
    [
        "2025-06-15T15:06:40Z",
        "2025-06-15T15:06:40.000000000Z",
        "2025-06-15t17:06:40+02:00",
        "2025-06-15 15:06:40",
        1_750_000_000,
        1_750_000_000.0,
        1_750_000_000_000,
        1_750_000_000_000_000,
        1_750_000_000_000_000_000,
        "1750000000",
        "1750000000000000000",
    ],
)
def test_times_in_every_common_unit_are_the_same_moment(value: object) -> None:
    assert read({**PAIR, "timestamp": value}).timestamp == 1_750_000_000


@pytest.mark.parametrize(
    "value",
    [
        None, "", "yesterday", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", 0, -1, 1e30, 12,
        float("nan"), float("inf"), True, [], {}, "2025-06-15T15:06:60Z",
        "0001-01-01T00:00:00+14:00",
        "1e400", "9" * 400,
    ],
)  # fmt: skip
def test_an_absurd_time_is_no_time_and_never_costs_the_record(value: object) -> None:
    assert read({**PAIR, "timestamp": value}).timestamp is None


def test_only_2020_to_2100_is_time() -> None:
    for year, expected in ((2019, False), (2020, True), (2099, True), (2100, False)):
        moment = datetime(year, 1, 1, tzinfo=UTC)
        assert (read({**PAIR, "timestamp": moment.isoformat()}).timestamp is not None) is expected
        assert (read({**PAIR, "timestamp": moment.timestamp()}).timestamp is not None) is expected


# Bounds


def test_long_ids_stay_apart_although_they_are_cut() -> None:
    one, two = (read({**PAIR, "user": "t" * 5000 + end}).user for end in "ab")
    assert len(one) == len(two) == 200
    assert one != two


@pytest.mark.parametrize("name", ["id", "deployment", "model", "revision", "replica", "user"])
def test_no_control_character_reaches_logs_or_labels(name: str) -> None:
    interaction = read({**PAIR, name: "a\nb\x1b[31m\u202ec"})
    assert getattr(interaction, name) == "a\ufffdb\ufffd[31m\ufffdc"


def test_a_flood_of_attributes_is_bounded() -> None:
    record = {**PAIR, **{f"{i}" * 99: "v" * 9999 for i in range(500)}}
    attributes = read(record).attributes
    assert len(attributes) == 32
    assert all(len(k) <= 64 and len(v) <= 256 for k, v in attributes.items())


def test_too_many_adapters_are_refused_instead_of_making_endless_artifact_names() -> None:
    assert refusal({**PAIR, "adapters": ["a"] * 17}).reason is Reason.OUT_OF_RANGE
    assert read({**PAIR, "adapters": "tone"}).adapters == ("tone",)


def test_a_huge_response_keeps_both_ends_only() -> None:
    text = "begin " + "x" * 10_000_000 + " end"
    response = read({"prompt": "x", "response": text}).response
    assert len(response) == Limits().text_chars
    assert response.startswith("begin x")
    assert response.endswith("x end")


def test_a_record_beyond_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Malformed) as caught:
        parse(b"x" * 101, limits=Limits(record_bytes=100))
    assert caught.value.reason is Reason.TOO_LARGE
