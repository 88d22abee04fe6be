"""F25, F26 and F27: snapshots that are damaged, strange or half written, and a journal with a hole in it."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.matching.snapshots import snapshot_path, snapshot_seq, snapshots_list
from tests.faults.conftest import ROUNDS
from tests.support.builders import Trader
from tests.support.house import House, Load, until
from tests.support.processes import Child

CRASHED = 70


def folder(house: House) -> Path:
    return house.place.folder / "snapshots"


def snapshots(house: House) -> list[Path]:
    return snapshots_list(folder(house), 0)


def traded_until_snapshots(house: House, traders: list[Trader], count: int, **more: str) -> Child:
    """Let a leader trade under load until it has written so many snapshots, and end it by SIGKILL."""
    leader = house.leader(**more)
    with Load(house, traders, seed=25):
        until(lambda: len(snapshots(house)) >= count, "snapshots are written")
        time.sleep(0.2)
        leader.kill()
    return leader


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def of_a_strange_version(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[8] ^= 0xFF
    path.write_bytes(raw)


def of_another_partition(path: Path) -> None:
    raw = path.read_bytes()
    strange = path.parent.parent / "1" / path.name
    strange.parent.mkdir(exist_ok=True)
    strange.write_bytes(raw)
    changed = bytearray(raw)
    changed[10] ^= 1
    path.write_bytes(changed)


def newer_than_committed(path: Path) -> None:
    epoch = int(path.stem.split("-")[0])
    path.rename(snapshot_path(path.parent.parent, 0, epoch, snapshot_seq(path) + 1_000_000))


DAMAGES = [truncated, flipped, newer_than_committed]
MORE_DAMAGES = [emptied, of_a_strange_version, of_another_partition]


@pytest.mark.parametrize("damage", DAMAGES + MORE_DAMAGES * (ROUNDS > 0))
def test_a_snapshot_that_is_not_what_it_should_be_is_passed_over(
    house: House, traders: list[Trader], damage: Callable[[Path], None]
) -> None:
    """F25 and F26: the one before it is taken, or the open orders: the next leader trades on."""
    traded_until_snapshots(house, traders, 2)
    damage(snapshots(house)[0])
    leader = house.leader()
    with Load(house, traders, seed=26):
        time.sleep(0.3)
    house.books_hold()
    assert leader.is_alive
    warm = next(line for line in leader.log.splitlines() if "is warm" in line)
    assert "snapshot" in warm, "the older snapshot was good"


def test_without_one_good_snapshot_the_open_orders_are_enough(house: House, traders: list[Trader]) -> None:
    """F25: all of them are damaged."""
    traded_until_snapshots(house, traders, 2)
    for path in snapshots(house):
        flipped(path)
    leader = house.leader()
    house.books_hold()
    warm = next(line for line in leader.log.splitlines() if "is warm" in line)
    assert "open orders" in warm


@pytest.mark.parametrize("point", ["snapshot.mid_write", "snapshot.before_rename"])
def test_a_leader_killed_while_it_writes_a_snapshot_leaves_the_last_good_one(
    house: House, traders: list[Trader], point: str
) -> None:
    """F26: half a file under no name that anybody reads."""
    leader = house.leader(failpoints=f"{point}=kill@2")
    with Load(house, traders, seed=27):
        assert leader.exit_code() == -signal.SIGKILL
    assert len(snapshots(house)) == 1
    successor = house.leader()
    until(lambda: "from snapshot" in successor.log, "the successor says what it recovered from")
    with Load(house, traders, seed=28):
        until(lambda: len(snapshots(house)) >= 2, "the successor writes snapshots")
    house.books_hold()
    assert list(folder(house).rglob("*.part")) == []


def test_a_disk_that_takes_no_snapshot_stops_no_trading(house: House, traders: list[Trader]) -> None:
    """F23: a snapshot that cannot be written is logged; the last good one stays, and trading goes on."""
    leader = house.leader(failpoints="snapshot.mid_write=raise@2")
    with Load(house, traders, seed=23):
        until(lambda: "was not written" in leader.log, "a snapshot fails")
        time.sleep(0.3)
    house.books_hold()
    assert leader.is_alive
    assert len(snapshots(house)) == 1


def test_a_hole_in_the_journal_halts_and_nobody_guesses(house: House, traders: list[Trader]) -> None:
    """F27: a row after the snapshot is missing: every would-be leader ends, until the row is back."""
    traded_until_snapshots(house, traders, 1)
    newest = max(snapshot_seq(path) for path in snapshots(house))
    leader_seq = house.rows("SELECT seq FROM matching_leader")[0][0]
    assert leader_seq > newest, "there is a tail"
    with house.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("CREATE TABLE taken_out (LIKE matching_journal)")
        taken_out = "DELETE FROM matching_journal WHERE seq = %s RETURNING *"
        connection.execute(f"WITH t AS ({taken_out}) INSERT INTO taken_out SELECT * FROM t", (newest + 1,))
    try:
        for _ in range(2):
            would_be = house.runner()
            assert would_be.exit_code() == CRASHED
            assert "journal" in would_be.log
        assert house.rows("SELECT seq FROM matching_leader")[0][0] == leader_seq, "nothing was traded"
    finally:
        with house.connect() as connection:
            connection.execute("INSERT INTO matching_journal SELECT * FROM taken_out")
            connection.execute("DROP TABLE taken_out")
    house.leader()
    house.sent(traders[0].buy(1, "99.00"))
    house.books_hold()
