"""Who calls: an API key pair in the protocol's headers or in HTTP Basic."""

import base64
import binascii
from dataclasses import dataclass

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.access.selectors import key_holder

CREDENTIAL_LENGTH_MAX = 200
_CHALLENGE = 'APCA-API-KEY-ID realm="openbell"'
"""Not ``Basic``, which would make browsers ask for a password."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The account behind a valid key, as ``request.user``."""

    key_id: str
    account_id: int
    user_id: int
    is_authenticated: bool = True


class ApiKeyAuthentication(BaseAuthentication):
    """Accepts ``APCA-API-KEY-ID`` with ``APCA-API-SECRET-KEY``, else ``Authorization: Basic``."""

    def authenticate(self, request: Request) -> tuple[Caller, str] | None:
        # Not ``request.headers``, which is a dictionary of all of them, made for each request.
        headers = request.META
        key_id = headers.get("HTTP_APCA_API_KEY_ID", "")
        secret = headers.get("HTTP_APCA_API_SECRET_KEY", "")
        if not key_id and not secret:
            pair = _authorization_read(headers.get("HTTP_AUTHORIZATION", ""))
            if pair is None:
                return None
            key_id, secret = pair
        holder = key_holder(key_id, secret) if _is_plain(key_id) and _is_plain(secret) else None
        if holder is None:
            raise AuthenticationFailed("request is not authorized: the key or its secret is wrong or revoked")
        return Caller(holder.key_id, holder.account_id, holder.user_id), holder.key_id

    def authenticate_header(self, request: Request) -> str:
        return _CHALLENGE


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= CREDENTIAL_LENGTH_MAX and text.isascii() and text.isprintable()


def _authorization_read(header: str) -> tuple[str, str] | None:
    scheme, _, value = header.partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "basic":
        raise AuthenticationFailed("request is not authorized: send an API key pair, or HTTP Basic with it")
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise AuthenticationFailed("request is not authorized: Basic credentials are unreadable") from None
    key_id, _, secret = text.partition(":")
    return key_id, secret


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """Tells OpenAPI about the two ways to present a key pair."""

    target_class = ApiKeyAuthentication
    name = ["keyId", "keySecret", "basic"]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        return [
            {"type": "apiKey", "in": "header", "name": "APCA-API-KEY-ID"},
            {"type": "apiKey", "in": "header", "name": "APCA-API-SECRET-KEY"},
            {"type": "http", "scheme": "basic"},
        ]

    def get_security_requirement(self, auto_schema: object) -> list[dict[str, list[str]]]:
        return [{"keyId": [], "keySecret": []}, {"basic": []}]
