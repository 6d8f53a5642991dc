"""Tuning: a deployment's own refusals make its prompts easier to tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers import LinearClassifier, TooFewRefusals, TunedPropensity, tune
from classifiers.evaluation.information import information
from monitor.records import Interaction

VERBS = ["bake", "grow", "paint", "clean", "fold", "wash", "name", "sell", "plant", "sort"]
THINGS = ["bread", "roses", "a wall", "windows", "paper", "a car", "a cat", "apples", "trees"]
PLACES = ["at home", "in spring", "with friends", "by hand", "for a party", "on a budget"]
BANNED = ["zorb", "quux crystals", "a flib engine"]
"""Words that no shipped head knows: what this deployment alone refuses."""


def traffic(seed: int, n: int) -> tuple[list[str], np.ndarray]:
    draw = np.random.default_rng(seed)
    prompts, refused = [], []
    for _ in range(n):
        bad = draw.random() < 0.1
        thing = draw.choice(BANNED if bad else THINGS)
        prompts.append(
            f"How do I {draw.choice(VERBS)} {thing} {draw.choice(PLACES)} {draw.integers(99)}?"
        )
        refused.append(bad)
    return prompts, np.array(refused)


def shipped(classifier: LinearClassifier, prompts: list[str]) -> np.ndarray:
    return classifier.judge(
        [Interaction(id="", prompt=prompt, response="ok") for prompt in prompts]
    ).propensity


@pytest.fixture(scope="module")
def classifier() -> LinearClassifier:
    return LinearClassifier.load()


@pytest.fixture(scope="module")
def tuned(classifier: LinearClassifier) -> TunedPropensity:
    prompts, refused = traffic(0, 1500)
    return tune(prompts, refused, shipped(classifier, prompts), classifier.prompt_hasher)


def test_tuning_at_least_doubles_the_information_in_unseen_traffic(
    classifier: LinearClassifier, tuned: TunedPropensity
) -> None:
    prompts, refused = traffic(1, 3000)
    before = shipped(classifier, prompts)
    after = shipped(classifier.with_propensity(tuned), prompts)
    plain = information(before[~refused], before[refused])
    assert information(after[~refused], after[refused]) > max(2 * plain, 0.5)


def test_verdicts_say_that_the_head_was_tuned(
    classifier: LinearClassifier, tuned: TunedPropensity
) -> None:
    identity = classifier.with_propensity(tuned).identity
    assert identity == f"{classifier.identity}+tuned:{tuned.digest[:16]}"
    assert LinearClassifier.load(identity).identity == classifier.identity


def test_a_tuned_head_survives_its_baseline_file(
    classifier: LinearClassifier, tuned: TunedPropensity
) -> None:
    restored = TunedPropensity.restore(tuned.dump())
    assert restored.digest == tuned.digest
    prompts, _ = traffic(2, 50)
    first = shipped(classifier.with_propensity(tuned), prompts)
    second = shipped(classifier.with_propensity(restored), prompts)
    assert first.tobytes() == second.tobytes()
    assert len(tuned.dump()) < 200_000


def test_tuning_twice_gives_the_same_head(
    classifier: LinearClassifier, tuned: TunedPropensity
) -> None:
    prompts, refused = traffic(0, 1500)
    again = tune(prompts, refused, shipped(classifier, prompts), classifier.prompt_hasher)
    assert again.digest == tuned.digest


def test_too_few_refusals_are_refused_in_one_line(classifier: LinearClassifier) -> None:
    prompts, refused = traffic(3, 100)
    with pytest.raises(TooFewRefusals, match=r"\d+ refusals in the window, at least 50"):
        tune(prompts, refused, shipped(classifier, prompts), classifier.prompt_hasher)
