"""How howdah proves to PostgreSQL who it is, and what clients see when it cannot."""

import base64
import socket
import ssl

import pytest

from tests.kit import scram, wire
from tests.kit.certs import Certificates
from tests.kit.client import Client
from tests.kit.crowd import Background, crowd
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler
from tests.kit.impostor import Impostor, Peer, pump, server_context
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network

SERVER_FIRST = b"r=%s3rfcNHYJY1ZVvWVs7j,s=" + base64.b64encode(b"sixteen byte sal") + b",i=4096"


def answer(pooler: GuardedPooler, user: str = "alice", database: str = "app") -> wire.Replies:
    """What a client that knows its password gets for its first query."""
    with pooler.stranger() as client:
        client.send(wire.startup(user=user, database=database))
        replies = client.prove(user, PASSWORDS[user])
        if replies[-1].tag == "E":
            return replies
        client.send(wire.query("SELECT current_user"))
        return client.read_until("Z", "E")


# where the password comes from


@pytest.mark.parametrize("user", PASSWORDS)
@pytest.mark.parametrize("method", ["by_password", "by_md5", "by_scram"])
def test_a_password_from_the_configuration(guarded: GuardedPooler, user: str, method: str) -> None:
    if (user, method) == ("bob", "by_scram"):
        pytest.skip("PostgreSQL has only an md5 secret of bob")
    guarded.add_database("app", dbname=method)
    guarded.run()
    assert answer(guarded, user).value == user


def test_a_password_from_auth_file(guarded: GuardedPooler) -> None:
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text(f'"alice" "{PASSWORDS["alice"]}"\n')
    del guarded.users["alice"]
    guarded.add_database("app", dbname="by_scram")
    guarded.run_with(auth_file=str(userlist))
    assert answer(guarded).value == "alice"


def test_scram_is_passed_through_with_the_clients_keys(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    """Howdah holds PostgreSQL's own SCRAM secret, which alone logs nobody in; the client's proof gives it the key."""
    guarded.users["alice"]["password"] = tls_postgres.secret("alice")
    guarded.add_database("app", dbname="by_scram")
    guarded.run()
    assert answer(guarded).value == "alice"


def test_scram_is_passed_through_over_tls_on_both_sides(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    guarded.users["alice"]["password"] = tls_postgres.secret("alice")
    guarded.add_database("app", dbname="over_tls")
    guarded.offer_tls("require")
    guarded.run_with(server_tls_sslmode="require")
    with guarded.tls_client() as client:
        assert client.query("SELECT current_user").value == "alice"
    session = guarded.connect(sslmode="require", channel_binding="require")
    assert session.execute("SELECT current_user").fetchone() == ("alice",)


def test_a_scram_secret_that_is_not_the_servers_own_cannot_be_passed_through(guarded: GuardedPooler) -> None:
    guarded.users["alice"]["password"] = scram.verifier(PASSWORDS["alice"], salt=b"another sixteen b")
    guarded.add_database("app", dbname="by_scram")
    guarded.run()
    error = answer(guarded).error
    assert error.sqlstate in {"28000", "28P01"}
    wait_until(lambda: guarded.logged("server_no_password") or guarded.logged("server_login_failed"), "the log line")


def test_an_md5_secret_serves_md5(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    guarded.users["bob"]["password"] = tls_postgres.secret("bob")
    guarded.add_database("app", dbname="by_md5")
    guarded.run_with(auth_type="md5")
    assert answer(guarded, "bob").value == "bob"


def test_an_md5_secret_is_no_cleartext_password(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    guarded.users["bob"]["password"] = tls_postgres.secret("bob")
    guarded.add_database("app", dbname="by_password")
    guarded.run_with(auth_type="md5")
    assert answer(guarded, "bob").error.sqlstate == "28000"
    wait_until(lambda: guarded.logged("server_no_password"), "the log line")


def test_a_password_of_the_database_serves_all_its_clients(guarded: GuardedPooler) -> None:
    guarded.add_database("app", dbname="by_scram", user="carol", password=PASSWORDS["carol"])
    guarded.run()
    for user in ("alice", "bob", "carol"):
        assert answer(guarded, user).value == "carol"


def test_a_forced_user_takes_its_password_from_the_users(guarded: GuardedPooler) -> None:
    guarded.add_database("app", dbname="by_scram", user="carol")
    guarded.run()
    assert answer(guarded, "alice").value == "carol"


def test_trust_needs_no_password(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    guarded.users["alice"]["password"] = scram.verifier(PASSWORDS["alice"], salt=b"another sixteen b")
    guarded.add_database("app", dbname="by_trust")
    guarded.run()
    assert answer(guarded).value == "alice"


def test_no_password_at_all(guarded: GuardedPooler) -> None:
    """Clients by trust, the server by SCRAM: the error says what is missing and where it may stand."""
    guarded.users = {}
    guarded.add_database("app", dbname="by_scram")
    guarded.run_with(auth_type="trust")
    with guarded.stranger() as client:
        error = client.refusal(user="alice", database="app")
    assert error.sqlstate == "28000"
    assert "password" in error.fields["M"]
    assert "auth_file" in error.fields["H"]
    wait_until(lambda: guarded.logged("server_no_password"), "the log line")


# when PostgreSQL refuses


def test_clients_get_the_servers_own_words(guarded: GuardedPooler) -> None:
    guarded.add_database("app", dbname="by_scram", user="carol", password="wrong")
    guarded.run()
    error = answer(guarded).error
    assert (error.sqlstate, error.fields["M"]) == ("28P01", 'password authentication failed for user "carol"')
    wait_until(lambda: guarded.logged("server_login_failed"), "the log line")


@pytest.mark.parametrize(
    "database, sqlstate, words",
    [
        ("by_reject", "28000", "pg_hba.conf rejects connection"),
        ("nowhere", "3D000", 'database "nowhere" does not exist'),
    ],
)
def test_other_refusals(guarded: GuardedPooler, database: str, sqlstate: str, words: str) -> None:
    guarded.add_database("app", dbname=database)
    guarded.postgres.let_in(
        "host by_reject all all reject", "host by_scram all all scram-sha-256", "host all all all trust"
    )
    guarded.run()
    error = answer(guarded).error
    assert error.sqlstate == sqlstate
    assert words in error.fields["M"]


def test_everybody_who_waits_is_told_and_only_that_pool_pauses(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    with Network(tls_postgres.address) as network:
        guarded.databases["app"] = {
            "host": network.host, "port": network.port, "dbname": "by_scram", "user": "carol", "password": "wrong",
        }  # fmt: skip
        guarded.add_database("fine", dbname="by_scram")
        guarded.run_with(server_login_retry=5)
        errors = crowd(10, lambda _: answer(guarded).error.sqlstate)
        assert set(errors.values()) == {"28P01"}
        assert network.connections_seen <= 3  # not one attempt a client
        assert answer(guarded, database="fine").value == "alice"


def test_after_the_pause_it_is_tried_again(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    guarded.add_database("app", dbname="by_scram", user="carol", password="later")
    guarded.run_with(server_login_retry=0.2)
    assert answer(guarded).error.sqlstate == "28P01"
    tls_postgres.set_password("carol", "later")
    try:
        wait_until(lambda: not answer(guarded).errors, "the login to be tried again")
    finally:
        tls_postgres.set_password("carol", PASSWORDS["carol"])


def test_a_changed_secret_is_used_at_once_after_a_reload(guarded: GuardedPooler) -> None:
    """The pause after the failure ends with it: what failed is no longer what would be tried."""
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text('"carol" "wrong"\n')
    del guarded.users["carol"]
    guarded.add_database("app", dbname="by_scram", user="carol")
    guarded.run_with(auth_file=str(userlist), server_login_retry=60, query_wait_timeout=5)
    assert answer(guarded).error.sqlstate == "28P01"
    escaped = PASSWORDS["carol"].replace('"', '""')
    userlist.write_text(f'"carol" "{escaped}"\n')
    guarded.reload()
    assert answer(guarded).value == "carol"


def test_a_changed_secret_in_auth_file_is_seen_without_a_signal(guarded: GuardedPooler) -> None:
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text('"erin" "old"\n')
    guarded.run_with(auth_file=str(userlist))
    userlist.write_text('"erin" "new"\n')

    def new_one_works() -> bool:
        with guarded.stranger() as client:
            client.send(wire.startup(user="erin", database="app"))
            replies = client.prove("erin", "new")
        return replies[-1].tag == "Z" or "does not exist" in replies[-1].fields["M"]

    wait_until(new_one_works, "the changed file to be read", within=30)


def test_open_servers_outlive_a_changed_password(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    guarded.add_database("app", dbname="by_scram")
    guarded.run()
    with guarded.client() as client:
        pid = client.query("SELECT pg_backend_pid()").value
        tls_postgres.set_password("alice", "changed")
        try:
            assert client.query("SELECT pg_backend_pid()").value == pid
        finally:
            tls_postgres.set_password("alice", PASSWORDS["alice"])


# SCRAM towards servers, message by message


def _scram_server(choices: list[str], offered: bytes, context: ssl.SSLContext | None = None) -> Impostor:
    """Notes mechanism and client-first-message of each connection, and hangs up."""

    def part(peer: Peer) -> None:
        first = peer.read_packet()
        if first == wire.SSL_REQUEST_CODE.to_bytes(4):
            if context is None:
                peer.send(b"N")
            else:
                peer.send(b"S")
                peer.start_tls(context)
            peer.read_packet()
        peer.send(wire.authentication(wire.SASL, offered))
        _, body = peer.read_message()
        mechanism, _, rest = body.partition(b"\0")
        choices.append(f"{mechanism.decode()} {rest[4:5].decode()}")

    return Impostor(part)


BOTH = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
PLAIN = b"SCRAM-SHA-256\0\0"


@pytest.mark.parametrize(
    "offered, tls, wanted",
    [(BOTH, True, "SCRAM-SHA-256-PLUS p"), (PLAIN, True, "SCRAM-SHA-256 y"), (PLAIN, False, "SCRAM-SHA-256 n")],
)
def test_the_mechanism_it_chooses(
    guarded: GuardedPooler, certificates: Certificates, offered: bytes, tls: bool, wanted: str
) -> None:
    """As libpq: bound to the channel where that is on offer, and where not it says that it could have ("y")."""
    choices: list[str] = []
    with _scram_server(choices, offered, server_context(certificates.server) if tls else None) as impostor:
        guarded.databases["app"] = {"host": "localhost", "port": impostor.port}
        guarded.run_with(query_wait_timeout=1)
        assert answer(guarded).errors
    assert choices
    assert set(choices) == {wanted}


def test_plus_unmasks_who_ends_tls_in_between(
    guarded: GuardedPooler, certificates: Certificates, tls_postgres: Postgres
) -> None:
    """server_tls_sslmode=require checks no certificate; channel binding still notices a second one."""
    towards_us = server_context(certificates.server_rsa)
    towards_postgres = ssl.create_default_context(cafile=str(certificates.ca))

    def part(peer: Peer) -> None:
        peer.read_packet()
        peer.send(b"S")
        peer.start_tls(towards_us)
        with socket.create_connection(tls_postgres.address) as plain:
            plain.sendall(wire.ssl_request())
            assert plain.recv(1) == b"S"
            with towards_postgres.wrap_socket(plain, server_hostname="localhost") as far:
                _relay(peer, far)

    with Impostor(part) as impostor:
        guarded.databases["app"] = {"host": "localhost", "port": impostor.port, "dbname": "by_scram"}
        guarded.run_with(server_tls_sslmode="require")
        error = answer(guarded).error
    assert (error.sqlstate, "channel binding" in error.fields["M"]) == ("28000", True)


def _relay(peer: Peer, far: ssl.SSLSocket) -> None:

    back = Background(lambda: pump(far, peer.socket))
    pump(peer.socket, far)
    back.join(10)


@pytest.mark.parametrize(
    "last", [b"v=" + base64.b64encode(bytes(32)), b"v=", b"", b"v=!!", b"e=other-error", b"v=" + b"A" * 5000]
)
def test_a_server_that_does_not_know_the_password(guarded: GuardedPooler, last: bytes) -> None:
    """It takes any proof, but cannot give its own: we must not believe it and send it queries."""
    heard: list[bytes] = []

    def part(peer: Peer) -> None:
        peer.read_startup()
        peer.send(wire.authentication(wire.SASL, PLAIN))
        _, body = peer.read_message()
        nonce = scram.attributes(body)["r"]
        peer.send(wire.authentication(wire.SASL_CONTINUE, SERVER_FIRST % nonce))
        peer.read_message()
        peer.send(wire.authentication(wire.SASL_FINAL, last))
        peer.log_in()
        heard.append(peer.socket.recv(1000))

    with Impostor(part) as impostor:
        guarded.databases["app"] = {"host": "127.0.0.1", "port": impostor.port}
        guarded.run()
        assert answer(guarded).error.sqlstate == "08006"
        wait_until(lambda: guarded.logged("server_proof") or guarded.logged("server_protocol"), "the log line")
    assert not any(b"SELECT" in one for one in heard)


def test_a_server_that_skips_its_proof(guarded: GuardedPooler) -> None:
    """AuthenticationOk in place of SASLContinue or SASLFinal (CVE-2024-4317's relatives): also no."""
    for skip in (wire.SASL_CONTINUE, wire.SASL_FINAL):

        def part(peer: Peer, skip: int = skip) -> None:
            peer.read_startup()
            peer.send(wire.authentication(wire.SASL, PLAIN))
            _, body = peer.read_message()
            if skip == wire.SASL_FINAL:
                nonce = scram.attributes(body)["r"]
                peer.send(wire.authentication(wire.SASL_CONTINUE, SERVER_FIRST % nonce))
                peer.read_message()
            peer.log_in()
            peer.wait_for_end()

        with Impostor(part) as impostor:
            guarded.databases["app"] = {"host": "127.0.0.1", "port": impostor.port}
            guarded.run_with(server_login_retry=0.1)
            assert answer(guarded).error.sqlstate in {"08006", "08P01"}, skip


@pytest.mark.parametrize(
    "first",
    [b"", b"r=,s=c2FsdA==,i=4096", b"r=notours,s=c2FsdA==,i=4096", b"r=%s", b"r=%sx", b"r=%sx,s=,i=4096",
     b"r=%sx,s=!!,i=4096", b"r=%sx,s=c2FsdA==,i=0", b"r=%sx,s=c2FsdA==,i=-1", b"r=%sx,s=c2FsdA==,i=99999999999",
     b"r=%sx,s=c2FsdA==,i=2000000000", b"r=%sx,s=c2FsdA==,i=x", b"s=c2FsdA==,r=%sx,i=4096", b"m=x,r=%sx,s=c2FsdA==,i=1",
     b"r=%s,s=c2FsdA==,i=4096", b"e=no"],
    ids=ascii,
)  # fmt: skip
def test_server_first_messages(guarded: GuardedPooler, tls_postgres: Postgres, first: bytes) -> None:
    """Malformed, or made to cost us years of hashing: a clear error soon, and others work on meanwhile."""

    def part(peer: Peer) -> None:
        peer.read_startup()
        peer.send(wire.authentication(wire.SASL, PLAIN))
        _, body = peer.read_message()
        nonce = scram.attributes(body)["r"]
        peer.send(wire.authentication(wire.SASL_CONTINUE, first.replace(b"%s", nonce)))
        peer.wait_for_end()

    with Impostor(part) as impostor:
        guarded.databases["app"] = {"host": "127.0.0.1", "port": impostor.port}
        guarded.add_database("fine", dbname="by_scram")
        guarded.run_with(query_wait_timeout=2, server_connect_timeout=2)
        with guarded.client(database="fine") as other:
            assert answer(guarded).errors
            assert other.query("SELECT 1", within=2).value == "1"


@pytest.mark.parametrize("code", [2, 6, 7, 8, 9, 12, 13, 99, -1])
def test_methods_we_cannot_answer(guarded: GuardedPooler, code: int) -> None:
    def part(peer: Peer) -> None:
        peer.read_startup()
        peer.send(wire.authentication(code, bytes(8)))
        peer.wait_for_end()

    with Impostor(part) as impostor:
        guarded.databases["app"] = {"host": "127.0.0.1", "port": impostor.port}
        guarded.run_with(query_wait_timeout=3)
        error = answer(guarded).error
    assert error.sqlstate in {"28000", "08P01", "08006"}


@pytest.mark.parametrize("offered", [b"", b"\0", b"OAUTHBEARER\0\0", b"SCRAM-SHA-1\0\0", b"SCRAM-SHA-256", b"x" * 5000])
def test_mechanisms_we_do_not_have(guarded: GuardedPooler, offered: bytes) -> None:
    def part(peer: Peer) -> None:
        peer.read_startup()
        peer.send(wire.authentication(wire.SASL, offered))
        peer.wait_for_end()

    with Impostor(part) as impostor:
        guarded.databases["app"] = {"host": "127.0.0.1", "port": impostor.port}
        guarded.run_with(query_wait_timeout=3)
        error = answer(guarded).error
    assert error.sqlstate in {"28000", "08P01", "08006"}


def test_a_server_told_nothing_that_it_need_not_know(guarded: GuardedPooler) -> None:
    """With md5 asked, only the answer to the challenge goes out; the password itself never does unasked."""
    heard = bytearray()

    def part(peer: Peer) -> None:
        heard.extend(peer.read_startup())
        peer.send(wire.authentication(wire.MD5_PASSWORD, b"salt"))
        _, body = peer.read_message()
        heard.extend(body)

    with Impostor(part) as impostor:
        guarded.databases["app"] = {"host": "127.0.0.1", "port": impostor.port}
        guarded.run_with(query_wait_timeout=1)
        assert answer(guarded).errors
    assert bytes(heard).count(b"md5") >= 1
    assert PASSWORDS["alice"].encode() not in heard


def test_passwords_stand_in_no_log(guarded: GuardedPooler) -> None:
    guarded.add_database("app", dbname="by_scram", user="carol", password="hunter2 wrong")
    guarded.run_with(log_level="debug")
    assert answer(guarded).errors
    with Client(guarded.address) as client:
        client.send(wire.startup(user="alice", database="app"))
        client.prove("alice", "sesame of a client")
    for secret in ("hunter2", "sesame", *PASSWORDS.values()):
        assert secret not in guarded.log_text
