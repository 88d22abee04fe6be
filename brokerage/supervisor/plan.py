"""The table of what runs: the steps before the first process, and the processes in the order they start."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from brokerage.env import Environment, environment_copy
from brokerage.supervisor.ports import LOOPBACK
from brokerage.supervisor.processes import Health, ProcessPlan

PORT_NAMES = ("postgres", "valkey", "web", "ws")
SETTINGS_MODULE = "brokerage.settings.development"
WEB_THREADS = 40
"""More than ``brokerage.wsgi.PLACES``: the rest refuse at once what is too much."""

WORKER_THREADS = 4


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is, for each database role: `owner`, `web`, `worker`, `runner`."""

    database: Mapping[str, str]
    marketdata: Mapping[str, str]
    redis_url: str
    public_url: str
    secret_key: str
    ports: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Step:
    """A command that must succeed before the processes start."""

    name: str
    label: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    timeout_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything between healthy servers and a working platform."""

    steps: tuple[Step, ...]
    processes: tuple[ProcessPlan, ...]


def plan_make(environment: Environment, addresses: Addresses) -> Plan:
    """Return the platform's own plan."""
    return Plan(_steps(environment, addresses), _processes(environment, addresses))


def _steps(environment: Environment, addresses: Addresses) -> tuple[Step, ...]:
    owner = process_environment(environment, addresses, "owner", knows_owner=True)
    worker = process_environment(environment, addresses, "worker", knows_owner=True)

    def step(name: str, label: str, env: Mapping[str, str], *arguments: str) -> Step:
        return Step(name, label, (sys.executable, "manage.py", *arguments), env)

    steps = [
        step("migrate", "tables", owner, "migrate", "--noinput"),
        step(
            "migrate-marketdata", "market-data tables", owner, "migrate", "--noinput", "--database=marketdata"
        ),
        step("partitions", "table partitions", owner, "partitions_ensure"),
        step("collectstatic", "static files", owner, "collectstatic", "--noinput"),
    ]
    if environment.demo_is_on:
        steps.append(step("demo-seed", "demo market and users", worker, "demo_seed"))
    return tuple(steps)


def _processes(environment: Environment, addresses: Addresses) -> tuple[ProcessPlan, ...]:
    web = process_environment(environment, addresses, "web")
    worker = process_environment(environment, addresses, "worker")
    upkeep = process_environment(environment, addresses, "worker", knows_owner=True)
    runner = process_environment(environment, addresses, "worker", knows_runner=True)
    # Late ticks on TimescaleDB want the candles refreshed, which only their owner may do.
    relay = process_environment(environment, addresses, "worker", knows_market_owner=True)
    ports = addresses.ports
    front_health = Health(port=environment.port, path="/readyz")
    processes = [
        ProcessPlan("web", _granian(ports["web"]), web, Health(port=ports["web"], path="/readyz")),
        ProcessPlan("ws", _uvicorn(ports["ws"]), web, Health(port=ports["ws"])),
        ProcessPlan("front", _front(environment, ports), _front_environment(web), front_health),
        ProcessPlan("matching", _celery("matching", "matching", "solo"), runner, restarts_at_once=True),
        ProcessPlan("standby", _celery("matching", "standby", "solo"), runner, restarts_at_once=True),
        ProcessPlan("worker", _celery("default", "default", "threads"), upkeep),
        ProcessPlan("beat", _beat(environment), worker),
        ProcessPlan("relay", _manage("relay"), relay),
    ]
    if environment.kafka_bootstrap_servers:
        kafka = {**worker, "KAFKA_PASSWORD": environment.kafka_security["password"]}
        processes.append(ProcessPlan("relay-kafka", _manage("relay", "--kafka"), kafka))
        processes.append(ProcessPlan("surveillance", _manage("surveillance_run"), kafka))
    if environment.demo_is_on:
        processes.append(ProcessPlan("demo", _manage("demo_market"), worker, nice=5))
    return tuple(processes)


def process_environment(
    environment: Environment,
    addresses: Addresses,
    role: str,
    *,
    knows_owner: bool = False,
    knows_market_owner: bool = False,
    knows_runner: bool = False,
) -> dict[str, str]:
    """Return what one process is told: its own role's addresses, another's only where its work needs it."""
    env = {
        **environment_copy(),
        "DATABASE_URL": addresses.database[role],
        "MARKETDATA_URL": addresses.marketdata[role],
        "REDIS_URL": addresses.redis_url,
        "SECRET_KEY": addresses.secret_key,
        "PUBLIC_URL": addresses.public_url,
        "OPENBELL_VAR": str(environment.var),
        "OPENBELL_PORT": str(environment.port),
        "OPENBELL_SUPERVISED": "1",
        "MARKET_CALENDAR": environment.market_calendar,
        "PYTHONUNBUFFERED": "1",
    }
    env.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS_MODULE)
    if environment.kafka_bootstrap_servers:
        env["KAFKA_BOOTSTRAP_SERVERS"] = ",".join(environment.kafka_bootstrap_servers)
    if knows_owner:
        env["DATABASE_OWNER_URL"] = addresses.database["owner"]
    if knows_owner or knows_market_owner:
        env["MARKETDATA_OWNER_URL"] = addresses.marketdata["owner"]
    if knows_runner:
        env["DATABASE_RUNNER_URL"] = addresses.database["runner"]
    return env


def hand_environment(environment: Environment, addresses: Addresses) -> dict[str, str]:
    """Return what a command typed by hand finds in `var/environment.json` while the servers run."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": ",".join(environment.kafka_bootstrap_servers),
        "DATABASE_URL": addresses.database["owner"],
        "DATABASE_OWNER_URL": addresses.database["owner"],
        "DATABASE_RUNNER_URL": addresses.database["runner"],
        "MARKETDATA_URL": addresses.marketdata["owner"],
        "REDIS_URL": addresses.redis_url,
        "SECRET_KEY": addresses.secret_key,
        "PUBLIC_URL": addresses.public_url,
    }


def _manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "manage.py", *arguments)


def _module(name: str, options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *options.split())


def _granian(port: int) -> tuple[str, ...]:
    options = f"--interface wsgi --http 1 --no-ws --host {LOOPBACK} --port {port} --workers 1"
    options += f" --blocking-threads {WEB_THREADS} --workers-kill-timeout 10 brokerage.wsgi:application"
    return _module("granian", options)


def _uvicorn(port: int) -> tuple[str, ...]:
    # Forwarded-for headers come from the client unchecked here, so they are not believed.
    options = f"--host {LOOPBACK} --port {port} --no-proxy-headers --no-access-log --lifespan off"
    options += " --ws-max-size 1048576 --timeout-graceful-shutdown 5 brokerage.asgi:application"
    return _module("uvicorn", options)


def _front(environment: Environment, ports: Mapping[str, int]) -> tuple[str, ...]:
    options = f"--host {environment.host} --port {environment.port}"
    return _module("brokerage.front", f"{options} --wsgi-port {ports['web']} --asgi-port {ports['ws']}")


def _front_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The front needs no address and no secret."""
    addresses = ("DATABASE_URL", "MARKETDATA_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS")
    withheld = (*addresses, "SECRET_KEY", "METRICS_TOKEN", "KAFKA_USERNAME")
    return {name: value for name, value in env.items() if name not in withheld}


def _celery(queue: str, name: str, pool: str) -> tuple[str, ...]:
    options = f"-A brokerage worker -Q {queue} -n {name}@%h --pool {pool} --loglevel INFO"
    options += f" --concurrency {WORKER_THREADS if pool == 'threads' else 1}"
    options += " --without-gossip --without-mingle"
    return _module("celery", options)


def _beat(environment: Environment) -> tuple[str, ...]:
    command = _module("celery", "-A brokerage beat --loglevel INFO --pidfile= --schedule")
    return (*command, str(environment.var / "beat-schedule"))
