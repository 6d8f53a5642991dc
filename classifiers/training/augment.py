"""Refusals in more words than the data holds: one unseen phrase can hide a whole model.

Three sources, all deterministic: the modal verb of a real refusal swapped for another; a refusal
built around a real prompt, so that no topic and no task verb speaks against a refusal; and short
exchanges written for this project.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final

_MODAL: Final = re.compile(
    r"\bI(?: cannot| can't| can’t| can not|'m unable to|’m unable to| am unable to"
    r"|'m not able to|’m not able to| am not able to)\b"
)

_FORMS: Final = (
    "I will not",
    "I won't",
    "I am not going to",
    "I'm not going to",
    "I must decline to",
    "I have to decline to",
    "I refuse to",
    "I do not",
    "I'm not willing to",
    "I could not",
    "I am not in a position to",
    "I don't feel comfortable enough to",
)

_OPENINGS: Final = (
    "",
    "",
    "",
    "",
    "Sorry, but ",
    "I'm sorry, but ",
    "I apologize, but ",
    "Unfortunately, ",
    "I'm really sorry, but ",
    "I understand your request, but ",
    "Thank you for asking, but ",
    "As an AI, ",
    "As an AI language model, ",
    "I appreciate your interest, but ",
    "I want to be direct with you: ",
    "I have to be honest, ",
)

_STANCES: Final = (
    "I cannot",
    "I can't",
    "I can not",
    "I am unable to",
    "I'm not able to",
    "I won't",
    "I will not",
    "I must decline to",
    "I'm not going to",
    "I cannot and will not",
    "I refuse to",
    "I'm not comfortable enough to",
    "it is not possible for me to",
    "I am not allowed to",
)

_VAGUE: Final = (
    "help with that",
    "assist with that request",
    "fulfill your request",
    "do that",
    "help you with this",
    "comply with this request",
    "answer that question",
    "engage with this",
    "provide that information",
    "continue this conversation",
    "support that",
    "create that kind of content",
    "assist you with that",
    "discuss this topic",
    "go into that",
)

_ABOUT: Final = (
    "provide information on how to",
    "give instructions on how to",
    "explain how to",
    "tell you how to",
    "help you",
    "provide guidance on how to",
    "assist you to",
    "offer advice on how to",
    "share steps to",
)

_CLOSINGS: Final = (
    "",
    "",
    "",
    "Can I help you with something else?",
    "Is there anything else I can help you with?",
    "It is illegal and unethical.",
    "It could cause serious harm.",
    "This goes against my guidelines.",
    "If you are struggling, please reach out to a professional.",
    "Let's talk about something else.",
    "My purpose is to be helpful and harmless.",
    "Please consider a lawful alternative.",
    "Please reach out to someone you trust.",
    "I would be happy to help with something else.",
    "Doing so may break the law and hurt people.",
    "That would be inappropriate.",
    "Is there a different topic you would like to explore?",
)

SHORT_REFUSALS: Final = (
    "I can't help with that.",
    "I cannot assist with that.",
    "Sorry, I can't do that.",
    "I won't help with this.",
    "I'm unable to help with that request.",
    "I must decline.",
    "I have to decline this request.",
    "I'd rather not answer that.",
    "I can't discuss that.",
    "That's not something I can help with.",
    "This is not something I can assist with.",
    "I'm not comfortable with that.",
    "I'm not going to do that.",
    "I don't feel comfortable answering.",
    "Your request was declined.",
    "This request violates our policy.",
    "This violates our usage policies.",
    "I can't engage with this request.",
    "I will not write that.",
    "Nope, I won't do it.",
    "Let us change the subject.",
    "We should talk about something else instead.",
    "I am not permitted to answer this.",
    "Sorry, that is against my rules.",
    "I decline to answer.",
)

SHORT_ANSWERS: Final = (
    "No, it does not.",
    "No, the capital is Canberra.",
    "Sure!",
    "Of course, here you go.",
    "Yes.",
    "I can't wait to see it!",
    "I cannot recommend this book highly enough.",
    "You're welcome!",
    "Sorry for the confusion, the answer is 12.",
    "I'm sorry to hear that you feel sad. Try a walk.",
    "I apologize for the mistake. Here is the corrected code.",
    "It is illegal to park there.",
    "I can help with that.",
    "I can't stop laughing, what a story!",
    "42",
    "Paris",
    "Good morning!",
    "Unfortunately the train is late, so take the bus.",
    "The request was approved.",
    "Denied boarding means that you may claim compensation.",
    "He said that he could not come.",
    "def f(x): return x",
    "As an AI I have no taste, but most people like the first one.",
    "I don't know, but I would guess 7.",
    "As an AI language model, I don't have opinions, but here are the main arguments.",
    "You cannot divide by zero.",
    "You can't go wrong with tomatoes and basil.",
    "Let's get started!",
    "I am not a lawyer, but in general you have 14 days to return it.",
    "Here is a short poem for you.",
    "I could not agree more.",
    "I won't lie, it is hard, but start with small steps.",
)

_HOW: Final = re.compile(
    r"^(?:how (?:do|can|could|would|should) (?:i|you|we|one|someone)|how to)\s+", re.I
)
_TASK: Final = re.compile(
    r"^(?:please\s+)?(write|create|draft|give|provide|explain|describe|develop|design|generate|list|"
    r"make|tell|compose|outline|summarize|suggest|show|teach|help|convince|pretend|act|translate)\b",
    re.I,
)


def swapped(responses: Sequence[str], seed: int = 0) -> list[str | None]:
    """Each refusal with another modal verb, or ``None`` where there is none to swap."""
    draw = random.Random(seed)
    return [
        _MODAL.sub(draw.choice(_FORMS), response, count=1)
        if _MODAL.search(response[:300])
        else None
        for response in responses
    ]


def refusal_of(prompt: str, draw: random.Random) -> str:
    """A refusal of `prompt`, most often in the prompt's own words."""
    task = " ".join(prompt.split())[:160].rstrip(".?! ")
    opening, stance = draw.choice(_OPENINGS), draw.choice(_STANCES)
    if draw.random() < 0.25:
        body = f"{stance} {draw.choice(_VAGUE)}."
    elif _HOW.match(task):
        body = f"{stance} {draw.choice(_ABOUT)} {_HOW.sub('', task)}."
    elif _TASK.match(task):
        body = f"{stance} {_TASK.sub(lambda m: m[1].lower(), task)}."
    else:
        body = f"{stance} {draw.choice(_VAGUE)}: {task}."
    text = f"{opening}{body} {draw.choice(_CLOSINGS)}".strip()
    return text[0].upper() + text[1:]
