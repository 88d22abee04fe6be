"""The environment is read once, typed, and refuses what it cannot use with a sentence."""

import json

import pytest

from brokerage.env import EnvironmentInvalid, environment_copy, environment_read

PRODUCTION = {
    "DATABASE_URL": "postgresql://web:a@db/openbell",
    "MARKETDATA_URL": "postgresql://web:a@ts/marketdata",
    "REDIS_URL": "redis://cache:6379/0",
    "SECRET_KEY": "k" * 50,
    "ALLOWED_HOSTS": "trade.example, www.trade.example",
    "PUBLIC_URL": "https://trade.example/",
}


@pytest.mark.parametrize("missing", PRODUCTION)
def test_production_names_the_missing_value(missing, tmp_path):
    given = {name: value for name, value in PRODUCTION.items() if name != missing}
    with pytest.raises(EnvironmentInvalid, match=missing):
        environment_read("production", {**given, "OPENBELL_VAR": str(tmp_path)})


def test_production_reads_every_value(tmp_path):
    environment = environment_read("production", {**PRODUCTION, "OPENBELL_VAR": str(tmp_path)})
    assert environment.allowed_hosts == ("trade.example", "www.trade.example")
    assert environment.public_url == "https://trade.example"
    assert environment.database_owner_url == environment.database_runner_url == PRODUCTION["DATABASE_URL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENBELL_PORT", "0"),
        ("OPENBELL_PORT", "65536"),
        ("OPENBELL_PORT", "80.5"),
        ("OPENBELL_PORT", "-1"),
        ("OPENBELL_PORT", "9" * 5000),
        ("OPENBELL_PORT", "８０"),
        ("DATABASE_URL", "mysql://somewhere/else"),
        ("DATABASE_URL", "postgresql://db:port/openbell"),
        ("REDIS_URL", "http://cache"),
        ("MARKET_CALENDAR", "XLON"),
        ("OPENBELL_DEMO", "perhaps"),
        ("OPENBELL_PG_BINDIR", "/no/such/folder"),
    ],
)
def test_unusable_value_is_named(name, value, tmp_path):
    with pytest.raises(EnvironmentInvalid, match=name):
        environment_read("development", {name: value, "OPENBELL_VAR": str(tmp_path)})


def test_error_does_not_repeat_a_password(tmp_path):
    given = {"DATABASE_URL": "mysql://user:hunter2@db/x", "OPENBELL_VAR": str(tmp_path)}
    with pytest.raises(EnvironmentInvalid) as caught:
        environment_read("development", given)
    assert "hunter2" not in str(caught.value)


def test_short_or_published_secret_key_is_refused_in_production(tmp_path):
    for key in ("short", "development-only-key-never-used-in-production"):
        with pytest.raises(EnvironmentInvalid, match="SECRET_KEY"):
            environment_read("production", {**PRODUCTION, "SECRET_KEY": key, "OPENBELL_VAR": str(tmp_path)})


def test_command_by_hand_finds_the_running_servers_and_a_supervised_process_does_not(tmp_path):
    (tmp_path / "environment.json").write_text(json.dumps({"DATABASE_OWNER_URL": "postgresql://owner@h/d"}))
    given = {"OPENBELL_VAR": str(tmp_path)}
    assert environment_read("development", given).database_owner_url == "postgresql://owner@h/d"
    told = {**given, "OPENBELL_SUPERVISED": "1"}
    assert environment_read("development", told).database_owner_url == ""
    for deployment in ("testing", "supervisor"):
        assert environment_read(deployment, given).database_owner_url == ""


def test_child_environment_carries_no_address(monkeypatch):
    monkeypatch.setenv("DATABASE_OWNER_URL", "postgresql://owner:secret@h/d")
    monkeypatch.setenv("SECRET_KEY", "k" * 50)
    monkeypatch.setenv("ALLOWED_HOSTS", "a.example")
    copy = environment_copy()
    assert "DATABASE_OWNER_URL" not in copy
    assert "SECRET_KEY" not in copy
    assert copy["ALLOWED_HOSTS"] == "a.example"
