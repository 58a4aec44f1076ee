"""Tables of SHOW that no other file is about, against what is really there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kit import wire
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler


def named(pooler: Pooler, table: str, key: str, value: str) -> Mapping[str, Any]:
    """The one row whose `key` is `value`."""
    (row,) = [row for row in pooler.admin(f"SHOW {table}") if row[key] == value]
    return row


def test_users_are_counted_with_their_clients_and_servers(pooler: Pooler) -> None:
    pooler.users["bob"] = {"pool_size": 3, "pool_mode": "session", "max_user_connections": 7}
    pooler.run_with(max_user_client_connections=9)
    with pooler.client("bob") as one, pooler.client("bob", "other"):
        one.query("SELECT 1")
        row = named(pooler, "USERS", "name", "bob")
        assert (row["pool_size"], row["pool_mode"], row["max_user_connections"]) == ("3", "session", 7)
        assert (row["max_user_client_connections"], row["current_client_connections"]) == (9, 2)
        assert row["current_connections"] == len(pooler.postgres.backends("usename = 'bob'"))


def test_databases_are_counted_with_their_clients_and_servers(pooler: Pooler) -> None:
    pooler.databases["app"] |= {"pool_size": 5, "max_db_connections": 4, "max_db_client_connections": 6}
    pooler.run()
    with pooler.client() as client, pooler.client("bob"):
        client.query("SELECT 1")
        row = named(pooler, "DATABASES", "name", "app")
        assert (row["host"], row["port"], row["database"]) == (pooler.postgres.host, pooler.postgres.port, "app")
        assert (row["pool_size"], row["max_connections"], row["max_client_connections"]) == (5, 4, 6)
        assert row["current_client_connections"] == 2
        assert row["current_connections"] == len(pooler.postgres.backends("datname = 'app'"))


def test_lists_and_memory_grow_with_the_clients(pooler: Pooler) -> None:
    pooler.run()

    def counts() -> tuple[int, int]:
        return named(pooler, "LISTS", "list", "used_clients")["items"], named(pooler, "MEM", "name", "client_cache")[
            "used"
        ]

    clients, memory = counts()
    with pooler.client(), pooler.client(), pooler.client():
        assert counts() == (clients + 3, memory + 3)


def test_totals_are_those_of_all_databases(pooler: Pooler) -> None:
    pooler.run()
    before = int(named(pooler, "TOTALS", "name", "total_query_count")["value"])
    with pooler.client() as client, pooler.client(database="other") as other:
        client.query("SELECT 1")
        other.query("SELECT 2")
    counted = int(named(pooler, "TOTALS", "name", "total_query_count")["value"]) - before
    assert counted == 2 + 1  # the look before was one, too


def test_sockets_show_what_is_held_back_of_one_who_waits(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as holder, pooler.client("alice", application_name="waits") as waiting:
        holder.begin()
        text = wire.query("SELECT 'waits'")
        waiting.send(text)
        pooler.wait_for_pool(cl_waiting=1)
        row = named(pooler, "SOCKETS", "application_name", "waits")
        assert (row["type"], row["state"], row["recv_pos"]) == ("C", "cl_waiting", len(text))


def test_active_sockets_leave_out_what_rests(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client(application_name="busy") as busy, pooler.client(application_name="rests") as resting:
        resting.query("SELECT 1")
        busy.begin()
        active = [row for row in pooler.admin("SHOW ACTIVE_SOCKETS") if row["database"] == "app"]
        assert [row["application_name"] for row in active if row["type"] == "C"] == ["busy"]
        (client,) = [row for row in active if row["type"] == "C"]
        (server,) = [row for row in active if row["type"] == "S"]
        assert (client["link"], server["link"]) == (server["ptr"], client["ptr"])
        assert [row["type"] for row in pooler.admin("SHOW SOCKETS") if row["application_name"] == "rests"] == ["C"]


def test_descriptors_are_those_that_the_process_has_open(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client:
        client.begin()
        rows = pooler.admin("SHOW FDS")
        ours = [row for row in rows if row["database"] == "app" or row["task"] == "pooler"]  # the console's is closed
        tasks = [row["task"] for row in ours]
        assert sorted(set(tasks)) == ["client", "pooler", "server"]
        for row in ours:
            assert Path(f"/proc/{pooler.pid}/fd/{row['fd']}").readlink().name.startswith("socket:")
            assert row["password"] is row["scram_client_key"] is None


def test_the_state_is_that_of_operations(pooler: Pooler) -> None:
    pooler.run()

    def state() -> dict[str, str]:
        return {row["key"]: row["value"] for row in pooler.admin("SHOW STATE")}

    assert state() == {"active": "yes", "paused": "no", "suspended": "no"}
    with pooler.console() as console:
        console.run("PAUSE")
        wait_until(lambda: state() == {"active": "no", "paused": "yes", "suspended": "no"}, "the pause to be shown")
        console.run("RESUME")
        assert state()["active"] == "yes"


def test_worker_threads_are_as_many_as_workers_says(pooler: Pooler) -> None:
    def threads() -> int:
        return len(list(Path(f"/proc/{pooler.pid}/task").iterdir()))

    pooler.run_with(workers=1)
    pooler.admin("SHOW VERSION")
    few = threads()
    pooler.run_with(workers=4)
    pooler.admin("SHOW VERSION")
    assert threads() == few + 3
