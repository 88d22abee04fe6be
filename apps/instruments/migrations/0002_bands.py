"""Give instruments a tier, and write the first widths of the price bands."""

from typing import Any

from django.db import migrations, models

from apps.instruments.bands import BAND_WIDTHS, BAND_WIDTHS_FROM


def widths_write(apps: Any, editor: Any) -> None:
    rules = apps.get_model("instruments", "BandRule")
    rules.objects.using(editor.connection.alias).bulk_create(
        rules(
            effective_from=BAND_WIDTHS_FROM,
            tier=width.tier,
            price_from=width.price_from,
            limit_bps=width.limit_bps,
            limit_amount=width.limit_amount,
            doubled_at_close=width.doubled_at_close,
        )
        for width in BAND_WIDTHS
    )


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="band_tier",
            field=models.SmallIntegerField(null=True, blank=True, db_default=2),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                name="instruments_band_tier",
                condition=models.Q(("band_tier__isnull", True), ("band_tier__in", [1, 2]), _connector="OR"),
            ),
        ),
        migrations.CreateModel(
            name="BandRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("effective_from", models.DateField()),
                ("tier", models.SmallIntegerField()),
                ("price_from", models.DecimalField(max_digits=10, decimal_places=4)),
                ("limit_bps", models.IntegerField()),
                (
                    "limit_amount",
                    models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True),
                ),
                ("doubled_at_close", models.BooleanField(default=False)),
            ],
            options={
                "db_table": "band_rules",
                "verbose_name": "price band rule",
                "ordering": ["-effective_from", "tier", "-price_from"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("effective_from", "tier", "price_from"), name="band_rules_once"
                    ),
                    models.CheckConstraint(
                        name="band_rules_sane",
                        condition=models.Q(
                            ("limit_bps__gt", 0),
                            ("limit_bps__lt", 10000),
                            ("price_from__gt", 0),
                            ("price_from__lt", 1000000),
                            ("tier__in", [1, 2]),
                            models.Q(
                                ("limit_amount__isnull", True),
                                models.Q(("limit_amount__gt", 0), ("limit_amount__lt", 1000000)),
                                _connector="OR",
                            ),
                        ),
                    ),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="priceband",
            options={"ordering": ["-effective_from"], "verbose_name": "order collar"},
        ),
        migrations.RunPython(widths_write, migrations.RunPython.noop),
    ]
