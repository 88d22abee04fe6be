"""A full quarantine stops a subscription and says so; repetitions of old events are no failures of it."""

import io
from collections.abc import Sequence
from typing import Any

import pytest
from django.core.management import call_command

from apps.events import subscription as subscription_module
from apps.events.kafka.completeness import events_resend, resend_tell
from apps.events.kafka.sink import KafkaSink
from apps.events.messages import EventMessage
from apps.events.models import Event, QuarantinedMessage, SubscriptionEvent, SubscriptionPosition
from apps.events.selectors import subscription_lag_list
from apps.events.subscription import TooManyQuarantined
from apps.events.types import EventType
from tests.kafka.test_subscription import begun, effect_list, effects, sent, steps, subscription
from tests.support.chain import events_list
from tests.support.event_schemas import event_problems

__all__ = ["effects"]
pytestmark = [pytest.mark.usefixtures("database", "kafka", "effects"), pytest.mark.made_up_events]


def an_hour_later() -> None:
    """Forget what was handled, as an hour of newer events would."""
    newest = max(record.id for record in events_list())
    SubscriptionPosition.objects.filter(newest_id__gt=0).update(newest_id=newest + (2 * 3_600_000 << 21))
    SubscriptionEvent.objects.all().delete()


def resent() -> int:
    """Send every event again, and return how many there were."""
    ids = [record.id for record in events_list()]
    sink = KafkaSink()
    try:
        return events_resend(ids, sink)
    finally:
        sink.close()


def reset(name: str, *options: str) -> str:
    said = io.StringIO()
    call_command("subscription_reset", name, *options, stdout=said)
    return said.getvalue()


def failing(name: str) -> int:
    [lag] = [lag for lag in subscription_lag_list() if lag.subscription == name]
    return lag.failing


def told() -> list[dict[str, Any]]:
    """Return what is on record of resets, each as its schema has it."""
    events = [record for record in events_list() if record.event_type == EventType.SUBSCRIPTION_RESET]
    assert [event_problems(event.value()) for event in events] == [[] for _ in events]
    return [event.data for event in events]


def test_old_events_that_are_sent_again_do_not_stop_a_subscription() -> None:
    one = subscription()
    subscriber = begun(one)
    sent(130, users=3)
    steps(subscriber, 130)
    an_hour_later()
    steps(subscriber, resent())
    subscriber.close()
    assert len(effect_list()) == 130 and failing(one.name) == 0
    kept = QuarantinedMessage.objects.filter(subscription=one.name)
    assert set(kept.values_list("problem", "tries")) == {("older than what is remembered", 0)}
    assert kept.count() == 130


def test_repetitions_leave_the_room_of_failures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription_module, "QUARANTINE_MAX", 3)
    monkeypatch.setattr(subscription_module, "TRY_AGAIN_S", 0.001)
    bad: set[int] = set()

    def handle(cursor: Any, events: Sequence[EventMessage]) -> None:
        if any(event.data["n"] in bad for event in events):
            raise ArithmeticError("bad")

    subscriber = begun(subscription(handle))
    sent(10, users=1)
    steps(subscriber, 10)
    an_hour_later()
    steps(subscriber, resent())
    SubscriptionPosition.objects.filter(newest_id__gt=0).update(newest_id=events_list()[-1].id)
    bad |= {0, 1, 2}
    sent(4, users=1)
    steps(subscriber, 4)
    subscriber.close()
    assert QuarantinedMessage.objects.filter(tries=0).count() == 10
    assert QuarantinedMessage.objects.filter(tries__gt=0).count() == 3


def test_too_many_repetitions_stop_it_until_a_person_lets_it_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription_module, "UNTRIED_MAX", 5)
    one = subscription()
    subscriber = begun(one)
    sent(20, users=1)
    steps(subscriber, 20)
    an_hour_later()
    number = resent()
    with pytest.raises(TooManyQuarantined, match="may be repetitions"):
        steps(subscriber, number)
    subscriber.close()
    assert failing(one.name) == 1, "who looks at the metrics sees it"
    monkeypatch.setattr(subscription_module, "UNTRIED_MAX", 50)
    assert "may be repetitions" in reset(one.name)
    assert failing(one.name) == 0
    again = begun(one)
    steps(again, 20)
    again.close()
    assert "20 quarantined messages" in reset(one.name, "--forget-quarantine")
    assert not QuarantinedMessage.objects.exists() and len(effect_list()) == 20
    first, second = told()
    assert (len(first["problems"]), first["forgotten"]) == (1, 0)
    assert (second["problems"], second["forgotten"], second["event_ids"]) == ([], 20, [])


def test_failures_that_fill_the_quarantine_are_told_and_forgotten_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscription_module, "QUARANTINE_MAX", 3)
    monkeypatch.setattr("brokerage.management.commands.subscription_reset.QUARANTINE_MAX", 3)
    monkeypatch.setattr(subscription_module, "TRY_AGAIN_S", 0.001)

    def handle(cursor: Any, events: Sequence[EventMessage]) -> None:
        raise ArithmeticError("always")

    one = subscription(handle)
    subscriber = begun(one)
    sent(5, users=1)
    with pytest.raises(TooManyQuarantined):
        steps(subscriber, 5)
    subscriber.close()
    [stopped] = SubscriptionPosition.objects.exclude(problem="")
    assert "3 events" in stopped.problem and "always" in stopped.problem
    failed = [str(record.id) for record in events_list()[:3]]
    assert "is full" in reset(one.name)
    assert "3 quarantined" in reset(one.name, "--forget-quarantine")
    assert sorted(told()[1]["event_ids"]) == failed
    with pytest.raises(SystemExit) as nothing:
        reset(one.name, "--forget-quarantine")
    assert nothing.value.code == 1 and len(told()) == 2, "what changes nothing is not told"


def test_sending_again_is_on_record() -> None:
    sent(3, users=1)
    ids = [record.id for record in events_list()]
    resend_tell(ids)
    event = next(record for record in events_list() if record.event_type == EventType.EVENTS_RESENT)
    assert event_problems(event.value()) == []
    assert (event.data["events"], event.data["first_event_id"]) == (3, str(min(ids)))
    assert Event.objects.count() == 4
