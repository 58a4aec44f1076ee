"""Warnings about passwords and logins that strangers on the network could take."""

from typing import Any

import pytest

from howdah.control.auth.access import Access
from howdah.control.auth.hba import read_hba, rules_of_auth_type
from howdah.control.auth.secrets import NO_PASSWORD
from howdah.control.config.schema import Config
from howdah.control.exposure import exposures
from howdah.dataplane.plan import Secret

BOB = {"bob": Secret(password=b"pw")}


def warnings(lines: str, secrets: dict[str, Secret] | None = None, **settings: Any) -> list[str]:
    """What is said of an HBA file, or of an auth_type."""
    found = read_hba("hba", lines, str) if " " in lines else None
    assert found is None or not found.problems
    access = Access(found.lines if found else rules_of_auth_type(lines, ""), (), BOB if secrets is None else secrets)
    return [str(problem) for problem in exposures(Config.model_validate({"settings": settings}), access)]


@pytest.mark.parametrize(
    "lines",
    [
        "scram-sha-256",
        "host all all all scram-sha-256",
        "host all all 127.0.0.1/32 password",
        "host all all samehost trust",
        "local all all trust",
        "hostssl all all all password",
        "host all all all reject",
    ],
)
def test_what_nobody_need_worry_about(lines: str) -> None:
    assert warnings(lines, listen_addr="*", client_tls_sslmode="prefer", client_tls_ca_file="ca") == []


@pytest.mark.parametrize(
    "lines, where",
    [
        ("plain", "auth_type"),
        ("pam", "auth_type"),
        ("host all all all password", "hba:1"),
        ("local all all peer\nhostnossl all all 10.0.0.0/8 pam", "hba:2"),
        ("host all all samenet password", "hba:1"),
    ],
)
def test_passwords_that_others_can_read(lines: str, where: str) -> None:
    (warning,) = warnings(lines, listen_addr="10.0.0.1", client_tls_sslmode="prefer")
    assert warning.startswith(f"{where}: warning: passwords travel over the network without TLS; ")
    assert warnings(lines, listen_addr="127.0.0.1") == []
    assert warnings(lines, listen_addr="10.0.0.1", client_tls_sslmode="require") == []


def test_trust_beyond_this_machine() -> None:
    (warning,) = warnings("host all all 10.0.0.0/8 trust", listen_addr="*")
    assert warning.startswith("hba:1: warning: everybody at these addresses logs in without a password")
    assert warnings("trust", listen_addr="*", allow_trust_from_network=True) == []


def test_lines_that_fit_nobody() -> None:
    (warning,) = warnings("hostssl all all all scram-sha-256")
    assert "fits nobody, because client_tls_sslmode is disable" in warning
    for line in ("hostssl all all all cert", "hostssl all all all scram-sha-256 clientcert=verify-ca"):
        (warning,) = warnings(line, client_tls_sslmode="require")
        assert "no client certificate can be checked here" in warning


def test_passwords_that_nobody_knows() -> None:
    lines = "local all all peer\nhost all all all md5"
    (warning,) = warnings(lines, {})
    assert warning.startswith("hba:2: warning: it asks for a password, and nothing says what")
    assert warnings(lines, {}, auth_user="asker") == []
    assert warnings("local all all peer", {}) == []
    assert warnings(lines, {"bob": NO_PASSWORD}) == [warning]


def test_secrets_that_are_of_no_use() -> None:
    secrets = {f"user{number}": Secret(md5="md5" + 32 * "0") for number in range(5)} | BOB
    (warning,) = warnings("scram-sha-256", secrets)
    assert "user0, user1, user2 and 2 more cannot log in by scram-sha-256 with an md5 secret" in warning
    assert warnings("md5", secrets) == []
