"""Heads P (propensity) and B (hazard) of the prompt: one hasher, one teacher, one student.

Teacher: a linear model of MiniLM sentence embeddings. Student: ridge regression of the teacher's
logits on hashed n-grams, over every permitted prompt, labelled or not. Word vectors of the encoder
take part as features that are sums over a text's words; being linear, they fold into the n-gram
table, so a word that no labelled prompt holds still gets the weight of its neighbours, at no cost
in serving.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.linear_model import LogisticRegression

from classifiers.hashing import Hasher
from classifiers.taxonomy import Accept, accept_set
from classifiers.training import ordinary, sentences
from classifiers.training.corpus import Row, normal
from classifiers.training.ridge import ridge
from classifiers.weights import Head
from monitor.records import HAZARDS

HASHER: Final = Hasher(limit=250, words=2, bits=17, chars=4)
"""Longer texts add more noise than news: what a prompt asks is mostly said at its start."""

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


class Kind(Enum):
    """What a prompt is to the propensity head."""

    HARMFUL = "harmful"
    ORDINARY = "ordinary"
    LOOKALIKE = "lookalike"
    UNLABELLED = "unlabelled"


class Prompt(NamedTuple):
    """One distinct prompt."""

    text: str
    source: str
    kind: Kind
    lang: str
    accept: Accept
    """Hazards that its source's label stands for; empty if it has none."""
    refusals: float
    """Share of the aligned models in the data that refused it; NaN if none was asked."""
    origin: str
    """Source that a held-out measurement takes it out with; a sentence's is that of the prompt
    it answers."""


# Harmful by name, but most of what they hold no aligned model refuses (role play, mild opinions):
# as positives they teach the head that ordinary openings are harm. They stay as unlabelled text.
_SOFT: Final = ("xsafety",)

SENTENCES: Final = "sentences"
WRITTEN: Final = "written"


_PROMPT_SOURCES: Final[dict[str, str]] = {
    "jailbreakbench": "harmbench+jbb",
    "harmbench": "harmbench+jbb",
    "or-bench-toxic": "or-bench",
    "or-bench-hard(benign)": "or-bench",
}
"""Sources that share prompts or a style are one source: a split never goes between them."""

_BENIGN_SOURCES: Final[dict[str, str]] = {
    "oasst-model-eval": "oasst",
    "refusal_direction": "alpaca",
    "shadow-alignment(UNALIGNED model)": "shadow-benign",
}

_HARMLESS: Final = (
    "refusal-tokens/coconot_contrast_test",
    "refusal-tokens/wildjailbreak_adversarial_benign_eval",
)
"""Prompts of these are harmless by construction."""


def read(corpus: dict[str, list[Row]]) -> list[Prompt]:
    """Every distinct prompt of the corpus, public ones among them if it has any, ordinary requests
    written for this project, and sentences of the corpus's answers as unlabelled text.

    The first source that names a prompt keeps it.
    """
    shares = _refusal_shares(corpus)
    prompts: dict[str, Prompt] = {}

    def add(row: Row, source: str, kind: Kind, lang: str = "en", accept: Accept = ()) -> None:
        key = normal(row["prompt"])
        if key and (key not in prompts or prompts[key].kind is Kind.UNLABELLED):
            share = float(np.mean(shares[key])) if shares[key] else float("nan")
            prompts[key] = Prompt(row["prompt"], source, kind, lang, accept, share, source)

    for row in corpus["prompt_category"]:
        source, lang = str(row["source"]), row["lang"]
        benign = "benign" in source
        accept = () if benign else accept_set(row["taxonomy"], row["category"], row["prompt"])
        kind = Kind.LOOKALIKE if benign else Kind.HARMFUL
        if source in _SOFT or lang != "en":
            kind = Kind.UNLABELLED
        add(row, _PROMPT_SOURCES.get(source, source), kind, lang, accept)
    for row in corpus["pairs"]:
        if row["promptset"].endswith("_harmful"):
            add(row, "shadow-harmful", Kind.HARMFUL)
    for row in corpus["refusal"]:
        if row["source"] == "xstest_v2":
            unsafe = row["prompt_type"].startswith("contrast")
            add(row, "xstest_v2", Kind.HARMFUL if unsafe else Kind.LOOKALIKE)
    for row in corpus["benign"]:
        add(row, _BENIGN_SOURCES.get(row["source"].split("/")[0], "ordinary"), Kind.ORDINARY)
    for row in corpus["pairs"]:
        if row["promptset"].endswith("_benign"):
            add(row, "shadow-benign", Kind.ORDINARY)
    for row in corpus["refusal"]:
        answered = row["source"] == "chatgpt-refusals" and row["label"] == "comply"
        harmless = row["source"] in _HARMLESS or answered
        kind = Kind.ORDINARY if harmless else Kind.UNLABELLED
        add(row, row["source"], kind, row["lang"])
    for row in corpus.get("public", ()):
        add(row, row["source"], Kind.ORDINARY if row["ordinary"] else Kind.UNLABELLED)
    for text in ordinary.requests():
        add({"prompt": text}, WRITTEN, Kind.ORDINARY)
    return [*prompts.values(), *_sentences(corpus, prompts)]


def _sentences(corpus: dict[str, list[Row]], prompts: Mapping[str, Prompt]) -> Iterator[Prompt]:
    for text, answered in sentences.sample(corpus).items():
        prompt = prompts.get(normal(answered))
        origin = prompt.origin if prompt else SENTENCES
        yield Prompt(text, SENTENCES, Kind.UNLABELLED, "en", (), float("nan"), origin)


def _refusal_shares(corpus: dict[str, list[Row]]) -> dict[str, list[float]]:
    """Outcomes of aligned models per normal prompt."""
    shares: dict[str, list[float]] = defaultdict(list)
    values = {"refuse": 1.0, "partial": 0.5, "comply": 0.0}
    for row in corpus["refusal"]:
        if row["label"] in values and not row["source"].startswith("gptfuzz"):
            shares[normal(row["prompt"])].append(values[row["label"]])
    return shares


LOOKALIKE_WEIGHT: Final = 0.05
_POOL_POWER: Final = -0.4
_WORD_WIDTH: Final = 128
_WORD_SCALE: Final = 0.15


@dataclass(frozen=True, slots=True)
class WordVectors:
    """Vectors of words, laid out by the bucket of the word.

    Attributes:
        table: ``(buckets, 128)``; the vector of a text is its n-gram row times this.
    """

    table: NDArray[np.float32]

    @classmethod
    def fit(
        cls, words: Sequence[str], vectors: NDArray[np.float32], texts: Sequence[str]
    ) -> WordVectors:
        """Principal components of word vectors, frequent words damped (SIF, Arora et al. 2017).

        `texts` is where word frequencies come from.
        """
        singles = Hasher(limit=64, words=1, bits=HASHER.bits)
        centred = vectors - vectors.mean(axis=0)
        _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
        reduced = (centred @ axes[:, -_WORD_WIDTH:]).astype(np.float32)
        reduced /= np.linalg.norm(reduced, axis=1).mean()
        counts = np.zeros(HASHER.buckets)
        for start in range(0, len(texts), 1024):
            grams = Hasher(limit=400, words=1, bits=HASHER.bits)(texts[start : start + 1024])
            counts += np.bincount(grams.buckets, minlength=HASHER.buckets)
        frequency = counts / counts.sum()
        grams = singles(list(words))
        one_token = np.diff(grams.starts) == 2
        buckets = grams.buckets[grams.starts[:-1][one_token] + 1]
        damped = reduced[one_token] * (1e-3 / (1e-3 + frequency[buckets]))[:, None]
        table = np.zeros((HASHER.buckets, reduced.shape[1]), dtype=np.float32)
        table[buckets] = damped
        return cls(table)

    def features(self, grams: csr_matrix) -> tuple[csr_matrix, float]:
        """n-grams with the text vectors beside them, and the factor put on the vectors."""
        vectors = grams @ self.table
        factor = _WORD_SCALE / float(vectors.std())
        return hstack([grams, csr_matrix(vectors * factor)]).tocsr(), factor

    def fold(self, weights: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
        """Weights of `features` as weights of n-grams alone, ``(buckets, columns)``."""
        plain: NDArray[np.float64] = weights[: HASHER.buckets] + factor * (
            self.table.astype(np.float64) @ weights[HASHER.buckets :]
        )
        return plain


def source_weights(prompts: Sequence[Prompt], power: float) -> NDArray[np.float64]:
    """size of the prompt's source to `power`."""
    sizes = Counter(prompt.source for prompt in prompts)
    return np.array([sizes[prompt.source] ** power for prompt in prompts])


def train(prompts: Sequence[Prompt], embed: Embed, words: Sequence[str]) -> tuple[Head, Head]:
    """Heads P and B from `prompts` (leave out whole sources to measure)."""
    texts = [prompt.text for prompt in prompts]
    vectors = embed(texts)
    grams = HASHER(texts).matrix()
    word_vectors = WordVectors.fit(words, embed(words), texts)
    features, factor = word_vectors.features(grams)
    weights = source_weights(prompts, -0.3)

    def student(extra: Sequence[str], targets: NDArray[np.float64]) -> Head:
        rows, weight = features, weights
        if extra:
            more = HASHER(extra).matrix()
            rows = vstack([rows, hstack([more, factor * csr_matrix(more @ word_vectors.table)])])
            weight = np.concatenate([weights, np.full(len(extra), len(extra) ** -0.3)])
        solution, bias = ridge(rows.tocsr(), targets, weight, ALPHA * float(weights.mean()))
        return Head.quantise(HASHER, word_vectors.fold(solution, factor), bias)

    long = _long_ordinary(prompts)
    propensity = _propensity_logits(prompts, vectors)
    quiet = np.full(len(long), _LONG_LOGIT)
    return (
        student(long, np.concatenate([propensity, quiet])[:, None]),
        student([], _hazard_logits(prompts, vectors)),
    )


ALPHA: Final = 0.7
_LONG_LOGIT: Final = -3.0


def _long_ordinary(prompts: Sequence[Prompt]) -> list[str]:
    harmless = [prompt for prompt in prompts if prompt.kind is Kind.ORDINARY]
    answered = {prompt.origin for prompt in harmless}
    around = [p.text for p in prompts if p.source == SENTENCES and p.origin in answered]
    return ordinary.long_requests([p.text for p in harmless], around) if len(around) > 6 else []


def refused(prompt: Prompt) -> bool:
    """Would an aligned model refuse it: by the models that were asked, else by its source."""
    if prompt.kind in (Kind.ORDINARY, Kind.UNLABELLED):
        return False
    if np.isnan(prompt.refusals):
        return prompt.kind is Kind.HARMFUL
    return prompt.refusals >= 0.5


_SHRUNK: Final = 0.1
"""C of the propensity teacher. Much shrinkage keeps it to the few directions of the embedding that
all harmful sources share; with C = 3 it learns what sets this corpus's sources apart."""
_STRETCH: Final = 3.0
"""Shrunken logits are small; the student's targets should reach from ordinary to harmful."""
_LIMIT: Final = 6.0


def _propensity_logits(
    prompts: Sequence[Prompt], vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    labelled = np.array([prompt.kind is not Kind.UNLABELLED for prompt in prompts])
    harmful = np.array([refused(prompt) for prompt in prompts])
    ordinary = np.array([prompt.kind is Kind.ORDINARY for prompt in prompts])
    weight = source_weights(prompts, _POOL_POWER)
    weight[[prompt.kind is Kind.LOOKALIKE for prompt in prompts]] *= LOOKALIKE_WEIGHT
    for side in (harmful & labelled, ~harmful & labelled):
        weight[side] *= labelled.sum() / 2 / weight[side].sum()
    teacher = LogisticRegression(C=_SHRUNK, max_iter=400)
    teacher.fit(vectors[labelled], harmful[labelled], sample_weight=weight[labelled])
    logits = _STRETCH * teacher.decision_function(vectors)
    logits[harmful] = np.maximum(logits[harmful], 0.5)
    logits[ordinary] = np.minimum(logits[ordinary], -0.5)
    clipped: NDArray[np.float64] = np.clip(logits, -_LIMIT, _LIMIT)
    return clipped


_HAZARD_STRETCH: Final = 2.0


def _hazard_logits(prompts: Sequence[Prompt], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-odds of each hazard against the others, ``(n, len(HAZARDS))``."""
    rows = np.array([i for i, p in enumerate(prompts) if p.accept and p.kind is Kind.HARMFUL])
    codes = np.array([HAZARDS.index(prompts[i].accept[0]) for i in rows])
    weight = source_weights(prompts, -0.5)[rows]
    weight *= len(rows) / weight.sum()
    sizes = np.bincount(codes, weights=weight, minlength=len(HAZARDS))
    weight = weight * (len(rows) / len(HAZARDS) / np.maximum(sizes, 1e-9))[codes] ** 0.5
    logits = np.full((len(prompts), len(HAZARDS)), -_LIMIT)
    for code in np.unique(codes):
        teacher = LogisticRegression(C=1.0, max_iter=400)
        teacher.fit(vectors[rows], codes == code, sample_weight=weight)
        logits[:, code] = _HAZARD_STRETCH * teacher.decision_function(vectors)
    clipped: NDArray[np.float64] = np.clip(logits, -_LIMIT, _LIMIT)
    return clipped
