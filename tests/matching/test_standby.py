"""A standby follows the committed journal into a warm engine, and leads only with books that hash equal."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection

from apps.events.models import Event
from apps.matching.leader import leadership_hash, machine_name, process_is_ending
from apps.matching.models import MatchingLeader
from apps.matching.ports import Beat
from apps.matching.replay import JournalBroken
from apps.matching.standby import UNHEARD_FACTOR, BooksDiffer, Promotion, Standby
from apps.trades.worker import engine_make
from tests.support.builders import Trader, trader_open
from tests.support.house import until
from tests.support.matching import Exchange


@pytest.fixture
def rival(exchange: Exchange) -> Iterator[Standby]:
    """A standby in the same thread, on a session of its own."""
    with exchange.runner.ports.connect() as session:
        yield Standby(0, exchange.runner.ports, session)


@pytest.fixture
def traders(market: None) -> tuple[Trader, Trader]:
    return trader_open(cash="50000.00"), trader_open(shares={"AAPL": 1_000})


def trade(exchange: Exchange, traders: tuple[Trader, Trader], times: int = 1) -> None:
    """Some orders that rest, trade and are cancelled, batch after batch."""
    buyer, seller = traders
    for _ in range(times):
        seller.sell(3, "100.00")
        order = buyer.buy(5, "100.00")
        exchange.run()
        buyer.cancel(order)
        buyer.buy(1, "99.00")
        exchange.run()


def level(standby: Standby) -> None:
    """Let a standby follow to the end of the journal."""
    for _ in range(100):
        standby.follow_at = 0.0
        assert standby.step() is None
        if standby.engine is not None and standby.is_level:
            return
    raise AssertionError("it never gets level with the journal")


def hash_leave(exchange: Exchange) -> None:
    """Leave the leader's hash for the standbys, as it does each second."""
    runner = exchange.runner
    with exchange.connection.cursor() as cursor:
        leadership_hash(cursor, runner.leadership, runner.engine.state_hash())


def take_over(exchange: Exchange, standby: Standby) -> Promotion:
    """End the leader's session and let the standby find out."""
    exchange.connection.close()

    def promoted() -> Promotion | None:
        standby.lock_at = 0.0
        return standby.step()

    promotion: Promotion = until(promoted, "the standby leads", 5)
    promotion.heart.stop()
    return promotion


def test_a_standby_has_the_leaders_books_all_the_time(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader]
) -> None:
    trade(exchange, traders)
    level(rival)
    warm = rival.engine
    for _ in range(5):
        trade(exchange, traders, times=2)
        level(rival)
        assert rival.engine is warm, "it follows; it does not begin again"
        assert rival.seq == exchange.runner.leadership.seq
        assert rival.engine.state_hash() == exchange.runner.engine.state_hash()


def test_it_takes_over_with_what_it_has_and_the_tail_it_has_not_seen(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader]
) -> None:
    trade(exchange, traders)
    level(rival)
    warm, seen = rival.engine, rival.seq
    trade(exchange, traders)
    books = exchange.runner.engine.state_hash()
    promotion = take_over(exchange, rival)
    assert promotion.engine is warm
    assert promotion.engine.state_hash() == books
    assert promotion.leadership.seq == exchange.runner.leadership.seq > seen
    assert promotion.leadership.epoch == exchange.runner.leadership.epoch + 1
    assert "AAPL" in promotion.symbols.values()


def test_the_epoch_is_committed_before_anything_else_is_done(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader]
) -> None:
    trade(exchange, traders)
    level(rival)
    before, seen = rival.engine.state_hash(), []

    def heart_start(*_: int) -> Any:
        row = MatchingLeader.objects.get()
        seen.append((row.epoch, rival.engine.state_hash()))
        return exchange.runner.heart

    trade(exchange, traders)
    rival.follow_at = float("inf")
    rival.ports = replace(rival.ports, heart_start=heart_start)
    take_over(exchange, rival)
    assert seen == [(exchange.runner.leadership.epoch + 1, before)]


def _session_state(backend_pid: int) -> tuple[int | None, str]:
    time.sleep(0.007)
    with connection.cursor() as cursor:
        cursor.execute("SELECT backend_xmin, state FROM pg_stat_activity WHERE pid = %s", [backend_pid])
        xmin, state = cursor.fetchone()
    return xmin, state


def test_a_standby_waits_until_the_leaders_session_ends_and_holds_no_dead_rows(exchange: Exchange) -> None:
    stopping = threading.Event()
    ports = replace(exchange.runner.ports, stopping=stopping.is_set)
    with ports.connect() as session:
        outcome: list[Promotion | None] = []
        thread = threading.Thread(target=lambda: outcome.append(Standby(0, ports, session).run()))
        thread.start()
        try:
            thread.join(0.3)
            assert not outcome, "two leaders at once"
            seen = [_session_state(session.info.backend_pid) for _ in range(21)]
            # A reading may meet it in the middle of a question; most find it between two.
            assert seen.count((None, "idle")) > len(seen) / 2, f"a snapshot keeps the dead rows: {seen}"
            exchange.connection.close()
            thread.join(5)
        finally:
            stopping.set()
            thread.join(5)
    assert outcome and outcome[0] is not None
    outcome[0].heart.stop()
    assert MatchingLeader.objects.get().epoch == 2


def test_the_lock_is_asked_for_however_often_there_is_something_else_to_do(
    exchange: Exchange, rival: Standby
) -> None:
    level(rival)
    exchange.runner.turn(exchange.connection)
    exchange.connection.close()
    # The heart goes on: only asking tells that the session has ended.
    promotion: Promotion = until(rival.step, "the standby leads", 5)
    promotion.heart.stop()
    assert promotion.leadership.epoch == exchange.runner.leadership.epoch + 1


def test_asked_to_stop_it_leaves_without_leading(exchange: Exchange) -> None:
    ports = replace(exchange.runner.ports, stopping=lambda: True)
    with ports.connect() as session:
        assert Standby(0, ports, session).run() is None
    assert MatchingLeader.objects.get().epoch == exchange.runner.leadership.epoch


def test_equal_hashes_are_compared_at_the_leaders_own_sequence(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader]
) -> None:
    trade(exchange, traders)
    level(rival)
    trade(exchange, traders)
    hash_leave(exchange)
    compared = exchange.runner.leadership.seq
    trade(exchange, traders)
    level(rival)
    assert (rival.checked_seq, rival.differences) == (compared, 0)
    assert rival.seq > compared


def test_books_that_differ_are_thrown_away_and_read_again(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader]
) -> None:
    trade(exchange, traders)
    level(rival)
    spoiled = rival.engine = engine_make()
    trade(exchange, traders)
    hash_leave(exchange)
    level(rival)
    assert rival.engine is not spoiled
    assert rival.engine.state_hash() == exchange.runner.engine.state_hash()
    assert not rival.is_halted


def test_books_that_differ_twice_never_lead(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader], caplog: pytest.LogCaptureFixture
) -> None:
    trade(exchange, traders)
    hash_leave(exchange)
    MatchingLeader.objects.update(state_hash="0123456789abcdef")
    for _ in range(6):
        rival.follow_at = 0.0
        assert rival.step() is None
    assert rival.is_halted
    assert "cannot be trusted" in caplog.text
    event = Event.objects.get(event_type="BOOKS_DIFFER")
    assert (event.topic, event.data["theirs"]) == ("risk-events", "0123456789abcdef")
    exchange.connection.close()
    for _ in range(20):
        rival.lock_at = rival.follow_at = 0.0
        assert rival.step() is None
    assert MatchingLeader.objects.get().epoch == exchange.runner.leadership.epoch


def test_whoever_starts_cold_compares_too(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader]
) -> None:
    trade(exchange, traders)
    hash_leave(exchange)
    MatchingLeader.objects.update(state_hash="0123456789abcdef")
    with pytest.raises(BooksDiffer):
        take_over(exchange, rival)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM matching_journal WHERE seq = (SELECT max(seq) - 1 FROM matching_journal)",
        "DELETE FROM matching_journal WHERE seq = (SELECT max(seq) FROM matching_journal)",
        "UPDATE matching_journal SET record = overlay(record placing '\\x09'::bytea from 1) "
        "WHERE seq = (SELECT max(seq) FROM matching_journal)",
    ],
    ids=["a gap", "an end that is missing", "a record of another sequence"],
)
def test_from_a_broken_journal_nobody_leads(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader], damage: str
) -> None:
    trade(exchange, traders)
    level(rival)
    trade(exchange, traders)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("CREATE TEMP TABLE kept AS SELECT * FROM matching_journal")
        cursor.execute(damage)
    try:
        with pytest.raises(JournalBroken):
            level(rival)
        rival.connection.close()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM matching_journal")
            cursor.execute("INSERT INTO matching_journal SELECT * FROM kept")
            cursor.execute("DROP TABLE kept")
            cursor.execute("SET session_replication_role = origin")


def test_a_leader_finds_a_new_standby_and_beats_for_it(exchange: Exchange, rival: Standby) -> None:
    rival.step()
    exchange.runner.turn(exchange.connection)
    assert rival.ear is not None
    assert not rival.ear.listen(0.5, 0.1)
    beat = rival.ear.last()
    assert beat is not None
    assert (beat.epoch, beat.backend_pid) == (
        exchange.runner.leadership.epoch,
        exchange.connection.info.backend_pid,
    )


class Deaf:
    """An ear that no beat reaches: a firewall, or another network."""

    host, port = "127.0.0.1", 9

    def listen(self, timeout_s: float, silence_s: float) -> bool:
        return True

    def last(self) -> None:
        return None


def test_a_leader_that_is_not_heard_is_ended_only_when_commands_wait_and_nothing_is_committed(
    exchange: Exchange, rival: Standby, traders: tuple[Trader, Trader]
) -> None:
    limit_s = 0.5
    patience = replace(rival.ports.patience, progress_s=limit_s / UNHEARD_FACTOR)
    rival.ports = replace(rival.ports, ear_open=lambda _: Deaf(), patience=patience)
    buyer, _ = traders
    for _ in range(8):
        buyer.buy(1, "90.00")
        time.sleep(0.1)
        exchange.run()
        rival.follow_at = 0.0
        assert rival.step() is None
    time.sleep(limit_s * 1.5)
    for _ in range(5):
        assert rival.step() is None
    exchange.connection.execute("SELECT 'an idle leader is left in peace'")
    buyer.buy(1, "90.00")
    time.sleep(limit_s * 1.5)
    promotion: Promotion = until(rival.step, "the leader that takes nothing is ended", 5)
    promotion.heart.stop()
    with pytest.raises(psycopg.OperationalError):
        exchange.run()


def test_a_leader_that_waits_for_the_server_does_not_hang(exchange: Exchange, rival: Standby) -> None:
    leadership = exchange.runner.leadership
    still = Beat(leadership.epoch, leadership.backend_pid, 9, 9, True, True, 0.0, 60.0)
    level(rival)
    rival.ear = SimpleNamespace(listen=lambda *_: True, last=lambda: still)  # type: ignore[assignment]
    working = threading.Thread(target=lambda: exchange.connection.execute("SELECT pg_sleep(0.5)"))
    working.start()
    time.sleep(0.2)
    rival._judge(time.monotonic())
    working.join()
    assert rival.fenced_epoch == 0
    rival._judge(time.monotonic() + 1)
    assert rival.fenced_epoch == leadership.epoch


@pytest.mark.parametrize(
    ("is_realtime", "silent_s", "is_ended"),
    [(False, 0.12, False), (False, 0.16, True), (True, 0.07, False), (True, 0.11, True)],
)
def test_a_heart_that_beats_at_real_time_is_given_less_time_than_one_that_cannot(
    exchange: Exchange, rival: Standby, is_realtime: bool, silent_s: float, is_ended: bool
) -> None:
    leadership = exchange.runner.leadership
    beat = Beat(leadership.epoch, leadership.backend_pid, 9, 9, True, is_realtime, silent_s, 0.0)
    level(rival)
    rival.ear = SimpleNamespace(listen=lambda *_: True, last=lambda: beat)  # type: ignore[assignment]
    rival._judge(time.monotonic())
    assert (rival.fenced_epoch == leadership.epoch) is is_ended


@pytest.mark.parametrize(("silent_s", "is_ended"), [(0.002, False), (0.005, True)])
def test_a_leader_whose_process_is_being_taken_apart_is_not_waited_for(
    exchange: Exchange, rival: Standby, silent_s: float, is_ended: bool
) -> None:
    leadership = exchange.runner.leadership
    beat = Beat(leadership.epoch, leadership.backend_pid, 9, 9, True, False, silent_s, 0.0)
    asked: list[tuple[str, int]] = []
    rival.ports = replace(rival.ports, is_ending=lambda *process: asked.append(process) or True)
    level(rival)
    rival.ear = SimpleNamespace(listen=lambda *_: True, last=lambda: beat)  # type: ignore[assignment]
    rival._judge(time.monotonic())
    assert (rival.fenced_epoch == leadership.epoch) is is_ended
    assert set(asked) == ({(machine_name(), os.getpid())} if is_ended else set())


def test_a_killed_process_is_seen_to_end_before_anybody_has_buried_it() -> None:
    here, child = machine_name(), subprocess.Popen(["sleep", "60"])
    assert not process_is_ending(here, child.pid)
    child.kill()
    until(lambda: process_is_ending(here, child.pid), "the killed process is ending", 5)
    elsewhere = socket.gethostname() + "/1"
    assert not process_is_ending(elsewhere, child.pid), "in another container it is another process"
    child.wait()
    assert not process_is_ending(here, child.pid), "there is no such process any more"
