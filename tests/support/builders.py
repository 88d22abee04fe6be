"""Markets, traders and orders in one line each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

from apps.accounts.services import account_open
from apps.events.facts import SYSTEM
from apps.instruments.models import BandRule
from apps.instruments.selectors import market_session
from apps.instruments.services import instrument_add, market_rules_default
from apps.operations.services.funding import cash_deposit, shares_issue
from apps.orders.intents import ReplaceIntent, intent_make
from apps.orders.selectors import AccountSummary, OrderView, account_summary, legs_of, order_get
from apps.orders.services.changes import order_cancel, order_replace
from apps.orders.services.entry import order_submit
from apps.positions.selectors import position_quantity

_names = count(1)
RULES_FROM = date(2020, 1, 1)


def market_open(prices: Mapping[str, Decimal]) -> None:
    """Write the market's rules and list shares at their starting prices."""
    market_rules_default(RULES_FROM)
    # No test may depend on the time of day; that bands are wider near the close is told where it is tested.
    BandRule.objects.update(doubled_at_close=False)
    for symbol, price in prices.items():
        instrument_add(
            symbol=symbol,
            name=f"{symbol} Inc",
            exchange="NASDAQ",
            price=price,
            trade_date=market_session().trade_date,
        )


@dataclass(frozen=True, slots=True)
class Trader:
    """A trader in a test; each method is one act through the real services."""

    account_id: int
    user_id: int

    def submit(
        self,
        side: str,
        quantity: object,
        symbol: str = "AAPL",
        price: object = None,
        time_in_force: str = "day",
        order_type: str | None = None,
        **more: Any,
    ) -> OrderView:
        intent = intent_make(
            account_id=self.account_id,
            symbol=symbol,
            side=side,
            order_type=order_type or ("market" if price is None else "limit"),
            quantity=quantity,
            time_in_force=time_in_force,
            price=price,
            **more,
        )
        return order_submit(intent, SYSTEM)

    def buy(self, quantity: object, price: object = None, **more: Any) -> OrderView:
        return self.submit("buy", quantity, price=price, **more)

    def sell(self, quantity: object, price: object = None, **more: Any) -> OrderView:
        return self.submit("sell", quantity, price=price, **more)

    def stop(
        self, side: str, quantity: object, stop: str, limit: str | None = None, **more: Any
    ) -> OrderView:
        """Enter a stop, or with ``limit`` a stop limit."""
        kind = "stop" if limit is None else "stop_limit"
        return self.submit(side, quantity, price=limit, order_type=kind, stop_price=stop, **more)

    def trail(self, side: str, quantity: object, **more: Any) -> OrderView:
        """Enter a trailing stop by ``trail_price`` or ``trail_percent``."""
        return self.submit(side, quantity, order_type="trail", **more)

    def group(
        self,
        order_class: str,
        quantity: object,
        take_profit: str | None = None,
        stop_loss: str | None = None,
        stop_limit: str | None = None,
        **more: Any,
    ) -> OrderView:
        """Enter a bracket, an OTO (both buy) or an OCO pair (which sells)."""
        loss = {"stop_price": stop_loss, "limit_price": stop_limit} if stop_loss else None
        exits = {"take_profit": {"limit_price": take_profit} if take_profit else None, "stop_loss": loss}
        if order_class == "oco":
            more = {"side": "sell", "order_type": "limit", **more}
        return self.submit(**{"side": "buy", **more}, quantity=quantity, order_class=order_class, **exits)

    def legs(self, order: OrderView) -> list[OrderView]:
        """Return the other orders of a group, as they now are, its take-profit before its stop-loss."""
        found = legs_of([self.order(order)])[order.order_id]
        return sorted(found, key=lambda leg: str(leg.leg), reverse=True)

    def cancel(self, order: OrderView) -> OrderView:
        return order_cancel(self.account_id, order.order_id, SYSTEM)

    def replace(
        self,
        order: OrderView,
        quantity: int | None = None,
        price: str | None = None,
        stop: str | None = None,
        trail: str | None = None,
    ) -> OrderView:
        intent = ReplaceIntent(
            account_id=self.account_id,
            order_id=order.order_id,
            quantity=quantity,
            price=Decimal(price) if price else None,
            time_in_force=None,
            client_order_id=f"replace-{next(_names)}",
            stop_price=Decimal(stop) if stop else None,
            trail=Decimal(trail) if trail else None,
        )
        return order_replace(intent, SYSTEM)

    def order(self, order: OrderView) -> OrderView:
        """Return the order as it now is."""
        return order_get(self.account_id, order.order_id)

    @property
    def summary(self) -> AccountSummary:
        return account_summary(self.account_id)

    @property
    def cash(self) -> Decimal:
        return self.summary.cash

    def shares(self, symbol: str = "AAPL") -> int:
        return position_quantity(self.account_id, symbol)


def trader_open(
    cash: str = "0", shares: Mapping[str, int] | None = None, account_type: str = "CASH"
) -> Trader:
    """Open a funded account; shares cost 90.00 each."""
    account = account_open(
        username=f"trader-{next(_names)}", password="secret", account_type=account_type, origin=SYSTEM
    )
    trader = Trader(account.account_id, account.user_id)
    if Decimal(cash) > 0:
        cash_deposit(
            account_id=account.account_id, amount=Decimal(cash), description="Test deposit", origin=SYSTEM
        )
    for symbol, quantity in (shares or {}).items():
        shares_issue(
            account_id=account.account_id,
            symbol=symbol,
            quantity=quantity,
            unit_cost=Decimal("90.00"),
            reason="Test shares",
            origin=SYSTEM,
        )
    return trader
