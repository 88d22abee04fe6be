"""The demo's seed makes what is missing, once, and never changes a login that works."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.db import connections

from apps.access.selectors import key_holder
from apps.demo.credentials import Credentials
from apps.demo.people import ORIGIN, account_named, participant_ensure
from apps.demo.seed import demo_seed
from apps.demo.universe import PARTICIPANTS, SYMBOLS, TRADERS
from apps.instruments.selectors import instrument_list
from apps.marketdata.selectors import bar_list, bars_imported
from apps.operations.services.funding import cash_deposit
from apps.orders.selectors import account_summary
from apps.positions.selectors import position_list
from tests.support.books import books_problems

URL = "http://127.0.0.1:8000"


def seed(path: Path) -> Credentials:
    return demo_seed(path, URL, lambda line: None)


def shares_of(username: str) -> dict[str, int]:
    account = account_named(username)
    assert account is not None
    return {one.symbol: one.quantity for one in position_list(account.account_id)}


def cash_of(username: str) -> Decimal:
    account = account_named(username)
    assert account is not None
    return account.cash_balance


@pytest.fixture
def seeded(database: None, tmp_path: Path) -> Path:
    path = tmp_path / "demo.json"
    seed(path)
    yield path
    assert not books_problems()


def test_the_market_is_there_after_the_first_run(seeded: Path) -> None:
    listed = instrument_list()
    assert [view.symbol for view in listed] == list(SYMBOLS)
    assert all(view.simulated and view.tradable for view in listed)
    prices = {view.symbol: view.last_price for view in listed}
    assert prices["AAPL"] == Decimal("430.4700") and prices["GOOG"] == Decimal("806.1900")
    assert len(bar_list("IBM", "1D", limit=5000)) == 3270
    for symbol in SYMBOLS:
        assert len(bar_list(symbol, "5m")) == 500
        assert bar_list(symbol, "5m")[-1].close == prices[symbol]


def test_traders_have_money_shares_and_working_logins(seeded: Path) -> None:
    content = json.loads(seeded.read_text())
    assert set(content) == {"url", "users", "admin"} and content["url"] == URL
    assert stat.S_IMODE(seeded.stat().st_mode) == 0o600
    assert [user["username"] for user in content["users"]] == ["ada", "grace"]
    for user, trader in zip(content["users"], TRADERS, strict=True):
        assert set(user) == {"username", "password", "key_id", "secret"}
        assert authenticate(username=user["username"], password=user["password"]) is not None
        account = account_named(trader.username)
        holder = key_holder(user["key_id"], user["secret"])
        assert account is not None and holder is not None and holder.account_id == account.account_id
        assert cash_of(trader.username) == Decimal("100000.00")
        assert shares_of(trader.username) == dict(trader.shares)
        assert account_summary(account.account_id).unrealized_pnl != 0
    admin = authenticate(username="admin", password=content["admin"]["password"])
    assert admin is not None and admin.is_superuser and admin.is_staff


def test_participants_are_marked_funded_and_cannot_sign_in(seeded: Path) -> None:
    for participant in PARTICIPANTS:
        account = account_named(participant.username)
        user = get_user_model().objects.get(username=participant.username)
        assert account is not None and account.simulated
        assert not user.has_usable_password() and not user.is_staff
        assert cash_of(participant.username) == participant.cash
        assert shares_of(participant.username) == dict.fromkeys(SYMBOLS, participant.shares)


def test_a_second_run_changes_nothing(seeded: Path) -> None:
    before, bars = seeded.read_bytes(), bars_imported()
    changed_at = seeded.stat().st_mtime_ns
    seed(seeded)
    assert seeded.read_bytes() == before and seeded.stat().st_mtime_ns == changed_at
    assert bars_imported() == bars
    assert cash_of("ada") == Decimal("100000.00") and shares_of("grace") == dict(TRADERS[1].shares)
    assert len(instrument_list()) == 5


def test_two_runs_at_once_make_one_demo(database: None, tmp_path: Path) -> None:
    path = tmp_path / "demo.json"

    def run(_: int) -> Credentials:
        try:
            return seed(path)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    assert first == second
    assert cash_of("ada") == Decimal("100000.00")
    assert shares_of("sim-maker-1") == dict.fromkeys(SYMBOLS, PARTICIPANTS[0].shares)
    assert not books_problems()


def test_a_lost_file_gets_new_logins_that_work(seeded: Path) -> None:
    old = json.loads(seeded.read_text())
    seeded.write_text("{half a fi")
    new = seed(seeded)
    assert new.users[0].secret != old["users"][0]["secret"]
    assert authenticate(username="ada", password=new.users[0].password) is not None
    assert authenticate(username="ada", password=old["users"][0]["password"]) is None
    assert authenticate(username="admin", password=new.admin.password) is not None
    assert cash_of("ada") == Decimal("100000.00")


def test_a_file_of_another_database_keeps_its_passwords_and_gets_new_keys(
    seeded: Path, tmp_path: Path
) -> None:
    other = json.loads(seeded.read_text())
    other["users"][0].update(password="known-by-heart-0001", key_id="OBELSEWHERE", secret="of another")
    path = tmp_path / "other.json"
    path.write_text(json.dumps(other))
    new = seed(path)
    assert new.users[0].password == "known-by-heart-0001"
    assert authenticate(username="ada", password="known-by-heart-0001") is not None
    assert key_holder(new.users[0].key_id, new.users[0].secret) is not None
    assert asdict(new.users[1]) == json.loads(seeded.read_text())["users"][1]


def test_a_new_address_is_written_and_the_logins_stay(seeded: Path) -> None:
    users = json.loads(seeded.read_text())["users"]
    demo_seed(seeded, "http://127.0.0.1:9999", lambda line: None)
    content = json.loads(seeded.read_text())
    assert content["url"] == "http://127.0.0.1:9999" and content["users"] == users


def test_a_broken_off_funding_is_finished(
    database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "demo.json"
    with monkeypatch.context() as patch:
        patch.setattr("apps.demo.people.cash_deposit", _fails_for_traders)
        with pytest.raises(InterruptedError):
            seed(path)
    assert shares_of("ada") == dict(TRADERS[0].shares) and cash_of("ada") == 0
    assert not path.exists()
    seed(path)
    assert shares_of("ada") == dict(TRADERS[0].shares) and cash_of("ada") == Decimal("100000.00")


def _fails_for_traders(*, account_id: int, amount: Decimal, **more: object) -> None:
    if amount == Decimal("100000.00"):
        raise InterruptedError
    cash_deposit(account_id=account_id, amount=amount, description="Demo funds", origin=ORIGIN)


def test_only_a_participant_that_runs_low_is_topped_up(seeded: Path) -> None:
    maker, closes = PARTICIPANTS[0], {symbol: Decimal("10.0000") for symbol in SYMBOLS}
    participant_ensure(replace(maker, cash=maker.cash * 2, shares=maker.shares * 2), closes)
    assert (cash_of(maker.username), shares_of(maker.username)["IBM"]) == (maker.cash, maker.shares)
    participant_ensure(replace(maker, cash=maker.cash * 3, shares=maker.shares * 3), closes)
    assert cash_of(maker.username) == maker.cash * 3
    assert shares_of(maker.username) == dict.fromkeys(SYMBOLS, maker.shares * 3)
