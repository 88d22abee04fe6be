"""F3 to F8: kill -9 of the runner at every step of a batch, and of the relay at every step of a delivery."""

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from redis import Redis

from tests.support.builders import Trader
from tests.support.house import House, until

KILLED = -signal.SIGKILL

CRASHES = {
    "F3: commands taken, nothing matched": "runner.after_take",
    "F4: in the engine, in the middle of a batch": "runner.match",
    "F4: matched in memory, nothing begun": "runner.after_match",
    "F5: in the middle of the transaction": "booking.mid_write",
    "F5: everything written, COMMIT not sent": "runner.before_commit",
    "F6: COMMIT sent, its answer never read": "runner.commit_sent",
    "F7: committed, nobody told": "runner.after_commit",
    "between two batches": "runner.loop",
}


@pytest.mark.parametrize("point", CRASHES.values(), ids=list(CRASHES))
def test_a_leader_killed_at_this_point_loses_nothing_and_books_nothing_twice(
    house: House, traders: list[Trader], point: str
) -> None:
    buyer, seller = traders
    leader = house.leader(failpoints=f"{point}=kill@3")
    standby = house.runner()
    for _ in range(500):
        house.sent(seller.sell(5, "100.00"))
        house.sent(buyer.buy(3, "100.00"))
        if leader.exit_code(0) is not None:
            break
    assert leader.exit_code() == KILLED
    house.wait_leads(standby)
    last = house.sent(buyer.buy(1, "100.00"))
    house.books_hold()
    assert buyer.order(last).status == "FILLED"


@pytest.mark.parametrize("point", ["standby.before_epoch", "standby.after_epoch"])
def test_a_standby_killed_while_it_takes_over_leaves_the_place_to_the_next(
    house: House, traders: list[Trader], point: str
) -> None:
    """With the lock in its hand and no epoch, or with an epoch and nothing done in it."""
    buyer, seller = traders
    leader = house.leader()
    house.sent(seller.sell(5, "100.00"))
    house.drained()
    first, second = house.runner(failpoints=f"{point}=kill"), house.runner(failpoints=f"{point}=kill")
    leader.kill()
    house.sent(buyer.buy(5, "100.00"))
    assert (first.exit_code(), second.exit_code()) == (KILLED, KILLED)
    last = house.leader()
    house.books_hold()
    epochs = 2 if point == "standby.before_epoch" else 4
    assert house.leader_now() == (last.pid, epochs)
    assert buyer.shares() == 200_005


def listener_main(sink: str) -> None:
    """Live as the relay does, and copy the ids of what it delivers to a list in Redis."""
    from django.conf import settings

    from apps.events.relay import Relay
    from brokerage import wiring
    from tests.support.processes import relay_main

    redis = Redis.from_url(settings.REDIS_URL)
    groups = wiring.relay_groups

    def copied() -> list[Relay]:
        relays = list(groups())
        for relay in relays:
            relay.sink = _copying(redis, f"{sink}:{relay.name}", relay.sink)
        return relays

    wiring.relay_groups = copied
    relay_main()


def _copying(redis: Redis, key: str, sink: Callable[[Any], None]) -> Callable[[Any], None]:
    def deliver(events: Any) -> None:
        sink(events)
        redis.rpush(key, *[json.dumps([event.account_id, event.account_seq, event.id]) for event in events])

    return deliver


@pytest.mark.parametrize("point", ["relay.before_send", "relay.after_send"])
def test_a_relay_killed_around_its_delivery_repeats_at_most_and_forgets_nothing(
    house: House, traders: list[Trader], point: str
) -> None:
    """F8: what comes twice carries the same id, in the same order of each account; the view ends the same."""
    buyer, seller = traders
    house.leader()
    dying = house.child(listener_main, "told", failpoints=f"{point}=kill@3?sink=live")
    working = house.sent(buyer.buy(1, "98.00"))
    for _ in range(200):
        house.sent(seller.sell(2, "100.00"))
        house.sent(buyer.buy(2, "100.00"))
        if dying.exit_code(0) is not None:
            break
    assert dying.exit_code() == KILLED
    house.child(listener_main, "told")
    house.drained()
    redis = Redis.from_url(settings.REDIS_URL)
    committed = {row[0] for row in house.rows("SELECT id FROM events")}

    def told() -> list[Any]:
        return [json.loads(line) for line in redis.lrange("told:live", 0, -1)]

    until(lambda: {event_id for _, _, event_id in told()} == committed, "every event is told")
    first_times = list({event_id: (account, seq) for account, seq, event_id in told()}.values())
    for account in {account for account, _ in first_times if account is not None}:
        sequence = [seq for one, seq in first_times if one == account and seq is not None]
        assert sequence == sorted(sequence)

    def view() -> set[str]:
        return {key.decode() for key in redis.scan_iter("order:*")}

    # Another sink, with a cursor of its own; who died while making the view holds its lock for ten seconds.
    until(lambda: view() == {f"order:{working.order_id}"}, "the view shows what works and nothing else")
    house.books_hold()
