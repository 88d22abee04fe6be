"""Create instruments, their prices and their dated rules."""

import django.db.models.functions.datetime
from django.db import migrations, models

SQL = """
ALTER TABLE instrument_prices SET (fillfactor = 50);
ALTER TABLE instrument_prices ADD CONSTRAINT instrument_prices_finite CHECK (
    prev_close < 'Infinity' AND (day_open IS NULL OR (day_open > 0 AND day_open < 'Infinity'))
    AND (day_high IS NULL OR (day_high > 0 AND day_high < 'Infinity'))
    AND (day_low IS NULL OR (day_low > 0 AND day_low < 'Infinity')));
ALTER TABLE tick_sizes ADD CONSTRAINT tick_sizes_finite CHECK (
    price_from >= 0 AND price_from < 'Infinity' AND increment < 'Infinity');

"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("events", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Instrument",
            fields=[
                ("instrument_id", models.AutoField(primary_key=True, serialize=False)),
                ("symbol", models.CharField(max_length=10, unique=True)),
                ("name", models.CharField(max_length=120)),
                ("exchange", models.CharField(default="NASDAQ", max_length=10)),
                (
                    "status",
                    models.CharField(
                        choices=[("ACTIVE", "Active"), ("INACTIVE", "Inactive")],
                        db_default="ACTIVE",
                        max_length=10,
                    ),
                ),
                ("tradable", models.BooleanField(db_default=True)),
                ("halted", models.BooleanField(db_default=False)),
                ("halt_reason", models.CharField(blank=True, db_default="", max_length=200)),
                ("halted_at", models.DateTimeField(blank=True, null=True)),
                ("matching_partition", models.SmallIntegerField(db_default=0)),
                ("simulated", models.BooleanField(db_default=False)),
                ("listed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "instruments",
                "ordering": ["symbol"],
            },
        ),
        migrations.CreateModel(
            name="InstrumentPrice",
            fields=[
                ("symbol", models.CharField(max_length=10, primary_key=True, serialize=False)),
                ("last_price", models.DecimalField(decimal_places=4, max_digits=10)),
                ("prev_close", models.DecimalField(decimal_places=4, max_digits=10)),
                ("trade_date", models.DateField()),
                ("day_open", models.DecimalField(decimal_places=4, max_digits=10, null=True)),
                ("day_high", models.DecimalField(decimal_places=4, max_digits=10, null=True)),
                ("day_low", models.DecimalField(decimal_places=4, max_digits=10, null=True)),
                ("day_volume", models.BigIntegerField(db_default=0)),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "instrument_prices",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("last_price__gt", 0), ("last_price__lt", 1000000), ("prev_close__gt", 0)
                        ),
                        name="instrument_prices_positive",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PriceBand",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("effective_from", models.DateField()),
                ("symbol", models.CharField(blank=True, db_default="", max_length=10)),
                ("limit_bps", models.IntegerField()),
            ],
            options={
                "db_table": "price_bands",
                "ordering": ["-effective_from"],
                "constraints": [
                    models.UniqueConstraint(fields=("effective_from", "symbol"), name="price_bands_once"),
                    models.CheckConstraint(
                        condition=models.Q(("limit_bps__gt", 0), ("limit_bps__lt", 10000)),
                        name="price_bands_sane",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TickSize",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("effective_from", models.DateField()),
                ("price_from", models.DecimalField(decimal_places=4, max_digits=10)),
                ("increment", models.DecimalField(decimal_places=4, max_digits=10)),
            ],
            options={
                "db_table": "tick_sizes",
                "ordering": ["-effective_from", "-price_from"],
                "constraints": [
                    models.UniqueConstraint(fields=("effective_from", "price_from"), name="tick_sizes_once"),
                    models.CheckConstraint(
                        condition=models.Q(("increment__gt", 0)), name="tick_sizes_positive"
                    ),
                ],
            },
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
