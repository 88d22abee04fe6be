"""Reads of books: what each was told and does, what waits in it, and what its bands are decided on."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from apps.instruments.calendar import EXCHANGE_ZONE
from apps.marketdata.quotes import StatusView, book_latest
from apps.matching.models import OrderCommand
from apps.operations.band_acts import BandPrices
from apps.operations.models import BookSession
from apps.primitives.ids import id_floor

CLOCK_STEP = timedelta(minutes=1)
"""How far an id's time may lie before the instant that its row tells."""

WAITING_MAX = 10_000
"""Live orders of a symbol that are counted."""


_WAITING_SQL = """
SELECT kind, count(*) FROM (
    SELECT CASE WHEN l.status = 'PENDING' THEN 'on the way to the book'
                WHEN l.status = 'HELD' THEN 'legs that wait for others'
                WHEN o.time_in_force = 'OPG' THEN 'for the opening auction'
                WHEN o.time_in_force = 'CLS' THEN 'for the closing auction'
                WHEN o.order_type IN ('STOP', 'TRAIL') OR (
                    o.order_type = 'STOP_LIMIT' AND o.triggered_at IS NULL) THEN 'stops'
                ELSE 'in the book' END AS kind
    FROM live_orders l JOIN orders o USING (order_id) WHERE l.symbol = %s LIMIT %s) AS live
GROUP BY kind ORDER BY kind
"""


@dataclass(frozen=True, slots=True)
class BookPage:
    """One book in words, for the people who watch the market."""

    phase: str
    calendar: str
    mode: str
    bands: str
    limit_state: str
    auction: str
    waiting: str


def book_page(symbol: str) -> BookPage:
    """Return what a book was last told and, as far as the tape says, what it does."""
    row = BookSession.objects.filter(symbol=symbol).first()
    status = book_latest(symbol).status
    known = row or BookSession(symbol=symbol)
    return BookPage(
        phase=_told(known.phase, status.phase if status else None),
        calendar=_calendar_text(row) if row else "never told: the book trades",
        mode=_told(known.mode, status.mode if status else None),
        bands=_bands_text(known),
        limit_state=_limit_text(known, status),
        auction=_auction_text(status),
        waiting=_waiting_text(symbol),
    )


def words(name: str) -> str:
    """Return a code as a person would write it."""
    return name.capitalize().replace("_", " ")


def clock_text(instant: datetime) -> str:
    """Return an instant as the exchange's clock shows it."""
    return f"{instant.astimezone(EXCHANGE_ZONE):%Y-%m-%d %H:%M:%S} ET"


def _told(told: str, now: str | None) -> str:
    """Return what a book was told, and what it does where that differs: its command is still queued."""
    return words(told) if now in (None, told) else f"{words(told)}, on its way; still {words(now or told)}"


def _calendar_text(row: BookSession) -> str:
    told = clock_text(row.changed_at)
    return f"{words(row.stage)}, session of {row.trade_date:%Y-%m-%d}; the book was last told {told}"


def _bands_text(row: BookSession) -> str:
    if row.lower_band is None or row.upper_band is None:
        return "none"
    who = "by staff" if row.band_reference is None else f"around {row.band_reference.normalize():f}"
    since = f" since {clock_text(row.banded_at)}" if row.banded_at else ""
    return f"{row.lower_band.normalize():f} to {row.upper_band.normalize():f}, {who}{since}"


def _limit_text(row: BookSession, status: StatusView | None) -> str:
    if row.paused_until is not None:
        return f"paused until {clock_text(row.paused_until)}"
    side = status.limit_side if status else row.limit_side
    since = status.limit_since if status and status.limit_since else row.limit_since
    if not side:
        return "no"
    where = "buyers at the upper band" if side == "BUY" else "sellers at the lower band"
    return f"{where}, since {clock_text(since)}" if since else where


def _auction_text(status: StatusView | None) -> str:
    if status is None:
        return "not told by the tape"
    if status.auction is None:
        return "nothing would trade" if status.phase != "CONTINUOUS" else "none: the book trades"
    more = abs(status.auction.imbalance)
    rest = f", {more} more {'bid' if status.auction.imbalance > 0 else 'offered'}" if more else ""
    return f"{status.auction.volume} would trade at {status.auction.price.normalize():f}{rest}"


def _waiting_text(symbol: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_SQL, (symbol, WAITING_MAX))
        kinds = [f"{count} {kind}" for kind, count in cursor.fetchall()]
    queued = OrderCommand.objects.filter(symbol=symbol)[:WAITING_MAX].count()
    kinds += [f"{queued} queued commands"] if queued else []
    return ", ".join(kinds) or "nothing"


_BAND_BOOKS_SQL = """
SELECT i.symbol, i.band_tier, p.last_price,
       CASE WHEN p.trade_date = %(trade_date)s THEN p.prev_close ELSE p.last_price END AS prev_close,
       round(m.price, 4) AS mean_price
FROM instruments i
JOIN instrument_prices p ON p.symbol = i.symbol
LEFT JOIN book_sessions s ON s.symbol = i.symbol
LEFT JOIN LATERAL (
    SELECT avg(t.price) AS price FROM trades t
    WHERE t.symbol = i.symbol AND t.executed_at >= %(since)s AND t.trade_id >= %(since_id)s) AS m ON true
WHERE i.status = 'ACTIVE' AND i.tradable AND NOT i.halted AND i.band_tier IS NOT NULL
  AND coalesce(s.stage, 'CONTINUOUS') = 'CONTINUOUS' AND coalesce(s.bands_source, '') <> 'STAFF'
  AND NOT EXISTS (
    SELECT 1 FROM order_commands c WHERE c.symbol = i.symbol AND c.kind IN ('PHASE', 'BANDS'))
ORDER BY i.symbol
"""

# A triggered stop limit rests as the limit order it has become.
_LIMIT_SIDE_SQL = """
SELECT coalesce(bool_or(o.side = 'BUY' AND o.price >= %(upper)s), false),
       coalesce(bool_or(o.side = 'SELL' AND o.price <= %(lower)s), false)
FROM live_orders l JOIN orders o USING (order_id)
WHERE l.symbol = %(symbol)s AND l.status IN ('NEW', 'PARTIALLY_FILLED')
  AND (o.order_type = 'LIMIT' OR (o.order_type = 'STOP_LIMIT' AND o.triggered_at IS NOT NULL))
  AND o.time_in_force NOT IN ('OPG', 'CLS')
"""


@dataclass(frozen=True, slots=True)
class BandBook:
    """A symbol whose bands follow the rules: its prices, and what its book was last told."""

    symbol: str
    prices: BandPrices
    session: BookSession


def band_books(since: datetime, trade_date: date) -> list[BandBook]:
    """Return the symbols that trade or pause under the rules' bands, with the mean of the trades since then.

    A book that is about to be told another phase or other bands is left out until it was.
    """
    parameters: dict[str, Any] = {
        "since": since,
        "since_id": id_floor(since - CLOCK_STEP),
        "trade_date": trade_date,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BAND_BOOKS_SQL, parameters)
        rows = cursor.fetchall()
    told = BookSession.objects.in_bulk([row[0] for row in rows])
    return [
        BandBook(
            symbol,
            BandPrices(tier, last, prev_close, mean),
            told.get(symbol) or BookSession(symbol=symbol, trade_date=trade_date),
        )
        for symbol, tier, last, prev_close, mean in rows
    ]


def limit_side_of(row: BookSession) -> str:
    """Return the side on which an order rests at its book's band or beyond, as the database says."""
    if row.lower_band is None:
        return ""
    parameters: dict[str, Any] = {"symbol": row.symbol, "lower": row.lower_band, "upper": row.upper_band}
    with connection.cursor() as cursor:
        cursor.execute(_LIMIT_SIDE_SQL, parameters)
        buys, sells = cursor.fetchone()
    return "BUY" if buys else "SELL" if sells else ""
