"""A wire client that goes over to TLS when the test says so, and shows what became of it.

The TLS session lives in memory and the socket below it stays in the test's hands: `raw_send` puts any bytes between
its records, `pending_records` are whole records to be cut, torn or delayed.
"""

import hashlib
import ssl
import time
from pathlib import Path

from tests.kit import wire
from tests.kit.certs import Pair
from tests.kit.client import READ_WITHIN, Client, Gone
from tests.kit.deadline import PATIENCE

ALPN = "postgresql"


def client_context(
    ca: Path | None = None,
    pair: Pair | None = None,
    *,
    alpn: str = ALPN,
    version: ssl.TLSVersion | None = None,
    ciphers: str = "",
) -> ssl.SSLContext:
    """What a client accepts and shows.  Without `ca` it trusts anybody; with it, host names are left unchecked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    if pair:
        context.load_cert_chain(pair.certificate, pair.key)
    if alpn:
        context.set_alpn_protocols([alpn])
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


class TlsClient(Client):
    """Plain until `start_tls` or `shake_hands`.  TLS errors are `ssl.SSLError`; the other side's alerts among them."""

    def __init__(
        self,
        address: tuple[str, int] | str,
        context: ssl.SSLContext | None = None,
        *,
        server_name: str = "",
        session: ssl.SSLSession | None = None,
    ) -> None:
        super().__init__(address)
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(
            self._arrived, self._leaving, server_hostname=server_name or None, session=session
        )
        self.is_encrypted = False
        self.bytes_at_once = 0  # how the socket gets what is sent: 1 for byte by byte, 0 for all at once

    # going over to TLS

    def ask_for_tls(self) -> bytes:
        """Send SSLRequest; the answer, b"S" or b"N"."""
        self.raw_send(wire.ssl_request())
        return self.read_bytes(1)

    def start_tls(self) -> None:
        """SSLRequest and handshake."""
        answer = self.ask_for_tls()
        assert answer == b"S", f"TLS was declined: {answer!r}"
        self.shake_hands()

    def shake_hands(self, within: float = READ_WITHIN) -> None:
        """The handshake alone: what direct TLS begins with."""
        deadline = time.monotonic() + within * PATIENCE
        while not self._shake():
            self.flush()
            self._take_in(deadline)
        self.flush()
        self.is_encrypted = True

    def hello(self) -> bytes:
        """The handshake's first message (ClientHello), not sent."""
        assert not self._shake()
        return self._leaving.read()

    def _shake(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            self.flush()  # our alert goes out
            raise
        return True

    # what became of it

    @property
    def channel_binding(self) -> bytes | None:
        """tls-server-end-point: the hash of the server's certificate; all of the tests' are signed with SHA-256."""
        certificate = self.tls.getpeercert(binary_form=True) if self.is_encrypted else None
        return hashlib.sha256(certificate).digest() if certificate else None

    @property
    def server_certificate(self) -> bytes | None:
        """As DER."""
        return self.tls.getpeercert(binary_form=True)

    @property
    def ticket(self) -> ssl.SSLSession:
        """What the next connection may resume with; TLS 1.3 has it only after something was read."""
        session = self.tls.session
        assert session is not None, "there is no TLS session yet"
        return session

    # below the records

    def raw_send(self, data: bytes) -> None:
        """Past TLS, straight to the socket."""
        step = self.bytes_at_once or len(data) or 1
        for start in range(0, len(data), step):
            self.socket.sendall(data[start : start + step])

    def pending_records(self, *messages: bytes) -> bytes:
        """The records that would carry these messages; the test sends them as it likes."""
        self.tls.write(b"".join(messages))
        return self._leaving.read()

    def flush(self) -> None:
        if self._leaving.pending:
            self.raw_send(self._leaving.read())

    def say_goodbye_in_tls(self) -> None:
        """close_notify without a Terminate, leaving the socket open."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass  # the other side's comes later
        self.flush()

    # Client's own ways

    def send(self, *messages: bytes) -> None:
        if not self.is_encrypted:
            return super().send(*messages)
        return self.raw_send(self.pending_records(*messages))

    def close(self) -> None:
        if self.is_encrypted:
            try:
                self.socket.setblocking(False)
                self.raw_send(self.pending_records(wire.terminate()))
            except OSError:
                pass  # as in Client.close; ssl.SSLError is one
            self.socket.close()
            return
        super().close()

    def has_input(self) -> bool:
        return bool(self.tls.pending()) or super().has_input()

    def _receive(self, size: int, deadline: float) -> bytes:
        if not self.is_encrypted:
            return super()._receive(size, deadline)
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                self._take_in(deadline)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            finally:
                if self.socket.fileno() >= 0:
                    self.flush()

    def _take_in(self, deadline: float) -> None:
        """Wait for bytes and hand them to TLS; the end of the connection before a handshake's end is `Gone`."""
        got = super()._receive(65536, deadline)
        if got:
            self._arrived.write(got)
        elif self.is_encrypted:
            self._arrived.write_eof()
        else:
            raise Gone("the connection ended during the TLS handshake")
