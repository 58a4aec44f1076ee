"""TLS towards clients: who gets it, who must have it, and what happens to those who do it wrong."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.kit import wire
from tests.kit.certs import HOST, Certificates, Pair
from tests.kit.client import Client, Gone
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler, refused
from tests.kit.fix_pooler import Server
from tests.kit.postgres import Postgres
from tests.kit.tls_client import TlsClient, client_context

PASSWORD = PASSWORDS["alice"]
LOGIN = wire.startup(user="alice", database="by_trust")


def under_tls(
    server: Server, context: ssl.SSLContext | None = None, *, server_name: str = "", direct: bool = False
) -> TlsClient:
    """A client that has shaken hands and said nothing yet."""
    client = TlsClient(server.address, context or client_context(), server_name=server_name)
    if direct:
        client.shake_hands()
    else:
        client.start_tls()
    return client


def fate(pooler: GuardedPooler, way: str, pair: Pair | None = None) -> str:
    """What becomes of a client that comes "plain", by SSLRequest ("tls") or "direct"."""
    client = TlsClient(pooler.address, client_context(pair=pair))
    try:
        if way == "tls" and client.ask_for_tls() == b"N":
            return "declined"
        if way != "plain":
            client.shake_hands()
        client.send(wire.startup(user="alice", database="app"))
        replies = client.prove("alice", PASSWORD)
    except (Gone, ssl.SSLError, OSError):
        return "cut off"
    finally:
        client.vanish()
    return replies[-1].sqlstate if replies[-1].tag == "E" else "let in"


FATES = {
    # plain, tls, direct, tls with a certificate, direct with a certificate
    "disable": ("let in", "declined", "cut off", "declined", "cut off"),
    "allow": ("let in", "let in", "let in", "let in", "let in"),
    "prefer": ("let in", "let in", "let in", "let in", "let in"),
    "require": ("28000", "let in", "let in", "let in", "let in"),
    "verify-ca": ("28000", "cut off", "cut off", "let in", "let in"),
    "verify-full": ("28000", "cut off", "cut off", "let in", "let in"),
}


@pytest.mark.parametrize("sslmode", FATES)
def test_sslmodes(guarded: GuardedPooler, certificates: Certificates, sslmode: str) -> None:
    guarded.offer_tls(sslmode)
    guarded.users["pgbouncer"] = {"password": "console"}
    guarded.run()
    alice = certificates.alice
    fates = (
        *(fate(guarded, way) for way in ("plain", "tls", "direct")),
        *(fate(guarded, way, alice) for way in ("tls", "direct")),
    )
    assert fates == FATES[sslmode]


def test_a_plain_client_where_tls_is_required_is_told_so(guarded: GuardedPooler) -> None:
    guarded.offer_tls("require")
    guarded.run()
    for user in ("alice", "mallory"):
        with guarded.stranger() as client:
            error = refused(client, user=user, database="app")
            assert (error.sqlstate, error.fields["M"]) == ("28000", "TLS required")
    guarded.wait_for_log("tls_required", count=2)


def test_a_unix_socket_needs_no_tls(guarded: GuardedPooler) -> None:
    """As with PostgreSQL's hostssl and PgBouncer: the socket does not leave the machine."""
    guarded.offer_tls("require")
    guarded.run()
    with Client(guarded.socket_path) as client:
        client.log_in(user="alice", database="app", password=PASSWORD)
        assert client.query("SELECT 1").value == "1"


def test_tls_on_a_unix_socket_is_declined_as_postgresql_does(login_server: Server) -> None:
    with Client(login_server.socket_path) as client:
        client.send(wire.ssl_request())
        assert client.read_bytes(1) == b"N"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_versions_and_keys(
    guarded: GuardedPooler, certificates: Certificates, version: ssl.TLSVersion, algorithm: str
) -> None:
    pair = certificates.server if algorithm == "ecdsa" else certificates.server_rsa
    guarded.offer_tls("require", pair)
    guarded.run()
    with under_tls(guarded, client_context(certificates.ca, version=version)) as client:
        assert client.tls.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        client.log_in(user="alice", database="app", password=PASSWORD)
        assert client.server_certificate == pair.der
        assert client.query("SELECT 1").value == "1"


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_libpq(login_server: Server, certificates: Certificates, sslmode: str) -> None:
    _, port = login_server.address
    with psycopg.connect(
        host=HOST, hostaddr="127.0.0.1", port=port, user="alice", dbname="by_scram", password=PASSWORD,
        sslmode=sslmode, sslrootcert=str(certificates.ca), channel_binding="require",
    ) as session:  # fmt: skip
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_direct_tls_of_libpq(gate: GuardedPooler, certificates: Certificates) -> None:
    session = gate.connect(
        dbname="by_scram", sslmode="verify-full", sslnegotiation="direct", host=HOST, hostaddr="127.0.0.1",
        sslrootcert=str(certificates.ca),
    )  # fmt: skip
    assert session.execute("SELECT 1").fetchone() == (1,)


# what is allowed


@pytest.mark.parametrize(
    "protocols, allowed",
    [
        ("tlsv1.2", {"TLSv1.2"}), ("tlsv1.3", {"TLSv1.3"}), ("secure", {"TLSv1.2", "TLSv1.3"}),
        ("tlsv1.2,tlsv1.3", {"TLSv1.2", "TLSv1.3"}),
    ],
)  # fmt: skip
def test_protocols(guarded: GuardedPooler, protocols: str, allowed: set[str]) -> None:
    guarded.offer_tls("require", client_tls_protocols=protocols)
    guarded.run()
    found = set()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with TlsClient(guarded.address, client_context(version=version)) as client:
            try:
                client.start_tls()
            except (ssl.SSLError, Gone):
                continue
            found.add(client.tls.version())
    assert found == allowed


def test_old_protocols_are_off_by_default(gate: GuardedPooler) -> None:
    """A ClientHello that offers TLS 1.0 at most."""
    context = client_context()
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with TlsClient(gate.address, context) as client, pytest.raises((ssl.SSLError, Gone)):
        client.start_tls()
    gate.wait_for_log("tls_failed")


def test_ciphers(guarded: GuardedPooler) -> None:
    guarded.offer_tls("require", client_tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384", client_tls_protocols="tlsv1.2")
    guarded.run()
    with under_tls(guarded) as client:
        cipher = client.tls.cipher()
        assert cipher
        assert cipher[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    with TlsClient(guarded.address, client_context(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")) as other:
        with pytest.raises((ssl.SSLError, Gone)):
            other.start_tls()
    lines = guarded.wait_for_log("tls_failed")
    assert "cipher" in str(lines[0])


def test_tls_1_3_suites(guarded: GuardedPooler) -> None:
    guarded.offer_tls("require", client_tls13_ciphers="TLS_CHACHA20_POLY1305_SHA256")
    guarded.run()
    with under_tls(guarded) as client:
        cipher = client.tls.cipher()
        assert cipher
        assert cipher[0] == "TLS_CHACHA20_POLY1305_SHA256"


@pytest.mark.parametrize("curve", ["secp384r1", "prime256v1", "X25519"])
def test_the_curve(guarded: GuardedPooler, curve: str) -> None:
    guarded.offer_tls("require", client_tls_ecdhcurve=curve)
    guarded.run()
    with under_tls(guarded) as client:
        client.log_in(user="alice", database="app", password=PASSWORD)
    context = client_context()
    context.set_ecdh_curve("secp521r1")
    with TlsClient(guarded.address, context) as other, pytest.raises((ssl.SSLError, Gone)):
        other.start_tls()


# ALPN, SNI


@pytest.mark.parametrize("direct", [False, True])
def test_alpn_is_agreed(gate: GuardedPooler, direct: bool) -> None:
    with under_tls(gate, direct=direct) as client:
        assert client.tls.selected_alpn_protocol() == "postgresql"
        client.log_in(user="alice", database="by_trust")


@pytest.mark.parametrize("alpn", ["", "http/1.1", "postgres", "postgresql2", "POSTGRESQL"])
def test_direct_tls_without_the_right_alpn_is_refused(gate: GuardedPooler, alpn: str) -> None:
    """Else a browser could be made to speak to us (ALPACA); PostgreSQL 17 asks the same."""
    client = TlsClient(gate.address, client_context(alpn=alpn))
    with pytest.raises((ssl.SSLError, Gone)):
        _log_in_directly(client)
    wait_until(lambda: gate.logged("tls_alpn") or gate.logged("tls_failed"), "the log line")


def _log_in_directly(client: TlsClient) -> None:
    client.shake_hands()  # under TLS 1.3 the client is through before the server has objected
    client.log_in(user="alice", database="by_trust")


def test_tls_by_request_needs_no_alpn(login_server: Server) -> None:
    """Clients older than PostgreSQL 17 have none."""
    with under_tls(login_server, client_context(alpn="")) as client:
        assert client.tls.selected_alpn_protocol() is None
        client.log_in(user="alice", database="by_trust")


def test_the_wrong_alpn_after_a_request_is_refused(gate: GuardedPooler) -> None:
    with TlsClient(gate.address, client_context(alpn="http/1.1")) as client, pytest.raises((ssl.SSLError, Gone)):
        client.start_tls()


def test_several_alpn_protocols_with_ours_among_them(gate: GuardedPooler) -> None:
    context = client_context()
    context.set_alpn_protocols(["h2", "postgresql", "http/1.1"])
    with under_tls(gate, context, direct=True) as client:
        assert client.tls.selected_alpn_protocol() == "postgresql"
        client.log_in(user="alice", database="by_trust")


def test_show_clients_has_protocol_cipher_and_server_name(gate: GuardedPooler) -> None:
    with under_tls(gate, server_name="tenant-7.db.example.com") as client, gate.client(database="by_trust") as plain:
        client.log_in(user="bob", database="by_trust")
        client.query("SELECT 1")
        plain.query("SELECT 1")
        rows = {row["user"]: row for row in gate.admin("SHOW CLIENTS")}
    cipher = client.tls.cipher()
    assert cipher
    assert rows["bob"]["tls"] == f"TLSv1.3/{cipher[0]}"
    assert rows["bob"]["sni"] == "tenant-7.db.example.com"
    assert (rows["alice"]["tls"], rows["alice"]["sni"]) == ("", "")


@pytest.mark.parametrize("name", ["x" * 63 + "." + "y" * 63 + "." + "z" * 63 + "." + "w" * 60, "xn--bcher-kva.example"])
def test_long_and_unusual_server_names(gate: GuardedPooler, name: str) -> None:
    with under_tls(gate, server_name=name) as client:
        client.log_in(user="alice", database="by_trust")
        assert name in {row["sni"] for row in gate.admin("SHOW CLIENTS")}


# client certificates

CERTIFICATES: dict[str, Callable[[Certificates], Pair]] = {
    "alice": lambda made: made.alice,
    "by an intermediate": lambda made: made.alice_by_intermediate,
    "of another user": lambda made: made.bob,
    "expired": lambda made: made.alice_expired,
    "of the wrong authority": lambda made: made.alice_of_wrong_authority,
    "without a name": lambda made: made.nameless_client,
    "with a nul": lambda made: made.alice_with_nul,
}


def _fate(server: Server, database: str, pair: Pair | None, version: ssl.TLSVersion, user: str = "alice") -> str:
    client = TlsClient(server.address, client_context(pair=pair, version=version))
    try:
        client.start_tls()
        client.send(wire.startup(user=user, database=database))
        replies = client.prove(user, PASSWORDS.get(user, ""))
    except (Gone, ssl.SSLError, OSError):
        return "out"
    finally:
        client.vanish()
    return "out" if replies[-1].tag == "E" else "in"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", [*CERTIFICATES, "none"])
def test_cert(login_server: Server, certificates: Certificates, kind: str, version: ssl.TLSVersion) -> None:
    """Method cert: the certificate is trusted, valid, and its CN is the user's name."""
    pair = CERTIFICATES[kind](certificates) if kind != "none" else None
    wanted = "in" if kind in {"alice", "by an intermediate"} else "out"
    assert _fate(login_server, "by_cert", pair, version) == wanted


@pytest.mark.parametrize("kind", [*CERTIFICATES, "none"])
def test_clientcert(login_server: Server, certificates: Certificates, kind: str) -> None:
    """A certificate besides the password: any valid one for verify-ca, one's own for verify-full."""
    pair = CERTIFICATES[kind](certificates) if kind != "none" else None
    valid = kind not in {"expired", "of the wrong authority", "with a nul", "none"}
    own = kind in {"alice", "by an intermediate"}
    version = ssl.TLSVersion.TLSv1_3
    assert _fate(login_server, "with_ca", pair, version) == ("in" if valid else "out")
    assert _fate(login_server, "with_cert", pair, version) == ("in" if own else "out")


def test_clientcert_and_a_wrong_password(login_server: Server, certificates: Certificates) -> None:
    with under_tls(login_server, client_context(pair=certificates.alice)) as client:
        assert refused(client, "wrong", user="alice", database="with_cert").sqlstate == "28P01"


def test_cert_with_a_map(login_server: Server, certificates: Certificates) -> None:
    version = ssl.TLSVersion.TLSv1_3
    pair = certificates.department
    assert _fate(login_server, "by_mapped", pair, version) == "in"
    assert _fate(login_server, "by_mapped", pair, version, user="bob") == "out"
    assert _fate(login_server, "by_mapped", certificates.alice, version) == "out"
    mail = certificates.make("mail", "carol@example.com")
    assert _fate(login_server, "by_mapped", mail, version, user="carol") == "in"
    assert _fate(login_server, "by_mapped", mail, version, user="bob") == "out"


def test_what_a_refused_certificate_is_told(login_server: Server, certificates: Certificates) -> None:
    with under_tls(login_server, client_context(pair=certificates.bob)) as client:
        assert refused(client, user="alice", database="by_cert").sqlstate == "28000"
    with under_tls(login_server) as client:
        assert refused(client, user="alice", database="by_cert").sqlstate == "28000"


def test_auth_type_cert(guarded: GuardedPooler, certificates: Certificates) -> None:
    guarded.offer_tls("verify-full")
    guarded.run_with(auth_type="cert")
    version = ssl.TLSVersion.TLSv1_3
    fates = [_fate(guarded, "app", kind(certificates), version) for kind in CERTIFICATES.values()]
    assert fates == ["in", "in", "out", "out", "out", "out", "out"]
    assert _fate(guarded, "app", None, version) == "out"


def test_resuming_keeps_the_certificate(login_server: Server, certificates: Certificates) -> None:
    """A resumed session sends no certificate; who it was is in the ticket."""
    context = client_context(pair=certificates.alice)
    with TlsClient(login_server.address, context) as client:
        client.start_tls()
        client.log_in(user="alice", database="by_cert")
        ticket = client.ticket
    with TlsClient(login_server.address, context, session=ticket) as client:
        client.start_tls()
        client.log_in(user="alice", database="by_cert")
    with TlsClient(login_server.address, context, session=ticket) as client:
        client.start_tls()
        assert refused(client, user="bob", database="by_cert").sqlstate == "28000"


# session tickets


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_resume_on_every_worker(gate: GuardedPooler, version: ssl.TLSVersion) -> None:
    """Connections go to either worker by chance: ten of ten resume."""
    context = client_context(version=version)
    with TlsClient(gate.address, context) as client:
        client.start_tls()
        client.log_in(user="alice", database="by_trust")
        assert not client.tls.session_reused
        ticket = client.ticket
    for _ in range(10):
        with TlsClient(gate.address, context, session=ticket) as client:
            client.start_tls()
            client.log_in(user="alice", database="by_trust")
            assert client.tls.session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_scram_plus_in_a_resumed_session(gate: GuardedPooler, version: ssl.TLSVersion) -> None:
    context = client_context(version=version)
    with TlsClient(gate.address, context) as client:
        client.start_tls()
        client.log_in(user="alice", database="by_scram", password=PASSWORD)
        ticket = client.ticket
    with TlsClient(gate.address, context, session=ticket) as client:
        client.start_tls()
        assert client.tls.session_reused
        client.log_in(user="alice", database="by_scram", password=PASSWORD)


# those who do it wrong


def test_a_packet_stuffed_behind_the_request_is_never_read(login_server: Server) -> None:
    """CVE-2021-23222's sibling: who sits between us could put queries in front of the victim's own."""
    with Client(login_server.address) as client:
        client.send(wire.ssl_request() + LOGIN + wire.query("SELECT 'stuffed'"))
        assert client.read_bytes(1) in {b"S", b"E"}
        assert b"stuffed" not in _rest(client)
        assert client.is_gone


def _rest(client: Client) -> bytes:
    """All that still comes; the other side waits for a handshake, so we end our half."""
    client.socket.shutdown(1)
    got = bytearray()
    while True:
        try:
            got += client.read_bytes(1)
        except Gone:
            return bytes(got)


@pytest.mark.parametrize(
    "noise",
    [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, LOGIN, b"\x16\x03\x01\xff\xff" + b"x" * 300, b"\x16\x03\x01\0\0",
     b"\x80\x2e\x01\x00\x02", b"\x15\x03\x01\x00\x02\x02\x28", b"\x17\x03\x03\x00\x05hello", b"\xff" * 1000],
    ids=lambda noise: ascii(noise[:12]),
)  # fmt: skip
def test_garbage_instead_of_a_handshake(gate: GuardedPooler, noise: bytes) -> None:
    with gate.tls_client(database="by_scram") as other:
        client = TlsClient(gate.address)
        assert client.ask_for_tls() == b"S"
        client.raw_send(noise)
        assert b"Z" not in _rest(client)
        wait_until(lambda: gate.logged("tls_failed") or gate.logged("client_eof"), "the log line")
        assert other.query("SELECT 1").value == "1"


def test_a_hello_cut_off_anywhere(gate: GuardedPooler) -> None:
    whole = TlsClient(gate.address).hello()
    for cut in range(0, len(whole), 23):
        client = TlsClient(gate.address)
        assert client.ask_for_tls() == b"S"
        client.raw_send(client.hello()[:cut])
        client.vanish() if cut % 2 else client.reset()
    gate.wait_until_idle()


def test_a_hello_with_a_flipped_bit(gate: GuardedPooler) -> None:
    for position in range(0, 200, 11):
        client = TlsClient(gate.address)
        assert client.ask_for_tls() == b"S"
        hello = bytearray(client.hello())
        hello[position] ^= 0x41
        client.raw_send(bytes(hello))
        client.vanish()
    with gate.tls_client(database="by_scram") as other:
        assert other.query("SELECT 1").value == "1"


@pytest.mark.parametrize("sent", ["request", "half a hello", "hello", "handshake"])
def test_silence_in_the_middle_ends_with_client_login_timeout(guarded: GuardedPooler, sent: str) -> None:
    guarded.offer_tls("require")
    guarded.run_with(client_login_timeout=0.3)
    with guarded.tls_client() as other:
        client = TlsClient(guarded.address)
        assert client.ask_for_tls() == b"S"
        if sent == "handshake":
            client.shake_hands()
        elif sent != "request":
            hello = client.hello()
            client.raw_send(hello[: len(hello) // 2] if sent == "half a hello" else hello)
        guarded.wait_for_log("client_login_timeout")
        wait_until(lambda: _has_ended(client), "the end")
        assert other.query("SELECT 1").value == "1"


def _has_ended(client: Client) -> bool:
    client.socket.setblocking(False)
    try:
        return client.socket.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_a_second_request_inside_tls(login_server: Server) -> None:
    """PostgreSQL takes the second SSLRequest for a protocol version it does not know; either way it is the end."""
    with under_tls(login_server) as client:
        client.send(wire.ssl_request())
        assert client.read_to_end().error.sqlstate in {"0A000", "08P01"}


def test_a_request_for_gssapi_and_then_tls(gate: GuardedPooler) -> None:
    with TlsClient(gate.address) as client:
        client.raw_send(wire.gssenc_request())
        assert client.read_bytes(1) == b"N"
        client.start_tls()
        client.log_in(user="alice", database="by_trust")


def test_the_whole_login_byte_by_byte(login_server: Server) -> None:
    client = TlsClient(login_server.address)
    client.bytes_at_once = 1
    with client:
        client.start_tls()
        client.log_in(user="alice", database="by_scram", password=PASSWORD)
        assert client.query("SELECT 'slow'").value == "slow"


def test_each_message_in_a_record_of_its_own_and_all_in_one(login_server: Server) -> None:
    with under_tls(login_server) as client:
        client.log_in(user="alice", database="by_trust")
        records = b"".join(client.pending_records(bytes([byte])) for byte in wire.query("SELECT 'bytes'"))
        client.raw_send(records)
        assert client.read_until("Z").value == "bytes"
        client.send(*(wire.query(f"SELECT {number}") for number in range(500)))
        assert len(client.read_ready(500).rows) == 500


def test_empty_records_are_passed_over(gate: GuardedPooler) -> None:
    with gate.tls_client(database="by_scram") as client:
        for _ in range(20):
            client.send(b"")
        assert client.query("SELECT 1").value == "1"


@pytest.mark.parametrize("harm", ["flip", "repeat", "swap", "drop", "plain"])
def test_records_that_were_tampered_with_end_the_connection(gate: GuardedPooler, harm: str) -> None:
    with gate.tls_client(database="by_scram") as client, gate.tls_client(database="by_scram") as other:
        first = client.pending_records(wire.query("SELECT 'first'"))
        second = client.pending_records(wire.query("SELECT 'second'"))
        flipped = first[:-1] + bytes([first[-1] ^ 1])
        harmed = {"flip": flipped, "repeat": first + first, "swap": second + first, "drop": second,
                  "plain": wire.query("SELECT 'plain'")}[harm]  # fmt: skip
        client.raw_send(harmed)
        try:
            replies, _ = client.read_to_cut()
        except ssl.SSLError:  # the alert
            replies = wire.Replies()
        assert not {"second", "plain"} & {row[0] for row in replies.rows}
        assert other.query("SELECT 1").value == "1"
    wait_until(lambda: gate.logged("tls_failed"), "the log line")


def test_a_record_cut_off(gate: GuardedPooler) -> None:
    for cut in (1, 4, 5, 6, 20):
        client = gate.tls_client(database="by_scram")
        client.begin()
        client.raw_send(client.pending_records(wire.query("SELECT 1"))[:cut])
        client.vanish()
    gate.wait_until_idle()


def test_a_goodbye_of_tls_alone(gate: GuardedPooler) -> None:
    """close_notify without Terminate: the client has gone, and what it left open is rolled back."""
    client = gate.tls_client(database="by_scram")
    client.begin()
    client.say_goodbye_in_tls()
    gate.wait_until_idle()
    gate.wait_for_log("abandoned_transaction")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_renegotiation_is_refused(gate: GuardedPooler, certificates: Certificates) -> None:
    """A client may not make us compute handshakes without end on one connection (CVE-2011-1473)."""
    host, port = gate.address
    command = ["openssl", "s_client", "-starttls", "postgres", "-connect", f"{host}:{port}", "-tls1_2"]
    process = subprocess.Popen(
        [*command, "-CAfile", str(certificates.ca)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"R\n")
    process.stdin.flush()
    seen = bytearray()
    while b"RENEGOTIATING" not in seen or (b"no renegotiation" not in seen and b"error" not in seen):
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            break
        seen += piece
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert b"RENEGOTIATING" in seen
    assert b"verify return" not in bytes(seen).split(b"RENEGOTIATING")[1]
    with gate.tls_client(database="by_scram") as other:
        assert other.query("SELECT 1").value == "1"


def test_a_key_of_somebody_else_is_refused_at_start(guarded: GuardedPooler, certificates: Certificates) -> None:
    guarded.offer_tls("require", Pair(certificates.server.certificate, certificates.server_rsa.key))
    guarded.start()
    assert guarded.wait_for_exit() != 0
    assert guarded.log_contains("client_tls_key_file|client_tls_cert_file")


@pytest.mark.parametrize("content", ["", "not a certificate\n"])
def test_unusable_files_are_refused_at_start(guarded: GuardedPooler, tmp_path: Path, content: str) -> None:
    broken = tmp_path / "broken.crt"
    broken.write_text(content)
    guarded.offer_tls("require", client_tls_cert_file=str(broken))
    guarded.start()
    assert guarded.wait_for_exit() != 0
    assert guarded.log_contains("client_tls_cert_file")
    assert guarded.log_contains(str(broken))


def test_a_missing_file_is_refused_at_start(guarded: GuardedPooler, tmp_path: Path) -> None:
    guarded.offer_tls("require", client_tls_key_file=str(tmp_path / "nowhere.key"))
    guarded.start()
    assert guarded.wait_for_exit() != 0
    assert guarded.log_contains("client_tls_key_file")
    assert guarded.log_contains("nowhere.key")


@pytest.mark.parametrize("direct", [False, True])
def test_a_cancel_request_may_come_under_tls(guarded: GuardedPooler, tls_postgres: Postgres, direct: bool) -> None:
    guarded.offer_tls("require")
    guarded.run()
    with under_tls(guarded) as client:
        client.log_in(user="alice", database="app", password=PASSWORD)
        client.send(wire.query("SELECT pg_sleep(60)"))
        tls_postgres.wait_for_backends(1, "state = 'active'")
        with under_tls(guarded, direct=direct) as request:
            request.send(wire.cancel_request(client.process_id, client.secret_key))
            assert request.read_to_end() == []
        assert client.read_until("Z").error.sqlstate == "57014"
