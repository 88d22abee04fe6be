"""Make the table of imports: how far each file has come, so that one that was broken off goes on there."""

from django.db import migrations

SQL = """
CREATE TABLE market_data_imports (
    kind        varchar(10) NOT NULL,
    sha256      char(64) NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    name        text NOT NULL,
    size        bigint NOT NULL CHECK (size >= 0),
    next_line   bigint NOT NULL CHECK (next_line > 1),
    next_offset bigint NOT NULL CHECK (next_offset > 0),
    row_count   bigint NOT NULL DEFAULT 0,
    added_count bigint NOT NULL DEFAULT 0 CHECK (added_count BETWEEN 0 AND row_count),
    bad_count   bigint NOT NULL DEFAULT 0 CHECK (bad_count >= 0),
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    stale_from  timestamptz,
    stale_until timestamptz CHECK ((stale_from IS NULL) = (stale_until IS NULL)),
    finished_at timestamptz CHECK (finished_at IS NULL OR stale_from IS NULL),
    PRIMARY KEY (kind, sha256)
);
"""


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0005_quotes")]

    operations = [migrations.RunSQL(SQL, "DROP TABLE market_data_imports;")]
