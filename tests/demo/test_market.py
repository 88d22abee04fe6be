"""The demo's market: fair prices stay in their band, ladders stand on both sides, refusals end nothing."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from threading import Event

import psycopg
import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.demo.desk import Desk, Grumble, Pace
from apps.demo.ladder import Quote, Target, ladder_plan, levels_wanted
from apps.demo.market import Market, NotSeeded, market_run
from apps.demo.participants import LEVELS_KEPT, maker_turn, noise_turn, taker_side, taker_turn
from apps.demo.prices import SIGMA_PPM_MAX, SIGMA_PPM_MIN, PricePath, cents_up, sigma_measure, step_units
from apps.demo.seed import demo_seed
from apps.demo.universe import MAKER, NOISE, SYMBOLS, TAKER
from apps.instruments.selectors import instrument_get
from apps.instruments.services import halt_set
from apps.orders.selectors import order_list
from apps.primitives.clock import utc_now
from apps.primitives.fix import Side, TimeInForce
from apps.trades.selectors import fill_list
from tests.support.books import books_problems
from tests.support.matching import Exchange

DEPTH_SHOWN = 7


# -- fair prices ---------------------------------------------------------------------------------------------


def walk(seed: int, steps: int = 500, symbol: str = "AAPL") -> list[int]:
    path = PricePath(seed, symbol, 4_304_700, 20_000)
    return [path.step(500) for _ in range(steps)]


def test_a_path_repeats_under_its_seed_and_differs_under_another() -> None:
    assert walk(7) == walk(7)
    assert walk(7) != walk(8)
    assert walk(7) != walk(7, symbol="IBM")


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(),
    start=st.integers(1, 10**9),
    sigma=st.integers(SIGMA_PPM_MIN, SIGMA_PPM_MAX),
    step_ms=st.integers(1, 3_600_000),
)
def test_a_path_stays_in_the_band_of_its_day(seed: int, start: int, sigma: int, step_ms: int) -> None:
    path = PricePath(seed, "AAPL", start, sigma)
    low, high = max(start - path.band, 1), start + path.band
    assert all(low <= path.step(step_ms) <= high for _ in range(200))
    path.day_begin(start * 2)
    assert path.anchor - path.band <= path.units <= path.anchor + path.band


def test_a_session_of_steps_varies_as_much_as_the_bars_say() -> None:
    ends = []
    for seed in range(120):
        path = PricePath(seed, "AAPL", 4_000_000, 20_000)
        for _ in range(60):
            path.step(23_400_000 // 60)
        ends.append(path.units - 4_000_000)
    deviation = (sum(end * end for end in ends) / len(ends)) ** 0.5
    # The pull and the band make it somewhat less than the 2 % of a free walk.
    assert 45_000 < deviation < 85_000


def test_volatility_is_measured_and_bounded() -> None:
    swing = [Decimal("100.00"), Decimal("102.00")] * 30
    assert 19_000 < sigma_measure(swing) < 21_000
    assert sigma_measure([Decimal("100.00")] * 60) == SIGMA_PPM_MIN
    assert sigma_measure([Decimal("100.00"), Decimal("300.00")] * 30) == SIGMA_PPM_MAX
    assert sigma_measure([]) == SIGMA_PPM_MIN


# -- ladders -------------------------------------------------------------------------------------------------

TARGETS = st.builds(
    Target,
    fair=st.integers(10_000, 10_000_000),
    step=st.sampled_from((100, 200, 600)),
    offset=st.sampled_from((0, 100)),
    spread=st.sampled_from((50, 100, 300)),
    skew=st.integers(-900, 900),
    levels=st.integers(1, 10),
    kept=st.integers(10, 14),
)


def applied(quotes: list[Quote], target: Target) -> list[Quote]:
    """Return the ladder after its plan has been carried out."""
    plan = ladder_plan(quotes, target)
    gone = {quote.order_id for quote in plan.cancels} | {move.quote.order_id for move in plan.moves}
    fresh = [*((move.quote.side, move.price) for move in plan.moves), *plan.adds]
    stay = [quote for quote in quotes if quote.order_id not in gone]
    first = max((quote.order_id for quote in quotes), default=0) + 1
    return stay + [Quote(first + n, side, price, 100, 0, False) for n, (side, price) in enumerate(fresh)]


@settings(deadline=None)
@given(targets=st.lists(TARGETS, min_size=1, max_size=6))
def test_after_its_plan_a_ladder_is_whole_sound_and_bounded(targets: list[Target]) -> None:
    quotes: list[Quote] = []
    for target in targets:
        quotes = applied(quotes, target)
        bids = {quote.price for quote in quotes if quote.side is Side.BUY}
        asks = {quote.price for quote in quotes if quote.side is Side.SELL}
        assert bids >= set(levels_wanted(target, Side.BUY))
        assert asks >= set(levels_wanted(target, Side.SELL))
        assert not bids or not asks or max(bids) < min(asks)
        assert len(quotes) <= 2 * (target.kept + target.levels)
    assert not any((plan := ladder_plan(quotes, targets[-1])).adds + plan.moves)


def test_orders_that_change_already_are_left_alone() -> None:
    target = Target(fair=1_000_000, step=100, offset=0, spread=50, skew=0, levels=2, kept=3)
    wrong = Quote(1, Side.BUY, 2_000_000, 10, 0, True)
    plan = ladder_plan([wrong], target)
    assert not plan.cancels and not plan.moves


def test_takers_lean_against_their_stock() -> None:
    def buys(excess_pct: int, drift: int = 0) -> int:
        rng = Random(1)
        return sum(taker_side(excess_pct, drift, rng) is Side.BUY for _ in range(2000))

    assert buys(-50) > 1500 > buys(0) > 500 > buys(50) > 50
    assert buys(0, drift=1) > buys(0) > buys(0, drift=-1)


def test_the_pace_slows_down_with_latency_and_recovers() -> None:
    pace = Pace()
    assert pace.slowdown == 1.0
    for _ in range(200):
        pace.observe(0.2)
    assert pace.slowdown > 5
    for _ in range(200):
        pace.observe(0.002)
    assert pace.slowdown == 1.0


# -- on the real market --------------------------------------------------------------------------------------


@pytest.fixture
def exchange(database: None, tmp_path: Path) -> Iterator[Exchange]:
    demo_seed(tmp_path / "demo.json", "http://127.0.0.1:8000", lambda line: None)
    with Exchange() as exchange:
        yield exchange
    problems = books_problems()
    assert not problems, problems


def depth(exchange: Exchange, symbol: str) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    return exchange.runner.engine.depth(instrument_get(symbol).instrument_id, 20)


def quote(market: Market, exchange: Exchange, turns: int = 6) -> None:
    for _ in range(turns):
        for index, desk in enumerate(market.desks[MAKER]):
            maker_turn(desk, index, market.shares, market.rng)
        exchange.run()


def test_makers_and_takers_keep_a_deep_two_sided_market(exchange: Exchange) -> None:
    since = utc_now()
    market = Market(seed=3, trades_per_s=2.5)
    quote(market, exchange)
    for _ in range(8):
        for share in market.shares:
            share.advance(5_000)
            taker_turn(market.rng.choice(market.desks[TAKER]), share, market.rng)
        noise_turn(market.desks[NOISE][0], market.shares, market.rng)
        exchange.run()
        quote(market, exchange, turns=1)
    quote(market, exchange, turns=2)
    for symbol in SYMBOLS:
        bids, asks = depth(exchange, symbol)
        assert len(bids) >= DEPTH_SHOWN and len(asks) >= DEPTH_SHOWN, symbol
        assert bids[0][0] < asks[0][0]
        assert all(price % 100 == 0 for price, *_ in bids + asks)
    takers = market.desks[TAKER]
    fills = [fill for desk in takers for fill in fill_list(desk.account_id, since)]
    assert len(fills) >= 20
    assert {fill.symbol for fill in fills} == set(SYMBOLS)
    assert not any(order_list(desk.account_id, status="open") for desk in takers)
    for desk in market.desks[MAKER]:
        assert len(order_list(desk.account_id, limit=500)) <= 2 * 2 * LEVELS_KEPT * len(SYMBOLS)


def test_a_new_market_takes_back_the_orders_of_the_old_one(exchange: Exchange) -> None:
    market = Market(seed=3, trades_per_s=2.5)
    quote(market, exchange, turns=2)
    assert any(order_list(desk.account_id) for desk in market.everyone)
    again = Market(seed=4, trades_per_s=2.5)
    for desk in again.everyone:
        desk.cancel_all()
    exchange.run()
    assert not any(order_list(desk.account_id) for desk in again.everyone)


def test_a_halted_share_gets_no_orders_that_cannot_rest(exchange: Exchange) -> None:
    market = Market(seed=3, trades_per_s=2.5)
    quote(market, exchange)
    with transaction.atomic():
        halt_set(symbol="IBM", halted=True, reason="A test of the halt")
    market._views()
    (ibm,) = (share for share in market.shares if share.symbol == "IBM")
    fair = ibm.path.units
    for _ in range(5):
        market._fair()
        taker_turn(market.desks[TAKER][0], ibm, market.rng)
    assert ibm.path.units == fair
    assert not order_list(market.desks[TAKER][0].account_id, status="all")
    quote(market, exchange, turns=1)
    standing = len(order_list(market.desks[MAKER][0].account_id, symbols=["IBM"], limit=500))
    quote(market, exchange, turns=3)
    assert len(order_list(market.desks[MAKER][0].account_id, symbols=["IBM"], limit=500)) == standing


def test_nothing_is_sent_while_nobody_matches(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(seed=3, trades_per_s=2.5)
    taker = market.desks[TAKER][0]
    taker.submit("AAPL", Side.BUY, None, 1, TimeInForce.DAY)
    market._watch()
    assert market.may_trade
    monkeypatch.setattr("apps.demo.desk.WAIT", timedelta(seconds=-1))
    market._watch()
    assert not market.may_trade
    for share in market.shares:
        market._take(share)
    assert sum(len(order_list(desk.account_id)) for desk in market.desks[TAKER]) == 1
    exchange.run()
    market._watch()
    assert market.may_trade


def test_a_refusal_is_noted_and_the_next_order_passes(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    market = Market(seed=3, trades_per_s=2.5)
    desk: Desk = market.desks[TAKER][0]
    with caplog.at_level("INFO", logger="apps.demo.desk"):
        for _ in range(5):
            assert not desk.submit("AAPL", Side.SELL, None, 9_000_000, TimeInForce.DAY)
    assert len([record for record in caplog.records if "INSUFFICIENT_SHARES" in record.message]) == 1
    assert not desk.cancel(1)
    assert desk.submit("AAPL", Side.BUY, 4_000_000, 1, TimeInForce.DAY)
    exchange.run()


def test_without_a_seed_the_market_says_so(database: None) -> None:
    with pytest.raises(NotSeeded):
        market_run(1, 2.5, Event())


def test_the_market_comes_back_after_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, tries = Event(), []

    def connect(seed: int, trades_per_s: float) -> Market:
        tries.append(seed)
        if len(tries) == 3:
            stopping.set()
        raise psycopg.OperationalError("the server went away")

    monkeypatch.setattr("apps.demo.market.Market", connect)
    monkeypatch.setattr("apps.demo.market.BACKOFF_S", (0.01, 0.02))
    market_run(1, 2.5, stopping)
    assert tries == [1, 1, 1]


def test_prices_are_whole_cents() -> None:
    assert cents_up(101, 100) == 200 and cents_up(100, 100) == 100
    assert step_units(PricePath(1, "A", 300_000, 5_000)) == 100
    assert Grumble().counts == {}
