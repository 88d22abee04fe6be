"""A snapshot file is written whole or not at all, and one that is not whole, or not ours, is never used."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from apps.matching import snapshots
from apps.matching.codes import COMMAND_DTYPE, CommandKind, OrdType, Side, TimeInForce
from apps.matching.native import NativeEngine, snapshot_facts
from apps.matching.snapshots import (
    Committed,
    SnapshotHeader,
    SnapshotRefused,
    Snapshotter,
    snapshot_path,
    snapshot_read,
    snapshot_write,
    snapshots_list,
    snapshots_prune,
)
from brokerage.env import ROOT

COMMITTED = Committed(epoch=5, seq=90, hash_seq=80, state_hash="0" * 16)

WRITER = """
import sys
from pathlib import Path
import brokerage.settings.testing  # arms what the environment names
from apps.matching.snapshots import Snapshotter
from tests.matching.test_snapshot_files import engine_with
snapshotter = Snapshotter(Path(sys.argv[1]), 0)
snapshotter.take(engine_with(2_000), 5, 75)
snapshotter.wait()
"""


def engine_with(orders: int, stops: int = 1) -> NativeEngine:
    """Return an engine with so many resting bids and so many stops below them."""
    records = np.zeros(orders + stops, dtype=COMMAND_DTYPE)
    numbers = np.arange(1, orders + stops + 1)
    records["seq"] = records["order_id"] = records["owner"] = numbers
    records["kind"], records["symbol_id"], records["quantity"] = CommandKind.NEW, 1, 10
    records["side"], records["ord_type"], records["tif"] = Side.BUY, OrdType.LIMIT, TimeInForce.GTC
    records["price"] = 1_000_000 - 100 * numbers
    waiting = records[orders:]
    waiting["side"], waiting["ord_type"] = Side.SELL, OrdType.STOP
    waiting["stop_price"], waiting["price"] = 500_000, 400_000
    engine = NativeEngine(max_orders=10_000, max_books=4)
    engine.process(records)
    assert engine.order_count() == orders + stops
    return engine


def header_of(content: bytes, **fields: int) -> SnapshotHeader:
    facts = snapshot_facts(content)
    header = SnapshotHeader(0, 5, 70, facts.order_count, facts.state_hash, len(content))
    return header._replace(**fields)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A good file of a small engine."""
    content = engine_with(3).snapshot()
    return snapshot_write(tmp_path, header_of(content), content)


def is_refused(path: Path) -> bool:
    try:
        snapshot_read(path, 0, COMMITTED)
    except SnapshotRefused:
        return True
    return False


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "0").iterdir())


def test_what_is_read_is_what_was_written_and_only_its_owner_may(written: Path) -> None:
    header, content = snapshot_read(written, 0, COMMITTED)
    engine = NativeEngine(max_orders=10, max_books=4)
    engine.load(content)
    assert (header.seq, header.epoch, header.order_count) == (70, 5, 4)
    assert engine.state_hash() == engine_with(3).state_hash() == header.state_hash
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.parent.stat().st_mode & 0o777 == 0o700


def test_every_truncation_is_refused(written: Path) -> None:
    whole = written.read_bytes()
    taken = []
    for length in range(len(whole)):
        written.write_bytes(whole[:length])
        if not is_refused(written):
            taken.append(length)
    assert taken == []
    written.write_bytes(whole + b"\0")
    assert is_refused(written)
    written.write_bytes(whole)
    assert not is_refused(written)


def test_every_single_bit_flip_is_refused(written: Path) -> None:
    whole = bytearray(written.read_bytes())
    taken = []
    for at in range(8 * len(whole)):
        whole[at // 8] ^= 1 << at % 8
        written.write_bytes(whole)
        if not is_refused(written):
            taken.append(at)
        whole[at // 8] ^= 1 << at % 8
    assert taken == []


def test_damage_is_named_by_its_block(tmp_path: Path) -> None:
    content = engine_with(3_000).snapshot()
    assert len(content) > 2 * snapshots.BLOCK_BYTES
    path = snapshot_write(tmp_path, header_of(content), content)
    whole = bytearray(path.read_bytes())
    whole[48 + snapshots.BLOCK_BYTES + 7] ^= 1
    path.write_bytes(whole)
    with pytest.raises(SnapshotRefused, match="damaged in its block 2"):
        snapshot_read(path, 0, COMMITTED)


REFUSALS: list[tuple[dict[str, int], Committed, str]] = [
    ({"matching_partition": 1}, COMMITTED, "is of partition 1, not 0"),
    ({"seq": 69}, COMMITTED, "not what its name says"),
    ({"epoch": 4}, COMMITTED, "not what its name says"),
    ({}, COMMITTED._replace(seq=69), "newer than what is committed: 70 is after 69"),
    ({}, COMMITTED._replace(epoch=4), "is of epoch 5, and the newest is 4"),
    ({}, COMMITTED._replace(hash_seq=69), "cannot be proved"),
    ({}, COMMITTED._replace(state_hash=""), "cannot be proved"),
]


@pytest.mark.parametrize(("fields", "committed", "reason"), REFUSALS)
def test_a_file_that_is_not_of_this_partitions_past_says_why_it_is_refused(
    tmp_path: Path, fields: dict[str, int], committed: Committed, reason: str
) -> None:
    content = engine_with(3).snapshot()
    path = snapshot_write(tmp_path, header_of(content, **fields), content)
    renamed = snapshot_path(tmp_path, 0, 5, 70)
    renamed.parent.mkdir(exist_ok=True)
    path.rename(renamed)
    with pytest.raises(SnapshotRefused, match=reason):
        snapshot_read(renamed, 0, committed)


@pytest.mark.parametrize(
    ("name", "value", "reason"), [("VERSION", 2, "version 2"), ("MAGIC", b"OTHERBOX", "no sn")]
)
def test_another_format_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object, reason: str
) -> None:
    content = engine_with(3).snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, name, value)
        path = snapshot_write(tmp_path, header_of(content), content)
    with pytest.raises(SnapshotRefused, match=reason):
        snapshot_read(path, 0, COMMITTED)


def test_a_file_that_cannot_be_read_is_refused(written: Path) -> None:
    written.unlink()
    written.mkdir()
    with pytest.raises(SnapshotRefused, match="cannot be read"):
        snapshot_read(written, 0, COMMITTED)


def test_files_are_listed_newest_first_and_strangers_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    folder.mkdir()
    for name in ("5-9", "4-100", "5-10", "x-1", "5", "5-6-7", "-1-2", "٣-٤"):
        (folder / f"{name}.snapshot").touch()
    assert [path.stem for path in snapshots_list(tmp_path, 0)] == ["4-100", "5-10", "5-9"]
    assert snapshots_list(tmp_path, 7) == []


def test_the_newest_three_are_kept_and_only_what_can_be_ours_is_thinned_out(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    folder.mkdir()
    for name in ("1-10", "2-20", "3-30", "3-40", "2-900", "9-35", "9-950"):
        (folder / f"{name}.snapshot").touch()
    snapshots_prune(tmp_path, 0, epoch=3, seq=40)
    left = {path.stem for path in snapshots_list(tmp_path, 0)}
    assert left == {"2-20", "3-30", "3-40", "9-35", "9-950"}


def test_one_is_due_when_something_changed_and_a_second_has_passed(tmp_path: Path) -> None:
    waiting: list[Callable[[], None]] = []

    def run(act: Callable[[], None]) -> Callable[[], None]:
        waiting.append(act)
        return lambda: None

    snapshotter, engine = Snapshotter(tmp_path, 0, clock=lambda: 0.0, run=run), engine_with(3)
    assert not snapshotter.due(100.0, 7)
    assert not snapshotter.due(100.9, 7)
    assert snapshotter.due(101.0, 7)
    assert snapshotter.take(engine, 5, 7) == engine.state_hash()
    assert not snapshotter.due(105.0, 8), "one at a time"
    waiting.pop()()
    assert not snapshotter.due(106.0, 7), "nothing changed"
    assert snapshotter.due(107.0, 8)
    assert names(tmp_path) == ["5-7.snapshot"]


def test_large_books_are_taken_less_often(tmp_path: Path) -> None:
    times = iter([10.0, 10.4])
    snapshotter = Snapshotter(tmp_path, 0, clock=lambda: next(times), run=lambda act: act() or (lambda: None))
    snapshotter.due(0.0, 7)
    assert snapshotter.due(10.0, 7)
    snapshotter.take(engine_with(3), 5, 7)
    assert not snapshotter.due(17.9, 8), "0.4 s are to be 5 % of the time at most"
    assert snapshotter.due(18.1, 8)


def test_without_a_thread_trading_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def run(act: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("can't start new thread")

    snapshotter, engine = Snapshotter(tmp_path, 0, run=run), engine_with(3)
    snapshotter.due(0.0, 7)
    assert snapshotter.due(1.0, 7)
    assert snapshotter.take(engine, 5, 7) == engine.state_hash()
    assert "was not written, the last good one stays: can't start new thread" in caplog.text
    assert not snapshotter.due(10.9, 8), "ten seconds of rest"
    assert snapshotter.due(11.1, 8)


def test_without_memory_or_disk_trading_goes_on_and_the_last_good_file_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Poor(NativeEngine):
        def snapshot(self) -> bytes:
            raise MemoryError

    snapshotter = Snapshotter(tmp_path, 0)
    snapshotter.take(engine_with(3), 5, 70)
    snapshotter.wait()
    assert snapshotter.take(Poor(max_orders=1, max_books=1), 5, 71) is None
    with file_limit(200):
        snapshotter.take(engine_with(100), 5, 72)
        snapshotter.wait()
    assert names(tmp_path) == ["5-70.snapshot"]
    assert not is_refused(snapshot_path(tmp_path, 0, 5, 70))
    assert "the last good one stays: [Errno 27]" in caplog.text
    snapshotter.take(engine_with(100), 5, 73)
    snapshotter.wait()
    assert names(tmp_path) == ["5-70.snapshot", "5-73.snapshot"]


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 128 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], capture_output=True
        )
        if done.returncode != 0:
            pytest.skip(f"nothing may be mounted here: {done.stderr.decode().strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_nothing_and_replaces_nothing(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    snapshotter = Snapshotter(small_disk, 0)
    snapshotter.take(engine_with(100), 5, 70)
    snapshotter.wait()
    for seq in (71, 72):
        snapshotter.take(engine_with(5_000), 5, seq)
        snapshotter.wait()
    assert names(small_disk) == ["5-70.snapshot"]
    assert not is_refused(snapshot_path(small_disk, 0, 5, 70))
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize("point", ["snapshot.mid_write", "snapshot.before_rename"])
def test_a_kill_while_writing_leaves_the_last_good_file_and_the_next_write_cleans_up(
    tmp_path: Path, written: Path, point: str
) -> None:
    hits = tmp_path / "hits"
    hits.mkdir()
    given = {"OPENBELL_FAILPOINT_HITS": str(hits), **os.environ, "OPENBELL_FAILPOINTS": f"{point}=kill"}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    killed = subprocess.run(command, cwd=ROOT, env=given, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (Path(given["OPENBELL_FAILPOINT_HITS"]) / point).exists()
    assert names(tmp_path) == ["5-70.snapshot", "5-75.part"]
    assert snapshots_list(tmp_path, 0) == [written]
    assert not is_refused(written)
    snapshotter = Snapshotter(tmp_path, 0)
    snapshotter.take(engine_with(4), 6, 75)
    snapshotter.wait()
    assert names(tmp_path) == ["5-70.snapshot", "6-75.snapshot"]
