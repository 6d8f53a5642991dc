"""Reasoning is left out of the answer, and an answer that talks of tags is left whole."""

from __future__ import annotations

import time

import pytest

from monitor.records._reasoning import Separated, separate

ANSWER = "Loosen the roots."
THOUGHT = "The user asks about ferns. I must not refuse."


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{THOUGHT}</think>{ANSWER}",
        f"\n<think>\n{THOUGHT}\n</think>\n\n{ANSWER}",
        f"<think></think>\n{ANSWER}",
        f"<think>one</think>\n<think>two</think>\n{ANSWER}",
        f"<thinking>{THOUGHT}</thinking>{ANSWER}",
        f"[THINK]{THOUGHT}[/THINK]{ANSWER}",
        f"◁think▷{THOUGHT}◁/think▷{ANSWER}",
        f"<seed:think>{THOUGHT}</seed:think>{ANSWER}",
        f"{THOUGHT}\n</think>\n\n{ANSWER}",
        f"{THOUGHT}</think>{ANSWER}",
        f"{THOUGHT}</think>\n{ANSWER}",
        f'She said "no"</think>{ANSWER}',
        f"</think>\n\n{ANSWER}",
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
        f"<|channel|>final<|message|>{ANSWER}",
        f"<|start|>assistant<|channel|>analysis<|message|>{THOUGHT}<|end|>\n"
        f"<|start|>assistant<|channel|>final<|message|>{ANSWER}<|end|>",
        f"{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
        f"analysisThe user asks.assistantfinal{ANSWER}",
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant to=functions.f"
        "<|channel|>commentary<|message|>{}<|call|><|start|>functions.f to=assistant"
        "<|channel|>commentary<|message|>secret result<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{ANSWER}",
        f"<|channel|>commentary<|message|>{ANSWER}<|end|>",
    ],
)
def test_only_the_final_answer_is_left(text: str) -> None:
    assert separate(text).text == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "Reasoning models write <think> before and </think> after their thoughts.",
        "The `</think>` tag ends the thoughts.",
        "It is the </think> tag.",
        'The tag "</think>" ends them, the tag “</think>” too.',
        "The closing tag (</think>) comes last.",
        "Like this:\n```\nthoughts\n</think>\nanswer\n```\nThat is all.",
        "First answer, then <think> in the middle.",
        "gpt-oss writes `<|channel|>analysis<|message|>` before its thoughts.",
        "Example:\n```\n<|channel|>analysis<|message|>x<|end|><|start|>assistant\n```\nDone.",
        "A turn begins with `<|end|><|start|>assistant` there.",
        "analysis of ferns: they like shade.",
        "Ferns: <reasoning>they like shade</reasoning>",
        "",
        "   ",
    ],
)
def test_an_answer_that_talks_of_tags_is_left_whole(text: str) -> None:
    assert separate(text) == Separated(text)


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{THOUGHT}",
        "<think>",
        f"<think>{THOUGHT}</think>",
        f"{THOUGHT}\n</think>\n",
        f"<think>one</think><think>{THOUGHT}",
        f"<|channel|>analysis<|message|>{THOUGHT}",
        "<|channel|>analysis",
        f"analysis{THOUGHT}",
    ],
)
def test_reasoning_without_an_answer_is_no_answer(text: str) -> None:
    separated = separate(text)
    assert separated.text == ""
    assert separated.reasoning


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('<tool_call>\n{"name": "f"}\n</tool_call>', ""),
        ('<tool_call>{"a": 1}</tool_call>\n<tool_call>{"b": 2}</tool_call>', ""),
        ('<think>x</think>\n<tool_call>{"name": "f"}</tool_call>', ""),
        ('<tool_call>{"name"', ""),
        (f'<tool_call>{{"name": "f"}}</tool_call>\n{ANSWER}', ANSWER),
        ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>", ""),
        (
            f"<|channel|>commentary<|message|>{ANSWER}<|end|><|start|>assistant<|channel|>"
            "commentary to=functions.f<|constrain|>json<|message|>{}<|call|>",
            ANSWER,
        ),
    ],
)
def test_a_call_of_a_tool_is_told_from_an_answer(text: str, answer: str) -> None:
    separated = separate(text)
    assert separated.text == answer
    assert separated.tool_call


@pytest.mark.parametrize(
    "unit",
    [
        "<think></think>", "<think>", "</think> ", " </think> x", "<|channel|>", "<|end|>",
        "<tool_call>", "<tool_call></tool_call>", "<tool_call><", "analysisA", "```</think>",
        "<|start|>assistant", "assistantfinal", "<|channel|>a<|message|>",
    ],
)  # fmt: skip
def test_hostile_repetition_takes_linear_time(unit: str) -> None:
    text = unit * (2_000_000 // len(unit))
    for start in ("", "<|channel|>", "<think>", "<tool_call>"):
        begun = time.process_time()
        separate(start + text)
        assert time.process_time() - begun < 5
