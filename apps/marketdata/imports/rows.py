"""What a row of an import may say: its columns, how each value is read, and why one is refused."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypeVar

from apps.instruments.calendar import EXCHANGE_ZONE
from apps.marketdata.candles import Bar, Tick
from apps.primitives.errors import Invalid
from apps.primitives.money import decimal_parse, price_parse

_Value = TypeVar("_Value")

INT_MAX = 2**31 - 1
BIGINT_MAX = 2**63 - 1
VOLUME_MAX = 10**12
"""A million such bars add up to what the database can count."""
SYMBOL_LENGTH_MAX = 10
EXCHANGE_LENGTH_MAX = 10
VWAP_QUANTUM = Decimal("0.000001")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

SIDES = {"": None, "BUY": "BUY", "B": "BUY", "SELL": "SELL", "S": "SELL"}

_ALIASES = {
    "timestamp": "time",
    "date": "time",
    "datetime": "time",
    "ticker": "symbol",
    "size": "quantity",
    "qty": "quantity",
    "id": "trade_id",
    "trades": "trade_count",
}
_EPOCH_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
"""Below the first figure a whole number counts seconds, below the next milliseconds, then microseconds."""

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?(Z|z|[+-]\d\d:?\d\d|[+-]\d\d)?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shape:
    """What one kind of file holds: its kind, the columns it must and may have, and further names of them."""

    kind: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    aliases: Mapping[str, str]

    def columns_find(self, header: Sequence[str]) -> dict[str, int]:
        """Return where each known column stands; raises ``Invalid`` for a missing or repeated one."""
        found: dict[str, int] = {}
        for position, title in enumerate(header):
            name = title.strip().lower().replace(" ", "_")
            name = self.aliases.get(name, name)
            if name not in self.required + self.optional:
                continue
            if name in found:
                raise Invalid(
                    "bad_header", f"Two columns, {header[found[name]]} and {title}, both mean {name}."
                )
            found[name] = position
        missing = [name for name in self.required if name not in found]
        if missing:
            raise Invalid(
                "bad_header",
                f"This is no CSV file of {self.kind}: its first line does not name {', '.join(missing)}, "
                "with commas between the columns.",
            )
        return found


TICKS = Shape(
    "ticks",
    ("time", "symbol", "price", "quantity"),
    ("side", "exchange", "trade_id"),
    {**_ALIASES, "volume": "quantity"},
)
BARS = Shape(
    "bars",
    ("symbol", "time", "open", "high", "low", "close", "volume"),
    ("trade_count", "vwap"),
    _ALIASES,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is known outside the file: which symbols are listed, and between which instants a row may lie."""

    symbols: Container[str]
    first: datetime
    last: datetime


def time_read(text: str) -> datetime:
    """Read an instant: ISO 8601 with a zone, or whole seconds, milli-, micro- or nanoseconds since 1970.

    Nanoseconds are cut to microseconds, never rounded into the next one. Raises ``Invalid``.
    """
    if text.isascii() and text.isdigit() and len(text) <= 20:
        return _epoch_read(int(text))
    match = _ISO.fullmatch(text)
    if match is None:
        raise Invalid("bad_time", "time must be ISO 8601 with a zone, or a whole number since 1970")
    day, minute, second, fraction, zone = match.groups()
    if zone is None:
        raise Invalid("bad_time", "time has no zone: it must end with Z or an offset such as -05:00")
    micros = (fraction or "").ljust(6, "0")[:6]
    try:
        read = datetime.fromisoformat(f"{day}T{minute}{second or ':00'}.{micros}{zone.upper()}")
        return read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("bad_time", "there is no such time") from None


def _epoch_read(number: int) -> datetime:
    micros = next((number * factor for below, factor in _EPOCH_UNITS if number < below), number // 1_000)
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise Invalid("bad_time", "there is no such time") from None


def _time_within(text: str, limits: Limits) -> datetime:
    return _time_check(time_read(text), limits)


def _time_check(instant: datetime, limits: Limits) -> datetime:
    if instant > limits.last:
        raise Invalid("bad_time", "time lies in the future")
    if instant < limits.first:
        raise Invalid("bad_time", f"time lies before {limits.first:%Y-%m-%d}, from when on it is kept")
    return instant


def quantity_read(text: str, field: str, lowest: int, highest: int) -> int:
    """Read a whole number within bounds; ``1.0`` reads as 1. Raises ``Invalid``."""
    number = decimal_parse(text, field)
    if number != number.to_integral_value():
        raise Invalid("bad_quantity", f"{field} must be a whole number")
    if not lowest <= number <= highest:
        raise Invalid("bad_quantity", f"{field} must be from {lowest} to {highest}")
    return int(number)


def _symbol_read(text: str, limits: Limits) -> str:
    if not text:
        raise Invalid("bad_symbol", "symbol is missing")
    if text not in limits.symbols:
        raise Invalid("bad_symbol", f"symbol {text[:20]!r} is not listed")
    return text


def _side_read(text: str) -> str | None:
    try:
        return SIDES[text.upper()]
    except KeyError:
        raise Invalid("bad_side", "side must be BUY, SELL or empty") from None


def _exchange_read(text: str) -> str | None:
    if len(text) > EXCHANGE_LENGTH_MAX or not (text.isascii() and text.isprintable()):
        raise Invalid("bad_exchange", f"exchange must be at most {EXCHANGE_LENGTH_MAX} plain characters")
    return text or None


def tick_read(values: Mapping[str, str], limits: Limits, derived_id: int) -> Tick:
    """Read one tick; raises ``Invalid`` with the first reason why it cannot be taken.

    ``values`` holds the text of each column that the file has; ``derived_id`` stands in for a trade id.
    """
    text = {name: value.strip() for name, value in values.items()}
    return Tick(
        time=_time_within(text["time"], limits),
        symbol=_symbol_read(text["symbol"], limits),
        price=price_parse(text["price"], "price"),
        quantity=quantity_read(text["quantity"], "quantity", 1, INT_MAX),
        side=_side_read(text.get("side", "")),
        exchange=_exchange_read(text.get("exchange", "")),
        trade_id=quantity_read(text["trade_id"], "trade_id", 0, BIGINT_MAX)
        if "trade_id" in text
        else derived_id,
    )


def _minute_read(text: str) -> datetime:
    instant = time_read(text)
    if instant.second or instant.microsecond:
        raise Invalid("bad_time", "time must be the start of a minute")
    return instant


def _day_read(text: str) -> datetime:
    if _DATE.fullmatch(text):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_ZONE).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Invalid("bad_time", "there is no such day") from None
    instant = time_read(text)
    here = instant.astimezone(EXCHANGE_ZONE)
    if here.replace(hour=0, minute=0, second=0, microsecond=0) != here:
        raise Invalid("bad_time", "time must be a date, or midnight in New York")
    return instant


_BUCKETS = {"1m": _minute_read, "1d": _day_read}


def bar_read(values: Mapping[str, str], limits: Limits, interval: str) -> tuple[str, Bar]:
    """Read one bar of ``1m`` or ``1d`` with its symbol; raises ``Invalid`` with the first reason against it.

    A volume-weighted price is kept to six decimals, half to even: files hold it as it was computed.
    """
    text = {name: value.strip() for name, value in values.items()}
    bar = Bar(
        time=_time_check(_BUCKETS[interval](text["time"]), limits),
        open=price_parse(text["open"], "open"),
        high=price_parse(text["high"], "high"),
        low=price_parse(text["low"], "low"),
        close=price_parse(text["close"], "close"),
        volume=quantity_read(text["volume"], "volume", 0, VOLUME_MAX),
        trade_count=_maybe(
            text.get("trade_count", ""), lambda t: quantity_read(t, "trade_count", 0, INT_MAX)
        ),
        vwap=_maybe(text.get("vwap", ""), _vwap_read),
    )
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise Invalid("bad_price", "low and high must enclose open and close")
    return _symbol_read(text["symbol"], limits), bar


def _maybe(text: str, read: Callable[[str], _Value]) -> _Value | None:
    return read(text) if text else None


def _vwap_read(text: str) -> Decimal:
    number = decimal_parse(text, "vwap")
    if not 0 < number < 1_000_000:
        raise Invalid("bad_price", "vwap must be greater than zero and below a million")
    return number.quantize(VWAP_QUANTUM, rounding=ROUND_HALF_EVEN)
