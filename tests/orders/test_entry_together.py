"""Entries of several accounts in one message: each fares as if it had gone by itself."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connections

from apps.matching.models import OrderCommand
from apps.orders.models import LiveOrder, Order
from apps.orders.services import transaction
from apps.orders.services.transaction import FactsChanged
from apps.primitives.errors import NotFound, Unavailable
from apps.primitives.gathering import Separately
from tests.support.builders import Trader, trader_open
from tests.support.house import until
from tests.support.matching import matching_url


@pytest.fixture
def entries(market: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Let traders decide on an order each, up to where it would be written; the written part is returned."""

    def decided(*traders: Trader, **more: Any) -> list[Any]:
        found: list[Any] = []
        with monkeypatch.context() as patch:
            patch.setattr(transaction, "_write_together", found.append)
            for trader in traders:
                trader.buy(5, "100.00", **more)
        return found

    return decided


def owners(model: Any) -> list[int]:
    return sorted(model.objects.values_list("account_id", flat=True))


def three() -> tuple[Trader, Trader, Trader]:
    return trader_open(cash="1000.00"), trader_open(cash="1000.00"), trader_open(cash="1000.00")


def test_three_entries_are_written_in_the_order_they_came(entries: Callable[..., list[Any]]) -> None:
    ada, bob, cid = three()
    found = entries(cid, ada, bob)
    assert transaction._write_carry(found) == [True, True, True]
    assert owners(Order) == owners(LiveOrder) == sorted([ada.account_id, bob.account_id, cid.account_id])
    queued = OrderCommand.objects.order_by("command_id").values_list("account_id", flat=True)
    assert list(queued) == [cid.account_id, ada.account_id, bob.account_id]
    assert ada.summary.held_cash == Decimal("500.00")


def test_one_whose_money_is_gone_is_left_out_and_the_others_are_written(
    entries: Callable[..., list[Any]],
) -> None:
    ada, bob, cid = three()
    found = entries(ada, bob, cid)
    bob.buy(6, "100.00")
    assert transaction._write_carry(found) == [True, None, True]
    assert Order.objects.filter(account_id=bob.account_id).count() == 1
    with pytest.raises(FactsChanged):
        transaction._write_alone(found[1])


def test_a_busy_account_keeps_nobody_else_waiting(entries: Callable[..., list[Any]]) -> None:
    ada, bob, cid = three()
    found = entries(ada, bob, cid)
    with psycopg.connect(matching_url()) as other:
        other.execute("SELECT FROM accounts WHERE account_id = %s FOR NO KEY UPDATE", [bob.account_id])
        assert transaction._write_carry(found) == [True, None, True]
    assert transaction._write_alone(found[1])
    assert owners(Order) == sorted([ada.account_id, bob.account_id, cid.account_id])


def test_an_order_of_a_busy_account_waits_by_itself_and_the_others_go_on(market: None) -> None:
    ada, bob, _ = three()

    def bought(trader: Trader) -> Any:
        try:
            return trader.buy(1, "100.00")
        finally:
            connections.close_all()

    with psycopg.connect(matching_url()) as other, ThreadPoolExecutor(max_workers=1) as pool:
        other.execute("SELECT FROM accounts WHERE account_id = %s FOR NO KEY UPDATE", [bob.account_id])
        waiting = pool.submit(bought, bob)
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        until(lambda: other.execute(waits).fetchone(), "the busy account's order waits", 5)
        assert ada.buy(1, "100.00").status == "PENDING"
        assert not waiting.done()
        other.commit()
        assert waiting.result(10).status == "PENDING"


def test_a_used_client_order_id_spoils_the_message_and_nothing_of_it_is_written(
    entries: Callable[..., list[Any]],
) -> None:
    ada, bob, _ = three()
    found = entries(ada, bob, client_order_id="mine")
    bob.buy(1, "100.00", client_order_id="mine")
    with pytest.raises(Separately):
        transaction._write_carry(found)
    assert owners(Order) == [bob.account_id]
    assert transaction._write_alone(found[0])
    with pytest.raises(psycopg.errors.UniqueViolation):
        transaction._write_alone(found[1])


def test_when_the_session_dies_under_a_message_nobody_goes_again(entries: Callable[..., list[Any]]) -> None:
    """The message may have been carried out: who sent an entry with it must ask before sending again."""
    ada, bob, _ = three()
    found = entries(ada, bob)

    def carried() -> Any:
        try:
            return transaction._write_carry(found)
        finally:
            connections.close_all()

    with (
        psycopg.connect(matching_url(), autocommit=True) as other,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        with other.transaction():
            other.execute("LOCK TABLE order_client_keys IN EXCLUSIVE MODE")
            waiting = pool.submit(carried)
            blocked = (
                "SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            [pid] = until(lambda: other.execute(blocked).fetchone(), "the message waits", 5)
            other.execute("SELECT pg_terminate_backend(%s)", [pid])
            answers = waiting.result(10)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    assert {answer.reason for answer in answers} == {"outcome_unknown"}
    assert answers[0] is not answers[1]
    assert not Order.objects.exists()


def test_facts_of_several_are_each_of_their_own_account_and_symbol(market: None) -> None:
    ada, bob = trader_open(cash="11.00"), trader_open(cash="22.00", shares={"AAPL": 7})
    asked = [
        transaction._Asked(bob.account_id, "AAPL", "x", 1),
        transaction._Asked(0, "AAPL", "x", 1),
        transaction._Asked(ada.account_id, "NOPE", "x", 1),
        transaction._Asked(ada.account_id, "AAPL", "x", 3),
    ]
    found: list[Any] = transaction._facts_carry(asked)
    assert (found[0].row.account_id, found[0].row.cash_balance) == (bob.account_id, Decimal("22.00"))
    assert found[0].row.position_quantity == 7
    assert found[1] is None
    with pytest.raises(NotFound, match="no trading account"):
        transaction._facts_alone(asked[1])
    assert found[2].row.instrument_id is None
    assert (found[3].row.account_id, len(found[3].row.order_ids)) == (ada.account_id, 3)
    assert len({number for one in (found[0], *found[2:]) for number in one.row.order_ids}) == 5
