"""A Kafka 4 broker (KRaft, one node) on a loopback port of its own, from Maven's jars."""

import asyncio
import fcntl
import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.services.process import POLL_S, Process, ServiceError, free_port, program, run

KNOWN_WITHIN_S = 20.0

KAFKA_VERSION = "4.3.1"
SLF4J_VERSION = "1.7.36"  # the logging interface of this Kafka; its jars bring no backend for it
CLUSTER_ID = "cXVlbGwtdGVzdC1rYWZrYQ"
# A test broker's share of a small machine; the compiler's first tier alone starts twice as fast.
JVM_OPTIONS = (
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
)
POM = f"""
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>quell.tests</groupId>
  <artifactId>kafka</artifactId>
  <version>{KAFKA_VERSION}</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>{SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def kafka_jars() -> Path:
    """The folder with Kafka's jars; fetched once a machine, by one test worker at a time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quell"
    jars = cache / f"kafka-{KAFKA_VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"kafka-{KAFKA_VERSION}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.exists():
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                pom = Path(folder, "pom.xml")
                pom.write_text(POM)
                fetched = Path(folder, "jars")
                copy = [f"-DoutputDirectory={fetched}", "-DincludeScope=runtime"]
                goal = "dependency:copy-dependencies"
                run([program("mvn"), "-q", "-B", "-f", pom, goal, *copy], deadline_s=600)
                fetched.rename(jars)
    return jars


@dataclass(frozen=True, slots=True)
class Listener:
    """A way into a broker beside the plain one."""

    name: str
    protocol: str
    address: str
    """host:port."""
    advertised: str = ""
    """What clients are told, where that is another one."""


@dataclass(frozen=True, slots=True)
class Additions:
    """What a broker has beside its plain listener."""

    listeners: Sequence[Listener] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    jvm_options: Sequence[str] = ()
    format_options: Sequence[str] = ()


class KafkaBroker:
    """A broker whose data and port outlive its process, so that it can die and come back."""

    def __init__(self, folder: Path, additions: Additions | None = None) -> None:
        self.port = free_port()
        self.folder = folder
        self._additions = additions = additions or Additions()
        self._settings = folder / "server.properties"
        self._settings.write_text(self._properties(controller_port=free_port()))
        options = (*JVM_OPTIONS, *additions.jvm_options)
        self._java = [program("java"), *options, "-cp", f"{kafka_jars()}/*"]
        self._process = Process(
            [*self._java, "kafka.Kafka", self._settings], log=folder / "kafka.log"
        )

    @property
    def bootstrap(self) -> str:
        """host:port, as clients want it."""
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> None:
        """Start it, or start it again with the data that it had, and wait until it serves."""
        if not (self.folder / "data" / "meta.properties").exists():
            storage = [*self._java, "kafka.tools.StorageTool", "format"]
            run([*storage, "-t", CLUSTER_ID, "-c", self._settings, *self._additions.format_options])
        starts = self._starts_logged()
        self._process.start(lambda: self._starts_logged() > starts and self._names_itself())

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()

    def _names_itself(self) -> bool:
        """Whether it names a broker to clients; it hears that it may a moment after its start."""
        # A Metadata request, version 1, without topics: its answer begins with the brokers.
        request = struct.pack(">hhihi", 3, 1, 0, -1, 0)
        with closing(socket.create_connection(("127.0.0.1", self.port), 10)) as client:
            client.sendall(struct.pack(">i", len(request)) + request)
            with client.makefile("rb") as answer:
                _size, _correlation, brokers = struct.unpack(">iii", answer.read(12))
        return bool(brokers)

    def tool(self, name: str, *options: str) -> str:
        """Run one of Kafka's own programs, by its class, on this broker; what it printed."""
        return run([*self._java, name, "--bootstrap-server", self.bootstrap, *options])

    async def create_topic(
        self, name: str, partitions: int = 1, settings: Mapping[str, str] | None = None
    ) -> None:
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic

        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            topic = NewTopic(name, partitions, 1, topic_configs=dict(settings or {}))
            answer = await admin.create_topics([topic])
            for topic_error in answer.topic_errors:
                if topic_error[1] != 0:
                    raise ServiceError(f"topic {name!r} not created: {topic_error}")
            # The controller made it; the broker answers for it a moment later.
            async with asyncio.timeout(KNOWN_WITHIN_S):
                while (await admin.describe_topics([name]))[0]["error_code"] != 0:
                    await asyncio.sleep(POLL_S)
        finally:
            await admin.close()

    async def delete_topic(self, name: str) -> None:
        from aiokafka.admin import AIOKafkaAdminClient

        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([name])
        finally:
            await admin.close()

    def _starts_logged(self) -> int:
        log = self._process.log
        return log.read_text(errors="replace").count("Kafka Server started") if log.exists() else 0

    def _properties(self, controller_port: int) -> str:
        plain = Listener("PLAINTEXT", "PLAINTEXT", f"127.0.0.1:{self.port}")
        more = self._additions.listeners
        serve = ",".join(f"{x.name}://{x.address}" for x in (plain, *more))
        tell = ",".join(f"{x.name}://{x.advertised or x.address}" for x in (plain, *more))
        protocols = "".join(f",{each.name}:{each.protocol}" for each in more)
        settings = "\n".join(f"{key}={value}" for key, value in self._additions.settings.items())
        return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners={serve},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={tell}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
log.dirs={self.folder / "data"}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A broker that stood still for longer is fenced, and names nobody when it goes on; a killed one
# may come back only after it.
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
{settings}
"""


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One broker a test worker. A test that stops it starts it again before it ends."""
    folder = tmp_path_factory.mktemp("kafka")
    broker = KafkaBroker(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
        shutil.rmtree(folder / "data", ignore_errors=True)
