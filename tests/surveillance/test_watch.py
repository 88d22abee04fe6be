"""Surveillance finds what traders do to the market, once, from events alone; people have the last word."""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction

from apps.events.facts import Origin
from apps.events.messages import EventMessage, message_read
from apps.events.models import Event
from apps.primitives.errors import Conflict, NotFound
from apps.surveillance.memory import memory_forget
from apps.surveillance.models import (
    BeneficialOwner,
    MessageCountRow,
    SurveillanceFinding,
    SurveillanceLimit,
    WatchedTradeRow,
    WithdrawalRow,
)
from apps.surveillance.selectors import open_findings
from apps.surveillance.services import Watch, finding_dismiss
from tests.support.builders import Trader
from tests.support.chain import events_list
from tests.support.matching import Exchange

Opener = Callable[..., Trader]
STAFF = Origin(user_agent="Desk/1", actor_id=99)


class Desk:
    """Hands surveillance the events that it has not had."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.told: set[int] = set()

    def news(self) -> list[EventMessage]:
        events = [
            message_read(event.value())
            for event in events_list()
            if event.id not in self.told and event.topic == "orders-events"
        ]
        self.told |= {event.id for event in events}
        return events

    def look(self) -> None:
        self.hand(self.news())

    def hand(self, events: list[EventMessage]) -> None:
        if events:
            with transaction.atomic(), connection.cursor() as cursor:
                self.watch(cursor, events)


@pytest.fixture
def desk(market: None) -> Iterator[Desk]:
    yield Desk()


def limit(kind: str, **values: str) -> None:
    for name, value in values.items():
        SurveillanceLimit.objects.create(kind=kind, name=name, value=Decimal(value))


def trade(
    exchange: Exchange, seller: Trader, buyer: Trader, quantity: int = 10, price: str = "100.00"
) -> None:
    seller.sell(quantity, price)
    exchange.run()
    buyer.buy(quantity, price)
    exchange.run()


def wash(exchange: Exchange, one: Trader, other: Trader, rounds: int) -> None:
    for _ in range(rounds):
        trade(exchange, one, other)
        trade(exchange, other, one)


def findings() -> list[tuple[str, int, int, str, str]]:
    rows = SurveillanceFinding.objects.order_by("finding_id")
    return [(f.kind, f.account_id, f.other_account_id, f.symbol, f.status) for f in rows]


def pair(one: Trader, other: Trader) -> tuple[int, int]:
    low, high = sorted((one.account_id, other.account_id))
    return low, high


def test_trades_between_two_accounts_of_one_owner_are_found(
    desk: Desk, trader: Opener, exchange: Exchange
) -> None:
    one, other = trader(shares={"AAPL": 100}), trader(cash="50000")
    stranger = trader(cash="50000")
    BeneficialOwner.objects.create(account_id=one.account_id, owner="Smith Holdings")
    BeneficialOwner.objects.create(account_id=other.account_id, owner="Smith Holdings")
    trade(exchange, one, stranger)
    desk.look()
    assert findings() == []
    trade(exchange, one, other)
    desk.look()
    assert findings() == [("SELF_TRADE", *pair(one, other), "AAPL", "OPEN")]
    [told] = Event.objects.filter(event_type="SURVEILLANCE_FOUND")
    assert (told.topic, told.account_id, told.account_seq) == ("risk-events", None, None)
    assert told.data["account_ids"] == list(pair(one, other))
    assert told.data["measured"] == {"trades": 1, "quantity": 10}
    assert len(told.data["event_ids"]) == 2
    trade(exchange, one, other)
    desk.look()
    [finding] = SurveillanceFinding.objects.all()
    assert (finding.times, finding.measured["trades"], len(finding.event_ids)) == (2, "2", 4)
    assert Event.objects.filter(event_type="SURVEILLANCE_FOUND").count() == 1, "one pattern is told once"


def test_shares_passed_back_and_forth_are_found_in_whatever_order_events_come(
    desk: Desk, trader: Opener, exchange: Exchange
) -> None:
    one, other = (trader(cash="50000", shares={"AAPL": 100}) for _ in range(2))
    wash(exchange, one, other, rounds=5)
    events = desk.news()
    random.Random(5).shuffle(events)
    for event in events:
        desk.hand([event])
    assert findings() == [("WASH_TRADES", *pair(one, other), "AAPL", "OPEN")]
    [finding] = SurveillanceFinding.objects.all()
    assert finding.measured["net_pct"] == "0.00" and finding.measured["pair_pct"] == "100.00"
    assert set(finding.event_ids) <= {str(event.id) for event in events}


def test_a_market_maker_is_not_found_washing(desk: Desk, trader: Opener, exchange: Exchange) -> None:
    maker = trader(cash="100000", shares={"AAPL": 500})
    customers = [trader(cash="50000", shares={"AAPL": 100}) for _ in range(4)]
    for _ in range(5):
        for customer in customers:
            wash(exchange, maker, customer, rounds=1)
    desk.look()
    assert findings() == []


def test_many_messages_for_few_trades_are_found_once_a_window(
    desk: Desk, trader: Opener, exchange: Exchange
) -> None:
    limit("ORDER_RATIO", messages_min="10", ratio_max="5", window_s="86400")
    one = trader(cash="100000")
    for _ in range(6):
        order = one.buy(1, "90.00")
        exchange.run()
        one.cancel(order)
        exchange.run()
    desk.look()
    assert findings() == [("ORDER_RATIO", one.account_id, 0, "AAPL", "OPEN")]
    [finding] = SurveillanceFinding.objects.all()
    assert (finding.measured["messages"], finding.measured["ratio"]) == ("12", "11.00")
    finding_dismiss(finding_id=finding.pk, reason="A test of a program", origin=STAFF)
    one.buy(1, "90.00")
    desk.look()
    assert len(findings()) == 1, "this window was judged"
    assert MessageCountRow.objects.get().messages == 13


def spoof(exchange: Exchange, spoofer: Trader, victim: Trader, times: int) -> None:
    for _ in range(times):
        large = spoofer.sell(200, "100.50")
        exchange.run()
        trade(exchange, victim, spoofer, quantity=5)
        spoofer.cancel(large)
        exchange.run()


def test_large_orders_taken_back_after_trading_on_the_other_side_are_found(
    desk: Desk, trader: Opener, exchange: Exchange
) -> None:
    spoofer, victim = trader(cash="50000", shares={"AAPL": 300}), trader(shares={"AAPL": 300})
    spoof(exchange, spoofer, victim, times=2)
    desk.look()
    assert findings() == []
    assert WithdrawalRow.objects.count() == 2
    spoof(exchange, spoofer, victim, times=1)
    desk.look()
    assert findings() == [("LAYERING", spoofer.account_id, 0, "AAPL", "OPEN")]
    [finding] = SurveillanceFinding.objects.all()
    assert finding.measured == {
        "times": "3",
        "pattern_pct": "100.00",
        "withdrawn_quantity": "600",
        "traded_quantity": "15",
    }


def test_a_dismissed_finding_comes_again_only_by_new_evidence(
    desk: Desk, trader: Opener, exchange: Exchange
) -> None:
    one, other = (trader(cash="50000", shares={"AAPL": 100}) for _ in range(2))
    wash(exchange, one, other, rounds=5)
    desk.look()
    [finding] = SurveillanceFinding.objects.all()
    finding_dismiss(finding_id=finding.pk, reason="Both told us why", origin=STAFF)
    wash(exchange, one, other, rounds=4)
    desk.look()
    assert open_findings()["WASH_TRADES"] == 0, "eight trades since then are too few"
    wash(exchange, one, other, rounds=1)
    desk.look()
    assert [row[4] for row in findings()] == ["DISMISSED", "OPEN"]
    [told] = Event.objects.filter(event_type="SURVEILLANCE_DISMISSED")
    assert (told.user_id, told.data["reason"], told.metadata["actor_id"]) == (99, "Both told us why", 99)
    with pytest.raises(Conflict):
        finding_dismiss(finding_id=finding.pk, reason="And again", origin=STAFF)
    with pytest.raises(NotFound):
        finding_dismiss(finding_id=1, reason="Nothing there", origin=STAFF)


def test_a_rule_that_is_off_finds_nothing_and_limits_count_from_their_time(
    desk: Desk, trader: Opener, exchange: Exchange
) -> None:
    limit("WASH_TRADES", is_on="0", trades_min="6")
    one, other = (trader(cash="50000", shares={"AAPL": 100}) for _ in range(2))
    wash(exchange, one, other, rounds=3)
    desk.look()
    assert findings() == []
    limit("WASH_TRADES", is_on="1", trades_min="100")
    wash(exchange, one, other, rounds=1)
    desk.look()
    assert findings() == []
    limit("WASH_TRADES", trades_min="8")
    wash(exchange, one, other, rounds=1)
    desk.look()
    assert [row[0] for row in findings()] == ["WASH_TRADES"]


def test_two_processes_that_each_hear_one_side_miss_nothing(
    desk: Desk, trader: Opener, exchange: Exchange
) -> None:
    one, other = (trader(cash="50000", shares={"AAPL": 100}) for _ in range(2))
    wash(exchange, one, other, rounds=5)
    sides: dict[int, list[EventMessage]] = {}
    for event in desk.news():
        sides.setdefault(event.user_id, []).append(event)
    together = threading.Barrier(2)

    def work(events: list[EventMessage]) -> None:
        together.wait()
        for event in events:
            desk.hand([event])
        connections.close_all()

    threads = [threading.Thread(target=work, args=(events,)) for events in sides.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert findings() == [("WASH_TRADES", *pair(one, other), "AAPL", "OPEN")]


def test_two_batches_at_once_are_judged_one_after_the_other(
    desk: Desk, trader: Opener, exchange: Exchange
) -> None:
    """Each makes one more trade whole; judged side by side, each would be one short of the limit."""
    one, other = (trader(cash="50000", shares={"AAPL": 100}) for _ in range(2))
    wash(exchange, one, other, rounds=5)
    events = desk.news()
    fills = [event for event in events if event.event_type == "ORDER_FILLED"]
    last: dict[str, EventMessage] = {fill.data["execution"]["trade_id"]: fill for fill in fills}
    late = list(last.values())[-2:]
    desk.hand([event for event in events if event not in late])

    def work() -> None:
        desk.hand(late[1:])
        connections.close_all()

    second = threading.Thread(target=work)
    with transaction.atomic(), connection.cursor() as cursor:
        desk.watch(cursor, late[:1])
        second.start()
        second.join(0.5)
    second.join()
    assert findings() == [("WASH_TRADES", *pair(one, other), "AAPL", "OPEN")]


def test_what_no_window_reaches_is_forgotten(desk: Desk, trader: Opener, exchange: Exchange) -> None:
    spoofer, victim = trader(cash="50000", shares={"AAPL": 300}), trader(shares={"AAPL": 300})
    spoof(exchange, spoofer, victim, times=1)
    events = desk.news()
    desk.hand(events)
    assert WatchedTradeRow.objects.count() == WithdrawalRow.objects.count() == 1
    for days, left in ((0, 1), (2, 0)):
        with transaction.atomic(), connection.cursor() as cursor:
            memory_forget(cursor, events[-1].timestamp + timedelta(days=days))
        assert WatchedTradeRow.objects.count() == WithdrawalRow.objects.count() == left
    assert not MessageCountRow.objects.exists()
