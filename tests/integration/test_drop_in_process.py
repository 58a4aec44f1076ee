"""howdah-pgbouncer as a process: foreground and background, its files, its user, its signals."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.kit.deadline import wait_until
from tests.kit.drop_in import DropIn


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "howdah.cli.pgbouncer", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


def _open_files(pid: int) -> set[str]:
    return {os.path.realpath(path) for path in Path(f"/proc/{pid}/fd").iterdir()}


def test_usage_errors_end_with_status_1_and_a_hint() -> None:
    done = _command()
    assert done.returncode == 1
    assert re.fullmatch(r'(.*): no configuration file specified\nTry "\1 --help" for more information\.\n', done.stderr)


def test_help_and_version_go_to_stdout() -> None:
    for switch in ("--help", "-V"):
        done = _command(switch)
        assert (done.returncode, done.stderr) == (0, "")
        assert "howdah" in done.stdout


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = _command(str(tmp_path / "none.toml"))
    assert done.returncode == 1
    error, fatal = done.stderr.splitlines()
    assert re.search(r" \[\d+\] ERROR .*none\.toml: no such file", error)
    assert re.search(r" \[\d+\] FATAL cannot load config file$", fatal)


def test_it_says_what_it_does_from_start_to_end(drop_in: DropIn) -> None:
    drop_in.run()
    drop_in.wait_for_line("process up")
    drop_in.finish()
    texts = [text for _, text in drop_in.lines]
    order = ["kernel file descriptor limit: ", f"listening on {drop_in.host}:{drop_in.port}",
             f"listening on unix:{drop_in.socket_path}", "process up: howdah ", "got SIGTERM, shutting down",
             "client connections dropped, exiting"]  # fmt: skip
    found = [next(at for at, text in enumerate(texts) if text.startswith(start)) for start in order]
    assert found == sorted(found)
    assert drop_in.journal.read_text() in drop_in.log.read_text()  # the terminal shows the same


def test_quiet_silences_the_terminal_and_not_the_file(drop_in: DropIn) -> None:
    drop_in.switches = ("--quiet",)
    drop_in.run()
    drop_in.wait_for_line("process up")
    drop_in.finish()
    assert drop_in.log.read_text() == ""


def test_verbose_writes_debug_lines(drop_in: DropIn) -> None:
    drop_in.switches = ("-vv",)
    drop_in.run()
    with drop_in.client() as client:
        client.query("CREATE TEMP TABLE t (n int)")
        assert drop_in.wait_for_line("server pinned to client")[0] == "DEBUG"


def test_the_pid_file_is_there_while_it_runs(drop_in: DropIn) -> None:
    drop_in.run()
    drop_in.wait_for_line("process up")
    assert drop_in.pid_file.read_text() == f"{drop_in.pid}\n"
    drop_in.finish()
    assert not drop_in.pid_file.exists()


def test_a_second_one_on_the_same_pid_file_does_not_start(drop_in: DropIn) -> None:
    drop_in.run()
    assert drop_in.fails_to_start() == 1
    assert drop_in.wait_for_line("another instance running")[0] == "FATAL"
    with drop_in.client() as client:
        assert client.query("SELECT 1").value == "1"


def test_a_stale_pid_file_is_replaced(drop_in: DropIn) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    drop_in.pid_file.write_text(f"{gone.pid}\n")
    drop_in.run()
    drop_in.wait_for_line("stale pidfile, removing")
    drop_in.wait_for_line("process up")
    assert drop_in.pid_file.read_text() == f"{drop_in.pid}\n"


def test_the_log_file_is_opened_anew_on_sighup(drop_in: DropIn) -> None:
    drop_in.run()
    drop_in.wait_for_line("process up")
    rotated = drop_in.journal.rename(drop_in.folder / "pooler.log.1")
    drop_in.signal(signal.SIGHUP)
    drop_in.wait_for_line("configuration reloaded")
    assert "got SIGHUP, re-reading config" in rotated.read_text()


def test_a_bad_configuration_does_not_keep_the_log_from_being_rotated(drop_in: DropIn) -> None:
    drop_in.run()
    drop_in.wait_for_line("process up")
    drop_in.journal.rename(drop_in.folder / "pooler.log.1")
    drop_in.config.write_text("what is this")
    drop_in.signal(signal.SIGHUP)
    assert drop_in.wait_for_line("not reloaded")[0] == "ERROR"


def test_a_log_that_cannot_be_written_stops_nobody(drop_in: DropIn) -> None:
    drop_in.run()
    drop_in.wait_for_line("process up")
    drop_in.settings["logfile"] = "/dev/full"
    drop_in.config.write_text(drop_in.configuration())
    drop_in.signal(signal.SIGHUP)
    wait_until(lambda: "/dev/full" in _open_files(drop_in.pid), "the log to be opened anew")
    with drop_in.client() as client:
        assert client.query("SELECT 1").value == "1"


def test_a_log_that_cannot_be_opened_stops_the_start(drop_in: DropIn) -> None:
    drop_in.settings["logfile"] = str(drop_in.folder / "none" / "log")
    assert drop_in.fails_to_start() == 1
    assert re.search(r"FATAL Cannot open logfile: '.*none/log': No such file", drop_in.log_text)


# --- in the background


def test_the_command_ends_when_the_daemon_listens(drop_in: DropIn) -> None:
    drop_in.start_daemon()
    daemon = psutil.Process(int(drop_in.pid_file.read_text()))
    with drop_in.client() as client:
        assert client.query("SELECT 1").value == "1"
    assert daemon.terminal() is None
    assert os.getsid(daemon.pid) != daemon.pid  # it can get no terminal any more
    assert {str(Path(f"/proc/{daemon.pid}/fd/{fd}").readlink()) for fd in range(3)} == {os.devnull}
    drop_in.end_daemon()
    assert not drop_in.pid_file.exists()


def test_a_daemon_that_cannot_start_says_why(drop_in: DropIn) -> None:
    drop_in.run()
    drop_in.settings["pidfile"] = ""
    drop_in.forget_log()
    assert drop_in.fails_to_start("-d") == 1
    assert re.search("FATAL cannot listen on .*in use", drop_in.log_text)


# --- users


@pytest.mark.root
@needs_root
def test_root_needs_a_user_to_become(drop_in: DropIn) -> None:
    del drop_in.settings["user"]
    assert drop_in.fails_to_start() == 1
    assert re.search("FATAL howdah should not run as root", drop_in.log_text)


@pytest.mark.root
@needs_root
def test_the_user_is_taken_on_with_its_groups_by_all_threads(drop_in: DropIn) -> None:
    drop_in.run()
    drop_in.wait_for_line("process up")
    uid = drop_in.postgres.identity["user"]
    for status in Path(f"/proc/{drop_in.pid}/task").glob("*/status"):
        facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
        assert facts["Uid"].split() == [str(uid)] * 4
        assert facts["Gid"].split() == [str(drop_in.postgres.identity["group"])] * 4
        assert "0" not in facts["Groups"].split()
    assert {path.stat().st_uid for path in (drop_in.journal, drop_in.pid_file, Path(drop_in.socket_path))} == {uid}


@pytest.mark.root
@needs_root
def test_what_is_loaded_late_is_loaded_as_root(drop_in: DropIn) -> None:
    """SELECT on the console brings SQLite in, which that user may not be able to read."""
    drop_in.run()
    with drop_in.connect(dbname="pgbouncer", user="boss") as console:
        assert console.execute("SELECT count(*) FROM pools").fetchone() is not None
    assert "Traceback" not in drop_in.log_text


@pytest.mark.root
@needs_root
def test_a_switch_names_the_user_too(drop_in: DropIn) -> None:
    user = str(drop_in.settings.pop("user"))
    drop_in.switches = ("--user", user)
    drop_in.run()
    drop_in.wait_for_line("process up")
    assert psutil.Process(drop_in.pid).username() == user


def test_a_user_that_is_not_there_stops_the_start(drop_in: DropIn) -> None:
    drop_in.settings["user"] = "nosuch"
    assert drop_in.fails_to_start() == 1
    assert "FATAL could not find user 'nosuch' to switch to" in drop_in.log_text


@pytest.mark.root
@needs_root
def test_what_that_user_may_not_read_is_told_at_the_start(drop_in: DropIn) -> None:
    drop_in.users_file.chmod(0o600)
    assert drop_in.fails_to_start() == 1
    assert re.search("FATAL .*users.txt.*[Pp]ermission denied", drop_in.log_text)


# --- signals


def test_a_second_sigterm_ends_it_at_once(drop_in: DropIn) -> None:
    drop_in.run()
    with drop_in.client() as client:
        client.begin()
        drop_in.signal(signal.SIGTERM)
        drop_in.wait_for_line("got SIGTERM, shutting down, waiting for all clients disconnect")
        drop_in.signal(signal.SIGTERM)
        assert client.read_to_end().errors[-1].fields["M"] == "server shutting down"
    drop_in.wait_for_line("got SIGTERM while shutting down, fast exit")
    assert drop_in.wait_for_exit() == 0


def test_sigquit_ends_it_at_once(drop_in: DropIn) -> None:
    drop_in.run()
    with drop_in.client() as client:
        client.begin()
        drop_in.signal(signal.SIGQUIT)
        client.read_to_end()
    drop_in.wait_for_line("got SIGQUIT, fast exit")
    assert drop_in.wait_for_exit() == 0


def test_a_new_process_takes_over_by_r(drop_in: DropIn) -> None:
    drop_in.run()
    with drop_in.client() as client:
        client.query("SELECT 1")
        before = drop_in.take_over()
        assert before.wait(20) == 0
        assert client.query("SELECT 2").value == "2"
    assert drop_in.pid_file.read_text() == f"{drop_in.pid}\n"
    drop_in.wait_for_line("handing over: no new clients")
    drop_in.wait_for_line("taken over process=")
    drop_in.finish()
    assert not drop_in.pid_file.exists()
