"""Databases that have a name, "*" for all others, forced users, and limits by database and by user."""

import time

from tests.kit import wire
from tests.kit.client import Client, Refused
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler, refused
from tests.kit.readiness import readable


def test_the_star_stands_for_every_other_name(guarded: GuardedPooler) -> None:
    guarded.add_database("named", dbname="other")
    guarded.add_database("*")
    guarded.run()
    for asked, got in (("named", "other"), ("other", "other"), ("by_trust", "by_trust"), ("app", "app")):
        with guarded.client(database=asked) as client:
            assert client.query("SELECT current_database()").value == got


def test_the_star_may_have_a_name_on_the_server(guarded: GuardedPooler) -> None:
    guarded.add_database("*", dbname="other")
    guarded.run()
    with guarded.client(database="anything at all") as client:
        assert client.query("SELECT current_database()").value == "other"


def test_a_database_that_is_not_there_either(guarded: GuardedPooler) -> None:
    guarded.postgres.let_in("host all all all trust")
    guarded.add_database("*")
    guarded.run()
    with guarded.stranger() as client:
        client.send(wire.startup(user="alice", database="no_such"))
        replies = client.prove("alice", PASSWORDS["alice"])
        if not replies.errors:
            client.send(wire.query("SELECT 1"))
            replies = client.read_until("Z", "E")
    assert replies.error.sqlstate == "3D000"


def test_without_a_star_an_unknown_database_is_refused(guarded: GuardedPooler) -> None:
    guarded.run()
    with guarded.stranger() as client:
        error = refused(client, PASSWORDS["alice"], user="alice", database="no_such")
    assert (error.sqlstate, error.fields["M"]) == ("3D000", "no such database: no_such")


def test_who_has_no_password_learns_nothing_of_databases(guarded: GuardedPooler) -> None:
    """PostgreSQL, too, says first that the password is wrong."""
    guarded.run()
    with guarded.stranger() as client:
        assert refused(client, "wrong", user="alice", database="no_such").sqlstate == "28P01"


def test_pools_of_the_star_go_when_unused(guarded: GuardedPooler) -> None:
    """As PgBouncer counts it: from when their last server was closed, too."""
    guarded.add_database("*")
    guarded.run_with(autodb_idle_timeout=0.3, server_idle_timeout=0.2)
    with guarded.client(database="other") as client:
        client.query("SELECT 1")
        assert guarded.pool("other")
    wait_until(lambda: not guarded.pool("other"), "the pool to go")
    wait_until(lambda: not guarded.postgres.backends("datname = 'other'"), "its servers to be closed")
    guarded.client(database="other").close()
    with guarded.client() as client:  # a named one stays
        client.query("SELECT 1")


def test_pools_of_the_star_stay_while_somebody_is_connected(guarded: GuardedPooler) -> None:
    guarded.add_database("*")
    guarded.run_with(autodb_idle_timeout=0.2, server_idle_timeout=0.2)
    with guarded.client(database="other") as idle:
        for name in ("by_trust", "app"):
            with guarded.client(database=name) as client:
                client.query("SELECT 1")
        wait_until(lambda: not guarded.pool("by_trust"), "an unused pool to go")
        assert guarded.pool("other")
        assert idle.query("SELECT current_database()").value == "other"


def test_a_forced_user(guarded: GuardedPooler) -> None:
    """Clients keep their own names towards howdah; PostgreSQL sees one user, and there is one pool."""
    guarded.add_database("app", user="carol")
    guarded.run()
    for user in ("alice", "bob"):
        with guarded.client(user) as client:
            assert client.query("SELECT current_user, session_user").rows == [("carol", "carol")]
    with guarded.stranger() as client:
        assert refused(client, PASSWORDS["carol"], user="alice", database="app").sqlstate == "28P01"
    assert [row["user"] for row in guarded.admin("SHOW POOLS") if row["database"] == "app"] == ["carol"]


def _full(pooler: GuardedPooler, user: str = "alice", database: str = "app") -> wire.Message:
    with pooler.stranger() as client:
        return refused(client, PASSWORDS[user], user=user, database=database)


def test_max_db_client_connections(guarded: GuardedPooler) -> None:
    guarded.add_database("app", max_db_client_connections=2)
    guarded.add_database("other")
    guarded.run()
    with guarded.client(), guarded.client("bob") as second:
        error = _full(guarded, "carol")
        assert error.sqlstate == "53300"
        assert error.fields["M"] == 'no more connections allowed to database "app" (max_db_client_connections)'
        guarded.client(database="other").close()
        second.close()
        wait_until(lambda: _is_let_in(guarded), "the place to be free")


def test_max_db_client_connections_for_all(guarded: GuardedPooler) -> None:
    guarded.add_database("other", max_db_client_connections=3)
    guarded.run_with(max_db_client_connections=1)
    with guarded.client(), guarded.client(database="other"), guarded.client(database="other"):
        assert _full(guarded).sqlstate == "53300"
        guarded.client(database="other").close()


def test_max_user_client_connections(guarded: GuardedPooler) -> None:
    guarded.add_database("other")
    guarded.users["bob"]["max_user_client_connections"] = 1
    guarded.run_with(max_user_client_connections=2)
    with guarded.client(), guarded.client(database="other"), guarded.client("bob"):
        for user in ("alice", "bob"):
            error = _full(guarded, user)
            assert error.sqlstate == "53300"
            assert error.fields["M"] == f'no more connections allowed for user "{user}" (max_user_client_connections)'
        guarded.client("carol").close()


def test_max_client_conn_is_said_at_once(guarded: GuardedPooler) -> None:
    guarded.run_with(max_client_conn=2)
    with guarded.client(), guarded.client():
        with guarded.stranger() as client:
            client.send(wire.startup(user="alice", database="app"))
            replies = client.prove("alice", PASSWORDS["alice"])
            assert (replies.error.sqlstate, "max_client_conn" in replies.error.fields["M"]) == ("53300", True)


def _is_let_in(pooler: GuardedPooler) -> bool:
    try:
        pooler.client().close()
    except Refused:
        return False
    return True


def test_a_refused_password_takes_no_place(guarded: GuardedPooler) -> None:
    """Who cannot prove who he is must not be able to fill up alice's limit or the database's."""
    guarded.add_database("app", max_db_client_connections=2)
    guarded.run_with(max_user_client_connections=2)
    strangers = [guarded.stranger() for _ in range(5)]
    for client in strangers:
        client.send(wire.startup(user="alice", database="app"))
        client.read()
    with guarded.client() as one, guarded.client() as two:
        assert one.query("SELECT 1").value == two.query("SELECT 1").value == "1"


def test_limits_count_down_however_clients_go(guarded: GuardedPooler) -> None:
    guarded.add_database("app", max_db_client_connections=1)
    guarded.run_with(max_user_client_connections=1)
    for number in range(30):
        client = wait_until(lambda: _try(guarded), "a place")
        assert client is not None
        client.query("SELECT 1")
        (client.close, client.vanish, client.reset)[number % 3]()


def _try(pooler: GuardedPooler) -> Client | None:
    try:
        return pooler.client()
    except Refused:
        return None


def test_login_rate_per_user(guarded: GuardedPooler) -> None:
    guarded.run_with(login_rate_per_user=2)
    outcomes = [_outcome(guarded, "alice") for _ in range(12)]
    assert outcomes[0] == "in"
    assert "53300" in outcomes
    assert _outcome(guarded, "bob") == "in"
    wait_until(lambda: _outcome(guarded, "alice") == "in", "alice to be let in again")


def test_login_rate_per_address(guarded: GuardedPooler) -> None:
    guarded.run_with(login_rate_per_address=2)
    outcomes = [_outcome(guarded, ("alice", "bob")[number % 2]) for number in range(12)]
    assert outcomes[0] == "in"
    assert "53300" in outcomes
    wait_until(lambda: guarded.logged("login_rate"), "the log line")
    with Client(guarded.socket_path) as client:  # the rate is of addresses; a Unix socket has none
        client.log_in(user="carol", database="app", password=PASSWORDS["carol"])


def _outcome(pooler: GuardedPooler, user: str) -> str:
    try:
        pooler.client(user).close()
    except Refused as refusal:
        return refusal.sqlstate
    return "in"


def test_max_concurrent_logins(guarded: GuardedPooler) -> None:
    guarded.run_with(max_concurrent_logins=3)
    undecided = [guarded.stranger() for _ in range(3)]
    for client in undecided:
        client.send(wire.startup(user="alice", database="app"))
        client.read()
    with guarded.stranger() as client:
        client.send(wire.startup(user="bob", database="app"))
        error = client.read()
        assert (error.tag, error.sqlstate) == ("E", "53300")
        assert "max_concurrent_logins" in error.fields["M"]
    undecided[0].vanish()
    wait_until(lambda: _outcome(guarded, "bob") == "in", "the place to be free")


def test_application_name_add_host(guarded: GuardedPooler) -> None:
    guarded.run_with(application_name_add_host=True)
    with guarded.client(application_name="shop") as client:
        port = client.socket.getsockname()[1]
        shown = client.query("SELECT current_setting('application_name')").value
        assert shown == f"shop - 127.0.0.1:{port}"


def test_client_login_timeout_counts_from_the_first_byte_to_the_last(guarded: GuardedPooler) -> None:
    """One that sends a byte now and then stays no longer than one that is silent."""
    guarded.run_with(client_login_timeout=0.5)
    with guarded.client() as other:
        client = guarded.stranger()
        start = time.monotonic()
        for byte in wire.startup(user="alice" + "x" * 2000, database="app"):
            client.send(bytes([byte]))
            if readable(client.socket, 0.01):  # told, or hung up on
                break
        assert 0.4 < time.monotonic() - start < 5
        guarded.wait_for_log("client_login_timeout")
        assert other.query("SELECT 1").value == "1"
