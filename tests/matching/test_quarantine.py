"""A command that ends every leader who takes it is found, refused and told of; everything else goes on."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from apps.events.facts import SYSTEM
from apps.events.models import Event
from apps.matching.codes import Phase
from apps.matching.journal import QUARANTINE
from apps.matching.models import MatchingJournal, MatchingLeader, OrderCommand
from apps.matching.quarantine import CALM_BATCHES
from apps.operations.services.controls import symbol_phase
from apps.orders.models import Order
from apps.orders.selectors import OrderView
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from apps.trades.services import booking
from tests.support.builders import Trader, trader_open
from tests.support.matching import Exchange

STUCK_EPOCHS = 3
LEADERS_MAX = 10


@pytest.fixture
def poison() -> Iterator[None]:
    yield
    failpoints_arm("")


@pytest.fixture
def trader(market: None) -> Trader:
    return trader_open(cash="50000.00", shares={"AAPL": 1_000})


def spoil(order_id: int) -> None:
    """Let the engine die whenever it is given a command of this order."""
    failpoints_arm(f"runner.match=raise?order_id={order_id}")


def leaders() -> int:
    """Let one leader after another begin, and return how many died before the queue was empty."""
    for died in range(LEADERS_MAX):
        with Exchange() as exchange:
            try:
                exchange.run()
                return died
            except FailpointHit:
                continue
    raise AssertionError("they die for ever")


def events(kind: str) -> list[Event]:
    return list(Event.objects.filter(event_type=kind))


def test_a_poison_order_is_rejected_and_all_the_others_are_taken(trader: Trader, poison: None) -> None:
    before = [trader.buy(1, "90.00") for _ in range(3)]
    bad = trader.buy(7, "91.00")
    after = [trader.buy(1, "92.00") for _ in range(3)]
    spoil(bad.order_id)
    assert leaders() == STUCK_EPOCHS + 1, "as a batch until it is stuck, then once by itself"
    assert [trader.order(order).status for order in before + after] == ["NEW"] * 6
    refused = Order.objects.get(order_id=bad.order_id)
    assert (refused.status, refused.reason) == ("REJECTED", "QUARANTINED")
    assert trader.summary.held_cash == Decimal(3 * 90 + 3 * 92)
    [event] = events("COMMAND_QUARANTINED")
    assert (event.topic, event.user_id) == ("risk-events", trader.user_id)
    assert (event.data["order_id"], event.data["kind"]) == (str(bad.order_id), "NEW")
    [record] = MatchingJournal.objects.filter(kind=QUARANTINE)
    assert record.order_id == bad.order_id
    assert MatchingLeader.objects.get().attempting is None


def test_the_books_that_a_quarantine_leaves_are_rebuilt_equal(trader: Trader, poison: None) -> None:
    trader.buy(1, "90.00")
    bad = trader.buy(7, "91.00")
    spoil(bad.order_id)
    leaders()
    with Exchange() as exchange:
        trader.buy(2, "93.00")
        exchange.run()
        assert exchange.rebuilt().state_hash() == exchange.runner.engine.state_hash()


@pytest.mark.parametrize("act", ["cancel", "replace"])
def test_a_poison_change_is_refused_and_its_order_stays(trader: Trader, poison: None, act: str) -> None:
    order = trader.buy(5, "90.00")
    leaders()
    if act == "cancel":
        trader.cancel(order)
        failpoints_arm("runner.match=raise?order_id=0")
    else:
        spoil(trader.replace(order, quantity=6).order_id)
    leaders()
    assert trader.order(order).status == "NEW"
    assert not OrderCommand.objects.exists()
    kind = {"cancel": "ORDER_CANCEL_REJECTED", "replace": "ORDER_REPLACE_REJECTED"}[act]
    [event] = events(kind)
    assert event.data["reason"] == "QUARANTINED"
    failpoints_arm("")
    trader.cancel(order)
    leaders()
    assert trader.order(order).status == "CANCELLED"


def test_a_poison_setting_of_a_book_is_refused_and_the_next_leader_can_begin(
    trader: Trader, poison: None
) -> None:
    trader.buy(5, "90.00")
    symbol_phase(symbol="AAPL", phase=Phase.PAUSED, reason="a test", origin=SYSTEM)
    failpoints_arm("runner.match=raise?order_id=0")
    leaders()
    with Exchange() as exchange:
        status = exchange.runner.engine.book_status(
            next(number for number, symbol in exchange.runner.symbols.items() if symbol == "AAPL")
        )
    assert status is not None and status[0] == Phase.CONTINUOUS
    assert len(events("COMMAND_QUARANTINED")) == 1


def test_a_booking_that_raises_counts_as_much_as_an_engine_that_dies(
    trader: Trader, poison: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = trader.buy(7, "91.00")
    good = trader.buy(1, "90.00")
    apply = booking.result_apply

    def result_apply(books: object, event: object) -> None:
        if event.order_id == bad.order_id and not books.batch.is_quarantined:  # type: ignore[attr-defined]
            raise FailpointHit("a defect of the booking")
        apply(books, event)  # type: ignore[arg-type]

    monkeypatch.setattr(booking, "result_apply", result_apply)
    leaders()
    assert Order.objects.get(order_id=bad.order_id).reason == "QUARANTINED"
    assert trader.order(good).status == "NEW"


def test_leaders_that_are_killed_without_a_fault_of_a_command_quarantine_nothing(
    trader: Trader, poison: None
) -> None:
    orders: list[OrderView] = []
    for _ in range(STUCK_EPOCHS * 3):
        orders.append(trader.buy(1, "90.00"))
        with Exchange():
            pass
    with Exchange() as exchange:
        assert exchange.runner.care.left == CALM_BATCHES
        assert exchange.runner.care.condemned_id is None
        exchange.run()
        assert exchange.runner.care.left == CALM_BATCHES - len(orders)
    assert {trader.order(order).status for order in orders} == {"NEW"}
    assert not events("COMMAND_QUARANTINED")


def test_leaders_that_begin_at_one_place_for_want_of_work_are_not_stuck(market: None) -> None:
    for _ in range(STUCK_EPOCHS * 2):
        with Exchange() as exchange:
            exchange.run()
            assert exchange.runner.care.left == 0
    assert MatchingLeader.objects.get().stuck == 0


def test_after_enough_good_commands_batches_are_large_again(trader: Trader, poison: None) -> None:
    for _ in range(STUCK_EPOCHS + 1):
        trader.buy(1, "90.00")
        with Exchange():
            pass
    with Exchange() as exchange:
        for _ in range(CALM_BATCHES + 20):
            trader.buy(1, "80.00")
        batches = exchange.run()
    assert batches == CALM_BATCHES + 1
