"""The codes and record layouts that cross between the matching app and its engines."""

from enum import IntEnum

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
    HALT = 5
    RESUME = 6
    RESTORE = 7
    RESTORE_LAST = 8


class Side(IntEnum):
    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    MARKET = 1
    LIMIT = 2


class TimeInForce(IntEnum):
    DAY = 0
    GTC = 1
    IOC = 3
    FOK = 4


class SelfTradePrevention(IntEnum):
    NONE = 0
    CANCEL_NEWEST = 1
    CANCEL_OLDEST = 2
    CANCEL_BOTH = 3


class ExecType(IntEnum):
    """FIX tag 150, its letters read as base-36 digits (C is 12); from 64 on it is about a book."""

    NEW = 0
    CANCELED = 4
    REPLACED = 5
    REJECTED = 8
    EXPIRED = 12
    RESTORED = 13
    TRADE = 15
    HALTED = 64
    RESUMED = 65


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
    HALTED = 14
    BOOK_FULL = 15
    BOOKS_FULL = 16
    WOULD_CROSS = 17
    REQUESTED = 64
    IOC_REMAINDER = 65
    FOK_UNFILLABLE = 66
    NO_LIQUIDITY = 67
    COLLAR = 68
    SELF_TRADE = 69


COMMAND_DTYPE = np.dtype(
    [
        ("seq", "<u8"),
        ("order_id", "<u8"),
        ("orig_order_id", "<u8"),  # the target of CANCEL, EXPIRE and REPLACE
        ("owner", "<u8"),  # who must not trade with himself; 0 is nobody
        ("price", "<i8"),  # 1/10,000; the collar of a market order
        ("quantity", "<i8"),  # the order's total
        ("cum_quantity", "<i8"),  # RESTORE: filled before; RESTORE_LAST: the day's volume; else 0
        ("transact_time_ns", "<i8"),
        ("symbol_id", "<u4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("ord_type", "u1"),
        ("tif", "u1"),
        ("stp", "u1"),
        ("flags", "u1"),  # none is defined yet; must be 0
        ("reserved", "V22"),
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
        ("leaves_qty", "<i8"),
        ("cum_qty", "<i8"),
        ("contra_leaves_qty", "<i8"),
        ("contra_cum_qty", "<i8"),
        ("symbol_id", "<u4"),
        ("n", "<u4"),  # index within the command's events
        ("exec_type", "u1"),
        ("ord_status", "u1"),
        ("contra_ord_status", "u1"),
        ("side", "u1"),
        ("reason", "u1"),
        ("reserved", "V3"),
    ]
)
