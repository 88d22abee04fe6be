"""One order's story, from any of its three names."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.operations.selectors import order_trace
from apps.orders.models import OrderClientKey
from apps.primitives.errors import Conflict
from tests.operations.conftest import TradedBook
from tests.support.databases import DATABASES

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("trace_order", *arguments, stdout=out)
    return out.getvalue()


def test_a_filled_order_is_told_from_entry_to_ledger_in_time_order(traded: TradedBook) -> None:
    story = told("bid-1")
    for words in (
        "BUY 70 AAPL LIMIT at 101.0000 DAY",
        "ORDER_PLACED",
        "NEW",
        "60 at 100.0000 = 6000.00",
        "10 at 100.5000 = 1005.00",
        "TRADE_BUY -6000.00",
        "ORDER_FILLED",
        "TRADE_EXECUTED",
        "is FILLED, 70 of 70 filled",
    ):
        assert words in story, words
    times = [line.split("  ")[0] for line in story.splitlines()]
    assert times == sorted(times)


def test_the_three_names_tell_the_same_story(traded: TradedBook) -> None:
    by_client_id = told("bid-1")
    assert told(str(traded.filled.order_id)) == by_client_id
    assert told(str(traded.filled.public_id)) == by_client_id


def test_a_waiting_command_is_part_of_the_story(traded: TradedBook) -> None:
    traded.seller.cancel(traded.working)
    assert "CANCEL" in told("ask-rest")
    assert "waits for the runner" in told("ask-rest")


def test_a_leg_is_told_with_its_group(traded: TradedBook) -> None:
    bracket = traded.buyer.group("bracket", 10, "104.00", "95.00", price="97.00", client_order_id="entry-1")
    assert f"ENTRY of BRACKET group {bracket.order_id}" in told("entry-1")


def test_an_unknown_order_is_said_to_be_unknown(traded: TradedBook) -> None:
    public = str(traded.filled.public_id)
    other = public[:-1] + ("0" if public.endswith("f") else "f")
    for name in ("nothing", "123", "99999999999999999999999", other):
        with pytest.raises(CommandError, match="There is no order"):
            told(name)


def test_another_accounts_order_is_not_told_under_this_account(traded: TradedBook) -> None:
    with pytest.raises(CommandError, match="has no order|no order"):
        told("bid-1", f"--account={traded.seller.account_id}")


def test_a_client_id_of_two_accounts_needs_the_account(traded: TradedBook) -> None:
    key = OrderClientKey.objects.get(client_order_id="ask-1")
    OrderClientKey.objects.create(
        account_id=traded.buyer.account_id, client_order_id="ask-1", order_id=key.order_id, request_hash="x"
    )
    with pytest.raises(Conflict):
        order_trace("ask-1")
    assert order_trace("ask-1", traded.seller.account_id)
