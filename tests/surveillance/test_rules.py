"""The rules of surveillance: what passes the limits is a pattern, what stays within them is none."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.surveillance.intake import window_begin
from apps.surveillance.limits import LIMITS, WINDOW_S_MAX, Kind, limit_problem, limits_default
from apps.surveillance.memory import KEPT
from apps.surveillance.rules import (
    EVIDENCE_MAX,
    Fill,
    MessageCount,
    WatchedTrade,
    Withdrawal,
    layering_find,
    order_ratio_find,
    self_trades_find,
    wash_trades_find,
)

NOON = datetime(2026, 1, 8, 12, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def trade(number: int, buyer: int, seller: int, quantity: int = 100) -> WatchedTrade:
    price = Decimal("10.00")
    return WatchedTrade(
        number, "AAPL", price, quantity, at(number), buyer, seller, 2 * number, 2 * number + 1
    )


def back_and_forth(count: int, quantity: int = 100) -> list[WatchedTrade]:
    return [trade(n, 1 + n % 2, 2 - n % 2, quantity) for n in range(count)]


def test_one_trade_with_oneself_is_a_pattern() -> None:
    found = self_trades_find([trade(1, 7, 7)], limits_default(Kind.SELF_TRADE))
    assert found is not None
    assert (found.account_id, found.other_account_id, found.measured["trades"]) == (7, 0, 1)
    two = self_trades_find([trade(1, 9, 4)], limits_default(Kind.SELF_TRADE))
    assert two is not None and (two.account_id, two.other_account_id) == (4, 9)


def test_evidence_is_bounded_and_the_newest() -> None:
    found = self_trades_find([trade(n, 7, 7) for n in range(200)], limits_default(Kind.SELF_TRADE))
    assert found is not None
    assert len(found.event_ids) == EVIDENCE_MAX and found.event_ids[-1] == 399


def test_shares_that_go_back_and_forth_are_a_pattern() -> None:
    found = wash_trades_find(back_and_forth(10), {1: 1_000, 2: 1_200}, limits_default(Kind.WASH_TRADES))
    assert found is not None
    assert found.measured == {
        "trades": 10,
        "quantity": 1_000,
        "net_quantity": 0,
        "net_pct": 0,
        "pair_pct": Decimal("83.33"),
    }


def test_few_trades_or_a_real_change_of_hands_or_a_market_maker_is_none() -> None:
    limits = limits_default(Kind.WASH_TRADES)
    assert wash_trades_find(back_and_forth(9), {1: 900, 2: 900}, limits) is None
    one_way = [trade(n, 1, 2) for n in range(10)]
    assert wash_trades_find(one_way, {1: 1_000, 2: 1_000}, limits) is None
    maker = {1: 1_000, 2: 10_000}
    assert wash_trades_find(back_and_forth(10), maker, limits) is None, "it trades with everybody"


@given(count=st.integers(2, 60), extra=st.integers(0, 5_000))
def test_washing_is_found_whoever_is_named_first(count: int, extra: int) -> None:
    trades = back_and_forth(count)
    swapped = [trade(t.trade_id, t.sell_account_id, t.buy_account_id) for t in trades]
    volumes = {1: 100 * count + extra, 2: 100 * count}
    limits = limits_default(Kind.WASH_TRADES)
    one, other = wash_trades_find(trades, volumes, limits), wash_trades_find(swapped, volumes, limits)
    assert (one is None) == (other is None)
    if one and other:
        assert one.measured == other.measured


def messages(sent: int, trades: int, ordered: int = 0, traded: int = 0) -> MessageCount:
    return MessageCount(1, "AAPL", NOON, sent, trades, ordered, traded, at(60), 5)


@pytest.mark.parametrize(
    ("count", "is_found"),
    [
        (messages(1_999, 0), False),
        (messages(2_000, 0), True),
        (messages(2_004, 4, 1, 1), False),
        (messages(2_005, 4, 1, 1), True),
        (messages(2_000, 2_000, 5_001, 1), False),
        (messages(2_000, 2_000, 5_002, 1), True),
    ],
)
def test_many_messages_for_few_trades_are_a_pattern(count: MessageCount, is_found: bool) -> None:
    assert (order_ratio_find(count, limits_default(Kind.ORDER_RATIO)) is not None) == is_found


def withdrawn(number: int, quantity: int = 1_000, price: str = "100.10", lived: int = 10) -> Withdrawal:
    entered = at(100 * number)
    end = entered + timedelta(seconds=lived)
    return Withdrawal(number, 1, "AAPL", "SELL", Decimal(price), quantity, entered, end, 1_000 + number)


def bought(number: int, after: int = 5, quantity: int = 100, side: str = "BUY") -> Fill:
    return Fill(side, Decimal("100.00"), quantity, at(100 * number + after), 2_000 + number)


def layering(*changed: tuple[Withdrawal, Fill]) -> object:
    pairs = [*changed, *((withdrawn(n), bought(n)) for n in range(len(changed), 3))]
    return layering_find([w for w, _ in pairs], [f for _, f in pairs], limits_default(Kind.LAYERING))


def test_large_orders_taken_back_after_the_other_side_traded_are_a_pattern() -> None:
    found = layering_find(
        [withdrawn(n) for n in range(3)], [bought(n) for n in range(3)], limits_default(Kind.LAYERING)
    )
    assert found is not None
    assert found.measured == {
        "times": 3,
        "pattern_pct": 100,
        "withdrawn_quantity": 3_000,
        "traded_quantity": 300,
    }
    assert (found.first_at, found.last_at) == (at(0), at(210))
    assert found.event_ids == (1_000, 1_001, 1_002, 2_000, 2_001, 2_002)


@pytest.mark.parametrize(
    ("order", "fill"),
    [
        (withdrawn(0), bought(0, after=11)),
        (withdrawn(0), bought(0, after=-1)),
        (withdrawn(0), bought(0, side="SELL")),
        (withdrawn(0), bought(0, quantity=201)),
        (withdrawn(0, price="103.00"), bought(0)),
        (withdrawn(0, quantity=99), bought(0, quantity=1)),
        (withdrawn(0, lived=31), bought(0)),
    ],
    ids=["traded after", "traded before", "same side", "not larger", "far away", "small", "stood long"],
)
def test_order_that_stood_for_itself_counts_not(order: Withdrawal, fill: Fill) -> None:
    assert layering() is not None
    assert layering((order, fill)) is None


def test_a_market_maker_that_withdraws_all_the_time_is_none() -> None:
    limits = limits_default(Kind.LAYERING)
    fills = [bought(n) for n in range(3)]
    idle = [withdrawn(n) for n in range(3, 7)]
    assert layering_find([withdrawn(n) for n in range(3)] + idle[:3], fills, limits) is not None
    assert layering_find([withdrawn(n) for n in range(3)] + idle, fills, limits) is None
    both_sides = [*fills, bought(0, after=7, side="SELL")]
    assert layering_find([withdrawn(n) for n in range(3)], both_sides, limits) is None


@given(seconds=st.integers(0, 10**9), window_s=st.integers(60, 86_400))
def test_every_instant_is_in_one_window(seconds: int, window_s: int) -> None:
    begin = window_begin(at(seconds), window_s)
    assert begin <= at(seconds) < begin + timedelta(seconds=window_s)
    assert window_begin(begin, window_s) == begin


def test_defaults_are_within_their_own_bounds_and_windows_within_what_is_kept() -> None:
    for kind, limits in LIMITS.items():
        for name, limit in limits.items():
            assert limit_problem(kind, name, limit.default) == ""
            if name == "window_s" and kind is not Kind.ORDER_RATIO:
                assert limit.highest == WINDOW_S_MAX <= KEPT / timedelta(seconds=2)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("NONE", "is_on", "1"),
        ("LAYERING", "ratio_max", "1"),
        ("LAYERING", "is_on", "2"),
        ("LAYERING", "is_on", "NaN"),
    ],
)
def test_limit_that_does_not_exist_or_is_out_of_bounds_is_refused(kind: str, name: str, value: str) -> None:
    assert limit_problem(kind, name, Decimal(value))
