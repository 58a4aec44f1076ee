"""What strangers may try and gain nothing by: old proofs, costly questions, memory, and names that are not theirs."""

import base64
import contextlib
import hashlib
import hmac
import os
import resource
import select
import shutil
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.kit import wire
from tests.kit.certs import Certificates, Pair
from tests.kit.client import Client, Gone, Refused
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, SYSTEM_USER, GuardedPooler
from tests.kit.impostor import Impostor, Peer, server_context
from tests.kit.tls_client import TlsClient, client_context

KIB, MIB = 2**10, 2**20
NO_USER = "nobody_at_all"

each_tls_version = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLSv1.2", "TLSv1.3"]
)


# TLS sessions of clients


def _ticket(
    pooler: GuardedPooler, context: ssl.SSLContext, password: str | None = PASSWORDS["alice"]
) -> ssl.SSLSession:
    """Of a login that was right; it has been seen to be good for resuming."""
    first, _ = _log_in(pooler, context, None, password)
    second, reused = _log_in(pooler, context, first, password)
    assert reused, "tickets are not used at all"
    return second


def _log_in(
    pooler: GuardedPooler, context: ssl.SSLContext, session: ssl.SSLSession | None, password: str | None
) -> tuple[ssl.SSLSession, bool | None]:
    """The ticket it was given, and whether `session` was resumed."""
    with TlsClient(pooler.address, context, session=session) as client:
        client.start_tls()
        client.log_in(user="alice", database="app", password=password)
        return client.ticket, client.tls.session_reused


def _is_let_in(
    pooler: GuardedPooler, context: ssl.SSLContext, session: ssl.SSLSession | None, password: str | None
) -> bool:
    try:
        _log_in(pooler, context, session, password)
    except (ssl.SSLError, Gone, Refused):
        return False
    return True


@each_tls_version
@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_a_ticket_does_not_stand_in_for_a_certificate(
    guarded: GuardedPooler, certificates: Certificates, version: ssl.TLSVersion, sslmode: str
) -> None:
    guarded.offer_tls("require")
    guarded.run()
    context = client_context(version=version)
    ticket = _ticket(guarded, context, PASSWORDS["alice"])
    guarded.offer_tls(sslmode)
    guarded.reload()
    assert not _is_let_in(guarded, context, ticket, PASSWORDS["alice"])
    own = client_context(pair=certificates.alice, version=version)
    assert _is_let_in(guarded, own, None, PASSWORDS["alice"])


@each_tls_version
def test_a_ticket_does_not_stand_in_for_a_certificate_of_another_authority(
    guarded: GuardedPooler, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    """Method cert: the ticket alone would be the whole login."""
    guarded.use_hba("hostssl all all all cert\n")
    guarded.offer_tls("require", client_tls_ca_file=str(certificates.wrong_ca))
    guarded.run()
    context = client_context(pair=certificates.alice_of_wrong_authority, version=version)
    ticket = _ticket(guarded, context, password=None)
    guarded.offer_tls("require")
    guarded.reload()
    assert not _is_let_in(guarded, context, ticket, None)
    assert _is_let_in(guarded, client_context(pair=certificates.alice, version=version), None, None)


@each_tls_version
def test_channel_binding_with_a_ticket_from_before_a_renewal(
    guarded: GuardedPooler, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    """A client that resumes binds to the certificate it has seen, which is not the one in use any more."""
    files = Pair(guarded.folder / "tls.crt", guarded.folder / "tls.key")
    shutil.copy(certificates.server.key, files.key)
    shutil.copy(certificates.server.certificate, files.certificate)
    guarded.offer_tls("require", files)
    guarded.run()
    context = client_context(version=version)
    ticket = _ticket(guarded, context, PASSWORDS["alice"])
    shutil.copy(certificates.server_renewed.key, files.key)
    shutil.copy(certificates.server_renewed.certificate, files.certificate)
    guarded.reload()
    with TlsClient(guarded.address, context, session=ticket) as client:
        client.start_tls()
        client.send(wire.startup(user="alice", database="app"))
        assert "SCRAM-SHA-256-PLUS" in client.read().mechanisms
        assert client.channel_binding == hashlib.sha256(certificates.server_renewed.der).digest()
        assert client.scram_exchange(PASSWORDS["alice"], ["SCRAM-SHA-256-PLUS"]).shape == "R R"
        assert client.read_until("Z", "E").statuses == "I"


# TLS sessions with servers


class TlsServer:
    """A part for `Impostor`: trusts everybody, answers every query, and counts what was resumed."""

    def __init__(self, pair: Pair, version: ssl.TLSVersion) -> None:
        self.context = server_context(pair)
        self.context.minimum_version = self.context.maximum_version = version
        self.reused: list[bool] = []  # of every handshake that was done
        self.queries = 0
        self._peers: list[Peer] = []

    def __call__(self, peer: Peer) -> None:
        while (packet := peer.read_packet()) == wire.SSL_REQUEST_CODE.to_bytes(4):
            peer.send(b"S")
            peer.start_tls(self.context)
            assert isinstance(peer.socket, ssl.SSLSocket)
            self.reused.append(bool(peer.socket.session_reused))
        assert packet
        self._peers.append(peer)
        peer.log_in()
        while peer.read_message()[0] == b"Q":
            self.queries += 1
            peer.send(wire.message(b"C", b"SELECT 1\0"), wire.message(b"Z", b"I"))

    def hang_up(self) -> None:
        """End every connection."""
        while self._peers:
            with contextlib.suppress(OSError):
                self._peers.pop().socket.shutdown(socket.SHUT_RDWR)


@each_tls_version
@pytest.mark.parametrize("before", ["require", "verify-ca"])
def test_what_an_unverified_server_gave_is_not_used_once_servers_are_verified(
    guarded: GuardedPooler, certificates: Certificates, version: ssl.TLSVersion, before: str
) -> None:
    """Neither its TLS session, whose resumption shows no certificate, nor its connection that waits in the pool."""
    guarded.settings |= {
        "auth_type": "trust",
        "server_tls_sslmode": before,
        "server_tls_ca_file": str(certificates.wrong_ca),
        "server_login_retry": 0.1,
        "query_wait_timeout": 0.5,
    }
    server = TlsServer(certificates.server_of_wrong_authority, version)
    with Impostor(server) as impostor:
        guarded.databases["app"] = {"host": impostor.host, "port": impostor.port}
        guarded.run()
        _ask_twice(guarded, server)
        assert server.reused == [False, True], "sessions are not resumed at all"
        guarded.settings |= {"server_tls_sslmode": "verify-full", "server_tls_ca_file": str(certificates.ca)}
        guarded.reload()
        asked = server.queries
        for _ in range(2):
            assert not _is_served(guarded)
            server.hang_up()
        assert server.queries == asked
        assert True not in server.reused[2:]
        wait_until(lambda: guarded.logged("server_tls_failed"), "the refusal of the server's certificate")


def _ask_twice(pooler: GuardedPooler, server: TlsServer) -> None:
    """On two server connections, one after the other."""
    for _ in range(2):
        assert _is_served(pooler)
        server.hang_up()
        wait_until(lambda: not pooler.admin("SHOW SERVERS"), "the server connection to end")


def _is_served(pooler: GuardedPooler) -> bool:
    with pooler.stranger() as client:
        client.send(wire.startup(user="alice", database="app") + wire.query("SELECT 1"))
        return "C" in client.read_until("C", "E").shape


@pytest.mark.parametrize("sqlstate, tries", [("28P01", [True]), ("28000", [True, False])])
def test_a_wrong_password_is_not_sent_again_without_tls(
    guarded: GuardedPooler, certificates: Certificates, sqlstate: str, tries: list[bool]
) -> None:
    """With server_tls_sslmode = prefer; 28000 is pg_hba.conf's, which may want it without TLS."""
    context = server_context(certificates.server)
    encrypted: list[bool] = []

    def part(peer: Peer) -> None:
        packet = peer.read_packet()
        if packet == wire.SSL_REQUEST_CODE.to_bytes(4):
            peer.send(b"S")
            peer.start_tls(context)
            peer.read_packet()
        encrypted.append(isinstance(peer.socket, ssl.SSLSocket))
        peer.send(wire.authentication(wire.CLEARTEXT_PASSWORD))
        assert peer.read_message() == (b"p", wire.cstring(PASSWORDS["alice"]))
        peer.send(wire.error_response(S="FATAL", V="FATAL", C=sqlstate, M="no"))

    with Impostor(part) as impostor:
        guarded.databases["app"] = {"host": impostor.host, "port": impostor.port}
        guarded.run_with(auth_type="trust", server_tls_sslmode="prefer", server_login_retry=60)
        assert not _is_served(guarded)
        wait_until(lambda: guarded.logged("server_login_failed"), "the refusal in the log")
        assert encrypted == tries
        assert impostor.connections == len(tries)


# Costly questions


def test_finite_fields_are_not_on_offer(guarded: GuardedPooler, certificates: Certificates) -> None:
    """One recorded packet would cost 50 ms of a worker's time, as often as it is sent (CVE-2002-20001)."""
    guarded.offer_tls("require", certificates.server_rsa)
    guarded.run()
    finite = client_context(version=ssl.TLSVersion.TLSv1_3)
    try:
        finite.set_ecdh_curve("ffdhe2048")
    except ssl.SSLError:
        pytest.skip("this Python's ssl can ask for nothing but curves")
    curve = client_context(version=ssl.TLSVersion.TLSv1_3)
    curve.set_ecdh_curve("prime256v1")
    assert _agrees_on_tls(guarded, curve)
    assert not _agrees_on_tls(guarded, finite)
    assert _agrees_on_tls(guarded, _suite("ECDHE-RSA-AES256-GCM-SHA384"))
    assert not _agrees_on_tls(guarded, _suite("DHE-RSA-AES256-GCM-SHA384"))
    # Whoever asks for them by name gets them.
    guarded.settings["client_tls_ecdhcurve"] = "ffdhe2048:X25519"
    guarded.reload()
    assert _agrees_on_tls(guarded, finite)


def _suite(name: str) -> ssl.SSLContext:
    return client_context(version=ssl.TLSVersion.TLSv1_2, ciphers=name)


def _agrees_on_tls(pooler: GuardedPooler, context: ssl.SSLContext) -> bool:
    with TlsClient(pooler.address, context) as client:
        try:
            client.start_tls()
        except (ssl.SSLError, Gone):
            return False
        return True


def test_a_plain_password_is_not_checked_by_a_million_iterations(guarded: GuardedPooler) -> None:
    """Each would cost 0.3 s of a worker's time, in which nobody else is served."""
    guarded.use_hba("host all eve all password\n")
    guarded.users["eve"] = {"password": _scram_secret(1_000_000)}
    guarded.run_with(workers=1)
    before = _cpu_seconds(guarded.pid)
    for _ in range(10):
        with guarded.stranger() as client:
            client.send(wire.startup(user="eve", database="app"))
            assert client.read().authentication == wire.CLEARTEXT_PASSWORD
            client.send(wire.password_message("a guess"))
            assert client.read_to_end().shape == "E"
    assert _cpu_seconds(guarded.pid) - before < 1


def _scram_secret(iterations: int) -> str:
    """Of no password at all."""
    salt, stored, server = (base64.b64encode(os.urandom(size)).decode() for size in (16, 32, 32))
    return f"SCRAM-SHA-256${iterations}:{salt}${stored}:{server}"


def _cpu_seconds(pid: int) -> float:
    """What a process has used of the processors until now."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


# Names


def test_strangers_are_asked_as_known_users_are(guarded: GuardedPooler) -> None:
    """PgBouncer's most usual way: auth_type = md5 and auth_query, with SCRAM secrets at PostgreSQL."""
    guarded.users = {"pgbouncer": guarded.users["pgbouncer"]}
    guarded.run_with(auth_type="md5", auth_user="postgres")
    for user in ("alice", "carol", NO_USER, f"{NO_USER}_{os.getpid()}"):
        with guarded.stranger() as client:
            client.send(wire.startup(user=user, database="app"))
            assert client.read().authentication == wire.SASL, user


def test_the_consoles_own_name_is_worth_nothing_over_tcp(guarded: GuardedPooler) -> None:
    guarded.use_hba()
    (guarded.folder / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    guarded.run()
    with guarded.stranger() as client:
        with pytest.raises(Refused) as refusal:
            client.log_in(user="pgbouncer", database="pgbouncer")
        assert refusal.value.sqlstate == "28000"
    guarded.wait_for_log("console_denied")
    guarded.client().close()  # the line does let people in
    with Client(guarded.socket_path) as own:
        own.log_in(user="pgbouncer", database="pgbouncer")
        assert own.query("SHOW VERSION").errors == []


def test_the_console_is_for_ourselves_by_that_name_alone(guarded: GuardedPooler) -> None:
    guarded.use_hba()
    (guarded.folder / "pg_hba.conf").write_text("local all all trust\n")
    guarded.run()
    with Client(guarded.socket_path) as client, pytest.raises(Refused):
        client.log_in(user=SYSTEM_USER, database="pgbouncer")


# Memory and connections


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as the system lets this process have: shells give 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("needs more open files than this system allows")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Flooder(TlsClient):
    """Sends KeyUpdate messages that ask for an answer, without end, and reads none of them.

    Python's ssl has no call for that: the records are made from the client's secret, as RFC 8446 has it.
    """

    def __init__(self, address: tuple[str, int], keys: Path) -> None:
        context = client_context(version=ssl.TLSVersion.TLSv1_3)
        context.keylog_filename = str(keys)
        super().__init__(address, context)
        self._narrow(address)
        self._keys = keys
        self._records = 0  # sent under the first secret

    def _narrow(self, address: tuple[str, int]) -> None:
        """Take a connection on which the kernel keeps little of what nobody reads."""
        self.socket.close()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self.socket.settimeout(20)
        self.socket.connect(address)

    def raw_send(self, data: bytes) -> None:
        super().raw_send(data)
        while self.is_encrypted and data:
            self._records += 1
            data = data[5 + int.from_bytes(data[3:5]) :]

    def flood(self, most: int) -> int:
        """Until the other side ends it: how many bytes were sent, at most `most`."""
        cipher = self.tls.cipher()
        assert cipher is not None
        assert cipher[0] == "TLS_AES_256_GCM_SHA384"
        updates, sent = self._updates(), 0
        self.socket.settimeout(20)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < most:
                some = b"".join(next(updates) for _ in range(100))
                self.socket.sendall(some)
                sent += len(some)
        return sent

    def _updates(self) -> Iterator[bytes]:
        """Records with one KeyUpdate each, each under the keys that the one before it has brought."""
        (line,) = (line for line in self._keys.read_text().splitlines() if line.startswith("CLIENT_TRAFFIC_SECRET_0"))
        secret, number = bytes.fromhex(line.split()[2]), self._records
        while True:
            key, iv = _expand(secret, b"key", 32), _expand(secret, b"iv", 12)
            nonce = (int.from_bytes(iv) ^ number).to_bytes(12)
            message = b"\x18\0\0\1\1" + b"\x16"  # KeyUpdate, update_requested; a handshake record's type
            head = struct.pack("!BHH", 0x17, 0x0303, len(message) + 16)
            yield head + AESGCM(key).encrypt(nonce, message, head)
            secret, number = _expand(secret, b"traffic upd", 48), 0


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with SHA-384 and no context; one block is enough for all we ask."""
    full = b"tls13 " + label
    info = struct.pack("!HB", size, len(full)) + full + b"\0"
    return hmac.digest(secret, info + b"\1", "sha384")[:size]


@pytest.mark.parametrize("logged_in", [False, True], ids=["before the login", "after it"])
def test_a_flood_of_key_updates(guarded: GuardedPooler, logged_in: bool) -> None:
    guarded.offer_tls("require")
    guarded.run_with(workers=1)
    with guarded.tls_client() as other, Flooder(guarded.address, guarded.folder / "keys") as client:
        client.start_tls()
        if logged_in:
            client.log_in(user="alice", database="app", password=PASSWORDS["alice"])
        before = guarded.resident_bytes
        assert client.flood(8 * MIB) < 8 * MIB, "the flood was not cut off"
        assert guarded.resident_bytes < before + 2 * MIB
        assert other.query("SELECT 1").value == "1"
        client.vanish()


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("startup, most", [(0, 20 * KIB), (9000, 36 * KIB)], ids=["usual", "long startup packet"])
def test_what_strangers_make_howdah_hold(guarded: GuardedPooler, startup: int, most: int) -> None:
    """All but the last byte of nearly the longest password message there may be."""
    count = 1000
    guarded.use_hba("host all all all password\n")
    guarded.run_with(max_client_conn=count, log_connections=False, log_disconnections=False)
    before = guarded.resident_bytes
    with contextlib.ExitStack() as strangers:
        clients = [strangers.enter_context(guarded.stranger()) for _ in range(count)]
        for client in clients:
            client.send(wire.startup(user="alice", database="app", options=" " * startup))
        for client in clients:
            assert client.read().authentication == wire.CLEARTEXT_PASSWORD
            client.send(wire.password_message("x" * 16_000)[:-1])
        wait_until(lambda: not _unread(guarded), "everything to be read")
        assert guarded.resident_bytes - before < count * most


def test_a_password_longer_than_any_is_refused_before_it_has_come(guarded: GuardedPooler) -> None:
    guarded.use_hba("host all all all password\n")
    guarded.run()
    with guarded.stranger() as client:
        client.send(wire.startup(user="alice", database="app"))
        assert client.read().authentication == wire.CLEARTEXT_PASSWORD
        client.send(wire.password_message("x" * 17_000)[:5])
        assert client.read_to_end().shape in ("E", "")


def _unread(pooler: GuardedPooler) -> bool:
    """Whether the kernel holds anything that clients have sent and the pooler has not read."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{pooler.port:04X}") and row[3] == "01" and row[4][9:] != "0" * 8 for row in rows)


@pytest.mark.usefixtures("many_files")
def test_connections_that_say_nothing_are_bounded(guarded: GuardedPooler) -> None:
    guarded.run_with(max_client_conn=10, workers=1, log_disconnections=False)
    silent = 2 * 10 + 1000
    with contextlib.ExitStack() as strangers:
        clients = [strangers.enter_context(guarded.stranger()) for _ in range(silent)]
        wait_until(lambda: guarded.open_files > silent, "all to be accepted")
        for _ in range(5):
            with guarded.stranger() as late:
                assert late.read_to_end().error.sqlstate == "53300"
        poll = select.poll()
        for client in clients:
            poll.register(client.socket, select.POLLIN)
        assert poll.poll(0) == [], "some were sent away to make room"
    wait_until(lambda: guarded.open_files < 100, "them to be gone")
    with guarded.client() as client:
        assert client.query("SELECT 1").value == "1"


def test_console_logins_are_bounded(guarded: GuardedPooler) -> None:
    """An operator gets in when max_client_conn is reached; ten of them, not any number."""
    guarded.run_with(max_client_conn=3)
    with contextlib.ExitStack() as everybody:
        for _ in range(3):
            everybody.enter_context(guarded.client())
        with pytest.raises(Refused) as refusal:
            guarded.client()
        assert refusal.value.sqlstate == "53300"
        for _ in range(10):
            _console(everybody.enter_context(Client(guarded.socket_path)))
        with pytest.raises(Refused) as refusal, Client(guarded.socket_path) as late:
            _console(late)
        assert refusal.value.sqlstate == "53300"
    wait_until(lambda: _is_console_open(guarded), "the console to be free again")


def _console(client: Client) -> None:
    client.log_in(user="pgbouncer", database="pgbouncer")
    assert client.query("SHOW VERSION").errors == []


def _is_console_open(pooler: GuardedPooler) -> bool:
    try:
        with Client(pooler.socket_path) as client:
            _console(client)
    except Refused:
        return False
    return True
