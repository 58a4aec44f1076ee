"""postgres.js: see workload.js."""

import pytest

from tests.clients.programs import FOLDER, Program


@pytest.mark.all_clients
class TestPostgresJs(Program):
    command = ("node", FOLDER / "postgres_js" / "workload.js")
    stories = (
        "rows",
        "values",
        "transactions",
        "pipelined",
        "pool",
        "errors",
        "change",
        "cursors",
        "copies",
        "large",
        "cancel",
    )
