"""Commands and saved state as the engine's packed records."""

from collections.abc import Sequence

import numpy as np

from apps.matching import codes
from apps.matching.messages import BookState, Command

_KINDS = {name: code.value for name, code in codes.CommandKind.__members__.items()}
_SIDES = {"": 0, **{name: code.value for name, code in codes.Side.__members__.items()}}
_TYPES = {"": 0, **{name: code.value for name, code in codes.OrdType.__members__.items()}}
_TIMES = {"": 0, **{name: code.value for name, code in codes.TimeInForce.__members__.items()}}
_PREVENTION = codes.SelfTradePrevention.CANCEL_NEWEST.value
"""Nobody trades with himself: the order that comes later is the one that goes."""


def commands_pack(commands: Sequence[Command], first_seq: int, transact_time_ns: int) -> np.ndarray:
    """Return the engine's records for commands in sequence order."""
    records = np.zeros(len(commands), dtype=codes.COMMAND_DTYPE)
    records["seq"] = np.arange(first_seq, first_seq + len(commands), dtype="u8")
    records["order_id"] = [c.order_id for c in commands]
    records["orig_order_id"] = [c.orig_order_id for c in commands]
    records["owner"] = [c.account_id for c in commands]
    records["price"] = [c.price_units for c in commands]
    records["stop_price"] = [c.stop_price_units for c in commands]
    records["quantity"] = [0 if c.is_for_books else c.quantity for c in commands]
    records["symbol_id"] = [c.instrument_id for c in commands]
    records["trail"] = [c.trail for c in commands]
    records["kind"] = [_KINDS[c.kind] for c in commands]
    records["side"] = [_SIDES[c.side] for c in commands]
    records["ord_type"] = [_TYPES[c.order_type] for c in commands]
    records["tif"] = [_TIMES[c.time_in_force] for c in commands]
    records["stp"] = [_PREVENTION if c.side else 0 for c in commands]
    records["flags"] = [c.flags for c in commands]
    records["argument"] = [c.argument for c in commands]
    records["transact_time_ns"] = transact_time_ns
    return records


def state_pack(state: BookState) -> np.ndarray:
    """Return the records that put a partition's books back as the database knows them.

    A book's phase comes before its orders: where nothing trades, resting orders may cross.
    """
    settings = np.frombuffer(b"".join(state.settings), dtype=codes.COMMAND_DTYPE)
    return np.concatenate([_last_prices_pack(state), settings, _orders_pack(state.open_orders)])


def _last_prices_pack(state: BookState) -> np.ndarray:
    records = np.zeros(len(state.last_prices), dtype=codes.COMMAND_DTYPE)
    records["kind"] = codes.CommandKind.RESTORE_LAST
    records["symbol_id"] = list(state.last_prices)
    records["price"] = [price for price, _ in state.last_prices.values()]
    records["cum_quantity"] = [volume for _, volume in state.last_prices.values()]
    records["quantity"] = 1
    return records


def _orders_pack(orders: np.ndarray) -> np.ndarray:
    records = np.zeros(len(orders), dtype=codes.COMMAND_DTYPE)
    for name in codes.OPEN_ORDER_DTYPE.names or ():
        records[name] = orders[name]
    records["kind"] = codes.CommandKind.RESTORE
    records["stp"] = _PREVENTION
    return records
