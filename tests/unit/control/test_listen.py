"""Listening sockets: shared among workers, with nobody else, and gone without a trace."""

import grp
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from howdah.control.config.errors import StartError
from howdah.control.listen import Endpoints, Listeners, open_listeners
from tests.kit.ports import ipv6_works, take_port


def _endpoints(
    *addresses: str, port: int = 0, directory: Path | str = "", mode: int = 0o777, group: str = "", needed: bool = True
) -> Endpoints:
    return Endpoints(addresses, port, needed, str(directory), mode, group, 16)


@contextmanager
def _opened(endpoints: Endpoints, workers: int = 2) -> Iterator[Listeners]:
    listeners = open_listeners(endpoints, workers)
    try:
        yield listeners
    finally:
        listeners.close()


def test_each_worker_has_its_own_tcp_socket_and_all_share_the_unix_one(tmp_path: Path) -> None:
    with _opened(_endpoints("127.0.0.1", port=take_port(), directory=tmp_path), workers=3) as listeners:
        tcp, unix = zip(*listeners.by_worker, strict=True)
        assert len(set(tcp)) == 3
        assert len(set(unix)) == 1
        assert all(not os.get_blocking(fd) and not os.get_inheritable(fd) for fd in (*tcp, *unix))


def test_connections_reach_every_worker() -> None:
    with _opened(_endpoints("127.0.0.1", port=take_port())) as listeners:
        (group,) = listeners.tcp
        accepted = [0, 0]
        for _ in range(64):
            with closing(socket.create_connection(listeners.tcp_addresses[0])):
                for worker, listener in enumerate(group):
                    try:
                        listener.accept()[0].close()
                        accepted[worker] += 1
                    except BlockingIOError:
                        pass
        assert sum(accepted) == 64
        assert all(accepted)


def test_a_port_in_use_is_refused_although_it_could_be_shared() -> None:
    endpoints = _endpoints("127.0.0.1", port=take_port())
    with _opened(endpoints), pytest.raises(StartError, match=rf"127\.0\.0\.1:{endpoints.port}: the port is in use"):
        open_listeners(endpoints, 1)
    open_listeners(endpoints, 1).close()


def test_a_port_of_another_program_with_so_reuseport_is_refused() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(StartError, match="in use"):
            open_listeners(_endpoints("127.0.0.1", port=other.getsockname()[1]), 2)


def test_load_balancers_have_a_port_of_their_own() -> None:
    port, proxy_port = take_port(), take_port()
    endpoints = replace(_endpoints("127.0.0.1", port=port), proxy_port=proxy_port)
    with _opened(endpoints, workers=2) as listeners:
        assert listeners.names == [f"127.0.0.1:{port}", f"127.0.0.1:{proxy_port} (PROXY)"]
        plain, proxied = zip(*listeners.by_worker, strict=True)
        assert list(proxied) == listeners.proxied_fds
        assert not set(plain) & set(proxied)
        socket.create_connection(("127.0.0.1", proxy_port), 5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy_port), 5)


@pytest.mark.skipif(not ipv6_works(), reason="needs IPv6")
def test_a_star_listens_on_both_families() -> None:
    port = take_port()
    with _opened(_endpoints("*", port=port)) as listeners:
        assert listeners.names == [f"0.0.0.0:{port}", f"[::]:{port}"]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), 5).close()


def test_a_foreign_address_is_an_error_only_when_it_was_asked_for() -> None:
    foreign = "192.0.2.77"  # for documentation: no machine has it
    with pytest.raises(StartError, match=f"{foreign}.* no such address"):
        open_listeners(_endpoints(foreign, port=take_port()), 1)
    with _opened(_endpoints("127.0.0.1", foreign, port=take_port(), needed=False)) as listeners:
        assert len(listeners.tcp) == 1


def test_an_unknown_name_says_so() -> None:
    with pytest.raises(StartError, match=r"listen_addr: cannot resolve 'nobody\.invalid'"):
        open_listeners(_endpoints("nobody.invalid", port=take_port()), 1)


def test_nowhere_to_listen_is_an_error() -> None:
    with pytest.raises(StartError, match="nowhere to listen"):
        open_listeners(_endpoints(), 1)


def test_a_socket_file_has_its_mode_and_group_and_goes_with_its_lock(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    with _opened(_endpoints(directory=tmp_path, port=6432, mode=0o750, group=group)) as listeners:
        path = tmp_path / ".s.PGSQL.6432"
        assert listeners.names == [str(path)]
        assert stat.S_IMODE(path.stat().st_mode) == 0o750
        assert path.stat().st_gid == os.getgid()
        assert (tmp_path / ".s.PGSQL.6432.lock").read_text() == f"{os.getpid()}\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not list(tmp_path.iterdir())


def test_a_socket_in_use_by_another_howdah_names_its_process(tmp_path: Path) -> None:
    endpoints = _endpoints(directory=tmp_path, port=6432)
    with _opened(endpoints) as first:
        with pytest.raises(StartError, match=rf"another howdah \(process {os.getpid()}\)"):
            open_listeners(endpoints, 1)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(first.names[0])


def test_a_socket_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.6432"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        lock = tmp_path / ".s.PGSQL.6432.lock"
        lock.write_text("4711\n/var/lib/postgresql\n")
        with pytest.raises(StartError, match="another program is listening there"):
            open_listeners(_endpoints(directory=tmp_path, port=6432), 1)
        assert path.is_socket()
        assert lock.read_text().startswith("4711\n/var")


def test_what_a_killed_howdah_left_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / ".s.PGSQL.6432"))
    (tmp_path / ".s.PGSQL.6432.lock").write_text("99999\n")
    with _opened(_endpoints(directory=tmp_path, port=6432)):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.6432"
    path.write_text("precious")
    with pytest.raises(StartError, match="is not a socket"):
        open_listeners(_endpoints(directory=tmp_path, port=6432), 1)
    assert path.read_text() == "precious"


def test_closing_leaves_a_successor_s_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.6432"
    with _opened(_endpoints(directory=tmp_path, port=6432)), socket.socket(socket.AF_UNIX) as successor:
        path.unlink()
        successor.bind(str(path))
    assert path.is_socket()


@pytest.mark.parametrize(
    "directory, complaint",
    [
        ("missing", "does not exist; create it"),
        ("file", "is not a directory"),
        ("x" * 120, "longer than the 107 bytes"),
    ],
)
def test_a_socket_directory_that_will_not_do_says_why(tmp_path: Path, directory: str, complaint: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=complaint):
        open_listeners(_endpoints(directory=tmp_path / directory, port=6432), 1)


def test_an_unknown_group_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="unix_socket_group: there is no group 'riders'"):
        open_listeners(_endpoints(directory=tmp_path, port=6432, group="riders"), 1)
    assert not list(tmp_path.iterdir())


def test_an_abstract_socket_leaves_no_file(tmp_path: Path) -> None:
    with _opened(_endpoints(directory=f"@{tmp_path}", port=6432)), socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{tmp_path}/.s.PGSQL.6432")
    assert not list(tmp_path.iterdir())


def test_a_failure_closes_what_was_open(tmp_path: Path) -> None:
    port = take_port()
    with pytest.raises(StartError):
        open_listeners(_endpoints("127.0.0.1", port=port, directory=tmp_path / "missing"), 2)
    open_listeners(_endpoints("127.0.0.1", port=port), 2).close()


def test_refusing_turns_newcomers_away_and_keeps_the_fds(tmp_path: Path) -> None:
    with _opened(_endpoints("127.0.0.1", port=take_port(), directory=tmp_path)) as listeners:
        listeners.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listeners.tcp_addresses[0], 5)
        with socket.socket(socket.AF_UNIX) as administrator:
            administrator.connect(listeners.names[-1])
        for fd in listeners.by_worker[0]:
            os.fstat(fd)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_link_that_takes_the_place_of_the_socket_gives_nothing_away(tmp_path: Path) -> None:
    """Its folder may be another user's, between our bind and our giving it to the user whom we become."""
    roots = tmp_path / "roots"
    roots.touch()
    with _opened(_endpoints(port=take_port(), directory=tmp_path)) as listeners:
        (listener,) = listeners.unix
        assert listener.path is not None
        listener.path.unlink()
        listener.path.symlink_to(roots)
        listeners.give_to(65534, 65534)
        assert roots.stat().st_uid == 0
        assert listener.path.lstat().st_uid == 65534
