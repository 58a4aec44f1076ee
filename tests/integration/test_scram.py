"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS message by message, on PostgreSQL and on howdah (RFC 5802, 5929, 7677)."""

import base64
import ssl

import psycopg
import pytest

from tests.kit import scram, wire
from tests.kit.certs import Certificates
from tests.kit.client import Client
from tests.kit.fix_logins import DORA_PREPARED, PASSWORDS, GuardedPooler
from tests.kit.fix_pooler import Server
from tests.kit.scram import Scram
from tests.kit.tls_client import TlsClient, client_context
from tests.kit.wire import Message

PASSWORD = PASSWORDS["alice"]


def _asked(client: Client, database: str = "by_scram", user: str = "alice") -> list[str]:
    """Send the startup packet; the mechanisms on offer."""
    client.send(wire.startup(user=user, database=database))
    asked = client.read()
    assert asked.authentication == wire.SASL, asked
    return asked.mechanisms


def _tls(server: Server, context: ssl.SSLContext | None = None) -> TlsClient:
    client = TlsClient(server.address, context or client_context())
    client.start_tls()
    return client


def _exchange(client: Client, exchange: Scram, mechanism: str) -> Message:
    """The whole exchange; the message that decides: AuthenticationSASLFinal or an error."""
    client.send(wire.sasl_initial(mechanism, exchange.first()))
    reply = client.read()
    if reply.authentication != wire.SASL_CONTINUE:
        return reply
    client.send(wire.sasl_response(exchange.final(reply.body[4:])))
    reply = client.read()
    if reply.authentication == wire.SASL_FINAL:
        exchange.check(reply.body[4:])
        assert client.read().authentication == wire.AUTHENTICATION_OK
    return reply


def test_the_messages_of_a_login(login_server: Server) -> None:
    with Client(login_server.address) as client:
        assert _asked(client) == [scram.PLAIN]
        exchange = Scram(PASSWORD)
        client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
        first = client.read()
        parts = scram.attributes(first.body[4:])
        assert list(parts) == ["r", "s", "i"]
        assert len(parts["r"]) > len(exchange.nonce) + 16
        assert len(base64.b64decode(parts["s"])) == 16
        client.send(wire.sasl_response(exchange.final(first.body[4:])))
        exchange.check(client.read().body[4:])
        assert client.read_until("Z").shape == "R K Z"


def test_the_servers_nonce_is_new_each_time(login_server: Server) -> None:
    def nonce() -> bytes:
        with Client(login_server.address) as client:
            _asked(client)
            client.send(wire.sasl_initial(scram.PLAIN, Scram(PASSWORD, nonce=b"mine").first()))
            return scram.attributes(client.read().body[4:])["r"]

    seen = {nonce() for _ in range(10)}
    assert len(seen) == 10
    assert all(one.startswith(b"mine") for one in seen)


def test_plus_is_offered_first_under_tls_and_not_without(login_server: Server) -> None:
    with _tls(login_server) as client:
        assert _asked(client) == [scram.PLUS, scram.PLAIN]
    with Client(login_server.address) as client:
        assert _asked(client) == [scram.PLAIN]


def test_plus_for_an_unknown_user(login_server: Server) -> None:
    with _tls(login_server) as client:
        assert _asked(client, user="mallory") == [scram.PLUS, scram.PLAIN]
        binding = client.channel_binding
        assert binding
        error = _exchange(client, Scram.bound("x", binding), scram.PLUS)
    assert (error.tag, error.sqlstate) == ("E", "28P01")


@pytest.mark.parametrize("user", ["alice", "carol"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_channel_binding(login_server: Server, user: str, version: ssl.TLSVersion) -> None:
    with _tls(login_server, client_context(version=version)) as client:
        _asked(client, user=user)
        binding = client.channel_binding
        assert binding
        assert _exchange(client, Scram.bound(PASSWORDS[user], binding), scram.PLUS).tag == "R"


def test_channel_binding_with_the_wrong_password(login_server: Server) -> None:
    with _tls(login_server) as client:
        _asked(client)
        binding = client.channel_binding
        assert binding
        error = _exchange(client, Scram.bound("wrong", binding), scram.PLUS)
    assert (error.tag, error.sqlstate) == ("E", "28P01")


def test_channel_binding_to_an_rsa_certificate(guarded: GuardedPooler, certificates: Certificates) -> None:
    guarded.offer_tls("require", certificates.server_rsa)
    guarded.run()
    with _tls(guarded) as client:
        _asked(client, "app")
        assert client.server_certificate == certificates.server_rsa.der
        binding = client.channel_binding
        assert binding
        assert _exchange(client, Scram.bound(PASSWORD, binding), scram.PLUS).tag == "R"


@pytest.mark.parametrize("setting", ["require", "prefer", "disable"])
def test_channel_binding_of_libpq(login_server: Server, setting: str) -> None:
    host, port = login_server.address
    with psycopg.connect(
        host=host, port=port, user="alice", dbname="by_scram", password=PASSWORD, sslmode="require",
        channel_binding=setting,
    ) as session:  # fmt: skip
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_channel_binding_cannot_be_had_without_tls(login_server: Server) -> None:
    host, port = login_server.address
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        psycopg.connect(
            host=host, port=port, user="alice", dbname="by_scram", password=PASSWORD, sslmode="disable",
            channel_binding="require",
        )  # fmt: skip


def test_a_downgrade_is_refused(login_server: Server) -> None:
    """y: "I could bind, but you do not offer it".  We did: somebody between us has taken it out of the list."""
    with _tls(login_server) as client:
        _asked(client)
        client.send(wire.sasl_initial(scram.PLAIN, Scram(PASSWORD, b"y,,").first()))
        reply = client.read()
        assert (reply.tag, reply.sqlstate) == ("E", "28000")
        assert not client.read_to_end()


def test_y_is_right_without_tls(login_server: Server) -> None:
    with Client(login_server.address) as client:
        _asked(client)
        assert _exchange(client, Scram(PASSWORD, b"y,,"), scram.PLAIN).tag == "R"


def test_n_is_right_under_tls(login_server: Server) -> None:
    """A client that knows no channel binding."""
    with _tls(login_server) as client:
        _asked(client)
        assert _exchange(client, Scram(PASSWORD), scram.PLAIN).tag == "R"


@pytest.mark.parametrize(
    "binding", [b"", b"x", bytes(32), b"\xff" * 32, b"x" * 31, b"x" * 33, b"x" * 64, b"x" * 500], ids=len
)
def test_channel_binding_to_another_certificate(login_server: Server, binding: bytes) -> None:
    """As when somebody else ended our TLS and began his own towards the server."""
    with _tls(login_server) as client:
        _asked(client)
        error = _exchange(client, Scram.bound(PASSWORD, binding), scram.PLUS)
        assert (error.tag, error.sqlstate) == ("E", "28000")
        assert not client.read_to_end()


def test_the_right_binding_and_more(login_server: Server) -> None:
    with _tls(login_server) as client:
        _asked(client)
        assert client.channel_binding
        error = _exchange(client, Scram.bound(PASSWORD, client.channel_binding + b"\0"), scram.PLUS)
        assert (error.tag, error.sqlstate) == ("E", "28000")


def test_plus_without_binding_and_binding_without_plus(login_server: Server) -> None:
    for mechanism, header in ((scram.PLUS, b"n,,"), (scram.PLUS, b"y,,"), (scram.PLAIN, b"p=tls-server-end-point,,")):
        with _tls(login_server) as client:
            _asked(client)
            client.send(wire.sasl_initial(mechanism, Scram(PASSWORD, header).first()))
            error = client.read()
            assert (error.tag, error.sqlstate) == ("E", "08P01"), (mechanism, header)


def test_plus_chosen_without_tls(login_server: Server) -> None:
    with Client(login_server.address) as client:
        _asked(client)
        client.send(wire.sasl_initial(scram.PLUS, Scram.bound(PASSWORD, bytes(32)).first()))
        error = client.read()
        assert (error.tag, error.sqlstate) == ("E", "08P01")


def test_an_unknown_kind_of_binding(login_server: Server) -> None:
    for kind in (b"tls-unique", b"tls-exporter", b"", b"tls-server-end-point2"):
        with _tls(login_server) as client:
            _asked(client)
            client.send(wire.sasl_initial(scram.PLUS, Scram(PASSWORD, b"p=" + kind + b",,").first()))
            error = client.read()
            assert (error.tag, error.sqlstate) == ("E", "08P01"), kind


def test_a_header_that_changes_its_mind(login_server: Server) -> None:
    """The final message repeats the header; another one there is an attack on the first."""
    with Client(login_server.address) as client:
        _asked(client)
        exchange = Scram(PASSWORD)
        client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
        server_first = client.read().body[4:]
        exchange.header = b"y,,"
        client.send(wire.sasl_response(exchange.final(server_first)))
        error = client.read()
    assert (error.tag, error.sqlstate) == ("E", "08P01")


def test_the_name_in_the_message_does_not_count(login_server: Server) -> None:
    """PostgreSQL authenticates the startup packet's user, whatever SCRAM's n= says."""
    for name in (b"mallory", b"bob", b"=2C=3D", "Ä".encode()):
        with Client(login_server.address) as client:
            _asked(client)
            assert _exchange(client, Scram(PASSWORD, user=name), scram.PLAIN).tag == "R"


def test_an_authorization_identity_is_not_supported(login_server: Server) -> None:
    with Client(login_server.address) as client:
        _asked(client)
        client.send(wire.sasl_initial(scram.PLAIN, Scram(PASSWORD, b"n,a=bob,").first()))
        error = client.read()
    assert (error.tag, error.sqlstate) == ("E", "0A000")


def test_mandatory_extensions_are_refused(login_server: Server) -> None:
    with Client(login_server.address) as client:
        _asked(client)
        client.send(wire.sasl_initial(scram.PLAIN, b"n,,m=extension,n=,r=nonce"))
        error = client.read()
    assert (error.tag, error.sqlstate) == ("E", "0A000")


def test_optional_extensions_are_passed_over(login_server: Server) -> None:
    with Client(login_server.address) as client:
        _asked(client)
        exchange = Scram(PASSWORD)
        exchange.first()
        exchange.bare += b",x=whatever,y=more"
        client.send(wire.sasl_initial(scram.PLAIN, b"n,," + exchange.bare))
        client.send(wire.sasl_response(exchange.final(client.read().body[4:])))
        exchange.check(client.read().body[4:])


def test_the_initial_response_may_come_later(login_server: Server) -> None:
    """No initial response: the server asks for it with an empty AuthenticationSASLContinue."""
    with Client(login_server.address) as client:
        _asked(client)
        client.send(wire.sasl_initial(scram.PLAIN, None))
        asked = client.read()
        assert (asked.authentication, asked.body[4:]) == (wire.SASL_CONTINUE, b"")
        exchange = Scram(PASSWORD)
        client.send(wire.sasl_response(exchange.first()))
        client.send(wire.sasl_response(exchange.final(client.read().body[4:])))
        exchange.check(client.read().body[4:])


def test_a_long_nonce_of_the_client(login_server: Server) -> None:
    for length in (1, 24, 200, 700):
        with Client(login_server.address) as client:
            _asked(client)
            assert _exchange(client, Scram(PASSWORD, nonce=b"x" * length), scram.PLAIN).tag == "R", length


def test_passwords_are_prepared(login_server: Server) -> None:
    """SASLprep: dora's password may be typed in several ways that look alike."""
    for typed in (PASSWORDS["dora"], DORA_PREPARED, "nai\u0308ve so\u00adft IX", "na\u00efve\u2003soft \u2168"):
        host, port = login_server.address
        psycopg.connect(host=host, port=port, user="dora", dbname="by_scram", password=typed).close()


@pytest.mark.parametrize(
    "password",
    [
        "\u00e4\u00f6\u00fc\u00df", "\u65e5\u672c\u8a9e", "a\u00adb", "\u00aa\u2168", "\u0627\u0031",  # the last: bidi
        "\u0007bell", "\u0221 unassigned", "\U0001f418", "x" * 500, "\u212b\u0041\u030a", " ", "\u00a0",
    ],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("kept", ["plain", "scram"])
def test_unusual_passwords(guarded: GuardedPooler, password: str, kept: str) -> None:
    """Of the password howdah makes what PostgreSQL makes of it, also where SASLprep gives up, and libpq likewise."""
    guarded.postgres.set_password("alice", password)
    try:
        secret = guarded.postgres.secret("alice")
    finally:
        guarded.postgres.set_password("alice", PASSWORDS["alice"])
    guarded.users["alice"]["password"] = password if kept == "plain" else secret
    guarded.run()
    assert guarded.value("SELECT current_user", password=password) == "alice"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        guarded.connect(password=password + "x")


def test_a_password_that_is_not_utf_8(guarded: GuardedPooler) -> None:
    """PostgreSQL takes such passwords byte by byte; clients with Latin-1 have them."""
    raw = b"caf\xe9"
    salt = b"0123456789abcdef"
    salted = scram.salted_password(raw, salt, 4096)
    import hashlib
    import hmac

    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server_key))
    guarded.users["alice"]["password"] = "SCRAM-SHA-256$4096:{}${}:{}".format(*parts)
    guarded.run()
    with guarded.stranger() as client:
        client.log_in(user="alice", database="app", password=raw)
        assert client.query("SELECT 1").value == "1"
