"""Keep where subscriptions stand, what they have handled of late, and what they could not handle."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0004_relay_states"),
    ]

    operations = [
        migrations.CreateModel(
            name="SubscriptionEvent",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "position_id",
                        "event_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("position_id", models.BigIntegerField()),
                ("event_id", models.BigIntegerField()),
            ],
            options={
                "db_table": "subscription_events",
            },
        ),
        migrations.CreateModel(
            name="QuarantinedMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subscription", models.CharField(max_length=40)),
                ("topic", models.CharField(max_length=60)),
                ("topic_partition", models.IntegerField()),
                ("topic_offset", models.BigIntegerField()),
                ("event_id", models.BigIntegerField(null=True)),
                ("value", models.BinaryField()),
                ("problem", models.TextField()),
                ("tries", models.IntegerField()),
                (
                    "quarantined_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "subscription_quarantine",
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("subscription", "topic", "topic_partition", "topic_offset"),
                        name="subscription_quarantine_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SubscriptionPosition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subscription", models.CharField(max_length=40)),
                ("topic", models.CharField(max_length=60)),
                ("topic_partition", models.IntegerField()),
                ("next_offset", models.BigIntegerField(null=True)),
                ("may_jump", models.BooleanField(db_default=False)),
                ("newest_id", models.BigIntegerField(default=0)),
                ("tries", models.IntegerField(default=0)),
                ("problem", models.CharField(blank=True, default="", max_length=300)),
                ("end_offset", models.BigIntegerField(default=0)),
                ("looked_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "subscription_positions",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("subscription", "topic", "topic_partition"),
                        name="subscription_positions_once",
                    )
                ],
            },
        ),
    ]
