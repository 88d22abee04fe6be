"""A market of every order type, in every phase: whenever it is rebuilt, its books have the same hash."""

import random
from collections.abc import Callable
from decimal import Decimal

import pytest

from apps.events.facts import SYSTEM
from apps.matching.codes import Mode, Phase
from apps.operations.services.controls import symbol_bands, symbol_mode, symbol_phase
from apps.orders.models import Order
from apps.orders.selectors import order_list
from apps.primitives.errors import BrokerageError
from tests.support.books import books_problems
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange

ACTS = 250
PHASES = (
    Phase.CONTINUOUS,
    Phase.PRE_OPEN,
    Phase.OPENING_AUCTION,
    Phase.PAUSED,
    Phase.CLOSING_AUCTION,
    Phase.CLOSED,
)


class Crowd:
    """Traders who do something sensible or not at random, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.traders = [trader_open(cash="200000.00", shares={"AAPL": 2_000}) for _ in range(4)]
        self.acts: list[tuple[int, Callable[[Trader], object]]] = [
            (25, self.limit),
            (8, self.market),
            (8, self.stop),
            (6, self.stop_limit),
            (8, self.trail),
            (8, self.auction),
            (6, self.bracket),
            (5, self.pair),
            (4, self.oto),
            (8, self.cancel),
            (14, self.replace),
            (3, self.phase),
            (1, self.mode),
            (1, self.bands),
        ]

    def act(self) -> None:
        """Let somebody do something; a refusal is part of the story."""
        weights = [weight for weight, _ in self.acts]
        act = self.chance.choices([act for _, act in self.acts], weights)[0]
        try:
            act(self.chance.choice(self.traders))
        except BrokerageError:
            pass

    def price(self, low: int = 94, high: int = 106) -> str:
        return f"{self.chance.randint(low * 20, high * 20) / 20:.2f}"

    @property
    def side(self) -> str:
        return self.chance.choice(("buy", "sell"))

    @property
    def size(self) -> int:
        return self.chance.randint(1, 12)

    def limit(self, trader: Trader) -> None:
        times = ("day", "gtc", "gtc", "ioc", "fok")
        trader.submit(
            self.side, self.size, price=self.price(97, 103), time_in_force=self.chance.choice(times)
        )

    def market(self, trader: Trader) -> None:
        trader.submit(self.side, self.size)

    def stop(self, trader: Trader) -> None:
        trader.stop(self.side, self.size, self.price())

    def stop_limit(self, trader: Trader) -> None:
        trader.stop(self.side, self.size, self.price(), self.price())

    def trail(self, trader: Trader) -> None:
        kind = self.chance.choice(({"trail_price": "1.50"}, {"trail_percent": "1.2345"}))
        trader.trail(self.side, self.size, **kind)

    def auction(self, trader: Trader) -> None:
        price = self.chance.choice((None, self.price(97, 103)))
        trader.submit(self.side, self.size, price=price, time_in_force=self.chance.choice(("opg", "cls")))

    def bracket(self, trader: Trader) -> None:
        limit = self.chance.choice((None, "100.00", "99.50"))
        limits = {"price": limit, "stop_limit": self.chance.choice((None, "98.00"))}
        trader.group("bracket", self.size, self.price(101, 103), self.price(97, 99), **limits)

    def pair(self, trader: Trader) -> None:
        trader.group("oco", self.size, self.price(101, 103), self.price(97, 99), time_in_force="gtc")

    def oto(self, trader: Trader) -> None:
        exit_at = self.chance.choice(((self.price(101, 103), None), (None, self.price(97, 99))))
        trader.group("oto", self.size, *exit_at)

    def cancel(self, trader: Trader) -> None:
        if orders := order_list(trader.account_id):
            trader.cancel(self.chance.choice(orders))

    def replace(self, trader: Trader) -> None:
        if not (orders := order_list(trader.account_id)):
            return
        order = self.chance.choice(orders)
        asked: dict[str, str | None] = {}
        if order.order_type in ("LIMIT", "STOP_LIMIT") and self.chance.random() < 0.6:
            asked["price"] = self.price(96, 104)
        if order.order_type in ("STOP", "STOP_LIMIT") and self.chance.random() < 0.5:
            asked["stop"] = self.price()
        if order.order_type == "TRAIL" and self.chance.random() < 0.5:
            asked["trail"] = "2.00"
        smaller = order.quantity - 1 if self.chance.random() < 0.5 else None
        trader.replace(order, quantity=smaller, **asked)

    def phase(self, trader: Trader) -> None:
        phase = self.chance.choice(PHASES)
        symbol_phase(symbol="AAPL", phase=phase, reason="part of the story", origin=SYSTEM)
        if phase is not Phase.CONTINUOUS and self.chance.random() < 0.8:
            for _ in range(self.chance.randint(0, 8)):
                self.act()
            symbol_phase(symbol="AAPL", phase=Phase.CONTINUOUS, reason="on we go", origin=SYSTEM)

    def mode(self, trader: Trader) -> None:
        symbol_mode(symbol="AAPL", mode=Mode.REDUCE_ONLY, reason="part of the story", origin=SYSTEM)
        for _ in range(5):
            self.act()
        symbol_mode(symbol="AAPL", mode=Mode.OPEN, reason="on we go", origin=SYSTEM)

    def bands(self, trader: Trader) -> None:
        lower, upper = self.chance.choice(((None, None), (Decimal("97.00"), Decimal("103.00"))))
        symbol_bands(symbol="AAPL", lower=lower, upper=upper, reason="part of the story", origin=SYSTEM)


@pytest.mark.parametrize("seed", range(6))
def test_books_rebuilt_from_the_database_are_the_books_that_were(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("apps.orders.services.plan.auction_entry_check", lambda *_: None)
    monkeypatch.setattr("apps.orders.services.replacement.auction_entry_check", lambda *_: None)
    crowd, runner = Crowd(seed), exchange.runner
    for number in range(ACTS):
        crowd.act()
        if crowd.chance.random() < 0.5:
            continue
        runner.step(exchange.connection)
        rebuilt = runner._recover(exchange.connection)
        assert rebuilt.state_hash() == runner.engine.state_hash(), f"after act {number}"
        if number % 2:
            runner.engine = rebuilt
        if number % 25 == 0:
            assert books_problems() == []
    exchange.run()
    assert books_problems() == []
    assert runner._recover(exchange.connection).state_hash() == runner.engine.state_hash()
    assert Order.objects.filter(filled_quantity__gt=0).exists()
    assert Order.objects.filter(triggered_at__isnull=False).exists()
