"""What a caller hears when there is more to do than can be done, or nowhere to write it."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import close_old_connections, connection, connections

from apps.events.models import Event
from apps.matching.models import OrderCommand
from apps.orders.models import LiveOrder, Order, OrderClientKey
from brokerage.admission import Admission
from tests.api.conftest import Api
from tests.support.matching import matching_url


def _is_busy(answer: Any) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, 50310000), answer.content
    assert int(answer["Retry-After"]) >= 1


def _nothing_was_written() -> None:
    for model in (Order, LiveOrder, OrderClientKey, OrderCommand):
        assert model.objects.count() == 0
    assert not Event.objects.filter(topic="orders-events").exists()


def _setting(name: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = {value}")


def test_account_locked_by_somebody_else_is_503_and_nothing_is_written(ada: Api) -> None:
    _setting("lock_timeout", "'50ms'")
    with psycopg.connect(matching_url()) as other:
        other.execute("SELECT FROM accounts WHERE account_id = %s FOR UPDATE", [ada.trader.account_id])
        _is_busy(ada.order(client_order_id="mine"))
    _nothing_was_written()
    assert ada.order(client_order_id="mine").status_code == 200
    connection.close()


def test_server_that_may_not_be_written_to_is_503_and_nothing_is_written(ada: Api) -> None:
    order = ada.order().json()
    _setting("default_transaction_read_only", "on")
    _is_busy(ada.order(client_order_id="mine"))
    _is_busy(ada.delete(f"/v2/orders/{order['id']}"))
    _setting("default_transaction_read_only", "off")
    assert Order.objects.count() == 1
    assert ada.order(client_order_id="mine").status_code == 200


def test_no_session_free_is_503_and_nothing_is_written(ada: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role may have no more sessions than it has; the next one is refused as on a full server."""
    limited = psycopg.connect(matching_url(), autocommit=True)
    limited.execute("DROP ROLE IF EXISTS crowded")
    limited.execute("CREATE ROLE crowded LOGIN SUPERUSER PASSWORD 'crowded' CONNECTION LIMIT 0")
    limited.execute("ALTER ROLE crowded NOSUPERUSER")
    settings = connections["default"].settings_dict
    connection.close()
    monkeypatch.setitem(settings, "USER", "crowded")
    monkeypatch.setitem(settings, "PASSWORD", "crowded")
    _is_busy(ada.order(client_order_id="mine"))
    monkeypatch.undo()
    connection.close()
    limited.execute("DROP ROLE crowded")
    limited.close()
    _nothing_was_written()


def test_session_that_the_server_ended_is_replaced_before_it_is_used(ada: Api) -> None:
    assert ada.order().status_code == 200
    with psycopg.connect(matching_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
    close_old_connections()  # as every request begins, but for those of the test client
    assert ada.order().status_code == 200


@pytest.fixture
def busy_application() -> Callable[..., Any]:
    """An application that answers when it is told to."""
    go = threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            go.wait(10)
        start_response("200 OK", [])
        return [b"served"]

    application.go = go  # type: ignore[attr-defined]
    return application


def _ask(gate: Admission, path: str) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    body = b"".join(gate({"PATH_INFO": path}, lambda status, headers: told.append((status, dict(headers)))))
    return (*told[0], body)


def test_what_is_too_much_is_refused_at_once_and_room_comes_back(busy_application: Any) -> None:
    gate = Admission(busy_application, places=2)
    inside = [threading.Thread(target=_ask, args=(gate, "/slow")) for _ in range(2)]
    for thread in inside:
        thread.start()
    while gate._places.qsize():
        pass
    status, headers, body = _ask(gate, "/v2/orders")
    assert status.startswith("503") and headers["Retry-After"] == "1" and b"50310000" in body
    assert _ask(gate, "/healthz")[0] == "200 OK"
    busy_application.go.set()
    for thread in inside:
        thread.join()
    assert _ask(gate, "/v2/orders") == ("200 OK", {}, b"served")


def test_place_is_given_back_when_the_application_fails() -> None:
    def failing(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise RuntimeError("no")

    gate = Admission(failing, places=1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            _ask(gate, "/")
