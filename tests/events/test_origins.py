"""Where a request comes from: the connection says it, or the one proxy that is trusted."""

from typing import Any

import pytest
from django.test import RequestFactory

from apps.events.origins import USER_AGENT_LENGTH_MAX, client_address, user_agent


@pytest.mark.parametrize(
    ("header", "sent", "address"),
    [
        ("", "203.0.113.9", "127.0.0.1"),
        ("X-Forwarded-For", "203.0.113.9", "203.0.113.9"),
        ("X-Forwarded-For", "10.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("X-Forwarded-For", "203.0.113.9, 2001:db8::1", "2001:db8::1"),
        ("X-Forwarded-For", "no address", "127.0.0.1"),
        ("X-Forwarded-For", "", "127.0.0.1"),
    ],
)
def test_only_the_last_address_of_a_trusted_header_counts(
    settings: Any, header: str, sent: str, address: str
) -> None:
    settings.CLIENT_ADDRESS_HEADER = header
    request = RequestFactory().get("/", HTTP_X_FORWARDED_FOR=sent)
    assert client_address(request) == address


def test_what_a_client_calls_itself_is_cut_and_cleaned() -> None:
    request = RequestFactory().get("/", HTTP_USER_AGENT="a\x1b[31m\n" + "b" * 1_000)
    assert user_agent(request) == "a[31m" + "b" * (USER_AGENT_LENGTH_MAX - 7)
