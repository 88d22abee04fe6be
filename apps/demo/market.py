"""The demo market's loop: whose turn it is, at what pace, and what happens when the platform is not there."""

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from threading import Event

import psycopg
from django.db import Error as DatabaseError
from django.db import connections
from redis.exceptions import RedisError

from apps.demo.desk import Desk, Grumble, Pace
from apps.demo.participants import Share, maker_turn, noise_turn, taker_turn
from apps.demo.people import account_named
from apps.demo.prices import PricePath, sigma_measure
from apps.demo.universe import MAKER, NOISE, PARTICIPANTS, SYMBOLS, TAKER
from apps.instruments.selectors import InstrumentView, instrument_list, market_clock
from apps.marketdata.selectors import bar_list
from apps.primitives.errors import BrokerageError
from apps.primitives.money import price_to_units

logger = logging.getLogger(__name__)

TRADES_PER_S = 2.5
"""How often a taker trades in each share when nothing slows the market down."""

FAIR_INTERVAL_S = 0.5
MAKER_INTERVAL_S = 1.0
NOISE_INTERVAL_S = 2.0
VIEW_INTERVAL_S = 2.0
STOCK_INTERVAL_S = 20.0
STATUS_INTERVAL_S = 300.0
SIGMA_DAYS = 61
CLEAR_WAIT_S = 20.0
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)

TROUBLE = (DatabaseError, psycopg.Error, RedisError, OSError, BrokerageError)
"""What a restart of PostgreSQL or Valkey raises here, and a read that is refused."""


class NotSeeded(Exception):
    """The demo's shares or participants are missing."""


@dataclass(order=True, slots=True)
class Turn:
    """Something that is due at an instant of the monotonic clock, and comes again."""

    due_s: float
    order: int
    interval: Callable[[], float] = field(compare=False)
    act: Callable[[], None] = field(compare=False)


class Market:
    """Everything in memory between two connections to the platform; all of it can be read anew."""

    def __init__(self, seed: int, trades_per_s: float) -> None:
        self.rng = Random(seed)
        self.trades_per_s = trades_per_s
        self.pace = Pace()
        self.shares = shares_read(seed)
        self.is_open = True
        grumble = Grumble()
        self.desks: dict[str, list[Desk]] = {MAKER: [], TAKER: [], NOISE: []}
        for participant in PARTICIPANTS:
            account = account_named(participant.username)
            if account is None:
                raise NotSeeded(f"There is no participant {participant.username}.")
            desk = Desk(participant, account.account_id, self.pace, grumble)
            self.desks[participant.role].append(desk)

    @property
    def everyone(self) -> Iterator[Desk]:
        return itertools.chain.from_iterable(self.desks.values())

    @property
    def may_trade(self) -> bool:
        """Whether the market is open and somebody matches: queued orders must not pile up."""
        return self.is_open and not any(desk.is_waiting for desk in self.everyone)

    def clear(self, stopping: Event) -> None:
        """Take back every order of an earlier run, and wait a while for the runner to do it."""
        deadline = time.monotonic() + CLEAR_WAIT_S
        while sum(desk.cancel_all() for desk in self.everyone) and time.monotonic() < deadline:
            if stopping.wait(0.25):
                return

    def run(self, stopping: Event) -> None:
        """Give everyone their turns until asked to stop; raises what ``TROUBLE`` lists."""
        turns = self._turns()
        heapq.heapify(turns)
        while True:
            turn = turns[0]
            if stopping.wait(max(turn.due_s - time.monotonic(), 0.0)):
                return
            turn.act()
            # Counted from now: what was missed while the platform was slow is not made up for.
            turn.due_s = max(turn.due_s, time.monotonic() - 0.1) + turn.interval()
            heapq.heapreplace(turns, turn)

    def _turns(self) -> list[Turn]:
        now, number = time.monotonic(), itertools.count()

        def turn(after_s: float, interval: Callable[[], float], act: Callable[[], None]) -> Turn:
            return Turn(now + after_s, next(number), interval, act)

        def paced(interval_s: float) -> Callable[[], float]:
            return lambda: interval_s * self.pace.slowdown

        makers, noises = self.desks[MAKER], self.desks[NOISE]
        turns = [
            turn(0.0, lambda: VIEW_INTERVAL_S, self._views),
            turn(0.0, lambda: STOCK_INTERVAL_S, self._stock),
            turn(0.0, lambda: FAIR_INTERVAL_S, self._fair),
            turn(STATUS_INTERVAL_S, lambda: STATUS_INTERVAL_S, self._status),
            turn(1.0, lambda: MAKER_INTERVAL_S, self._watch),
        ]
        for n, desk in enumerate(makers):
            act = _bound(self._make, desk, n)
            turns.append(turn(n * MAKER_INTERVAL_S / len(makers), paced(MAKER_INTERVAL_S), act))
        for n, desk in enumerate(noises):
            turns.append(turn(2.0 + n, paced(NOISE_INTERVAL_S), _bound(self._noise, desk)))
        for share in self.shares:
            turns.append(turn(2.0, self._taker_interval, _bound(self._take, share)))
        return turns

    def _taker_interval(self) -> float:
        return self.rng.expovariate(self.trades_per_s) * self.pace.slowdown

    def _make(self, desk: Desk, index: int) -> None:
        if self.is_open:
            maker_turn(desk, index, self.shares, self.rng)

    def _noise(self, desk: Desk) -> None:
        if self.is_open:
            noise_turn(desk, self.shares, self.rng)

    def _take(self, share: Share) -> None:
        if self.may_trade:
            taker_turn(self.rng.choice(self.desks[TAKER]), share, self.rng)

    def _watch(self) -> None:
        """Read the takers' orders, which should be none: one that waits shows that nobody matches."""
        for desk in self.desks[TAKER]:
            desk.quotes()

    def _fair(self) -> None:
        if self.may_trade:
            for share in self.shares:
                share.advance(int(FAIR_INTERVAL_S * 1000))

    def _views(self) -> None:
        self.is_open = market_clock().is_open
        views = {view.symbol: view for view in instrument_list(SYMBOLS)}
        for share in self.shares:
            view = views[share.symbol]
            share.is_trading = view.tradable and not view.halted
            anchor = anchor_units(view)
            if anchor != share.path.anchor:
                share.path.day_begin(anchor)

    def _stock(self) -> None:
        for desk in self.everyone:
            desk.shares_read()

    def _status(self) -> None:
        state = "running" if self.may_trade else "waiting"
        logger.info("the demo market is %s, an order takes %.1f ms", state, self.pace.latency_s * 1000)


def _bound(act: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: act(*arguments)


def anchor_units(view: InstrumentView) -> int:
    """Return the price that a share's day began at, in units."""
    price = view.prev_close or view.last_price
    if price is None:
        raise NotSeeded(f"{view.symbol} has no price.")
    return price_to_units(price)


def shares_read(seed: int) -> list[Share]:
    """Return the demo's shares at their last prices, with the volatility of their newest real days."""
    views = {view.symbol: view for view in instrument_list(SYMBOLS)}
    missing = [symbol for symbol in SYMBOLS if symbol not in views]
    if missing:
        raise NotSeeded(f"These shares are not listed: {', '.join(missing)}.")
    return [_share(views[symbol], seed) for symbol in SYMBOLS]


def _share(view: InstrumentView, seed: int) -> Share:
    closes = [bar.close for bar in bar_list(view.symbol, "1D", limit=SIGMA_DAYS)]
    anchor = anchor_units(view)
    start = price_to_units(view.last_price) if view.last_price else anchor
    path = PricePath(seed, view.symbol, start, sigma_measure(closes))
    path.day_begin(anchor)
    return Share(view.symbol, path, is_trading=view.tradable and not view.halted)


def market_run(seed: int, trades_per_s: float, stopping: Event) -> None:
    """Run the demo market until asked to stop, through restarts of everything it needs.

    Raises ``NotSeeded`` when there is nothing to trade or nobody to trade it.
    """
    failures = 0
    while not stopping.is_set():
        started = time.monotonic()
        try:
            market = Market(seed, trades_per_s)
            market.clear(stopping)
            logger.info("the demo market runs with seed %s", seed)
            market.run(stopping)
        except TROUBLE as error:
            failures = 0 if time.monotonic() - started > BACKOFF_S[-1] * 2 else failures
            pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
            failures += 1
            text = str(error).strip().splitlines() or [type(error).__name__]
            logger.warning("the demo market pauses for %s s: %s", pause, text[0])
            connections.close_all()
            stopping.wait(pause)
