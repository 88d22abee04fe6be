"""``python -m brokerage.supervisor.kafka_cli up | down``: a Kafka for development, in the background."""

import argparse
import sys
from collections.abc import Sequence

from brokerage.env import Environment, EnvironmentInvalid, environment_read
from brokerage.supervisor.errors import SupervisorError
from brokerage.supervisor.kafka import EmbeddedKafka
from brokerage.supervisor.ports import port_is_free
from brokerage.supervisor.screen import say

PORT = 19_092
"""Where a single node listens, so that its address need not be asked for."""

UP_TEXT = """\
Kafka is ready at {bootstrap}, {what}; its data is in {folder}.
  make the topics:     KAFKA_BOOTSTRAP_SERVERS={bootstrap} .venv/bin/python manage.py kafka_topics{lowered}
  compare them:        the same with --check
  start the platform:  KAFKA_BOOTSTRAP_SERVERS={bootstrap} make run   (after `make down`, if it runs)
  stop Kafka:          make kafka-down"""


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m brokerage.supervisor.kafka_cli", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="one broker, or three")
    options = parser.parse_args(arguments)
    try:
        environment = environment_read("supervisor")
        return up(environment, options.nodes) if options.command == "up" else down(environment)
    except (EnvironmentInvalid, SupervisorError) as error:
        say(str(error), is_error=True)
        return 1


def up(environment: Environment, node_count: int) -> int:
    """Start the brokers, which outlive this command, and say how to use them."""
    cluster = _cluster(environment, node_count)
    if not all(node.is_running() for node in cluster.nodes):
        cluster.kill()
        cluster.start(outlives_us=True)
    what = "one broker" if node_count == 1 else f"{node_count} brokers"
    lowered = " --replication 1 --i-know-that-fewer-copies-can-be-lost" if node_count == 1 else ""
    say(UP_TEXT.format(bootstrap=cluster.bootstrap, what=what, folder=cluster.folder, lowered=lowered))
    return 0


def down(environment: Environment) -> int:
    """Stop every broker that was started here."""
    for node_count in (1, 3):
        cluster = _cluster(environment, node_count)
        if any(node.is_running() for node in cluster.nodes):
            cluster.stop()
            say(f"Kafka at {cluster.bootstrap} has stopped.")
    return 0


def _cluster(environment: Environment, node_count: int) -> EmbeddedKafka:
    """Return the cluster of that size; each has a folder of its own, since a quorum knows its members."""
    folder = environment.var / "kafka" / ("one" if node_count == 1 else "three")
    is_new = not (folder / "ports.json").exists()
    port = PORT if node_count == 1 and is_new and port_is_free(PORT) else None
    return EmbeddedKafka(folder, node_count=node_count, port=port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
