"""The classify step: bytes in; verdicts, skips and dead letters out. Keeps no state."""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from classifiers.base import Classifier
from monitor.pipeline.judges import Shadow
from monitor.pipeline.probed import Probed
from monitor.records import Interaction, Outcome, VerdictBatch
from monitor.records.artifact import PARTS, artifact_id
from monitor.records.formats import DEFAULT_LIMITS, Format, Limits, Malformed, parse
from monitor.records.keys import keys_of
from monitor.records.probe import PROBE, PROBE_USER, ProbeMark, mark_of
from monitor.sources.base import RawBatch, RawRecord, Rejected

logger = logging.getLogger(__name__)

_MARK: Final = PROBE.encode()
BROKEN_CLASSIFIER: Final = 8
"""So many failures with no success in one batch are the classifier's fault, not the records'."""


class ClassifierError(Exception):
    """The classifier fails on everything. Exit 1."""


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the dead-letter file. `error` names fields and positions, never text."""

    reason: str
    source: str
    partition: int
    offset: int
    error: str
    record: str | None = None
    """The record itself, only with ``privacy.include_text``."""


@dataclass(frozen=True, slots=True)
class Classified:
    """What became of the records of one poll: consumed = classified + skipped + dead-lettered."""

    batch: VerdictBatch
    order: NDArray[np.int64]
    """Place of each verdict among the records read, (n,)."""
    consumed: int
    skipped: Counter[str] = field(default_factory=Counter)
    dead_letters: Sequence[DeadLetter] = ()
    rejected: Sequence[tuple[int, str]] = ()
    """(place among the records read, deployment) of every dead letter."""
    classifier_errors: int = 0
    shadow: Shadow | None = None
    """What the next classifier says of the same records."""
    probes: Sequence[Probed] = ()
    """Requests of our own, in the order read; counted as skipped."""


def in_order(raw: RawBatch) -> Iterable[RawRecord | Rejected]:
    """Everything read, with what the source rejected in its place within the partition."""
    return _merged(raw) if raw.rejected else raw.records


def _merged(raw: RawBatch) -> Iterator[RawRecord | Rejected]:
    waiting: dict[int, deque[Rejected]] = defaultdict(deque)
    for lost in raw.rejected:
        waiting[lost.partition].append(lost)
    for record in raw.records:
        queue = waiting[record.partition]
        while queue and queue[0].offset < record.offset:
            yield queue.popleft()
        yield record
    for queue in waiting.values():
        yield from queue


@dataclass(frozen=True, slots=True)
class ClassifyStep:
    classifier: Classifier
    source: str
    key: bytes
    """Secret of the keyed hashes."""
    format: Format = Format.AUTO
    deployment: str = "default"
    excluded: Callable[[Interaction], bool] = lambda _: False
    identity: Sequence[str] = PARTS
    """Fields that tell one artifact from another."""
    limits: Limits = DEFAULT_LIMITS
    include_text: bool = False
    shadow: Callable[[Sequence[Interaction], VerdictBatch], Shadow | None] = lambda *_: None
    """What another classifier says beside the verdicts that count."""

    def run(self, raw: RawBatch) -> Classified:
        """Classify one poll.

        Raises:
            ClassifierError: every record of a batch made the classifier fail.
        """
        kept: list[tuple[int, RawRecord, Interaction]] = []
        skipped: Counter[str] = Counter()
        dead: list[tuple[int, str, DeadLetter]] = []
        probes: list[tuple[int, RawRecord, Interaction]] = []
        for place, record in enumerate(in_order(raw)):
            if isinstance(record, Rejected):
                letter = DeadLetter(
                    record.reason, self.source, record.partition, record.offset, record.error
                )
                dead.append((place, self.deployment, letter))
                continue
            try:
                interaction = self._parse(record)
            except Malformed as problem:
                letter = self._dead_letter(record, problem.reason, str(problem))
                dead.append((place, problem.deployment or self.deployment, letter))
                continue
            mark = mark_of(interaction)
            if mark is not None:
                probes.append((place, record, interaction))
                continue
            if interaction.user == PROBE_USER or self.excluded(interaction):
                skipped["excluded"] += 1
                continue
            kept.append((place, record, interaction))

        good, batch, failed = self._judge(kept)
        asked, answers, unjudged = self._judge(probes) if probes else ([], batch, [])
        if asked:
            skipped["probe"] += len(asked)
        for place, record, interaction in (*failed, *unjudged):
            error = "the classifier failed on this record"
            letter = self._dead_letter(record, "classifier_error", error)
            dead.append((place, interaction.deployment, letter))
        dead.sort(key=lambda row: row[0])
        return Classified(
            batch=batch,
            order=np.array([place for place, _, _ in good], dtype=np.int64),
            consumed=len(raw.records) + len(raw.rejected),
            skipped=skipped,
            dead_letters=[letter for _, _, letter in dead],
            rejected=[(place, deployment) for place, deployment, _ in dead],
            classifier_errors=len(failed) + len(unjudged),
            probes=[_probed(i, row, answers) for i, row in enumerate(asked)],
            shadow=self._shadow([interaction for _, _, interaction in good], batch),
        )

    def _shadow(self, good: Sequence[Interaction], batch: VerdictBatch) -> Shadow | None:
        try:
            return self.shadow(good, batch)
        except Exception as error:
            logger.warning("shadow run: fails on a batch: %s", type(error).__name__)
            return None

    def _parse(self, record: RawRecord) -> Interaction:
        interaction = self._read(record.value)
        if interaction.id:
            return interaction
        return msgspec.structs.replace(interaction, id=f"{record.partition}:{record.offset}")

    def _read(self, value: bytes) -> Interaction:
        """A record in its format; probes are native, whatever the others are."""
        if self.format not in (Format.AUTO, Format.NATIVE) and _MARK in value:
            with suppress(Malformed):
                probe = parse(value, Format.NATIVE, self.deployment, self.limits)
                if mark_of(probe) is not None:
                    return probe
        return parse(value, self.format, self.deployment, self.limits)

    def _dead_letter(self, record: RawRecord, reason: str, error: str) -> DeadLetter:
        text = record.value.decode("utf-8", "replace") if self.include_text else None
        return DeadLetter(reason, self.source, record.partition, record.offset, error, text)

    def _judge(
        self, kept: Sequence[tuple[int, RawRecord, Interaction]]
    ) -> tuple[
        Sequence[tuple[int, RawRecord, Interaction]],
        VerdictBatch,
        Sequence[tuple[int, RawRecord, Interaction]],
    ]:
        """Judge everything at once; only where that fails, one by one to find the culprits."""
        try:
            return kept, self._complete(kept), []
        except Exception as error:
            logger.warning(
                "classifier failed on a batch of %d: %s", len(kept), type(error).__name__
            )
        good: list[tuple[int, RawRecord, Interaction]] = []
        failed: list[tuple[int, RawRecord, Interaction]] = []
        for row in kept:
            try:
                self._complete([row])
            except Exception:
                failed.append(row)
            else:
                good.append(row)
        if not good and len(failed) >= BROKEN_CLASSIFIER:
            raise ClassifierError(
                f"classifier {self.classifier.identity} failed on all {len(failed)} records of a"
                " batch; nothing was committed: check its weights and installation"
            )
        return good, self._complete(good), failed

    def _complete(self, rows: Sequence[tuple[int, RawRecord, Interaction]]) -> VerdictBatch:
        interactions = [interaction for _, _, interaction in rows]
        batch = self.classifier.judge(interactions)
        return replace(
            batch,
            artifacts=[artifact_id(i, self.key, self.identity) for i in interactions],
            keys=keys_of(interactions, self.key),
            partitions=np.array([record.partition for _, record, _ in rows], dtype=np.int32),
            offsets=np.array([record.offset for _, record, _ in rows], dtype=np.int64),
            ingest=np.array(
                [record.ingest if record.ingest > 0 else math.nan for _, record, _ in rows],
                dtype=np.float64,
            ),
        )


def _probed(i: int, row: tuple[int, RawRecord, Interaction], batch: VerdictBatch) -> Probed:
    place, _, interaction = row
    mark = mark_of(interaction) or ProbeMark("", "")
    return Probed(
        place=place,
        deployment=interaction.deployment,
        mark=mark,
        group=int(batch.group[i]) if mark.group is None else mark.group,
        outcome=Outcome(int(batch.outcome[i])),
        at=float(batch.timestamps[i]),
        ingest=float(batch.ingest[i]),
        artifact=batch.artifacts[i],
        record_id=batch.ids[i],
        classifier=batch.classifier_of(interaction.deployment),
    )
