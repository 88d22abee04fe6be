"""A snapshot must bring back all that decides the future, and no damaged one may be taken for whole."""

from functools import cache

import numpy as np
import pytest

from apps.matching.codes import CommandKind
from apps.matching.native import NativeEngine
from apps.matching.reference import ReferenceEngine
from tests.matching.engine_commands import commands_pack
from tests.matching.flow import SYMBOLS, Flow
from tests.matching.notation import command_parse

LIMITS = {"max_orders": 2_000, "max_books": 4}
EVENTS_AFTER = 1_000
SNAPSHOT_BYTES = 64 * 1024


@cache
def stream(seed: int, batches: int) -> np.ndarray:
    """Return a random run, aimed with the help of the reference at what is live."""
    flow, reference = Flow([seed]), ReferenceEngine(max_orders=200, max_books=4)
    commands = []
    for _ in range(batches):
        commands.append(flow.batch(100, reference.live_orders()))
        reference.process(commands[-1])
    return np.concatenate(commands)


def views(engine: NativeEngine) -> list[object]:
    looks = [engine.depth, engine.last_trade, engine.indication, engine.book_status, engine.state_hash]
    told: list[object] = [engine.state_hash(), engine.order_count(), engine.last_seq()]
    for symbol_id in range(SYMBOLS + 1):
        told += [look(symbol_id, 50) if look == engine.depth else look(symbol_id) for look in looks]
    return told


@pytest.mark.parametrize("seed", range(3))
def test_restored_engine_goes_on_as_the_one_that_was_not(seed: int) -> None:
    commands, limits = stream(seed, 60), {"max_orders": 200, "max_books": 4}
    engine, events, snapshots = NativeEngine(**limits), [], {}
    positions = set(np.random.default_rng(seed).integers(0, 5_000, 60).tolist())
    for at in range(len(commands)):
        if at in positions:
            snapshots[at] = (engine.snapshot(), views(engine))
        events.append(engine.process(commands[at : at + 1]).tobytes())
    for at, (snapshot, seen) in snapshots.items():
        restored = NativeEngine.restore(snapshot, **limits)
        assert views(restored) == seen
        told = restored.process(commands[at:])
        assert len(told) >= EVENTS_AFTER
        assert told.tobytes() == b"".join(events[at:])
        assert views(restored) == views(engine)


def test_snapshot_changes_nothing_and_is_the_same_again() -> None:
    engine, other = NativeEngine(**LIMITS), NativeEngine(**LIMITS)
    for at in range(0, 2_000, 50):
        batch = stream(0, 60)[at : at + 50]
        assert engine.snapshot() == engine.snapshot()
        assert engine.process(batch).tobytes() == other.process(batch).tobytes()
    assert views(engine) == views(other)


def test_engine_of_another_size_may_take_it_if_all_finds_room() -> None:
    engine = NativeEngine(**LIMITS)
    engine.process(stream(0, 60))
    orders, snapshot = engine.order_count(), engine.snapshot()
    for max_orders, max_books in ((orders, 4), (100_000, 60_000)):
        restored = NativeEngine.restore(snapshot, max_orders=max_orders, max_books=max_books)
        assert views(restored) == views(engine)
    for max_orders, max_books in ((orders - 1, 4), (orders, 3), (0, 4), (2**26 + 1, 4)):
        with pytest.raises(ValueError, match="orders|books"):
            NativeEngine.restore(snapshot, max_orders=max_orders, max_books=max_books)


def test_restored_engine_is_full_where_the_old_one_was() -> None:
    engine = NativeEngine(max_orders=2, max_books=1)
    lines = ["buy 5 @ 100.00 #1", "buy 5 stop 101.00 market 102.00 #2"]
    engine.process(commands_pack([command_parse(line) for line in lines]))
    restored = NativeEngine.restore(engine.snapshot(), max_orders=2, max_books=1)
    more = commands_pack([command_parse("buy 5 @ 100.00 #3"), command_parse("buy 5 @ 100.00 #3 on 8")])
    assert restored.process(more).tobytes() == engine.process(more).tobytes()


def test_empty_engine_has_a_snapshot() -> None:
    engine = NativeEngine(**LIMITS)
    restored = NativeEngine.restore(engine.snapshot(), **LIMITS)
    assert views(restored) == views(engine)
    assert restored.process(stream(0, 60)).tobytes() == engine.process(stream(0, 60)).tobytes()


@cache
def large_snapshot() -> bytes:
    """Return a snapshot of 64 KiB and a little more, of books in which every feature rests."""
    engine = NativeEngine(**LIMITS)
    commands = np.concatenate([stream(seed, 60) for seed in range(3)])
    commands = commands[np.isin(commands["kind"], (CommandKind.NEW, CommandKind.RESTORE))]
    commands["order_id"] = np.arange(1, len(commands) + 1)
    for at in range(0, len(commands), 50):
        engine.process(commands[at : at + 50])
        if len(engine.snapshot()) > SNAPSHOT_BYTES:
            return engine.snapshot()
    raise AssertionError("too few orders rest")


def is_refused(snapshot: bytes | bytearray) -> bool:
    try:
        NativeEngine.restore(snapshot, **LIMITS)
    except ValueError:
        return True
    return False


def test_every_truncation_is_refused() -> None:
    snapshot = large_snapshot()
    taken = [length for length in range(len(snapshot)) if not is_refused(snapshot[:length])]
    assert taken == []


@pytest.mark.timeout(600)
def test_every_single_bit_flip_is_refused() -> None:
    snapshot = bytearray(large_snapshot())
    taken = []
    for at in range(8 * len(snapshot)):
        snapshot[at // 8] ^= 1 << at % 8
        if not is_refused(snapshot):
            taken.append(at)
        snapshot[at // 8] ^= 1 << at % 8
    assert taken == []
    assert not is_refused(snapshot)


@pytest.mark.parametrize("extra", [b"\0", b"\xff" * 8, bytes(65_536)])
def test_bytes_behind_the_end_are_refused(extra: bytes) -> None:
    assert is_refused(large_snapshot() + extra)


@pytest.mark.parametrize("garbage", [b"", b"x", bytes(8), bytes(65_536), b"\xff" * 65_536])
def test_what_is_no_snapshot_is_refused(garbage: bytes) -> None:
    assert is_refused(garbage)
