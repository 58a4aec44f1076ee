"""PHP's PDO: see workload.php."""

import pytest

from tests.clients.programs import FOLDER, Program


@pytest.mark.all_clients
class TestPdoPgsql(Program):
    command = ("php", FOLDER / "pdo_pgsql" / "workload.php")
    stories = ("rows", "emulated", "objects", "values", "transactions", "errors", "copies", "cursors", "large")
