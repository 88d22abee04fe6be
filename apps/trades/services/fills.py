"""A trade's part of booking: ledger lines, both positions, both orders, prices, and who is told."""

from decimal import Decimal

from apps.events.facts import EventRow, Topic
from apps.instruments.services import LastPrice
from apps.matching.messages import TapeTrade
from apps.orders.executions import OrderState
from apps.primitives.clock import iso
from apps.primitives.fix import Leg, OrdStatus
from apps.primitives.ids import Kind, public_id
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
    _trade_record(books, event, trade_id, buy, sell, price, value, taker.side)
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
    for order in (taker, maker):
        order.fill(price, quantity)
        if order.leg == Leg.ENTRY:
            _entry_note(books, order, quantity)
        _fill_tell(books, order, trade_id, price, quantity)
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
    buy: OrderState,
    sell: OrderState,
    price: Decimal,
    value: Decimal,
    aggressor_side: str,
) -> None:
    batch = books.batch
    books.trades.append(
        (
            trade_id,
            buy.order_id,
            sell.order_id,
            buy.user_id,
            sell.user_id,
            buy.account_id,
            sell.account_id,
            buy.symbol,
            price,
            event.quantity,
            value,
            aggressor_side,
            batch.transact_time,
            books.trade_date,
            books.settl_date,
            batch.matching_partition,
            event.seq,
            event.n,
        )
    )
    books.prices.setdefault(buy.symbol, []).append(price)
    books.tape.append(TapeTrade(trade_id, event.symbol_id, event.price, event.quantity, aggressor_side))
    seen = books.last_prices.get(buy.symbol)
    books.last_prices[buy.symbol] = LastPrice(
        symbol=buy.symbol,
        trade_date=books.trade_date,
        first=seen.first if seen else price,
        high=max(seen.high, price) if seen else price,
        low=min(seen.low, price) if seen else price,
        last=price,
        volume=(seen.volume if seen else 0) + event.quantity,
    )


def _fill_tell(books: Books, order: OrderState, trade_id: int, price: Decimal, quantity: int) -> None:
    full = order.status is OrdStatus.FILLED
    books.tell(
        order,
        "ORDER_FILLED" if full else "ORDER_PARTIALLY_FILLED",
        execution={
            "execution_id": str(public_id(Kind.EXECUTION, trade_id)),
            "trade_id": str(trade_id),
            "price": price,
            "quantity": quantity,
            "position_quantity": books.position(order).quantity,
        },
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
    for order in parties:
        books.events.append(
            EventRow(
                topic=Topic.TRADES,
                event_type="TRADE_EXECUTED",
                user_id=order.user_id,
                account_id=order.account_id,
                data={
                    "trade_id": str(trade_id),
                    "order_id": str(order.order_id),
                    "symbol": order.symbol,
                    "side": order.side,
                    "aggressor_side": aggressor_side,
                    "price": price,
                    "quantity": quantity,
                    "trade_value": value,
                    "executed_at": iso(books.batch.transact_time),
                    "settl_date": books.settl_date.isoformat(),
                },
            )
        )
