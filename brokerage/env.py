"""The only reader of the process environment: every deployment value, typed, checked and named once."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

Deployment = Literal["development", "testing", "production", "supervisor"]

ROOT = Path(__file__).resolve().parent.parent
REQUIRED_IN_PRODUCTION = (
    "DATABASE_URL",
    "MARKETDATA_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "PUBLIC_URL",
)
MARKET_CALENDARS = ("OPEN", "XNYS")
MARKETDATA_BACKENDS = ("auto", "plain", "timescale")
KAFKA_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT")
KAFKA_MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
MATCHING_PATIENCE = {
    "MATCHING_SILENCE_REALTIME_MS": (100, 5, 60_000),
    "MATCHING_SILENCE_MS": (150, 10, 60_000),
    "MATCHING_PROGRESS_MS": (1_000, 50, 600_000),
    "MATCHING_IDLE_SESSION_MS": (2_500, 500, 600_000),
    "MATCHING_STUCK_EPOCHS": (3, 1, 1_000),
}
"""Default, lowest and highest of what decides when a leader is given up; decision 0015 says what each is."""
SECRET_KEY_LENGTH_MIN = 32
METRICS_TOKEN_LENGTH_MIN = 16
DEVELOPMENT_SECRET_KEY = "development-only-key-never-used-in-production"
_SCHEMES = {
    "DATABASE_URL": ("postgresql", "postgres"),
    "DATABASE_OWNER_URL": ("postgresql", "postgres"),
    "DATABASE_RUNNER_URL": ("postgresql", "postgres"),
    "MARKETDATA_URL": ("postgresql", "postgres"),
    "MARKETDATA_OWNER_URL": ("postgresql", "postgres"),
    "REDIS_URL": ("redis", "rediss", "unix"),
    "PUBLIC_URL": ("http", "https"),
}


class EnvironmentInvalid(Exception):
    """A value in the process environment is missing or cannot be used."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the machine tells the platform; an empty URL means that nobody gave one."""

    database_url: str
    database_owner_url: str
    database_runner_url: str
    marketdata_url: str
    marketdata_owner_url: str
    marketdata_backend: str
    redis_url: str
    kafka_bootstrap_servers: tuple[str, ...]
    kafka_security: Mapping[str, str]
    secret_key: str
    secret_key_is_given: bool
    allowed_hosts: tuple[str, ...]
    public_url: str
    public_url_is_given: bool
    metrics_token: str
    client_address_header: str
    market_calendar: str
    quotes_kept_days: int
    price_bands_are_on: bool
    host: str
    port: int
    port_is_explicit: bool
    demo_is_on: bool
    postgres_bindir: Path | None
    snapshot_dir: Path
    anchor_dir: Path
    archive_dir: Path
    matching: Mapping[str, int]
    heartbeat_host: str
    failpoints: str
    failpoint_hits: Path | None
    var: Path


def environment_read(
    deployment: Deployment = "development", environ: Mapping[str, str] | None = None
) -> Environment:
    """Read every value; raise EnvironmentInvalid with a plain sentence for the first that cannot be used.

    In development what nobody set is taken from `var/environment.json`, which the supervisor writes, so that
    a command typed by hand finds the running servers. Testing, production, the supervisor and its processes,
    which are told exactly what they may know, never read that file.
    """
    given = dict(os.environ if environ is None else environ)
    var = var_path(given)
    by_hand = deployment == "development" and not boolean(given, "OPENBELL_SUPERVISED", False)
    values = {**_supervised_values(var), **given} if by_hand else given
    if deployment == "production":
        _require(values, REQUIRED_IN_PRODUCTION)
        if text(values, "OPENBELL_FAILPOINTS"):
            raise EnvironmentInvalid("OPENBELL_FAILPOINTS stops processes on purpose: never in production.")
    database_url = url(values, "DATABASE_URL")
    database_owner_url = url(values, "DATABASE_OWNER_URL") or database_url
    marketdata_url = url(values, "MARKETDATA_URL")
    market_calendar = choice(values, "MARKET_CALENDAR", MARKET_CALENDARS)
    return Environment(
        database_url=database_url,
        database_owner_url=database_owner_url,
        database_runner_url=url(values, "DATABASE_RUNNER_URL") or database_owner_url,
        marketdata_url=marketdata_url,
        marketdata_owner_url=url(values, "MARKETDATA_OWNER_URL") or marketdata_url,
        marketdata_backend=choice(values, "MARKETDATA_BACKEND", MARKETDATA_BACKENDS),
        redis_url=url(values, "REDIS_URL"),
        kafka_bootstrap_servers=words(values, "KAFKA_BOOTSTRAP_SERVERS"),
        kafka_security=_kafka_security(values),
        secret_key=_secret_key(values, deployment),
        secret_key_is_given=bool(text(values, "SECRET_KEY")),
        allowed_hosts=words(values, "ALLOWED_HOSTS") or ("localhost", "127.0.0.1", "[::1]"),
        public_url=(url(values, "PUBLIC_URL") or "http://127.0.0.1:8000").rstrip("/"),
        public_url_is_given=bool(text(values, "PUBLIC_URL")),
        metrics_token=_metrics_token(values),
        client_address_header=text(values, "CLIENT_ADDRESS_HEADER"),
        market_calendar=market_calendar,
        quotes_kept_days=integer(values, "MARKETDATA_QUOTES_DAYS", 30, 1, 3_660),
        price_bands_are_on=boolean(values, "PRICE_BANDS", market_calendar != "OPEN"),
        host=text(values, "OPENBELL_HOST", "127.0.0.1"),
        port=integer(values, "OPENBELL_PORT", 8000, 1, 65535),
        port_is_explicit=bool(text(values, "OPENBELL_PORT")),
        demo_is_on=boolean(values, "OPENBELL_DEMO", True),
        postgres_bindir=_directory(values, "OPENBELL_PG_BINDIR"),
        snapshot_dir=_folder(values, "MATCHING_SNAPSHOT_DIR", var / "snapshots"),
        anchor_dir=_folder(values, "AUDIT_ANCHOR_DIR", var / "anchors"),
        archive_dir=_folder(values, "AUDIT_ARCHIVE_DIR", var / "archive"),
        matching={name: integer(values, name, *bounds) for name, bounds in MATCHING_PATIENCE.items()},
        heartbeat_host=text(values, "MATCHING_HEARTBEAT_HOST", "127.0.0.1"),
        failpoints=text(values, "OPENBELL_FAILPOINTS"),
        failpoint_hits=_directory(values, "OPENBELL_FAILPOINT_HITS"),
        var=var,
    )


def environment_copy_whole() -> dict[str, str]:
    """Return everything, for a process that is to stand in our own place."""
    return dict(os.environ)


def environment_copy() -> dict[str, str]:
    """Return the environment for a child process, without the addresses and secrets given one by one."""
    withheld = {*_SCHEMES, "SECRET_KEY", "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_PASSWORD"}
    return {name: value for name, value in os.environ.items() if name not in withheld}


def var_path(values: Mapping[str, str]) -> Path:
    """Return the folder of everything that is written at run time."""
    given = text(values, "OPENBELL_VAR")
    return Path(given).expanduser().absolute() if given else ROOT / "var"


def text(values: Mapping[str, str], name: str, default: str = "") -> str:
    """Return a value without surrounding blanks; an empty one counts as not given."""
    return values.get(name, "").strip() or default


def integer(values: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    """Return a whole number within bounds."""
    given = text(values, name)
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10 and lowest <= int(given) <= highest):
        raise EnvironmentInvalid(f"{name} must be a whole number from {lowest} to {highest}, not {given!r}.")
    return int(given)


def boolean(values: Mapping[str, str], name: str, default: bool) -> bool:
    """Return a switch: 1, true, yes, on or 0, false, no, off."""
    given = text(values, name).lower()
    if given in ("1", "true", "yes", "on"):
        return True
    if given in ("0", "false", "no", "off"):
        return False
    if given:
        raise EnvironmentInvalid(f"{name} must be 1 or 0, not {given!r}.")
    return default


def choice(values: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """Return one of the allowed words, the first when none is given."""
    given = text(values, name, allowed[0])
    if given not in allowed:
        raise EnvironmentInvalid(f"{name} must be one of {', '.join(allowed)}, not {given!r}.")
    return given


def words(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return a comma-separated list."""
    return tuple(word.strip() for word in text(values, name).split(",") if word.strip())


def url(values: Mapping[str, str], name: str) -> str:
    """Return an address with an accepted scheme, or nothing; an error never repeats it, for its password."""
    given = text(values, name)
    if not given:
        return ""
    try:
        parts = urlsplit(given)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise EnvironmentInvalid(f"{name} is not a valid address.") from None
    if parts.scheme not in _SCHEMES[name] or not port_is_fine:
        raise EnvironmentInvalid(f"{name} must be an address that begins with {_SCHEMES[name][0]}://.")
    return given


def _require(values: Mapping[str, str], names: tuple[str, ...]) -> None:
    missing = [name for name in names if not text(values, name)]
    if missing:
        raise EnvironmentInvalid(f"Production needs {', '.join(missing)} to be set in the environment.")


def _kafka_security(values: Mapping[str, str]) -> dict[str, str]:
    protocol = choice(values, "KAFKA_SECURITY_PROTOCOL", KAFKA_PROTOCOLS)
    if protocol.startswith("SASL_") and text(values, "KAFKA_BOOTSTRAP_SERVERS"):
        names = ("KAFKA_USERNAME", "KAFKA_PASSWORD")
        missing = [name for name in names if not text(values, name)]
        if missing:
            raise EnvironmentInvalid(f"{protocol} to Kafka needs {' and '.join(missing)}.")
    return {
        "protocol": protocol,
        "mechanism": choice(values, "KAFKA_SASL_MECHANISM", KAFKA_MECHANISMS),
        "username": text(values, "KAFKA_USERNAME"),
        "password": text(values, "KAFKA_PASSWORD"),
        "ca_file": text(values, "KAFKA_CA_FILE"),
    }


def _secret_key(values: Mapping[str, str], deployment: Deployment) -> str:
    given = text(values, "SECRET_KEY")
    if deployment != "production":
        return given or DEVELOPMENT_SECRET_KEY
    if len(given) < SECRET_KEY_LENGTH_MIN or given == DEVELOPMENT_SECRET_KEY:
        raise EnvironmentInvalid(
            f"SECRET_KEY must be secret and {SECRET_KEY_LENGTH_MIN} characters or longer."
        )
    return given


def _metrics_token(values: Mapping[str, str]) -> str:
    given = text(values, "METRICS_TOKEN")
    if given and len(given) < METRICS_TOKEN_LENGTH_MIN:
        raise EnvironmentInvalid(f"METRICS_TOKEN must be {METRICS_TOKEN_LENGTH_MIN} characters or longer.")
    return given


def _folder(values: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(text(values, name) or default).expanduser().absolute()


def _directory(values: Mapping[str, str], name: str) -> Path | None:
    given = text(values, name)
    if not given:
        return None
    path = Path(given).expanduser().absolute()
    if not path.is_dir():
        raise EnvironmentInvalid(f"{name} names {path}, which is not a folder.")
    return path


def _supervised_values(var: Path) -> dict[str, str]:
    path = var / "environment.json"
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, PermissionError):
        return {}
    except ValueError:
        raise EnvironmentInvalid(f"{path} is damaged: remove it and start again.") from None
    return {str(name): str(value) for name, value in content.items()}
