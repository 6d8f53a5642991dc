"""A topic of a real broker, read at our own offsets."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, RetriableError
from kafka.record.util import calc_crc32c

import monitor.sources.kafka as kafka_source
from monitor.sources import KafkaSettings, Position, PositionConflict, SourceError
from monitor.sources.kafka import KafkaSource
from monitor.sources.kafka_settings import DEFAULT_SETTINGS
from tests.services.kafka import PASSWORD, USER, Kafka
from tests.services.process import free_port
from tests.unit.sources.contract import DEADLINE, Reading, SeekableContract, read, read_all


@contextmanager
def reading(
    servers: str,
    topic: str,
    positions: Mapping[int, Position] | None = None,
    settings: KafkaSettings = DEFAULT_SETTINGS,
    max_record_bytes: int = 1024 * 1024,
) -> Iterator[KafkaSource]:
    source = KafkaSource([servers], topic, settings, max_record_bytes)
    try:
        source.start(positions or {})
        yield source
    finally:
        source.close()


def until_committed(kafka: Kafka, source: KafkaSource, topic: str, offset: int) -> None:
    deadline = time.monotonic() + DEADLINE
    source.pause()
    while _committed(kafka, f"backslide-{topic}", topic) != offset:
        assert time.monotonic() < deadline
        source.poll(1, 0.1)
    source.resume()


class TestContract(SeekableContract):
    @pytest.fixture(autouse=True)
    def _topic(self, kafka: Kafka) -> None:
        self.kafka = kafka
        self.topic = kafka.create_topic()

    def write(self, values: Sequence[bytes]) -> None:
        self.kafka.produce(self.topic, values)

    def make(self) -> KafkaSource:
        return KafkaSource([self.kafka.servers], self.topic)

    def resumable_at(self) -> Iterator[int]:
        yield from (1, 9)


def test_every_partition_is_read_in_its_order_with_the_brokers_time(kafka: Kafka) -> None:
    topic = kafka.create_topic(partitions=3)
    for partition in range(3):
        values = [b"%d-%d" % (partition, i) for i in range(20)]
        kafka.produce(topic, values, partition=partition, timestamp=1.7e9 + partition + 0.25)
    with reading(kafka.servers, topic) as source:
        got = read_all(source, max_records=7)
    for partition in range(3):
        mine = [record for record in got.records if record.partition == partition]
        assert [r.value for r in mine] == [b"%d-%d" % (partition, i) for i in range(20)]
        assert {r.ingest for r in mine} == {1.7e9 + partition + 0.25}
    assert {p: position.next for p, position in got.positions.items()} == {0: 20, 1: 20, 2: 20}


def test_a_new_partition_is_read_from_its_first_record(kafka: Kafka) -> None:
    topic = kafka.create_topic(partitions=1)
    kafka.produce(topic, [b"a"])
    with reading(kafka.servers, topic, settings=KafkaSettings(partition_refresh=0.2)) as source:
        got = read_all(source)
        kafka.add_partitions(topic, 2)
        kafka.produce(topic, [b"b", b"c"], partition=1)
        kafka.produce(topic, [b"d"])
        got.until(source, lambda: len(got.records) == 4)
    assert sorted((r.partition, r.offset, r.value) for r in got.records) == [
        (0, 0, b"a"),
        (0, 1, b"d"),
        (1, 0, b"b"),
        (1, 1, b"c"),
    ]


def test_records_deleted_while_we_were_away_count_as_lost(kafka: Kafka) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [b"%d" % i for i in range(10)])
    kafka.delete_records(topic, before=6)
    with reading(kafka.servers, topic, {0: Position(2)}) as source:
        got = read_all(source)
    assert (got.lost, got.offsets) == ({0: 4}, [6, 7, 8, 9])
    with reading(kafka.servers, topic) as source:
        got = read_all(source)
    assert (got.lost, got.offsets) == ({}, [6, 7, 8, 9])


def test_records_deleted_while_we_read_count_as_lost(kafka: Kafka) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [b"a", b"b"])
    with reading(kafka.servers, topic) as source:
        got = read_all(source)
        source.pause()
        kafka.produce(topic, [b"%d" % i for i in range(5)])
        kafka.delete_records(topic, before=6)
        source.resume()
        got.until(source, lambda: got.offsets[-1] == 6)
    # What had already been fetched when it was deleted may still be handed out.
    assert len(got.offsets) + got.lost.get(0, 0) == 7
    assert len(set(got.offsets)) == len(got.offsets)


def test_a_position_beyond_the_log_is_refused(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_source, "_OFFSETS_TIMEOUT", 0.3)
    topic = kafka.create_topic()
    kafka.produce(topic, [b"a"])
    with reading(kafka.servers, topic, {0: Position(1)}) as source:
        assert read_all(source).records == []
    with (
        pytest.raises(PositionConflict, match=r"ends at offset 1, before offset 5 .*--store"),
        reading(kafka.servers, topic, {0: Position(5)}),
    ):
        pass
    with (
        pytest.raises(PositionConflict, match=r"partitions \[3\].*--store"),
        reading(kafka.servers, topic, {0: Position(0), 3: Position(1)}),
    ):
        pass


def test_tombstones_and_giants_are_rejected_and_headers_ignored(kafka: Kafka) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [b"a", None, b"x" * 101, b"x" * 100])
    sent = kafka.producer.send(topic, b"h", headers=[("trace", b"\xff")], partition=0)
    sent.get(timeout=30)
    with reading(kafka.servers, topic, max_record_bytes=100) as source:
        got = read_all(source)
    assert got.offsets == [0, 3, 4]
    assert [(r.offset, r.reason) for r in got.rejected] == [(1, "null_value"), (2, "too_large")]
    assert got.positions[0].next == 5


def _batches(log: Path) -> Iterator[tuple[int, int]]:
    """Byte range of each record batch in a segment."""
    content = log.read_bytes()
    start = 0
    while start + 12 <= len(content):
        end = start + 12 + struct.unpack_from(">i", content, start + 8)[0]
        yield start, end
        start = end


def _flip(batch: bytearray) -> None:
    batch[-3] ^= 0xFF


def _nonsense_header(batch: bytearray) -> None:
    batch[23:27] = b"\x7f\xff\xff\xff"  # last offset delta


def _recompress(codec: int) -> Callable[[bytearray], None]:
    def change(batch: bytearray) -> None:
        batch[22] = codec
        batch[17:21] = struct.pack(">I", calc_crc32c(bytes(batch[21:])))

    return change


DAMAGES: dict[str, Callable[[bytearray], None]] = {
    "flipped bit": _flip,
    "nonsense header": _nonsense_header,
    "not gzip": _recompress(1),
    "snappy": _recompress(2),
}


@pytest.fixture(scope="module")
def damaged(kafka: Kafka) -> dict[str, str]:
    """Topics of three batches (2, 3 and 1 records), the second one damaged on the disk."""
    topics = {damage: kafka.create_topic() for damage in DAMAGES}
    producer = KafkaProducer(bootstrap_servers=kafka.servers, linger_ms=300)
    for values in ([b"0", b"1"], [b"2", b"3", b"4"], [b"5"]):
        for topic in topics.values():
            for value in values:
                producer.send(topic, value, partition=0)
        producer.flush()
    producer.close()
    kafka.stop()
    for damage, topic in topics.items():
        log = kafka.data / f"{topic}-0" / "00000000000000000000.log"
        (_, _), (start, end), (_, _) = _batches(log)
        content = bytearray(log.read_bytes())
        batch = content[start:end]
        DAMAGES[damage](batch)
        content[start:end] = batch
        log.write_bytes(content)
    kafka.start()
    return topics


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("flipped bit", "crc_mismatch"),
        ("nonsense header", "crc_mismatch"),
        ("not gzip", "undecodable"),
    ],
)
def test_a_corrupt_batch_is_stepped_past_and_each_record_reported(
    kafka: Kafka, damaged: Mapping[str, str], damage: str, reason: str
) -> None:
    for first in (0, 3):
        with reading(kafka.servers, damaged[damage], {0: Position(first)}) as source:
            got = read_all(source, max_records=2)
        assert got.offsets == [o for o in (0, 1, 5) if o >= first]
        assert [(r.offset, r.reason) for r in got.rejected] == [
            (offset, reason) for offset in (2, 3, 4) if offset >= first
        ]
        assert got.positions[0].next == 6


def test_without_the_wrapping_a_corrupt_batch_stops_the_source(
    kafka: Kafka, damaged: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_source, "read_past_poison", lambda _: None)
    with (
        reading(kafka.servers, damaged["flipped bit"]) as source,
        pytest.raises(SourceError, match="corrupt"),
    ):
        read_all(source)


def test_a_codec_that_is_not_installed_is_an_error_and_not_poison(
    kafka: Kafka, damaged: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka.codec.has_snappy", lambda: False)
    with (
        reading(kafka.servers, damaged["snappy"]) as source,
        pytest.raises(SourceError, match=r"snappy.*install"),
    ):
        read_all(source)


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_a_broker_that_goes_away_costs_no_record_and_repeats_none(kafka: Kafka, end: str) -> None:
    topic = kafka.create_topic(partitions=2)
    for partition in (0, 1):
        kafka.produce(topic, [b"%d" % i for i in range(50)], partition=partition)
    with reading(kafka.servers, topic) as source:
        got = read(source, 30, max_records=10)
        kafka.stop() if end == "restart" else kafka.kill()
        for _ in range(3):
            got.poll(source, timeout=0.1)
        assert not source.at_end or len(got.records) == 100
        kafka.start()
        for partition in (0, 1):
            kafka.produce(topic, [b"%d" % i for i in range(50, 60)], partition=partition)
        got.until(source, lambda: len(got.records) >= 120)
        got.until(source, lambda: source.at_end)
    for partition in (0, 1):
        mine = [r for r in got.records if r.partition == partition]
        assert [r.offset for r in mine] == list(range(60))
        assert [r.value for r in mine] == [b"%d" % i for i in range(60)]


def test_aborted_transactions_are_not_read_and_markers_do_not_hide_the_end(kafka: Kafka) -> None:
    topic = kafka.create_topic()
    producer = KafkaProducer(
        bootstrap_servers=kafka.servers, transactional_id=f"writer-{topic}", acks="all"
    )
    producer.init_transactions()
    for value, finish in (
        (b"kept", producer.commit_transaction),
        (b"no", producer.abort_transaction),
    ):
        producer.begin_transaction()
        producer.send(topic, value, partition=0)
        producer.flush()
        finish()
    producer.close()
    with reading(kafka.servers, topic) as source:
        got = read_all(source)
        assert source.lag() == {0: 0}
    assert got.values == [b"kept"]
    assert got.positions[0].next == 4


def _committed(kafka: Kafka, group: str, topic: str) -> int | None:
    try:
        offsets = kafka.admin.list_group_offsets({group: [TopicPartition(topic, 0)]})[group]
    except RetriableError:
        return None
    return offsets[TopicPartition(topic, 0)].offset


def test_lag_tools_see_how_far_the_store_is(kafka: Kafka) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [b"a", b"b", b"c"])
    with reading(kafka.servers, topic) as source:
        source.acknowledge(read(source, 1).positions)
        until_committed(kafka, source, topic, 1)
        source.acknowledge(read(source, 1).positions)
    # The last progress is committed when the source closes.
    assert _committed(kafka, f"backslide-{topic}", topic) == 2


def test_lag_counts_what_is_not_read_yet(kafka: Kafka) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [b"%d" % i for i in range(5)])
    with reading(kafka.servers, topic) as source:
        assert source.lag() == {0: 5}
        read(source, 2)
        assert source.lag() == {0: 3}
        source.pause()
        kafka.produce(topic, [b"more"])
        Reading().poll(source, timeout=0.05)
        assert source.lag() == {0: 4}
        assert not source.at_end


def test_an_error_that_does_not_pass_is_raised_at_last(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = kafka.create_topic()
    with reading(kafka.servers, topic) as source:

        def fail(**_: object) -> None:
            raise KafkaError("Failed to make progress")

        monkeypatch.setattr(source._consumer, "poll", fail)
        assert Reading().poll(source, timeout=0.01).records == []
        monkeypatch.setattr(kafka_source, "_PATIENCE", 0.0)
        with pytest.raises(SourceError, match="Failed to make progress"):
            source.poll(1, 0.01)


def test_a_missing_topic_is_named(kafka: Kafka) -> None:
    with (
        pytest.raises(SourceError, match=r"kafka://.*/no-such-topic: no such topic"),
        reading(kafka.servers, "no-such-topic"),
    ):
        pass


def test_no_broker_is_one_clear_error_that_leaves_nothing_running(kafka: Kafka) -> None:
    before = threading.active_count()
    settings = KafkaSettings(bootstrap_timeout=0.5)
    with (
        pytest.raises(SourceError, match=r"0\.5 s.*address.*sasl_mechanism.*password.*ssl_cafile"),
        reading(f"127.0.0.1:{free_port()}", "outputs", settings=settings),
    ):
        pass
    assert threading.active_count() == before


def _secure(kafka: Kafka, **changes: object) -> KafkaSettings:
    values: dict[str, object] = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": USER,
        "sasl_plain_password": PASSWORD,
        "ssl_cafile": str(kafka.ca_file),
        "bootstrap_timeout": 15.0,
    }
    return KafkaSettings(**(values | changes))  # type: ignore[arg-type]


def test_tls_and_scram_with_a_password_file(secure_kafka: Kafka, tmp_path: Path) -> None:
    topic = secure_kafka.create_topic()
    secure_kafka.produce(topic, [b"a"])
    secure_kafka.allow(topic)
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    settings = _secure(secure_kafka, sasl_plain_password="", sasl_plain_password_file=str(secret))
    with reading(secure_kafka.secure_servers, topic, settings=settings) as source:
        got = read_all(source)
        source.acknowledge(got.positions)
        until_committed(secure_kafka, source, topic, 1)
    assert got.values == [b"a"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sasl_plain_password": "wrong"},
        {"sasl_mechanism": "SCRAM-SHA-256"},
        {"ssl_cafile": ""},
        {"security_protocol": "PLAINTEXT"},
    ],
)
def test_wrong_credentials_are_an_error_that_says_so_without_quoting_them(
    secure_kafka: Kafka, wrong: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    settings = _secure(secure_kafka, bootstrap_timeout=1.5, **wrong)
    with (
        pytest.raises(SourceError, match="password and ssl_cafile") as raised,
        reading(secure_kafka.secure_servers, "outputs", settings=settings),
    ):
        pass
    assert "wrong" not in str(raised.value).replace("a wrong one", "")
    assert PASSWORD not in str(raised.value) + caplog.text


def test_a_topic_that_may_not_be_read_is_an_error(secure_kafka: Kafka) -> None:
    topic = secure_kafka.create_topic()
    secure_kafka.produce(topic, [b"a"])
    with (
        pytest.raises(SourceError, match=f"{topic}: .*(may not|READ)"),
        reading(secure_kafka.secure_servers, topic, settings=_secure(secure_kafka)) as source,
    ):
        read_all(source)


def test_a_group_that_may_not_be_used_does_not_stop_the_reading(secure_kafka: Kafka) -> None:
    topic = secure_kafka.create_topic()
    secure_kafka.produce(topic, [b"a", b"b"])
    secure_kafka.allow(topic)
    settings = _secure(secure_kafka, group_id="someone-elses")
    with reading(secure_kafka.secure_servers, topic, settings=settings) as source:
        got = read(source, 1)
        source.acknowledge(got.positions)
        got.until(source, lambda: len(got.records) == 2)
        source.acknowledge(got.positions)
    assert got.values == [b"a", b"b"]
