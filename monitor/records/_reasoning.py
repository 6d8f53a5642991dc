"""The final answer of a model that thinks aloud.

Three ways in which reasoning arrives inside the text of an answer:

- tags, ``<think>...</think>answer``. The chat templates of many reasoning models put the opening
  tag into the prompt, so that the output holds the closing one only.
- harmony, the format of gpt-oss (https://github.com/openai/harmony): messages on the channels
  ``analysis`` (reasoning), ``commentary`` (tool calls and preambles) and ``final``.
- harmony decoded without its special tokens: ``analysis...assistantfinal...``.

A tag that an ordinary answer merely talks about is part of the answer.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final, NamedTuple


class Separated(NamedTuple):
    """What is left of a text: the final answer, and what else there was."""

    text: str
    reasoning: bool = False
    tool_call: bool = False


_OPENING: Final = re.compile(
    r"\s*(<(?:think|thinking|thought|reasoning|seed:think)>|\[THINK\]|◁think▷)"
)
_CLOSING_OF_TEMPLATES: Final = ("</think>", "[/THINK]", "◁/think▷")
_CLOSE: Final = re.compile("|".join(map(re.escape, _CLOSING_OF_TEMPLATES)))
_QUOTES: Final = "`'\"‘’“”«»"
_AFTER_A_MENTION: Final = _QUOTES + " \t.,;:!?)"
_HARMONY_STARTS: Final = ("<|channel|>", "<|start|>", "<|message|>")
_HARMONY_NEXT: Final = "<|end|><|start|>assistant"
_HARMONY_TOKEN: Final = re.compile(r"<\|(start|channel|constrain|message|end|return|call)\|>")
_BARE_HARMONY: Final = re.compile(r"analysis(?=[A-Z])")
_BARE_FINAL: Final = "assistantfinal"
_BARE_CALL: Final = "assistantcommentary to="
_TOOL_CALLS: Final = re.compile(
    r"(?:\s*<tool_call>(?:[^<]++|<(?!/tool_call>))*+(?:</tool_call>|\Z))+\s*"
)


def may_hold_reasoning(text: str) -> bool:
    """Whether `separate` has to look closer; where not, the text is all answer."""
    marked = "<" in text or "[" in text or "◁" in text
    return marked or text.lstrip().startswith("analysis")


def separate(text: str) -> Separated:
    """`text` without its reasoning; an empty answer if the reasoning never ended."""
    if not may_hold_reasoning(text):
        return Separated(text)
    start = text.lstrip()
    if start.startswith(_HARMONY_STARTS) or _has_harmony_turn(text):
        return _from_harmony(text)
    if _BARE_HARMONY.match(start):
        return _from_bare_harmony(start)
    separated = _from_tags(text)
    if separated.text.lstrip().startswith("<tool_call>"):
        return _without_tool_calls(separated)
    return separated


def _from_tags(text: str) -> Separated:
    end = 0
    while opening := _OPENING.match(text, end):
        closing = _closing_tag(opening[1])
        at = text.find(closing, opening.end())
        if at < 0:
            return Separated("", reasoning=True)
        end = at + len(closing)
    if not end:
        end = _end_of_prefilled_reasoning(text)
    return Separated(text[end:].lstrip(), reasoning=True) if end else Separated(text)


def _closing_tag(opening: str) -> str:
    return f"{opening[0]}/{opening[1:]}"


def _end_of_prefilled_reasoning(text: str) -> int:
    """Where the answer starts if `text` has a closing tag of which the prompt had the opening
    one; 0 if every closing tag is only mentioned."""
    if not any(tag in text for tag in _CLOSING_OF_TEMPLATES):
        return 0
    for match in islice(_CLOSE.finditer(text), 8):
        at, end = match.span()
        opened = text.find(match[0].replace("/", ""), 0, at) >= 0
        if opened or _in_code(text, at):
            continue
        if not _is_mention(text[at - 1 : at], text[end : end + 1]):
            return end
    return 0


def _is_mention(before: str, after: str) -> bool:
    """Whether a tag between these two characters stands in a running sentence."""
    if before in _QUOTES and after in _QUOTES and before and after:
        return True
    if before in ("", "\n") or after in ("", "\n"):
        return False
    return before in _QUOTES + " \t(" and after in _AFTER_A_MENTION


def _has_harmony_turn(text: str) -> bool:
    """Whether harmony starts within `text`, as it does where the prompt had the beginning of
    the reasoning; an example in a code block is none."""
    at = text.find(_HARMONY_NEXT)
    return at > 0 and text[at - 1] not in _QUOTES and not _in_code(text, at)


def _in_code(text: str, at: int) -> bool:
    return text.count("```", 0, at) % 2 == 1


def _from_harmony(text: str) -> Separated:
    answers: list[str] = []
    preambles: list[str] = []
    head, *pieces = _HARMONY_TOKEN.split(text)
    reasoning, tool_call = bool(head.strip()), False
    role = channel = ""
    for token, body in zip(pieces[::2], pieces[1::2], strict=True):
        match token:
            case "start":
                role, channel = body.strip(), ""
            case "channel":
                channel = body.strip()
                reasoning |= channel.startswith("analysis")
            case "message" if role and not role.startswith("assistant"):
                pass
            case "message" if "to=" in role or "to=" in channel:
                tool_call = True
            case "message" if channel.startswith("analysis"):
                pass
            case "message" if channel.startswith("commentary"):
                preambles.append(body)
            case "message":
                answers.append(body)
            case "end" | "return" | "call":
                role = channel = ""
    return Separated("\n".join(answers or preambles).strip(), reasoning, tool_call)


def _from_bare_harmony(text: str) -> Separated:
    _, found, answer = text.rpartition(_BARE_FINAL)
    if found:
        return Separated(answer.lstrip(), reasoning=True)
    return Separated("", reasoning=True, tool_call=_BARE_CALL in text)


def _without_tool_calls(separated: Separated) -> Separated:
    """Tool calls as some templates write them, left in the text by servers without a parser."""
    text = _TOOL_CALLS.sub("", separated.text, count=1)
    return Separated(text, separated.reasoning, tool_call=True)
