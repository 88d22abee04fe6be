"""Create what surveillance finds, measures against and remembers."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import apps.events.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BeneficialOwner",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="accounts.account",
                    ),
                ),
                ("owner", models.CharField(max_length=80)),
            ],
            options={
                "db_table": "surveillance_owners",
                "ordering": ["owner"],
            },
        ),
        migrations.CreateModel(
            name="MessageCountRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "symbol",
                        "window_s",
                        "begins_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("account_id", models.BigIntegerField()),
                ("symbol", models.CharField(max_length=10)),
                ("window_s", models.IntegerField()),
                ("begins_at", models.DateTimeField()),
                ("messages", models.BigIntegerField(default=0)),
                ("trades", models.BigIntegerField(default=0)),
                ("volume_ordered", models.BigIntegerField(default=0)),
                ("volume_traded", models.BigIntegerField(default=0)),
                ("last_at", models.DateTimeField()),
                ("last_event_id", models.BigIntegerField()),
            ],
            options={
                "db_table": "surveillance_messages",
            },
        ),
        migrations.CreateModel(
            name="SurveillanceFinding",
            fields=[
                (
                    "finding_id",
                    models.BigIntegerField(
                        db_default=apps.events.models.NextId(),
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("SELF_TRADE", "Self trade"),
                            ("WASH_TRADES", "Wash trades"),
                            ("ORDER_RATIO", "Order ratio"),
                            ("LAYERING", "Layering"),
                        ],
                        max_length=20,
                    ),
                ),
                ("account_id", models.BigIntegerField()),
                ("other_account_id", models.BigIntegerField(default=0)),
                ("symbol", models.CharField(max_length=10)),
                (
                    "status",
                    models.CharField(
                        choices=[("OPEN", "Open"), ("DISMISSED", "Dismissed")], default="OPEN", max_length=10
                    ),
                ),
                ("times", models.IntegerField(default=1)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("measured", models.JSONField()),
                ("limits", models.JSONField()),
                ("event_ids", models.JSONField()),
                ("found_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("dismissed_at", models.DateTimeField(null=True)),
                ("dismissed_by_id", models.BigIntegerField(null=True)),
                ("reason", models.CharField(blank=True, default="", max_length=200)),
            ],
            options={
                "db_table": "surveillance_findings",
                "ordering": ["-finding_id"],
                "indexes": [
                    models.Index(
                        models.F("kind"),
                        models.F("account_id"),
                        models.F("other_account_id"),
                        models.F("symbol"),
                        name="surveillance_findings_whom",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "OPEN")),
                        fields=("kind", "account_id", "other_account_id", "symbol"),
                        name="surveillance_findings_open_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["SELF_TRADE", "WASH_TRADES", "ORDER_RATIO", "LAYERING"]),
                            ("status__in", ["OPEN", "DISMISSED"]),
                        ),
                        name="surveillance_findings_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("dismissed_at__isnull", True), ("status", "OPEN")),
                            models.Q(
                                ("dismissed_at__isnull", False),
                                ("status", "DISMISSED"),
                                models.Q(("reason", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="surveillance_findings_dismissed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SurveillanceLimit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("SELF_TRADE", "Self trade"),
                            ("WASH_TRADES", "Wash trades"),
                            ("ORDER_RATIO", "Order ratio"),
                            ("LAYERING", "Layering"),
                        ],
                        max_length=20,
                    ),
                ),
                ("name", models.CharField(max_length=20)),
                ("value", models.DecimalField(decimal_places=2, max_digits=14)),
                (
                    "effective_from",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "surveillance_limits",
                "ordering": ["kind", "name", "-effective_from"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "name", "effective_from"), name="surveillance_limits_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("value__gte", 0), ("value__lte", 1000000000)),
                        name="surveillance_limits_sane",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WatchedTradeRow",
            fields=[
                ("trade_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("symbol", models.CharField(max_length=10)),
                ("price", models.DecimalField(decimal_places=4, max_digits=10)),
                ("quantity", models.IntegerField()),
                ("executed_at", models.DateTimeField()),
                ("buy_account_id", models.BigIntegerField(null=True)),
                ("buy_event_id", models.BigIntegerField(null=True)),
                ("sell_account_id", models.BigIntegerField(null=True)),
                ("sell_event_id", models.BigIntegerField(null=True)),
            ],
            options={
                "verbose_name": "watched trade",
                "db_table": "surveillance_trades",
                "indexes": [
                    models.Index(
                        models.F("buy_account_id"),
                        models.F("symbol"),
                        models.F("executed_at"),
                        name="surveillance_trades_buys",
                    ),
                    models.Index(
                        models.F("sell_account_id"),
                        models.F("symbol"),
                        models.F("executed_at"),
                        name="surveillance_trades_sells",
                    ),
                    models.Index(models.F("executed_at"), name="surveillance_trades_at"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("price__gt", 0), ("price__lt", 1000000), ("quantity__gt", 0)),
                        name="surveillance_trades_positive",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WithdrawalRow",
            fields=[
                ("order_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("account_id", models.BigIntegerField()),
                ("symbol", models.CharField(max_length=10)),
                ("side", models.CharField(max_length=4)),
                ("price", models.DecimalField(decimal_places=4, max_digits=10)),
                ("quantity", models.IntegerField()),
                ("entered_at", models.DateTimeField()),
                ("withdrawn_at", models.DateTimeField()),
                ("event_id", models.BigIntegerField()),
            ],
            options={
                "verbose_name": "withdrawn order",
                "db_table": "surveillance_withdrawals",
                "indexes": [
                    models.Index(
                        models.F("account_id"),
                        models.F("symbol"),
                        models.F("withdrawn_at"),
                        name="surveillance_withdrawals_whose",
                    ),
                    models.Index(models.F("withdrawn_at"), name="surveillance_withdrawals_at"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("price__gt", 0),
                            ("price__lt", 1000000),
                            ("quantity__gt", 0),
                            ("side__in", ["BUY", "SELL"]),
                        ),
                        name="surveillance_withdrawals_sane",
                    )
                ],
            },
        ),
    ]
