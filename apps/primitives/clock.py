"""The only clock: everything else asks here what time it is."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current instant in UTC with microsecond precision."""
    return datetime.now(UTC)


def unix_ns(instant: datetime) -> int:
    """Return ``instant`` as whole nanoseconds since 1970, exact to the microsecond."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000


def iso(instant: datetime) -> str:
    """Return ``instant`` as RFC 3339 in UTC with microseconds and a ``Z``."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
