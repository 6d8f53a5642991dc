"""Likelihoods of several epochs at once, as long as the reference grows as it should.

What an epoch says depends on the running reference, and that on the epochs before it. While
nothing opens or ends, each epoch is simply added; while a page is open, none is. So likelihoods
can be worked out for a stretch of epochs in one go, and hold up to the first one before which
the reference went another way.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from monitor.detection.counts import IntArray
from monitor.detection.gamma_poisson import FloatArray
from monitor.detection.group_watch import GroupWatch
from monitor.detection.tally import Layout
from monitor.detection.watches import Watches
from monitor.detection.witnesses import TwoWitnesses, refused_rate

LONGEST: Final = 64
"""Epochs in a stretch; bounds the memory."""


class Likelihoods(NamedTuple):
    """What one epoch says, in nats."""

    witnesses: FloatArray
    """(witness, reference: running or frozen, K)"""
    watches: FloatArray
    """(rules, K)"""
    groups: FloatArray
    """(witness, G, K)"""
    refused_rate: float
    """Of the reference: refusals per interaction."""


class Ahead:
    """Likelihoods of the epochs from `first` on, whose counts are `live` (T, size).

    `reference` is that of the first one; with `absorbed`, each epoch is added to it.
    """

    __slots__ = ("_first", "_groups", "_references", "_refused_rates", "_watches", "_witnesses")

    def __init__(
        self,
        reference: IntArray,
        live: IntArray,
        first: int,
        *,
        absorbed: bool,
        layout: Layout,
        witnesses: TwoWitnesses,
        watches: Watches,
        groups: GroupWatch,
    ) -> None:
        live = live[first : first + LONGEST]
        references = np.tile(reference, (len(live), 1))
        if absorbed:
            references[1:] += live[:-1].cumsum(axis=0)
        running = layout.witnesses(references)
        self._first, self._references = first, references
        self._refused_rates: list[float] = refused_rate(running).tolist()
        self._witnesses = witnesses.log_likelihoods(running, layout.witnesses(live))
        self._watches = watches.log_likelihoods(references, live, self._witnesses)
        self._groups = groups.log_likelihoods(references, live)

    def holds(self, epoch: int, reference: IntArray) -> bool:
        """Whether `epoch` is within the stretch and `reference` is what was expected for it."""
        t = epoch - self._first
        return t < len(self._references) and np.array_equal(self._references[t], reference)

    def epoch(self, epoch: int) -> Likelihoods:
        t = epoch - self._first
        return Likelihoods(
            self._witnesses[:, :, t], self._watches[t], self._groups[:, t], self._refused_rates[t]
        )
