"""Clients that share a pool with PostgreSQL's tests and leave something in each server that they have."""

import random
import threading
from typing import Any, Self

import psycopg

#: One transaction each, or several.  Nothing that other sessions can see: no DDL, which event triggers would.
SOILS = (
    "SET DateStyle = 'German'; SET TimeZone = 'Asia/Kathmandu'",
    "SET search_path = pg_catalog; SET extra_float_digits = -3; SET bytea_output = 'escape'",
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET work_mem = '64kB'",
    "SELECT set_config('app.tenant', 'neighbour', false)",
    "PREPARE neighbours AS SELECT 1; EXECUTE neighbours; DEALLOCATE neighbours",
    "SELECT pg_advisory_lock(77); SELECT pg_advisory_unlock(77)",
    "BEGIN; SET LOCAL IntervalStyle = 'sql_standard'; SELECT 1/0; ROLLBACK",
    "DECLARE neighbours CURSOR WITH HOLD FOR SELECT 1; CLOSE neighbours",
    "RESET ALL",
)


class Neighbours:
    """`with Neighbours(3, **where):` they come and go until the block ends."""

    def __init__(self, count: int, **where: Any) -> None:
        self._where = where
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._live, args=(number,)) for number in range(count)]

    def _live(self, number: int) -> None:
        chance = random.Random(number)
        while not self._over.is_set():
            try:
                with psycopg.connect(**self._where, autocommit=True, prepare_threshold=None) as connection:
                    while not self._over.is_set() and chance.random() < 0.99:
                        self._soil(connection, chance.choice(SOILS))
            except psycopg.OperationalError:
                self._over.wait(0.1)

    def _soil(self, connection: psycopg.Connection[Any], soil: str) -> None:
        for part in soil.split("; "):
            try:
                connection.execute(part)
            except psycopg.errors.DivisionByZero:
                continue
            except psycopg.DatabaseError:
                if connection.closed:
                    raise
        self._over.wait(0.002)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
