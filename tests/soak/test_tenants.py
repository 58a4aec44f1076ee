"""Tenants by search_path, role and row-level security share servers that die: nobody sees another's rows."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.kit.crowd import Crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.soak import tenants
from tests.soak.wanderer import KINDS, Wanderer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CLIENTS, SERVERS = 8, 3
#: How many times something is killed at least, and after how many transactions in a long run.
DISASTERS, DISASTER_EVERY = 12, 10_000


@pytest.fixture
def shared(pooler: Pooler, postgres: Postgres) -> Iterator[Pooler]:
    """A pooler of few servers before the tenants' database."""
    tenants.create(postgres)
    pooler.databases = {tenants.DATABASE: {"host": postgres.host, "port": postgres.port}}
    # A server that has the client's settings already would be preferred: most would have their own.
    pooler.run_with(default_pool_size=SERVERS, server_login_retry=0.1, server_round_robin=True)
    yield pooler
    pooler.remove()
    postgres.ensure_running()
    tenants.remove(postgres)


def disaster(postgres: Postgres, dice: random.Random) -> None:
    """A backend is told to end; seldom one is killed, which takes all others with it."""
    victims = sorted(postgres.backends(f"datname = '{tenants.DATABASE}'"))
    if not victims:
        return
    if dice.random() < 0.75:
        postgres.terminate(dice.choice(victims))
        return
    try:
        postgres.kill_backend(dice.choice(victims))
    except ProcessLookupError:
        pass  # it has just ended
    postgres.wait_until_up()


def test_tenants_never_see_each_others_rows(shared: Pooler, postgres: Postgres, pytestconfig: pytest.Config) -> None:
    wanted, connect, failed = pytestconfig.getoption("tenant_transactions"), shared.client, threading.Event()
    wanderers = [Wanderer(lambda **more: connect(tenants.USER, tenants.DATABASE, **more), n) for n in range(CLIENTS)]

    def wander(number: int) -> None:
        wanderer = wanderers[number]
        try:
            while wanderer.done < wanted / CLIENTS and not failed.is_set():
                wanderer.act()
        except BaseException:
            failed.set()
            raise
        wanderer.leave()

    start = time.monotonic()
    crowd = Crowd(CLIENTS, wander)
    for milestone in milestones(wanted):
        wait_until(
            lambda milestone=milestone: failed.is_set() or sum(one.done for one in wanderers) >= milestone,  # type: ignore[misc]
            f"{milestone} transactions", within=1800,
        )  # fmt: skip
        disaster(postgres, random.Random(milestone))
    crowd.wait(within=1800)
    count: Counter[str] = sum((wanderer.count for wanderer in wanderers), Counter())
    report(count, time.monotonic() - start)
    assert tenants.strays(postgres) == []
    assert tenants.written(postgres) > 0
    assert all(count[kind.__name__] for kind in KINDS), count
    assert all(len(wanderer.seen) >= SERVERS for wanderer in wanderers)


def milestones(wanted: int) -> list[int]:
    """After how many transactions there is a disaster."""
    times = max(DISASTERS, wanted // DISASTER_EVERY) + 1
    return [n * wanted // times for n in range(1, times)]


def report(count: Counter[str], seconds: float) -> None:
    """Printed for who runs it by hand, with -s."""
    transactions = count.total() - count["lost"]
    print(f"{transactions} transactions in {seconds:.0f} s, {transactions / seconds:.0f} a second: {dict(count)}")
