"""What the application's role may do: granted after every migration, narrowed for what is append-only."""

from typing import Any

from django.apps import AppConfig
from django.db import connections, transaction

from apps.events.services import EVENT_COLUMNS

ROLE = "openbell_app"

APPEND_ONLY = (
    "events",
    "event_archives",
    "event_blocks",
    "transactions",
    "matching_journal",
    "share_issues",
    "settlement_steps",
)
"""Tables to which rows are only ever added."""

NEVER_DELETED = ("trades", "orders", "order_client_keys", "accounts", "positions")
"""Tables whose rows may change where their triggers allow it, but never go."""

GATE = "booking_gate"
"""LOCK TABLE in EXCLUSIVE mode wants UPDATE, in ROW EXCLUSIVE mode UPDATE suffices (15 to 18 agree)."""

_PARENTS_SQL = """
SELECT format('%%I', c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = ANY(%s) AND NOT c.relispartition ORDER BY c.relname
"""


# An extension's own functions are everybody's already, and are not ours to grant.
_FUNCTIONS_SQL = """
SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'public' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
"""


def grants_apply(sender: AppConfig, using: str, **_: Any) -> None:
    """Give the application's role its rights on one database; nothing happens where the role is missing.

    Table partitions get none: they are reached through their parents alone.
    """
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,))
        if cursor.fetchone() is None:
            return
        # Two migrations at once would collide on the same catalogue rows.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"grants of {ROLE}",))
        tables = _names(cursor, ["r", "p", "v", "m"])
        cursor.execute(_FUNCTIONS_SQL)
        functions = [row[0] for row in cursor.fetchall()]
        for statement in grant_statements(tables, _names(cursor, ["S"]), functions):
            cursor.execute(statement)


def grant_statements(tables: list[str], sequences: list[str], functions: list[str]) -> list[str]:
    """Return the statements that bring the role's rights on these relations to their wanted form."""
    statements = [f"GRANT USAGE ON SCHEMA public TO {ROLE}"]
    if tables:
        statements.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(tables)} TO {ROLE}")
    if sequences:
        statements.append(f"GRANT USAGE ON SEQUENCE {', '.join(sequences)} TO {ROLE}")
    if functions:
        statements.append(f"GRANT EXECUTE ON ROUTINE {', '.join(functions)} TO {ROLE}")
    append_only = [name for name in APPEND_ONLY if name in tables]
    never_deleted = [name for name in NEVER_DELETED if name in tables]
    if append_only:
        statements.append(f"REVOKE UPDATE, DELETE, TRUNCATE ON {', '.join(append_only)} FROM {ROLE}")
    if "events" in tables:
        statements.append(f"REVOKE INSERT ON events FROM {ROLE}")
        statements.append(f"GRANT INSERT ({EVENT_COLUMNS}) ON events TO {ROLE}")
    if never_deleted:
        statements.append(f"REVOKE DELETE, TRUNCATE ON {', '.join(never_deleted)} FROM {ROLE}")
    if GATE in tables:
        statements.append(f"REVOKE INSERT, DELETE, TRUNCATE ON {GATE} FROM {ROLE}")
    return statements


def _names(cursor: Any, kinds: list[str]) -> list[str]:
    cursor.execute(_PARENTS_SQL, (kinds,))
    return [row[0] for row in cursor.fetchall()]
