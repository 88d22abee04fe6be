"""What one process of the recovery benchmark does: keep a snapshot with a tail behind it, or recover once.

``python -m benchmarks.recovery_sample keep|snapshot|postgres URL FOLDER`` prints its figures as JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import django
import numpy as np
import psycopg

django.setup()

from apps.matching.codes import CommandKind, ExecType  # noqa: E402
from apps.matching.leader import hash_text  # noqa: E402
from apps.matching.messages import BookState, Command  # noqa: E402
from apps.matching.packing import commands_pack, state_pack  # noqa: E402
from apps.matching.recovery import (  # noqa: E402
    SNAPSHOT,
    Recovered,
    books_restore,
    committed_read,
    engine_recover,
    one_reading,
    orders_recover,
)
from apps.matching.snapshots import Snapshotter  # noqa: E402
from apps.orders.book_state import book_state_load  # noqa: E402
from apps.trades.worker import engine_make  # noqa: E402

TAIL = 5_000
"""A second of commands at the rate that entry is to reach."""

JOURNAL_SQL = """
COPY matching_journal (matching_partition, seq, epoch, command_id, kind, symbol, order_id, record) FROM STDIN
"""
HASH_SQL = "UPDATE matching_leader SET hash_seq = %s, state_hash = %s"


def snapshot_keep(connection: "psycopg.Connection[Any]", folder: Path) -> dict[str, float]:
    """Keep a snapshot of all but the newest orders, whose commands go to the journal; returns its cost."""
    with one_reading(connection) as cursor:
        state, committed = book_state_load(cursor, 0), committed_read(cursor, 0)
    newest = np.argsort(state.open_orders["order_id"])[-TAIL:]
    older = np.delete(state.open_orders, newest)
    engine, snapshotter, seq = engine_make(), Snapshotter(folder, 0), committed.seq - TAIL
    books_restore(engine, BookState(state.settings, older, state.last_prices))
    started = time.perf_counter()
    state_hash = snapshotter.take(engine, committed.epoch, seq)
    copied = time.perf_counter()
    snapshotter.wait()
    written = time.perf_counter()
    assert state_hash is not None
    connection.execute(HASH_SQL, (seq, hash_text(state_hash)))
    _tail_append(connection, state.open_orders[newest], seq + 1)
    return {
        "snapshot_mb": sum(path.stat().st_size for path in (folder / "0").iterdir()) / 1e6,
        "snapshot_copy_ms": (copied - started) * 1000,
        "snapshot_write_ms": (written - copied) * 1000,
    }


def _tail_append(connection: "psycopg.Connection[Any]", orders: np.ndarray, first_seq: int) -> None:
    records = state_pack(BookState([], orders, {}))
    records["kind"], records["seq"] = CommandKind.NEW, np.arange(first_seq, first_seq + len(records))
    with connection.cursor().copy(JOURNAL_SQL) as copy:
        for record in records:
            seq = int(record["seq"])
            copy.write_row((0, seq, 1, seq, "NEW", "S1", int(record["order_id"]), record.tobytes()))


def recovery_time(connection: "psycopg.Connection[Any]", folder: Path, road: str) -> dict[str, Any]:
    """Recover and match one order; returns the time of that, and the hash of the books before the match."""
    started, used = time.perf_counter(), time.process_time()
    recovered = _recover(connection, folder, road)
    recovered_s, used_s = time.perf_counter() - started, time.process_time() - used
    state_hash, orders = recovered.engine.state_hash(), recovered.engine.order_count()
    started = time.perf_counter()
    _first_match(recovered.engine, recovered.seq + 1)
    return {
        "seconds": recovered_s + time.perf_counter() - started,
        "cpu_s": used_s,
        "hash": state_hash,
        "orders": orders,
        "steps": {step.what: round(step.seconds, 3) for step in recovered.steps},
    }


def _recover(connection: "psycopg.Connection[Any]", folder: Path, road: str) -> Recovered:
    with one_reading(connection) as cursor:
        if road == "postgres":
            return orders_recover(cursor, 0, engine_make, book_state_load)
        recovered = engine_recover(cursor, 0, engine_make, book_state_load, folder)
    assert recovered.source == SNAPSHOT
    return recovered


def _first_match(engine: Any, seq: int) -> None:
    taker = Command(
        "NEW",
        "S1",
        1,
        order_id=1,
        account_id=1_000_000,
        side="BUY",
        order_type="LIMIT",
        time_in_force="IOC",
        price_units=1_500_000,
        quantity=1,
    )
    events = engine.process(commands_pack([taker], seq, 0))
    assert (events["exec_type"] == ExecType.TRADE).any()


def main() -> None:
    """Do what the first argument asks, and print the figures."""
    asked, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    with psycopg.connect(url, autocommit=True) as connection:
        if asked == "keep":
            print(json.dumps(snapshot_keep(connection, folder)))
        else:
            print(json.dumps(recovery_time(connection, folder, asked)))


if __name__ == "__main__":
    main()
