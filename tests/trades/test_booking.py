"""Booking: a trade is wholly executed or not at all, on both sides."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.ledger.models import Transaction
from apps.matching.messages import Batch, Booked
from apps.matching.models import MatchingJournal, MatchingLeader, OrderCommand
from apps.operations.services.controls import symbol_halt, symbol_resume
from apps.orders.intents import ReplaceIntent
from apps.orders.models import LiveOrder
from apps.orders.services.changes import order_replace
from apps.primitives.errors import Invalid, Refused
from apps.primitives.fix import TimeInForce
from apps.trades.models import Trade
from apps.trades.services.booking import batch_book
from tests.support.builders import trader_open
from tests.support.matching import Exchange


def test_market_buy_takes_the_resting_offer_and_both_books_agree(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="2000.00"), trader_open(shares={"AAPL": 100})
    offer = grace.sell(100, "100.00")
    bought = ada.buy(10)
    exchange.run()
    assert (ada.order(bought).status, grace.order(offer).status) == ("FILLED", "PARTIALLY_FILLED")
    assert (ada.cash, grace.cash) == (Decimal("1000.00"), Decimal("1000.00"))
    assert (ada.shares(), grace.shares()) == (10, 90)
    trade = Trade.objects.get()
    assert (trade.price, trade.quantity, trade.trade_value) == (Decimal("100.0000"), 10, Decimal("1000.00"))
    assert (trade.buyer_id, trade.seller_id, trade.aggressor_side) == (ada.user_id, grace.user_id, "BUY")
    lines = Transaction.objects.filter(reference_id=trade.trade_id).order_by("amount")
    assert [(line.transaction_type, line.amount, line.balance_after) for line in lines] == [
        ("TRADE_BUY", Decimal("-1000.00"), Decimal("1000.00")),
        ("TRADE_SELL", Decimal("1000.00"), Decimal("1000.00")),
    ]
    assert Event.objects.filter(event_type="TRADE_EXECUTED").count() == 2


def test_owners_that_the_engine_does_not_name_are_found_by_their_orders(exchange: Exchange) -> None:
    """What the engine says of owners only lets booking ask earlier: what it leaves out is asked again."""

    def nameless(cursor: Any, batch: Batch) -> Booked:
        events = batch.events.copy()
        events["owner"] = events["contra_owner"] = 0
        return batch_book(cursor, replace(batch, events=events))

    exchange.runner.ports = replace(exchange.runner.ports, batch_book=nameless)
    ada, grace = trader_open(cash="2000.00", shares={"AAPL": 5}), trader_open(shares={"AAPL": 100})
    grace.sell(100, "100.00")
    exchange.run()
    ada.buy(10, "100.00")
    exchange.run()
    assert (ada.cash, grace.cash) == (Decimal("1000.00"), Decimal("1000.00"))
    assert (ada.shares(), grace.shares()) == (15, 90)


def test_what_a_market_buy_does_not_spend_is_released_with_the_fill(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="1100.00"), trader_open(shares={"AAPL": 10})
    grace.sell(10, "99.00")
    ada.buy(10)
    assert ada.summary.held_cash == Decimal("1100.00")
    exchange.run()
    assert ada.summary.held_cash == 0
    assert ada.summary.buying_power == ada.cash == Decimal("110.00")


def test_market_order_without_a_seller_is_cancelled_and_holds_nothing(exchange: Exchange) -> None:
    ada = trader_open(cash="5000.00")
    order = ada.buy(10)
    exchange.run()
    ended = ada.order(order)
    assert (ended.status, ended.reject_reason) == ("CANCELLED", "NO_LIQUIDITY")
    assert not LiveOrder.objects.exists()


@pytest.mark.parametrize(
    ("time_in_force", "status", "filled"),
    [("ioc", "CANCELLED", 4), ("fok", "CANCELLED", 0), ("day", "PARTIALLY_FILLED", 4)],
)
def test_time_in_force_decides_about_the_rest(
    exchange: Exchange, time_in_force: str, status: str, filled: int
) -> None:
    ada, grace = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 4})
    grace.sell(4, "100.00")
    order = ada.buy(10, "100.00", time_in_force=time_in_force)
    exchange.run()
    ended = ada.order(order)
    assert (ended.status, ended.filled_quantity) == (status, filled)
    assert ada.summary.held_cash == (Decimal("600.00") if time_in_force == "day" else 0)


def test_better_price_then_earlier_order_trades_first(exchange: Exchange) -> None:
    ada, late = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 10})
    early, cheap = trader_open(shares={"AAPL": 10}), trader_open(shares={"AAPL": 10})
    first = early.sell(5, "100.00")
    second = late.sell(5, "100.00")
    best = cheap.sell(5, "99.00")
    ada.buy(12, "100.00")
    exchange.run()
    assert cheap.order(best).status == "FILLED"
    assert early.order(first).status == "FILLED"
    assert late.order(second).filled_quantity == 2


def test_cancel_releases_the_hold(exchange: Exchange) -> None:
    ada = trader_open(cash="1000.00")
    order = ada.buy(5, "100.00")
    exchange.run()
    assert ada.order(order).status == "NEW"
    assert ada.cancel(order).status == "PENDING_CANCEL"
    exchange.run()
    assert ada.order(order).status == "CANCELLED"
    assert ada.summary.buying_power == Decimal("1000.00")


def test_cancel_that_arrives_with_the_fill_tells_the_truth(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="1000.00"), trader_open(shares={"AAPL": 5})
    order = ada.buy(5, "100.00")
    exchange.run()
    grace.sell(5, "100.00")
    ada.cancel(order)
    exchange.run()
    assert ada.order(order).status == "FILLED"
    assert Event.objects.filter(event_type="ORDER_CANCEL_REJECTED").count() == 1


def test_replacement_gets_a_new_id_and_the_remainder(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="1000.00"), trader_open(shares={"AAPL": 3})
    order = ada.buy(10, "100.00")
    grace.sell(3, "100.00")
    exchange.run()
    replacement = ada.replace(order, quantity=8, price="90.00")
    assert ada.order(order).status == "PENDING_REPLACE"
    assert replacement.status == "PENDING"
    exchange.run()
    old, new = ada.order(order), ada.order(replacement)
    assert (old.status, old.replaced_by) == ("REPLACED", new.order_id)
    assert (new.status, new.quantity, new.replaces, new.price) == ("NEW", 5, old.order_id, Decimal("90.0000"))
    assert ada.summary.held_cash == Decimal("450.00")


def test_replacement_holds_the_larger_of_both_while_it_waits(exchange: Exchange) -> None:
    ada = trader_open(cash="1000.00")
    order = ada.buy(5, "100.00")
    exchange.run()
    ada.replace(order, quantity=8)
    assert ada.summary.held_cash == Decimal("800.00")
    exchange.run()
    assert ada.summary.held_cash == Decimal("800.00")


def test_replacement_that_loses_the_race_releases_what_it_held(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="1000.00"), trader_open(shares={"AAPL": 5})
    order = ada.buy(5, "100.00")
    exchange.run()
    grace.sell(5, "100.00")
    ada.replace(order, quantity=8)
    exchange.run()
    assert ada.order(order).status == "FILLED"
    assert ada.summary.held_cash == 0
    assert Event.objects.filter(event_type="ORDER_REPLACE_REJECTED").count() == 1


def test_replacement_still_queued_can_be_cancelled(exchange: Exchange) -> None:
    ada = trader_open(cash="1000.00")
    order = ada.buy(5, "100.00")
    exchange.run()
    replacement = ada.replace(order, quantity=8)
    ada.cancel(replacement)
    exchange.run()
    assert ada.order(order).status == "REPLACED"
    assert ada.order(replacement).status == "CANCELLED"
    assert ada.summary.held_cash == 0


def test_smaller_quantity_keeps_its_place_after_a_restart(exchange: Exchange) -> None:
    ada, first = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 10})
    second = trader_open(shares={"AAPL": 10})
    early = first.sell(10, "100.00")
    late = second.sell(10, "100.00")
    exchange.run()
    early = first.replace(early, quantity=6)
    exchange.run()
    exchange.connection.close()
    with Exchange() as restarted:
        ada.buy(7, "100.00")
        restarted.run()
    assert first.order(early).status == "FILLED"
    assert second.order(late).filled_quantity == 1


def test_old_order_that_fills_first_leaves_the_replacement_its_money(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="15000.00"), trader_open(shares={"AAPL": 200})
    order = ada.buy(100, "100.00")
    exchange.run()
    grace.sell(90, "100.00")
    with pytest.raises(Refused):
        ada.replace(order, quantity=166, price="90.00")
    ada.replace(order, quantity=155, price="90.00")
    exchange.run()
    assert ada.summary.held_cash <= ada.cash
    grace.sell(65, "90.00")
    exchange.run()
    assert ada.shares() == 155


def test_replacement_that_could_never_rest_is_refused(exchange: Exchange) -> None:
    ada = trader_open(cash="1000.00")
    order = ada.buy(5, "100.00")
    exchange.run()
    intent = ReplaceIntent(ada.account_id, order.order_id, 6, None, TimeInForce.IOC, "never")
    with pytest.raises(Invalid):
        order_replace(intent, SYSTEM)


def test_cancelling_an_order_takes_its_queued_replacement_along(exchange: Exchange) -> None:
    ada = trader_open(cash="1000.00")
    order = ada.buy(5, "100.00")
    exchange.run()
    replacement = ada.replace(order, quantity=8)
    ada.cancel(order)
    exchange.run()
    assert ada.order(replacement).status == "CANCELLED"
    assert ada.summary.held_cash == 0


def test_book_that_crossed_in_a_halt_survives_a_restart_before_its_resumption(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 10})
    symbol_halt(symbol="AAPL", reason="news is pending", origin=SYSTEM)
    exchange.run()
    offer, bid = grace.sell(5, "99.00"), ada.buy(5, "100.00")
    exchange.run()
    assert (grace.order(offer).status, ada.order(bid).status) == ("NEW", "NEW")
    symbol_resume(symbol="AAPL", reason="news is out", origin=SYSTEM)
    exchange.connection.close()
    with Exchange() as restarted:
        restarted.run()
    assert (grace.order(offer).status, ada.order(bid).status) == ("FILLED", "FILLED")


def test_position_may_grow_beyond_32_bits(exchange: Exchange) -> None:
    whale, grace = trader_open(cash="500.00", shares={"AAPL": 2_147_483_647}), trader_open(shares={"AAPL": 5})
    grace.sell(5, "100.00")
    whale.buy(5, "100.00")
    exchange.run()
    assert whale.shares() == 2_147_483_652


def test_nobody_trades_with_himself(exchange: Exchange) -> None:
    ada = trader_open(cash="5000.00", shares={"AAPL": 10})
    ada.sell(5, "100.00")
    order = ada.buy(5, "100.00")
    exchange.run()
    assert (ada.order(order).status, ada.order(order).reject_reason) == ("CANCELLED", "SELF_TRADE")
    assert not Trade.objects.exists()


def test_every_account_event_stream_has_no_gap(exchange: Exchange) -> None:
    ada, grace = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 10})
    for _ in range(5):
        grace.sell(2, "100.00")
        ada.buy(1, "100.00")
        exchange.run()
    for account in (ada, grace):
        seqs = Event.objects.filter(account_id=account.account_id, account_seq__isnull=False)
        found = sorted(seqs.values_list("account_seq", flat=True))
        assert found == list(range(1, len(found) + 1))


def test_leader_of_an_older_epoch_writes_nothing(exchange: Exchange) -> None:
    ada = trader_open(cash="5000.00")
    order = ada.buy(1, "100.00")
    MatchingLeader.objects.update(epoch=99)
    with pytest.raises(RuntimeError, match="does not lead"):
        exchange.run()
    exchange.connection.close()
    assert ada.order(order).status == "PENDING"
    assert OrderCommand.objects.count() == 1
    assert not MatchingJournal.objects.exists()


def test_half_a_batch_is_never_booked(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, grace = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 10})
    grace.sell(5, "100.00")
    ada.buy(5, "100.00")
    monkeypatch.setattr("apps.trades.services.books.last_prices_write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        exchange.run()
    exchange.connection.close()
    assert not Trade.objects.exists()
    assert not Transaction.objects.filter(transaction_type="TRADE_BUY").exists()
    assert (ada.cash, grace.shares()) == (Decimal("5000.00"), 10)
    monkeypatch.undo()
    with Exchange() as again:
        again.run()
    assert Trade.objects.count() == 1


@pytest.mark.parametrize("table", ["events", "transactions", "trades", "matching_journal", "share_issues"])
@pytest.mark.parametrize("act", ["DELETE FROM {}", "TRUNCATE {}"])
def test_facts_cannot_be_deleted(exchange: Exchange, table: str, act: str) -> None:
    ada, grace = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 10})
    grace.sell(5, "100.00")
    ada.buy(5, "100.00")
    exchange.run()
    with pytest.raises(Exception, match="append-only|never change"), connection.cursor() as cursor:
        cursor.execute(act.format(table))


@pytest.mark.parametrize("change", ["price = 1", "quantity = 1", "buyer_id = -5", "match_seq = 99"])
def test_facts_of_a_trade_cannot_be_changed(exchange: Exchange, change: str) -> None:
    ada, grace = trader_open(cash="5000.00"), trader_open(shares={"AAPL": 10})
    grace.sell(5, "100.00")
    ada.buy(5, "100.00")
    exchange.run()
    with pytest.raises(Exception, match="never change"), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trades SET {change}")
