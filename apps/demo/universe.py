"""Who and what the demo market consists of: its shares, its traders, and its simulated participants."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Listing:
    """A share of the demo market; its history is the real company's, under the name it had then."""

    symbol: str
    name: str
    exchange: str


@dataclass(frozen=True, slots=True)
class Trader:
    """A person who can sign in to the demo, and the shares that person starts with."""

    username: str
    shares: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Participant:
    """A simulated account: it trades by itself, and nobody can sign in to it."""

    username: str
    role: str
    cash: Decimal
    shares: int
    """What it holds of each share after a top-up; half of it is low."""


LISTINGS = (
    Listing("AAPL", "Apple Inc.", "NASDAQ"),
    Listing("FB", "Facebook, Inc.", "NASDAQ"),
    Listing("GOOG", "Google Inc.", "NASDAQ"),
    Listing("IBM", "International Business Machines Corporation", "NYSE"),
    Listing("MSFT", "Microsoft Corporation", "NASDAQ"),
)
SYMBOLS = tuple(one.symbol for one in LISTINGS)

TRADER_CASH = Decimal("100000.00")
TRADERS = (
    Trader("ada", (("AAPL", 120), ("MSFT", 800))),
    Trader("grace", (("IBM", 150), ("GOOG", 40))),
)
ADMIN = "admin"

MAKER, TAKER, NOISE = "maker", "taker", "noise"
PARTICIPANTS = (
    Participant("sim-maker-1", MAKER, Decimal("400000000.00"), 400_000),
    Participant("sim-maker-2", MAKER, Decimal("400000000.00"), 400_000),
    Participant("sim-taker-1", TAKER, Decimal("200000000.00"), 200_000),
    Participant("sim-taker-2", TAKER, Decimal("200000000.00"), 200_000),
    Participant("sim-noise-1", NOISE, Decimal("50000000.00"), 50_000),
    Participant("sim-noise-2", NOISE, Decimal("50000000.00"), 50_000),
)
