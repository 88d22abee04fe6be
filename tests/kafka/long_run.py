"""``make test-kafka-long``: a broker killed under load again and again, and one that stays away.

Orders are booked all the while by the production runner on a durable server, the relay's own command carries
their events. Afterwards every record is read back: no gap, no reorder in any key of any topic, repetitions
only of the same event ids; and booking was no slower, nor the relay larger or louder, without a broker.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

from apps.events.topics import event_topics
from apps.primitives.ids import Kind, public_id_decode
from benchmarks.durable import runner_started
from benchmarks.durable_load import orders_queue
from benchmarks.durable_server import Server
from brokerage.env import ROOT
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.support.kafka import KafkaReader

SEED = 20261123
ROUND_COMMANDS = 100
ROUND_S = 0.5
BETWEEN_S = 10.0
"""Of load between two deaths of the broker."""

DRAIN_TIMEOUT_S = 900.0
WARM_UP_ROUNDS = 5
Streams = dict[tuple[str, int], list[int]]


class Load:
    """Crossing orders, booked in rounds at an even pace; how long each took, by what Kafka was doing."""

    def __init__(self, connection: Any, runner: Any) -> None:
        self.connection, self.runner = connection, runner
        self.rounds = 0
        self.took_s: dict[str, list[float]] = defaultdict(list)

    def run(self, name: str, seconds: float, each: Callable[[], None] = lambda: None) -> None:
        """Book rounds for so long; ``each`` is called after every one."""
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            orders_queue(self.connection, f"long-{self.rounds}", ROUND_COMMANDS, "crossing")
            self.took_s[name].append(self.runner.book()["seconds"])
            self.rounds += 1
            each()
            time.sleep(max(began + ROUND_S - time.monotonic(), 0))


class RelayCommand:
    """``manage.py relay --kafka`` as a process, its log and its memory."""

    def __init__(self, env: dict[str, str], log_path: Path) -> None:
        self.log_path = log_path
        self.log = log_path.open("wb")
        command = [sys.executable, "manage.py", "relay", "--kafka"]
        self.process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=self.log, stderr=self.log)

    def memory_mb(self) -> float:
        """Return its resident memory in megabytes; fails when it has ended, which it never may."""
        assert self.process.poll() is None, self.log_path.read_text()[-4000:]
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def log_lines(self) -> int:
        return len(self.log_path.read_bytes().splitlines())

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        self.log.close()


def waiting_count(connection: Any) -> int:
    """Return how many events the relay has not delivered, a million at most."""
    row = connection.execute(
        "SELECT count(*) FROM (SELECT FROM events e, relay_cursors c WHERE c.sink = 'kafka' "
        "AND (e.xact_id, e.id) > (c.xact_id::text::xid8, c.event_id) LIMIT 1000000) AS waiting"
    ).fetchone()
    return int(row[0])


def drained(connection: Any) -> float:
    """Wait until the relay has delivered everything; returns the seconds it took."""
    started = time.monotonic()
    while waiting_count(connection):
        assert time.monotonic() - started < DRAIN_TIMEOUT_S, "the relay does not come to the end"
        time.sleep(0.2)
    return time.monotonic() - started


def streams_wanted(connection: Any) -> Streams:
    """Return the ids of every user's events in every topic, in commit order."""
    wanted: Streams = defaultdict(list)
    sql = "SELECT id, topic, user_id FROM events ORDER BY events.xact_id, events.id"
    for number, topic, user_id in connection.execute(sql):
        for name in event_topics(topic):
            wanted[name, user_id].append(number)
    return wanted


def streams_found(reader: KafkaReader) -> Streams:
    """Return the ids of every key in every topic, in the order of its partition, repetitions and all."""
    found: Streams = defaultdict(list)
    for message in reader.messages():
        number = public_id_decode(Kind.EVENT, UUID(message.value[13:49].decode()))
        found[message.topic, int(message.key)].append(number)
    return found


def streams_judge(wanted: Streams, found: Streams) -> dict[str, int]:
    """Return what is missing, strange, repeated, and how many keys have their events in another order."""
    judged = {"records": 0, "gaps": 0, "strangers": 0, "duplicates": 0, "reorders": 0}
    for where in wanted.keys() | found.keys():
        ids, seen = wanted.get(where, []), found.get(where, [])
        first = list(dict.fromkeys(seen))
        judged["records"] += len(seen)
        judged["duplicates"] += len(seen) - len(first)
        judged["gaps"] += len(set(ids) - set(first))
        judged["strangers"] += len(set(first) - set(ids))
        kept = set(first)
        judged["reorders"] += [number for number in ids if number in kept] != first
    return judged


def bounces_run(kafka: EmbeddedKafka, load: Load, count: int, chance: random.Random) -> None:
    """Kill the broker at random moments of the load, and start it again at once or some seconds later."""
    node = kafka.nodes[0]
    for number in range(count):
        load.run("with Kafka", BETWEEN_S + chance.random())
        node.kill()
        load.run("without Kafka", chance.choice((0.0, 1.0, 4.0)))
        node.start()
        load.run("while Kafka starts", 1.0)
        node.ready_wait()
        print(f"bounce {number + 1} of {count}: the broker answers again", flush=True)


def outage_run(kafka: EmbeddedKafka, load: Load, relay: RelayCommand, seconds: float) -> dict[str, float]:
    """Leave the broker away for so long; returns what that did to the relay."""
    node = kafka.nodes[0]
    node.kill()
    lines, memory = relay.log_lines(), [relay.memory_mb()]
    load.run("without Kafka", seconds, lambda: memory.append(relay.memory_mb()))
    waiting = waiting_count(load.connection)
    lines = relay.log_lines() - lines
    node.start()
    node.ready_wait()
    seconds_to_drain = drained(load.connection)
    return {
        "outage_s": seconds,
        "outage_waiting_events": waiting,
        "outage_drained_s": round(seconds_to_drain, 1),
        "outage_log_lines": lines,
        "outage_relay_growth_mb": round(max(memory) - memory[0], 1),
    }


def long_run(bounces: int, outage_s: float) -> dict[str, Any]:
    """Run everything; returns what is written to the file."""
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="openbell-kafka-long-") as name:
        folder = Path(name)
        with EmbeddedKafka(folder / "kafka") as kafka, Server() as server, server.connect() as connection:
            env = {**server.env("worker"), "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
            lowered = ["--replication", "1", "--i-know-that-fewer-copies-can-be-lost"]
            subprocess.run(
                [sys.executable, "manage.py", "kafka_topics", *lowered], cwd=ROOT, env=env, check=True
            )
            reader, relay = KafkaReader(kafka.bootstrap), RelayCommand(env, folder / "relay.log")
            with runner_started(server) as runner:
                load = Load(connection, runner)
                load.run("warming up", WARM_UP_ROUNDS * ROUND_S)
                print(f"{ROUND_COMMANDS / ROUND_S:.0f} orders a second from here on", flush=True)
                bounces_run(kafka, load, bounces, chance)
                outage = outage_run(kafka, load, relay, outage_s)
            drained(connection)
            relay.end()
            judged = streams_judge(streams_wanted(connection), streams_found(reader))
    booked = {name: median(took) for name, took in load.took_s.items()}
    return {
        "seed": SEED,
        "broker_bounces": bounces,
        **outage,
        "booking_ms_with": round(booked["with Kafka"] * 1000, 1),
        "booking_ms_without": round(booked["without Kafka"] * 1000, 1),
        **judged,
    }


def main() -> int:
    """Run, write, and say whether everything held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bounces", type=int, default=5)
    parser.add_argument("--outage-s", type=float, default=600.0)
    options = parser.parse_args()
    result = long_run(options.bounces, options.outage_s)
    path = ROOT / "var" / "faults" / "kafka.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    holds = not (result["gaps"] or result["reorders"] or result["strangers"])
    quiet = result["outage_log_lines"] < 20 and result["outage_relay_growth_mb"] < 100
    return 0 if holds and quiet else 1


if __name__ == "__main__":
    sys.exit(main())
