"""A cancel request that reaches another process than its client's is passed on to that one, and to nobody else."""

import contextlib
import itertools
import random
import signal
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from bench.pgbouncer import installed
from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import Background
from tests.kit.deadline import wait_until
from tests.kit.drop_in import DropIn, PgBouncer
from tests.kit.fix_pooler import alive
from tests.kit.peers import SilentPeer, ask_at, full_listener, introduce, peer_pools, share_a_port
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

SLEEP = "SELECT pg_sleep(60)"
BOTH_VERSIONS = (wire.PROTOCOL_3_0, wire.PROTOCOL_3_2)


@contextlib.contextmanager
def poolers(postgres: Postgres, count: int) -> Iterator[list[Pooler]]:
    postgres.count_from_now()
    made = [Pooler(postgres) for _ in range(count)]
    with contextlib.ExitStack() as stack:
        for pooler in made:
            stack.enter_context(alive(pooler))
            stack.callback(pooler.remove)
        yield made


@pytest.fixture
def three(postgres: Postgres) -> Iterator[list[Pooler]]:
    """Peers of each other, not started yet."""
    with poolers(postgres, 3) as made:
        introduce(made)
        yield made


@pytest.fixture
def two(postgres: Postgres) -> Iterator[list[Pooler]]:
    with poolers(postgres, 2) as made:
        introduce(made)
        yield made


def run(made: list[Pooler], **settings: float | bool) -> None:
    for pooler in made:
        pooler.run_with(**settings)


def log_in_at(pooler: Pooler, version: int = wire.PROTOCOL_3_0) -> Client:
    client = Client(pooler.socket_path)
    client.log_in(version, user="alice", database="app")
    return client


def fall_asleep(client: Client, postgres: Postgres) -> None:
    client.send(wire.query(SLEEP))
    wait_until_asleep(postgres)


def wait_until_asleep(postgres: Postgres) -> None:
    postgres.wait_for_backends(1, f"state = 'active' AND query = '{SLEEP}'")


def forged(client: Client, peer_id: int) -> Client:
    """The same key with the number of another peer in it."""
    copy = Client(client.address)
    number = client.process_id & 0x7F0000FF | (peer_id & 0xFF) << 16 | (peer_id >> 8) << 8
    copy.process_id, copy.secret_key = number, client.secret_key
    return copy


# which way they go


def test_each_process_passes_on_what_is_for_another(three: list[Pooler], postgres: Postgres) -> None:
    run(three, workers=3)
    for owner, receiver, version in itertools.product(three, three, BOTH_VERSIONS):
        with log_in_at(owner, version) as client:
            fall_asleep(client, postgres)
            ask_at(receiver, client)
            assert client.read_until("Z").error.sqlstate == "57014"
            assert client.query("SELECT 1").value == "1"


def test_drivers_cancel_whichever_process_gets_it(three: list[Pooler], postgres: Postgres) -> None:
    share_a_port(three)
    run(three)
    for _ in range(30):
        with three[0].connect() as connection:
            query = Background(partial(connection.execute, SLEEP))
            wait_until_asleep(postgres)
            connection.cancel_safe()
            with pytest.raises(psycopg.errors.QueryCanceled):
                query.result()
    passed_on = sum(len(peer_pools(pooler)) for pooler in three)
    assert passed_on >= 2, "thirty times, the kernel has hardly ever chosen another process"


def test_a_process_that_waits_for_its_last_clients_is_reached(two: list[Pooler], postgres: Postgres) -> None:
    share_a_port(two)
    run(two)
    with log_in_at(two[0]) as client:
        fall_asleep(client, postgres)
        two[0].admin("SHUTDOWN WAIT_FOR_CLIENTS")
        ask_at(two[1], client)
        assert client.read_until("Z").error.sqlstate == "57014"
    assert two[0].wait_for_exit() == 0


def test_a_request_goes_on_when_its_sender_has_left(two: list[Pooler], postgres: Postgres) -> None:
    run(two)
    with log_in_at(two[0]) as client:
        fall_asleep(client, postgres)
        request = Client(two[1].socket_path)
        request.send(wire.cancel_request(client.process_id, client.secret_key))
        request.vanish()
        assert client.read_until("Z").error.sqlstate == "57014"


def test_a_name_is_tried_at_all_its_addresses(two: list[Pooler], postgres: Postgres) -> None:
    """The name localhost may be ::1 first, where nobody listens."""
    two[1].peers["1"] = {"host": "localhost", "port": two[0].port}
    run(two)
    with log_in_at(two[0]) as client:
        fall_asleep(client, postgres)
        ask_at(two[1], client)
        assert client.read_until("Z").error.sqlstate == "57014"


def test_a_console_session_is_cancelled_from_elsewhere(two: list[Pooler]) -> None:
    run(two)
    with log_in_at(two[0]) as busy, Client(two[0].socket_path) as console:
        busy.begin()
        console.log_in(user="pgbouncer", database="pgbouncer")
        console.send(wire.query("PAUSE"))
        wait_until(lambda: two[0].admin("SHOW STATE")[1]["value"] == "yes", "the pause")
        ask_at(two[1], console)
        assert console.read_until("Z").error.sqlstate == "57014"
        busy.query("COMMIT")


# where it ends


def test_a_request_goes_from_peer_to_peer_three_times_at_most(two: list[Pooler], postgres: Postgres) -> None:
    """Each takes the other for peer 3."""
    first, second = two
    first.peers["3"], second.peers["3"] = first.peers["2"], second.peers["1"]
    run(two)
    with log_in_at(first) as client:
        fall_asleep(client, postgres)
        ask_at(first, forged(client, 3))
        (line,) = second.wait_for_log("peer_hops_used")
        assert "peer 3" in line["message"]
        assert not first.logged("peer_hops_used")
        assert not client.has_input()
        ask_at(second, client)
        assert client.read_until("Z").error.sqlstate == "57014"


def test_a_key_without_hops_is_still_good_at_its_own_process(two: list[Pooler], postgres: Postgres) -> None:
    run(two)
    with log_in_at(two[0]) as client:
        fall_asleep(client, postgres)
        key = bytearray(client.secret_key)
        key[3] &= 0xFC
        ask_at(two[1], client, bytes(key))
        two[1].wait_for_log("peer_hops_used")
        assert not client.has_input()
        ask_at(two[0], client, bytes(key))
        assert client.read_until("Z").error.sqlstate == "57014"


def test_an_unknown_peer_gets_nothing(two: list[Pooler], postgres: Postgres) -> None:
    run(two)
    with log_in_at(two[0]) as client:
        fall_asleep(client, postgres)
        ask_at(two[1], forged(client, 16383))
        (line,) = two[1].wait_for_log("peer_unknown")
        assert "peer 16383" in line["message"]
        assert not client.has_input()
        assert peer_pools(two[1]) == {}
        client.cancel()
        client.read_until("Z")


def test_strangers_reach_no_query_and_open_few_connections(two: list[Pooler], postgres: Postgres) -> None:
    """Guessed secrets with a right peer's number go there, as many at a time as `pool_size` says, and end there."""
    dice = random.Random(7)
    with SilentPeer() as peer, log_in_and_out(two, postgres) as client:
        two[1].peers["3"] = {"host": "127.0.0.1", "port": peer.port, "pool_size": 2}
        two[1].reload_with()
        guesses = [Client(two[1].socket_path) for _ in range(50)]
        for number, guess in enumerate(guesses):
            named = forged(client, 1 if number % 2 else 3)
            guess.send(wire.cancel_request(named.process_id, dice.randbytes(3) + b"\xff"))
        wait_until(lambda: peer.held == 2, "two requests to be on their way")
        wait_until(lambda: peer_pools(two[1])[3]["cl_waiting_cancel_req"] == 23, "the others to wait")
        assert peer_pools(two[1])[3] == {
            "cl_active_cancel_req": 2, "cl_waiting_cancel_req": 23, "sv_active_cancel": 2, "sv_login": 0,
        }  # fmt: skip
        assert not client.has_input()
        ask_at(two[1], client)
        assert client.read_until("Z").error.sqlstate == "57014"


@contextlib.contextmanager
def log_in_and_out(made: list[Pooler], postgres: Postgres) -> Iterator[Client]:
    """All run, and a client of the first sleeps."""
    run(made)
    with log_in_at(made[0]) as client:
        fall_asleep(client, postgres)
        yield client


# peers that are in trouble


def test_a_peer_that_is_not_there(two: list[Pooler], postgres: Postgres) -> None:
    run(two)
    with log_in_at(two[0]) as client, log_in_at(two[1]) as other:
        fall_asleep(other, postgres)
        ask_at(two[0], other)
        assert other.read_until("Z").error.sqlstate == "57014"
        two[0].signal(signal.SIGKILL)
        assert two[0].wait_for_exit() == -signal.SIGKILL
        ask_at(two[1], client)
        (line,) = two[1].wait_for_log("peer_unreachable")
        assert (line["peer"], line["address"]) == (1, f"unix:{two[0].socket_path}")
        assert "Connection refused" in line["message"]
        assert other.query("SELECT 1").value == "1"


def test_a_name_that_is_nobodys(two: list[Pooler]) -> None:
    two[1].peers["1"] = {"host": "nowhere.invalid", "port": 6432}
    run(two)
    with log_in_at(two[0]) as client:
        ask_at(two[1], client)
        (line,) = two[1].wait_for_log("peer_unreachable")
        assert "nowhere.invalid" in line["message"]


def test_a_peer_that_cannot_be_connected_to_in_time(two: list[Pooler]) -> None:
    with full_listener() as port:
        two[1].peers["1"] = {"host": "127.0.0.1", "port": port}
        run(two, server_connect_timeout=0.5)
        with log_in_at(two[0]) as client:
            request = Client(two[1].socket_path)
            request.send(wire.cancel_request(client.process_id, client.secret_key))
            wait_until(lambda: peer_pools(two[1]).get(1, {}).get("sv_login") == 1, "the attempt")
            assert peer_pools(two[1])[1]["cl_waiting_cancel_req"] == 1
            assert request.read_to_end() == []
            (line,) = two[1].wait_for_log("peer_unreachable")
            assert "timed out" in line["message"]
            assert set(peer_pools(two[1])[1].values()) == {0}


def test_requests_wait_for_each_other_where_the_peer_takes_one_at_a_time(two: list[Pooler]) -> None:
    with SilentPeer() as peer:
        two[1].peers["1"] = {"host": "127.0.0.1", "port": peer.port, "pool_size": 1}
        run(two, cancel_wait_timeout=0)
        clients = [log_in_at(two[0], version) for version in BOTH_VERSIONS * 10]
        requests = [Client(two[1].socket_path) for _ in clients]
        for request, client in zip(requests, clients, strict=True):
            request.send(wire.cancel_request(client.process_id, client.secret_key))
        for left in range(19, -1, -1):
            wait_until(lambda: peer.held == 1, "the next request")
            wait_for_waiting(two[1], left)
            assert peer.held == 1
            peer.let_go()
        assert [request.read_to_end() for request in requests] == [[]] * 20
        keys = {(client.process_id, client.secret_key) for client in clients}
        assert {(number, secret[:3] + bytes([secret[3] + 1]) + secret[4:]) for number, secret in taken(peer)} == keys


def wait_for_waiting(pooler: Pooler, count: int) -> None:
    """Until so many requests for peer 1 wait."""
    wait_until(lambda: peer_pools(pooler)[1]["cl_waiting_cancel_req"] == count, f"{count} requests to wait")


def taken(peer: SilentPeer) -> list[tuple[int, bytes]]:
    """Process number and secret of each request."""
    return [(int.from_bytes(data[8:12], "big"), data[12:]) for data in peer.requests]


def test_one_that_waits_too_long_is_dropped(two: list[Pooler]) -> None:
    with SilentPeer() as peer:
        two[1].peers["1"] = {"host": "127.0.0.1", "port": peer.port, "pool_size": 1}
        run(two, cancel_wait_timeout=0.5)
        with log_in_at(two[0]) as client:
            requests = [Client(two[1].socket_path) for _ in range(5)]
            for request in requests:
                request.send(wire.cancel_request(client.process_id, client.secret_key))
            assert [request.read_to_end() for request in requests] == [[]] * 5
            wait_until(lambda: bool(two[1].logged("cancel_wait_timeout")), "a line about it")
            wait_until(lambda: peer_pools(two[1])[1]["cl_waiting_cancel_req"] == 0, "nobody to wait")
            assert len(peer.requests) == 1


def test_a_peer_that_does_not_answer_keeps_nobody_for_ever(two: list[Pooler]) -> None:
    with SilentPeer() as peer:
        two[1].peers["1"] = {"host": "127.0.0.1", "port": peer.port, "pool_size": 1}
        run(two, cancel_wait_timeout=0)
        with log_in_at(two[0]) as client:
            ask_at(two[1], client)
            (line,) = two[1].wait_for_log("peer_silent")
            assert line["address"] == f"127.0.0.1:{peer.port}"
            assert set(peer_pools(two[1])[1].values()) == {0}


def test_howdah_ends_while_requests_are_on_their_way(two: list[Pooler]) -> None:
    with SilentPeer() as peer:
        two[1].peers["1"] = {"host": "127.0.0.1", "port": peer.port, "pool_size": 2}
        run(two)
        with log_in_at(two[0]) as client:
            requests = [Client(two[1].socket_path) for _ in range(5)]
            for request in requests:
                request.send(wire.cancel_request(client.process_id, client.secret_key))
            wait_until(lambda: peer.held == 2, "two requests to be on their way")
            two[1].finish()


# changes


def test_a_reload_brings_other_peers(two: list[Pooler], postgres: Postgres) -> None:
    own = two[1].peers.pop("1")
    run(two)
    with log_in_at(two[0]) as client:
        fall_asleep(client, postgres)
        ask_at(two[1], client)
        two[1].wait_for_log("peer_unknown")
        two[1].peers["1"] = own
        two[1].reload_with()
        ask_at(two[1], client)
        assert client.read_until("Z").error.sqlstate == "57014"
        del two[1].peers["1"]
        two[1].reload_with()
        assert peer_pools(two[1]) == {}


def test_a_reload_lets_more_be_on_their_way_and_drops_those_for_a_peer_that_is_no_more(two: list[Pooler]) -> None:
    with SilentPeer() as peer:
        two[1].peers["1"] = {"host": "127.0.0.1", "port": peer.port, "pool_size": 1}
        run(two, cancel_wait_timeout=0)
        with log_in_at(two[0]) as client:
            requests = [Client(two[1].socket_path) for _ in range(5)]
            for request in requests:
                request.send(wire.cancel_request(client.process_id, client.secret_key))
            wait_until(lambda: peer.held == 1, "one request to be on its way")
            two[1].peers["1"]["pool_size"] = 3
            two[1].reload_with()
            wait_until(lambda: peer.held == 3, "three requests to be on their way")
            del two[1].peers["1"]
            two[1].reload_with()
            wait_until(lambda: sum(request.has_input() for request in requests) == 2, "the others to be dropped")
            for _ in range(3):
                peer.let_go()
            assert [request.read_to_end() for request in requests] == [[]] * 5


def test_clients_keep_their_keys_when_the_process_gets_another_number(two: list[Pooler], postgres: Postgres) -> None:
    run(two, peer_id=0)
    with log_in_at(two[0]) as before:
        introduce(two)
        for pooler in two:
            pooler.reload_with()
        with log_in_at(two[0]) as after:
            for client, receiver in ((before, two[0]), (after, two[0]), (after, two[1])):
                fall_asleep(client, postgres)
                ask_at(receiver, client)
                assert client.read_until("Z").error.sqlstate == "57014"


def test_without_a_number_nothing_is_passed_on(two: list[Pooler], postgres: Postgres) -> None:
    two[1].settings["peer_id"] = 0
    run([two[0]])
    two[1].run()
    wait_until(lambda: two[1].log_contains("without a peer_id"), "the warning")
    with log_in_at(two[0]) as client:
        fall_asleep(client, postgres)
        ask_at(two[1], client)
        assert not client.has_input()
        assert peer_pools(two[1]) == {}
        client.cancel()
        client.read_until("Z")


def test_what_is_shown(two: list[Pooler]) -> None:
    two[1].peers["1"]["pool_size"] = 7
    run(two, default_pool_size=9)
    shown = [tuple(row.values()) for row in two[1].admin("SHOW PEERS")]
    assert shown == [
        (1, str(two[0].folder), two[0].port, 7),
        (2, str(two[1].folder), two[1].port, 9),
    ]
    assert two[1].admin("SHOW PEER_POOLS") == []
    with log_in_at(two[0]) as client:
        ask_at(two[1], client)
    assert two[1].admin("SHOW PEER_POOLS") == [
        {"peer_id": 1, "cl_active_cancel_req": 0, "cl_waiting_cancel_req": 0, "sv_active_cancel": 0, "sv_login": 0}
    ]
    lists = {row["list"]: row["items"] for row in two[1].admin("SHOW LISTS")}
    assert (lists["peers"], lists["peer_pools"]) == (2, 1)


# in PgBouncer's place, and beside it


@pytest.fixture
def original(postgres: Postgres) -> Iterator[PgBouncer]:
    program = installed()
    if program is None:
        pytest.skip("PgBouncer 1.24 or newer is not installed (`make bench` builds one)")
    pooler = PgBouncer(postgres, program)
    with alive(pooler):
        yield pooler
        pooler.remove()


@pytest.mark.parametrize("howdah_asks", [True, False])
def test_pgbouncer_and_howdah_are_peers(
    pooler: Pooler, original: PgBouncer, postgres: Postgres, howdah_asks: bool
) -> None:
    for number, one, other in ((300, pooler, original), (2, original, pooler)):
        one.settings["peer_id"] = number
        one.peers = {str(302 - number): {"host": "127.0.0.1", "port": other.port}}
    pooler.run()
    original.run()
    owner, receiver = (original, pooler) if howdah_asks else (pooler, original)
    with Client(owner.address) as client:
        client.log_in(user="alice", database="app")
        fall_asleep(client, postgres)
        with Client(receiver.address) as request:
            request.send(wire.cancel_request(client.process_id, client.secret_key))
            assert request.read_to_end() == []
        assert client.read_until("Z").error.sqlstate == "57014"


def test_the_log_says_what_pgbouncers_does(either: DropIn) -> None:
    either.settings["peer_id"] = 1
    either.peers = {"2": {"host": "127.0.0.1", "port": 1}}
    either.run()
    for number in (0x00070000, 0x00020000):
        with Client(either.address) as request:
            request.send(wire.cancel_request(number, b"xxx" + bytes([3 if number == 0x00070000 else 0])))
            assert request.read_to_end() == []
    either.wait_for_line(r"could not find peer to forward request to \(age=0s\)")
    either.wait_for_line("failed to forward cancel request because its TTL was exhausted")
    with Client(either.address) as request:
        request.send(wire.cancel_request(0x00020000, b"xxx\x03"))
        either.wait_for_line(r"^S-0x[0-9a-f]+: peer-2@127\.0\.0\.1:1 closing because: connect failed \(age=0s\)")
