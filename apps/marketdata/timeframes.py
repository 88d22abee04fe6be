"""Every length of bar that a client may ask for: how it is written, and where its buckets begin."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from apps.marketdata.candles import DAY_ZONE, INTERVALS, Interval
from apps.primitives.errors import Invalid

UNITS = {"Min": range(1, 60), "Hour": range(1, 24), "Day": (1,), "Week": (1,), "Month": (1, 2, 3, 6, 12)}
"""The units, and how many of each a bar may span."""

GRAMMAR = "[1-59]Min, [1-23]Hour, 1Day, 1Week or [1,2,3,6,12]Month"
_SHORT = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}
_FORM = re.compile(r"([1-9][0-9]?)(Min|Hour|Day|Week|Month|T|H|D|W|M)")
_ZONE = ZoneInfo(DAY_ZONE)
_MONTH_DAYS_MAX = 31


@dataclass(frozen=True, slots=True)
class Timeframe:
    """So many minutes, hours, days, weeks or months.

    Days, weeks and months are New York's. Minutes and hours are counted from New York's midnight, so a length
    that does not divide the day has its last bucket cut short there.
    """

    count: int
    unit: str

    @property
    def minutes(self) -> int | None:
        """How many minutes a bucket has; None from a day on."""
        return self.count * {"Min": 1, "Hour": 60}[self.unit] if self.unit in ("Min", "Hour") else None

    @property
    def interval(self) -> Interval:
        """What candles of this length are made from."""
        return _interval(self)

    def bucket_of(self, instant: datetime) -> datetime:
        """Return the start, in UTC, of the bucket that an instant falls into."""
        local = instant.astimezone(_ZONE)
        if self.minutes is None:
            return _midnight(self._first_day(local.date()))
        opened = _midnight(local.date())
        return opened + (instant - opened) // timedelta(minutes=self.minutes) * timedelta(
            minutes=self.minutes
        )

    def buckets_of(self, opens_at: datetime, closes_at: datetime) -> Iterator[datetime]:
        """Yield the starts of the buckets that a session from ``opens_at`` until ``closes_at`` touches."""
        start = self.bucket_of(opens_at)
        while start < closes_at:
            yield start
            if self.minutes is None:
                return
            start = self.bucket_of(start + timedelta(minutes=self.minutes))

    def _first_day(self, day: date) -> date:
        if self.unit == "Day":
            return day
        if self.unit == "Week":
            return day - timedelta(days=day.weekday())
        return date(day.year, (day.month - 1) // self.count * self.count + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=_ZONE).astimezone(UTC)


def timeframe_read(text: str) -> Timeframe:
    """Return what a text such as ``5Min``, ``1H`` or ``3Month`` means; raises ``Invalid`` for any other."""
    found = _FORM.fullmatch(text)
    if found:
        count, unit = int(found[1]), _SHORT.get(found[2], found[2])
        if count in UNITS[unit]:
            return Timeframe(count, unit)
    raise Invalid("bad_timeframe", f"timeframe must be {GRAMMAR}", field="timeframe")


CHART_TIMEFRAMES = {
    "1m": Timeframe(1, "Min"),
    "5m": Timeframe(5, "Min"),
    "15m": Timeframe(15, "Min"),
    "1h": Timeframe(1, "Hour"),
    "1D": Timeframe(1, "Day"),
    "1W": Timeframe(1, "Week"),
}
"""The chart's intervals by name."""

_NAMES = {timeframe: name for name, timeframe in CHART_TIMEFRAMES.items()}


@cache
def _interval(timeframe: Timeframe) -> Interval:
    if timeframe in _NAMES:
        return INTERVALS[_NAMES[timeframe]]
    if timeframe.minutes is None:
        return _months(timeframe.count)
    return _minutes(timeframe.minutes)


def _minutes(minutes: int) -> Interval:
    """Make an intraday length of the longest candles that divide it."""
    base, rows = next((one, minutes // size) for one, size in _BASES if minutes % size == 0)
    source = INTERVALS[base]
    return Interval(
        name=f"{minutes} minutes",
        span=timedelta(minutes=minutes),
        bucket=f"date_bin('{minutes} minutes', time, date_trunc('day', time, '{DAY_ZONE}'))",
        step=source.bucket,
        table=source.table,
        table_rows=rows,
        imported="1m",
        imported_rows=minutes,
    )


_BASES = (("1h", 60), ("5m", 5), ("1m", 1))


def _months(count: int) -> Interval:
    source = INTERVALS["1D"]
    rows = count * _MONTH_DAYS_MAX
    return Interval(
        name=f"{count} months",
        span=timedelta(days=rows, hours=1),
        bucket=_month_bucket(count),
        step=source.bucket,
        table=source.table,
        table_rows=rows,
        imported="1d",
        imported_rows=rows,
    )


def _month_bucket(count: int) -> str:
    units = {1: "month", 3: "quarter", 12: "year"}
    if count in units:
        return f"date_trunc('{units[count]}', time, '{DAY_ZONE}')"
    month = f"extract(month FROM time AT TIME ZONE '{DAY_ZONE}')::int - 1"
    year = f"date_trunc('year', time AT TIME ZONE '{DAY_ZONE}')"
    return f"({year} + make_interval(months => ({month}) / {count} * {count})) AT TIME ZONE '{DAY_ZONE}'"
