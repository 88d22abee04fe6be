"""What simulated participants do when it is their turn: make a market, take from it, add noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from apps.demo.desk import Desk
from apps.demo.ladder import Quote, Target, ladder_plan
from apps.demo.prices import CENT_UNITS, PricePath, cents_up, step_units
from apps.primitives.fix import Side, TimeInForce

LEVELS = 10
LEVELS_KEPT = 14
"""Two makers of 14 levels a side in five shares are 280 orders each at most."""

ACTS_MAX = 60
"""How many orders a maker changes in one turn; the rest waits for the next."""

SKEW_STEPS_MAX = 3
LOTS = (1, 5, 10, 10, 20, 25, 40, 50, 75, 100, 100, 150, 200, 300)
MAKER_LOTS = (200, 300, 400, 500, 600, 800)
NOISE_LIVE_MAX = 8
"""How many orders of one share a noise trader leaves standing."""

NOISE_LEVELS = 12
MARKET_ORDER_PCT = 30
TREND_LEAN_PCT = 8
REACH_STEPS = 4
"""How far beyond the fair price a taker's limit lies: far enough to trade, too near to sweep a book."""


@dataclass(slots=True)
class Share:
    """One share as the participants see it: its fair price, and whether it trades."""

    symbol: str
    path: PricePath
    is_trading: bool = True
    drift: int = 0
    """Which way the fair price last moved: -1, 0 or 1."""

    @property
    def step(self) -> int:
        return step_units(self.path)

    def advance(self, elapsed_ms: int) -> None:
        """Move the fair price; in a halted share it stands still."""
        if not self.is_trading:
            return
        before = self.path.units
        after = self.path.step(elapsed_ms)
        self.drift = (after > before) - (after < before)


def maker_target(share: Share, desk: Desk, index: int) -> Target:
    """Return the ladder that a maker wants: every second one between the steps, leaning against its stock."""
    step = share.step
    lean = max(-SKEW_STEPS_MAX * 10, min(desk.excess_pct(share.symbol), SKEW_STEPS_MAX * 10))
    return Target(
        fair=share.path.units,
        step=step,
        offset=(step // 2 // CENT_UNITS * CENT_UNITS) * (index % 2),
        spread=max(step // 2, CENT_UNITS // 2),
        skew=-lean * step // 10,
        levels=LEVELS,
        kept=LEVELS_KEPT,
    )


def maker_turn(desk: Desk, index: int, shares: Sequence[Share], rng: Random) -> None:
    """Bring a maker's ladders to where they should be."""
    quotes = desk.quotes()
    if desk.is_waiting:
        return
    room = ACTS_MAX
    for share in shares:
        if room <= 0:
            return
        plan = ladder_plan(quotes.get(share.symbol, []), maker_target(share, desk, index))
        for quote in plan.cancels[:room]:
            desk.cancel(quote.order_id)
        for move in plan.moves[:room]:
            desk.move(move.quote, move.price, rng.choice(MAKER_LOTS))
        for side, price in plan.adds[:room]:
            desk.submit(share.symbol, side, price, rng.choice(MAKER_LOTS), TimeInForce.DAY)
        room -= len(plan.cancels) + len(plan.moves) + len(plan.adds)


def taker_side(excess_pct: int, drift: int, rng: Random) -> Side:
    """Return which way a taker trades: rather sell when it has much, rather follow the price's last move."""
    buys_pct = 50 - max(-40, min(excess_pct, 40)) + TREND_LEAN_PCT * drift
    return Side.BUY if rng.randrange(100) < buys_pct else Side.SELL


def taker_turn(desk: Desk, share: Share, rng: Random) -> None:
    """Trade once: at market, or with a limit that reaches a few steps beyond the fair price."""
    if not share.is_trading:
        return
    side = taker_side(desk.excess_pct(share.symbol), share.drift, rng)
    quantity = rng.choice(LOTS)
    if rng.randrange(100) < MARKET_ORDER_PCT:
        desk.submit(share.symbol, side, None, quantity, TimeInForce.DAY)
        return
    reach = REACH_STEPS * share.step * (1 if side is Side.BUY else -1)
    price = max(cents_up(share.path.units + reach, CENT_UNITS), CENT_UNITS)
    desk.submit(share.symbol, side, price, quantity, TimeInForce.IOC)


def noise_turn(desk: Desk, shares: Sequence[Share], rng: Random) -> None:
    """Add one small order somewhere in the book, and take one back when enough stand."""
    quotes = desk.quotes()
    if desk.is_waiting:
        return
    share = rng.choice(shares)
    standing = quotes.get(share.symbol, [])
    if len(standing) >= NOISE_LIVE_MAX:
        desk.cancel(_farthest(standing, share.path.units).order_id)
    if not share.is_trading:
        return
    side = rng.choice(tuple(Side))
    distance = rng.randint(1, NOISE_LEVELS) * CENT_UNITS * max(share.step // CENT_UNITS // 2, 1)
    price = share.path.units + (distance if side is Side.SELL else -distance)
    price = max(cents_up(price, CENT_UNITS), CENT_UNITS)
    desk.submit(share.symbol, side, price, rng.choice(LOTS), TimeInForce.DAY)


def _farthest(quotes: Sequence[Quote], fair: int) -> Quote:
    return max(quotes, key=lambda quote: abs(quote.price - fair))
