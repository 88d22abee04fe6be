"""A trade's part of booking: ledger lines, both positions, both orders, prices, and who is told."""

from decimal import Decimal

from apps.events.facts import EventRow, json_text
from apps.events.types import EventType
from apps.matching.messages import TapeTrade
from apps.orders.executions import OrderState
from apps.primitives.fix import Leg, OrdStatus
from apps.primitives.ids import Kind, public_id_text
from apps.primitives.money import trade_value, units_to_price
from apps.trades.postings import trade_lines
from apps.trades.services.books import Books, ExecEvent


def trade_apply(books: Books, event: ExecEvent) -> None:
    """Book one trade on both sides."""
    taker, maker = books.order(event.order_id), books.order(event.contra_order_id)
    buy, sell = (taker, maker) if taker.side == "BUY" else (maker, taker)
    price, quantity = units_to_price(event.price), event.quantity
    value = trade_value(price, quantity)
    trade_id, entry_id = books.ids.pop(), books.ids.pop()
    _trade_record(books, event, trade_id, (buy, sell), price, value, taker.side)
    books.lines += trade_lines(
        entry_id=entry_id,
        trade_id=trade_id,
        symbol=buy.symbol,
        quantity=quantity,
        price=price,
        value=value,
        buyer=books.balances[buy.account_id],
        seller=books.balances[sell.account_id],
        executed_at=books.batch.transact_time,
    )
    books.position(sell).sell(quantity, value)
    books.position(buy).buy(quantity, value)
    execution = (
        f'"execution_id":"{public_id_text(Kind.EXECUTION, trade_id)}","trade_id":"{trade_id}",'
        f'"price":{price:f},"quantity":{quantity}'
    )
    for order in (taker, maker):
        order.fill(price, quantity)
        if order.leg == Leg.ENTRY:
            _entry_note(books, order, quantity)
        _fill_tell(books, order, execution)
    _trade_tell(books, trade_id, (buy, sell), price, quantity, value, taker.side)


def _entry_note(books: Books, entry: OrderState, quantity: int) -> None:
    notes = books.group(entry)
    notes.bought += quantity
    if entry.status is OrdStatus.FILLED:
        notes.watch_from = len(books.prices[entry.symbol])


def _trade_record(
    books: Books,
    event: ExecEvent,
    trade_id: int,
    parties: tuple[OrderState, OrderState],
    price: Decimal,
    value: Decimal,
    aggressor_side: str,
) -> None:
    batch, symbol, quantity = books.batch, parties[0].symbol, event.quantity
    buy, sell = parties
    books.trades.append(
        (
            trade_id,
            buy.order_id,
            sell.order_id,
            buy.user_id,
            sell.user_id,
            buy.account_id,
            sell.account_id,
            symbol,
            price,
            quantity,
            value,
            aggressor_side,
            books.at,
            books.trade_date,
            books.settl_date,
            batch.matching_partition,
            event.seq,
            event.n,
        )
    )
    books.prices.setdefault(symbol, []).append(price)
    books.volumes[symbol] = books.volumes.get(symbol, 0) + quantity
    books.tape.append(TapeTrade(trade_id, event.symbol_id, event.price, quantity, aggressor_side))


def _fill_tell(books: Books, order: OrderState, execution: str) -> None:
    full = order.status is OrdStatus.FILLED
    held = books.position(order).quantity
    books.tell(
        order,
        EventType.ORDER_FILLED if full else EventType.ORDER_PARTIALLY_FILLED,
        f'"execution":{{{execution},"position_quantity":{held}}},',
    )


def _trade_tell(
    books: Books,
    trade_id: int,
    parties: tuple[OrderState, OrderState],
    price: Decimal,
    quantity: int,
    value: Decimal,
    aggressor_side: str,
) -> None:
    symbol, settl_date = json_text(parties[0].symbol), books.settl_date.isoformat()
    for order in parties:
        # In the order in which jsonb keeps keys.
        data = (
            f'{{"side":"{order.side}","price":{price:f},"symbol":{symbol},"order_id":"{order.order_id}",'
            f'"quantity":{quantity},"trade_id":"{trade_id}","settl_date":"{settl_date}",'
            f'"executed_at":"{books.at}","trade_value":{value:f},"aggressor_side":"{aggressor_side}"}}'
        )
        books.events.append(EventRow(EventType.TRADE_EXECUTED, order.user_id, data, order.account_id))
