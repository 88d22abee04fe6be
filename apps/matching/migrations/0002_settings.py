"""Queue every order type and every setting of a book; find each book's last settings in the journal."""

from django.db import migrations, models

SQL = """
ALTER TABLE order_commands
    ADD COLUMN stop_price_units bigint NOT NULL DEFAULT 0 CHECK (stop_price_units >= 0),
    ADD COLUMN trail bigint NOT NULL DEFAULT 0 CHECK (trail BETWEEN 0 AND 4294967295),
    ADD COLUMN flags smallint NOT NULL DEFAULT 0 CHECK (flags BETWEEN 0 AND 255),
    ADD COLUMN argument smallint NOT NULL DEFAULT 0 CHECK (argument BETWEEN 0 AND 255),
    DROP CONSTRAINT order_commands_kind_check;

UPDATE order_commands SET argument = CASE kind WHEN 'HALT' THEN 4 ELSE 1 END, kind = 'PHASE'
WHERE kind IN ('HALT', 'RESUME');

ALTER TABLE order_commands
    ADD CONSTRAINT order_commands_kind_check CHECK (
        kind IN ('NEW', 'CANCEL', 'REPLACE', 'EXPIRE', 'PHASE', 'MODE', 'BANDS', 'OPTIONS')),
    ADD CONSTRAINT order_commands_setting_check CHECK (CASE kind
        WHEN 'PHASE' THEN argument BETWEEN 1 AND 7 AND price_units <= 1000000000000000
        WHEN 'MODE' THEN argument BETWEEN 1 AND 3
        WHEN 'BANDS' THEN (price_units = 0 AND stop_price_units = 0)
            OR (1 <= price_units AND price_units <= stop_price_units AND stop_price_units <= 1000000000000000)
        WHEN 'OPTIONS' THEN argument BETWEEN 0 AND 1
            AND (price_units = 0 OR (price_units <= 10000 AND 10000 % nullif(price_units, 0) = 0))
        ELSE true END);

DROP INDEX matching_journal_halts;
CREATE INDEX matching_journal_settings ON matching_journal (matching_partition, symbol, kind, seq DESC)
    WHERE kind IN ('MODE', 'BANDS', 'OPTIONS', 'PHASE');
"""

UNDO = """
DROP INDEX matching_journal_settings;
CREATE INDEX matching_journal_halts ON matching_journal (matching_partition, symbol, seq DESC)
    WHERE kind IN ('HALT', 'RESUME');
DELETE FROM order_commands WHERE kind IN ('MODE', 'BANDS', 'OPTIONS');
ALTER TABLE order_commands
    DROP CONSTRAINT order_commands_setting_check, DROP CONSTRAINT order_commands_kind_check;
UPDATE order_commands SET kind = CASE argument WHEN 1 THEN 'RESUME' ELSE 'HALT' END WHERE kind = 'PHASE';
ALTER TABLE order_commands
    ADD CONSTRAINT order_commands_kind_check CHECK (
        kind IN ('NEW', 'CANCEL', 'REPLACE', 'EXPIRE', 'HALT', 'RESUME')),
    DROP COLUMN stop_price_units, DROP COLUMN trail, DROP COLUMN flags, DROP COLUMN argument;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("matching", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(SQL, UNDO)],
            state_operations=[
                migrations.AddField("ordercommand", "stop_price_units", models.BigIntegerField(db_default=0)),
                migrations.AddField("ordercommand", "trail", models.BigIntegerField(db_default=0)),
                migrations.AddField("ordercommand", "flags", models.SmallIntegerField(db_default=0)),
                migrations.AddField("ordercommand", "argument", models.SmallIntegerField(db_default=0)),
            ],
        ),
    ]
