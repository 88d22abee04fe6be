"""Hypothesis streams of commands with few prices, ids and owners, so that orders meet and collide."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st

from apps.matching.codes import (
    PRICE_UNITS_MAX,
    QUANTITY_MAX,
    CommandKind,
    Mode,
    OrderFlag,
    OrdType,
    Phase,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from apps.matching.reference_book import Order, trail_stop
from tests.matching.engine_commands import Fields

Choice = TypeVar("Choice")

COMMAND_BYTES = 14
CENTRE = 1_000_000
ODD_PRICES = (1, 2, 7, 9_999, 10_000, 999_950, 1_000_001, 90_000_000, PRICE_UNITS_MAX)
RESTING_TIFS = (TimeInForce.DAY, TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)
IMMEDIATE_TIFS = (TimeInForce.IOC, TimeInForce.FOK)
AUCTION_TIFS = (TimeInForce.OPG, TimeInForce.CLS)
MARKET_TIFS = (TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS)
SYMBOLS = (1, 1, 1, 1, 1, 1, 1, 2, 2, 3)
PHASES = (Phase.CONTINUOUS,) * 6 + tuple(Phase)
AIMED_FIELDS = ("", "", "price", "stop_price", "display_quantity", "trail", "flags")
MODES = (Mode.OPEN,) * 6 + tuple(Mode)


class Dice:
    """A number that is used up by rolling dice; zero rolls the first side of each."""

    def __init__(self, number: int) -> None:
        self._left = number

    def roll(self, sides: int) -> int:
        self._left, face = divmod(self._left, sides)
        return face

    def of(self, options: Sequence[Choice]) -> Choice:
        return options[self.roll(len(options))]

    def price(self) -> int:
        face = self.roll(90)
        return CENTRE + (face % 9 - 4) * 100 if face < 81 else ODD_PRICES[face - 81]

    def quantity(self) -> int:
        return self.roll(20) + 1 if self.roll(24) < 23 else QUANTITY_MAX


def order_of(dice: Dice) -> Fields:
    """Return a LIMIT DAY order; an order_id of 0 becomes one of its own when the command's turn comes."""
    return {
        "kind": CommandKind.NEW,
        "symbol_id": dice.of(SYMBOLS),
        "side": dice.of(tuple(Side)),
        "ord_type": OrdType.LIMIT,
        "tif": dice.of(RESTING_TIFS),
        "price": dice.price(),
        "quantity": dice.quantity(),
        "owner": dice.roll(4),
        "stp": dice.of(tuple(SelfTradePrevention)),
        "flags": dice.of((0, 0, 0, OrderFlag.REDUCE_ONLY)),
        "order_id": 0 if dice.roll(20) else dice.roll(40) + 1,
    }


def immediate_of(dice: Dice) -> Fields:
    return order_of(dice) | {"tif": dice.of(IMMEDIATE_TIFS)}


def market_of(dice: Dice) -> Fields:
    return order_of(dice) | {"ord_type": OrdType.MARKET, "tif": dice.of(MARKET_TIFS)}


def auction_of(dice: Dice) -> Fields:
    ord_type = dice.of((OrdType.LIMIT, OrdType.MARKET))
    return order_of(dice) | {"ord_type": ord_type, "tif": dice.of(AUCTION_TIFS)}


def flagged_of(dice: Dice) -> Fields:
    order = order_of(dice)
    flag = dice.of((OrderFlag.POST_ONLY, OrderFlag.HIDDEN, OrderFlag.POST_ONLY | OrderFlag.HIDDEN))
    return order | {"flags": order["flags"] | flag}


def iceberg_of(dice: Dice) -> Fields:
    return order_of(dice) | {"quantity": dice.roll(27) + 4, "display_quantity": dice.roll(4) + 1}


def minimum_of(dice: Dice) -> Fields:
    fields = {"quantity": dice.roll(23) + 8, "min_quantity": dice.roll(8) + 1}
    return order_of(dice) | fields | {"tif": dice.of((*RESTING_TIFS, *IMMEDIATE_TIFS))}


def stop_of(dice: Dice) -> Fields:
    order, stop = order_of(dice), dice.price()
    order |= {"ord_type": dice.of((OrdType.STOP, OrdType.STOP_LIMIT)), "stop_price": stop}
    return order | (collar_of(dice, order, stop) if order["ord_type"] == OrdType.STOP else {})


def trail_of(dice: Dice) -> Fields:
    order = order_of(dice) | {"ord_type": OrdType.TRAIL, "stop_price": dice.price()}
    if dice.roll(2):
        order |= {"trail": dice.of((1, 100, 300, 10_000)), "flags": order["flags"] | OrderFlag.TRAIL_PERCENT}
    else:
        order["trail"] = dice.of((1, 2, 100, 200, 300))
    stop = trail_stop(order["side"], order["stop_price"], order["trail"], order["flags"])
    return order | collar_of(dice, order, stop)


def collar_of(dice: Dice, order: Fields, stop: int) -> Fields:
    behind = (dice.roll(6) - 1 if dice.roll(9) == 8 else dice.roll(6)) * 100
    price = stop + behind if order["side"] == Side.BUY else stop - behind
    return {"price": min(max(1, price), PRICE_UNITS_MAX)}


NEWS = (
    *[order_of] * 4, immediate_of, market_of, auction_of, flagged_of, iceberg_of, minimum_of, stop_of,
    trail_of, trail_of,
)  # fmt: skip


def new_of(dice: Dice) -> Fields:
    return dice.of(NEWS)(dice)


def restore_of(dice: Dice) -> Fields:
    fields = {"kind": CommandKind.RESTORE, "cum_quantity": dice.roll(4), "min_quantity": dice.roll(2)}
    return dice.of((order_of, iceberg_of, flagged_of, stop_of, trail_of, auction_of))(dice) | fields


def replace_of(dice: Dice) -> Fields:
    return new_of(dice) | {"kind": CommandKind.REPLACE, "orig_order_id": dice.roll(40) + 1}


def cancel_of(dice: Dice) -> Fields:
    kind = dice.of((CommandKind.CANCEL, CommandKind.EXPIRE))
    return {"kind": kind, "orig_order_id": dice.roll(40) + 1, "symbol_id": dice.of(SYMBOLS)}


def aimed_cancel_of(dice: Dice) -> Fields:
    """Return a cancel of an order that is live when its turn comes: `aim` says which."""
    return {"kind": dice.of((CommandKind.CANCEL, CommandKind.EXPIRE)), "aim": dice.roll(30)}


def aimed_replace_of(dice: Dice) -> Fields:
    """Return a replace of a live order on its own terms, but perhaps one of them."""
    change = dice.roll(len(AIMED_FIELDS))
    return {
        "kind": CommandKind.REPLACE,
        "aim": dice.roll(30),
        "change": change,
        "to": dice.price() if "price" in AIMED_FIELDS[change] else dice.roll(20),
        "quantity": dice.roll(12) + 1,
        "stp": dice.of(tuple(SelfTradePrevention)),
        "order_id": 0,
    }


def phase_of(dice: Dice) -> Fields:
    price = dice.price() if dice.roll(3) == 2 else 0
    return setting_of(dice, CommandKind.PHASE) | {"argument": dice.of(PHASES), "price": price}


def bands_of(dice: Dice) -> Fields:
    lower, upper = CENTRE - dice.roll(8) * 100, CENTRE + (dice.roll(8) - 2) * 100
    told = {"price": lower, "stop_price": upper} if dice.roll(2) else {}
    return setting_of(dice, CommandKind.BANDS) | told


def mode_of(dice: Dice) -> Fields:
    return setting_of(dice, CommandKind.MODE) | {"argument": dice.of(MODES)}


def options_of(dice: Dice) -> Fields:
    tick = dice.of((0, 0, 0, 1, 100, 500))
    return setting_of(dice, CommandKind.OPTIONS) | {"argument": dice.roll(2), "price": tick}


def last_of(dice: Dice) -> Fields:
    told = {"price": dice.price(), "quantity": dice.quantity(), "cum_quantity": dice.roll(1_000)}
    return setting_of(dice, CommandKind.RESTORE_LAST) | told


def setting_of(dice: Dice, kind: CommandKind) -> Fields:
    return {"kind": kind, "symbol_id": dice.of(SYMBOLS)}


def spoiled_of(dice: Dice) -> Fields:
    """Return an order with one byte that need not mean anything, or an id out of range."""
    name = dice.of(("kind", "side", "ord_type", "tif", "stp", "flags", "argument", "reserved", "symbol_id"))
    return new_of(dice) | {name: dice.roll(10) if dice.roll(2) else dice.roll(256)}


SETTINGS = (*[phase_of] * 8, *[bands_of] * 2, *[mode_of] * 2, *[options_of] * 2, last_of)
KINDS: tuple[Callable[[Dice], Fields], ...] = (
    *[new_of] * 26, *[aimed_replace_of] * 5, *[aimed_cancel_of] * 2, replace_of, cancel_of, *[restore_of] * 2,
    *[lambda dice: dice.of(SETTINGS)(dice)] * 5, spoiled_of,
)  # fmt: skip


def command_of(drawn: bytes) -> Fields | None:
    """Turn drawn bytes into a command; zeros are none, so that a long stream can shrink."""
    number = int.from_bytes(drawn, "little")
    return KINDS[(number - 1) % len(KINDS)](Dice((number - 1) // len(KINDS))) if number else None


STREAMS = st.lists(
    st.binary(min_size=COMMAND_BYTES, max_size=COMMAND_BYTES).map(command_of), min_size=40, max_size=60
)


def command_aim(command: Fields, live: list[Order], place: int) -> Fields:
    """Turn an aimed command into one about an order that is live now, and give new orders ids."""
    told = dict(command)
    if told.get("order_id") == 0:
        told["order_id"] = 100 + place
    aim, change, to = (told.pop(name, 0) for name in ("aim", "change", "to"))
    if "aim" not in command or not live:
        return told
    order = live[aim % len(live)]
    told |= {"symbol_id": order.symbol_id, "orig_order_id": order.order_id}
    if command["kind"] != CommandKind.REPLACE:
        return told
    told |= {"side": order.side, "ord_type": order.ord_type, "tif": order.tif, "flags": order.flags}
    told |= {"price": order.price, "stop_price": order.mark or order.stop_price, "trail": order.trail}
    told |= {"display_quantity": order.display, "quantity": order.cum + told["quantity"]}
    if AIMED_FIELDS[change] == "flags":
        told["flags"] ^= OrderFlag.REDUCE_ONLY
    elif change > 1:
        told[AIMED_FIELDS[change]] = to
    return told
