"""`howdah run postgresql://alice:password@host/database`: credentials on both sides, and TLS as it says."""

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest

from tests.kit.certs import Certificates
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler

ALICE = PASSWORDS["alice"]


def run_url(pooler: GuardedPooler, user: str = "alice", password: str = ALICE, **parameters: str) -> None:
    """Start howdah on a URL alone, PostgreSQL with TLS behind it."""
    login = quote(user) + (f":{quote(password)}" if password else "")
    url = f"postgresql://{login}@localhost:{pooler.postgres.port}/by_scram?{urlencode(parameters)}"
    pooler.spawn(
        "run", url, "--json-logs", "--listen", f"{pooler.host}:{pooler.port}", "--set",
        f"unix_socket_dir={pooler.folder}", "--set", "server_login_retry=100ms", "--set", "query_wait_timeout=3s",
        "--set", "login_failure_delay=0",
    )  # fmt: skip
    wait_until(pooler._listens, "howdah to listen", 20)


def ask(pooler: GuardedPooler, query: str, **parameters: Any) -> Any:
    given = {"user": "alice", "password": ALICE, "dbname": "by_scram", **parameters}
    with psycopg.connect(
        host=pooler.host, port=pooler.port, connect_timeout=20, autocommit=True, **given
    ) as connection:
        row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def test_the_password_opens_both_doors(guarded: GuardedPooler) -> None:
    run_url(guarded)
    assert ask(guarded, "SELECT current_user") == "alice"
    assert ask(guarded, "SELECT current_database()", dbname="by_md5") == "by_md5"
    assert ask(guarded, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True


def test_the_password_is_in_no_process_list(guarded: GuardedPooler) -> None:
    run_url(guarded, application_name="shop")
    shown = Path(f"/proc/{guarded.pid}/cmdline").read_bytes().decode().split("\0")
    url = next(word for word in shown if word.startswith("postgresql://"))
    hidden = "x" * len(quote(ALICE))
    assert url == (
        f"postgresql://alice:{hidden}@localhost:{guarded.postgres.port}/by_scram?application_name=shop"
    )  # fmt: skip
    assert ask(guarded, "SELECT current_user") == "alice"


@pytest.mark.parametrize("who", [{"password": "wrong"}, {"user": "bob", "password": PASSWORDS["bob"]}, {"user": "eve"}])
def test_nobody_else_gets_in(guarded: GuardedPooler, who: dict[str, str]) -> None:
    run_url(guarded)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(guarded, "SELECT 1", **who)


def test_the_console_is_the_users(guarded: GuardedPooler) -> None:
    run_url(guarded)
    with psycopg.connect(
        host=guarded.host, port=guarded.port, user="alice", password=ALICE, dbname="pgbouncer", autocommit=True
    ) as console:
        cursor = psycopg.ClientCursor(console)
        rows = cursor.execute("SHOW CONFIG").fetchall()
    assert {row[0]: row[1] for row in rows}["auth_type"] == "scram-sha-256"
    assert ALICE not in str(rows)
    assert ALICE not in guarded.log_text


def test_verify_full_really_verifies(guarded: GuardedPooler, certificates: Certificates) -> None:
    run_url(guarded, sslmode="verify-full", sslrootcert=str(certificates.ca))
    assert ask(guarded, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
    guarded.finish()
    run_url(guarded, sslmode="verify-full", sslrootcert=str(certificates.wrong_ca))
    with pytest.raises(psycopg.OperationalError, match=r"TLS to PostgreSQL failed|certificate"):
        ask(guarded, "SELECT 1")


def test_verify_full_without_a_file_trusts_only_the_systems_authorities(guarded: GuardedPooler) -> None:
    run_url(guarded, sslmode="verify-full")
    with pytest.raises(psycopg.OperationalError, match=r"TLS to PostgreSQL failed|certificate"):
        ask(guarded, "SELECT 1")


def test_without_a_password_everybody_on_this_machine_is_trusted(guarded: GuardedPooler) -> None:
    run_url(guarded, password="")
    assert ask(guarded, "SELECT current_user", user="anybody", password="", dbname="app") == "alice"
