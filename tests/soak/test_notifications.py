"""A thousand clients listen, a thousand notifications a second come: all are told, in order, by one server."""

import os
import time
from pathlib import Path

import pytest

from tests.kit.crowd import crowd
from tests.kit.listening import LISTENING, Listener
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.watch import BackendWatch

pytestmark = pytest.mark.slow

CLIENTS, CHANNELS, RATE, SECONDS, POOL = 1000, 100, 1000, 10, 4
BATCH = 10


def notify_steadily(postgres: Postgres) -> float:
    """RATE notifications a second for SECONDS, each of a number; gives how long that took."""
    with postgres.client() as speaker:
        start = time.monotonic()
        for first in range(0, RATE * SECONDS, BATCH):
            speaker.query(
                "; ".join(f"NOTIFY c{number % CHANNELS}, '{number}'" for number in range(first, first + BATCH))
            )
            ahead = start + (first + BATCH) / RATE - time.monotonic()
            time.sleep(max(ahead, 0))  # the pace is what is tested
        return time.monotonic() - start


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_thousand_listeners(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=POOL, max_client_conn=CLIENTS + 50)
    with BackendWatch(postgres) as watch:
        clients = [pooler.client() for _ in range(CLIENTS)]
        try:
            listeners = crowd(8, lambda part: [
                (number, Listener(clients[number], f"c{number % CHANNELS}")) for number in range(part, CLIENTS, 8)
            ])  # fmt: skip
            pooler.wait_for_pool(sv_active=0)
            spent = cpu_seconds(pooler.pid)
            took = notify_steadily(postgres)
            for number, listener in (one for part in listeners.values() for one in part):
                channel = number % CHANNELS
                listener.hear(RATE * SECONDS // CHANNELS)
                assert listener.payloads == [str(n) for n in range(channel, RATE * SECONDS, CHANNELS)]
            spent = cpu_seconds(pooler.pid) - spent
        finally:
            for client in clients:
                client.close()
    print(f"{RATE * SECONDS / took:.0f} notifications a second, {watch.peak} sessions, {spent:.2f} s of CPU time")
    assert took < SECONDS * 1.2
    assert watch.peak <= POOL + 1 + 1  # the speaker's own is there, too
    postgres.wait_for_backends(0, LISTENING)
