"""Where stops stand and how far what they trigger may trade, as pure figures."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apps.primitives.fix import OrderType, Side, TimeInForce
from apps.primitives.money import PRICE_MAX
from apps.risk.rules import OrderFacts, pretrade_check
from apps.risk.stops import collar_price, mark_better, stop_collar, trail_stop
from tests.risk.test_rules import RICH, SHARE, TICKS

prices = st.integers(1, 9_999_999_999).map(lambda units: Decimal(units).scaleb(-4))
sides = st.sampled_from(list(Side))


def facts(side: Side, kind: OrderType, **more: object) -> OrderFacts:
    return OrderFacts(side, kind, TimeInForce.DAY, 10, **{"price": None, **more})  # type: ignore[arg-type]


def test_stop_buy_holds_at_the_collar_of_its_stop() -> None:
    hold = pretrade_check(facts(Side.BUY, OrderType.STOP, stop_price=Decimal("105.00")), RICH, SHARE)
    assert (hold.engine_price, hold.stop_price, hold.cash) == (
        Decimal("115.50"),
        Decimal("105.00"),
        Decimal("1155.00"),
    )


def test_stop_limit_holds_at_its_limit() -> None:
    order = facts(Side.BUY, OrderType.STOP_LIMIT, stop_price=Decimal("105.00"), price=Decimal("106.00"))
    assert pretrade_check(order, RICH, SHARE).cash == Decimal("1060.00")


def test_trail_begins_at_the_market_and_a_replaced_one_at_its_mark() -> None:
    fresh = pretrade_check(facts(Side.SELL, OrderType.TRAIL, trail_percent=Decimal("2.5")), RICH, SHARE)
    assert (fresh.mark, fresh.stop_price) == (Decimal("100.00"), Decimal("97.5000"))
    order = facts(Side.SELL, OrderType.TRAIL, trail_amount=Decimal("9.00"), mark=Decimal("108.00"))
    assert pretrade_check(order, RICH, SHARE).stop_price == Decimal("99.00")


@given(side=sides, stop=prices, bps=st.integers(0, 9_999))
def test_a_stop_collar_is_a_price_and_never_short_of_the_stop(side: Side, stop: Decimal, bps: int) -> None:
    collar = stop_collar(side, stop, bps, TICKS)
    assert Decimal(0) < collar <= PRICE_MAX
    assert collar >= stop if side is Side.BUY else collar <= stop


@given(reference=prices, bps=st.integers(0, 9_999))
def test_a_collar_fits_its_column(reference: Decimal, bps: int) -> None:
    assert collar_price(Side.BUY, reference, bps, TICKS) <= PRICE_MAX


def test_a_collar_above_one_dollar_is_on_the_tick_of_its_own_price() -> None:
    assert collar_price(Side.BUY, Decimal("0.9500"), 1_000, TICKS) == Decimal("1.04")


@given(
    side=sides,
    marks=st.lists(st.integers(10_000, 10_000_000), min_size=2, max_size=10),
    percent=st.integers(1, 999_999),
)
def test_a_stop_only_moves_towards_the_market(side: Side, marks: list[int], percent: int) -> None:
    mark = Decimal(marks[0]).scaleb(-4)
    trail = Decimal(percent).scaleb(-4)
    stop = trail_stop(side, mark, None, trail)
    for units in marks[1:]:
        mark = mark_better(side, mark, Decimal(units).scaleb(-4))
        moved = trail_stop(side, mark, None, trail)
        assert moved >= stop if side is Side.SELL else moved <= stop
        stop = moved


@given(units=st.integers(1, 9_999_999_999), ppm=st.integers(1, 999_999))
def test_a_percentage_is_rounded_as_the_engine_does(units: int, ppm: int) -> None:
    distance = max(units * ppm // 1_000_000, 1)
    stop = trail_stop(Side.SELL, Decimal(units).scaleb(-4), None, Decimal(ppm).scaleb(-4))
    assert stop == Decimal(units - distance).scaleb(-4)
