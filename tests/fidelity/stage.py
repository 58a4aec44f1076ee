"""Where a case is played twice: PostgreSQL, and howdah among neighbours."""

from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

from tests.fidelity.case import Case
from tests.fidelity.database import DIRECT, RENEW, THROUGH
from tests.fidelity.neighbours import Neighbourhood
from tests.fidelity.player import Player, Transcript, compare
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

#: What howdah calls the database behind it.
POOL = "fidelity"


class Stage:
    def __init__(self, postgres: Postgres, pooler: Pooler) -> None:
        self._postgres, self._pooler = postgres, pooler
        self._console = psycopg.connect(
            host=str(pooler.folder), port=pooler.port, user="pgbouncer", dbname="pgbouncer", autocommit=True,
            cursor_factory=psycopg.ClientCursor, row_factory=dict_row,
        )  # fmt: skip
        self._keepers = {database: postgres.client("postgres", database) for database in (DIRECT, THROUGH)}
        #: The servers that the neighbours had at each step of the last case.
        self.steps: list[tuple[int, ...]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._console.close()
        for keeper in self._keepers.values():
            keeper.close()

    def check(self, case: Case) -> None:
        """Raise `Differs` if howdah answers otherwise than PostgreSQL."""
        wanted = self.direct(case)
        try:
            compare(case, wanted, self.through(case))
        except BaseException:
            self._end_servers()  # nobody knows what state they are in
            raise

    def direct(self, case: Case) -> Transcript:
        self._prepare(DIRECT, case)

        def connect(parameters: dict[str, str]) -> Client:
            return self._postgres.client(case.user, DIRECT, **parameters)

        return Player(connect, lambda _who, _takes_server: None).play(case)

    def through(self, case: Case) -> Transcript:
        self._prepare(THROUGH, case)

        def connect(parameters: dict[str, str]) -> Client:
            return self._pooler.client(case.user, POOL, **parameters)

        neighbours = Neighbourhood(lambda: connect({}), lambda: self._pool(case.user))
        try:
            return Player(connect, neighbours.shuffle).play(case)
        finally:
            neighbours.leave()
            self.steps = neighbours.steps

    def _prepare(self, database: str, case: Case) -> None:
        replies = self._keepers[database].query(f"{RENEW} {case.setup}")
        assert not replies.errors, replies.error.fields

    def _pool(self, user: str) -> dict[str, Any]:
        """The console's row of one pool; empty when there is no such pool yet."""
        rows = self._console.execute("SHOW POOLS").fetchall()
        return next((row for row in rows if (row["database"], row["user"]) == (POOL, user)), {})

    def _end_servers(self) -> None:
        """End howdah's sessions, and wait until it knows."""
        keeper = self._keepers[THROUGH].process_id
        end_all = (f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{THROUGH}'"
                   f" AND backend_type = 'client backend' AND pid <> {keeper}")  # fmt: skip

        def is_bare() -> bool:
            rows = self._console.execute("SHOW POOLS").fetchall()
            return not any(
                int(value)
                for row in rows
                if row["database"] == POOL
                for name, value in row.items()
                if name[:3] == "sv_"
            )

        wait_until(lambda: not self._postgres.sql(end_all) and is_bare(), "PostgreSQL's sessions to end")
