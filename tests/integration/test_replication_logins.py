"""How replication clients prove who they are to howdah, and howdah to PostgreSQL for them."""

from collections.abc import Iterator

import pytest

from tests.kit import scram, wire
from tests.kit.certs import Certificates
from tests.kit.client import Client, Refused
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler
from tests.kit.impostor import Impostor
from tests.kit.pooler import Pooler, toml
from tests.kit.ports import take_port
from tests.kit.postgres import REPLICATOR, Postgres
from tests.kit.replication import LOGICAL, PHYSICAL, replicator, stream

KINDS = {"ordinary": "false", "physical": "true", "logical": "database"}
#: PostgreSQL has only an md5 secret of bob.
WAYS = [("alice", "scram-sha-256"), ("alice", "md5"), ("alice", "password"), ("bob", "md5"), ("bob", "password")]

#: Lines of pg_hba.conf.
HBA = {
    "all means databases": "host all all all trust",
    "replication means physical": "host replication all all trust",
    "replication among others": "host other,replication all all trust",
    "both": "host all,replication all all trust",
    "the first line decides": "host replication all all reject\nhost all,replication all all trust",
    "in quotes it is a name": 'host "replication" all all trust',
    "sameuser is no replication": "host sameuser all all trust",
    "one database": "host app all all trust",
    "by user": f"host replication alice all trust\nhost all {REPLICATOR} all trust",
    "with a password": "host replication all all password\nhost all all all trust",
}


@pytest.fixture
def replicators(tls_postgres: Postgres) -> Iterator[Postgres]:
    """PostgreSQL with TLS, where those who have passwords may replicate."""
    for role in PASSWORDS:
        tls_postgres.sql(f"ALTER ROLE {role} REPLICATION")
    yield tls_postgres
    for role in PASSWORDS:
        tls_postgres.sql(f"ALTER ROLE {role} NOREPLICATION")


# towards howdah


def decision(server: Pooler | Postgres, kind: str) -> str:
    """How the first answer begins: trusted, asked for something, or refused."""
    with Client(server.address) as client:
        client.send(wire.startup(user=REPLICATOR, database="app", replication=kind))
        reply = client.read()
        return reply.sqlstate if reply.tag == "E" else f"R {reply.authentication}"


@pytest.mark.parametrize("case", HBA)
def test_access_rules_are_postgresqls(guarded: GuardedPooler, tls_postgres: Postgres, case: str) -> None:
    tls_postgres.let_in(HBA[case])
    wanted = {word: decision(tls_postgres, kind) for word, kind in KINDS.items()}
    tls_postgres.let_in("host all,replication all all trust")
    guarded.use_hba(HBA[case])
    guarded.run()
    assert {word: decision(guarded, kind) for word, kind in KINDS.items()} == wanted


def test_the_refusal_says_that_it_is_about_replication(guarded: GuardedPooler) -> None:
    guarded.use_hba("host all all all trust")
    guarded.run()
    with pytest.raises(Refused) as refused:
        replicator(guarded, PHYSICAL)
    assert "physical replication from host" in refused.value.error.fields["M"]


@pytest.mark.parametrize("kind", [PHYSICAL, LOGICAL])
def test_auth_type_is_for_replication_too(guarded: GuardedPooler, replicators: Postgres, kind: str) -> None:
    replicators.let_in("host all,replication all all trust")
    guarded.run()
    with guarded.client("alice", replication=kind) as client:
        assert not client.query("IDENTIFY_SYSTEM").errors
    guarded.passwords["alice"] = "wrong"
    with pytest.raises(Refused) as refused:
        guarded.client("alice", replication=kind)
    assert refused.value.sqlstate == "28P01"


def test_auth_query(guarded: GuardedPooler, replicators: Postgres) -> None:
    """Physical replication names no database to ask in: it is the entry's."""
    replicators.let_in("host all,replication all all trust")
    del guarded.users["alice"]
    guarded.add_database("app", auth_user="postgres")
    guarded.run()
    for database in ("app", "replication"):
        with guarded.client("alice", database, replication=PHYSICAL) as client:
            assert not client.query("IDENTIFY_SYSTEM").errors


# towards PostgreSQL


@pytest.mark.parametrize("kind", [PHYSICAL, LOGICAL])
@pytest.mark.parametrize("user, method", WAYS)
def test_passwords(guarded: GuardedPooler, replicators: Postgres, user: str, method: str, kind: str) -> None:
    replicators.let_in(f"host all,replication all all {method}")
    guarded.run()
    with guarded.client(user, replication=kind) as client:
        assert client.settings["session_authorization"] == user
        assert not client.query("IDENTIFY_SYSTEM").errors


@pytest.mark.parametrize("kind", [PHYSICAL, LOGICAL])
def test_scram_keys_are_passed_through(guarded: GuardedPooler, replicators: Postgres, kind: str) -> None:
    replicators.let_in("host all,replication all all scram-sha-256")
    guarded.users["alice"]["password"] = replicators.secret("alice")
    guarded.run()
    with guarded.client("alice", replication=kind) as client:
        assert not client.query("IDENTIFY_SYSTEM").errors


def test_a_user_of_the_entrys(guarded: GuardedPooler, replicators: Postgres) -> None:
    replicators.let_in("host all,replication all all scram-sha-256")
    guarded.add_database("app", user="carol", password=PASSWORDS["carol"])
    guarded.run()
    with guarded.client("alice", replication=PHYSICAL) as client:
        assert client.settings["session_authorization"] == "carol"


def test_tls_on_both_sides(guarded: GuardedPooler, replicators: Postgres, certificates: Certificates) -> None:
    replicators.let_in("hostssl all,replication all all scram-sha-256")
    guarded.offer_tls("require")
    guarded.run_with(server_tls_sslmode="verify-ca", server_tls_ca_file=str(certificates.ca))
    with guarded.tls_client("alice", replication=PHYSICAL) as client:
        stream(client)
        (row,) = [row for row in guarded.admin("SHOW SERVERS") if row["user"] == "alice"]
        assert row["tls"].startswith("TLSv1.3/")
        (own,) = [row for row in guarded.admin("SHOW CLIENTS") if row["user"] == "alice"]
        assert own["tls"].startswith("TLSv1.3/")
        client.cancel()
        assert client.read_until("Z").error.sqlstate == "57014"


def test_a_certificate(guarded: GuardedPooler, replicators: Postgres, certificates: Certificates) -> None:
    replicators.let_in("hostssl all,replication all all cert")
    pair = certificates.alice
    guarded.run_with(
        server_tls_sslmode="require", server_tls_cert_file=str(pair.certificate), server_tls_key_file=str(pair.key)
    )
    with guarded.client("alice", replication=PHYSICAL) as client:
        assert not client.query("IDENTIFY_SYSTEM").errors


def test_once_more_with_tls_where_it_was_only_allowed(guarded: GuardedPooler, replicators: Postgres) -> None:
    replicators.let_in("hostssl all,replication all all scram-sha-256")
    guarded.run_with(server_tls_sslmode="allow")
    with guarded.client("alice", replication=PHYSICAL) as client:
        assert not client.query("IDENTIFY_SYSTEM").errors


# when it does not work


def test_a_refused_login_is_nobody_elses_business(pooler: Pooler) -> None:
    """Alice may not replicate: her ordinary clients do not wait for server_login_retry."""
    pooler.run_with(server_login_retry=60, query_wait_timeout=5)
    for kind in (PHYSICAL, LOGICAL):
        with pytest.raises(Refused) as refused:
            pooler.client("alice", replication=kind)
        assert refused.value.sqlstate == "42501"
        with pooler.client("alice") as client:
            assert client.query("SELECT 1").value == "1"
    pooler.wait_for_pool("app", "alice", cl_active=0, sv_login=0)


def test_pg_hba_conf_without_replication(guarded: GuardedPooler, replicators: Postgres) -> None:
    replicators.let_in("host all all all trust")
    guarded.run()
    with pytest.raises(Refused) as refused:
        guarded.client("alice", replication=PHYSICAL)
    assert refused.value.sqlstate == "28000"
    assert "pg_hba.conf" in refused.value.error.fields["M"]
    with guarded.client("alice", replication=LOGICAL) as client:
        assert not client.query("IDENTIFY_SYSTEM").errors


def test_a_server_that_cannot_be_reached_is_told_at_once(pooler: Pooler) -> None:
    pooler.databases["app"]["port"] = take_port()
    pooler.run_with(query_wait_timeout=60)
    with pytest.raises(Refused) as refused:
        replicator(pooler, PHYSICAL)
    assert refused.value.sqlstate == "08001"


def test_every_address_is_tried(pooler: Pooler, postgres: Postgres) -> None:
    """PostgreSQL listens at one of three; whichever comes first."""
    pooler.databases["app"]["host"] = ["127.0.0.2", "127.0.0.3", postgres.host]
    pooler.run()
    for _ in range(3):
        with replicator(pooler, PHYSICAL) as client:
            assert not client.query("IDENTIFY_SYSTEM").errors


def test_server_connect_timeout(pooler: Pooler) -> None:
    with Impostor(lambda peer: peer.wait_for_end()) as silent:
        pooler.databases["app"] |= {"host": silent.host, "port": silent.port}
        pooler.run_with(server_connect_timeout=0.5)
        with pytest.raises(Refused) as refused:
            replicator(pooler, PHYSICAL)
        assert refused.value.sqlstate == "08001"


def test_a_client_that_leaves_during_its_servers_login(pooler: Pooler) -> None:
    with Impostor(lambda peer: peer.wait_for_end()) as silent:
        pooler.databases["app"] |= {"host": silent.host, "port": silent.port, "max_db_connections": 1}
        pooler.run()
        client = Client(pooler.address)
        client.send(wire.startup(user=REPLICATOR, database="app", replication="true"))
        pooler.wait_for_pool("app", REPLICATOR, sv_login=1)
        client.vanish()
        pooler.wait_for_pool("app", REPLICATOR, sv_login=0, cl_active=0)


def test_a_wrong_password_in_the_configuration(guarded: GuardedPooler, replicators: Postgres) -> None:
    replicators.let_in("host all,replication all all scram-sha-256")
    guarded.users["alice"]["password"] = guarded.passwords["alice"] = "not PostgreSQL's"
    guarded.run()
    with pytest.raises(Refused) as refused:
        guarded.client("alice", replication=PHYSICAL)
    assert refused.value.sqlstate == "28P01"


def test_a_secret_that_cannot_be_passed_on(guarded: GuardedPooler, replicators: Postgres) -> None:
    replicators.let_in("host all,replication all all scram-sha-256")
    guarded.users["alice"]["password"] = scram.verifier(PASSWORDS["alice"], salt=b"another sixteen b")
    guarded.run()
    with pytest.raises(Refused) as refused:
        guarded.client("alice", replication=PHYSICAL)
    assert refused.value.sqlstate == "28000"
    guarded.wait_for_log("server_no_password", count=2)  # of the server, of the client


def test_a_new_configuration_while_the_server_logs_in(pooler: Pooler) -> None:
    """The entry is gone: so is the client, with a word about it, now or when its login is over."""
    with Impostor(lambda peer: peer.wait_for_end()) as silent:
        pooler.databases["gone"] = {"host": silent.host, "port": silent.port}
        pooler.run_with(server_connect_timeout=1)
        with Client(pooler.address) as client:
            client.send(wire.startup(user=REPLICATOR, database="gone", replication="database"))
            pooler.wait_for_pool("gone", REPLICATOR, sv_login=1)
            del pooler.databases["gone"]
            pooler.config.write_text(toml(pooler._tables()))
            pooler.admin("RELOAD")
            assert client.read_to_end().error.sqlstate in {"08001", "57P01"}
    wait_until(lambda: not pooler.pool("gone", REPLICATOR).get("sv_login"), "the server to be given up")
