"""What replication connections count under, and how they wait for it."""

import time

import pytest

from tests.kit import wire
from tests.kit.client import Client, Refused
from tests.kit.crowd import Background, crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import REPLICATOR, Postgres
from tests.kit.replication import LOGICAL, PHYSICAL, replicator, stream
from tests.kit.watch import BackendWatch

OURS = f"usename = '{REPLICATOR}'"
each_number_of_workers = pytest.mark.parametrize("workers", [1, 3])


def works(client: Client) -> bool:
    return not client.query("IDENTIFY_SYSTEM").errors


def comings_and_goings(pooler: Pooler, number: int) -> None:
    """One client's work: every third is for replication."""
    for _ in range(4):
        if number % 3 == 0:
            with replicator(pooler, PHYSICAL if number % 2 else LOGICAL) as client:
                assert works(client)
        else:
            with pooler.client(REPLICATOR) as client:
                assert not client.query("SELECT pg_sleep(0.01)").errors


@each_number_of_workers
@pytest.mark.parametrize("limit", ["max_db_connections", "max_user_connections"])
def test_limits_are_exact(pooler: Pooler, postgres: Postgres, limit: str, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=5, **{limit: 3})
    with BackendWatch(postgres, OURS) as watch:
        crowd(18, lambda number: comings_and_goings(pooler, number))
    assert watch.peak <= 3
    pooler.wait_until_idle()
    with pooler.client(REPLICATOR) as last:  # nothing is counted that is not there any more
        last.begin()
        with replicator(pooler, PHYSICAL) as one, replicator(pooler, LOGICAL) as other:
            assert works(one)
            assert works(other)


def test_a_pools_size_is_about_servers_that_are_shared(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with replicator(pooler, PHYSICAL) as one, replicator(pooler, LOGICAL) as other:
        stream(one)
        with pooler.client(REPLICATOR) as ordinary:
            assert ordinary.begin().statuses == "T"
            assert works(other)
            with replicator(pooler, LOGICAL) as third:
                assert works(third)
        row = pooler.pool("app", REPLICATOR)
        assert (row["pool_size"], row["sv_active"] >= 2) == (1, True)


def test_max_client_conn(pooler: Pooler) -> None:
    pooler.run_with(max_client_conn=1)
    with replicator(pooler, PHYSICAL) as one:
        stream(one)
        for kind in (LOGICAL, "false"):
            with pytest.raises(Refused) as refused:
                replicator(pooler, kind)
            assert refused.value.sqlstate == "53300"


@pytest.mark.parametrize("limit", ["max_db_client_connections", "max_user_client_connections"])
def test_limits_of_clients(pooler: Pooler, limit: str) -> None:
    pooler.run_with(**{limit: 1})
    with replicator(pooler, PHYSICAL), pytest.raises(Refused) as refused:
        replicator(pooler, LOGICAL)
    assert refused.value.sqlstate == "53300"
    pooler.wait_for_pool("app", REPLICATOR, cl_active=0)
    with replicator(pooler, LOGICAL) as client:
        assert works(client)


@each_number_of_workers
def test_waiting_for_room(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    """An idle server of the pool makes room, a busy one as soon as it is idle."""
    pooler.run_with(workers=workers, max_db_connections=1)
    with pooler.client("alice") as busy:
        busy.begin()
        waiting = Background(lambda: replicator(pooler, PHYSICAL))
        pooler.wait_for_pool("app", REPLICATOR, cl_waiting=1)
        with BackendWatch(postgres, f"{OURS} OR usename = 'alice'") as watch:
            busy.query("COMMIT")
            client = waiting.result()
            assert works(client)
        assert watch.peak <= 1
    pooler.wait_for_log("server_evicted")
    pooler.wait_for_pool("app", REPLICATOR, cl_waiting=0, cl_active=1)
    client.close()


@each_number_of_workers
def test_the_line_is_in_order(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, max_db_connections=1)
    holder, waiting = replicator(pooler, PHYSICAL), list[Background[Client]]()
    for place in range(4):
        waiting.append(Background(lambda: replicator(pooler, LOGICAL)))
        pooler.wait_for_pool("app", REPLICATOR, cl_waiting=place + 1)
    for place, one in enumerate(waiting):
        assert [other.is_done for other in waiting] == [True] * place + [False] * (4 - place)
        holder.close()
        holder = one.result()
        assert works(holder)
        pooler.wait_for_pool("app", REPLICATOR, cl_waiting=3 - place)
    holder.close()


def test_a_stream_in_the_way_of_ordinary_clients(pooler: Pooler) -> None:
    pooler.run_with(max_db_connections=1)
    with pooler.client("alice") as ordinary:
        ordinary.query("SELECT 1")
        with replicator(pooler, PHYSICAL) as client:
            stream(client)
            ordinary.send(wire.query("SELECT 'served'"))
            pooler.wait_for_pool("app", "alice", cl_waiting=1)
        assert ordinary.read_until("Z").value == "served"


def test_query_wait_timeout(pooler: Pooler) -> None:
    pooler.run_with(max_db_connections=1, query_wait_timeout=0.5)
    with replicator(pooler, PHYSICAL) as holder:
        stream(holder)
        started = time.monotonic()
        with pytest.raises(Refused) as refused:
            replicator(pooler, LOGICAL)
        assert refused.value.sqlstate == "53300"
        assert time.monotonic() - started > 0.4
    pooler.wait_for_log("query_wait_timeout")
    pooler.wait_for_pool("app", REPLICATOR, cl_waiting=0)
    with replicator(pooler, LOGICAL) as client:
        assert works(client)


@each_number_of_workers
def test_who_leaves_the_line_takes_nothing(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, max_db_connections=1)
    holder = replicator(pooler, PHYSICAL)
    for _ in range(3):
        impatient = Client(pooler.address)
        impatient.send(wire.startup(user=REPLICATOR, database="app", replication="true"))
        pooler.wait_for_pool("app", REPLICATOR, cl_waiting=1)
        impatient.vanish()
        pooler.wait_for_pool("app", REPLICATOR, cl_waiting=0)
    holder.close()
    with replicator(pooler, PHYSICAL) as client:
        assert works(client)


@each_number_of_workers
def test_who_leaves_just_when_there_is_room(pooler: Pooler, workers: int) -> None:
    """Room on its way to a client that is gone is room for the next."""
    pooler.run_with(workers=workers, max_db_connections=1)

    def restless(number: int) -> None:
        for turn in range(15):
            client = Client(pooler.address)
            client.send(wire.startup(user=REPLICATOR, database="app", replication="true"))
            if (number + turn) % 3 == 0:
                client.read_until("Z", within=60)
            client.vanish()

    crowd(8, restless)
    with replicator(pooler, PHYSICAL) as client:
        assert works(client)
    pooler.wait_for_pool("app", REPLICATOR, cl_waiting=0, cl_active=0, sv_active=0, sv_login=0)


def test_min_pool_size_is_for_clients_that_share(pooler: Pooler) -> None:
    pooler.run_with(min_pool_size=2)
    with replicator(pooler, LOGICAL), pooler.client("alice"):
        pooler.wait_for_pool("app", "alice", sv_idle=2)
        assert pooler.pool("app", REPLICATOR)["sv_idle"] == 0
        with pooler.client(REPLICATOR):
            pooler.wait_for_pool("app", REPLICATOR, sv_idle=2)


def test_an_unused_pool_of_the_entry_for_all_others(pooler: Pooler) -> None:
    pooler.databases = {"*": pooler.databases["app"]}
    pooler.run_with(autodb_idle_timeout=0.2)
    with replicator(pooler, PHYSICAL, "replication") as client, pooler.client("alice", "other") as ordinary:
        ordinary.query("SELECT 1")
        stream(client)
        ordinary.close()
        pooler.admin("RELOAD")
        wait_until(lambda: pooler.pool("replication", REPLICATOR)["sv_active"] == 1, "the stream's pool to be there")
    wait_until(lambda: not pooler.pool("replication", REPLICATOR), "its pool to go")


@pytest.mark.parametrize("kind", [PHYSICAL, LOGICAL])
def test_limits_of_queries_and_a_connect_query_are_not_for_replication(pooler: Pooler, kind: str) -> None:
    pooler.databases["app"]["connect_query"] = "SELECT 1/0"
    pooler.run_with(query_timeout=0.3, transaction_timeout=0.3, idle_transaction_timeout=0.3, client_idle_timeout=0.3)
    with replicator(pooler, kind) as client, pooler.client() as ordinary:
        stream(client)
        assert ordinary.query_to_end("SELECT pg_sleep(60)", within=10).error.fields["M"] == "query timeout"
        for _ in range(2):  # longer than any of the limits
            with pooler.client() as other:
                assert other.query_to_end("SELECT pg_sleep(60)", within=10).errors
        client.send(wire.copy_done())
        assert not client.read_until("Z").errors
    assert {line["user"] for line in pooler.logged("connect_query_failed")} == {"alice"}
