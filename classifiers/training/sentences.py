"""Sentences of answers as unlabelled text: more of the language that prompts are written in.

The student of `classifiers.training.prompts` only sees the words of its texts. Labelled prompts
are few and open in few ways; sentences of answers, scored by the teacher, teach it the weight of
the many words that harmless and harmful prompts would use.
"""

from __future__ import annotations

import random
import re
from typing import Final

from classifiers.training.corpus import Row

COUNT: Final = 14_000
_END: Final = re.compile(r"(?<=[.!?])\s+|\n+")
_FILES: Final = ("benign", "pairs", "refusal", "response_harm")


def sample(corpus: dict[str, list[Row]], count: int = COUNT, seed: int = 0) -> dict[str, str]:
    """One sentence each of `count` English answers, with the prompt that it answers."""
    answers = [
        (row["response"], row["prompt"])
        for name in _FILES
        for row in corpus[name]
        if row.get("lang", "en") == "en"
    ]
    draw = random.Random(seed)
    draw.shuffle(answers)
    chosen: dict[str, str] = {}
    for answer, prompt in answers:
        parts = [part.strip()[:220] for part in _END.split(answer[:1500]) if len(part.strip()) > 20]
        if parts:
            chosen[draw.choice(parts)] = prompt
        if len(chosen) >= count:
            break
    return chosen
