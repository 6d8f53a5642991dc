"""Each guarantee has a mechanism: with the mechanism taken out, the guarantee does not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from monitor.records import KeyColumn, _decode, _fields, _messages, _native, _openai, keys
from monitor.records._reasoning import Separated
from monitor.records.formats import Limits, parse
from monitor.records.interaction import Interaction
from monitor.records.keys import keys_of
from tests.unit.records.examples import ANSWER, THOUGHT, chunks, native, openai, read


def reasoning_is_left_out() -> bool:
    return read(native(f"<think>{THOUGHT}</think>{ANSWER}")).response == ANSWER


def texts_can_be_encoded() -> bool:
    text = parse(b'{"prompt": "\\ud800", "response": ""}').prompt
    return text == text.encode("utf-8", "replace").decode()


def texts_are_bounded() -> bool:
    return len(read(native("x" * 200_000)).response) <= Limits().text_chars


def names_are_printable() -> bool:
    return read(native(user="a\nb")).user.isprintable()


def a_lost_beginning_is_noticed() -> bool:
    return read({**openai(), "response": chunks({"content": "x"})}).unjudged == "truncated_head"


def filled_in_templates_are_one() -> bool:
    rows = keys_of([Interaction(id="1", prompt=f"Add {n} to {n}") for n in (1, 22)], b"k")
    return bool(rows[0, KeyColumn.TEMPLATE] == rows[1, KeyColumn.TEMPLATE])


def columns_are_apart() -> bool:
    words = " ".join(["word"] * 30)
    return len(set(keys_of([Interaction(id="1", prompt=words)], b"k")[0, 2:].tolist())) == 2


def unmarked(key: bytes, column: KeyColumn) -> Callable[[str], bytes]:
    return lambda text: (hash((key, text)) & 0xFFFF_FFFF).to_bytes(8, "little")


MUTANTS: list[tuple[Callable[[], bool], Any, str, Any]] = [
    (reasoning_is_left_out, _messages, "separate", Separated),
    (texts_can_be_encoded, _decode, "_mend", lambda match: match[0]),
    (texts_are_bounded, _native, "clip", lambda text, limits: text),
    (names_are_printable, _fields, "bounded", lambda name: name),
    (
        a_lost_beginning_is_noticed,
        _openai,
        "assemble_chunks",
        lambda value, field: _openai.Assembled({"choices": [{"text": "x"}]}, False),
    ),
    (filled_in_templates_are_one, keys, "masked_words", str.split),
    (columns_are_apart, keys, "_KeyedHash", unmarked),
]


@pytest.mark.parametrize(
    ("guarantee", "module", "name", "without"), MUTANTS, ids=[m[0].__name__ for m in MUTANTS]
)
def test_the_check_of_a_guarantee_fails_without_its_mechanism(
    guarantee: Callable[[], bool],
    module: Any,
    name: str,
    without: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert guarantee()
    monkeypatch.setattr(module, name, without)
    assert not guarantee()
