"""Django 5 on psycopg 3, plain and with statements that psycopg prepares: migrations, ORM, persistent connections."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kit.story import Both

WORKLOAD = Path(__file__).with_name("workload.py")
#: All told by one process: Django takes its time to start.
STORIES = ("migrations", "tenants", "rows", "values", "transactions", "cursors", "threads")
PREPARED = {"server_side_binding": True, "prepare_threshold": 1}
OPTIONS = [
    pytest.param({}, id="as it comes", marks=pytest.mark.all_clients),
    pytest.param(PREPARED, id="prepared"),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_stories(both: Both, options: dict[str, Any]) -> None:
    for side in both:
        side.tell(sys.executable, WORKLOAD, *STORIES, DRIVER_OPTIONS=json.dumps(options))


@pytest.mark.all_clients
def test_cursors_without_a_transaction(both: Both) -> None:
    for side in both:
        side.tell(sys.executable, WORKLOAD, "cursors_without_a_transaction")
