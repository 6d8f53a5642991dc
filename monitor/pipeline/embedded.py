"""Embedded wiring: one process reads, classifies, detects, alerts and stores.

Everything a batch changes is one transaction. A process that dies anywhere starts again at
the stored offsets with the stored state, and its output files are cut to their stored lengths:
the batch is then done again with the same outcome, whatever its boundaries.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from monitor.pipeline.actions import apply_actions
from monitor.pipeline.alerting import Alerting, Announced
from monitor.pipeline.classify import Classified, ClassifyStep
from monitor.pipeline.deployment import Deployment
from monitor.pipeline.detect import DetectStep
from monitor.pipeline.detected import Detected, Raised
from monitor.pipeline.heap import settled_heap
from monitor.pipeline.judges import Judges
from monitor.pipeline.losses import watch_losses
from monitor.pipeline.outputs import Outputs
from monitor.pipeline.retention import RetentionRule
from monitor.pipeline.self_check import ALERT as JUDGE_DRIFT
from monitor.pipeline.self_check import SelfCheck
from monitor.pipeline.state import (
    Memory,
    automatic_approvals,
    baseline_row,
    encode,
    restore,
)
from monitor.pipeline.told import tell_learned
from monitor.pipeline.upgrade import adopt
from monitor.sources.base import Position, RawBatch, Source
from monitor.store.base import (
    Commit,
    OffsetMove,
    Store,
    StoreError,
    StoreLocked,
)

logger = logging.getLogger(__name__)

ACTION_SECONDS: Final = 0.5
POLL_SECONDS: Final = 1.0
RETRY_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0)


def no_checkpoint(_: str) -> None:
    """Where fault tests stop the process; nothing in production."""


@dataclass(slots=True)
class Progress:
    """What the outside may see of a run under way."""

    totals: Mapping[tuple[str, str], int]
    deployments: Mapping[str, Deployment]
    alerts: Announced


@dataclass(slots=True, kw_only=True)
class Embedded:
    """One source, one store, one process."""

    store: Store
    source: Source
    judges: Judges
    self_check: SelfCheck
    classify: ClassifyStep
    detect: DetectStep
    alerting: Callable[[bytes], Alerting]
    """Makes the alerting part from the stored incident numbers."""
    outputs: Outputs
    retention: RetentionRule
    batch_size: int = 4_096
    idle_tick: float = 10.0
    clock: Callable[[], float] = time.time
    checkpoint: Callable[[str], None] = no_checkpoint
    progress: Callable[[Progress], None] = lambda _: None
    observe: Callable[[], None] = lambda: None
    """Called between batches, and while there are none."""
    wake: Callable[[], None] = lambda: None
    """Tells the outbox that there may be something to deliver."""
    stopping: threading.Event = field(default_factory=threading.Event)

    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    beat: float = 0.0
    """`time.monotonic` of the last turn of the loop."""
    started: bool = False
    ever_armed: bool = False
    _offsets: dict[int, int] = field(default_factory=dict)
    _memory: Memory | None = None
    _in_step: bool = False
    """Memory is what the store holds, and the source stands where the store says."""
    _acted: float = 0.0
    _busy: float = 0.0
    """`time.monotonic` of the last look at actions, and of the last record."""

    def run(self) -> None:
        """Run until the source is exhausted or `stopping` is set.

        Raises:
            SourceError, PositionConflict, StoreError, ClassifierError, OutputError
        """
        self._busy = time.monotonic()
        with settled_heap():
            while not (self.stopping.is_set() or self.source.exhausted):
                self._persist(self._turn)
        ended = self.source.exhausted and not self.stopping.is_set()
        self._persist(self.act)
        if ended:
            self._persist(self.close_epochs)

    def _turn(self) -> None:
        self.beat = time.monotonic()
        if self.beat - self._acted >= ACTION_SECONDS:
            self.act()
            self._acted = self.beat
        self.observe()
        raw = self.source.poll(self.batch_size, POLL_SECONDS)
        if raw.records or raw.rejected or raw.positions or raw.lost:
            self.process(raw)
            self._busy = time.monotonic()
        elif self._idle(self._busy):
            self.close_epochs()
            self._busy = time.monotonic()

    def _idle(self, since: float) -> bool:
        waited = time.monotonic() - since
        return 0 < self.idle_tick <= waited and self.source.at_end

    def _persist(self, step: Callable[[], None]) -> None:
        """Do `step`; while the store fails, or is changed by somebody else, start over from
        what it holds.

        A commit whose answer was lost may have been applied: what the store holds tells.
        """
        for wait in (*RETRY_SECONDS, None):
            try:
                if not self._in_step:
                    self._start_over()
                step()
                return
            except StoreLocked:
                raise
            except StoreError as error:
                if wait is None or self.stopping.is_set():
                    raise
                logger.warning("the batch is done again in %s s: %s", wait, error)
                self._in_step = False
                if self.started:
                    self.source.pause()
                self.beat = time.monotonic()
                self.stopping.wait(wait)

    def _start_over(self) -> None:
        self.store.lock()
        self.outputs.cut(self.store.outputs())
        self.load()
        self.source.resume()

    def load(self) -> None:
        """Take up the stored state and go to the stored offsets."""
        self._memory = restore(self.store, self.detect, self.alerting)
        adopted = Detected()
        adopt(self.judges, self.detect.deployments, adopted)
        stored = self.store.offsets(self.source.name)
        self._offsets = {partition: next_ for partition, (next_, _) in stored.items()}
        self.totals = Counter(self.store.totals())
        self._note_armed()
        self.source.start({p: Position(next_, cursor) for p, (next_, cursor) in stored.items()})
        self._commit(RawBatch(), None, adopted, Announced(), {})
        self.started = self._in_step = True

    @property
    def memory(self) -> Memory:
        if self._memory is None:
            raise RuntimeError("load() comes first")
        return self._memory

    def _note_armed(self) -> None:
        self.ever_armed = self.ever_armed or any(
            slot.lane.status in ("armed", "warning", "firing")
            for deployment in self.detect.deployments.values()
            for slot in deployment.slots.values()
        )

    def process(self, raw: RawBatch) -> None:
        """Take one poll through both steps into the store."""
        self.checkpoint("polled")
        expected = self._offsets
        records = [r for r in raw.records if r.offset >= expected.get(r.partition, 0)]
        rejected = [r for r in raw.rejected if r.offset >= expected.get(r.partition, 0)]
        duplicates = len(raw.records) + len(raw.rejected) - len(records) - len(rejected)
        classified = self.classify.run(replace(raw, records=records, rejected=rejected))
        self.checkpoint("classified")
        detected = self.detect.run(self.source.name, classified)
        watch_losses(raw.lost, self.detect, self.classify.deployment, self._event_time(), detected)
        self._check_judges(detected)
        self._account(classified, duplicates, detected.totals)
        announced = self.memory.desk.announce(detected.raised)
        self.checkpoint("detected")
        self._finish(raw, classified, detected, announced, {})

    def close_epochs(self) -> None:
        """Close what is open: the end of a file, or a quiet source."""
        detected = self.detect.close_epochs()
        if detected.touched:
            announced = self.memory.desk.announce(detected.raised)
            self._finish(RawBatch(), None, detected, announced, {})

    def act(self) -> None:
        """Apply what operators asked for since the last look."""
        pending = self.store.actions(pending=True)
        if not pending:
            return
        for row in self.store.alerts():
            # Another process watches fingerprints on this store; its alerts are closed here too.
            if row.alert == "ModelChanged":
                self.memory.desk.incidents.note(row)
        detected, announced = Detected(), Announced()
        results = apply_actions(
            pending,
            self.detect,
            self.memory.desk,
            self.memory.baselines,
            detected,
            announced,
            self.judges,
        )
        self._finish(RawBatch(), None, detected, announced, results)

    def _check_judges(self, detected: Detected) -> None:
        """``JudgeDrift`` while the classifiers do not judge as they did when they shipped."""
        if not self.self_check.due:
            return
        passed = self.self_check.run()
        name = self.classify.deployment
        if passed is (self.memory.desk.incidents.open(name, "", JUDGE_DRIFT) is None):
            return
        finding = self.self_check.finding("resolve" if passed else "open", self._event_time())
        place = max((raised.place for raised in detected.raised), default=0)
        detected.raised.append(Raised(place, name, "", "", finding, self.self_check.counts()))

    def _event_time(self) -> float:
        """Of whichever deployment has got farthest; conditions of the process have none."""
        marks = [d.watermark for d in self.detect.deployments.values()]
        return max([mark for mark in marks if mark > 0.0], default=0.0)

    def _account(
        self, classified: Classified, duplicates: int, totals: Counter[tuple[str, str]]
    ) -> None:
        totals["consumed", ""] += classified.consumed
        totals["classified", ""] += len(classified.batch)
        totals["duplicates", ""] += duplicates
        totals["classifier_errors", ""] += classified.classifier_errors
        for reason, n in classified.skipped.items():
            totals["skipped", reason] += n
        for letter in classified.dead_letters:
            totals["dead_lettered", letter.reason] += 1

    def _finish(
        self,
        raw: RawBatch,
        classified: Classified | None,
        detected: Detected,
        announced: Announced,
        results: Mapping[int, str],
    ) -> None:
        """Write, commit and tell."""
        self._commit(raw, classified, detected, announced, results)
        self._note_armed()
        tell_learned(detected)
        if announced.outbox:
            self.wake()
        self.source.acknowledge(raw.positions)
        self.progress(Progress(self.totals, self.detect.deployments, announced))

    def _commit(
        self,
        raw: RawBatch,
        classified: Classified | None,
        detected: Detected,
        announced: Announced,
        results: Mapping[int, str],
    ) -> None:
        self.outputs.write(classified, announced)
        totals = detected.totals + announced.totals
        commit = Commit(
            offsets=self._moves(raw),
            states=encode(self.detect, self.memory.desk, detected.touched),
            seen={key: sorted(keys) for key, keys in detected.seen.items() if keys},
            totals={key: n for key, n in totals.items() if n},
            ledger=detected.ledger_entries(),
            window_rows={name: rows for name, rows in detected.window_rows.items() if rows},
            windows_closed=detected.windows_closed,
            baselines=[baseline_row(baseline) for baseline in detected.learned],
            alerts=list(announced.rows.values()),
            outbox=announced.outbox,
            events=detected.events,
            actions_applied=results,
            audit=[] if results else automatic_approvals(detected.learned),
            outputs=self.outputs.prepare(),
            retention=self.retention.due(self.detect.deployments, detected.touched, self.clock()),
        )
        self.checkpoint("written")
        self.store.commit(commit, now=self.clock())
        self.retention.committed()
        for _, output in self.outputs.opened():
            output.committed()
        self._offsets.update({p: position.next for p, position in raw.positions.items()})
        self.memory.committed()
        self.memory.baselines.update({baseline.id: baseline for baseline in detected.learned})
        self.totals.update(commit.totals)
        self.checkpoint("committed")

    def _moves(self, raw: RawBatch) -> list[OffsetMove]:
        moves = [
            OffsetMove(self.source.name, p, self._offsets.get(p), position.next, position.cursor)
            for p, position in sorted(raw.positions.items())
        ]
        return [*moves, self.memory.numbered()]
