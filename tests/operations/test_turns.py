"""The stages of a market's day, and the phases that take a book from one to the next: pure rules."""

from datetime import datetime

import pytest

from apps.instruments.calendar import ExchangeCalendar, OpenCalendar
from apps.matching.codes import Phase
from apps.operations.rules import Stage, opening_is_delayed, stage_at, turn_phases, turns_of
from tests.instruments.test_auctions import new_york

CALENDAR = ExchangeCalendar()


@pytest.mark.parametrize(
    ("instant", "stage"),
    [
        ("2026-11-20T00:00:00", Stage.CLOSED),
        ("2026-11-20T09:27:59", Stage.CLOSED),
        ("2026-11-20T09:28:00", Stage.OPENING_AUCTION),
        ("2026-11-20T09:30:00", Stage.CONTINUOUS),
        ("2026-11-20T15:59:59", Stage.CONTINUOUS),
        ("2026-11-20T16:00:00", Stage.CLOSED),
        ("2026-11-21T09:29:00", Stage.CLOSED),
        ("2026-11-26T09:29:00", Stage.CLOSED),
        ("2026-11-27T13:00:00", Stage.CLOSED),
    ],
)
def test_stages_follow_the_exchange(instant: str, stage: Stage) -> None:
    assert stage_at(CALENDAR, new_york(instant)) is stage


def test_a_market_that_never_closes_has_one_stage() -> None:
    assert stage_at(OpenCalendar(), new_york("2026-11-21T03:00")) is Stage.CONTINUOUS


def times(instants: list[datetime]) -> list[str]:
    return [f"{instant:%H:%M}" for instant in instants]


def test_the_turns_still_to_come() -> None:
    assert times(turns_of(CALENDAR, new_york("2026-11-20T08:00"))) == ["14:28", "14:30", "21:00"]
    assert times(turns_of(CALENDAR, new_york("2026-11-20T09:28"))) == ["14:30", "21:00"]
    assert times(turns_of(CALENDAR, new_york("2026-11-20T09:30"))) == ["21:00"]


def phases(stage: Stage, phase: str, halted: bool = False, told: bool = True, overdue: bool = False) -> str:
    found = turn_phases(stage, phase, halted=halted, is_told=told, is_overdue=overdue)
    return " ".join(one.name for one in found)


def test_an_ordinary_day() -> None:
    assert phases(Stage.OPENING_AUCTION, "CLOSED") == "OPENING_AUCTION"
    assert phases(Stage.CONTINUOUS, "OPENING_AUCTION") == "CONTINUOUS"
    assert phases(Stage.CLOSED, "CONTINUOUS") == "CLOSING_AUCTION CLOSED"


def test_a_halted_book_stays_halted_at_the_open_and_closes_without_an_auction() -> None:
    assert phases(Stage.OPENING_AUCTION, "CLOSED", halted=True) == "HALTED"
    assert phases(Stage.CONTINUOUS, "HALTED", halted=True) == ""
    assert phases(Stage.CLOSED, "HALTED", halted=True) == "CLOSED"


def test_a_paused_book_has_its_closing_auction() -> None:
    assert phases(Stage.CLOSED, "PAUSED") == "CLOSING_AUCTION CLOSED"


def test_a_new_book_is_just_closed() -> None:
    assert phases(Stage.CLOSED, "CONTINUOUS", told=False) == "CLOSED"
    assert phases(Stage.CLOSED, "CLOSED") == ""


def test_an_open_that_nobody_announced_is_an_auction_all_the_same() -> None:
    assert phases(Stage.CONTINUOUS, "CLOSED") == "CONTINUOUS"


def test_a_book_that_missed_its_close_has_no_auction_out_of_hours() -> None:
    assert phases(Stage.CLOSED, "CONTINUOUS", overdue=True) == "CLOSED"
    assert phases(Stage.OPENING_AUCTION, "CONTINUOUS", overdue=True) == "CLOSED OPENING_AUCTION"
    assert phases(Stage.CONTINUOUS, "CONTINUOUS", overdue=True) == "CLOSED CONTINUOUS"
    assert phases(Stage.CONTINUOUS, "HALTED", halted=True, overdue=True) == ""


def test_every_phase_is_left_at_every_stage() -> None:
    for stage in Stage:
        for phase in Phase:
            ends = phases(stage, phase.name).split()
            assert (ends[-1] if ends else phase.name) == stage.value


@pytest.mark.parametrize(
    ("halted_at", "now", "delayed"),
    [
        ("2026-11-20T09:00", "2026-11-20T11:00", True),
        ("2026-11-19T15:00", "2026-11-20T11:00", True),
        ("2026-11-20T10:00", "2026-11-20T11:00", False),
        ("2026-11-20T09:00", "2026-11-20T09:29", False),
    ],
)
def test_a_symbol_halted_before_the_open_opens_late(halted_at: str, now: str, delayed: bool) -> None:
    assert opening_is_delayed(CALENDAR, new_york(halted_at), new_york(now)) is delayed
    assert not opening_is_delayed(OpenCalendar(), new_york(halted_at), new_york(now))
