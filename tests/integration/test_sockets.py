"""Where howdah listens and how it reaches PostgreSQL: TCP over IPv4 and IPv6, Unix sockets, host names."""

import contextlib
import grp
import os
import signal
import socket
import stat
from pathlib import Path

import psutil
import pytest

from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.ports import ipv6_works
from tests.kit.postgres import Postgres

needs_ipv6 = pytest.mark.skipif(not ipv6_works(), reason="this machine has no IPv6 loopback")


def works(address: tuple[str, int] | str) -> bool:
    with Client(address) as client:
        client.log_in(user="alice", database="app")
        return client.query("SELECT 1").value == "1"


def test_a_unix_socket_beside_tcp(pooler: Pooler) -> None:
    pooler.run()
    assert works(pooler.socket_path)
    assert works(pooler.address)


def test_a_unix_socket_alone(pooler: Pooler) -> None:
    pooler.start_on_unix_socket_alone()
    assert works(pooler.socket_path)


def test_the_unix_sockets_mode(pooler: Pooler) -> None:
    pooler.run_with(unix_socket_mode="0700")
    assert stat.S_IMODE(Path(pooler.socket_path).stat().st_mode) == 0o700


def test_a_stale_socket_file_is_replaced(pooler: Pooler) -> None:
    pooler.run()
    assert pooler.process is not None
    pooler.process.kill()
    pooler.wait_for_exit()
    assert Path(pooler.socket_path).exists()
    pooler.run()
    assert works(pooler.socket_path)


@needs_ipv6
def test_ipv6(pooler: Pooler) -> None:
    pooler.run_with(listen_addr="127.0.0.1, ::1")
    assert works(("::1", pooler.port))
    assert works(("127.0.0.1", pooler.port))


def test_postgresql_by_its_unix_socket(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"] = {"host": str(postgres.socket_dir), "port": postgres.port}
    pooler.run()
    with pooler.client() as client:
        assert client.query("SELECT inet_client_addr()").value is None


@needs_ipv6
def test_postgresql_by_ipv6(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"] = {"host": "::1", "port": postgres.port}
    pooler.run()
    with pooler.client() as client:
        assert client.query("SELECT inet_client_addr()").value == "::1"


def test_postgresql_by_name(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"] = {"host": "localhost", "port": postgres.port}
    pooler.run()
    assert works(pooler.address)


def test_a_name_that_does_not_resolve_is_an_error_of_its_database_alone(pooler: Pooler) -> None:
    pooler.databases["app"]["host"] = "no-such-host.invalid"
    pooler.run_with(query_wait_timeout=1)
    with pooler.stranger() as client:
        error = client.refusal(user="alice", database="app")
    assert error.sqlstate in ("08001", "53300")
    with pooler.client(database="other") as client:
        assert client.query("SELECT 1").value == "1"


def test_an_older_postgresql(pooler: Pooler, postgres_15: Postgres) -> None:
    pooler.databases["app"] = {"host": postgres_15.host, "port": postgres_15.port}
    pooler.run()
    with pooler.client() as client, postgres_15.client() as direct:
        assert client.settings == direct.settings
        assert (client.query("SHOW server_version_num").value or "").startswith("15")


def test_the_unix_sockets_group(pooler: Pooler) -> None:
    others = [group for group in os.getgroups() if group != os.getegid()] or ([1] if os.geteuid() == 0 else [])
    if not others:
        pytest.skip("whoever runs this is in one group only")
    pooler.run_with(unix_socket_group=str(grp.getgrgid(others[0]).gr_name))
    assert Path(pooler.socket_path).stat().st_gid == others[0]


def test_the_kernel_queues_as_many_as_listen_backlog_says(pooler: Pooler) -> None:
    """Linux lets one more in."""
    pooler.run_with(listen_backlog=3, workers=1)
    pooler.signal(signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pooler.pid).status() == psutil.STATUS_STOPPED, "the pooler to stand still")
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(pooler.address)
            wait_until(lambda: _queued(pooler.port) == 4, "four connections to be there")
    finally:
        pooler.signal(signal.SIGCONT)


def _queued(port: int) -> int:
    """Connections that the kernel has established at this port of ours."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)
