"""A real Apache Kafka for development and tests: one node or several, on loopback, in one folder."""

import fcntl
import shutil
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from brokerage.env import ROOT
from brokerage.supervisor.children import POLL_S, child_end, child_spawn, folder_name, marked_end, marked_pids
from brokerage.supervisor.errors import SupervisorError
from brokerage.supervisor.logs import log_open, log_tail
from brokerage.supervisor.ports import LOOPBACK, port_choose
from brokerage.supervisor.state import file_replace, json_read

PROJECT = ROOT / "deploy" / "kafka"
JARS = PROJECT / "target" / "lib"
START_TIMEOUT_S = 90.0
STOP_STAGES = ((signal.SIGTERM, 30.0),)
HEAP_MB = 384
SETTINGS = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.num.partitions": "5",
    "num.network.threads": "2",
    "num.io.threads": "4",
    # A gigabyte of log needs two megabytes of index; the default of ten is set aside for every partition.
    "log.index.size.max.bytes": str(2 * 1024 * 1024),
    "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
    "log.cleaner.threads": "1",
    # Room for a batch of the relay's size, and for its copies.
    "message.max.bytes": str(4 * 1024 * 1024),
    "replica.fetch.max.bytes": str(4 * 1024 * 1024),
}
_API_VERSIONS = b"\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff"


def kafka_problem() -> str:
    """Return why no broker can be started here, an empty text when one can."""
    if shutil.which("java") is None:
        return "Java 17 or newer is missing: install openjdk-17-jre-headless"
    if not JARS.is_dir() and shutil.which("mvn") is None:
        return "Maven is missing: install maven, which fetches the broker's jars once"
    return ""


def jars_ensure() -> Path:
    """Return the folder of the broker's jars, fetched by Maven when they are missing or the pom is newer."""
    if problem := kafka_problem():
        raise SupervisorError(f"{problem}.")
    JARS.parent.mkdir(exist_ok=True)
    stamp, pom = JARS.parent / "resolved", PROJECT / "pom.xml"
    with (JARS.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != pom.read_text():
            shutil.rmtree(JARS, ignore_errors=True)
            command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise SupervisorError(f"Maven could not fetch Kafka:\n{done.stdout[-2000:]}")
            stamp.write_text(pom.read_text())
    return JARS


class KafkaNode:
    """One broker, which is a controller too; it keeps its ports and its data over every restart."""

    def __init__(
        self, folder: Path, node_id: int, ports: tuple[int, int], java_options: Sequence[str] = ()
    ) -> None:
        self.folder = folder.absolute()
        self.java_options = tuple(java_options)
        self.node_id = node_id
        self.port, self.controller_port = ports
        self.log_path = self.folder / "broker.log"
        self.marker = f"{folder_name(self.folder)}-{node_id}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def is_running(self) -> bool:
        """Say whether a broker on this folder is alive, whoever started it."""
        return bool(marked_pids((self.marker,)))

    def prepare(self, cluster_id: str, settings: Mapping[str, str]) -> None:
        """Write the node's settings and, in a new folder, its storage."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "server.properties"
        values = {**settings, **self._own_settings()}
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        if not (self.folder / "data" / "meta.properties").exists():
            tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(path)]
            done = subprocess.run(self._java(tool), capture_output=True, text=True)
            if done.returncode:
                raise SupervisorError(f"Kafka's storage could not be made:\n{done.stdout}\n{done.stderr}")

    def start(self, *, outlives_us: bool = False) -> None:
        """Start the broker without waiting for it; it ends with us unless told otherwise."""
        with log_open(self.log_path) as log:
            self._process = child_spawn(
                self._java(["kafka.Kafka", str(self.folder / "server.properties")]),
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                log=log,
                cwd=self.folder,
                death_signal=None if outlives_us else signal.SIGKILL,
            )

    def ready_wait(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return when the broker answers."""
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if self._process is not None and self._process.poll() is not None:
                code = self._process.returncode
                raise SupervisorError(f"Kafka ended with code {code}:\n{log_tail(self.log_path)}")
            if time.monotonic() >= deadline:
                raise SupervisorError(
                    f"Kafka was not ready within {timeout_s:g} s:\n{log_tail(self.log_path)}"
                )
            time.sleep(POLL_S)

    def kill(self) -> None:
        """Kill the broker as a power cut would: at once, whatever it is writing."""
        self._end(())

    def stop(self) -> None:
        """Let the broker close its files and end; by force when that takes too long."""
        self._end(STOP_STAGES)

    def _end(self, stages: Sequence[tuple[signal.Signals, float]]) -> None:
        if self._process is not None:
            child_end(self._process, stages)
            self._process = None
        marked_end((self.marker,), (*stages, (signal.SIGKILL, 5.0)))

    def _own_settings(self) -> dict[str, str]:
        return {
            "node.id": str(self.node_id),
            "listeners": f"CLIENT://{self.address},CONTROLLER://{LOOPBACK}:{self.controller_port}",
            "advertised.listeners": f"CLIENT://{self.address}",
            "log.dirs": str(self.folder / "data"),
        }

    def _java(self, arguments: Sequence[str]) -> list[str]:
        options = ["-Xms128m", f"-Xmx{HEAP_MB}m", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
        names = [f"-Dopenbell={self.marker}", f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties"]
        return ["java", *options, *self.java_options, *names, "-cp", f"{jars_ensure()}/*", *arguments]

    def _answers(self) -> bool:
        """Say whether the broker answers the first question of every client."""
        try:
            with socket.create_connection((LOOPBACK, self.port), 1.0) as connection:
                connection.settimeout(2.0)
                connection.sendall(len(_API_VERSIONS).to_bytes(4, "big") + _API_VERSIONS)
                answer = connection.recv(10)
        except OSError:
            return False
        return answer[4:10] == b"\x00\x00\x00\x01\x00\x00"


class EmbeddedKafka:
    """A cluster in one folder; a context manager, or ``start()`` and ``stop()``."""

    def __init__(
        self,
        folder: Path,
        *,
        node_count: int = 1,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        self.folder = folder.absolute()
        self.settings = dict(settings or {})
        ports = self._ports(node_count, port)
        self.nodes = [
            KafkaNode(self.folder / f"node-{number}", number, ports[number - 1], java_options)
            for number in range(1, node_count + 1)
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The addresses for ``KAFKA_BOOTSTRAP_SERVERS``."""
        return ",".join(node.address for node in self.nodes)

    def start(self, *, outlives_us: bool = False) -> None:
        """Return when every node answers."""
        cluster_id = self._cluster_id()
        for node in self.nodes:
            node.prepare(cluster_id, {**self._shared_settings(), **self.settings})
        try:
            for node in self.nodes:
                node.start(outlives_us=outlives_us)
            for node in self.nodes:
                node.ready_wait()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Let all nodes end in order; several cannot, since the last ones have no majority to tell."""
        if len(self.nodes) > 1:
            self.kill()
        else:
            self.nodes[0].stop()

    def kill(self) -> None:
        """Kill every node at once."""
        for node in self.nodes:
            node.kill()

    def _shared_settings(self) -> dict[str, str]:
        voters = ",".join(f"{node.node_id}@{LOOPBACK}:{node.controller_port}" for node in self.nodes)
        copies = str(min(3, len(self.nodes)))
        return {
            **SETTINGS,
            "process.roles": "broker,controller",
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "CLIENT",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": "1",
        }

    def _cluster_id(self) -> str:
        path = self.folder / "cluster.json"
        known = json_read(path)
        if "id" not in known:
            known = {"id": urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")}
            file_replace(path, known, mode=0o644)
        return str(known["id"])

    def _ports(self, node_count: int, port: int | None) -> list[tuple[int, int]]:
        """Return each node's two ports, the former ones where there are some: the quorum knows them."""
        path = self.folder / "ports.json"
        known = [tuple(pair) for pair in json_read(path).get("nodes", [])]
        if len(known) != node_count or (port and known[0][0] != port):
            chosen = [port] if port else []
            while len(chosen) < 2 * node_count:
                chosen.append(port_choose(chosen))
            known = list(zip(chosen[:node_count], chosen[node_count:], strict=True))
            file_replace(path, {"nodes": known}, mode=0o644)
        return known


_LOGGING = """\
status = error
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c: %m%n
"""
