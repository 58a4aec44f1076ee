"""A story of interrupted queries for DB-API drivers that send cancel requests; PostgreSQL says when the query runs."""

from tests.clients.cases import ROUNDS
from tests.clients.dbapi import Connection, DbApi
from tests.kit.crowd import Background
from tests.kit.deadline import wait_until
from tests.kit.postgres import Postgres
from tests.kit.story import DATABASE, Both

#: Longer than any test: who is not cancelled fails by time-out.
SLEEP = "SELECT pg_sleep(600)"


class CancelStories(DbApi):
    def cancel(self, connection: Connection) -> None:
        raise NotImplementedError

    def test_a_cancelled_query(self, both: Both, postgres: Postgres) -> None:
        for side in both:
            connection = self.connect(side)
            for _ in range(3):
                side.note("cancelled", self.interrupt(connection, postgres))
                connection.rollback()
                side.note("usable", self.do(connection, "SELECT %s::int", (7,)))
            for _ in range(ROUNDS):
                self.locate(side, {"one": connection})

    def interrupt(self, connection: Connection, postgres: Postgres) -> str:
        """What comes of a query that is cancelled once it runs."""
        sleeper = Background(lambda: self.attempt(connection, SLEEP))
        wait_until(lambda: is_asleep(postgres), "the query to run")
        self.cancel(connection)
        return sleeper.wait()[0]


def is_asleep(postgres: Postgres) -> bool:
    return bool(postgres.backends(f"datname = '{DATABASE}' AND state = 'active' AND query LIKE '%pg_sleep(600)%'"))
