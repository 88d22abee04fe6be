"""The reconciler at work: rounds keep and tell what they find, and cost no more than their share."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django_redis import get_redis_connection

from apps.accounts.models import User
from apps.events.models import Event
from apps.events.relay import Relay
from apps.operations.metrics import metrics_text
from apps.operations.models import ReconcileResult
from apps.operations.services import reconcile_depth, reconcile_rounds, reconcile_view
from apps.operations.services.reconcile import Result, reconcile_run
from apps.operations.services.reconcile_replay import replay_reconcile
from apps.operations.services.reconcile_rounds import FULL, RECENT, Round, reconcile_round
from apps.operations.services.reconcile_view import view_reconcile
from apps.orders.services.view import view_marker, view_rebuild
from apps.orders.subscribers import orders_view_standing, orders_view_write
from apps.primitives.clock import utc_now
from tests.operations.conftest import TradedBook
from tests.support.builders import Trader
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (reconcile_depth, reconcile_view):
        monkeypatch.setattr(module, "ATTEMPTS_MAX", 2)


@pytest.fixture
def sabotage(traded: TradedBook) -> Iterator[None]:
    """Books that a test may break: they are emptied before anybody checks them."""
    yield
    from tests.conftest import database_empty

    database_empty("default")


def quick(kind: Round) -> Round:
    """Return a round without the comparisons, which wait."""
    return Round(kind.scope, kind.checks, {}, kind.timeout_s)


def plant(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement)
        assert cursor.rowcount > 0, "nothing was broken"
        cursor.execute("SET session_replication_role = origin")


def status(name: str, scope: str = "RECENT") -> str:
    return ReconcileResult.objects.get(check_name=name, scope=scope).status


def changes() -> list[tuple[str, str]]:
    rows = Event.objects.filter(event_type="RECONCILE_CHANGED").order_by("id")
    return [(row.data["check"], row.data["status"]) for row in rows]


def test_a_round_keeps_what_it_found_and_finds_traded_books_whole(traded: TradedBook) -> None:
    for kind in (RECENT, FULL):
        assert {r.name for r in reconcile_round(quick(kind))} == {c.name for c in kind.checks}
    assert not ReconcileResult.objects.exclude(status="OK").exists()
    assert changes() == []
    # Between them the rounds look at everything that a run by hand looks at.
    assert {c.name for c in RECENT.checks} | {c.name for c in FULL.checks} >= {
        r.name for r in reconcile_run()
    }


def test_what_is_broken_is_told_once_and_stays_in_sight_until_it_is_whole(
    sabotage: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_rounds, "SHARE", 0)
    reconcile_round(quick(RECENT))
    plant("UPDATE trades SET price = price + 10 WHERE price = 100")
    reconcile_round(quick(RECENT))
    assert status("I6.limits") == "BROKEN"
    row = ReconcileResult.objects.get(check_name="I6.limits", scope="RECENT")
    assert row.broken[0]["price"] == "110.0000" and row.since <= row.checked_at
    low, later = row.low, utc_now() + timedelta(minutes=30)
    monkeypatch.setattr(reconcile_rounds, "utc_now", lambda: later)
    reconcile_round(quick(RECENT))
    row.refresh_from_db()
    assert (row.status, row.low) == ("BROKEN", low)
    plant("UPDATE trades SET price = price - 10 WHERE price = 110")
    reconcile_round(quick(RECENT))
    assert status("I6.limits") == "OK"
    told = [change for change in changes() if change[0] == "I6.limits"]
    assert told == [("I6.limits", "BROKEN"), ("I6.limits", "OK")]


def test_a_check_that_cannot_look_is_no_proof(traded: TradedBook, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Round(RECENT.scope, RECENT.checks[:3], {}, 0.001)
    monkeypatch.setattr(reconcile_rounds, "SHARE", 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    checks = [check for check in RECENT.checks if check.name == "I4.fills"]
    waiting = checks[0].__class__("I4.fills", "x", "SELECT pg_sleep(1)", checks[0].reads)
    [result] = reconcile_round(Round(slow.scope, (waiting,), {}, 0.05))
    assert result.verdict == "FAILED" and "timeout" in result.failure
    assert status("I4.fills") == "FAILED"
    assert not reconcile_round(quick(RECENT))[0].failure


def test_dear_checks_run_less_often(traded: TradedBook) -> None:
    reconcile_round(quick(RECENT))
    ReconcileResult.objects.filter(check_name="I4.fills").update(duration_ms=10_000)
    ReconcileResult.objects.exclude(check_name="I4.fills").update(duration_ms=0)
    names = {result.name for result in reconcile_round(quick(RECENT))}
    assert "I4.fills" not in names and "I4.holds" in names


def test_two_rounds_at_once_are_one(traded: TradedBook) -> None:
    inside: list[list[Result]] = []

    def again() -> Result:
        import threading

        thread = threading.Thread(target=lambda: inside.append(reconcile_round(quick(RECENT))))
        thread.start()
        thread.join()
        return Result("X.test", "another round", 0)

    reconcile_round(Round(RECENT.scope, (), {"X.test": again}, 1.0))
    assert inside == [[]]


@pytest.mark.made_up_events
def test_probes_say_what_stands_still(exchange: Exchange, trader: Callable[..., Trader]) -> None:
    ada = trader(cash="1000.00")
    probes = ["I12", "I15"]
    assert all(result.is_whole for result in reconcile_run(probes))
    ada.buy(1, "100.00")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE order_commands SET command_id = command_id - (60000::bigint << 21)")
        cursor.execute(
            "INSERT INTO matching_standbys (matching_partition, host, port, backend_pid, seq, seen_at) "
            "VALUES (0, '127.0.0.1', 1, 1, -100000, clock_timestamp())"
        )
        cursor.execute(
            "INSERT INTO relay_cursors (sink, stream_epoch, xact_id, event_id, system_identifier) "
            "VALUES ('left-behind', 1, 0, 0, '')"
        )
        cursor.execute(
            'INSERT INTO events (topic, event_type, user_id, data, metadata, "timestamp") '
            "VALUES ('risk-events', 'BOOKS_DIFFER', 0, '{}', '{}', clock_timestamp() - interval '2 minutes')"
        )
        cursor.execute("UPDATE matching_leader SET backend_pid = 1")
    broken = {result.name for result in reconcile_run(probes) if result.broken}
    assert broken >= {"I12.books", "I12.standby", "I15.leader", "I15.queue"}
    exchange.run()


def test_missing_delivery_is_found_by_the_daily_count(traded: TradedBook) -> None:
    relay = Relay("counted", lambda events: None)
    while relay.step():
        pass
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO relay_days (sink, stream_epoch, day, delivered) "
            "VALUES ('counted', 1, current_date - 1, 0) ON CONFLICT DO NOTHING"
        )
    assert reconcile_run(["I7.relay"])[0].is_whole
    plant("UPDATE relay_days SET delivered = delivered - 1 WHERE day = current_date")
    [row] = reconcile_run(["I7.relay"])[0].broken
    assert row["sink"] == "counted" and row["delivered"] == row["events"] - 1
    plant("UPDATE relay_days SET delivered = delivered + 1 WHERE day = current_date")


def test_replay_by_the_reference_book_finds_the_trades_and_books_that_are(
    traded: TradedBook, exchange: Exchange
) -> None:
    def trade_on() -> None:
        traded.buyer.buy(20, "102.50")
        traded.seller.sell(5, "98.00")
        traded.buyer.stop("buy", 2, "105.00")
        exchange.run()

    result = replay_reconcile(trade_on)
    assert result.is_whole, result
    assert replay_reconcile(lambda: None).is_whole


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE trades SET quantity = quantity - 1", "only_in"),
        ("UPDATE trades SET match_n = match_n + 1", "only_in"),
        ("UPDATE live_orders SET priority = -priority - 1", "what"),
        (
            "UPDATE matching_journal SET seq = seq + 1 WHERE seq = (SELECT max(seq) FROM matching_journal)",
            "what",
        ),
    ],
)
def test_replay_finds_what_was_matched_otherwise(
    sabotage: None, traded: TradedBook, exchange: Exchange, statement: str, told: str
) -> None:
    def trade_wrongly() -> None:
        traded.buyer.buy(1, "98.50")
        traded.buyer.buy(20, "102.50")
        exchange.run()
        plant(statement)

    assert told in replay_reconcile(trade_wrongly).broken[0]


def view_filled() -> None:
    relay = Relay("view", orders_view_write, orders_view_standing)
    relay.place_take()
    while relay.step():
        pass


def test_view_is_compared_and_what_differs_is_named(traded: TradedBook) -> None:
    view_rebuild()
    assert view_reconcile().is_whole and view_reconcile(complete=True).is_whole
    redis, order_id = get_redis_connection("default"), traded.working.order_id
    redis.hset(f"order:{order_id}", "status", "PENDING")
    [row] = view_reconcile(complete=True).broken
    assert (row["order_id"], row["view"]["status"], row["database"]["status"]) == (order_id, "PENDING", "NEW")
    view_rebuild()
    redis.zrem("symbol:AAPL:orders", str(order_id))
    [row] = view_reconcile(complete=True).broken
    assert row["not_listed_in"] == ["symbol:AAPL:orders"]
    view_rebuild()
    redis.zadd("symbol:MSFT:orders", {"77": 1})
    [row] = view_reconcile(complete=True).broken
    assert row == {"order_id": 77, "still_listed_in": "symbol:MSFT:orders"}
    view_rebuild()
    redis.hset("order:78", "status", "NEW")
    [row] = view_reconcile(complete=True).broken
    assert row["order_id"] == 78 and row["database"] == {}


def test_broken_view_is_made_anew_by_the_relay(traded: TradedBook) -> None:
    view_rebuild()
    get_redis_connection("default").delete(f"order:{traded.working.order_id}")
    only_view = Round(RECENT.scope, (), {"I8.view": lambda: view_reconcile(complete=True)}, 5.0)
    reconcile_round(only_view)
    assert status("I8.view") == "BROKEN" and view_marker() is None
    view_filled()
    ReconcileResult.objects.update(duration_ms=0)
    reconcile_round(only_view)
    assert status("I8.view") == "OK"


def test_metrics_are_for_those_who_know_the_token_and_for_staff(
    traded: TradedBook, settings: "object", client: Client
) -> None:
    settings.METRICS_TOKEN = "a-token-of-some-length"
    reconcile_round(quick(RECENT))
    relay = Relay("counted", lambda events: None)
    relay.step()
    assert client.get("/metrics").status_code == 403
    for wrong in ("Bearer nonsense", "Bearer ", "Basic a-token-of-some-length", "a-token-of-some-length"):
        assert client.get("/metrics", headers={"Authorization": wrong}).status_code == 403
    found = client.get("/metrics", headers={"Authorization": "Bearer a-token-of-some-length"})
    assert found.status_code == 200 and found["Content-Type"].startswith("text/plain; version=")
    text = found.content.decode()
    for line in (
        'openbell_reconcile_broken{check="I4.fills",scope="RECENT"} 0.0',
        'openbell_queue_commands{partition="0"} 0.0',
        'openbell_leader_present{partition="0"} 1.0',
        'openbell_relay_waiting_events{sink="counted"}',
        'openbell_scrape_failed{part="leaders"} 0.0',
    ):
        assert line in text
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403
    client.force_login(User.objects.create_user("trader"))
    assert client.get("/metrics").status_code == 403
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get("/metrics").status_code == 200


def test_metrics_tell_what_is_broken_and_what_cannot_be_read(
    sabotage: None, settings: "object", monkeypatch: pytest.MonkeyPatch
) -> None:
    plant("UPDATE trades SET price = price + 10 WHERE price = 100")
    reconcile_round(quick(RECENT))
    from apps.operations import metrics

    monkeypatch.setattr(metrics, "_LEADERS_SQL", "SELECT nothing")
    text = metrics_text().decode()
    assert 'openbell_reconcile_broken{check="I6.limits",scope="RECENT"} 1.0' in text
    assert 'openbell_scrape_failed{part="leaders"} 1.0' in text
    assert 'openbell_scrape_failed{part="queue"} 0.0' in text


def test_staff_see_the_results_and_the_broken_rows(sabotage: None, admin_client: Client) -> None:
    plant("UPDATE trades SET price = price + 10 WHERE price = 100")
    reconcile_round(quick(RECENT))
    listed = admin_client.get("/admin/operations/reconcileresult/").content.decode()
    assert listed.index("I6.limits") < listed.index("I1.entries"), "what is broken comes first"
    assert "BROKEN" in listed and "Whole" in listed
    broken = ReconcileResult.objects.get(check_name="I6.limits")
    shown = admin_client.get(f"/admin/operations/reconcileresult/{broken.pk}/change/").content.decode()
    assert "110.0000" in shown and ">trade_id</th>" in shown
    few = admin_client.get("/admin/operations/reconcileresult/?status__exact=BROKEN").content.decode()
    assert "I6.limits" in few and "I1.entries" not in few
