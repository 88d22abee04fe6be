"""Market data that cannot be had: what is refused, how it is worded, and what there is none of."""

import base64
import json

import pytest
from django.test import Client

from apps.api.published.v2.stock_queries import question_of
from tests.api.conftest import Api


def test_auctions_news_and_corporate_actions_are_none_in_the_form_that_clients_read(ada: Api) -> None:
    assert ada.get("/v2/stocks/auctions", {"symbols": "AAPL"}).json() == {
        "auctions": {},
        "next_page_token": None,
    }
    one = ada.get("/v2/stocks/AAPL/auctions").json()
    assert one == {"auctions": [], "next_page_token": None, "symbol": "AAPL"}
    assert ada.get("/v1beta1/news", {"symbols": "AAPL"}).json() == {"news": [], "next_page_token": None}
    actions = ada.get("/v1/corporate-actions", {"symbols": "AAPL", "types": "cash_dividend"}).json()
    assert actions == {"corporate_actions": {}, "next_page_token": None}


@pytest.mark.parametrize(
    "query",
    [
        {"start": "yesterday"},
        {"end": "2026-13-01"},
        {"start": "2026-03-10", "end": "2026-03-02"},
        {"limit": "0"},
        {"limit": "10001"},
        {"limit": "many"},
        {"limit": "-1"},
        {"sort": "up"},
        {"feed": "sipp"},
        {"currency": "EUR"},
        {"adjustment": "none"},
        {"fill": "next"},
        {"page_token": "nonsense"},
        {"page_token": "W10"},
        {"page_token": "x" * 5_000},
    ],
)
def test_a_value_that_cannot_be_read_is_400(ada: Api, query: dict[str, str]) -> None:
    answer = ada.get("/v2/stocks/AAPL/bars", {"timeframe": "1Min", **query})
    assert (answer.status_code, answer.json()["code"]) == (400, 40010000), answer.content
    assert next(iter(query)) in answer.json()["message"]


@pytest.mark.parametrize(
    "timeframe", ["", "0Min", "60Min", "24Hour", "2Day", "2Week", "5Month", "1Year", "min"]
)
def test_any_other_timeframe_is_422(ada: Api, timeframe: str) -> None:
    answer = ada.get("/v2/stocks/AAPL/bars", {"timeframe": timeframe})
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
    assert "timeframe" in answer.json()["message"]


def test_symbols_must_be_given_known_and_not_too_many(ada: Api) -> None:
    for path in ("bars", "trades", "quotes", "auctions", "bars/latest", "trades/latest", "snapshots"):
        answer = ada.get(f"/v2/stocks/{path}", {"timeframe": "1Min"})
        assert (answer.status_code, answer.json()["message"]) == (422, "symbols is required"), path
    many = ",".join(f"S{number}" for number in range(101))
    assert ada.get("/v2/stocks/trades", {"symbols": many}).status_code == 422
    for path in ("bars", "trades", "quotes", "auctions", "bars/latest", "quotes/latest", "snapshot"):
        answer = ada.get(f"/v2/stocks/NOPE/{path}", {"timeframe": "1Min"})
        assert (answer.status_code, answer.json()["code"]) == (404, 40410000), path


def test_nobody_without_a_key_reads_and_every_key_is_counted(ada: Api) -> None:
    answer = Client().get("/v2/stocks/AAPL/bars?timeframe=1Min")
    assert (answer.status_code, answer.json()["code"]) == (401, 40110000)
    counted = ada.get("/v2/stocks/AAPL/trades")
    assert int(counted.headers["X-RateLimit-Remaining"]) < int(counted.headers["X-RateLimit-Limit"])
    assert counted.headers["Content-Type"] == "application/json"


PATHS = (
    "/v2/stocks/bars",
    "/v2/stocks/trades",
    "/v2/stocks/quotes",
    "/v2/stocks/auctions",
    "/v2/stocks/snapshots",
    "/v2/stocks/quotes/latest",
    "/v2/stocks/AAPL/bars",
    "/v2/stocks/meta/conditions/trade",
    "/v1beta1/screener/stocks/most-actives",
    "/v1beta1/screener/stocks/movers",
    "/v1beta1/news",
    "/v1/corporate-actions",
)
NASTY = (
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "1e999",
    "-1",
    "NaN",
    "١Min",
    "' OR 1=1 --",
    "%s",
    ",,,",
    "\x00",
    "\U0001f600",
    "x" * 3_000,
)
NAMES = "symbols timeframe start end limit sort page_token fill feed tape top by".split()


@pytest.mark.parametrize("path", PATHS)
def test_nothing_that_is_sent_breaks_the_server(ada: Api, path: str) -> None:
    usual = {"symbols": "AAPL", "timeframe": "1Min"}
    for name in NAMES:
        for text in NASTY:
            answer = ada.get(path, {**usual, name: text})
            assert answer.status_code in (200, 400, 422), (name, text, answer.content)
            assert answer.status_code == 200 or set(answer.json()) >= {"code", "message"}


def test_a_forged_token_reads_what_anybody_may_read_or_is_refused(ada: Api) -> None:
    """A token is no secret and no permission: it says where to go on, and is checked whole."""
    asking = question_of("trades", ["AAPL", "MSFT"])
    good = [1, asking, "asc", 0, 10**15, "AAPL", 5, "7"]
    asked = {"symbols": "AAPL,MSFT"}
    assert ada.get("/v2/stocks/trades", {**asked, "page_token": packed(good)}).status_code == 200
    for place, value in (
        (0, 2),
        (1, "quotes"),
        (2, "desc"),
        (3, "0"),
        (3, 10**17),
        (3, 1.5),
        (3, True),
        (4, None),
        (5, None),
        (6, []),
        (7, str(2**70)),
        (7, "seven"),
    ):
        forged = [*good[:place], value, *good[place + 1 :]]
        answer = ada.get("/v2/stocks/trades", {**asked, "page_token": packed(forged)})
        assert answer.status_code == 400, forged
    for whole in ([], {}, "text", 5, None, [*good, 1]):
        assert ada.get("/v2/stocks/trades", {**asked, "page_token": packed(whole)}).status_code == 400
    for symbol, number in (("\x00", "7"), ("ZZZZ", "7"), ("", "-9223372036854775808"), ("AAPL", str(2**63))):
        forged = [*good[:5], symbol, 5, number]
        assert ada.get("/v2/stocks/trades", {**asked, "page_token": packed(forged)}).status_code == 200


def test_a_token_goes_on_with_its_own_symbols_and_bounds_only(ada: Api) -> None:
    token = packed([1, question_of("trades", ["AAPL", "MSFT"]), "asc", 0, 10**15, "AAPL", 5, "7"])
    for asked in ({"symbols": "AAPL"}, {"symbols": "AAPL,MSFT", "start": "2026-01-02"}):
        assert ada.get("/v2/stocks/trades", {**asked, "page_token": token}).status_code == 400, asked
    same = {"symbols": "AAPL,MSFT", "start": "1970-01-01", "page_token": token}
    assert ada.get("/v2/stocks/trades", same).status_code == 200


@pytest.mark.parametrize("start", ["2026-03-02T10:00:00+23:59", "2026-03-02T10:00:00+00:00:30.5"])
def test_offsets_that_the_database_does_not_know_are_no_trouble(ada: Api, start: str) -> None:
    assert ada.get("/v2/stocks/trades", {"symbols": "AAPL", "start": start}).status_code == 200


def test_asof_is_a_day_or_a_dash(ada: Api) -> None:
    for asof, status in (("2026-03-02", 200), ("-", 200), ("", 200), ("yesterday", 400)):
        assert ada.get("/v2/stocks/trades", {"symbols": "AAPL", "asof": asof}).status_code == status, asof


def packed(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
