"""Put the parts together as the configuration says, run them, and take them apart again."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from monitor.alerts import Incidents, Lifecycle, Links, OutboxWorker
from monitor.alerts.channels import Channel, open_channels
from monitor.config import Config
from monitor.pipeline.actions import apply_actions
from monitor.pipeline.alerting import Alerting, Announced
from monitor.pipeline.choice import judges_of
from monitor.pipeline.detect import DetectStep
from monitor.pipeline.detected import Detected
from monitor.pipeline.embedded import Embedded, Progress, no_checkpoint
from monitor.pipeline.learning import WindowRule
from monitor.pipeline.observe import Observatory
from monitor.pipeline.options import RunOptions
from monitor.pipeline.outcome import summarise
from monitor.pipeline.outputs import OutputError, Outputs, open_output, output_key
from monitor.pipeline.probing import Probing
from monitor.pipeline.receiving import announcer, http_settings
from monitor.pipeline.retention import RetentionRule
from monitor.pipeline.self_check import SelfCheck
from monitor.pipeline.state import baseline_row, encode, restore
from monitor.pipeline.summary import Summary
from monitor.pipeline.volumes import written_folders
from monitor.pipeline.wiring import budget, channel_settings, classify_step, kafka_settings
from monitor.sources import open_source
from monitor.store import Store, open_store
from monitor.store.base import Commit, StoreError
from monitor.telemetry import TelemetryServer

logger = logging.getLogger(__name__)

KEY_NAME = "privacy.key"


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to."""

    summary: Summary
    findings: int
    """Pages and tickets opened by this process."""
    ever_armed: bool
    rejected_share: float
    """Dead letters per record that this process consumed."""


def run(
    config: Config,
    options: RunOptions,
    *,
    checkpoint: Callable[[str], None] = no_checkpoint,
    progress: Callable[[Progress], None] = lambda _: None,
    story: str = "",
) -> RunResult:
    """Run until the source is exhausted or SIGTERM or SIGINT comes.

    `checkpoint` is called at every commit point, `progress` after every commit; `story` heads
    the report.

    Raises:
        StoreLocked, StateConflict, PositionConflict, StoreError, SourceError, OutputError,
        ClassifierError, UnavailableClassifierError, WeightsError, EncoderError, ChannelError
    """
    _distinct(options)
    with contextlib.ExitStack() as stack:
        # What may be wrong with the settings shows before anything is made or written.
        channels = open_channels(channel_settings(config))
        for channel in channels:
            stack.callback(channel.close)
        store = open_store(options.store_url)
        stack.callback(store.close)
        store.lock()
        outputs = _outputs(options, store, stack)
        source = open_source(
            options.source,
            follow=options.follow,
            kafka=kafka_settings(config),
            http=(
                http_settings(config, options.store_url)
                if options.source.startswith("http://")
                else None
            ),
            max_record_bytes=config.pipeline.max_record_bytes,
            announce=announcer(store),
            failures=(StoreError,),
        )
        probing = None
        if config.probes.target is not None:
            probing = Probing.of(config, source, options.store_url)
            source = probing.source
        stack.callback(source.close)
        if probing is not None:
            stack.callback(probing.close)
        worker = OutboxWorker(store, channels)
        detect = detect_step(
            config, store, rule=window_rule(options), auto_approve=options.auto_approve
        )
        judges = judges_of(config, pin=detect.pin)
        embedded = Embedded(
            store=store,
            source=source,
            judges=judges,
            self_check=SelfCheck(judges, config.classifier.self_check),
            classify=classify_step(config, judges, secret_key(config, store), source.name),
            detect=detect,
            alerting=alerting_of(config, store, channels),
            outputs=outputs,
            retention=RetentionRule.of(
                ledger=config.store.retention.ledger,
                seen=config.store.retention.seen,
                alerts=config.store.retention.alerts,
                outbox=config.store.retention.outbox,
            ),
            batch_size=config.pipeline.batch_size,
            idle_tick=config.pipeline.idle_tick,
            checkpoint=checkpoint,
            progress=_noting(probing, progress),
            wake=worker.wake,
        )
        if options.listen is not None:
            build = {
                "version": version("backslide"),
                "classifier": judges.identity,
                "store": "postgresql" if options.store_url.startswith("postgres") else "sqlite",
                "delivery": config.alerts.delivery,
            }
            observatory = Observatory(embedded, build, written_folders(options))
            embedded.observe = observatory.refresh
            server = TelemetryServer(
                options.listen,
                lambda: observatory.snapshot,
                health=observatory.healthy,
                ready=observatory.ready,
            )
            server.start()
            stack.callback(server.close)
        before = dict(store.totals())
        stack.enter_context(_stop_on_signals(embedded.stopping))
        worker.start()
        stack.callback(worker.stop)
        if probing is not None:
            probing.start()
        embedded.run()
        result = _result(embedded, before)
        if options.report is not None:
            from monitor.pipeline.reporting import write_report

            write_report(options.report, store, embedded.detect.deployments, result.summary, story)
        return result


def _noting(
    probing: Probing | None, progress: Callable[[Progress], None]
) -> Callable[[Progress], None]:
    """`progress` that also sets the pace of the probes."""
    if probing is None:
        return progress

    def note(state: Progress) -> None:
        probing.note(state.deployments)
        progress(state)

    return note


def apply_pending(store: Store, config: Config, *, now: float | None = None) -> dict[int, str]:
    """Apply the actions that wait in `store`; the caller holds its lock.

    Alerts that end by this are delivered by the next `run`.
    """
    now = time.time() if now is None else now
    pending = store.actions(pending=True)
    if not pending:
        return {}
    channels = open_channels(channel_settings(config))
    try:
        detect = detect_step(config, store, rule=WindowRule(), auto_approve=False)
        memory = restore(store, detect, alerting_of(config, store, channels))
        detected, announced = Detected(), Announced()
        # Weights take a while to load, and only a baseline needs to know which there are.
        about_baselines = any(action.kind in ("approve", "import", "retire") for action in pending)
        judges = judges_of(config) if about_baselines else None
        results = apply_actions(
            pending, detect, memory.desk, memory.baselines, detected, announced, judges
        )
        commit = Commit(
            offsets=[memory.numbered()],
            states=encode(detect, memory.desk, detected.touched),
            totals=dict(detected.totals + announced.totals),
            ledger=detected.ledger_entries(),
            windows_closed=detected.windows_closed,
            baselines=[baseline_row(baseline) for baseline in detected.learned],
            alerts=list(announced.rows.values()),
            outbox=announced.outbox,
            events=detected.events,
            actions_applied=results,
        )
        store.commit(commit, now=now)
    finally:
        for channel in channels:
            channel.close()
    return results


def detect_step(
    config: Config, store: Store, *, rule: WindowRule, auto_approve: bool
) -> DetectStep:
    """The detect step over `store`, without state yet."""
    return DetectStep(
        budget=budget(config),
        rule=rule,
        auto_approve=auto_approve,
        seen=store.seen,
        breaker_records=config.pipeline.breaker.over_records,
        breaker_share=config.pipeline.breaker.rejected_share,
        approved=frozenset(config.artifacts.approved),
        tau=config.detection.tau,
    )


def alerting_of(
    config: Config, store: Store, channels: list[Channel]
) -> Callable[[bytes], Alerting]:
    """Makes the alerting part from the incident numbers in the state."""

    def make(numbers: bytes) -> Alerting:
        return Alerting(
            lifecycle=Lifecycle(channels),
            incidents=Incidents(store.alerts(), numbers),
            links=Links(config.alerts.links.runbook, config.alerts.links.dashboard),
            false_pages=budget(config).false_pages,
            events=list(store.events()),
        )

    return make


def secret_key(config: Config, store: Store) -> bytes:
    """The key of all keyed hashes: configured, or made once and kept in the store."""
    return config.privacy.secret() or store.secret(KEY_NAME, os.urandom(32))


def window_rule(options: RunOptions) -> WindowRule:
    window = options.baseline_window
    if window is None:
        return WindowRule()
    return WindowRule(records=window.records, seconds=window.seconds)


def _distinct(options: RunOptions) -> None:
    """Lines written to a file that is read would be read again, and a report would replace it.

    Raises:
        OutputError: two of the files are one.
    """
    files = {
        "--source": options.source,
        "--alerts": options.alerts,
        "--verdicts": options.verdicts,
        "--dead-letters": options.dead_letters,
        "--report": options.report,
    }
    taken: dict[str, str] = {}
    for flag, path in files.items():
        if path and path != "-":
            other = taken.setdefault(os.path.realpath(path), flag)
            if other != flag:
                raise OutputError(f"{flag} {path}: is {other} too; give it a file of its own")


def _outputs(options: RunOptions, store: Store, stack: contextlib.ExitStack) -> Outputs:
    paths = {
        "alerts": options.alerts,
        "verdicts": options.verdicts,
        "dead_letters": options.dead_letters,
    }
    stored = {str(path): size for path, size in store.outputs().items()}
    outputs = Outputs(keys={name: output_key(path) for name, path in paths.items() if path})
    for name, path in paths.items():
        if path:
            output = open_output(path, stored)
            stack.callback(output.close)
            setattr(outputs, name, output)
    return outputs


def _result(embedded: Embedded, before: Mapping[tuple[str, str], int]) -> RunResult:
    here = Counter(embedded.totals)
    here.subtract(before)

    def count(name: str, *endings: str) -> int:
        return sum(
            n for (kind, label), n in here.items() if kind == name and label.endswith(endings)
        )

    consumed = count("consumed", "")
    return RunResult(
        summary=summarise(embedded.totals, embedded.detect.deployments),
        findings=count("alerts", "|page|open", "|ticket|open"),
        ever_armed=embedded.ever_armed,
        rejected_share=count("dead_lettered", "") / consumed if consumed else 0.0,
    )


@contextlib.contextmanager
def _stop_on_signals(stopping: threading.Event) -> Iterator[None]:
    """Drain on SIGTERM and SIGINT; outside the main thread signals are somebody else's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    previous = [signal.signal(number, lambda *_: stopping.set()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)
