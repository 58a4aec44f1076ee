"""LISTEN, UNLISTEN and NOTIFY in transaction mode: as in a session of one's own, and without keeping a server."""

import random
import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import Background
from tests.kit.deadline import wait_until
from tests.kit.listening import LISTENING, Listener
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

pytestmark = pytest.mark.usefixtures("paranoid")

NAMES = ("UPPER", 'in"quo"te', "späßchen", "with space; --", "$$ it's $$", "x" * 63)

#: What a text does without saying so.
INSIDE = "DO $inside$ BEGIN {}; END $inside$"


@pytest.fixture
def riders(pooler: Pooler) -> Pooler:
    """A pooler with one server connection for all, besides what listens."""
    pooler.run_with(default_pool_size=1)
    return pooler


@pytest.fixture
def client(riders: Pooler) -> Iterator[Client]:
    with riders.client() as client:
        yield client


def free(pooler: Pooler) -> None:
    """Wait until the pool's only server is nobody's."""
    pooler.wait_for_pool(sv_active=0, sv_tested=0)


def notify(postgres: Postgres, channel: str, *payloads: str) -> None:
    for payload in payloads:
        name = channel.replace("'", "''")
        postgres.sql_in("app", f"SELECT pg_notify('{name}', '{payload}')")


def test_a_client_that_listens_keeps_no_server(riders: Pooler, client: Client, postgres: Postgres) -> None:
    listener = Listener(client, "news")
    free(riders)
    with riders.client() as other:
        assert other.query("SELECT 1").value == "1"
        notify(postgres, "news", "one", "two")
        assert listener.hear(2) == [("news", "one"), ("news", "two")]
        assert other.query("SELECT count(*) FROM pg_listening_channels()").value == "0"
    assert len(postgres.backends(LISTENING)) == 1


def test_what_it_notifies_itself_comes_from_its_own_server(riders: Pooler, client: Client) -> None:
    listener = Listener(client, "news")
    free(riders)
    pid = int(listener.query("SELECT pg_backend_pid()").value or "")
    listener.query("NOTIFY news, 'of mine'")
    assert listener.hear(1) == [("news", "of mine")]
    assert listener.pids == [pid]


def test_names_keep_case_quotes_and_letters(riders: Pooler, client: Client, postgres: Postgres) -> None:
    listener = Listener(client, *NAMES)
    listener.query("LISTEN Folded")
    free(riders)
    for name in [*NAMES, "folded", "Folded", "upper"]:
        notify(postgres, name, "ü")
    assert listener.hear(7) == [(name, "ü") for name in [*NAMES, "folded"]]
    assert listener.channels() == sorted([*NAMES, "folded"])


def test_names_behind_a_savepoint(riders: Pooler, client: Client) -> None:
    listener = Listener(client, *NAMES)
    free(riders)
    for statement in ["BEGIN", "SELECT 1", "SAVEPOINT s", "LISTEN a", "ROLLBACK TO s", "LISTEN b", "COMMIT"]:
        assert listener.query(statement).errors == []
    free(riders)
    assert listener.channels() == sorted([*NAMES, "b"])


def test_the_longest_payload(riders: Pooler, client: Client, postgres: Postgres) -> None:
    listener = Listener(client, "news")
    free(riders)
    notify(postgres, "news", "x" * 7999)
    assert listener.hear(1) == [("news", "x" * 7999)]


def test_unlisten_one_and_all(riders: Pooler, client: Client, postgres: Postgres) -> None:
    listener = Listener(client, "a", "b", "c")
    free(riders)
    listener.query("UNLISTEN b")
    free(riders)
    assert listener.channels() == ["a", "c"]
    notify(postgres, "b", "not heard")
    notify(postgres, "c", "heard")
    assert listener.hear(1) == [("c", "heard")]
    listener.query("UNLISTEN *")
    assert listener.channels() == []
    postgres.wait_for_backends(0, LISTENING)
    free(riders)


def test_it_takes_effect_at_commit(riders: Pooler, client: Client, postgres: Postgres) -> None:
    listener = Listener(client, "a")
    free(riders)
    listener.query("BEGIN")
    listener.query("LISTEN b")
    listener.query("UNLISTEN a")
    assert not listener.heard
    listener.query("COMMIT")
    free(riders)
    assert listener.channels() == ["b"]
    notify(postgres, "a", "too late")
    notify(postgres, "b", "after")
    assert listener.hear(1) == [("b", "after")]


@pytest.mark.parametrize("statements", [["LISTEN b"], ["UNLISTEN a"], ["UNLISTEN *"], ["UNLISTEN *", "LISTEN b"]])
def test_a_rollback_undoes_it(riders: Pooler, client: Client, postgres: Postgres, statements: list[str]) -> None:
    listener = Listener(client, "a")
    free(riders)
    for statement in ["BEGIN", *statements, "ROLLBACK"]:
        listener.query(statement)
    free(riders)
    assert listener.channels() == ["a"]
    notify(postgres, "a", "still heard")
    assert listener.hear(1) == [("a", "still heard")]


@pytest.mark.parametrize(
    "statements, left",
    [
        ("UNLISTEN *", []),
        ("UNLISTEN * / LISTEN b", ["b"]),
        ("UNLISTEN * / LISTEN a", ["a"]),
        ("LISTEN b / UNLISTEN a / LISTEN a", ["a", "b"]),
        ("SELECT 1 / LISTEN b", ["a", "b"]),
        ("LISTEN b / SAVEPOINT s / LISTEN c / ROLLBACK TO s / LISTEN d", ["a", "b", "d"]),
        ("SAVEPOINT s / LISTEN b / ROLLBACK TO s", ["a"]),
        ("SAVEPOINT s / LISTEN b / ROLLBACK TO s / LISTEN c", ["a", "c"]),
        ("SAVEPOINT s / LISTEN b / ROLLBACK TO s / UNLISTEN a", []),
        ("UNLISTEN a / SAVEPOINT s / LISTEN b / ROLLBACK TO s / LISTEN c", ["c"]),
        ("SAVEPOINT s / UNLISTEN * / SAVEPOINT t / SELECT 1 / ROLLBACK TO t", []),
        ("SAVEPOINT s / UNLISTEN * / SAVEPOINT t / LISTEN b / ROLLBACK TO t / LISTEN c", ["c"]),
        ("SELECT 1 / SAVEPOINT s / UNLISTEN a / LISTEN b / ROLLBACK TO s / LISTEN c", ["a", "c"]),
        ("SELECT 1 / SAVEPOINT s / UNLISTEN a / SAVEPOINT t / LISTEN b / ROLLBACK TO t / LISTEN c", ["c"]),
        ("DO PERFORM 1", ["a"]),
        ("DO LISTEN b", ["a", "b"]),
        ("DO UNLISTEN a", []),
        ("DO UNLISTEN *; LISTEN b; LISTEN c", ["b", "c"]),
        ("DO LISTEN b / UNLISTEN a", ["b"]),
        ("LISTEN b / DO UNLISTEN a", ["b"]),
        ("SELECT 1 / DO UNLISTEN *; LISTEN a", ["a"]),
        ("SAVEPOINT s / DO UNLISTEN a; LISTEN b / ROLLBACK TO s", ["a"]),
        ("SAVEPOINT s / DO UNLISTEN a / SAVEPOINT t / DO LISTEN b / ROLLBACK TO t", []),
        ("SELECT 1 / SAVEPOINT s / DO UNLISTEN a / SAVEPOINT t / DO LISTEN b / ROLLBACK TO t / DO LISTEN c", ["c"]),
        ("SELECT 1 / SAVEPOINT s / DO UNLISTEN a / ROLLBACK TO s / DO LISTEN b", ["a", "b"]),
        ("SAVEPOINT s / DO UNLISTEN a / ROLLBACK TO s / LISTEN b", ["a", "b"]),
    ],
)
def test_what_a_transaction_leaves(
    riders: Pooler, client: Client, postgres: Postgres, statements: str, left: list[str]
) -> None:
    """What stands behind DO is done by a block."""
    listener = Listener(client, "a")
    free(riders)
    listener.query("BEGIN")
    for statement in statements.split(" / "):
        listener.query(INSIDE.format(statement[3:]) if statement.startswith("DO ") else statement)
    listener.query("COMMIT")
    free(riders)
    assert listener.channels() == left
    free(riders)
    for name in ["a", "b", "c", "d"]:
        notify(postgres, name, name)
    assert listener.hear(len(left)) == [(name, name) for name in left]


def test_statements_in_one_string(riders: Pooler, client: Client) -> None:
    listener = Listener(client, "a")
    free(riders)
    listener.query("LISTEN b; LISTEN c; UNLISTEN a")
    assert listener.channels() == ["b", "c"]
    assert [reply.sqlstate for reply in listener.query("UNLISTEN b; SELECT 1/0").errors] == ["22012"]
    assert listener.channels() == ["b", "c"]
    listener.query("DISCARD ALL")
    assert listener.channels() == []


def test_by_the_extended_protocol(riders: Pooler, client: Client, postgres: Postgres) -> None:
    listener = Listener(client)
    for number in range(3):
        client.ask(wire.extended(f"LISTEN c{number}"), wire.sync())
        free(riders)
    client.ask(wire.parse("UNLISTEN c1", "named"), wire.sync())
    free(riders)
    listener.take(client.ask(wire.bind(statement="named"), wire.execute(), wire.sync()))
    free(riders)
    for number in range(3):
        notify(postgres, f"c{number}", "x")
    assert listener.hear(2) == [("c0", "x"), ("c2", "x")]
    rows = client.ask(wire.extended("SELECT * FROM pg_listening_channels() ORDER BY 1"), wire.sync()).rows
    assert rows == [("c0",), ("c2",)]


@pytest.mark.parametrize(
    "statements, left",
    [
        ("BEGIN / SELECT 1 / SAVEPOINT s / UNLISTEN a / ROLLBACK TO s / UNLISTEN b / COMMIT", ["a"]),
        ("BEGIN / SAVEPOINT s / UNLISTEN a / SAVEPOINT t / UNLISTEN b / ROLLBACK TO t / LISTEN c / COMMIT", ["b", "c"]),
        ("UNLISTEN a / BEGIN / ROLLBACK / UNLISTEN b", []),
        ("BEGIN / UNLISTEN a / COMMIT / UNLISTEN b / LISTEN c", ["c"]),
        ("BEGIN / SELECT 1 / UNLISTEN a / COMMIT / LISTEN c", ["b", "c"]),
        ("BEGIN / UNLISTEN a / ROLLBACK / BEGIN / SELECT 1 / UNLISTEN b / COMMIT", ["a"]),
        ("DO $$ BEGIN UNLISTEN a; END $$ / BEGIN / DO $$ BEGIN UNLISTEN b; END $$ / ROLLBACK", ["b"]),
    ],
)
def test_what_is_sent_at_once(
    riders: Pooler, client: Client, postgres: Postgres, statements: str, left: list[str]
) -> None:
    listener = Listener(client, "a", "b")
    free(riders)
    queries = [wire.query(statement) for statement in statements.split(" / ")]
    client.send(*queries)
    listener.take(client.read_ready(len(queries)))
    free(riders)
    for name in ["a", "b", "c"]:
        notify(postgres, name, name)
    assert listener.hear(len(left)) == [(name, name) for name in left]
    assert listener.channels() == left


@pytest.mark.parametrize("listening", ["a", '"$$ it\'s"'], ids=["a plain name", "any other"])
@pytest.mark.parametrize(
    "inside, left",
    [
        ("PERFORM 1", [True, False]),
        ("LISTEN b", [True, True]),
        ("UNLISTEN {}", [False, False]),
        ("UNLISTEN {}; LISTEN b", [False, True]),
    ],
)
def test_a_function_that_listens(
    riders: Pooler, client: Client, postgres: Postgres, listening: str, inside: str, left: list[bool]
) -> None:
    listener = Listener(client)
    listener.query(f"LISTEN {listening}")
    free(riders)
    listener.query(INSIDE.format(inside.format(listening)))
    free(riders)
    name = listening.strip('"')
    postgres.sql_in("app", f"NOTIFY {listening}; NOTIFY b; NOTIFY {listening}, 'again'; NOTIFY b, 'again'")
    both = [(name, ""), ("b", ""), (name, "again"), ("b", "again")]
    expected = [(channel, payload) for channel, payload in both if left[channel == "b"]]
    assert listener.hear(len(expected)) == expected
    assert sorted(listener.channels()) == sorted({channel for channel, _ in expected})


def test_a_client_in_a_transaction_hears_after_it(riders: Pooler, client: Client, postgres: Postgres) -> None:
    listener = Listener(client, "news")
    free(riders)
    client.begin()
    client.query("SELECT 1")
    notify(postgres, "news", "one", "two")
    for _ in range(3):
        listener.query("SELECT pg_sleep(0.02)")
        assert not listener.heard
    listener.query("COMMIT")
    assert listener.hear(2) == [("news", "one"), ("news", "two")]


def test_two_databases_hear_each_their_own(riders: Pooler, client: Client, postgres: Postgres) -> None:
    with riders.client(database="other") as there:
        here, other = Listener(client, "news"), Listener(there, "news")
        free(riders)
        riders.wait_for_pool(database="other", sv_active=0)
        postgres.sql_in("other", "NOTIFY news, 'there'")
        postgres.sql_in("app", "NOTIFY news, 'here'")
        assert here.hear(1) == [("news", "here")]
        assert other.hear(1) == [("news", "there")]
    assert len(postgres.backends(LISTENING)) == 2


def test_users_of_a_database_share_the_listening_server(riders: Pooler, client: Client, postgres: Postgres) -> None:
    with riders.client(user="bob") as bob:
        hearers = [Listener(client, "news"), Listener(bob, "news", "more")]
        free(riders)
        riders.wait_for_pool(user="bob", sv_active=0)
        notify(postgres, "news", "for both")
        for hearer in hearers:
            assert hearer.hear(1) == [("news", "for both")]
    assert len(postgres.backends(LISTENING)) == 1


def test_many_clients_on_all_workers(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=2, workers=4)
    clients = [pooler.client() for _ in range(40)]
    listeners = [Listener(client, f"c{number % 4}") for number, client in enumerate(clients)]
    free(pooler)
    for number in range(100):
        notify(postgres, f"c{number % 4}", str(number))
    for number, listener in enumerate(listeners):
        assert listener.hear(25) == [(f"c{number % 4}", str(n)) for n in range(number % 4, 100, 4)]
    for client in clients:
        client.close()
    postgres.wait_for_backends(0, LISTENING)


def test_the_console_shows_the_listening_server(riders: Pooler, client: Client, postgres: Postgres) -> None:
    Listener(client, "news", "more")
    free(riders)
    rows = [row for row in riders.admin("SHOW SERVERS") if row["state"] == "listening"]
    assert [(row["database"], row["channels"]) for row in rows] == [("app", 2)]
    assert ("app", 2) in {(row["database"], row["channels"]) for row in riders.admin("SHOW CLIENTS")}
    assert {int(row["remote_pid"]) for row in rows} == postgres.backends(LISTENING)


def test_without_room_for_a_listening_server_the_client_keeps_its_own(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1, max_db_connections=1)
    with pooler.client() as client:
        listener = Listener(client, "news")
        pooler.wait_for_log("pin_listen")
        notify(postgres, "news", "one")
        assert listener.hear(1) == [("news", "one")]
        assert not postgres.backends(LISTENING)
        pooler.reload_with(max_db_connections=2)
        free(pooler)
        notify(postgres, "news", "two")
        assert listener.hear(2)[1] == ("news", "two")
    pooler.wait_until_idle()


def test_another_encoding_keeps_its_server(riders: Pooler, postgres: Postgres) -> None:
    with riders.client(client_encoding="LATIN1") as client:
        client.send(wire.query("LISTEN caf\xe9".encode("latin-1")))
        client.read_ready(1)
        riders.wait_for_log("pin_listen")
        notify(postgres, "café", "été")
        message = client.read()
        assert (message.tag, message.body[4:]) == ("A", "café\0été\0".encode("latin-1"))
        client.query("UNLISTEN *")
        free(riders)


def test_a_client_that_changes_its_encoding(riders: Pooler, client: Client, postgres: Postgres) -> None:
    """Its own server tells it then, in that encoding; and the listening server when it has changed back."""
    listener = Listener(client, "news")
    free(riders)
    listener.query("SET client_encoding = 'LATIN1'")
    riders.wait_for_log("pin_listen")
    notify(postgres, "news", "été")
    message = client.read()
    assert (message.tag, message.body[4:]) == ("A", "news\0été\0".encode("latin-1"))
    listener.query("LISTEN more")
    listener.query("RESET client_encoding")
    free(riders)
    notify(postgres, "news", "été")
    notify(postgres, "more", "été")
    assert listener.hear(2) == [("news", "été"), ("more", "été")]


def test_after_a_transaction_of_nothing(riders: Pooler, client: Client, postgres: Postgres) -> None:
    """Its BEGIN was never sent to a server."""
    listener = Listener(client, "news")
    free(riders)
    listener.query("BEGIN")
    notify(postgres, "news", "meanwhile")
    with riders.client() as other:
        neighbour = Listener(other, "news")
        notify(postgres, "news", "later")
        neighbour.hear(1)
    assert not listener.heard
    listener.query("COMMIT")
    assert listener.hear(2) == [("news", "meanwhile"), ("news", "later")]


def test_too_many_channels(riders: Pooler, client: Client) -> None:
    listen = "DO $$ BEGIN FOR n IN 1..{} LOOP EXECUTE 'LISTEN c' || n; END LOOP; END $$"
    assert client.query(listen.format(10000)).shape == "C Z"
    client.send(wire.query("LISTEN one_more"))
    errors = client.read_to_end().errors
    assert [error.sqlstate for error in errors] == ["54000"]
    assert "10000" in errors[0].text


def test_a_client_that_does_not_read_is_sent_away(riders: Pooler, client: Client, postgres: Postgres) -> None:
    with riders.client() as neighbour:
        Listener(client, "news")
        listener = Listener(neighbour, "news")
        free(riders)
        payload, count = "x" * 7900, 0
        while not riders.logged("listener_too_slow"):
            postgres.sql_in("app", f"SELECT pg_notify('news', n || '{payload}') FROM generate_series(1, 100) AS n")
            count += 100
            listener.hear(count)
    assert riders.pool()["sv_active"] in (0, "0")


def test_a_long_transaction_does_not_hold_memory(riders: Pooler, client: Client, postgres: Postgres) -> None:
    Listener(client, "news")
    free(riders)
    client.query("BEGIN")
    client.query("SELECT 1")
    postgres.sql_in("app", "SELECT pg_notify('news', n || repeat('x', 7900)) FROM generate_series(1, 200) AS n")
    errors = client.read_to_end().errors
    assert [error.sqlstate for error in errors] == ["53400"]


def test_session_mode_is_as_ever(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(pool_mode="session")
    with pooler.client() as client:
        listener = Listener(client, "news")
        notify(postgres, "news", "one")
        assert listener.hear(1) == [("news", "one")]
        assert not postgres.backends(LISTENING)


def test_statement_mode(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(pool_mode="statement", default_pool_size=1)
    with pooler.client() as client:
        listener = Listener(client, "news")
        free(pooler)
        notify(postgres, "news", "one")
        assert listener.hear(1) == [("news", "one")]


def test_a_database_that_is_removed(riders: Pooler, postgres: Postgres) -> None:
    with riders.client(database="other") as client:
        Listener(client, "news")
        riders.wait_for_pool(database="other", sv_active=0)
        del riders.databases["other"]
        riders.reload_with()
        assert [error.sqlstate for error in client.read_to_end().errors] == ["57P01"]
        postgres.wait_for_backends(0, LISTENING)


def act(listener: Listener, dice: random.Random) -> None:
    """Something about the channel `other`, or about nothing."""
    client = listener.client
    match dice.randrange(11):
        case 0 | 1:
            listener.query("LISTEN other")
        case 2 | 3:
            listener.query("UNLISTEN other")
        case 4:
            for statement in ["BEGIN", "LISTEN other", dice.choice(["COMMIT", "ROLLBACK"])]:
                listener.query(statement)
        case 5:
            for statement in ["BEGIN", "SAVEPOINT s", "LISTEN more", "ROLLBACK TO s", "LISTEN other", "COMMIT"]:
                listener.query(statement)
        case 6:
            listener.take(client.ask(wire.extended(dice.choice(["LISTEN other", "UNLISTEN other"])), wire.sync()))
        case 7:
            client.send(wire.query("BEGIN"), wire.query("LISTEN other"), wire.query("COMMIT"), wire.query("SELECT 1"))
            listener.take(client.read_ready(4))
        case 8:
            listener.query("SELECT pg_sleep(0.003)")
        case 9:
            listener.query(INSIDE.format("PERFORM 1"))
        case 10:
            for statement in ["BEGIN", "SELECT 1", INSIDE.format("UNLISTEN other"), "COMMIT"]:
                listener.query(statement)


@pytest.mark.parametrize("seed", range(4))
def test_order_is_kept_over_all_channels(pooler: Pooler, postgres: Postgres, seed: int) -> None:
    """A session notifies `numbers` and `other` in turn, as fast as it can, while clients listen to `other` and stop."""
    pooler.run_with(default_pool_size=2, workers=1 + seed % 2)
    dice = random.Random(seed)
    with pooler.client() as first, pooler.client() as second, postgres.client() as speaker:
        listeners = [Listener(first, "numbers"), Listener(second, "numbers")]
        done = threading.Event()

        def speak() -> int:
            count = 0
            while not done.is_set():
                speaker.query(f"NOTIFY {('numbers', 'other')[count % 2]}, '{count}'")
                count += 1
            speaker.query(f"NOTIFY numbers, '{count}'")
            return count

        speaking = Background(speak)
        for _ in range(200):
            act(dice.choice(listeners), dice)
        done.set()
        last = speaking.result()
        for listener in listeners:
            while listener.heard[-1] != ("numbers", str(last)):
                listener.hear(len(listener.heard) + 1)
            heard = [int(payload) for payload in listener.payloads]
            numbers = [int(payload) for channel, payload in listener.heard if channel == "numbers"]
            assert heard == sorted(set(heard)), [(a, b) for a, b in pairwise(heard) if a >= b]
            assert numbers == [n for n in range(numbers[0], last) if n % 2 == 0] + [last]
            assert len(heard) > len(numbers)


def test_nothing_is_lost_or_told_twice_while_channels_change(pooler: Pooler, postgres: Postgres) -> None:
    """One channel stays while others come and go; on it numbers are notified all the time."""
    pooler.run_with(default_pool_size=2, workers=2)
    with pooler.client() as first, pooler.client() as second, pooler.client() as speaker:
        listeners = [Listener(first, "numbers"), Listener(second, "numbers")]
        for number in range(300):
            speaker.query(f"NOTIFY numbers, '{number}'")
            listener = listeners[number % 2]
            match number % 7:
                case 0:
                    listener.query("LISTEN other")
                case 2:
                    listener.query("UNLISTEN other")
                case 4:
                    listener.query("BEGIN; LISTEN more; UNLISTEN other; ROLLBACK")
                case 5:
                    listener.query("SELECT * FROM pg_listening_channels()")
                case _:
                    listener.query("SELECT 1")
        for listener in listeners:
            listener.hear(300)
            assert listener.payloads == [str(number) for number in range(300)]
    wait_until(lambda: not postgres.backends(LISTENING), "the listening server to go")
