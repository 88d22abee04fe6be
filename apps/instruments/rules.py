"""How prices move and when auctions take orders: pure rules on dated values."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from apps.instruments.calendar import EXCHANGE_ZONE, MarketCalendar, session_of_day
from apps.primitives.errors import Invalid
from apps.primitives.fix import TimeInForce
from apps.primitives.money import PRICE_QUANTUM


def tick_at(price: Decimal, ticks: tuple[tuple[Decimal, Decimal], ...]) -> Decimal:
    """Return the smallest price step at ``price`` (SEC Rule 612 as dated rows)."""
    return max((row for row in ticks if row[0] <= price), default=(PRICE_QUANTUM, PRICE_QUANTUM))[1]


@dataclass(frozen=True, slots=True)
class AuctionRule:
    """How long before the open and the close an auction takes no more orders, from a date.

    Orders for the next day's auctions are taken from ``reopens_at`` on, in New York.
    """

    effective_from: date
    opening_lead: timedelta
    closing_lead: timedelta
    reopens_at: time


AUCTION_RULES = (AuctionRule(date(2000, 1, 3), timedelta(minutes=2), timedelta(minutes=10), time(19, 0)),)
"""Newest first. 9:28 and 15:50 on a full day; an early close brings the second one forward."""


def auction_rule(on: date) -> AuctionRule:
    """Return the rule in force on a trade date."""
    return next((rule for rule in AUCTION_RULES if rule.effective_from <= on), AUCTION_RULES[-1])


def auction_entry_check(time_in_force: TimeInForce, calendar: MarketCalendar, now: datetime) -> None:
    """Raise ``Invalid`` when an order for an auction comes too late for today's or too early for the next.

    What does not ask for an auction passes.
    """
    if time_in_force not in (TimeInForce.OPG, TimeInForce.CLS):
        return
    opening = time_in_force is TimeInForce.OPG
    name, word = time_in_force.value.lower(), "opening" if opening else "closing"
    if not calendar.has_auctions:
        raise Invalid(
            "no_auctions",
            f"{name} orders are not accepted: this market never closes, so it has no {word} auction.",
            field="time_in_force",
        )
    session = session_of_day(calendar, now)
    if session is None:
        return
    rule = auction_rule(session.trade_date)
    ends = session.opens_at - rule.opening_lead if opening else session.closes_at - rule.closing_lead
    begins = datetime.combine(session.trade_date, rule.reopens_at, tzinfo=EXCHANGE_ZONE)
    if ends <= now < begins:
        until = ends.astimezone(EXCHANGE_ZONE)
        raise Invalid(
            "auction_closed",
            f"{name} orders are accepted before {until:%H:%M} ET for today's {word} auction, "
            f"and from {rule.reopens_at:%H:%M} ET for the next one.",
            field="time_in_force",
        )
