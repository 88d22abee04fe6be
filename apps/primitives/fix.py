"""The FIX vocabulary of orders, in the spelling that the tables store."""

from enum import StrEnum


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAIL = "TRAIL"


class TimeInForce(StrEnum):
    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"
    OPG = "OPG"
    CLS = "CLS"


class OrderClass(StrEnum):
    """Whether an order stands alone or with the exits that its fill, or one another's, releases."""

    SIMPLE = "SIMPLE"
    BRACKET = "BRACKET"
    OCO = "OCO"
    OTO = "OTO"


class Leg(StrEnum):
    """What an order does in its group."""

    ENTRY = "ENTRY"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"


class OrdStatus(StrEnum):
    PENDING = "PENDING"
    HELD = "HELD"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


LIVE_STATUSES = frozenset(
    {OrdStatus.PENDING, OrdStatus.HELD, OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED},
)
TERMINAL_STATUSES = frozenset(OrdStatus) - LIVE_STATUSES
