"""The reconciler: silent on a traded book, and each check speaks when its break is planted."""

import json
import time
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.events.facts import SYSTEM
from apps.marketdata.tape import FRAME_INTERVAL_S
from apps.operations.services import reconcile_depth
from apps.operations.services.busting import trade_bust
from apps.operations.services.reconcile import CHECKS, reconcile_run
from apps.operations.services.reconcile_depth import depth_reconcile
from apps.trades.models import Trade
from tests.operations.conftest import TradedBook
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)


def broken_names() -> set[str]:
    return {result.name for result in reconcile_run() if not result.is_whole}


@pytest.fixture
def sabotage(traded: TradedBook) -> Iterator[None]:
    """Books that a test may break: they are emptied before anybody checks them."""
    yield
    from tests.conftest import database_empty

    database_empty("default")


def plant(statement: str) -> None:
    """Run a statement with every trigger and foreign key asleep."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            cursor.execute(statement)
            assert cursor.rowcount > 0, "nothing was broken"
        finally:
            cursor.execute("SET session_replication_role = origin")


def test_a_traded_book_is_whole(traded: TradedBook) -> None:
    results = reconcile_run()
    assert [result.name for result in results] == [check.name for check in CHECKS]
    assert not broken_names()


def test_an_empty_book_is_whole(market: None) -> None:
    assert not broken_names()


def test_a_replacement_in_the_queue_is_no_break(traded: TradedBook) -> None:
    traded.seller.replace(traded.working, price="104.00")
    assert not broken_names()


BREAKS = [
    ("I1.entries", "UPDATE transactions SET amount = amount + 1 WHERE transaction_type = 'TRADE_BUY'"),
    ("I1.entries", "DELETE FROM transactions WHERE transaction_type = 'TRADE_SELL'"),
    ("I1.cash", "UPDATE accounts SET cash_balance = cash_balance + 0.01 WHERE cash_balance > 0"),
    ("I1.unsettled", "UPDATE accounts SET unsettled_cash = 0 WHERE unsettled_cash > 0"),
    ("I1.unsettled", "UPDATE trades SET settlement_status = 'SETTLED'"),
    ("I2.issued", "UPDATE positions SET quantity = quantity + 1 WHERE symbol = 'AAPL'"),
    ("I2.issued", "DELETE FROM share_issues WHERE symbol = 'MSFT'"),
    (
        "I2.positions",
        "UPDATE positions SET quantity = quantity + CASE WHEN quantity > 100 THEN 1 ELSE -1 END",
    ),
    ("I2.holds", "UPDATE live_orders SET held_shares = 100000 WHERE held_shares > 0"),
    ("I3.cash", "UPDATE live_orders SET held_cash = 10000000 WHERE held_cash > 0"),
    ("I4.fills", "UPDATE orders SET filled_quantity = filled_quantity - 1 WHERE status = 'PARTIALLY_FILLED'"),
    ("I4.fills", "UPDATE orders SET filled_value = filled_value + 1 WHERE filled_quantity > 0"),
    ("I4.fills", "UPDATE trades SET buy_order_id = 1"),
    ("I4.live", "DELETE FROM live_orders"),
    ("I4.live", "UPDATE orders SET status = 'CANCELLED' WHERE status = 'NEW'"),
    (
        "I4.live",
        "INSERT INTO live_orders (order_id, account_id, user_id, symbol, status, remaining) "
        "VALUES (1, 1, 1, 'AAPL', 'NEW', 1)",
    ),
    ("I4.holds", "UPDATE live_orders SET remaining = remaining + 1"),
    ("I4.holds", "UPDATE live_orders SET held_cash = held_cash - 0.01 WHERE held_cash > 0"),
    ("I4.holds", "UPDATE live_orders SET status = 'PENDING'"),
    ("I7.ledger", "DELETE FROM transactions WHERE transaction_type LIKE 'TRADE%'"),
    ("I7.ledger", "DELETE FROM trades"),
    ("I7.events", "DELETE FROM events WHERE event_type = 'TRADE_EXECUTED' AND data ->> 'side' = 'BUY'"),
    (
        "I7.events",
        "UPDATE events SET data = data || '{\"side\": \"BUY\"}' WHERE event_type = 'TRADE_EXECUTED'",
    ),
    ("I7.executions", "UPDATE trades SET match_seq = 1, match_n = 0"),
    ("I7.journal", "DELETE FROM matching_journal WHERE seq = (SELECT match_seq FROM trades LIMIT 1)"),
    ("I10.journal", "DELETE FROM matching_journal WHERE seq = 2"),
    ("I10.journal", "UPDATE matching_leader SET seq = seq + 1"),
    ("I10.epochs", "UPDATE matching_journal SET epoch = epoch + 1 WHERE seq = 3"),
    ("I10.epochs", "UPDATE matching_leader SET epoch = 0"),
    ("I6.limits", "UPDATE trades SET price = price + 10"),
    ("I6.limits", "UPDATE trades SET price = price - 10"),
    ("I6.ticks", "UPDATE trades SET price = price + 0.005"),
    ("I9.placed", "DELETE FROM orders WHERE status = 'NEW'"),
    ("I13.client_ids", "UPDATE order_client_keys SET order_id = 1 WHERE client_order_id = 'bid-1'"),
    ("I13.client_ids", "UPDATE orders SET client_order_id = 'bid-1' WHERE client_order_id = 'ask-1'"),
    ("I14.owners", "UPDATE trades SET buyer_id = seller_id"),
    ("I14.owners", "UPDATE orders SET user_id = user_id + 1000 WHERE status = 'NEW'"),
    ("I14.owners", "UPDATE events SET user_id = user_id + 1000 WHERE event_type = 'ORDER_FILLED'"),
    ("I8.crossed", "UPDATE orders SET price = 150 WHERE side = 'BUY' AND status = 'NEW'"),
    ("I8.resting", "UPDATE orders SET time_in_force = 'IOC' WHERE status = 'NEW'"),
]


BUST_BREAKS = [
    ("I7.busts", "DELETE FROM transactions WHERE transaction_type = 'TRADE_BUST' AND amount > 0"),
    ("I7.busts", "UPDATE transactions SET amount = amount * 2 WHERE transaction_type = 'TRADE_BUST'"),
    ("I7.busts", "UPDATE transactions SET amount = -amount WHERE transaction_type = 'TRADE_BUST'"),
    ("I7.busts", "DELETE FROM events WHERE event_type = 'TRADE_BUSTED' AND data ->> 'side' = 'SELL'"),
    ("I7.busts", "UPDATE trades SET settlement_status = 'BUSTED' WHERE settlement_status = 'PENDING'"),
    ("I7.busts", "UPDATE trades SET settlement_status = 'PENDING' WHERE settlement_status = 'BUSTED'"),
    ("I2.positions", "UPDATE trades SET settlement_status = 'PENDING' WHERE settlement_status = 'BUSTED'"),
    ("I1.unsettled", "UPDATE trades SET settlement_status = 'PENDING' WHERE settlement_status = 'BUSTED'"),
]


@pytest.fixture
def busted(traded: TradedBook) -> None:
    """One of two trades was taken back."""
    trade_bust(trade_id=Trade.objects.order_by("trade_id")[0].trade_id, reason="By mistake", origin=SYSTEM)


def test_a_book_with_a_busted_trade_is_whole(busted: None) -> None:
    assert not broken_names()


@pytest.mark.parametrize(("name", "statement"), BUST_BREAKS)
def test_each_check_of_busts_finds_its_planted_break(
    busted: None, sabotage: None, name: str, statement: str
) -> None:
    plant(statement)
    assert name in broken_names()


GROUP_BREAKS = [
    ("I4.legs", "UPDATE live_orders SET held_shares = 0 WHERE status = 'HELD' AND held_shares > 0"),
    ("I4.legs", "UPDATE live_orders SET held_shares = 5 WHERE trigger_price IS NOT NULL"),
    ("I4.groups", "UPDATE live_orders SET group_id = NULL WHERE status = 'NEW' AND group_id IS NOT NULL"),
    ("I4.groups", "DELETE FROM live_orders WHERE status <> 'HELD' AND group_id IS NOT NULL"),
    ("I4.groups", "UPDATE live_orders SET trigger_price = 50 WHERE trigger_price IS NOT NULL"),
    ("I4.groups", "UPDATE live_orders SET trigger_price = NULL WHERE trigger_price IS NOT NULL"),
    ("I4.groups", "UPDATE orders SET triggered_at = now() WHERE status = 'HELD' AND leg = 'STOP_LOSS'"),
    ("I4.groups", "UPDATE instrument_prices SET last_price = 95 WHERE symbol = 'AAPL'"),
]


@pytest.fixture
def grouped(traded: TradedBook, exchange: Exchange) -> None:
    """A bracket whose entry has bought half, and one whose exits have begun."""
    for quantity, sold in ((10, 10), (10, 5)):
        traded.buyer.group("bracket", quantity, "104.00", "95.00", price="100.00", time_in_force="gtc")
        traded.seller.sell(sold, "100.00")
        exchange.run()


def test_groups_that_wait_and_work_are_whole(grouped: None) -> None:
    assert not broken_names()


@pytest.mark.parametrize(("name", "statement"), GROUP_BREAKS)
def test_each_check_of_groups_finds_its_planted_break(
    grouped: None, sabotage: None, name: str, statement: str
) -> None:
    plant(statement)
    assert name in broken_names()


@pytest.mark.parametrize(("name", "statement"), BREAKS)
def test_each_check_finds_its_planted_break(sabotage: None, name: str, statement: str) -> None:
    plant(statement)
    assert name in broken_names()


def test_every_check_has_a_planted_break() -> None:
    # The table's own constraints make a negative position or hold impossible to plant.
    assert {check.name for check in CHECKS} - {name for name, _ in BREAKS + BUST_BREAKS + GROUP_BREAKS} == {
        "I3.shares",
        "I7.relay",
    }


def test_negative_shares_are_found_when_even_the_constraint_is_gone(sabotage: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE positions DROP CONSTRAINT positions_not_short")
        cursor.execute("UPDATE positions SET quantity = -1 WHERE symbol = 'MSFT'")
        assert "I3.shares" in broken_names()
        cursor.execute("UPDATE positions SET quantity = 50 WHERE symbol = 'MSFT'")
        cursor.execute(
            "ALTER TABLE positions ADD CONSTRAINT positions_not_short "
            "CHECK (quantity >= 0 AND average_cost >= 0)"
        )


def test_a_halted_book_may_be_crossed(sabotage: None) -> None:
    plant("UPDATE orders SET price = 150 WHERE side = 'BUY' AND status = 'NEW'")
    plant("UPDATE instruments SET halted = true")
    assert "I8.crossed" not in broken_names()


def test_the_command_shows_the_broken_rows_and_exits_with_1(
    sabotage: None, traded: TradedBook, capsys: pytest.CaptureFixture[str]
) -> None:
    plant("UPDATE accounts SET cash_balance = cash_balance + 0.01 WHERE cash_balance > 50000")
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile")
    assert ended.value.code == 1
    shown = capsys.readouterr().out
    assert f"I1.cash: account_id={traded.buyer.account_id}" in shown
    assert "I1.cash         BROKEN" in shown


def test_the_published_depth_is_that_of_the_open_orders(
    sabotage: None, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_depth, "ATTEMPTS_MAX", 2)
    time.sleep(FRAME_INTERVAL_S)
    exchange.runner.ports.announce(exchange.runner.engine, exchange.runner.symbols)
    assert depth_reconcile().is_whole
    plant("UPDATE live_orders SET remaining = remaining + 1")
    assert [row["symbol"] for row in depth_reconcile().broken] == ["AAPL"]


def test_the_command_takes_checks_by_name_and_speaks_json(traded: TradedBook) -> None:
    out = StringIO()
    call_command("reconcile", "--check", "i4", "--json", stdout=out)
    rows = json.loads(out.getvalue())
    assert [row["check"] for row in rows] == ["I4.fills", "I4.live", "I4.holds", "I4.legs", "I4.groups"]
    assert all(row["broken"] == [] for row in rows)
    with pytest.raises(CommandError, match="There is no check I99"):
        call_command("reconcile", "--check", "I99")
