"""The relay into a real Kafka measured: how fast, beside how fast booking writes events, and how soon.

A durable PostgreSQL and a broker of their own. Rounds take turns: the production runner books crossing
orders, whose events are counted, then the relay delivers those same events, each to its own topic and to the
log of everything, from processes of their own as in production. Then the relay's own command runs while a
thousand events a second are committed, and a subscriber says when each came out of Kafka.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.durable import BenchRunner, runner_started
from benchmarks.durable_load import orders_queue
from benchmarks.durable_server import Server
from benchmarks.report import percentile, report_write
from brokerage.env import ROOT
from brokerage.supervisor.kafka import EmbeddedKafka

SEED = 20261123
ROUNDS = 5
COMMANDS = 20_000
PACED_S = 25
PACED_PER_S = 1_000
PACED_EVENTS = 10
"""Events a commit, as a small batch of booking has."""

WARM_UP_EVENTS = 5_000
"""A relay that has just started, right after a flood, finds a broker that is still busy: told by itself."""

PROBE = 9_000_000
"""The number of the event that shows that all is running."""

_WRITE_SQL = (
    "INSERT INTO events (topic, event_type, user_id, data, metadata) SELECT 'orders-events', "
    "'ORDER_FILLED', 1 + n %% 3000, jsonb_build_object('bench', n, 'symbol', 'AAPL', 'side', 'BUY', "
    "'price', 150.25, 'quantity', 100), '{}' FROM generate_series(%s::int, %s::int) AS n"
)
_COUNT_SQL = "SELECT count(*) FROM events"


class RelayProcess:
    """The relay's sink and cursor in a process of their own, told by lines when to deliver what there is."""

    def __init__(self, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.audit_relay", "worker"],
            env=env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def drain(self) -> dict[str, float]:
        """Deliver everything; returns the events, the seconds, and the processor seconds of the process."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("drain\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the relay's process has ended"
        return dict(json.loads(line))

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=30)


def worker_main() -> None:
    """Serve ``RelayProcess``."""
    import django

    django.setup()
    from brokerage.wiring import relay_kafka

    relay = relay_kafka()
    assert relay is not None
    relay.start()
    while sys.stdin.readline():
        count, idle = 0, 0
        started, cpu = time.perf_counter(), time.process_time()
        seconds = cpu_s = 0.0
        while idle < 3:
            stepped = relay.step()
            count, idle = count + stepped, 0 if stepped else idle + 1
            if stepped:
                seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        print(json.dumps({"events": count, "seconds": seconds, "cpu_s": cpu_s}), flush=True)


def figures_measure() -> tuple[dict[str, float], dict[str, float]]:
    """Return the figures and the ratio; everything that was started is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="openbell-bench-kafka-") as folder:
        with EmbeddedKafka(Path(folder) / "kafka") as kafka, Server() as server:
            env = {**server.env("worker"), "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
            _topics_make(env)
            speed = _speed_measure(server, env)
            soon = _latency_measure(server, env, kafka.bootstrap)
    ratio = speed["relay_events_per_s"] / speed["events_written_per_s"]
    return {**speed, **soon}, {"relay_vs_events_written": ratio}


def _topics_make(env: dict[str, str]) -> None:
    lowered = ["--replication", "1", "--i-know-that-fewer-copies-can-be-lost"]
    command = [sys.executable, "manage.py", "kafka_topics", *lowered]
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)


def _speed_measure(server: Server, env: dict[str, str]) -> dict[str, float]:
    """Let booking write and the relay deliver in turns; returns medians over the rounds but the first."""
    written, relayed, cpu_us = [], [], []
    relay = RelayProcess(env)
    with server.connect() as connection, runner_started(server) as runner:
        for number in range(ROUNDS + 1):
            wrote = _round_write(connection, runner, number)
            took = relay.drain()
            if number:
                written.append(wrote)
                relayed.append(took["events"] / took["seconds"])
                cpu_us.append(took["cpu_s"] / took["events"] * 1e6)
    relay.end()
    return {
        "relay_events_per_s": median(relayed),
        "relay_events_per_s_lowest": min(relayed),
        "relay_cpu_us_per_event": median(cpu_us),
        "events_written_per_s": median(written),
    }


def _round_write(connection: Any, runner: BenchRunner, number: int) -> float:
    """Queue crossing orders and have them booked; returns the events that booking wrote in a second."""
    orders_queue(connection, f"audit-{number}", COMMANDS, "crossing")
    before = connection.execute(_COUNT_SQL).fetchone()[0]
    took = runner.book()
    return float((connection.execute(_COUNT_SQL).fetchone()[0] - before) / took["seconds"])


def _latency_measure(server: Server, env: dict[str, str], bootstrap: str) -> dict[str, float]:
    """Return how long after its commit an event was read from Kafka, in milliseconds."""
    relay = subprocess.Popen([sys.executable, "manage.py", "relay", "--kafka"], env=env, cwd=ROOT)
    seen: dict[int, float] = {}
    stopping = threading.Event()
    ready = threading.Event()
    subscriber = threading.Thread(target=_subscribe, args=(bootstrap, seen, ready, stopping))
    subscriber.start()
    try:
        assert ready.wait(30), "the subscriber does not come to its place"
        _write(server, PROBE, PROBE)
        _seen_wait(seen, 1)
        seen.clear()
        committed = _paced_write(server)
        _seen_wait(seen, len(committed))
    finally:
        stopping.set()
        subscriber.join()
        relay.terminate()
        relay.wait(timeout=30)
    assert len(seen) == len(committed), f"{len(committed) - len(seen)} events did not come out of Kafka"
    waits = [(seen[n] - at) * 1000 for n, at in committed.items() if n >= WARM_UP_EVENTS]
    begun = range(WARM_UP_EVENTS)
    return {
        "commit_to_kafka_p50_ms": percentile(waits, 0.50),
        "commit_to_kafka_p99_ms": percentile(waits, 0.99),
        "commit_to_kafka_max_ms": max(waits),
        "commit_to_kafka_after_start_max_ms": max((seen[n] - committed[n]) * 1000 for n in begun),
        "latency_samples": len(waits),
    }


def _seen_wait(seen: dict[int, float], count: int) -> None:
    """Wait until so many events came out of Kafka; the processes need some seconds to start."""
    deadline = time.monotonic() + 30
    while len(seen) < count and time.monotonic() < deadline:
        time.sleep(0.1)


def _write(server: Server, first: int, last: int) -> None:
    with server.connect() as connection:
        connection.execute(_WRITE_SQL, (first, last))


def _paced_write(server: Server) -> dict[int, float]:
    """Commit a thousand events a second, waking the relay as the runner does; returns when, by number."""
    import redis

    bell, committed = redis.Redis.from_url(server.valkey.url()), {}
    pause_s = PACED_EVENTS / PACED_PER_S
    with server.connect() as connection:
        started = time.monotonic()
        for number in range(PACED_S * PACED_PER_S // PACED_EVENTS):
            first = number * PACED_EVENTS
            connection.execute(_WRITE_SQL, (first, first + PACED_EVENTS - 1))
            at = time.monotonic()
            committed.update(dict.fromkeys(range(first, first + PACED_EVENTS), at))
            bell.publish("events:wake", b"1")
            time.sleep(max(started + (number + 1) * pause_s - time.monotonic(), 0))
    return committed


def _subscribe(
    bootstrap: str, seen: dict[int, float], ready: threading.Event, stopping: threading.Event
) -> None:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","), enable_auto_commit=False)
    partitions = [TopicPartition("orders-events", number) for number in range(100)]
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)
    ready.set()
    while not stopping.is_set():
        for records in consumer.poll(timeout_ms=100).values():
            at = time.monotonic()
            for record in records:
                _, found, rest = record.value.partition(b'"bench": ')
                if found:
                    seen.setdefault(int(rest.partition(b",")[0].rstrip(b"}")), at)
    consumer.close(autocommit=False)


def main() -> None:
    """Measure and report this part alone."""
    figures, ratios = figures_measure()
    report_write("audit-relay", seed=SEED, samples=ROUNDS, figures=figures, ratios=ratios)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.development")
    worker_main() if sys.argv[1:] == ["worker"] else main()
