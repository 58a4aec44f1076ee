"""Faults that PgBouncer and PostgreSQL have had: howdah is not open to the same."""

import psycopg
import pytest

from tests.kit import scram, wire
from tests.kit.certs import Certificates
from tests.kit.client import Client, Gone
from tests.kit.crowd import crowd
from tests.kit.fix_logins import CONSOLE_PASSWORD, PASSWORDS, GuardedPooler, refused
from tests.kit.impostor import Impostor, Peer, server_context
from tests.kit.postgres import SUPERUSER, Postgres
from tests.kit.tls_client import TlsClient


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFF0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFC8, 1 << 20])
def test_cve_2026_6664_a_length_inside_a_scram_packet_that_wraps_around(gate: GuardedPooler, length: int) -> None:
    """PgBouncer up to 1.25.1: position + length overflowed 32 bits and passed the check: a stranger's crash."""
    for database in ("by_scram", "by_md5"):
        with gate.client(database="by_trust") as other, gate.stranger() as client:
            client.send(wire.startup(user="carol", database="by_scram"))
            client.read()
            initial = wire.cstring(scram.PLAIN) + length.to_bytes(4) + b"n,,n=,r=abcdef"
            client.send(wire.message(b"p", initial))
            if length != 0xFFFFFFFF:  # that is -1: no initial response, and then some bytes too many
                assert client.read_to_end().error.sqlstate == "08P01"
            assert other.query("SELECT 1").value == "1", database


@pytest.mark.parametrize("length", [100, 900, 1000, 1010, 1024, 2000, 5000, 60_000, 1 << 20])
def test_cve_2026_6665_a_malicious_servers_long_nonce(guarded: GuardedPooler, length: int) -> None:
    """PgBouncer up to 1.25.1 built its SCRAM answer in a fixed buffer without minding that it was full."""

    def part(peer: Peer) -> None:
        peer.read_startup()
        peer.send(wire.authentication(wire.SASL, b"SCRAM-SHA-256\0\0"))
        _, body = peer.read_message()
        nonce = scram.attributes(body)["r"] + b"x" * length
        peer.send(wire.authentication(wire.SASL_CONTINUE, b"r=" + nonce + b",s=c2FsdHNhbHQ=,i=4096"))
        peer.wait_for_end()

    with Impostor(part) as impostor:
        guarded.databases["evil"] = {"host": "127.0.0.1", "port": impostor.port}
        guarded.run_with(query_wait_timeout=1, server_connect_timeout=1)
        with guarded.client() as other, guarded.stranger() as client:
            client.send(wire.startup(user="alice", database="evil"))
            replies = client.prove("alice", PASSWORDS["alice"])
            if not replies.errors:
                client.send(wire.query("SELECT 1"))
                replies = client.read_until("E", "Z")
            assert replies.errors
            assert other.query("SELECT 1").value == "1"


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"SFATAL\0\0", b"SFATAL\0Mno code\0\0", b"C28P01\0\0", b"C\0M\0S\0\0", b"Mno end", b"SFATAL\0C28",
     b"M" + b"x" * 70_000 + b"\0\0", b"C28P01999999999999999\0Mlong code\0\0", b"\0" * 1000,
     b"Mbad \xff utf\0C99999\0\0", b"Ma\0Mb\0C28000\0C28P01\0\0"],
    ids=lambda body: ascii(body[:24]),
)  # fmt: skip
def test_cve_2026_6666_an_error_without_a_sqlstate(guarded: GuardedPooler, body: bytes) -> None:
    """PgBouncer up to 1.25.1 compared the SQLSTATE of a failed server login without asking whether there was one."""

    def part(peer: Peer) -> None:
        peer.read_startup()
        peer.send(wire.message(b"E", body))

    with Impostor(part) as impostor:
        guarded.databases["evil"] = {"host": "127.0.0.1", "port": impostor.port}
        guarded.run_with(query_wait_timeout=2, auth_type="trust")

        def told(_: int) -> str:
            with guarded.stranger() as client:
                error = client.refusal(user="alice", database="evil")
            assert error.fields["S"] == "FATAL"
            assert error.fields["M"]
            return error.sqlstate

        with guarded.client() as other:
            codes = set(crowd(4, told).values())
            assert all(len(code) == 5 for code in codes), codes
            assert other.query("SELECT 1").value == "1"


def test_cve_2026_6667_a_stats_user_cannot_end_anybodys_connection(guarded: GuardedPooler) -> None:
    """PgBouncer 1.24 to 1.25.1 asked KILL_CLIENT for no rights.  Nothing that changes anything is a stats user's."""
    guarded.users["stats"] = {"password": CONSOLE_PASSWORD}
    guarded.run_with(admin_users=["pgbouncer"], stats_users=["stats"])
    with guarded.client() as victim:
        victim.query("SELECT 1")
        (row,) = [row for row in guarded.admin("SHOW CLIENTS") if row["database"] == "app"]
        stats = guarded.connect(dbname="pgbouncer", user="stats", password=CONSOLE_PASSWORD)
        assert stats.execute("SHOW CLIENTS").fetchall()
        for command in (
            f"KILL_CLIENT {row['id']}" if "id" in row else f"KILL_CLIENT {row['ptr']}",
            "KILL app", "KILL", "PAUSE", "DISABLE app", "SUSPEND", "RELOAD", "SHUTDOWN", "RECONNECT",
            "SET default_pool_size = 1", "WAIT_CLOSE",
        ):  # fmt: skip
            with pytest.raises(psycopg.Error) as raised:
                stats.execute(command)
            assert raised.value.sqlstate in {"42501", "0A000", "42601", "08P01"}, command
        assert victim.query("SELECT 'alive'").value == "alive"


def test_cve_2025_12819_settings_of_a_stranger_do_not_reach_auth_query(
    guarded: GuardedPooler, tls_postgres: Postgres
) -> None:
    """PgBouncer up to 1.25.0 gave the connection that runs auth_query the settings of a client not yet let in:
    with search_path among them, the stranger's own functions ran as auth_user.
    """
    with tls_postgres.connect(dbname="app") as session:
        session.execute("CREATE SCHEMA evil")
        session.execute("CREATE TABLE evil.calls (who name)")
        session.execute(
            "CREATE FUNCTION public.secret_of(who text) RETURNS TABLE (name text, secret text) LANGUAGE plpgsql AS $$"
            "BEGIN IF current_setting('search_path') LIKE '%evil%' OR current_setting('role') <> 'none'"
            " OR current_setting('application_name') LIKE '%evil%' OR current_setting('DateStyle') LIKE '%SQL%'"
            " THEN INSERT INTO evil.calls VALUES (current_user); END IF;"
            " RETURN QUERY SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolname = who; END $$"
        )
    try:
        guarded.users = {"pgbouncer": guarded.users["pgbouncer"]}
        guarded.run_with(
            auth_user=SUPERUSER, auth_dbname="app", auth_query="SELECT * FROM public.secret_of($1)", auth_cache_ttl=0
        )
        for parameters in (
            {"search_path": "evil, public"}, {"options": "-c search_path=evil,public -c role=alice"},
            {"application_name": "evil", "DateStyle": "SQL, DMY"},
        ):  # fmt: skip
            with guarded.stranger() as client:
                client.log_in(
                    wire.PROTOCOL_3_0, password=PASSWORDS["alice"], user="alice", database="app", **parameters
                )
                assert client.query("SELECT current_user").value == "alice"
        assert tls_postgres.sql_in("app", "SELECT count(*) FROM evil.calls") == [(0,)]
    finally:
        with tls_postgres.connect(dbname="app") as session:
            session.execute("DROP SCHEMA evil CASCADE")
            session.execute("DROP FUNCTION public.secret_of")


def test_cve_2025_2291_valid_until_counts(guarded: GuardedPooler, tls_postgres: Postgres) -> None:
    """PgBouncer up to 1.24.0's default auth_query did not look at VALID UNTIL: expired passwords let people in."""
    guarded.users = {"pgbouncer": guarded.users["pgbouncer"]}
    guarded.run_with(auth_user=SUPERUSER, auth_dbname="app", auth_cache_ttl=0)
    with guarded.stranger() as client:
        client.log_in(user="alice", database="app", password=PASSWORDS["alice"])
    tls_postgres.sql("ALTER ROLE alice VALID UNTIL '2020-01-01'")
    try:
        with guarded.stranger() as client:
            assert refused(client, PASSWORDS["alice"], user="alice", database="app").sqlstate == "28P01"
    finally:
        tls_postgres.sql("ALTER ROLE alice VALID UNTIL 'infinity'")
    with guarded.stranger() as client:
        client.log_in(user="alice", database="app", password=PASSWORDS["alice"])


@pytest.mark.parametrize(
    "stuffed",
    [
        b"x",
        wire.startup(user="alice", database="by_trust"),
        wire.query("SELECT 'stuffed'"),
        b"\x16\x03\x01\x00\x05hello",
    ],
    ids=["x", "startup", "query", "record"],
)
def test_cve_2021_23222_bytes_between_a_clients_request_and_its_handshake(gate: GuardedPooler, stuffed: bytes) -> None:
    """Libpq and servers up to PostgreSQL 14.0 (CVE-2021-23214) kept what came in plain behind the request and read
    it after the handshake as if it had come through TLS.
    """
    client = TlsClient(gate.address)
    client.raw_send(wire.ssl_request() + stuffed)
    try:
        assert client.read_bytes(1) in {b"S", b"E"}
        client.shake_hands()
        client.is_encrypted = True
        client.send(wire.startup(user="alice", database="by_trust"))
        replies, _ = client.read_to_cut()
    except (Gone, OSError):
        replies = wire.Replies()
    assert not any(reply.tag in "ZD" for reply in replies)
    gate.wait_for_log("tls_data_before_handshake")


def test_cve_2021_23222_bytes_between_a_servers_yes_and_its_handshake(
    guarded: GuardedPooler, certificates: Certificates
) -> None:
    """The same from the other side: an answer stuffed behind the server's S must never reach a client."""
    context = server_context(certificates.server)
    told = wire.authentication(wire.AUTHENTICATION_OK) + wire.message(b"Z", b"I")

    def part(peer: Peer) -> None:
        assert peer.read_packet() == wire.SSL_REQUEST_CODE.to_bytes(4)
        peer.send(b"S" + told)
        peer.start_tls(context)
        peer.read_startup()
        peer.log_in()
        peer.wait_for_end()

    with Impostor(part) as impostor:
        guarded.databases["app"] = {"host": "127.0.0.1", "port": impostor.port}
        guarded.run_with(server_tls_sslmode="require", auth_type="trust", query_wait_timeout=2)
        with Client(guarded.address) as client:
            assert client.refusal(user="alice", database="app").sqlstate.startswith("08")
