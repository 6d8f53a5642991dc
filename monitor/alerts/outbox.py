"""Deliveries: from the store to the channels, in order, again and again, but not for ever.

The detector writes outbox rows in the transaction of the batch; this thread does the rest. A
process killed between sending and marking sends once more under the same dedup key: at least
once for the message, exactly once for the incident.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from monitor.alerts.channels.base import Channel, DeliveryError, Permanent, Retryable
from monitor.store.base import PendingDelivery, StoreError

log = logging.getLogger(__name__)

BATCH: Final = 1000


class Deliveries(Protocol):
    """The part of a store that deliveries need; see `Store` for the meaning."""

    def deliveries(self, *, now: float, limit: int = 100) -> Sequence[PendingDelivery]: ...

    def delivered(self, delivery: int, *, now: float) -> None: ...

    def delivery_failed(
        self, delivery: int, *, now: float, retry_at: float | None, error: str
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with jitter: the n-th wait is base 2^(n-1), at most `longest`, times
    a random factor in [.5, 1]; then given up. The defaults go on for 6 to 9 hours."""

    base: float = 1.0
    """Seconds."""
    longest: float = 600.0
    attempts: int = 60

    def wait(self, failures: int, rng: random.Random, after: float | None) -> float:
        """Seconds to wait after `failures` >= 1 failures; what the receiver asks for is
        honoured up to an hour."""
        backoff = min(self.longest, self.base * 2.0 ** min(failures - 1, 40))
        return max(backoff * rng.uniform(0.5, 1.0), min(after or 0.0, 3600.0))


class OutboxWorker:
    """Takes due deliveries from the store and hands them to the channels, on its own thread.

    Order within one dedup key of a channel is the store's: it gives out only the oldest that is
    not delivered, so a resolve never overtakes its trigger.

    Args:
        clock: wall clock, seconds since 1970.
        rng: for the jitter.
        pause: seconds between looks at an empty outbox; `wake` cuts it short.
    """

    def __init__(
        self,
        store: Deliveries,
        channels: Sequence[Channel],
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        policy: RetryPolicy = RetryPolicy(),
        pause: float = 1.0,
    ) -> None:
        self._store = store
        self._channels = {channel.name: channel for channel in channels}
        self._clock = clock
        self._rng = rng or random.Random()
        self._policy = policy
        self._pause = pause
        self._counts: Counter[tuple[str, str]] = Counter()
        self._unmarked: set[int] = set()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._drain_until = 0.0

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """Since the start, by (result, channel); results are ``delivered``, ``retried``,
        ``given_up`` and, without a channel, ``store_error``."""
        return dict(self._counts)

    def deliver_once(self, now: float) -> int:
        """Try what is due, each delivery once; returns how many deliveries were settled.

        A channel that fails for a passing reason is left alone for the rest of the round, so
        one that hangs delays the others by one time-out only.
        """
        try:
            due = self._store.deliveries(now=now, limit=BATCH)
        except StoreError as error:
            self._store_failed(error)
            return 0
        settled = 0
        failing: set[str] = set()
        for delivery in due:
            if self._time_is_up():
                break
            if delivery.channel in failing:
                continue
            try:
                if self._attempt(delivery, now):
                    settled += 1
                else:
                    failing.add(delivery.channel)
            except StoreError as error:
                self._store_failed(error)
                break
        return settled

    def _attempt(self, delivery: PendingDelivery, now: float) -> bool:
        """Send one delivery and write down what came of it; False if it has to be tried
        again."""
        channel = self._channels.get(delivery.channel)
        try:
            if channel is None:
                raise Permanent(f"{delivery.channel}: no such channel is configured any more")
            if delivery.id not in self._unmarked:
                self._send(channel, delivery)
        except DeliveryError as error:
            return self._failed(delivery, error, now)
        # Sent but not marked, should the store fail now: then it is only marked next time.
        self._unmarked.add(delivery.id)
        self._store.delivered(delivery.id, now=now)
        self._unmarked.discard(delivery.id)
        self._counts["delivered", delivery.channel] += 1
        return True

    def _send(self, channel: Channel, delivery: PendingDelivery) -> None:
        try:
            channel.send(delivery.payload)
        except DeliveryError:
            raise
        except Exception as error:
            # A fault of ours or of a library must not end all deliveries; its message may
            # hold anything, so only its kind is told.
            raise Retryable(f"{channel.name}: unexpected {type(error).__name__}") from error

    def _failed(self, delivery: PendingDelivery, error: DeliveryError, now: float) -> bool:
        failures = delivery.attempts + 1
        give_up = isinstance(error, Permanent) or failures >= self._policy.attempts
        retry_at = None
        if not give_up:
            after = error.after if isinstance(error, Retryable) else None
            retry_at = now + self._policy.wait(failures, self._rng, after)
        self._store.delivery_failed(delivery.id, now=now, retry_at=retry_at, error=str(error))
        self._counts["given_up" if give_up else "retried", delivery.channel] += 1
        log.log(
            logging.ERROR if give_up else logging.WARNING,
            "alert %s (%s) %s after %d tries: %s",
            delivery.dedup_key,
            delivery.event,
            "was given up" if give_up else "is not delivered yet",
            failures,
            error,
        )
        return give_up

    def _store_failed(self, error: StoreError) -> None:
        self._counts["store_error", ""] += 1
        log.error("deliveries wait, the store failed: %s", error)

    def start(self) -> None:
        """Begin delivering in the background."""
        self._thread = threading.Thread(target=self._run, name="backslide-outbox", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at the outbox now; never blocks."""
        self._wake.set()

    def stop(self, limit: float = 10.0) -> bool:
        """Deliver what is due for at most `limit` seconds (and the time-out of a delivery under
        way), then end; True if the thread ended. What is left stays in the store."""
        self._drain_until = time.monotonic() + limit
        self._stopping.set()
        self._wake.set()
        if self._thread is None:
            return True
        self._thread.join(limit + 60.0)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            if self._round() == 0 and not self._stopping.is_set():
                self._wake.wait(self._pause)
        while not self._time_is_up() and self._round():
            pass

    def _time_is_up(self) -> bool:
        return self._stopping.is_set() and time.monotonic() >= self._drain_until

    def _round(self) -> int:
        try:
            return self.deliver_once(self._clock())
        except Exception as error:
            # The last resort: a delivery thread that is gone is an alert nobody gets.
            log.error("a round of deliveries failed: %s", type(error).__name__)
            return 0
