"""The ticket as people type it: read exactly, or refused with the field's name."""

from decimal import Decimal

import pytest

from apps.primitives.errors import Invalid
from apps.primitives.fix import OrderClass
from apps.web.forms import (
    Ticket,
    changes_read,
    client_order_id_mint,
    intent_of,
    ticket_fields,
    ticket_read,
    times_offered,
)
from apps.web.inputs import price_normalise, quantity_normalise

TICKET = {
    "side": "BUY",
    "order_type": "LIMIT",
    "time_in_force": "DAY",
    "quantity": "100",
    "limit_price": "184.28",
    "client_order_id": "web-1",
}


def refusal(**changes: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        ticket_read({**TICKET, **changes}, "AAPL")
    return caught.value


def test_a_whole_ticket_is_read() -> None:
    ticket = ticket_read(TICKET, "AAPL")
    assert (ticket.symbol, ticket.side, ticket.quantity, ticket.price) == (
        "AAPL",
        "BUY",
        100,
        Decimal("184.2800"),
    )


def test_a_market_order_has_no_price() -> None:
    assert ticket_read({**TICKET, "order_type": "MARKET"}, "AAPL").price is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("184.28", "184.28"),
        ("184,28", "184.28"),
        ("1,234.50", "1234.50"),
        ("1 234.50", "1234.50"),
        ("5", "5"),
    ],
)
def test_a_price_may_be_typed_with_either_decimal_mark(typed: str, meant: str) -> None:
    assert price_normalise(typed) == meant


def test_a_price_that_can_be_read_in_two_ways_is_refused() -> None:
    error = refusal(limit_price="1,234")
    assert error.reason == "ambiguous_number"
    assert error.details["field"] == "limit_price"


@pytest.mark.parametrize(("typed", "meant"), [("1,000", "1000"), ("1.000", "1000"), ("12 000", "12000")])
def test_a_quantity_may_be_typed_with_separators(typed: str, meant: str) -> None:
    assert quantity_normalise(typed) == meant


@pytest.mark.parametrize(
    "typed", ["0", "-5", "1.5", "NaN", "Infinity", "1e9", "99999999999", "ten", "１０", "0x10"]
)
def test_a_bad_quantity_is_refused(typed: str) -> None:
    assert refusal(quantity=typed).details["field"].lower() == "quantity"


@pytest.mark.parametrize(
    "typed", ["0", "-1", "NaN", "Infinity", "1e400", "184.28001", "1234567.00", "abc", "1,2,3"]
)
def test_a_bad_price_is_refused(typed: str) -> None:
    assert refusal(limit_price=typed)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("side", "HOLD", "bad_side"),
        ("order_type", "STOP", "missing_stop_price"),
        ("order_type", "STOP_LIMIT", "missing_stop_price"),
        ("order_type", "TRAIL", "bad_trail_kind"),
        ("exits", "SOME", "bad_exits"),
        ("exits", "BOTH", "missing_take_profit"),
        ("exits", "STOP_LOSS", "missing_stop_loss"),
        ("order_type", "", "bad_order_type"),
        ("time_in_force", "GTD", "bad_time_in_force"),
        ("quantity", " ", "missing_quantity"),
        ("limit_price", "", "missing_limit_price"),
        ("client_order_id", "x" * 49, "bad_client_order_id"),
        ("client_order_id", "a\x00b", "bad_client_order_id"),
    ],
)
def test_a_wrong_choice_is_refused_by_name(field: str, value: str, reason: str) -> None:
    assert refusal(**{field: value}).reason == reason


STOP = {"order_type": "STOP", "stop_price": "190"}
TRAIL = {"order_type": "TRAIL", "trail_kind": "PERCENT", "trail": "1,5"}


def ticket(**changes: str) -> Ticket:
    return ticket_read({**TICKET, **changes}, "AAPL")


def test_each_type_reads_its_own_prices_and_no_others() -> None:
    left_over = {"stop_price": "190", "trail": "2", "trail_kind": "AMOUNT"}
    limit = ticket(**left_over)
    assert (limit.price, limit.stop_price, limit.trail_amount) == (Decimal("184.28"), None, None)
    stop = ticket(**STOP)
    assert (stop.price, stop.stop_price) == (None, Decimal(190))
    both = ticket(**{**STOP, "order_type": "STOP_LIMIT"})
    assert (both.price, both.stop_price) == (Decimal("184.28"), Decimal(190))
    assert ticket(**TRAIL).trail_percent == Decimal("1.5")
    assert ticket(**{**TRAIL, "trail_kind": "AMOUNT"}).trail_amount == Decimal("1.5")


@pytest.mark.parametrize("field", ["stop_price", "take_profit", "stop_loss", "stop_loss_limit", "trail"])
def test_a_bad_price_is_refused_beside_its_own_field(field: str) -> None:
    whole = {**STOP, **TRAIL, "exits": "BOTH", "take_profit": "200", "stop_loss": "170"}
    kind = {"stop_price": "STOP", "trail": "TRAIL"}.get(field, "LIMIT")
    for bad in ("1,234", "NaN", "-1", "0", "1.00001"):
        error = refusal(**{**whole, "order_type": kind, field: bad})
        assert error.details["field"] == field


@pytest.mark.parametrize(
    ("changes", "order_class"),
    [
        ({}, OrderClass.SIMPLE),
        ({"exits": "NONE", "take_profit": "200"}, OrderClass.SIMPLE),
        ({"exits": "BOTH", "take_profit": "200", "stop_loss": "170"}, OrderClass.BRACKET),
        ({"exits": "TAKE_PROFIT", "take_profit": "200", "stop_loss": "170"}, OrderClass.OTO),
        ({"exits": "STOP_LOSS", "stop_loss": "170", "stop_loss_limit": "169"}, OrderClass.OTO),
        ({"exits": "STOP_LOSS", "stop_loss": "170", "side": "SELL"}, OrderClass.OCO),
    ],
    ids=str,
)
def test_exits_make_the_class_and_a_reviewed_ticket_is_the_one_that_is_sent(
    changes: dict[str, str], order_class: OrderClass
) -> None:
    read = ticket(**changes)
    intent = intent_of(read, 7)
    assert (read.order_class, intent.order_class) == (order_class, order_class)
    fields = {**ticket_fields(read), "client_order_id": read.client_order_id}
    assert ticket_read(fields, "AAPL") == read
    assert intent_of(ticket_read(fields, "AAPL"), 7) == intent


def test_a_stop_and_a_trail_survive_the_review() -> None:
    for changes in (STOP, TRAIL, {**TRAIL, "trail_kind": "AMOUNT", "side": "SELL"}):
        read = ticket(**changes)
        fields = {**ticket_fields(read), "client_order_id": read.client_order_id}
        assert ticket_read(fields, "AAPL") == read


def test_a_sell_has_its_take_profit_in_itself() -> None:
    intent = intent_of(ticket(side="SELL", exits="STOP_LOSS", stop_loss="170", stop_loss_limit="169.5"), 7)
    assert (intent.price, intent.take_profit) == (Decimal("184.28"), Decimal("184.28"))
    assert intent.stop_loss is not None
    assert (intent.stop_loss.stop_price, intent.stop_loss.limit_price) == (Decimal(170), Decimal("169.5"))
    assert refusal(side="SELL", exits="BOTH", take_profit="190", stop_loss="170").reason == "bad_exits"


def test_auctions_are_offered_only_where_there_are_some() -> None:
    assert list(times_offered(has_auctions=False)) == ["DAY", "GTC", "IOC", "FOK"]
    assert list(times_offered(has_auctions=True)) == ["DAY", "GTC", "IOC", "FOK", "OPG", "CLS"]


def test_every_review_mints_its_own_client_order_id() -> None:
    assert client_order_id_mint() != client_order_id_mint()


def test_an_edit_leaves_blank_fields_alone() -> None:
    changes = changes_read({"quantity": "", "limit_price": "10,50"})
    assert (changes.quantity, changes.price) == (None, Decimal("10.5000"))
    assert (changes.stop_price, changes.trail) == (None, None)
    assert changes_read({"stop_price": "9.5", "trail": "2"}).stop_price == Decimal("9.5")
