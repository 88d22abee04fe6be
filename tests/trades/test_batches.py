"""A batch is booked by sets: a few statements, whatever its size."""

import itertools
import re
from collections.abc import Callable
from typing import Any, ClassVar

import psycopg
import pytest

from apps.accounts.locks import GATE_BOOKING_SQL
from apps.matching.heartbeat import STANDBYS_SQL
from apps.matching.queue import PLANS_SQL
from apps.matching.runner import BEGIN_SQL, COMMIT_SQL, _commit
from apps.matching.standby import SYMBOLS_SQL, TIME_SQL
from apps.orders.models import LiveOrder, Order
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from apps.trades.rehearsal import STATEMENTS, runner_rehearse
from tests.support.builders import Trader
from tests.support.matching import Exchange


class CountingCursor(psycopg.Cursor[Any]):
    """Notes what is sent to the server."""

    sent: ClassVar[list[str]] = []

    def execute(self, *arguments: Any, **more: Any) -> Any:
        self.sent.append(arguments[0])
        return super().execute(*arguments, **more)

    def copy(self, *arguments: Any, **more: Any) -> Any:
        self.sent.append(arguments[0])
        return super().copy(*arguments, **more)


def statements_of(exchange: Exchange) -> int:
    """Book what is queued as one batch; return how many statements it took."""
    CountingCursor.sent.clear()
    assert exchange.runner.step(exchange.connection)
    return len(CountingCursor.sent)


def test_forty_orders_take_as_many_statements_as_four(
    exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    exchange.connection.cursor_factory = CountingCursor
    ada, bob = trader(cash="90000.00"), trader(shares={"AAPL": 90})
    taken = []
    for pairs in (1, 2, 20):
        for _ in range(pairs):
            bob.sell(1, price="100.00")
            ada.buy(1, price="100.00")
        taken.append(statements_of(exchange))
    assert taken[1] == taken[2], "statements grow with the batch"
    assert taken[0] == taken[1] + 1, "the session's plans are set once, before the first batch"
    assert ada.shares() == 23


def test_a_standby_has_rehearsed_all_that_a_first_batch_asks(
    exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    runner_rehearse(exchange.connection)
    exchange.connection.cursor_factory = CountingCursor
    ada, bob = trader(cash="90000.00"), trader(shares={"AAPL": 90})
    for _ in range(3):
        bob.sell(2, price="100.00")
        ada.buy(1, price="100.00")
    statements_of(exchange)
    asked = set(CountingCursor.sent) - {PLANS_SQL, BEGIN_SQL, GATE_BOOKING_SQL, COMMIT_SQL}
    assert len(asked) > 15
    assert asked <= set(STATEMENTS), "a first batch would wait while the server plans this"
    assert (ada.shares(), bob.shares()) == (3, 87), "the rehearsal itself did nothing"


def test_no_statement_of_a_batch_reads_a_whole_table_or_compares_all_with_all(exchange: Exchange) -> None:
    # What is asked once, when a leader begins, may read the few books of its partition.
    begun = (STANDBYS_SQL, SYMBOLS_SQL, TIME_SQL)
    asked = [sql for sql in STATEMENTS if sql not in begun and not sql.lstrip().startswith("COPY")]
    with exchange.connection.transaction(), exchange.connection.cursor() as cursor:
        cursor.execute(PLANS_SQL.replace("SET ", "SET LOCAL "))
        for sql in asked:
            cursor.execute(f"EXPLAIN (GENERIC_PLAN) {_numbered(sql)}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan" not in plan and "Join Filter" not in plan, plan


def _numbered(sql: str) -> str:
    """Return a statement with the server's own names of its parameters."""
    names: dict[str, int] = {}
    sql = re.sub(r"%\((\w+)\)s", lambda m: f"${names.setdefault(m[1], len(names) + 1)}", sql)
    places = itertools.count(1)
    return re.sub(r"%s", lambda _: f"${next(places)}", sql)


def test_orders_that_only_rest_are_written_with_their_places_in_time(
    exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    ada = trader(cash="90000.00")
    orders = [ada.buy(1, price=price) for price in ("90.00", "91.00", "92.00")]
    exchange.run()
    assert {ada.order(order).status for order in orders} == {"NEW"}
    places = [LiveOrder.objects.get(pk=order.order_id) for order in orders]
    assert [place.status for place in places] == ["NEW"] * 3
    assert 0 < places[0].priority < places[1].priority < places[2].priority
    rebuilt = exchange.rebuilt()
    assert rebuilt.state_hash() == exchange.runner.engine.state_hash()


def test_a_batch_that_breaks_in_the_middle_of_its_writing_leaves_nothing(
    exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    ada, bob = trader(cash="90000.00"), trader(shares={"AAPL": 90})
    rests, sold = ada.buy(1, price="90.00"), bob.sell(1, price="100.00")
    ada.buy(1, price="100.00")
    failpoints_arm("booking.mid_write=raise")
    try:
        with pytest.raises(FailpointHit):
            exchange.run()
    finally:
        failpoints_arm("")
    exchange.connection.execute("ROLLBACK")
    assert {ada.order(rests).status, bob.order(sold).status} == {"PENDING"}
    assert ada.shares() == 0 and bob.shares() == 90
    assert Order.objects.exclude(status="PENDING").count() == 0


@pytest.mark.parametrize("way", ["", "runner.commit_sent=sleep:1"])
def test_a_commit_that_the_server_answers_by_rolling_back_is_no_commit(exchange: Exchange, way: str) -> None:
    """Whatever swallowed the refusal before it: the server says ROLLBACK, and the leader ends."""
    session = exchange.connection
    session.execute(BEGIN_SQL)
    with pytest.raises(psycopg.errors.DivisionByZero):
        session.execute("SELECT 1 / 0")
    failpoints_arm(way)
    try:
        with pytest.raises(psycopg.InternalError, match="ROLLBACK"):
            _commit(session)
    finally:
        failpoints_arm("")
