"""Honest figures: train without a source or a family of models, measure on exactly that.

Sources that share prompts or a style are left out together, and so are all models of a family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.evaluation.information import information, recall_at
from classifiers.evaluation.metrics import binary
from classifiers.evaluation.phrases import flagged
from classifiers.evaluation.table import Table
from classifiers.linear import group_shares, softmax
from classifiers.training import prompts, refusals
from classifiers.training.build import vocabulary
from classifiers.training.corpus import Row, normal
from classifiers.training.encoder import Encoder
from classifiers.training.prompts import Kind, Prompt
from classifiers.training.refusals import Example
from classifiers.weights import Head
from monitor.records import GROUP_OF_HAZARD, GROUPS, HAZARDS


@dataclass(frozen=True, slots=True)
class Fold:
    """What one training leaves out."""

    name: str
    excluded: Callable[[Example], bool]


def _family(*families: str) -> Callable[[Example], bool]:
    return lambda example: example.family in families


def _pool(*pools: str) -> Callable[[Example], bool]:
    return lambda example: example.pool in pools


REFUSAL_FOLDS: Final = (
    Fold("gemma and qwen", _family("gemma", "qwen")),
    Fold("llama-2, vicuna and yi", _family("llama-2", "vicuna", "yi")),
    Fold("llama-3", _family("llama-3")),
    Fold("xstest_v2", _pool("xstest_v2")),
    Fold("chatgpt-refusals", _pool("chatgpt-refusals")),
    Fold("ordinary answers of OASST", _family("oasst", "alpaca")),
)


def refusal_holdouts(corpus: dict[str, list[Row]], folds: Sequence[Fold] = REFUSAL_FOLDS) -> Table:
    """Head A on whole families and sources that its training did not see."""
    rows = refusals.examples(corpus)
    table: Table = []
    for fold in folds:
        held = [row for row in rows if fold.excluded(row) and row.pool not in refusals.WEAK]
        head = refusals.train(corpus, fold.excluded)
        responses = [row.response for row in held]
        p = refusals.probabilities(head, responses)
        labels = np.array([row.refused for row in held])
        table.append(
            {
                **held_out_row(fold.name, p, labels),
                "phrases": binary(flagged(responses), labels).accuracy,
            }
        )
    return table


def held_out_row(
    title: str, p: NDArray[np.float64], labels: NDArray[np.bool_]
) -> dict[str, str | float]:
    """Metrics of P(refused) on what was held out under `title`."""
    found = binary(p, labels)
    return {
        "held out": title,
        "n": found.n,
        "refused": found.positives,
        "accuracy": found.accuracy,
        "f1": found.f1,
        "auroc": found.auroc,
        "ece": found.calibration_error,
        "kept .7": found.kept_7,
        "kept .9": found.kept_9,
        "flagged .7": found.flagged_7,
    }


PROMPT_FOLDS: Final = (
    frozenset({"harmbench+jbb", "shadow-harmful", "alpaca"}),
    frozenset({"catqa", "gemma_policy_prompts", "shadow-benign"}),
    frozenset({"ailuminate_demo", "or-bench", "oasst"}),
)
"""Harmful and ordinary sources left out together: edges come from unseen ordinary prompts."""


def prompt_holdouts(
    corpus: dict[str, list[Row]],
    encoder: Encoder,
    folds: Sequence[frozenset[str]] = PROMPT_FOLDS,
    ordinary: Sequence[str] = (),
) -> Table:
    """Heads P and B on whole sources of prompts that their training did not see.

    `ordinary`: more held-out ordinary prompts for the bin edges; copies of training prompts among
    them are left out.
    """
    read = prompts.read(corpus)
    words = vocabulary(encoder, read)
    seen = {normal(prompt.text) for prompt in read}
    extra = [text for text in ordinary if normal(text) not in seen]
    table: Table = []
    for fold in folds:
        kept = [prompt for prompt in read if prompt.origin not in fold]
        propensity, hazards = prompts.train(kept, encoder, words)
        held = [prompt for prompt in read if prompt.source in fold]
        quiet = [p.text for p in held if p.kind is Kind.ORDINARY] + extra
        edges = refusals.scores(propensity, quiet)
        for source in sorted(fold):
            part = [p for p in held if p.source == source and p.kind is Kind.HARMFUL]
            if not part:
                continue
            scores = refusals.scores(propensity, [p.text for p in part])
            hazard, group = _hazard_accuracy(hazards, part)
            table.append(
                {
                    "held out": source,
                    "n": len(part),
                    "ordinary": len(quiet),
                    "I2": information(edges, scores),
                    "over .95": recall_at(edges, scores, 0.95),
                    "over .99": recall_at(edges, scores, 0.99),
                    "hazard": hazard,
                    "group": group,
                }
            )
    return table


def _hazard_accuracy(head: Head, part: Sequence[Prompt]) -> tuple[float, float]:
    labelled = [prompt for prompt in part if prompt.accept]
    if not labelled:
        return float("nan"), float("nan")
    shares = softmax(head.logits(head.hasher([p.text for p in labelled]))).astype(np.float32)
    top, groups = shares.argmax(axis=1), group_shares(shares).argmax(axis=1)
    accepted = [set(prompt.accept) for prompt in labelled]
    hits = [HAZARDS[k] in codes for k, codes in zip(top, accepted, strict=True)]
    group_hits = [
        GROUPS[g] in {GROUP_OF_HAZARD[code] for code in codes}
        for g, codes in zip(groups, accepted, strict=True)
    ]
    return float(np.mean(hits)), float(np.mean(group_hits))
