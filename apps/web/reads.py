"""The reads behind the pages, gathered so that a view is parse, read, render."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.accounts.selectors import AccountView
from apps.instruments.selectors import instruments_active, market_clock
from apps.marketdata.selectors import sparkline
from apps.orders.selectors import account_summary, order_list
from apps.positions.selectors import PositionView, position_list
from apps.primitives.clock import utc_now
from apps.trades.selectors import fill_list
from apps.web.numbers import EXCHANGE_ZONE
from apps.web.presenters import orders as order_words
from apps.web.presenters.account import account_strip
from apps.web.presenters.market import WatchRow, clock_text, watch_row
from apps.web.presenters.orders import OrderRow

ROWS_MAX = 200
ACTIVITY_DAYS = 30


def exchange_day_start() -> datetime:
    """Return midnight in New York, where a trading day begins."""
    return utc_now().astimezone(EXCHANGE_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)


def shell_context(account: AccountView, section: str) -> dict[str, Any]:
    """Return what the top bar, the account strip and the status bar need."""
    strip = account_strip(account, account_summary(account.account_id))
    market = clock_text(market_clock())
    return {"strip": strip, "summary": strip.summary, "market": market, "section": section}


def watch_rows(positions: Sequence[PositionView]) -> list[WatchRow]:
    """Return every listed instrument, marked when it is among ``positions``."""
    held = {row.symbol for row in positions}
    return [watch_row(one, sparkline(one.symbol), one.symbol in held) for one in instruments_active()]


def order_rows(account: AccountView, status: str, symbols: list[str] | None = None) -> list[OrderRow]:
    """Return the account's newest orders of one status, at most ``ROWS_MAX``, groups together."""
    return order_words.order_rows(
        order_list(account.account_id, status=status, limit=ROWS_MAX, symbols=symbols)
    )


def positions_context(account: AccountView) -> dict[str, Any]:
    """Return the positions and the totals of their columns."""
    return {"rows": position_list(account.account_id), "summary": account_summary(account.account_id)}


def fills_context(account: AccountView, days: int = 0) -> dict[str, Any]:
    """Return today's fills, or those of the last ``days`` days."""
    since = exchange_day_start() - timedelta(days=days)
    return {"rows": fill_list(account.account_id, since=since, limit=ROWS_MAX)}


def blotter_counts(account: AccountView, positions: Sequence[PositionView]) -> dict[str, int]:
    """Return the figures on the blotter's tabs."""
    fills = fill_list(account.account_id, since=exchange_day_start(), limit=ROWS_MAX)
    working = order_list(account.account_id, status="open", limit=ROWS_MAX)
    return {"positions": len(positions), "open": len(working), "fills": len(fills)}
