"""The gold set: every version that ships still says what it said when it shipped."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from classifiers import LinearClassifier, versions
from classifiers.gold import compare, gold_pairs, judge_gold, recorded
from classifiers.hashing import Grams
from monitor.records import GROUPS, Outcome


@pytest.fixture(scope="module")
def classifier() -> LinearClassifier:
    return LinearClassifier.load()


@pytest.mark.parametrize("version", sorted(versions()))
def test_each_version_that_ships_judges_the_gold_set_as_recorded(version: str) -> None:
    """New weights? ``python -m classifiers.gold`` records what they say."""
    shipped = LinearClassifier.load(version)
    expected = recorded(shipped.identity)
    assert expected is not None
    assert not compare(expected, judge_gold(shipped))


def test_the_gold_set_shows_every_outcome_and_every_hazard_group(
    classifier: LinearClassifier,
) -> None:
    found = judge_gold(classifier)
    assert len(gold_pairs()) == len(found) == 212
    assert len({(pair.prompt, pair.response) for pair in gold_pairs()}) == 212
    outcomes = Counter(found.columns["outcome"].tolist())
    for outcome in (Outcome.REFUSED, Outcome.COMPLIED, Outcome.DEGENERATE, Outcome.UNJUDGED):
        assert outcomes[outcome] >= 5
    assert set(found.columns["group"].tolist()) == set(range(len(GROUPS)))


def test_two_versions_are_told_apart(classifier: LinearClassifier) -> None:
    others = [v for v, digest in versions().items() if digest not in classifier.identity]
    expected = recorded(classifier.identity)
    assert expected is not None
    assert compare(expected, judge_gold(LinearClassifier.load(others[0]))).scores > 100


def test_a_library_that_adds_up_wrongly_is_found(
    classifier: LinearClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a broken vector instruction would: one n-gram in a thousand is lost."""

    def losing(self: Grams, table: np.ndarray) -> np.ndarray:
        picked = np.take(table, self.buckets, axis=0)
        picked[::1000] = 0
        return np.add.reduceat(picked, self.starts[:-1], axis=0, dtype=np.int32)

    monkeypatch.setattr(Grams, "sums", losing)
    expected = recorded(classifier.identity)
    assert expected is not None
    found = compare(expected, judge_gold(classifier))
    assert 0 < found.verdicts <= found.pairs
    assert found.scores > 0


def test_rounding_of_another_processor_is_no_difference(classifier: LinearClassifier) -> None:
    found = judge_gold(classifier)
    near = {name: column + 1e-4 for name, column in found.columns.items()}
    near |= {name: found.columns[name] for name in ("outcome", "group")}
    assert not compare(found, type(found)(near))


def test_weights_of_nobody_we_know_have_no_record() -> None:
    assert recorded("linear@sha256:" + "0" * 64) is None
    assert recorded("encoder@sha256:" + next(iter(versions().values()))) is None
