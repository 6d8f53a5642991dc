"""Counts of one lane's open epoch, added to as records come in."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from monitor.detection import EpochCounts, RiskyAnswer
from monitor.records import GROUPS

MAX_RISKY: Final = 64
MAX_REPLICAS: Final = 64


class Tally:
    """Mutable twin of `EpochCounts` for one lane; `bins` propensity bins."""

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self.clear()

    def clear(self) -> None:
        self.records = 0
        self.n = 0
        self.degenerate = 0
        self.blocked = 0
        self.unjudged = 0
        self.capped = [0, 0]
        self.volume = np.zeros(self.bins, dtype=np.int64)
        self.refused = np.zeros((len(GROUPS), self.bins), dtype=np.int64)
        self.answered = np.zeros((len(GROUPS), self.bins), dtype=np.int64)
        self.risky: list[RiskyAnswer] = []
        self.replicas: set[str] = set()

    def see_replica(self, replica: str) -> None:
        if replica and len(self.replicas) < MAX_REPLICAS:
            self.replicas.add(replica)

    def answer(self, risky: RiskyAnswer) -> None:
        if len(self.risky) < MAX_RISKY:
            self.risky.append(risky)

    def counts(self, deployment_n: int) -> EpochCounts:
        return EpochCounts(
            n=self.n,
            volume=self.volume.copy(),
            refused=self.refused.copy(),
            answered=self.answered.copy(),
            degenerate=self.degenerate,
            blocked=self.blocked,
            unjudged=self.unjudged,
            deployment_n=deployment_n,
            capped=(self.capped[0], self.capped[1]),
            risky=tuple(self.risky),
            replicas=frozenset(self.replicas),
        )

    def to_state(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "n": self.n,
            "degenerate": self.degenerate,
            "blocked": self.blocked,
            "unjudged": self.unjudged,
            "capped": list(self.capped),
            "volume": self.volume.tolist(),
            "refused": self.refused.tolist(),
            "answered": self.answered.tolist(),
            "risky": [list(r) for r in self.risky],
            "replicas": sorted(self.replicas),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Tally:
        tally = cls(len(state["volume"]))
        for name in ("records", "n", "degenerate", "blocked", "unjudged", "capped"):
            setattr(tally, name, state[name])
        for name in ("volume", "refused", "answered"):
            setattr(tally, name, np.array(state[name], dtype=np.int64))
        tally.risky = [RiskyAnswer(*r) for r in state["risky"]]
        tally.replicas = set(state["replicas"])
        return tally
