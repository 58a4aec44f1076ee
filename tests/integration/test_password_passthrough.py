"""password_passthrough through the pooler: PostgreSQL's word counts, for users whom nobody else knows."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kit.client import Client
from tests.kit.fix_logins import PASSWORDS, GuardedPooler, refused


@pytest.fixture
def asking(guarded: GuardedPooler) -> GuardedPooler:
    """A pooler that knows nobody but the console's user; not started yet."""
    guarded.users = {"pgbouncer": guarded.users["pgbouncer"]}
    guarded.settings |= {"auth_type": "plain", "password_passthrough": True}
    for database in ("by_scram", "by_md5", "by_password", "by_trust"):
        guarded.add_database(database)
    return guarded


def login(pooler: GuardedPooler, user: str, password: str, database: str) -> str:
    with Client(pooler.address) as client:
        client.log_in(user=user, database=database, password=password)
        return str(client.query("SELECT current_user").value)


def refusal(pooler: GuardedPooler, user: str, password: str, database: str) -> tuple[str, str]:
    with Client(pooler.address) as client:
        error = refused(client, password, user=user, database=database)
        return error.sqlstate, error.fields["M"]


@pytest.mark.parametrize(
    "user, database",
    [("alice", "by_scram"), ("bob", "by_md5"), ("carol", "by_password"), ("dora", "by_scram"), ("carol", "by_md5")],
)
def test_the_password_opens_pooler_and_server(asking: GuardedPooler, user: str, database: str) -> None:
    asking.run()
    assert login(asking, user, PASSWORDS[user], database) == user
    for wrong in ("wrong", ""):
        assert refusal(asking, user, wrong, database) == ("28P01", f'password authentication failed for user "{user}"')


def test_an_unknown_user_is_refused_like_one_with_a_wrong_password(asking: GuardedPooler) -> None:
    asking.run()
    assert refusal(asking, "nobody", "x", "by_scram")[0] == "28P01"


def test_without_the_setting_postgresql_is_not_asked(asking: GuardedPooler) -> None:
    asking.run_with(password_passthrough=False)
    assert refusal(asking, "alice", PASSWORDS["alice"], "by_scram")[0] == "28P01"


def test_a_user_listed_without_a_password_is_not_tried(asking: GuardedPooler) -> None:
    userlist = asking.folder / "userlist.txt"
    userlist.write_text('"alice" ""\n')
    asking.run_with(auth_file=str(userlist))
    assert refusal(asking, "alice", PASSWORDS["alice"], "by_scram")[0] == "28P01"
    assert login(asking, "carol", PASSWORDS["carol"], "by_scram") == "carol"


def test_a_server_that_trusts_the_pooler_lets_nobody_in(asking: GuardedPooler) -> None:
    asking.run()
    for password in (PASSWORDS["alice"], "wrong"):
        assert refusal(asking, "alice", password, "by_trust")[0] == "08006"


def test_a_crowd_of_one_user_is_tried_once(asking: GuardedPooler) -> None:
    asking.postgres.sql("ALTER SYSTEM SET log_connections = on")
    asking.postgres.reload()
    try:
        asking.run_with(default_pool_size=3)
        with ThreadPoolExecutor(20) as pool:
            found = set(pool.map(lambda _: login(asking, "alice", PASSWORDS["alice"], "by_scram"), range(100)))
        assert found == {"alice"}
        log = asking.postgres.log.read_text(errors="replace")
        assert log.count("application_name=howdah password_passthrough") == 1
    finally:
        asking.postgres.sql("ALTER SYSTEM RESET log_connections")
        asking.postgres.reload()


def test_a_changed_password_counts_when_the_old_ones_time_is_over(asking: GuardedPooler) -> None:
    asking.run_with(auth_cache_ttl=0)
    assert login(asking, "carol", PASSWORDS["carol"], "by_scram") == "carol"
    asking.postgres.set_password("carol", "new one")
    try:
        assert refusal(asking, "carol", PASSWORDS["carol"], "by_scram")[0] == "28P01"
        assert login(asking, "carol", "new one", "by_scram") == "carol"
    finally:
        asking.postgres.set_password("carol", PASSWORDS["carol"])


def test_a_server_that_is_down_is_named(asking: GuardedPooler) -> None:
    asking.add_database("nowhere", port=1)
    asking.run()
    told = refusal(asking, "alice", "x", "nowhere")
    assert told == ("08006", "authentication is not available now: password_passthrough")
    asking.wait_until_told("password_passthrough", "refused")
