"""Remember all that each book was last told: stage, phase, mode, price bands and their limit state."""

from django.db import migrations, models

# A book that an earlier form of this table knows is told anew at the next upkeep.
EMPTY = "DELETE FROM book_sessions"


def field(name: str, kind: models.Field) -> migrations.AddField:  # type: ignore[type-arg]
    return migrations.AddField(model_name="booksession", name=name, field=kind)


def constraint(name: str, condition: models.Q) -> migrations.AddConstraint:
    check = models.CheckConstraint(name=name, condition=condition)
    return migrations.AddConstraint(model_name="booksession", constraint=check)


class Migration(migrations.Migration):
    dependencies = [
        ("operations", "0002_book_sessions"),
    ]

    operations = [
        migrations.RunSQL(EMPTY, EMPTY),
        migrations.RemoveField(model_name="booksession", name="is_open"),
        field("stage", models.CharField(max_length=15, default="CONTINUOUS")),
        field("phase", models.CharField(max_length=15, default="CONTINUOUS")),
        field("mode", models.CharField(max_length=12, default="OPEN")),
        field("lower_band", models.DecimalField(max_digits=10, decimal_places=4, null=True)),
        field("upper_band", models.DecimalField(max_digits=10, decimal_places=4, null=True)),
        field(
            "bands_source",
            models.CharField(
                max_length=5, choices=[("", "None"), ("RULE", "Rule"), ("STAFF", "Staff")], default=""
            ),
        ),
        field("band_reference", models.DecimalField(max_digits=10, decimal_places=4, null=True)),
        field("banded_at", models.DateTimeField(null=True)),
        field("limit_side", models.CharField(max_length=4, default="")),
        field("limit_since", models.DateTimeField(null=True)),
        field("paused_until", models.DateTimeField(null=True)),
        constraint(
            "book_sessions_known",
            models.Q(
                ("bands_source__in", ["", "RULE", "STAFF"]),
                ("limit_side__in", ["", "BUY", "SELL"]),
                ("mode__in", ["OPEN", "REDUCE_ONLY", "CANCEL_ONLY"]),
                (
                    "phase__in",
                    [
                        "CONTINUOUS",
                        "PRE_OPEN",
                        "OPENING_AUCTION",
                        "HALTED",
                        "PAUSED",
                        "CLOSING_AUCTION",
                        "CLOSED",
                    ],
                ),
                ("stage__in", ["CLOSED", "OPENING_AUCTION", "CONTINUOUS"]),
            ),
        ),
        constraint(
            "book_sessions_bands",
            models.Q(
                models.Q(("bands_source", ""), ("lower_band__isnull", True), ("upper_band__isnull", True)),
                models.Q(
                    ("lower_band__isnull", False),
                    ("upper_band__isnull", False),
                    ("lower_band__gt", 0),
                    ("upper_band__lt", 1000000),
                    ("lower_band__lte", models.F("upper_band")),
                    models.Q(("bands_source", ""), _negated=True),
                ),
                _connector="OR",
            ),
        ),
        constraint(
            "book_sessions_reference",
            models.Q(
                ("band_reference__isnull", True),
                models.Q(("band_reference__gt", 0), ("band_reference__lt", 1000000)),
                _connector="OR",
            ),
        ),
    ]
