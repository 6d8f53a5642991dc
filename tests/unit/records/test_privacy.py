"""Errors are logged and written to dead letters, so no text of a record may be in them."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator

import pytest

from monitor.records.formats import Format, Malformed, parse
from tests.unit.records.examples import Json, chunks, litellm, native, openai, otel

MARKER = "zqmarker"


def spoiled(value: object) -> Iterator[object]:
    """`value` with one thing at a time replaced by something of a wrong type."""
    wrong: list[object] = [{MARKER: MARKER}, [MARKER], [[MARKER]], MARKER, True, 7, None]
    yield from wrong
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {k: v for k, v in value.items() if k != key}
            for other in spoiled(inner):
                yield {**value, key: other}
    if isinstance(value, list):
        for i, inner in enumerate(value):
            for other in spoiled(inner):
                yield [*value[:i], other, *value[i + 1 :]]


def refusal(value: bytes, fmt: Format = Format.AUTO) -> Malformed | None:
    try:
        parse(value, fmt)
    except Malformed as problem:
        return problem
    return None


RECORDS: list[Json] = [
    {**native(MARKER, MARKER), "user": MARKER, "conversation": MARKER, "attributes": {"a": MARKER}},
    {"prompt": MARKER, "response": MARKER, "adapters": [MARKER]},
    openai(MARKER, MARKER),
    {"request": openai()["request"], "chunks": chunks({"role": "assistant", "content": MARKER})},
    litellm(MARKER, MARKER),
    otel(MARKER, MARKER),
]


@pytest.mark.parametrize(
    "record", RECORDS, ids=["native", "text", "openai", "stream", "ll", "otel"]
)
def test_no_error_message_or_traceback_holds_text_of_the_record(
    record: Json,
) -> None:
    refused = 0
    for broken in spoiled(record):
        for fmt in Format:
            problem = refusal(json.dumps(broken).encode(), fmt)
            if problem is None:
                continue
            refused += 1
            assert MARKER not in "".join(traceback.format_exception(problem))
            assert MARKER not in repr(problem)
            assert MARKER not in problem.field
            assert "\n" not in str(problem)
    assert refused > 50


@pytest.mark.parametrize(
    "value",
    [
        b'{"prompt": "zqmarker',
        b'{"prompt": "zqmarker\xff"}',
        b'{"zqmarker": zqmarker}',
        b'"zqmarker"',
        b'["zqmarker"' * 300,
        b'{"request": "{zqmarker", "response": {}}',
        b'{"gen_ai.input.messages": "[zqmarker", "gen_ai.output.messages": []}',
    ],
)
def test_errors_of_the_decoder_do_not_carry_the_record_along(value: bytes) -> None:
    problem = refusal(value)
    assert problem is not None
    assert MARKER not in "".join(traceback.format_exception(problem))
    assert problem.__context__ is None
    assert problem.__cause__ is None
