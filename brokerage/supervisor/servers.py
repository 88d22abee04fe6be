"""Which servers are embedded and which are given, and the addresses that follow from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from brokerage.env import Environment
from brokerage.supervisor.plan import Addresses
from brokerage.supervisor.postgres import EmbeddedPostgres
from brokerage.supervisor.state import VarFolder, secrets_load
from brokerage.supervisor.valkey import EmbeddedValkey

_Server = TypeVar("_Server", EmbeddedPostgres, EmbeddedValkey)
_ROLES = ("owner", "web", "worker", "runner")


@dataclass(frozen=True, slots=True)
class Servers:
    """The embedded servers; None where an address was given instead."""

    postgres: EmbeddedPostgres | None
    valkey: EmbeddedValkey | None


def servers_choose(
    environment: Environment, folder: VarFolder, ports: dict[str, int], should_stop: Callable[[], bool]
) -> Servers:
    """Return the servers to start; one PostgreSQL holds both databases, unless both are given."""
    secrets_path = folder.root / "secrets.json"
    postgres = valkey = None
    if not (environment.database_url and environment.marketdata_url):
        postgres = EmbeddedPostgres(
            folder.root / "postgres",
            port=ports["postgres"],
            secrets_path=secrets_path,
            log_path=folder.log_path("postgres"),
            bindir=environment.postgres_bindir,
            should_stop=should_stop,
        )
    if not environment.redis_url:
        valkey = EmbeddedValkey(
            folder.root / "valkey",
            port=ports["valkey"],
            secrets_path=secrets_path,
            log_path=folder.log_path("valkey"),
            should_stop=should_stop,
        )
    return Servers(postgres, valkey)


def addresses_make(
    environment: Environment, folder: VarFolder, ports: dict[str, int], public_url: str, servers: Servers
) -> Addresses:
    """Return every role's addresses; the servers must have been started."""
    secret_key = environment.secret_key
    if not environment.secret_key_is_given:
        secret_key = secrets_load(folder.root / "secrets.json", ("django",))["django"]
    return Addresses(
        database=_database_urls(environment, servers.postgres),
        marketdata=_marketdata_urls(environment, servers.postgres),
        redis_url=environment.redis_url or _required(servers.valkey).url(),
        public_url=public_url,
        secret_key=secret_key,
        ports=ports,
    )


def _database_urls(environment: Environment, postgres: EmbeddedPostgres | None) -> dict[str, str]:
    if not environment.database_url:
        return {role: _required(postgres).url(role, "openbell") for role in _ROLES}
    urls = dict.fromkeys(_ROLES, environment.database_url)
    return {**urls, "owner": environment.database_owner_url, "runner": environment.database_runner_url}


def _marketdata_urls(environment: Environment, postgres: EmbeddedPostgres | None) -> dict[str, str]:
    if environment.marketdata_url:
        return dict.fromkeys(_ROLES, environment.marketdata_url)
    return {role: _required(postgres).url(role, "openbell_marketdata") for role in _ROLES}


def _required(server: _Server | None) -> _Server:
    assert server is not None, "an address is missing and no server was chosen for it"
    return server
