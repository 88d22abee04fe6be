"""The embedded Valkey: a password, loopback, and what was written survives a kill."""

import os
import signal
import time

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from brokerage.supervisor.children import marked_pids
from brokerage.supervisor.valkey import EmbeddedValkey


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with EmbeddedValkey(
        tmp_path_factory.mktemp("cache") / "valkey", settings={"appendfsync": "always"}
    ) as server:
        yield server


def test_server_asks_for_its_password_and_is_found_by_its_title(valkey):
    assert redis.Redis.from_url(valkey.url()).ping()
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=valkey.port, retry=Retry(NoBackoff(), 0)).ping()
    assert marked_pids(valkey.markers) == [valkey.pid]


def test_server_listens_on_loopback_with_the_append_only_file(valkey):
    client = redis.Redis.from_url(valkey.url(), decode_responses=True)
    assert client.config_get("bind")["bind"] == "127.0.0.1"
    assert client.config_get("appendonly")["appendonly"] == "yes"
    assert os.stat(valkey.data_dir).st_uid != 0


def test_written_value_survives_a_kill(valkey):
    redis.Redis.from_url(valkey.url()).set("key", "kept")
    os.kill(valkey.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while valkey.is_running() and time.monotonic() < deadline:
        time.sleep(0.01)
    valkey.start()
    assert redis.Redis.from_url(valkey.url()).get("key") == b"kept"
