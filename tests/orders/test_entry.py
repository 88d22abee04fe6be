"""Order entry: accepted durably with its hold, or refused with nothing written."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connections

from apps.accounts.models import AccountStatus
from apps.accounts.services import account_status_change
from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.matching.models import OrderCommand
from apps.orders.models import LiveOrder, Order, OrderClientKey
from apps.primitives.errors import BrokerageError, Conflict, Invalid, NotFound, Refused
from tests.support.builders import Trader, trader_open
from tests.support.matching import matching_url

WRITTEN = (Order, LiveOrder, OrderClientKey, OrderCommand)


def rows_written() -> list[int]:
    return [model.objects.count() for model in WRITTEN]


def test_accepted_order_is_durable_with_hold_command_key_and_event(market: None) -> None:
    ada = trader_open(cash="1000.00")
    order = ada.buy(5, "100.00")
    assert order.status == "PENDING"
    assert rows_written() == [1, 1, 1, 1]
    assert ada.summary.held_cash == Decimal("500.00")
    assert ada.summary.buying_power == Decimal("500.00")
    assert ada.cash == Decimal("1000.00")
    event = Event.objects.get(event_type="ORDER_PLACED")
    assert event.data["order_id"] == str(order.order_id)


def test_second_submit_with_same_client_order_id_is_refused(market: None) -> None:
    ada = trader_open(cash="1000.00")
    first = ada.buy(1, "100.00", client_order_id="mine")
    with pytest.raises(Conflict) as refusal:
        ada.buy(1, "100.00", client_order_id="mine")
    assert refusal.value.details["existing_order_id"] == first.order_id
    assert rows_written() == [1, 1, 1, 1]


def test_two_traders_may_use_the_same_client_order_id(market: None) -> None:
    trader_open(cash="1000.00").buy(1, "100.00", client_order_id="mine")
    trader_open(cash="1000.00").buy(1, "100.00", client_order_id="mine")
    assert Order.objects.count() == 2


REFUSED = [
    ({"side": "buy", "quantity": 11, "price": "100.00"}, Refused),
    ({"side": "buy", "quantity": 10}, Refused),
    ({"side": "sell", "quantity": 4, "price": "100.00"}, Refused),
    ({"side": "buy", "quantity": 1, "price": "100.005"}, Invalid),
    ({"side": "buy", "quantity": 1, "price": "150.00"}, Refused),
    ({"side": "buy", "quantity": 1, "price": "100.00", "symbol": "NOPE"}, NotFound),
]


@pytest.mark.parametrize(("asked", "kind"), REFUSED)
def test_refused_order_leaves_no_row(market: None, asked: dict, kind: type[BrokerageError]) -> None:
    ada = trader_open(cash="1000.00", shares={"AAPL": 3})
    with pytest.raises(kind):
        ada.submit(**asked)
    assert rows_written() == [0, 0, 0, 0]
    assert Event.objects.filter(topic="orders-events").count() == 0
    assert Event.objects.filter(topic="risk-events").count() == (1 if kind is Refused else 0)


def test_suspended_account_cannot_trade_until_it_is_restored(market: None) -> None:
    ada = trader_open(cash="1000.00")
    account_status_change(
        account_id=ada.account_id, status=AccountStatus.SUSPENDED, reason="identity check", origin=SYSTEM
    )
    with pytest.raises(Refused, match="not authorized to trade"):
        ada.buy(1, "100.00")
    account_status_change(
        account_id=ada.account_id, status=AccountStatus.ACTIVE, reason="identity proved", origin=SYSTEM
    )
    assert ada.buy(1, "100.00").status == "PENDING"


def together(count: int, act) -> list[object]:  # type: ignore[no-untyped-def]
    def once(index: int) -> object:
        try:
            return act(index)
        except BrokerageError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=20) as pool:
        return list(pool.map(once, range(count)))


@pytest.mark.parametrize("round_number", range(20))
def test_of_100_orders_at_once_with_cash_for_10_exactly_10_are_accepted(
    market: None, round_number: int
) -> None:
    ada = trader_open(cash="1000.00")
    outcomes = together(100, lambda _: ada.buy(1, "100.00"))
    accepted = [o for o in outcomes if not isinstance(o, BrokerageError)]
    reasons = {o.reason for o in outcomes if isinstance(o, BrokerageError)}
    assert len(accepted) == 10
    assert reasons == {"INSUFFICIENT_BP"}
    assert ada.summary.held_cash == Decimal("1000.00")
    assert rows_written() == [10, 10, 10, 10]


def test_same_shares_cannot_be_sold_twice_at_once(market: None) -> None:
    ada = trader_open(shares={"AAPL": 10})
    outcomes = together(20, lambda _: ada.sell(10, "100.00"))
    assert sum(not isinstance(o, BrokerageError) for o in outcomes) == 1


def test_same_client_order_id_at_once_makes_one_order(market: None) -> None:
    ada = trader_open(cash="100000.00")
    outcomes = together(20, lambda _: ada.buy(1, "100.00", client_order_id="once"))
    kept = [o for o in outcomes if not isinstance(o, BrokerageError)]
    assert len(kept) == 1
    assert all(isinstance(o, Conflict) for o in outcomes if o not in kept)
    assert Order.objects.count() == 1


def test_entry_is_two_messages_and_the_second_is_its_whole_transaction(
    market: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada: Trader = trader_open(cash="1000.00")
    sent: list[str] = []
    original = psycopg.Cursor.execute

    def noted(self: Any, query: Any, *given: Any, **more: Any) -> Any:
        sent.append(str(query).split("(")[0].split()[-1])
        return original(self, query, *given, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    ada.buy(1, "100.00")
    assert sent == ["entry_facts", "entry_write"]


def test_entry_that_waits_for_the_account_sees_what_it_waited_for(market: None) -> None:
    """It decided while the money was free; whoever held the lock has taken it meanwhile."""
    ada = trader_open(cash="1000.00")
    with psycopg.connect(matching_url()) as other, ThreadPoolExecutor(max_workers=1) as pool:
        other.execute("SELECT FROM accounts WHERE account_id = %s FOR NO KEY UPDATE", [ada.account_id])
        waiting = pool.submit(together, 1, lambda _: ada.buy(10, "100.00"))
        _lock_wait(other)
        other.execute("UPDATE accounts SET cash_balance = 999.99 WHERE account_id = %s", [ada.account_id])
        other.commit()
        [outcome] = waiting.result()
        assert isinstance(outcome, Refused)
        assert rows_written() == [0, 0, 0, 0]
        other.execute("UPDATE accounts SET cash_balance = 1000.00 WHERE account_id = %s", [ada.account_id])


def _lock_wait(other: "psycopg.Connection[Any]") -> None:
    """Return once another session waits for a lock that this one holds."""
    waits = "SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    while other.execute(waits).fetchone() is None:
        time.sleep(0.01)


def test_same_shares_cannot_be_promised_to_two_pairs_of_exits_at_once(market: None) -> None:
    ada = trader_open(shares={"AAPL": 10})
    outcomes = together(20, lambda _: ada.group("oco", 10, "104.00", "95.00"))
    assert sum(not isinstance(o, BrokerageError) for o in outcomes) == 1
    assert rows_written() == [2, 2, 2, 1]


def test_group_whose_last_row_fails_leaves_none(market: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = trader_open(cash="1000.00")
    ids = iter(["leg-1", "leg-1"])
    monkeypatch.setattr("apps.orders.services.plan.uuid4", lambda: next(ids, "leg-1"))
    monkeypatch.setattr("apps.orders.services.transaction.ATTEMPTS_MAX", 2)
    with pytest.raises(BrokerageError):
        ada.group("bracket", 5, "104.00", "95.00", price="100.00")
    assert rows_written() == [0, 0, 0, 0]
    assert Event.objects.filter(topic="orders-events").count() == 0


def test_group_with_a_used_client_order_id_is_refused_whole(market: None) -> None:
    ada = trader_open(cash="10000.00")
    ada.group("bracket", 5, "104.00", "95.00", price="100.00", client_order_id="mine")
    with pytest.raises(Conflict):
        ada.group("bracket", 5, "104.00", "95.00", price="100.00", client_order_id="mine")
    assert rows_written() == [3, 3, 3, 1]
