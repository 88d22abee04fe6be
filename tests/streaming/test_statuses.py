"""Halts, bands and auctions on the market-data stream: each change once, in the published words."""

from decimal import Decimal
from typing import Any

import pytest

from apps.streaming.frames import book_status_of
from apps.streaming.statuses import (
    StatusMemory,
    imbalance_message,
    luld_message,
    status_message,
)
from tests.streaming.test_market import frame


def told(phase: str = "CONTINUOUS", **more: Any) -> dict[str, Any]:
    status = {"phase": phase, "mode": "OPEN", "limit": "", "bands": None, "auction": None, **more}
    return frame(status=status)


@pytest.mark.parametrize(
    ("phase", "tape", "code", "reason"),
    [
        ("HALTED", "C", "H", ""),
        ("HALTED", "A", "2", ""),
        ("PAUSED", "C", "P", "LUDP"),
        ("PAUSED", "A", "2", "LUDP"),
        ("OPENING_AUCTION", "C", "Q", ""),
        ("CLOSING_AUCTION", "B", "5", ""),
        ("CONTINUOUS", "C", "T", "T3"),
        ("CONTINUOUS", "B", "3", "T3"),
    ],
)
def test_a_phase_has_the_code_of_its_tape(phase: str, tape: str, code: str, reason: str) -> None:
    message = status_message(told(phase), tape, "news is pending")
    assert message is not None
    assert (message["T"], message["S"], message["sc"], message["rc"], message["z"]) == (
        "s",
        "AAPL",
        code,
        reason,
        tape,
    )
    assert (message["rm"] == "news is pending") == (phase == "HALTED")
    assert all(isinstance(message[name], str) for name in ("sc", "sm", "rc", "rm"))


def test_the_end_of_a_session_is_no_status() -> None:
    assert status_message(told("CLOSED"), "C", "") is None


def test_only_changes_are_news() -> None:
    memory = StatusMemory()
    phases = ["CONTINUOUS", "HALTED", "HALTED", "CONTINUOUS", "CONTINUOUS"]
    assert [memory.phase_is_news(told(phase)) for phase in phases] == [False, True, False, True, False]
    bands = [None, ["95", "105"], ["95", "105"], ["96", "106"], None]
    assert [memory.bands_are_news(told(bands=one)) for one in bands] == [False, True, False, True, False]
    auctions = [
        None,
        {"p": "100", "v": 3, "i": 0},
        {"p": "100", "v": 3, "i": 0},
        {"p": "100", "v": 4, "i": 0},
    ]
    assert [memory.auction_is_news(told(auction=one)) for one in auctions] == [False, True, False, True]


def test_what_was_so_when_a_client_came_is_no_news_and_old_frames_have_no_status() -> None:
    memory = StatusMemory()
    memory.begin(told("HALTED", bands=["95", "105"]))
    assert not memory.phase_is_news(told("HALTED"))
    assert not memory.bands_are_news(told(bands=["95", "105"]))
    assert memory.phase_is_news(frame())
    assert not StatusMemory().phase_is_news(frame())


def test_bands_and_auctions_are_worded_as_published() -> None:
    bands = luld_message(told(bands=["95.0000", "105.0000"]), "C")
    assert (bands["T"], bands["u"], bands["d"], bands["z"]) == ("l", Decimal(105), Decimal(95), "C")
    auction = imbalance_message(told("HALTED", auction={"p": "100.5000", "v": 300, "i": -200}), "C")
    assert (auction["T"], auction["p"], auction["z"]) == ("i", Decimal("100.5"), "C")


def test_the_terminal_is_told_the_whole_status() -> None:
    status = book_status_of(told("PAUSED", limit="", bands=["95", "105"], auction={"p": "1", "v": 2, "i": 3}))
    assert (status["type"], status["symbol"], status["phase"], status["mode"]) == (
        "status",
        "AAPL",
        "PAUSED",
        "OPEN",
    )
    assert status["auction"] == {"p": "1", "v": 2, "i": 3}
    assert book_status_of(frame())["phase"] == "CONTINUOUS"
