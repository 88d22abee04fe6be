"""What of the candles TimescaleDB has written down, and until when: there they can be read in their order.

The aggregate's view cannot: its two halves are planned apart, and the written one is read and sorted whole.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections

from apps.marketdata.backends import ALIAS, Backend, backend_current

FRESH_S = 30.0
"""How old a mark may be: it only moves on, and an older one means that a little more is made of ticks."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SQL = """
SELECT format('%%I.%%I', h.schema_name, h.table_name), w.watermark
FROM _timescaledb_catalog.continuous_agg AS a
JOIN _timescaledb_catalog.hypertable AS h ON h.id = a.mat_hypertable_id
JOIN _timescaledb_catalog.continuous_aggs_watermark AS w ON w.mat_hypertable_id = a.mat_hypertable_id
WHERE a.user_view_schema = current_schema() AND a.user_view_name = %s
"""


@dataclass(frozen=True, slots=True)
class Written:
    """The table of what is written down of one aggregate, and the instant before which that is everything."""

    table: str
    until: datetime


_known: dict[tuple[Any, ...], tuple[float, Written | None]] = {}


def written_of(view: str) -> Written | None:
    """Return what is written down of a table of candles; None where it is no aggregate, or nothing is yet."""
    if backend_current() is Backend.PLAIN:
        return None
    where = connections[ALIAS].settings_dict
    key = (where["HOST"], where["PORT"], where["NAME"], view)
    read_at, found = _known.get(key, (float("-inf"), None))
    if time.monotonic() - read_at >= FRESH_S:
        read_at, found = time.monotonic(), _written_read(view)
        _known[key] = read_at, found
    return found


def _written_read(view: str) -> Written | None:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(_SQL, (view,))
        row = cursor.fetchone()
    if row is None or row[1] is None or row[1] <= 0:
        return None
    return Written(row[0], _EPOCH + timedelta(microseconds=row[1]))
