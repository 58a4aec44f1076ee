"""howdah on a pgbouncer.ini, from the file to a query, a reload and a conversion."""

import signal
from pathlib import Path

import pytest

from howdah.control.config.pgbouncer import WITHOUT_EFFECT
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

INI = """\
;;; as Debian's, in short
[databases]
{databases}

[pgbouncer]
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir = {folder}
auth_type = scram-sha-256
auth_file = {folder}/userlist.txt
;admin_users = nobody
{more}
"""


class Drop:
    """A pooler on a pgbouncer.ini."""

    def __init__(self, pooler: Pooler) -> None:
        self.pooler = pooler
        self.ini = pooler.folder / "pgbouncer.ini"
        (pooler.folder / "userlist.txt").write_text('"alice" "secret"\n')

    def write(self, databases: str, more: str = "") -> None:
        self.ini.write_text(
            INI.format(folder=self.pooler.folder, port=self.pooler.port, databases=databases, more=more)
        )

    def run(self) -> None:
        self.pooler.spawn("run", self.ini.name, "--json-logs")
        wait_until(lambda: self.pooler.log_contains("howdah is ready"), "the pooler to be ready", within=20)

    def reload(self) -> None:
        self.pooler.forget_log()
        self.pooler.signal(signal.SIGHUP)

    def value(self, query: str, **parameters: str) -> str:
        return str(self.pooler.value(query, password="secret", **parameters))


@pytest.fixture
def drop(pooler: Pooler) -> Drop:
    return Drop(pooler)


def connection_string(postgres: Postgres, more: str = "") -> str:
    return f"host={postgres.host} port={postgres.port} {more}"


def test_clients_are_served_as_the_file_says(drop: Drop, postgres: Postgres) -> None:
    other = connection_string(postgres, "dbname=app application_name='x y'")
    drop.write(f"* = {connection_string(postgres)}\nother = {other}")
    drop.run()
    assert drop.value("SELECT current_database()") == "app"
    assert drop.value("SELECT current_database()", dbname="other") == "app"
    rows = {row["key"]: row["value"] for row in drop.pooler.admin("SHOW CONFIG")}
    assert (rows["pool_mode"], rows["max_client_conn"], rows["log_connections"]) == ("session", "100", "1")


def test_a_reload_reads_the_file_and_what_it_includes(drop: Drop, postgres: Postgres) -> None:
    more = drop.pooler.folder / "more.ini"
    more.write_text("query_wait_timeout = 5\n")
    drop.write(f"app = {connection_string(postgres)}", "%include more.ini")
    drop.run()
    more.write_text("query_wait_timeout = 7\npool_mode = transaction\n")
    drop.reload()
    wait_until(lambda: drop.pooler.log_contains("configuration reloaded"), "the reload")
    rows = {row["key"]: row["value"] for row in drop.pooler.admin("SHOW CONFIG")}
    assert (rows["query_wait_timeout"], rows["pool_mode"]) == ("7", "transaction")


def test_a_bad_file_changes_nothing(drop: Drop, postgres: Postgres) -> None:
    drop.write(f"app = {connection_string(postgres)}")
    drop.run()
    drop.write(f"app = {connection_string(postgres)} port=x")
    drop.reload()
    wait_until(lambda: drop.pooler.log_contains("the old one stays in force"), "the reload to be refused")
    assert drop.pooler.log_contains(r"pgbouncer\.ini:3: databases\.app\.port")
    assert drop.value("SELECT 1") == "1"


def test_the_converted_file_does_the_same(drop: Drop, postgres: Postgres) -> None:
    drop.write(f"app = {connection_string(postgres)} pool_size=3")
    drop.pooler.spawn("convert", drop.ini.name)
    assert drop.pooler.wait_for_exit() == 0
    text = drop.pooler.log_text
    Path(drop.pooler.config).write_text(text[text.index("# Made by") :])
    drop.pooler.spawn("run", "howdah.toml", "--json-logs")
    wait_until(lambda: drop.pooler.log_contains("howdah is ready"), "the pooler to be ready", within=20)
    assert drop.value("SELECT current_database()") == "app"
    assert drop.pooler.admin("SHOW DATABASES")[0]["pool_size"] == 3


def test_what_can_have_no_effect_is_taken_and_told(drop: Drop, postgres: Postgres) -> None:
    values = {"conffile": "/nowhere", "job_name": "x", "service_name": "x", "track_extra_parameters": "search_path"}
    names = sorted(WITHOUT_EFFECT)
    more = "\n".join(f"{name} = {values.get(name, 8192)}" for name in names)
    drop.write(f"app = {connection_string(postgres)}", more)
    drop.run()
    assert drop.value("SELECT 1") == "1"
    for name in names:
        assert drop.pooler.log_contains(rf"{name}: this setting has no effect: ")
