"""pgbench in its three query modes and with pipelines; the books balance, and each client has been everywhere."""

import re
from pathlib import Path

import pytest

from tests.kit.postgres import Postgres, embedded_binaries
from tests.kit.story import DATABASE, Both, Side

PGBENCH = embedded_binaries() / "pgbench"
CLIENTS, TRANSACTIONS = 6, 25
MODES = ["simple", "extended", "prepared"]

#: The built-in script's transaction, and a note of who was served by whom.
TPCB = r"""
\set aid random(1, 100000)
\set bid 1
\set tid random(1, 10)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
INSERT INTO served VALUES (:client_id, pg_backend_pid());
END;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
"""


def piped(script: str) -> str:
    """All statements of the script in one pipeline."""
    start = script.index("BEGIN;")
    return f"{script[:start]}\\startpipeline\n{script[start:]}\\endpipeline\n"


def books(postgres: Postgres) -> list[tuple[bool, int]]:
    """Whether all sums agree, and how many transactions there were."""
    return [
        (a == b == t == h, n)
        for a, b, t, h, n in postgres.sql_in(
            DATABASE,
            "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches),"
            " (SELECT sum(tbalance) FROM pgbench_tellers), sum(delta), count(*) FROM pgbench_history",
        )
    ]


def run(side: Side, postgres: Postgres, mode: str, script: Path) -> None:
    # A thread for each client: while one prepares, its thread does nothing else, and another client of that thread
    # could not give its server back.
    size = ("-c", str(CLIENTS), "-j", str(CLIENTS), "-t", str(TRANSACTIONS))
    printed = side.run(PGBENCH, "-n", "-M", mode, *size, "-f", script)
    side.note("transactions", re.findall(r"transactions actually processed: (\S+)|failed transactions: (\S+)", printed))
    side.note("books", books(postgres))
    for client, pid in postgres.sql_in(DATABASE, "SELECT * FROM served"):
        side.serves(client, pid)


def fill(side: Side, postgres: Postgres) -> None:
    """The tables of pgbench, made through this side: DROP, CREATE, COPY, VACUUM and ALTER."""
    side.run(PGBENCH, "-i", "-s", "1", "-q")
    with postgres.connect(dbname=DATABASE) as connection:
        connection.execute("CREATE TABLE served (client int, pid int)")
        connection.execute("GRANT ALL ON served TO PUBLIC")


@pytest.mark.parametrize("mode", MODES)
def test_transactions(both: Both, postgres: Postgres, mode: str, tmp_path: Path) -> None:
    script = tmp_path / "tpcb.sql"
    script.write_text(TPCB)
    for side in both:
        fill(side, postgres)
        run(side, postgres, mode, script)


@pytest.mark.parametrize("mode", ["extended", "prepared"])
def test_pipelined_transactions(both: Both, postgres: Postgres, mode: str, tmp_path: Path) -> None:
    script = tmp_path / "tpcb.sql"
    script.write_text(piped(TPCB))
    for side in both:
        fill(side, postgres)
        run(side, postgres, mode, script)
