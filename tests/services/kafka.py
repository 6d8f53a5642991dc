"""A real Apache Kafka for tests: one KRaft node on free ports, plain or with TLS and SCRAM.

``python -m tests.services.kafka --install`` fetches the broker from Maven Central into
``.cache/kafka``; the fixtures do the same when it is not there yet.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # kafka-python 3.0 reads its schemas by a function that Python 3.11 deprecated (3.13 took
    # the deprecation back); the tests turn warnings into errors.
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    from kafka import KafkaProducer, TopicPartition
    from kafka.admin import (
        ACL,
        ACLOperation,
        ACLPermissionType,
        KafkaAdminClient,
        ResourcePattern,
        ResourceType,
    )

from tests.services.process import Service, ServiceError, find_program, free_port

VERSION = "4.4.0"
USER, PASSWORD = "app", "app-secret"
"""Credentials of the secure listener."""

_POM = Path(__file__).with_name("kafka-pom.xml")
_CACHE = Path(__file__).parents[2] / ".cache" / "kafka"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_names = itertools.count(1)

_SERVER = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=8388608
message.max.bytes=20000000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""

_PLAIN_LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
"""

_SECURE_LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{port},CLIENT://127.0.0.1:{secure},\
CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CLIENT://127.0.0.1:{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CLIENT:SASL_SSL,CONTROLLER:PLAINTEXT
listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config={login} required;
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={password}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""

_LOGGING = """\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
"""


def install() -> Path:
    """Folder of the broker's jars, fetched once however many processes ask.

    Raises:
        ServiceError: Maven is missing or cannot fetch them.
    """
    jars = _CACHE / VERSION
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if jars.exists():
            return jars
        maven = find_program("mvn", "maven")
        # The final name appears only when everything is there.
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=_CACHE))
        command = [maven, "-B", "-q", "-ntp", "-f", str(_POM), _COPY]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
        fetched = subprocess.run(command, capture_output=True, text=True, check=False)
        if fetched.returncode:
            shutil.rmtree(partial)
            raise ServiceError(f"Maven could not fetch Kafka {VERSION}: {fetched.stdout[-2000:]}")
        partial.chmod(0o755)
        partial.rename(jars)
    return jars


@dataclass
class Kafka:
    """One broker with its data in `home`. `start` and `stop` may alternate."""

    home: Path
    secure: bool = False
    servers: str = field(init=False)
    """Address of the plaintext listener."""
    secure_servers: str = field(init=False, default="")
    """Address of the SASL_SSL listener."""
    _service: Service | None = field(init=False, default=None)
    _admin: KafkaAdminClient | None = field(init=False, default=None)
    _producer: KafkaProducer | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._java = find_program("java", "openjdk-17-jre-headless")
        self._classpath = f"{install()}/*"
        self._config = self.home / "server.properties"
        self._format()

    @property
    def ca_file(self) -> Path:
        """Certificate (PEM) that vouches for the SASL_SSL listener."""
        return self.home / "ca.pem"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def _format(self) -> None:
        port, secure, controller = free_port(), free_port(), free_port()
        self.servers = f"127.0.0.1:{port}"
        template = _SERVER + (_SECURE_LISTENERS if self.secure else _PLAIN_LISTENERS)
        keystore = self.home / "broker.p12"
        self._config.write_text(
            template.format(
                port=port,
                secure=secure,
                controller=controller,
                data=self.data,
                keystore=keystore,
                password=PASSWORD,
                login="org.apache.kafka.common.security.scram.ScramLoginModule",
            )
        )
        (self.home / "log4j2.properties").write_text(_LOGGING)
        scram = []
        if self.secure:
            self.secure_servers = f"127.0.0.1:{secure}"
            self._make_certificate(keystore)
            scram = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # A leading dash would read as an option.
        cluster = cluster.replace("-", "_")
        storage = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config)]
        _run([self._java, *_JAVA_OPTIONS, "-cp", self._classpath, *storage, *scram])

    def _make_certificate(self, keystore: Path) -> None:
        keytool = find_program("keytool", "openjdk-17-jre-headless")
        store = ["-alias", "broker", "-keystore", str(keystore), "-storepass", PASSWORD]
        generate = ["-genkeypair", "-keyalg", "EC", "-storetype", "PKCS12", "-validity", "30"]
        extensions = ["-ext", "san=dns:localhost,ip:127.0.0.1", "-ext", "bc=ca:true"]
        _run([keytool, *generate, "-dname", "CN=broker", *extensions, *store])
        _run([keytool, "-exportcert", "-rfc", "-file", str(self.ca_file), *store])

    def start(self) -> None:
        """Start the broker and return when it serves."""
        options = [*_JAVA_OPTIONS, f"-Dlog4j2.configurationFile={self.home}/log4j2.properties"]
        command = [self._java, *options, "-cp", self._classpath, "kafka.Kafka", str(self._config)]
        self._service = Service.start(command, self.home / "log")
        self._service.wait_until(lambda text: "Kafka Server started" in text, 90)

    def stop(self) -> None:
        """Stop it in good order: logs are flushed and not repaired at the next start."""
        self._close_clients()
        if self._service is not None:
            self._service.stop(signal.SIGTERM, 30)

    def kill(self) -> None:
        """SIGKILL."""
        self._close_clients()
        if self._service is not None:
            self._service.stop(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _close_clients(self) -> None:
        # Clients that look for a broker that is gone leave unclosed sockets behind.
        for client in (self._producer, self._admin):
            if client is not None:
                client.close()
        self._producer = self._admin = None

    @property
    def admin(self) -> KafkaAdminClient:
        if self._admin is None:
            self._admin = KafkaAdminClient(
                bootstrap_servers=self.servers, reconnect_backoff_max_ms=500
            )
        return self._admin

    @property
    def producer(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self.servers,
                reconnect_backoff_max_ms=500,
                acks="all",
                linger_ms=5,
                max_request_size=20_000_000,
            )
        return self._producer

    def create_topic(
        self, name: str = "", *, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Create a topic, by default one with a name not used before, and return its name."""
        name = name or f"outputs-{next(_names)}"
        self.admin.create_topics(
            {
                name: {
                    "num_partitions": partitions,
                    "replication_factor": 1,
                    "configs": dict(config or {}),
                }
            }
        )
        return name

    def add_partitions(self, topic: str, total: int) -> None:
        """Grow a topic to `total` partitions."""
        self.admin.create_partitions({topic: total})
        # A producer learns of new partitions only after minutes.
        self._close_clients()

    def produce(
        self,
        topic: str,
        values: Iterable[bytes | None],
        *,
        partition: int = 0,
        timestamp: float | None = None,
    ) -> list[int]:
        """Offsets of the values, once the broker has acknowledged every one."""
        stamp = None if timestamp is None else int(timestamp * 1000)
        sent = [
            # A key, because a tombstone is a key without a value.
            self.producer.send(topic, value, key=b"k", partition=partition, timestamp_ms=stamp)
            for value in values
        ]
        self.producer.flush()
        return [future.get(timeout=30).offset for future in sent]

    def delete_records(self, topic: str, *, before: int, partition: int = 0) -> None:
        """Move the start of the log to `before`, as retention does."""
        self.admin.delete_records({TopicPartition(topic, partition): before})

    def allow(self, topic: str) -> None:
        """Let `USER` read a topic and commit offsets for it (secure broker only)."""
        resources = [(ResourceType.TOPIC, topic), (ResourceType.GROUP, f"backslide-{topic}")]
        self.admin.create_acls(
            [
                ACL(
                    f"User:{USER}",
                    "*",
                    ACLOperation.READ,
                    ACLPermissionType.ALLOW,
                    ResourcePattern(kind, name),
                )
                for kind, name in resources
            ]
        )


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"{os.path.basename(command[0])} failed: {done.stdout}{done.stderr}")


@contextmanager
def running_kafka(*, secure: bool = False) -> Iterator[Kafka]:
    """A started broker; stopped and removed afterwards.

    Raises:
        ServiceError: Java or Maven is missing (names the package), or it does not start.
    """
    home = Path(tempfile.mkdtemp(prefix="backslide-kafka-"))
    try:
        broker = Kafka(home, secure)
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A broker without security that lives as long as the test session."""
    with running_kafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def secure_kafka() -> Iterator[Kafka]:
    """A broker with a SASL_SSL listener (SCRAM-SHA-512) and access control."""
    with running_kafka(secure=True) as broker:
        yield broker


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Apache Kafka for the tests")
    parser.add_argument("--install", action="store_true", required=True)
    parser.parse_args()
    print(install())
