"""The market's day as pure rules: which stage a moment is in, and which phases take a book there."""

from datetime import date, datetime
from enum import StrEnum

from apps.instruments.calendar import MarketCalendar, session_is_open
from apps.instruments.rules import auction_rule
from apps.matching.codes import Phase


class Stage(StrEnum):
    """How far the calendar has taken a book through its day."""

    CLOSED = "CLOSED"
    OPENING_AUCTION = "OPENING_AUCTION"
    CONTINUOUS = "CONTINUOUS"


def stage_at(calendar: MarketCalendar, now: datetime) -> Stage:
    """Return the stage of the market's day that ``now`` lies in."""
    session = calendar.session_at(now)
    if calendar.always_open or session_is_open(session, now):
        return Stage.CONTINUOUS
    collects = calendar.has_auctions and now >= auction_starts_at(session.opens_at, session.trade_date)
    return Stage.OPENING_AUCTION if collects else Stage.CLOSED


def auction_starts_at(opens_at: datetime, trade_date: date) -> datetime:
    """Return when books begin to collect for an opening auction."""
    return opens_at - auction_rule(trade_date).opening_lead


def turns_of(calendar: MarketCalendar, now: datetime) -> list[datetime]:
    """Return the instants still to come at which the present or next session changes its stage, in order."""
    session = calendar.session_at(now)
    turns = [auction_starts_at(session.opens_at, session.trade_date), session.opens_at, session.closes_at]
    return [turn for turn in turns if turn > now]


def opening_is_delayed(calendar: MarketCalendar, halted_at: datetime | None, now: datetime) -> bool:
    """Return whether a symbol was halted already when the present session opened without it."""
    session = calendar.session_at(now)
    is_open = calendar.has_auctions and session_is_open(session, now)
    return is_open and halted_at is not None and halted_at < session.opens_at


def turn_phases(stage: Stage, phase: str, *, halted: bool, is_told: bool, is_overdue: bool) -> list[Phase]:
    """Return the phases that take a book into a stage; none when it is where it belongs.

    ``is_told`` is False for a book that was never told anything, ``is_overdue`` True for one that was left
    open by an earlier day: such a book is closed first, long after the auction that it missed. A book that is
    told to close collects for no time: CLOSING_AUCTION and CLOSED follow each other, and what came before
    the close is uncrossed at one price. A halt stays a halt when the market opens, and has no auction.
    """
    is_closed = phase == Phase.CLOSED.name
    if stage is Stage.CLOSED:
        straight = halted or is_overdue or not is_told
        return [] if is_closed else [Phase.CLOSED] if straight else [Phase.CLOSING_AUCTION, Phase.CLOSED]
    late = [Phase.CLOSED] if is_overdue and not is_closed else []
    if halted:
        return [] if phase == Phase.HALTED.name else [*late, Phase.HALTED]
    return [*late, Phase[stage.value]]
