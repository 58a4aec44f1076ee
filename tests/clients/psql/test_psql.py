r"""psql, the one that comes with PostgreSQL 18: \gexec, \copy, \parse, \bind_named, pipelines, variables, \d and so on.

What it prints is what the sides must agree on.  A line "pid|NAME|NUMBER" says which backend has served.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.clients.cases import ROUNDS, SHOP, VALUES
from tests.kit.postgres import embedded_binaries
from tests.kit.story import Both, Side

PSQL = embedded_binaries() / "psql"
WHERE = "SELECT 'pid', 'one', pg_backend_pid();"
OPEN = ";\n".join(SHOP) + ";"


def tell(side: Side, *script: str | Iterable[str]) -> None:
    """Run the script and take its lines for notes."""
    text = "\n".join(part if isinstance(part, str) else "\n".join(part) for part in script) + "\n"
    # Errors are part of what is told: on standard output, in their place.
    printed = side.run("sh", "-c", f"exec '{PSQL}' -X -At --set VERBOSITY=sqlstate 2>&1", text=text)
    for line in printed.splitlines():
        if line.startswith("pid|"):
            _, client, pid = line.split("|")
            side.serves(client, int(pid))
        else:
            side.note("line", line)


def rounds(*lines: str) -> Iterable[str]:
    """These lines again and again, with {n} counted up."""
    return ("\n".join(lines).replace("{n}", str(n)) for n in range(ROUNDS))


def test_statements_and_what_describes_tables(both: Both) -> None:
    for side in both:
        tell(
            side, OPEN, "\\d", "\\d account", "\\dT+", "\\df *age*",
            rounds("INSERT INTO account VALUES ({n}, 'owner {n}', {n}) RETURNING *;", WHERE),
            "TABLE account;", "\\x\nSELECT * FROM account LIMIT 2;",
        )  # fmt: skip


def test_values_of_all_types(both: Both) -> None:
    for side in both:
        cases = [literal.replace("'", "''") + f"'::{type_name};" for type_name, literal in VALUES]
        tell(side, [f"SELECT '{case}\n{WHERE}" for case in cases])


def test_statements_made_by_statements(both: Both) -> None:
    for side in both:
        tell(
            side,
            f"SELECT format('CREATE TABLE part_%s (id int)', n) FROM generate_series(1, {ROUNDS}) n \\gexec",
            rounds("SELECT format('SELECT %s + {n}', n) FROM generate_series(1, 3) n \\gexec", WHERE),
            "SELECT count(*) AS many FROM pg_tables WHERE tablename LIKE 'part%' \\gset",
            "\\echo :many",
        )


def test_copies(both: Both, tmp_path: Path) -> None:
    for side in both:
        tell(
            side, OPEN,
            rounds("\\copy account (id, owner) FROM STDIN", "1{n}\tfirst {n}", "2{n}\tsecond {n}", "\\.", WHERE),
            "UPDATE account SET balance = 1;",
            rounds(f"\\copy (SELECT * FROM account ORDER BY id) TO '{tmp_path}/{{n}}.csv' CSV HEADER", WHERE),
            "TRUNCATE account CASCADE;",
            f"\\copy account FROM '{tmp_path}/3.csv' CSV HEADER",
            "COPY account TO STDOUT;", "\\copy nowhere FROM STDIN", "1", "\\.", "SELECT 'usable';",
        )  # fmt: skip


def test_prepared_statements(both: Both) -> None:
    for side in both:
        tell(
            side, OPEN,
            "INSERT INTO account VALUES ($1, $2, $3) \\parse add",
            "SELECT *, 'found' FROM account WHERE id = $1 \\parse find",
            rounds("\\bind_named add {n} 'owner {n}' {n} \\g", "\\bind_named find {n} \\g",
                   "SELECT $1::int + 1 \\bind {n} \\g", "\\bind_named add {n} 'twice' 1 \\g", WHERE),
            "\\close_prepared find", "\\bind_named find 1 \\g",
            "SELECT 'other', $1 \\parse find", "\\bind_named find 1 \\g", "SELECT 1 \\parse find",
        )  # fmt: skip


def test_pipelines(both: Both) -> None:
    for side in both:
        tell(
            side, OPEN,
            "INSERT INTO account VALUES ($1, $2, $3) \\parse add",
            rounds(
                "\\startpipeline",
                "\\bind_named add 1{n} 'one {n}' 1 \\sendpipeline", "\\bind_named add 2{n} 'two {n}' 1 \\sendpipeline",
                "\\syncpipeline",
                "\\bind_named add 3{n} 'three {n}' 1 \\sendpipeline", "\\bind_named add 1{n} 'twice' 1 \\sendpipeline",
                "\\bind_named add 4{n} 'skipped' 1 \\sendpipeline",
                "\\syncpipeline",
                "SELECT count(*) FROM account \\bind \\sendpipeline", "\\flushrequest", "\\getresults",
                "\\endpipeline", WHERE,
            ),
            "SELECT id, owner FROM account ORDER BY 1;",
        )  # fmt: skip


def test_transactions_and_errors(both: Both) -> None:
    for side in both:
        tell(
            side, OPEN, "\\set ON_ERROR_ROLLBACK on",
            rounds(
                "BEGIN;", "INSERT INTO account VALUES (1{n}, 'one {n}', 1);", "SELECT 1/0;",
                "INSERT INTO account VALUES (2{n}, 'two {n}', 1);", "COMMIT;", WHERE,
                "BEGIN; SELEKT; ", "ROLLBACK;", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;",
                "INSERT INTO account VALUES (3{n}, 'three {n}', 1);", "COMMIT AND CHAIN;", "SELECT 'chained';",
                "ROLLBACK;", WHERE,
            ),
            "SELECT id, owner FROM account ORDER BY 1;",
        )  # fmt: skip


def test_rows_fetched_in_pieces(both: Both) -> None:
    for side in both:
        fetch = "SELECT sum(i) OVER (ORDER BY i) FROM generate_series(1, 300) i;"
        tell(side, "\\set FETCH_COUNT 50", rounds(fetch, WHERE))


@pytest.mark.parametrize("statement", ["SHOW TimeZone;", "SHOW DateStyle;", "SHOW standard_conforming_strings;"])
def test_a_session_keeps_what_it_began_with(both: Both, statement: str) -> None:
    """Others on the same servers have other settings."""
    for side in both:
        tell(side, rounds(statement, WHERE))
