"""Create the blocks in which events are sealed, append-only as the events are, and the list of archives."""

import django.db.models.functions.datetime
from django.db import migrations, models

from apps.primitives.partitions import append_only_trigger_sql, script

BLOCKS = """
CREATE TABLE event_blocks (
    block_no         bigint PRIMARY KEY CHECK (block_no > 0),
    events           integer NOT NULL CHECK (events > 0),
    total            bigint NOT NULL CHECK (total >= events),
    first_xact_id    bigint NOT NULL,
    first_event_id   bigint NOT NULL,
    last_xact_id     bigint NOT NULL,
    last_event_id    bigint NOT NULL,
    lowest_event_id  bigint NOT NULL,
    highest_event_id bigint NOT NULL CHECK (highest_event_id >= lowest_event_id),
    places           bytea NOT NULL CHECK (octet_length(places) = 16 * events),
    leaves           bytea NOT NULL CHECK (octet_length(leaves) = 32 * events),
    heads            bytea NOT NULL,
    previous_hash    bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
    hash             bytea NOT NULL CHECK (octet_length(hash) = 32),
    sealed_at        timestamptz(6) NOT NULL
);
ALTER TABLE event_blocks ALTER COLUMN leaves SET STORAGE EXTERNAL;
CREATE INDEX event_blocks_ids ON event_blocks USING gist (int8range(lowest_event_id - 1, highest_event_id));
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0002_relay_days")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    BLOCKS + script(append_only_trigger_sql("event_blocks")), "DROP TABLE event_blocks"
                )
            ],
            state_operations=[
                migrations.CreateModel(
                    name="EventBlock",
                    fields=[
                        ("block_no", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("events", models.IntegerField()),
                        ("total", models.BigIntegerField()),
                        ("first_xact_id", models.BigIntegerField()),
                        ("first_event_id", models.BigIntegerField()),
                        ("last_xact_id", models.BigIntegerField()),
                        ("last_event_id", models.BigIntegerField()),
                        ("lowest_event_id", models.BigIntegerField()),
                        ("highest_event_id", models.BigIntegerField()),
                        ("places", models.BinaryField()),
                        ("leaves", models.BinaryField()),
                        ("heads", models.BinaryField()),
                        ("previous_hash", models.BinaryField()),
                        ("hash", models.BinaryField()),
                        ("sealed_at", models.DateTimeField()),
                    ],
                    options={"db_table": "event_blocks", "ordering": ["-block_no"]},
                )
            ],
        ),
        migrations.CreateModel(
            name="EventArchive",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("low", models.BigIntegerField()),
                ("high", models.BigIntegerField()),
                ("events", models.BigIntegerField()),
                ("first_block", models.BigIntegerField()),
                ("last_block", models.BigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                (
                    "dropped_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={"db_table": "event_archives", "ordering": ["-low"]},
        ),
    ]
