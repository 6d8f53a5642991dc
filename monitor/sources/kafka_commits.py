"""Progress shown in Kafka itself, for tools that measure the lag of a group."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from monitor.sources.base import SourceError
from monitor.sources.kafka_client import connect
from monitor.sources.kafka_settings import KafkaSettings

_INTERVAL: Final = 1.0
_log = logging.getLogger(__name__)


class GroupCommits:
    """Commits offsets to the group at most once a second, best effort: nothing is read back.

    It has a consumer of its own: trouble with the group must not stop the reading. `warn` is told
    of errors.
    """

    def __init__(
        self,
        url: str,
        servers: Sequence[str],
        topic: str,
        settings: KafkaSettings,
        warn: Callable[[Exception], None],
    ) -> None:
        self._url = url
        self._servers = servers
        self._topic = topic
        self._settings = settings
        self._warn = warn
        self._consumer: Any = None
        self._noted: dict[int, int] = {}
        self._uncommitted = False
        self._commit: Any = None
        self._due = 0.0

    def connect(self) -> None:
        try:
            group = self._settings.group_id or f"backslide-{self._topic}"
            self._consumer = connect(self._url, self._servers, self._settings, group)
        except SourceError as error:
            _log.warning("progress will not show in lag tools: %s", error)

    def note(self, positions: Mapping[int, int]) -> None:
        """The store holds everything before these offsets, by partition."""
        self._noted.update(positions)
        self._uncommitted = True
        self.commit_if_due()

    def commit_if_due(self) -> None:
        now = time.monotonic()
        if self._consumer is None or now < self._due:
            return
        if self._commit is not None:
            if not self._commit.is_done:
                return
            if self._commit.failed():
                self._warn(self._commit.exception)
                self._uncommitted = True
            self._commit = None
        if self._uncommitted and self._noted:
            self._due = now + _INTERVAL
            self._uncommitted = False
            try:
                self._commit = self._consumer.commit_async(self._offsets())
            except KafkaError as error:
                self._warn(error)

    def close(self) -> None:
        """Commit a last time; safe to call twice."""
        if self._consumer is None:
            return
        try:
            if self._noted:
                self._consumer.commit(self._offsets(), timeout_ms=2000)
        except KafkaError as error:
            _log.info("%s: last progress not committed: %s", self._url, type(error).__name__)
        self._consumer.close(autocommit=False, timeout_ms=2000)
        self._consumer = None

    def _offsets(self) -> dict[Any, Any]:
        return {
            TopicPartition(self._topic, p): OffsetAndMetadata(offset, "", -1)
            for p, offset in self._noted.items()
        }
