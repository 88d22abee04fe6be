"""Count what each sink is delivered, day by day, so that completeness can be proved."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="RelayDay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "sink",
                        "stream_epoch",
                        "day",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("sink", models.CharField(max_length=40)),
                ("stream_epoch", models.IntegerField()),
                ("day", models.DateField()),
                ("delivered", models.BigIntegerField()),
            ],
            options={"db_table": "relay_days"},
        ),
    ]
