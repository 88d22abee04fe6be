"""Create the id function, the append-only guard, the events and the relay's cursors."""

import django.db.models.functions.datetime
from django.db import migrations, models

import apps.events.models
from apps.events.models import PARTITIONED
from apps.primitives.partitions import append_only_trigger_sql, default_partition_sql, script

NEXT_ID = """
CREATE SEQUENCE id_sequence AS bigint CACHE 1;
CREATE FUNCTION next_id() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL UNSAFE AS $$
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1577836800000) << 21
           | (nextval('id_sequence') & 2097151)
$$;
COMMENT ON FUNCTION next_id() IS
    'Milliseconds since 2020-01-01 UTC in the high bits, a sequence in the low 21';
"""

APPEND_ONLY = """
CREATE FUNCTION append_only_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
"""

EVENTS = """
CREATE TABLE events (
    id          bigint NOT NULL DEFAULT next_id(),
    "timestamp" timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
    topic       varchar(20) NOT NULL,
    event_type  varchar(40) NOT NULL,
    user_id     bigint NOT NULL,
    account_id  bigint,
    account_seq bigint,
    data        jsonb NOT NULL,
    metadata    jsonb NOT NULL,
    xact_id     xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (id, user_id)
) PARTITION BY RANGE (id);
CREATE INDEX events_commit_order ON events (xact_id, id);
CREATE INDEX events_account_stream ON events (account_id, account_seq) WHERE account_seq IS NOT NULL;
"""

DROP = """
DROP TABLE events; DROP FUNCTION append_only_refuse(); DROP FUNCTION next_id(); DROP SEQUENCE id_sequence;
"""


def statements() -> str:
    table = PARTITIONED[0]
    guards = [*append_only_trigger_sql(table.name), *default_partition_sql(table)]
    return NEXT_ID + APPEND_ONLY + EVENTS + script(guards)


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(statements(), DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="Event",
                    fields=[
                        (
                            "id",
                            models.BigIntegerField(
                                db_default=apps.events.models.NextId(),
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "timestamp",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                        ("topic", models.CharField(max_length=20)),
                        ("event_type", models.CharField(max_length=40)),
                        ("user_id", models.BigIntegerField()),
                        ("account_id", models.BigIntegerField(null=True)),
                        ("account_seq", models.BigIntegerField(null=True)),
                        ("data", models.JSONField()),
                        ("metadata", models.JSONField()),
                    ],
                    options={"db_table": "events", "ordering": ["-id"]},
                ),
                migrations.AddIndex(
                    model_name="event",
                    index=models.Index(
                        models.F("account_id"), models.F("account_seq"), name="events_account_stream"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RelayCursor",
            fields=[
                ("sink", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("stream_epoch", models.IntegerField(default=1)),
                ("xact_id", models.BigIntegerField(default=0)),
                ("event_id", models.BigIntegerField(default=0)),
                ("system_identifier", models.CharField(blank=True, max_length=24)),
                (
                    "updated_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={"db_table": "relay_cursors"},
        ),
    ]
