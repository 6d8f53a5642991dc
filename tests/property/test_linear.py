"""The linear classifier: a verdict does not depend on its neighbours, whatever their scripts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifiers import LinearClassifier
from classifiers.hashing import Grams, Hasher
from classifiers.weights import KOREAN, Head, Weights, load
from monitor.records import Interaction

WORDS = [
    "I", "can", "not", "help", "sorry", "walk", ".", "\0", "🙂", "é", "我不能", "кот",
    "죄송하지만", "도와드릴", "수", "없습니다", "네", "물론입니다", "ㅎㅎ", "A4",
]  # fmt: skip
TEXTS = st.lists(
    st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join), min_size=1, max_size=24
)
QUICK = settings(
    derandomize=True,
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def classifier() -> LinearClassifier:
    """The shipped heads with a Korean one of random weights."""
    hasher = Hasher(limit=300, words=0, bits=12, syllables=4)
    table = np.random.default_rng(0).normal(size=(hasher.buckets, 1))
    shipped = load()
    korean = Head.quantise(hasher, table, np.array([0.1]))
    return LinearClassifier(Weights("x", {**shipped.heads, KOREAN: korean}, shipped.known))


JUDGE = classifier()


def columns(texts: Sequence[str]) -> list[tuple[object, ...]]:
    batch = [Interaction(id=str(i), prompt=text, response=text) for i, text in enumerate(texts)]
    found = JUDGE.judge(batch)
    scores = zip(found.p_refused, found.p_response_harm, found.p_degenerate, strict=True)
    return [
        (*(x.hex() for x in row), outcome, reason)
        for row, outcome, reason in zip(scores, found.outcome, found.reasons, strict=True)
    ]


def depends_on_neighbours(texts: Sequence[str], cut: int) -> bool:
    """Whether another order, other batches, or being alone changes any verdict."""
    whole = columns(texts)
    back = columns(texts[::-1])[::-1]
    split = columns(texts[:cut]) + columns(texts[cut:])
    alone = [columns([text])[0] for text in texts]
    return not whole == back == split == alone


@QUICK
@given(texts=TEXTS, cut=st.integers(0, 24))
def test_a_verdict_is_the_same_alone_in_any_order_and_in_any_batch(
    texts: list[str], cut: int
) -> None:
    assert not depends_on_neighbours(texts, cut)


def test_syllables_that_reach_into_the_next_record_would_be_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant: where a record ends, its n-grams go on into its neighbour."""
    honest = Hasher._syllables

    def reaching(self: Hasher, folded: bytes) -> Grams:
        grams = honest(self, folded)
        after = np.roll(grams.buckets, -1)
        buckets = np.where(grams.buckets == grams.null, after, grams.buckets)
        return Grams(buckets, grams.starts, grams.null)

    monkeypatch.setattr(Hasher, "_syllables", reaching)
    assert depends_on_neighbours(
        ["죄송하지만 안 됩니다", "네 물론입니다", "도와드릴 수 없습니다"], 1
    )
