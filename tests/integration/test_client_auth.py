"""How clients prove who they are: every method with every kind of secret, right, wrong and unknown.

Most of it runs on PostgreSQL first: howdah must ask the same, take the same and refuse in the same words.
"""

import hashlib
import time

import psycopg
import pytest

from tests.kit import scram, wire
from tests.kit.client import Client, Refused
from tests.kit.fix_logins import (
    DORA_PREPARED,
    PASSWORDS,
    SYSTEM_USER,
    GuardedPooler,
    refused,
)  # fmt: skip
from tests.kit.fix_pooler import Server
from tests.kit.tls_client import TlsClient, client_context

METHODS = ["by_password", "by_md5", "by_scram"]
KEPT_BY_MD5 = "bob"


def _login(server: Server, database: str, user: str, password: str | bytes) -> Client:
    client = Client(server.address)
    client.log_in(user=user, database=database, password=password)
    return client


@pytest.mark.parametrize("user", PASSWORDS)
@pytest.mark.parametrize("database", METHODS)
def test_the_right_password(login_server: Server, database: str, user: str) -> None:
    if (database, user) == ("by_scram", KEPT_BY_MD5) and not isinstance(login_server, GuardedPooler):
        pytest.skip("PostgreSQL has only an md5 secret of bob, howdah his password")
    with _login(login_server, database, user, PASSWORDS[user]) as client:
        assert client.query("SELECT 1").value == "1"


@pytest.mark.parametrize("user", [*PASSWORDS, "mallory"])
@pytest.mark.parametrize("database", METHODS)
@pytest.mark.parametrize("password", ["wrong", "down the rabbit hole ", "Down the rabbit hole", "x" * 900])
def test_a_wrong_password(login_server: Server, database: str, user: str, password: str) -> None:
    with Client(login_server.address) as client:
        error = refused(client, password, user=user, database=database)
    assert error.sqlstate == "28P01"
    assert error.fields["M"] == f'password authentication failed for user "{user}"'


def test_an_empty_password_is_never_right(login_server: Server) -> None:
    """PostgreSQL refuses it before it looks at any secret, and says 28P01."""
    for database in METHODS:
        with Client(login_server.address) as client:
            assert refused(client, "", user="alice", database=database).sqlstate == "28P01"


@pytest.mark.parametrize("database", METHODS)
def test_what_is_asked_of_a_known_and_an_unknown_user(login_server: Server, database: str) -> None:
    """The same messages of the same length, so that nobody learns who exists."""

    def course(user: str) -> list[tuple[str, int | None, int]]:
        with Client(login_server.address) as client:
            client.send(wire.startup(user=user, database=database))
            replies = client.prove(user, "wrong")
        return [(reply.tag, reply.authentication, len(reply.body)) for reply in replies if reply.tag == "R"]

    # Names of the same length: that of an error is the only difference there may be.
    assert course("alice") == course("malle")


def test_the_salt_of_an_unknown_user_is_the_same_each_time(login_server: Server) -> None:
    salts = [_server_first(login_server, user)["s"] for user in ("malle", "malle", "other", "alice", "alice")]
    assert salts[0] == salts[1] != salts[2] != salts[3] == salts[4]
    assert len(salts[0]) == len(salts[3])


def test_an_unknown_user_is_asked_for_the_usual_iterations(login_server: Server) -> None:
    assert _server_first(login_server, "malle")["i"] == _server_first(login_server, "alice")["i"] == b"4096"


def _server_first(server: Server, user: str) -> dict[str, bytes]:
    with Client(server.address) as client:
        client.send(wire.startup(user=user, database="by_scram"))
        assert client.read().authentication == wire.SASL
        client.send(wire.sasl_initial(scram.PLAIN, scram.Scram("x").first()))
        return scram.attributes(client.read().body[4:])


@pytest.mark.parametrize("database", [*METHODS, "by_trust"])
@pytest.mark.parametrize("user", PASSWORDS)
def test_libpq(login_server: Server, database: str, user: str) -> None:
    """Psycopg prepares passwords and checks the server's proof by itself."""
    if (database, user) == ("by_scram", KEPT_BY_MD5) and not isinstance(login_server, GuardedPooler):
        pytest.skip("PostgreSQL has only an md5 secret of bob, howdah his password")
    host, port = login_server.address
    with psycopg.connect(
        host=host, port=port, user=user, dbname=database, password=PASSWORDS[user], require_auth="!none"
        if database != "by_trust" else "none",
    ) as session:  # fmt: skip
        assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "asked, taken", [("by_scram", "scram-sha-256"), ("by_md5", "md5"), ("by_password", "password")]
)
def test_require_auth_of_libpq(login_server: Server, asked: str, taken: str) -> None:
    """Libpq refuses a server that asks for something else: we ask for what the rule says, bob's md5 too."""
    user = "bob" if asked == "by_md5" and not isinstance(login_server, GuardedPooler) else "alice"
    host, port = login_server.address
    psycopg.connect(
        host=host, port=port, user=user, dbname=asked, password=PASSWORDS[user], require_auth=taken
    ).close()  # fmt: skip


def test_reject(login_server: Server) -> None:
    with Client(login_server.address) as client:
        assert refused(client, user="alice", database="by_reject").sqlstate == "28000"


def test_no_rule(login_server: Server) -> None:
    database = "with_ca"  # needs hostssl
    with Client(login_server.address) as client:
        assert refused(client, user="alice", database=database).sqlstate == "28000"


# auth_type


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
@pytest.mark.parametrize("kept", ["plain", "md5", "scram"])
def test_auth_types_and_kinds_of_secrets(guarded: GuardedPooler, auth_type: str, kept: str) -> None:
    """As PgBouncer: everything works but SCRAM with an md5 secret; md5 with a SCRAM secret does SCRAM."""
    password = PASSWORDS["alice"]
    secret = {"plain": password, "md5": _md5("alice", password), "scram": scram.verifier(password)}[kept]
    guarded.users["alice"]["password"] = secret
    guarded.run_with(auth_type=auth_type)
    works = (auth_type, kept) != ("scram-sha-256", "md5")
    asked = {"plain": wire.CLEARTEXT_PASSWORD, "md5": wire.MD5_PASSWORD, "scram-sha-256": wire.SASL}[auth_type]
    if (auth_type, kept) == ("md5", "scram"):
        asked = wire.SASL
    with guarded.stranger() as client:
        client.send(wire.startup(user="alice", database="app"))
        first = client.read()
        assert first.authentication == asked
    with guarded.stranger() as client:
        if works:
            client.log_in(user="alice", database="app", password=password)
            assert client.query("SELECT current_user").value == "alice"
        else:
            assert refused(client, password, user="alice", database="app").sqlstate == "28P01"
    with guarded.stranger() as client:
        assert refused(client, "wrong", user="alice", database="app").sqlstate == "28P01"


def _md5(user: str, password: str) -> str:
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()


def test_the_secret_itself_is_no_password(guarded: GuardedPooler) -> None:
    """Whoever has stolen the list of secrets must not get in with what stands there."""
    secret = scram.verifier(PASSWORDS["alice"])
    guarded.users["alice"]["password"] = secret
    guarded.users["bob"]["password"] = _md5("bob", PASSWORDS["bob"])
    for auth_type in ("plain", "md5", "scram-sha-256"):
        guarded.run_with(auth_type=auth_type)
        for user in ("alice", "bob"):
            with guarded.stranger() as client:
                stolen = str(guarded.users[user]["password"])
                assert refused(client, stolen, user=user, database="app").sqlstate == "28P01"


def test_trust_asks_nothing_and_any_name_known_or_not(guarded: GuardedPooler) -> None:
    guarded.run_with(auth_type="trust")
    with guarded.stranger() as client:
        assert client.log_in(user="alice", database="app").shape.startswith("R K Z")
    with guarded.stranger() as client:
        error = client.refusal(user="mallory", database="app")
    assert (error.sqlstate, error.fields["M"]) == ("28000", 'role "mallory" does not exist')


def test_any_takes_every_name_for_the_databases_own_user(guarded: GuardedPooler) -> None:
    guarded.databases = {}
    guarded.add_database("shared", dbname="app", user="alice")
    guarded.run_with(auth_type="any")
    with guarded.stranger() as client:
        client.log_in(user="whoever", database="shared")
        assert client.query("SELECT current_user").value == "alice"


def test_the_default_is_scram(guarded: GuardedPooler) -> None:
    del guarded.settings["auth_type"]
    guarded.run()
    with guarded.stranger() as client:
        client.send(wire.startup(user="alice", database="app"))
        asked = client.read()
    assert asked.mechanisms == ["SCRAM-SHA-256"]


def test_a_configuration_without_any_secret_is_refused(guarded: GuardedPooler) -> None:
    guarded.users = {}
    guarded.start()
    assert guarded.wait_for_exit() != 0
    assert guarded.log_contains("auth_type = .*trust")


def test_iterations_of_secrets_made_from_passwords(guarded: GuardedPooler) -> None:
    guarded.users["carol"]["password"] = scram.verifier(PASSWORDS["carol"], iterations=5000)
    guarded.run_with(scram_iterations=8192)

    def iterations(user: str) -> bytes:
        with guarded.stranger() as client:
            client.send(wire.startup(user=user, database="app"))
            client.read()
            client.send(wire.sasl_initial(scram.PLAIN, scram.Scram("x").first()))
            return scram.attributes(client.read().body[4:])["i"]

    assert [iterations(user) for user in ("alice", "nobody", "carol")] == [b"8192", b"8192", b"5000"]
    guarded.client().close()


# secrets in files


def test_users_of_auth_file(guarded: GuardedPooler) -> None:
    """Plain, md5 and SCRAM secrets, doubled quotes, comments and empty lines."""
    carol = PASSWORDS["carol"].replace('"', '""')
    lines = [
        "; a comment", "",
        f'"alice" "{PASSWORDS["alice"]}"',
        f'"bob" "{_md5("bob", PASSWORDS["bob"])}"',
        f'"carol"   "{carol}"',
        f'"dora" "{scram.verifier(DORA_PREPARED)}"',
    ]  # fmt: skip
    guarded.users = {"pgbouncer": guarded.users["pgbouncer"]}
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text("\n".join(lines) + "\n")
    guarded.run_with(auth_type="md5", auth_file=str(userlist))
    for user in PASSWORDS:
        assert guarded.value("SELECT current_user", user=user) == user
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            guarded.connect(user=user, password="wrong")


def test_a_user_of_the_configuration_wins_over_auth_file(guarded: GuardedPooler) -> None:
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text('"alice" "of the file"\n"elsa" "only in the file"\n')
    guarded.run_with(auth_file=str(userlist))
    assert guarded.value("SELECT 1", user="alice") == 1
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        guarded.connect(password="of the file")


def test_a_changed_password_is_picked_up_on_reload(guarded: GuardedPooler) -> None:
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text('"alice" "old"\n')
    del guarded.users["alice"]
    guarded.run_with(auth_file=str(userlist))
    with guarded.stranger() as client:
        client.log_in(user="alice", database="app", password="old")
        userlist.write_text('"alice" "new"\n')
        guarded.reload()
        with guarded.stranger() as later:
            later.log_in(user="alice", database="app", password="new")
        with guarded.stranger() as later:
            assert refused(later, "old", user="alice", database="app").sqlstate == "28P01"
        assert client.query("SELECT 1").value == "1"


# peer


def test_peer(login_server: Server) -> None:
    with Client(login_server.socket_path) as client:
        client.log_in(user=SYSTEM_USER, database="by_peer")
    with Client(login_server.socket_path) as client:
        assert refused(client, user="alice", database="by_peer").sqlstate == "28000"


def test_peer_with_a_map(login_server: Server) -> None:
    with Client(login_server.socket_path) as client:
        client.log_in(user="alice", database="by_peer_map")
        assert client.query("SELECT 1").value == "1"
    with Client(login_server.socket_path) as client:
        assert refused(client, user="bob", database="by_peer_map").sqlstate == "28000"


def test_scram_on_a_unix_socket(login_server: Server) -> None:
    with Client(login_server.socket_path) as client:
        client.log_in(user="alice", database="by_scram", password=PASSWORDS["alice"])
    with Client(login_server.socket_path) as client:
        assert refused(client, "wrong", user="alice", database="by_scram").sqlstate == "28P01"


# the console


def test_the_console_asks_for_a_password(gate: GuardedPooler) -> None:
    assert gate.admin("SHOW VERSION")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        gate.connect(dbname="pgbouncer", user="pgbouncer", password="wrong")


def test_the_console_lets_only_its_users_in(guarded: GuardedPooler) -> None:
    guarded.run_with(admin_users=["pgbouncer"], stats_users=["bob"])
    assert guarded.admin("SHOW VERSION")
    assert guarded.connect(dbname="pgbouncer", user="bob").execute("SHOW VERSION").fetchone()
    with pytest.raises(psycopg.OperationalError):
        guarded.connect(dbname="pgbouncer", user="alice")
    with guarded.stranger() as client:  # who does not know the password is not told about the console
        assert refused(client, "wrong", user="alice", database="pgbouncer").sqlstate == "28P01"


# passwords in the clear


def test_a_password_goes_through_tls(login_server: Server) -> None:
    with TlsClient(login_server.address, client_context()) as client:
        client.start_tls()
        client.log_in(user="alice", database="by_password", password=PASSWORDS["alice"])
    with TlsClient(login_server.address, client_context()) as client:
        client.start_tls()
        with pytest.raises(Refused, match="password authentication failed"):
            client.log_in(user="alice", database="by_password", password="wrong")


def test_login_failures_are_answered_more_and_more_slowly(guarded: GuardedPooler) -> None:
    """The pause grows with each failure and ends at login_failure_delay; the right password waits for nothing."""
    guarded.run_with(login_failure_delay=0.6)

    def failing() -> float:
        start = time.monotonic()
        with guarded.stranger() as client:
            assert refused(client, "wrong", user="alice", database="app").sqlstate == "28P01"
        return time.monotonic() - start

    spans = [failing() for _ in range(8)]
    assert spans[0] < max(spans)
    assert 0.5 < max(spans) < 3
    start = time.monotonic()
    guarded.client("bob").close()
    assert time.monotonic() - start < 0.5


def test_an_unknown_user_takes_no_other_time_than_a_wrong_password(login_server: Server) -> None:
    """The fastest of many attempts, as noise only adds: deriving keys for one alone would make it ten times slower."""
    users = ("alice", "carol", "malle")
    spans: dict[str, list[tuple[float, float]]] = {user: [] for user in users}
    for _ in range(25):
        for user in users:
            spans[user].append(_answer_times(login_server, user))
    for step in (0, 1):
        fastest = [min(one[step] for one in spans[user]) for user in users]
        assert max(fastest) < 2 * min(fastest) + 0.0005, fastest


def _answer_times(server: Server, user: str) -> tuple[float, float]:
    """How long the server's first message takes, and its refusal."""
    with Client(server.address) as client:
        client.send(wire.startup(user=user, database="by_scram"))
        client.read()
        exchange = scram.Scram("wrong")
        began = time.perf_counter()
        client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
        first = client.read().body[4:]
        answered = time.perf_counter()
        final = wire.sasl_response(exchange.final(first))
        proven = time.perf_counter()
        client.send(final)
        assert client.read().sqlstate == "28P01"
        return answered - began, time.perf_counter() - proven
