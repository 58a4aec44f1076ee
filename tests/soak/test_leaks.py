"""Thousands of clients come and go in every manner; afterwards nothing of them is left."""

import random
import time

import pytest

from tests.kit import wire
from tests.kit.client import Client, Gone, Refused
from tests.kit.crowd import crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.watch import BackendWatch

pytestmark = pytest.mark.slow


def nobody_is_left(pooler: Pooler) -> bool:
    return not [row for row in pooler.admin("SHOW CLIENTS") if row["database"] != "pgbouncer"]


def test_a_thousand_reconnects_leave_nothing(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=4)
    pooler.value("SELECT 1")

    def reconnect(_: int) -> None:
        for _ in range(100):
            with pooler.client() as client:
                assert client.query("SELECT 1").value == "1"

    crowd(4, reconnect)  # warms up: every buffer that is kept has been made
    wait_until(lambda: nobody_is_left(pooler), "all clients to be gone")
    files, memory = pooler.open_files, pooler.resident_bytes
    crowd(10, reconnect)
    wait_until(lambda: nobody_is_left(pooler), "all clients to be gone")
    wait_until(lambda: pooler.open_files <= files + 4, "all descriptors to be given back")
    assert pooler.resident_bytes - memory < 2 << 20
    pooler.wait_for_pool(cl_active=0, cl_waiting=0, sv_active=0)


def leave_somehow(pooler: Pooler, dice: random.Random) -> None:
    """One client that goes at a moment of its own choice."""
    client = Client(pooler.address)
    moment = dice.randrange(8)
    if moment == 0:
        client.send(wire.startup(user="alice", database="app")[: dice.randrange(20)])
    elif moment > 1:
        client.log_in(user="alice", database="app")
        client.send(
            *{
                2: [wire.query("BEGIN")],
                3: [wire.query("SELECT pg_sleep(0.05)")],
                4: [wire.query("BEGIN"), wire.query("SELECT pg_sleep(60)")],
                5: [wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 5000)")],
                6: [wire.extended("SELECT 1"), wire.flush()],
                7: [wire.query("SELECT 1")[:-3]],
            }[moment]
        )
        if moment != 7 and dice.random() < 0.5:  # half a query is never answered
            client.read()
    # A goodbye behind a query waits for that query, at PostgreSQL too: not behind one that sleeps for a minute.
    ways = [Client.vanish, Client.reset] if moment == 4 else [Client.vanish, Client.reset, Client.close]
    dice.choice(ways)(client)


def test_a_storm_of_vanishing_clients(pooler: Pooler, postgres: Postgres, pytestconfig: pytest.Config) -> None:
    pooler.run_with(default_pool_size=5, query_wait_timeout=30, client_login_timeout=5)
    pooler.value("SELECT 1")
    files = pooler.open_files
    until = time.monotonic() + pytestconfig.getoption("soak_seconds") / 2

    def storm(number: int) -> int:
        dice, count = random.Random(number), 0
        while time.monotonic() < until:
            try:
                leave_somehow(pooler, dice)
            except (Gone, Refused, OSError):
                continue
            count += 1
        return count

    with BackendWatch(postgres) as watch:
        assert sum(crowd(8, storm).values()) > 50
        pooler.wait_until_idle(within=30)
    assert watch.peak <= 5
    wait_until(lambda: nobody_is_left(pooler), "all clients to be gone")
    wait_until(lambda: pooler.open_files <= files + 10, "all descriptors to be given back")
    assert pooler.value("SELECT 1") == 1


def test_a_thousand_idle_clients_cost_little(pooler: Pooler) -> None:
    pooler.run_with(max_client_conn=1200, default_pool_size=4)
    pooler.value("SELECT 1")
    memory = pooler.resident_bytes
    clients = [pooler.client() for _ in range(1000)]
    assert (pooler.resident_bytes - memory) / 1000 < 4096
    for client in clients[::97]:
        assert client.query("SELECT 1").value == "1"
