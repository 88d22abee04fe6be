"""Every answer below the API's addresses is JSON with a code, and carries its headers."""

from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client, override_settings
from django_redis import get_redis_connection
from redis.exceptions import ConnectionError as RedisConnectionError

from apps.api import throttles
from apps.api.published.v2 import market as market_views
from tests.api.conftest import Api

HEADERS = ("X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def _is_refusal(answer: Any, status: int, code: int) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert answer.json()["message"]
    for name in HEADERS:
        assert answer[name]


@pytest.mark.parametrize(
    "path",
    ["/v2/nothing", "/v2/orders/", "/v1/accounts", "/v3/clock", "/v1beta1/options", "/api/v1/x", "/v2"],
)
def test_unknown_address_is_a_json_404_without_redirect(market: None, path: str) -> None:
    _is_refusal(Client().get(path), 404, 40410000)


def test_unknown_page_is_html(market: None) -> None:
    answer = Client().get("/no-such-page")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_wrong_method_is_405(ada: Api) -> None:
    answer = ada.post("/v2/account", {})
    _is_refusal(answer, 405, 40500000)
    assert answer["Allow"]


def test_other_content_is_415_and_get_with_an_empty_json_body_is_not(ada: Api) -> None:
    answer = ada.client.post("/v2/orders", "a=1", content_type="text/csv", headers=ada.headers)
    _is_refusal(answer, 415, 41500000)
    assert (
        ada.client.get("/v2/clock", headers={**ada.headers, "Content-Type": "application/json"}).status_code
        == 200
    )


def test_large_body_is_413(ada: Api) -> None:
    _is_refusal(ada.post("/v2/orders", '{"a": "' + "x" * 70_000 + '"}'), 413, 41300000)


def test_malformed_json_is_400(ada: Api) -> None:
    _is_refusal(ada.post("/v2/orders", "{"), 400, 40010000)


def test_our_own_mistake_is_a_json_500_that_tells_nothing(ada: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(market_views, "market_clock", fail)
    answer = ada.get("/v2/clock")
    _is_refusal(answer, 500, 50010000)
    assert b"secret" not in answer.content


def test_database_trouble_is_a_503_that_says_what_to_do(ada: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(market_views, "market_clock", fail)
    answer = ada.get("/v2/clock")
    _is_refusal(answer, 503, 50310000)
    assert answer["Retry-After"]


def test_a_reading_that_took_too_long_is_a_503_and_no_fault_of_ours(
    ada: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_timeout = '20ms'")
            cursor.execute("SELECT pg_sleep(1)")

    monkeypatch.setattr(market_views, "market_clock", late)
    answer = ada.get("/v2/clock")
    _is_refusal(answer, 503, 50310000)
    connection.close()


def test_headers_count_down_and_the_bucket_s_end_is_429(ada: Api) -> None:
    with override_settings(API_READS_PER_MINUTE=3):
        answers = [ada.get("/v2/clock") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [int(answer["X-RateLimit-Remaining"]) for answer in answers] == [2, 1, 0, 0]
        assert answers[0]["X-RateLimit-Limit"] == "3"
        _is_refusal(answers[3], 429, 42910000)
        assert 1 <= int(answers[3]["Retry-After"]) <= 20
        # Orders have a bucket of their own.
        assert ada.order().status_code == 200


def test_without_redis_requests_pass_uncounted(ada: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RedisConnectionError("gone")

    monkeypatch.setattr(type(get_redis_connection("default")), "eval", fail)
    assert ada.get("/v2/clock").status_code == 200
    assert ada.order().status_code == 200


def test_busy_key_asks_redis_once_for_a_few_requests(ada: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    redis = type(get_redis_connection("default"))
    original = redis.eval

    def noted(self: Any, *given: Any) -> Any:
        asked.append(given[-1])
        return original(self, *given)

    monkeypatch.setattr(redis, "eval", noted)
    monkeypatch.setattr(throttles, "LEASE_S", 60.0)
    answers = [ada.get("/v2/clock") for _ in range(20)]
    assert asked == [10, 10]
    assert [int(answer["X-RateLimit-Remaining"]) for answer in answers[:10]] == list(range(5_999, 5_989, -1))


def test_processes_that_share_a_key_get_together_what_one_would(
    ada: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes three of the bucket's six; what one leaves unspent is lost to the key, never given twice."""
    monkeypatch.setattr(throttles, "LEASES_PER_MINUTE", 2)
    statuses = []
    with override_settings(API_READS_PER_MINUTE=6):
        for _ in range(3):
            throttles._leases.clear()  # another process begins
            statuses.append(ada.get("/v2/clock").status_code)
    assert statuses == [200, 200, 429]
