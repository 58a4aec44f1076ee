"""SET and RELOAD on the console: at once, also for connections that are there, and what they report."""

from typing import Any

import psycopg
import pytest

from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler, toml


class Console:
    """A session, and the notices that it was sent."""

    def __init__(self, pooler: Pooler, user: str = "boss") -> None:
        self.notices: list[str] = []
        self.connection = pooler.connect(dbname="pgbouncer", user=user)
        self.connection.add_notice_handler(
            lambda notice: self.notices.extend(
                [notice.message_primary or "", *(notice.message_detail or "").splitlines()]
            )
        )

    def run(self, sql: str) -> str:
        return self.connection.execute(sql.encode()).statusmessage or ""

    def config(self, key: str) -> Any:
        row = self.connection.execute("SELECT value FROM config WHERE key = %s", (key,)).fetchone()
        return row and row[0]


@pytest.fixture
def console(pooler: Pooler) -> Console:
    pooler.run_with(admin_users=["boss"], stats_users=["watcher"])
    return Console(pooler)


def _write(pooler: Pooler, **settings: Any) -> None:
    pooler.settings |= settings
    pooler.config.write_text(toml(pooler._tables()))


def test_a_value_is_in_force_at_once_and_until_the_next_reload(pooler: Pooler, console: Console) -> None:
    pooler.value("SELECT 1")
    assert console.run("SET default_pool_size = 3") == "SET default_pool_size=3"
    assert console.config("default_pool_size") == "3"
    assert {row["pool_size"] for row in pooler.admin("SHOW POOLS") if row["database"] == "app"} == {3}
    console.run("RELOAD")
    assert console.config("default_pool_size") == "20"
    assert console.notices == ["configuration reloaded: 1 change", "default_pool_size: 3 -> 20"]


def test_it_reaches_clients_that_are_there(pooler: Pooler, console: Console) -> None:
    with pooler.client() as client:
        client.begin()
        console.run("SET idle_transaction_timeout = '100ms'")
        assert client.read().tag == "E"
    pooler.wait_for_log("idle_transaction_timeout")


@pytest.mark.parametrize("sql", ["SET pool_mode TO session", "SET pool_mode='session'", 'SET "pool_mode" = session;'])
def test_it_can_be_written_in_several_ways(console: Console, sql: str) -> None:
    console.run(sql)
    assert console.config("pool_mode") == "session"


@pytest.mark.parametrize(
    "sql, message, hint",
    [
        ("SET defualt_pool_size = 1", "SET failed: defualt_pool_size: unknown setting", "Did you mean default"),
        ("SET listen_port = 1", "SET failed: listen_port: only a restart can change it", "restart howdah"),
        ("SET default_pool_size = many", "SET failed: default_pool_size: must be a whole number", ""),
        ("SET pool_mode = 'seasonal'", "SET failed: pool_mode: ", ""),
        ("SET auth_file = '/nowhere/to/be/found'", "SET failed: ", ""),
        ("SET client_tls_sslmode = require", "SET failed: client_tls_sslmode: ", "client_tls_"),
        ("SET default_pool_size", "invalid command 'SET default_pool_size', use SHOW HELP;", "SET name = value"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_changes_nothing(console: Console, sql: str, message: str, hint: str) -> None:
    before = console.connection.execute("SHOW CONFIG").fetchall()
    with pytest.raises(psycopg.errors.ProtocolViolation) as raised:
        console.run(sql)
    assert (raised.value.diag.message_primary or "").startswith(message)
    assert hint in (raised.value.diag.message_hint or "")
    assert console.connection.execute("SHOW CONFIG").fetchall() == before


def test_every_setting_that_a_reload_changes_can_be_set_to_what_it_is(console: Console) -> None:
    changeable = console.connection.execute("SELECT key, value FROM config WHERE changeable = 'yes'").fetchall()
    assert len(changeable) > 60
    for key, value in changeable:
        quoted = value.replace("'", "''")
        console.run(f"SET {key} = '{quoted}'")
    assert console.connection.execute("SELECT key, value FROM config WHERE changeable = 'yes'").fetchall() == changeable


def test_who_may_only_look_can_neither_set_nor_reload(pooler: Pooler, console: Console) -> None:
    watcher = Console(pooler, "watcher")
    for sql in ("SET default_pool_size = 1", "RELOAD"):
        with pytest.raises(psycopg.errors.ProtocolViolation, match="admin access needed"):
            watcher.run(sql)
    assert console.config("default_pool_size") == "20"


def test_a_reload_tells_what_it_has_changed(pooler: Pooler, console: Console) -> None:
    pooler.databases["new"] = dict(pooler.databases["app"])
    pooler.databases["other"]["pool_size"] = 4
    pooler.users["eve"] = {"pool_mode": "session", "password": "not to be shown"}
    _write(pooler, default_pool_size=7, listen_backlog=99)
    console.run("RELOAD")
    assert console.notices == [
        "configuration reloaded: 5 changes",
        "default_pool_size: 20 -> 7",
        "database new: added",
        "database other: pool_size: unset -> 4",
        "user eve: added",
        "these settings have changed and take effect at the next start: listen_backlog",
    ]
    console.notices.clear()
    del pooler.databases["new"], pooler.settings["default_pool_size"]
    pooler.users["eve"] = {"password": "another"}
    _write(pooler)
    console.run("RELOAD")
    assert console.notices[1:4] == [
        "default_pool_size: 7 -> 20",
        "database new: removed",
        "user eve: password: *** -> ***, pool_mode: session -> unset",
    ]
    assert "not to be shown" not in pooler.log_text


def test_a_reload_without_news_says_nothing(console: Console) -> None:
    assert console.run("RELOAD") == "RELOAD"
    assert console.notices == []


def test_a_bad_file_is_refused_whole(pooler: Pooler, console: Console) -> None:
    _write(pooler, default_pool_size=5, pool_mode="seasonal")
    with pytest.raises(psycopg.errors.ProtocolViolation, match=r"the old one stays in force: .*pool_mode"):
        console.run("RELOAD")
    assert console.config("default_pool_size") == "20"
    wait_until(lambda: pooler.log_contains("not reloaded"), "the log to say so")
