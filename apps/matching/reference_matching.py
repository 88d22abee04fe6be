"""What an accepted order does: wait, rest, or trade while its price reaches, and then what is left of it."""

from collections.abc import Iterator

from apps.matching.codes import ExecType, OrdType, Reason, SelfTradePrevention, TimeInForce
from apps.matching.reference_book import (
    AUCTION_TIFS,
    BUY,
    RESTING_TIFS,
    Book,
    Order,
    price_reaches,
    side_opposite,
)
from apps.matching.reference_turn import Turn, stop_is_reached


def order_enter(turn: Turn, order: Order, min_quantity: int = 0) -> None:
    """Bring an accepted order to where it belongs; in continuous trading it trades first."""
    book = turn.book
    if order.tif in AUCTION_TIFS:
        turn.order_place(order)
    elif order.is_stop:
        is_due = book.is_continuous and book.last is not None and stop_is_reached(order, book.last_price)
        if is_due:
            turn.elected.append(order)
        else:
            turn.order_place(order)
    elif book.is_continuous:
        _taker_run(turn, order, min_quantity)
    else:
        turn.order_place(order)


def elected_run(turn: Turn) -> None:
    """Let the elected stops act one after another, with those that their trades elect behind them."""
    while turn.elected:
        order = turn.elected.pop(0)
        turn.order_emit(ExecType.TRIGGERED, order, price=order.stop_price, quantity=order.leaves)
        order.ord_type = OrdType.LIMIT if order.ord_type == OrdType.STOP_LIMIT else OrdType.MARKET
        order.stop_price = order.trail = order.mark = 0
        if order.ord_type == OrdType.LIMIT and turn.book.is_beyond_band(order.side, order.price):
            turn.order_cancel(order, Reason.PRICE_BAND)
        else:
            _taker_run(turn, order, 0)


def _taker_run(turn: Turn, taker: Order, min_quantity: int) -> None:
    limit = _limit_of(turn.book, taker)
    if taker.tif == TimeInForce.FOK and _could_trade(turn.book, taker, limit) < taker.leaves:
        turn.order_cancel(taker, Reason.FOK_UNFILLABLE)
    elif min_quantity and _could_trade(turn.book, taker, limit) < min_quantity:
        turn.order_cancel(taker, Reason.MIN_QUANTITY)
    else:
        _makers_take(turn, taker, limit)
        if taker.leaves:
            _remainder_settle(turn, taker)


def _limit_of(book: Book, taker: Order) -> int:
    """Return the worst price at which it may trade: a band holds a market order's collar."""
    if taker.ord_type == OrdType.MARKET and book.is_beyond_band(taker.side, taker.price):
        return book.upper if taker.side == BUY else book.lower
    return taker.price


def _makers_take(turn: Turn, taker: Order, limit: int) -> None:
    makers = turn.book.sides[side_opposite(taker.side)]
    while taker.leaves and makers and price_reaches(taker.side, limit, makers[0].price):
        maker = makers[0]
        if taker.is_self_trade(maker):
            turn.self_trade_prevent(taker, maker)
        else:
            turn.trade(taker, maker, maker.price, min(taker.leaves, maker.at_hand), Reason.NONE)


def _remainder_settle(turn: Turn, taker: Order) -> None:
    if taker.ord_type == OrdType.LIMIT and taker.tif in RESTING_TIFS:
        turn.order_place(taker)
    elif taker.ord_type == OrdType.LIMIT:
        turn.order_cancel(taker, Reason.IOC_REMAINDER)
    elif not turn.book.sides[side_opposite(taker.side)]:
        turn.order_cancel(taker, Reason.NO_LIQUIDITY)
    elif turn.book.is_beyond_band(taker.side, taker.price):
        turn.order_cancel(taker, Reason.PRICE_BAND)
    else:
        turn.order_cancel(taker, Reason.COLLAR)


def _could_trade(book: Book, taker: Order, limit: int) -> int:
    return sum(_quantities_to_trade(book, taker, limit))


def _quantities_to_trade(book: Book, taker: Order, limit: int) -> Iterator[int]:
    """Yield what the taker would trade with one after another, as its self-trade prevention would have it."""
    left = taker.leaves
    for maker, available in _offers(book, taker, limit):
        quantity = min(left, available)
        if not taker.is_self_trade(maker):
            yield quantity
        elif taker.stp == SelfTradePrevention.CANCEL_OLDEST:
            continue
        elif taker.stp == SelfTradePrevention.DECREMENT:
            quantity = min(left, maker.leaves)
        else:
            return
        left -= quantity


def _offers(book: Book, taker: Order, limit: int) -> Iterator[tuple[Order, int]]:
    """Yield the makers within the limit and what each has: at a price the shown, the reserves, the hidden."""
    makers = [o for o in book.sides[side_opposite(taker.side)] if price_reaches(taker.side, limit, o.price)]
    for price in dict.fromkeys(maker.price for maker in makers):
        level = [maker for maker in makers if maker.price == price]
        displayed = [maker for maker in level if not maker.is_hidden]
        yield from ((maker, maker.visible) for maker in displayed)
        reserved = [maker for maker in displayed if not taker.is_self_trade(maker)]
        yield from ((maker, maker.leaves - maker.visible) for maker in reserved)
        yield from ((maker, maker.leaves) for maker in level if maker.is_hidden)
