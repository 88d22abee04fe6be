"""Create orders by UTC day, their holds and their client keys."""

import django.db.models.functions.datetime
from django.db import migrations, models

import apps.events.models
from apps.orders.models import PARTITIONED
from apps.primitives.partitions import default_partition_sql, script

SQL = """
CREATE TABLE orders (
    order_id           bigint NOT NULL DEFAULT next_id(),
    user_id            bigint NOT NULL,
    account_id         bigint NOT NULL,
    client_order_id    varchar(128) NOT NULL,
    symbol             varchar(10) NOT NULL,
    side               varchar(4) NOT NULL CHECK (side IN ('BUY', 'SELL')),
    order_type         varchar(10) NOT NULL
                       CHECK (order_type IN ('MARKET', 'LIMIT', 'STOP', 'STOP_LIMIT', 'TRAIL')),
    price              numeric(10,4) CHECK (price > 0 AND price < 'Infinity'),
    collar_price       numeric(10,4) CHECK (collar_price > 0 AND collar_price < 'Infinity'),
    quantity           integer NOT NULL CHECK (quantity > 0),
    filled_quantity    integer NOT NULL DEFAULT 0,
    filled_value       numeric(19,4) NOT NULL DEFAULT 0
                       CHECK (filled_value >= 0 AND filled_value < 'Infinity'),
    status             varchar(20) NOT NULL
                       CHECK (status IN ('PENDING', 'HELD', 'NEW', 'PARTIALLY_FILLED', 'FILLED',
                                         'CANCELLED', 'REPLACED', 'REJECTED', 'EXPIRED')),
    time_in_force      varchar(10) NOT NULL DEFAULT 'DAY'
                       CHECK (time_in_force IN ('DAY', 'GTC', 'IOC', 'FOK', 'GTD', 'OPG', 'CLS')),
    matching_partition smallint NOT NULL DEFAULT 0,
    reason             varchar(40),
    replaces           bigint,
    replaced_by        bigint,
    created_at         timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
    updated_at         timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
    filled_at          timestamptz(6),
    cancelled_at       timestamptz(6),
    ended_at           timestamptz(6),
    expires_at         timestamptz(6),
    PRIMARY KEY (order_id, user_id),
    CONSTRAINT orders_not_overfilled CHECK (filled_quantity >= 0 AND filled_quantity <= quantity),
    CONSTRAINT orders_filled_is_full CHECK ((status = 'FILLED') = (filled_quantity = quantity)),
    CONSTRAINT orders_limit_has_price CHECK (order_type <> 'LIMIT' OR price IS NOT NULL)
) PARTITION BY RANGE (order_id);
CREATE INDEX idx_user_symbol ON orders (user_id, symbol, created_at DESC);
CREATE INDEX idx_created_at ON orders (created_at DESC);

CREATE TABLE live_orders (
    order_id           bigint PRIMARY KEY,
    account_id         bigint NOT NULL,
    user_id            bigint NOT NULL,
    matching_partition smallint NOT NULL DEFAULT 0,
    symbol             varchar(10) NOT NULL,
    status             varchar(20) NOT NULL
                       CHECK (status IN ('PENDING', 'HELD', 'NEW', 'PARTIALLY_FILLED')),
    remaining          integer NOT NULL CHECK (remaining > 0),
    hold_price         numeric(10,4) NOT NULL DEFAULT 0 CHECK (hold_price >= 0 AND hold_price < 'Infinity'),
    held_cash          numeric(15,2) NOT NULL DEFAULT 0 CHECK (held_cash >= 0 AND held_cash < 'Infinity'),
    held_shares        integer NOT NULL DEFAULT 0 CHECK (held_shares >= 0),
    priority           bigint NOT NULL DEFAULT 0,
    created_at         timestamptz(6) NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX live_orders_account ON live_orders (account_id);
CREATE INDEX idx_symbol_status ON live_orders (symbol, status, created_at DESC);

CREATE TABLE order_client_keys (
    account_id      bigint NOT NULL,
    client_order_id varchar(128) NOT NULL,
    order_id        bigint NOT NULL,
    request_hash    varchar(64) NOT NULL,
    PRIMARY KEY (account_id, client_order_id)
) PARTITION BY HASH (account_id);
"""

DROP = "DROP TABLE order_client_keys; DROP TABLE live_orders; DROP TABLE orders;"


def statements() -> str:
    return (
        SQL
        + script(
            f"CREATE TABLE order_client_keys_{n} PARTITION OF order_client_keys "
            f"FOR VALUES WITH (MODULUS 10, REMAINDER {n})"
            for n in range(10)
        )
        + script(default_partition_sql(PARTITIONED[0]))
    )


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
                    name="OrderClientKey",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "account_id",
                                "client_order_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("account_id", models.BigIntegerField()),
                        ("client_order_id", models.CharField(max_length=128)),
                        ("order_id", models.BigIntegerField()),
                        ("request_hash", models.CharField(max_length=64)),
                    ],
                    options={
                        "db_table": "order_client_keys",
                    },
                ),
                migrations.CreateModel(
                    name="LiveOrder",
                    fields=[
                        (
                            "order_id",
                            models.BigIntegerField(editable=False, primary_key=True, serialize=False),
                        ),
                        ("account_id", models.BigIntegerField()),
                        ("user_id", models.BigIntegerField()),
                        ("matching_partition", models.SmallIntegerField(db_default=0)),
                        ("symbol", models.CharField(max_length=10)),
                        (
                            "status",
                            models.CharField(
                                choices=[
                                    ("PENDING", "PENDING"),
                                    ("HELD", "HELD"),
                                    ("NEW", "NEW"),
                                    ("PARTIALLY_FILLED", "PARTIALLY_FILLED"),
                                    ("FILLED", "FILLED"),
                                    ("CANCELLED", "CANCELLED"),
                                    ("REPLACED", "REPLACED"),
                                    ("REJECTED", "REJECTED"),
                                    ("EXPIRED", "EXPIRED"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("remaining", models.IntegerField()),
                        ("hold_price", models.DecimalField(db_default=0, decimal_places=4, max_digits=10)),
                        ("held_cash", models.DecimalField(db_default=0, decimal_places=2, max_digits=15)),
                        ("held_shares", models.IntegerField(db_default=0)),
                        ("priority", models.BigIntegerField(db_default=0)),
                        (
                            "created_at",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                    ],
                    options={
                        "db_table": "live_orders",
                        "indexes": [
                            models.Index(models.F("account_id"), name="live_orders_account"),
                            models.Index(
                                models.F("symbol"),
                                models.F("status"),
                                models.OrderBy(models.F("created_at"), descending=True),
                                name="idx_symbol_status",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Order",
                    fields=[
                        (
                            "order_id",
                            models.BigIntegerField(
                                db_default=apps.events.models.NextId(),
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("user_id", models.BigIntegerField()),
                        ("account_id", models.BigIntegerField()),
                        ("client_order_id", models.CharField(max_length=128)),
                        ("symbol", models.CharField(max_length=10)),
                        ("side", models.CharField(choices=[("BUY", "BUY"), ("SELL", "SELL")], max_length=4)),
                        (
                            "order_type",
                            models.CharField(
                                choices=[
                                    ("MARKET", "MARKET"),
                                    ("LIMIT", "LIMIT"),
                                    ("STOP", "STOP"),
                                    ("STOP_LIMIT", "STOP_LIMIT"),
                                    ("TRAIL", "TRAIL"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("price", models.DecimalField(decimal_places=4, max_digits=10, null=True)),
                        ("collar_price", models.DecimalField(decimal_places=4, max_digits=10, null=True)),
                        ("quantity", models.IntegerField()),
                        ("filled_quantity", models.IntegerField(db_default=0)),
                        ("filled_value", models.DecimalField(db_default=0, decimal_places=4, max_digits=19)),
                        (
                            "status",
                            models.CharField(
                                choices=[
                                    ("PENDING", "PENDING"),
                                    ("HELD", "HELD"),
                                    ("NEW", "NEW"),
                                    ("PARTIALLY_FILLED", "PARTIALLY_FILLED"),
                                    ("FILLED", "FILLED"),
                                    ("CANCELLED", "CANCELLED"),
                                    ("REPLACED", "REPLACED"),
                                    ("REJECTED", "REJECTED"),
                                    ("EXPIRED", "EXPIRED"),
                                ],
                                max_length=20,
                            ),
                        ),
                        (
                            "time_in_force",
                            models.CharField(
                                choices=[
                                    ("DAY", "DAY"),
                                    ("GTC", "GTC"),
                                    ("IOC", "IOC"),
                                    ("FOK", "FOK"),
                                    ("GTD", "GTD"),
                                    ("OPG", "OPG"),
                                    ("CLS", "CLS"),
                                ],
                                db_default="DAY",
                                max_length=10,
                            ),
                        ),
                        ("matching_partition", models.SmallIntegerField(db_default=0)),
                        ("reason", models.CharField(max_length=40, null=True)),
                        ("replaces", models.BigIntegerField(null=True)),
                        ("replaced_by", models.BigIntegerField(null=True)),
                        (
                            "created_at",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                        (
                            "updated_at",
                            models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                        ),
                        ("filled_at", models.DateTimeField(null=True)),
                        ("cancelled_at", models.DateTimeField(null=True)),
                        ("ended_at", models.DateTimeField(null=True)),
                        ("expires_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "orders",
                        "indexes": [
                            models.Index(
                                models.F("user_id"),
                                models.F("symbol"),
                                models.OrderBy(models.F("created_at"), descending=True),
                                name="idx_user_symbol",
                            ),
                            models.Index(
                                models.OrderBy(models.F("created_at"), descending=True), name="idx_created_at"
                            ),
                        ],
                    },
                ),
            ],
        ),
    ]
