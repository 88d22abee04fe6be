"""What a book's phase, bands and auction are called on the published market-data stream."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.streaming.feed import Frame

TRADING = "CONTINUOUS"
_HALT, _PAUSE, _QUOTES, _RESUME = "halt", "pause", "quotes", "resume"
_STEPS = {
    "HALTED": _HALT,
    "PAUSED": _PAUSE,
    "PRE_OPEN": _QUOTES,
    "OPENING_AUCTION": _QUOTES,
    "CLOSING_AUCTION": _QUOTES,
    TRADING: _RESUME,
}
"""The end of a session is in the clock, not a status."""

_CODES = {
    "C": {
        _HALT: ("H", "Trading Halt"),
        _PAUSE: ("P", "Volatility Trading Pause"),
        _QUOTES: ("Q", "Quotation Resumption"),
        _RESUME: ("T", "Trading Resumption"),
    },
    "": {
        _HALT: ("2", "Trading Halt"),
        _PAUSE: ("2", "Trading Halt"),
        _QUOTES: ("5", "Price Indication"),
        _RESUME: ("3", "Resume"),
    },
}
"""Status codes of tape C, and of the others."""

_PAUSE_REASON = ("LUDP", "Volatility Trading Pause")
_RESUME_REASON = ("T3", "Trading resumes")
_BANDS_SET = "A"


def status_of(frame: Frame) -> dict[str, Any]:
    """Return the book's status in a tape frame; a frame without one is of a book that trades."""
    return frame.get("status") or {"phase": TRADING}


class StatusMemory:
    """What one client was last told of each book; only changes are news."""

    def __init__(self) -> None:
        self._phases: dict[str, str] = {}
        self._bands: dict[str, Any] = {}
        self._auctions: dict[str, Any] = {}

    def begin(self, frame: Frame) -> None:
        """Take a frame as known without telling it."""
        symbol, status = frame["S"], status_of(frame)
        self._phases.setdefault(symbol, status["phase"])
        self._bands.setdefault(symbol, status.get("bands"))
        self._auctions.setdefault(symbol, status.get("auction"))

    def phase_is_news(self, frame: Frame) -> bool:
        """Return whether the phase has changed; a book never seen before is taken to have traded."""
        symbol, phase = frame["S"], status_of(frame)["phase"]
        before, self._phases[symbol] = self._phases.get(symbol, TRADING), phase
        return bool(phase != before)

    def bands_are_news(self, frame: Frame) -> bool:
        symbol, bands = frame["S"], status_of(frame).get("bands")
        before, self._bands[symbol] = self._bands.get(symbol), bands
        return bands is not None and bands != before

    def auction_is_news(self, frame: Frame) -> bool:
        symbol, auction = frame["S"], status_of(frame).get("auction")
        before, self._auctions[symbol] = self._auctions.get(symbol), auction
        return auction is not None and auction != before


def status_message(frame: Frame, tape: str, halt_reason: str) -> dict[str, Any] | None:
    """Return the change of status that a frame's phase is; None at the end of a session."""
    step = _STEPS.get(status_of(frame)["phase"])
    if step is None:
        return None
    code, words = _CODES.get(tape, _CODES[""])[step]
    reason = {_PAUSE: _PAUSE_REASON, _RESUME: _RESUME_REASON, _HALT: ("", halt_reason)}.get(step, ("", ""))
    return {
        "T": "s",
        "S": frame["S"],
        "sc": code,
        "sm": words,
        "rc": reason[0],
        "rm": reason[1],
        "z": tape,
        "t": datetime.fromisoformat(frame["t"]),
    }


def luld_message(frame: Frame, tape: str) -> dict[str, Any]:
    """Return the price bands of a frame that has some."""
    lower, upper = status_of(frame)["bands"]
    return {
        "T": "l",
        "S": frame["S"],
        "u": Decimal(upper),
        "d": Decimal(lower),
        "i": _BANDS_SET,
        "z": tape,
        "t": datetime.fromisoformat(frame["t"]),
    }


def imbalance_message(frame: Frame, tape: str) -> dict[str, Any]:
    """Return the price at which the auction of a frame would trade now."""
    return {
        "T": "i",
        "S": frame["S"],
        "p": Decimal(status_of(frame)["auction"]["p"]),
        "z": tape,
        "t": datetime.fromisoformat(frame["t"]),
    }
