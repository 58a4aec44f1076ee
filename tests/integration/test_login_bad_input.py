"""Broken, oversized, repeated and out-of-order login messages: each is refused, and nobody else notices."""

import base64
import random
import struct
from collections.abc import Iterator

import pytest

from tests.kit import scram, wire
from tests.kit.client import Client, Gone
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler
from tests.kit.fix_pooler import Server
from tests.kit.scram import Scram
from tests.kit.tls_client import TlsClient, client_context
from tests.kit.wire import Message, Replies

PASSWORD = PASSWORDS["alice"]
METHODS = ["by_password", "by_md5", "by_scram"]


@pytest.fixture(autouse=True)
def undisturbed(gate: GuardedPooler) -> Iterator[None]:
    """One client inside a transaction and one under TLS work on as if nothing was."""
    with gate.client(database="by_trust") as busy, gate.tls_client(database="by_scram") as idle:
        busy.begin()
        pid = busy.query("SELECT pg_backend_pid()").value
        yield
        assert busy.query("SELECT pg_backend_pid()").value == pid
        assert busy.query("COMMIT").statuses == "I"
        assert idle.query("SELECT 1").value == "1"


def _asked(client: Client, database: str) -> Message:
    client.send(wire.startup(user="alice", database=database))
    return client.read()


def _refusal(client: Client) -> str:
    """The SQLSTATE of the FATAL error that everything ends with."""
    replies = client.read_to_end()
    error = replies.error
    assert replies[-1] is error
    assert error.fields["S"] == "FATAL"
    return error.sqlstate


def _after_client_first(client: Client) -> tuple[Scram, bytes]:
    """An exchange up to the server's first message."""
    _asked(client, "by_scram")
    exchange = Scram(PASSWORD)
    client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
    return exchange, client.read().body[4:]


FIRST = Scram(PASSWORD, nonce=b"abcdefghijklmnop").first()

CLIENT_FIRSTS = [
    b"", b"n", b"n,", b"n,,", b"n,,n", b"n,,n=", b"n,,n=,", b"n,,n=,r", b"n,,r=abc", b"n,,r=abc,n=",
    b"x,,n=,r=abc", b"N,,n=,r=abc", b"p,,n=,r=abc", b"p=,,n=,r=abc", b",,n=,r=abc", b"n,n=,r=abc", b"n,b=x,n=,r=abc",
    b"n,,n=,r=a\x01c", b"n,,n=,r=a\x7fc", b"n,,n=,r=\xc3\xa4", b"n,,n=,r=a\0c", b"\0", b"\0" * 100, b"n,,n=\0,r=abc",
    b"\xff" * 50, b"n,,N=,r=abc", b"n,,n=,R=abc", b"n,,n=,x=1,r=abc", b"n,,n=,r=abc,x", b",", b",,,,",
]  # fmt: skip


@pytest.mark.parametrize("data", CLIENT_FIRSTS, ids=ascii)
def test_client_first_messages(login_server: Server, data: bytes) -> None:
    with Client(login_server.address) as client:
        _asked(client, "by_scram")
        client.send(wire.sasl_initial(scram.PLAIN, data))
        assert _refusal(client) == "08P01"


def test_every_truncation_of_a_client_first_message(login_server: Server) -> None:
    """Up to its nonce: a shorter nonce is one, too."""
    for length in range(FIRST.index(b"r=") + 2):
        with Client(login_server.address) as client:
            _asked(client, "by_scram")
            client.send(wire.sasl_initial(scram.PLAIN, FIRST[:length]))
            assert _refusal(client) == "08P01", FIRST[:length]


def test_every_truncation_of_a_client_final_message(login_server: Server) -> None:
    with Client(login_server.address) as client:
        exchange, server_first = _after_client_first(client)
        length = len(exchange.final(server_first))
    for cut in range(1, length, 3):
        with Client(login_server.address) as client:
            exchange, server_first = _after_client_first(client)
            client.send(wire.sasl_response(exchange.final(server_first)[:-cut]))
            assert _refusal(client) in {"08P01", "28P01"}, cut


@pytest.mark.parametrize("length", [0, 1, 16, 31, 33, 64, 600])
def test_proofs_of_a_wrong_length(login_server: Server, length: int) -> None:
    with Client(login_server.address) as client:
        exchange, server_first = _after_client_first(client)
        without_proof = exchange.final(server_first).rpartition(b",p=")[0]
        client.send(wire.sasl_response(without_proof + b",p=" + base64.b64encode(bytes(length))))
        assert _refusal(client) == "08P01"


@pytest.mark.parametrize("proof", [bytes(32), b"\xff" * 32], ids=["zeros", "ones"])
def test_proofs_of_the_right_length(login_server: Server, proof: bytes) -> None:
    with Client(login_server.address) as client:
        exchange, server_first = _after_client_first(client)
        without_proof = exchange.final(server_first).rpartition(b",p=")[0]
        client.send(wire.sasl_response(without_proof + b",p=" + base64.b64encode(proof)))
        assert _refusal(client) == "28P01"


def test_each_bit_of_a_proof_counts(login_server: Server) -> None:
    for bit in (0, 7, 100, 255):
        with Client(login_server.address) as client:
            exchange, server_first = _after_client_first(client)
            without_proof, _, proof64 = exchange.final(server_first).rpartition(b",p=")
            proof = bytearray(base64.b64decode(proof64))
            proof[bit // 8] ^= 1 << (bit % 8)
            client.send(wire.sasl_response(without_proof + b",p=" + base64.b64encode(proof)))
            assert _refusal(client) == "28P01"


@pytest.mark.parametrize("nonce", ["shorter", "longer", "other", "ours alone", "none", "reversed", "900 bytes"])
def test_nonces_that_are_not_the_ones_agreed(login_server: Server, nonce: str) -> None:
    with Client(login_server.address) as client:
        exchange, server_first = _after_client_first(client)
        both = scram.attributes(server_first)["r"]
        given = {"shorter": both[:-1], "longer": both + b"x", "other": both[:-1] + b"~", "ours alone": exchange.nonce,
                 "none": b"", "reversed": both[::-1], "900 bytes": b"x" * 900}[nonce]  # fmt: skip
        exchange.final(server_first)
        client.send(wire.sasl_response(exchange.prove(server_first, b"c=biws,r=" + given)))
        assert _refusal(client) == "08P01"


CLIENT_FINALS = [
    "", "c", "c=", "c=biws", "c=biws,", "c=biws,r={r}", "c=biws,r={r},", "c=biws,r={r},p", "c=biws,r={r},p=",
    "r={r},c=biws,p={p}", "c=b!ws,r={r},p={p}", "c=biw,r={r},p={p}", "c=,r={r},p={p}", "c=biws,r={r},p=!!!!",
    "c=biws,r={r},p={p}=", "c=biws,r={r},p={p},x=1", "c=biws,r={r},p={p}\0", "p={p}",
    "c=biws,r={r},p={p}\0\0\0\0", "C=biws,r={r},p={p}", "c=biws,p={p}", "c=eSws,r={r},p={p}", "\0", ",",
    "e=other-error", "v=AAAA", "c=biws,r={r},p= {p}", "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCws,r={r},p={p}",
]  # fmt: skip


@pytest.mark.parametrize("template", CLIENT_FINALS, ids=ascii)
def test_client_final_messages(login_server: Server, template: str) -> None:
    with Client(login_server.address) as client:
        exchange, server_first = _after_client_first(client)
        right = exchange.final(server_first)
        nonce, proof = (scram.attributes(right)[name].decode() for name in "rp")
        client.send(wire.sasl_response(template.format(r=nonce, p=proof).encode()))
        assert _refusal(client) == "08P01"


def test_extensions_in_the_final_message_must_be_proven(login_server: Server) -> None:
    with Client(login_server.address) as client:
        exchange, server_first = _after_client_first(client)
        nonce = scram.attributes(exchange.final(server_first))["r"]
        client.send(wire.sasl_response(exchange.prove(server_first, b"c=biws,r=" + nonce + b",x=1")))
        exchange.check(client.read().body[4:])
        assert client.read().authentication == wire.AUTHENTICATION_OK


def test_a_proof_is_good_once(login_server: Server) -> None:
    """Replayed on a new connection, even with the old client nonce, it does not fit the server's new one."""
    with Client(login_server.address) as client:
        _asked(client, "by_scram")
        exchange = Scram(PASSWORD, nonce=b"the-same-each-time")
        client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
        final = exchange.final(client.read().body[4:])
        client.send(wire.sasl_response(final))
        client.read_until("Z")
    with Client(login_server.address) as client:
        _asked(client, "by_scram")
        client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
        client.read()
        client.send(wire.sasl_response(final))
        assert _refusal(client) == "08P01"


# the messages around it

INITIALS = [
    b"", b"\0", b"SCRAM-SHA-256", b"SCRAM-SHA-256\0", b"SCRAM-SHA-256\0\0", b"SCRAM-SHA-256\0\0\0\0",
    b"SCRAM-SHA-256\0" + struct.pack("!i", 5) + b"n,,",  # longer than there is
    b"SCRAM-SHA-256\0" + struct.pack("!i", 2) + FIRST,  # shorter
    b"SCRAM-SHA-256\0" + struct.pack("!i", -2) + FIRST,
    b"SCRAM-SHA-256\0" + struct.pack("!i", -1) + FIRST,
    b"SCRAM-SHA-256\0" + struct.pack("!i", 0x7FFFFFFF) + FIRST,
    b"SCRAM-SHA-256\0" + struct.pack("!i", -0x80000000) + FIRST,
    b"SCRAM-SHA-256\0" + struct.pack("!I", 0xFFFFFFFF - 3) + FIRST,
    b"SCRAM-SHA-1\0" + struct.pack("!i", len(FIRST)) + FIRST,
    b"SCRAM-SHA-256-PLUS\0" + struct.pack("!i", len(FIRST)) + FIRST,
    b"scram-sha-256\0" + struct.pack("!i", len(FIRST)) + FIRST,
    b"\0" + struct.pack("!i", len(FIRST)) + FIRST,
    b"x" * 900 + b"\0" + struct.pack("!i", len(FIRST)) + FIRST,
    b"\xff\xfe\0" + struct.pack("!i", len(FIRST)) + FIRST,
    PASSWORD.encode() + b"\0",
]  # fmt: skip


@pytest.mark.parametrize("body", INITIALS, ids=lambda body: ascii(body[:40]))
def test_initial_responses(login_server: Server, body: bytes) -> None:
    with Client(login_server.address) as client:
        _asked(client, "by_scram")
        client.send(wire.message(b"p", body))
        assert _refusal(client) == "08P01"


@pytest.mark.parametrize("database", METHODS)
@pytest.mark.parametrize(
    "message",
    [wire.query("SELECT 1"), wire.sync(), wire.parse("SELECT 1"), wire.copy_data(b"x"), wire.message(b"R", bytes(4)),
     wire.message(b"?"), wire.message(b"\0"), wire.startup(user="alice", database="by_trust"), wire.ssl_request(),
     wire.cancel_request(1, b"key.")],
    ids=lambda message: ascii(message[:12]),
)  # fmt: skip
def test_other_messages_instead_of_a_password(login_server: Server, database: str, message: bytes) -> None:
    with Client(login_server.address) as client:
        _asked(client, database)
        client.send(message)
        assert _refusal(client) == "08P01"


def test_other_messages_in_the_middle_of_an_exchange(login_server: Server) -> None:
    for message in (wire.query("SELECT 1"), wire.sync(), wire.message(b"?"), wire.startup(user="alice")):
        with Client(login_server.address) as client:
            _after_client_first(client)
            client.send(message)
            assert _refusal(client) == "08P01"


@pytest.mark.parametrize("database", METHODS)
def test_leaving_instead_of_a_password(login_server: Server, database: str) -> None:
    """A client that has no password hangs up and comes again with one: no error, and nothing to be alarmed at."""
    with Client(login_server.address) as client:
        _asked(client, database)
        client.send(wire.terminate())
        assert not client.read_to_end().rows
    client = Client(login_server.address)
    _asked(client, database)
    client.vanish()


@pytest.mark.parametrize("database", METHODS)
def test_queries_sent_on_before_the_answer(login_server: Server, database: str) -> None:
    """An eager client's query behind the right password is answered after the login, never before."""
    with Client(login_server.address) as client:
        asked = _asked(client, database)
        if asked.authentication == wire.SASL:
            exchange = Scram(PASSWORD)
            client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
            client.send(wire.sasl_response(exchange.final(client.read().body[4:])), wire.query("SELECT 'eager'"))
        else:
            client.send(*_answers(asked), wire.query("SELECT 'eager'"))
        replies = client.read_ready(2)
        assert replies.value == "eager"
        assert replies.shape.endswith("R K Z T D C Z")


def _answers(asked: Message) -> list[bytes]:
    from tests.kit.client import md5_answer

    if asked.authentication == wire.MD5_PASSWORD:
        return [wire.password_message(md5_answer("alice", PASSWORD.encode(), asked.body[4:8]))]
    return [wire.password_message(PASSWORD)]


@pytest.mark.parametrize("database", METHODS)
def test_queries_behind_a_wrong_password_are_not_answered(login_server: Server, database: str) -> None:
    with Client(login_server.address) as client:
        asked = _asked(client, database)
        if asked.authentication == wire.SASL:
            exchange = Scram("wrong")
            client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
            answer = wire.sasl_response(exchange.final(client.read().body[4:]))
        else:
            answer = wire.password_message("wrong")
        client.send(answer, wire.query("SELECT 'never'"), wire.query("SELECT 'never'"))
        assert _last_error(client) == "28P01"


def _last_error(client: Client) -> str:
    """As `_refusal`, where our own bytes left unread may turn the end into a reset that eats the error."""
    replies = Replies()
    while True:
        try:
            replies.append(client.read())
        except Gone:
            break
    assert not replies.rows
    return replies.error.sqlstate if replies.errors else "28P01"


def test_a_second_password_gets_no_second_try(login_server: Server) -> None:
    with Client(login_server.address) as client:
        _asked(client, "by_password")
        client.send(wire.password_message("wrong"), wire.password_message(PASSWORD))
        assert _last_error(client) == "28P01"


def test_a_password_message_after_the_login(gate: GuardedPooler) -> None:
    with gate.client(database="by_scram") as client:
        client.send(wire.password_message(PASSWORD))
        assert _refusal(client) == "08P01"


def test_a_final_message_without_a_first(login_server: Server) -> None:
    with Client(login_server.address) as client:
        _asked(client, "by_scram")
        client.send(wire.sasl_response(b"c=biws,r=abc,p=" + base64.b64encode(bytes(32))))
        assert _refusal(client) == "08P01"


def test_a_first_message_twice(login_server: Server) -> None:
    with Client(login_server.address) as client:
        exchange, _ = _after_client_first(client)
        client.send(wire.sasl_initial(scram.PLAIN, exchange.first()))
        assert _refusal(client) == "08P01"


PASSWORD_MESSAGES = [
    wire.message(b"p"), wire.message(b"p", b"no terminator"), wire.message(b"p", b"\0\0"),
    wire.message(b"p", b"inner\0nul\0"), wire.message(b"p", PASSWORD.encode() + b"\0x"),
    wire.message(b"p", PASSWORD.encode() + b"\0\0"), wire.message(b"p", b"\xff\xfe\xfd\0"), wire.message(b"p", b"\0"),
]  # fmt: skip


@pytest.mark.parametrize("database", ["by_password", "by_md5"])
@pytest.mark.parametrize("message", PASSWORD_MESSAGES, ids=ascii)
def test_password_messages(gate: GuardedPooler, database: str, message: bytes) -> None:
    """Wrong in form or in content: never let in, and told so."""
    with gate.stranger() as client:
        _asked(client, database)
        client.send(message)
        assert _refusal(client) in {"08P01", "28P01"}


@pytest.mark.parametrize("database", METHODS)
@pytest.mark.parametrize("length", [0, 1, 3, -1, -0x80000000, 0x7FFFFFFF, 0x40000000, 100_000_000, 70_000])
def test_password_messages_of_wrong_length(gate: GuardedPooler, database: str, length: int) -> None:
    """Refused at the header: nobody who is not logged in may make us hold that much (PostgreSQL's limit is 65535)."""
    with gate.stranger() as client:
        _asked(client, database)
        client.send(b"p" + struct.pack("!i", length) + b"abc")
        assert _refusal(client) == "08P01"


@pytest.mark.parametrize("length", [1_000, 10_000, 60_000])
def test_long_but_wrong_passwords(login_server: Server, length: int) -> None:
    for database in ("by_password", "by_md5"):
        with Client(login_server.address) as client:
            _asked(client, database)
            client.send(wire.password_message("x" * length))
            assert _last_error(client) in {"28P01", "08P01"}


@pytest.mark.parametrize("length", [2_000, 9_000, 60_000])
def test_long_sasl_messages(gate: GuardedPooler, length: int) -> None:
    with gate.stranger() as client:
        _asked(client, "by_scram")
        client.send(wire.sasl_initial(scram.PLAIN, b"n,,n=,r=" + b"x" * length))
        exchange = _last_error_or_continue(client)
        assert exchange in {"08P01", "continue"}


def _last_error_or_continue(client: Client) -> str:
    reply = client.read()
    return "continue" if reply.authentication == wire.SASL_CONTINUE else reply.sqlstate


# names

NAMES = [
    b"al\xffice", b"\xff\xfe\xfd\xfc", b"\xc0\x80", b"\xed\xa0\x80", b"x" * 63, b"x" * 64, b"x" * 5000, b" ", b"'",
    b'"', b"%s%n", b"\\", b"\x01\x02", b"alice\n", b"alice ", b"Alice", b"../../etc/passwd", b"$(id)",
    b"\xf0\x9f\x90\x98",
]  # fmt: skip


@pytest.mark.parametrize("database", METHODS)
@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_names_of_users(gate: GuardedPooler, database: str, name: bytes) -> None:
    """Bad UTF-8, too long, unusual: an unknown user like any other, and the log stays readable."""
    parameters = wire.cstring("user") + wire.cstring(name) + wire.cstring("database") + wire.cstring(database)
    with gate.stranger() as client:
        client.send(wire.packet(wire.PROTOCOL_3_0.to_bytes(4) + parameters + b"\0"))
        replies = client.prove("x", "wrong")
        assert replies[-1].tag == "E"
        assert replies[-1].sqlstate in {"28P01", "22021"}
    assert gate.events  # each line is still a JSON object


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_names_of_databases(gate: GuardedPooler, name: bytes) -> None:
    parameters = wire.cstring("user") + wire.cstring("alice") + wire.cstring("database") + wire.cstring(name)
    with gate.stranger() as client:
        client.send(wire.packet(wire.PROTOCOL_3_0.to_bytes(4) + parameters + b"\0"))
        replies = client.prove("alice", PASSWORD)
        assert replies[-1].tag == "E"
        assert replies[-1].sqlstate in {"28000", "3D000", "28P01", "22021"}


def test_a_nul_inside_a_name_ends_it(gate: GuardedPooler) -> None:
    """The rest is read as parameters, and an odd number of strings is no startup packet."""
    body = wire.PROTOCOL_3_0.to_bytes(4) + b"user\0alice\0.evil\0database\0by_scram\0\0"
    with gate.stranger() as client:
        client.send(wire.packet(body))
        assert client.read_to_end().error.sqlstate in {"08P01", "22023", "28000", "3D000"}


def test_logins_cut_off_at_each_byte(gate: GuardedPooler) -> None:
    """A client that goes in the middle of its login leaves nothing behind."""
    startup = wire.startup(user="alice", database="by_scram")
    first = wire.sasl_initial(scram.PLAIN, FIRST)
    for cut in range(0, len(first), 5):
        client = gate.stranger()
        client.send(startup)
        client.read()
        client.send(first[:cut])
        client.vanish() if cut % 2 else client.reset()
    others = 3  # the two neighbours and the console
    wait_until(lambda: len(gate.admin("SHOW CLIENTS")) <= others, "those who left to be gone")


def test_a_login_byte_by_byte(login_server: Server) -> None:
    with Client(login_server.address) as client:
        _dribble(client, wire.startup(user="alice", database="by_scram"))
        client.read()
        exchange = Scram(PASSWORD)
        _dribble(client, wire.sasl_initial(scram.PLAIN, exchange.first()))
        _dribble(client, wire.sasl_response(exchange.final(client.read().body[4:])))
        exchange.check(client.read().body[4:])
        assert client.read_until("Z").shape == "R K Z"


def _dribble(client: Client, data: bytes) -> None:
    for byte in data:
        client.send(bytes([byte]))


def test_random_noise_during_logins(guarded: GuardedPooler) -> None:
    """A fixed sample; the fuzzers look deeper."""
    guarded.offer_tls()
    guarded.use_hba()
    for database in METHODS:
        guarded.add_database(database, dbname="app")
    guarded.run()
    dice = random.Random(20_26)
    for number in range(150):
        client = guarded.stranger() if number % 3 else _under_tls(guarded)
        _asked(client, dice.choice(METHODS))
        noise = b"p" + wire.packet(dice.randbytes(dice.randrange(0, 300)))
        client.send(noise if number % 2 else dice.randbytes(dice.randrange(1, 300)))
        client.vanish()
    guarded.client(database="by_scram").close()


def _under_tls(pooler: GuardedPooler) -> TlsClient:
    client = TlsClient(pooler.address, client_context())
    client.start_tls()
    return client
