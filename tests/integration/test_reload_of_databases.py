"""Databases that change, go and come back with SIGHUP, also while servers of theirs are connecting."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import wire
from tests.kit.client import Client, Refused
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.proxy import Network


class Deaf:
    """A port whose line of those who wait is full: a connection to it stays half open until `let_in`."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = self.listener.getsockname()[1]
        self._line = [socket.socket() for _ in range(4)]
        for waiting in self._line:
            waiting.setblocking(False)
            waiting.connect_ex(self.listener.getsockname())
        self._ours = {waiting.getsockname()[1] for waiting in self._line}

    def has_caller(self) -> bool:
        """Is there one in the kernel's table that is half open, and not one of ours?"""
        fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        calling = [entry[1] for entry in fields if entry[3] == "02" and entry[2].endswith(f":{self.port:04X}")]
        return any(int(address.partition(":")[2], 16) not in self._ours for address in calling)

    def let_in(self) -> None:
        """Take those who wait, so that the kernel's next try gets through."""
        for waiting in self._line:
            waiting.close()
        self.listener.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            while True:
                self.listener.accept()[0].close()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    deaf = Deaf()
    yield deaf
    deaf.let_in()
    deaf.listener.close()


def asking(pooler: Pooler, database: str) -> Client:
    """A client whose login waits for a server."""
    client = pooler.stranger()
    client.send(wire.startup(user="alice", database=database))
    pooler.wait_for_pool(database, cl_waiting=1)
    return client


def is_turned_away(client: Client) -> None:
    replies = client.read_to_end(within=10)
    assert replies.error.sqlstate == "57P01"
    assert replies.error.fields["S"] == "FATAL"


def works(pooler: Pooler, database: str) -> None:
    assert pooler.value("SELECT current_database()", dbname=database) == database
    assert pooler.is_running


def test_another_dbname_counts_from_the_next_transaction_on(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, workers=1)
    with pooler.client() as client:
        assert client.query("BEGIN; SELECT current_database()").value == "app"
        pooler.databases["app"]["dbname"] = "other"
        pooler.reload_with()
        assert client.query("SELECT current_database()").value == "app"
        client.query("COMMIT")
        for one in (client, pooler.client()):
            assert one.query("SELECT current_database()").value == "other"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_idle_server_of_the_old_database_is_not_used(pooler: Pooler, workers: int) -> None:
    pooler.run_with(default_pool_size=2, workers=workers)
    with pooler.client() as client:
        for database in ("other", "app") * 5:
            assert client.query("SELECT current_database()").value != database
            pooler.databases["app"]["dbname"] = database
            pooler.reload_with()
            assert client.query("SELECT current_database()").value == database


@pytest.mark.parametrize("workers", [1, 2])
def test_removed_and_added_again(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers)
    table = pooler.databases["other"]
    with pooler.client() as staying:
        for _ in range(5):
            with pooler.client(database="other") as client:
                assert client.query("SELECT current_database()").value == "other"
                del pooler.databases["other"]
                pooler.reload_with()
                is_turned_away(client)
            with pytest.raises(Refused):
                pooler.client(database="other")
            pooler.databases["other"] = table
            pooler.reload_with()
            works(pooler, "other")
            assert staying.query("SELECT current_database()").value == "app"


def test_removed_while_its_server_logs_in(pooler: Pooler, network: Network) -> None:
    pooler.databases["other"].update(host=network.host, port=network.port)
    pooler.run_with(workers=1)
    network.blackhole()
    client = asking(pooler, "other")
    network.wait_for_connections(1)
    table = pooler.databases.pop("other")
    pooler.reload_with()
    is_turned_away(client)
    network.cut()
    network.heal()
    pooler.databases["other"] = table
    pooler.reload_with()
    works(pooler, "other")


def test_removed_while_its_server_connects(pooler: Pooler, deaf: Deaf) -> None:
    table = dict(pooler.databases["other"])
    pooler.databases["other"].update(host="127.0.0.1", port=deaf.port)
    pooler.run_with(workers=1)
    client = asking(pooler, "other")
    wait_until(deaf.has_caller, "a connection that is half open")
    del pooler.databases["other"]
    pooler.reload_with()
    is_turned_away(client)
    deaf.let_in()
    wait_until(lambda: not deaf.has_caller(), "the connection to get through or be given up")
    works(pooler, "app")
    pooler.databases["other"] = table
    pooler.reload_with()
    works(pooler, "other")
