"""An account's events come once each and in order, whatever happens on the way."""

import itertools
import time
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.layers import channel_layers

from apps.events.relay import Relay, SinkUnavailable
from apps.streaming import account_stream
from apps.streaming.account_stream import INBOX_MAX, AccountStream
from apps.streaming.groups import account_events_send
from brokerage.supervisor.ports import port_choose
from tests.support.builders import trader_open
from tests.support.matching import Exchange


def event(seq: int | None, event_type: str = "ORDER_ACCEPTED") -> dict[str, Any]:
    return {"account_seq": seq, "event_type": event_type, "data": {}}


class Record:
    """The committed events of an account, standing in for the table."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.reads = 0

    def __call__(self, account_id: int, after_seq: int, limit: int = 500) -> list[Any]:
        self.reads += 1
        return [Told(seq) for seq in range(after_seq + 1, min(self.last, after_seq + limit) + 1)]


class Told:
    def __init__(self, seq: int) -> None:
        self.account_seq = seq


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    found = Record(0)
    monkeypatch.setattr(account_stream, "account_event_list", found)
    monkeypatch.setattr(account_stream, "event_wire", lambda told: event(told.account_seq))
    return found


def pulled(stream: AccountStream) -> list[int | None]:
    return [one["account_seq"] for one in async_to_sync(stream.pull)()]


def test_events_in_order_pass_without_a_read(record: Record) -> None:
    stream = AccountStream(1, 5)
    for seq in (6, 7, 8):
        stream.take(event(seq))
    assert pulled(stream) == [6, 7, 8]
    assert record.reads == 0


def test_repeated_and_old_events_are_dropped(record: Record) -> None:
    stream = AccountStream(1, 5)
    for seq in (4, 5, 6, 6, 5, 7):
        stream.take(event(seq))
    assert pulled(stream) == [6, 7]


@pytest.mark.parametrize("order", list(itertools.permutations([6, 7, 8])))
def test_any_order_of_arrival_becomes_the_order_of_the_record(record: Record, order: tuple[int, ...]) -> None:
    record.last = 8
    stream = AccountStream(1, 5)
    for seq in order:
        stream.take(event(seq))
    assert pulled(stream) == [6, 7, 8]


def test_gap_is_read_from_the_record(record: Record) -> None:
    record.last = 1_700
    stream = AccountStream(1, 5)
    stream.take(event(1_699))
    assert pulled(stream) == list(range(6, 1_701))


def test_too_many_waiting_are_read_again_in_full(record: Record) -> None:
    record.last = INBOX_MAX + 10
    stream = AccountStream(1, 0)
    for seq in range(1, INBOX_MAX + 11):
        stream.take(event(seq))
    assert pulled(stream) == list(range(1, INBOX_MAX + 11))


def test_verify_finds_what_nobody_told(record: Record) -> None:
    record.last = 7
    stream = AccountStream(1, 5)
    assert pulled(stream) == []
    stream.verify()
    assert pulled(stream) == [6, 7]


def test_events_older_than_the_record_is_searched_are_given_up(record: Record) -> None:
    record.last = 0
    stream = AccountStream(1, 5)
    stream.take(event(9))
    stream.take(event(10))
    assert pulled(stream) == [9, 10]


def test_unnumbered_facts_pass_unless_they_repeat_numbered_ones(record: Record) -> None:
    stream = AccountStream(1, 5)
    stream.take(event(None, "ORDER_PLACED"))
    stream.take(event(None, "TRADE_EXECUTED"))
    assert pulled(stream) == [None]


class Holder:
    """An account whose stream has come to a position."""

    account_id = 1

    def __init__(self, event_seq: int) -> None:
        self.event_seq = event_seq


def begun(monkeypatch: pytest.MonkeyPatch, newest: int, after: int | None) -> AccountStream:
    monkeypatch.setattr(account_stream, "account_get", lambda _: Holder(newest))
    return async_to_sync(AccountStream.begin)(1, after)


def test_client_that_comes_back_gets_exactly_what_it_missed(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.last = 1_207
    stream = begun(monkeypatch, 1_207, 7)
    assert stream.seq == 7
    # What arrives meanwhile, twice and out of order, is neither lost nor told twice.
    for seq in (1_207, 1_206, 1_208):
        stream.take(event(seq))
    assert pulled(stream) == list(range(8, 1_209))


def test_client_that_missed_nothing_goes_on_without_a_read(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = begun(monkeypatch, 7, 7)
    assert (stream.seq, pulled(stream), record.reads) == (7, [], 0)


@pytest.mark.parametrize("after", [0, 9, 10_000])
def test_position_that_is_too_old_or_never_was_is_answered_with_the_present_one(
    record: Record, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    record.last = 8
    newest = 2_001 if after == 0 else 8
    stream = begun(monkeypatch, newest, after)
    assert stream.seq == newest
    assert pulled(stream) == []


def test_events_older_than_the_record_is_searched_cannot_be_resumed(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.last = 0
    assert begun(monkeypatch, 8, 5).seq == 8


def test_relay_keeps_events_while_nothing_can_be_sent(
    database: None, settings: Any, exchange: Exchange
) -> None:
    url = f"redis://127.0.0.1:{port_choose()}/0"  # where nobody listens
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [url]}}
    trader_open(cash="10.00")
    settings.CHANNEL_LAYERS = {"default": layer}
    channel_layers.backends.clear()
    try:
        relay = Relay("live", account_events_send)
        deadline = time.monotonic() + 10
        with pytest.raises(SinkUnavailable):
            while time.monotonic() < deadline:
                relay.step()
        assert relay.position.event_id == 0
    finally:
        channel_layers.backends.clear()
