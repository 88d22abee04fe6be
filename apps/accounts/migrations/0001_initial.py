"""Create people and accounts, and the gate that booking passes alone."""

import django.contrib.auth.models
import django.contrib.auth.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

SQL = """
CREATE TABLE booking_gate (gate boolean);
COMMENT ON TABLE booking_gate IS 'Empty: booking locks it EXCLUSIVE, other balance writers ROW EXCLUSIVE';
ALTER TABLE accounts SET (fillfactor = 50);
ALTER TABLE accounts ALTER COLUMN created_at TYPE timestamptz(6), ALTER COLUMN updated_at TYPE timestamptz(6);
ALTER TABLE accounts ADD CONSTRAINT accounts_figures_finite CHECK (
    cash_balance > '-Infinity' AND cash_balance < 'Infinity'
    AND unsettled_cash > '-Infinity' AND unsettled_cash < 'Infinity'
    AND buying_power >= 0 AND buying_power < 'Infinity'
    AND margin_used >= 0 AND margin_used < 'Infinity');
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("events", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined"),
                ),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "db_table": "users",
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("account_id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "account_type",
                    models.CharField(
                        choices=[("CASH", "Cash"), ("MARGIN", "Margin"), ("HOUSE", "House")], max_length=20
                    ),
                ),
                ("currency", models.CharField(db_default="USD", max_length=3)),
                ("cash_balance", models.DecimalField(db_default=0, decimal_places=2, max_digits=15)),
                ("unsettled_cash", models.DecimalField(db_default=0, decimal_places=2, max_digits=15)),
                ("buying_power", models.DecimalField(db_default=0, decimal_places=2, max_digits=15)),
                ("margin_used", models.DecimalField(db_default=0, decimal_places=2, max_digits=15)),
                (
                    "account_status",
                    models.CharField(
                        choices=[("ACTIVE", "Active"), ("SUSPENDED", "Suspended"), ("CLOSED", "Closed")],
                        db_default="ACTIVE",
                        max_length=20,
                    ),
                ),
                ("simulated", models.BooleanField(db_default=False)),
                ("event_seq", models.BigIntegerField(db_default=0)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("version", models.IntegerField(db_default=0)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="account",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "accounts",
                "indexes": [
                    models.Index(models.F("user_id"), name="idx_user"),
                    models.Index(models.F("account_status"), name="idx_status"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("account_type", "CASH"), _negated=True),
                            ("cash_balance__gte", 0),
                            _connector="OR",
                        ),
                        name="accounts_cash_not_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("account_type__in", ["CASH", "MARGIN", "HOUSE"])),
                        name="accounts_type_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("account_status__in", ["ACTIVE", "SUSPENDED", "CLOSED"])),
                        name="accounts_status_known",
                    ),
                ],
            },
        ),
        migrations.RunSQL(SQL, "DROP TABLE booking_gate"),
    ]
