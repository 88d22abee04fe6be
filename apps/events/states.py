"""What a relay's sink tells of itself, kept where monitoring reads it: its outage, and the bytes it sent."""

from typing import Any

from django.db import connection

from apps.events.models import RelayState

TEXT_LENGTH_MAX = 500

OUTAGE_OVER_S = 90
"""A sink that is away is tried every few seconds, and says so: one that was not heard of is not away."""

# An outage begins anew when events have been delivered since it was last told.
AWAY_SQL = f"""
INSERT INTO relay_states AS s (sink, problem, away_at, told_at, sent_bytes)
SELECT %(sink)s, %(problem)s, now.at, now.at, 0 FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
ON CONFLICT (sink) DO UPDATE SET problem = excluded.problem, told_at = excluded.told_at,
    away_at = CASE WHEN s.told_at > clock_timestamp() - interval '{OUTAGE_OVER_S} seconds'
        AND s.told_at > (SELECT c.updated_at FROM relay_cursors c WHERE c.sink = s.sink)
        THEN s.away_at ELSE excluded.away_at END
"""

# The relay itself says it, by the session with which it moves its cursor.
BACK_SQL = "UPDATE relay_states SET problem = '' WHERE sink = %(sink)s AND problem <> ''"

BYTES_SQL = """
INSERT INTO relay_states AS s (sink, problem, sent_bytes) VALUES (%(sink)s, '', %(bytes)s)
ON CONFLICT (sink) DO UPDATE SET sent_bytes = s.sent_bytes + excluded.sent_bytes
"""


def _execute(sql: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def away_tell(sink: str, problem: str) -> None:
    """Write down that a sink's other end is away, and why; its first telling is when the outage began."""
    _execute(AWAY_SQL, sink=sink, problem=problem[:TEXT_LENGTH_MAX])


def sent_bytes_add(sink: str, count: int) -> None:
    """Count the bytes that a sink has sent and that were acknowledged."""
    _execute(BYTES_SQL, sink=sink, bytes=count)


def relay_states() -> dict[str, RelayState]:
    """Return what every sink that has told something told, by sink."""
    return {state.sink: state for state in RelayState.objects.all()}
