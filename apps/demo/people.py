"""The demo's people: traders with money, shares and logins, an administrator, the simulated participants."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from django.contrib.auth import get_user_model

from apps.access.selectors import key_holder
from apps.access.services import api_key_issue
from apps.accounts.selectors import AccountView, account_for_user
from apps.accounts.services import account_open, password_set
from apps.demo.credentials import (
    Credentials,
    StaffLogin,
    TraderLogin,
    credentials_read,
    credentials_write,
    password_make,
)
from apps.demo.universe import ADMIN, PARTICIPANTS, TRADER_CASH, TRADERS, Participant, Trader
from apps.events.facts import Origin
from apps.operations.services.funding import cash_deposit, shares_issue
from apps.positions.selectors import position_list

ORIGIN = Origin(user_agent="openbell-demo")
ACCOUNT_TYPE = "CASH"
KEY_LABEL = "Demo"


def account_named(username: str) -> AccountView | None:
    """Return the account of a user name, None when there is no such user."""
    user = get_user_model().objects.filter(username=username).first()
    return account_for_user(user.pk) if user else None


def participant_ensure(participant: Participant, closes: Mapping[str, Decimal]) -> AccountView:
    """Return a simulated participant's account, opened when it is missing and topped up when it runs low."""
    account = account_named(participant.username)
    if account is None:
        account_open(
            username=participant.username,
            password=None,
            account_type=ACCOUNT_TYPE,
            simulated=True,
            origin=ORIGIN,
        )
        account = _account_of(participant.username)
    if account.cash_balance < participant.cash / 2:
        _deposit(account, participant.cash - account.cash_balance)
    owned = {position.symbol: position.quantity for position in position_list(account.account_id)}
    for symbol, close in closes.items():
        if owned.get(symbol, 0) < participant.shares // 2:
            _issue(account, symbol, participant.shares - owned.get(symbol, 0), close)
    return account


def participants_ensure(closes: Mapping[str, Decimal]) -> None:
    """Bring every simulated participant to working strength."""
    for participant in PARTICIPANTS:
        participant_ensure(participant, closes)


def people_ensure(path: Path, url: str, costs: Mapping[str, Decimal]) -> Credentials:
    """Make traders and administrator able to sign in with what ``demo.json`` says, and write that file.

    Passwords and keys that work already stay as they are. ``costs`` is what the first shares cost.
    """
    known = credentials_read(path)
    users = tuple(_trader_ensure(trader, known, costs) for trader in TRADERS)
    # A key of the file that opens this database shows that the two belong together.
    belongs = known is not None and known.users == users
    admin = _admin_ensure(known.admin if known and belongs else None)
    wanted = Credentials(url, users, admin)
    if wanted != known:
        credentials_write(path, wanted)
    return wanted


def _trader_ensure(trader: Trader, known: Credentials | None, costs: Mapping[str, Decimal]) -> TraderLogin:
    login = known.trader(trader.username) if known else None
    account = account_named(trader.username)
    if account is not None and login is not None and _key_fits(login, account):
        _trader_fund(trader, account, costs)
        return login
    password = login.password if login else password_make()
    if account is None:
        account_open(username=trader.username, password=password, account_type=ACCOUNT_TYPE, origin=ORIGIN)
        account = _account_of(trader.username)
    else:
        _password_set(trader.username, password)
    _trader_fund(trader, account, costs)
    key_id, secret = api_key_issue(account_id=account.account_id, label=KEY_LABEL, origin=ORIGIN)
    return TraderLogin(trader.username, password, key_id, secret)


def _trader_fund(trader: Trader, account: AccountView, costs: Mapping[str, Decimal]) -> None:
    """Give a new trader shares and cash, once: each act advances ``event_seq``, so it says what is done."""
    if account.event_seq > len(trader.shares):
        return
    for symbol, quantity in trader.shares[account.event_seq :]:
        _issue(account, symbol, quantity, costs[symbol])
    _deposit(account, TRADER_CASH)


def _admin_ensure(known: StaffLogin | None) -> StaffLogin:
    people = get_user_model().objects
    login = known or StaffLogin(ADMIN, password_make())
    if not people.filter(username=ADMIN).exists():
        people.create_superuser(ADMIN, "", login.password)
    elif known is None:
        _password_set(ADMIN, login.password)
    return login


def _password_set(username: str, password: str) -> None:
    user_id = get_user_model().objects.get(username=username).pk
    password_set(user_id=user_id, password=password, reason="Demo login", origin=ORIGIN)


def _key_fits(login: TraderLogin, account: AccountView) -> bool:
    holder = key_holder(login.key_id, login.secret)
    return holder is not None and holder.account_id == account.account_id


def _account_of(username: str) -> AccountView:
    account = account_named(username)
    assert account is not None, f"the account of {username} was opened"
    return account


def _deposit(account: AccountView, amount: Decimal) -> None:
    cash_deposit(account_id=account.account_id, amount=amount, description="Demo funds", origin=ORIGIN)


def _issue(account: AccountView, symbol: str, quantity: int, unit_cost: Decimal) -> None:
    shares_issue(
        account_id=account.account_id,
        symbol=symbol,
        quantity=quantity,
        unit_cost=unit_cost,
        reason="Demo shares",
        origin=ORIGIN,
    )
