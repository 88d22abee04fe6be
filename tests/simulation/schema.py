"""The simulated server's tables: the shipped models' own columns, and the simulated brokerage's."""

from typing import Any

from django.db.models import Model, Value

from apps.events.models import Event, NextId, RelayCursor, RelayDay, RelayState
from apps.matching.models import MatchingJournal, MatchingLeader, MatchingStandby, OrderCommand
from tests.simulation.database import Server, Table, Transaction
from tests.simulation.sql import Plans
from tests.simulation.world import World

MODELS: list[type[Model]] = [
    OrderCommand,
    MatchingJournal,
    MatchingLeader,
    MatchingStandby,
    RelayCursor,
    RelayDay,
    RelayState,
]
ORDER_COLUMNS = (
    "order_id", "account_id", "symbol_id", "side", "order_type", "time_in_force", "price_units",
    "stop_price_units", "quantity", "filled", "status", "priority", "is_triggered",
)  # fmt: skip

SYMBOLS = {1: "ALFA", 2: "BETA"}
PARTITION = 0


def _default(field: Any) -> Any:
    if not field.has_db_default():
        return None
    value = field.db_default
    if isinstance(value, NextId):
        return lambda server, transaction: server.id_next()
    if isinstance(value, Value):
        return value.value
    if hasattr(value, "as_sql"):
        return lambda server, transaction: server.now()
    return value


def _table(model: type[Model]) -> Table:
    fields = model._meta.concrete_fields
    key = [field.column for field in model._meta.pk_fields]  # type: ignore[attr-defined]
    defaults = {field.column: _default(field) for field in fields}
    return Table(model._meta.db_table, [field.column for field in fields], key, defaults)


def _xid(server: Server, transaction: Transaction) -> int:
    return transaction.xid_get()


def _tables() -> list[Table]:
    fields = Event._meta.concrete_fields
    defaults = {field.column: _default(field) for field in fields} | {"xact_id": _xid}
    events = Table("events", [*(f.column for f in fields), "xact_id"], ["xact_id", "id"], defaults)
    return [
        *map(_table, MODELS),
        events,
        Table("instruments", ["instrument_id", "symbol", "matching_partition"], ["instrument_id"]),
        Table("sim_orders", ORDER_COLUMNS, ["order_id"]),
        Table("sim_live", ORDER_COLUMNS, ["order_id"]),
        Table("sim_settings", ["symbol_id", "place", "record"], ["symbol_id", "place"]),
        Table("sim_accounts", ["account_id", "event_seq"], ["account_id"]),
        Table("sim_trades", ["seq", "n", "taker", "maker", "price", "quantity"], ["seq", "n"]),
        Table("sim_prices", ["symbol_id", "price", "volume"], ["symbol_id"]),
        Table("sim_client_keys", ["client_order_id", "order_id"], ["client_order_id"]),
    ]


PLANS = Plans({table.name: table for table in _tables()})
"""Every statement seen so far, compiled once for all runs."""


def server_make(world: World, accounts: int) -> Server:
    """Return a server with empty tables, the instruments and so many accounts."""
    server = Server(world)
    for table in _tables():
        server.table_add(table)
    session = server.session_open("setup")
    transaction = session.begin(serializable=False)
    transaction.statement_begin()
    for instrument_id, symbol in SYMBOLS.items():
        transaction.insert(server.tables["instruments"], (instrument_id, symbol, PARTITION))
        transaction.insert(server.tables["sim_prices"], (instrument_id, 0, 0))
    for account_id in range(1, accounts + 1):
        transaction.insert(server.tables["sim_accounts"], (account_id, 0))
    server.commit(transaction)
    session.end()
    return server
