"""The application's role: enough for entry, booking and settlement, and nothing that rewrites history."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from apps.events.facts import SYSTEM
from apps.instruments.selectors import market_session, settlement_date
from apps.operations.apps import OperationsConfig
from apps.operations.grants import APPEND_ONLY, ROLE, grants_apply
from apps.operations.services.busting import trade_bust
from apps.operations.services.controls import symbol_halt
from apps.operations.services.settlement import settlement_run
from apps.trades.models import Trade
from tests.support.builders import trader_open
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

MEMBER = "openbell_grants_member"


@pytest.fixture
def member(market: None) -> Iterator[str]:
    """A login role that is nothing but a member of the application's group."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [ROLE])
        if not cursor.fetchone()[0]:
            cursor.execute(f"CREATE ROLE {ROLE} NOLOGIN")
        cursor.execute(f"DROP ROLE IF EXISTS {MEMBER}")
        cursor.execute(f"CREATE ROLE {MEMBER} LOGIN PASSWORD 'member' IN ROLE {ROLE}")
    for alias in ("default", "marketdata"):
        grants_apply(sender=OperationsConfig, using=alias)  # type: ignore[arg-type]
    yield MEMBER
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"DROP ROLE {MEMBER}")


@pytest.fixture
def as_member(member: str) -> Iterator[None]:
    """Run Django's own sessions as the member."""
    for alias in ("default", "marketdata"):
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SET SESSION AUTHORIZATION {member}")
    yield
    for alias in ("default", "marketdata"):
        with connections[alias].cursor() as cursor:
            cursor.execute("RESET SESSION AUTHORIZATION")


def test_entry_booking_settlement_and_busts_need_no_more(
    member: str, exchange: Exchange, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("as_member")
    exchange.connection.execute(f"SET SESSION AUTHORIZATION {member}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user, current_user")
        assert cursor.fetchone() == (member, member)
    seller, buyer = trader_open(shares={"AAPL": 20}), trader_open(cash="5000.00")
    resting = seller.sell(10, "100.00")
    bought = buyer.buy(4)
    exchange.run()
    assert buyer.order(bought).status == "FILLED"
    seller.replace(resting, price="101.00")
    exchange.run()
    buyer.cancel(buyer.buy(1, "90.00"))
    exchange.run()
    buyer.buy(1)
    exchange.run()
    newest = Trade.objects.order_by("-trade_id")[0].trade_id
    trade_bust(trade_id=newest, reason="Price was an error", origin=SYSTEM)
    symbol_halt(symbol="MSFT", reason="News is pending", origin=SYSTEM)
    exchange.run()
    done = settlement_run(settlement_date(market_session().trade_date))
    assert (done.accounts, done.trades) == (2, 1)
    statuses = Trade.objects.order_by("trade_id").values_list("settlement_status", flat=True)
    assert list(statuses) == ["SETTLED", "BUSTED"]


@pytest.mark.parametrize("column", ["id", '"timestamp"', "xact_id"])
def test_an_event_is_numbered_and_dated_by_the_server_alone(as_member: None, column: str) -> None:
    refused(
        f"INSERT INTO events ({column}, topic, event_type, user_id, data, metadata) "
        f"VALUES (DEFAULT, 'audit-log', 'SIGN_IN_FAILED', 1, '{{}}', '{{}}')"
    )


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("act", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_history_cannot_be_rewritten(as_member: None, table: str, act: str) -> None:
    column = {
        "events": "topic",
        "event_archives": "low",
        "event_blocks": "events",
        "matching_journal": "epoch",
        "settlement_steps": "amount",
        "share_issues": "quantity",
        "transactions": "amount",
    }[table]
    refused(act.format(table, column, column))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM trades",
        "TRUNCATE trades",
        "DELETE FROM orders",
        "TRUNCATE accounts CASCADE",
        "DELETE FROM events_default",
        "UPDATE trades_default SET price = 1",
        "INSERT INTO booking_gate VALUES (true)",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE live_orders",
        "SET session_replication_role = replica",
    ],
)
def test_what_the_role_has_no_business_with_is_refused(as_member: None, statement: str) -> None:
    refused(statement)


def refused(statement: str) -> None:
    with pytest.raises(Exception) as caught, connection.cursor() as cursor:
        cursor.execute(statement)
    assert isinstance(caught.value.__cause__, psycopg.errors.InsufficientPrivilege), caught.value


def test_the_owner_is_refused_by_the_triggers_too(market: None) -> None:
    trader_open(cash="10.00")
    for table, column in (("events", "topic"), ("transactions", "amount")):
        for statement in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
                cursor.execute(statement)


def test_granting_is_repeatable_and_silent_without_the_role(market: None, monkeypatch: Any) -> None:
    from apps.operations import grants

    monkeypatch.setattr(grants, "ROLE", "nobody_has_this_role")
    grants_apply(sender=OperationsConfig, using="default")  # type: ignore[arg-type]
