"""Bars of the chart, and the trader's own marks on it."""

from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from apps.accounts.selectors import AccountView
from apps.instruments.selectors import instrument_get
from apps.marketdata.paging import EPOCH, Walk, bars_page
from apps.marketdata.selectors import Bar, bar_list
from apps.marketdata.timeframes import CHART_TIMEFRAMES
from apps.orders.selectors import OrderView, order_list
from apps.primitives.clock import iso, utc_now
from apps.primitives.errors import BrokerageError, Invalid
from apps.trades.selectors import fill_list
from apps.web.doors import error_json, trader_required
from apps.web.numbers import EXCHANGE_ZONE
from apps.web.presenters.orders import is_stop_waiting
from apps.web.reads import exchange_day_start

INTERVALS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "1D": timedelta(days=1),
    "1W": timedelta(weeks=1),
}
STEPS = {"5m": "1m", "15m": "1m", "1h": "1m", "1W": "1D"}
"""What the newest bar is put together from, where it is not one candle that the stream tells."""

BARS_MAX = 500
MARKS_MAX = 100


def wall_seconds(instant: datetime) -> int:
    """Return exchange wall time as if it were UTC: the chart library has no time zones."""
    return int(instant.timestamp()) + int(offset_of(instant).total_seconds())


def offset_of(instant: datetime) -> timedelta:
    """Return New York's offset from UTC at an instant."""
    return instant.astimezone(EXCHANGE_ZONE).utcoffset() or timedelta()


def bar_json(bar: Bar, intraday: bool) -> dict[str, object]:
    """Return one bar; days and weeks keep their date, shorter bars their wall time."""
    seconds = wall_seconds(bar.time) if intraday else _date_seconds(bar.time)
    prices = {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close}
    return {"t": seconds, **{name: str(value) for name, value in prices.items()}, "v": int(bar.volume)}


def _date_seconds(instant: datetime) -> int:
    day = instant.astimezone(EXCHANGE_ZONE).date()
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


@require_safe
@trader_required
def bars(request: HttpRequest, account: AccountView, symbol: str) -> HttpResponse:
    """The newest bars of one symbol and interval, times shifted to the exchange's clock.

    With ``fill=previous`` a session's buckets without a trade are flat bars at the close before.
    """
    interval = request.GET.get("interval", "5m")
    try:
        if interval not in INTERVALS:
            raise Invalid("bad_interval", f"Choose one of {', '.join(INTERVALS)}.", field="interval")
        symbol = instrument_get(symbol).symbol
        end = utc_now()
        rows = _rows(symbol, interval, end, request.GET.get("fill", ""))
    except BrokerageError as error:
        return error_json(error)
    intraday = INTERVALS[interval] < timedelta(days=1)
    steps = _newest_steps(symbol, interval, rows, end)
    return JsonResponse(
        {
            "symbol": symbol,
            "interval": interval,
            "interval_s": int(INTERVALS[interval].total_seconds()),
            "as_of": iso(end),
            "offset_s": int(offset_of(end).total_seconds()),
            "bars": [bar_json(row, intraday) for row in rows],
            "steps": [bar_json(row, intraday) for row in steps],
        }
    )


def _newest_steps(symbol: str, interval: str, rows: list[Bar], end: datetime) -> list[Bar]:
    """Return the minutes or days of the newest bar, which pages keep current from then on."""
    if interval not in STEPS:
        return rows[-1:]
    return bar_list(symbol, STEPS[interval], start=rows[-1].time, end=end) if rows else []


def _rows(symbol: str, interval: str, end: datetime, fill: str) -> list[Bar]:
    """Return the newest bars, oldest first; those that no trade made are there only when asked for."""
    if fill not in ("", "previous"):
        raise Invalid("bad_fill", "fill takes the word previous.", field="fill")
    if not fill:
        return bar_list(symbol, interval, end=end, limit=BARS_MAX)
    walk = Walk((symbol,), EPOCH, end, direction="desc", limit=BARS_MAX)
    page = bars_page(walk, CHART_TIMEFRAMES[interval], filled=True)
    return [bar for _, bar in reversed(page.rows)]


def _mark(order: OrderView, waits: bool) -> dict[str, object]:
    """Return a line of the chart: at the stop until it is reached, then at the limit."""
    price = order.stop_price if waits else order.price
    return {"side": order.side, "price": str(price), "quantity": order.leaves_quantity, "stop": waits}


@require_safe
@trader_required
def marks(request: HttpRequest, account: AccountView, symbol: str) -> HttpResponse:
    """The prices that the account's working orders wait for, and today's fills, in one symbol."""
    working = order_list(account.account_id, status="open", limit=MARKS_MAX, symbols=[symbol])
    done = fill_list(account.account_id, since=exchange_day_start(), limit=MARKS_MAX)
    return JsonResponse(
        {
            "orders": [
                _mark(row, is_stop_waiting(row))
                for row in working
                if row.price is not None or is_stop_waiting(row)
            ],
            "fills": [
                {"side": row.side, "t": wall_seconds(row.executed_at), "quantity": row.quantity}
                for row in done
                if row.symbol == symbol and row.settlement_status != "BUSTED"
            ],
        }
    )
