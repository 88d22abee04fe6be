"""Let standbys compare hashes and be heard, and let a leader know what ended the ones before it."""

import django.db.models.functions.datetime
from django.db import migrations, models

SQL = """
ALTER TABLE matching_leader
    ADD COLUMN began_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN stuck smallint NOT NULL DEFAULT 0,
    ADD COLUMN attempting bigint,
    ADD COLUMN hash_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN state_hash varchar(16) NOT NULL DEFAULT '';

CREATE TABLE matching_standbys (
    matching_partition smallint NOT NULL,
    host               varchar(45) NOT NULL,
    port               integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    backend_pid        integer NOT NULL,
    seq                bigint NOT NULL,
    seen_at            timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (matching_partition, host, port)
) WITH (fillfactor = 50);
"""

UNDO = """
DROP TABLE matching_standbys;
ALTER TABLE matching_leader
    DROP COLUMN began_seq, DROP COLUMN stuck, DROP COLUMN attempting, DROP COLUMN hash_seq,
    DROP COLUMN state_hash;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("matching", "0002_settings"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(SQL, UNDO)],
            state_operations=[
                migrations.AddField("matchingleader", "began_seq", models.BigIntegerField(db_default=0)),
                migrations.AddField("matchingleader", "stuck", models.SmallIntegerField(db_default=0)),
                migrations.AddField("matchingleader", "attempting", models.BigIntegerField(null=True)),
                migrations.AddField("matchingleader", "hash_seq", models.BigIntegerField(db_default=0)),
                migrations.AddField(
                    "matchingleader", "state_hash", models.CharField(db_default="", max_length=16)
                ),
                migrations.CreateModel(
                    name="MatchingStandby",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "matching_partition",
                                "host",
                                "port",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("matching_partition", models.SmallIntegerField()),
                        ("host", models.CharField(max_length=45)),
                        ("port", models.IntegerField()),
                        ("backend_pid", models.IntegerField()),
                        ("seq", models.BigIntegerField()),
                        (
                            "seen_at",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                    ],
                    options={"db_table": "matching_standbys"},
                ),
            ],
        ),
    ]
