"""Transaction pooling itself: who has which server, and for how long."""

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import crowd
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres


def pid(client: Client) -> str | None:
    return client.query("SELECT pg_backend_pid()").value


def test_clients_in_turn_use_one_server(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(workers=1)  # another one may ask for a server in the moment before it is released
    with pooler.client() as one, pooler.client() as two, pooler.client() as three:
        assert len({pid(client) for client in (one, two, three, one, two, three)}) == 1
    assert len(postgres.backends()) == 1


def test_a_transaction_keeps_its_server(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as one, pooler.client() as two:
        one.begin()
        kept = pid(one)
        other = pid(two)
        assert other != kept
        assert [pid(one), pid(two), pid(one)] == [kept, other, kept]
        one.query("COMMIT")
        two.begin()
        two.query("ROLLBACK")


def test_a_failed_transaction_keeps_its_server_until_its_end(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as one, pooler.client() as two:
        one.query("BEGIN; SELECT 1/0")
        two.send(wire.query("SELECT 'mine now'"))
        pooler.wait_for_pool(cl_waiting=1, sv_active=1)
        one.query("ROLLBACK")
        assert two.read_until("Z").value == "mine now"


def test_a_server_is_free_after_an_error_outside_a_transaction(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as one, pooler.client() as two:
        for _ in range(20):
            assert one.query("SELECT 1/0").error.sqlstate == "22012"
            assert two.query("SELECT 1").value == "1"


def test_extended_messages_before_sync_hold_the_server(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as one, pooler.client() as two:
        one.send(wire.extended("SELECT 'one'"), wire.flush())
        assert one.read_until("C").value == "one"
        two.send(wire.query("SELECT 'two'"))
        pooler.wait_for_pool(cl_waiting=1, sv_active=1)
        assert one.ask(wire.sync()).shape == "Z"
        assert two.read_until("Z").value == "two"


def test_idle_clients_hold_no_server(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=2)
    clients = [pooler.client() for _ in range(50)]
    for client in clients:
        assert client.query("SELECT 1").value == "1"
    pooler.wait_for_pool(cl_active=50, sv_active=0, cl_waiting=0)
    assert len(postgres.backends()) <= 2


def test_each_user_and_database_has_a_pool_of_its_own(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    who = [("alice", "app"), ("bob", "app"), ("alice", "other"), ("bob", "other")]
    clients = [pooler.client(user, database) for user, database in who]
    rows = [client.query("SELECT current_user, current_database(), pg_backend_pid()").rows[0] for client in clients]
    assert [row[:2] for row in rows] == who
    assert len({row[2] for row in rows}) == 4
    assert {(row["user"], row["database"]) for row in pooler.admin("SHOW POOLS")} >= set(who)


def test_a_forced_user_is_one_pool_for_all_clients(pooler: Pooler) -> None:
    pooler.databases["app"]["user"] = "carol"
    pooler.run_with(default_pool_size=1)
    with pooler.client("alice") as one, pooler.client("bob") as two:
        assert one.query("SELECT current_user").value == "carol"
        assert two.query("SELECT current_user").value == "carol"
        assert pid(one) == pid(two)


def test_a_database_under_another_name(pooler: Pooler) -> None:
    pooler.databases["nickname"] = {**pooler.databases["app"], "dbname": "other"}
    pooler.run()
    with pooler.client(database="nickname") as client:
        assert client.query("SELECT current_database()").value == "other"


def test_the_fallback_database(pooler: Pooler) -> None:
    pooler.databases = {"*": pooler.databases["app"]}
    pooler.run()
    for database in ("app", "other"):
        with pooler.client(database=database) as client:
            assert client.query("SELECT current_database()").value == database


def test_a_named_statement_that_is_not_followed_pins_its_server_until_the_client_leaves(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2, max_prepared_statements=0)
    with pooler.client() as one, pooler.client() as two:
        one.ask(wire.parse("SELECT pg_backend_pid()", "mine"), wire.sync())
        pinned = one.ask(wire.bind(statement="mine"), wire.execute(), wire.sync()).value
        assert pid(one) == pinned
        assert pid(two) != pinned
        assert one.ask(wire.bind(statement="mine"), wire.execute(), wire.sync()).value == pinned
    pooler.wait_until_idle()
    with pooler.client() as client:
        assert client.query("SELECT count(*) FROM pg_prepared_statements").value == "0"


def test_an_unnamed_statement_parsed_ahead_keeps_its_server(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2)
    with pooler.client() as one, pooler.client() as two:
        one.ask(wire.parse("SELECT 'of one'"), wire.sync())
        two.ask(wire.parse("SELECT 'of two'"), wire.sync())
        for client, text in ((one, "of one"), (two, "of two")):
            assert client.ask(wire.bind(), wire.execute(), wire.sync()).value == text


def test_session_mode_keeps_the_server_for_the_session(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(pool_mode="session", default_pool_size=2)
    with pooler.client() as one, pooler.client() as two:
        pids = pid(one), pid(two)
        assert (pid(one), pid(two)) == pids
        one.query("CREATE TEMP TABLE mine (n int)")
        assert one.query("SELECT count(*) FROM mine").value == "0"
    pooler.wait_until_idle()
    with pooler.client() as one, pooler.client() as two:
        assert {pid(one), pid(two)} == set(pids)
        for client in (one, two):
            assert client.query("SELECT count(*) FROM mine").error.sqlstate == "42P01"


def test_every_client_gets_its_own_answers(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=4, workers=4)

    def work(number: int) -> None:
        with pooler.client() as client:
            for turn in range(100):
                text = f"{number}/{turn}"
                if turn % 3 == 0:
                    assert client.query(f"SELECT '{text}'").value == text
                elif turn % 3 == 1:
                    assert client.ask(wire.extended("SELECT $1::text", text), wire.sync()).value == text
                else:
                    client.send(wire.query("BEGIN"), wire.query(f"SELECT '{text}'"), wire.query("COMMIT"))
                    assert client.read_ready(3).value == text

    crowd(40, work)
    pooler.wait_until_idle()
