"""/etc/hosts: what is in it, and that a change of it counts."""

import os
from pathlib import Path

from howdah.control.names.hosts_file import HostsFile

TEXT = """\
# ours
192.0.2.1  db.example db   # the old one
192.0.2.2\tdb.example
2001:db8::1 DB.example.
not-an-address name
192.0.2.3
"""


def test_names_and_aliases_in_the_files_order(tmp_path: Path) -> None:
    (file := tmp_path / "hosts").write_text(TEXT)
    hosts = HostsFile(str(file))
    assert hosts.addresses("Db.Example") == ("192.0.2.1", "192.0.2.2", "2001:db8::1")
    assert hosts.addresses("db") == ("192.0.2.1",)
    assert hosts.addresses("name") == hosts.addresses("ours") == hosts.addresses("the") == ()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    (file := tmp_path / "hosts").write_text("192.0.2.1 db\n")
    hosts = HostsFile(str(file))
    assert hosts.addresses("db") == ("192.0.2.1",)
    (new := tmp_path / "new").write_text("192.0.2.9 db\n")
    new.replace(file)
    assert hosts.addresses("db") == ("192.0.2.9",)
    file.unlink()
    assert hosts.addresses("db") == ()


def test_localhost_needs_no_file(tmp_path: Path) -> None:
    hosts = HostsFile(os.fspath(tmp_path / "none"))
    assert hosts.addresses("localhost") == hosts.addresses("app.localhost.") == ("127.0.0.1", "::1")
    (file := tmp_path / "hosts").write_text("127.0.0.9 localhost\n")
    assert HostsFile(str(file)).addresses("localhost") == ("127.0.0.9",)
