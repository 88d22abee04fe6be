"""The rules before an order is accepted, as pure decisions."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.primitives.errors import BrokerageError
from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.money import trade_value
from apps.risk.rules import AccountFacts, InstrumentFacts, OrderFacts, hold_price, pretrade_check

TICKS = ((Decimal("0.0001"), Decimal("0.0001")), (Decimal("1"), Decimal("0.01")))
RICH = AccountFacts("ACTIVE", Decimal("1000000.00"), 1_000)
SHARE = InstrumentFacts(
    symbol="AAPL",
    status="ACTIVE",
    tradable=True,
    halted=False,
    market_is_open=True,
    last_price=Decimal("100.00"),
    limit_bps=1_000,
    ticks=TICKS,
)
BUY = OrderFacts(Side.BUY, OrderType.LIMIT, TimeInForce.DAY, 10, Decimal("99.50"))
SELL = replace(BUY, side=Side.SELL, price=Decimal("100.50"))
MARKET_BUY = OrderFacts(Side.BUY, OrderType.MARKET, TimeInForce.DAY, 10, None)


def test_limit_buy_holds_limit_times_quantity() -> None:
    assert pretrade_check(BUY, RICH, SHARE).cash == Decimal("995.00")


def test_market_buy_holds_at_the_collar() -> None:
    hold = pretrade_check(MARKET_BUY, RICH, SHARE)
    assert hold.engine_price == Decimal("110.00")
    assert hold.cash == Decimal("1100.00")


def test_market_sell_holds_shares_and_stops_at_the_lower_collar() -> None:
    hold = pretrade_check(replace(MARKET_BUY, side=Side.SELL), RICH, SHARE)
    assert (hold.engine_price, hold.cash, hold.shares) == (Decimal("90.00"), 0, 10)


REFUSALS = [
    ("ACCOUNT_NOT_ACTIVE", BUY, replace(RICH, account_status="SUSPENDED"), SHARE),
    ("ACCOUNT_NOT_ACTIVE", BUY, replace(RICH, account_status="CLOSED"), SHARE),
    ("NOT_TRADABLE", BUY, RICH, replace(SHARE, tradable=False)),
    ("NOT_TRADABLE", BUY, RICH, replace(SHARE, status="INACTIVE")),
    ("TICK", replace(BUY, price=Decimal("99.505")), RICH, SHARE),
    ("PRICE_COLLAR", replace(BUY, price=Decimal("110.01")), RICH, SHARE),
    ("PRICE_COLLAR", replace(SELL, price=Decimal("89.99")), RICH, SHARE),
    ("INSUFFICIENT_BP", BUY, replace(RICH, available_cash=Decimal("994.99")), SHARE),
    ("INSUFFICIENT_BP", MARKET_BUY, replace(RICH, available_cash=Decimal("1099.99")), SHARE),
    ("INSUFFICIENT_SHARES", SELL, replace(RICH, available_shares=9), SHARE),
    ("HALTED", MARKET_BUY, RICH, replace(SHARE, halted=True)),
    ("HALTED", replace(BUY, time_in_force=TimeInForce.IOC), RICH, replace(SHARE, halted=True)),
    ("MARKET_CLOSED", MARKET_BUY, RICH, replace(SHARE, market_is_open=False)),
    ("NO_REFERENCE_PRICE", MARKET_BUY, RICH, replace(SHARE, last_price=None)),
]


@pytest.mark.parametrize(("reason", "order", "account", "instrument"), REFUSALS)
def test_order_is_refused_with_its_reason(
    reason: str, order: OrderFacts, account: AccountFacts, instrument: InstrumentFacts
) -> None:
    with pytest.raises(BrokerageError) as refusal:
        pretrade_check(order, account, instrument)
    assert refusal.value.reason == reason
    assert refusal.value.message


def test_passive_side_of_the_collar_is_free() -> None:
    pretrade_check(replace(BUY, price=Decimal("1.00")), RICH, SHARE)
    pretrade_check(replace(SELL, price=Decimal("500.00")), RICH, SHARE)


def test_limit_order_waits_through_a_halt_and_a_closed_market() -> None:
    pretrade_check(BUY, RICH, replace(SHARE, halted=True))
    pretrade_check(BUY, RICH, replace(SHARE, market_is_open=False))


def test_refusal_gives_need_have_and_gap_from_one_reading() -> None:
    with pytest.raises(BrokerageError, match=r"needs 995\.00 and you have 100\.00, short by 895\.00"):
        pretrade_check(BUY, replace(RICH, available_cash=Decimal("100.00")), SHARE)


@given(
    units=st.integers(1, 20_000_000),
    fills=st.lists(st.integers(1, 500), min_size=1, max_size=20),
)
def test_hold_always_covers_fills_that_are_each_rounded_to_cents(units: int, fills: list[int]) -> None:
    price = Decimal(units).scaleb(-4)
    held = hold_price(price) * sum(fills)
    assert held >= sum(trade_value(price, quantity) for quantity in fills)
