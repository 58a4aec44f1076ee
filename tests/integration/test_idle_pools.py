"""pool_idle_timeout: pools that nobody uses go, and what they have counted stays."""

import pytest

from tests.kit.deadline import wait_until
from tests.kit.monitored import Monitored
from tests.kit.pooler import Pooler


def statistics(pooler: Pooler) -> tuple[int, int]:
    (row,) = [row for row in pooler.admin("SHOW STATS") if row["database"] == "app"]
    return int(row["total_query_count"]), int(row["total_client_login_count"])


def test_a_pool_without_clients_and_servers_goes(pooler: Pooler) -> None:
    pooler.run_with(pool_idle_timeout="0.2s", server_idle_timeout="0.2s")
    with pooler.client() as client:
        client.query("SELECT 1")
    wait_until(lambda: not pooler.pool(), "the pool to go")
    with pooler.client() as client:
        assert client.query("SELECT 1").rows == [("1",)]


def test_its_numbers_stay(pooler: Pooler) -> None:
    pooler.run_with(pool_idle_timeout="0.2s", server_idle_timeout="0.2s")
    with pooler.client() as client:
        client.query("SELECT 1")
    before = statistics(pooler)
    assert before[0] > 0
    wait_until(lambda: not pooler.pool(), "the pool to go")
    assert statistics(pooler) == before
    with pooler.client() as client:
        client.query("SELECT 1")
    wait_until(lambda: statistics(pooler) > before, "the next pool to count on")


def test_who_is_connected_keeps_it(pooler: Pooler) -> None:
    pooler.run_with(pool_idle_timeout="0.1s", server_idle_timeout="0.1s")
    idle, other = pooler.client(), pooler.client(database="other")
    idle.query("SELECT 1")
    other.query("SELECT 1")
    other.close()
    wait_until(lambda: not pooler.pool("other"), "the other pool to go")
    assert pooler.pool()
    assert idle.query("SELECT 1").rows == [("1",)]


def test_a_pool_that_is_to_have_servers_comes_back_from_a_pause(pooler: Pooler) -> None:
    pooler.databases["app"] |= {"min_pool_size": 1, "user": "alice"}
    pooler.run_with(pool_idle_timeout="0.1s", server_idle_timeout="0.1s")
    with pooler.client(database="other") as other:
        other.query("SELECT 1")
    pooler.wait_for_pool(sv_idle=1)
    with pooler.console() as console:
        console.run("PAUSE app")
        wait_until(lambda: not pooler.pool("other"), "the other pool to go")
        console.run("RESUME app")
    pooler.wait_for_pool(sv_idle=1)


def test_without_it_pools_stay(pooler: Pooler) -> None:
    pooler.databases["*"] = dict(pooler.databases["other"])
    pooler.run_with(server_idle_timeout="0.1s", autodb_idle_timeout="0.1s")
    for database in ("app", "postgres"):
        with pooler.client(database=database) as client:
            client.query("SELECT 1")
    wait_until(lambda: not pooler.pool("postgres"), "the pool of * to go")
    assert pooler.pool()


def test_totals_do_not_fall_when_a_database_of_the_star_goes(pooler: Pooler) -> None:
    pooler.databases["*"] = dict(pooler.databases.pop("other"))
    pooler.run_with(autodb_idle_timeout="0.2s", server_idle_timeout="0.2s")

    def total() -> int:
        (row,) = [row for row in pooler.admin("SHOW TOTALS") if row["name"] == "total_client_login_count"]
        return int(row["value"])

    with pooler.client(database="other") as client:
        client.query("SELECT 1")
        assert total() == 1
    wait_until(lambda: not pooler.pool("other"), "the pool to go")
    assert total() == 1
    assert "other" not in [row["database"] for row in pooler.admin("SHOW STATS")]
    with pooler.client(database="other") as client:
        client.query("SELECT 1")
        assert total() == 2


@pytest.mark.parametrize("by", ["database", "pool"])
def test_metrics_by_database_do_not_fall_when_a_pool_goes(pooler: Pooler, by: str) -> None:
    monitored = Monitored(pooler, pool_idle_timeout="0.2s", server_idle_timeout="0.2s", metrics_by=by)
    of_app = {"database": "app"}
    counters = ("howdah_queries_total", "howdah_client_logins_total", "howdah_received_bytes_total")
    with pooler.client() as client:
        client.query("SELECT 1")
        before = [monitored.value(name, **of_app) for name in counters]
        assert min(before) > 0
        assert monitored.value("howdah_login_seconds_count", **of_app) == 1
    wait_until(lambda: not pooler.pool(), "the pool to go")
    after = [monitored.value(name, **of_app) for name in counters]
    assert all(later >= earlier for earlier, later in zip(before, after, strict=True))
    assert monitored.value("howdah_login_seconds_count", **of_app) == (1 if by == "database" else 0)
    with pooler.client() as client:
        client.query("SELECT 1")
        assert monitored.value("howdah_login_seconds_count", **of_app) == (2 if by == "database" else 1)
