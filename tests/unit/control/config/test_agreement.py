"""Settings that do not go together, each with the settings it is about."""

import re
from typing import Any

import pytest

from howdah.control.config.agreement import Finding, findings
from howdah.control.config.schema import Tables

HERE = {"host": "127.0.0.1"}


def found(
    databases: dict[str, Any] | None = None, users: dict[str, Any] | None = None, **settings: Any
) -> list[Finding]:
    settings = {"auth_type": "trust"} | settings
    tables = {"howdah": settings, "databases": {"app": HERE} if databases is None else databases, "users": users or {}}
    return list(findings(Tables.model_validate(tables)))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"listen_addr": ""},
        {"unix_socket_dir": ""},
        {"listen_addr": "localhost, 127.0.0.2"},
        {"listen_addr": "*", "allow_trust_from_network": True},
        {"min_pool_size": 20},
        {"min_pool_size": 5, "default_pool_size": 0},
        {"max_db_connections": 20},
        {"reserve_pool_timeout": 0},
        {"reserve_pool_size": 5},
        {"query_wait_timeout": "1s"},
        {"query_wait_timeout": 0, "reserve_pool_size": 1},
        {"databases": {"app": {"host": "127.0.0.1", "pool_size": 30, "min_pool_size": 30}}},
        {"databases": {"app": {"host": "db", "port": 6432}}},
        {"databases": {"app": {"host": "127.0.0.1", "port": 6432}}, "listen_addr": ""},
        {"databases": {"app": {"port": 6432}}, "unix_socket_dir": "/run", "listen_port": 6433},
    ],
)
def test_what_goes_together(settings: dict[str, Any]) -> None:
    assert found(**settings) == []


@pytest.mark.parametrize(
    "settings, key, says",
    [
        ({"listen_addr": "", "unix_socket_dir": ""}, "howdah.listen_addr", "nothing to listen on"),
        ({"listen_addr": "::1, 10.0.0.1, *"}, "howdah.listen_addr", r"^10\.0\.0\.1, \* can be reached"),
        ({"min_pool_size": 21}, "howdah.min_pool_size", r"\(21\) is more than default_pool_size \(20\)"),
        ({"reserve_pool_size": 1, "reserve_pool_timeout": 0}, "howdah.reserve_pool_size", "never be used"),
        (
            {"databases": {"app": {**HERE, "reserve_pool_size": 1}}, "reserve_pool_timeout": 0},
            "databases.app.reserve_pool_size",
            "never be used",
        ),
        (
            {"users": {"bob": {"reserve_pool_size": 1}}, "reserve_pool_timeout": 0},
            "users.bob.reserve_pool_size",
            "never be used",
        ),
        ({"databases": {"app": {**HERE, "min_pool_size": 21}}}, "databases.app.min_pool_size", r"the pool size \(20\)"),
        (
            {"databases": {"app": {**HERE, "pool_size": 4}}, "min_pool_size": 5},
            "databases.app.pool_size",
            r"\(5\) is more than the pool size \(4\)",
        ),
        ({"databases": {"pgbouncer": HERE}}, "databases.pgbouncer", "reserved for the console"),
        ({"users": {"*": {}}}, "users.*", "no fallback"),
        ({"users": {"": {}}}, "users.", "must not be empty"),
        ({"databases": {"a\0": HERE}}, "databases.a\0", "NUL"),
        ({"databases": {"app": {}}, "unix_socket_dir": ""}, "databases.app", "unix_socket_dir"),
        ({"databases": {"app": {"host": "/" + "x" * 100}}}, "databases.app.host", "longer than the 107 bytes"),
        ({"databases": {"app": {**HERE, "port": 6432}}}, "databases.app.host", "connect to itself"),
        ({"databases": {"app": {"port": 6432}}}, "databases.app.port", "connect to itself"),
        (
            {
                "databases": {"app": {"host": "10.0.0.1", "port": 6432}},
                "listen_addr": "10.0.0.1",
                "allow_trust_from_network": True,
            },
            "databases.app.host",
            "connect to itself",
        ),
    ],
)
def test_contradictions(settings: dict[str, Any], key: str, says: str) -> None:
    (finding,) = found(**settings)
    assert finding.fatal
    assert ".".join(map(str, finding.keys[0])) == key
    assert re.search(says, finding.message)
    assert finding.advice


@pytest.mark.parametrize(
    "settings, key",
    [
        ({"max_db_connections": 19}, "howdah.max_db_connections"),
        ({"databases": {"app": {**HERE, "max_db_connections": 5}}}, "databases.app.max_db_connections"),
        ({"databases": {"app": {**HERE, "pool_size": 50}}, "max_db_connections": 30}, "databases.app.pool_size"),
        ({"reserve_pool_size": 1, "query_wait_timeout": 5}, "howdah.query_wait_timeout"),
    ],
)
def test_what_is_odd_but_may_be_meant(settings: dict[str, Any], key: str) -> None:
    (finding,) = found(**settings)
    assert not finding.fatal
    assert ".".join(map(str, finding.keys[0])) == key
