"""Make the candles tables that each appended tick is merged into, in place of a view over all ticks."""

from django.db import migrations

from apps.marketdata.candles import CANDLE_TABLES

TABLE_SQL = """
CREATE TABLE {table} (
    time           timestamptz NOT NULL,
    symbol         varchar(10) NOT NULL,
    open           numeric(10,4) NOT NULL,
    high           numeric(10,4) NOT NULL,
    low            numeric(10,4) NOT NULL,
    close          numeric(10,4) NOT NULL,
    volume         bigint NOT NULL,
    opened_at      timestamptz NOT NULL,
    open_trade_id  bigint NOT NULL,
    closed_at      timestamptz NOT NULL,
    close_trade_id bigint NOT NULL,
    PRIMARY KEY (symbol, time),
    CONSTRAINT {table}_consistent CHECK (
        low > 0 AND high < 'Infinity' AND low <= least(open, close) AND high >= greatest(open, close)
        AND volume > 0 AND (opened_at, open_trade_id) <= (closed_at, close_trade_id))
) WITH (fillfactor = 70);

INSERT INTO {table}
SELECT {bucket}, symbol,
       (array_agg(price ORDER BY time, trade_id))[1], max(price), min(price),
       (array_agg(price ORDER BY time DESC, trade_id DESC))[1], sum(quantity),
       min(time), (array_agg(trade_id ORDER BY time, trade_id))[1],
       max(time), (array_agg(trade_id ORDER BY time DESC, trade_id DESC))[1]
FROM market_data_ticks GROUP BY 1, 2;
"""

VIEW_SQL = """
CREATE VIEW ohlcv_1m AS
SELECT date_bin('1 minute', time, '2020-01-01 00:00:00+00') AS time,
       symbol,
       (array_agg(price ORDER BY time, trade_id))[1] AS open,
       max(price) AS high,
       min(price) AS low,
       (array_agg(price ORDER BY time DESC, trade_id DESC))[1] AS close,
       sum(quantity)::bigint AS volume
FROM market_data_ticks
GROUP BY 1, 2;
"""


def forward() -> str:
    """Return the statements that make and fill the tables."""
    tables = [TABLE_SQL.format(table=table, bucket=bucket) for table, bucket in CANDLE_TABLES.items()]
    return "DROP VIEW ohlcv_1m;\n" + "\n".join(tables)


def backward() -> str:
    """Return the statements that put the view back."""
    return "\n".join(f"DROP TABLE {table};" for table in CANDLE_TABLES) + VIEW_SQL


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0001_initial")]

    operations = [migrations.RunSQL(forward(), backward())]
