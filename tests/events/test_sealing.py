"""Sealing: every event is in exactly one block, in commit order, whatever crashes or runs twice."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import psycopg
import pytest
from django.db import connection

from apps.events.chain import (
    GENESIS,
    HEADS_EVERY,
    NOTHING,
    Leaf,
    block_hash,
    block_make,
    heads_read,
    leaves_read,
    places_read,
)
from apps.events.models import EventBlock, RelayCursor
from apps.events.records import EventRecord
from apps.events.relay import CursorMoved
from apps.events.sealing import SINK, ChainSink, tip_read
from apps.events.topics import topic_partition
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from tests.support.chain import (
    chain_relay,
    events_append,
    events_list,
    events_seal,
    events_write,
    sealed_ids,
    session_open,
)
from tests.support.databases import tampered
from tests.support.horizon import seen_wait

AT = datetime(2026, 1, 8, 10, tzinfo=UTC)

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints_arm("")


def all_are_sealed_once() -> bool:
    return sealed_ids() == [event.id for event in events_list()]


def test_each_event_is_sealed_once_in_commit_order() -> None:
    with session_open() as slow:
        slow.execute("SELECT pg_current_xact_id()")
        events_write(4)
        events_append(slow, 3)
    seen_wait()
    events_seal()
    events_write(5)
    seen_wait()
    events_seal(batch_events_max=2)
    assert all_are_sealed_once()
    assert [event.id for event in events_list()] != sorted(event.id for event in events_list())
    assert [block.events for block in EventBlock.objects.order_by("block_no")] == [7, 2, 2, 1]
    assert EventBlock.objects.get(block_no=4).total == 12


def test_each_block_follows_from_its_events_and_the_block_before() -> None:
    events_write(20, users=5)
    events_seal(batch_events_max=7)
    values = {event.id: event.value() for event in events_list()}
    previous = NOTHING
    for block in EventBlock.objects.order_by("block_no"):
        ids = places_read(bytes(block.places))[1]
        leaves = [hashlib.sha256(values[number]).digest() for number in ids]
        assert list(leaves_read(bytes(block.leaves))) == leaves
        assert bytes(block.previous_hash) == previous
        parts = (bytes(part) for part in (block.places, block.leaves, block.heads, block.previous_hash))
        previous = block_hash(block.block_no, block.total, *parts, block.sealed_at)
        assert bytes(block.hash) == previous


def test_a_subscriber_of_one_topic_partition_can_follow_its_head_alone() -> None:
    for _ in range(3):
        events_write(20, users=5)
        events_seal(batch_events_max=3)
    heads: dict[int, bytes] = {}
    for event in events_list():
        partition = topic_partition(event.user_id)
        leaf = hashlib.sha256(event.value()).digest()
        heads[partition] = hashlib.sha256(heads.get(partition, NOTHING) + leaf).digest()
    with connection.cursor() as cursor:
        assert tip_read(cursor).heads == heads
    assert len(heads) > 1


def test_the_heads_are_found_again_from_the_last_block_that_keeps_them_all() -> None:
    events_write(HEADS_EVERY + 10, users=7)
    events_seal(batch_events_max=1)
    with connection.cursor() as cursor:
        tip = tip_read(cursor)
    assert tip.block_no == HEADS_EVERY + 10
    assert len(heads_read(bytes(EventBlock.objects.get(block_no=HEADS_EVERY).heads))) == len(tip.heads) > 3
    assert len(heads_read(bytes(EventBlock.objects.get(block_no=HEADS_EVERY - 1).heads))) == 1


@pytest.mark.parametrize("point", ["chain.before_block", "chain.after_block", "relay.after_send"])
def test_a_crash_around_a_block_loses_and_repeats_nothing(point: str) -> None:
    events_write(6)
    failpoints_arm(f"{point}=raise@2")
    with pytest.raises(FailpointHit):
        relay = chain_relay(batch_events_max=2)
        while relay.step():
            pass
    failpoints_arm("")
    events_write(1)
    events_seal(batch_events_max=4)
    assert all_are_sealed_once()


def test_of_two_who_seal_at_once_one_ends_and_nothing_is_sealed_twice() -> None:
    events_write(4)
    one, other = chain_relay(batch_events_max=2), chain_relay(batch_events_max=2)
    assert one.step() == 2
    other.sink(events_list()[:2])
    with pytest.raises(CursorMoved):
        other.step()
    ahead = chain_relay(batch_events_max=2)
    ahead.sink(events_list()[2:3])
    with pytest.raises(CursorMoved, match="sealed block 2"):
        one.sink(events_list()[3:])
    events_seal()
    assert all_are_sealed_once()


def test_who_begins_to_seal_while_another_does_seals_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other seals between our look at what is sealed and our first block."""
    events_write(7)
    seen_wait()
    one, other = chain_relay(), chain_relay()
    look = ChainSink._unsealed

    def look_late(sink: ChainSink, events: Sequence[EventRecord]) -> list[EventRecord]:
        found = look(sink, events)
        if sink is other.sink:
            assert one.step() == 7
        return found

    monkeypatch.setattr(ChainSink, "_unsealed", look_late)
    with pytest.raises(CursorMoved):
        other.step()
    assert all_are_sealed_once()


def test_a_batch_told_again_is_not_sealed_again() -> None:
    events_write(5)
    events_seal()
    RelayCursor.objects.filter(pk=SINK).update(xact_id=0, event_id=0)
    events_write(2)
    events_seal()
    assert all_are_sealed_once()


def test_after_a_restored_dump_the_chain_goes_on_with_every_event_once() -> None:
    """The former server's transaction ids are far ahead of this one's; its last events were not sealed."""
    events_write(3)
    events_seal()
    events_write(3)
    newest = events_list()[-1].xact_id
    lifted = "UPDATE events SET xact_id = (xact_id::text::bigint + 1000000)::text::xid8"
    with tampered(lifted, "SELECT 1"):
        RelayCursor.objects.filter(pk=SINK).update(xact_id=newest + 1_000_000, system_identifier="another")
        chain_relay().rebase()
        assert sorted(sealed_ids()) == sorted(event.id for event in events_list())
        events_write(4)
        relay = chain_relay()
        relay.start()
        while relay.step():
            pass
    assert sorted(sealed_ids()) == sorted(event.id for event in events_list())
    assert len(sealed_ids()) == 10


def test_blocks_are_only_ever_added() -> None:
    events_write(2)
    events_seal()
    for sql in (
        "UPDATE event_blocks SET total = total + 1",
        "DELETE FROM event_blocks",
        "TRUNCATE event_blocks",
    ):
        with session_open() as session, pytest.raises(psycopg.errors.RestrictViolation):
            session.execute(sql)


def test_no_byte_can_move_from_one_part_of_a_block_to_another() -> None:
    tip = block_make(GENESIS, [Leaf(1, 2, 3, b"l" * 32)], AT)[1]
    block = block_make(tip, [Leaf(4, 5, 3, b"m" * 32)], AT)[0]
    parts = [block.places, block.leaves, block.heads, block.previous_hash]
    for index in range(3):
        moved = list(parts)
        moved[index], moved[index + 1] = parts[index][:-1], parts[index][-1:] + parts[index + 1]
        assert block_hash(block.block_no, block.total, *moved, block.sealed_at) != block.hash
