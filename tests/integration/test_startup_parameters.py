"""Settings in a startup packet hold for that client, also when its servers are another client's a moment later."""

from collections.abc import Callable

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.fix_pooler import Server
from tests.kit.pooler import Pooler

SETTINGS = {
    "client_encoding": "LATIN1",
    "DateStyle": "German, DMY",
    "TimeZone": "Asia/Tokyo",
    "application_name": "a 'quoted' \\ name",
    "extra_float_digits": "-5",
    "IntervalStyle": "iso_8601",
    "search_path": '"$user", app, public',
    "statement_timeout": "1min",
    "work_mem": "5MB",
}


def show(client: Client, name: str) -> str | None:
    return client.query(f"SHOW {name}").value


@pytest.mark.parametrize("name", SETTINGS)
def test_a_startup_parameter_holds(server: Server, name: str) -> None:
    with server.client(**{name: SETTINGS[name]}) as client:
        assert show(client, name) == SETTINGS[name]


def test_settings_reported_at_login_are_the_clients(server: Server) -> None:
    with server.client(TimeZone="Asia/Tokyo", DateStyle="German", application_name="me") as client:
        assert client.settings["TimeZone"] == "Asia/Tokyo"
        assert client.settings["DateStyle"] == "German, DMY"
        assert client.settings["application_name"] == "me"


@pytest.mark.parametrize(
    "options, name, value",
    [
        ("-c work_mem=7MB", "work_mem", "7MB"),
        ("-cwork_mem=7MB", "work_mem", "7MB"),
        ("--work_mem=7MB", "work_mem", "7MB"),
        ("--work-mem=7MB", "work_mem", "7MB"),
        ("-c application_name=a\\ b\\\\c -c geqo=off", "application_name", "a b\\c"),
        ("-c application_name=a\\ b -c geqo=off", "geqo", "off"),
        ("  -c   geqo=off  ", "geqo", "off"),
        ("-c app.tenant=42", "app.tenant", "42"),
    ],
)
def test_options(server: Server, options: str, name: str, value: str) -> None:
    with server.client(options=options) as client:
        assert show(client, name) == value


@pytest.mark.parametrize(
    "name, value, sqlstate",
    [("nonsense", "1", "42704"), ("client_encoding", "klingon", "22023"), ("work_mem", "much", "22023")],
)
def test_a_wrong_parameter_gets_postgresqls_own_answer(server: Server, name: str, value: str, sqlstate: str) -> None:
    with Client(server.address) as client:
        assert client.refusal(user="alice", database="app", **{name: value}).sqlstate == sqlstate


def test_clients_with_different_settings_share_one_server(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    zones = ["Asia/Tokyo", "America/New_York", "Europe/Rome"]
    clients = [pooler.client(TimeZone=zone, application_name=f"of {zone}") for zone in zones]
    pids = set()
    for _ in range(5):
        for zone, client in zip(zones, clients, strict=True):
            row = client.query("SELECT current_setting('TimeZone'), current_setting('application_name')").rows[0]
            assert row == (zone, f"of {zone}")
            pids.add(client.query("SELECT pg_backend_pid()").value)
    assert len(pids) == 1
    for client in clients:
        client.close()


def test_a_client_without_settings_gets_the_servers_defaults_after_one_with(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as plain, pooler.client(**SETTINGS) as special:
        defaults = {name: show(plain, name) for name in SETTINGS}
        assert {name: show(special, name) for name in SETTINGS} == SETTINGS
        assert {name: show(plain, name) for name in SETTINGS} == defaults
        assert {name: show(special, name) for name in SETTINGS} == SETTINGS


def test_bringing_a_server_to_a_clients_settings_is_not_seen(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client(TimeZone="Asia/Tokyo") as east, pooler.client(TimeZone="America/Lima") as west:
        for client in (east, west, east, west):
            replies = client.query("SELECT 1")
            assert [reply.tag for reply in replies] == ["T", "D", "C", "Z"]


def test_the_encoding_of_each_client_holds_for_its_own_texts(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client(client_encoding="LATIN1") as latin, pooler.client(client_encoding="UTF8") as utf8:
        for _ in range(3):
            assert latin.query("SELECT chr(252)")[1].body.endswith(b"\0\0\0\1\xfc")
            assert utf8.query("SELECT chr(252)")[1].body.endswith(b"\0\0\0\2\xc3\xbc")


def test_settings_reach_a_server_inside_a_pipeline(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client(TimeZone="Asia/Tokyo") as east, pooler.client(TimeZone="America/Lima") as west:
        for client, zone in ((east, "Asia/Tokyo"), (west, "America/Lima"), (east, "Asia/Tokyo")):
            client.send(*[wire.extended("SHOW TimeZone") + wire.sync()] * 10)
            assert client.read_ready(10).rows == [(zone,)] * 10


def named(sql: str) -> bytes:
    """By a prepared statement with a name of its own."""
    name = sql.lower().replace(" ", "_")
    return wire.close_statement(name) + wire.parse(sql, name) + again(sql)


def again(sql: str) -> bytes:
    """By the statement that has been prepared."""
    return wire.bind(statement=sql.lower().replace(" ", "_")) + wire.execute() + wire.sync()


def unnamed(sql: str) -> bytes:
    return wire.extended(sql) + wire.sync()


RESETS = ("RESET TimeZone", "RESET app.tenant", "RESET ALL")


@pytest.mark.parametrize(
    "reset, ask",
    [(reset, ask) for reset in RESETS for ask in (wire.query, unnamed, named, again)]
    + [("DISCARD ALL", ask) for ask in (wire.query, unnamed, named)],  # it drops the statement
)
def test_what_is_sent_right_behind_a_reset_finds_the_settings_of_the_login(
    server: Server, reset: str, ask: Callable[[str], bytes]
) -> None:
    show_both = "SELECT current_setting('TimeZone'), current_setting('app.tenant')"
    with server.client(TimeZone="Asia/Tokyo", options="-c app.tenant=red") as client:
        if ask is again:
            client.ask(named(reset))
        for _ in range(3):
            client.query("SET TimeZone = 'Asia/Seoul'; SET app.tenant = 'blue'")
            client.send(ask(reset), wire.query(show_both), wire.query(show_both))
            zone = "Asia/Seoul" if "tenant" in reset else "Asia/Tokyo"
            assert client.read_ready(3).rows == [(zone, "blue" if "Zone" in reset else "red")] * 2


def test_a_changed_setting_is_reported_to_the_client_that_changed_it(server: Server) -> None:
    with server.client() as client:
        replies = client.query("BEGIN; SET LOCAL TimeZone = 'Asia/Seoul'")
        assert replies.settings == {"TimeZone": "Asia/Seoul"}
        assert client.query("COMMIT").settings == {"TimeZone": client.settings["TimeZone"]}


def test_ignored_startup_parameters(pooler: Pooler) -> None:
    pooler.run_with(ignore_startup_parameters="work_mem, no_such_thing")
    with pooler.client(work_mem="9MB", no_such_thing="1") as client:
        assert show(client, "work_mem") == "4MB"
