"""Make the table of recorded quotes: the top of each book by time, cut by day on either back end."""

from django.db import migrations, models

from apps.marketdata.models import QUOTES
from apps.primitives.partitions import default_partition_sql, script

SQL = """
CREATE TABLE market_data_quotes (
    time      timestamptz NOT NULL,
    symbol    varchar(10) NOT NULL,
    bid_price numeric(10,4) CHECK (bid_price > 0 AND bid_price < 'Infinity'),
    bid_size  bigint NOT NULL,
    ask_price numeric(10,4) CHECK (ask_price > 0 AND ask_price < 'Infinity'),
    ask_size  bigint NOT NULL,
    PRIMARY KEY (symbol, time),
    CONSTRAINT market_data_quotes_sides CHECK (
        bid_size >= 0 AND ask_size >= 0
        AND (bid_price IS NULL) = (bid_size = 0) AND (ask_price IS NULL) = (ask_size = 0))
) PARTITION BY RANGE (time);
"""


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0004_hypertables")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    SQL + script(default_partition_sql(QUOTES)), "DROP TABLE market_data_quotes"
                )
            ],
            state_operations=[
                migrations.CreateModel(
                    name="MarketDataQuote",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "symbol",
                                "time",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("time", models.DateTimeField()),
                        ("symbol", models.CharField(max_length=10)),
                        ("bid_price", models.DecimalField(decimal_places=4, max_digits=10, null=True)),
                        ("bid_size", models.BigIntegerField()),
                        ("ask_price", models.DecimalField(decimal_places=4, max_digits=10, null=True)),
                        ("ask_size", models.BigIntegerField()),
                    ],
                    options={"db_table": "market_data_quotes"},
                ),
            ],
        ),
    ]
