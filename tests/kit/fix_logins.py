"""Fixtures: PostgreSQL with TLS and every way to log in, and poolers before it.

Who a user is depends on the database alone (`ACCESS`), so that each method meets each kind of secret; PostgreSQL and
howdah read the same lines.  Users and passwords are `PASSWORDS`; PostgreSQL keeps bob's as md5, all others as SCRAM.
"""

import os
import pwd
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.kit import wire
from tests.kit.certs import Certificates, Pair
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.fix_pooler import Server, alive
from tests.kit.fix_postgres import DEBIAN
from tests.kit.pooler import Pooler, Value, toml
from tests.kit.postgres import SUPERUSER, Postgres
from tests.kit.tls_client import TlsClient, client_context

#: dora's has what SASLprep changes: a non-breaking space becomes a space, a soft hyphen nothing, Ⅸ the letters IX.
PASSWORDS = {
    "alice": "down the rabbit hole",
    "bob": "bob's md5",
    "carol": 'p,a=ss%w\\ord"',
    "dora": "na\u00efve\u00a0so\u00adft \u2168",
}
#: The same as SASLprep gives it to SCRAM.
DORA_PREPARED = "na\u00efve soft IX"
#: Who runs the tests, as the operating system names them: what `peer` finds out.
SYSTEM_USER = pwd.getpwuid(os.geteuid()).pw_name
#: The console's user.
CONSOLE_PASSWORD = "console"

#: Databases by what their clients are asked for; HBA lines for PostgreSQL and howdah alike.
ACCESS = """
host      by_trust      all  all             trust
host      by_scram      all  all             scram-sha-256
host      by_md5        all  all             md5
host      by_password   all  all             password
host      by_reject     all  all             reject
hostssl   by_cert       all  all             cert
hostssl   by_mapped     all  all             cert map=wonder
hostssl   with_ca       all  all             scram-sha-256 clientcert=verify-ca
hostssl   with_cert     all  all             scram-sha-256 clientcert=verify-full
hostssl   over_tls      all  all             scram-sha-256
hostnossl over_plain    all  all             scram-sha-256
local     by_peer       all                  peer
local     by_peer_map   all                  peer map=system
local     by_scram      all                  scram-sha-256
local     by_trust      all                  trust
"""
DATABASES = sorted({line.split()[1] for line in ACCESS.strip().splitlines()})

IDENT = rf"""
wonder  "Alice Liddell"         alice
wonder  /^(.*)@example\.com$    \1
system  {SYSTEM_USER}           alice
"""


class GuardedPooler(Pooler):
    """A pooler that asks who you are.  It knows `PASSWORDS`, and its own clients give them unless told otherwise."""

    def __init__(self, postgres: Postgres, certificates: Certificates) -> None:
        super().__init__(postgres)
        self.certificates = certificates
        self.settings |= {
            "auth_type": "scram-sha-256",
            "login_failure_delay": 0,
            "query_wait_timeout": 10,
            "server_login_retry": 1,
        }
        upstream: dict[str, Value] = {"host": postgres.host, "port": postgres.port}
        self.databases = {"app": dict(upstream)}
        self.passwords: dict[str, str] = {**PASSWORDS, "pgbouncer": CONSOLE_PASSWORD}
        self.users = {user: {"password": password} for user, password in self.passwords.items()}

    def offer_tls(self, sslmode: str = "prefer", pair: Pair | None = None, **more: Value) -> None:
        """Towards clients, from the next start on."""
        pair = pair or self.certificates.server
        self.settings |= {
            "client_tls_sslmode": sslmode,
            "client_tls_cert_file": str(pair.certificate),
            "client_tls_key_file": str(pair.key),
            "client_tls_ca_file": str(self.certificates.ca),
        } | more

    def use_hba(self, lines: str = ACCESS, ident: str = IDENT) -> None:
        """auth_type hba with these lines; the console is let in by SCRAM."""
        hba, maps = self.folder / "pg_hba.conf", self.folder / "pg_ident.conf"
        console = "host pgbouncer pgbouncer all scram-sha-256\n"
        hba.write_text(console + lines)
        maps.write_text(ident)
        self.settings |= {"auth_type": "hba", "auth_hba_file": str(hba), "auth_ident_file": str(maps)}

    def add_database(self, name: str, **keys: Value) -> None:
        """A database of this name at PostgreSQL, or as the keys say."""
        self.databases[name] = {"host": self.postgres.host, "port": self.postgres.port, **keys}

    def reload(self) -> None:
        """Write the configuration again, send SIGHUP and wait until it is read."""
        self.forget_log()
        self.signal_reload()
        wait_until(lambda: self.log_contains("configuration (not )?reloaded"), "the configuration to be read again")
        assert not self.log_contains("configuration not reloaded"), self.log_tail

    def signal_reload(self) -> None:
        """Write the configuration again and send SIGHUP; whatever comes of it."""
        self.config.write_text(toml(self._tables()))
        self.signal(signal.SIGHUP)

    def wait_until_told(self, asked: str, text: str) -> None:
        """Wait for the line of the log that says `text` of what was asked, such as "LDAP"."""
        wait_until(
            lambda: any(event.get("asked") == asked and text in event["message"] for event in self.events),
            f"{text!r} of {asked} in the log",
            10,
        )

    def connect(self, **parameters: Any) -> psycopg.Connection[Any]:
        user = parameters.get("user", "alice")
        return super().connect(**{"password": self.passwords.get(user, ""), **parameters})

    def client(self, user: str = "alice", database: str = "app", **parameters: str) -> Client:
        client = Client(self.address)
        client.log_in(
            wire.PROTOCOL_3_0, password=self.passwords.get(user, ""), user=user, database=database, **parameters
        )
        return client

    def tls_client(
        self, user: str = "alice", database: str = "app", pair: Pair | None = None, **parameters: str
    ) -> TlsClient:
        """A logged-in client over TLS."""
        client = TlsClient(self.address, client_context(pair=pair))
        client.start_tls()
        client.log_in(
            wire.PROTOCOL_3_0, password=self.passwords.get(user, ""), user=user, database=database, **parameters
        )
        return client


def refused(client: Client, password: str | bytes | None = "", **parameters: str) -> wire.Message:
    """Log in and be refused: the error, after which the connection must end."""
    client.send(wire.startup(wire.PROTOCOL_3_0, **parameters))
    replies = client.prove(parameters.get("user", ""), password)
    assert replies[-1].tag == "E", f"let in: {replies.shape}"
    assert not client.read_to_end()
    assert (replies[-1].fields["S"], replies[-1].fields["V"]) == ("FATAL", "FATAL")
    return replies[-1]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The run's certificates."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def _tls_cluster(certificates: Certificates) -> Iterator[Postgres]:
    if not DEBIAN.exists():
        pytest.skip(
            f"needs a PostgreSQL with TLS: {DEBIAN} is not installed (`python3 tools/bootstrap.py --with tests`)"
        )
    postgres = Postgres(DEBIAN)
    try:
        postgres.create()
        for role in {"dora", SYSTEM_USER} - {SUPERUSER}:
            postgres.sql(f'CREATE ROLE "{role}" LOGIN')
        for role, password in PASSWORDS.items():
            postgres.set_password(role, password, "md5" if role == "bob" else "scram-sha-256")
        for database in [*DATABASES, "alice"]:  # the last for sameuser
            postgres.sql(f"CREATE DATABASE {database}")
        postgres.write("pg_ident.conf", IDENT)
        postgres.offer_tls(certificates.server, certificates.ca)
        yield postgres
    finally:
        postgres.remove()


@pytest.fixture
def tls_postgres(_tls_cluster: Postgres, certificates: Certificates) -> Iterator[Postgres]:
    """PostgreSQL with TLS; `ACCESS` says who is let in how, and whoever asks for app or other by trust.

    A test may change pg_hba.conf (`let_in`), passwords and the certificate: they are put back.
    """
    _tls_cluster.ensure_running()
    _tls_cluster.not_ours = set()
    before = _state(_tls_cluster)
    if not (_tls_cluster.data / "howdah.hba").exists():
        _let_everybody_in(_tls_cluster)
    yield _tls_cluster
    _tls_cluster.ensure_running()
    if _state(_tls_cluster) != before:
        _let_everybody_in(_tls_cluster)


def _state(postgres: Postgres) -> str:
    return (postgres.data / "pg_hba.conf").read_text()


def _let_everybody_in(postgres: Postgres) -> None:
    postgres.let_in(ACCESS, "host app,other all all trust", "local app,other all trust")
    (postgres.data / "howdah.hba").touch()


@pytest.fixture
def guarded(tls_postgres: Postgres, certificates: Certificates) -> Iterator[GuardedPooler]:
    """A pooler of this test's own before PostgreSQL with TLS, SCRAM towards clients; not started yet."""
    tls_postgres.count_from_now()
    pooler = GuardedPooler(tls_postgres, certificates)
    with alive(pooler):
        yield pooler
        pooler.remove()


@pytest.fixture(scope="session")
def _shared_guarded(_tls_cluster: Postgres, certificates: Certificates) -> Iterator[GuardedPooler]:
    pooler = GuardedPooler(_tls_cluster, certificates)
    pooler.offer_tls("prefer")
    pooler.use_hba()
    for database in DATABASES:
        pooler.add_database(database, dbname="app")
    pooler.add_database("nowhere", port=1)
    with alive(pooler):
        yield pooler
        pooler.remove()


@pytest.fixture
def gate(_shared_guarded: GuardedPooler, tls_postgres: Postgres) -> Iterator[GuardedPooler]:
    """The worker's shared pooler with TLS and `ACCESS`; behind all its databases is app, let in by trust."""
    if not _shared_guarded.is_running:
        _shared_guarded.process = None
        _shared_guarded.run()
    _shared_guarded.forget_log()
    yield _shared_guarded
    _shared_guarded.close_sessions()
    assert _shared_guarded.is_running, f"the pooler ended during the test:\n{_shared_guarded.log_tail}"
    _shared_guarded.check_log()


@pytest.fixture(params=["direct", "howdah"])
def login_server(request: pytest.FixtureRequest) -> Server:
    """PostgreSQL with TLS and every method, then howdah with the same lines before it."""
    fixture: Server = request.getfixturevalue("tls_postgres" if request.param == "direct" else "gate")
    return fixture


@pytest.fixture
def secrets_folder(guarded: GuardedPooler) -> Path:
    """Where a test may put its user lists and rules; goes with the pooler."""
    return guarded.folder
