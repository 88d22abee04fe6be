"""Let the index of accounts' streams find all events of an account, those outside its stream as well."""

from django.db import migrations

WHOLE = """
DROP INDEX events_account_stream;
CREATE INDEX events_account_stream ON events (account_id, account_seq);
"""
STREAM_ONLY = """
DROP INDEX events_account_stream;
CREATE INDEX events_account_stream ON events (account_id, account_seq) WHERE account_seq IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0005_subscriptions")]

    operations = [migrations.RunSQL(WHOLE, STREAM_ONLY)]
