"""A signed-in browser of one trader, without a browser."""

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.support.builders import Trader


@pytest.fixture
def signed_in(trader: Callable[..., Trader]) -> Callable[[Trader], Client]:
    """Return a client with a trader's session; CSRF tokens are demanded as in a browser."""

    def sign_in(one: Trader) -> Client:
        client = Client()
        client.force_login(get_user_model().objects.get(pk=one.user_id))
        return client

    return sign_in
