"""F1 and F2: kill -9 of the web process around its commit; what a client that sends again then gets."""

import signal
from typing import Any

import pytest
import requests

from apps.access.services import api_key_issue
from apps.events.facts import SYSTEM
from tests.support.builders import Trader
from tests.support.house import House

ORDER = {
    "symbol": "AAPL",
    "qty": "5",
    "side": "buy",
    "type": "limit",
    "time_in_force": "gtc",
    "limit_price": "99.00",
    "client_order_id": "sent-twice",
}


@pytest.fixture
def client(traders: list[Trader]) -> requests.Session:
    """A client that knows its key, and sends what it has to send again when nobody answered."""
    session = requests.Session()
    key_id, secret = api_key_issue(account_id=traders[0].account_id, origin=SYSTEM)
    session.headers.update({"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret})
    return session


def order_send_to_a_dying_process(house: House, client: requests.Session, point: str) -> None:
    web, url = house.web(failpoints=f"{point}=kill")
    with pytest.raises(requests.ConnectionError):
        client.post(f"{url}/v2/orders", json=ORDER, timeout=20)
    assert web.exit_code() == -signal.SIGKILL


def orders_in_books(house: House) -> list[tuple[Any, ...]]:
    return house.rows(
        "SELECT o.client_order_id, o.quantity, l.held_cash FROM orders o JOIN live_orders l USING (order_id)"
    )


def test_killed_before_its_commit_nothing_was_written_and_the_same_order_is_taken_once(
    house: House, client: requests.Session
) -> None:
    """F1: the first sending leaves no trace at all, so the second is the first."""
    order_send_to_a_dying_process(house, client, "entry.before_commit")
    for table in ("orders", "live_orders", "order_commands", "order_client_keys"):
        assert house.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    _, url = house.web()
    assert client.post(f"{url}/v2/orders", json=ORDER, timeout=20).status_code == 200
    house.leader()
    house.books_hold()
    assert [row[:2] for row in orders_in_books(house)] == [("sent-twice", 5)]


def test_killed_after_its_commit_the_order_lives_and_the_same_order_is_refused_with_its_id(
    house: House, client: requests.Session
) -> None:
    """F2: the order was acknowledged by the database, if by nobody else; it stays the only one."""
    order_send_to_a_dying_process(house, client, "entry.after_commit")
    assert [row[:2] for row in orders_in_books(house)] == [("sent-twice", 5)]
    house.leader()
    _, url = house.web()
    again = client.post(f"{url}/v2/orders", json=ORDER, timeout=20)
    assert again.status_code == 422
    found = client.get(
        f"{url}/v2/orders:by_client_order_id", params={"client_order_id": "sent-twice"}, timeout=20
    ).json()
    assert again.json()["existing_order_id"] == found["id"]
    house.books_hold()
    assert [row[:2] for row in orders_in_books(house)] == [("sent-twice", 5)]
