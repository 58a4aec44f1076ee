"""What keeps howdah from starting: one clear line on stderr, exit status 1, no traceback."""

import socket

import pytest

from tests.kit.certs import Certificates
from tests.kit.pooler import Pooler


def failure(pooler: Pooler) -> str:
    """The only line that a start which must fail prints."""
    pooler.start()
    assert pooler.wait_for_exit() == 1
    lines = pooler.log_text.splitlines()
    assert len(lines) == 1, pooler.log_text
    return lines[0]


def test_a_port_in_use(pooler: Pooler) -> None:
    with socket.create_server(pooler.address):
        line = failure(pooler)
    assert str(pooler.port) in line
    assert "in use" in line


def test_two_poolers_cannot_share_a_port_by_accident(pooler: Pooler) -> None:
    pooler.run()
    second = Pooler(pooler.postgres)
    try:
        second.settings["listen_port"] = pooler.port
        assert "in use" in failure(second)
    finally:
        second.remove()
    with pooler.client() as client:
        assert client.query("SELECT 1").value == "1"


def test_a_missing_socket_folder(pooler: Pooler) -> None:
    pooler.settings["unix_socket_dir"] = str(pooler.folder / "missing")
    assert "missing" in failure(pooler)


@pytest.mark.parametrize(
    "table, key, value, expected",
    [
        ("howdah", "defualt_pool_size", 5, "default_pool_size"),
        ("howdah", "default_pool_size", "many", "default_pool_size"),
        ("howdah", "server_lifetime", "10 parsecs", "parsecs"),
        ("howdah", "pool_mode", "transactoin", "pool_mode"),
        ("app", "hots", "127.0.0.1", "host"),
    ],
)
def test_a_typing_error_in_the_configuration(pooler: Pooler, table: str, key: str, value: str, expected: str) -> None:
    {"howdah": pooler.settings, "app": pooler.databases["app"]}[table][key] = value
    line = failure(pooler)
    assert key in line
    assert expected in line
    assert "howdah.toml:" in line


def test_a_certificate_that_cannot_be_used(pooler: Pooler, certificates: Certificates) -> None:
    pooler.settings |= {
        "client_tls_sslmode": "require",
        "client_tls_cert_file": str(certificates.server.certificate),
        "client_tls_key_file": str(certificates.server_rsa.key),
    }
    line = failure(pooler)
    assert line.startswith(f"{certificates.server_rsa.key}: ")
    assert "does not belong to the certificate" in line


def test_a_user_list_with_a_slip_of_the_pen(pooler: Pooler) -> None:
    users = pooler.folder / "users"
    users.write_text('"alice" "s3cret"\n"bob" "s3cret\n')
    pooler.settings |= {"auth_type": "md5", "auth_file": str(users)}
    line = failure(pooler)
    assert line.startswith(f"{users}:2: ")
    assert "s3cret" not in line


def test_nobody_s_password_is_known(pooler: Pooler) -> None:
    del pooler.settings["auth_type"]
    line = failure(pooler)
    assert "nothing says what their passwords are" in line
    assert 'auth_type = "trust"' in line


def test_a_configuration_that_is_no_toml(pooler: Pooler) -> None:
    pooler.config.write_text("[howdah\nlisten_port = 1\n")
    pooler.spawn("run", str(pooler.config))
    assert pooler.wait_for_exit() == 1
    assert "howdah.toml:" in pooler.log_text
    assert "Traceback" not in pooler.log_text


def test_a_configuration_that_is_not_there(pooler: Pooler) -> None:
    pooler.spawn("run", str(pooler.folder / "nowhere.toml"))
    assert pooler.wait_for_exit() == 1
    assert "nowhere.toml" in pooler.log_text
    assert "Traceback" not in pooler.log_text


def test_trust_on_other_addresses_must_be_allowed(pooler: Pooler) -> None:
    pooler.settings["listen_addr"] = "0.0.0.0"
    pooler.start()
    assert pooler.wait_for_exit() == 1
    assert "allow_trust_from_network" in pooler.log_text
    pooler.run_with(allow_trust_from_network=True)
    assert pooler.value("SELECT 1") == 1
