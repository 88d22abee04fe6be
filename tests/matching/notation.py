"""Commands, events and books as lines that a market person reads and writes; see `stories/README.md`."""

import re
from collections.abc import Iterator

import numpy as np

from apps.matching.codes import (
    EVENT_DTYPE,
    CommandKind,
    ExecType,
    Mode,
    OrderFlag,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from apps.matching.reference_book import Book, Order
from tests.matching.engine_commands import SYMBOL, Fields

UNITS = 10_000
SELF_TRADE_WORDS = {
    "none": SelfTradePrevention.NONE,
    "newest": SelfTradePrevention.CANCEL_NEWEST,
    "oldest": SelfTradePrevention.CANCEL_OLDEST,
    "both": SelfTradePrevention.CANCEL_BOTH,
    "decrement": SelfTradePrevention.DECREMENT,
}
FLAG_WORDS = {
    "hidden": OrderFlag.HIDDEN,
    "post-only": OrderFlag.POST_ONLY,
    "reduce-only": OrderFlag.REDUCE_ONLY,
}
NUMBER_WORDS = {
    "show": "display_quantity",
    "showing": "min_quantity",
    "min": "min_quantity",
    "cum": "cum_quantity",
}
ACCEPTANCES = (
    ExecType.NEW, ExecType.REPLACED, ExecType.RESTORED, ExecType.PHASE, ExecType.BANDS, ExecType.MODE,
    ExecType.OPTIONS,
)  # fmt: skip


def price_parse(text: str) -> int:
    """Read dollars with up to four decimals as units."""
    match = re.fullmatch(r"(-?)(\d+)(?:\.(\d{1,4}))?", text)
    assert match, f"{text!r} is no price"
    units = int(match[2]) * UNITS + int((match[3] or "").ljust(4, "0"))
    return -units if match[1] else units


def price_text(units: int) -> str:
    """Write units as dollars with two to four decimals."""
    whole, part = divmod(units, UNITS)
    decimals = f"{part:04d}"
    return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def owner_parse(text: str) -> int:
    return int(text) if text.isdecimal() else ord(text) - ord("A") + 1


def command_parse(line: str) -> Fields:
    """Read one command; what comes after `but` overrides single fields."""
    told, _, overrides = line.partition(" but ")
    words = told.split()
    fields = {"symbol_id": SYMBOL} | _command_fields(words)
    for override in overrides.split():
        name, _, value = override.partition("=")
        fields[name] = int(value)
    return fields


def _command_fields(words: list[str]) -> Fields:
    match words:
        case ["cancel" | "expire" as kind, order_id, *rest]:
            fields = {"kind": CommandKind[kind.upper()], "orig_order_id": _id_parse(order_id)}
            return fields | _words_parse(rest)
        case ["replace", order_id, "with", *rest]:
            return _order_parse(rest) | {"kind": CommandKind.REPLACE, "orig_order_id": _id_parse(order_id)}
        case ["restore", *rest]:
            return _order_parse(rest) | {"kind": CommandKind.RESTORE}
        case ["last", quantity, "@", price, "volume", volume]:
            fields = {"price": price_parse(price), "quantity": int(quantity), "cum_quantity": int(volume)}
            return fields | {"kind": CommandKind.RESTORE_LAST}
        case ["phase", name, *rest]:
            fields = {"kind": CommandKind.PHASE, "argument": Phase[_name_parse(name)]}
            return fields | ({"price": price_parse(rest[0])} if rest else {})
        case ["bands", "none"]:
            return {"kind": CommandKind.BANDS}
        case ["bands", lower, upper]:
            return {"kind": CommandKind.BANDS, "price": price_parse(lower), "stop_price": price_parse(upper)}
        case ["mode", name]:
            return {"kind": CommandKind.MODE, "argument": Mode[_name_parse(name)]}
        case ["options", *rest]:
            tick = price_parse(rest[rest.index("tick") + 1]) if "tick" in rest else 0
            return {"kind": CommandKind.OPTIONS, "argument": int("levels" in rest), "price": tick}
    return _order_parse(words)


def _name_parse(word: str) -> str:
    return word.upper().replace("-", "_")


def _id_parse(word: str) -> int:
    assert word.startswith("#"), f"{word!r} is no order id"
    return int(word[1:])


def _order_parse(words: list[str]) -> Fields:
    """Read an order; without other words it is a DAY order of nobody's, with CANCEL_NEWEST."""
    side, quantity, *rest = words
    fields = {
        "kind": CommandKind.NEW,
        "side": Side[side.upper()],
        "quantity": int(quantity),
        "stp": SelfTradePrevention.CANCEL_NEWEST,
    } | _words_parse(rest)
    has_collar, has_stop = "market" in rest, "stop" in rest
    if "trail" in rest:
        fields["ord_type"] = OrdType.TRAIL
    elif has_stop:
        fields["ord_type"] = OrdType.STOP if has_collar else OrdType.STOP_LIMIT
    else:
        fields["ord_type"] = OrdType.MARKET if has_collar else OrdType.LIMIT
    return fields


def _words_parse(words: list[str]) -> Fields:
    fields: Fields = {}
    left = iter(words)
    for word in left:
        if word.startswith("#"):
            fields["order_id"] = _id_parse(word)
        elif word in FLAG_WORDS:
            fields["flags"] = fields.get("flags", 0) | FLAG_WORDS[word]
        elif word in NUMBER_WORDS:
            fields[NUMBER_WORDS[word]] = int(next(left))
        elif word.upper() in TimeInForce.__members__:
            fields["tif"] = TimeInForce[word.upper()]
        else:
            fields |= _pair_parse(word, next(left), fields)
    return fields


def _pair_parse(word: str, value: str, fields: Fields) -> Fields:
    match word:
        case "@" | "market":
            return {"price": price_parse(value)}
        case "stop" | "from":
            return {"stop_price": price_parse(value)}
        case "trail" if value.endswith("%"):
            flags = fields.get("flags", 0) | OrderFlag.TRAIL_PERCENT
            return {"trail": price_parse(value[:-1]), "flags": flags}
        case "trail":
            return {"trail": price_parse(value)}
        case "by":
            return {"owner": owner_parse(value)}
        case "self-trade":
            return {"stp": SELF_TRADE_WORDS[value]}
        case "on":
            return {"symbol_id": int(value)}
    raise AssertionError(f"{word!r} means nothing here")


def events_text(events: np.ndarray) -> list[str]:
    """Write a command's events as lines, without the one that only says it was accepted."""
    told = [event for event in events if not (event["n"] == 0 and event["exec_type"] in ACCEPTANCES)]
    return [event_text(event) for event in told]


def event_text(event: np.void) -> str:
    exec_type, reason = ExecType(event["exec_type"]), Reason(event["reason"])
    quantity, price, leaves = (
        int(event["quantity"]),
        price_text(int(event["price"])),
        int(event["leaves_qty"]),
    )
    me, other, side = f"#{event['order_id']}", f"#{event['contra_order_id']}", int(event["side"])
    match exec_type:
        case ExecType.REJECTED:
            return f"rejected: {reason.name}"
        case ExecType.TRADE:
            deal = f"buys {quantity} @ {price} from" if side == Side.BUY else f"sells {quantity} @ {price} to"
            return f"{me} {deal} {other}" + (" in the auction" if reason == Reason.AUCTION else "")
        case ExecType.CANCELED:
            return f"cancelled {quantity} of {me}: {reason.name}"
        case ExecType.EXPIRED:
            return f"expired {quantity} of {me}"
        case ExecType.REDUCED:
            return f"reduced {me} by {quantity} to {leaves}: {reason.name}"
        case ExecType.REFRESHED:
            return f"{me} shows {quantity} of {leaves}"
        case ExecType.TRIGGERED:
            return f"triggered {me} at {price}"
        case ExecType.TRAILED:
            return f"trailed {me} to {price}, stop {price_text(quantity)}"
        case ExecType.LIMIT_STATE:
            return f"limit state: {Side(side).name.lower() if side else 'none'}"
        case ExecType.LEVEL:
            return f"level {_side_text(side)} {price}: {quantity} in {leaves}"
        case ExecType.TOP:
            return (
                f"top {_side_text(side)} {price}: {quantity}" if quantity else f"top {_side_text(side)} none"
            )
    raise AssertionError(f"no line for {exec_type.name}")


def _side_text(side: int) -> str:
    return "bid" if side == Side.BUY else "ask"


# In an order of their own: the record's may follow what is fast.
EVENT_WORDS = (
    "seq", "n", "symbol_id", "order_id", "owner", "side", "ord_status", "price", "quantity", "leaves_qty",
    "cum_qty", "contra_order_id", "contra_owner", "contra_ord_status", "contra_leaves_qty", "contra_cum_qty",
    "reason",
)  # fmt: skip
ENUMERATIONS = {
    "ord_status": OrdStatus,
    "contra_ord_status": OrdStatus,
    "reason": Reason,
}


def event_fields_text(event: np.void) -> str:
    """Write an event's type and all its fields that say something."""
    assert {*EVENT_WORDS, "exec_type", "reserved"} == set(EVENT_DTYPE.names or ())
    assert not any(event["reserved"].tobytes())
    words = [ExecType(event["exec_type"]).name]
    for name in EVENT_WORDS:
        empty = OrdStatus.NONE if name.endswith("ord_status") else 0
        if event[name] != empty:
            value = int(event[name])
            words.append(f"{name}={ENUMERATIONS[name](value).name if name in ENUMERATIONS else value}")
    return " ".join(words)


def book_text(book: Book) -> list[str]:
    """Write what rests and waits: the ladder with the highest ask on top, the stops, the auction orders."""
    lines = [
        *reversed(list(_ladder_text(book.sides[Side.SELL], "ask"))),
        *_ladder_text(book.sides[Side.BUY], "bid"),
    ]
    for side in Side:
        lines += _stops_text(book.stops[side], side.name.lower())
    for tif in (TimeInForce.OPG, TimeInForce.CLS):
        waiting = ", ".join(_waiting_text(order) for order in book.auctions[tif])
        lines += [f"{tif.name.lower()}: {waiting}"] if waiting else []
    return lines or ["empty"]


def _waiting_text(order: Order) -> str:
    return f"#{order.order_id} {Side(order.side).name.lower()} {order.leaves} @ {price_text(order.price)}"


def _ladder_text(orders: list[Order], name: str) -> Iterator[str]:
    for price in dict.fromkeys(order.price for order in orders):
        level = ", ".join(_resting_text(order) for order in orders if order.price == price)
        yield f"{name} {price_text(price)}: {level}"


def _resting_text(order: Order) -> str:
    if order.is_hidden:
        return f"#{order.order_id} {order.leaves} hidden"
    shown = f"{order.shown} of " if order.display else ""
    return f"#{order.order_id} {shown}{order.leaves}"


def _stops_text(orders: list[Order], name: str) -> Iterator[str]:
    for price in dict.fromkeys(order.stop_price for order in orders):
        level = ", ".join(f"#{o.order_id} {o.leaves}" for o in orders if o.stop_price == price)
        yield f"{name} stop {price_text(price)}: {level}"
