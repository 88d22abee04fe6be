"""Create the record of settlement steps done."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("events", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="SettlementStep",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "settl_date",
                        "account_id",
                        "step",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("settl_date", models.DateField()),
                ("account_id", models.BigIntegerField()),
                ("step", models.CharField(max_length=20)),
                ("amount", models.DecimalField(decimal_places=2, max_digits=15)),
                ("trade_count", models.IntegerField()),
                ("done_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "settlement_steps",
            },
        ),
    ]
