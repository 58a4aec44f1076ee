"""pgBadger reads the log in PgBouncer's place, and counts what there was to count; the same as in PgBouncer's own."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.kit import wire
from tests.kit.client import Refused
from tests.kit.drop_in import DropIn

pytestmark = pytest.mark.skipif(shutil.which("pgbadger") is None, reason="pgBadger is not installed (apt: pgbadger)")


def _report(pooler: DropIn) -> dict[str, Any]:
    out = pooler.folder / "report.json"
    # (Its own "pgbouncer" is the shape of long ago, without brackets around the process id.)
    shape = ["--format", "pgbouncer3", "--extension", "json", "--outfile", str(out)]
    subprocess.run(["pgbadger", "--quiet", "--pid-dir", pooler.folder, *shape, pooler.journal], check=True)
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def test_connections_and_errors_are_counted(either: DropIn) -> None:
    either.run_with(default_pool_size=1, query_wait_timeout=1)
    for _ in range(3):
        with either.client() as client:
            client.query("SELECT 1")
    for _ in range(2):
        with pytest.raises(Refused), either.stranger() as client:
            client.log_in(user="alice", database="shop")
    with either.client() as busy, either.client() as waiting:
        busy.begin()
        waiting.send(wire.query("SELECT 1"))
        waiting.read_to_end()
    either.wait_for_line("pooler error: query_wait_timeout")
    either.finish()
    report = _report(either)
    assert report["pgb_connection_info"]["count"] == 7
    assert report["pgb_connection_info"]["database"] == {"app": 5, "shop": 2}
    assert {text: found["count"] for text, found in report["pgb_error_info"].items()} == {
        "WARNING:  pooler error: query_wait_timeout": 1,
        "WARNING:  (...)/alice@... pooler error: no such database: shop": 2,
    }
