"""How the cluster is reached: the options of every Kafka client, from the settings."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from kafka import KafkaAdminClient
from kafka.errors import AuthorizationError, KafkaError, SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient

Client = TypeVar("Client")

CLIENT_ID = "openbell"
BOOTSTRAP_TIMEOUT_MS = 5_000
REQUEST_TIMEOUT_MS = 30_000
THREAD_END_TIMEOUT_MS = 2_000


class KafkaAway(RuntimeError):
    """No broker can be reached, or none takes us; the message says which and where."""


def client_options() -> dict[str, Any]:
    """Return what every client is told: the addresses, and how to prove who we are.

    Raises ``KafkaAway`` where no address is set.
    """
    if not settings.KAFKA_BOOTSTRAP_SERVERS:
        raise KafkaAway("KAFKA_BOOTSTRAP_SERVERS is not set: there is no Kafka to speak to.")
    security = settings.KAFKA_SECURITY
    options: dict[str, Any] = {
        "bootstrap_servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "client_id": CLIENT_ID,
        "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "reconnect_backoff_max_ms": 1_000,
        # A broker that has just begun refuses for seconds what it does not lead yet.
        "retry_backoff_ms": 250,
        "security_protocol": security["protocol"],
    }
    if security["ca_file"]:
        options["ssl_cafile"] = security["ca_file"]
    if security["protocol"].startswith("SASL_"):
        options["sasl_mechanism"] = security["mechanism"]
        options["sasl_plain_username"] = security["username"]
        options["sasl_plain_password"] = security["password"]
    return options


def client_open(kind: Callable[..., Client], **options: Any) -> Client:
    """Return a client of the library; raises ``KafkaAway`` where there is no address, and ``KafkaError``.

    One that finds no broker raises while it is made and leaves its thread behind, with all that hangs on it:
    here that is ended too, since an outage of a day has thousands of tries.
    """
    made: list[KafkaNetClient] = []

    def net_client(**config: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**config))
        return made[-1]

    try:
        return kind(**client_options(), kafka_client=net_client, **options)
    except BaseException:
        for one in made:
            one._manager._net.stop(timeout_ms=THREAD_END_TIMEOUT_MS)
            one.close()
        raise


def admin_open() -> KafkaAdminClient:
    """Return an administrating client; raises ``KafkaAway``."""
    try:
        return client_open(KafkaAdminClient)
    except (KafkaError, OSError) as error:
        raise KafkaAway(away_text(error)) from error


def away_text(error: BaseException) -> str:
    """Return, in a sentence, why the cluster cannot be used."""
    where = ", ".join(settings.KAFKA_BOOTSTRAP_SERVERS)
    name = type(error).__name__
    # The client's errors begin their text with their own name.
    text = f"{name}: {str(error).removeprefix(f'{name}: ')}"
    if isinstance(error, SaslAuthenticationFailedError):
        return (
            f"Kafka at {where} does not accept who we are ({error}): see KAFKA_USERNAME and KAFKA_PASSWORD."
        )
    if isinstance(error, AuthorizationError):
        return f"Kafka at {where} does not let us do this: {text}."
    return f"Kafka at {where} cannot be reached: {text}."
