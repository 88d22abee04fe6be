"""What the tape tells of a book beside its prices: phase, mode, bands, limit state, the auction to come."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django_redis import get_redis_connection
from redis.exceptions import ConnectionError

from apps.marketdata import quotes, tape
from apps.marketdata.quotes import StatusView, book_latest, books_latest
from apps.matching.codes import Mode, Phase
from apps.matching.messages import Command
from apps.matching.services import command_append
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
def tell(exchange: Exchange) -> Callable[..., None]:
    """Tell AAPL's book something and have it booked."""

    def one(kind: str, **fields: Any) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            command_append(cursor, 0, [Command(kind, "AAPL", 1, **fields)])
        exchange.run()

    return one


def status() -> StatusView:
    found = book_latest("AAPL").status
    assert found is not None
    return found


def test_a_book_that_trades(tell: Callable[..., None]) -> None:
    tell("PHASE", argument=Phase.CONTINUOUS)
    assert status() == StatusView("CONTINUOUS", "OPEN", "", None, None, None)


def test_a_book_that_collects_tells_what_an_auction_would_bring(
    tell: Callable[..., None], exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    tell("PHASE", argument=Phase.HALTED)
    assert (status().phase, status().auction) == ("HALTED", None)
    seller, buyer = trader(shares={"AAPL": 50}), trader(cash="9000.00")
    seller.sell(30, "99.00")
    buyer.buy(20, "100.00")
    exchange.run()
    auction = status().auction
    assert auction is not None
    assert (auction.volume, auction.imbalance) == (20, -10)
    assert Decimal(99) <= auction.price <= Decimal(100)
    tell("PHASE", argument=Phase.CONTINUOUS)
    assert status().auction is None


def test_mode_bands_and_limit_state(
    tell: Callable[..., None], exchange: Exchange, trader: Callable[..., Trader]
) -> None:
    tell("MODE", argument=Mode.REDUCE_ONLY)
    tell("MODE", argument=Mode.OPEN)
    tell("BANDS", price_units=950_000, stop_price_units=1_050_000)
    buyer = trader(cash="9000.00")
    order = buyer.buy(2, "105.00")
    exchange.run()
    limited = status()
    assert (limited.mode, limited.limit_side) == ("OPEN", "BUY")
    assert limited.bands == (Decimal("95.0000"), Decimal("105.0000"))
    assert limited.limit_since is not None
    buyer.buy(1, "104.00")
    exchange.run()
    assert status().limit_since == limited.limit_since, "it lasts since it began"
    buyer.cancel(order)
    exchange.run()
    assert (status().limit_side, status().limit_since) == ("", None)


def test_an_auction_is_found_once_a_second_at_most(
    tell: Callable[..., None],
    exchange: Exchange,
    trader: Callable[..., Trader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tape, "AUCTION_INTERVAL_S", 60.0)
    tell("PHASE", argument=Phase.HALTED)
    for _ in range(3):
        trader(cash="9000.00").buy(1, "99.00")
        exchange.run()
    assert status().phase == "HALTED"
    assert book_latest("AAPL").bids == ()
    tell("PHASE", argument=Phase.CONTINUOUS)
    assert book_latest("AAPL").bids == ((Decimal("99.0000"), 3),), "a phase is told at once"


def test_without_redis_there_is_no_status_and_no_error(market: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def mget(self, keys: list[str]) -> Any:
            raise ConnectionError

    monkeypatch.setattr(quotes, "get_redis_connection", lambda name: Gone())
    assert books_latest(["AAPL"]) is None
    assert book_latest("AAPL").status is None
    assert books_latest([]) == {}


def test_frames_of_an_earlier_form_have_no_status(market: None) -> None:
    get_redis_connection("default").set(tape.tape_key("AAPL"), b'{"book": {"bids": [], "asks": []}}')
    assert book_latest("AAPL").status is None
