"""Order books that pip installs and that really match, on the benchmark's commands, one call per command.

Measured: `liquibook` (C++ behind SWIG) and `lightmatchingengine` (plain Python), whose trades equal the
engine's. Tried and left out: `cython-orderbook` (half as fast as liquibook, does not return its trades),
`obook` (Go behind ctypes, 0.1 million/s), `order-matching` (under 0.001 million/s), `nanobook` (0.19.2 never
returns from one of this flow's immediate-or-cancel orders), `limit-order-book` (reports no trades to Python).
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from apps.matching.codes import CommandKind, OrdType, Side, TimeInForce

Trade = tuple[int, int, int, int]
"""Taker, maker, price, quantity."""


class PeerCommand(NamedTuple):
    """A command as plain values, so that no peer pays for numpy's."""

    is_cancel: bool
    is_buy: bool
    is_market: bool
    is_immediate: bool
    order_id: int
    orig_order_id: int
    price: int
    quantity: int


class Peer(Protocol):
    """A book that takes commands one by one."""

    def commands_run(self, commands: list[PeerCommand]) -> None: ...
    def trades(self) -> list[Trade]: ...


def peer_commands(commands: np.ndarray) -> list[PeerCommand]:
    """Return the records as plain values."""
    columns = (
        commands["kind"] == CommandKind.CANCEL,
        commands["side"] == Side.BUY,
        commands["ord_type"] == OrdType.MARKET,
        commands["tif"] == TimeInForce.IOC,
        *(commands[name] for name in ("order_id", "orig_order_id", "price", "quantity")),
    )
    return [PeerCommand(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]


class Liquibook:
    """liquibook, keeping what it tells of every order, as our events do."""

    def __init__(self, *, is_silent: bool = False) -> None:
        import liquibook

        self._liquibook = liquibook
        self._book = liquibook.liquibook_book_OrderBook()
        self._events: list[tuple[str, int, int, int, int]] = []
        self._orders: dict[int, Any] = {}
        self._ids: dict[int, int] = {}
        if not is_silent:
            self._listener = self._listener_make()
            self._book.set_order_listener(self._listener)

    def _listener_make(self) -> Any:
        keep = self._events.append

        class Listener(self._liquibook.OrderListener):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()

            def on_accept(self, order: Any) -> None:
                keep(("NEW", order.order_id_, 0, 0, order.order_qty()))

            def on_fill(self, order: Any, maker: Any, quantity: int, price: int) -> None:
                keep(("TRADE", order.order_id_, maker.order_id_, price, quantity))

            def on_cancel(self, order: Any) -> None:
                keep(("CANCELED", order.order_id_, 0, 0, order.open_qty()))

        return Listener()

    def commands_run(self, commands: list[PeerCommand]) -> None:
        order_make, immediate = self._liquibook.SimpleOrder, self._liquibook.oc_immediate_or_cancel
        add, cancel, orders, ids = self._book.add, self._book.cancel, self._orders, self._ids
        for is_cancel, is_buy, is_market, is_immediate, order_id, orig_order_id, price, quantity in commands:
            if is_cancel:
                cancel(orders.pop(orig_order_id))
                continue
            order = order_make(is_buy, 0 if is_market else price, quantity)
            orders[order_id] = order
            ids[order.order_id_] = order_id
            if is_immediate:
                add(order, immediate)
            else:
                add(order)

    def trades(self) -> list[Trade]:
        ids = self._ids
        return [
            (ids[taker], ids[maker], p, q) for kind, taker, maker, p, q in self._events if kind == "TRADE"
        ]


class LightMatchingEngine:
    """lightmatchingengine; without immediate-or-cancel, what is left is cancelled with a second call."""

    def __init__(self) -> None:
        from lightmatchingengine.lightmatchingengine import LightMatchingEngine as Book

        self._book = Book()
        self._trades: list[Trade] = []
        self._numbers: dict[int, int] = {}
        self._ids: dict[int, int] = {}

    def commands_run(self, commands: list[PeerCommand]) -> None:
        add, cancel, numbers, ids = self._book.add_order, self._book.cancel_order, self._numbers, self._ids
        for is_cancel, is_buy, is_market, is_immediate, order_id, orig_order_id, price, quantity in commands:
            if is_cancel:
                cancel(numbers[orig_order_id], "X")
                continue
            order, trades = add("X", 0 if is_market else price, quantity, 1 if is_buy else 2)
            numbers[order_id] = order.order_id
            ids[order.order_id] = order_id
            makers = [trade for trade in trades if trade.order_id != order.order_id]
            self._trades += [(order_id, ids[t.order_id], t.trade_price, t.trade_qty) for t in makers]
            if is_immediate and order.leaves_qty:
                cancel(order.order_id, "X")

    def trades(self) -> list[Trade]:
        return self._trades
