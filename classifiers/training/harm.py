"""Head C, harm of the response: for display and supporting evidence, never an alarm alone."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from classifiers.hashing import Hasher
from classifiers.training.corpus import Row
from classifiers.weights import Head

HASHER: Final = Hasher(limit=1500, words=2, bits=17)


def examples(corpus: dict[str, list[Row]]) -> list[tuple[str, str, bool]]:
    """(pool, response, harmful) of answers judged by people, a judge model or a guard."""
    found = [
        ("jbb-artifacts", row["response"], bool(row["harmful"]))
        for row in corpus["response_harm"]
        if row["source"] == "jbb-artifacts"
    ]
    found += [
        ("pairs", row["response"], bool(row["lg2_unsafe"]))
        for row in corpus["pairs"]
        if row.get("lg2_unsafe") is not None
    ]
    found += [
        ("gptfuzz", row["response"], row["label"] == "comply")
        for row in corpus["refusal"]
        if row["source"] == "gptfuzz_train"
    ]
    found += [
        ("xstest", row["response"], row["prompt_type"].startswith("contrast"))
        for row in corpus["refusal"]
        if row["source"] == "xstest_v2" and row["label"] == "comply"
    ]
    found += [("benign", row["response"], False) for row in corpus["benign"]]
    return list(dict.fromkeys(found))


def train(corpus: dict[str, list[Row]]) -> Head:
    """Head C from the corpus."""
    rows = examples(corpus)
    sizes = Counter(pool for pool, _, _ in rows)
    weight = np.array([sizes[pool] ** -0.5 for pool, _, _ in rows])
    weight *= len(rows) / weight.sum()
    model = LogisticRegression(
        C=5.0, class_weight="balanced", solver="liblinear", random_state=0, max_iter=300
    )
    model.fit(
        HASHER([text for _, text, _ in rows]).matrix(),
        [harmful for _, _, harmful in rows],
        sample_weight=weight,
    )
    return Head.quantise(HASHER, model.coef_.T, model.intercept_)
