"""``python -m classifiers.training --data DIR --out DIR``: rebuild the shipped weights."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from classifiers.hashing import Hasher, Tokens, bucket
from classifiers.linear import KNOWN_BITS
from classifiers.taxonomy import accept_set
from classifiers.text import fold
from classifiers.training import corpus as data
from classifiers.training import refusals
from classifiers.weights import Head, Weights, save
from monitor.records import HAZARDS

P = Hasher(limit=400, words=2, bits=17, chars=4)
C = Hasher(limit=1500, words=2, bits=17)


def known_words(texts: list[str]) -> np.ndarray:
    counts = np.zeros(1 << KNOWN_BITS, dtype=np.int64)
    for i in range(0, len(texts), 512):
        tokens = Tokens.read(fold(texts[i : i + 512], 600))
        row = np.repeat(np.arange(len(tokens.starts) - 1), np.diff(tokens.starts))
        pairs = np.unique(row.astype(np.int64) << 32 | bucket(tokens.hashes, KNOWN_BITS))
        counts += np.bincount(pairs & 0xFFFFFFFF, minlength=1 << KNOWN_BITS)
    return counts >= 30


def prompts(corpus):
    harm, ordinary, hard = {}, {}, {}
    for r in corpus["prompt_category"]:
        if "benign" in r["source"]:
            hard[r["prompt"]] = 1
        else:
            harm[r["prompt"]] = r
    for r in corpus["benign"]:
        ordinary[r["prompt"]] = 1
    for r in corpus["refusal"]:
        if r["source"] == "chatgpt-refusals" and r["label"] == "comply":
            ordinary[r["prompt"]] = 1
    for p in harm:
        ordinary.pop(p, None)
    return harm, ordinary, hard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", default="1")
    args = parser.parse_args()
    corpus = data.read_all(args.data)
    refused = refusals.train(corpus)
    harm, ordinary, hard = prompts(corpus)
    texts = [*harm, *ordinary, *hard]
    X = P(texts).matrix()
    y = np.r_[np.ones(len(harm)), np.zeros(len(ordinary) + len(hard))]
    m = LogisticRegression(C=10, class_weight="balanced", solver="liblinear", random_state=0).fit(X, y)
    propensity = Head.quantise(P, m.coef_.T, m.intercept_)
    labelled = [(p, acc[0]) for p, r in harm.items() if r["lang"] == "en" and (acc := accept_set(r["taxonomy"], r["category"], p))]
    yb = np.array([HAZARDS.index(h) for _, h in labelled])
    Xb = P([p for p, _ in labelled]).matrix()
    W = np.zeros((P.buckets, len(HAZARDS)))
    b = np.full(len(HAZARDS), -8.0)
    for k in np.unique(yb):
        m = LogisticRegression(C=10, class_weight="balanced", solver="liblinear", random_state=0).fit(Xb, yb == k)
        W[:, k] = m.coef_[0]
        b[k] = m.intercept_[0]
    hazards = Head.quantise(P, W, b)
    hr = [(r["response"], bool(r["harmful"])) for r in corpus["response_harm"] if r["source"] == "jbb-artifacts"]
    hr += [(r["response"], bool(r["lg2_unsafe"])) for r in corpus["pairs"] if r.get("lg2_unsafe") is not None]
    hr += [(r["response"], r["label"] == "comply") for r in corpus["refusal"] if r["source"] == "gptfuzz_train"]
    hr += [(r["response"], False) for r in corpus["benign"]]
    Xc = C([t for t, _ in hr]).matrix()
    m = LogisticRegression(C=5, class_weight="balanced", solver="liblinear", random_state=0).fit(Xc, np.array([h for _, h in hr]))
    harmhead = Head.quantise(C, m.coef_.T, m.intercept_)
    known = known_words([e.response for e in refusals.examples(corpus)] + texts)
    weights = Weights(args.version, {"refused": refused, "propensity": propensity, "hazards": hazards, "harm": harmhead}, known)
    print(save(weights, args.out))


main()
