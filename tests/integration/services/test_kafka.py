"""The Kafka fixtures are real brokers that can be restarted, killed and trimmed."""

from __future__ import annotations

import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.services import process
from tests.services.kafka import PASSWORD, USER, Kafka, running_kafka


def _read(topic: str, **settings: object) -> list[tuple[int, bytes]]:
    consumer = KafkaConsumer(auto_offset_reset="earliest", **settings)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        polled = consumer.poll(timeout_ms=10_000)
        return [(r.offset, r.value) for records in polled.values() for r in records]
    finally:
        consumer.close()


def test_records_survive_a_restart_and_a_kill(kafka: Kafka) -> None:
    topic = kafka.create_topic()
    assert kafka.produce(topic, [b"a", b"b", b"c"]) == [0, 1, 2]
    kafka.restart()
    assert kafka.produce(topic, [b"d"]) == [3]
    kafka.kill()
    kafka.start()
    kafka.delete_records(topic, before=2)
    assert _read(topic, bootstrap_servers=kafka.servers) == [(2, b"c"), (3, b"d")]


def test_the_secure_listener_wants_tls_and_a_password(secure_kafka: Kafka) -> None:
    topic = secure_kafka.create_topic()
    secure_kafka.produce(topic, [b"a"])
    secure_kafka.allow(topic)
    records = _read(
        topic,
        bootstrap_servers=secure_kafka.secure_servers,
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=USER,
        sasl_plain_password=PASSWORD,
        ssl_cafile=str(secure_kafka.ca_file),
    )
    assert records == [(0, b"a")]


def test_a_missing_java_fails_and_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.shutil, "which", lambda *_, **__: None)
    missing = pytest.raises(process.ServiceError, match="apt-get install openjdk-17")
    with missing, running_kafka():
        pass
