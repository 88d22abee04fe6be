"""An export is what was written, proves it to whoever gets it, and is there whole or not at all."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.audit.checking import export_check
from apps.audit.exports import MANIFEST
from apps.audit.services import export
from apps.audit.services.export import export_make
from apps.events.facts import SYSTEM
from apps.events.types import EventType
from apps.operations.services.busting import trade_bust
from apps.primitives.clock import unix_ns
from apps.primitives.errors import Conflict, Invalid, NotFound
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from apps.primitives.ids import id_time
from apps.trades.models import Trade
from tests.audit.exported import anchors, values, wanted
from tests.support.builders import trader_open
from tests.support.chain import events_append, events_list, events_seal, events_write, session_open
from tests.support.event_schemas import event_problems
from tests.support.history import db_now
from tests.support.matching import Exchange

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


def test_an_export_of_a_period_is_every_event_byte_for_byte_and_proves_itself(made: Path) -> None:
    written = [event.value() for event in events_list() if event.event_type != EventType.AUDIT_EXPORTED]
    assert sorted(values(made)) == sorted(written)
    checked = export_check(made, anchors())
    assert (checked.lines, checked.proved, checked.anchored, checked.problems) == (60, 60, 1, [])
    manifest = json.loads((made / MANIFEST).read_text())
    assert manifest["first_event"] == json.loads(values(made)[0])["event_id"]
    assert manifest["last_block"]["block_no"] == checked.blocks


def test_an_export_of_one_user_or_account_has_theirs_alone_with_the_blocks_they_are_in(
    sealed: int, tmp_path: Path
) -> None:
    made = export_make(wanted(user_id=3), tmp_path / "user")
    expected = sorted(event.value() for event in events_list() if event.user_id == 3)
    assert sorted(values(made.folder)) == expected
    assert export_check(made.folder, anchors()).proved == len(expected)
    again = export_make(wanted(account_id=3), tmp_path / "account")
    assert sorted(values(again.folder)) == expected


def test_the_blocks_of_a_period_have_no_gap_where_ids_are_not_in_commit_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two blocks of the period the chain has one whose event was written before it."""
    monkeypatch.setattr(export, "CLOCK", timedelta(0))
    with session_open() as first, session_open() as second:
        for session in (first, second):
            session.execute("SELECT pg_current_xact_id()")
        events_append(second, 1)
        second.commit()
        begin = db_now()
        events_append(first, 1)
    events_write(1)
    events_seal(batch_events_max=1)
    made = export_make(wanted(first=begin), tmp_path / "some")
    assert (made.events, made.blocks) == (2, 3)
    assert export_check(made.folder, anchors()).problems == []


def test_an_archived_event_is_exported_for_whom_its_own_bytes_name(
    monkeypatch: pytest.MonkeyPatch, sealed: int, tmp_path: Path
) -> None:
    """What an archive puts before an event's bytes no block proves."""
    lines = [
        (event.xact_id, event.id, 3, event.value()) for event in sorted(events_list(), key=lambda e: e.id)
    ]
    monkeypatch.setattr(export, "archives_within", lambda low, high: [None])
    monkeypatch.setattr(export, "archive_lines", lambda archive, low, high: iter(lines))
    monkeypatch.setattr(export, "EVENTS_SQL", "COPY (SELECT 1 WHERE false AND {user_id} = 0) TO STDOUT")
    made = export_make(wanted(user_id=3), tmp_path / "theirs")
    assert {json.loads(value)["user_id"] for value in values(made.folder)} == {3}
    assert made.events == 12 and export_check(made.folder, anchors()).problems == []


def test_a_period_takes_its_first_instant_and_not_its_last(sealed: int, tmp_path: Path) -> None:
    times = sorted(event.timestamp for event in events_list())
    made = export_make(wanted(first=times[10], until=times[20]), tmp_path / "some")
    assert made.events == 10
    assert [datetime.fromisoformat(json.loads(v)["timestamp"]) for v in values(made.folder)] == times[10:20]
    assert export_check(made.folder, {}).problems == []


def test_what_is_not_sealed_yet_is_exported_and_said_to_be_without_proof(sealed: int, tmp_path: Path) -> None:
    events_write(4)
    made = export_make(wanted(), tmp_path / "young")
    checked = export_check(made.folder, {})
    assert (made.events, checked.proved, checked.unsealed, checked.problems) == (64, 60, 4, [])


def test_who_takes_whose_events_is_on_record(sealed: int, tmp_path: Path) -> None:
    made = export_make(wanted(user_id=3), tmp_path / "theirs")
    told = next(event for event in events_list() if event.event_type == EventType.AUDIT_EXPORTED)
    assert event_problems(told.value()) == []
    assert (told.user_id, told.account_id) == (0, None)
    data = told.data
    assert (data["of_user_id"], data["of_account_id"], data["with_surveillance"]) == (3, None, False)
    assert (data["manifest_sha256"], data["events"]) == (made.manifest_sha256, made.events)
    assert data["folder"] == str(made.folder) and "@" in data["operator"]


def test_somebody_elses_folder_in_the_way_is_refused_and_left_alone(sealed: int, tmp_path: Path) -> None:
    theirs, aside = tmp_path / "theirs", tmp_path / ".made.aside"
    theirs.mkdir()
    (theirs / "precious").write_text("kept")
    aside.symlink_to(theirs)
    with pytest.raises(Conflict, match="move it away"):
        export_make(wanted(), tmp_path / "made")
    aside.unlink()
    aside.mkdir()
    (aside / "link").symlink_to(theirs / "precious")
    with pytest.raises(Conflict, match="move it away"):
        export_make(wanted(), tmp_path / "made")
    assert (theirs / "precious").read_text() == "kept" and (aside / "link").is_symlink()
    (tmp_path / "made").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Conflict, match="never written over"):
        export_make(wanted(), tmp_path / "made")


def test_an_export_is_never_written_over_and_impossible_ones_are_refused(made: Path, tmp_path: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in made.iterdir())
    with pytest.raises(Conflict, match="never written over"):
        export_make(wanted(), made)
    assert sorted(path.stat().st_mtime_ns for path in made.iterdir()) == before
    now = db_now()
    for bad in (
        wanted(first=now, until=now - timedelta(seconds=1)),
        wanted(until=now + timedelta(hours=1)),
        wanted("cat", reporter="TOO LONG"),
    ):
        with pytest.raises(Invalid):
            export_make(bad, tmp_path / "bad")
    for nobody, said in (({"user_id": 99}, "no user 99"), ({"account_id": 99}, "no account 99")):
        with pytest.raises(NotFound, match=said):
            export_make(wanted(**nobody), tmp_path / "bad")
    empty = {"first": now - timedelta(days=9), "until": now - timedelta(days=8)}
    with pytest.raises(NotFound, match="no such event in the period"):
        export_make(wanted(**empty), tmp_path / "bad")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]


def test_an_export_that_dies_leaves_no_export_and_the_next_begins_again(
    sealed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: failpoints_arm(""))
    failpoints_arm("export.before_rename=raise")
    with pytest.raises(FailpointHit):
        export_make(wanted(), tmp_path / "made")
    assert not list(tmp_path.iterdir())
    failpoints_arm("")
    aside = tmp_path / ".made.aside"
    aside.mkdir()
    (aside / "events-2020-01-01.jsonl.gz").write_bytes(b"what a process that was killed has left")
    made = export_make(wanted(), tmp_path / "made").folder
    assert export_check(made, anchors()).problems == []
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_two_exports_to_one_place_do_not_mix(
    sealed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def second(name: str, **facts: Any) -> None:
        monkeypatch.undo()
        with pytest.raises(Conflict, match="by another process") as error:
            export_make(wanted(), tmp_path / "made")
        refused.append(error)

    monkeypatch.setattr(export, "failpoint", second)
    made = export_make(wanted(), tmp_path / "made").folder
    assert refused
    assert export_check(made, anchors()).problems == []


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in values(folder, "cat")]


def test_an_orders_life_as_the_consolidated_audit_trail_takes_it(exchange: Exchange, tmp_path: Path) -> None:
    """A limit order is placed, replaced, partly filled and cancelled; a stop is triggered."""
    seller, buyer = trader_open(shares={"AAPL": 50}), trader_open(cash="90000.00")
    first = buyer.buy(10, "99.00")
    exchange.run()
    second = buyer.replace(first, quantity=8, price="99.50")
    exchange.run()
    stop = seller.stop("sell", 2, "99.60")
    exchange.run()
    sold = seller.sell(3, "99.50")
    exchange.run()
    exchange.run()
    buyer.cancel(second)
    exchange.run()
    made = export_make(wanted("cat"), tmp_path / "cat")
    told = records(made.folder)
    assert {(r["actionType"], r["CATReporterIMID"]) for r in told} == {("NEW", "OPEN1")}
    assert len({r["firmROEID"] for r in told}) == len(told)
    bought = [r["type"] for r in told if r.get("orderID") in (str(first.order_id), str(second.order_id))]
    assert bought == ["MENO", "MEOMR", "MEOM", "MEOCR", "MEOC"]
    modified = next(r for r in told if r["type"] == "MEOM")
    assert (modified["orderID"], modified["priorOrderID"]) == (str(second.order_id), str(first.order_id))
    assert (modified["price"], modified["leavesQty"]) == (Decimal("99.5000"), 8)
    cancelled = next(r for r in told if r["type"] == "MEOC")
    assert (cancelled["cancelQty"], cancelled["leavesQty"], cancelled["initiator"]) == (3, 0, "C")
    trades = [r for r in told if r["type"] == "MEOT"]
    assert [(t["quantity"], t["price"], t["sideDetailsInd"]) for t in trades] == [
        (3, Decimal("99.5000"), "NA"),
        (2, Decimal("99.5000"), "NA"),
    ]
    assert trades[0]["sellDetails"] == [
        {"orderKeyDate": id_time_ns(sold.order_id), "orderID": str(sold.order_id), "side": "SL"}
    ]
    assert [r["type"] for r in told if r.get("orderID") == str(stop.order_id)] == ["MENO", "MEOE"]
    assert b"e-" not in b"".join(values(made.folder, "cat")), "figures are written out"
    theirs = records(export_make(wanted("cat", account_id=seller.account_id), tmp_path / "one").folder)
    assert [t["sideDetailsInd"] for t in theirs if t["type"] == "MEOT"] == ["SELL", "SELL"]
    assert export_check(made.folder, {}).problems == []
    said = StringIO()
    call_command("audit_export", check=made.folder, stdout=said)
    assert "proved by none" in said.getvalue()


def test_a_bust_is_told_as_the_cancellation_of_its_trade(exchange: Exchange, tmp_path: Path) -> None:
    seller, buyer = trader_open(shares={"AAPL": 5}), trader_open(cash="1000.00")
    seller.sell(5, "100.00")
    buyer.buy(5, "100.00")
    exchange.run()
    trade_bust(trade_id=Trade.objects.get().trade_id, reason="Price was an error", origin=SYSTEM)
    told = records(export_make(wanted("cat"), tmp_path / "cat").folder)
    made, busted = (r for r in told if r["type"] == "MEOT")
    assert (made["cancelFlag"], busted["cancelFlag"], busted["sideDetailsInd"]) == (False, True, "NA")
    assert "cancelTimestamp" not in made
    assert busted["cancelTimestamp"] > busted["eventTimestamp"]
    same = {name for name in made if name not in ("firmROEID", "cancelFlag")}
    assert {name: made[name] for name in same} == {name: busted[name] for name in same}


def id_time_ns(order_id: int) -> int:
    return unix_ns(id_time(order_id))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Say what to export"),
        (["--user", "1"], "Say where to"),
        (["--user", "1", "--out", "x", "--form", "cat"], "needs --reporter"),
        (["--period", "2026-01-08", "2026-01-09T00:00:00Z", "--out", "x"], "says no time zone"),
        (["--check", "/nonexistent"], "is no export"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as error:
        call_command("audit_export", *arguments)
    assert error.value.returncode == (1 if "time zone" in said else 2)
