"""A server that cannot be reset is nobody's any more: the next client gets a fresh one."""

import pytest

from tests.kit.pooler import Pooler

TABLES = "DO $$BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TEMP TABLE filler_%s (n int)', i); END LOOP; END$$"


def is_fresh(pooler: Pooler, pid: str | None) -> None:
    """Another backend, with nothing on it of the client before."""
    with pooler.client() as following:
        assert following.query("SELECT pg_backend_pid()").value != pid
        assert following.query("SELECT t FROM secret").error.sqlstate == "42P01"
        assert following.query("SHOW statement_timeout").value == "0"
        assert following.query("SHOW work_mem").value == "4MB"
    pooler.wait_until_idle()


@pytest.mark.parametrize("reset", ["SELECT 1/0", "SELECT 1; SELECT 1/0", "nonsense"])
def test_a_reset_query_that_fails(pooler: Pooler, reset: str) -> None:
    pooler.run_with(default_pool_size=1, pool_mode="session", server_reset_query=reset)
    with pooler.client() as client:
        client.query("CREATE TEMP TABLE secret AS SELECT 'of the first' AS t; SET work_mem = '7MB'")
        pid = client.query("SELECT pg_backend_pid()").value
    is_fresh(pooler, pid)


def test_a_discard_that_the_clients_own_statement_timeout_ends(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, pool_mode="session")
    with pooler.client() as client:
        client.query(TABLES)
        client.query("CREATE TEMP TABLE secret AS SELECT 'of the first' AS t")
        pid = client.query("SELECT pg_backend_pid()").value
        client.query("SET work_mem = '7MB'; SET statement_timeout = '1ms'")
    is_fresh(pooler, pid)
