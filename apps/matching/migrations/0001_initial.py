"""Create the command queue, the journal and the leader row."""

import django.db.models.functions.datetime
from django.db import migrations, models

import apps.events.models
from apps.primitives.partitions import append_only_trigger_sql, script

SQL = """
CREATE TABLE order_commands (
    command_id         bigint PRIMARY KEY DEFAULT next_id(),
    matching_partition smallint NOT NULL DEFAULT 0,
    kind               varchar(10) NOT NULL
                       CHECK (kind IN ('NEW', 'CANCEL', 'REPLACE', 'EXPIRE', 'HALT', 'RESUME')),
    symbol             varchar(10) NOT NULL,
    instrument_id      integer NOT NULL,
    order_id           bigint NOT NULL DEFAULT 0,
    orig_order_id      bigint NOT NULL DEFAULT 0,
    account_id         bigint NOT NULL DEFAULT 0,
    user_id            bigint NOT NULL DEFAULT 0,
    side               varchar(4) NOT NULL DEFAULT '',
    order_type         varchar(10) NOT NULL DEFAULT '',
    time_in_force      varchar(10) NOT NULL DEFAULT '',
    price_units        bigint NOT NULL DEFAULT 0 CHECK (price_units >= 0),
    quantity           integer NOT NULL DEFAULT 0 CHECK (quantity >= 0),
    client_order_id    varchar(128) NOT NULL DEFAULT '',
    created_at         timestamptz(6) NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
CREATE INDEX order_commands_order ON order_commands (order_id);
CREATE INDEX order_commands_orig ON order_commands (orig_order_id);

CREATE TABLE matching_journal (
    matching_partition smallint NOT NULL,
    seq                bigint NOT NULL,
    epoch              integer NOT NULL,
    command_id         bigint NOT NULL,
    kind               varchar(10) NOT NULL,
    symbol             varchar(10) NOT NULL,
    order_id           bigint NOT NULL,
    record             bytea NOT NULL,
    recorded_at        timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (matching_partition, seq)
);

CREATE INDEX matching_journal_halts ON matching_journal (matching_partition, symbol, seq DESC)
    WHERE kind IN ('HALT', 'RESUME');

CREATE TABLE matching_leader (
    matching_partition smallint PRIMARY KEY,
    epoch              integer NOT NULL DEFAULT 0,
    seq                bigint NOT NULL DEFAULT 0,
    host               varchar(120) NOT NULL DEFAULT '',
    pid                integer NOT NULL DEFAULT 0,
    backend_pid        integer NOT NULL DEFAULT 0,
    acquired_at        timestamptz(6)
) WITH (fillfactor = 50);
"""

DROP = "DROP TABLE matching_leader; DROP TABLE matching_journal; DROP TABLE order_commands;"


def statements() -> str:
    return SQL + script(append_only_trigger_sql("matching_journal"))


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("events", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(statements(), DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="MatchingJournal",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "matching_partition",
                                "seq",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("matching_partition", models.SmallIntegerField()),
                        ("seq", models.BigIntegerField()),
                        ("epoch", models.IntegerField()),
                        ("command_id", models.BigIntegerField()),
                        ("kind", models.CharField(max_length=10)),
                        ("symbol", models.CharField(max_length=10)),
                        ("order_id", models.BigIntegerField()),
                        ("record", models.BinaryField()),
                        (
                            "recorded_at",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "matching journal",
                        "db_table": "matching_journal",
                    },
                ),
                migrations.CreateModel(
                    name="MatchingLeader",
                    fields=[
                        ("matching_partition", models.SmallIntegerField(primary_key=True, serialize=False)),
                        ("epoch", models.IntegerField(db_default=0)),
                        ("seq", models.BigIntegerField(db_default=0)),
                        ("host", models.CharField(db_default="", max_length=120)),
                        ("pid", models.IntegerField(db_default=0)),
                        ("backend_pid", models.IntegerField(db_default=0)),
                        ("acquired_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "matching_leader",
                    },
                ),
                migrations.CreateModel(
                    name="OrderCommand",
                    fields=[
                        (
                            "command_id",
                            models.BigIntegerField(
                                db_default=apps.events.models.NextId(),
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("matching_partition", models.SmallIntegerField(db_default=0)),
                        ("kind", models.CharField(max_length=10)),
                        ("symbol", models.CharField(max_length=10)),
                        ("instrument_id", models.IntegerField()),
                        ("order_id", models.BigIntegerField(db_default=0)),
                        ("orig_order_id", models.BigIntegerField(db_default=0)),
                        ("account_id", models.BigIntegerField(db_default=0)),
                        ("user_id", models.BigIntegerField(db_default=0)),
                        ("side", models.CharField(db_default="", max_length=4)),
                        ("order_type", models.CharField(db_default="", max_length=10)),
                        ("time_in_force", models.CharField(db_default="", max_length=10)),
                        ("price_units", models.BigIntegerField(db_default=0)),
                        ("quantity", models.IntegerField(db_default=0)),
                        ("client_order_id", models.CharField(db_default="", max_length=128)),
                        (
                            "created_at",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                    ],
                    options={
                        "db_table": "order_commands",
                        "indexes": [
                            models.Index(models.F("order_id"), name="order_commands_order"),
                            models.Index(models.F("orig_order_id"), name="order_commands_orig"),
                        ],
                    },
                ),
            ],
        ),
    ]
