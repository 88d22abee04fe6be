"""Keep what a relay's sink tells of itself: its outage, and the bytes it sent."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0003_event_blocks")]

    operations = [
        migrations.CreateModel(
            name="RelayState",
            fields=[
                ("sink", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("problem", models.TextField(blank=True)),
                ("away_at", models.DateTimeField(null=True)),
                ("told_at", models.DateTimeField(null=True)),
                ("sent_bytes", models.BigIntegerField(default=0)),
            ],
            options={"db_table": "relay_states"},
        ),
    ]
