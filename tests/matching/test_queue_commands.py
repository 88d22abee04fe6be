"""The queue of record: every field of a command comes back as it was queued, and nonsense is never queued."""

from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.matching.codes import Mode, OrderFlag, Phase
from apps.matching.messages import Command
from apps.matching.models import OrderCommand
from apps.matching.queue import CommandQueue
from apps.matching.services import command_append
from apps.primitives.clock import utc_now
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

TRAIL = Command(
    kind="NEW",
    symbol="AAPL",
    instrument_id=1,
    order_id=11,
    orig_order_id=12,
    account_id=13,
    user_id=14,
    side="SELL",
    order_type="TRAIL",
    time_in_force="GTC",
    price_units=900_000,
    stop_price_units=1_000_000,
    trail=25_000,
    quantity=15,
    flags=OrderFlag.TRAIL_PERCENT | OrderFlag.REDUCE_ONLY,
    client_order_id="mine",
)


def append(*commands: Command) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        command_append(cursor, 0, commands)


def test_every_field_comes_back(exchange: Exchange) -> None:
    append(TRAIL, Command("PHASE", "AAPL", 1, argument=Phase.HALTED))
    with exchange.connection.cursor() as cursor:
        taken = CommandQueue(0).take(cursor, 0.0, utc_now())
    assert [command._replace(command_id=0, created_at=None) for command in taken] == [
        TRAIL,
        Command("PHASE", "AAPL", 1, argument=Phase.HALTED),
    ]
    assert all(command.command_id and isinstance(command.created_at, datetime) for command in taken)
    assert taken[0].command_id < taken[1].command_id
    OrderCommand.objects.all().delete()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("HALT", {}),
        ("RESUME", {}),
        ("RESTORE", {}),
        ("PHASE", {}),
        ("PHASE", {"argument": max(Phase) + 1}),
        ("PHASE", {"argument": Phase.CLOSED, "price_units": 10**15 + 1}),
        ("MODE", {}),
        ("MODE", {"argument": max(Mode) + 1}),
        ("BANDS", {"price_units": 1}),
        ("BANDS", {"stop_price_units": 1}),
        ("BANDS", {"price_units": 2, "stop_price_units": 1}),
        ("BANDS", {"price_units": 1, "stop_price_units": 10**15 + 1}),
        ("OPTIONS", {"argument": 2}),
        ("OPTIONS", {"price_units": 3}),
        ("OPTIONS", {"price_units": 20_000}),
        ("NEW", {"price_units": -1}),
        ("NEW", {"trail": 2**32}),
        ("NEW", {"flags": 256}),
    ],
)
def test_what_the_engine_would_refuse_is_not_queued(market: None, kind: str, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        append(Command(kind, "AAPL", 1, **fields))
    assert not OrderCommand.objects.exists()


def test_what_takes_bands_and_options_away_is_queued(market: None) -> None:
    append(Command("BANDS", "AAPL", 1), Command("OPTIONS", "AAPL", 1))
    assert OrderCommand.objects.count() == 2
