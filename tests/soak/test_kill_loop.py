"""Kill -9 of backends and the postmaster again and again under load: howdah stays, all are answered, nothing leaks."""

import random
import threading
import time

import pytest

from tests.kit import wire
from tests.kit.client import Client, Gone, Refused
from tests.kit.crowd import Crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: What a client may be told: its server is lost, or none can be had.
TOLD = {"08006", "57P01", "57P02", "57P03", "08001", "53300"}


class Tally:
    """What the clients saw."""

    def __init__(self) -> None:
        self.results = 0
        self.errors = 0
        self.ends = 0
        self.over = threading.Event()


def one_session(pooler: Pooler, tally: Tally, dice: random.Random) -> None:
    with pooler.client() as client:
        while not tally.over.is_set():
            messages = dice.choice([query, transaction, pipeline])()
            errors = client_asks(client, messages)
            if errors:
                assert set(errors) <= TOLD, errors
                tally.errors += 1
            else:
                tally.results += 1


def query() -> list[bytes]:
    return [wire.query("SELECT pg_sleep(0.005)")]


def transaction() -> list[bytes]:
    return [wire.query("BEGIN"), wire.query("SELECT txid_current()"), wire.query("COMMIT")]


def pipeline() -> list[bytes]:
    return [wire.extended("SELECT 1") + wire.sync()] * 5


def client_asks(client: Client, messages: list[bytes]) -> list[str]:
    client.send(*messages)
    return [error.sqlstate for error in client.read_ready(len(messages), within=60).errors]


def member(pooler: Pooler, tally: Tally, number: int) -> None:
    dice = random.Random(number)
    while not tally.over.is_set():
        try:
            one_session(pooler, tally, dice)
        except Refused as refused:
            if refused.sqlstate not in TOLD:
                raise
            tally.errors += 1
        except (Gone, OSError):
            tally.ends += 1


def disaster(postgres: Postgres, dice: random.Random) -> None:
    """One backend, several, or the postmaster itself."""
    if dice.random() < 0.25:
        postgres.kill()
        postgres.start()
        return
    try:
        victims = sorted(postgres.backends())
    except Exception:
        victims = []
    if victims:
        try:
            postgres.kill_backend(dice.choice(victims))
        except ProcessLookupError:
            pass  # it has just ended
    postgres.wait_until_up()


def test_kill_9_in_a_loop(pooler: Pooler, postgres: Postgres, pytestconfig: pytest.Config) -> None:
    seconds, size = pytestconfig.getoption("soak_seconds"), pytestconfig.getoption("soak_clients")
    pooler.run_with(
        max_client_conn=size + 20, default_pool_size=10, server_login_retry=0.1, query_wait_timeout=20, workers=2
    )
    files = pooler.open_files
    tally, dice = Tally(), random.Random(7)
    load = Crowd(size, lambda number: member(pooler, tally, number))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = tally.results
        wait_until(lambda before=before: tally.results > before + size, "the load to run", within=60)  # type: ignore[misc]
        assert pooler.is_running, pooler.log_tail
        disaster(postgres, dice)
    tally.over.set()
    load.wait(within=90)
    assert tally.results > 0 and tally.errors + tally.ends > 0
    pooler.wait_until_idle()
    agree(pooler, postgres)
    wait_until(
        lambda: pooler.open_files <= files + 2 * len(postgres.backends()) + 4,
        "the pooler's descriptors to be given back",
    )


def agree(pooler: Pooler, postgres: Postgres) -> None:
    """SHOW and pg_stat_activity tell the same, and no client's place is lost."""

    def shown() -> set[int]:
        return {int(row["remote_pid"]) for row in pooler.admin("SHOW SERVERS")}

    wait_until(lambda: shown() == postgres.backends(), "SHOW SERVERS and pg_stat_activity to agree")
    counted = sum(row["sv_idle"] for row in pooler.admin("SHOW POOLS"))
    assert counted == len(postgres.backends())
    assert not [row for row in pooler.admin("SHOW CLIENTS") if row["database"] != "pgbouncer"]
