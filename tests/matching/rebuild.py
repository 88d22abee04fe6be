"""The commands that rebuild an engine's books after a crash, as the rules of the book say."""

from collections.abc import Iterator

import numpy as np

from apps.matching.codes import CommandKind, Mode, OrdType, Phase
from apps.matching.reference import ReferenceEngine
from apps.matching.reference_book import TICK_DEFAULT, Book, Order
from tests.matching.engine_commands import Fields, commands_pack


def books_rebuild(reference: ReferenceEngine) -> np.ndarray:
    """Return RESTORE_LAST, the settings, and RESTORE of every order as they came to their places."""
    live = sorted(reference.live_orders(), key=lambda order: (order.symbol_id, order.arrival))
    settings = [command for book in reference.books() for command in _settings_of(book)]
    return commands_pack(settings + [_order_restore(order) for order in live])


def _settings_of(book: Book) -> Iterator[Fields]:
    about = {"symbol_id": book.symbol_id}
    if book.last:
        price, quantity, time_ns, volume = book.last
        told = {"price": price, "quantity": quantity, "cum_quantity": volume, "transact_time_ns": time_ns}
        yield about | told | {"kind": CommandKind.RESTORE_LAST}
    if book.mode != Mode.OPEN:
        yield about | {"kind": CommandKind.MODE, "argument": book.mode}
    if book.upper:
        yield about | {"kind": CommandKind.BANDS, "price": book.lower, "stop_price": book.upper}
    if book.options or book.tick != TICK_DEFAULT:
        yield about | {"kind": CommandKind.OPTIONS, "argument": book.options, "price": book.tick}
    if book.phase != Phase.CONTINUOUS:
        yield about | {"kind": CommandKind.PHASE, "argument": book.phase}


def _order_restore(order: Order) -> Fields:
    return {
        "kind": CommandKind.RESTORE,
        "symbol_id": order.symbol_id,
        "order_id": order.order_id,
        "owner": order.owner,
        "side": order.side,
        "ord_type": order.ord_type,
        "tif": order.tif,
        "stp": order.stp,
        "flags": order.flags,
        "price": order.price,
        "stop_price": order.mark if order.ord_type == OrdType.TRAIL else order.stop_price,
        "trail": order.trail,
        "quantity": order.leaves + order.cum,
        "cum_quantity": order.cum,
        "display_quantity": order.display,
        "min_quantity": order.shown,
    }
