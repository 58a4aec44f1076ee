"""Behind a load balancer: PROXY headers from those who may send them say where a client is, for everything."""

import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address, ip_address

import pytest

from tests.kit import wire
from tests.kit.client import Client, Refused
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import GuardedPooler
from tests.kit.fix_pooler import alive
from tests.kit.pooler import Pooler, Value
from tests.kit.ports import take_port
from tests.kit.postgres import Postgres
from tests.kit.tls_client import TlsClient, client_context

CLIENT, OTHER, CLIENT_6 = "192.0.2.7", "198.51.100.9", "2001:db8::7"
PORT = 50123
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21


def version_1(client: str = CLIENT, port: int = PORT) -> bytes:
    six = isinstance(ip_address(client), IPv6Address)
    family, here = ("TCP6", "2001:db8::1") if six else ("TCP4", "203.0.113.1")
    return f"PROXY {family} {client} {here} {port} 6432\r\n".encode()


def version_2(client: str = CLIENT, port: int = PORT, command: int = PROXY, more: bytes = b"") -> bytes:
    address = ip_address(client).packed
    family = 0x11 if len(address) == 4 else 0x21
    body = address + bytes(len(address)) + struct.pack("!HH", port, 6432) + more
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


class Behind:
    """A pooler with a port for load balancers."""

    def __init__(self, pooler: Pooler) -> None:
        self.pooler, self.port = pooler, take_port()
        pooler.settings |= {"proxy_protocol_port": self.port, "proxy_protocol_from": ["127.0.0.0/8"]}

    def run_with(self, **settings: Value) -> None:
        self.pooler.run_with(**settings)

    def stranger(self, *first: bytes) -> Client:
        """A connection to the load balancers' port that has sent this."""
        client = Client((self.pooler.host, self.port))
        client.send(*first)
        return client

    def client(self, header: bytes, **parameters: str) -> Client:
        """A logged-in client."""
        client = self.stranger(header)
        client.log_in(wire.PROTOCOL_3_0, user="alice", database="app", **parameters)
        return client

    def check_seen_as(self, *address: object) -> None:
        """Address and port of the only client of a database, by SHOW CLIENTS."""

        def seen() -> list[tuple[object, ...]]:
            rows = self.pooler.admin("SHOW CLIENTS")
            return [(row["addr"], int(row["port"])) for row in rows if row["database"] == "app"]

        wait_until(lambda: seen() == [address], f"SHOW CLIENTS to show {address}")


@pytest.fixture
def behind(pooler: Pooler) -> Behind:
    """To be started by the test."""
    return Behind(pooler)


@pytest.fixture(scope="module")
def _shared_behind(cluster: Postgres) -> Iterator[Behind]:
    behind = Behind(Pooler(cluster))
    with alive(behind.pooler):
        behind.run_with()
        yield behind
        behind.pooler.remove()


@pytest.fixture
def door(_shared_behind: Behind, postgres: Postgres) -> Iterator[Behind]:
    """A running one, for tests that change nothing in it."""
    pooler = _shared_behind.pooler
    pooler.forget_log()
    yield _shared_behind
    pooler.close_sessions()
    assert pooler.is_running, f"the pooler ended during the test:\n{pooler.log_tail}"
    pooler.check_log()


# Who the client is


@pytest.mark.parametrize("version", [version_1, version_2])
@pytest.mark.parametrize("address", [CLIENT, CLIENT_6])
def test_the_header_says_where_the_client_is(door: Behind, version: Callable[[str], bytes], address: str) -> None:
    with door.client(version(address)) as client:
        assert client.query("SELECT 1").value == "1"
        door.check_seen_as(address, PORT)
    assert door.pooler.log_contains(address.replace(".", r"\."))


@pytest.mark.parametrize(
    "header",
    [version_2(command=LOCAL), b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 192.0.2.7 203.0.113.1 5 6\r\n",
     SIGNATURE + bytes([PROXY, 0, 0, 0]), SIGNATURE + bytes([LOCAL, 0, 0, 0])],
    ids=["v2_local", "v1_unknown", "v1_unknown_with_addresses", "v2_unspecified", "v2_local_without_addresses"],
)  # fmt: skip
def test_a_load_balancer_may_speak_for_itself(door: Behind, header: bytes) -> None:
    with door.client(header) as client:
        door.check_seen_as(*client.socket.getsockname()[:2])


@pytest.mark.parametrize("header", [version_1(), version_2(), version_2(more=b"\x04\0\x03abc")])
def test_a_header_may_come_in_pieces(door: Behind, header: bytes) -> None:
    whole = header + wire.startup(user="alice", database="app")
    with door.stranger() as client:
        for at in range(len(whole)):
            client.send(whole[at : at + 1])
        assert not client.read_until("Z", "E").errors
        door.check_seen_as(CLIENT, PORT)


@pytest.mark.parametrize("header", [version_1(), version_2()])
def test_the_first_query_may_come_with_the_header(door: Behind, header: bytes) -> None:
    with door.stranger(header + wire.startup(user="alice", database="app") + wire.query("SELECT 42")) as client:
        client.read_until("Z")
        assert client.read_until("Z").value == "42"


def test_the_other_ports_are_as_ever(door: Behind) -> None:
    with door.pooler.client() as client:
        door.check_seen_as(*client.socket.getsockname()[:2])
    with Client(door.pooler.socket_path) as local:
        local.log_in(user="alice", database="app")
        assert local.query("SELECT 1").value == "1"


@pytest.mark.parametrize("header", [version_1(), version_2()])
def test_a_header_at_another_port_is_not_believed(door: Behind, header: bytes) -> None:
    with door.pooler.stranger() as client:
        client.send(header, wire.startup(user="alice", database="app"))
        replies = client.read_to_end()
    assert "Z" not in replies.shape
    assert not door.pooler.log_contains(r"192\.0\.2\.7")


def test_a_cancel_request_has_a_header_too(door: Behind) -> None:
    with door.client(version_1()) as client:
        client.send(wire.query("SELECT pg_sleep(60)"))
        door.pooler.postgres.wait_for_backends(1, "query LIKE '%pg_sleep%' AND state = 'active'")
        with door.stranger(version_2(OTHER), wire.cancel_request(client.process_id, client.secret_key)) as request:
            request.read_to_end()
        assert client.read_until("Z").error.sqlstate == "57014"


# Who may say so, and how


@pytest.mark.parametrize("header", [version_1(), version_2(), b"GET / HTTP/1.1\r\n\r\n"])
def test_whoever_is_not_in_proxy_protocol_from_gets_no_answer(behind: Behind, header: bytes) -> None:
    behind.run_with(proxy_protocol_from=["192.0.2.0/24", "::1/128"])
    with behind.stranger(header) as client:
        assert client.read_to_end().shape == ""
    behind.pooler.wait_for_log("proxy_denied")
    assert behind.pooler.client().query("SELECT 1").value == "1"


MALFORMED = {
    "no_header": wire.startup(user="alice", database="app"),
    "ssl_request": wire.ssl_request(),
    "tls": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "v1_without_end": b"PROXY TCP4 192.0.2.7 203.0.113.1 5 6" + b" " * 100,
    "v1_line_feed_alone": b"PROXY TCP4 192.0.2.7 203.0.113.1 5 6\n" + b"x" * 100,
    "v1_other_family": b"PROXY TCP5 192.0.2.7 203.0.113.1 5 6\r\n",
    "v1_wrong_family": b"PROXY TCP6 192.0.2.7 203.0.113.1 5 6\r\n",
    "v1_port_too_large": b"PROXY TCP4 192.0.2.7 203.0.113.1 65536 6\r\n",
    "v1_no_ports": b"PROXY TCP4 192.0.2.7 203.0.113.1\r\n",
    "v1_bad_address": b"PROXY TCP4 192.0.2.777 203.0.113.1 5 6\r\n",
    "v1_nul": b"PROXY TCP4 192.0.2.7\0 203.0.113.1 5 6\r\n",
    "v2_version_3": SIGNATURE + bytes([0x31, 0x11, 0, 12]) + bytes(12),
    "v2_command_2": SIGNATURE + bytes([0x22, 0x11, 0, 12]) + bytes(12),
    "v2_udp": SIGNATURE + bytes([PROXY, 0x12, 0, 12]) + bytes(12),
    "v2_too_short": SIGNATURE + bytes([PROXY, 0x11, 0, 11]) + bytes(11),
    "v2_too_long": SIGNATURE + bytes([PROXY, 0x11, 0xFF, 0xFF]) + bytes(2000),
    "v2_field_behind_the_end": version_2(more=b"\x04\0\xffabc"),
    "twice": version_1() + version_1(),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_header_ends_the_connection(door: Behind, what: str) -> None:
    with door.stranger(MALFORMED[what]) as client:
        assert client.read_to_end().shape in ({"", "E"} if what == "twice" else {""})
    if what != "twice":  # the second one is a bad startup packet
        door.pooler.wait_for_log("proxy_header")
    with door.client(version_1()) as client:
        assert client.query("SELECT 1").value == "1"


def test_half_a_header_is_not_waited_for_for_ever(behind: Behind) -> None:
    behind.run_with(client_login_timeout=0.5)
    with behind.stranger(version_2()[:20]) as client:
        client.read_to_end()
    behind.pooler.wait_for_log("client_login_timeout")


def test_leaving_in_the_middle_of_a_header(door: Behind) -> None:
    for header in (version_1(), version_2()):
        for size in (0, 1, 13, len(header) - 1):
            door.stranger(header[:size]).vanish()
    with door.client(version_1()) as client:
        assert client.query("SELECT 1").value == "1"


# What the address counts for


def use_hba(pooler: Pooler, *lines: str) -> None:
    hba = pooler.folder / "pg_hba.conf"
    hba.write_text("\n".join(["local all all trust", "host pgbouncer all 127.0.0.1/32 trust", *lines]) + "\n")
    pooler.settings |= {"auth_type": "hba", "auth_hba_file": str(hba)}


def may_log_in(behind: Behind, header: bytes) -> bool:
    with behind.stranger(header, wire.startup(user="alice", database="app")) as client:
        replies = client.read_until("Z", "E")
    assert not replies.errors or replies.error.sqlstate == "28000"
    return not replies.errors


@pytest.mark.parametrize("version", [version_1, version_2])
def test_access_rules_see_the_clients_address(behind: Behind, version: Callable[[str], bytes]) -> None:
    use_hba(behind.pooler, f"host app all {CLIENT}/32 trust", f"host app all {CLIENT_6}/64 trust")
    behind.run_with()
    assert may_log_in(behind, version(CLIENT))
    assert may_log_in(behind, version(CLIENT_6))
    assert may_log_in(behind, version(f"::ffff:{CLIENT}"))
    assert not may_log_in(behind, version(OTHER))
    assert not may_log_in(behind, version("2001:db8:1::7"))
    assert not may_log_in(behind, version("127.0.0.1"))


def test_a_rule_for_the_load_balancers_address_is_not_for_its_clients(behind: Behind) -> None:
    use_hba(behind.pooler, "host app all 127.0.0.0/8 trust")
    behind.run_with()
    assert not may_log_in(behind, version_1(CLIENT))
    assert may_log_in(behind, version_2(command=LOCAL))
    assert behind.pooler.client().query("SELECT 1").value == "1"


def test_a_client_behind_a_load_balancer_is_never_local(behind: Behind) -> None:
    use_hba(behind.pooler)
    behind.run_with()
    assert not may_log_in(behind, version_1("127.0.0.1"))
    assert not may_log_in(behind, b"PROXY UNKNOWN\r\n")


@pytest.mark.parametrize(
    "header, shown",
    [(version_1(), f"{CLIENT}:{PORT}"), (version_2(CLIENT_6), f"[{CLIENT_6}]:{PORT}")],
    ids=["ipv4", "ipv6"],
)
def test_the_application_name_has_the_clients_address(behind: Behind, header: bytes, shown: str) -> None:
    behind.run_with(application_name_add_host=True)
    with behind.client(header, application_name="shop") as client:
        assert client.query("SHOW application_name").value == f"shop - {shown}"
    with behind.client(header) as nameless:
        assert nameless.query("SHOW application_name").value == f"app - {shown}"


def test_logins_are_counted_by_the_clients_address(behind: Behind) -> None:
    """IPv6 ones by their network of 64 bits."""
    behind.run_with(login_rate_per_address=0.01)
    for address in [CLIENT, OTHER, CLIENT_6, "2001:db8:0:1::7"]:
        behind.client(version_2(address)).close()
    for address in [CLIENT, OTHER, "2001:db8::ffff:8", "2001:db8:0:1::8"]:
        with pytest.raises(Refused, match="login_rate_per_address"):
            behind.client(version_1(address))


def test_an_ipv4_address_in_an_ipv6_one_is_counted_as_itself(behind: Behind) -> None:
    """Some load balancers write all addresses as IPv6; all of IPv4 must not share one network's limit."""
    behind.run_with(login_rate_per_address=0.01)
    behind.client(version_2(f"::ffff:{CLIENT}")).close()
    behind.client(version_2(f"::ffff:{OTHER}")).close()
    with pytest.raises(Refused, match="login_rate_per_address"):
        behind.client(version_1(CLIENT))


def test_a_disconnected_client_is_named_by_its_address(door: Behind) -> None:
    with door.client(version_1()) as client:
        client.vanish()
    [line] = wait_until(lambda: door.pooler.logged("client_eof"), "the log line")
    assert CLIENT in str(line)


# TLS behind the header


def test_tls_begins_behind_the_header(guarded: GuardedPooler) -> None:
    guarded.offer_tls("require")
    behind = Behind(guarded)
    behind.run_with()
    for header in (version_1(), version_2()):
        with TlsClient((guarded.host, behind.port), client_context()) as client:
            client.raw_send(header)
            client.start_tls()
            client.log_in(password=guarded.passwords["alice"], user="alice", database="app")
            assert client.query("SELECT 1").value == "1"
            wait_until(lambda: log_has(guarded, CLIENT), "the client's address in the log")


def log_has(pooler: Pooler, text: str) -> bool:
    return text in pooler.log_text
