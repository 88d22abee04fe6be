"""The PostgreSQL roles and databases, brought to their wanted form at every start.

The supervisor calls it for its embedded server; a deployment with servers of its own runs
``python -m brokerage.supervisor.roles`` as a step before all others.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from brokerage.env import environment_copy_whole

DATABASES = ("openbell", "openbell_marketdata")
GROUP = "openbell_app"
SUPERUSER = "super"
# Before version 17 there is no limit on a whole transaction, only on each statement.
TRANSACTION_TIMEOUT_SINCE = 170000
RESERVED_CONNECTIONS_SINCE = 160000


@dataclass(frozen=True, slots=True)
class Role:
    """A login role: `openbell_<name>`, its attributes, and the settings each of its sessions begins with."""

    name: str
    attributes: str
    in_group: bool
    may_use_reserve: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    main_settings: dict[str, str] = field(default_factory=dict)
    """Those that hold in the main database alone."""


# A stalled web process must not stop the market: its transactions end after 250 ms whatever happens.
WEB_SETTINGS = {
    "transaction_timeout": "250ms",
    "idle_in_transaction_session_timeout": "250ms",
    "lock_timeout": "250ms",
}
# Whoever reads events in commit order looks ten minutes back for what was drawn before and committed after.
WRITER_SETTINGS = {"transaction_timeout": "5min"}
ROLES = (
    Role("owner", "LOGIN NOSUPERUSER CREATEDB", in_group=False),
    Role("web", "LOGIN NOSUPERUSER NOCREATEDB", in_group=True, settings=WEB_SETTINGS),
    Role(
        "worker",
        "LOGIN NOSUPERUSER NOCREATEDB",
        in_group=True,
        may_use_reserve=True,
        settings={"lock_timeout": "5s", "idle_in_transaction_session_timeout": "5s"},
        main_settings=WRITER_SETTINGS,
    ),
    Role(
        "runner",
        "LOGIN NOSUPERUSER NOCREATEDB",
        in_group=True,
        may_use_reserve=True,
        # No idle_session_timeout: a standby waits on its one session for as long as the leader lives.
        # A batch that elects ten thousand stops thinks for seconds between two statements: it must not end.
        settings={"lock_timeout": "5s", "idle_in_transaction_session_timeout": "30s"},
        main_settings=WRITER_SETTINGS,
    ),
)
ROLE_NAMES = (SUPERUSER, *(role.name for role in ROLES))


def roles_ensure(superuser_url: str, passwords: dict[str, str], databases: Sequence[str] = DATABASES) -> None:
    """Create or correct every role and these databases; safe to repeat on a server with data."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        existing = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        if GROUP not in existing:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(GROUP)))
        for role in ROLES:
            _role_ensure(connection, role, passwords[role.name], f"openbell_{role.name}" in existing)
        present = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for database in databases:
            _database_ensure(connection, database, database in present)
            if database == DATABASES[0]:
                for role in ROLES:
                    _settings_set(connection, role, role.main_settings, database)


def _role_ensure(connection: psycopg.Connection[Any], role: Role, password: str, exists: bool) -> None:
    name = sql.Identifier(f"openbell_{role.name}")
    verb = sql.SQL("ALTER" if exists else "CREATE")
    statement = sql.SQL("{} ROLE {} {} PASSWORD {}")
    attributes = sql.SQL(role.attributes)
    connection.execute(statement.format(verb, name, attributes, sql.Literal(password)))
    if role.in_group:
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(GROUP), name))
    if role.may_use_reserve and connection.info.server_version >= RESERVED_CONNECTIONS_SINCE:
        connection.execute(sql.SQL("GRANT pg_use_reserved_connections TO {}").format(name))
    connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(name))
    _settings_set(connection, role, role.settings)


def _settings_set(
    connection: psycopg.Connection[Any], role: Role, settings: dict[str, str], database: str = ""
) -> None:
    where = sql.SQL("IN DATABASE {} ").format(sql.Identifier(database)) if database else sql.SQL("")
    name = sql.Identifier(f"openbell_{role.name}")
    for setting, value in _settings_supported(settings, connection.info.server_version).items():
        statement = sql.SQL("ALTER ROLE {} {}SET {} = {}")
        connection.execute(statement.format(name, where, sql.Identifier(setting), sql.Literal(value)))


def _settings_supported(settings: dict[str, str], server_version: int) -> dict[str, str]:
    if server_version >= TRANSACTION_TIMEOUT_SINCE or "transaction_timeout" not in settings:
        return settings
    others = {name: value for name, value in settings.items() if name != "transaction_timeout"}
    return {**others, "statement_timeout": settings["transaction_timeout"]}


def _database_ensure(connection: psycopg.Connection[Any], database: str, exists: bool) -> None:
    name, owner, group = sql.Identifier(database), sql.Identifier("openbell_owner"), sql.Identifier(GROUP)
    if not exists:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    connection.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(name, group))


SERVERS = {"POSTGRES_SUPERUSER_URL": DATABASES[:1], "TIMESCALE_SUPERUSER_URL": DATABASES[1:]}
"""Each server of a deployment, and the database that is on it."""


def main() -> int:
    """Bring the servers that the environment names to their wanted form, with the passwords it gives."""
    values = environment_copy_whole()
    wanted = [*SERVERS, *(_password_name(role.name) for role in ROLES)]
    missing = [name for name in wanted if not values.get(name, "").strip()]
    if missing:
        sys.stderr.write(f"Set {', '.join(missing)}.\n")
        return 2
    passwords = {role.name: values[_password_name(role.name)] for role in ROLES}
    for name, databases in SERVERS.items():
        try:
            roles_ensure(values[name], passwords, databases)
        except psycopg.Error as error:
            sys.stderr.write(f"The server of {name} refused: {error}\n")
            return 1
        sys.stdout.write(f"Roles and {', '.join(databases)} are as they should be.\n")
    return 0


def _password_name(role: str) -> str:
    return f"OPENBELL_{role.upper()}_PASSWORD"


if __name__ == "__main__":
    sys.exit(main())
