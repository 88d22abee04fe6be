"""A trade that was clearly an error is taken back: whole, on the record, or not at all."""

import random
import signal
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction

from apps.accounts.locks import accounts_locked
from apps.accounts.models import Account
from apps.audit.selectors import account_at
from apps.events.facts import SYSTEM, Origin
from apps.events.models import Event
from apps.instruments.selectors import market_session, settlement_date
from apps.ledger.models import Transaction
from apps.operations.services import settlement, unwinding
from apps.operations.services.busting import trade_bust
from apps.operations.services.funding import cash_deposit, shares_issue
from apps.operations.services.reconcile import reconcile_run
from apps.operations.services.settlement import settlement_run
from apps.positions.models import Position
from apps.primitives.clock import utc_now
from apps.primitives.errors import BrokerageError, Conflict, Invalid, NotFound, Refused, Unavailable
from apps.trades.models import Trade
from tests.support.builders import Trader, trader_open
from tests.support.databases import DATABASES
from tests.support.house import House, until
from tests.support.matching import Exchange
from tests.support.processes import function_main

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

WHY = "Price was a typing error"
Figures = tuple[Any, ...]


@pytest.fixture
def parties(exchange: Exchange) -> tuple[Trader, Trader]:
    """A buyer and a seller who own shares at 90.00 and money besides."""
    return tuple(trader_open(cash="50000.00", shares={"AAPL": 100}) for _ in range(2))  # type: ignore[return-value]


def deal(exchange: Exchange, buyer: Trader, seller: Trader, quantity: int, price: str) -> int:
    """Let two traders meet at a price and return the trade."""
    seller.sell(quantity, price)
    buyer.buy(quantity, price)
    exchange.run()
    return int(Trade.objects.order_by("-trade_id").values_list("trade_id", flat=True)[0])


def bust(trade_id: int, origin: Origin = SYSTEM) -> None:
    trade_bust(trade_id=trade_id, reason=WHY, origin=origin)


def figures(trader: Trader) -> Figures:
    """Return all that a trade moves of a trader: cash, what is unsettled, positions with cost and result."""
    summary = trader.summary
    rows = Position.objects.filter(account_id=trader.account_id).order_by("symbol")
    return (
        summary.cash,
        summary.withdrawable,
        *rows.values_list("symbol", "quantity", "average_cost", "realized_pnl"),
    )


def record_count() -> tuple[int, int]:
    return Event.objects.count(), Transaction.objects.count()


def test_all_returns_to_what_it_was_and_both_sides_are_told(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    buyer, seller = parties
    before = figures(buyer), figures(seller)
    trade_id = deal(exchange, buyer, seller, 10, "105.00")
    told_before = Event.objects.count()
    bust(trade_id, Origin(actor_id=4711))
    assert (figures(buyer), figures(seller)) == before
    trade = Trade.objects.get(pk=trade_id)
    assert (trade.settlement_status, trade.settled_at) == ("BUSTED", None)
    lines = Transaction.objects.filter(transaction_type="TRADE_BUST", reference_id=trade_id)
    assert {(line.account_id, line.amount, line.balance_after) for line in lines} == {
        (buyer.account_id, Decimal("1050.00"), Decimal("50000.00")),
        (seller.account_id, Decimal("-1050.00"), Decimal("50000.00")),
    }
    told = list(Event.objects.order_by("id")[told_before:])
    assert [event.event_type for event in told] == (
        ["TRADE_BUSTED"] * 2 + ["BALANCE_CHANGED"] * 2 + ["POSITION_CHANGED"] * 2
    )
    for trader, side in ((buyer, "BUY"), (seller, "SELL")):
        event = next(e for e in told if e.account_id == trader.account_id and e.event_type == "TRADE_BUSTED")
        assert (event.user_id, event.data["side"], event.data["reason"]) == (trader.user_id, side, WHY)
        assert (event.data["trade_id"], event.metadata["actor_id"]) == (str(trade_id), 4711)


def test_orders_stay_filled_and_the_stream_has_no_gap(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    buyer, seller = parties
    seller.sell(10, "105.00")
    order = buyer.buy(10, "105.00")
    exchange.run()
    bust(Trade.objects.get().trade_id)
    assert (buyer.order(order).status, buyer.order(order).filled_quantity) == ("FILLED", 10)
    for trader in parties:
        stream = Event.objects.filter(account_id=trader.account_id, account_seq__isnull=False)
        numbers = list(stream.order_by("account_seq").values_list("account_seq", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))
    exchange.restart()
    assert deal(exchange, buyer, seller, 5, "104.00"), "both trade on"


def test_accounts_can_be_told_from_events_alone_afterwards(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    bust(deal(exchange, *parties, 10, "105.00"))
    for trader in parties:
        fold = account_at(trader.account_id, utc_now()).fold
        row = Position.objects.get(account_id=trader.account_id)
        position = fold.positions["AAPL"]
        assert (fold.cash_balance, fold.unsettled_cash) == (Decimal("50000.00"), 0)
        assert (position.quantity, position.average_cost) == (row.quantity, row.average_cost)


def test_a_busted_trade_is_settled_by_nobody_and_the_others_are(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    kept, busted = deal(exchange, *parties, 10, "105.00"), deal(exchange, *parties, 3, "101.00")
    bust(busted)
    done = settlement_run(settlement_date(market_session().trade_date))
    assert (done.accounts, done.trades, done.late_dates) == (2, 1, 0)
    assert Trade.objects.get(pk=kept).settlement_status == "SETTLED"
    assert Trade.objects.get(pk=busted).settlement_status == "BUSTED"
    assert {trader.summary.withdrawable - trader.cash for trader in parties} == {0}


# What a bust leaves must be what would be there had the trade never been: cost, result and all.
LATER: dict[str, Callable[[Exchange, Trader, Trader], Any]] = {
    "nothing": lambda exchange, buyer, seller: None,
    "more bought": lambda exchange, buyer, seller: deal(exchange, buyer, seller, 7, "101.00"),
    "some sold": lambda exchange, buyer, seller: deal(exchange, seller, buyer, 40, "112.00"),
    "all but it sold, and bought again": lambda exchange, buyer, seller: (
        deal(exchange, seller, buyer, 100, "108.00"),
        deal(exchange, buyer, seller, 3, "99.50"),
    ),
    "shares issued": lambda exchange, buyer, seller: shares_issue(
        account_id=buyer.account_id,
        symbol="AAPL",
        quantity=3,
        unit_cost=Decimal("33.3333"),
        reason="Dividend in shares",
        origin=SYSTEM,
    ),
    "another busted": lambda exchange, buyer, seller: bust(deal(exchange, buyer, seller, 9, "108.00")),
}


@pytest.mark.parametrize("later", LATER)
def test_positions_are_as_if_the_trade_had_never_been(
    exchange: Exchange, parties: tuple[Trader, Trader], later: str
) -> None:
    control = tuple(trader_open(cash="50000.00", shares={"AAPL": 100}) for _ in range(2))
    trade_id = deal(exchange, *parties, 11, "104.37")
    for buyer, seller in (parties, control):
        LATER[later](exchange, buyer, seller)
    bust(trade_id)
    assert [figures(one) for one in parties] == [figures(one) for one in control]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_row_of_errors_is_taken_back_in_any_order(
    exchange: Exchange, parties: tuple[Trader, Trader], order: tuple[int, ...]
) -> None:
    before = [figures(one) for one in parties]
    trades = [deal(exchange, *parties, 3 + n, f"10{n}.33") for n in range(3)]
    for number in order:
        bust(trades[number])
    assert [figures(one) for one in parties] == before


def test_where_the_record_does_not_lead_the_opposite_at_its_price_undoes_it(
    exchange: Exchange, parties: tuple[Trader, Trader], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cost less result is right all the same: nobody gains by it."""
    monkeypatch.setattr(unwinding, "MOVES_MAX", 1)
    buyer, seller = parties
    trade_id = deal(exchange, buyer, seller, 100, "110.00")
    deal(exchange, seller, buyer, 50, "120.00")
    bust(trade_id)
    row = Position.objects.get(account_id=buyer.account_id)
    assert (row.quantity, row.average_cost, row.realized_pnl) == (50, Decimal("100"), Decimal("2000.00"))
    assert row.quantity * row.average_cost - row.realized_pnl == 100 * 90 - 50 * 120
    row = Position.objects.get(account_id=seller.account_id)
    assert row.quantity == 150


def test_a_sale_of_what_is_taken_away_waits_for_the_next_purchase(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    seller, other = parties
    buyer = trader_open(cash="9000.00")
    trade_id = deal(exchange, buyer, seller, 10, "100.00")
    deal(exchange, other, buyer, 4, "110.00")
    deal(exchange, other, buyer, 6, "110.00")
    deal(exchange, buyer, other, 12, "105.00")
    deal(exchange, buyer, other, 2, "103.00")
    bust(trade_id)
    row = Position.objects.get(account_id=buyer.account_id)
    assert (row.quantity, row.average_cost, row.realized_pnl) == (4, 104, Decimal("50.00"))
    assert buyer.cash == 9000 + 50 - 4 * 104


def test_what_the_buyer_no_longer_has_free_refuses_the_bust(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    buyer, seller = trader_open(cash="5000.00"), parties[0]
    trade_id = deal(exchange, buyer, seller, 10, "100.00")
    resting = buyer.sell(4, "120.00")
    before = record_count()
    with pytest.raises(Refused, match=rf"{buyer.account_id} must give back 10 AAPL and has 6 free"):
        bust(trade_id)
    buyer.cancel(resting)
    exchange.run()
    deal(exchange, parties[1], buyer, 1, "100.00")
    with pytest.raises(Refused, match="has 9 free; open orders hold 0"):
        bust(trade_id)
    assert Trade.objects.get(pk=trade_id).settlement_status == "PENDING"
    assert before[1] + 2 == record_count()[1], "the ledger has the last trade and nothing else"


def test_what_the_seller_no_longer_has_free_refuses_the_bust(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    buyer, seller = parties[0], trader_open(shares={"AAPL": 10})
    trade_id = deal(exchange, buyer, seller, 10, "100.00")
    resting = seller.buy(2, "90.00")
    before = figures(seller)
    with pytest.raises(Refused, match=rf"{seller.account_id} must give back 1000.00 USD and has 820.00 free"):
        bust(trade_id)
    assert figures(seller) == before
    seller.cancel(resting)
    exchange.run()
    bust(trade_id)
    assert (seller.cash, seller.shares()) == (0, 10)


def test_what_makes_no_sense_is_refused_and_changes_nothing(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    trade_id = deal(exchange, *parties, 10, "100.00")
    before = record_count()
    for unknown in (1, -1, 0, trade_id + 1, 2**63, 10**30):
        with pytest.raises(NotFound):
            bust(unknown)
    with pytest.raises(Invalid):
        trade_bust(trade_id=trade_id, reason=" why ", origin=SYSTEM)
    assert record_count() == before
    bust(trade_id)
    before = record_count()
    with pytest.raises(Conflict, match="is busted already"):
        bust(trade_id)
    assert record_count() == before


def test_a_trade_that_settles_stays(exchange: Exchange, parties: tuple[Trader, Trader]) -> None:
    trade_id = deal(exchange, *parties, 10, "100.00")
    settlement_run(settlement_date(market_session().trade_date))
    with pytest.raises(Conflict, match="is settled and stays"):
        bust(trade_id)


def test_a_trade_whose_cash_has_begun_to_settle_stays(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    """A run that died between two accounts has moved one side's cash already: the next run finishes."""
    trade_id = deal(exchange, *parties, 10, "100.00")
    date = settlement_date(market_session().trade_date)
    with connection.cursor() as cursor:
        total = settlement._totals(cursor, date)[parties[1].account_id]
    settlement._account_settle(date, parties[1].account_id, total)
    with pytest.raises(Conflict, match=f"{parties[1].account_id} has begun to settle"):
        bust(trade_id)
    settlement_run(date)
    assert Trade.objects.get().settlement_status == "SETTLED"


def test_while_its_date_is_being_settled_a_trade_cannot_be_busted(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    """A run has summed up the date and waits for an account: what it summed must not be taken back now."""
    trade_id, date = deal(exchange, *parties, 10, "100.00"), settlement_date(market_session().trade_date)
    with transaction.atomic():
        accounts_locked([parties[0].account_id])
        run = threading.Thread(target=at_once, args=([lambda: settlement_run(date)],))
        run.start()
        until(lambda: House().rows(WAITING_SQL), "the run waits for the account")
        errors = at_once([lambda: bust(trade_id)])
    run.join(30)
    assert [type(error) for error in errors] == [Unavailable]
    assert Trade.objects.get().settlement_status == "SETTLED"


WAITING_SQL = """
SELECT pid FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%FROM accounts%'
"""


def at_once(acts: list[Callable[[], Any]]) -> list[BaseException]:
    """Run acts in threads that start together, and return what they raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> None:
        try:
            start.wait(10)
            act()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def test_busted_four_times_at_once_it_is_busted_once(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    before = [figures(one) for one in parties]
    trade_id = deal(exchange, *parties, 10, "100.00")
    errors = at_once([lambda: bust(trade_id)] * 4)
    assert len(errors) == 3
    assert {type(error) for error in errors} <= {Conflict, Unavailable}
    assert [figures(one) for one in parties] == before
    assert Event.objects.filter(event_type="TRADE_BUSTED").count() == 2


def test_an_accounts_events_stay_in_order_while_a_bust_waits_for_the_other_account(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    trade_id = deal(exchange, *parties, 10, "105.00")
    later = max(trader.account_id for trader in parties)

    def pay() -> None:
        cash_deposit(account_id=later, amount=Decimal("11.00"), description="Wire", origin=SYSTEM)

    with transaction.atomic():
        accounts_locked([later])
        deposit = threading.Thread(target=at_once, args=([pay],))
        deposit.start()
        until(lambda: House().rows(WAITING_SQL), "the deposit waits for the account")
        busting = threading.Thread(target=at_once, args=([lambda: bust(trade_id)],))
        busting.start()
        time.sleep(0.5)
    deposit.join(30)
    busting.join(30)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_seq FROM events WHERE account_id = %s AND account_seq IS NOT NULL "
            "ORDER BY xact_id, id",
            (later,),
        )
        numbers = [row[0] for row in cursor.fetchall()]
    assert numbers == sorted(numbers)
    assert Trade.objects.get(pk=trade_id).settlement_status == "BUSTED"
    told, held = account_at(later, utc_now()), Account.objects.get(pk=later)
    assert told.cash_balance == held.cash_balance


def test_settlement_and_bust_at_once_leave_one_of_the_two(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    date = settlement_date(market_session().trade_date)
    for n in range(5):
        trade_id = deal(exchange, *parties, 1 + n, "100.00")
        errors = at_once([lambda one=trade_id: bust(one), lambda: settlement_run(date)])  # type: ignore[misc]
        assert all(isinstance(error, BrokerageError) for error in errors), errors
        settlement_run(date)
        status = Trade.objects.get(pk=trade_id).settlement_status
        assert status == ("SETTLED" if errors else "BUSTED")
        assert not Trade.objects.filter(settlement_status="PENDING").exists()
        assert all(result.is_whole for result in reconcile_run())
        # The next round needs accounts that have no step of this date yet.
        parties = tuple(trader_open(cash="50000.00", shares={"AAPL": 100}) for _ in range(2))  # type: ignore[assignment]


def test_whoever_has_an_account_first_is_waited_for(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    """Entry that adds a hold and a deposit that moves cash lock the account: their outcome is what counts."""
    buyer, seller = parties
    trade_id = deal(exchange, buyer, seller, 10, "100.00")
    errors: list[BaseException] = []
    with transaction.atomic():
        accounts_locked([buyer.account_id])
        act = threading.Thread(target=lambda: errors.extend(at_once([lambda: bust(trade_id)])))
        act.start()
        until(lambda: House().rows(WAITING_SQL), "the bust waits for the account")
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE accounts SET version = version + 1 WHERE account_id = %s", (buyer.account_id,)
            )
    act.join(30)
    assert errors == []
    assert buyer.cash == Decimal("50000.00")


def bust_child(trade_id: int) -> None:
    bust(trade_id)


def test_a_process_killed_before_its_commit_leaves_nothing(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    before = [figures(one) for one in parties]
    trade_id = deal(exchange, *parties, 10, "100.00")
    after, records = [figures(one) for one in parties], record_count()
    with House() as house:
        child = house.child(function_main, bust_child, trade_id, failpoints="bust.before_commit=kill")
        assert child.exit_code() == -signal.SIGKILL
    assert ([figures(one) for one in parties], record_count()) == (after, records)
    assert Trade.objects.get().settlement_status == "PENDING"
    bust(trade_id)
    assert [figures(one) for one in parties] == before


def test_trades_are_taken_back_while_the_runner_books_fills_of_the_same_accounts(
    exchange: Exchange, parties: tuple[Trader, Trader]
) -> None:
    """A real runner books all the while; what is left is what all the other trades come to."""
    before = figures(parties[0])
    trades = [deal(exchange, *parties, 1, "100.00") for _ in range(8)]
    done = threading.Event()
    exchange.connection.close()
    with House() as house:
        house.leader()

        def trade_on() -> None:
            while not done.is_set():
                house.sent(parties[1].sell(1, "100.00"))
                house.sent(parties[0].buy(1, "100.00"))

        def bust_all() -> None:
            try:
                for trade_id in trades:
                    bust(trade_id)
            finally:
                done.set()

        assert at_once([trade_on, bust_all]) == []
        house.books_hold()
    kept = Trade.objects.exclude(settlement_status="BUSTED").count()
    assert Trade.objects.filter(settlement_status="BUSTED").count() == 8
    assert kept > 0
    assert (parties[0].cash, parties[0].shares()) == (before[0] - 100 * kept, 100 + kept)


def test_random_trades_and_busts_keep_the_books_whole(exchange: Exchange) -> None:
    """Whatever is busted in whatever order, each account stands as if only the rest had happened."""
    for seed in range(6):
        chance = random.Random(seed)
        traders = [trader_open(cash="20000.00", shares={"AAPL": 60}) for _ in range(4)]
        made: list[tuple[int, int, int, int, Decimal]] = []
        busted: set[int] = set()
        for _ in range(14):
            buyer, seller = chance.sample(range(4), 2)
            quantity, price = chance.randint(1, 12), Decimal(chance.randint(9800, 10200)) / 100
            trade_id = deal(exchange, traders[buyer], traders[seller], quantity, f"{price}")
            made.append((trade_id, buyer, seller, quantity, price))
            if chance.random() < 0.5:
                victim = chance.choice(made)[0]
                if victim not in busted:
                    bust(victim)
                    busted.add(victim)
        assert busted
        for number, trader in enumerate(traders):
            cash, shares = Decimal("20000.00"), 60
            for trade_id, buyer, seller, quantity, price in made:
                if trade_id not in busted and number in (buyer, seller):
                    sign = 1 if number == buyer else -1
                    cash, shares = cash - sign * quantity * price, shares + sign * quantity
            assert (trader.cash, trader.shares()) == (cash, shares)
            row = Position.objects.get(account_id=trader.account_id)
            basis = row.quantity * row.average_cost - row.realized_pnl
            assert abs(basis - (60 * 90 + 20000 - cash)) < Decimal("0.20"), "but for roundings of the average"
        assert all(result.is_whole for result in reconcile_run())
