"""A leader's heart and a standby's ear: what is heard, what is not believed, and whose lateness counts."""

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from openbell_engine.heartbeat import Heart

from apps.matching import heartbeat
from apps.matching.heartbeat import Ear, beating, heart_start, standby_gone, standby_seen, standbys_heard
from tests.support.databases import DATABASES
from tests.support.matching import matching_url

SILENCE_S = 0.05


@pytest.fixture
def ear() -> Ear:
    return Ear(0, "127.0.0.1")


@pytest.fixture
def heart(ear: Ear) -> Iterator[Heart]:
    beats = heart_start(0, 7, 123)
    beats.send_to([("127.0.0.1", ear.port)])
    yield beats
    beats.stop()


def beat(epoch: int = 7, partition: int = 0, progress: int = 0, version: int = 1) -> bytes:
    return struct.pack("<IHHiiQQBB14x", 0x4548424F, version, partition, epoch, 123, 1, progress, 1, 0)


def send(ear: Ear, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", ear.port))


def test_an_ear_that_never_heard_a_beat_is_silent_and_knows_no_leader(ear: Ear) -> None:
    assert ear.listen(0.01, SILENCE_S)
    assert ear.last() is None


def test_a_heart_is_heard_with_who_beats_and_whether_it_has_work(ear: Ear, heart: Heart) -> None:
    heart.busy(True)
    time.sleep(0.01)
    assert not ear.listen(0.05, SILENCE_S)
    heard = ear.last()
    assert heard is not None
    assert (heard.epoch, heard.backend_pid, heard.is_busy) == (7, 123, True)
    assert heard.is_realtime == heart.is_realtime()
    assert heard.silent_s < SILENCE_S


def test_a_heart_that_stops_is_noticed_as_soon_as_the_silence_is_long_enough(ear: Ear, heart: Heart) -> None:
    ear.listen(0.05, SILENCE_S)
    heart.stop()
    began = time.monotonic()
    assert ear.listen(10.0, SILENCE_S)
    assert time.monotonic() - began < 1.0


def test_a_leader_whose_thread_stands_still_is_heard_and_seen_to_stand_still(ear: Ear, heart: Heart) -> None:
    heart.busy(True)
    for _ in range(10):
        heart.tick()
        ear.listen(0.02, SILENCE_S)
        moving = ear.last()
        assert moving is not None and moving.still_s < 0.1
    ear.listen(0.3, SILENCE_S)
    still = ear.last()
    assert still is not None
    assert still.still_s > 0.25
    assert still.silent_s < SILENCE_S


def test_a_late_ear_takes_in_what_waited_before_it_calls_anybody_silent(ear: Ear, heart: Heart) -> None:
    ear.listen(0.05, SILENCE_S)
    time.sleep(SILENCE_S * 6)
    assert not ear.listen(0, SILENCE_S)
    heard = ear.last()
    assert heard is not None and heard.silent_s < SILENCE_S


def test_a_leader_that_leads_no_more_is_not_listened_to(ear: Ear) -> None:
    send(ear, beat(epoch=9, progress=5), beat(epoch=8, progress=6))
    ear.listen(0.02, SILENCE_S)
    heard = ear.last()
    assert heard is not None
    assert (heard.epoch, heard.progress) == (9, 5)


@pytest.mark.parametrize(
    "datagram",
    [b"", b"x", beat()[:-1], beat() + b"x", b"\0" * 48, beat(partition=1), beat(version=2), b"\xff" * 60_000],
    ids=["empty", "short", "cut", "longer", "no magic", "another partition", "another version", "huge"],
)
def test_what_is_no_beat_of_this_partition_is_not_heard(ear: Ear, datagram: bytes) -> None:
    send(ear, datagram)
    assert ear.listen(0.02, SILENCE_S)
    assert ear.last() is None


@pytest.mark.parametrize("address", [("localhost", 1), ("", 1), ("10.0.0", 1)])
def test_a_heart_wants_numeric_addresses_and_keeps_those_it_has(
    ear: Ear, heart: Heart, address: tuple[str, int]
) -> None:
    with pytest.raises(ValueError, match="numeric"):
        heart.send_to([address])
    with pytest.raises(ValueError, match="64"):
        heart.send_to([("127.0.0.1", 1)] * 65)
    ear.listen(0.05, SILENCE_S)
    assert not ear.listen(0.02, SILENCE_S)


def test_every_standby_is_beaten_for(heart: Heart) -> None:
    ears = [Ear(0, "127.0.0.1") for _ in range(3)]
    heart.send_to([("127.0.0.1", ear.port) for ear in ears])
    assert [ear.listen(0.05, SILENCE_S) for ear in ears] == [False] * 3


def test_an_ear_wants_an_address_of_this_machine() -> None:
    with pytest.raises(RuntimeError, match="cannot have its port"):
        Ear(0, "192.0.2.1")
    with pytest.raises(ValueError, match="numeric"):
        Ear(0, "localhost")


def test_long_work_ticks_the_heart_of_its_own_thread_and_no_other() -> None:
    class Counting:
        ticks = 0

        def tick(self) -> None:
            self.ticks += 1

    ours, theirs = Counting(), Counting()
    heartbeat.tick()

    def lead(heart: Counting, times: int) -> None:
        beating(heart)  # type: ignore[arg-type]
        for _ in range(times):
            heartbeat.tick()

    threads = [threading.Thread(target=lead, args=pair) for pair in ((ours, 3), (theirs, 4))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (ours.ticks, theirs.ticks) == (3, 4)


@pytest.mark.django_db(transaction=True, databases=DATABASES)
def test_a_leader_finds_the_standbys_that_were_seen_and_forgets_those_that_went() -> None:
    import psycopg

    ears = [Ear(0, "127.0.0.1") for _ in range(3)]
    with psycopg.connect(matching_url(), autocommit=True) as connection, connection.cursor() as cursor:
        for ear in ears:
            standby_seen(cursor, 0, ear, 5)
        standby_seen(cursor, 0, ears[0], 6)
        standby_seen(cursor, 1, ears[0], 6)
        assert {port for _, port in standbys_heard(cursor, 0)} == {ear.port for ear in ears}
        standby_gone(cursor, 0, ears[0])
        cursor.execute(
            "UPDATE matching_standbys SET seen_at = seen_at - interval '11 s' WHERE port = %s",
            (ears[1].port,),
        )
        assert standbys_heard(cursor, 0) == [("127.0.0.1", ears[2].port)]
        cursor.execute(
            "UPDATE matching_standbys SET seen_at = seen_at - interval '31 s' WHERE port = %s",
            (ears[1].port,),
        )
        standby_seen(cursor, 0, ears[2], 7)
        cursor.execute("SELECT port FROM matching_standbys WHERE matching_partition = 0")
        assert cursor.fetchall() == [(ears[2].port,)], "one that fell silent is no standby that lags"
