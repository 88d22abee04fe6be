"""Let the column say of itself what the system's own events have as metadata."""

from django.db import migrations

SET = """
ALTER TABLE events ALTER metadata
    SET DEFAULT '{"ip_address": null, "user_agent": "openbell", "session_id": null}';
"""
DROP = "ALTER TABLE events ALTER metadata DROP DEFAULT;"


class Migration(migrations.Migration):
    dependencies = [("events", "0006_account_events")]
    operations = [migrations.RunSQL(SET, DROP)]
