"""Turn the tables into hypertables and continuous aggregates, where market data is kept in TimescaleDB."""

from typing import Any

from django.db import migrations

from apps.marketdata.backends import Backend, backend_found
from apps.marketdata.hypertables import tables_convert


def forward(apps: Any, schema_editor: Any) -> None:
    tables_convert(schema_editor.connection)


def backward(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        if backend_found(cursor) is Backend.TIMESCALE:
            raise RuntimeError(
                "There is no way back from TimescaleDB's tables: import into an empty database."
            )


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0003_counts")]

    operations = [migrations.RunPython(forward, backward)]
