"""Create positions and the append-only record of issued shares."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import apps.events.models
from apps.primitives.partitions import append_only_trigger_sql, script

SQL = """
ALTER TABLE positions SET (fillfactor = 50);
ALTER TABLE positions ADD CONSTRAINT positions_figures_finite CHECK (
    average_cost < 'Infinity' AND realized_pnl > '-Infinity' AND realized_pnl < 'Infinity'
    AND (market_value IS NULL OR market_value < 'Infinity')
    AND (unrealized_pnl IS NULL OR (unrealized_pnl > '-Infinity' AND unrealized_pnl < 'Infinity')));
ALTER TABLE share_issues ADD CONSTRAINT share_issues_finite CHECK (
    unit_cost >= 0 AND unit_cost < 'Infinity');
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("events", "0001_initial"),
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ShareIssue",
            fields=[
                (
                    "issue_id",
                    models.BigIntegerField(
                        db_default=apps.events.models.NextId(),
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("user_id", models.BigIntegerField()),
                ("symbol", models.CharField(max_length=10)),
                ("quantity", models.BigIntegerField()),
                ("unit_cost", models.DecimalField(decimal_places=4, max_digits=10)),
                ("reason", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.account"
                    ),
                ),
            ],
            options={
                "db_table": "share_issues",
            },
        ),
        migrations.CreateModel(
            name="Position",
            fields=[
                ("position_id", models.BigAutoField(primary_key=True, serialize=False)),
                ("user_id", models.BigIntegerField()),
                ("symbol", models.CharField(max_length=10)),
                ("quantity", models.BigIntegerField()),
                ("average_cost", models.DecimalField(decimal_places=4, max_digits=10)),
                ("market_value", models.DecimalField(decimal_places=2, max_digits=15, null=True)),
                ("unrealized_pnl", models.DecimalField(decimal_places=2, max_digits=15, null=True)),
                ("realized_pnl", models.DecimalField(db_default=0, decimal_places=2, max_digits=15)),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
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
                "db_table": "positions",
                "indexes": [
                    models.Index(models.F("account_id"), name="idx_account"),
                    models.Index(models.F("symbol"), name="idx_symbol"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("account", "symbol"), name="positions_account_symbol"),
                    models.CheckConstraint(
                        condition=models.Q(("quantity__gte", 0), ("average_cost__gte", 0)),
                        name="positions_not_short",
                    ),
                ],
            },
        ),
        migrations.RunSQL(SQL + script(append_only_trigger_sql("share_issues")), migrations.RunSQL.noop),
    ]
