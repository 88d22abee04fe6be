"""What the market's working changes is told as well: positions, trailing stops, waiting legs, settlement."""

import threading
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from apps.accounts.models import Account
from apps.events.models import Event
from apps.operations.services import settlement
from apps.orders.models import LiveOrder, Order
from apps.positions.models import Position
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from apps.trades.models import Trade
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange

FAR = date(2099, 1, 1)
Figures = tuple[int, Decimal, Decimal]


def told(event_type: str, **more: Any) -> list[Event]:
    return list(Event.objects.filter(event_type=event_type, **more).order_by("id"))


def figures(event: Event) -> Figures:
    data = event.data
    return data["quantity"], Decimal(str(data["average_cost"])), Decimal(str(data["realized_pnl"]))


def stored(trader: Trader, symbol: str = "AAPL") -> Figures:
    row = Position.objects.get(account_id=trader.account_id, symbol=symbol)
    return row.quantity, row.average_cost, row.realized_pnl


def trade_at(exchange: Exchange, price: str, quantity: int = 1) -> None:
    """Let two strangers trade, so that the last price is ``price``."""
    seller, buyer = trader_open(shares={"AAPL": quantity}), trader_open(cash="1000000.00")
    seller.sell(quantity, price)
    buyer.buy(quantity, price)
    exchange.run()


def test_a_position_is_told_once_a_batch_as_it_then_is(exchange: Exchange) -> None:
    seller, buyer = trader_open(shares={"AAPL": 30}), trader_open(cash="9000.00")
    before = len(told("POSITION_CHANGED"))
    for quantity in (10, 5, 7):
        seller.sell(quantity, "100.00")
        buyer.buy(quantity, "100.00")
    exchange.run()
    changed = told("POSITION_CHANGED")[before:]
    assert [event.user_id for event in changed] == [seller.user_id, buyer.user_id], (
        "one batch of three trades"
    )
    assert {event.account_seq for event in changed} == {None}, "the account's stream has its executions"
    assert figures(changed[0]) == stored(seller) == (8, Decimal("90.0000"), Decimal("220.00"))
    assert figures(changed[1]) == stored(buyer) == (22, Decimal("100.0000"), Decimal("0.00"))
    assert {event.topic for event in changed} == {"account-events"}


def test_shares_that_are_issued_are_a_position_that_changed(market: None) -> None:
    owner = trader_open(shares={"AAPL": 30})
    [changed] = told("POSITION_CHANGED")
    assert figures(changed) == stored(owner) == (30, Decimal("90.0000"), Decimal("0.00"))


def test_a_batch_that_dies_half_written_tells_of_no_position(exchange: Exchange) -> None:
    seller, buyer = trader_open(shares={"AAPL": 30}), trader_open(cash="9000.00")
    before = len(told("POSITION_CHANGED"))
    seller.sell(10, "100.00")
    buyer.buy(10, "100.00")
    failpoints_arm("booking.mid_write=raise")
    with pytest.raises(FailpointHit):
        exchange.run()
    failpoints_arm("")
    exchange.connection.rollback()
    assert len(told("POSITION_CHANGED")) == before
    exchange.restart()
    exchange.run()
    assert len(told("POSITION_CHANGED")) == before + 2


def test_a_trailing_stop_that_moves_is_on_record_once_a_batch_and_not_in_the_stream(
    exchange: Exchange,
) -> None:
    owner = trader_open(shares={"AAPL": 10})
    order = owner.trail("sell", 10, trail_price="5.00")
    exchange.run()
    seq = Account.objects.get(pk=owner.account_id).event_seq
    seller, buyer = trader_open(shares={"AAPL": 10}), trader_open(cash="9000.00")
    for price in ("101.00", "102.00", "103.00"):
        seller.sell(1, price)
        buyer.buy(1, price)
    exchange.run()
    [moved] = told("ORDER_UPDATED")
    row = Order.objects.get(pk=order.order_id)
    facts = moved.data["order"]
    assert (row.stop_price, row.high_water_mark) == (Decimal("98.0000"), Decimal("103.0000"))
    assert (facts["stop_price"], facts["high_water_mark"]) == (98, 103)
    assert (moved.user_id, moved.account_seq) == (owner.user_id, None)
    assert Account.objects.get(pk=owner.account_id).event_seq == seq


def test_a_stop_that_trails_and_triggers_in_one_batch_is_told_by_its_trigger(exchange: Exchange) -> None:
    owner, bidder = trader_open(shares={"AAPL": 10}), trader_open(cash="9000.00")
    bidder.buy(10, "97.00")
    owner.trail("sell", 10, trail_price="5.00")
    exchange.run()
    seller, buyer = trader_open(shares={"AAPL": 10}), trader_open(cash="9000.00")
    for price in ("103.00", "98.00"):
        seller.sell(1, price)
        buyer.buy(1, price)
    exchange.run()
    assert not told("ORDER_UPDATED"), "it was told of afterwards"
    [triggered] = told("ORDER_TRIGGERED")
    assert triggered.data["order"]["high_water_mark"] == 103


def test_what_a_leg_holds_and_listens_for_is_told_until_it_works(exchange: Exchange) -> None:
    owner = trader_open(cash="9000.00")
    bracket = owner.group("bracket", 10, price="100.00", take_profit="110.00", stop_loss="90.00")
    exchange.run()
    assert [event.data["held_cash"] for event in told("ORDER_PLACED")] == [1000, 0, 0]
    trader_open(shares={"AAPL": 10}).sell(4, "100.00")
    exchange.run()
    profit, loss = owner.legs(bracket)
    last = {event.data["order"]["order_id"]: event.data for event in told("ORDER_UPDATED")}
    for leg in (profit, loss):
        live, data = LiveOrder.objects.get(pk=leg.order_id), last.get(str(leg.order_id))
        if data is not None and live.status == "HELD":
            assert data["reserved"] == live.held_shares
            assert data["trigger_price"] == (live.trigger_price and float(live.trigger_price))
    assert last, "the entry has bought four shares, which its legs hold"


def test_a_replacement_is_born_with_what_it_holds(exchange: Exchange) -> None:
    owner = trader_open(cash="9000.00")
    order = owner.buy(10, "95.00")
    exchange.run()
    newer = owner.replace(order, quantity=20, price="96.00")
    [asked] = told("ORDER_REPLACE_REQUESTED")
    queued = LiveOrder.objects.get(pk=newer.order_id)
    assert (asked.data["held_cash"], asked.data["held_shares"]) == (queued.held_cash, queued.held_shares)
    exchange.run()
    born = told("ORDER_ACCEPTED")[-1]
    assert born.data["order"]["order_id"] == str(newer.order_id)
    assert born.data["hold_price"] * 20 == LiveOrder.objects.get(pk=newer.order_id).held_cash == 1920


def traded(exchange: Exchange, count: int) -> tuple[Trader, Trader]:
    seller, buyer = trader_open(shares={"AAPL": count}), trader_open(cash="100000.00")
    for _ in range(count):
        seller.sell(1, "100.00")
        buyer.buy(1, "100.00")
    exchange.run()
    return seller, buyer


def test_every_trade_that_settles_is_told_to_both_parties(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "TRADES_STEP_MAX", 4)
    seller, buyer = traded(exchange, 10)
    settlement.settlement_run(FAR)
    ids = {str(pk) for pk in Trade.objects.values_list("trade_id", flat=True)}
    for party in (seller, buyer):
        events = told("TRADES_SETTLED", user_id=party.user_id)
        lists = [event.data["trade_ids"] for event in events]
        assert [len(one) for one in lists] == [4, 4, 2]
        assert {pk for one in lists for pk in one} == ids
    settlement.settlement_run(FAR)
    assert len(told("TRADES_SETTLED")) == 6


def test_two_settlements_at_once_tell_of_each_trade_once(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "TRADES_STEP_MAX", 3)
    seller, _ = traded(exchange, 20)

    def run() -> None:
        settlement.settlement_run(FAR)
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settlement.settlement_run(FAR)
    ids = [pk for event in told("TRADES_SETTLED", user_id=seller.user_id) for pk in event.data["trade_ids"]]
    assert len(ids) == len(set(ids)) == 20
    assert not Trade.objects.exclude(settlement_status="SETTLED").exists()


def test_who_trades_with_himself_is_told_once(exchange: Exchange) -> None:
    both = trader_open(cash="9000.00", shares={"AAPL": 10})
    both.sell(5, "100.00")
    both.buy(5, "100.00")
    exchange.run()
    settlement.settlement_run(FAR)
    trades = Trade.objects.count()
    assert len(told("TRADES_SETTLED")) == trades
