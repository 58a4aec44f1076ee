"""Logins and TLS when the network fails, servers die and readers are slow."""

import ssl
import threading
from collections.abc import Callable

import pytest

from tests.kit import wire
from tests.kit.certs import Certificates
from tests.kit.client import Gone, Refused
from tests.kit.crowd import Background, crowd
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network
from tests.kit.tls_client import TlsClient
from tests.kit.watch import MemoryWatch

MB = 1 << 20
SIZE = 40 * MB


@pytest.fixture
def encrypted(guarded: GuardedPooler) -> GuardedPooler:
    """TLS and SCRAM on both sides; not started yet."""
    guarded.offer_tls("require")
    guarded.add_database("app", dbname="over_tls")
    guarded.settings |= {
        "server_tls_sslmode": "verify-full",
        "server_tls_ca_file": str(guarded.certificates.ca),
        "server_login_retry": 0.1,
    }
    return guarded


@pytest.fixture
def behind(encrypted: GuardedPooler, tls_postgres: Postgres) -> tuple[GuardedPooler, Network]:
    network = Network(tls_postgres.address)
    encrypted.databases["app"].update(host=network.host, port=network.port)
    return encrypted, network


def test_forty_megabytes_of_rows(encrypted: GuardedPooler) -> None:
    encrypted.run()
    with encrypted.tls_client() as client:
        rows = client.query("SELECT repeat('0123456789', 1000) || n FROM generate_series(1, 4000) n", within=60).rows
    assert [row[0] for row in rows] == [f"{'0123456789' * 1000}{number}" for number in range(1, 4001)]


def test_a_slow_reader_costs_little_memory(encrypted: GuardedPooler, tls_postgres: Postgres) -> None:
    encrypted.run()
    with encrypted.tls_client() as slow, encrypted.tls_client() as other, encrypted.tls_client("carol") as third:
        other.query("SELECT 1")
        third.query("SELECT 1")
        with MemoryWatch(lambda: encrypted.resident_bytes) as memory:
            slow.send(wire.query(f"SELECT repeat('x', 10000) AS slow FROM generate_series(1, {SIZE // 10_000})"))
            tls_postgres.wait_for_backends(1, "query LIKE '%AS slow%' AND wait_event = 'ClientWrite'")
            assert other.query("SELECT 'served'").value == "served"
            replies = slow.read_until("Z", within=60)
        assert len(replies.rows) == SIZE // 10_000
        assert third.query("SELECT 1").value == "1"
    assert memory.growth < 8 * MB


def test_copy_out_and_in(encrypted: GuardedPooler, tls_postgres: Postgres) -> None:
    encrypted.run()
    with encrypted.tls_client() as client:
        client.query("CREATE TABLE public.copied (line text)")
        try:
            _copy_in(client, [f"{'y' * 9990}{number}\n".encode() for number in range(SIZE // 10_000)])
            client.send(wire.query("COPY copied TO STDOUT"))
            replies = client.read_until("Z", within=60)
            lines = [reply.body for reply in replies if reply.tag == "d"]
            assert lines == [f"{'y' * 9990}{number}\n".encode() for number in range(SIZE // 10_000)]
        finally:
            client.query("DROP TABLE public.copied")


def _copy_in(client: TlsClient, lines: list[bytes]) -> None:
    client.send(wire.query("COPY copied FROM STDIN"))
    assert client.read().tag == "G"
    for start in range(0, len(lines), 100):
        client.send(*(wire.copy_data(line) for line in lines[start : start + 100]))
    client.send(wire.copy_done())
    assert client.read_until("Z", within=60).command_tags == [f"COPY {len(lines)}"]


@pytest.fixture(autouse=True)
def _tables_may_be_made(tls_postgres: Postgres) -> None:
    with tls_postgres.connect(dbname="over_tls") as session:
        session.execute("GRANT ALL ON SCHEMA public TO PUBLIC")


def test_copy_in_to_a_server_that_hangs_costs_little_memory(encrypted: GuardedPooler, tls_postgres: Postgres) -> None:
    encrypted.run_with(default_pool_size=2)
    with encrypted.tls_client() as client, encrypted.tls_client("carol") as other:
        other.query("SELECT 1")
        client.query("BEGIN; CREATE TEMP TABLE copied (line text) ON COMMIT DROP")
        pid = int(str(client.query("SELECT pg_backend_pid()").value))
        client.send(wire.query("COPY copied FROM STDIN"))
        assert client.read().tag == "G"
        tls_postgres.freeze(pid)
        line = wire.copy_data(b"z" * 9999 + b"\n")
        try:
            with MemoryWatch(lambda: encrypted.resident_bytes) as memory:
                sent = 0

                def send() -> None:
                    nonlocal sent
                    for _ in range(SIZE // 100_000):
                        client.send(line * 10)
                        sent += 10

                sending = Background(send)
                _wait_until_still(lambda: sent)
                assert not sending.is_done
                assert other.query("SELECT 'served'").value == "served"
        finally:
            tls_postgres.thaw(pid)
        sending.result()
        client.send(wire.copy_done())
        assert client.read_until("Z", within=60).command_tags == [f"COPY {SIZE // 100_000 * 10}"]
        client.query("COMMIT")
    assert memory.growth < 12 * MB


def _wait_until_still(value: Callable[[], int]) -> None:
    """Until the number has not grown for half a second."""
    last, since = -1, threading.Event()

    def is_still() -> bool:
        nonlocal last
        before, last = last, value()
        return before == last and not since.wait(0.5) and value() == last

    wait_until(is_still, "the sender to be held up", within=30)


def test_a_client_killed_in_the_middle_of_an_answer(encrypted: GuardedPooler) -> None:
    encrypted.run_with(default_pool_size=1)
    for end in ("vanish", "reset"):
        client = encrypted.tls_client()
        client.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 40000)"))
        client.read_until("D")
        getattr(client, end)()
        with encrypted.tls_client() as following:
            assert following.query("SELECT 'served'").value == "served"
    encrypted.wait_until_idle()


def test_a_backend_killed_in_the_middle_of_an_answer(encrypted: GuardedPooler, tls_postgres: Postgres) -> None:
    """What came is a true beginning, and then the server's own farewell or ours."""
    encrypted.run()
    with encrypted.tls_client() as client:
        client.query("SELECT 1")
        client.send(wire.query(f"SELECT repeat('x', 1000) AS doomed FROM generate_series(1, {SIZE // 1000})"))
        (pid,) = tls_postgres.wait_for_backends(1, "query LIKE '%AS doomed%'")
        client.read_until("D")
        tls_postgres.terminate(pid)
        replies, _ = client.read_to_cut()
        assert all(row == ("x" * 1000,) for row in replies.rows)
    with encrypted.tls_client() as other:
        assert other.query("SELECT 1").value == "1"


@pytest.mark.parametrize("cut_after", [0, 1, 50, 300, 900, 1100, 1300, 1500, 1700, 2000, 2300])
def test_a_cut_anywhere_in_the_servers_login_is_tried_again(
    behind: tuple[GuardedPooler, Network], cut_after: int
) -> None:
    """Answer to SSLRequest, handshake, SCRAM, settings: wherever it breaks, the client waits and is served."""
    pooler, network = behind
    with network:
        if cut_after:
            network.cut_after(cut_after)
        pooler.run()
        with pooler.tls_client() as client:
            assert client.query("SELECT current_user").value == "alice"


@pytest.mark.parametrize("cut_after", [100, 5_000, 70_000, 500_000])
def test_a_cut_inside_an_answer(behind: tuple[GuardedPooler, Network], cut_after: int) -> None:
    pooler, network = behind
    with network:
        pooler.run()
        with pooler.tls_client() as client, pooler.tls_client() as other:
            client.query("SELECT 1")
            network.cut_after(cut_after)
            client.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 1000)"))
            replies, piece = client.read_to_cut()
            assert all(row == ("x" * 1000,) for row in replies.rows)
            assert len(replies.rows) < 1000
            assert not (piece and replies.errors)
            assert other.query("SELECT 'fine'").value == "fine"


def test_a_server_silent_in_the_middle_of_its_handshake(behind: tuple[GuardedPooler, Network]) -> None:
    pooler, network = behind
    with network:
        network.blackhole()
        pooler.run_with(server_connect_timeout=0.3, query_wait_timeout=20)
        client = TlsClient(pooler.address)
        client.start_tls()
        logging_in = Background(lambda: client.log_in(user="alice", database="app", password=PASSWORDS["alice"]))
        wait_until(lambda: pooler.logged("server_connect_timeout"), "an attempt to be given up")
        network.heal()
        logging_in.result()
        assert client.query("SELECT 'through'").value == "through"


def test_a_narrow_network(behind: tuple[GuardedPooler, Network]) -> None:
    pooler, network = behind
    with network:
        pooler.run()
        with pooler.tls_client() as client:
            client.query("SELECT 1")
            network.throttle(400_000)
            assert client.query("SELECT repeat('0123456789', 40000)").value == "0123456789" * 40_000


def test_bytes_that_dribble_between_pooler_and_server(behind: tuple[GuardedPooler, Network]) -> None:
    """A byte at a time through the whole login of the server."""
    pooler, network = behind
    with network:
        network.throttle(4_000)
        pooler.run_with(query_wait_timeout=60, server_connect_timeout=60)
        client = TlsClient(pooler.address)
        client.start_tls()
        client.send(wire.startup(user="alice", database="app"))
        assert client.prove("alice", PASSWORDS["alice"])[-1].tag == "Z"
        network.heal()
        assert client.query("SELECT 1").value == "1"


def test_postgresql_restarts_under_clients_that_log_in(encrypted: GuardedPooler, tls_postgres: Postgres) -> None:
    """Logins and queries fail cleanly or work; afterwards all work."""
    encrypted.run_with(query_wait_timeout=20)
    stop = threading.Event()

    def work(_: int) -> int:
        done = 0
        while not stop.is_set():
            try:
                with encrypted.tls_client() as client:
                    done += not client.query("SELECT 1").errors
            except (Refused, Gone, ssl.SSLError):
                continue
        return done

    workers = Background(lambda: crowd(8, work))
    wait_until(lambda: encrypted.pool().get("cl_active"), "the clients to work")
    tls_postgres.restart()
    wait_until(lambda: _works(encrypted), "logins to work again", within=30)
    stop.set()
    assert all(workers.result().values())


def _works(pooler: GuardedPooler) -> bool:
    try:
        with pooler.tls_client() as client:
            return client.query("SELECT 1").value == "1"
    except (Refused, Gone, ssl.SSLError):
        return False


def test_a_crowd_logs_in_at_once(encrypted: GuardedPooler) -> None:
    """TLS and SCRAM on both sides, a small pool, everybody at the same moment: no error."""
    encrypted.run_with(default_pool_size=4, query_wait_timeout=60)

    def work(number: int) -> str | None:
        with encrypted.tls_client() as client:
            return client.query(f"SELECT '{number}'").value

    assert crowd(100, work) == {number: str(number) for number in range(100)}


def test_half_done_logins_cost_little_and_leave_nothing(encrypted: GuardedPooler, certificates: Certificates) -> None:
    """A thousand connections that never get past their first packets."""
    encrypted.run_with(client_login_timeout=30)
    encrypted.tls_client().close()
    files = encrypted.open_files
    with MemoryWatch(lambda: encrypted.resident_bytes) as memory:
        strangers = [encrypted.stranger() for _ in range(500)]
        for client in strangers[::2]:
            client.send(wire.ssl_request())
        with encrypted.tls_client() as client:
            assert client.query("SELECT 1").value == "1"
    assert memory.growth < 24 * MB
    for client in strangers:
        client.vanish()
    wait_until(lambda: encrypted.open_files <= files + 4, "their sockets to be closed")


def test_stopping_in_the_middle_of_logins(encrypted: GuardedPooler) -> None:
    """Half a handshake, a password outstanding, a server login under way: the pooler ends all the same."""
    encrypted.run()
    undecided = [TlsClient(encrypted.address) for _ in range(6)]
    for number, client in enumerate(undecided):
        assert client.ask_for_tls() == b"S"
        if number % 3:
            client.shake_hands()
        if number % 3 == 2:
            client.send(wire.startup(user="alice", database="app"))
            client.read()
    encrypted.finish()
