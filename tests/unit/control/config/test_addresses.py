"""What may be listened on and connected to, and which of it the network can reach."""

import pytest

from howdah.control.config.addresses import is_loopback, listen_addresses, server_hosts


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"])
def test_loopback(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "*", "10.0.0.1", "db", "localhost.example", "::ffff:10.0.0.1", "fe80::1%lo"]
)
def test_reachable_from_the_network(address: str) -> None:
    assert not is_loopback(address)


def test_addresses_are_kept_as_written_once_each() -> None:
    assert listen_addresses(("127.0.0.1", "[::1]", "*", "db-1.example.", "127.0.0.1")) == (
        "127.0.0.1", "::1", "*", "db-1.example.",
    )  # fmt: skip


@pytest.mark.parametrize(
    "address, says",
    [
        ("127.0.0.1:6432", "write it as listen_port = 6432"),
        ("/tmp", "unix_socket_dir"),
        ("300.1.2.3", "neither"),
        ("a b", "neither"),
        ("-x", "neither"),
        ("a" * 300, "neither"),
    ],
)
def test_what_cannot_be_listened_on(address: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        listen_addresses((address,))


def test_servers_can_be_at_names_addresses_and_sockets() -> None:
    hosts = ("db", "10.0.0.1", "[fe80::1]", "/run/postgresql", "@abstract")
    assert server_hosts(hosts) == ("db", "10.0.0.1", "fe80::1", "/run/postgresql", "@abstract")


@pytest.mark.parametrize(
    "host, says",
    [
        ("db:5433", "write it as port = 5433"),
        ("postgresql://u:secret@db/x", "is a URL"),
        ("*", "neither"),
        ("1.2.3.4.5", "neither"),
        ("a_b c", "neither"),
    ],
)
def test_where_no_server_can_be(host: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        server_hosts((host,))
    assert "secret" not in str(caught.value)
