"""The only clock: everything else asks here what time it is."""

import random
import time
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
    text = instant.isoformat(timespec="microseconds")
    if not text.endswith("+00:00"):
        text = instant.astimezone(UTC).isoformat(timespec="microseconds")
    return text[:-6] + "Z"


class SystemClock:
    """The machine's clock, handed to what must also run on a clock of a test's making."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return utc_now()

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        time.sleep(seconds)

    def sleep_between(self, shortest_s: float, longest_s: float) -> None:
        """Return after a random time, so that two who met do not meet again."""
        time.sleep(random.uniform(shortest_s, longest_s))
