"""Random histories through the real exchange, with what the tables said after each step."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.accounts.models import Account
from apps.audit.selectors import AccountAt, OrderStory
from apps.events.facts import SYSTEM
from apps.matching.codes import Phase
from apps.operations.services.busting import trade_bust
from apps.operations.services.controls import (
    account_restore,
    account_suspend,
    symbol_halt,
    symbol_phase,
    symbol_resume,
)
from apps.operations.services.funding import cash_deposit, shares_issue
from apps.operations.services.sessions import orders_expire
from apps.operations.services.settlement import settlement_run
from apps.operations.services.valuation import positions_value
from apps.orders.models import LiveOrder, Order
from apps.orders.selectors import order_list
from apps.positions.models import Position
from apps.primitives.errors import BrokerageError, Conflict
from apps.primitives.money import cost_average
from apps.trades.models import Trade
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange

SYMBOLS = ("AAPL", "MSFT")
CENTRES = {"AAPL": 100, "MSFT": 50}
ORDER_COLUMNS = (
    "order_id", "user_id", "account_id", "client_order_id", "symbol", "side", "order_type", "time_in_force",
    "status", "quantity", "filled_quantity", "price", "collar_price", "stop_price", "trail_amount",
    "trail_percent", "high_water_mark", "triggered_at", "order_class", "group_id", "leg", "reason",
    "replaces", "replaced_by", "created_at", "expires_at", "ended_at",
)  # fmt: skip


def db_now() -> datetime:
    """Return the server's clock, by which events are dated."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


@dataclass(frozen=True)
class Truth:
    """What the tables said of everything at an instant."""

    at: datetime
    accounts: dict[int, dict[str, Any]]
    orders: dict[int, dict[str, Any]]


def truth_read() -> Truth:
    """Return what the tables say now."""
    orders: dict[int, dict[str, Any]] = {}
    for row in Order.objects.all():
        figures = {name: getattr(row, name) for name in ORDER_COLUMNS}
        average = cost_average(row.filled_value, row.filled_quantity) if row.filled_quantity else None
        orders[row.order_id] = {**figures, "average_price": average}
    accounts: dict[int, dict[str, Any]] = {
        row.account_id: {
            "account_type": row.account_type,
            "status": row.account_status,
            "cash_balance": row.cash_balance,
            "unsettled_cash": row.unsettled_cash,
            "positions": {},
            "holds": {},
        }
        for row in Account.objects.all()
    }
    for held in Position.objects.all():
        figures = (held.quantity, held.average_cost, held.realized_pnl)
        accounts[held.account_id]["positions"][held.symbol] = figures
    for live in LiveOrder.objects.all():
        hold = (live.remaining, live.held_cash, live.held_shares, live.trigger_price, live.status)
        accounts[live.account_id]["holds"][live.order_id] = hold
    return Truth(db_now(), accounts, orders)


def account_told(found: AccountAt) -> dict[str, Any]:
    """Return an account as events tell it, in the shape of the truth."""
    fold = found.fold
    live = {
        o.order_id: (o.leaves_quantity, o.held_cash, o.held_shares, o.trigger_price, o.status)
        for o in fold.orders.values()
    }
    queued = {q.order_id: (q.held_cash, q.held_shares) for q in fold.queued.values()}
    return {
        "account_type": fold.account_type,
        "status": fold.status,
        "cash_balance": found.cash_balance,
        "unsettled_cash": found.unsettled_cash,
        "positions": {
            p.symbol: (p.quantity, p.average_cost, p.realized_pnl) for p in fold.positions.values()
        },
        "holds": {**live, **queued},
    }


def account_true(truth: Truth, account_id: int, queued: Sequence[int]) -> dict[str, Any]:
    """Return the truth of an account; of a replacement still queued only what it holds."""
    told = truth.accounts[account_id]
    holds = {n: hold[1:3] if n in queued else hold for n, hold in told["holds"].items()}
    return {**told, "holds": holds}


def order_told(story: OrderStory) -> dict[str, Any]:
    """Return an order as events tell it, in the shape of the truth."""
    order = story.fold.orders[story.order_id]
    return {name: getattr(order, name) for name in (*ORDER_COLUMNS, "average_price")}


@dataclass
class History:
    """A market of some traders in which a random thing happens at each step."""

    exchange: Exchange
    seed: int
    traders: list[Trader] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.acts: list[tuple[int, Callable[[], object]]] = [
            (30, self._order), (10, self._stop), (6, self._trail), (9, self._group), (10, self._cancel),
            (14, self._replace), (2, self._deposit), (1, self._issue), (1, self._suspend), (1, self._restore),
            (2, self._halt), (5, self._resume), (2, self._auction), (1, self._expire), (1, self._settle),
            (2, self._close), (3, self._bust), (2, self._overtaken),
        ]  # fmt: skip

    def run(self, steps: int) -> None:
        """Open the market and let so many things happen, each written down."""
        self.begins_at = db_now()
        for _ in range(3):
            self.traders.append(trader_open(cash="20000.00", shares={"AAPL": 60, "MSFT": 60}))
            self.truths.append(truth_read())
        weights, acts = zip(*self.acts, strict=True)
        for _ in range(steps):
            self._step(*self.random.choices(acts, weights), runs=self.random.random() < 0.7)
        self.traders.append(trader_open(cash="20000.00"))
        for act in (
            *[lambda s=s: self._reopen(s) for s in SYMBOLS],
            self._overtaken,
            self._left,
            self._expire,
        ):
            self._step(act, runs=True)

    def _step(self, act: Callable[[], object], *, runs: bool) -> None:
        try:
            act()
        except BrokerageError:
            self.refused += 1
        self.truths.append(truth_read())
        if runs:
            self.exchange.run()
            self.truths.append(truth_read())

    def _trader(self) -> Trader:
        return self.random.choice(self.traders)

    def _terms(self) -> tuple[str, str, int]:
        chance = self.random
        return chance.choice(("buy", "sell")), chance.choice(SYMBOLS), chance.randint(1, 9)

    def _price(self, symbol: str, spread: int = 12) -> str:
        cents = CENTRES[symbol] * 100 + self.random.randint(-spread, spread)
        return str(Decimal(cents) / 100)

    def _order(self) -> None:
        side, symbol, quantity = self._terms()
        price = None if self.random.random() < 0.15 else self._price(symbol)
        life = self.random.choice(("day", "day", "gtc", "ioc", "fok", "cls" if price else "day"))
        self._trader().submit(side, quantity, symbol, price, life)

    def _stop(self) -> None:
        side, symbol, quantity = self._terms()
        away = 8 if side == "buy" else -8
        stop = Decimal(CENTRES[symbol]) + Decimal(away + self.random.randint(-6, 6)) / 100
        limit = self.random.choice((None, str(stop)))
        self._trader().stop(side, quantity, str(stop), limit, symbol=symbol)

    def _trail(self) -> None:
        side, symbol, quantity = self._terms()
        trail = {"trail_price": "0.06"} if self.random.random() < 0.5 else {"trail_percent": "0.1"}
        self._trader().trail(side, quantity, symbol=symbol, **trail)

    def _group(self) -> None:
        _, symbol, quantity = self._terms()
        centre = Decimal(CENTRES[symbol])
        away = Decimal(self.random.randint(4, 12)) / 100
        kind = self.random.choice(("bracket", "oco", "oto"))
        exits = {"take_profit": str(centre + away), "stop_loss": str(centre - away)}
        if kind == "oto":
            del exits[self.random.choice(("take_profit", "stop_loss"))]
        price = {} if kind == "oco" else {"price": self._price(symbol, 3)}
        self._trader().group(kind, quantity, symbol=symbol, **exits, **price)

    def _open(self) -> tuple[Trader, Any]:
        trader = self._trader()
        found = order_list(trader.account_id)
        if not found:
            raise BrokerageError("nothing", "nothing is open")
        return trader, self.random.choice(found)

    def _cancel(self) -> None:
        trader, order = self._open()
        trader.cancel(order)

    def _replace(self) -> None:
        trader, order = self._open()
        more: dict[str, Any] = {}
        if order.price is not None and order.order_type != "TRAIL":
            more["price"] = self._price(order.symbol)
        elif order.stop_price is not None and order.order_type == "STOP":
            more["stop"] = str(order.stop_price + Decimal(self.random.randint(-2, 2)) / 100)
        elif order.trail_amount is not None:
            more["trail"] = "0.09"
        if self.random.random() < 0.5:
            more["quantity"] = order.filled_quantity + self.random.randint(1, 9)
        trader.replace(order, **more)

    def _deposit(self) -> None:
        cash_deposit(
            account_id=self._trader().account_id, amount=Decimal("123.45"), description="more", origin=SYSTEM
        )

    def _issue(self) -> None:
        account_id, symbol = self._trader().account_id, self.random.choice(SYMBOLS)
        shares_issue(
            account_id=account_id, symbol=symbol, quantity=7, unit_cost=Decimal("33.3333"),
            reason="more shares", origin=SYSTEM,
        )  # fmt: skip

    def _suspend(self) -> None:
        account_suspend(account_id=self._trader().account_id, reason="to be looked at", origin=SYSTEM)

    def _restore(self) -> None:
        for trader in self.traders:
            account_restore(account_id=trader.account_id, reason="looked at", origin=SYSTEM)

    def _halt(self) -> None:
        symbol_halt(symbol=self.random.choice(SYMBOLS), reason="news are pending", origin=SYSTEM)

    def _resume(self) -> None:
        for symbol in SYMBOLS:
            self._reopen(symbol)

    def _reopen(self, symbol: str) -> None:
        symbol_resume(symbol=symbol, reason="news are out", origin=SYSTEM)

    def _auction(self) -> None:
        symbol = self.random.choice(SYMBOLS)
        phase = self.random.choice((Phase.CLOSING_AUCTION, Phase.CONTINUOUS, Phase.CONTINUOUS))
        symbol_phase(symbol=symbol, phase=phase, reason="an auction now", origin=SYSTEM)

    def _expire(self) -> None:
        orders_expire(db_now() + timedelta(days=self.random.choice((2, 100))))

    def _settle(self) -> None:
        for date in set(Trade.objects.values_list("settl_date", flat=True)):
            settlement_run(date)

    def _close(self) -> None:
        positions_value(db_now().date() + timedelta(days=len(self.truths)))

    def _bust(self) -> None:
        trades = list(Trade.objects.values_list("trade_id", flat=True))
        if trades:
            trade_bust(trade_id=self.random.choice(trades), reason="clearly erroneous", origin=SYSTEM)

    def _overtaken(self) -> None:
        """Send an order that trades at once or never to a book that has just begun an auction."""
        with suppress(Conflict):
            symbol_phase(symbol="AAPL", phase=Phase.CLOSING_AUCTION, reason="an auction now", origin=SYSTEM)
        self.traders[-1].buy(1, "100.00", time_in_force="ioc")

    def _left(self) -> None:
        """Leave an order that nobody meets, for its day to end."""
        self.traders[-1].buy(1, "96.00")
