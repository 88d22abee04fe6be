"""A relay killed between storing ticks and telling their candles: the next one tells what it did not."""

import json
import signal
from typing import Any

from django.conf import settings
from redis import Redis

from apps.marketdata.live import CHANNEL_PREFIX
from tests.support.builders import Trader
from tests.support.house import House, until

TRADES = 7


def test_candles_of_stored_ticks_are_told_though_the_relay_died_before(
    house: House, traders: list[Trader]
) -> None:
    buyer, seller = traders
    pubsub = Redis.from_url(settings.REDIS_URL).pubsub(ignore_subscribe_messages=True)
    pubsub.psubscribe(f"{CHANNEL_PREFIX}*")
    days: list[dict[str, Any]] = []

    def told() -> list[dict[str, Any]]:
        while message := pubsub.get_message():
            days.extend(json.loads(message["data"])["days"])
        return days

    house.leader()
    dying = house.relay(failpoints="ticks.before_tell=kill?stored=True")
    for _ in range(TRADES):
        house.sent(seller.sell(1, "100.00"))
        house.sent(buyer.buy(1, "100.00"))
    assert dying.exit_code() == -signal.SIGKILL
    house.drained()
    assert told() == [], "it died before it told anything"
    house.relay()
    until(lambda: told() and days[-1]["n"] == TRADES, "every trade is in the candle that was told")
    assert (days[-1]["v"], days[-1]["vw"]) == (TRADES, "100.000000")
    pubsub.close()
