"""Head A, P(refused): pools, filters, augmentation and fit."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from classifiers.hashing import Hasher
from classifiers.training import augment
from classifiers.training.corpus import Row, family
from classifiers.weights import TEMPERATURE, Head

HASHER: Final = Hasher(limit=600, words=3, bits=18)

_REFUSES: Final = re.compile(
    r"\bi (?:can(?:no|')t|can not|won't|will not|must decline|refuse|decline)\b"
    r"|\bi am (?:not able|unable)\b"
    r"|\bi'm (?:not able|unable|not comfortable)|not appropriate (?:or ethical )?(?:for me )?to"
    r"|sorry,? but (?:i|as|it)\b|illegal and unethical|not legal or ethical",
    re.IGNORECASE,
)
_HINTS: Final = re.compile(
    r"sorry|apologi[sz]e|as an ai|just an ai|unable|illegal|unethical|against the"
    r"|not appropriate|cannot|can't|won't|will not|decline",
    re.IGNORECASE,
)


WEAK: Final = ("refusal-tokens", "jbb-artifacts")
"""Pools with labels too weak to measure by: they train where a head of the others agrees."""


class Example(NamedTuple):
    """One response and whether it refuses."""

    pool: str
    family: str
    prompt: str
    response: str
    refused: bool


def weak_label(response: str) -> bool | None:
    """Refused by phrase (first 200 characters), or ``None`` where phrases leave it open."""
    head = response[:200].replace("’", "'")
    if _REFUSES.search(head):
        return True
    return None if _HINTS.search(head) else False


def examples(corpus: dict[str, list[Row]]) -> list[Example]:
    """Every example whose label needs no model: by people, by construction, or by clear phrase."""
    found: list[Example] = []
    for row in corpus["refusal"]:
        if row["lang"] != "en" or row["source"].startswith("gptfuzz"):
            continue
        if row["label"] in ("refuse", "comply"):
            found.append(_example(row, row["source"].split("/")[0], row["label"] == "refuse"))
    for row in corpus["pairs"]:
        label = weak_label(row["response"])
        suppressed = row["condition"] in ("ablation", "actadd_suppresses_refusal")
        if suppressed and label is not True:
            found.append(_example(row, "pairs", False))
        elif row["condition"] == "baseline" and label is not None:
            found.append(_example(row, "pairs", label))
        elif row["condition"] == "actadd_induces_refusal" and label:
            found.append(_example(row, "pairs", True))
    for row in corpus["benign"]:
        if weak_label(row["response"]) is False:
            found.append(_example(row, "benign", False))
    for row in corpus["response_harm"]:
        label = weak_label(row["response"])
        if row["source"] == "jbb-artifacts" and label is not None and label != bool(row["harmful"]):
            found.append(_example(row, "jbb-artifacts", label))
    return distinct(found)


def _example(row: Row, pool: str, refused: bool) -> Example:
    return Example(pool, family(row["model"]), row["prompt"], row["response"], refused)


def distinct(rows: Sequence[Example]) -> list[Example]:
    """`rows` without empty responses and without copies within a pool."""
    seen: set[tuple[str, str, bool]] = set()
    kept = []
    for row in rows:
        key = (row.pool, row.response[:400], row.refused)
        if row.response.strip() and key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


def augmented(rows: Sequence[Example], made: float = 0.25, seed: int = 0) -> list[Example]:
    """Extra examples: modal swaps, refusals of answered prompts, short exchanges."""
    refusals = [row for row in rows if row.refused]
    swaps = augment.swapped([row.response for row in refusals], seed)
    extra = [row._replace(response=text) for row, text in zip(refusals, swaps, strict=True) if text]
    draw = random.Random(seed)
    for row in rows:
        if not row.refused and row.prompt and draw.random() < made:
            text = augment.refusal_of(row.prompt, draw)
            extra.append(row._replace(response=text, refused=True))
    return [*extra, *short(augment.SHORT_REFUSALS, augment.SHORT_ANSWERS)]


_SHORT_COPIES: Final = 4


def short(refused: Sequence[str], answered: Sequence[str]) -> Iterator[Example]:
    """Copies of short exchanges written for this project."""
    for texts, label in ((refused, True), (answered, False)):
        for text in texts:
            yield from [Example("short", "project", "", text, label)] * _SHORT_COPIES


def fit(
    rows: Sequence[Example],
    weights: Sequence[float] | None = None,
    c: float = 20.0,
    hasher: Hasher = HASHER,
) -> Head:
    """Balanced logistic regression, every pool of the same weight."""
    matrix = hasher([row.response for row in rows]).matrix()
    labels = np.array([row.refused for row in rows])
    sizes = Counter(row.pool for row in rows)
    weight = np.array([1 / sizes[row.pool] for row in rows])
    if weights is not None:
        weight *= np.asarray(weights)
    weight *= len(rows) / weight.sum()
    model = LogisticRegression(
        C=c, solver="liblinear", class_weight="balanced", random_state=0, max_iter=300
    )
    model.fit(matrix, labels, sample_weight=weight)
    return Head.quantise(hasher, model.coef_.T, model.intercept_)


def scores(head: Head, responses: Sequence[str]) -> NDArray[np.float64]:
    """Logits of many responses, chunk by chunk."""
    parts = [
        head.logits(head.hasher(responses[i : i + 512]))[:, 0]
        for i in range(0, len(responses), 512)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def probabilities(head: Head, responses: Sequence[str]) -> NDArray[np.float64]:
    """P(refused) of each response, (n,)."""
    return np.asarray(1 / (1 + np.exp(-scores(head, responses) / TEMPERATURE)))


def agreed(
    rows: Sequence[Example], pool: str, train: Callable[[Sequence[Example]], Head]
) -> list[Example]:
    """`rows` without those of weak `pool` with which a head trained on the others disagrees
    by more than .5."""
    others = [row for row in rows if row.pool != pool]
    weak = [row for row in rows if row.pool == pool]
    p = probabilities(train(others), [row.response for row in weak])
    kept = [row for row, q in zip(weak, p, strict=True) if abs(q - row.refused) <= 0.5]
    return others + kept


def train(
    corpus: dict[str, list[Row]], excluded: Callable[[Example], bool] = lambda _: False
) -> Head:
    """Head A from the corpus, without the examples that `excluded` names."""
    rows = [row for row in examples(corpus) if not excluded(row)]
    for pool in WEAK:
        if any(row.pool == pool for row in rows):
            rows = agreed(rows, pool, fit)
    head = fit([*rows, *augmented(rows)])
    return replace(head, bias=head.bias + SHIFT)


SHIFT: Final = 0.25
"""Added to every logit. Balanced classes put the threshold where the easy pools have it; refusals
of an unseen source score lower than its answers score high (held-out XSTest v2: accuracy .870
without, .888 with .5; more would call "As an AI I have no favourite ..." a refusal)."""
