"""What strangers and broken clients send: each gets its error and one line in the log, and disturbs nobody."""

import random
from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.wire import Replies

LOGIN = wire.startup(user="alice", database="app")
VERSION_3 = wire.PROTOCOL_3_0.to_bytes(4)


@pytest.fixture(autouse=True)
def undisturbed(howdah: Pooler) -> Iterator[None]:
    """Two others, one inside a transaction, work on as if nothing was."""
    with howdah.client() as busy, howdah.client() as idle:
        busy.begin()
        pid = busy.query("SELECT pg_backend_pid()").value
        yield
        assert busy.query("SELECT pg_backend_pid()").value == pid
        assert busy.query("COMMIT").statuses == "I"
        assert idle.query("SELECT 1").value == "1"


def fatal(replies: Replies) -> str:
    """The SQLSTATE of the last message, which must be a FATAL ErrorResponse with a text."""
    assert replies[-1].tag == "E", replies
    assert (replies[-1].fields["S"], replies[-1].fields["V"]) == ("FATAL", "FATAL")
    assert replies[-1].fields["M"]
    return replies[-1].sqlstate


@pytest.mark.parametrize(
    "packet, sqlstate, reason",
    [
        ((0).to_bytes(4), "08P01", "startup_too_short"),
        ((3).to_bytes(4) + b"abc", "08P01", "startup_too_short"),
        ((7).to_bytes(4) + b"abc", "08P01", "startup_too_short"),
        ((10_001).to_bytes(4) + VERSION_3, "08P01", "startup_too_long"),
        (b"\x7f\xff\xff\xff" + VERSION_3, "08P01", "startup_too_long"),
        (b"\xff\xff\xff\xff" + VERSION_3, "08P01", "startup_too_short"),  # a signed number, as PostgreSQL reads it
        (wire.packet(VERSION_3), "08P01", "startup_malformed"),
        (wire.packet(VERSION_3 + b"user\0alice"), "08P01", "startup_malformed"),
        (wire.packet(VERSION_3 + b"user\0alice\0"), "08P01", "startup_malformed"),
        (wire.packet(VERSION_3 + b"user\0alice\0\0more"), "08P01", "startup_malformed"),
        (wire.packet(VERSION_3 + b"user\0alice\0\0more\0"), "08P01", "startup_malformed"),
        (wire.packet(VERSION_3 + b"\0"), "28000", "startup_no_user"),
        (wire.packet(VERSION_3 + b"user\0\0\0"), "28000", "startup_no_user"),
        (wire.packet(VERSION_3 + b"database\0app\0\0"), "28000", "startup_no_user"),
        (wire.packet((0x0002_0000).to_bytes(4) + b"user\0alice\0\0"), "0A000", "protocol_version"),
        (wire.packet((0x0004_0000).to_bytes(4) + b"user\0alice\0\0"), "0A000", "protocol_version"),
        (wire.packet((0).to_bytes(4) + b"user\0alice\0\0"), "0A000", "protocol_version"),
        (wire.packet((0x04D2_0001).to_bytes(4) + b"user\0alice\0\0"), "0A000", "protocol_version"),
        (wire.startup(user="alice", database="nowhere"), "3D000", "no_such_database"),
        (wire.startup(user="alice", database="app", replication="maybe"), "22023", "replication_value"),
        (wire.startup(user="alice", database="pgbouncer", replication="true"), "0A000", "console_replication"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "08P01", "startup_too_long"),
    ],
)  # fmt: skip
def test_first_packets(howdah: Pooler, packet: bytes, sqlstate: str, reason: str) -> None:
    with howdah.stranger() as stranger:
        stranger.send(packet)
        assert fatal(stranger.read_to_end()) == sqlstate
    howdah.wait_for_log(reason)


def test_a_tls_handshake_where_tls_is_off(howdah: Pooler) -> None:
    """Direct TLS: there is no answer in the clear that such a client could read."""
    with howdah.stranger() as stranger:
        stranger.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert not stranger.read_to_end()
    howdah.wait_for_log("tls_not_offered")


@pytest.mark.parametrize(
    "message, sqlstate, reason",
    [
        (b"Q" + (3).to_bytes(4), "08P01", "message_length"),
        (b"Q" + (0).to_bytes(4), "08P01", "message_length"),
        (b"Q\xff\xff\xff\xff", "08P01", "message_length"),
        (b"P\x80\x00\x00\x00", "08P01", "message_length"),
        (wire.message(b"?", b"what"), "08P01", "message_type"),
        (wire.message(b"\0", b""), "08P01", "message_type"),
        (wire.message(b"\xff", b"x" * 100), "08P01", "message_type"),
        (wire.message(b"p", b"secret\0"), "08P01", "message_type"),
        (wire.message(b"R", b"\0\0\0\0"), "08P01", "message_type"),
        (wire.message(b"Z", b"I"), "08P01", "message_type"),
        (LOGIN, "08P01", "message_type"),
    ],
)
def test_messages_after_login(howdah: Pooler, message: bytes, sqlstate: str, reason: str) -> None:
    with howdah.client() as client:
        client.query("SELECT 1")
        client.send(message)
        assert fatal(client.read_to_end()) == sqlstate
    howdah.wait_for_log(reason)


@pytest.mark.parametrize("state", ["BEGIN; SELECT 1", "BEGIN; SELECT 1/0"])
def test_nonsense_inside_a_transaction_gives_the_server_back(howdah: Pooler, state: str) -> None:
    with howdah.client() as client:
        client.query(state)
        client.send(wire.message(b"?"))
        assert fatal(client.read_to_end()) == "08P01"
    howdah.wait_for_log("message_type")
    howdah.wait_for_pool(sv_active=1)  # the neighbour's


def test_nonsense_behind_a_query_that_runs(howdah: Pooler) -> None:
    with howdah.client() as client:
        client.send(wire.query("SELECT pg_sleep(30)"), wire.message(b"?"))
        assert fatal(client.read_to_end()) == "08P01"
    howdah.wait_for_log("message_type")
    howdah.wait_for_pool(sv_active=1)  # the neighbour's


def test_nonsense_during_copy_in(howdah: Pooler) -> None:
    with howdah.client() as client:
        client.query("BEGIN; CREATE TEMP TABLE t (n int) ON COMMIT DROP")
        client.send(wire.query("COPY t FROM STDIN"))
        assert client.read().tag == "G"
        client.send(wire.message(b"?"))
        assert fatal(client.read_to_end()) == "08P01"
    howdah.wait_for_pool(sv_active=1)  # the neighbour's


@pytest.mark.parametrize("noise", [wire.copy_data(b"x"), wire.copy_done(), wire.copy_fail("no")], ids=["d", "c", "f"])
def test_copy_messages_outside_copy_are_ignored_as_postgresql_does(howdah: Pooler, noise: bytes) -> None:
    with howdah.client() as client:
        client.send(noise, noise)
        assert client.query("SELECT 1").shape == "T D C Z"
        client.begin()
        client.send(noise)
        assert client.query("COMMIT").statuses == "I"


@pytest.mark.parametrize(
    "message",
    [
        wire.message(b"B", b"xx"), wire.message(b"P", b"x\0"), wire.message(b"P", b"x\0y\0"), wire.message(b"E", b"x"),
        wire.message(b"D", b"Zx\0"), wire.message(b"D", b""), wire.message(b"C", b"Sx"), wire.message(b"F", b""),
        wire.message(b"Q", b""), wire.message(b"Q", b"SELECT 1"), wire.message(b"S", b"x"), wire.message(b"H", b"x"),
        wire.message(b"B", b"\0\0\0\0\xff\xff\0\0"), wire.message(b"P", b"\0\0\xff\xff"),
    ],
    ids=repr,
)  # fmt: skip
def test_messages_with_wrong_contents_are_errors(howdah: Pooler, message: bytes) -> None:
    """PostgreSQL answers with ERROR or FATAL 08P01 and stays in step; either is right, silence or disorder is not."""
    with howdah.client() as client:
        client.ask(wire.parse("SELECT 1"), wire.bind(), wire.sync())
        client.send(message, wire.sync())
        error = client.read_until("Z", "E").error
        assert error.sqlstate == "08P01"
        if error.fields["S"] == "ERROR":
            client.send(wire.query("SELECT 'in step'"))
            assert client.read_until("D").value == "in step"


def test_a_message_above_max_packet_size(pooler: Pooler) -> None:
    pooler.run_with(max_packet_size=100_000)
    with pooler.client() as client, pooler.client() as other:
        assert client.query(f"SELECT length('{'x' * 90_000}')").value == "90000"
        client.send(b"Q" + (100_001).to_bytes(4))
        assert fatal(client.read_to_end()) == "08P01"
        assert other.query("SELECT 1").value == "1"
    pooler.wait_for_log("message_too_large")


def test_one_byte_at_a_time_is_slow_but_right(howdah: Pooler) -> None:
    with howdah.stranger() as client:
        for byte in wire.ssl_request():
            client.send(bytes([byte]))
        assert client.read_bytes(1) == b"N"
        for byte in LOGIN + wire.query("SELECT 1"):
            client.send(bytes([byte]))
        assert client.read_ready(2).value == "1"


@pytest.mark.parametrize("sent", [b"", b"\0\0", LOGIN[:10], wire.ssl_request()], ids=["0", "2", "10", "ssl"])
def test_a_stranger_who_leaves_in_the_middle(howdah: Pooler, sent: bytes) -> None:
    stranger = howdah.stranger()
    stranger.send(sent)
    if sent == wire.ssl_request():
        assert stranger.read_bytes(1) == b"N"  # left unread it would make the end a reset
    stranger.vanish()
    howdah.wait_for_log("client_eof")


def test_a_client_that_half_closes_gets_its_answers(howdah: Pooler) -> None:
    with howdah.client() as client:
        client.send(wire.query("SELECT 'still here'"), wire.terminate())
        client.socket.shutdown(1)
        assert client.read_until("Z").value == "still here"


def test_random_noise(pooler: Pooler) -> None:
    """A fixed sample of what a port scanner sends; the fuzzers look deeper.

    Not at the shared pooler: so many lines make its log hold back those that the next test waits for.
    """
    pooler.run()
    dice = random.Random(20_26)
    for _ in range(200):
        stranger = Client(pooler.address)
        stranger.send(dice.randbytes(dice.randrange(1, 200)))
        stranger.reset()
    for _ in range(50):
        with pooler.client() as client:
            client.send(dice.choice(b"BCDEFHPQSXcdf").to_bytes(1) + dice.randbytes(dice.randrange(4, 60)))
            client.vanish()
