"""Create ticks by day, candles, and the one-minute view."""

from django.db import migrations, models

from apps.marketdata.models import PARTITIONED
from apps.primitives.partitions import default_partition_sql, script

SQL = """
CREATE TABLE market_data_ticks (
    time     timestamptz NOT NULL,
    symbol   varchar(10) NOT NULL,
    price    numeric(10,4) NOT NULL CHECK (price > 0 AND price < 'Infinity'),
    quantity integer NOT NULL CHECK (quantity > 0),
    side     varchar(4),
    exchange varchar(10),
    trade_id bigint NOT NULL,
    PRIMARY KEY (symbol, time, trade_id)
) PARTITION BY RANGE (time);

CREATE TABLE ohlcv (
    time     timestamptz NOT NULL,
    symbol   varchar(10) NOT NULL,
    interval varchar(10) NOT NULL,
    open     numeric(10,4) NOT NULL,
    high     numeric(10,4) NOT NULL,
    low      numeric(10,4) NOT NULL,
    close    numeric(10,4) NOT NULL,
    volume   bigint NOT NULL,
    PRIMARY KEY (time, symbol, interval),
    CONSTRAINT ohlcv_consistent CHECK (
        low > 0 AND high < 'Infinity' AND low <= least(open, close) AND high >= greatest(open, close)
        AND volume >= 0)
);
CREATE INDEX ohlcv_symbol ON ohlcv (symbol, interval, time DESC);

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

DROP = "DROP VIEW ohlcv_1m; DROP TABLE ohlcv; DROP TABLE market_data_ticks;"


def statements() -> str:
    return SQL + script(default_partition_sql(PARTITIONED[0]))


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(statements(), DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="MarketDataTick",
                    fields=[
                        ("trade_id", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("time", models.DateTimeField()),
                        ("symbol", models.CharField(max_length=10)),
                        ("price", models.DecimalField(decimal_places=4, max_digits=10)),
                        ("quantity", models.IntegerField()),
                        ("side", models.CharField(max_length=4, null=True)),
                        ("exchange", models.CharField(max_length=10, null=True)),
                    ],
                    options={
                        "db_table": "market_data_ticks",
                    },
                ),
                migrations.CreateModel(
                    name="Ohlcv",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "time",
                                "symbol",
                                "interval",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("time", models.DateTimeField()),
                        ("symbol", models.CharField(max_length=10)),
                        ("interval", models.CharField(max_length=10)),
                        ("open", models.DecimalField(decimal_places=4, max_digits=10)),
                        ("high", models.DecimalField(decimal_places=4, max_digits=10)),
                        ("low", models.DecimalField(decimal_places=4, max_digits=10)),
                        ("close", models.DecimalField(decimal_places=4, max_digits=10)),
                        ("volume", models.BigIntegerField()),
                    ],
                    options={
                        "verbose_name": "candle",
                        "db_table": "ohlcv",
                    },
                ),
            ],
        ),
    ]
