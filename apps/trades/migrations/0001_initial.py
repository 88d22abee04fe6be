"""Create trades by UTC day, with facts that never change."""

import django.db.models.functions.datetime
from django.db import migrations, models

import apps.events.models
from apps.primitives.partitions import default_partition_sql, script, truncate_trigger_sql
from apps.trades.models import PARTITIONED

SQL = """
CREATE TABLE trades (
    trade_id           bigint NOT NULL DEFAULT next_id(),
    buy_order_id       bigint NOT NULL,
    sell_order_id      bigint NOT NULL,
    buyer_id           bigint NOT NULL,
    seller_id          bigint NOT NULL,
    buyer_account_id   bigint NOT NULL,
    seller_account_id  bigint NOT NULL,
    symbol             varchar(10) NOT NULL,
    price              numeric(10,4) NOT NULL CHECK (price > 0 AND price < 'Infinity'),
    quantity           integer NOT NULL CHECK (quantity > 0),
    trade_value        numeric(15,2) NOT NULL CHECK (trade_value >= 0 AND trade_value < 'Infinity'),
    aggressor_side     varchar(4) NOT NULL CHECK (aggressor_side IN ('BUY', 'SELL')),
    executed_at        timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
    trade_date         date NOT NULL,
    settl_date         date NOT NULL,
    settlement_status  varchar(20) NOT NULL DEFAULT 'PENDING'
                       CHECK (settlement_status IN ('PENDING', 'SETTLED', 'FAILED', 'BUSTED')),
    settled_at         timestamptz(6),
    matching_partition smallint NOT NULL,
    match_seq          bigint NOT NULL,
    match_n            integer NOT NULL,
    PRIMARY KEY (trade_id)
) PARTITION BY RANGE (trade_id);
CREATE INDEX idx_buyer ON trades (buyer_id, executed_at DESC);
CREATE INDEX idx_seller ON trades (seller_id, executed_at DESC);
CREATE INDEX trades_idx_symbol ON trades (symbol, executed_at DESC);
CREATE INDEX idx_executed_at ON trades (executed_at DESC);
CREATE INDEX trades_unsettled ON trades (settl_date) WHERE settlement_status = 'PENDING';

CREATE FUNCTION trades_facts_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR (to_jsonb(NEW) - 'settlement_status' - 'settled_at')
                         <> (to_jsonb(OLD) - 'settlement_status' - 'settled_at')
       OR OLD.settlement_status IN ('SETTLED', 'BUSTED') THEN
        RAISE EXCEPTION 'the facts of a trade never change: % is refused', TG_OP
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER trades_append_only BEFORE UPDATE OR DELETE ON trades
    FOR EACH ROW EXECUTE FUNCTION trades_facts_refuse();
"""

DROP = "DROP TABLE trades; DROP FUNCTION trades_facts_refuse();"


def statements() -> str:
    return SQL + script([*truncate_trigger_sql("trades"), *default_partition_sql(PARTITIONED[0])])


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("events", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(statements(), DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="Trade",
                    fields=[
                        (
                            "trade_id",
                            models.BigIntegerField(
                                db_default=apps.events.models.NextId(),
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("buy_order_id", models.BigIntegerField()),
                        ("sell_order_id", models.BigIntegerField()),
                        ("buyer_id", models.BigIntegerField()),
                        ("seller_id", models.BigIntegerField()),
                        ("buyer_account_id", models.BigIntegerField()),
                        ("seller_account_id", models.BigIntegerField()),
                        ("symbol", models.CharField(max_length=10)),
                        ("price", models.DecimalField(decimal_places=4, max_digits=10)),
                        ("quantity", models.IntegerField()),
                        ("trade_value", models.DecimalField(decimal_places=2, max_digits=15)),
                        (
                            "aggressor_side",
                            models.CharField(choices=[("BUY", "BUY"), ("SELL", "SELL")], max_length=4),
                        ),
                        (
                            "executed_at",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                        ("trade_date", models.DateField()),
                        ("settl_date", models.DateField()),
                        (
                            "settlement_status",
                            models.CharField(
                                choices=[
                                    ("PENDING", "Pending"),
                                    ("SETTLED", "Settled"),
                                    ("FAILED", "Failed"),
                                    ("BUSTED", "Busted"),
                                ],
                                db_default="PENDING",
                                max_length=20,
                            ),
                        ),
                        ("settled_at", models.DateTimeField(null=True)),
                        ("matching_partition", models.SmallIntegerField()),
                        ("match_seq", models.BigIntegerField()),
                        ("match_n", models.IntegerField()),
                    ],
                    options={
                        "db_table": "trades",
                        "indexes": [
                            models.Index(
                                models.F("buyer_id"),
                                models.OrderBy(models.F("executed_at"), descending=True),
                                name="idx_buyer",
                            ),
                            models.Index(
                                models.F("seller_id"),
                                models.OrderBy(models.F("executed_at"), descending=True),
                                name="idx_seller",
                            ),
                            models.Index(
                                models.F("symbol"),
                                models.OrderBy(models.F("executed_at"), descending=True),
                                name="trades_idx_symbol",
                            ),
                            models.Index(
                                models.OrderBy(models.F("executed_at"), descending=True),
                                name="idx_executed_at",
                            ),
                        ],
                    },
                ),
            ],
        ),
    ]
