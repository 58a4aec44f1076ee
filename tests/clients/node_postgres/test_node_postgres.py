"""node-postgres: see workload.js."""

import pytest

from tests.clients.programs import FOLDER, Program


@pytest.mark.all_clients
class TestNodePostgres(Program):
    command = ("node", FOLDER / "node_postgres" / "workload.js")
    stories = ("rows", "values", "transactions", "errors", "pool", "streams", "copies", "large", "cancel")
