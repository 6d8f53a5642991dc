"""All heads from a corpus: what ``python -m classifiers.training`` runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from classifiers.hashing import Tokens, bucket
from classifiers.text import fold
from classifiers.training import harm, korean, prompts, refusals
from classifiers.training.corpus import Row
from classifiers.training.encoder import Encoder
from classifiers.weights import KNOWN_BITS, KOREAN, Weights

_COMMON: int = 30


def build(corpus: dict[str, list[Row]], encoder: Encoder, version: str) -> Weights:
    """Weights of the linear classifier; the same corpus gives the same weights."""
    read = prompts.read(corpus)
    propensity, hazards = prompts.train(read, encoder, vocabulary(encoder, read))
    readable = [row.response for row in refusals.examples(corpus)]
    readable += [
        prompt.text for prompt in read if prompt.lang == "en" and prompt.source != prompts.SENTENCES
    ]
    return Weights(
        version,
        {
            "refused": refusals.train(corpus),
            KOREAN: korean.train(corpus),
            "propensity": propensity,
            "hazards": hazards,
            "harm": harm.train(corpus),
        },
        known_words(readable),
    )


def vocabulary(encoder: Encoder, read: Iterable[prompts.Prompt]) -> list[str]:
    """The encoder's words and those seen in at least three English prompts, sorted."""
    seen: dict[str, int] = {}
    for prompt in read:
        if prompt.lang == "en" and prompt.source != prompts.SENTENCES:
            for word in set(prompt.text.lower().split()):
                seen[word] = seen.get(word, 0) + 1
    common = {word for word, n in seen.items() if n >= 3 and word.isascii() and word.isalnum()}
    return sorted(common.union(encoder.words()))


def known_words(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Buckets of the words found in at least 30 texts, ``(2^20,)``: what a head can read."""
    counts = np.zeros(1 << KNOWN_BITS, dtype=np.int64)
    for start in range(0, len(texts), 512):
        tokens = Tokens.read(fold(texts[start : start + 512], 600))
        row = np.repeat(np.arange(len(tokens.starts) - 1), np.diff(tokens.starts))
        once = np.unique(row << KNOWN_BITS | bucket(tokens.hashes, KNOWN_BITS))
        counts += np.bincount(once & ((1 << KNOWN_BITS) - 1), minlength=1 << KNOWN_BITS)
    common: NDArray[np.bool_] = counts >= _COMMON
    return common
