"""An order and an account at any instant, from events alone, are what the tables said at that instant."""

import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from apps.audit.archives import Archive, archive_write
from apps.audit.readings import ORDER_LIFE, Reading
from apps.audit.selectors import AccountAt, account_at, order_at, order_named_at
from apps.audit.services.export import Wanted, events_begin, export_make
from apps.events.models import EventArchive
from apps.events.records import event_record
from apps.operations.services.valuation import positions_value
from apps.primitives.errors import Invalid, NotFound
from apps.primitives.ids import id_floor
from tests.audit.test_export import values
from tests.support.builders import trader_open
from tests.support.chain import session_open
from tests.support.history import History, Truth, account_told, account_true, db_now, order_told, truth_read
from tests.support.matching import Exchange

SEEDS = (1, 2, 3, 4)
STEPS = 110

WANTED_STATUSES = {
    "PENDING", "HELD", "NEW", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "REPLACED", "REJECTED", "EXPIRED",
}  # fmt: skip
"""What must have happened in the histories, or they prove nothing."""


@pytest.fixture
def history(request: pytest.FixtureRequest, exchange: Exchange) -> History:
    made = History(exchange, request.param)
    made.run(STEPS)
    return made


def account_differences(truth: Truth, account_id: int, at: datetime) -> list[str]:
    found = account_at(account_id, at)
    true, told = account_true(truth, account_id, list(found.fold.queued)), account_told(found)
    return [f"{at} {account_id} {n}: {told[n]} for {true[n]}" for n in true if told[n] != true[n]]


def order_differences(truth: Truth, order_id: int) -> list[str]:
    told, true = order_told(order_at(order_id, truth.at)), truth.orders[order_id]
    return [f"{truth.at} {order_id} {n}: {told[n]} for {true[n]}" for n in true if told[n] != true[n]]


@pytest.mark.parametrize("history", SEEDS, indirect=True)
def test_every_account_is_told_as_it_was_after_and_before_each_step(history: History) -> None:
    wrong = []
    for truth, following in zip(history.truths, [*history.truths[1:], truth_read()], strict=True):
        between = truth.at + (following.at - truth.at) / 1000
        for account_id in truth.accounts:
            wrong += account_differences(truth, account_id, truth.at)
            wrong += account_differences(truth, account_id, between)
    assert not wrong, "\n".join(wrong[:20])


def orders_follow(history: History, seen: Counter[str]) -> list[str]:
    """Return what is told of orders wrongly at the instants at which they changed, and at the end."""
    wrong, known = [], dict[int, dict[str, object]]()
    for truth in history.truths:
        for order_id, true in truth.orders.items():
            if known.get(order_id) != true:
                wrong += order_differences(truth, order_id)
                seen[true["status"]] += 1
        known = truth.orders
    last = history.truths[-1]
    return wrong + [text for order_id in last.orders for text in order_differences(last, order_id)]


def test_every_order_is_told_as_it_was_after_the_steps_that_changed_it(exchange: Exchange) -> None:
    seen = Counter[str]()
    for seed in SEEDS:
        history = History(exchange, seed)
        history.run(STEPS // 2)
        wrong = orders_follow(history, seen)
        assert not wrong, "\n".join(wrong[:20])
        assert history.refused < len(history.truths) / 2
    assert set(seen) == WANTED_STATUSES, "the histories are too tame"
    assert any(true["leg"] for true in history.truths[-1].orders.values())


def test_before_the_beginning_and_after_now_there_is_nothing_to_tell(exchange: Exchange) -> None:
    history = History(exchange, 9)
    history.run(3)
    account_id = history.traders[0].account_id
    with pytest.raises(NotFound, match="is of"):
        account_at(account_id, history.begins_at)
    with pytest.raises(Invalid, match="still to come"):
        account_at(account_id, db_now() + timedelta(minutes=1))


def archived(cut: int, folder: Path) -> None:
    """Take every event up to an id out of the table, into an archive."""
    archive = Archive("events_old", str(folder), 0, cut)
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT id, topic, event_type, user_id, account_id, account_seq, "timestamp", data::text, '
            "metadata::text, xact_id::text::bigint FROM events WHERE id <= %s ORDER BY id",
            (cut,),
        )
        old = [event_record(row) for row in cursor.fetchall()]
        lines = [(event.xact_id, event.id, event.user_id, event.value()) for event in old]
        made = archive_write(archive, lines, (1, 1))
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM events WHERE id <= %s", (cut,))
        cursor.execute("SET session_replication_role = origin")
    EventArchive.objects.create(
        name=archive.name, low=0, high=cut, events=len(old), first_block=1, last_block=1, sha256=made.sha256
    )


def test_what_lies_in_archives_is_told_as_what_lies_in_the_table(
    exchange: Exchange, tmp_path: Path, settings: Any
) -> None:
    settings.AUDIT_ARCHIVE_DIR = tmp_path
    history = History(exchange, 5)
    history.run(40)
    begin, until = events_begin(), db_now()
    before = values(export_make(Wanted("events", begin, until), tmp_path / "before").folder)
    archived(id_floor(history.truths[len(history.truths) // 2].at), tmp_path)
    wrong = []
    for truth in history.truths[1::3]:
        for account_id in truth.accounts:
            wrong += account_differences(truth, account_id, truth.at)
        for order_id in truth.orders:
            wrong += order_differences(truth, order_id)
    assert not wrong, "\n".join(wrong[:20])
    after = values(export_make(Wanted("events", begin, until), tmp_path / "after").folder)
    assert after == before
    first, *_ = history.truths[-1].orders.values()
    story = order_named_at(first["client_order_id"], history.truths[-1].at, first["account_id"])
    assert story.order_id == first["order_id"]


def position_event(
    account_id: int, at: datetime, quantity: int, session: "psycopg.Connection[Any]", event_id: int
) -> None:
    data = {"account_id": account_id, "symbol": "AAPL", "quantity": quantity, "average_cost": 1}
    session.execute(
        'INSERT INTO events (id, "timestamp", topic, event_type, user_id, account_id, data, metadata) '
        "VALUES (%s, %s, 'account-events', 'POSITION_CHANGED', 1, %s, %s, '{}')",
        (event_id, at, account_id, json.dumps({**data, "realized_pnl": 0})),
    )


@pytest.mark.made_up_events
def test_of_what_happened_at_one_instant_the_later_commit_counts(database: None) -> None:
    """The second transaction draws the smaller id; both are dated by the same microsecond."""
    at = db_now()
    number = id_floor(at)
    with session_open() as session:
        position_event(7, at, 10, session, number + 9)
    with session_open() as session:
        position_event(7, at, 20, session, number + 5)
        position_event(7, at, 30, session, number + 6)
        position_event(7, at + timedelta(microseconds=1), 40, session, number + 8)
    assert account_at(7, at).fold.positions["AAPL"].quantity == 30
    assert account_at(7, at + timedelta(microseconds=1)).fold.positions["AAPL"].quantity == 40


@pytest.mark.made_up_events
def test_an_instant_waits_for_what_was_written_by_then_and_is_not_committed(database: None) -> None:
    with session_open() as session:
        at = db_now()
        position_event(7, at, 10, session, id_floor(at) + 1)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(account_at_elsewhere, 7, db_now())
            time.sleep(0.2)
            assert not asked.done(), "the answer would be another one a moment later"
            session.commit()
            assert asked.result(10).fold.positions["AAPL"].quantity == 10


def account_at_elsewhere(account_id: int, at: datetime) -> AccountAt:
    try:
        return account_at(account_id, at)
    finally:
        connections.close_all()


def test_a_group_and_a_chain_of_replacements_are_told_with_their_order(exchange: Exchange) -> None:
    seller, trader = trader_open(shares={"AAPL": 50}), trader_open(cash="9000.00")
    entry = trader.group("bracket", 4, take_profit="110.00", stop_loss="90.00", price="99.00")
    exchange.run()
    asked = trader.replace(entry, quantity=6)
    while_asked = db_now()
    exchange.run()
    again = trader.replace(asked, price="99.50")
    exchange.run()
    seller.sell(2, "99.50")
    exchange.run()
    truth = truth_read()
    assert not account_differences(truth, trader.account_id, truth.at)
    held = account_at(trader.account_id, truth.at).fold.orders.values()
    assert sorted(order.reserved for order in held) == [0, 0, 2], "one exit holds what the entry has bought"
    seller.sell(4, "99.50")
    exchange.run()
    story = order_named_at(str(asked.order_id), while_asked)
    assert story.order_id in story.fold.queued
    assert story.chain == [entry.order_id, asked.order_id]
    end = db_now()
    story = order_named_at(str(again.public_id), end)
    assert story.chain == [entry.order_id, asked.order_id, again.order_id]
    assert [story.fold.orders[number].status for number in story.chain] == ["REPLACED", "REPLACED", "FILLED"]
    assert [story.fold.orders[number].leg for number in story.legs] == ["TAKE_PROFIT", "STOP_LOSS"]
    assert [(e.price, e.quantity) for e in story.fold.orders[again.order_id].executions] == [
        (Decimal("99.5"), 2),
        (Decimal("99.5"), 4),
    ]
    same = order_named_at(again.client_order_id, end, trader.account_id)
    assert same.order_id == again.order_id
    with pytest.raises(Invalid, match="name the account"):
        order_named_at(again.client_order_id, end)
    with pytest.raises(NotFound):
        order_named_at(str(again.order_id), end, seller.account_id)
    with pytest.raises(NotFound):
        order_named_at(str(again.order_id), while_asked)


def test_a_close_bounds_how_far_back_is_read(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(exchange, 6)
    history.run(30)
    positions_value(db_now().date() + timedelta(days=1))
    last = db_now()
    windows: list[tuple[int, int]] = []
    rows = Reading.rows

    def counted(self: Reading, sql: str, low: int, high: int, **more: Any) -> Any:
        windows.append((low, high))
        return rows(self, sql, low, high, **more)

    monkeypatch.setattr(Reading, "rows", counted)
    account_at(history.traders[0].account_id, last)
    assert min(low for low, _ in windows) >= id_floor(last - ORDER_LIFE)
    assert len(windows) <= 3, "the state of one day, and the orders"


def test_a_close_alone_tells_what_was_before_it(exchange: Exchange) -> None:
    history = History(exchange, 7)
    history.run(30)
    positions_value(db_now().date() + timedelta(days=100))
    truth = truth_read()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "DELETE FROM events e WHERE topic = 'account-events' AND xact_id < (SELECT max(xact_id) FROM "
            "events c WHERE c.account_id = e.account_id AND c.event_type = 'POSITIONS_VALUED')"
        )
        cursor.execute("SET session_replication_role = origin")
    for trader in history.traders[:3]:
        assert not account_differences(truth, trader.account_id, truth.at)


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("audit_at", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_tells_people_and_programs_the_same(exchange: Exchange) -> None:
    trader = trader_open(cash="9000.00", shares={"AAPL": 5})
    order = trader.buy(3, "99.00")
    trader.sell(2, "101.00")
    exchange.run()
    at = db_now().isoformat()
    text = said(at, "--account", str(trader.account_id))
    assert re.search(r"held +297.00\n +buying power +8,703.00", text)
    assert f"{order.order_id}  BUY 3 AAPL LIMIT DAY" in text
    facts = json.loads(said(at, "--account", str(trader.account_id), "--json"))
    assert (facts["buying_power"], facts["held_shares"]) == ("8703.00", {"AAPL": 2})
    assert facts["positions"][0]["average_cost"] == "90.0000"
    facts = json.loads(said(at, "--order", str(order.order_id), "--json"))
    assert (facts["order"]["status"], facts["order"]["held_cash"]) == ("NEW", "297.00")
    assert "status          NEW" in said(at, "--order", str(order.order_id))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2026-01-08T10:00:00Z"], "Name an order"),
        (["2026-01-08T10:00:00", "--account", "1"], "no time zone"),
        (["yesterday", "--account", "1"], "no instant"),
        (["2200-01-08T10:00:00Z", "--account", "1"], "still to come"),
        (["2026-01-08T10:00:00Z", "--account", "1"], "No event"),
        (["2026-01-08T10:00:00Z", "--order", "mine"], "name the account"),
        (["2026-01-08T10:00:00Z", "--order", "99999999999999999999"], "name the account"),
    ],
)
def test_bad_questions_get_a_clear_answer(database: None, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        said(*arguments)
