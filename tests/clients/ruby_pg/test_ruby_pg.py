"""Ruby's pg: see workload.rb."""

import pytest

from tests.clients.programs import FOLDER, Program


@pytest.mark.all_clients
class TestRubyPg(Program):
    command = ("ruby", FOLDER / "ruby_pg" / "workload.rb")
    stories = (
        "rows",
        "statements",
        "values",
        "transactions",
        "pipeline",
        "errors",
        "copies",
        "rows_one_by_one",
        "large",
        "cancel",
    )
