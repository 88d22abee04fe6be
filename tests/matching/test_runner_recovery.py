"""Starting is recovering: the books that the database and the journal know are the books that were."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from django.db import connection, transaction

from apps.matching import recovery
from apps.matching.codes import (
    COMMAND_DTYPE,
    OPEN_ORDER_DTYPE,
    CommandKind,
    Mode,
    OrderFlag,
    OrdType,
    Phase,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from apps.matching.journal import books_settings
from apps.matching.messages import BookState, Command, priority_of
from apps.matching.models import MatchingJournal
from apps.matching.native import NativeEngine
from apps.matching.packing import commands_pack, state_pack
from apps.matching.recovery import books_restore
from apps.matching.services import command_append
from apps.primitives.clock import SystemClock
from tests.matching.test_queue_commands import TRAIL
from tests.support.builders import trader_open
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

NO_ORDERS = np.zeros(0, dtype=OPEN_ORDER_DTYPE)
database = pytest.mark.django_db(transaction=True, databases=DATABASES)


def setting(kind: str, symbol_id: int = 1, **fields: int) -> bytes:
    return commands_pack([Command(kind, "AAPL", symbol_id, **fields)], 1, 0).tobytes()  # type: ignore[arg-type]


def resting(order_id: int, side: Side, price: int, **more: int) -> np.ndarray:
    order = np.zeros(1, dtype=OPEN_ORDER_DTYPE)
    fields = {"ord_type": OrdType.LIMIT, "tif": TimeInForce.GTC, "quantity": 10, **more}
    fields |= {"order_id": order_id, "owner": order_id, "symbol_id": 1, "side": side, "price": price}
    for name, value in fields.items():
        order[name] = value
    return order


def engine() -> NativeEngine:
    return NativeEngine(max_orders=1_000, max_books=10)


def state(*orders: np.ndarray, settings: tuple[bytes, ...] = ()) -> BookState:
    return BookState(list(settings), np.concatenate([NO_ORDERS, *orders]), {1: (1_000_000, 7)})


def test_priority_is_the_command_then_the_event_and_never_overflows() -> None:
    places = [(7, 0), (7, 1), (7, 2**20 - 1), (7, 2**30), (8, 0), (2**42, 5)]
    priorities = [priority_of(seq, n) for seq, n in places]
    assert priorities == sorted(priorities)
    assert priorities[2] == priorities[3] < priorities[4]
    assert max(priorities) < 2**63


def test_every_field_reaches_its_record() -> None:
    phase = Command("PHASE", "AAPL", 1, argument=Phase.CLOSED, price_units=5)
    first, second = commands_pack([TRAIL, phase], 41, 99)
    assert {name: int(first[name]) for name in COMMAND_DTYPE.names or ()} == {
        "seq": 41,
        "order_id": 11,
        "orig_order_id": 12,
        "owner": 13,
        "price": 900_000,
        "stop_price": 1_000_000,
        "quantity": 15,
        "cum_quantity": 0,
        "transact_time_ns": 99,
        "symbol_id": 1,
        "display_quantity": 0,
        "min_quantity": 0,
        "trail": 25_000,
        "kind": CommandKind.NEW,
        "side": Side.SELL,
        "ord_type": OrdType.TRAIL,
        "tif": TimeInForce.GTC,
        "stp": SelfTradePrevention.CANCEL_NEWEST,
        "flags": OrderFlag.TRAIL_PERCENT | OrderFlag.REDUCE_ONLY,
        "argument": 0,
        "reserved": 0,
    }
    assert (second["seq"], second["argument"], second["price"], second["stp"]) == (42, Phase.CLOSED, 5, 0)
    assert len(commands_pack([], 1, 0)) == 0


def test_settings_come_before_orders_so_that_a_closed_book_may_be_crossed() -> None:
    crossed = (resting(1, Side.BUY, 1_010_000), resting(2, Side.SELL, 990_000))
    rebuilt = engine()
    books_restore(rebuilt, state(*crossed, settings=(setting("PHASE", argument=Phase.CLOSED),)))
    assert rebuilt.order_count() == 2
    with pytest.raises(RuntimeError, match="cannot be put back"):
        books_restore(engine(), state(*crossed))


def test_an_empty_partition_needs_no_records() -> None:
    assert len(state_pack(BookState([], NO_ORDERS, {}))) == 0
    books_restore(engine(), BookState([], NO_ORDERS, {}))


def test_many_orders_are_put_back_in_bounded_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Counting(NativeEngine):
        def process(self, commands: np.ndarray) -> np.ndarray:
            sizes.append(len(commands))
            return super().process(commands)

    orders = [resting(n, Side.BUY, 900_000 + 100 * n) for n in range(1, 25)]
    whole = engine()
    books_restore(whole, state(*orders))
    monkeypatch.setattr(recovery, "RESTORE_CHUNK", 10)
    pieces = Counting(max_orders=1_000, max_books=10)
    books_restore(pieces, state(*orders))
    assert sizes == [10, 10, 5]
    assert pieces.state_hash() == whole.state_hash()


@database
def test_each_books_last_settings_are_found_in_the_order_that_puts_them_back(exchange: Exchange) -> None:
    told = [
        Command("PHASE", "AAPL", 1, argument=Phase.HALTED),
        Command("BANDS", "AAPL", 1, price_units=900_000, stop_price_units=1_100_000),
        Command("MODE", "AAPL", 1, argument=Mode.CANCEL_ONLY),
        Command("PHASE", "AAPL", 1, argument=Phase.CLOSED),
        Command("MODE", "MSFT", 2, argument=Mode.REDUCE_ONLY),
        Command("BANDS", "AAPL", 1, price_units=950_000, stop_price_units=1_050_000),
        Command("OPTIONS", "AAPL", 1, argument=1, price_units=100),
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        command_append(cursor, 0, told)
    exchange.run()
    with exchange.connection.cursor() as cursor:
        records = np.frombuffer(b"".join(books_settings(cursor, 0)), dtype=COMMAND_DTYPE)
        assert books_settings(cursor, 1) == []
    found = [(int(r["symbol_id"]), CommandKind(r["kind"]).name, int(r["argument"])) for r in records]
    assert found == [
        (1, "MODE", Mode.CANCEL_ONLY),
        (1, "BANDS", 0),
        (1, "OPTIONS", 1),
        (1, "PHASE", Phase.CLOSED),
        (2, "MODE", Mode.REDUCE_ONLY),
    ]
    assert int(records[1]["price"]) == 950_000
    assert MatchingJournal.objects.count() == len(told)
    before = exchange.runner.engine.state_hash()
    exchange.restart()
    assert exchange.runner.engine.state_hash() == before


@database
def test_settings_are_found_by_the_index_however_long_the_journal(exchange: Exchange) -> None:
    with exchange.connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT record FROM matching_journal WHERE matching_partition = 0 AND symbol = 'AAPL' "
            "AND kind = 'PHASE' AND kind IN ('MODE', 'BANDS', 'OPTIONS', 'PHASE') ORDER BY seq DESC LIMIT 1"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "matching_journal_settings" in plan
    assert "Sort" not in plan


def test_a_snapshot_is_the_same_engine_again_and_a_damaged_one_is_refused() -> None:
    first = engine()
    stop = resting(3, Side.SELL, 900_000, ord_type=OrdType.STOP, stop_price=950_000)
    books_restore(first, state(resting(1, Side.BUY, 990_000), resting(2, Side.SELL, 1_010_000), stop))
    taken = first.snapshot()
    again = NativeEngine.restore(taken, max_orders=1_000, max_books=10)
    assert (again.state_hash(), again.order_count(), again.last_seq()) == (
        first.state_hash(),
        first.order_count(),
        first.last_seq(),
    )
    assert again.book_status(1) == first.book_status(1)
    assert again.book_status(9) is None
    with pytest.raises(ValueError):
        NativeEngine.restore(taken[:-1], max_orders=1_000, max_books=10)


class LateClock(SystemClock):
    """A clock that somebody has set back by an hour."""

    def now(self) -> datetime:
        return super().now() - timedelta(hours=1)


@database
def test_a_clock_that_is_set_back_takes_nothing_earlier_than_what_was_taken_before(market: None) -> None:
    ada = trader_open(cash="1000.00")
    with Exchange() as first:
        ada.buy(1, "10.00")
        first.run()
        first.runner.clock = LateClock()
        ada.buy(1, "10.00")
        first.run()
    with Exchange() as second:
        second.runner.clock = LateClock()
        ada.buy(1, "10.00")
        second.run()
    times = list(MatchingJournal.objects.order_by("seq").values_list("recorded_at", flat=True))
    assert len(times) == 3 and times == sorted(times)
