"""An alert that was written down reaches people, in order, or it is said that it did not."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

import pytest

from monitor.alerts import OutboxWorker, RetryPolicy
from monitor.alerts.channels import Permanent, Retryable
from tests.unit.alerts.findings import Recorder
from tests.unit.alerts.outbox_memory import MemoryOutbox


def worker(store: MemoryOutbox, *channels: Recorder, **options: object) -> OutboxWorker:
    options = {"rng": random.Random(7), **options}
    return OutboxWorker(store, channels, **options)  # type: ignore[arg-type]


def run(worker: OutboxWorker, seconds: float = 100_000.0, step: float = 300.0) -> None:
    """Deliver until nothing moves, over `seconds` of clock."""
    now = 0.0
    while now <= seconds:
        while worker.deliver_once(now):
            pass
        now += step


def check_trigger_first(store: MemoryOutbox) -> None:
    channel = Recorder(fails=[Retryable("down"), Retryable("down")])
    store.put("recorder", "bs-1", "open", b"open")
    store.put("recorder", "bs-1", "update", b"update")
    store.put("recorder", "bs-1", "resolve", b"resolve")
    run(worker(store, channel), seconds=10.0, step=0.1)
    assert channel.sent == [b"open", b"update", b"resolve"]


def test_a_resolve_never_overtakes_a_trigger_that_failed_twice() -> None:
    check_trigger_first(MemoryOutbox())


def test_mutant_without_order_per_key_is_caught() -> None:
    with pytest.raises(AssertionError):
        check_trigger_first(MemoryOutbox(ordered=False))


def test_one_dead_channel_delays_the_others_by_one_attempt_only() -> None:
    store = MemoryOutbox()
    dead = Recorder("dead", fails=[Retryable("down")] * 1000)
    alive = Recorder("alive")
    for i in range(20):
        store.put("dead", f"bs-{i}", "open")
        store.put("alive", f"bs-{i}", "open", str(i).encode())
    assert worker(store, dead, alive).deliver_once(0.0) == 20
    assert dead.tries == 1
    assert len(alive.sent) == 20


def test_waits_grow_and_spread_and_a_receiver_that_asks_for_time_gets_it() -> None:
    policy = RetryPolicy(base=1.0, longest=600.0)
    rng = random.Random(1)
    waits = [policy.wait(n, rng, None) for n in range(1, 61)]
    for n, wait in enumerate(waits, start=1):
        ceiling = min(600.0, 2.0 ** (n - 1))
        assert ceiling / 2 <= wait <= ceiling
    assert len({round(w, 6) for w in waits}) == len(waits)
    assert policy.wait(1, rng, 120.0) == 120.0
    assert policy.wait(1, rng, 1e9) == 3600.0
    assert 5 * 3600 < sum(waits) < 10 * 3600


def test_nothing_is_sent_before_its_wait_is_over() -> None:
    store = MemoryOutbox()
    store.put("recorder", "bs-1", "open")
    channel = Recorder(fails=[Retryable("slow down", after=120.0)])
    one = worker(store, channel)
    for now in (0.0, 1.0, 119.0):
        one.deliver_once(now)
    assert channel.tries == 1
    assert one.deliver_once(120.0) == 1


def test_tries_are_finite_and_giving_up_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryOutbox()
    store.put("recorder", "bs-1", "open")
    store.put("recorder", "bs-1", "resolve", b"resolve")
    channel = Recorder(fails=[Retryable("recorder: HTTP 503")] * 4)
    one = worker(store, channel, policy=RetryPolicy(attempts=4))
    with caplog.at_level(logging.INFO):
        run(one)
    assert store.rows[0].closed == "given up"
    assert store.rows[0].delivery.attempts == 4
    assert channel.sent == [b"resolve"]
    assert one.counts == {
        ("retried", "recorder"): 3,
        ("given_up", "recorder"): 1,
        ("delivered", "recorder"): 1,
    }
    (last,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "bs-1" in last.getMessage()
    assert "given up after 4 tries: recorder: HTTP 503" in last.getMessage()


def test_what_a_receiver_refuses_for_good_is_not_sent_again() -> None:
    store = MemoryOutbox()
    store.put("recorder", "bs-1", "open")
    channel = Recorder(fails=[Permanent("recorder: HTTP 400")])
    run(worker(store, channel))
    assert channel.tries == 1
    assert (store.rows[0].closed, store.rows[0].error) == ("given up", "recorder: HTTP 400")


def test_deliveries_to_a_channel_that_was_removed_do_not_block_anything() -> None:
    store = MemoryOutbox()
    store.put("gone", "bs-1", "open")
    store.put("recorder", "bs-1", "open", b"open")
    channel = Recorder()
    run(worker(store, channel))
    assert channel.sent == [b"open"]
    assert store.rows[0].error == "gone: no such channel is configured any more"


def test_a_fault_in_a_channel_costs_neither_the_alert_nor_the_privacy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryOutbox()
    store.put("recorder", "bs-1", "open", b"open")
    channel = Recorder(fails=[KeyError("MARKER-PROMPT")])
    with caplog.at_level(logging.DEBUG):
        run(worker(store, channel))
    assert channel.sent == [b"open"]
    assert "MARKER-PROMPT" not in caplog.text
    assert store.rows[0].error == "recorder: unexpected KeyError"


def test_a_failing_store_stops_nothing_for_good() -> None:
    store = MemoryOutbox(broken={"deliveries"})
    store.put("recorder", "bs-1", "open", b"open")
    channel = Recorder()
    one = worker(store, channel)
    assert one.deliver_once(0.0) == 0
    store.broken.clear()
    assert one.deliver_once(1.0) == 1
    assert channel.sent == [b"open"]
    assert one.counts["store_error", ""] == 1


def test_a_store_that_cannot_mark_does_not_make_a_storm_of_messages() -> None:
    store = MemoryOutbox(broken={"delivered"})
    store.put("recorder", "bs-1", "open", b"open")
    channel = Recorder()
    one = worker(store, channel)
    for now in range(50):
        assert one.deliver_once(float(now)) == 0
    store.broken.clear()
    assert one.deliver_once(50.0) == 1
    assert channel.sent == [b"open"]


def test_a_store_that_cannot_note_a_failure_keeps_the_delivery() -> None:
    store = MemoryOutbox(broken={"delivery_failed"})
    store.put("recorder", "bs-1", "open", b"open")
    channel = Recorder(fails=[Retryable("down")])
    one = worker(store, channel)
    assert one.deliver_once(0.0) == 0
    store.broken.clear()
    assert one.deliver_once(1.0) == 1


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_thread_delivers_as_soon_as_it_is_woken_and_drains_when_stopped() -> None:
    store = MemoryOutbox()
    channel = Recorder()
    one = worker(store, channel, pause=60.0)
    one.start()
    store.put("recorder", "bs-1", "open", b"open")
    one.wake()
    until(lambda: channel.sent == [b"open"])
    store.put("recorder", "bs-1", "update", b"update")
    store.put("recorder", "bs-1", "resolve", b"resolve")
    assert one.stop(limit=5.0)
    assert channel.sent == [b"open", b"update", b"resolve"]


def test_stopping_does_not_wait_for_what_cannot_be_delivered() -> None:
    store = MemoryOutbox()
    for i in range(50):
        store.put("recorder", f"bs-{i}", "open")
    one = worker(store, Recorder(fails=[Retryable("down")] * 1000), pause=60.0)
    one.start()
    before = time.monotonic()
    assert one.stop(limit=0.2)
    assert time.monotonic() - before < 5
    assert all(not row.closed for row in store.rows)


def test_a_slow_receiver_does_not_hold_up_the_exit() -> None:
    store = MemoryOutbox()
    for i in range(1000):
        store.put("slow", f"bs-{i}", "open")

    class Slow(Recorder):
        def send(self, alert: bytes) -> None:
            super().send(alert)
            threading.Event().wait(0.02)

    slow = Slow("slow")
    one = worker(store, slow, pause=60.0)
    one.start()
    until(lambda: slow.tries > 0)
    assert one.stop(limit=0.1)
    assert slow.tries < 1000


def test_the_thread_survives_what_nobody_thought_of(caplog: pytest.LogCaptureFixture) -> None:
    class Strange(MemoryOutbox):
        odd = True

        def deliveries(self, *, now: float, limit: int = 100) -> list[object]:  # type: ignore[override]
            if self.odd:
                raise RuntimeError("MARKER")
            return list(super().deliveries(now=now, limit=limit))

    store = Strange()
    store.put("recorder", "bs-1", "open", b"open")
    channel = Recorder()
    one = worker(store, channel, pause=0.005)
    one.start()
    until(lambda: "a round of deliveries failed" in caplog.text)
    store.odd = False
    until(lambda: channel.sent == [b"open"])
    assert one.stop()
    assert "MARKER" not in caplog.text
