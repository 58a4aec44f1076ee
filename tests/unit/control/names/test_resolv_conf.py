"""Files in the form of /etc/resolv.conf."""

from pathlib import Path

import pytest

from howdah.control.names.resolv_conf import ResolvConf, read


@pytest.mark.parametrize(
    "line, server",
    [
        ("nameserver 192.0.2.1", ("192.0.2.1", 53)),
        ("\tnameserver  192.0.2.1 # the first", ("192.0.2.1", 53)),
        ("nameserver 192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("nameserver 2001:db8::1", ("2001:db8::1", 53)),
        ("nameserver [2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("nameserver [2001:db8::1]", ("127.0.0.1", 53)),
        ("nameserver ns.example", ("127.0.0.1", 53)),
        ("nameserver 192.0.2.1:99999", ("127.0.0.1", 53)),
        ("nameserver https://192.0.2.1/dns-query", ("127.0.0.1", 53)),
        ("nameserver", ("127.0.0.1", 53)),
        ("", ("127.0.0.1", 53)),
    ],
)
def test_name_servers_and_their_ports(line: str, server: tuple[str, int]) -> None:
    resolver = read(f"# of ours\n; and theirs\n{line}\n")
    ports = resolver.nameserver_ports
    assert [(str(each), ports.get(str(each), resolver.port)) for each in resolver.nameservers] == [server]


def test_search_domains_and_options() -> None:
    resolver = read("search a.test b.test\noptions ndots:3 rotate timeout:1 nonsense ndots:x\nnameserver 192.0.2.1\n")
    assert [str(suffix) for suffix in resolver.search] == ["a.test.", "b.test."]
    assert (resolver.ndots, resolver.rotate, resolver.timeout) == (3, True, 1)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    (file := tmp_path / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    conf = ResolvConf(str(file))
    assert conf.resolver() is conf.resolver()
    (new := tmp_path / "new").write_text("nameserver 192.0.2.2\n")
    new.replace(file)
    assert conf.resolver().nameservers == ["192.0.2.2"]
    file.unlink()
    with pytest.raises(FileNotFoundError):
        conf.resolver()
