"""Refusals that callers can understand: a stable reason, a plain sentence, and the figures behind it."""

from typing import Any


class BrokerageError(Exception):
    """Base of every expected refusal; ``reason`` is stable, ``message`` says what happened and what to do."""

    def __init__(self, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.details = details


class Invalid(BrokerageError):
    """The request itself is wrong (a missing field, a bad number, an impossible combination)."""


class Refused(BrokerageError):
    """The request is well formed but this account may not do it now."""


class NotFound(BrokerageError):
    """There is no such thing, or it is not the caller's."""


class Conflict(BrokerageError):
    """The request contradicts something that already exists."""


class Unavailable(BrokerageError):
    """The system cannot take the request now; nothing was written and it may be tried again."""
