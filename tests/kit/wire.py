"""The PostgreSQL protocol as a test writes and reads it; names are those of the protocol's documentation.

Builders take what a message holds and return its bytes.  They check nothing: a test may build nonsense.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

PROTOCOL_3_0 = 0x0003_0000
PROTOCOL_3_2 = 0x0003_0002
CANCEL_REQUEST_CODE = 0x04D2_162E
SSL_REQUEST_CODE = 0x04D2_162F
GSSENC_REQUEST_CODE = 0x04D2_1630

# What an Authentication message (R) asks for or says.
AUTHENTICATION_OK = 0
CLEARTEXT_PASSWORD = 3
MD5_PASSWORD = 5
SASL = 10
SASL_CONTINUE = 11
SASL_FINAL = 12


def cstring(text: str | bytes) -> bytes:
    return (text.encode() if isinstance(text, str) else text) + b"\0"


def packet(body: bytes) -> bytes:
    """A first packet: a length and a body, no type."""
    return struct.pack("!i", len(body) + 4) + body


def message(tag: bytes, body: bytes = b"") -> bytes:
    return tag + packet(body)


def startup(version: int = PROTOCOL_3_0, **parameters: str) -> bytes:
    pairs = b"".join(cstring(name) + cstring(value) for name, value in parameters.items())
    return packet(struct.pack("!i", version) + pairs + b"\0")


def ssl_request() -> bytes:
    return packet(struct.pack("!i", SSL_REQUEST_CODE))


def gssenc_request() -> bytes:
    return packet(struct.pack("!i", GSSENC_REQUEST_CODE))


def cancel_request(process_id: int, secret_key: bytes) -> bytes:
    return packet(struct.pack("!ii", CANCEL_REQUEST_CODE, process_id) + secret_key)


def query(sql: str | bytes) -> bytes:
    return message(b"Q", cstring(sql))


def parse(sql: str, name: str = "", types: Sequence[int] = ()) -> bytes:
    oids = struct.pack(f"!h{len(types)}i", len(types), *types)
    return message(b"P", cstring(name) + cstring(sql) + oids)


def bind(
    *values: str | None, portal: str = "", statement: str = "", formats: Sequence[int] = (), given: Sequence[int] = ()
) -> bytes:
    """Text results unless `formats` says otherwise (1: binary); text parameters unless `given` says otherwise."""
    texts = [None if value is None else value.encode() for value in values]
    fields = b"".join(struct.pack("!i", -1) if t is None else struct.pack("!i", len(t)) + t for t in texts)
    head = cstring(portal) + cstring(statement) + _codes(given) + struct.pack("!h", len(texts))
    return message(b"B", head + fields + _codes(formats))


def _codes(formats: Sequence[int]) -> bytes:
    return struct.pack(f"!h{len(formats)}h", len(formats), *formats)


def describe_statement(name: str = "") -> bytes:
    return message(b"D", b"S" + cstring(name))


def describe_portal(name: str = "") -> bytes:
    return message(b"D", b"P" + cstring(name))


def execute(portal: str = "", limit: int = 0) -> bytes:
    return message(b"E", cstring(portal) + struct.pack("!i", limit))


def close_statement(name: str = "") -> bytes:
    return message(b"C", b"S" + cstring(name))


def close_portal(name: str = "") -> bytes:
    return message(b"C", b"P" + cstring(name))


def sync() -> bytes:
    return message(b"S")


def flush() -> bytes:
    return message(b"H")


def copy_data(data: bytes) -> bytes:
    return message(b"d", data)


def copy_done() -> bytes:
    return message(b"c")


def copy_fail(why: str) -> bytes:
    return message(b"f", cstring(why))


def function_call(oid: int, *arguments: bytes) -> bytes:
    """Binary arguments, binary result."""
    values = b"".join(struct.pack("!i", len(value)) + value for value in arguments)
    return message(b"F", struct.pack("!ihhh", oid, 1, 1, len(arguments)) + values + struct.pack("!h", 1))


def password_message(password: str | bytes) -> bytes:
    return message(b"p", cstring(password))


def sasl_initial(mechanism: str, data: bytes | None) -> bytes:
    """SASLInitialResponse; None for no initial response at all."""
    body = struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
    return message(b"p", cstring(mechanism) + body)


def sasl_response(data: bytes) -> bytes:
    return message(b"p", data)


def authentication(code: int, data: bytes = b"") -> bytes:
    """A server's Authentication message."""
    return message(b"R", struct.pack("!i", code) + data)


def error_response(**fields: str) -> bytes:
    """A server's ErrorResponse with these fields by code: ``error_response(S="FATAL", C="28P01", M="no")``."""
    return message(b"E", b"".join(code.encode() + cstring(text) for code, text in fields.items()) + b"\0")


def terminate() -> bytes:
    return message(b"X")


def extended(sql: str, *values: str | None) -> bytes:
    """The usual run of unnamed messages, without the Sync."""
    return parse(sql) + bind(*values) + describe_portal() + execute()


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the server; the properties read it as the type they are named for."""

    tag: str
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """ErrorResponse and NoticeResponse: field code to text."""
        parts = self.body.split(b"\0")
        return {chr(part[0]): part[1:].decode(errors="replace") for part in parts if part}

    @property
    def authentication(self) -> int | None:
        """The code of an Authentication message; nothing of any other."""
        if self.tag != "R":
            return None
        (code,) = struct.unpack_from("!i", self.body)
        return int(code)

    @property
    def mechanisms(self) -> list[str]:
        """What AuthenticationSASL offers."""
        return [name.decode() for name in self.body[4:].split(b"\0") if name]

    @property
    def sqlstate(self) -> str:
        return self.fields["C"]

    @property
    def text(self) -> str:
        """CommandComplete's tag."""
        return self.body.rstrip(b"\0").decode()

    @property
    def status(self) -> str:
        """ReadyForQuery: I, T or E."""
        return self.body.decode()

    @property
    def setting(self) -> tuple[str, str]:
        """ParameterStatus: name and value."""
        name, value = self.body.split(b"\0")[:2]
        return name.decode(), value.decode()

    @property
    def row(self) -> tuple[str | None, ...]:
        """DataRow in text format."""
        (count,) = struct.unpack_from("!h", self.body)
        at, values = 2, list[str | None]()
        for _ in range(count):
            (length,) = struct.unpack_from("!i", self.body, at)
            at += 4
            values.append(None if length < 0 else self.body[at : at + length].decode())
            at += max(length, 0)
        return tuple(values)

    @property
    def notification(self) -> tuple[int, str, str]:
        """NotificationResponse: process id, channel, payload."""
        (process_id,) = struct.unpack_from("!i", self.body)
        channel, payload = self.body[4:].split(b"\0")[:2]
        return process_id, channel.decode(), payload.decode()


class Replies(list[Message]):
    """Messages in the order they came."""

    @property
    def shape(self) -> str:
        """The types, for example "T D C Z"; ParameterStatus and NoticeResponse, which may come any time, left out."""
        return " ".join(reply.tag for reply in self if reply.tag not in "SN")

    @property
    def rows(self) -> list[tuple[str | None, ...]]:
        return [reply.row for reply in self if reply.tag == "D"]

    @property
    def value(self) -> str | None:
        """The only column of the only row."""
        ((value,),) = self.rows
        return value

    @property
    def errors(self) -> list[Message]:
        return [reply for reply in self if reply.tag == "E"]

    @property
    def error(self) -> Message:
        """The only ErrorResponse."""
        (error,) = self.errors
        return error

    @property
    def notices(self) -> list[Message]:
        return [reply for reply in self if reply.tag == "N"]

    @property
    def command_tags(self) -> list[str]:
        return [reply.text for reply in self if reply.tag == "C"]

    @property
    def settings(self) -> dict[str, str]:
        return dict(reply.setting for reply in self if reply.tag == "S")

    @property
    def statuses(self) -> str:
        """Of each ReadyForQuery, in order: "IITI"."""
        return "".join(reply.status for reply in self if reply.tag == "Z")
