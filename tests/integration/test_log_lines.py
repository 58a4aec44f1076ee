"""What the log looks like, and which lines of it can be switched off."""

import json

import pytest

from tests.kit.deadline import wait_until
from tests.kit.drop_in import DropIn
from tests.kit.pooler import Pooler, toml


@pytest.mark.parametrize("shape", ["text", "json"])
def test_lines_are_for_people_or_for_machines(pooler: Pooler, shape: str) -> None:
    pooler.settings["log_format"] = shape
    pooler.config.write_text(toml({"howdah": pooler.settings, "databases.app": pooler.databases["app"]}))
    pooler.spawn("run", str(pooler.config))
    wait_until(lambda: pooler.log_contains("howdah is ready"), "the start", within=20)
    lines = pooler.log_text.splitlines()
    assert all(line.startswith("{") == (shape == "json") for line in lines)
    if shape == "json":
        assert "howdah is ready" in [json.loads(line)["message"] for line in lines]


def test_connections_can_be_left_out(either: DropIn) -> None:
    either.run_with(log_connections=False)
    with either.client() as client:
        client.query("SELECT 1")
    either.wait_for_line("client close request")
    assert not [text for _, text in either.lines if "login attempt" in text or "new connection to server" in text]


def test_ends_of_connections_can_be_left_out(either: DropIn) -> None:
    either.run_with(log_disconnections=False, workers=1)
    either.client().close()
    either.client(user="bob").close()
    with either.client(user="rep"):
        either.wait_for_line("login attempt: db=app user=rep")
    assert not [text for _, text in either.lines if "closing because" in text]


@pytest.mark.parametrize("wanted", [True, False])
def test_averages_are_written_if_they_are_wanted(pooler: Pooler, wanted: bool) -> None:
    pooler.run_with(stats_period=1, log_stats=wanted)

    def a_period_is_over() -> bool:
        pooler.value("SELECT 1")
        return any(int(row["xact_count"]) for row in pooler.admin("SHOW STATS_AVERAGES") if row["database"] == "app")

    wait_until(a_period_is_over, "averages of a period")
    assert any(event["message"] == "stats" for event in pooler.events) == wanted
