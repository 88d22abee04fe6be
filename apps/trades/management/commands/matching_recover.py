"""Recover a partition's books without leading, and explain how."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.matching.leader import hash_text
from apps.matching.recovery import (
    Recovered,
    committed_read,
    engine_recover,
    one_reading,
    orders_recover,
    snapshot_recover,
)
from apps.matching.replay import JournalBroken
from apps.orders.book_state import book_state_load
from apps.trades.worker import engine_make, runner_connect


class Command(BaseCommand):
    help = "Recover a matching partition's books as its next leader would; read only. Exit 1 if it could not."

    def add_arguments(self, parser: CommandParser) -> None:
        known = settings.MATCHING_PARTITIONS
        parser.add_argument("--partition", type=int, default=known[0], choices=known, help="0 unless given")
        parser.add_argument(
            "--explain", action="store_true", help="go both roads, say each step, and compare the books"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        number, folder = options["partition"], settings.MATCHING_SNAPSHOT_DIR
        try:
            with runner_connect() as connection, one_reading(connection) as cursor:
                if options["explain"]:
                    self._explain(cursor, number)
                    return
                recovered = engine_recover(cursor, number, engine_make, book_state_load, folder)
        except (JournalBroken, RuntimeError, ValueError) as error:
            raise CommandError(f"Partition {number} cannot be recovered: {error}") from error
        self._result_write(recovered)

    def _explain(self, cursor: Any, number: int) -> None:
        committed = committed_read(cursor, number)
        self.stdout.write(
            f"partition {number}: epoch {committed.epoch}, committed to {committed.seq:,}, "
            f"the leader's last hash {committed.state_hash or '-'} is of {committed.hash_seq:,}"
        )
        by_snapshot = self._road(
            "from a snapshot and the journal",
            partial(snapshot_recover, cursor, number, engine_make, settings.MATCHING_SNAPSHOT_DIR, committed),
        )
        by_orders = self._road(
            "from the open orders",
            partial(orders_recover, cursor, number, engine_make, book_state_load),
        )
        self.stdout.write(
            f"a leader would begin {'from the snapshot' if by_snapshot else 'from the open orders'}"
        )
        assert by_orders is not None
        if by_snapshot and by_snapshot.engine.state_hash() != by_orders.engine.state_hash():
            raise CommandError("The two roads lead to DIFFERENT books.")
        if by_snapshot:
            self.stdout.write("both roads lead to the same books")

    def _road(self, name: str, go: Callable[[], Recovered | None]) -> Recovered | None:
        self.stdout.write(f"{name}:")
        recovered = go()
        if recovered is None:
            self.stdout.write("              there is no good snapshot")
            return None
        for step in recovered.steps:
            self.stdout.write(f"{step.seconds * 1000:>10.1f} ms {step.what}")
        self._result_write(recovered)
        return recovered

    def _result_write(self, recovered: Recovered) -> None:
        engine, total_s = recovered.engine, sum(step.seconds for step in recovered.steps)
        self.stdout.write(
            f"{total_s * 1000:>10.1f} ms in all, from {recovered.source}: {engine.order_count():,} orders at "
            f"sequence {recovered.seq:,}, books hash {hash_text(engine.state_hash())}"
        )
