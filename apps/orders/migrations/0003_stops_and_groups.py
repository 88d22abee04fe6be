"""Give orders their stops, trails and groups, and let a stop-loss that waits in the books be armed."""

from django.db import migrations, models

SQL = """
ALTER TABLE orders
    ADD COLUMN stop_price      numeric(10,4) CHECK (stop_price > 0 AND stop_price < 'Infinity'),
    ADD COLUMN trail_amount    numeric(10,4) CHECK (trail_amount > 0 AND trail_amount < 'Infinity'),
    ADD COLUMN trail_percent   numeric(7,4) CHECK (trail_percent > 0 AND trail_percent < 100),
    ADD COLUMN high_water_mark numeric(10,4) CHECK (high_water_mark > 0 AND high_water_mark < 'Infinity'),
    ADD COLUMN triggered_at    timestamptz(6),
    ADD COLUMN order_class     varchar(8) NOT NULL DEFAULT 'SIMPLE'
                               CHECK (order_class IN ('SIMPLE', 'BRACKET', 'OCO', 'OTO')),
    ADD COLUMN group_id        bigint,
    ADD COLUMN leg             varchar(12) CHECK (leg IN ('ENTRY', 'TAKE_PROFIT', 'STOP_LOSS')),
    DROP CONSTRAINT orders_limit_has_price,
    ADD CONSTRAINT orders_limit_has_price
        CHECK (order_type NOT IN ('LIMIT', 'STOP_LIMIT') OR price IS NOT NULL),
    ADD CONSTRAINT orders_stop_has_price
        CHECK ((order_type IN ('STOP', 'STOP_LIMIT', 'TRAIL')) = (stop_price IS NOT NULL)),
    ADD CONSTRAINT orders_trail_is_one CHECK (
        (order_type = 'TRAIL') = (high_water_mark IS NOT NULL)
        AND num_nonnulls(trail_amount, trail_percent) = (order_type = 'TRAIL')::integer),
    ADD CONSTRAINT orders_group_is_whole CHECK (
        (order_class = 'SIMPLE') = (group_id IS NULL) AND (group_id IS NULL) = (leg IS NULL));
CREATE INDEX orders_group ON orders (group_id) WHERE group_id IS NOT NULL;

ALTER TABLE live_orders
    ADD COLUMN group_id      bigint,
    ADD COLUMN trigger_price numeric(10,4) CHECK (trigger_price > 0 AND trigger_price < 'Infinity'),
    ADD CONSTRAINT live_orders_armed_waits CHECK (trigger_price IS NULL OR status = 'HELD');
CREATE INDEX live_orders_group ON live_orders (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX live_orders_armed ON live_orders (symbol, trigger_price) WHERE trigger_price IS NOT NULL;
"""

UNDO = """
DROP INDEX live_orders_armed, live_orders_group, orders_group;
ALTER TABLE live_orders
    DROP CONSTRAINT live_orders_armed_waits, DROP COLUMN group_id, DROP COLUMN trigger_price;
ALTER TABLE orders
    DROP CONSTRAINT orders_stop_has_price, DROP CONSTRAINT orders_trail_is_one,
    DROP CONSTRAINT orders_group_is_whole, DROP CONSTRAINT orders_limit_has_price,
    DROP COLUMN stop_price, DROP COLUMN trail_amount, DROP COLUMN trail_percent,
    DROP COLUMN high_water_mark, DROP COLUMN triggered_at, DROP COLUMN order_class,
    DROP COLUMN group_id, DROP COLUMN leg,
    ADD CONSTRAINT orders_limit_has_price CHECK (order_type <> 'LIMIT' OR price IS NOT NULL);
"""


def _price() -> models.DecimalField:
    return models.DecimalField(decimal_places=4, max_digits=10, null=True)


def _words(*words: str) -> list[tuple[str, str]]:
    return [(word, word) for word in words]


ORDER_FIELDS = {
    "stop_price": _price(),
    "trail_amount": _price(),
    "trail_percent": models.DecimalField(decimal_places=4, max_digits=7, null=True),
    "high_water_mark": _price(),
    "triggered_at": models.DateTimeField(null=True),
    "order_class": models.CharField(
        choices=_words("SIMPLE", "BRACKET", "OCO", "OTO"), db_default="SIMPLE", max_length=8
    ),
    "group_id": models.BigIntegerField(null=True),
    "leg": models.CharField(choices=_words("ENTRY", "TAKE_PROFIT", "STOP_LOSS"), max_length=12, null=True),
}
HOLD_FIELDS = {"group_id": models.BigIntegerField(null=True), "trigger_price": _price()}
IN_GROUP = models.Q(group_id__isnull=False)
INDEXES = [
    ("order", models.Index("group_id", name="orders_group", condition=IN_GROUP)),
    ("liveorder", models.Index("group_id", name="live_orders_group", condition=IN_GROUP)),
    (
        "liveorder",
        models.Index(
            "symbol",
            "trigger_price",
            name="live_orders_armed",
            condition=models.Q(trigger_price__isnull=False),
        ),
    ),
]


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0002_entry_verify"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(SQL, UNDO)],
            state_operations=[
                *(migrations.AddField("order", name, field) for name, field in ORDER_FIELDS.items()),
                *(migrations.AddField("liveorder", name, field) for name, field in HOLD_FIELDS.items()),
                *(migrations.AddIndex(model, index) for model, index in INDEXES),
            ],
        ),
    ]
