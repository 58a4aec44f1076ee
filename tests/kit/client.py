"""A client that speaks the wire protocol by hand: any bytes out, whole messages in."""

import hashlib
import socket
import struct
import time
from types import TracebackType
from typing import Self

from tests.kit import scram, wire
from tests.kit.deadline import PATIENCE
from tests.kit.readiness import readable
from tests.kit.wire import Message, Replies

#: Every client there is, for `close_all`: a failing test leaves its clients behind.
_open: list["Client"] = []

#: What a client waits for one message unless the test says otherwise, in seconds.
READ_WITHIN = 20.0


class Client:
    """One connection.  Not logged in until `log_in`, so that a test may send what it likes first."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        """`address` is a host and port, or the path of a Unix socket."""
        self.socket = _connect(address)
        _open.append(self)
        self.address = address
        self.settings: dict[str, str] = {}
        self.process_id = 0
        self.secret_key = b""
        self._unread = bytearray()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # out

    def send(self, *messages: bytes) -> None:
        self.socket.sendall(b"".join(messages))

    def close(self) -> None:
        """Say goodbye where the other side still listens, and go."""
        try:
            self.socket.setblocking(False)
            self.socket.sendall(wire.terminate())
        except OSError:
            pass  # it has gone first, takes nothing or is closed, all of which tests want
        self.socket.close()

    def vanish(self) -> None:
        """Go without a word."""
        self.socket.close()

    def reset(self) -> None:
        """Go with a TCP reset, as a crashed machine's kernel does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def log_in(
        self, version: int = wire.PROTOCOL_3_0, *, password: str | bytes | None = None, **parameters: str
    ) -> Replies:
        """Send the startup packet and read up to the first ReadyForQuery; an error is raised as `Refused`."""
        self.send(wire.startup(version, **parameters))
        replies = self.prove(parameters.get("user", ""), password)
        if replies[-1].tag == "E":
            raise Refused(replies[-1])
        self.settings = replies.settings
        for reply in replies:
            if reply.tag == "K":
                self.process_id = struct.unpack_from("!i", reply.body)[0]
                self.secret_key = reply.body[4:]
        return replies

    def prove(self, user: str, password: str | bytes | None) -> Replies:
        """Answer what is asked after the startup packet, up to ReadyForQuery or an error: all that came."""
        replies = Replies()
        while True:
            replies.extend(self.read_until("R", "Z", "E"))
            asked = replies[-1]
            if asked.tag in "ZE":
                return replies
            if asked.tag == "R" and asked.authentication:
                assert password is not None, f"a password is asked for ({asked.body!r}), and the test gave none"
                replies.extend(self._answer(asked, user, password.encode() if isinstance(password, str) else password))
                if replies[-1].tag == "E":
                    return replies

    def _answer(self, asked: Message, user: str, password: bytes) -> Replies:
        """Answer one request; what came on top of it."""
        if asked.authentication == wire.CLEARTEXT_PASSWORD:
            self.send(wire.password_message(password))
        elif asked.authentication == wire.MD5_PASSWORD:
            self.send(wire.password_message(md5_answer(user, password, asked.body[4:8])))
        else:
            assert asked.authentication == wire.SASL, f"no way to answer {asked!r}"
            return self.scram_exchange(password, asked.mechanisms)
        return Replies()

    def scram_exchange(self, password: str | bytes, mechanisms: list[str]) -> Replies:
        """The strongest SCRAM there is on offer, as libpq does it; the server's final proof is checked."""
        password = scram.prepared(password)
        if scram.PLUS in mechanisms and self.channel_binding:
            exchange, mechanism = scram.Scram.bound(password, self.channel_binding), scram.PLUS
        else:
            header = b"y,," if self.channel_binding else b"n,,"
            exchange, mechanism = scram.Scram(password, header), scram.PLAIN
        self.send(wire.sasl_initial(mechanism, exchange.first()))
        replies = self.read_until("R", "E")
        if replies[-1].authentication != wire.SASL_CONTINUE:
            return replies
        self.send(wire.sasl_response(exchange.final(replies[-1].body[4:])))
        replies += self.read_until("R", "E")
        if replies[-1].authentication == wire.SASL_FINAL:
            exchange.check(replies[-1].body[4:])
        return replies

    @property
    def channel_binding(self) -> bytes | None:
        """What SCRAM can be bound to; nothing without TLS."""
        return None

    def refusal(self, **parameters: str) -> Message:
        """The error that a login ends with, or the first query after it where the server is asked only then."""
        self.send(wire.startup(wire.PROTOCOL_3_0, **parameters))
        replies = self.read_until("Z", "E")
        if not replies.errors:
            self.send(wire.query("SELECT 1"))
            replies = self.read_until("Z", "E")
        return replies.error

    def ask(self, *messages: bytes, within: float = READ_WITHIN) -> Replies:
        """Send and read up to the next ReadyForQuery."""
        self.send(*messages)
        return self.read_until("Z", within=within)

    def query(self, sql: str, within: float = READ_WITHIN) -> Replies:
        return self.ask(wire.query(sql), within=within)

    def begin(self) -> Replies:
        """Open a transaction that holds a server; a pooler puts off a BEGIN alone until there is something to do."""
        return self.query("BEGIN; SELECT 1")

    def query_to_end(self, sql: str, within: float = READ_WITHIN) -> Replies:
        """A query that ends with the end of the connection."""
        self.send(wire.query(sql))
        return self.read_to_end(within)

    def cancel(self) -> None:
        """Ask for this session's running query to be cancelled; returns when the server has closed the request."""
        with Client(self.address) as request:
            request.send(wire.cancel_request(self.process_id, self.secret_key))
            request.read_to_end()

    # in

    def read(self, within: float = READ_WITHIN) -> Message:
        """The next whole message."""
        deadline = time.monotonic() + within * PATIENCE
        self._fill(5, deadline)
        (length,) = struct.unpack_from("!i", self._unread, 1)
        self._fill(1 + length, deadline)
        tag, body = chr(self._unread[0]), bytes(self._unread[5 : 1 + length])
        del self._unread[: 1 + length]
        return Message(tag, body)

    def read_until(self, *tags: str, within: float = READ_WITHIN) -> Replies:
        """All messages up to the first of one of the types."""
        replies = Replies()
        while not replies or replies[-1].tag not in tags:
            replies.append(self.read(within))
        return replies

    def read_ready(self, times: int, within: float = READ_WITHIN) -> Replies:
        """All messages up to the given number of ReadyForQuery."""
        replies = Replies()
        for _ in range(times):
            replies.extend(self.read_until("Z", within=within))
        return replies

    def read_to_end(self, within: float = READ_WITHIN) -> Replies:
        """All messages up to the end of the connection, which must come at a message's end."""
        replies, piece = self.read_to_cut(within)
        assert not piece, f"the connection ended inside a message: {piece!r}"
        return replies

    def read_to_cut(self, within: float = READ_WITHIN) -> tuple[Replies, bytes]:
        """All whole messages up to the end of the connection, and the piece of one that came last."""
        replies = Replies()
        while True:
            try:
                replies.append(self.read(within))
            except Gone:
                return replies, bytes(self._unread)

    def read_bytes(self, count: int, within: float = READ_WITHIN) -> bytes:
        """Exactly `count` bytes, whatever they are."""
        self._fill(count, time.monotonic() + within * PATIENCE)
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    def has_input(self) -> bool:
        """Whether something has come, or the end has; does not wait."""
        return bool(self._unread) or readable(self.socket)

    @property
    def is_gone(self) -> bool:
        """Whether the other side has ended the connection and everything it sent was read; does not wait."""
        return not self._unread and self._ended

    def _fill(self, count: int, deadline: float) -> None:
        while len(self._unread) < count:
            got = self._receive(max(65536, count - len(self._unread)), deadline)
            if not got:
                self._ended = True
                raise Gone("the other side has closed the connection")
            self._unread += got

    def _receive(self, size: int, deadline: float) -> bytes:
        """Some bytes, or none at the end."""
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            return self.socket.recv(size)
        except TimeoutError:
            raise AssertionError(f"no answer in time; unread so far: {bytes(self._unread[:200])!r}") from None
        except (ConnectionResetError, BrokenPipeError):
            return b""


def md5_answer(user: str, password: bytes, salt: bytes) -> bytes:
    """What AuthenticationMD5Password is answered with."""
    inner = hashlib.md5(password + user.encode()).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()


def _connect(address: tuple[str, int] | str) -> socket.socket:
    if not isinstance(address, str):
        connected = socket.create_connection(address, READ_WITHIN * PATIENCE)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(READ_WITHIN * PATIENCE)
    try:
        connected.connect(address)
    except OSError:
        connected.close()
        raise
    return connected


def close_all(*addresses: tuple[str, int] | str) -> None:
    """Close what a test has left open, to these addresses or to any."""
    for client in _open.copy():
        if not addresses or client.address in addresses:
            client.socket.close()
            _open.remove(client)


class Gone(Exception):
    """The other side has closed the connection."""


class Refused(Exception):
    """The login ended with an ErrorResponse."""

    def __init__(self, error: Message) -> None:
        super().__init__(f"{error.sqlstate}: {error.fields.get('M')}")
        self.error = error
        self.sqlstate = error.sqlstate
