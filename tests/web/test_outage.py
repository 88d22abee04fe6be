"""While no database answers, pages say so and come back by themselves; nothing is told as a fault of ours."""

import logging
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, connections
from django.test import Client

from brokerage.supervisor.ports import port_choose
from tests.support.builders import Trader


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Return an act after which the server is looked for where none listens."""

    def begin() -> None:
        connection.close()
        monkeypatch.setitem(connections["default"].settings_dict, "PORT", str(port_choose()))

    yield begin
    monkeypatch.undo()
    connection.close()


def test_a_page_says_that_the_books_are_out_of_reach_and_tries_again(
    outage: Callable[[], None],
    trader: Callable[..., Trader],
    signed_in: Callable[[Trader], Client],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = signed_in(trader(cash="1000.00"))
    outage()
    caplog.set_level(logging.ERROR)
    response = client.get("/orders", headers={"Accept": "text/html"})
    page = response.content.decode()
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert "out of reach" in page and 'http-equiv="refresh"' in page
    ours = [record for record in caplog.records if record.name == "brokerage.middleware"]
    assert len(ours) == 1 and ours[0].exc_info is None, "one line, no traceback"


def test_a_script_gets_a_sentence_for_the_trader(
    outage: Callable[[], None], trader: Callable[..., Trader], signed_in: Callable[[Trader], Client]
) -> None:
    client = signed_in(trader(cash="1000.00"))
    outage()
    for headers in ({"HX-Request": "true", "Accept": "text/html"}, {"Accept": "application/json"}):
        response = client.get("/partials/positions", headers=headers)
        assert response.status_code == 503
        assert response.json()["error"]["reason"] == "unavailable"


def test_our_own_mistakes_stay_500(
    trader: Callable[..., Trader], signed_in: Callable[[Trader], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(trader(cash="1000.00"))
    client.raise_request_exception = False
    monkeypatch.setattr("apps.web.doors.account_for_user", lambda pk: 1 // 0)
    assert client.get("/orders").status_code == 500
