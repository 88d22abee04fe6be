"""From an order to a finding: entry, match, booking, relay, Kafka, subscription, rule, risk event."""

import threading
import time
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import connections

from apps.events.models import Event, SubscriptionPosition
from apps.events.subscription import subscription_run
from apps.surveillance.models import SurveillanceFinding
from apps.surveillance.subscribers import surveillance_subscription
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.kafka.stories import relay_make
from tests.support.builders import Trader
from tests.support.matching import Exchange


def test_wash_trades_become_one_risk_event(
    kafka: EmbeddedKafka, trader: Callable[..., Trader], exchange: Exchange
) -> None:
    stopping = threading.Event()

    def work() -> None:
        subscription_run(surveillance_subscription(), stopping)
        connections.close_all()

    one, other = (trader(cash="50000", shares={"AAPL": 100}) for _ in range(2))
    for seller, buyer in [(one, other), (other, one)] * 6:
        seller.sell(10, "100.00")
        exchange.run()
        buyer.buy(10, "100.00")
        exchange.run()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        relay, deadline = relay_make(), time.monotonic() + 60
        while not _heard() and time.monotonic() < deadline:
            relay.step()
            time.sleep(0.1)
    finally:
        stopping.set()
        thread.join(20)
    [finding] = SurveillanceFinding.objects.filter(account_id__in=(one.account_id, other.account_id))
    assert (finding.kind, finding.symbol, finding.status) == ("WASH_TRADES", "AAPL", "OPEN")
    assert finding.measured["net_pct"] == "0.00"
    assert (
        Event.objects.filter(event_type="SURVEILLANCE_FOUND", data__finding_id=str(finding.pk)).count() == 1
    )


def _heard() -> bool:
    """Return whether all twelve trades were handled: their last event is known in its topic partition."""
    newest = Event.objects.filter(event_type__in=("ORDER_FILLED", "ORDER_PARTIALLY_FILLED")).order_by("-id")
    ids = {newest.filter(user_id=user_id)[0].pk for user_id in set(newest.values_list("user_id", flat=True))}
    known = set(
        SubscriptionPosition.objects.filter(subscription="surveillance").values_list("newest_id", flat=True)
    )
    return bool(ids) and ids <= known


def test_without_kafka_it_says_what_is_missing(
    database: None, settings: object, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = []  # type: ignore[attr-defined]
    with pytest.raises(SystemExit) as ended:
        call_command("surveillance_run")
    assert ended.value.code == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in capsys.readouterr().err
