"""The short way to read a native record ends where the long way does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.records import Interaction, _native, _plain
from monitor.records._decode import decode_object
from monitor.records.formats import Format, Limits, parse

LIMITS = Limits(record_bytes=2_000, text_chars=40)
USUAL = {
    "id": "r-1", "timestamp": "2026-03-02T12:00:00Z", "deployment": "chat", "model": "ferns-8b",
    "revision": "a1", "replica": "pod-1", "conversation": "c 7", "user": "u-7",
    "client": "10.0.0.1", "system_fingerprint": "fp", "risk": "low", "finish_reason": "stop",
    "system_prompt": "Be kind.", "prompt": "How do I repot a fern?", "response": "With care.",
}  # fmt: skip
TEXTS = (
    "", " ", "a b", " a", "\t", "a\nb", "x" * 300, "x" * 41, "\u200b", "fern 🌿", "MAX_TOKENS",
    "<think>why</think>Yes.", "[THINK]why[/THINK]Yes.", "◁think▷why◁/think▷Yes.", "<b>Yes</b>",
    " analysisWhy.assistantfinalYes.", "content_filter", "\ud800", "2026-03-02", "1772452800",
)  # fmt: skip
VALUES = st.sampled_from(
    [*TEXTS, None, True, 0, 7, 1.5, 1772452800, 1e300, 2**70, float("nan"), [], {}, ["a"]]
)
EXTRA = st.sampled_from(["attributes", "adapters", "messages", "reasoning", "tool_calls", "other"])


@st.composite
def records(draw: st.DrawFn) -> bytes:
    record: dict[str, Any] = dict(USUAL)
    names = st.one_of(st.sampled_from(sorted(USUAL)), EXTRA)
    record |= draw(st.dictionaries(names, VALUES, max_size=3))
    for name in draw(st.lists(st.sampled_from(sorted(USUAL)), max_size=2)):
        record.pop(name, None)
    pairs = list(record.items())
    pairs += draw(st.lists(st.tuples(st.sampled_from(sorted(USUAL)), VALUES), max_size=1))
    body = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs)
    return f"{{{body}}}".encode()


def the_short_way_is_the_long_way(value: bytes) -> bool:
    short = _plain.read(value, "default", LIMITS)
    return short is None or short == _native.read(decode_object(value, LIMITS), "default", LIMITS)


@settings(max_examples=600, derandomize=True, deadline=None)
@given(records())
def test_a_record_reads_the_same_either_way(value: bytes) -> None:
    assert the_short_way_is_the_long_way(value)


def test_ordinary_records_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "read", None)
    for fmt in (Format.AUTO, Format.NATIVE):
        interaction = parse(json.dumps(USUAL).encode(), fmt, limits=Limits())
        assert isinstance(interaction, Interaction)
        assert interaction.response == USUAL["response"]


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("may_hold_reasoning", lambda _: False),
        ("_are_plain", lambda _: True),
        ("finish_reason", lambda reason: reason or ""),
    ],
)
def test_mutants_of_the_short_way_are_found(
    name: str, without: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_plain, name, without)

    @settings(max_examples=600, derandomize=True, deadline=None, database=None)
    @given(records())
    def search(value: bytes) -> None:
        assert the_short_way_is_the_long_way(value)

    with pytest.raises(AssertionError):
        search()
