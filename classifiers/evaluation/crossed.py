"""Head A on new prompts of models that training did not see: both left out at once.

A style of prompts may be in training (other prompts of XSTest v2, other prompts of K-OverRefusal)
and so may other models. Each cell of the cross is judged by a head that saw neither this family of
models, in any source, nor this third of the prompts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.evaluation.holdout import held_out_row
from classifiers.evaluation.table import Table
from classifiers.training import korean, refusals
from classifiers.training.corpus import Row, normal
from classifiers.training.refusals import Example
from classifiers.weights import Head

FOLDS: Final = 3

Train = Callable[[Callable[[Example], bool]], Head]
"""Trains without the examples that the argument names."""


def crossed(
    rows: Sequence[Example], train: Train, families: bool = True, prompts: bool = True
) -> NDArray[np.float64]:
    """P(refused) of each of `rows` by heads without its family, its third of prompts, or both."""
    names = np.array([row.family if families else "" for row in rows])
    folds = np.array([_fold(row.prompt) if prompts else 0 for row in rows])
    p = np.zeros(len(rows))
    for fold in sorted(set(folds.tolist())):
        unseen = {normal(row.prompt) for row, k in zip(rows, folds, strict=True) if k == fold}
        for name in sorted(set(names[folds == fold].tolist())):
            held = np.flatnonzero((names == name) & (folds == fold)).tolist()

            def excluded(row: Example, name: str = name, unseen: set[str] = unseen) -> bool:
                other = families and row.family == name
                return other or (prompts and normal(row.prompt) in unseen)

            p[held] = refusals.probabilities(train(excluded), [rows[i].response for i in held])
    return p


def refusal_crosses(corpus: dict[str, list[Row]]) -> Table:
    """XSTest v2 and Korean: new prompts, new families of models, and both."""
    table: Table = []
    rows = [row for row in refusals.examples(corpus) if row.pool == "xstest_v2"]

    def english(excluded: Callable[[Example], bool]) -> Head:
        return refusals.train(corpus, excluded)

    for title, families, prompts in (
        ("new prompts", False, True),
        ("new families", True, False),
        ("both new", True, True),
    ):
        p = crossed(rows, english, families, prompts)
        table.append(_row(f"XSTest v2, {title}", p, rows, frozenset()))
    return [*table, *korean_crosses(corpus)]


def korean_crosses(corpus: dict[str, list[Row]]) -> Table:
    """Korean answers by families of models, prompts and families new at once; ``harmless .7``:
    of the answers to prompts that people call safe, those taken for refusals at .7."""
    rows = korean.examples(corpus)
    safe = frozenset(
        normal(row["prompt"])
        for row in corpus["refusal"]
        if row["lang"] == "ko" and row.get("prompt_label") == "safe"
    )
    p = crossed(rows, lambda excluded: korean.train(corpus, excluded))
    families = np.array([row.family for row in rows])
    table = [_row("Korean, both new", p, rows, safe)]
    for name in sorted(set(families.tolist())):
        part = np.flatnonzero(families == name).tolist()
        table.append(_row(f"Korean, {name}", p[part], [rows[i] for i in part], safe))
    return table


def _row(
    title: str, p: NDArray[np.float64], rows: Sequence[Example], safe: frozenset[str]
) -> dict[str, str | float]:
    labels = np.array([row.refused for row in rows])
    harmless = np.array([not row.refused and normal(row.prompt) in safe for row in rows])
    return {
        **held_out_row(title, p, labels),
        "harmless .7": float(np.mean(p[harmless] >= 0.7)) if harmless.any() else float("nan"),
    }


def _fold(prompt: str) -> int:
    return hashlib.sha256(normal(prompt).encode()).digest()[0] % FOLDS
