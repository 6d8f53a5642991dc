"""Connecting to Kafka, and what goes wrong with it in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from monitor.sources.base import SourceError
from monitor.sources.kafka_settings import KafkaSettings


def connect(url: str, servers: Sequence[str], settings: KafkaSettings, group_id: str = "") -> Any:
    """A connected `KafkaConsumer` that moves and commits only when told to.

    Raises:
        SourceError: no broker lets us in, or the settings are wrong; begins with `url`.
    """
    try:
        return _open_consumer(
            bootstrap_servers=list(servers),
            client_id="backslide",
            group_id=group_id or None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            fetch_max_bytes=settings.fetch_max_bytes,
            max_partition_fetch_bytes=settings.max_partition_fetch_bytes,
            metadata_max_age_ms=int(settings.partition_refresh * 1000),
            reconnect_backoff_max_ms=2000,
            bootstrap_timeout_ms=int(settings.bootstrap_timeout * 1000),
            metrics_enabled=False,
            **settings.client_options(),
        )
    except KafkaTimeoutError as error:
        raise SourceError(
            f"{url}: no broker let us in within {settings.bootstrap_timeout:g} s; check the "
            "address, then security_protocol, sasl_mechanism, user, password and ssl_cafile: "
            "a wrong one shows as this, too"
        ) from error
    except (KafkaError, OSError, ValueError, AssertionError) as error:
        raise SourceError(f"{url}: bad settings: {error}; check the kafka section") from error


def _open_consumer(**options: Any) -> Any:
    clients: list[Any] = []

    def client(**configuration: Any) -> Any:
        clients.append(KafkaNetClient(**configuration))
        return clients[-1]

    try:
        return KafkaConsumer(kafka_client=client, **options)
    except BaseException:
        # A constructor that fails would leave its thread and sockets behind.
        for opened in clients:
            opened.close()
        raise
