"""The queue after an outage: who has waited longest is served first, however long that was."""

from django.db import connection

from apps.events.facts import SYSTEM
from apps.matching.queue import FIRST_COMMANDS_MAX
from apps.orders.models import LiveOrder, Order
from apps.orders.services.changes import order_cancel
from tests.support.builders import trader_open
from tests.support.matching import Exchange

WAITING = FIRST_COMMANDS_MAX + 10
"""More than a new leader takes at first."""


def two_minutes_pass() -> None:
    """Let what is queued have been queued two minutes ago, while nobody led."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE order_commands SET command_id = command_id - (120000::bigint << 21)")


def journal_rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM matching_journal")
        return int(cursor.fetchone()[0])


def test_what_waited_through_an_outage_keeps_its_place_before_what_is_new(market: None) -> None:
    ada = trader_open(cash="100000.00")
    old = [ada.buy(1, "100.00").order_id for _ in range(WAITING)]
    two_minutes_pass()
    late = trader_open(cash="1000.00").buy(1, "100.00").order_id
    with Exchange() as exchange:
        exchange.run()
    places = LiveOrder.objects.order_by("priority").values_list("order_id", flat=True)
    assert list(places) == [*old, late]


def test_a_cancellation_finds_the_order_that_waited_before_it(market: None) -> None:
    ada = trader_open(cash="100000.00")
    old = [ada.buy(1, "100.00").order_id for _ in range(WAITING)]
    two_minutes_pass()
    order_cancel(ada.account_id, old[-1], SYSTEM)
    with Exchange() as exchange:
        exchange.run()
    assert Order.objects.get(order_id=old[-1]).status == "CANCELLED"
    assert journal_rows() == WAITING + 1, "nothing was taken twice"
