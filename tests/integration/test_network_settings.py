"""Settings about sockets, and which of several hosts a server connection goes to."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kit import wire
from tests.kit.deadline import wait_until
from tests.kit.monitored import Monitored
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

#: Where Linux's tcp_info has the peer's receive window.
SND_WND = 228
#: /proc/net/tcp's states.
ESTABLISHED, SYN_RECV = "01", "03"


def receive_window(sock: socket.socket) -> int:
    """How much the other end is ready to take."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (window,) = struct.unpack_from("I", info, SND_WND)
    return int(window)


class SilentServer:
    """Takes connections in the place of PostgreSQL."""

    def __init__(self, host: str, port: int) -> None:
        self.listening = socket.create_server((host, port))
        self.listening.settimeout(10)

    def accept(self) -> socket.socket:
        return self.listening.accept()[0]


@contextlib.contextmanager
def silent_server(host: str, port: int = 0) -> Iterator[SilentServer]:
    server = SilentServer(host, port)
    with server.listening:
        yield server


def states_at(client: socket.socket) -> set[str]:
    """What the kernel has at the pooler's end of this connection."""
    (_, own), (_, pooler) = client.getsockname(), client.getpeername()
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [(f":{pooler:04X}", f":{own:04X}")]
    return {row[3] for row in rows for here, there in ends if row[1].endswith(here) and row[2].endswith(there)}


@pytest.mark.parametrize("size, at_most", [(8192, 16384), (0, None)])
def test_the_size_of_the_kernels_buffers(pooler: Pooler, size: int, at_most: int | None) -> None:
    with silent_server(pooler.host) as upstream:
        pooler.databases["app"] = {"host": pooler.host, "port": upstream.listening.getsockname()[1]}
        pooler.run_with(tcp_socket_buffer=size, server_connect_timeout=5, workers=1)
        pooler.client(database="other").close()  # by now the worker has taken up its listening sockets
        with pooler.stranger() as client:
            client.send(wire.startup(user="alice", database="app"))
            with upstream.accept() as server:
                for end in (client.socket, server):
                    window = receive_window(end)
                    assert window > 0
                    assert window <= at_most if at_most else window > 16384


@pytest.mark.parametrize("deferred, state", [(True, SYN_RECV), (False, ESTABLISHED)])
def test_connections_are_left_to_the_kernel_until_they_say_something(
    pooler: Pooler, deferred: bool, state: str
) -> None:
    pooler.run_with(tcp_defer_accept=not deferred)
    pooler.reload_with(tcp_defer_accept=deferred)
    with socket.create_connection(pooler.address) as silent:
        wait_until(lambda: states_at(silent) == {state}, f"the kernel to show the connection as {state}")
    with pooler.client() as client:
        assert client.query("SELECT 1").value == "1"


@pytest.fixture
def second_pooler(pooler: Pooler, postgres: Postgres) -> Iterator[Pooler]:
    """Another one, told to listen on the same port."""
    second = Pooler(postgres)
    second.port = second.settings["listen_port"] = pooler.port
    try:
        yield second
    finally:
        second.remove()


def test_two_poolers_share_a_port_if_both_are_asked_to(pooler: Pooler, second_pooler: Pooler) -> None:
    pooler.run_with(so_reuseport=True)
    second_pooler.run_with(so_reuseport=True)

    def both_have_served() -> bool:
        with pooler.client() as client:
            assert client.query("SELECT 1").value == "1"
        return bool(pooler.pool()) and bool(second_pooler.pool())

    wait_until(both_have_served, "the kernel to choose either")


def test_nobody_shares_a_port_unasked(pooler: Pooler, second_pooler: Pooler) -> None:
    pooler.run_with(so_reuseport=True)
    second_pooler.start()
    assert second_pooler.wait_for_exit() == 1
    assert "the port is in use by another program" in second_pooler.log_text


@pytest.mark.parametrize(
    "load_balance_hosts, unix_first, used",
    [("disable", True, {"unix"}), ("disable", False, {"tcp"}), ("round-robin", True, {"unix", "tcp"})],
)
def test_which_host_server_connections_go_to(
    pooler: Pooler, postgres: Postgres, load_balance_hosts: str, unix_first: bool, used: set[str]
) -> None:
    hosts = [str(postgres.socket_dir), postgres.host]
    pooler.databases["app"] |= {
        "host": hosts if unix_first else hosts[::-1],
        "load_balance_hosts": load_balance_hosts,
    }
    pooler.run()
    with ExitStack() as clients:
        opened = [clients.enter_context(pooler.client()) for _ in range(4)]
        for client in opened:
            client.begin()
        where = [
            client.query("SELECT CASE WHEN inet_client_addr() IS NULL THEN 'unix' ELSE 'tcp' END") for client in opened
        ]
    assert {answer.value for answer in where} == used


def test_the_next_host_is_used_while_the_first_is_down(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"] |= {"host": ["127.0.0.2", postgres.host], "load_balance_hosts": "disable"}
    pooler.run()
    with pooler.client() as client:
        assert client.query("SELECT 1").value == "1"


def test_processes_that_share_their_port_share_that_of_metrics(pooler: Pooler, second_pooler: Pooler) -> None:
    """For a rolling restart; else a second process is told that the port is taken."""
    first = Monitored(pooler, so_reuseport=True)
    second_pooler.settings |= {"http_port": first.port}
    second_pooler.run_with(so_reuseport=True)
    pooler.finish()
    assert first.value("howdah_clients") == 0
