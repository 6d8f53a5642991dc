"""The default classifier: hashed n-grams and linear heads, about 100 microseconds a record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers import weights as files
from classifiers.degenerate import degeneracy
from classifiers.hashing import Tokens, bucket
from classifiers.taxonomy import GROUP_COLUMNS
from classifiers.text import fold
from classifiers.weights import Weights
from monitor.records import HAZARDS, OTHER_GROUP, Interaction, Outcome, VerdictBatch

TEMPERATURE: Final = 1.5
"""p = sigmoid(z / 1.5): a head trained on easy rows is too sure of itself on hard ones."""

KNOWN_BITS: Final = 20
_MIN_KNOWN_SHARE: Final = 0.25
_MIN_WORDS: Final = 5
_CHUNK: Final = 256


class LinearClassifier:
    """Judges interactions; a verdict never depends on the batch a record came in."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._refused = weights.heads["refused"]
        self._propensity = weights.heads["propensity"]
        self._hazards = weights.heads["hazards"]
        self._harm = weights.heads["harm"]
        self.identity = f"{files.NAME}@sha256:{weights.digest}"

    @classmethod
    def load(cls, version: str | None = None, directory: Path = files.DIRECTORY) -> LinearClassifier:
        """The shipped classifier: the default version, or the one a baseline pins.

        `version` is a version of the manifest or an identity ``linear@sha256:...``.

        Raises:
            WeightsError: unknown version, missing or changed weights file.
        """
        return cls(files.load(version, directory))

    def judge(self, batch: Sequence[Interaction]) -> VerdictBatch:
        """Verdicts of `batch`, in order. Text beyond the first 1,500 characters is not read."""
        n = len(batch)
        p_refused = np.zeros(n)
        p_degenerate = np.zeros(n)
        p_harm = np.zeros(n)
        hazards = np.zeros((n, len(HAZARDS)), dtype=np.float32)
        group = np.full(n, OTHER_GROUP, dtype=np.uint8)
        propensity = np.full(n, np.nan)
        outcome = np.empty(n, dtype=np.uint8)
        reasons: list[str] = []
        for start in range(0, n, _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = batch[part]
            propensity[part], hazards[part], group[part] = self._prompts([r.prompt for r in rows])
            responses = [r.response for r in rows]
            p_refused[part], known = self._refusals(responses)
            p_harm[part] = _sigmoid(self._harm.logits(self._harm.hasher(responses))[:, 0])
            for i, row in enumerate(rows, start):
                code, reason, p_degenerate[i] = _outcome(row, p_refused[i], known[i - start])
                outcome[i] = code
                reasons.append(reason)
        silent = np.isin(outcome, (Outcome.UNJUDGED, Outcome.BLOCKED))
        for column in (p_refused, p_degenerate, p_harm):
            column[silent] = 0.0
        return VerdictBatch(
            ids=[r.id for r in batch],
            timestamps=np.array(
                [np.nan if r.timestamp is None else r.timestamp for r in batch], dtype=np.float64
            ),
            deployments=[r.deployment for r in batch],
            artifacts=[""] * n,
            replicas=[r.replica for r in batch],
            outcome=outcome,
            reasons=reasons,
            p_refused=p_refused,
            p_degenerate=p_degenerate,
            p_response_harm=p_harm,
            hazards=hazards,
            group=group,
            propensity=propensity,
            classifier=self.identity,
            keys=np.zeros((n, 4), dtype=np.uint64),
            partitions=np.zeros(n, dtype=np.int32),
            offsets=np.zeros(n, dtype=np.int64),
            ingest=np.full(n, np.nan),
        )

    def _prompts(
        self, prompts: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.uint8]]:
        grams = self._propensity.hasher(prompts)
        propensity = self._propensity.logits(grams)[:, 0]
        hazards = _softmax(self._hazards.logits(grams)).astype(np.float32)
        group = np.argmax(group_shares(hazards), axis=1).astype(np.uint8)
        absent = np.array([not prompt.strip() for prompt in prompts])
        propensity[absent] = np.nan
        hazards[absent] = 0.0
        group[absent] = OTHER_GROUP
        return propensity, hazards, group

    def _refusals(
        self, responses: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """P(refused), and whether the response is in words that the head knows."""
        hasher = self._refused.hasher
        tokens = Tokens.read(fold(responses, hasher.limit))
        p = _sigmoid(self._refused.logits(hasher.grams(tokens))[:, 0] / TEMPERATURE)
        known = self._weights.known[bucket(tokens.hashes, KNOWN_BITS)]
        words = np.diff(tokens.starts) - 1
        shares = np.add.reduceat(known, tokens.starts[:-1], dtype=np.int64) / np.maximum(words, 1)
        readable: NDArray[np.bool_] = (words < _MIN_WORDS) | (shares >= _MIN_KNOWN_SHARE)
        return p, readable


def group_shares(hazards: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hazard probabilities summed over hazard groups, ``(n, len(GROUPS))``."""
    columns = [hazards[:, GROUP_COLUMNS[:, g] > 0].sum(axis=1) for g in range(len(GROUP_COLUMNS[0]))]
    return np.stack(columns, axis=1)


def _outcome(row: Interaction, p_refused: float, readable: bool) -> tuple[Outcome, str, float]:
    if row.finish_reason == "content_filter":
        return Outcome.BLOCKED, "", 0.0
    if row.unjudged:
        return Outcome.UNJUDGED, row.unjudged, 0.0
    broken = degeneracy(row.response)
    if broken.reason:
        return Outcome.DEGENERATE, broken.reason, broken.probability
    if not readable:
        return Outcome.UNJUDGED, "foreign_text", 0.0
    refused = p_refused >= 0.5
    return Outcome.REFUSED if refused else Outcome.COMPLIED, "", broken.probability


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    p: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return p


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
