"""Settings that do not go together, each with the settings it is about."""

import re
from typing import Any

import pytest

from howdah.control.config.agreement import findings
from howdah.control.config.finding import Finding
from howdah.control.config.schema import Tables

HERE = {"host": "127.0.0.1"}
TLS = {"client_tls_cert_file": "cert", "client_tls_key_file": "key"}


SCRAM = f"SCRAM-SHA-256$1:c2FsdA==${'A' * 43}=:{'A' * 43}="


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
        {"auth_type": "scram-sha-256", "listen_addr": "*", "users": {"bob": {"password": "x"}}},
        {"auth_type": "scram-sha-256", "auth_file": "users"},
        {"auth_type": "scram-sha-256", "auth_user": "asker", "auth_query": "select 1", "auth_dbname": "app"},
        {"auth_type": "scram-sha-256", "databases": {"app": {**HERE, "auth_user": "asker", "auth_query": "x"}}},
        {"auth_type": "plain", "password_passthrough": True},
        {"auth_type": "hba", "auth_hba_file": "hba"},
        {"auth_type": "ldap", "auth_ldap_options": 'ldapserver=db ldapprefix="uid="'},
        {"auth_type": "any", "databases": {"app": {**HERE, "user": "bob", "password": "x"}}},
        {"auth_type": "cert", **TLS, "client_tls_sslmode": "verify-full", "client_tls_ca_file": "ca"},
        {**TLS, "client_tls_sslmode": "require"},
        {"server_tls_sslmode": "verify-full", "server_tls_ca_file": "ca", "server_tls_sslnegotiation": "direct"},
        {"server_tls_cert_file": "c", "server_tls_key_file": "k"},
        {"proxy_protocol_port": 6433, "proxy_protocol_from": "10.0.0.0/8"},
        {"auth_dbname": "any", "auth_user": "asker", "databases": {"*": HERE}},
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
        # logins
        ({"auth_type": "scram-sha-256"}, "howdah.auth_type", "nothing says what their passwords are"),
        (
            {"auth_type": "plain", "databases": {"app": {**HERE, "user": "bob", "password": "x"}}},
            "howdah.auth_type",
            "nothing says",
        ),
        ({"auth_type": "any"}, "databases.app.user", "no user to log in as"),
        ({"auth_type": "cert"}, "howdah.auth_type", "none can be checked"),
        ({"auth_type": "cert", **TLS, "client_tls_sslmode": "require"}, "howdah.auth_type", "none can be checked"),
        ({"auth_type": "hba"}, "howdah.auth_type", "no HBA file"),
        ({"auth_hba_file": "hba"}, "howdah.auth_hba_file", "counts for nothing, because auth_type is trust"),
        ({"auth_type": "ldap"}, "howdah.auth_ldap_options", "ldapserver"),
        ({"auth_query": "select 1"}, "howdah.auth_query", "no auth_user"),
        ({"auth_dbname": "app"}, "howdah.auth_dbname", "no auth_user"),
        ({"databases": {"app": {**HERE, "auth_query": "x"}}}, "databases.app.auth_query", "no auth_user"),
        ({"auth_user": "asker", "auth_dbname": "nowhere"}, "howdah.auth_dbname", "no database 'nowhere'"),
        ({"users": {"bob": {"password": "SCRAM-SHA-256$4096:x"}}}, "users.bob.password", "malformed"),
        ({"users": {"bob": {"password": ""}}}, "users.bob.password", "is empty"),
        ({"databases": {"app": {**HERE, "user": "bob", "password": ""}}}, "databases.app.password", "is empty"),
        (
            {"databases": {"app": {**HERE, "user": "bob", "password": SCRAM}}},
            "databases.app.password",
            "with a SCRAM secret",
        ),
        ({"proxy_protocol_port": 7000}, "howdah.proxy_protocol_port", "who may send PROXY headers"),
        (
            {"proxy_protocol_port": 6432, "proxy_protocol_from": "::1"},
            "howdah.proxy_protocol_port",
            "6432 is listen_port already",
        ),
        (
            {"proxy_protocol_port": 7000, "proxy_protocol_from": "::1", "listen_addr": ""},
            "howdah.proxy_protocol_port",
            "no address",
        ),
        # TLS
        (
            {"client_tls_sslmode": "prefer"},
            "howdah.client_tls_sslmode",
            "no client_tls_cert_file and no client_tls_key_file",
        ),
        (
            {"client_tls_sslmode": "allow", "client_tls_cert_file": "x"},
            "howdah.client_tls_sslmode",
            "is no client_tls_key_file$",
        ),
        ({**TLS, "client_tls_sslmode": "verify-ca"}, "howdah.client_tls_sslmode", "nothing says who signs them"),
        ({"server_tls_cert_file": "x"}, "howdah.server_tls_cert_file", "there is no server_tls_key_file"),
        ({"server_tls_key_file": "x"}, "howdah.server_tls_key_file", "there is no server_tls_cert_file"),
        ({"server_tls_sslnegotiation": "direct"}, "howdah.server_tls_sslnegotiation", "server_tls_sslmode = prefer"),
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
        ({"databases": {"app": {**HERE, "password": "x"}}}, "databases.app.password"),
        ({"auth_type": "md5", "auth_file": "users"}, "howdah.auth_type"),
        ({"password_passthrough": True}, "howdah.password_passthrough"),
        ({"proxy_protocol_from": "::1"}, "howdah.proxy_protocol_from"),
        (TLS, "howdah.client_tls_cert_file"),
        ({**TLS, "client_tls_sslmode": "require", "client_tls_dheparams": "legacy"}, "howdah.client_tls_dheparams"),
        ({"server_tls_ca_file": "ca", "server_tls_sslmode": "require"}, "howdah.server_tls_ca_file"),
    ],
)
def test_what_is_odd_but_may_be_meant(settings: dict[str, Any], key: str) -> None:
    (finding,) = found(**settings)
    assert not finding.fatal
    assert ".".join(map(str, finding.keys[0])) == key


PEER = {"host": "/run/pool2"}


def of_peers(peers: dict[str, Any], peer_id: int = 1) -> list[Finding]:
    tables = {"howdah": {"auth_type": "trust", "peer_id": peer_id}, "databases": {"app": HERE}, "peers": peers}
    return list(findings(Tables.model_validate(tables)))


def test_a_process_may_be_among_its_own_peers() -> None:
    assert of_peers({"1": {"host": "/run/pool1"}, "2": PEER, "16383": {"host": "db.example", "port": 6433}}) == []


@pytest.mark.parametrize(
    "peers, name, says",
    [
        ({"0": PEER}, "0", "from 1 to 16383"),
        ({"16384": PEER}, "16384", "from 1 to 16383"),
        ({"two": PEER}, "two", "from 1 to 16383"),
        ({"-1": PEER}, "-1", "from 1 to 16383"),
        ({"2": PEER, "02": PEER}, "02", "this is the peer that 2 is, too"),
        ({"2": {}}, "2", "a peer has one host"),
        ({"2": {"host": "a,b"}}, "2", "a peer has one host"),
    ],
)
def test_what_is_wrong_with_a_peer(peers: dict[str, Any], name: str, says: str) -> None:
    (finding,) = of_peers(peers)
    assert says in finding.message
    assert ("peers", name) in finding.keys
    assert finding.stops(pgbouncer=True)


def test_peers_without_a_number_of_our_own_are_worth_a_warning() -> None:
    (finding,) = of_peers({"2": PEER}, peer_id=0)
    assert "peer_id" in finding.message
    assert not finding.stops(pgbouncer=False)
