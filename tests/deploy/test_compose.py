"""The production files say what the platform is: processes, addresses, settings, images; checked unrun."""

import importlib.util
import ipaddress
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from django.core.management import get_commands

from apps.events.topics import MESSAGE_BYTES_MAX, REPLICATION
from brokerage.env import REQUIRED_IN_PRODUCTION, ROOT, environment_read
from brokerage.supervisor import postgres, valkey
from brokerage.supervisor.plan import Addresses, Plan, plan_make
from brokerage.supervisor.postgres import EmbeddedPostgres
from brokerage.supervisor.roles import ROLES

DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OUR_OWN = {name: one for name, one in SERVICES.items() if "OPENBELL_IMAGE" in one["image"]}
STEPS = ("roles", "migrate", "migrate-marketdata", "partitions", "collectstatic", "kafka-topics")
ADDRESSES = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "DATABASE_RUNNER_URL",
    "MARKETDATA_URL",
    "MARKETDATA_OWNER_URL",
)
VARIABLE = re.compile(r"\$\{(\w+)")
OTHER_SIZES = {"shared_buffers", "effective_cache_size", "listen_addresses"}
"""Settings of PostgreSQL that follow the machine, not the platform."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """What the supervisor would start, with Kafka and without the demo."""
    values = {
        "OPENBELL_VAR": str(tmp_path_factory.mktemp("var")),
        "OPENBELL_DEMO": "0",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092,kafka-2:9092,kafka-3:9092",
    }
    urls = {
        name: f"postgresql://openbell_{name}:secret@server:5432"
        for name in ("owner", "web", "worker", "runner")
    }
    default = {name: f"{url}/openbell" for name, url in urls.items()}
    market = {name: f"{url}/openbell_marketdata" for name, url in urls.items()}
    ports = {"postgres": 1, "valkey": 2, "web": 8001, "ws": 8002}
    addresses = Addresses(default, market, "redis://server", "https://trade.example", "k" * 50, ports)
    return plan_make(environment_read("supervisor", values), addresses)


def words(command: Any) -> list[str]:
    """Return a command's words without what differs from one place to another: paths, hosts and ports."""
    found = command.split() if isinstance(command, str) else list(command)
    kept, skipped = [], False
    for word in found:
        if skipped:
            skipped = False
        elif re.fullmatch(r"--(wsgi-|asgi-)?(host|port)|--schedule", word):
            skipped = True
        else:
            kept.append("python" if word == sys.executable else word)
    return kept


def interpolated(service: dict[str, Any]) -> dict[str, str]:
    """Return a service's environment as it is with every secret filled in."""
    given = {
        "PUBLIC_URL": "https://trade.example",
        "ALLOWED_HOSTS": "trade.example",
        "METRICS_TOKEN": "m" * 20,
    }

    def fill(match: re.Match[str]) -> str:
        return given.get(match[1], "s" * 50)

    values = service.get("environment", {})
    return {name: re.sub(r"\$\{(\w+)[^}]*\}", fill, str(value)) for name, value in values.items()}


def roles_of(env: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the role and the database of each address."""
    found = {
        name: re.fullmatch(r"postgresql://(\w+):\w+@\w+:\d+/(\w+)", env[name])
        for name in ADDRESSES
        if name in env
    }
    return {name: (match[1], match[2]) for name, match in found.items() if match}


def test_every_process_of_the_plan_is_a_service_and_no_other(plan: Plan) -> None:
    planned = {process.name: words(process.command) for process in plan.processes}
    composed = {name: words(one["command"]) for name, one in OUR_OWN.items() if name not in STEPS}
    assert composed == planned


def test_every_process_gets_the_roles_of_the_plan_and_no_other(plan: Plan) -> None:
    for process in plan.processes:
        env = interpolated(SERVICES[process.name])
        assert roles_of(env) == roles_of(dict(process.env)), process.name
        assert ("SECRET_KEY" in env) == ("SECRET_KEY" in process.env), process.name


def test_every_process_has_its_grace(plan: Plan) -> None:
    for process in plan.processes:
        seconds = int(SERVICES[process.name]["stop_grace_period"].removesuffix("s"))
        assert seconds > process.grace_s
        assert SERVICES[process.name]["restart"] == "unless-stopped"


def test_every_step_of_the_plan_is_done_before_the_processes(plan: Plan) -> None:
    for step in plan.steps:
        assert words(SERVICES[step.name]["command"]) == words(step.command)
        assert roles_of(interpolated(SERVICES[step.name])) == roles_of(dict(step.env))
    for process in plan.processes:
        waits = set(SERVICES[process.name]["depends_on"])
        needed = (
            {"partitions", "migrate-marketdata", "collectstatic"}
            if process.name != "front"
            else {"web", "ws"}
        )
        assert needed <= waits, process.name
        if "kafka" in process.name or process.name == "surveillance":
            assert "kafka-topics" in waits


def test_production_settings_accept_every_environment() -> None:
    django = {name: one for name, one in OUR_OWN.items() if name not in ("roles", "front")}
    for name, one in django.items():
        env = interpolated(one)
        assert set(REQUIRED_IN_PRODUCTION) <= set(env), name
        assert env["DJANGO_SETTINGS_MODULE"] == "brokerage.settings.production"
        read = environment_read("production", env)
        assert len(read.kafka_bootstrap_servers) == 3 and read.market_calendar == "XNYS"


def test_every_command_exists() -> None:
    for name, one in OUR_OWN.items():
        found = words(one["command"])
        if found[1] == "manage.py":
            assert found[2] in get_commands(), name
        else:
            assert found[:2] == ["python", "-m"] and importlib.util.find_spec(found[2]), name
    for text in re.findall(r"brokerage\.(?:wsgi|asgi)(?=:application)", TEXT):
        assert importlib.util.find_spec(text)


def test_template_asks_for_every_variable_and_knows_no_secret() -> None:
    template = (DEPLOY / "production.env.example").read_text()
    lines = [line for line in template.splitlines() if line and not line.startswith("#")]
    assert {line.removesuffix("=") for line in lines} == set(VARIABLE.findall(TEXT))
    assert all(line.endswith("=") for line in lines), "no value is given"
    assert not re.search(r"\$\{\w+(:-|-)", TEXT), "no secret has a default"
    unset = [name for name in re.findall(r"\$\{(\w+)\}", TEXT)]
    assert unset == [], "every variable is refused when it is missing"


def test_every_image_is_pinned_by_version() -> None:
    images = {one["image"] for one in SERVICES.values() if "OPENBELL_IMAGE" not in one["image"]}
    images |= set(re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    assert all(re.search(r":v?\d+\.\d+", image) for image in images), images


def test_containers_may_do_no_more_than_they_must() -> None:
    for name, one in OUR_OWN.items():
        assert one["read_only"] and one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
    for name, one in SERVICES.items():
        assert "privileged" not in one and one.get("network_mode") is None, name
        if name != "backup":
            limits = one["deploy"]["resources"]["limits"]
            assert limits["cpus"] and limits["memory"], name
    assert [name for name, one in SERVICES.items() if "ports" in one] == ["front"]
    assert SERVICES["front"]["ports"] == ["127.0.0.1:8000:8000"]
    assert COMPOSE["networks"]["inner"]["internal"] is True


def test_what_must_last_is_on_volumes() -> None:
    used = {
        text.split(":")[0] for one in SERVICES.values() for text in one.get("volumes", ()) if text[0] != "."
    }
    assert used == set(COMPOSE["volumes"])
    mounts = {name: {text.split(":")[1] for text in one.get("volumes", ())} for name, one in SERVICES.items()}
    env = environment_read("production", interpolated(SERVICES["worker"]))
    for name in ("matching", "standby"):
        assert str(env.snapshot_dir) in mounts[name]
    assert str(env.anchor_dir) in mounts["relay"]
    assert str(env.archive_dir) in mounts["worker"]
    for name in ("web", "ws", "collectstatic"):
        assert str(env.var / "static") in mounts[name]
    for text in (text for one in SERVICES.values() for text in one.get("volumes", ()) if text[0] == "."):
        assert (DEPLOY / text.split(":")[0]).is_file(), text


def test_standbys_listen_where_leaders_can_reach_them() -> None:
    network = ipaddress.ip_network(COMPOSE["networks"]["inner"]["ipam"]["config"][0]["subnet"])
    hosts = {}
    for name in ("matching", "standby"):
        hosts[name] = interpolated(SERVICES[name])["MATCHING_HEARTBEAT_HOST"]
        assert SERVICES[name]["networks"]["inner"]["ipv4_address"] == hosts[name]
        assert ipaddress.ip_address(hosts[name]) in network
    assert len(set(hosts.values())) == 2


def conf(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(re.fullmatch(r"(\S+) = '(.*)'", line).groups() for line in lines)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["openbell", "timescale"])
def test_servers_are_set_as_the_supervisor_sets_its_own(name: str) -> None:
    wanted = {**postgres.SETTINGS, **postgres.RESERVED_SETTINGS}
    if name == "timescale":
        wanted |= postgres.TIMESCALE_SETTINGS
    found = conf(DEPLOY / "postgres" / f"{name}.conf")
    assert {k: v for k, v in found.items() if k not in OTHER_SIZES} == {
        k: v for k, v in wanted.items() if k not in OTHER_SIZES
    }
    lines = [
        line for line in (DEPLOY / "valkey/openbell.conf").read_text().splitlines() if line[:1] not in "#"
    ]
    assert dict(line.split(" ", 1) for line in lines) == valkey.SETTINGS


def test_kafka_is_the_version_that_is_tested_and_has_room_for_the_copies() -> None:
    brokers = [one for name, one in SERVICES.items() if re.fullmatch(r"kafka-\d", name)]
    [version] = re.findall(r"<kafka.version>(.*)</kafka.version>", (DEPLOY / "kafka/pom.xml").read_text())
    assert {one["image"] for one in brokers} == {f"apache/kafka:{version}"}
    assert len(brokers) == len({one["environment"]["KAFKA_NODE_ID"] for one in brokers}) == REPLICATION
    for one in brokers:
        assert int(one["environment"]["KAFKA_MESSAGE_MAX_BYTES"]) >= MESSAGE_BYTES_MAX
        assert one["environment"]["KAFKA_MIN_INSYNC_REPLICAS"] == "2"
        assert one["environment"]["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"


def test_image_is_made_of_what_is_there_and_runs_as_nobody() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [
        line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line
    ]
    sources = {source for line in copied for source in line}
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert sources == let_through
    assert all((ROOT / source).exists() for source in sources)
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)


def test_backup_script_is_a_script() -> None:
    subprocess.run(["sh", "-n", str(DEPLOY / "postgres/backup.sh")], check=True)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        works = self.path == "/readyz" and self.headers["Host"] == "trade.example"
        self.send_response(200 if works else 503)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def page_port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def health(*arguments: str) -> int:
    env = {"ALLOWED_HOSTS": "trade.example, other.example"}
    command = [sys.executable, str(DEPLOY / "healthcheck.py"), *arguments]
    return subprocess.run(command, env=env, capture_output=True).returncode


def test_health_is_asked_under_a_name_that_is_answered(page_port: int) -> None:
    assert health(str(page_port), "/readyz") == 0
    assert health(str(page_port)) == 0
    assert health(str(page_port), "/nothing") != 0
    assert health("1", "/readyz") != 0


def test_roles_step_makes_roles_and_changes_their_passwords(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data", settings=postgres.TEST_SETTINGS) as server:
        super_url = server.url("super", "postgres")
        for password in ("first", "second"):
            env = {"POSTGRES_SUPERUSER_URL": super_url, "TIMESCALE_SUPERUSER_URL": super_url}
            env |= {f"OPENBELL_{role.name.upper()}_PASSWORD": password for role in ROLES}
            command = [sys.executable, "-m", "brokerage.supervisor.roles"]
            done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            for role in ROLES:
                url = f"postgresql://openbell_{role.name}:{password}@127.0.0.1:{server.port}/openbell_marketdata"
                psycopg.connect(url).close()
        missing = subprocess.run(
            command, env={"POSTGRES_SUPERUSER_URL": super_url}, cwd=ROOT, capture_output=True
        )
        assert missing.returncode == 2 and b"OPENBELL_WEB_PASSWORD" in missing.stderr
