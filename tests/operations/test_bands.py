"""Limit up, limit down through the real market: bands, a limit state, a pause, and trading again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django_redis import get_redis_connection

from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.instruments.models import Instrument
from apps.marketdata import tape
from apps.marketdata.quotes import book_latest
from apps.matching.models import OrderCommand
from apps.operations import tasks
from apps.operations.models import BookSession
from apps.operations.services import bands
from apps.operations.services.bands import bands_upkeep
from apps.operations.services.controls import symbol_bands, symbol_halt, symbol_resume
from apps.primitives.clock import utc_now
from tests.support.builders import Trader
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)


@pytest.fixture(autouse=True)
def every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tape tell every batch at once."""
    monkeypatch.setattr(tape, "FRAME_INTERVAL_S", 0.0)
    monkeypatch.setattr(tape, "AUCTION_INTERVAL_S", 0.0)


@pytest.fixture
def liquid(market: None) -> None:
    """AAPL, at 100.00 and of the first tier, is the only share with bands."""
    Instrument.objects.filter(symbol="AAPL").update(band_tier=1)
    Instrument.objects.exclude(symbol="AAPL").update(band_tier=None)


def told() -> BookSession:
    return BookSession.objects.get(symbol="AAPL")


def events(*kinds: str) -> list[str]:
    rows = Event.objects.filter(topic="audit-log", event_type__in=kinds).order_by("id")
    return [row.event_type for row in rows]


def test_bands_begin_at_the_last_price_and_are_told_once(liquid: None, exchange: Exchange) -> None:
    now = utc_now()
    assert bands_upkeep(now) == 1
    assert bands_upkeep(now) == 0, "a book that is about to be told is left alone"
    exchange.run()
    assert bands_upkeep(now + timedelta(seconds=5)) == 0
    status = book_latest("AAPL").status
    assert status is not None
    assert status.bands == (Decimal("95.0000"), Decimal("105.0000"))
    row = told()
    assert (row.band_reference, row.bands_source) == (Decimal(100), "RULE")
    assert events("BANDS_CHANGED") == ["BANDS_CHANGED"]


def test_bands_follow_the_mean_of_five_minutes(
    liquid: None, exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    bands_upkeep(utc_now())
    seller, buyer = trader(shares={"AAPL": 30}), trader(cash="50000.00")
    for price in ("102.00", "103.00", "104.00"):
        seller.sell(1, price)
        buyer.buy(1, price)
    exchange.run()
    assert bands_upkeep(utc_now() + timedelta(seconds=20)) == 0, "a reference stands for half a minute"
    assert bands_upkeep(utc_now() + timedelta(seconds=31)) == 1
    assert told().band_reference == Decimal("103.0000")
    exchange.run()
    assert bands_upkeep(utc_now() + timedelta(minutes=10)) == 0, "without trades the reference stands"


def limit_up(exchange: Exchange, trader: Callable[..., Trader]) -> tuple[Trader, datetime]:
    """Bring AAPL into the limit state: buyers wait at the upper band, and nobody sells."""
    bands_upkeep(utc_now())
    exchange.run()
    buyer = trader(cash="50000.00")
    buyer.buy(3, "105.00")
    exchange.run()
    return buyer, utc_now()


def test_a_limit_state_of_fifteen_seconds_is_a_pause_that_ends_in_an_auction(
    liquid: None, exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    buyer, began = limit_up(exchange, trader)
    bands_upkeep(began + timedelta(seconds=1))
    assert told().limit_side == "BUY"
    assert not OrderCommand.objects.exists(), "a limit state is noted, not told"
    bands_upkeep(began + timedelta(seconds=16))
    exchange.run()
    paused = told()
    assert (paused.phase, paused.lower_band) == ("PAUSED", None)
    assert paused.paused_until == began + timedelta(seconds=16, minutes=5)
    seller = trader(shares={"AAPL": 30})
    offer, above = seller.sell(2, "107.00"), buyer.buy(2, "108.00")
    exchange.run()
    assert seller.order(offer).status == "NEW", "nothing trades in a pause"
    status = book_latest("AAPL").status
    assert status is not None
    assert (status.phase, status.auction and status.auction.volume) == ("PAUSED", 2)
    assert bands_upkeep(paused.paused_until - timedelta(seconds=1)) == 0
    assert bands_upkeep(paused.paused_until) == 1
    exchange.run()
    assert (seller.order(offer).status, buyer.order(above).status) == ("FILLED", "FILLED")
    assert bands_upkeep(paused.paused_until + timedelta(seconds=5)) == 1
    reopened = told()
    assert reopened.phase == "CONTINUOUS"
    assert reopened.band_reference == seller.order(offer).avg_fill_price
    kinds = ("BANDS_CHANGED", "SYMBOL_PAUSED", "SYMBOL_RESUMED")
    assert events(*kinds) == ["BANDS_CHANGED", "SYMBOL_PAUSED", "SYMBOL_RESUMED", "BANDS_CHANGED"]


def test_a_limit_state_that_ends_in_time_is_no_pause(
    liquid: None, exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    _, began = limit_up(exchange, trader)
    bands_upkeep(began + timedelta(seconds=5))
    trader(shares={"AAPL": 30}).sell(3, "105.00")
    exchange.run()
    bands_upkeep(began + timedelta(seconds=10))
    assert told().limit_side == ""
    bands_upkeep(began + timedelta(seconds=30))
    assert (told().phase, events("SYMBOL_PAUSED")) == ("CONTINUOUS", [])


def test_a_stale_hint_of_the_tape_pauses_nothing(
    liquid: None, exchange: Exchange, trader: Callable[..., Trader], monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer, began = limit_up(exchange, trader)
    bands_upkeep(began + timedelta(seconds=1))
    frame = get_redis_connection("default").get(tape.tape_key("AAPL"))
    trader(shares={"AAPL": 30}).sell(3, "105.00")
    exchange.run()
    get_redis_connection("default").set(tape.tape_key("AAPL"), frame)
    bands_upkeep(began + timedelta(seconds=20))
    assert told().phase == "CONTINUOUS"


def test_without_the_tape_the_database_says_who_waits_at_the_band(
    liquid: None, exchange: Exchange, trader: Callable[..., Trader], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, began = limit_up(exchange, trader)
    monkeypatch.setattr(bands, "books_latest", lambda symbols: None)
    bands_upkeep(began + timedelta(seconds=1))
    assert told().limit_side == "BUY"
    bands_upkeep(began + timedelta(seconds=17))
    assert told().phase == "PAUSED"


def test_staff_come_before_the_rules(liquid: None, exchange: Exchange) -> None:
    bands_upkeep(utc_now())
    symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
    exchange.run()
    assert told().lower_band is None, "the rules' bands end with trading"
    assert bands_upkeep(utc_now() + timedelta(minutes=1)) == 0
    symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
    exchange.run()
    fixed = (Decimal("80"), Decimal("120"))
    symbol_bands(symbol="AAPL", lower=fixed[0], upper=fixed[1], reason="A volatile day", origin=SYSTEM)
    exchange.run()
    assert bands_upkeep(utc_now() + timedelta(minutes=2)) == 0
    assert (told().lower_band, told().upper_band) == fixed
    symbol_bands(symbol="AAPL", lower=None, upper=None, reason="Calm again", origin=SYSTEM)
    exchange.run()
    assert bands_upkeep(utc_now() + timedelta(minutes=3)) == 1


def test_two_rounds_at_once_tell_a_book_once(liquid: None) -> None:
    def upkeep() -> int:
        try:
            return bands_upkeep(utc_now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        rounds = [pool.submit(upkeep) for _ in range(3)]
        assert sum(one.result() for one in rounds) == 1
    assert OrderCommand.objects.get().kind == "BANDS"


def test_a_halt_that_comes_between_reading_and_locking_wins(
    liquid: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = bands.act_is_ours

    def halt_first(cursor: Any, act: str) -> bool:
        def halt() -> None:
            try:
                symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(halt).result()
        return ours(cursor, act)

    monkeypatch.setattr(bands, "act_is_ours", halt_first)
    assert bands_upkeep(utc_now()) == 0
    assert OrderCommand.objects.get().kind == "PHASE"


def test_bands_are_for_sessions_only(liquid: None, settings: Any) -> None:
    settings.MARKET_CALENDAR = "XNYS"
    assert bands_upkeep(datetime(2026, 11, 21, 16, 0, tzinfo=UTC)) == 0
    assert bands_upkeep(datetime(2026, 11, 20, 14, 29, tzinfo=UTC)) == 0


def test_the_task_does_nothing_where_bands_are_off(liquid: None, settings: Any) -> None:
    settings.PRICE_BANDS = False
    tasks.bands_upkeep_task()
    assert not OrderCommand.objects.exists()
    settings.PRICE_BANDS = True
    tasks.bands_upkeep_task()
    assert OrderCommand.objects.get().kind == "BANDS"
