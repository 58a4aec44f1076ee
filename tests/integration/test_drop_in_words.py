"""What clients and the log are told in PgBouncer's place; the same tests pass on PgBouncer, where it is installed.

Each test names the ErrorResponse that the client gets and the lines about the client in the log, in their order.
"""

import re
import signal

import pytest

from tests.kit import wire
from tests.kit.certs import Certificates
from tests.kit.client import Client, Refused
from tests.kit.drop_in import DropIn, Line
from tests.kit.postgres import REPLICATOR, Postgres

#: PgBouncer acts on time-outs three times a second; a whole second is too short for both.
SECOND = 1


def told(client: Client) -> tuple[str, str]:
    """SQLSTATE and message of the last error before the end of the connection."""
    error = client.read_to_end().errors[-1]
    assert "H" not in error.fields
    return error.sqlstate, error.fields["M"]


def refused(pooler: DropIn, password: str = "pw", **parameters: str) -> tuple[str, str]:
    """The same of a login."""
    with pytest.raises(Refused) as raised, pooler.stranger() as client:
        client.log_in(**{"user": "alice", "database": "app", "password": password, **parameters})  # type: ignore[arg-type]
    return raised.value.sqlstate, raised.value.error.fields["M"]


def about_clients(pooler: DropIn) -> list[Line]:
    return [line for line in pooler.alike if line[1].startswith("C-")]


def ended(why: str, *, who: str = "app/alice") -> list[Line]:
    client = f"C-0x: {who}@127.0.0.1:PORT"
    return [("LOG", f"{client} closing because: {why} (age=Ns)"), ("WARNING", f"{client} pooler error: {why}")]


def attempt(*, who: str = "app/alice", database: str = "app") -> Line:
    user = who.partition("/")[2]
    return "LOG", f"C-0x: {who}@127.0.0.1:PORT login attempt: db={database} user={user} tls=no replication=no"


def test_a_client_that_comes_and_goes(either: DropIn) -> None:
    either.run()
    with either.client() as client:
        assert client.query("SELECT 1").value == "1"
    either.wait_for_line("client close request")
    assert about_clients(either) == [
        attempt(),
        ("LOG", "C-0x: app/alice@127.0.0.1:PORT closing because: client close request (age=Ns)"),
    ]
    _, server = either.wait_for_line("new connection to server")
    who = rf"S-0x[0-9a-f]+: app/alice@127\.0\.0\.1:{either.postgres.port}"
    assert re.fullmatch(who + r" new connection to server \(from 127\.0\.0\.1:\d+\)", server)


def test_a_client_that_vanishes(either: DropIn) -> None:
    either.run()
    either.client().vanish()
    either.wait_for_line("client unexpected eof")
    assert about_clients(either)[1:] == [
        ("LOG", "C-0x: app/alice@127.0.0.1:PORT closing because: client unexpected eof (age=Ns)")
    ]


def test_a_client_at_the_unix_socket(either: DropIn) -> None:
    either.run()
    with Client(either.socket_path) as client:
        client.log_in(user="alice", database="app")
    _, text = either.wait_for_line("client close request")
    assert re.fullmatch(rf"C-0x[0-9a-f]+: app/alice@unix\(\d+\):{either.port} closing because: .*", text)


@pytest.mark.parametrize("asked, shown", [("true", "yes"), ("database", "database")])
def test_a_replication_login(either: DropIn, asked: str, shown: str) -> None:
    either.run()
    with either.stranger() as client:
        client.log_in(user=REPLICATOR, database="app", replication=asked)
    _, text = either.wait_for_line("login attempt")
    assert text.endswith(f" login attempt: db=app user={REPLICATOR} tls=no replication={shown}")


def test_a_tls_login(either: DropIn, certificates: Certificates) -> None:
    either.offer_tls(certificates.server)
    either.run()
    with either.connect(sslmode="require"):
        pass
    _, text = either.wait_for_line("login attempt")
    assert re.search(r" tls=TLSv1\.\d/\w+ replication=no$", text)


def test_a_console_session(either: DropIn) -> None:
    either.run_with(admin_users="alice")
    with either.client(database="pgbouncer") as console:
        assert console.query("SHOW VERSION").rows
        assert console.query("RELOAD").command_tags == ["RELOAD"]
        assert ("LOG", "RELOAD command issued") in either.lines
    either.wait_for_line("client close request")
    assert about_clients(either) == [
        attempt(who="pgbouncer/alice", database="pgbouncer"),
        ("LOG", "C-0x: pgbouncer/alice@127.0.0.1:PORT closing because: client close request (age=Ns)"),
    ]


def test_no_such_database(either: DropIn) -> None:
    either.run()
    assert refused(either, database="shop") == ("08P01", "no such database: shop")
    either.wait_for_line("pooler error")
    assert about_clients(either) == [
        attempt(who="(nodb)/alice", database="shop"),
        ("LOG", "C-0x: (nodb)/alice@127.0.0.1:PORT login failed: db=shop user=alice"),
        *ended("no such database: shop", who="(nodb)/alice"),
    ]


@pytest.mark.parametrize(
    "auth_type, message",
    [
        ("plain", "password authentication failed"),
        ("md5", "password authentication failed"),
        ("scram-sha-256", "SASL authentication failed"),
    ],
)
def test_a_wrong_password(either: DropIn, auth_type: str, message: str) -> None:
    either.run_with(auth_type=auth_type)
    assert refused(either, password="wrong") == ("08P01", message)
    either.wait_for_line("pooler error")
    first, *lines = about_clients(either)
    assert first == attempt()
    assert lines[-2:] == ended(message)
    if auth_type == "scram-sha-256":
        assert lines[:-2] == [("ERROR", "C-0x: app/alice@127.0.0.1:PORT password authentication failed")]


def test_a_database_that_postgresql_does_not_have(either: DropIn) -> None:
    either.databases["app"]["dbname"] = "nodb"
    either.run()
    assert refused(either) == ("3D000", 'database "nodb" does not exist')
    either.wait_for_line("pooler error")
    assert about_clients(either) == [attempt(), *ended('database "nodb" does not exist')]
    assert ("WARNING", 'server login failed: FATAL database "nodb" does not exist') in either.lines


def test_a_server_that_crashes(either: DropIn, postgres: Postgres) -> None:
    either.run()
    with either.client() as client:
        client.send(wire.query("SELECT pg_sleep(20)"))
        postgres.wait_for_backends(1, "state = 'active' AND usename = 'alice'")
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")
        assert client.read_to_end().errors[0].sqlstate == "57P01"  # PostgreSQL's own last words
    either.wait_for_line("C-.*server conn crashed")
    assert about_clients(either) == [attempt(), *ended("server conn crashed?")]
    either.wait_for_line("S-.* closing because: server conn crashed")


def test_query_wait_timeout(either: DropIn) -> None:
    either.run_with(default_pool_size=1, query_wait_timeout=SECOND)
    with either.client() as busy, either.client() as waiting:
        busy.begin()
        waiting.send(wire.query("SELECT 1"))
        assert told(waiting) == ("08P01", "query_wait_timeout")
    either.wait_for_line("pooler error")
    assert about_clients(either)[2:4] == ended("query_wait_timeout")


def test_query_timeout(either: DropIn) -> None:
    either.run_with(query_timeout=SECOND)
    with either.client() as client:
        client.send(wire.query("SELECT pg_sleep(20)"))
        assert told(client) == ("08P01", "query timeout")
    either.wait_for_line("pooler error")
    assert about_clients(either)[1:] == ended("query timeout")


def test_idle_transaction_timeout(either: DropIn) -> None:
    either.run_with(idle_transaction_timeout=SECOND)
    with either.client() as client:
        client.begin()
        assert told(client) == ("08P01", "idle transaction timeout")
    either.wait_for_line("pooler error")
    assert about_clients(either)[1:] == ended("idle transaction timeout")


def test_client_idle_timeout(either: DropIn) -> None:
    either.run_with(client_idle_timeout=SECOND)
    with either.client() as client:
        assert told(client) == ("08P01", "client_idle_timeout")
    either.wait_for_line("pooler error")
    assert about_clients(either)[1:] == ended("client_idle_timeout")


def test_client_login_timeout(either: DropIn) -> None:
    either.run_with(client_login_timeout=SECOND, auth_type="plain")
    with either.stranger() as client:
        client.send(wire.startup(user="alice", database="app"))
        assert told(client) == ("08P01", "client_login_timeout")
    either.wait_for_line("pooler error")
    assert about_clients(either)[1:] == ended("client_login_timeout")


def test_max_client_conn(either: DropIn) -> None:
    either.run_with(max_client_conn=1)
    with either.client():
        assert refused(either, user="bob") == ("08P01", "no more connections allowed (max_client_conn)")
        either.wait_for_line("pooler error")
    assert about_clients(either)[1:3] == ended("no more connections allowed (max_client_conn)", who="(nodb)/(nouser)")


def test_limits_of_a_database_and_of_a_user(either: DropIn) -> None:
    either.databases["other"]["max_db_client_connections"] = 1
    either.users["bob"] = {"max_user_client_connections": 1}
    either.run()
    for name, parameters in (("db", {"database": "other"}), ("user", {"user": "bob"})):
        message = f"client connections exceeded (max_{name}_client_connections)"
        with either.client(**parameters):
            assert refused(either, **parameters) == ("08P01", message)
        either.wait_for_line(f"pooler error: client connections exceeded .max_{name}_")
        who = f"(nodb)/{parameters.get('user', 'alice')}"
        assert [line for line in about_clients(either) if "exceeded" in line[1] and name in line[1]] == ended(
            message, who=who
        )


def test_statement_mode(either: DropIn) -> None:
    either.run_with(pool_mode="statement")
    with either.client() as client:
        client.send(wire.query("BEGIN"))
        assert told(client) == ("08P01", "transaction blocks not allowed in statement pooling mode")


def test_disable_pqexec(either: DropIn) -> None:
    either.run_with(disable_pqexec=True)
    with either.client() as client:
        client.send(wire.query("SELECT 1"))
        assert told(client) == ("08P01", "PQexec disallowed")


def test_the_reserve(either: DropIn) -> None:
    either.run_with(default_pool_size=1, reserve_pool_size=1, reserve_pool_timeout=SECOND)
    with either.client() as busy, either.client() as waiting:
        busy.begin()
        assert waiting.query("SELECT 1").value == "1"
    level, text = either.wait_for_line("taking connection from reserve_pool")
    assert level == "WARNING"
    assert re.fullmatch(r"C-0x[0-9a-f]+: app/alice@127\.0\.0\.1:\d+ taking connection from reserve_pool", text)


def test_a_server_that_is_idle_too_long(either: DropIn) -> None:
    either.run_with(server_idle_timeout=SECOND)
    with either.client() as client:
        client.query("SELECT 1")
    _, text = either.wait_for_line("server idle timeout")
    assert re.fullmatch(
        r"S-0x[0-9a-f]+: app/alice@127\.0\.0\.1:\d+ closing because: server idle timeout \(age=\d+s\)", text
    )


def test_a_connect_query_that_fails(either: DropIn) -> None:
    either.databases["app"]["connect_query"] = "'SELECT 1/0'" if "ini" in either.config.name else "SELECT 1/0"
    either.run()
    with either.client() as client:
        client.query("SELECT 1")
    assert either.wait_for_line("division") == (
        "ERROR", "S: error while executing exec_on_query: ERROR: division by zero"
    )  # fmt: skip


def test_stats(either: DropIn) -> None:
    either.run_with(stats_period=SECOND, log_stats=True)
    with either.client() as client:
        client.query("SELECT 1")
    level, text = either.wait_for_line("stats:")
    assert level == "LOG"
    assert re.fullmatch(
        r"stats: \d+ xacts/s, \d+ queries/s, \d+ client parses/s, \d+ server parses/s, \d+ binds/s, in \d+ B/s, "
        r"out \d+ B/s, xact \d+ us, query \d+ us, wait \d+ us",
        text,
    )


def test_without_log_pooler_errors_they_are_not_logged(either: DropIn) -> None:
    either.run_with(log_pooler_errors=False)
    refused(either, database="shop")
    either.wait_for_line("no such database")
    with either.client():
        pass
    either.wait_for_line("client close request")
    assert not [line for line in either.lines if "pooler error" in line[1]]


def test_a_pause_by_signal_is_told_in_one_line(either: DropIn) -> None:
    either.run()
    either.wait_for_line("process up")
    expected = [
        (signal.SIGUSR1, "got SIGUSR1, pausing all activity"),
        (signal.SIGUSR1, "got SIGUSR1, but already paused/suspended"),
        (signal.SIGUSR2, "got SIGUSR2, continuing from PAUSE"),
        (signal.SIGUSR2, "got SIGUSR2, but not paused/suspended"),
    ]
    for number, text in expected:
        either.signal(number)
        assert either.wait_for_line(text) == ("LOG", text)
    assert not [text for _, text in either.lines if "command issued" in text]
