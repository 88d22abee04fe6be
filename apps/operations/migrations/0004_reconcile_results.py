"""Keep what each check of the reconciler last found."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("operations", "0003_book_settings")]

    operations = [
        migrations.CreateModel(
            name="ReconcileResult",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("check_name", models.CharField(max_length=20)),
                ("scope", models.CharField(choices=[("RECENT", "Recent"), ("FULL", "Full")], max_length=6)),
                ("title", models.CharField(max_length=200)),
                (
                    "status",
                    models.CharField(
                        choices=[("OK", "Ok"), ("BROKEN", "Broken"), ("FAILED", "Failed")], max_length=6
                    ),
                ),
                ("since", models.DateTimeField()),
                ("checked_at", models.DateTimeField()),
                ("duration_ms", models.IntegerField()),
                ("low", models.BigIntegerField(default=0)),
                ("broken", models.JSONField(default=list)),
                ("failure", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "db_table": "reconcile_results",
                "constraints": [
                    models.UniqueConstraint(fields=("check_name", "scope"), name="reconcile_results_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            scope__in=["RECENT", "FULL"], status__in=["OK", "BROKEN", "FAILED"]
                        ),
                        name="reconcile_results_known",
                    ),
                ],
            },
        ),
    ]
