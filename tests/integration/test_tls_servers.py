"""TLS towards PostgreSQL: when it is used, whom it trusts, and what nobody in between can talk us out of."""

import socket
import ssl
from collections.abc import Callable

import pytest

from tests.kit import wire
from tests.kit.certs import HOST, Certificates, Pair
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import GuardedPooler
from tests.kit.impostor import Impostor, Peer, server_context
from tests.kit.postgres import Postgres

MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
USED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture
def trusting(guarded: GuardedPooler) -> GuardedPooler:
    """Lets everybody in by itself; failed servers are tried again at once and clients told soon."""
    guarded.settings |= {"auth_type": "trust", "server_login_retry": 0.1, "query_wait_timeout": 2}
    return guarded


def trust(pooler: GuardedPooler, mode: str, certificates: Certificates, **more: str) -> None:
    pooler.settings |= {"server_tls_sslmode": mode, "server_tls_ca_file": str(certificates.ca), **more}


def at(pooler: GuardedPooler, host: str, port: int) -> None:
    pooler.databases["app"] = {"host": host, "port": port}


def error_of(pooler: GuardedPooler, user: str = "alice") -> wire.Message:
    """What a client is told that cannot be served."""
    with pooler.stranger() as client:
        return client.refusal(user=user, database="app")


# PostgreSQL with and without TLS


@pytest.mark.parametrize("mode", MODES)
def test_modes_with_a_server_that_has_tls(trusting: GuardedPooler, certificates: Certificates, mode: str) -> None:
    trust(trusting, mode, certificates)
    trusting.run()
    with trusting.client() as client:
        assert client.query(USED).value == ("f" if mode in {"disable", "allow"} else "t")
        (row,) = [row for row in trusting.admin("SHOW SERVERS") if row["database"] == "app"]
    assert row["tls"].startswith("TLSv1.3/") == (mode not in {"disable", "allow"})


@pytest.mark.parametrize("mode", MODES)
def test_modes_with_a_server_that_has_none(
    trusting: GuardedPooler, certificates: Certificates, postgres: Postgres, mode: str
) -> None:
    trust(trusting, mode, certificates)
    at(trusting, postgres.host, postgres.port)
    trusting.run()
    if mode in {"disable", "allow", "prefer"}:
        with trusting.client() as client:
            assert client.query("SELECT 1").value == "1"
    else:
        error = error_of(trusting)
        assert error.sqlstate == "08006"
        assert "TLS" in error.fields["M"]
        wait_until(lambda: trusting.logged("server_tls_refused"), "the log line")


def test_the_default_is_prefer(trusting: GuardedPooler) -> None:
    trusting.run()
    with trusting.client() as client:
        assert client.query(USED).value == "t"


def test_allow_goes_over_to_tls_when_plain_is_refused(trusting: GuardedPooler, tls_postgres: Postgres) -> None:
    tls_postgres.let_in("hostssl all all all trust")
    trusting.run_with(server_tls_sslmode="allow")
    with trusting.client() as client:
        assert client.query(USED).value == "t"


def test_prefer_goes_back_to_plain_when_tls_is_refused_by_hba(trusting: GuardedPooler, tls_postgres: Postgres) -> None:
    tls_postgres.let_in("hostnossl all all all trust")
    trusting.run_with(server_tls_sslmode="prefer")
    with trusting.client() as client:
        assert client.query(USED).value == "f"


def test_require_never_goes_back(trusting: GuardedPooler, tls_postgres: Postgres) -> None:
    tls_postgres.let_in("hostnossl all all all trust")
    trusting.run_with(server_tls_sslmode="require")
    error = error_of(trusting)
    assert error.sqlstate == "28000"
    assert "no pg_hba.conf entry" in error.fields["M"]


def test_no_tls_on_a_unix_socket(trusting: GuardedPooler, tls_postgres: Postgres) -> None:
    """PostgreSQL has none there, and libpq asks for none: require is no obstacle."""
    at(trusting, str(tls_postgres.socket_dir), tls_postgres.port)
    trusting.run_with(server_tls_sslmode="require")
    with trusting.client() as client:
        assert client.query("SELECT 1").value == "1"


# whom it trusts

SERVERS: dict[str, Callable[[Certificates], Pair]] = {
    "good": lambda made: made.server,
    "rsa": lambda made: made.server_rsa,
    "expired": lambda made: made.server_expired,
    "of tomorrow": lambda made: made.server_of_tomorrow,
    "of the wrong authority": lambda made: made.server_of_wrong_authority,
    "of another name": lambda made: made.server_of_another_name,
    "CN alone": lambda made: made.server_by_name_alone,
    "address alone": lambda made: made.server_of_address,
    "with a nul": lambda made: made.server_with_nul,
    "with a nul in its CN": lambda made: made.server_with_nul_in_cn,
}
#: Which are accepted as "localhost" and as "127.0.0.1" under verify-full; verify-ca looks at no name.
AS_LOCALHOST = {"good", "rsa"}
AS_ADDRESS = {"good", "rsa", "address alone"}
VALID = {"good", "rsa", "of another name", "CN alone", "address alone", "with a nul", "with a nul in its CN"}


def _with_certificate(postgres: Postgres, certificates: Certificates, pair: Pair) -> Impostor:
    """TLS with this certificate before PostgreSQL's plain port."""
    context = server_context(pair)

    def part(peer: Peer) -> None:
        assert peer.read_packet() == wire.SSL_REQUEST_CODE.to_bytes(4)
        peer.send(b"S")
        peer.start_tls(context)
        peer.relay(postgres.address)

    return Impostor(part)


@pytest.mark.parametrize("kind", SERVERS)
def test_whom_verify_full_trusts(
    trusting: GuardedPooler, certificates: Certificates, postgres: Postgres, kind: str
) -> None:
    with _with_certificate(postgres, certificates, SERVERS[kind](certificates)) as impostor:
        trust(trusting, "verify-full", certificates)
        at(trusting, "localhost", impostor.port)
        trusting.databases["other"] = {"host": "127.0.0.1", "port": impostor.port}
        trusting.run()
        assert _is_served(trusting, "app") == (kind in AS_LOCALHOST)
        assert _is_served(trusting, "other") == (kind in AS_ADDRESS)
        if kind not in AS_LOCALHOST:
            wait_until(lambda: trusting.logged("server_tls_failed"), "the log line")


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca"])
def test_whom_the_lesser_modes_trust(
    trusting: GuardedPooler, certificates: Certificates, postgres: Postgres, mode: str, kind: str
) -> None:
    """Names never matter to them, authorities and dates only to verify-ca (and to libpq's require with a CA file)."""
    with _with_certificate(postgres, certificates, SERVERS[kind](certificates)) as impostor:
        trusting.settings["server_tls_sslmode"] = mode
        if mode == "verify-ca":
            trust(trusting, mode, certificates)
        at(trusting, "127.0.0.1", impostor.port)
        trusting.run()
        assert _is_served(trusting, "app") == (mode != "verify-ca" or kind in VALID)


def _is_served(pooler: GuardedPooler, database: str) -> bool:
    with pooler.stranger() as client:
        client.send(wire.startup(user="alice", database=database))
        replies = client.read_until("Z", "E")
        if not replies.errors:
            client.send(wire.query("SELECT 1"))
            replies = client.read_until("Z", "E")
    assert all(error.sqlstate == "08006" for error in replies.errors), replies
    return not replies.errors


def test_wildcards(trusting: GuardedPooler, certificates: Certificates, postgres: Postgres) -> None:
    """`*` stands for one label of the name; localhost is none of example.com's."""
    with _with_certificate(postgres, certificates, certificates.server_wildcard) as impostor:
        trust(trusting, "verify-full", certificates)
        at(trusting, "localhost", impostor.port)
        trusting.run()
        assert not _is_served(trusting, "app")


def test_ipv6_addresses(trusting: GuardedPooler, certificates: Certificates, tls_postgres: Postgres) -> None:
    from tests.kit.ports import ipv6_works

    if not ipv6_works():
        pytest.skip("no IPv6 here")
    trust(trusting, "verify-full", certificates)
    at(trusting, "::1", tls_postgres.port)
    trusting.run()
    assert _is_served(trusting, "app")


def test_verify_without_a_ca_file_trusts_only_the_systems(trusting: GuardedPooler) -> None:
    trusting.run_with(server_tls_sslmode="verify-full")
    assert not _is_served(trusting, "app")


def test_the_log_names_the_server_and_the_fault(
    trusting: GuardedPooler, certificates: Certificates, tls_postgres: Postgres
) -> None:
    trusting.settings["server_tls_ca_file"] = str(certificates.wrong_ca)
    trusting.run_with(server_tls_sslmode="verify-full")
    error = error_of(trusting)
    assert error.sqlstate == "08006"
    line = wait_until(lambda: trusting.logged("server_tls_failed"), "the log line")[0]
    assert "certificate" in str(line)
    assert str(tls_postgres.port) in str(line)


def test_the_host_name_is_asked_for(
    trusting: GuardedPooler, certificates: Certificates, tls_postgres: Postgres
) -> None:
    """SNI: a name, never an address (RFC 6066)."""
    names: list[str | None] = []
    context = server_context(certificates.server)
    context.sni_callback = lambda _, name, __: names.append(name)

    def part(peer: Peer) -> None:
        peer.read_packet()
        peer.send(b"S")
        peer.start_tls(context)
        peer.relay(tls_postgres.address)

    with Impostor(part) as impostor:
        at(trusting, "localhost", impostor.port)
        trusting.databases["other"] = {"host": "127.0.0.1", "port": impostor.port}
        trusting.run_with(server_tls_sslmode="require")
        assert _is_served(trusting, "app")
        assert _is_served(trusting, "other")
    assert names == ["localhost", None]


# what else it says


def test_a_client_certificate(trusting: GuardedPooler, certificates: Certificates, tls_postgres: Postgres) -> None:
    tls_postgres.let_in("hostssl all all all cert")
    alice = certificates.alice
    trust(
        trusting, "verify-full", certificates,
        server_tls_cert_file=str(alice.certificate), server_tls_key_file=str(alice.key),
    )  # fmt: skip
    trusting.run()
    with trusting.client() as client:
        assert client.query("SELECT current_user").value == "alice"
    error = error_of(trusting, user="bob")
    assert (error.sqlstate, error.fields["M"]) == ("28000", 'certificate authentication failed for user "bob"')


def test_a_client_certificate_with_its_chain(
    trusting: GuardedPooler, certificates: Certificates, tls_postgres: Postgres
) -> None:
    tls_postgres.let_in("hostssl all all all cert")
    pair = certificates.alice_by_intermediate
    trusting.run_with(
        server_tls_sslmode="require",
        server_tls_cert_file=str(pair.certificate), server_tls_key_file=str(pair.key),
    )  # fmt: skip
    with trusting.client() as client:
        assert client.query("SELECT 1").value == "1"


@pytest.mark.parametrize("protocol, shown", [("tlsv1.2", "TLSv1.2"), ("tlsv1.3", "TLSv1.3")])
def test_protocols(trusting: GuardedPooler, protocol: str, shown: str) -> None:
    trusting.run_with(server_tls_sslmode="require", server_tls_protocols=protocol)
    with trusting.client() as client:
        assert client.query(USED.replace("ssl ", "version ", 1)).value == shown


def test_ciphers(trusting: GuardedPooler) -> None:
    trusting.run_with(
        server_tls_sslmode="require", server_tls_protocols="tlsv1.2", server_tls_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"
    )
    with trusting.client() as client:
        assert client.query(USED.replace("ssl ", "cipher ", 1)).value == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_tls_1_3_suites(trusting: GuardedPooler) -> None:
    trusting.run_with(server_tls_sslmode="require", server_tls13_ciphers="TLS_CHACHA20_POLY1305_SHA256")
    with trusting.client() as client:
        assert client.query(USED.replace("ssl ", "cipher ", 1)).value == "TLS_CHACHA20_POLY1305_SHA256"


#: Of each connection, the protocol agreed by ALPN and whether the session was resumed.
Seen = list[tuple[str | None, bool | None]]


def _terminator(postgres: Postgres, context: ssl.SSLContext, seen: Seen, direct: bool) -> Impostor:
    def part(peer: Peer) -> None:
        if not direct:
            assert peer.read_packet() == wire.SSL_REQUEST_CODE.to_bytes(4)
            peer.send(b"S")
        peer.start_tls(context)
        assert isinstance(peer.socket, ssl.SSLSocket)
        seen.append((peer.socket.selected_alpn_protocol(), peer.socket.session_reused))
        peer.relay(postgres.address)

    return Impostor(part)


def test_direct_tls(trusting: GuardedPooler, certificates: Certificates, postgres: Postgres) -> None:
    """server_tls_sslnegotiation = direct: no SSLRequest, and ALPN postgresql."""
    seen: Seen = []
    with _terminator(postgres, server_context(certificates.server), seen, direct=True) as impostor:
        trust(trusting, "verify-full", certificates, server_tls_sslnegotiation="direct")
        at(trusting, "localhost", impostor.port)
        trusting.run()
        assert _is_served(trusting, "app")
        assert seen[0] == ("postgresql", False)


def test_direct_tls_to_a_server_that_knows_no_alpn(
    trusting: GuardedPooler, certificates: Certificates, postgres: Postgres
) -> None:
    """Then it is no PostgreSQL, or none that knows direct TLS: libpq refuses it."""
    seen: Seen = []
    with _terminator(postgres, server_context(certificates.server, alpn=False), seen, direct=True) as impostor:
        trust(trusting, "require", certificates, server_tls_sslnegotiation="direct")
        at(trusting, "localhost", impostor.port)
        trusting.run()
        assert not _is_served(trusting, "app")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(
    trusting: GuardedPooler, certificates: Certificates, postgres: Postgres, version: ssl.TLSVersion
) -> None:
    seen: Seen = []
    context = server_context(certificates.server)
    context.minimum_version = context.maximum_version = version
    with _terminator(postgres, context, seen, direct=False) as impostor:
        trust(trusting, "verify-full", certificates)
        at(trusting, "localhost", impostor.port)
        trusting.run_with(server_lifetime=0, workers=1)  # each server connection serves once
        with trusting.client() as client:
            for _ in range(5):
                assert client.query("SELECT 1").value == "1"
        assert len(seen) >= 5
        assert [reused for _, reused in seen[2:5]] == [True] * 3


# those in between


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_nobody_in_between_can_say_no(
    trusting: GuardedPooler, certificates: Certificates, tls_postgres: Postgres, mode: str
) -> None:
    """An attacker answers N and relays in the clear: above prefer that is the end, and he learns nothing."""
    heard: list[bytes] = []

    def part(peer: Peer) -> None:
        assert peer.read_packet() == wire.SSL_REQUEST_CODE.to_bytes(4)
        peer.send(b"N")
        heard.append(peer.socket.recv(1000))

    with Impostor(part) as impostor:
        trust(trusting, mode, certificates)
        at(trusting, "localhost", impostor.port)
        trusting.run()
        assert not _is_served(trusting, "app")
        wait_until(lambda: trusting.logged("server_tls_refused"), "the log line")
    assert set(heard) <= {b""}


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-full"])
@pytest.mark.parametrize(
    "answer", [b"S" + b"garbage" * 50, b"S\x15\x03\x03\x00\x02\x02\x28", b"X", b"", b"S", b"R\0\0\0\x08\0\0\0\0"]
)
def test_nonsense_instead_of_tls(trusting: GuardedPooler, certificates: Certificates, mode: str, answer: bytes) -> None:
    def part(peer: Peer) -> None:
        if peer.read_packet() != wire.SSL_REQUEST_CODE.to_bytes(4):
            return  # prefer, coming back without TLS
        peer.send(answer)
        if answer in {b"S", b""}:
            peer.socket.shutdown(socket.SHUT_WR)
        peer.wait_for_end()

    with Impostor(part) as impostor:
        trust(trusting, mode, certificates)
        at(trusting, "localhost", impostor.port)
        trusting.run()
        error = error_of(trusting)
    assert error.sqlstate.startswith("08")


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_an_error_instead_of_an_answer_to_the_request(
    trusting: GuardedPooler, certificates: Certificates, mode: str
) -> None:
    """A server too old or too busy for SSLRequest.  Its text is not shown to clients: nobody has vouched for it
    (CVE-2024-10977).
    """

    def part(peer: Peer) -> None:
        peer.read_packet()
        peer.send(wire.error_response(S="FATAL", V="FATAL", C="53300", M="call 555 for help"))
        peer.wait_for_end()

    with Impostor(part) as impostor:
        trust(trusting, mode, certificates)
        at(trusting, "localhost", impostor.port)
        trusting.run()
        error = error_of(trusting)
    assert error.sqlstate
    if mode == "require":
        assert "555" not in error.fields["M"]


def test_what_is_stuffed_behind_the_servers_yes_is_not_believed(
    trusting: GuardedPooler, certificates: Certificates, tls_postgres: Postgres
) -> None:
    """CVE-2021-23222: answers put in front of the handshake must not be read as if they came through TLS."""
    context = server_context(certificates.server)

    def part(peer: Peer) -> None:
        assert peer.read_packet() == wire.SSL_REQUEST_CODE.to_bytes(4)
        peer.send(b"S" + wire.authentication(wire.AUTHENTICATION_OK) + wire.message(b"Z", b"I"))
        peer.start_tls(context)
        peer.relay(tls_postgres.address)

    with Impostor(part) as impostor:
        trust(trusting, "verify-full", certificates)
        at(trusting, "localhost", impostor.port)
        trusting.run()
        assert not _is_served(trusting, "app")


def test_a_server_that_stops_in_the_middle_of_its_handshake(
    trusting: GuardedPooler, certificates: Certificates
) -> None:
    def part(peer: Peer) -> None:
        peer.read_packet()
        peer.send(b"S")
        peer.wait_for_end()

    with Impostor(part) as impostor:
        trust(trusting, "require", certificates)
        at(trusting, "localhost", impostor.port)
        trusting.run_with(server_connect_timeout=0.3, query_wait_timeout=1)
        assert error_of(trusting).sqlstate == "08001"
        wait_until(lambda: trusting.logged("server_connect_timeout"), "the log line")


def test_cancel_requests_go_through_tls(
    trusting: GuardedPooler, certificates: Certificates, tls_postgres: Postgres
) -> None:
    """Their keys are secrets as well: where servers need TLS, so do cancel requests."""
    firsts: list[bytes] = []
    context = server_context(certificates.server)

    def part(peer: Peer) -> None:
        packet = peer.read_packet()
        firsts.append(packet)
        if packet == wire.SSL_REQUEST_CODE.to_bytes(4):
            peer.send(b"S")
            peer.start_tls(context)
        peer.relay(tls_postgres.address)

    with Impostor(part) as impostor:
        trust(trusting, "verify-full", certificates)
        at(trusting, "localhost", impostor.port)
        trusting.run()
        with trusting.client() as client:
            client.send(wire.query("SELECT pg_sleep(60)"))
            tls_postgres.wait_for_backends(1, "query LIKE '%pg_sleep(60)%' AND state = 'active'")
            client.cancel()
            assert client.read_until("Z").error.sqlstate == "57014"
    assert set(firsts) == {wire.SSL_REQUEST_CODE.to_bytes(4)}


def test_host_names_of_the_configuration(trusting: GuardedPooler, certificates: Certificates) -> None:
    """A name that cannot be resolved is that, not a fault of TLS."""
    trust(trusting, "verify-full", certificates)
    at(trusting, f"nowhere.{HOST}", 5432)
    trusting.run()
    with Client(trusting.address) as client:
        error = client.refusal(user="alice", database="app")
    assert error.sqlstate.startswith("08")
