"""pgjdbc on the console: see Console.java."""

import subprocess
from pathlib import Path

import pytest

from tests.clients.pgjdbc.test_pgjdbc import DRIVER
from tests.kit.pooler import Pooler

pytestmark = pytest.mark.all_clients

SOURCE = Path(__file__).with_name("Console.java")


def test_pgjdbc_can_use_the_console(pooler: Pooler) -> None:
    pooler.run()
    pooler.value("SELECT 1")
    url = f"jdbc:postgresql://{pooler.host}:{pooler.port}/pgbouncer"
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", DRIVER, SOURCE, url],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
