"""SIGHUP reads the configuration again: at once, whole, and without disturbing anybody."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from tests.kit import wire
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler, toml


def _rewrite(pooler: Pooler, text: str | None = None) -> None:
    pooler.config.write_text(toml(pooler._tables()) if text is None else text)
    pooler.signal(signal.SIGHUP)


def _setting(pooler: Pooler, key: str) -> str:
    (row,) = [row for row in pooler.admin("SHOW CONFIG") if row["key"] == key]
    return str(row["value"])


def test_a_larger_pool_serves_those_who_wait(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as busy, pooler.client() as waiting:
        busy.begin()
        waiting.send(wire.query("SELECT 'served'"))
        pooler.wait_for_pool(cl_waiting=1)
        pooler.settings["default_pool_size"] = 2
        _rewrite(pooler)
        assert waiting.read_until("Z").value == "served"
        assert busy.query("SELECT 'undisturbed'").value == "undisturbed"
        busy.query("COMMIT")
    assert _setting(pooler, "default_pool_size") == "2"


def test_a_new_database_can_be_used(pooler: Pooler) -> None:
    pooler.run()
    pooler.databases["alias"] = {**pooler.databases["app"], "dbname": "app"}
    _rewrite(pooler)
    wait_until(lambda: pooler.log_contains("configuration reloaded"), "the reload")
    assert pooler.value("SELECT current_database()", dbname="alias") == "app"


def test_a_bad_file_is_refused_whole_and_the_old_one_stays(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=3)
    with pooler.client() as client:
        client.begin()
        good = pooler.config.read_text()
        bad = good.replace("default_pool_size = 3", 'default_pool_size = 9\nquery_wait_timeout = "soon"')
        assert bad != good
        _rewrite(pooler, bad)
        wait_until(lambda: pooler.log_contains("configuration not reloaded"), "the refusal")
        (refusal,) = [event for event in pooler.events if "not reloaded" in event["message"]]
        assert refusal["level"] == "error"
        assert "query_wait_timeout" in refusal["problem"]
        assert client.query("COMMIT").command_tags == ["COMMIT"]
    assert _setting(pooler, "default_pool_size") == "3"
    _rewrite(pooler, good)
    wait_until(lambda: pooler.log_contains("configuration reloaded"), "a good file to be taken again")


def test_what_needs_a_restart_is_said(pooler: Pooler) -> None:
    pooler.run()
    pooler.settings["listen_backlog"] = 7
    _rewrite(pooler)
    wait_until(lambda: pooler.log_contains("take effect at the next start: listen_backlog"), "the warning")
    assert pooler.value("SELECT 1") == 1


def test_the_log_level_changes_at_once(pooler: Pooler) -> None:
    pooler.run_with(log_level="warning")
    pooler.settings["log_level"] = "info"
    _rewrite(pooler)
    wait_until(lambda: pooler.log_contains("configuration reloaded"), "a line of level info")


class SlowFile:
    """A file whose reader waits: `until_read` says that there is one, `release` gives it what the file holds."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    def until_read(self) -> None:
        self._end = int(wait_until(self._open, "somebody to read the file"))

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return 0

    def release(self) -> None:
        """From now on it is a file like any other."""
        plain = self.path.with_suffix(".plain")
        plain.write_text(self.text)
        plain.rename(self.path)
        os.write(self._end, self.text.encode())
        os.close(self._end)


def test_a_signal_during_a_reload_is_not_lost(pooler: Pooler) -> None:
    """The reload that is going on has read the file before the second edit."""
    users = pooler.folder / "users"
    users.write_text('"alice" "pw"\n')
    pooler.run_with(max_client_conn=50, auth_file=str(users))
    slow = SlowFile(users, users.read_text())
    pooler.settings["max_client_conn"] = 51
    _rewrite(pooler)
    slow.until_read()
    pooler.settings["max_client_conn"] = 52
    _rewrite(pooler)
    slow.release()
    wait_until(lambda: _setting(pooler, "max_client_conn") == "52", "the second edit to be in force")


def test_a_signal_during_the_start_is_not_lost(pooler: Pooler) -> None:
    slow = SlowFile(pooler.folder / "users", '"alice" "pw"\n')
    pooler.settings |= {"max_client_conn": 50, "auth_file": str(slow.path)}
    pooler.start()
    slow.until_read()
    pooler.settings["max_client_conn"] = 51
    _rewrite(pooler)
    slow.release()
    wait_until(lambda: pooler.log_contains("howdah is ready"), "the start")
    wait_until(lambda: _setting(pooler, "max_client_conn") == "51", "the edit to be in force")


def test_the_consoles_reload_answers_when_it_is_done(pooler: Pooler) -> None:
    pooler.run_with(max_client_conn=50)
    for number in (51, 52, 53):
        pooler.settings["max_client_conn"] = number
        pooler.config.write_text(toml(pooler._tables()))
        pooler.admin("RELOAD")
        assert _setting(pooler, "max_client_conn") == str(number)


def test_a_refused_reload_tells_the_console_what_is_wrong(pooler: Pooler) -> None:
    pooler.run_with(max_client_conn=50)
    pooler.config.write_text(pooler.config.read_text().replace("max_client_conn = 50", "max_client_con = 51"))
    with pytest.raises(psycopg.errors.ProtocolViolation, match=r"max_client_con: unknown setting; did you mean"):
        pooler.admin("RELOAD")
    assert _setting(pooler, "max_client_conn") == "50"
