"""Create the record of which books were told that the market is open, and guard the settlement steps."""

import django.db.models.functions.datetime
from django.db import migrations, models

from apps.primitives.partitions import append_only_trigger_sql, script

GUARDS = """
ALTER TABLE settlement_steps ADD CONSTRAINT settlement_steps_finite
    CHECK (amount > '-Infinity' AND amount < 'Infinity' AND trade_count >= 0);
"""
UNGUARD = """
DROP TRIGGER settlement_steps_append_only ON settlement_steps;
DROP TRIGGER settlement_steps_no_truncate ON settlement_steps;
ALTER TABLE settlement_steps DROP CONSTRAINT settlement_steps_finite;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("operations", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BookSession",
            fields=[
                ("symbol", models.CharField(max_length=10, primary_key=True, serialize=False)),
                ("is_open", models.BooleanField()),
                ("trade_date", models.DateField()),
                ("changed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "book_sessions",
            },
        ),
        migrations.RunSQL(GUARDS + script(append_only_trigger_sql("settlement_steps")), UNGUARD),
    ]
