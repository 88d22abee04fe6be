"""What limit up, limit down asks for at a moment: a pure decision, table by table."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from apps.instruments.bands import BAND_WIDTHS, band_times
from apps.instruments.calendar import ExchangeCalendar
from apps.operations.band_acts import BandAct, BandPlan, BandPrices, BandState, BandStep, band_act
from tests.instruments.test_auctions import new_york

NOW = new_york("2026-11-20T11:00:00")
SESSION = ExchangeCalendar().session_at(NOW)
PLAN = BandPlan(
    widths=BAND_WIDTHS,
    times=band_times(SESSION.trade_date),
    ticks=((Decimal("0.0001"), Decimal("0.0001")), (Decimal(1), Decimal("0.01"))),
    session=SESSION,
)
PRICES = BandPrices(tier=1, last=Decimal(100), prev_close=Decimal(98), mean=None)
NEW = BandState("CONTINUOUS", None, None, None, "", None, None)
BANDED = replace(
    NEW,
    bands=(Decimal(95), Decimal(105)),
    reference=Decimal(100),
    banded_at=NOW - timedelta(minutes=10),
)
QUIET: tuple[str, datetime | None] = ("", None)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def act(
    state: BandState,
    seen: tuple[str, datetime | None] = QUIET,
    prices: BandPrices = PRICES,
    now: datetime = NOW,
) -> BandAct | None:
    return band_act(state, seen, prices, PLAN, now)


def test_the_first_reference_is_the_last_price() -> None:
    assert act(NEW) == BandAct(BandStep.SET, (Decimal(95), Decimal(105)), Decimal(100))


def test_bands_that_fit_are_left_alone() -> None:
    assert act(BANDED) is None
    assert act(BANDED, prices=replace(PRICES, mean=Decimal("100.90"))) is None


def test_a_mean_that_has_moved_one_percent_is_the_new_reference() -> None:
    moved = act(BANDED, prices=replace(PRICES, mean=Decimal("102.00")))
    assert moved == BandAct(BandStep.SET, (Decimal("96.90"), Decimal("107.10")), Decimal("102.00"))


def test_a_reference_stands_for_half_a_minute() -> None:
    moved = replace(PRICES, mean=Decimal("102.00"))
    assert act(replace(BANDED, banded_at=ago(29)), prices=moved) is None
    assert act(replace(BANDED, banded_at=ago(30)), prices=moved) is not None


def test_the_last_minutes_widen_the_bands_around_the_same_reference() -> None:
    late = act(BANDED, now=new_york("2026-11-20T15:35:00"))
    assert late == BandAct(BandStep.SET, (Decimal(90), Decimal(110)), Decimal(100))


def test_a_limit_state_is_noted_and_after_fifteen_seconds_a_pause() -> None:
    assert act(BANDED, ("BUY", None)) == BandAct(BandStep.LIMIT, side="BUY", since=NOW)
    noted = replace(BANDED, limit_side="BUY", limit_since=ago(14))
    assert act(noted, ("BUY", None)) is None
    noted = replace(BANDED, limit_side="BUY", limit_since=ago(15))
    assert act(noted, ("BUY", None)) == BandAct(BandStep.PAUSE, side="BUY", since=ago(15))


def test_the_tape_knows_better_since_when() -> None:
    noted = replace(BANDED, limit_side="BUY", limit_since=ago(20))
    assert act(noted, ("BUY", ago(5))) == BandAct(BandStep.LIMIT, side="BUY", since=ago(5))
    assert act(BANDED, ("SELL", ago(16))) == BandAct(BandStep.PAUSE, side="SELL", since=ago(16))


def test_the_other_side_begins_anew_and_an_end_is_noted() -> None:
    noted = replace(BANDED, limit_side="BUY", limit_since=ago(14))
    assert act(noted, ("SELL", None)) == BandAct(BandStep.LIMIT, side="SELL", since=NOW)
    assert act(noted) == BandAct(BandStep.LIMIT)


def test_the_reference_stands_in_the_limit_state() -> None:
    noted = replace(BANDED, limit_side="BUY", limit_since=ago(5))
    assert act(noted, ("BUY", None), replace(PRICES, mean=Decimal("104.00"))) is None


def test_a_pause_ends_after_its_time_and_one_by_staff_never() -> None:
    paused = replace(NEW, phase="PAUSED", paused_until=NOW)
    assert act(paused) == BandAct(BandStep.RESUME)
    assert act(replace(paused, paused_until=NOW + timedelta(seconds=1))) is None
    assert act(replace(paused, paused_until=None)) is None


def test_books_that_do_not_trade_have_no_bands() -> None:
    for phase in ("HALTED", "CLOSED", "OPENING_AUCTION", "CLOSING_AUCTION", "PRE_OPEN"):
        assert act(replace(NEW, phase=phase)) is None
    assert act(NEW, prices=replace(PRICES, tier=3)) is None
