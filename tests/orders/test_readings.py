"""An order decided on what was read a moment ago: one message, and the outcome that a reading gives."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.models import AccountStatus
from apps.accounts.services import account_status_change
from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.instruments.models import Instrument, InstrumentPrice
from apps.matching.models import OrderCommand
from apps.orders.models import LiveOrder, Order
from apps.orders.services import readings
from apps.orders.services.readings import DRIFT, IDS_AHEAD
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError, Conflict, Invalid, Refused
from apps.primitives.fix import Side
from apps.primitives.ids import id_time
from apps.risk.rules import pretrade_check
from tests.orders.test_entry import together
from tests.risk.test_rules import BUY, RICH, SELL, SHARE
from tests.support.builders import Trader, trader_open

ONE = ["entry_write"]
TWO = ["entry_facts", "entry_write"]
TWO_AFTER_ONE = ["entry_write", "entry_write", *TWO]
"""Written together with others it was left out, alone as well, and decided anew."""


@pytest.fixture
def sent(market: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The messages of entry, in a world where a reading serves as long as the test lasts."""
    names: list[str] = []
    original = psycopg.Cursor.execute

    def noted(self: Any, query: Any, *given: Any, **more: Any) -> Any:
        if "SELECT entry_" in str(query) or "FROM entry_" in str(query):
            names.append(str(query).split("(")[0].split()[-1])
        return original(self, query, *given, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    monkeypatch.setattr(readings, "LIFE", timedelta(hours=1))
    monkeypatch.setattr(readings, "ACCOUNT_LIFE", timedelta(hours=2))
    yield names


def trader_read(sent: list[str], **more: Any) -> Trader:
    """Open an account of which an order was just written; its messages are not counted."""
    trader = trader_open(**more)
    trader.buy(1, "100.00")
    assert sent == TWO
    sent.clear()
    return trader


def last_price_move(price: str) -> None:
    InstrumentPrice.objects.filter(symbol="AAPL").update(last_price=Decimal(price))


def test_the_next_plain_limit_order_is_one_message(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00")
    order = ada.buy(5, "100.00")
    assert sent == ONE
    assert order.status == "PENDING"
    assert ada.summary.held_cash == Decimal("600.00")
    row = Order.objects.get(order_id=order.order_id)
    assert (row.user_id, row.account_id, row.status) == (ada.user_id, ada.account_id, "PENDING")
    assert OrderCommand.objects.filter(order_id=order.order_id).get().user_id == ada.user_id
    placed = Event.objects.filter(event_type="ORDER_PLACED").order_by("-id")[0]
    assert placed.data["held_cash"] == 500
    assert placed.user_id == ada.user_id


def test_its_id_and_its_time_are_of_one_instant_and_no_id_comes_twice(sent: list[str]) -> None:
    ada = trader_read(sent, cash="100000.00")
    before = utc_now()
    orders = [ada.buy(1, "100.00") for _ in range(IDS_AHEAD)]
    assert sent == ONE * IDS_AHEAD
    assert len({order.order_id for order in orders}) == IDS_AHEAD
    for order in orders:
        assert timedelta() <= order.created_at - id_time(order.order_id) < timedelta(milliseconds=1)
        assert before - timedelta(seconds=1) < order.created_at < utc_now() + timedelta(seconds=1)
    sent.clear()
    ada.buy(1, "100.00")
    assert sent == TWO, "its ids were used up"


def test_a_reading_of_one_account_serves_none_that_was_not_read(sent: list[str]) -> None:
    trader_read(sent, cash="1000.00")
    bob = trader_open(cash="1000.00")
    bob.buy(1, "100.00")
    assert sent == TWO


@pytest.mark.parametrize(
    "asked",
    [
        {"side": "buy"},
        {"side": "buy", "price": "110.00", "order_type": "stop_limit", "stop_price": "105.00"},
        {"side": "buy", "price": "100.00", "order_class": "bracket", "take_profit": {"limit_price": "120"},
         "stop_loss": {"stop_price": "90"}},
        {"side": "buy", "price": "50.00", "symbol": "MSFT"},
    ],
)  # fmt: skip
def test_whatever_is_no_plain_limit_order_of_a_symbol_just_read_is_read(
    sent: list[str], asked: dict[str, Any]
) -> None:
    ada = trader_read(sent, cash="100000.00")
    ada.submit(quantity=1, **asked)
    assert sent == TWO


def test_a_reading_serves_for_its_life_and_not_when_the_clock_goes_back(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = trader_read(sent, cash="1000.00")
    now = utc_now()
    for moment in (now + timedelta(hours=1, seconds=1), now - timedelta(minutes=1)):
        monkeypatch.setattr(readings, "utc_now", lambda moment=moment: moment)
        ada.buy(1, "100.00")
    assert sent == TWO * 2


def test_an_account_is_read_again_after_its_own_time(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = trader_read(sent, cash="1000.00")
    monkeypatch.setattr(readings, "ACCOUNT_LIFE", timedelta())
    ada.buy(1, "100.00")
    assert sent == TWO


def test_a_reading_of_yesterdays_session_serves_nobody(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = trader_read(sent, cash="1000.00")
    session = readings.market_session(utc_now())
    later = replace(session, trade_date=session.trade_date + timedelta(days=1))
    monkeypatch.setattr(readings, "market_session", lambda _: later)
    ada.buy(1, "100.00")
    assert sent == TWO


def test_money_that_is_not_there_is_refused_with_the_figures_of_a_reading(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00")
    with pytest.raises(Refused, match=r"needs 1,000\.00 and you have 900\.00, short by 100\.00"):
        ada.buy(10, "100.00")
    assert sent == ["entry_write", "entry_write", "entry_facts"]
    assert Order.objects.count() == LiveOrder.objects.count() == 1
    assert Event.objects.filter(topic="risk-events").count() == 1
    sent.clear()
    with pytest.raises(Refused):
        ada.buy(10, "100.00")
    assert sent == ["entry_facts"], "who was refused is read before anything is tried again"


def test_shares_that_are_not_there_are_refused_with_the_figures_of_a_reading(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00", shares={"AAPL": 3})
    assert ada.sell(2, "100.00").status == "PENDING"
    assert sent == ONE
    with pytest.raises(Refused, match=r"requested: 2, available: 1"):
        ada.sell(2, "100.00")


def test_of_100_orders_at_once_with_cash_for_10_exactly_10_are_accepted(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1100.00")
    outcomes = together(100, lambda _: ada.buy(1, "100.00"))
    accepted = [o for o in outcomes if not isinstance(o, BrokerageError)]
    assert len(accepted) == 10
    assert {o.reason for o in outcomes if isinstance(o, BrokerageError)} == {"INSUFFICIENT_BP"}
    assert ada.summary.held_cash == Decimal("1100.00")


def test_a_used_client_order_id_is_refused_and_spoils_nothing(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00")
    first = ada.buy(1, "100.00", client_order_id="mine")
    sent.clear()
    with pytest.raises(Conflict) as refusal:
        ada.buy(1, "100.00", client_order_id="mine")
    assert refusal.value.details["existing_order_id"] == first.order_id
    assert sent == ["entry_write", "entry_write", "entry_facts"]


def test_the_same_client_order_id_at_once_makes_one_order(sent: list[str]) -> None:
    ada = trader_read(sent, cash="100000.00")
    outcomes = together(20, lambda _: ada.buy(1, "100.00", client_order_id="once"))
    kept = [o for o in outcomes if not isinstance(o, BrokerageError)]
    assert len(kept) == 1
    assert all(isinstance(o, Conflict) for o in outcomes if o not in kept)
    assert Order.objects.count() == 2


def test_an_account_suspended_meanwhile_is_refused(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00")
    account_status_change(
        account_id=ada.account_id, status=AccountStatus.SUSPENDED, reason="identity check", origin=SYSTEM
    )
    with pytest.raises(Refused, match="not authorized to trade"):
        ada.buy(1, "100.00")
    assert Order.objects.count() == 1


def test_a_share_that_was_halted_meanwhile_takes_what_waits_and_refuses_what_cannot(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00")
    Instrument.objects.filter(symbol="AAPL").update(halted=True)
    with pytest.raises(Refused, match="AAPL is halted"):
        ada.buy(1, "100.00", time_in_force="ioc")
    sent.clear()
    assert ada.buy(1, "100.00").status == "PENDING"
    assert sent == TWO


@pytest.mark.parametrize("change", [{"tradable": False}, {"status": "INACTIVE"}])
def test_a_share_that_trades_no_more_is_refused(sent: list[str], change: dict[str, Any]) -> None:
    ada = trader_read(sent, cash="1000.00")
    Instrument.objects.filter(symbol="AAPL").update(**change)
    with pytest.raises(Invalid, match="not tradable"):
        ada.buy(1, "100.00")


def test_a_share_that_moved_to_another_matching_partition_takes_its_orders_there(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00")
    Instrument.objects.filter(symbol="AAPL").update(matching_partition=1)
    order = ada.buy(1, "100.00")
    assert sent == TWO_AFTER_ONE
    assert OrderCommand.objects.get(order_id=order.order_id).matching_partition == 1
    Instrument.objects.filter(symbol="AAPL").update(matching_partition=0)


def test_when_the_last_price_has_moved_far_the_collar_is_that_of_the_new_one(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00")
    last_price_move("101.00")
    ada.buy(1, "100.00")
    assert sent == ONE, "one per cent is within what was allowed for"
    last_price_move("101.01")
    sent.clear()
    ada.buy(1, "100.00")
    assert sent == TWO_AFTER_ONE
    last_price_move("60.00")
    with pytest.raises(Refused, match="above the last price of 60"):
        ada.buy(1, "100.00")


def test_a_limit_near_the_collar_is_read_for_and_judged_by_the_last_price_itself(sent: list[str]) -> None:
    """The band is ten per cent: 110.00 is allowed at 100.00, and would not be if that fell by a cent."""
    ada = trader_read(sent, cash="1000.00")
    assert ada.buy(1, "110.00").status == "PENDING"
    assert sent == TWO
    with pytest.raises(Refused, match="more than 10%"):
        ada.buy(1, "110.01")


def test_a_price_between_two_ticks_is_refused_as_after_a_reading(sent: list[str]) -> None:
    ada = trader_read(sent, cash="1000.00")
    with pytest.raises(Invalid, match=r"steps of 0\.01"):
        ada.buy(1, "100.005")
    assert sent == ["entry_facts"]


PRICES = st.integers(2, 500_000_000).map(lambda units: Decimal(units).scaleb(-4))


@given(
    side=st.sampled_from(Side),
    last=PRICES,
    away=st.integers(-10_000, 10_000),
    limit_away=st.integers(-3_000, 3_000),
    bps=st.sampled_from([500, 1_000, 2_000]),
)
def test_what_the_worst_last_price_allows_every_other_within_the_drift_allows(
    side: Side, last: Decimal, away: int, limit_away: int, bps: int
) -> None:
    worst = last * (1 - DRIFT if side is Side.BUY else 1 + DRIFT)
    other = last * (1 + DRIFT * away / 10_000)
    tick = Decimal("0.01") if last >= Decimal("1.5") else Decimal("0.0001")
    price = max((last * (10_000 + limit_away) / 10_000).quantize(tick), tick)
    order = replace(BUY if side is Side.BUY else SELL, price=price, quantity=1)
    share = replace(SHARE, limit_bps=bps)
    rich = replace(RICH, available_cash=Decimal("1e9"))
    try:
        decided = pretrade_check(order, rich, replace(share, last_price=worst))
    except BrokerageError:
        return
    assert pretrade_check(order, rich, replace(share, last_price=other)) == decided
