"""Create the append-only double-entry ledger by UTC day."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import apps.events.models
from apps.ledger.models import PARTITIONED
from apps.primitives.partitions import append_only_trigger_sql, default_partition_sql, script

SQL = """
CREATE TABLE transactions (
    transaction_id   bigint NOT NULL DEFAULT next_id(),
    entry_id         bigint NOT NULL,
    account_id       bigint NOT NULL REFERENCES accounts (account_id),
    user_id          bigint NOT NULL,
    transaction_type varchar(20) NOT NULL,
    currency         varchar(3) NOT NULL DEFAULT 'USD',
    amount           numeric(15,2) NOT NULL CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    balance_after    numeric(15,2) CHECK (balance_after > '-Infinity' AND balance_after < 'Infinity'),
    reference_id     bigint,
    description      text,
    created_at       timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transaction_id, user_id)
) PARTITION BY RANGE (transaction_id);
CREATE INDEX idx_account_time ON transactions (account_id, created_at DESC);
CREATE INDEX idx_type ON transactions (transaction_type, created_at DESC);
"""

DROP = "DROP TABLE transactions;"


def statements() -> str:
    return SQL + script([*append_only_trigger_sql("transactions"), *default_partition_sql(PARTITIONED[0])])


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("events", "0001_initial"),
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(statements(), DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="Transaction",
                    fields=[
                        (
                            "transaction_id",
                            models.BigIntegerField(
                                db_default=apps.events.models.NextId(),
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("entry_id", models.BigIntegerField()),
                        ("user_id", models.BigIntegerField()),
                        (
                            "transaction_type",
                            models.CharField(
                                choices=[
                                    ("DEPOSIT", "Deposit"),
                                    ("WITHDRAWAL", "Withdrawal"),
                                    ("TRADE_BUY", "Trade Buy"),
                                    ("TRADE_SELL", "Trade Sell"),
                                    ("DIVIDEND", "Dividend"),
                                    ("FEE", "Fee"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("currency", models.CharField(db_default="USD", max_length=3)),
                        ("amount", models.DecimalField(decimal_places=2, max_digits=15)),
                        ("balance_after", models.DecimalField(decimal_places=2, max_digits=15, null=True)),
                        ("reference_id", models.BigIntegerField(null=True)),
                        ("description", models.TextField(null=True)),
                        (
                            "created_at",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                        (
                            "account",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="accounts.account",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "transactions",
                        "indexes": [
                            models.Index(
                                models.F("account_id"),
                                models.OrderBy(models.F("created_at"), descending=True),
                                name="idx_account_time",
                            ),
                            models.Index(
                                models.F("transaction_type"),
                                models.OrderBy(models.F("created_at"), descending=True),
                                name="idx_type",
                            ),
                        ],
                    },
                ),
            ],
        ),
    ]
