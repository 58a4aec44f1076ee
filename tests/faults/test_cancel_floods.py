"""Cancel requests by the hundred, all with the right key: few of them reach PostgreSQL, and nobody else is hurt."""

import time

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import Crowd
from tests.kit.deadline import PATIENCE, wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network


def flood(pooler: Pooler, victim: Client, count: int) -> list[Client]:
    """That many requests to cancel what `victim` runs, sent and not yet answered."""
    requests = [Client(pooler.address) for _ in range(count)]
    for request in requests:
        request.send(wire.cancel_request(victim.process_id, victim.secret_key))
    return requests


def test_those_that_come_meanwhile_wait_and_are_served_together(
    pooler_behind: Pooler, network: Network, postgres: Postgres
) -> None:
    pooler_behind.run_with(default_pool_size=1)
    with pooler_behind.client() as victim:
        victim.send(wire.query("SELECT pg_sleep(60)"))
        postgres.wait_for_backends(1, "state = 'active'")
        network.delay(1)
        opened = network.connections_seen
        requests = flood(pooler_behind, victim, 100)
        pooler_behind.wait_for_pool(cl_active_cancel_req=1, cl_waiting_cancel_req=99, sv_active_cancel=1)
        network.heal()
        assert victim.read_until("Z").error.sqlstate == "57014"
        assert [request.read_to_end() for request in requests] == [[]] * 100
        assert network.connections_seen - opened <= 2
        pooler_behind.wait_for_pool(cl_active_cancel_req=0, cl_waiting_cancel_req=0, sv_active_cancel=0)


def test_a_flood_that_goes_on_opens_few_connections_and_lets_the_server_go(
    pooler_behind: Pooler, network: Network, postgres: Postgres
) -> None:
    """The victim asks again and again, and so do those who cancel it; the server is shared with somebody else."""
    pooler_behind.run_with(default_pool_size=1, workers=2)
    with pooler_behind.client() as victim, pooler_behind.client() as other:
        network.delay(0.05)

        def press(_: int) -> None:
            for _ in range(20):
                victim.cancel()

        pressers = Crowd(8, press)
        while any(thread.is_alive() for thread in pressers._threads):
            victim.send(wire.query("SELECT pg_sleep(0.1)"))
            other.send(wire.query("SELECT pg_sleep(0.01)"))
            assert network.connections <= 3
            assert {error.sqlstate for error in victim.read_until("Z").errors} <= {"57014"}
            assert other.read_until("Z").errors == []
        pressers.wait()
    pooler_behind.wait_until_idle()


def test_one_that_waits_too_long_is_dropped(pooler_behind: Pooler, network: Network, postgres: Postgres) -> None:
    pooler_behind.run_with(default_pool_size=1, cancel_wait_timeout=0.5)
    with pooler_behind.client() as victim:
        victim.send(wire.query("SELECT pg_sleep(60)"))
        postgres.wait_for_backends(1, "state = 'active'")
        network.blackhole()
        started = time.monotonic()
        requests = flood(pooler_behind, victim, 5)
        assert [request.read_to_end() for request in requests] == [[]] * 5
        assert 0.4 < time.monotonic() - started < 1 + PATIENCE
        pooler_behind.wait_for_log("cancel_wait_timeout", count=5)
        network.heal()
        network.cut()
    postgres.terminate(*postgres.backends("state = 'active'"))


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_one_that_has_waited_is_not_for_the_next_query(
    pooler_behind: Pooler, network: Network, postgres: Postgres, mode: str
) -> None:
    """The first is on its way when its query ends, the second has waited: neither may end what comes then."""
    pooler_behind.run_with(default_pool_size=1, pool_mode=mode)
    with pooler_behind.client() as client:
        client.send(wire.query("SELECT pg_sleep(0.3)"))
        postgres.wait_for_backends(1, "state = 'active'")
        network.delay(0.4)
        requests = flood(pooler_behind, client, 2)
        assert client.read_until("Z").errors == []
        wait_until(requests[0].has_input, "the first request to be answered")
        client.send(wire.query("SELECT pg_sleep(0.5)"))
        assert requests[1].read_to_end() == []
        assert client.read_until("Z").errors == []
