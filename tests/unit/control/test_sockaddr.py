"""Socket addresses as C structs: the kernel is the judge."""

import ctypes
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.sockaddr import LONGEST_SOCKET_PATH, ip_address, unix_address, unix_socket_path
from howdah.dataplane.plan import Address

LIBC = ctypes.CDLL(None, use_errno=True)


def connect(family: socket.AddressFamily, address: Address) -> None:
    """Hand the bytes to the system call as they are."""
    with socket.socket(family) as sock:
        result = LIBC.connect(sock.fileno(), address.packed, len(address.packed))
        assert result == 0, ctypes.get_errno()


@pytest.mark.parametrize("host, family", [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_an_ip_address_leads_to_its_listener(host: str, family: socket.AddressFamily) -> None:
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with server:
        connect(family, ip_address(host, server.getsockname()[1]))
        server.accept()[0].close()


def test_a_directory_leads_to_the_socket_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(".s.PGSQL.5432")
        server.listen()
        connect(socket.AF_UNIX, unix_address(".", 5432))


def test_an_abstract_name_leads_to_its_listener(tmp_path: Path) -> None:
    directory = f"@howdah{tmp_path.name}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + unix_socket_path(directory, 5432)[1:])
        server.listen()
        connect(socket.AF_UNIX, unix_address(directory, 5432))


def test_texts_are_for_people() -> None:
    assert ip_address("10.0.0.1", 5432).text == "10.0.0.1:5432"
    assert ip_address("fe80::1", 5432).text == "[fe80::1]:5432"
    assert unix_address("/run/postgresql/", 5433).text == "unix:/run/postgresql/.s.PGSQL.5433"
    assert unix_address("@pg", 5432).text == "unix:@pg/.s.PGSQL.5432"


def test_a_zone_is_looked_up() -> None:
    index = socket.if_nametoindex("lo")
    assert ip_address("fe80::1%lo", 1).packed == ip_address(f"fe80::1%{index}", 1).packed
    assert ip_address("fe80::1%lo", 1).packed[-4:] == index.to_bytes(4, "little")
    with pytest.raises(ValueError, match="no network interface 'nowhere0'"):
        ip_address("fe80::1%nowhere0", 1)


def test_a_name_too_long_for_a_socket_is_refused() -> None:
    rest = len("/.s.PGSQL.5432")
    assert len(unix_address("/" + "x" * (LONGEST_SOCKET_PATH - rest - 1), 5432).packed) == 2 + LONGEST_SOCKET_PATH + 1
    with pytest.raises(ValueError, match="longer than the 107 bytes"):
        unix_address("/" + "x" * (LONGEST_SOCKET_PATH - rest), 5432)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_any_address_is_packed_in_network_order(ip: object, port: int) -> None:
    packed = ip_address(str(ip), port).packed
    assert packed[2:4] == port.to_bytes(2, "big")
    assert socket.inet_ntop(socket.AF_INET, packed[4:8]) == str(ip) if len(packed) == 16 else len(packed) == 28
