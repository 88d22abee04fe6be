"""What the stories cannot tell: the hash, and the edges of an engine's interface."""

from typing import Any

import numpy as np
import pytest

from apps.matching.codes import (
    BATCH_COMMANDS_MAX,
    COMMAND_DTYPE,
    EVENT_DTYPE,
    ExecType,
)
from apps.matching.native import NativeEngine
from apps.matching.reference import ReferenceEngine
from tests.matching.engine_commands import SYMBOL, commands_pack
from tests.matching.notation import command_parse

Make = type[ReferenceEngine] | type[NativeEngine]


class Exchange:
    """An engine that is told stories line by line."""

    def __init__(self, make: Make, max_orders: int = 1_000, max_books: int = 4) -> None:
        self.engine: Any = make(max_orders=max_orders, max_books=max_books)
        self._seq = 0

    def tell(self, *lines: str) -> np.ndarray:
        """Apply commands; return the events of the last."""
        events = np.zeros(0, dtype=EVENT_DTYPE)
        for line in lines:
            self._seq += 1
            fields = {"seq": self._seq, "transact_time_ns": 1_000 * self._seq} | command_parse(line)
            events = self.engine.process(commands_pack([fields]))
        return events


@pytest.fixture(params=[ReferenceEngine, NativeEngine], ids=["reference", "native"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


@pytest.fixture
def exchange(make: Make) -> Exchange:
    return Exchange(make)


# Pairs of histories that leave books which look alike in the depth and must not have the same hash.
TOLD_APART = [
    (
        "arrival across a crossed book",
        ["phase halted", "sell 5 @ 100.00 #1", "buy 5 @ 100.01 #2"],
        ["phase halted", "buy 5 @ 100.01 #2", "sell 5 @ 100.00 #1"],
    ),
    (
        "arrival at a price",
        ["buy 5 @ 100.00 #1", "buy 5 @ 100.00 #2"],
        ["buy 5 @ 100.00 #2", "buy 5 @ 100.00 #1"],
    ),
    ("owner", ["buy 5 @ 100.00 #1 by A"], ["buy 5 @ 100.00 #1 by B"]),
    ("time in force", ["buy 5 @ 100.00 #1"], ["buy 5 @ 100.00 #1 gtc"]),
    ("self-trade mode", ["buy 5 @ 100.00 #1"], ["buy 5 @ 100.00 #1 self-trade both"]),
    ("flags", ["buy 5 @ 100.00 #1"], ["buy 5 @ 100.00 #1 reduce-only"]),
    ("hidden", ["buy 5 @ 100.00 #1 hidden"], ["buy 6 @ 100.00 #1 hidden"]),
    ("reserve", ["buy 9 @ 100.00 #1 show 5"], ["buy 8 @ 100.00 #1 show 5"]),
    (
        "display",
        ["restore buy 9 @ 100.00 #1 show 6 showing 5"],
        ["restore buy 9 @ 100.00 #1 show 7 showing 5"],
    ),
    ("filled", ["restore buy 9 @ 100.00 #1 cum 4"], ["restore buy 8 @ 100.00 #1 cum 3"]),
    ("phase", ["phase halted"], ["phase paused"]),
    ("mode", ["mode reduce-only"], ["mode cancel-only"]),
    ("options", ["options levels"], ["options"]),
    ("tick", ["options tick 0.05"], ["options tick 0.02"]),
    ("lower band", ["bands 90.00 110.00"], ["bands 91.00 110.00"]),
    ("upper band", ["bands 90.00 110.00"], ["bands 90.00 111.00"]),
    ("last price", ["last 5 @ 100.00 volume 5"], ["last 5 @ 100.01 volume 5"]),
    ("stop", ["buy 5 stop 99.00 market 100.00 #1"], ["buy 5 stop 98.00 market 100.00 #1"]),
    ("collar", ["buy 5 stop 99.00 market 100.00 #1"], ["buy 5 stop 99.00 market 101.00 #1"]),
    ("stop or stop-limit", ["buy 5 stop 99.00 market 100.00 #1"], ["buy 5 stop 99.00 @ 100.00 #1"]),
    (
        "trail",
        ["sell 5 trail 1.00 from 99.00 market 90.00 #1"],
        ["sell 5 trail 2.00 from 100.00 market 90.00 #1"],
    ),
    (
        "per cent",
        ["sell 5 trail 1% from 100.00 market 90.00 #1"],
        ["sell 5 trail 1.00 from 100.00 market 90.00 #1"],
    ),
    (
        "order among stops",
        ["sell 5 stop 99.00 @ 90.00 #1", "sell 5 stop 99.00 @ 90.00 #2"],
        ["sell 5 stop 99.00 @ 90.00 #2", "sell 5 stop 99.00 @ 90.00 #1"],
    ),
    (
        "order in an auction",
        ["buy 5 @ 99.00 #1 opg", "buy 5 @ 99.00 #2 opg"],
        ["buy 5 @ 99.00 #2 opg", "buy 5 @ 99.00 #1 opg"],
    ),
    ("opening or closing", ["buy 5 @ 99.00 #1 opg"], ["buy 5 @ 99.00 #1 cls"]),
    ("symbol", ["buy 5 @ 99.00 #1"], ["buy 5 @ 99.00 #1 on 8"]),
]


@pytest.mark.parametrize(("name", "one", "other"), TOLD_APART, ids=[told[0] for told in TOLD_APART])
def test_hash_tells_books_apart(make: Make, name: str, one: list[str], other: list[str]) -> None:
    left, right = Exchange(make), Exchange(make)
    left.tell(*one)
    right.tell(*other)
    assert left.engine.state_hash() != right.engine.state_hash(), name


@pytest.mark.parametrize(
    "lines",
    [
        ["buy 5 @ 100.00 #1", "cancel #1"],
        ["phase halted", "mode cancel-only", "phase continuous", "mode open"],
        ["bands 90.00 110.00", "options levels tick 0.05", "bands none", "options tick 0.01"],
        ["buy 5 stop 99.00 market 100.00 #1", "expire #1"],
        ["buy 5 @ 100.00 #1 cls", "phase closed", "phase continuous"],
        ["bands 90.00 100.00", "buy 5 @ 100.00 #1", "cancel #1", "bands none"],
    ],
    ids=lambda lines: lines[0],
)
def test_book_that_emptied_again_hashes_like_a_new_one(make: Make, lines: list[str]) -> None:
    exchange, fresh = Exchange(make), Exchange(make)
    exchange.tell(*lines)
    assert exchange.engine.state_hash() == fresh.engine.state_hash()
    assert exchange.engine.state_hash(SYMBOL) == 0


BYTE_FIELDS = ["kind", "side", "ord_type", "tif", "stp", "flags", "argument", "reserved"]


@pytest.mark.parametrize("name", BYTE_FIELDS)
@pytest.mark.parametrize(
    "line", ["buy 5 @ 100.00 #2 show 2", "phase halted", "mode reduce-only", "options levels"]
)
def test_every_byte_is_accepted_or_refused_alike(line: str, name: str) -> None:
    for value in range(256):
        one, other = Exchange(ReferenceEngine), Exchange(NativeEngine)
        for exchange in (one, other):
            exchange.tell("sell 5 @ 100.00 #1")
        before = other.engine.state_hash()
        told = one.tell(f"{line} but {name}={value}")
        assert other.tell(f"{line} but {name}={value}").tobytes() == told.tobytes()
        assert other.engine.state_hash() == one.engine.state_hash()
        assert told[0]["exec_type"] != ExecType.REJECTED or other.engine.state_hash() == before


def test_last_trade_tells_price_quantity_time_and_volume(exchange: Exchange) -> None:
    assert exchange.engine.last_trade(SYMBOL) is None
    exchange.tell("sell 5 @ 100.00 #1", "buy 2 @ 100.00 #2", "buy 1 @ 100.00 #3")
    assert exchange.engine.last_trade(SYMBOL) == (1_000_000, 1, 3_000, 3)
    exchange.tell(f"last 9 @ 99.00 volume {2**63 - 2}", "buy 2 @ 100.00 #4")
    assert exchange.engine.last_trade(SYMBOL) == (1_000_000, 2, 5_000, 2**63 - 1)


def test_book_status_tells_the_settings(exchange: Exchange) -> None:
    assert exchange.engine.book_status(SYMBOL) is None
    exchange.tell("buy 5 @ 100.00 #1")
    assert exchange.engine.book_status(SYMBOL) == (1, 1, 0, 0, 0, 100)
    exchange.tell("bands 90.00 100.00", "mode reduce-only", "options tick 0.05")
    assert exchange.engine.book_status(SYMBOL) == (1, 2, 1, 900_000, 1_000_000, 500)
    exchange.tell("phase paused")
    assert exchange.engine.book_status(SYMBOL) == (5, 2, 0, 900_000, 1_000_000, 500)


def test_last_seq_is_that_of_the_last_command_even_if_it_was_refused(exchange: Exchange) -> None:
    assert exchange.engine.last_seq() == 0
    exchange.tell("buy 5 @ 100.00 #1", "buy 5 @ 100.00 #1")
    assert exchange.engine.last_seq() == 2


def test_order_count_counts_what_rests_and_what_waits(exchange: Exchange) -> None:
    exchange.tell("buy 5 @ 100.00 #1", "buy 5 stop 101.00 @ 102.00 #2", "buy 5 @ 100.00 #3 cls")
    exchange.tell("buy 5 @ 100.00 #4 on 8", "sell 5 @ 100.00 #5 ioc")
    assert exchange.engine.order_count() == 3


def test_depth_is_displayed_best_first_and_bounded(exchange: Exchange) -> None:
    exchange.tell(
        "buy 5 @ 99.98 #1", "buy 5 @ 99.99 #2", "buy 9 @ 99.99 #3 show 2", "buy 5 @ 99.995 #4 hidden"
    )
    exchange.tell("buy 5 @ 99.97 #5 hidden")
    assert exchange.engine.depth(SYMBOL, 1) == ([(999_900, 7, 2)], [])
    assert exchange.engine.depth(SYMBOL, 9) == ([(999_900, 7, 2), (999_800, 5, 1)], [])
    assert exchange.engine.depth(SYMBOL, 0) == ([], [])
    assert exchange.engine.depth(SYMBOL + 1, 5) == ([], [])
    with pytest.raises(ValueError, match=r"1,000 levels"):
        exchange.engine.depth(SYMBOL, 1_001)


def test_indication_of_an_unknown_symbol_is_none(exchange: Exchange) -> None:
    assert exchange.engine.indication(SYMBOL) is None


def test_empty_batch_gives_no_events(exchange: Exchange) -> None:
    assert len(exchange.engine.process(np.zeros(0, dtype=COMMAND_DTYPE))) == 0


@pytest.mark.parametrize("limits", [(0, 1), (1, 0), (2**26 + 1, 1), (1, 2**16 + 1)])
def test_limits_outside_the_bounds_are_refused(make: Make, limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be from 1 to"):
        make(max_orders=limits[0], max_books=limits[1])


def test_records_of_another_layout_are_refused(exchange: Exchange) -> None:
    with pytest.raises(ValueError, match="COMMAND_DTYPE"):
        exchange.engine.process(np.zeros(96, dtype=np.uint8))


def test_batch_that_is_too_long_is_refused_whole(exchange: Exchange) -> None:
    with pytest.raises(ValueError, match="1,048,576 commands"):
        exchange.engine.process(np.zeros(BATCH_COMMANDS_MAX + 1, dtype=COMMAND_DTYPE))
    assert exchange.engine.last_seq() == 0


def test_strided_commands_are_read_in_their_order(exchange: Exchange) -> None:
    lines = ["buy 1 @ 0.01 #1", "buy 1 @ 0.01 #2", "buy 1 @ 0.01 #3"]
    commands = commands_pack([command_parse(line) for line in lines])
    assert [int(event["order_id"]) for event in exchange.engine.process(commands[::-2])] == [3, 1]


def test_cut_off_buffer_is_refused() -> None:
    from openbell_engine import MatchingEngine

    engine = MatchingEngine(4, 1)
    with pytest.raises(ValueError, match="whole records"):
        engine.process(bytes(COMMAND_DTYPE.itemsize - 1))
