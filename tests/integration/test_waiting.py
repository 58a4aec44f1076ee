"""Clients that wait for a server are served first come, first served."""

import socket

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres


def line_up(pooler: Pooler, statements: list[str]) -> list[Client]:
    """Clients that wait in this order, as SHOW POOLS confirms one by one."""
    clients = [pooler.client() for _ in statements]
    for position, (client, statement) in enumerate(zip(clients, statements, strict=True), start=1):
        client.send(wire.query(statement))
        pooler.wait_for_pool(cl_waiting=position)
    return clients


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_first_come_first_served(pooler: Pooler, postgres: Postgres, table: str, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=1)
    with pooler.client() as holder:
        holder.query(f"CREATE TABLE {table} (turn serial, who int)")
        holder.begin()
        clients = line_up(pooler, [f"INSERT INTO {table} (who) VALUES ({n})" for n in range(12)])
        holder.query("COMMIT")
        for client in clients:
            client.read_until("Z")
        replies = holder.query(f"SELECT who FROM {table} ORDER BY turn")
    assert [int(row[0] or "") for row in replies.rows] == list(range(12))


def test_one_who_leaves_the_line_is_not_missed(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as holder:
        holder.begin()
        clients = line_up(pooler, [f"SELECT {n}" for n in range(5)])
        clients[0].vanish()
        clients[2].reset()
        pooler.wait_for_pool(cl_waiting=3)
        holder.query("COMMIT")
        assert [clients[n].read_until("Z").value for n in (1, 3, 4)] == ["1", "3", "4"]
    pooler.wait_until_idle()


def test_a_waiting_clients_pipeline_is_kept(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as holder, pooler.client() as client:
        holder.begin()
        client.send(*(wire.query(f"SELECT {n}") for n in range(1000)))
        pooler.wait_for_pool(cl_waiting=1)
        holder.query("COMMIT")
        assert [int(row[0] or "") for row in client.read_ready(1000).rows] == list(range(1000))


def test_all_that_one_in_line_said_before_its_goodbye_is_done(pooler: Pooler, table: str) -> None:
    """Also what waits for the answers to what came before it."""
    pooler.run_with(default_pool_size=1)
    messages = wire.parse("SELECT 1", "s") + wire.sync() + wire.query("DEALLOCATE s")
    with pooler.client() as holder, pooler.client() as client:
        holder.query(f"CREATE TABLE {table} (n int)")
        holder.begin()
        client.send(messages, wire.query(f"INSERT INTO {table} VALUES (7)"), wire.terminate())
        pooler.wait_for_pool(cl_waiting=1)
        client.socket.shutdown(socket.SHUT_WR)
        holder.query("COMMIT")
        assert client.read_to_end().shape == "1 Z C Z C Z"
        assert holder.query(f"SELECT n FROM {table}").value == "7"


def test_show_pools_tells_how_long_the_first_has_waited(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as holder:
        holder.begin()
        line_up(pooler, ["SELECT 1"])
        waited = [pooler.pool() for _ in range(5)]
        microseconds = [row["maxwait"] * 1_000_000 + row["maxwait_us"] for row in waited]
        assert sorted(microseconds) == microseconds
        assert 0 < microseconds[0] < microseconds[-1]
        holder.query("COMMIT")
    pooler.wait_for_pool(cl_waiting=0, maxwait=0, maxwait_us=0)


def test_a_waiting_client_logs_in_when_a_server_is_there(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as holder:
        holder.begin()
        with pooler.client() as client:
            assert client.settings["server_version"]
        holder.query("COMMIT")
