"""One simulated participant's door to the market: everyone's services, watched and never fatal."""

import logging
import time
from dataclasses import dataclass, field
from datetime import timedelta

from apps.demo.ladder import Quote
from apps.demo.people import ORIGIN
from apps.demo.universe import Participant
from apps.orders.intents import ReplaceIntent, client_order_id_parse, intent_make
from apps.orders.selectors import PENDING_CANCEL, PENDING_REPLACE, OrderView, order_list
from apps.orders.services.changes import order_cancel, order_replace
from apps.orders.services.entry import order_submit
from apps.positions.selectors import position_list
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError, Unavailable
from apps.primitives.fix import OrderType, OrdStatus, Side, TimeInForce
from apps.primitives.money import price_to_units, units_to_price

logger = logging.getLogger(__name__)

OPEN_MAX = 500
"""How many working orders are read of one participant; each keeps to far fewer."""

WAIT = timedelta(seconds=3)
"""An order that the runner has not taken after this long means that nobody is matching."""

LOG_INTERVAL_S = 60.0
LATENCY_FINE_S = 0.025
"""Entry this fast needs no slowing down; beyond it the pace falls in proportion."""
SLOWDOWN_MAX = 20.0
_WEIGHT = 0.05
"""The weight of the newest order in the running mean of latency: the last twenty or so count."""


@dataclass(slots=True)
class Pace:
    """How fast the market takes orders; the participants' intervals are stretched by ``slowdown``."""

    latency_s: float = LATENCY_FINE_S / 2

    def observe(self, latency_s: float) -> None:
        self.latency_s += (latency_s - self.latency_s) * _WEIGHT

    @property
    def slowdown(self) -> float:
        return min(max(self.latency_s / LATENCY_FINE_S, 1.0), SLOWDOWN_MAX)


@dataclass(slots=True)
class Grumble:
    """Says each kind of refusal at most once a minute, with how often it came."""

    counts: dict[str, int] = field(default_factory=dict)
    said_at: dict[str, float] = field(default_factory=dict)

    def note(self, username: str, error: BrokerageError) -> None:
        now, reason = time.monotonic(), error.reason
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if now - self.said_at.get(reason, -LOG_INTERVAL_S) < LOG_INTERVAL_S:
            return
        logger.info("%s: %s (%s, %s times)", username, error.message, reason, self.counts[reason])
        self.said_at[reason], self.counts[reason] = now, 0


class Desk:
    """Sends one participant's orders. A refusal is noted and answered with False; nothing is tried again."""

    def __init__(self, participant: Participant, account_id: int, pace: Pace, grumble: Grumble) -> None:
        self.participant = participant
        self.account_id = account_id
        self.pace = pace
        self.grumble = grumble
        self.is_waiting = False
        """An order of this participant waits for a runner that does not come."""
        self.shares: dict[str, int] = {}

    def submit(
        self, symbol: str, side: Side, price: int | None, quantity: int, time_in_force: TimeInForce
    ) -> bool:
        """Send a limit order at ``price`` units, or a market order when that is None."""
        started = time.monotonic()
        try:
            intent = intent_make(
                account_id=self.account_id,
                symbol=symbol,
                side=side.value,
                order_type=(OrderType.MARKET if price is None else OrderType.LIMIT).value,
                quantity=quantity,
                time_in_force=time_in_force.value,
                price=None if price is None else units_to_price(price),
            )
            order_submit(intent, ORIGIN)
        except BrokerageError as error:
            return self._refused(error)
        self.pace.observe(time.monotonic() - started)
        return True

    def cancel(self, order_id: int) -> bool:
        """Ask for an order's cancellation."""
        try:
            order_cancel(self.account_id, order_id, ORIGIN)
        except BrokerageError as error:
            return self._refused(error)
        return True

    def move(self, quote: Quote, price: int, quantity: int) -> bool:
        """Replace a working order by ``quantity`` more shares at another price, in units."""
        intent = ReplaceIntent(
            account_id=self.account_id,
            order_id=quote.order_id,
            quantity=quote.filled + quantity,
            price=units_to_price(price),
            time_in_force=None,
            client_order_id=client_order_id_parse(None),
        )
        try:
            order_replace(intent, ORIGIN)
        except BrokerageError as error:
            return self._refused(error)
        return True

    def quotes(self) -> dict[str, list[Quote]]:
        """Read this participant's working orders, by symbol, and whether any has waited too long."""
        found: dict[str, list[Quote]] = {}
        views = order_list(self.account_id, status="open", limit=OPEN_MAX)
        overdue = utc_now() - WAIT
        self.is_waiting = any(v.status == OrdStatus.PENDING and v.created_at < overdue for v in views)
        for view in views:
            if view.price is not None:
                found.setdefault(view.symbol, []).append(_quote(view))
        return found

    def shares_read(self) -> None:
        """Read what this participant owns."""
        self.shares = {one.symbol: one.quantity for one in position_list(self.account_id)}

    def excess_pct(self, symbol: str) -> int:
        """Return by how many per cent its shares are above what it began with; below is negative."""
        usual = self.participant.shares
        return (self.shares.get(symbol, usual) - usual) * 100 // usual

    def cancel_all(self) -> int:
        """Ask for the cancellation of every working order; returns how many still work."""
        views = order_list(self.account_id, status="open", limit=OPEN_MAX)
        for view in views:
            if view.status != PENDING_CANCEL:
                self.cancel(view.order_id)
        return len(views)

    def _refused(self, error: BrokerageError) -> bool:
        if isinstance(error, Unavailable):
            self.pace.observe(LATENCY_FINE_S * SLOWDOWN_MAX)
        self.grumble.note(self.participant.username, error)
        return False


def _quote(view: OrderView) -> Quote:
    assert view.price is not None
    return Quote(
        order_id=view.order_id,
        side=Side(view.side),
        price=price_to_units(view.price),
        leaves=view.leaves_quantity,
        filled=view.filled_quantity,
        is_changing=view.status in (PENDING_CANCEL, PENDING_REPLACE, OrdStatus.PENDING),
    )
