"""Settlement: T+1, once per date, account and step, whatever is retried or run twice."""

import threading
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from apps.accounts.models import Account
from apps.events.models import Event
from apps.instruments.selectors import market_session, settlement_date
from apps.operations.models import SettlementStep
from apps.operations.services import settlement
from apps.operations.services.reconcile import reconcile_run
from apps.operations.services.settlement import settlement_run
from apps.trades.models import Trade
from tests.operations.conftest import TradedBook
from tests.support.builders import Trader
from tests.support.databases import DATABASES
from tests.support.matching import Exchange

pytestmark = pytest.mark.django_db(transaction=True, databases=DATABASES)

VALUE = Decimal("7005.00")
"""60 at 100.00 and 10 at 100.50."""


def due_date() -> Any:
    return settlement_date(market_session().trade_date)


def unsettled(trader: Trader) -> Decimal:
    return Account.objects.get(pk=trader.account_id).unsettled_cash


def whole() -> bool:
    return all(result.is_whole for result in reconcile_run())


def test_nothing_settles_before_its_date(traded: TradedBook) -> None:
    done = settlement_run(due_date() - timedelta(days=1))
    assert (done.accounts, done.trades) == (0, 0)
    assert unsettled(traded.buyer) == -VALUE
    assert unsettled(traded.seller) == VALUE


def test_on_its_date_cash_and_trades_settle_once(traded: TradedBook) -> None:
    cash = traded.buyer.cash, traded.seller.cash
    lines: list[str] = []
    done = settlement_run(due_date(), lines.append)
    assert (done.accounts, done.trades, done.late_dates) == (2, 2, 0)
    assert lines == [f"{due_date()}: 2 accounts, 2 trades settled"]
    assert unsettled(traded.buyer) == unsettled(traded.seller) == 0
    assert (traded.buyer.cash, traded.seller.cash) == cash
    assert set(Trade.objects.values_list("settlement_status", flat=True)) == {"SETTLED"}
    assert not Trade.objects.filter(settled_at=None).exists()
    event = Event.objects.get(event_type="CASH_SETTLED", account_id=traded.seller.account_id)
    assert Decimal(str(event.data["amount"])) == VALUE
    assert event.account_seq == Account.objects.get(pk=traded.seller.account_id).event_seq
    again = settlement_run(due_date())
    assert (again.accounts, again.trades) == (0, 0)
    assert SettlementStep.objects.count() == 2
    assert whole()


def test_withdrawable_rises_when_sales_settle(traded: TradedBook) -> None:
    before = traded.seller.summary.withdrawable
    settlement_run(due_date())
    assert traded.seller.summary.withdrawable == before + VALUE


def test_a_crash_between_accounts_and_trades_is_finished_by_the_next_run(
    traded: TradedBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> Any:
        raise RuntimeError("power is gone")

    with monkeypatch.context() as broken:
        broken.setattr(settlement, "_trades_settle", crash)
        with pytest.raises(RuntimeError):
            settlement_run(due_date())
    assert unsettled(traded.buyer) == 0
    assert whole(), "settled cash with pending trades is no break of the books"
    done = settlement_run(due_date())
    assert (done.accounts, done.trades) == (0, 2)
    assert whole()


def test_a_crash_in_the_middle_of_an_account_leaves_nothing(
    traded: TradedBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> Any:
        raise RuntimeError("power is gone")

    with monkeypatch.context() as broken:
        broken.setattr(settlement, "balances_write", crash)
        with pytest.raises(RuntimeError):
            settlement_run(due_date())
    assert not SettlementStep.objects.exists()
    assert not Event.objects.filter(event_type="CASH_SETTLED").exists()
    assert unsettled(traded.buyer) == -VALUE


def test_trades_booked_after_the_accounts_settled_get_a_step_of_their_own(
    traded: TradedBook, exchange: Exchange
) -> None:
    settlement._cash_settle(due_date())
    traded.buyer.buy(5, "102.00")
    exchange.run()
    assert Trade.objects.count() == 3
    assert settlement._trades_settle(due_date()) == (0, False)
    assert whole()
    done = settlement_run(due_date())
    assert (done.accounts, done.trades, done.late_dates) == (2, 3, 0)
    steps = set(SettlementStep.objects.values_list("step", flat=True))
    assert steps == {"CASH", "CASH_2"}
    assert unsettled(traded.buyer) == unsettled(traded.seller) == 0
    assert whole()


def test_two_runs_at_once_settle_everything_once(traded: TradedBook) -> None:
    errors: list[Exception] = []

    def run() -> None:
        try:
            settlement_run(due_date())
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert SettlementStep.objects.count() == 2
    assert Event.objects.filter(event_type="CASH_SETTLED").count() == 2
    assert unsettled(traded.buyer) == unsettled(traded.seller) == 0
    assert whole()


def test_the_command_refuses_a_date_that_has_not_come(traded: TradedBook) -> None:
    with pytest.raises(CommandError, match="has not come yet"):
        call_command("settlement_run", "--date=2099-01-01")
    with pytest.raises(CommandError, match="is not a date"):
        call_command("settlement_run", "--date=soon")
    out = StringIO()
    call_command("settlement_run", stdout=out)
    assert "Settled 0 trades and the cash of 0 accounts." in out.getvalue()


def test_settlement_leaves_a_settled_trade_unchangeable(traded: TradedBook) -> None:
    settlement_run(due_date())
    with pytest.raises(Exception, match="never change"), connection.cursor() as cursor:
        cursor.execute("UPDATE trades SET settlement_status = 'PENDING'")
