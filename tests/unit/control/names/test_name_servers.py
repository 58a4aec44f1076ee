"""Questions to a real name server on loopback."""

import asyncio
from pathlib import Path

import pytest

from howdah.control.names import resolv_conf
from howdah.control.names.hosts_file import HostsFile
from howdah.control.names.name_servers import NameServers
from howdah.control.plan import Resolved
from tests.kit.name_server import NameServer


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    (file := tmp_path / "hosts").write_text("192.0.2.77 listed.test\n")
    return file


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says nothing is not waited for as long as otherwise."""
    monkeypatch.setattr(resolv_conf, "LIFETIME_S", 0.2)


class Asking:
    def __init__(self, server: NameServer, folder: Path, hosts: Path, *lines: str) -> None:
        self.path = server.resolv_conf(folder / "resolv.conf", *lines)
        self._hosts = hosts

    def __call__(self, host: str) -> Resolved:
        async def story() -> Resolved:
            return await NameServers(str(self.path), HostsFile(str(self._hosts))).look_up(host)

        return asyncio.run(story())

    def serial(self, zone: str) -> int | None:
        async def story() -> int | None:
            return await NameServers(str(self.path), HostsFile(str(self._hosts))).serial(zone)

        return asyncio.run(story())


@pytest.fixture
def asking(name_server: NameServer, tmp_path: Path, hosts: Path) -> Asking:
    return Asking(name_server, tmp_path, hosts)


def test_addresses_of_both_kinds_and_their_ttl(name_server: NameServer, asking: Asking) -> None:
    name_server.ttl_s = 7
    name_server.set("db.test", "127.0.0.1", "127.0.0.2", "::1")
    found = asking("db.test")
    assert set(found.addresses) == {"127.0.0.1", "127.0.0.2", "::1"}
    assert (found.ttl_s, found.error) == (7, "")


def test_addresses_without_a_route_come_last(
    name_server: NameServer, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_server.set("db.test", "127.0.0.1", "::2")
    monkeypatch.setattr("howdah.control.names.name_servers._has_route", lambda address: address != "::2")
    assert asking("db.test").addresses == ("127.0.0.1", "::2")


def test_an_alias_is_followed(name_server: NameServer, asking: Asking) -> None:
    name_server.set("db.test", "first.test")
    name_server.set("first.test", "second.test")
    name_server.set("second.test", "192.0.2.4")
    assert asking("db.test").addresses == ("192.0.2.4",)


def test_search_domains_are_tried(name_server: NameServer, tmp_path: Path, hosts: Path) -> None:
    name_server.set("db.here.test", "192.0.2.5")
    name_server.set("db.more", "192.0.2.6")
    asking = Asking(name_server, tmp_path, hosts, "search there.test here.test", "options ndots:1")
    assert asking("db").addresses == ("192.0.2.5",)
    assert asking("db.more").addresses == ("192.0.2.6",)
    assert name_server.count("db.more.there.test", "A") == 0  # it has a dot, so it is asked for as it is at first


def test_the_hosts_file_goes_first(name_server: NameServer, asking: Asking) -> None:
    name_server.set("listed.test", "192.0.2.1")
    assert asking("listed.test").addresses == ("192.0.2.77",)
    assert name_server.asked == []


def test_a_long_answer_comes_over_tcp(name_server: NameServer, asking: Asking) -> None:
    name_server.truncates = True
    name_server.set("db.test", "192.0.2.8")
    assert asking("db.test").addresses == ("192.0.2.8",)


def test_one_that_cannot_say_anything_about_ipv6(name_server: NameServer, asking: Asking) -> None:
    name_server.failing = "AAAA"
    name_server.set("db.test", "192.0.2.9")
    assert asking("db.test").addresses == ("192.0.2.9",)


@pytest.mark.parametrize("name", ["nobody.test", "b" * 64 + ".test", "a..test"])
def test_a_name_that_is_not_there(name_server: NameServer, asking: Asking, name: str) -> None:
    found = asking(name)
    assert found.addresses == ()
    assert found.error.startswith(f"cannot resolve host name {name!r}: ")


def test_why_there_is_no_answer(name_server: NameServer, asking: Asking, silence: None) -> None:
    name_server.set("empty.test")
    assert asking("empty.test").error == "cannot resolve host name 'empty.test': it has no address"
    assert asking("nobody.test").error == "cannot resolve host name 'nobody.test': there is no such name"
    name_server.failing = "A"
    at = f"127.0.0.1@{name_server.port}"
    assert asking("empty.test").error == (
        f"cannot resolve host name 'empty.test': the name servers of {asking.path} do not know: {at} SERVFAIL"
    )
    name_server.deaf = True
    assert asking("empty.test").error.startswith(
        f"cannot resolve host name 'empty.test': no name server of {asking.path} has answered within "
    )
    asking.path.unlink()
    assert asking("empty.test").error == (
        f"cannot resolve host name 'empty.test': {asking.path}: No such file or directory"
    )


def test_the_serial_of_a_zone(name_server: NameServer, asking: Asking, silence: None) -> None:
    name_server.serial = 2026112801
    name_server.set("part.test")
    assert asking.serial("test") == 2026112801
    assert asking.serial("part.test") == 2026112801  # of the zone that this one is a part of
    assert asking.serial("nobody.test") is None
    name_server.deaf = True
    assert asking.serial("test") is None
