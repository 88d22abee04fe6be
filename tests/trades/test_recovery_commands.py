"""What an operator asks: how would the books be recovered, and does the journal make the trades?"""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.matching.leader import leadership_hash
from apps.matching.recovery import engine_begin
from apps.matching.replay import JournalBroken
from apps.matching.snapshots import Committed, Snapshotter, snapshots_list
from apps.trades.models import Trade
from apps.trades.worker import engine_make
from tests.support.builders import Trader, trader_open
from tests.support.databases import tampered
from tests.support.matching import Exchange


@pytest.fixture
def folder(exchange: Exchange, tmp_path: Path, settings: Any) -> Path:
    """A morning: ten trades, a snapshot, ten more, two orders that rest; returns the snapshots' folder."""
    settings.MATCHING_SNAPSHOT_DIR = tmp_path
    buyer, seller = trader_open(cash="200000.00"), trader_open(shares={"AAPL": 1_000})
    trades_make(exchange, buyer, seller)
    leadership, snapshotter = exchange.runner.leadership, Snapshotter(tmp_path, 0)
    state_hash = snapshotter.take(exchange.runner.engine, leadership.epoch, leadership.seq)
    snapshotter.wait()
    assert state_hash
    with exchange.connection.cursor() as cursor:
        leadership_hash(cursor, leadership, state_hash)
    trades_make(exchange, buyer, seller)
    assert Trade.objects.count() == 20
    return tmp_path


def trades_make(exchange: Exchange, buyer: Trader, seller: Trader) -> None:
    for _ in range(10):
        seller.sell(3, "100.00")
        buyer.buy(3, "100.50")
    buyer.buy(5, "99.00")
    exchange.run()


def said(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def refused(command: str, *arguments: str) -> str:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(command, *arguments, stdout=out)
    assert ended.value.code == 1
    return out.getvalue()


def test_recover_says_where_from_how_many_and_how_the_books_hash(exchange: Exchange, folder: Path) -> None:
    state_hash = f"{exchange.runner.engine.state_hash():016x}"
    told = said("matching_recover")
    assert re.search(rf"from snapshot: 2 orders at sequence 42, books hash {state_hash}$", told.strip())
    snapshots_list(folder, 0)[0].unlink()
    assert f"from open orders: 2 orders at sequence 42, books hash {state_hash}" in said("matching_recover")
    assert exchange.runner.leadership.epoch == 1, "nobody led"


def test_explain_goes_both_roads_and_names_what_was_refused_and_why(exchange: Exchange, folder: Path) -> None:
    good = snapshots_list(folder, 0)[0]
    good.with_stem("1-40").write_bytes(good.read_bytes())
    told = said("matching_recover", "--explain")
    for line in (
        "partition 0: epoch 1, committed to 42, the leader's last hash",
        "refused 1-40.snapshot: it is of epoch 1 and sequence 21, not what its name says",
        "loaded 1-21.snapshot with 1 orders",
        "applied the 21 commands from there to 42",
        "read 2 open orders at sequence 42",
        "a leader would begin from the snapshot",
        "both roads lead to the same books",
    ):
        assert line in told
    good.write_bytes(b"")
    told = said("matching_recover", "--explain")
    assert "there is no good snapshot" in told
    assert "a leader would begin from the open orders" in told


def test_explain_tells_roads_that_lead_to_different_books(exchange: Exchange, folder: Path) -> None:
    worse = "UPDATE orders SET price = {} WHERE status = 'NEW' AND price = {}"
    with tampered(worse.format("98.00", "99.00"), worse.format("99.00", "98.00")):
        with pytest.raises(CommandError, match="DIFFERENT books"):
            said("matching_recover", "--explain")


def test_replay_proves_every_trade_or_those_of_a_range(folder: Path) -> None:
    assert said("matching_replay").splitlines() == [
        "from an empty engine at sequence 0, comparing 1 to 42",
        "the 20 trades are the ones that were booked",
    ]
    assert "from snapshot at sequence 21, comparing 25 to 30" in said(
        "matching_replay", "--from", "25", "--to", "30"
    )
    assert "from an empty engine at sequence 0, comparing 11 to 20" in said(
        "matching_replay", "--from", "11", "--to", "20"
    )


TAMPERINGS: dict[str, Callable[[Trade], tuple[str, str]]] = {
    "price": lambda trade: ("price = price + 0.01", "price = price - 0.01"),
    "quantity": lambda trade: ("quantity = 4", "quantity = 3"),
    "order": lambda trade: ("buy_order_id = 7", f"buy_order_id = {trade.buy_order_id}"),
    "side": lambda trade: ("aggressor_side = 'SELL'", "aggressor_side = 'BUY'"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_replay_names_the_first_trade_that_was_changed(folder: Path, what: str) -> None:
    trade = Trade.objects.order_by("match_seq")[13]
    change, undo = TAMPERINGS[what](trade)
    of_it = f" WHERE trade_id = {trade.trade_id}"
    with tampered(f"UPDATE trades SET {change}{of_it}", f"UPDATE trades SET {undo}{of_it}"):
        told = refused("matching_replay").splitlines()
        assert told[1] == "13 trades are the ones that were booked, then they part"
        place = f"{trade.match_seq}/{trade.match_n}: "
        assert told[2].startswith(f"replayed  {place}3 of instrument 1 at 100.0000, ")
        assert told[3].startswith(f"booked    {place}")
        assert told[2].removeprefix("replayed") != told[3].removeprefix("booked")
        assert "the 12 trades" in said("matching_replay", "--to", str(trade.match_seq - 3))


def test_replay_names_a_trade_that_is_missing_or_was_invented(folder: Path) -> None:
    trade = Trade.objects.order_by("match_seq")[13]
    of_it = f"WHERE trade_id = {trade.trade_id}"
    keep = f"CREATE TABLE kept AS SELECT * FROM trades {of_it}; DELETE FROM trades {of_it}"
    with tampered(keep, "INSERT INTO trades TABLE kept; DROP TABLE kept"):
        told = refused("matching_replay").splitlines()
        assert told[2].startswith(f"replayed  {trade.match_seq}/")
        assert told[3] == "booked    no such trade"
    move = f"UPDATE trades SET match_n = {{}} {of_it}"
    with tampered(move.format(0), move.format(trade.match_n)):
        told = refused("matching_replay").splitlines()
        assert told[2] == "replayed  no such trade"
        assert told[3].startswith(f"booked    {trade.match_seq}/0: ")


@pytest.mark.parametrize("asked", [("--from", "0"), ("--from", "30", "--to", "28"), ("--to", "43")])
def test_replay_refuses_a_range_beyond_what_is_committed(folder: Path, asked: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="within 1 to 42"):
        said("matching_replay", *asked)


def test_a_broken_journal_is_said_by_both(folder: Path) -> None:
    keep = "CREATE TABLE kept AS SELECT * FROM matching_journal WHERE seq = 30; "
    put_back = "INSERT INTO matching_journal TABLE kept; DROP TABLE kept"
    with tampered(keep + "DELETE FROM matching_journal WHERE seq = 30", put_back):
        with pytest.raises(CommandError, match="cannot be recovered: .* has 31 in place of 30"):
            said("matching_recover")
        with pytest.raises(CommandError, match="journal is broken: .* has 31 in place of 30"):
            said("matching_replay")


def test_a_journal_without_its_beginning_is_replayed_from_a_snapshot(folder: Path) -> None:
    keep = "CREATE TABLE kept AS SELECT * FROM matching_journal WHERE seq < 15; "
    put_back = "INSERT INTO matching_journal TABLE kept; DROP TABLE kept"
    with tampered(keep + "DELETE FROM matching_journal WHERE seq < 15", put_back):
        assert "from snapshot at sequence 21, comparing 22 to 42" in said("matching_replay")
        with pytest.raises(CommandError, match="the journal begins at 15, and no good snapshot"):
            said("matching_replay", "--from", "20")
        snapshots_list(folder, 0)[0].write_bytes(b"damaged")
        with connection.cursor() as cursor, pytest.raises(JournalBroken):
            engine_begin(cursor, 0, engine_make, folder, Committed(1, 42, 42, "0"), None)


def test_a_partition_that_nobody_ever_led_is_empty(exchange: Exchange, settings: Any) -> None:
    settings.MATCHING_PARTITIONS = [0, 3]
    assert "from open orders: 0 orders at sequence 0" in said("matching_recover", "--partition", "3")
    assert "the 0 trades are" in said("matching_replay", "--partition", "3")


@pytest.mark.parametrize("name", ["matching_recover", "matching_replay"])
def test_a_partition_that_does_not_exist_proves_nothing(exchange: Exchange, name: str) -> None:
    with pytest.raises(CommandError, match="choose from 0"):
        said(name, "--partition", "3")
