"""The tape sends every trade once, in frames numbered without gaps; what it cannot keep leaves a gap."""

import json
from typing import Any

import pytest
from django_redis import get_redis_connection
from redis import Redis

from apps.instruments.selectors import instrument_id_of
from apps.marketdata.tape import FRAME_TRADES_MAX, TRADES_HELD_MAX, Tape, tape_channel, tape_key
from tests.support.matching import Exchange

NOWHERE = Redis.from_url("redis://127.0.0.1:1")


class Story:
    """A tape beside a real book, and whoever is subscribed to it."""

    def __init__(self, exchange: Exchange) -> None:
        self.redis = get_redis_connection("default")
        self.pubsub = self.redis.pubsub(ignore_subscribe_messages=True)
        self.pubsub.subscribe(tape_channel("AAPL"))
        self.pubsub.get_message(timeout=1)
        self.tape = Tape(self.redis)
        self.engine = exchange.runner.engine

    def trades(self, first: int, count: int) -> None:
        self.tape.dirty["AAPL"] = instrument_id_of("AAPL")
        for number in range(first, first + count):
            self.tape._trade_hold("AAPL", {"i": number})

    def told(self) -> list[dict[str, Any]]:
        """Publish what is due, whatever its interval, and return what was heard."""
        self.tape.sent_at.clear()
        self.tape.broken_until = 0.0
        self.tape.flush(self.engine)
        heard = []
        while message := self.pubsub.get_message(timeout=0.1):
            heard.append(json.loads(message["data"]))
        return heard


@pytest.fixture
def story(exchange: Exchange) -> Story:
    return Story(exchange)


def ids(frames: list[dict[str, Any]]) -> list[int]:
    return [trade["i"] for frame in frames for trade in frame["trades"]]


def test_more_trades_than_a_frame_holds_go_in_several_that_follow_one_another(story: Story) -> None:
    story.trades(0, 2 * FRAME_TRADES_MAX + 1)
    frames = story.told()
    assert [len(frame["trades"]) for frame in frames] == [FRAME_TRADES_MAX, FRAME_TRADES_MAX, 1]
    assert ids(frames) == list(range(2 * FRAME_TRADES_MAX + 1))
    first = frames[0]["seq"]
    assert [frame["seq"] for frame in frames] == [first, first + 1, first + 2]
    kept = json.loads(story.redis.get(tape_key("AAPL")))
    assert (kept["seq"], kept["trades"], kept["book"]) == (first + 2, [], frames[-1]["book"])
    story.trades(9_000, 1)
    (after,) = story.told()
    assert (after["seq"], ids([after])) == (first + 3, [9_000])


def test_trades_wait_while_redis_is_away_and_are_told_when_it_is_back(story: Story) -> None:
    (before,) = (story.trades(0, 1), story.told())[1]
    story.tape.redis = NOWHERE
    story.trades(1, 3)
    assert story.told() == []
    story.tape.redis = story.redis
    story.trades(4, 1)
    frames = story.told()
    assert ids(frames) == [1, 2, 3, 4]
    assert frames[0]["seq"] > before["seq"]


def test_an_outage_that_is_too_long_leaves_a_gap_and_costs_bounded_memory(story: Story) -> None:
    (before,) = (story.trades(0, 1), story.told())[1]
    story.trades(1, TRADES_HELD_MAX + 10)
    assert len(story.tape.trades["AAPL"]) <= TRADES_HELD_MAX
    frames = story.told()
    assert frames[0]["seq"] > before["seq"] + 1, "readers see that something is missing"
    assert ids(frames) == list(range(TRADES_HELD_MAX + 2, TRADES_HELD_MAX + 11))
