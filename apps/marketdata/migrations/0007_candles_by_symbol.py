"""Give TimescaleDB's candles an index of time that cannot be taken for a reading in order of time."""

from typing import Any

from django.db import migrations

from apps.marketdata.backends import Backend, backend_found
from apps.marketdata.hypertables import INDEXES_SQL


def indexes_make(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        if backend_found(cursor) is Backend.TIMESCALE:
            cursor.execute(INDEXES_SQL)


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0006_imports")]

    operations = [migrations.RunPython(indexes_make, migrations.RunPython.noop)]
