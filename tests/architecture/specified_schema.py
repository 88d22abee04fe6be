"""The schema that was asked for, as data: columns, keys, indexes and partitioning."""

from typing import NamedTuple


class Column(NamedTuple):
    """One column: its type as PostgreSQL prints it, whether it may be null, its default (or ``serial``)."""

    type: str
    nullable: bool = False
    default: str | None = None


class Table(NamedTuple):
    """One table; indexes by name, foreign keys as column -> table, ``partition`` as PostgreSQL prints it."""

    database: str
    columns: dict[str, Column]
    primary_key: str
    indexes: dict[str, str] = {}
    unique: frozenset[str] = frozenset()
    foreign_keys: dict[str, str] = {}
    partition: str | None = None


ID = Column("bigint", default="serial")
BIG = Column("bigint")
SYMBOL = Column("character varying(10)")
PRICE = Column("numeric(10,4)")
MONEY = Column("numeric(15,2)")
MONEY_ZERO = Column("numeric(15,2)", default="0")
MICROS = "timestamp(6) without time zone"
MOMENT = Column(MICROS, default="now")
MOMENT_LATER = Column(MICROS, nullable=True)
STAMP = Column("timestamp without time zone", default="now")
TIME = Column("timestamp with time zone")

TABLES: dict[str, Table] = {
    "orders": Table(
        "default",
        {
            "order_id": ID,
            "user_id": BIG,
            "symbol": SYMBOL,
            "side": Column("character varying(4)"),
            "order_type": Column("character varying(10)"),
            "price": Column("numeric(10,4)", nullable=True),
            "quantity": Column("integer"),
            "filled_quantity": Column("integer", nullable=True, default="0"),
            "status": Column("character varying(20)"),
            "time_in_force": Column("character varying(10)", nullable=True, default="DAY"),
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "filled_at": MOMENT_LATER,
            "cancelled_at": MOMENT_LATER,
        },
        primary_key="order_id",
        indexes={
            "idx_user_symbol": "user_id, symbol, created_at DESC",
            "idx_symbol_status": "symbol, status, created_at DESC",
            "idx_created_at": "created_at DESC",
        },
        partition="RANGE (created_at)",
    ),
    "trades": Table(
        "default",
        {
            "trade_id": ID,
            "buy_order_id": BIG,
            "sell_order_id": BIG,
            "buyer_id": BIG,
            "seller_id": BIG,
            "symbol": SYMBOL,
            "price": PRICE,
            "quantity": Column("integer"),
            "trade_value": MONEY,
            "executed_at": MOMENT,
            "settlement_status": Column("character varying(20)", nullable=True, default="PENDING"),
            "settled_at": MOMENT_LATER,
        },
        primary_key="trade_id",
        indexes={
            "idx_buyer": "buyer_id, executed_at DESC",
            "idx_seller": "seller_id, executed_at DESC",
            "idx_symbol": "symbol, executed_at DESC",
            "idx_executed_at": "executed_at DESC",
        },
        foreign_keys={"buy_order_id": "orders", "sell_order_id": "orders"},
        partition="RANGE (executed_at)",
    ),
    "accounts": Table(
        "default",
        {
            "account_id": ID,
            "user_id": BIG,
            "account_type": Column("character varying(20)"),
            "cash_balance": MONEY_ZERO,
            "buying_power": MONEY_ZERO,
            "margin_used": MONEY_ZERO,
            "account_status": Column("character varying(20)", nullable=True, default="ACTIVE"),
            "created_at": STAMP,
            "updated_at": STAMP,
            "version": Column("integer", default="0"),
        },
        primary_key="account_id",
        indexes={"idx_user": "user_id", "idx_status": "account_status"},
        unique=frozenset({"user_id"}),
    ),
    "positions": Table(
        "default",
        {
            "position_id": ID,
            "account_id": BIG,
            "symbol": SYMBOL,
            "quantity": Column("integer"),
            "average_cost": PRICE,
            "market_value": Column("numeric(15,2)", nullable=True),
            "unrealized_pnl": Column("numeric(15,2)", nullable=True),
            "realized_pnl": Column("numeric(15,2)", nullable=True, default="0"),
            "updated_at": STAMP,
        },
        primary_key="position_id",
        indexes={"idx_account": "account_id", "idx_symbol": "symbol"},
        unique=frozenset({"account_id, symbol"}),
        foreign_keys={"account_id": "accounts"},
    ),
    "transactions": Table(
        "default",
        {
            "transaction_id": ID,
            "account_id": BIG,
            "transaction_type": Column("character varying(20)"),
            "amount": MONEY,
            "balance_after": MONEY,
            "reference_id": Column("bigint", nullable=True),
            "description": Column("text", nullable=True),
            "created_at": MOMENT,
        },
        primary_key="transaction_id",
        indexes={
            "idx_account_time": "account_id, created_at DESC",
            "idx_type": "transaction_type, created_at DESC",
        },
        foreign_keys={"account_id": "accounts"},
        partition="RANGE (created_at)",
    ),
    "market_data_ticks": Table(
        "marketdata",
        {
            "time": TIME,
            "symbol": SYMBOL,
            "price": PRICE,
            "quantity": Column("integer"),
            "side": Column("character varying(4)", nullable=True),
            "exchange": Column("character varying(10)", nullable=True),
        },
        primary_key="time, symbol",
        partition='RANGE ("time")',
    ),
    "ohlcv": Table(
        "marketdata",
        {
            "time": TIME,
            "symbol": SYMBOL,
            "interval": Column("character varying(10)"),
            "open": PRICE,
            "high": PRICE,
            "low": PRICE,
            "close": PRICE,
            "volume": BIG,
        },
        primary_key="time, symbol, interval",
        partition='RANGE ("time")',
    ),
}

CANDLES = {
    "ohlcv_1m": ("time", "symbol", "open", "high", "low", "close", "volume"),
}
"""The continuous aggregate that was asked for, by its columns."""

_TIMESTAMP = "time zone"
_STRICTER = "never null"

DIFFERENCES: dict[str, tuple[str, str]] = {
    "orders.order_id default": ("next_id()", "time-ordered id"),
    "orders.filled_quantity nullable": ("False", _STRICTER),
    "orders.time_in_force nullable": ("False", _STRICTER),
    "orders.created_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "orders.updated_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "orders.filled_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "orders.cancelled_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "orders primary key": ("order_id, user_id", "distribution by user"),
    "orders index idx_symbol_status": ("None", "on live_orders"),
    "orders partition": ("RANGE (order_id)", "time-ordered id"),
    "trades.trade_id default": ("next_id()", "time-ordered id"),
    "trades.executed_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "trades.settlement_status nullable": ("False", _STRICTER),
    "trades.settled_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "trades index idx_symbol": ("None", "named trades_idx_symbol"),
    "trades foreign key buy_order_id": ("None", "proved by booking"),
    "trades foreign key sell_order_id": ("None", "proved by booking"),
    "trades partition": ("RANGE (trade_id)", "time-ordered id"),
    "accounts.account_status nullable": ("False", _STRICTER),
    "accounts.created_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "accounts.updated_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "positions.quantity type": ("bigint", "sums of trades"),
    "positions.realized_pnl nullable": ("False", _STRICTER),
    "positions.updated_at type": ("timestamp with time zone", _TIMESTAMP),
    "transactions.transaction_id default": ("next_id()", "time-ordered id"),
    "transactions.balance_after nullable": ("True", "house lines"),
    "transactions.created_at type": ("timestamp(6) with time zone", _TIMESTAMP),
    "transactions primary key": ("transaction_id, user_id", "distribution by user"),
    "transactions partition": ("RANGE (transaction_id)", "time-ordered id"),
    "market_data_ticks primary key": ("symbol, time, trade_id", "one time a batch"),
    "ohlcv partition": ("None", "not partitioned"),
}
"""What is built instead, and the heading of docs/decisions/0002-schema-differences.md that says why."""
