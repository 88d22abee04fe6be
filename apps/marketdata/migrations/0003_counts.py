"""Give candles their trade count and turnover, imported candles a count and an average price, ticks a session."""

from django.db import migrations, models

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
    trade_count    bigint NOT NULL,
    turnover       numeric(24,4) NOT NULL,
    opened_at      timestamptz NOT NULL,
    open_trade_id  bigint NOT NULL,
    closed_at      timestamptz NOT NULL,
    close_trade_id bigint NOT NULL,
    PRIMARY KEY (symbol, time),
    CONSTRAINT {table}_consistent CHECK (
        low > 0 AND high < 'Infinity' AND low <= least(open, close) AND high >= greatest(open, close)
        AND volume > 0 AND trade_count BETWEEN 1 AND volume AND turnover > 0 AND turnover < 'Infinity'
        AND (opened_at, open_trade_id) <= (closed_at, close_trade_id))
) WITH (fillfactor = 70);

INSERT INTO {table} (symbol, time, open, high, low, close, volume, trade_count, turnover,
                     opened_at, open_trade_id, closed_at, close_trade_id)
SELECT symbol, {bucket},
       (array_agg(price ORDER BY time, trade_id))[1], max(price), min(price),
       (array_agg(price ORDER BY time, trade_id))[count(*)], sum(quantity), count(*), sum(price * quantity),
       min(time), (array_agg(trade_id ORDER BY time, trade_id))[1],
       max(time), (array_agg(trade_id ORDER BY time, trade_id))[count(*)]
FROM market_data_ticks GROUP BY 1, 2;
"""

COLUMNS_SQL = """
ALTER TABLE market_data_ticks ADD COLUMN in_session boolean NOT NULL DEFAULT true;
ALTER TABLE ohlcv
    ADD COLUMN trade_count bigint CHECK (trade_count >= 0),
    ADD COLUMN vwap numeric(16,6) CHECK (vwap > 0 AND vwap < 'Infinity');
"""

FORMER_SQL = """
ALTER TABLE {table}
    DROP CONSTRAINT {table}_consistent,
    DROP COLUMN trade_count,
    DROP COLUMN turnover,
    ADD CONSTRAINT {table}_consistent CHECK (
        low > 0 AND high < 'Infinity' AND low <= least(open, close) AND high >= greatest(open, close)
        AND volume > 0 AND (opened_at, open_trade_id) <= (closed_at, close_trade_id));
"""

COLUMNS_DROP = """
ALTER TABLE market_data_ticks DROP COLUMN in_session;
ALTER TABLE ohlcv DROP COLUMN trade_count, DROP COLUMN vwap;
"""


def forward() -> str:
    """Return the statements that add the columns and make the candles anew from the ticks."""
    tables = (
        f"DROP TABLE {table};{TABLE_SQL.format(table=table, bucket=bucket)}"
        for table, bucket in CANDLE_TABLES.items()
    )
    return COLUMNS_SQL + "\n".join(tables)


def backward() -> str:
    """Return the statements that take the columns away again."""
    return "\n".join(FORMER_SQL.format(table=table) for table in CANDLE_TABLES) + COLUMNS_DROP


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0002_candles")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(forward(), backward())],
            state_operations=[
                migrations.AddField("marketdatatick", "in_session", models.BooleanField(default=True)),
                migrations.AddField("ohlcv", "trade_count", models.BigIntegerField(null=True)),
                migrations.AddField(
                    "ohlcv", "vwap", models.DecimalField(decimal_places=6, max_digits=16, null=True)
                ),
            ],
        ),
    ]
