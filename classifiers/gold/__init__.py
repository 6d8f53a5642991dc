"""Does this classifier still judge as it did when it shipped?

`pairs.json` holds 212 short pairs of prompt and response, written for this project: every hazard
and outcome, other languages, broken text. `expected.json` holds what each version that ships said
of them. A classifier that says something else now runs on damaged weights, or on libraries that
compute something else: whatever it counts means nothing, and nothing else would notice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from classifiers.base import Classifier
from monitor.records import Interaction

PAIRS: Final = Path(__file__).parent / "pairs.json"
EXPECTED: Final = Path(__file__).parent / "expected.json"
TOLERANCE: Final = 0.002
"""Of a probability, and of log-odds over ten: another processor rounds in the 16th digit."""

_SCORES: Final = {"p_refused": 1.0, "p_degenerate": 1.0, "p_response_harm": 1.0, "propensity": 0.1}
"""Column of a verdict and its unit, in `TOLERANCE`."""


class _Recorded(msgspec.Struct, frozen=True):
    outcome: list[int]
    group: list[int]
    p_refused: list[float]
    p_degenerate: list[float]
    p_response_harm: list[float]
    propensity: list[float | None]


class _File(msgspec.Struct, frozen=True):
    pairs: str
    """sha256 of the pairs that these are about."""
    verdicts: dict[str, _Recorded]
    """By sha256 of the weights."""


@dataclass(frozen=True, slots=True, eq=False)
class GoldVerdicts:
    """Verdicts on the gold set: every column (212,), scores rounded to four digits."""

    columns: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.columns["outcome"])


@dataclass(frozen=True, slots=True)
class Differences:
    """Pairs of the gold set that are judged otherwise than before, of `pairs`."""

    pairs: int
    verdicts: int
    """Pairs with anything different."""
    outcomes: int
    groups: int
    scores: int

    def __bool__(self) -> bool:
        return self.verdicts > 0


@cache
def gold_pairs() -> tuple[Interaction, ...]:
    """The gold set, in order."""
    rows = msgspec.json.decode(PAIRS.read_bytes(), type=list[tuple[str, str]])
    return tuple(
        Interaction(id=str(i), prompt=prompt, response=response)
        for i, (prompt, response) in enumerate(rows)
    )


def judge_gold(classifier: Classifier) -> GoldVerdicts:
    """What `classifier` says of the gold set now."""
    batch = classifier.judge(gold_pairs())
    columns = {name: getattr(batch, name) for name in ("outcome", "group", *_SCORES)}
    return GoldVerdicts(
        {name: np.asarray(column, np.float64).round(4) for name, column in columns.items()}
    )


def recorded(identity: str) -> GoldVerdicts | None:
    """What the classifier `identity` said when it shipped; ``None`` if it is not one of ours."""
    found = _expected().verdicts.get(identity.partition("sha256:")[2])
    if found is None or "linear@" not in identity:
        return None
    return GoldVerdicts(
        {
            name: np.array(column, dtype=np.float64)
            for name, column in msgspec.structs.asdict(found).items()
        }
    )


def compare(expected: GoldVerdicts, found: GoldVerdicts) -> Differences:
    """Where `found` differs from `expected`."""
    a, b = expected.columns, found.columns
    outcomes, groups = a["outcome"] != b["outcome"], a["group"] != b["group"]
    scores = np.zeros(len(expected), dtype=np.bool_)
    for name, unit in _SCORES.items():
        near = np.abs(a[name] - b[name]) * unit <= TOLERANCE
        scores |= ~(near | (np.isnan(a[name]) & np.isnan(b[name])))
    return Differences(
        pairs=len(expected),
        verdicts=int((outcomes | groups | scores).sum()),
        outcomes=int(outcomes.sum()),
        groups=int(groups.sum()),
        scores=int(scores.sum()),
    )


def record(verdicts: Mapping[str, GoldVerdicts]) -> None:
    """Write `expected.json`: verdicts by sha256 of the weights."""
    rows = {digest: _plain(found) for digest, found in sorted(verdicts.items())}
    file = _File(_pairs_digest(), msgspec.convert(rows, dict[str, _Recorded]))
    EXPECTED.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=0) + b"\n")
    _expected.cache_clear()


def _plain(found: GoldVerdicts) -> dict[str, list[int | float | None]]:
    return {
        name: [None if np.isnan(x) else x for x in column.tolist()]
        if name in _SCORES
        else column.astype(int).tolist()
        for name, column in found.columns.items()
    }


@cache
def _expected() -> _File:
    try:
        file = msgspec.json.decode(EXPECTED.read_bytes(), type=_File)
    except OSError:
        return _File("", {})
    return file if file.pairs == _pairs_digest() else _File("", {})


def _pairs_digest() -> str:
    return hashlib.sha256(PAIRS.read_bytes()).hexdigest()


__all__ = [
    "Differences",
    "GoldVerdicts",
    "compare",
    "gold_pairs",
    "judge_gold",
    "record",
    "recorded",
]
