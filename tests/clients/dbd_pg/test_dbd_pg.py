"""Perl's DBD::Pg: see workload.pl."""

import pytest

from tests.clients.programs import FOLDER, Program


@pytest.mark.all_clients
class TestDbdPg(Program):
    command = ("perl", FOLDER / "dbd_pg" / "workload.pl")
    stories = ("rows", "handles", "values", "transactions", "errors", "copies", "large", "cancel")
