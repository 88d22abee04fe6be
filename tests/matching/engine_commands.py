"""Engine commands in one line each, and events as readable tuples."""

from collections.abc import Sequence

import numpy as np

from apps.matching.codes import (
    COMMAND_DTYPE,
    CommandKind,
    ExecType,
    OrdType,
    Reason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

SYMBOL = 7
Fields = dict[str, int]


def commands_pack(commands: Sequence[Fields]) -> np.ndarray:
    packed = np.zeros(len(commands), dtype=COMMAND_DTYPE)
    for at, command in enumerate(commands):
        for name, value in ({"seq": at + 1, "symbol_id": SYMBOL} | command).items():
            packed[at][name] = value
    return packed


def order(side: Side, order_id: int, quantity: int, price: int, **other: int) -> Fields:
    fields = {
        "kind": CommandKind.NEW,
        "order_id": order_id,
        "owner": order_id,
        "side": side,
        "ord_type": OrdType.LIMIT,
        "tif": TimeInForce.DAY,
        "stp": SelfTradePrevention.CANCEL_NEWEST,
        "quantity": quantity,
        "price": price,
    }
    return fields | other


def buy(order_id: int, quantity: int, price: int, **other: int) -> Fields:
    return order(Side.BUY, order_id, quantity, price, **other)


def sell(order_id: int, quantity: int, price: int, **other: int) -> Fields:
    return order(Side.SELL, order_id, quantity, price, **other)


def replace(new: Fields, orig_order_id: int) -> Fields:
    return new | {"kind": CommandKind.REPLACE, "orig_order_id": orig_order_id}


def cancel(orig_order_id: int, **other: int) -> Fields:
    return {"kind": CommandKind.CANCEL, "orig_order_id": orig_order_id} | other


def book_command(kind: CommandKind, **other: int) -> Fields:
    return {"kind": kind} | other


def event_story(event: np.void) -> tuple[object, ...]:
    """Tell an event by what matters for its type."""
    exec_type = ExecType(event["exec_type"])
    order_id, contra_id = int(event["order_id"]), int(event["contra_order_id"])
    quantity, price = int(event["quantity"]), int(event["price"])
    match exec_type:
        case ExecType.TRADE:
            return ("TRADE", order_id, contra_id, quantity, price)
        case ExecType.REPLACED:
            return ("REPLACED", order_id, contra_id, quantity, price)
        case ExecType.REJECTED:
            return ("REJECTED", order_id, Reason(event["reason"]).name)
        case ExecType.CANCELED:
            return ("CANCELED", order_id, quantity, Reason(event["reason"]).name)
        case ExecType.HALTED | ExecType.RESUMED:
            return (exec_type.name,)
        case _:
            return (exec_type.name, order_id, quantity, price)
