"""An export is what was written, proves it to whoever gets it, and is there whole or not at all."""

import gzip
import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from apps.audit import exports
from apps.audit.exports import MANIFEST, export_check, lines_read
from apps.audit.services import export
from apps.audit.services.export import Wanted, events_begin, export_make
from apps.events.anchors import AnchorFiles, anchor_newest
from apps.events.facts import SYSTEM
from apps.operations.services.busting import trade_bust
from apps.primitives.clock import unix_ns
from apps.primitives.errors import Conflict, Invalid, NotFound
from apps.primitives.failpoints import FailpointHit, failpoints_arm
from apps.primitives.ids import Kind, id_time, public_id, public_id_decode
from apps.trades.models import Trade
from tests.support.builders import trader_open
from tests.support.chain import events_list, events_seal, events_write
from tests.support.history import db_now
from tests.support.matching import Exchange

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


def wanted(form: str = "events", **more: Any) -> Wanted:
    period = {"first": events_begin(), "until": db_now()}
    return Wanted(**{"form": form, "reporter": "OPEN1" if form == "cat" else "", **period, **more})


def values(folder: Path, kind: str = "events") -> list[bytes]:
    return [line for path in sorted(folder.glob(f"{kind}-*.gz")) for line in lines_read(path)]


@pytest.fixture
def sealed() -> int:
    """Sixty events of five users, in blocks of seven."""
    events_write(60, users=5)
    return events_seal(batch_events_max=7)


@pytest.fixture
def made(sealed: int, tmp_path: Path) -> Path:
    return export_make(wanted(), tmp_path / "made").folder


def anchors() -> dict[int, bytes]:
    newest = anchor_newest()
    assert newest is not None
    return {newest.block_no: newest.hash}


def test_an_export_of_a_period_is_every_event_byte_for_byte_and_proves_itself(made: Path) -> None:
    assert sorted(values(made)) == sorted(event.value() for event in events_list())
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


def rewritten(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0))


def manifest_follow(folder: Path) -> None:
    """Do what a forger would: make the manifest fit the files."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for facts in manifest["files"]:
        data = (folder / facts["name"]).read_bytes()
        facts["sha256"], facts["lines"] = hashlib.sha256(data).hexdigest(), gzip.decompress(data).count(b"\n")
    (folder / MANIFEST).write_text(json.dumps(manifest))


def next_id(public: str) -> bytes:
    number = public_id_decode(Kind.EVENT, UUID(public))
    return str(public_id(Kind.EVENT, number + 1)).encode()


@pytest.mark.parametrize("with_manifest", [False, True])
@pytest.mark.parametrize("how", ["change", "delete", "insert", "block"])
def test_whatever_is_altered_in_an_export_is_found(
    made: Path, how: str, with_manifest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The events are younger than what is allowed for between a clock and the next.
    monkeypatch.setattr(exports, "CLOCK", timedelta(0))
    (path,) = made.glob("blocks-*" if how == "block" else "events-*")
    lines = list(lines_read(path))
    if how == "change":
        lines[30] = lines[30].replace(b'"n": ', b'"n": 9')
    elif how == "delete":
        del lines[30]
    elif how == "insert":
        forged = json.loads(lines[30])
        lines.insert(31, lines[30].replace(forged["event_id"].encode(), next_id(forged["event_id"])))
    else:
        block = json.loads(lines[3])
        lines[3] = lines[3].replace(block["leaves"][:8].encode(), b"00000000")
    rewritten(path, lines)
    if with_manifest:
        manifest_follow(made)
    assert export_check(made, anchors()).problem_count > 0
    with pytest.raises(SystemExit) as ended:
        call_command("audit_export", check=made)
    assert ended.value.code == 1


def test_a_chain_that_was_made_anew_for_an_export_is_not_the_one_that_was_anchored(
    made: Path, tmp_path: Path
) -> None:
    files = AnchorFiles(tmp_path / "anchors")
    newest = anchor_newest()
    assert newest is not None
    files(newest)
    call_command("audit_export", check=made, anchors=tmp_path / "anchors")
    assert export_check(made, {newest.block_no: bytes(32)}).problems == [
        f"block {newest.block_no} is not the one that was anchored"
    ]


def test_a_file_too_many_and_a_file_too_few_are_found(made: Path) -> None:
    (made / "strange.txt").write_text("hello")
    next(made.glob("events-*")).unlink()
    problems = export_check(made, {}).problems
    assert problems[0] == "strange.txt is not in the manifest"
    assert "cannot be read" in problems[1]


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
    with pytest.raises(NotFound, match="nothing is exported"):
        export_make(wanted(user_id=99), tmp_path / "bad")
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
