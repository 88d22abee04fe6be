"""The TimescaleDB form of the tables: hypertables, continuous aggregates, and the policies that keep them."""

from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.marketdata.backends import (
    EXTENSION,
    SETTING,
    Backend,
    backend_forget,
    backend_found,
    extension_problem,
)
from apps.marketdata.candles import DAY_ZONE, LEVELS
from apps.marketdata.models import TICKS_KEPT_DAYS

_TICKS_SQL = """
CREATE TABLE market_data_ticks_cut (
    LIKE market_data_ticks INCLUDING DEFAULTS INCLUDING CONSTRAINTS
);
SELECT create_hypertable('market_data_ticks_cut', by_range('time', INTERVAL '1 day'),
                         create_default_indexes => false);
INSERT INTO market_data_ticks_cut SELECT * FROM market_data_ticks;
DROP TABLE market_data_ticks;
ALTER TABLE market_data_ticks_cut RENAME TO market_data_ticks;
ALTER TABLE market_data_ticks ADD PRIMARY KEY (symbol, time, trade_id);
ALTER TABLE market_data_ticks SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol',
                                   timescaledb.compress_orderby = 'time, trade_id');
SELECT add_compression_policy('market_data_ticks', compress_after => INTERVAL '1 day');
SELECT add_retention_policy('market_data_ticks', drop_after => INTERVAL '{kept} days');
"""

# A year holds a few million imported minutes at most, and daily bars of decades stay a few dozen chunks.
_HISTORY_SQL = """
SELECT create_hypertable('ohlcv', by_range('time', INTERVAL '1 year'), create_default_indexes => false,
                         migrate_data => true);
ALTER TABLE ohlcv SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol, interval',
                       timescaledb.compress_orderby = 'time');
SELECT add_compression_policy('ohlcv', compress_after => INTERVAL '1 day');
"""

_MINUTES_SQL = """
CREATE MATERIALIZED VIEW ohlcv_1m
WITH (timescaledb.continuous, timescaledb.materialized_only = false,
      timescaledb.chunk_interval = '30 days') AS
SELECT time_bucket('1 minute', time) AS time, symbol,
       (array_agg(price ORDER BY time, trade_id))[1] AS open, max(price) AS high, min(price) AS low,
       (array_agg(price ORDER BY time, trade_id))[count(*)] AS close,
       sum(quantity)::bigint AS volume, count(*) AS trade_count, sum(price * quantity) AS turnover
FROM market_data_ticks WHERE in_session GROUP BY 1, 2 WITH NO DATA;
"""

_ABOVE_SQL = """
CREATE MATERIALIZED VIEW {table}
WITH (timescaledb.continuous, timescaledb.materialized_only = false,
      timescaledb.chunk_interval = '{chunk}') AS
SELECT {bucket} AS time, symbol, first(open, time) AS open, max(high) AS high, min(low) AS low,
       last(close, time) AS close, sum(volume)::bigint AS volume, sum(trade_count)::bigint AS trade_count,
       sum(turnover) AS turnover
FROM {source} GROUP BY 1, 2 WITH NO DATA;
"""

_ABOVE = (
    ("ohlcv_5m", "ohlcv_1m", "time_bucket('5 minutes', time)", "90 days"),
    ("ohlcv_1h", "ohlcv_5m", "time_bucket('1 hour', time)", "1 year"),
    ("ohlcv_1d", "ohlcv_1h", f"time_bucket('1 day', time, '{DAY_ZONE}')", "10 years"),
)

# By an index of time alone the server would look for a symbol that trades rarely through everybody's candles;
# the extension makes one by itself. Refreshing deletes spans of time, and candles lie nearly in that order.
INDEXES_SQL = """
DO $$
DECLARE written record;
BEGIN
    FOR written IN
        SELECT h.schema_name AS home, h.table_name AS name, a.user_view_name AS view
        FROM _timescaledb_catalog.continuous_agg AS a
        JOIN _timescaledb_catalog.hypertable AS h ON h.id = a.mat_hypertable_id
        WHERE a.user_view_schema = current_schema()
    LOOP
        EXECUTE format('DROP INDEX IF EXISTS %I.%I', written.home, written.name || '_time_idx');
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I USING brin (time) '
                       'WITH (pages_per_range = 16, autosummarize = on)',
                       written.view || '_span', written.view);
    END LOOP;
END $$;
"""

# What retention drops is noted as changed too: a policy that reached there would drop the candles as well.
# The oldest comes first: nothing below the newest bucket that is written down is made of ticks any more.
_POLICY_SQL = """
SELECT add_continuous_aggregate_policy('{table}', start_offset => INTERVAL '{reach} days',
    end_offset => INTERVAL '1 minute', schedule_interval => INTERVAL '{every}', buckets_per_batch => {batch},
    refresh_newest_first => false);
"""
_EVERY = {"ohlcv_1m": "1 minute", "ohlcv_5m": "2 minutes", "ohlcv_1h": "5 minutes", "ohlcv_1d": "10 minutes"}


def conversion_sql() -> str:
    """Return the statements that turn the plain tables, with what is in them, into TimescaleDB's."""
    above = "".join(
        f"DROP TABLE {table};" + _ABOVE_SQL.format(table=table, source=source, bucket=bucket, chunk=chunk)
        for table, source, bucket, chunk in _ABOVE
    )
    policies = "".join(
        _POLICY_SQL.format(
            table=level.table, reach=TICKS_KEPT_DAYS, every=_EVERY[level.table], batch=level.batch
        )
        for level in LEVELS
    )
    ticks = _TICKS_SQL.format(kept=TICKS_KEPT_DAYS)
    return f"{ticks}{_HISTORY_SQL}DROP TABLE ohlcv_1m;{_MINUTES_SQL}{above}{INDEXES_SQL}{policies}"


def tables_convert(connection: BaseDatabaseWrapper) -> bool:
    """Turn the tables into TimescaleDB's where that is what was chosen; returns whether it did.

    To be called as the tables' owner: all of it happens, or nothing. Candles are made of ticks on every
    reading until the policies have written them down. Raises ``RuntimeError`` with a sentence when
    TimescaleDB was asked for and cannot be had.
    """
    wanted = settings.MARKETDATA_BACKEND
    with connection.cursor() as cursor:
        if wanted == Backend.PLAIN or backend_found(cursor) is Backend.TIMESCALE:
            return False
        problem = extension_problem(cursor) or _extension_make(connection, cursor)
    if problem is None:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(conversion_sql())
        backend_forget()
    elif wanted == Backend.TIMESCALE:
        raise RuntimeError(f"{SETTING} is timescale, but {problem}")
    return problem is None


def _extension_make(connection: BaseDatabaseWrapper, cursor: Any) -> str | None:
    """Make the extension; returns what is wrong with it then, and leaves none behind."""
    try:
        with transaction.atomic(using=connection.alias):
            cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}")
            # Which edition it is shows only now.
            problem = extension_problem(cursor)
            if problem:
                raise _ExtensionUnfit(problem)
    except _ExtensionUnfit as error:
        return str(error)
    except DatabaseError as error:
        return f"the extension could not be made: {str(error).strip()}"
    return None


class _ExtensionUnfit(Exception):
    """Takes the extension back."""
