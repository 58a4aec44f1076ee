"""From the command line to what is run: nothing starts here, `supervisor.run` is replaced."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from howdah.cli import cli
from howdah.control.config import Config, StartError

URL = "postgresql://bob@db.example:5433/app"


class Supervisor:
    """Takes the place of howdah.control.supervisor, which needs the compiled half."""

    def __init__(self) -> None:
        self.config: Config | None = None
        self.reread: Callable[[], Config] | None = None
        self.launch = SimpleNamespace()
        self.status = 0

    def run(self, config: Config, reread: Callable[[], Config], launch: SimpleNamespace) -> int:
        self.config, self.reread, self.launch = config, reread, launch
        return self.status


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    for name in ("DATABASE_URL", "HOWDAH_WORKERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    stand_in = Supervisor()
    module = SimpleNamespace(run=stand_in.run, Launch=SimpleNamespace)
    monkeypatch.setitem(__import__("sys").modules, "howdah.control.supervisor", module)
    monkeypatch.setattr("howdah.control.supervisor", module, raising=False)
    return stand_in


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["run", *arguments], catch_exceptions=False)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--listen", "127.0.0.2"], {"listen_addr": ("127.0.0.2",), "listen_port": 6432}),
        (["--listen", "127.0.0.2:7000"], {"listen_addr": ("127.0.0.2",), "listen_port": 7000}),
        (["--listen", ":7000"], {"listen_addr": ("127.0.0.1", "::1"), "listen_port": 7000}),
        (["--listen", "[::1]:7000"], {"listen_addr": ("::1",), "listen_port": 7000}),
        (["--listen", "::1"], {"listen_addr": ("::1",)}),
        (["--listen", "localhost,127.0.0.2"], {"listen_addr": ("localhost", "127.0.0.2")}),
        (["--listen", "127.0.0.2", "--listen", "::1"], {"listen_addr": ("127.0.0.2", "::1")}),
        (["--listen", "127.0.0.2:7000", "--port", "7001"], {"listen_port": 7001}),
        (["-p", "7001"], {"listen_port": 7001}),
        (["--pool-size", "5"], {"default_pool_size": 5}),
        (["--pool-mode", "session"], {"pool_mode": "session"}),
        (["--workers", "3"], {"workers": 3}),
        (["--log-level", "error"], {"log_level": "error"}),
        (["--json-logs"], {"log_format": "json"}),
        (["-q"], {"log_level": "warning", "live_line": False}),
        (["-v"], {"log_level": "debug"}),
        (["-q", "--log-level", "info"], {"log_level": "info", "live_line": False}),
        (["--set", "query_wait_timeout=5s", "-s", "admin_users=a,b"], {"query_wait_timeout": 5.0}),
        (["--set", "server_reset_query="], {"server_reset_query": ""}),
        (["--set", "server_reset_query=SET a=b"], {"server_reset_query": "SET a=b"}),
    ],
)
def test_options_become_settings(supervisor: Supervisor, arguments: list[str], expected: dict[str, object]) -> None:
    result = invoke(*arguments, URL)
    assert (result.exit_code, result.output) == (0, "")
    assert supervisor.config is not None
    settings = supervisor.config.settings
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--listen", "127.0.0.1:1", "--listen", "::1", "--listen", ":2"], "one port, not"),
        (["--set", "workers"], "NAME=VALUE"),
        (["--no-such-option"], "No such option"),
        (["one", "two"], "unexpected extra argument"),
    ],
)
def test_wrong_use_is_told_with_status_2(supervisor: Supervisor, arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert supervisor.config is None


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--listen", "a:b:c"], "--listen: listen_addr: 'a:b:c' is neither"),
        (["--listen", "*"], "--listen: listen_addr: * can be reached from the network"),
        (["--port", "0"], "--port: listen_port: must be between"),
        (["--set", "no_such=1"], "--set: no_such: unknown setting"),
        (["--pool-mode", "request"], "--pool-mode: pool_mode: must be one of transaction, session, statement"),
    ],
)
def test_a_value_at_fault_is_told_with_its_option(supervisor: Supervisor, arguments: list[str], says: str) -> None:
    with pytest.raises(StartError) as caught:
        invoke(*arguments, URL)
    assert str(caught.value).startswith(says)


def test_the_status_is_the_supervisors(supervisor: Supervisor) -> None:
    supervisor.status = 3
    assert invoke(URL).exit_code == 3


def test_reading_again_sees_the_same_options_and_the_files_new_content(supervisor: Supervisor) -> None:
    file = Path("howdah.toml")
    file.write_text('[howdah]\nauth_type = "trust"\ndefault_pool_size = 5\n[databases.app]\nhost = "db"\n')
    invoke("--workers", "3")
    file.write_text('[howdah]\nauth_type = "trust"\ndefault_pool_size = 6\n[databases.app]\nhost = "db"\n')
    assert supervisor.reread is not None
    again = supervisor.reread().settings
    assert (again.workers, again.default_pool_size) == (3, 6)


def test_without_target_file_or_environment_it_is_the_embedded_postgresql(supervisor: Supervisor) -> None:
    invoke()
    assert supervisor.config is not None
    assert supervisor.config.embedded


@pytest.mark.parametrize("given", [True, False])
def test_it_takes_over_where_it_is_told_to(supervisor: Supervisor, given: bool) -> None:
    invoke(URL, *(["--take-over"] if given else []))
    assert supervisor.launch.take_over is given
