"""Whoever comes too often is told so at once, and which limit it was; wrong passwords are answered ever later.

The same limits by database and user, one by one: test_databases_and_users.py.
"""

import time
from collections.abc import Callable

import pytest

from tests.kit import wire
from tests.kit.client import Client, Refused
from tests.kit.crowd import crowd
from tests.kit.deadline import PATIENCE, wait_until
from tests.kit.pooler import Pooler

each_number_of_workers = pytest.mark.parametrize("workers", [1, 2, 4])
AT_ONCE = 5.0  # seconds; far less than any time-out, enough for a busy machine
ONE_IN_100_S = 0.01  # a rate: one login, and no other as long as the test goes on


def refused(pooler: Pooler, user: str = "alice", database: str = "app") -> wire.Message:
    """A login that must be refused with 53300, at once, and after which nothing comes."""
    before = time.monotonic()
    with pooler.stranger() as client:
        client.send(wire.startup(user=user, database=database))
        replies = client.read_to_end()
    assert time.monotonic() - before < AT_ONCE * PATIENCE
    assert replies.shape == "E"
    error = replies.error
    assert (error.fields["S"], error.sqlstate) == ("FATAL", "53300")
    return error


def try_to_enter(pooler: Pooler, user: str = "alice", database: str = "app") -> Client | Refused:
    try:
        return pooler.client(user, database)
    except Refused as refusal:
        return refusal


def is_let_in(pooler: Pooler, user: str = "alice", database: str = "app") -> bool:
    got = try_to_enter(pooler, user, database)
    if isinstance(got, Client):
        got.close()
    return isinstance(got, Client)


def inside(outcome: dict[int, Client | Refused]) -> list[Client]:
    """Who of a crowd got in; everybody else must have been told 53300."""
    assert {one.sqlstate for one in outcome.values() if isinstance(one, Refused)} <= {"53300"}
    return [one for one in outcome.values() if isinstance(one, Client)]


# Logins a second


@each_number_of_workers
def test_login_rate_per_address(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, login_rate_per_address=ONE_IN_100_S)
    with pooler.client() as first:
        for _ in range(3):
            message = refused(pooler, user="bob").fields["M"]
            assert "login_rate_per_address" in message
            assert pooler.host in message
        assert first.query("SELECT 1").value == "1"
    pooler.wait_for_log("login_rate", count=3)


@each_number_of_workers
def test_login_rate_per_user(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, login_rate_per_user=ONE_IN_100_S)
    with pooler.client("alice") as alice, pooler.client("bob") as bob:
        for user, database in [("alice", "app"), ("alice", "other"), ("bob", "app")]:
            message = refused(pooler, user, database).fields["M"]
            assert "login_rate_per_user" in message
            assert f'"{user}"' in message
        assert alice.query("SELECT current_user").value == "alice"
        assert bob.query("SELECT current_user").value == "bob"


def test_a_login_is_let_in_again_when_its_time_has_come(pooler: Pooler) -> None:
    pooler.run_with(login_rate_per_address=2)
    while is_let_in(pooler):  # until the burst is used up
        pass
    wait_until(lambda: is_let_in(pooler), "a login to be let in again", within=5)


@each_number_of_workers
def test_a_crowd_gets_a_burst_of_one_seconds_worth(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, login_rate_per_user=5)
    before = time.monotonic()
    clients = inside(crowd(40, lambda _: try_to_enter(pooler)))
    took = time.monotonic() - before
    assert 5 <= len(clients) <= 5 + 5 * took + 1
    assert all(client.query("SELECT 1").value == "1" for client in clients)


def test_unix_sockets_have_no_address_to_be_counted_by(pooler: Pooler) -> None:
    pooler.run_with(login_rate_per_address=ONE_IN_100_S)
    for _ in range(5):
        with Client(pooler.socket_path) as client:
            client.log_in(user="alice", database="app")


def test_cancel_requests_are_no_logins(pooler: Pooler) -> None:
    pooler.run_with(login_rate_per_address=ONE_IN_100_S, login_rate_per_user=ONE_IN_100_S)
    with pooler.client() as client:
        client.send(wire.query("SELECT pg_sleep(60)"))
        pooler.postgres.wait_for_backends(1, "query LIKE '%pg_sleep%' AND state = 'active'")
        client.cancel()
        assert client.read_until("Z").error.sqlstate == "57014"


# Logins at a time


@pytest.fixture
def asking(pooler: Pooler) -> Pooler:
    """A pooler that asks for a password."""
    pooler.users["alice"] = {"password": "wonderland"}
    pooler.settings |= {"auth_type": "plain", "login_failure_delay": 0}
    return pooler


def half_logged_in(pooler: Pooler) -> Client:
    """A client that has been asked for its password and has not given it."""
    client = pooler.stranger()
    client.send(wire.startup(user="alice", database="app"))
    assert client.read().authentication == wire.CLEARTEXT_PASSWORD
    return client


def give_password(client: Client, password: str = "wonderland") -> wire.Replies:
    client.send(wire.password_message(password.encode()))
    return client.read_until("Z", "E")


@each_number_of_workers
def test_max_concurrent_logins(asking: Pooler, workers: int) -> None:
    asking.run_with(workers=workers, max_concurrent_logins=3)
    waiting = [half_logged_in(asking) for _ in range(3)]
    assert "max_concurrent_logins" in refused(asking).fields["M"]
    assert not give_password(waiting[0]).errors
    with half_logged_in(asking) as next_one:  # the place of the one who is in now
        refused(asking)
        assert not give_password(next_one).errors
        assert [client.query("SELECT 1").value for client in (waiting[0], next_one)] == ["1", "1"]


def test_who_has_been_refused_takes_no_place_however_long_it_stays(asking: Pooler) -> None:
    asking.run_with(max_concurrent_logins=1)
    with half_logged_in(asking) as first:
        staying = [asking.stranger() for _ in range(5)]
        for client in staying:
            client.send(wire.startup(user="alice", database="app"))
            assert client.read().sqlstate == "53300"
        assert not give_password(first).errors
    assert not give_password(half_logged_in(asking)).errors


def leave_at_once(client: Client) -> None:
    client.vanish()


def get_the_password_wrong(client: Client) -> None:
    assert give_password(client, "looking glass").error.sqlstate == "28P01"


def send_nonsense(client: Client) -> None:
    client.send(wire.query("SELECT 1"))
    client.read_to_end()


@pytest.mark.parametrize("end", [leave_at_once, get_the_password_wrong, send_nonsense])
def test_a_login_that_fails_makes_room(asking: Pooler, end: Callable[[Client], None]) -> None:
    asking.run_with(max_concurrent_logins=1)
    for _ in range(5):
        end(half_way_when_there_is_a_place(asking))


def half_way_when_there_is_a_place(pooler: Pooler) -> Client:
    """As `half_logged_in`, when the logins before are over."""

    def attempt() -> Client | None:
        client = pooler.stranger()
        client.send(wire.startup(user="alice", database="app"))
        if client.read().tag == "R":
            return client
        client.close()
        return None

    client = wait_until(attempt, "a place among the logins")
    assert client is not None
    return client


def test_those_who_are_in_do_not_count_as_logging_in(asking: Pooler) -> None:
    asking.run_with(max_concurrent_logins=1)
    clients = []
    for _ in range(10):
        client = half_way_when_there_is_a_place(asking)
        assert not give_password(client).errors
        clients.append(client)
    assert all(client.query("SELECT 1").value == "1" for client in clients)


# Wrong passwords


def fail(pooler: Pooler) -> float:
    """Give a wrong password; how long its answer took, in seconds."""
    with half_logged_in(pooler) as client:
        before = time.monotonic()
        assert give_password(client, "looking glass").error.sqlstate == "28P01"
        return time.monotonic() - before


def test_wrong_passwords_are_answered_ever_later(asking: Pooler) -> None:
    asking.run_with(login_failure_delay=0.5)
    pauses = [fail(asking) for _ in range(4)]
    assert all(pause >= least for pause, least in zip(pauses, [0.1, 0.2, 0.4, 0.5], strict=True)), pauses
    assert max(pauses) < 0.8 + AT_ONCE * PATIENCE


def test_a_right_password_ends_the_row_of_wrong_ones(asking: Pooler) -> None:
    asking.run_with(login_failure_delay=60)
    for _ in range(4):
        fail(asking)
    with half_logged_in(asking) as client:
        assert not give_password(client).errors
    assert fail(asking) < 1.6, "the fifth in a row"


def test_nobody_else_waits_for_the_pause(asking: Pooler) -> None:
    asking.run_with(workers=1, login_failure_delay=60)
    with half_logged_in(asking) as wrong, half_logged_in(asking) as right:
        for _ in range(3):
            fail(asking)
        wrong.send(wire.password_message(b"looking glass"))
        assert not give_password(right).errors
        for _ in range(20):
            assert right.query("SELECT 1").value == "1"
        assert not wrong.has_input()
        assert wrong.read().sqlstate == "28P01"


def test_leaving_in_the_pause_leaves_nothing_behind(asking: Pooler) -> None:
    asking.run_with(login_failure_delay=60, max_concurrent_logins=1)
    for _ in range(7):
        client = half_way_when_there_is_a_place(asking)
        client.send(wire.password_message(b"looking glass"))
        client.vanish()
    assert not give_password(half_way_when_there_is_a_place(asking)).errors


def test_no_pause_at_all(asking: Pooler) -> None:
    asking.run_with(login_failure_delay=0)
    before = time.monotonic()
    for _ in range(8):  # with pauses that would be 25 s
        fail(asking)
    assert time.monotonic() - before < 12 * PATIENCE


# Clients of a user, of a database


@pytest.fixture(params=[1, 2, 4], ids=lambda workers: f"{workers}_workers")
def counted(pooler: Pooler, request: pytest.FixtureRequest) -> Pooler:
    pooler.settings["workers"] = request.param
    return pooler


def test_max_user_client_connections(counted: Pooler) -> None:
    counted.run_with(max_user_client_connections=3)
    clients = [counted.client("alice", database) for database in ("app", "other", "app")]
    message = refused(counted, "alice", "other").fields["M"]
    assert message == 'no more connections allowed for user "alice" (max_user_client_connections)'
    assert is_let_in(counted, "bob", "other")
    assert all(client.query("SELECT 1").value == "1" for client in clients)
    counted.wait_for_log("max_user_client_connections")


def test_max_db_client_connections(counted: Pooler) -> None:
    counted.run_with(max_db_client_connections=3)
    clients = [counted.client(user, "app") for user in ("alice", "bob", "alice")]
    message = refused(counted, "carol", "app").fields["M"]
    assert message == 'no more connections allowed to database "app" (max_db_client_connections)'
    assert is_let_in(counted, "carol", "other")
    assert all(client.query("SELECT 1").value == "1" for client in clients)
    counted.wait_for_log("max_db_client_connections")


@pytest.mark.parametrize("setting", ["max_user_client_connections", "max_db_client_connections"])
def test_a_crowd_gets_exactly_the_places_there_are(counted: Pooler, setting: str) -> None:
    counted.run_with(**{setting: 12})
    clients = inside(crowd(40, lambda _: try_to_enter(counted)))
    assert len(clients) == 12
    assert all(client.query("SELECT 1").value == "1" for client in clients)


@pytest.mark.parametrize("setting", ["max_user_client_connections", "max_db_client_connections"])
def test_logins_that_fail_take_no_place(asking: Pooler, setting: str) -> None:
    asking.run_with(**{setting: 1})
    for _ in range(4):
        get_the_password_wrong(half_logged_in(asking))
    with half_logged_in(asking) as client:
        assert not give_password(client).errors
