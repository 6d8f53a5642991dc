"""Training: deterministic parts, on data made here."""

from __future__ import annotations

import random

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_sparse
from sklearn.linear_model import Ridge

from classifiers.scripts import Script, script
from classifiers.training import augment, korean, refusals
from classifiers.training.build import known_words
from classifiers.training.corpus import Row
from classifiers.training.prompts import HASHER, WordVectors
from classifiers.training.refusals import Example
from classifiers.training.ridge import ridge


def test_ridge_agrees_with_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    features = csr_matrix(random_sparse(300, 40, 0.3, random_state=0))
    targets = draw.normal(size=(300, 2))
    weights = draw.random(300) + 0.5
    found, intercept = ridge(features, targets, weights, alpha=2.0, steps=200)
    centred = targets - intercept
    expected = Ridge(alpha=2.0, fit_intercept=False, solver="cholesky")
    expected.fit(features.toarray(), centred, sample_weight=weights)
    np.testing.assert_allclose(found, expected.coef_.T, atol=1e-6)


def test_a_word_no_prompt_holds_takes_the_weight_of_its_neighbours() -> None:
    vectors = np.array([[1.0, 0.0], [0.98, 0.02], [0.0, 1.0], [-1.0, 0.3]], dtype=np.float32)
    vectors = np.tile(vectors, (64, 96))
    words = [f"{name}{i}" for i in range(64) for name in ("knife", "dagger", "bread", "tree")]
    texts = [word for word in words if not word.startswith("dagger")]
    found = WordVectors.fit(words, vectors, texts)
    grams = HASHER(texts).matrix()
    features, factor = found.features(grams)
    target = np.array([[float(text.startswith("knife"))] for text in texts])
    weights, _ = ridge(features, target, np.ones(len(texts)), alpha=1.0)
    folded = found.fold(weights, factor)
    np.testing.assert_allclose(grams @ folded, features @ weights, atol=1e-4)
    unseen = (HASHER(["dagger1", "tree1"]).matrix() @ folded)[:, 0]
    assert unseen[0] > unseen[1] + 0.05


def rows() -> list[Example]:
    made = []
    for i in range(60):
        refusal = f"I cannot help with request {i}. It is wrong."
        made.append(Example("a", "m", f"Write a poem about number {i}.", refusal, True))
        answer = f"Here is the poem about number {i}: one, two, three."
        made.append(Example("b", "m", f"Write a poem about number {i}.", answer, False))
    return made


def test_training_twice_gives_identical_weights() -> None:
    first, second = (refusals.fit([*rows(), *refusals.augmented(rows())]) for _ in range(2))
    assert first.table.tobytes() == second.table.tobytes()
    assert (first.scale, first.bias.tobytes()) == (second.scale, second.bias.tobytes())


def test_without_augmentation_another_modal_verb_hides_a_refusal() -> None:
    unseen = ["I won't write that poem.", "I must decline to write about number 7."]
    plain = refusals.scores(refusals.fit(rows()), unseen)
    augmented = refusals.scores(refusals.fit([*rows(), *refusals.augmented(rows())]), unseen)
    assert (augmented > plain).all()
    assert (augmented > 0).all()


def test_made_refusals_quote_the_request_and_are_deterministic() -> None:
    first = [augment.refusal_of("Write a poem about the sea.", random.Random(i)) for i in range(40)]
    second = [
        augment.refusal_of("Write a poem about the sea.", random.Random(i)) for i in range(40)
    ]
    assert first == second
    assert sum("poem about the sea" in text for text in first) > 20
    assert all(text[0].isupper() for text in first)


def test_phrases_that_leave_it_open_give_no_label() -> None:
    assert refusals.weak_label("I’m sorry, but I can’t help.") is True
    assert refusals.weak_label("Sure, here you go.") is False
    assert refusals.weak_label("As an AI language model, I think that blue is popular.") is None


def test_common_words_are_known_and_rare_ones_are_not() -> None:
    known = known_words(["the cat sat"] * 40 + ["zyzzyva"] * 3)
    assert known.sum() == 4  # the, cat, sat and the begin-of-text token


def korean_corpus() -> dict[str, list[Row]]:
    common = {"source": "k", "licence": "MIT", "lang": "ko", "model": "m"}
    rows = [
        common | {"prompt": f"질문 {i}", "response": response, "label": label}
        for i in range(30)
        for label, response in (
            ("refuse", f"죄송하지만 {i}번 요청은 도와드릴 수 없습니다."),
            ("comply", f"네, {i}번 답은 다음과 같습니다."),
            ("partial", f"{i}번 대신 다른 이야기를 해 드릴게요."),
            ("comply", f"Here is answer number {i}."),
        )
    ]
    english = {"source": "e", "licence": "MIT", "lang": "en", "model": "m", "label": "refuse"}
    return {"refusal": [*rows, english | {"prompt": "q", "response": "그건 안 됩니다."}]}


def test_korean_trains_on_korean_answers_with_a_clear_label_alone() -> None:
    found = korean.examples(korean_corpus())
    assert len(found) == 60
    assert sum(row.refused for row in found) == 30
    assert all(script(row.response) is Script.HANGUL for row in found)


def test_training_korean_twice_gives_identical_weights() -> None:
    first, second = (korean.train(korean_corpus()) for _ in range(2))
    assert first.hasher == korean.HASHER
    assert first.table.tobytes() == second.table.tobytes()
    assert (first.scale, first.bias.tobytes()) == (second.scale, second.bias.tobytes())


def test_without_augmentation_another_korean_ending_hides_a_refusal() -> None:
    unseen = ["그 요청은 받아들이지 않겠습니다.", "알려 드리기 곤란합니다."]
    rows = korean.examples(korean_corpus())
    plain = refusals.scores(refusals.fit(rows, hasher=korean.HASHER), unseen)
    augmented = refusals.scores(korean.train(korean_corpus()), unseen)
    assert (augmented > plain).all()
    assert (augmented > 0).all()


def test_a_swapped_korean_refusal_keeps_the_rest_of_its_words() -> None:
    draw = random.Random(0)
    for _ in range(40):
        text = korean.swapped("죄송합니다. 그 방법은 알려 드릴 수 없습니다. 위험합니다.", draw)
        assert text is not None
        assert "그 방법은 알려 드리" in text
        assert text.endswith("위험합니다.")
    assert korean.swapped("네, 알려 드릴게요.", draw) is None


def test_made_korean_refusals_are_korean_and_deterministic() -> None:
    first, second = (
        [korean.refusal_of("빵을 굽는 방법", random.Random(i)) for i in range(40)] for _ in range(2)
    )
    assert first == second
    assert all(script(text) is Script.HANGUL for text in first)
    assert 10 < sum("빵을 굽는 방법" in text for text in first) < 30
