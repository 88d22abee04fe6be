"""A key pair is looked up seldom, believed briefly, and never after it was revoked for long."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.access import selectors
from apps.access.models import ApiKey
from apps.access.selectors import HOLDER_LIFE_S, key_holder
from apps.access.services import api_key_issue, api_key_revoke
from apps.events.facts import SYSTEM
from apps.primitives.clock import utc_now
from tests.support.builders import trader_open

Pair = tuple[str, str]


@pytest.fixture
def pair(market: None) -> Pair:
    """A live key and its secret."""
    return api_key_issue(account_id=trader_open(cash="1.00").account_id, origin=SYSTEM)


def test_valid_pair_is_read_once_for_many_requests(pair: Pair) -> None:
    with CaptureQueriesContext(connection) as queries:
        holders = {key_holder(*pair) for _ in range(20)}
    assert len(holders) == 1
    assert None not in holders
    assert len(queries) == 1


def test_believed_key_does_not_open_with_another_secret(pair: Pair) -> None:
    assert key_holder(*pair)
    assert key_holder(pair[0], "another") is None
    assert key_holder("another", pair[1]) is None
    assert key_holder(*pair)


def test_key_revoked_here_is_refused_at_once(pair: Pair) -> None:
    assert key_holder(*pair)
    api_key_revoke(key_id=pair[0], origin=SYSTEM)
    assert key_holder(*pair) is None


def test_key_revoked_by_another_process_is_refused_within_its_life(pair: Pair) -> None:
    assert key_holder(*pair)
    ApiKey.objects.filter(pk=pair[0]).update(revoked_at=utc_now())
    deadline = time.monotonic() + HOLDER_LIFE_S + 0.1
    while key_holder(*pair):
        assert time.monotonic() < deadline, "a revoked key is still believed"
        time.sleep(0.02)


def test_number_of_believed_pairs_is_bounded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "HOLDERS_MAX", 3)
    account_id = trader_open(cash="1.00").account_id
    for _ in range(10):
        assert key_holder(*api_key_issue(account_id=account_id, origin=SYSTEM))
        assert len(selectors._holders) <= 3
