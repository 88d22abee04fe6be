"""The proof of the trades: the journal, given to an engine again, makes exactly those that were booked."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from apps.matching.codes import ExecType, Side
from apps.matching.replay import journal_chunks
from apps.primitives.money import PRICE_SCALE, units_to_price

TRADES_SQL = f"""
DECLARE booked NO SCROLL CURSOR FOR
SELECT t.match_seq, t.match_n, t.buy_order_id, t.sell_order_id, i.instrument_id,
       (t.price * {PRICE_SCALE})::bigint, t.quantity, t.aggressor_side
FROM trades t LEFT JOIN instruments i ON i.symbol = t.symbol
WHERE t.matching_partition = %s AND t.match_seq BETWEEN %s AND %s
ORDER BY t.match_seq, t.match_n
"""
FETCH_SQL = "FETCH 10000 FROM booked"


class MatchedTrade(NamedTuple):
    """One execution: its identity within the partition, and its facts."""

    seq: int
    n: int
    buy_order_id: int
    sell_order_id: int
    instrument_id: int
    price_units: int
    quantity: int
    aggressor_side: str

    def __str__(self) -> str:
        return (
            f"{self.seq}/{self.n}: {self.quantity} of instrument {self.instrument_id} at "
            f"{units_to_price(self.price_units)}, order {self.buy_order_id} from {self.sell_order_id}, "
            f"{self.aggressor_side} took"
        )


class Difference(NamedTuple):
    """The first place where replay and booking part; None is a trade that one of them does not have."""

    matched: MatchedTrade | None
    booked: MatchedTrade | None


class Proof(NamedTuple):
    """How many trades were compared, and where they first differ, if they do."""

    trades: int
    difference: Difference | None


def trades_prove(
    cursor: Any,
    matching_partition: int,
    engine: Any,
    first: int,
    last: int,
    progress: Callable[[int], None] = lambda commands: None,
) -> Proof:
    """Replay the commands from ``first`` to ``last`` on an engine that stands before them, and compare.

    ``cursor`` is that of ``one_reading``; ``progress`` is told of commands as they are done.
    """
    booked = _booked(cursor.connection.cursor(), matching_partition, first, last)
    count = 0
    for mine, theirs in zip_longest(
        _matched(cursor, matching_partition, engine, first, last, progress), booked
    ):
        if mine != theirs:
            return Proof(count, _difference(mine, theirs))
        count += 1
    return Proof(count, None)


def _difference(matched: MatchedTrade | None, booked: MatchedTrade | None) -> Difference:
    """Name the earlier of two trades of different identity as the one that the other side lacks."""
    if matched and booked and matched[:2] != booked[:2]:
        return Difference(matched, None) if matched[:2] < booked[:2] else Difference(None, booked)
    return Difference(matched, booked)


def _matched(
    cursor: Any, matching_partition: int, engine: Any, first: int, last: int, progress: Callable[[int], None]
) -> Iterator[MatchedTrade]:
    for records in journal_chunks(cursor, matching_partition, first - 1, last):
        events = engine.process(records)
        yield from trades_of(events[events["exec_type"] == ExecType.TRADE])
        progress(len(records))


def trades_of(events: np.ndarray) -> Iterator[MatchedTrade]:
    """Turn the engine's trades, taker and maker, into buyer and seller."""
    columns = ("seq", "n", "order_id", "contra_order_id", "symbol_id", "price", "quantity", "side")
    for seq, n, taker, maker, symbol, price, quantity, side in zip(
        *(events[column].tolist() for column in columns), strict=True
    ):
        buy, sell = (taker, maker) if side == Side.BUY else (maker, taker)
        yield MatchedTrade(seq, n, buy, sell, symbol, price, quantity, Side(side).name)


def _booked(cursor: Any, matching_partition: int, first: int, last: int) -> Iterator[MatchedTrade]:
    cursor.execute(TRADES_SQL, (matching_partition, first, last))
    while rows := cursor.execute(FETCH_SQL).fetchall():
        yield from (MatchedTrade(*row) for row in rows)
