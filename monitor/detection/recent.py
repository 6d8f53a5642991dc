"""The last answers to risky prompts, replicas and counts: for display and for the page gate."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np

from monitor.detection.counts import EpochCounts, IntArray

_ANSWERS: Final = 256
_REPLICAS: Final = 64
_BLOCK: Final = 20.0
"""Expected refusals in one block of the rates shown as "now"."""


class Recent:
    """Bounded; knows records by id, sources and templates by keyed hash."""

    __slots__ = ("answers", "blocks", "identified", "replicas")

    def __init__(self) -> None:
        self.answers: list[tuple[float, str, int, int]] = []
        """(start of epoch, record id, source key, template key)"""
        self.replicas: dict[str, float] = {}
        """Start of the last epoch in which a replica answered."""
        self.blocks: list[IntArray] = []
        """Two blocks of counts, older first; together they are the rates "now"."""
        self.identified = False
        """Whether counts come with the records they count."""

    def update(
        self,
        counts: EpochCounts,
        live: IntArray,
        *,
        start: float,
        refused_rate: float,
        boilerplate: Collection[int],
    ) -> None:
        """One epoch from `start`; `refused_rate` per interaction tells how long a block is.

        Keys in `boilerplate` (one gateway account for everybody) tell nobody apart.
        """
        self.identified = counts.risky is not None
        for risky in counts.risky or ():
            source, template = (
                0 if key in boilerplate else key for key in (risky.source_key, risky.template_key)
            )
            self.answers.append((start, risky.record_id, source, template))
        del self.answers[:-_ANSWERS]
        for replica in sorted(counts.replicas):
            if replica in self.replicas or len(self.replicas) < _REPLICAS:
                self.replicas[replica] = start
        if not self.blocks or self.blocks[-1][0] * refused_rate >= _BLOCK:
            self.blocks = [*self.blocks[-1:], live]
        else:
            self.blocks[-1] = self.blocks[-1] + live

    def counts(self, size: int) -> IntArray:
        """Counts of the last two blocks, by `Layout` of `size`."""
        return sum(self.blocks, start=np.zeros(size, dtype=np.int64))

    def answers_since(self, at: float) -> list[tuple[float, str, int, int]]:
        return [answer for answer in self.answers if answer[0] >= at]

    def sources_since(self, at: float) -> int:
        """Distinct sources of risky answers, or templates where no source is known."""
        return len(
            {source or template or name for _, name, source, template in self.answers_since(at)}
        )

    def without_source(self, at: float) -> bool:
        answers = self.answers_since(at)
        return bool(answers) and not any(source for _, _, source, _ in answers)

    def replicas_since(self, at: float) -> tuple[str, ...]:
        return tuple(sorted(name for name, seen in self.replicas.items() if seen >= at))

    def to_state(self) -> dict[str, Any]:
        return {
            "answers": [list(answer) for answer in self.answers],
            "replicas": dict(self.replicas),
            "blocks": [block.tolist() for block in self.blocks],
            "identified": self.identified,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Recent:
        recent = cls()
        recent.answers = [(a[0], a[1], a[2], a[3]) for a in state["answers"]]
        recent.replicas = dict(state["replicas"])
        recent.blocks = [np.array(block, dtype=np.int64) for block in state["blocks"]]
        recent.identified = state["identified"]
        return recent
