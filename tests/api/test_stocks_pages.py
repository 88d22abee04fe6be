"""Following the tokens gives every row once and in order, whatever the limit, and while new rows arrive."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.test import override_settings

from apps.marketdata import keyed, paging
from apps.marketdata.backends import Backend
from apps.marketdata.candles import Bar, Tick
from apps.marketdata.keyed import Quote
from apps.marketdata.quotes_recorder import quotes_write
from apps.marketdata.services import bars_import, ticks_append
from apps.primitives.clock import utc_now
from tests.api.conftest import Api

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
SYMBOLS = ["AAPL", "MSFT"]
SPAN = {"symbols": "MSFT,AAPL", "start": "2026-03-01", "end": "2026-03-20"}
PAGES_MAX = 2_000

Row = tuple[str, dict[str, Any]]


def walk(api: Api, path: str, query: dict[str, Any], between: Callable[[], Any] = lambda: None) -> list[Row]:
    """Follow the tokens to the end; every page keeps its limit and names its symbols in order."""
    rows: list[Row] = []
    token = None
    for _ in range(PAGES_MAX):
        answer = api.get(path, {**query, **({"page_token": token} if token else {})})
        assert answer.status_code == 200, answer.content
        page = answer.json()
        key = next(name for name in page if name not in ("next_page_token", "symbol"))
        found = [(symbol, row) for symbol, listed in page[key].items() for row in listed]
        assert len(found) <= int(query["limit"])
        rows += found
        token = page["next_page_token"]
        if token is None:
            return rows
        assert token
        between()
    raise AssertionError("the walk has no end")


def in_order(rows: list[Row], sort: str) -> list[Row]:
    """The order that is promised: symbols rise, times as asked, trades of one time by their ids."""
    keyed = sorted(rows, key=lambda row: (row[1]["t"], row[1].get("i", 0)), reverse=sort == "desc")
    return sorted(keyed, key=lambda row: row[0])


@pytest.fixture
def tape(ada: Api, backend: Backend) -> Api:
    """Trades of two symbols over two weeks, many of them at one time, imported minutes, and quotes."""
    random, ticks, quotes = Random(7), [], []
    for number in range(120):
        # Trades of one batch share their time, and a page may end between them.
        at = START + timedelta(minutes=random.choice([0, 1, 2, 90, 1500, 9000]) + number // 30)
        ticks.append(Tick(number, at, random.choice(SYMBOLS), Decimal(random.randint(90, 110)), 1))
        quotes.append(Quote(at + timedelta(seconds=number), random.choice(SYMBOLS), Decimal(9), 1, None, 0))
    ticks_append(ticks)
    quotes_write(quotes)
    price = Decimal(50)
    history = [Bar(START + timedelta(minutes=n), price, price, price, price, 10) for n in range(-40, 60)]
    bars_import("MSFT", "1m", history)
    return ada


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 50])
@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("trades", {}),
        ("quotes", {}),
        ("bars", {"timeframe": "1Min"}),
        ("bars", {"timeframe": "7Min"}),
        ("bars", {"timeframe": "1Day"}),
    ],
)
def test_the_pages_are_the_whole(tape: Api, path: str, more: dict[str, str], limit: int, sort: str) -> None:
    query = {**SPAN, **more, "sort": sort}
    whole = walk(tape, f"/v2/stocks/{path}", {**query, "limit": 10_000})
    assert whole == in_order(whole, sort)
    assert len({(symbol, row["t"], row.get("i")) for symbol, row in whole}) == len(whole)
    assert {symbol for symbol, _ in whole} == set(SYMBOLS)
    assert path != "trades" or len(whole) == 120
    assert walk(tape, f"/v2/stocks/{path}", {**query, "limit": limit}) == whole
    of_one = [row for symbol, row in whole if symbol == "MSFT"]
    token, found = "", []
    while token is not None:
        page = tape.get(
            f"/v2/stocks/MSFT/{path}", {**query, "limit": max(limit, 3), "page_token": token}
        ).json()
        found += page[path]
        token = page["next_page_token"]
    assert found == of_one


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_what_arrives_meanwhile_moves_nothing_that_was_there(tape: Api, sort: str) -> None:
    query = {**SPAN, "sort": sort, "limit": 9}
    before = walk(tape, "/v2/stocks/trades", query)
    numbers = iter(range(10_000, 20_000))
    random = Random(3)

    def arrive() -> None:
        at = START + timedelta(minutes=random.randint(0, 9000))
        ticks_append([Tick(next(numbers), at, random.choice(SYMBOLS), Decimal(1), 1)])

    met = walk(tape, "/v2/stocks/trades", query, between=arrive)
    assert [row for row in met if row[1]["i"] < 10_000] == before
    assert met == in_order(met, sort)


def test_a_walk_ends_though_trades_come_faster_than_it_goes(ada: Api) -> None:
    """Where no end is given the first page's now is the end of all its pages."""
    numbers = iter(range(1, 10_000))

    def trade() -> None:
        ticks_append([Tick(next(numbers), utc_now(), "AAPL", Decimal(1), 1) for _ in range(3)])

    trade()
    met = walk(ada, "/v2/stocks/trades", {"symbols": "AAPL", "limit": 1}, between=trade)
    assert [row["i"] for _, row in met] == [1, 2, 3]


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 13, 1_000])
def test_filled_bars_are_paged_as_others_are(tape: Api, limit: int, sort: str) -> None:
    end = "2026-03-02T16:30:00Z"
    query = {**SPAN, "end": end, "timeframe": "5Min", "fill": "previous", "sort": sort}
    with override_settings(MARKET_CALENDAR="XNYS"):
        whole = walk(tape, "/v2/stocks/bars", {**query, "limit": 10_000})
        assert walk(tape, "/v2/stocks/bars", {**query, "limit": limit}) == whole
    assert whole == in_order(whole, sort)
    filled = [row for _, row in whole if row["v"] == 0]
    assert filled and all(row["t"] >= "2026-03-02T14:30" and row["n"] == 0 for row in filled)


def test_a_token_continues_only_the_question_that_it_answered(tape: Api) -> None:
    query = {**SPAN, "limit": 5}
    token = tape.get("/v2/stocks/trades", query).json()["next_page_token"]
    for path, more in (
        ("trades", {"sort": "desc"}),
        ("quotes", {}),
        ("bars", {"timeframe": "1Min"}),
    ):
        answer = tape.get(f"/v2/stocks/{path}", {**query, **more, "page_token": token})
        assert (answer.status_code, answer.json()["code"]) == (400, 40010000), path


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_a_page_costs_a_bounded_number_of_statements_and_the_walk_is_whole(
    tape: Api, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years of days are read window by window; what a page does not get to is the next one's."""
    query = {**SPAN, "start": "2026-01-20", "sort": sort, "limit": 40}
    whole = walk(tape, "/v2/stocks/trades", {**query, "limit": 10_000})
    monkeypatch.setattr(keyed, "WINDOW", timedelta(days=1))
    monkeypatch.setattr(keyed, "CELLS_MAX", 1)
    monkeypatch.setattr(paging, "PARTS_MAX", 2)
    assert walk(tape, "/v2/stocks/trades", query) == whole
    assert len(whole) == 120


def test_long_bars_come_in_shorter_pages(tape: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    query = {**SPAN, "timeframe": "10Min", "limit": 100}
    whole = walk(tape, "/v2/stocks/bars", query)
    monkeypatch.setattr(paging, "SOURCE_ROWS_MAX", 50)
    monkeypatch.setattr(paging, "STEPS_MAX", 3)
    page = tape.get("/v2/stocks/bars", query).json()
    assert sum(map(len, page["bars"].values())) == 9
    assert walk(tape, "/v2/stocks/bars", query) == whole


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("more", [{}, {"timeframe": "1Min"}, {"timeframe": "5Min", "fill": "previous"}])
def test_a_page_that_is_read_in_steps_is_one_page(
    tape: Api, more: dict[str, str], sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v2/stocks/bars" if more else "/v2/stocks/trades"
    query = {**SPAN, "end": "2026-03-03", **more, "sort": sort, "limit": 60}
    at_once = tape.get(path, query).json()
    monkeypatch.setattr(paging, "STEP_ROWS_MAX", 9)
    assert tape.get(path, query).json() == at_once
    assert at_once["next_page_token"]
