"""What each kind of command does once it is accepted."""

from apps.matching.codes import CommandKind, ExecType, Phase, Reason, Side, TimeInForce
from apps.matching.reference_auction import OPENING_PHASES, book_uncross
from apps.matching.reference_book import Event, Order, order_make
from apps.matching.reference_matching import order_enter
from apps.matching.reference_replace import order_replace
from apps.matching.reference_turn import Turn


def command_act(turn: Turn, target: Order | None) -> None:
    """Do what an accepted command asks for; `target` is the live order that it names."""
    command = turn.command
    match command.kind:
        case CommandKind.NEW:
            order = order_make(command)
            turn.order_emit(ExecType.NEW, order, quantity=order.leaves)
            order_enter(turn, order, command.min_quantity)
        case CommandKind.RESTORE:
            order_restore(turn)
        case CommandKind.REPLACE if target:
            order_replace(turn, target)
        case CommandKind.CANCEL if target:
            turn.order_cancel(target, Reason.REQUESTED)
        case CommandKind.EXPIRE if target:
            turn.order_expire(target)
        case CommandKind.RESTORE_LAST:
            last_restore(turn)
        case CommandKind.PHASE:
            phase_change(turn)
        case CommandKind.BANDS:
            bands_set(turn)
        case _:
            setting_set(turn)


def order_restore(turn: Turn) -> None:
    order = order_make(turn.command)
    turn.order_place(order)
    order.shown = turn.command.min_quantity or order.shown
    turn.order_emit(ExecType.RESTORED, order, quantity=order.leaves)


def last_restore(turn: Turn) -> None:
    command = turn.command
    turn.book.last = (command.price, command.quantity, command.transact_time_ns, command.cum_quantity)
    turn.emit(
        Event(ExecType.RESTORED, price=command.price, quantity=command.quantity, cum_qty=command.cum_quantity)
    )


def setting_set(turn: Turn) -> None:
    command, book = turn.command, turn.book
    if command.kind == CommandKind.MODE:
        book.mode = command.argument
    else:
        book.options = command.argument
        book.tick = command.price or book.tick
    exec_type = ExecType.MODE if command.kind == CommandKind.MODE else ExecType.OPTIONS
    turn.emit(Event(exec_type, price=command.price, quantity=command.argument))


def bands_set(turn: Turn) -> None:
    book = turn.book
    book.lower, book.upper = turn.command.price, turn.command.stop_price
    turn.emit(Event(ExecType.BANDS, price=book.lower, quantity=book.upper))
    if book.is_continuous:
        bands_apply(turn)


def bands_apply(turn: Turn) -> None:
    """Cancel the resting orders that are beyond the bands."""
    for side in Side:
        for order in list(turn.book.sides[side]):
            if turn.book.is_beyond_band(side, order.price):
                turn.order_cancel(order, Reason.PRICE_BAND)


def phase_change(turn: Turn) -> None:
    book, price = turn.book, turn.command.price
    old, book.phase = book.phase, turn.command.argument
    turn.emit(Event(ExecType.PHASE, price=price, quantity=book.phase))
    if book.phase == old:
        return
    if book.is_continuous:
        book_uncross(turn, price, book.auctions[TimeInForce.OPG] if old in OPENING_PHASES else [])
        bands_apply(turn)
        if book.last:
            turn.stops_elect(book.last_price)
    if book.phase == Phase.CLOSED:
        if old == Phase.CLOSING_AUCTION:
            book_uncross(turn, price, book.auctions[TimeInForce.CLS])
        for order in list(book.auctions[TimeInForce.CLS]):
            turn.order_cancel(order, Reason.AUCTION_REMAINDER)
