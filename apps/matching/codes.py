"""The codes and record layouts that cross between the matching app and its engines."""

from enum import IntEnum, IntFlag

import numpy as np

PRICE_UNITS_MAX = 10**15
QUANTITY_MAX = 2**32 - 1
ORDER_ID_MAX = 2**63 - 1
ORDERS_MAX = 2**26
BOOKS_MAX = 2**16
BATCH_COMMANDS_MAX = 2**20
DEPTH_LEVELS_MAX = 1_000


class CommandKind(IntEnum):
    NEW = 1
    CANCEL = 2
    REPLACE = 3
    EXPIRE = 4
    RESTORE = 7
    RESTORE_LAST = 8
    PHASE = 9
    BANDS = 10
    MODE = 11
    OPTIONS = 12


class Side(IntEnum):
    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4
    TRAIL = 5


class TimeInForce(IntEnum):
    DAY = 0
    GTC = 1
    OPG = 2
    IOC = 3
    FOK = 4
    GTD = 6
    CLS = 7


class SelfTradePrevention(IntEnum):
    NONE = 0
    CANCEL_NEWEST = 1
    CANCEL_OLDEST = 2
    CANCEL_BOTH = 3
    DECREMENT = 4


class OrderFlag(IntFlag):
    """Bits of a command's flags."""

    POST_ONLY = 1
    HIDDEN = 2
    REDUCE_ONLY = 4
    TRAIL_PERCENT = 8


class Phase(IntEnum):
    """What a book does with orders: match them, or collect them for an uncross."""

    CONTINUOUS = 1
    PRE_OPEN = 2
    OPENING_AUCTION = 3
    HALTED = 4
    PAUSED = 5
    CLOSING_AUCTION = 6
    CLOSED = 7


class Mode(IntEnum):
    """Which orders a book accepts; cancels it always does."""

    OPEN = 1
    REDUCE_ONLY = 2
    CANCEL_ONLY = 3


class ExecType(IntEnum):
    """FIX tag 150, letters read as base-36 digits (C is 12); from 40 on ours, from 64 on about a book."""

    NEW = 0
    CANCELED = 4
    REPLACED = 5
    REJECTED = 8
    EXPIRED = 12
    RESTORED = 13
    TRADE = 15
    TRIGGERED = 21
    REDUCED = 40
    REFRESHED = 41
    TRAILED = 42
    PHASE = 64
    BANDS = 65
    MODE = 66
    OPTIONS = 67
    LIMIT_STATE = 68
    LEVEL = 69
    TOP = 70


class OrdStatus(IntEnum):
    """FIX tag 39, its letters read as base-36 digits; NONE where an event has no such order."""

    NEW = 0
    PARTIALLY_FILLED = 1
    FILLED = 2
    CANCELED = 4
    REPLACED = 5
    REJECTED = 8
    EXPIRED = 12
    NONE = 255


class Reason(IntEnum):
    """Why a command was rejected (below 64) or an order cancelled (from 64 on)."""

    NONE = 0
    BAD_KIND = 1
    BAD_SYMBOL = 2
    BAD_FLAGS = 3
    BAD_ORDER_ID = 4
    BAD_SIDE = 5
    BAD_ORD_TYPE = 6
    BAD_TIME_IN_FORCE = 7
    BAD_SELF_TRADE_PREVENTION = 8
    BAD_PRICE = 9
    BAD_QUANTITY = 10
    DUPLICATE_ORDER = 11
    UNKNOWN_ORDER = 12
    TOO_LATE = 13
    NOT_CONTINUOUS = 14
    BOOK_FULL = 15
    BOOKS_FULL = 16
    WOULD_CROSS = 17
    BAD_STOP_PRICE = 18
    BAD_TRAIL = 19
    BAD_DISPLAY_QUANTITY = 20
    BAD_MIN_QUANTITY = 21
    BAD_ARGUMENT = 22
    BAD_BANDS = 23
    BAD_TICK = 24
    OFF_TICK = 25
    OUTSIDE_BAND = 26
    REDUCE_ONLY = 27
    CANCEL_ONLY = 28
    REQUESTED = 64
    IOC_REMAINDER = 65
    FOK_UNFILLABLE = 66
    NO_LIQUIDITY = 67
    COLLAR = 68
    SELF_TRADE = 69
    MIN_QUANTITY = 70
    PRICE_BAND = 71
    AUCTION_REMAINDER = 72
    AUCTION = 73


COMMAND_DTYPE = np.dtype(
    [
        ("seq", "<u8"),
        ("order_id", "<u8"),
        ("orig_order_id", "<u8"),  # the target of CANCEL, EXPIRE and REPLACE
        ("owner", "<u8"),  # who must not trade with himself; 0 is nobody
        ("price", "<i8"),  # 1/10,000; the collar of a MARKET, STOP or TRAIL order
        ("stop_price", "<i8"),  # the trigger; of a TRAIL the high-water mark; of BANDS the upper band
        ("quantity", "<i8"),  # the order's total
        ("cum_quantity", "<i8"),  # RESTORE: filled before; RESTORE_LAST: the day's volume; else 0
        ("transact_time_ns", "<i8"),
        ("symbol_id", "<u4"),
        ("display_quantity", "<u4"),  # of an iceberg; 0 shows all
        ("min_quantity", "<u4"),  # to trade on arrival; of an iceberg's RESTORE what it shows
        ("trail", "<u4"),  # an amount in units, or with TRAIL_PERCENT parts per million
        ("kind", "u1"),
        ("side", "u1"),
        ("ord_type", "u1"),
        ("tif", "u1"),
        ("stp", "u1"),
        ("flags", "u1"),  # bits of OrderFlag
        ("argument", "u1"),  # of PHASE, MODE and OPTIONS
        ("reserved", "u1"),  # 0
    ]
)

# What a RESTORE tells of an order, each column as in a command.
OPEN_ORDER_DTYPE = np.dtype(
    [
        (name, COMMAND_DTYPE[name])
        for name in ("order_id", "owner", "price", "stop_price", "quantity", "cum_quantity")
        + ("symbol_id", "trail", "side", "ord_type", "tif", "flags")
    ]
)

# In a TRADE the order is the taker and the contra order the maker; in a REPLACED, the new and the old.
EVENT_DTYPE = np.dtype(
    [
        ("seq", "<u8"),
        ("order_id", "<u8"),
        ("contra_order_id", "<u8"),
        ("owner", "<u8"),
        ("contra_owner", "<u8"),
        ("price", "<i8"),
        ("quantity", "<i8"),  # traded, cancelled, or open at acceptance
        ("cum_qty", "<i8"),  # of RESTORE_LAST the volume
        ("leaves_qty", "<u4"),
        ("contra_leaves_qty", "<u4"),
        ("contra_cum_qty", "<u4"),
        ("symbol_id", "<u4"),
        ("n", "<u4"),  # index within the command's events
        ("exec_type", "u1"),
        ("ord_status", "u1"),
        ("contra_ord_status", "u1"),
        ("side", "u1"),
        ("reason", "u1"),
        ("reserved", "V7"),
    ]
)
