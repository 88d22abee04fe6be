"""A standby's rehearsal: the server meets what a leader's first batch asks before there is any hurry."""

import re
from typing import Any

import psycopg

from apps.events.services import SYSTEM_EVENTS
from apps.instruments.services import LAST_PRICES_SQL
from apps.ledger.services import BALANCES_READ_SQL, BALANCES_WRITE_SQL, LINES
from apps.matching.heartbeat import STANDBYS_SQL
from apps.matching.journal import JOURNAL
from apps.matching.leader import FENCE_SQL, takeover_rehearse
from apps.matching.queue import PLANS_SQL, TAKE_SQL
from apps.matching.runner import TAKEN_SQL
from apps.matching.standby import SYMBOLS_SQL, TIME_SQL
from apps.orders.services.batches import (
    HOLDS_ACCEPT_SQL,
    HOLDS_DELETE_SQL,
    HOLDS_UPDATE_SQL,
    MEMBERS_SQL,
    ORDERS_ACCEPT_SQL,
    ORDERS_READ_SQL,
    ORDERS_UPDATE_SQL,
)
from apps.positions.services import POSITIONS_READ_SQL, POSITIONS_WRITE_SQL
from apps.trades.services.books import IDS_SQL, TRADES

STATEMENTS = (
    *(STANDBYS_SQL, SYMBOLS_SQL, TIME_SQL, TAKE_SQL, FENCE_SQL),
    *(ORDERS_ACCEPT_SQL, HOLDS_ACCEPT_SQL, ORDERS_READ_SQL, BALANCES_READ_SQL, POSITIONS_READ_SQL, IDS_SQL),
    *(MEMBERS_SQL, ORDERS_UPDATE_SQL, HOLDS_UPDATE_SQL),
    *(HOLDS_DELETE_SQL, BALANCES_WRITE_SQL, POSITIONS_WRITE_SQL, LAST_PRICES_SQL, TAKEN_SQL),
    *(sql for table in (JOURNAL, TRADES, LINES, SYSTEM_EVENTS) for sql in (table.insert_sql, table.copy_sql)),
)
"""What a new leader and its first batch ask."""


def runner_rehearse(connection: "psycopg.Connection[Any]") -> None:
    """Ask everything once of nothing: every parameter is NULL and every COPY empty, so no row is met.

    Each statement that a session has not seen takes the server milliseconds of reading the catalogue and of
    planning, and the first batch of a leader has some twenty of them.
    """
    takeover_rehearse(connection)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(PLANS_SQL.replace("SET ", "SET LOCAL "))
        for sql in STATEMENTS:
            if sql.startswith("COPY"):
                with cursor.copy(sql):
                    pass
            else:
                cursor.execute(sql, _nothing(sql), prepare=True)


def _nothing(sql: str) -> dict[str, None] | list[None]:
    names = re.findall(r"%\((\w+)\)s", sql)
    return dict.fromkeys(names) if names else [None] * sql.count("%s")
