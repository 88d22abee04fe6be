"""Leave room for a second version of each order on its page: a batch changes whole pages at once, entry filled them."""

from django.db import migrations

FILLFACTOR = """
DO $$
DECLARE
    v_partition text;
BEGIN
    FOR v_partition IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'orders'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = {})', v_partition);
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0004_entry_functions"),
    ]

    operations = [
        migrations.RunSQL(FILLFACTOR.format(50), FILLFACTOR.format(60)),
    ]
