"""Staff of three kinds, and one reader of the SQL that a page runs."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.accounts.models import User


def staff_client(username: str, permissions: tuple[str, ...] = (), **more: Any) -> Client:
    user = User.objects.create_user(username=username, password="secret", is_staff=True, **more)
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def chief(market: None) -> Iterator[Client]:
    """A superuser."""
    yield staff_client("chief", is_superuser=True)


@pytest.fixture
def reader(market: None) -> Client:
    """Staff who may look at symbols, accounts and orders, and do nothing."""
    seen = ("instruments.view_instrument", "accounts.view_account", "orders.view_order", "accounts.view_user")
    return staff_client("reader", seen)


@pytest.fixture
def controller(market: None) -> Client:
    """Staff who may halt symbols and suspend accounts."""
    may = (
        "instruments.view_instrument",
        "instruments.change_instrument",
        "accounts.view_account",
        "accounts.change_account",
    )
    return staff_client("controller", may)
