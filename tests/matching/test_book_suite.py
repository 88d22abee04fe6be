"""What an order book must do, told as short stories to the reference book and to the compiled one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from apps.matching.codes import (
    COMMAND_DTYPE,
    ORDER_ID_MAX,
    PRICE_UNITS_MAX,
    QUANTITY_MAX,
    CommandKind,
    OrdStatus,
    OrdType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from apps.matching.native import NativeEngine
from apps.matching.reference import ReferenceEngine
from tests.matching.engine_commands import (
    SYMBOL,
    Fields,
    book_command,
    buy,
    cancel,
    commands_pack,
    event_story,
    replace,
    sell,
)

HALT = book_command(CommandKind.HALT)
RESUME = book_command(CommandKind.RESUME)


class Exchange:
    """An engine that is told stories."""

    def __init__(self, make: Callable[..., Any], max_orders: int = 1_000, max_books: int = 4) -> None:
        self.engine = make(max_orders=max_orders, max_books=max_books)

    def tell(self, *commands: Fields) -> list[tuple[object, ...]]:
        return [event_story(event) for event in self.events(*commands)]

    def events(self, *commands: Fields) -> np.ndarray:
        return self.engine.process(commands_pack(commands))

    def bids(self) -> list[tuple[int, int, int]]:
        return self.engine.depth(SYMBOL, 10)[0]

    def asks(self) -> list[tuple[int, int, int]]:
        return self.engine.depth(SYMBOL, 10)[1]


@pytest.fixture(params=[ReferenceEngine, NativeEngine], ids=["reference", "native"])
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param


@pytest.fixture
def exchange(make: Callable[..., Any]) -> Exchange:
    return Exchange(make)


def test_limit_order_rests_and_shows_in_the_depth(exchange: Exchange) -> None:
    assert exchange.tell(buy(1, 10, 1_000_000)) == [("NEW", 1, 10, 1_000_000)]
    assert (exchange.bids(), exchange.asks()) == ([(1_000_000, 10, 1)], [])
    assert exchange.engine.order_count() == 1


def test_trade_is_at_the_makers_price(exchange: Exchange) -> None:
    exchange.tell(sell(1, 10, 1_000_000))
    assert exchange.tell(buy(2, 4, 1_010_000)) == [("NEW", 2, 4, 1_010_000), ("TRADE", 2, 1, 4, 1_000_000)]
    assert (exchange.bids(), exchange.asks()) == ([], [(1_000_000, 6, 1)])


def test_trade_describes_both_orders(exchange: Exchange) -> None:
    exchange.tell(sell(1, 10, 1_000_000, owner=11))
    trade = exchange.events(buy(2, 4, 1_000_000, owner=22, seq=9))[1]
    assert (trade["seq"], trade["n"], trade["side"], trade["symbol_id"]) == (9, 1, Side.BUY, SYMBOL)
    assert (trade["owner"], trade["contra_owner"]) == (22, 11)
    assert (trade["leaves_qty"], trade["cum_qty"], trade["ord_status"]) == (0, 4, OrdStatus.FILLED)
    assert (trade["contra_leaves_qty"], trade["contra_cum_qty"]) == (6, 4)
    assert trade["contra_ord_status"] == OrdStatus.PARTIALLY_FILLED


def test_better_price_trades_first_then_earlier_time(exchange: Exchange) -> None:
    exchange.tell(sell(1, 5, 1_000_100), sell(2, 5, 1_000_000), sell(3, 5, 1_000_000))
    assert exchange.tell(buy(4, 12, 1_000_100))[1:] == [
        ("TRADE", 4, 2, 5, 1_000_000),
        ("TRADE", 4, 3, 5, 1_000_000),
        ("TRADE", 4, 1, 2, 1_000_100),
    ]


def test_rest_of_a_partly_filled_limit_order_rests(exchange: Exchange) -> None:
    exchange.tell(sell(1, 5, 1_000_000))
    exchange.tell(buy(2, 8, 1_000_000))
    assert (exchange.bids(), exchange.asks()) == ([(1_000_000, 3, 1)], [])


def test_ioc_remainder_is_cancelled(exchange: Exchange) -> None:
    exchange.tell(sell(1, 5, 1_000_000))
    told = exchange.tell(buy(2, 8, 1_000_000, tif=TimeInForce.IOC))
    assert told[1:] == [("TRADE", 2, 1, 5, 1_000_000), ("CANCELED", 2, 3, "IOC_REMAINDER")]
    assert exchange.engine.order_count() == 0


def test_fok_trades_wholly_or_not_at_all(exchange: Exchange) -> None:
    exchange.tell(sell(1, 5, 1_000_000), sell(2, 5, 1_000_100), sell(3, 5, 1_000_200))
    told = exchange.tell(buy(4, 11, 1_000_100, tif=TimeInForce.FOK))
    assert told[1:] == [("CANCELED", 4, 11, "FOK_UNFILLABLE")]
    told = exchange.tell(buy(5, 10, 1_000_100, tif=TimeInForce.FOK))
    assert told[1:] == [("TRADE", 5, 1, 5, 1_000_000), ("TRADE", 5, 2, 5, 1_000_100)]


def test_market_order_never_rests(exchange: Exchange) -> None:
    market = {"ord_type": OrdType.MARKET}
    assert exchange.tell(buy(1, 5, 1_000_000, **market))[1:] == [("CANCELED", 1, 5, "NO_LIQUIDITY")]
    exchange.tell(sell(2, 3, 1_000_000), sell(3, 5, 1_000_100))
    assert exchange.tell(buy(4, 5, 1_000_000, **market))[1:] == [
        ("TRADE", 4, 2, 3, 1_000_000),
        ("CANCELED", 4, 2, "COLLAR"),
    ]
    assert exchange.bids() == []


def test_cancel_and_expire_take_the_order_off(exchange: Exchange) -> None:
    exchange.tell(buy(1, 5, 1_000_000), buy(2, 6, 1_000_000))
    assert exchange.tell(cancel(1)) == [("CANCELED", 1, 5, "REQUESTED")]
    assert exchange.tell(cancel(2, kind=CommandKind.EXPIRE)) == [("EXPIRED", 2, 6, 1_000_000)]
    assert exchange.tell(cancel(2)) == [("REJECTED", 0, "UNKNOWN_ORDER")]
    assert exchange.bids() == []


def test_cancel_under_another_symbol_is_refused(exchange: Exchange) -> None:
    exchange.tell(buy(1, 5, 1_000_000))
    assert exchange.tell(cancel(1, symbol_id=SYMBOL + 1)) == [("REJECTED", 0, "UNKNOWN_ORDER")]
    assert exchange.bids() == [(1_000_000, 5, 1)]


def test_cancelled_middle_order_leaves_the_queue_in_order(exchange: Exchange) -> None:
    exchange.tell(sell(1, 1, 1_000_000), sell(2, 1, 1_000_000), sell(3, 1, 1_000_000), cancel(2))
    assert exchange.tell(buy(4, 2, 1_000_000))[1:] == [
        ("TRADE", 4, 1, 1, 1_000_000),
        ("TRADE", 4, 3, 1, 1_000_000),
    ]


def test_replace_with_smaller_quantity_keeps_priority(exchange: Exchange) -> None:
    exchange.tell(sell(1, 5, 1_000_000), sell(2, 5, 1_000_000))
    assert exchange.tell(replace(sell(3, 2, 1_000_000), 1)) == [("REPLACED", 3, 1, 2, 1_000_000)]
    assert exchange.tell(buy(4, 3, 1_000_000))[1:] == [
        ("TRADE", 4, 3, 2, 1_000_000),
        ("TRADE", 4, 2, 1, 1_000_000),
    ]


@pytest.mark.parametrize("quantity", [5, 6])
def test_replace_without_reduction_loses_priority(exchange: Exchange, quantity: int) -> None:
    exchange.tell(sell(1, 5, 1_000_000), sell(2, 5, 1_000_000), replace(sell(3, quantity, 1_000_000), 1))
    assert exchange.tell(buy(4, 1, 1_000_000))[1:] == [("TRADE", 4, 2, 1, 1_000_000)]


def test_replace_counts_what_the_original_has_filled(exchange: Exchange) -> None:
    exchange.tell(sell(1, 10, 1_000_000), buy(2, 4, 1_000_000))
    assert exchange.tell(replace(sell(3, 4, 1_000_000), 1)) == [("REJECTED", 3, "TOO_LATE")]
    assert exchange.asks() == [(1_000_000, 6, 1)]
    event = exchange.events(replace(sell(3, 7, 1_000_000), 1))[0]
    assert (event["leaves_qty"], event["cum_qty"], event["contra_cum_qty"]) == (3, 0, 4)
    assert exchange.asks() == [(1_000_000, 3, 1)]


def test_replaced_order_starts_its_own_count_and_keeps_the_owner(exchange: Exchange) -> None:
    exchange.tell(sell(1, 10, 1_000_000, owner=11), buy(2, 4, 1_000_000))
    exchange.tell(replace(sell(3, 8, 1_000_000, owner=99), 1))
    trade = exchange.events(buy(5, 1, 1_000_000))[1]
    assert (trade["contra_order_id"], trade["contra_owner"]) == (3, 11)
    assert (trade["contra_cum_qty"], trade["contra_leaves_qty"]) == (1, 3)
    exchange.tell(replace(sell(6, 3, 1_000_100, owner=99), 3))
    trade = exchange.events(buy(7, 1, 1_000_100))[1]
    assert (trade["contra_order_id"], trade["contra_owner"]) == (6, 11)
    assert (trade["contra_cum_qty"], trade["contra_leaves_qty"]) == (1, 1)


def test_replace_to_a_crossing_price_trades(exchange: Exchange) -> None:
    exchange.tell(sell(1, 5, 1_000_000), buy(2, 5, 999_900))
    assert exchange.tell(replace(buy(3, 5, 1_000_000), 2)) == [
        ("REPLACED", 3, 2, 5, 1_000_000),
        ("TRADE", 3, 1, 5, 1_000_000),
    ]


def test_refused_replace_leaves_the_original(exchange: Exchange) -> None:
    exchange.tell(buy(1, 5, 999_900), buy(2, 5, 999_900))
    before = exchange.engine.state_hash()
    told = exchange.tell(
        replace(buy(2, 3, 999_900), 1),
        replace(buy(1, 3, 999_900), 1),
        replace(buy(3, 3, 999_900), 9),
        replace(sell(3, 3, 999_900), 1),
        replace(buy(3, 3, 999_900, tif=TimeInForce.IOC), 1),
    )
    assert [reason for _, _, reason in told] == [
        "DUPLICATE_ORDER",
        "DUPLICATE_ORDER",
        "UNKNOWN_ORDER",
        "BAD_SIDE",
        "BAD_TIME_IN_FORCE",
    ]
    assert exchange.engine.state_hash() == before


def test_live_id_is_refused_and_a_dead_one_may_return(exchange: Exchange) -> None:
    exchange.tell(buy(1, 5, 1_000_000))
    assert exchange.tell(buy(1, 5, 1_000_000)) == [("REJECTED", 1, "DUPLICATE_ORDER")]
    assert exchange.tell(cancel(1), buy(1, 5, 1_000_000))[1] == ("NEW", 1, 5, 1_000_000)


STP_STORIES = [
    (SelfTradePrevention.NONE, [("TRADE", 3, 1, 5, 1_000_000), ("TRADE", 3, 2, 3, 1_000_000)]),
    (SelfTradePrevention.CANCEL_NEWEST, [("CANCELED", 3, 8, "SELF_TRADE")]),
    (SelfTradePrevention.CANCEL_OLDEST, [("CANCELED", 1, 5, "SELF_TRADE"), ("TRADE", 3, 2, 5, 1_000_000)]),
    (
        SelfTradePrevention.CANCEL_BOTH,
        [("CANCELED", 1, 5, "SELF_TRADE"), ("CANCELED", 3, 8, "SELF_TRADE")],
    ),
]


@pytest.mark.parametrize(("mode", "story"), STP_STORIES)
def test_self_trade_is_prevented_as_the_taker_asks(
    exchange: Exchange, mode: SelfTradePrevention, story: list[tuple[object, ...]]
) -> None:
    exchange.tell(sell(1, 5, 1_000_000, owner=77), sell(2, 5, 1_000_000))
    assert exchange.tell(buy(3, 8, 1_000_000, owner=77, stp=mode))[1:] == story


def test_order_without_owner_trades_with_its_like(exchange: Exchange) -> None:
    exchange.tell(sell(1, 5, 1_000_000, owner=0))
    assert exchange.tell(buy(2, 5, 1_000_000, owner=0))[1:] == [("TRADE", 2, 1, 5, 1_000_000)]


@pytest.mark.parametrize(
    ("mode", "is_filled"),
    [
        (SelfTradePrevention.NONE, True),
        (SelfTradePrevention.CANCEL_NEWEST, False),
        (SelfTradePrevention.CANCEL_OLDEST, True),
        (SelfTradePrevention.CANCEL_BOTH, False),
    ],
)
def test_fok_counts_only_what_self_trade_prevention_leaves(
    exchange: Exchange, mode: SelfTradePrevention, is_filled: bool
) -> None:
    exchange.tell(sell(1, 5, 1_000_000), sell(2, 1, 1_000_000, owner=77), sell(3, 5, 1_000_000))
    events = exchange.tell(buy(4, 10, 1_000_000, owner=77, stp=mode, tif=TimeInForce.FOK))
    assert (events[-1][0] == "TRADE") is is_filled
    assert (events[-1] == ("CANCELED", 4, 10, "FOK_UNFILLABLE")) is not is_filled


def test_halted_book_takes_limit_orders_without_matching(exchange: Exchange) -> None:
    told = exchange.tell(HALT, sell(1, 5, 1_000_000), buy(2, 5, 1_000_100))
    assert told == [("HALTED",), ("NEW", 1, 5, 1_000_000), ("NEW", 2, 5, 1_000_100)]
    assert exchange.tell(
        buy(3, 5, 1_000_000, ord_type=OrdType.MARKET),
        buy(3, 5, 1_000_000, tif=TimeInForce.IOC),
        buy(3, 5, 1_000_000, tif=TimeInForce.FOK),
        cancel(2),
    ) == [("REJECTED", 3, "HALTED")] * 3 + [("CANCELED", 2, 5, "REQUESTED")]


def test_resumed_book_uncrosses_at_the_price_of_the_earlier_order(exchange: Exchange) -> None:
    exchange.tell(HALT, sell(1, 5, 1_000_000), buy(2, 8, 1_000_200), sell(3, 5, 1_000_100))
    assert exchange.tell(RESUME) == [
        ("RESUMED",),
        ("TRADE", 2, 1, 5, 1_000_000),
        ("TRADE", 3, 2, 3, 1_000_200),
    ]
    assert (exchange.bids(), exchange.asks()) == ([], [(1_000_100, 2, 1)])


def test_resumed_book_prevents_self_trades(exchange: Exchange) -> None:
    exchange.tell(HALT, sell(1, 5, 1_000_000, owner=77), buy(2, 5, 1_000_000, owner=77))
    exchange.tell(sell(3, 1, 1_000_000))
    assert exchange.tell(RESUME) == [("RESUMED",), ("CANCELED", 2, 5, "SELF_TRADE")]
    assert exchange.asks() == [(1_000_000, 6, 2)]


def test_resumed_book_follows_the_later_orders_mode(exchange: Exchange) -> None:
    oldest = {"owner": 77, "stp": SelfTradePrevention.CANCEL_OLDEST}
    exchange.tell(HALT, sell(1, 5, 1_000_000, owner=77), buy(2, 5, 1_000_000, **oldest))
    assert exchange.tell(RESUME) == [("RESUMED",), ("CANCELED", 1, 5, "SELF_TRADE")]
    assert exchange.bids() == [(1_000_000, 5, 1)]


def test_restored_orders_queue_as_told_and_do_not_match(exchange: Exchange) -> None:
    restore = {"kind": CommandKind.RESTORE}
    told = exchange.tell(sell(2, 5, 1_000_000, cum_quantity=3) | restore, sell(1, 5, 1_000_000) | restore)
    assert told == [("RESTORED", 2, 2, 1_000_000), ("RESTORED", 1, 5, 1_000_000)]
    assert exchange.tell(buy(9, 5, 1_000_000) | restore) == [("REJECTED", 9, "WOULD_CROSS")]
    trade = exchange.events(buy(3, 2, 1_000_000))[1]
    assert (trade["contra_order_id"], trade["contra_cum_qty"]) == (2, 5)


def test_book_rebuilt_from_its_open_orders_has_the_same_hash(make: Callable[..., Any]) -> None:
    lived = Exchange(make)
    lived.tell(
        sell(1, 5, 1_000_000), buy(2, 2, 1_000_000), buy(3, 5, 999_900), replace(buy(4, 4, 999_900), 3),
        buy(6, 1, 999_900), cancel(6), HALT, buy(7, 2, 1_000_100, tif=TimeInForce.GTC),
    )  # fmt: skip
    rebuilt = Exchange(make)
    restore = {"kind": CommandKind.RESTORE}
    rebuilt.tell(
        book_command(CommandKind.RESTORE_LAST, price=1_000_000, quantity=2, cum_quantity=2),
        HALT,
        sell(1, 5, 1_000_000, cum_quantity=2) | restore,
        buy(4, 4, 999_900, owner=3) | restore,
        buy(7, 2, 1_000_100, tif=TimeInForce.GTC) | restore,
    )
    assert rebuilt.engine.state_hash() == lived.engine.state_hash()
    assert rebuilt.tell(RESUME) == lived.tell(RESUME)


def test_arrival_across_a_crossed_book_is_part_of_the_hash(make: Callable[..., Any]) -> None:
    one, other = Exchange(make), Exchange(make)
    one.tell(HALT, sell(1, 5, 1_000_000), buy(2, 5, 1_000_100))
    other.tell(HALT, buy(2, 5, 1_000_100), sell(1, 5, 1_000_000))
    assert one.engine.depth(SYMBOL, 5) == other.engine.depth(SYMBOL, 5)
    assert one.engine.state_hash() != other.engine.state_hash()


def test_book_that_emptied_again_hashes_like_a_new_one(make: Callable[..., Any]) -> None:
    exchange, fresh = Exchange(make), Exchange(make)
    exchange.tell(buy(1, 5, 1_000_000), cancel(1), HALT, RESUME)
    assert exchange.engine.state_hash() == fresh.engine.state_hash()
    assert exchange.engine.state_hash(SYMBOL) == 0


BAD_COMMANDS = [
    ("BAD_KIND", {"kind": 0}),
    ("BAD_KIND", {"kind": 200}),
    ("BAD_SYMBOL", {"symbol_id": 0}),
    ("BAD_FLAGS", {"flags": 1}),
    ("BAD_ORDER_ID", {"order_id": 0}),
    ("BAD_ORDER_ID", {"order_id": ORDER_ID_MAX + 1}),
    ("BAD_ORDER_ID", {"kind": CommandKind.REPLACE}),
    ("BAD_ORDER_ID", {"kind": CommandKind.CANCEL}),
    ("BAD_SIDE", {"side": 0}),
    ("BAD_SIDE", {"side": 3}),
    ("BAD_ORD_TYPE", {"ord_type": 0}),
    ("BAD_ORD_TYPE", {"ord_type": 3}),
    ("BAD_ORD_TYPE", {"ord_type": OrdType.MARKET, "kind": CommandKind.RESTORE}),
    ("BAD_TIME_IN_FORCE", {"tif": 2}),
    ("BAD_TIME_IN_FORCE", {"tif": TimeInForce.IOC, "kind": CommandKind.RESTORE}),
    ("BAD_SELF_TRADE_PREVENTION", {"stp": 4}),
    ("BAD_PRICE", {"price": 0}),
    ("BAD_PRICE", {"price": -(2**63)}),
    ("BAD_PRICE", {"price": PRICE_UNITS_MAX + 1}),
    ("BAD_QUANTITY", {"quantity": 0}),
    ("BAD_QUANTITY", {"quantity": -1}),
    ("BAD_QUANTITY", {"quantity": QUANTITY_MAX + 1}),
    ("BAD_QUANTITY", {"cum_quantity": 1}),
    ("BAD_QUANTITY", {"cum_quantity": 5, "kind": CommandKind.RESTORE}),
    ("BAD_QUANTITY", {"cum_quantity": -1, "kind": CommandKind.RESTORE}),
    ("BAD_PRICE", {"price": 0, "kind": CommandKind.RESTORE_LAST}),
    ("BAD_QUANTITY", {"cum_quantity": -1, "kind": CommandKind.RESTORE_LAST}),
]


@pytest.mark.parametrize(("reason", "wrong"), BAD_COMMANDS)
def test_bad_command_is_rejected_and_changes_nothing(exchange: Exchange, reason: str, wrong: Fields) -> None:
    exchange.tell(sell(1, 5, 1_000_000))
    before = exchange.engine.state_hash()
    told = exchange.tell(buy(2, 5, 1_000_000) | wrong)
    assert [(story[0], story[2]) for story in told] == [("REJECTED", reason)]
    assert exchange.engine.state_hash() == before


def test_largest_numbers_trade_exactly(exchange: Exchange) -> None:
    exchange.tell(sell(ORDER_ID_MAX, QUANTITY_MAX, PRICE_UNITS_MAX), sell(5, QUANTITY_MAX, PRICE_UNITS_MAX))
    assert exchange.asks() == [(PRICE_UNITS_MAX, 2 * QUANTITY_MAX, 2)]
    told = exchange.tell(buy(2, QUANTITY_MAX, PRICE_UNITS_MAX))
    assert told[1:] == [("TRADE", 2, ORDER_ID_MAX, QUANTITY_MAX, PRICE_UNITS_MAX)]


def test_prices_far_apart_and_off_the_tick_keep_their_order(exchange: Exchange) -> None:
    prices = [1, 9_999, 10_050, 1_000_000, 1_000_001, 90_000_000, PRICE_UNITS_MAX]
    exchange.tell(*(sell(at + 1, 1, price) for at, price in enumerate(prices)))
    assert [price for price, _, _ in exchange.asks()] == prices
    told = exchange.tell(buy(99, len(prices), PRICE_UNITS_MAX))
    assert [story[4] for story in told[1:]] == prices


def test_full_pool_refuses_what_could_rest_and_takes_the_rest(make: Callable[..., Any]) -> None:
    exchange = Exchange(make, max_orders=2)
    exchange.tell(sell(1, 5, 1_000_000), sell(2, 5, 1_000_000))
    assert exchange.tell(buy(3, 5, 1_000_000)) == [("REJECTED", 3, "BOOK_FULL")]
    assert exchange.tell(replace(sell(4, 6, 1_000_100), 1)) == [("REPLACED", 4, 1, 6, 1_000_100)]
    told = exchange.tell(buy(5, 5, 1_000_000, tif=TimeInForce.IOC))
    assert told[1:] == [("TRADE", 5, 2, 5, 1_000_000)]
    assert exchange.tell(buy(3, 5, 999_900)) == [("NEW", 3, 5, 999_900)]


def test_books_are_apart_and_their_number_is_bounded(make: Callable[..., Any]) -> None:
    exchange = Exchange(make, max_books=2)
    exchange.tell(sell(1, 5, 1_000_000), buy(2, 5, 1_000_000, symbol_id=8))
    assert exchange.engine.order_count() == 2
    assert exchange.tell(buy(3, 5, 1_000_000, symbol_id=9)) == [("REJECTED", 3, "BOOKS_FULL")]


def test_last_trade_tells_price_quantity_time_and_volume(exchange: Exchange) -> None:
    assert exchange.engine.last_trade(SYMBOL) is None
    exchange.tell(sell(1, 5, 1_000_000), buy(2, 2, 1_000_000, transact_time_ns=3), buy(3, 1, 1_000_000))
    assert exchange.engine.last_trade(SYMBOL) == (1_000_000, 1, 0, 3)


def test_depth_is_best_first_and_bounded(exchange: Exchange) -> None:
    exchange.tell(buy(1, 5, 999_800), buy(2, 5, 999_900), buy(3, 5, 999_900))
    assert exchange.engine.depth(SYMBOL, 1) == ([(999_900, 10, 2)], [])
    assert exchange.engine.depth(SYMBOL + 1, 5) == ([], [])
    with pytest.raises(ValueError, match=r"1,000 levels"):
        exchange.engine.depth(SYMBOL, 1_001)


def test_empty_batch_gives_no_events(exchange: Exchange) -> None:
    assert len(exchange.engine.process(np.zeros(0, dtype=COMMAND_DTYPE))) == 0


@pytest.mark.parametrize("limits", [(0, 1), (1, 0), (2**26 + 1, 1), (1, 2**16 + 1)])
def test_limits_outside_the_bounds_are_refused(make: Callable[..., Any], limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be from 1 to"):
        make(max_orders=limits[0], max_books=limits[1])


def test_records_of_another_layout_are_refused(exchange: Exchange) -> None:
    with pytest.raises(ValueError, match="COMMAND_DTYPE"):
        exchange.engine.process(np.zeros(96, dtype=np.uint8))


def test_strided_commands_are_read_in_their_order(exchange: Exchange) -> None:
    commands = commands_pack([buy(1, 1, 100), buy(2, 1, 100), buy(3, 1, 100)])
    assert [int(event["order_id"]) for event in exchange.engine.process(commands[::-2])] == [3, 1]
