"""The embedded PostgreSQL: made, started, killed, started again, with the roles and limits it promises."""

import os
import signal
import stat
import time
from pathlib import Path

import psycopg
import pytest

from brokerage.supervisor.errors import SupervisorError
from brokerage.supervisor.postgres import TEST_SETTINGS, EmbeddedPostgres

DEBIAN_BINDIR = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with EmbeddedPostgres(tmp_path_factory.mktemp("cluster") / "postgres", settings=TEST_SETTINGS) as server:
        yield server


def value(server: EmbeddedPostgres, query: str, role: str = "owner") -> object:
    with psycopg.connect(server.url(role)) as connection:
        return connection.execute(query).fetchone()[0]


def test_server_does_not_run_as_root(postgres):
    assert os.stat(postgres.data_dir).st_uid != 0
    assert stat.S_IMODE(os.stat(postgres.data_dir).st_mode) == 0o700


def test_passwords_are_readable_by_their_owner_only_and_trust_is_nowhere(postgres):
    secrets = postgres.data_dir.with_name("secrets.json")
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    lines = (postgres.data_dir / "pg_hba.conf").read_text().splitlines()
    methods = {line.split()[-1] for line in lines if line.strip() and not line.startswith("#")}
    assert methods == {"scram-sha-256"}
    wrong = f"postgresql://openbell_super:wrong@127.0.0.1:{postgres.port}/postgres"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_settings_of_the_design_are_in_force(postgres):
    expected = {
        "synchronous_commit": "on",
        "checkpoint_timeout": "15min",
        "max_pred_locks_per_transaction": "1024",
        "max_locks_per_transaction": "1024",
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
        "wal_compression": "pglz",
        "client_connection_check_interval": "10ms",
        "listen_addresses": "127.0.0.1",
        "TimeZone": "UTC",
    }
    assert {name: value(postgres, f"SHOW {name}") for name in expected} == expected


def test_roles_have_their_limits_and_no_more_rights_than_they_need(postgres):
    with psycopg.connect(postgres.url("super")) as connection:
        rows = connection.execute(
            "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolcanlogin FROM pg_roles"
            " WHERE rolname LIKE 'openbell%' ORDER BY 1"
        ).fetchall()
    assert rows == [
        ("openbell_app", False, False, False, False),
        ("openbell_owner", False, True, False, True),
        ("openbell_runner", False, False, False, True),
        ("openbell_super", True, True, True, True),
        ("openbell_web", False, False, False, True),
        ("openbell_worker", False, False, False, True),
    ]
    assert value(postgres, "SHOW transaction_timeout", "web") == "250ms"
    assert value(postgres, "SHOW lock_timeout", "web") == "250ms"
    assert value(postgres, "SHOW idle_in_transaction_session_timeout", "runner") == "30s"
    # The relay looks ten minutes back for what was drawn before and committed after.
    assert value(postgres, "SHOW transaction_timeout", "runner") == "5min"
    assert value(postgres, "SHOW transaction_timeout", "worker") == "5min"
    assert value(postgres, "SELECT pg_has_role('openbell_app', 'MEMBER')", "worker") is True


def test_web_transaction_ends_after_a_quarter_of_a_second(postgres):
    with psycopg.connect(postgres.url("web")) as connection:
        started = time.monotonic()
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT pg_sleep(5)")
    assert time.monotonic() - started < 2


def test_kill_of_the_postmaster_loses_no_commit_and_the_next_start_succeeds(postgres):
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
        os.kill(postgres.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while postgres.is_running() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (postgres.data_dir / "postmaster.pid").exists()
        postgres.start()
    assert value(postgres, "SELECT n FROM kept") == 7


def test_lock_file_that_names_a_living_stranger_does_not_stop_the_start(postgres):
    postgres.stop()
    lock = postgres.data_dir / "postmaster.pid"
    lock.write_text(f"{os.getppid()}\n{postgres.data_dir}\n1\n{postgres.port}\n\n127.0.0.1\n  1 1\nready\n")
    lock.chmod(0o644)
    postgres.start()
    assert value(postgres, "SELECT 1") == 1


def test_server_of_another_object_is_stopped_and_replaced(postgres):
    """A supervisor that was killed leaves its server for a moment: the next start must not run two."""
    second = EmbeddedPostgres(postgres.data_dir, port=postgres.port, settings=TEST_SETTINGS)
    second.start()
    assert not postgres.is_running()
    second.stop()
    postgres.start()


def test_lost_passwords_are_named(postgres, tmp_path):
    other = EmbeddedPostgres(postgres.data_dir, secrets_path=tmp_path / "secrets.json")
    with pytest.raises(SupervisorError, match="passwords"):
        other.start()
    assert postgres.is_running()


def test_half_made_cluster_is_made_again(tmp_path):
    aside = tmp_path / "postgres.new"
    aside.mkdir()
    (aside / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path / "postgres", settings=TEST_SETTINGS) as server:
        assert value(server, "SELECT 1") == 1
    assert not aside.exists()


@pytest.mark.skipif(not DEBIAN_BINDIR.is_dir(), reason="no PostgreSQL 15 on this machine")
def test_another_installation_serves_too_and_its_data_is_told_apart(tmp_path):
    with EmbeddedPostgres(tmp_path / "postgres", settings=TEST_SETTINGS, bindir=DEBIAN_BINDIR) as server:
        assert str(value(server, "SHOW server_version")).startswith("15.")
        assert value(server, "SHOW statement_timeout", "web") == "250ms"
    with pytest.raises(SupervisorError, match="PostgreSQL 15"):
        EmbeddedPostgres(tmp_path / "postgres", settings=TEST_SETTINGS).start()


def test_folder_without_a_server_is_named(tmp_path):
    with pytest.raises(SupervisorError, match="holds no PostgreSQL"):
        EmbeddedPostgres(tmp_path / "postgres", bindir=tmp_path).start()
