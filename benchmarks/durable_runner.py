"""The production runner in a process of its own: for each line read, do what it says, and tell.

``book`` books until the queue is empty and prints one JSON object: seconds, batches, statements, and the
processor time of both sides. ``serve`` leads as in production until the next line, and prints when it had
committed what: by the machine's monotonic clock, which all processes share.
"""

import json
import select
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import django
import psycopg


class CountingCursor(psycopg.Cursor[Any]):
    """Counts what is sent to the server."""

    statements = 0

    def execute(self, *arguments: Any, **more: Any) -> Any:
        CountingCursor.statements += 1
        return super().execute(*arguments, **more)

    def copy(self, *arguments: Any, **more: Any) -> Any:
        CountingCursor.statements += 1
        return super().copy(*arguments, **more)


def process_cpu_s(pid: int) -> float:
    """Return the processor time of a process of one thread so far, in seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def queue_book(exchange: Any) -> dict[str, float]:
    """Book everything that is queued; returns what it took."""
    backend_pid = exchange.connection.info.backend_pid
    CountingCursor.statements = 0
    wall, cpu, backend = time.perf_counter(), time.process_time(), process_cpu_s(backend_pid)
    batches = exchange.run()
    took = {
        "seconds": time.perf_counter() - wall,
        "python_s": time.process_time() - cpu,
        "backend_s": process_cpu_s(backend_pid) - backend,
        "batches": batches,
        "statements": CountingCursor.statements,
    }
    # The server keeps its row counts to itself for some seconds unless it is asked for them.
    exchange.connection.execute("SELECT pg_stat_force_next_flush()")
    return took


def commands_serve(exchange: Any) -> dict[str, list[float]]:
    """Take what comes, woken as in production, until something can be read; returns when commits had come."""
    runner, commits = exchange.runner, []
    tell = runner.ports.tell

    def committed(*arguments: Any) -> None:
        commits.append(time.monotonic())
        tell(*arguments)

    runner.ports = replace(runner.ports, tell=committed)
    while not select.select([sys.stdin], [], [], 0)[0]:
        runner.turn(exchange.connection)
    runner.ports = replace(runner.ports, tell=tell)
    return {"commits": commits}


def main() -> None:
    """Lead, then serve the lines of standard input until it ends."""
    django.setup()
    from tests.support.matching import Exchange

    acts = {"book": queue_book, "serve": commands_serve}
    exchange = Exchange()
    exchange.connection.cursor_factory = CountingCursor
    with exchange:
        print("ready", flush=True)
        while line := sys.stdin.readline():
            print(json.dumps(acts[line.strip()](exchange)), flush=True)


if __name__ == "__main__":
    main()
