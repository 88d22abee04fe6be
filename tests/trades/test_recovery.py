"""A market of every order type, in every phase: whenever it is rebuilt, its books have the same hash."""

import random
import time
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from apps.events.facts import SYSTEM
from apps.matching.codes import COMMAND_DTYPE, Mode, Phase
from apps.matching.leader import leadership_hash
from apps.matching.native import NativeEngine
from apps.matching.recovery import (
    OPEN_ORDERS,
    SNAPSHOT,
    Recovered,
    committed_read,
    engine_recover,
    one_reading,
    orders_recover,
    snapshot_recover,
)
from apps.matching.replay import JournalBroken, journal_check, journal_chunks
from apps.matching.snapshots import Snapshotter, snapshots_list
from apps.operations.services.controls import symbol_bands, symbol_mode, symbol_phase
from apps.orders.book_state import book_state_load
from apps.orders.models import Order
from apps.orders.selectors import order_list
from apps.primitives.errors import BrokerageError
from apps.trades.worker import engine_make, runner_connect
from tests.support.books import books_problems
from tests.support.builders import Trader, trader_open
from tests.support.databases import tampered
from tests.support.matching import Exchange

ACTS = 250
PHASES = (
    Phase.CONTINUOUS,
    Phase.PRE_OPEN,
    Phase.OPENING_AUCTION,
    Phase.PAUSED,
    Phase.CLOSING_AUCTION,
    Phase.CLOSED,
)


class Crowd:
    """Traders who do something sensible or not at random, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.traders = [trader_open(cash="200000.00", shares={"AAPL": 2_000}) for _ in range(4)]
        self.acts: list[tuple[int, Callable[[Trader], object]]] = [
            (25, self.limit),
            (8, self.market),
            (8, self.stop),
            (6, self.stop_limit),
            (8, self.trail),
            (8, self.auction),
            (6, self.bracket),
            (5, self.pair),
            (4, self.oto),
            (8, self.cancel),
            (14, self.replace),
            (3, self.phase),
            (1, self.mode),
            (1, self.bands),
        ]

    def act(self) -> None:
        """Let somebody do something; a refusal is part of the story."""
        weights = [weight for weight, _ in self.acts]
        act = self.chance.choices([act for _, act in self.acts], weights)[0]
        try:
            act(self.chance.choice(self.traders))
        except BrokerageError:
            pass

    def price(self, low: int = 94, high: int = 106) -> str:
        return f"{self.chance.randint(low * 20, high * 20) / 20:.2f}"

    @property
    def side(self) -> str:
        return self.chance.choice(("buy", "sell"))

    @property
    def size(self) -> int:
        return self.chance.randint(1, 12)

    def limit(self, trader: Trader) -> None:
        times = ("day", "gtc", "gtc", "ioc", "fok")
        trader.submit(
            self.side, self.size, price=self.price(97, 103), time_in_force=self.chance.choice(times)
        )

    def market(self, trader: Trader) -> None:
        trader.submit(self.side, self.size)

    def stop(self, trader: Trader) -> None:
        trader.stop(self.side, self.size, self.price())

    def stop_limit(self, trader: Trader) -> None:
        trader.stop(self.side, self.size, self.price(), self.price())

    def trail(self, trader: Trader) -> None:
        kind = self.chance.choice(({"trail_price": "1.50"}, {"trail_percent": "1.2345"}))
        trader.trail(self.side, self.size, **kind)

    def auction(self, trader: Trader) -> None:
        price = self.chance.choice((None, self.price(97, 103)))
        trader.submit(self.side, self.size, price=price, time_in_force=self.chance.choice(("opg", "cls")))

    def bracket(self, trader: Trader) -> None:
        limit = self.chance.choice((None, "100.00", "99.50"))
        limits = {"price": limit, "stop_limit": self.chance.choice((None, "98.00"))}
        trader.group("bracket", self.size, self.price(101, 103), self.price(97, 99), **limits)

    def pair(self, trader: Trader) -> None:
        trader.group("oco", self.size, self.price(101, 103), self.price(97, 99), time_in_force="gtc")

    def oto(self, trader: Trader) -> None:
        exit_at = self.chance.choice(((self.price(101, 103), None), (None, self.price(97, 99))))
        trader.group("oto", self.size, *exit_at)

    def cancel(self, trader: Trader) -> None:
        if orders := order_list(trader.account_id):
            trader.cancel(self.chance.choice(orders))

    def replace(self, trader: Trader) -> None:
        if not (orders := order_list(trader.account_id)):
            return
        order = self.chance.choice(orders)
        asked: dict[str, str | None] = {}
        if order.order_type in ("LIMIT", "STOP_LIMIT") and self.chance.random() < 0.6:
            asked["price"] = self.price(96, 104)
        if order.order_type in ("STOP", "STOP_LIMIT") and self.chance.random() < 0.5:
            asked["stop"] = self.price()
        if order.order_type == "TRAIL" and self.chance.random() < 0.5:
            asked["trail"] = "2.00"
        smaller = order.quantity - 1 if self.chance.random() < 0.5 else None
        trader.replace(order, quantity=smaller, **asked)

    def phase(self, trader: Trader) -> None:
        phase = self.chance.choice(PHASES)
        symbol_phase(symbol="AAPL", phase=phase, reason="part of the story", origin=SYSTEM)
        if phase is not Phase.CONTINUOUS and self.chance.random() < 0.8:
            for _ in range(self.chance.randint(0, 8)):
                self.act()
            symbol_phase(symbol="AAPL", phase=Phase.CONTINUOUS, reason="on we go", origin=SYSTEM)

    def mode(self, trader: Trader) -> None:
        symbol_mode(symbol="AAPL", mode=Mode.REDUCE_ONLY, reason="part of the story", origin=SYSTEM)
        for _ in range(5):
            self.act()
        symbol_mode(symbol="AAPL", mode=Mode.OPEN, reason="on we go", origin=SYSTEM)

    def bands(self, trader: Trader) -> None:
        lower, upper = self.chance.choice(((None, None), (Decimal("97.00"), Decimal("103.00"))))
        symbol_bands(symbol="AAPL", lower=lower, upper=upper, reason="part of the story", origin=SYSTEM)


@pytest.mark.parametrize("seed", range(6))
def test_books_rebuilt_on_either_road_are_the_books_that_were(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int
) -> None:
    monkeypatch.setattr("apps.orders.services.plan.auction_entry_check", lambda *_: None)
    monkeypatch.setattr("apps.orders.services.replacement.auction_entry_check", lambda *_: None)
    crowd, runner, snapshotter = Crowd(seed), exchange.runner, Snapshotter(tmp_path, 0)
    for number in range(ACTS):
        crowd.act()
        if crowd.chance.random() < 0.5:
            continue
        runner.step(exchange.connection)
        if not snapshots_list(tmp_path, 0) or crowd.chance.random() < 0.1:
            snapshot_keep(exchange, snapshotter)
        rebuilt = roads_go(exchange, tmp_path)
        hashes = [recovered.engine.state_hash() for recovered in rebuilt]
        assert hashes == [runner.engine.state_hash()] * 2, f"after act {number}"
        if number % 3:
            runner.engine = rebuilt[number % 2].engine
        if number % 25 == 0:
            assert books_problems() == []
    exchange.run()
    assert books_problems() == []
    assert {recovered.engine.state_hash() for recovered in roads_go(exchange, tmp_path)} == {
        runner.engine.state_hash()
    }
    assert Order.objects.filter(filled_quantity__gt=0).exists()
    assert Order.objects.filter(triggered_at__isnull=False).exists()
    call_command("matching_replay", verbosity=0, stdout=StringIO())


def snapshot_keep(exchange: Exchange, snapshotter: Snapshotter) -> None:
    """Take a snapshot and leave its hash, as a leader does between two batches."""
    leadership = exchange.runner.leadership
    state_hash = snapshotter.take(exchange.runner.engine, leadership.epoch, leadership.seq)
    snapshotter.wait()
    assert state_hash is not None
    with exchange.connection.cursor() as cursor:
        leadership_hash(cursor, leadership, state_hash)


def roads_go(exchange: Exchange, folder: Path) -> list[Recovered]:
    """Recover from the snapshots in a folder, and from the open orders."""
    with one_reading(exchange.connection) as cursor:
        by_snapshot = snapshot_recover(cursor, 0, engine_make, folder, committed_read(cursor, 0))
        by_orders = orders_recover(cursor, 0, engine_make, book_state_load)
    assert by_snapshot is not None
    assert (by_snapshot.source, by_orders.source) == (SNAPSHOT, OPEN_ORDERS)
    assert by_snapshot.seq == by_orders.seq == exchange.runner.leadership.seq
    return [by_snapshot, by_orders]


def test_a_leader_keeps_snapshots_as_it_goes_and_the_next_begins_from_one(
    market: None, settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MATCHING_SNAPSHOT_DIR = tmp_path
    caplog.set_level("INFO")
    trader = trader_open(cash="200000.00")
    with Exchange() as exchange:
        trader.buy(1, "90.00")
        deadline = time.monotonic() + 20
        while not snapshots_list(tmp_path, 0) and time.monotonic() < deadline:
            exchange.runner.turn(exchange.connection)
        trader.buy(1, "91.00")
        exchange.run()
        books = exchange.runner.engine.state_hash()
    assert [path.stem for path in snapshots_list(tmp_path, 0)] == ["1-1"]
    with Exchange() as following:
        assert following.runner.leadership.epoch == 2
        assert following.runner.engine.state_hash() == books
    assert "is warm at seq 2, from snapshot" in caplog.text


@pytest.fixture
def story(exchange: Exchange, tmp_path: Path) -> Exchange:
    """Ten resting orders, a snapshot, ten more, another snapshot, and a tail of ten."""
    trader, snapshotter = trader_open(cash="200000.00"), Snapshotter(tmp_path, 0)
    for number in range(30):
        if number in (10, 20):
            exchange.run()
            snapshot_keep(exchange, snapshotter)
        trader.buy(1, f"{80 + number / 10:.2f}")
    exchange.run()
    assert [path.stem for path in snapshots_list(tmp_path, 0)] == ["1-20", "1-10"]
    return exchange


def recover(exchange: Exchange, folder: Path) -> Recovered:
    with one_reading(exchange.connection) as cursor:
        recovered = engine_recover(cursor, 0, engine_make, book_state_load, folder)
    assert recovered.seq == 30
    assert recovered.engine.state_hash() == exchange.runner.engine.state_hash()
    return recovered


def told(recovered: Recovered) -> list[str]:
    return [step.what for step in recovered.steps]


def test_the_newest_snapshot_and_its_tail_are_used_and_said(story: Exchange, tmp_path: Path) -> None:
    recovered = recover(story, tmp_path)
    assert recovered.source == SNAPSHOT
    assert told(recovered) == [
        "loaded 1-20.snapshot with 20 orders",
        "applied the 10 commands from there to 30",
    ]


def test_a_damaged_snapshot_gives_way_to_the_one_before_and_that_to_the_open_orders(
    story: Exchange, tmp_path: Path
) -> None:
    newest, older = snapshots_list(tmp_path, 0)
    newest.write_bytes(newest.read_bytes()[:-1])
    recovered = recover(story, tmp_path)
    assert told(recovered)[0].startswith("refused 1-20.snapshot: it is ")
    assert told(recovered)[1] == "loaded 1-10.snapshot with 10 orders"
    older.write_bytes(b"")
    assert recover(story, tmp_path).source == OPEN_ORDERS


def test_a_snapshot_beyond_what_is_committed_or_of_another_history_is_not_used(
    story: Exchange, tmp_path: Path
) -> None:
    with tampered("UPDATE matching_leader SET hash_seq = 19", "UPDATE matching_leader SET hash_seq = 20"):
        assert recover(story, tmp_path).source == OPEN_ORDERS
    snapshotter = Snapshotter(tmp_path, 0)
    snapshotter.take(NativeEngine(max_orders=10, max_books=1), 1, 20)
    snapshotter.wait()
    recovered = recover(story, tmp_path)
    assert told(recovered)[0] == "loaded 1-20.snapshot with 0 orders"
    assert "leads to books that hash" in told(recovered)[1]
    assert told(recovered)[2] == "loaded 1-10.snapshot with 10 orders"


BROKEN_TAILS = {
    "gap": ("DELETE FROM matching_journal WHERE seq = 25", "has 26 in place of 25"),
    "end": ("DELETE FROM matching_journal WHERE seq = 30", "ends at 29, but 30 is committed"),
    "order": (
        "UPDATE matching_journal j SET record = k.record FROM matching_journal k WHERE j.seq + k.seq = 45 "
        "AND j.seq IN (22, 23)",
        "record 22 is that of 23",
    ),
    "length": ("UPDATE matching_journal SET record = record || 'x' WHERE seq = 27", "27 has a wrong length"),
}


@pytest.mark.parametrize("kind", BROKEN_TAILS)
def test_a_broken_tail_halts_the_partition_instead_of_a_guess(
    story: Exchange, tmp_path: Path, kind: str
) -> None:
    sql, reason = BROKEN_TAILS[kind]
    keep = "CREATE TABLE kept AS TABLE matching_journal"
    put_back = "DELETE FROM matching_journal; INSERT INTO matching_journal TABLE kept; DROP TABLE kept"
    with tampered(f"{keep}; {sql}", put_back), pytest.raises(JournalBroken, match=reason):
        recover(story, tmp_path)
    assert recover(story, tmp_path).source == SNAPSHOT


def test_a_repetition_in_the_journal_is_no_tail() -> None:
    records = np.zeros(3, dtype=COMMAND_DTYPE)
    records["seq"] = (5, 6, 6)
    rows = [(int(record["seq"]), record.tobytes()) for record in records]
    assert len(journal_check(rows[:2], 0, 4)) == 2
    with pytest.raises(JournalBroken, match="has 6 in place of 7"):
        journal_check(rows, 0, 4)


def test_the_journal_is_read_in_chunks_that_join(story: Exchange) -> None:
    with one_reading(story.connection) as cursor:
        sizes = [len(records) for records in journal_chunks(cursor, 0, 4, 27, chunk=10)]
    assert sizes == [10, 10, 3]


def test_a_recovery_stands_where_its_reading_of_the_database_was(story: Exchange, tmp_path: Path) -> None:
    trader = trader_open(cash="1000.00")
    before = story.runner.engine.state_hash()
    with runner_connect() as session, one_reading(session) as cursor:
        committed_read(cursor, 0)
        trader.buy(1, "70.00")
        story.run()
        recovered = [
            engine_recover(cursor, 0, engine_make, book_state_load, tmp_path),
            orders_recover(cursor, 0, engine_make, book_state_load),
        ]
    assert [each.seq for each in recovered] == [30, 30]
    assert {each.engine.state_hash() for each in recovered} == {before} != {story.runner.engine.state_hash()}


def test_open_orders_that_the_engine_cannot_hold_are_refused_by_name(story: Exchange) -> None:
    change = "SET session_replication_role = replica; UPDATE orders SET price = NULL, collar_price = NULL {}"
    refused = change.format("WHERE price = 81.00")
    undo = "UPDATE orders SET price = 81.00 WHERE price IS NULL"
    with tampered("ALTER TABLE orders DROP CONSTRAINT orders_limit_has_price; " + refused, undo + CHECK_BACK):
        with one_reading(story.connection) as cursor, pytest.raises(ValueError, match="no price"):
            orders_recover(cursor, 0, engine_make, book_state_load)


CHECK_BACK = (
    "; ALTER TABLE orders ADD CONSTRAINT orders_limit_has_price "
    "CHECK (order_type NOT IN ('LIMIT', 'STOP_LIMIT') OR price IS NOT NULL)"
)
