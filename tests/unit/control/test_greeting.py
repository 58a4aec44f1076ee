"""What a person is told at the start."""

import os
import time

import pytest
from psycopg.conninfo import conninfo_to_dict

from howdah.control.files import shortage
from howdah.control.greeting import Door, Greeting, connection_string, describe_upstream, seconds_since_start
from howdah.dataplane.plan import Plan
from tests.unit.control.console.engine_stub import DATABASE, SETTINGS


@pytest.mark.parametrize(
    "door, user, host, port",
    [
        (Door("127.0.0.1", 6432), "alice", "127.0.0.1", "6432"),
        (Door("0.0.0.0", 6432), "", "127.0.0.1", "6432"),
        (Door("::", 7000), "a@b", "::1", "7000"),
        (Door("/tmp/some dir", 6432), "alice", "/tmp/some dir", "6432"),
        (Door("@abstract", 6432), "", "@abstract", "6432"),
    ],
)
def test_libpq_reads_the_connection_string(door: Door, user: str, host: str, port: str) -> None:
    read = conninfo_to_dict(connection_string(door, "my/db", user))
    assert (read["host"], str(read["port"]), read["dbname"], read.get("user", "")) == (host, port, "my/db", user)


def test_the_greeting_says_how_to_connect_and_how_to_stop() -> None:
    greeting = Greeting(("127.0.0.1:6432",), "db:5432", "20", "postgresql://x/app", "postgresql://x/pgbouncer", 0.5)
    text = "\n".join(greeting.lines())
    for part in ("ready after 0.50 s", "127.0.0.1:6432", "psql 'postgresql://x/app'", "Ctrl-C", "SHOW HELP"):
        assert part in text


def test_a_password_is_for_a_person_and_never_for_a_log() -> None:
    url = "postgresql://postgres@127.0.0.1:6432/postgres"
    greeting = Greeting(
        ("127.0.0.1:6432",), "db:5432", "20", url, url.replace("postgres@", "ann@"), 0.5, logins="scram-sha-256",
        user="postgres", password="p@ss/1", password_file="/data/password",
    )  # fmt: skip
    (shown,) = [line.split()[1] for line in greeting.lines() if line.strip().startswith("connect")]
    assert conninfo_to_dict(shown)["password"] == "p@ss/1"
    (console,) = [line for line in greeting.lines() if line.strip().startswith("console")]
    assert "//ann@127" in console  # who has another one
    assert greeting.fields()["password_file"] == "/data/password"
    assert "p@ss" not in str(greeting.fields())
    assert "p%40ss" not in str(greeting.fields())


def test_only_a_few_databases_are_named() -> None:
    plan = Plan(1, SETTINGS, (DATABASE,) * 5, ())
    assert describe_upstream(plan) == "; ".join(["app at 192.0.2.1:5432"] * 3) + "; and 2 more"


def test_the_process_knows_its_age() -> None:
    assert 0 < seconds_since_start() < time.clock_gettime(time.CLOCK_BOOTTIME)
    assert os.getpid()


def test_too_few_files_are_told_before_they_run_out() -> None:
    assert not shortage(100_000, clients=10_000, servers=20)
    assert shortage(1024, clients=10_000, servers=20).startswith("the limit of open files is 1,024")
