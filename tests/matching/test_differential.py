"""Random command streams must leave the reference and the compiled book with the same events and state."""

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.matching.codes import (
    PRICE_UNITS_MAX,
    QUANTITY_MAX,
    CommandKind,
    OrdType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from apps.matching.native import NativeEngine
from apps.matching.reference import ReferenceEngine
from tests.matching.engine_commands import Fields, commands_pack

# Few prices, ids and owners, so that orders meet, ids collide and owners trade with themselves.
NEAR_PRICES = st.integers(0, 8).map(lambda tick: 1_000_000 + tick * 100)
ODD_PRICES = st.sampled_from([1, 150, 9_999, 10_000, 999_950, 1_000_001, 90_000_000, PRICE_UNITS_MAX])
PRICES = st.one_of(NEAR_PRICES, NEAR_PRICES, NEAR_PRICES, ODD_PRICES)
QUANTITIES = st.one_of(st.integers(1, 20), st.just(QUANTITY_MAX))
ORDER_IDS = st.integers(1, 40)
SYMBOLS = st.sampled_from([1, 1, 1, 2, 3])
RESTING_TIFS = st.sampled_from([TimeInForce.DAY, TimeInForce.GTC])
TIFS = st.sampled_from([TimeInForce.DAY, TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
ORDER_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "order_id": ORDER_IDS,
    "owner": st.integers(0, 3),
    "side": st.sampled_from(Side),
    "ord_type": st.just(OrdType.LIMIT),
    "tif": RESTING_TIFS,
    "stp": st.sampled_from(SelfTradePrevention),
    "price": PRICES,
    "quantity": QUANTITIES,
    "symbol_id": SYMBOLS,
}


def order_commands(kind: CommandKind, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries(ORDER_FIELDS | {"kind": st.just(kind)} | fields)


ORD_TYPES = st.sampled_from([OrdType.LIMIT, OrdType.LIMIT, OrdType.LIMIT, OrdType.MARKET])
NEWS = order_commands(CommandKind.NEW, tif=TIFS, ord_type=ORD_TYPES)
REPLACES = order_commands(CommandKind.REPLACE, orig_order_id=ORDER_IDS)
# Aimed at an order that is live when the command's turn comes: `aim` says which.
AIMED_REPLACES = order_commands(
    CommandKind.REPLACE,
    order_id=st.integers(1_000, 100_000),
    aim=st.integers(0, 30),
    is_price_kept=st.booleans(),
    quantity=st.integers(1, 12),
)
AIMED_CANCELS = st.fixed_dictionaries(
    {"kind": st.sampled_from([CommandKind.CANCEL, CommandKind.EXPIRE]), "aim": st.integers(0, 30)}
)
RESTORES = order_commands(CommandKind.RESTORE, cum_quantity=st.integers(0, 5))
CANCELS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([CommandKind.CANCEL, CommandKind.CANCEL, CommandKind.EXPIRE]),
        "orig_order_id": ORDER_IDS,
        "symbol_id": SYMBOLS,
    }
)
BOOK_COMMANDS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([CommandKind.HALT, CommandKind.RESUME, CommandKind.RESTORE_LAST]),
        "symbol_id": SYMBOLS,
        "price": PRICES,
        "quantity": QUANTITIES,
        "cum_quantity": st.integers(0, 1_000),
        "transact_time_ns": st.integers(0, 10),
    }
)
BYTE = st.integers(0, 255)
WILD = st.fixed_dictionaries(
    {
        "order_id": st.integers(0, 2**64 - 1),
        "orig_order_id": ORDER_IDS,
        "price": st.integers(-(2**63), 2**63 - 1),
        "quantity": st.integers(-(2**63), 2**63 - 1),
        "cum_quantity": st.integers(-(2**63), 2**63 - 1),
        "symbol_id": st.integers(0, 3),
        "kind": st.integers(0, 10),
        "side": st.integers(0, 3),
        "ord_type": BYTE,
        "tif": BYTE,
        "stp": BYTE,
        "flags": st.integers(0, 1),
    }
)
COMMANDS = st.one_of(
    NEWS, NEWS, NEWS, NEWS, NEWS, AIMED_REPLACES, AIMED_REPLACES, AIMED_CANCELS, REPLACES, CANCELS, RESTORES,
    BOOK_COMMANDS, WILD,
)  # fmt: skip


def command_aim(reference: ReferenceEngine, command: Fields) -> Fields:
    """Turn an aimed command into one about an order that is live now."""
    aimed = {name: value for name, value in command.items() if name not in ("aim", "is_price_kept")}
    live = reference.live_orders()
    if "aim" not in command or not live:
        return aimed
    symbol_id, order = live[command["aim"] % len(live)]
    aimed |= {"symbol_id": symbol_id, "orig_order_id": order.order_id, "side": order.side}
    return aimed | {"price": order.price} if command.get("is_price_kept") else aimed


def engines_compare(reference: ReferenceEngine, compiled: NativeEngine, command: np.ndarray) -> None:
    told, told_compiled = reference.process(command), compiled.process(command)
    assert told.tolist() == told_compiled.tolist()
    assert reference.state_hash() == compiled.state_hash()
    assert reference.order_count() == compiled.order_count()
    symbol_id = int(command[0]["symbol_id"])
    assert reference.depth(symbol_id, 5) == compiled.depth(symbol_id, 5)
    assert reference.last_trade(symbol_id) == compiled.last_trade(symbol_id)


@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(COMMANDS, min_size=1, max_size=60), st.integers(4, 24), st.integers(2, 3))
def test_reference_and_compiled_book_agree_command_by_command(
    commands: list[Fields], max_orders: int, max_books: int
) -> None:
    limits = {"max_orders": max_orders, "max_books": max_books}
    reference, compiled = ReferenceEngine(**limits), NativeEngine(**limits)
    for command in commands:
        engines_compare(reference, compiled, commands_pack([command_aim(reference, command)]))


def random_commands(seed: int, count: int) -> np.ndarray:
    """A long stream near one price that keeps hundreds of orders resting."""
    random = np.random.default_rng(seed)
    packed = commands_pack([{}] * count)
    packed["kind"] = random.choice(STREAM_KINDS, size=count, p=[0.65, 0.2, 0.145, 0.002, 0.003])
    packed["order_id"] = np.arange(1, count + 1)
    packed["orig_order_id"] = np.maximum(1, packed["order_id"].astype(int) - random.integers(1, 400, count))
    packed["owner"] = random.integers(0, 40, count)
    packed["side"] = random.integers(1, 3, count)
    packed["ord_type"] = random.choice([OrdType.LIMIT, OrdType.MARKET], size=count, p=[0.97, 0.03])
    packed["tif"] = random.choice(list(TimeInForce), size=count, p=[0.5, 0.4, 0.05, 0.05])
    packed["stp"] = random.integers(0, 4, count)
    drift = 100 * np.round(random.normal(0, 40, count)).astype(int)
    packed["price"] = 1_000_000 + drift - np.where(packed["side"] == Side.BUY, 4_000, -4_000)
    packed["quantity"] = random.integers(1, 200, count)
    packed["symbol_id"] = random.integers(1, 3, count)
    replaces = packed["kind"] == CommandKind.REPLACE
    packed["ord_type"][replaces] = OrdType.LIMIT
    packed["tif"][replaces] = random.integers(0, 2, replaces.sum())
    return packed


STREAM_KINDS = [
    CommandKind.NEW, CommandKind.CANCEL, CommandKind.REPLACE, CommandKind.HALT, CommandKind.RESUME,
]  # fmt: skip


def commands_aim(reference: ReferenceEngine, batch: np.ndarray, random: np.random.Generator) -> None:
    """Point most of a batch's cancels and replaces at orders that are live when it begins."""
    live = reference.live_orders()
    for command in batch:
        is_aimed = command["kind"] in (CommandKind.CANCEL, CommandKind.REPLACE) and random.random() < 0.9
        if not live or not is_aimed:
            continue
        symbol_id, order = live[random.integers(len(live))]
        command["symbol_id"], command["side"] = symbol_id, order.side
        command["orig_order_id"] = order.order_id
        if random.random() < 0.5:
            command["price"] = order.price


def test_long_streams_agree_batch_by_batch() -> None:
    for seed in range(4):
        reference = ReferenceEngine(max_orders=2_000, max_books=2)
        compiled = NativeEngine(max_orders=2_000, max_books=2)
        random = np.random.default_rng(seed)
        commands = random_commands(seed, 8_000)
        for start in range(0, len(commands), 40):
            batch = commands[start : start + 40]
            commands_aim(reference, batch, random)
            assert reference.process(batch).tolist() == compiled.process(batch).tolist()
            assert reference.state_hash() == compiled.state_hash()
            assert [reference.depth(id, 20) for id in (1, 2)] == [compiled.depth(id, 20) for id in (1, 2)]
        assert compiled.order_count() > 100


def test_batches_do_not_change_the_outcome() -> None:
    commands = random_commands(7, 5_000)
    whole, pieces = (NativeEngine(max_orders=5_000, max_books=2) for _ in range(2))
    events = whole.process(commands)
    parts = [pieces.process(commands[at : at + 37]) for at in range(0, len(commands), 37)]
    assert np.concatenate(parts).tobytes() == events.tobytes()
    assert whole.state_hash() == pieces.state_hash()
