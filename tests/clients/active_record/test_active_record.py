"""Rails' migrations by Active Record: see workload.rb."""

import pytest

from tests.clients.programs import FOLDER, Program


@pytest.mark.all_clients
class TestActiveRecord(Program):
    command = ("ruby", FOLDER / "active_record" / "workload.rb")
    stories = ("migrations", "lock")
