"""Subscriptions are sets, and market data is worded as published."""

from decimal import Decimal
from typing import Any

import pytest

from apps.streaming.feed import Feed
from apps.streaming.frames import quote_of
from apps.streaming.market import (
    SYMBOLS_MAX,
    Subscription,
    SubscriptionInvalid,
    SubscriptionTooLarge,
    quote_key,
    quote_message,
    trade_messages,
)


def frame(seq: int = 1, symbol: str = "AAPL", **changes: Any) -> dict[str, Any]:
    return {
        "S": symbol,
        "seq": seq,
        "t": "2026-01-02T03:04:05.678901Z",
        "trades": [{"i": 7, "p": "100.5000", "s": 3, "side": "BUY", "t": "2026-01-02T03:04:05.600000Z"}],
        "book": {"bids": [["100.4000", 8], ["100.3000", 1]], "asks": []},
        "last": "100.5000",
        "prev_close": "100.0000",
        "open": "100.1000",
        "high": "101.0000",
        "low": "99.0000",
        "volume": 12,
        **changes,
    }


def test_asking_twice_changes_nothing_and_the_answer_is_the_whole_state() -> None:
    subscription = Subscription()
    for _ in range(2):
        subscription.change({"trades": ["AAPL"], "quotes": ["*"], "bars": []}, adding=True)
    state = subscription.message()
    assert (state["trades"], state["quotes"], state["bars"]) == (["AAPL"], ["*"], [])
    assert state["corrections"] == state["cancelErrors"] == ["AAPL"]
    assert subscription.wants("quotes", "MSFT")
    assert not subscription.wants("trades", "MSFT")
    subscription.change({"trades": ["AAPL", "NEVER"]}, adding=False)
    assert subscription.message()["trades"] == []


@pytest.mark.parametrize("given", ["AAPL", 7, {"a": 1}, [7], [""], ["x" * 11], [None]])
def test_what_is_no_list_of_symbols_is_refused(given: Any) -> None:
    with pytest.raises(SubscriptionInvalid):
        Subscription().change({"trades": given}, adding=True)


def test_too_many_symbols_leave_the_subscription_as_it_was() -> None:
    subscription = Subscription()
    subscription.change({"trades": ["AAPL"]}, adding=True)
    with pytest.raises(SubscriptionTooLarge):
        subscription.change({"quotes": [f"S{n}" for n in range(SYMBOLS_MAX)]}, adding=True)
    assert subscription.symbols() == {"AAPL"}


def test_trades_and_quotes_are_worded_as_published() -> None:
    trade = next(trade_messages(frame(), "C"))
    assert (trade["T"], trade["S"], trade["i"], trade["p"], trade["s"]) == (
        "t",
        "AAPL",
        7,
        Decimal("100.5"),
        3,
    )
    quote = quote_message(frame(), "C")
    assert (quote["bp"], quote["bs"], quote["ap"], quote["as"]) == (Decimal("100.4"), 8, 0, 0)
    assert quote_key(frame(1)) == quote_key(frame(2, trades=[]))


def test_terminal_s_quote_has_strings_for_prices() -> None:
    quote = quote_of(frame())
    assert quote == {
        "symbol": "AAPL",
        "last": "100.5000",
        "bid": "100.4000",
        "ask": None,
        "bid_size": 8,
        "ask_size": None,
        "change": "0.5000",
        "change_pct": "0.50",
        "volume": 12,
        "high": "101.0000",
        "low": "99.0000",
        "prev_close": "100.0000",
        "t": "2026-01-02T03:04:05.678901Z",
    }
    silent = quote_of(frame(last=None, prev_close=None, volume=None))
    assert (silent["change"], silent["change_pct"], silent["volume"]) == (None, None, 0)


class Ear:
    def __init__(self) -> None:
        self.heard: list[int] = []

    def frame_take(self, frame: dict[str, Any]) -> None:
        self.heard.append(frame["seq"])


def test_feed_hands_each_frame_to_its_listeners_once_and_keeps_the_newest() -> None:
    feed, one, every = Feed(), Ear(), Ear()
    assert feed.age_ms() is None
    feed.listen(one, {"MSFT"})
    feed.listen(every, {"*"})
    for seq, symbol in ((1, "AAPL"), (2, "MSFT"), (2, "MSFT"), (1, "MSFT"), (3, "MSFT")):
        feed.take(frame(seq, symbol))
    assert (one.heard, every.heard) == ([2, 3], [1, 2, 3])
    assert feed.latest["MSFT"]["seq"] == 3
    assert [trade["i"] for trade in feed.trades["MSFT"]] == [7], "a trade that comes again is known"
    feed.listen(one, {"AAPL"})
    feed.take(frame(4, "MSFT"))
    feed.forget(every)
    feed.take(frame(5, "AAPL"))
    assert (one.heard, every.heard) == ([2, 3, 5], [1, 2, 3, 4])
    assert (feed.age_ms() or 0) < 5_000
