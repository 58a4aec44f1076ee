"""Where log lines go, and that none of these places can stop the pooler."""

import os
import pwd
import re
import socket
import tempfile
from io import StringIO
from pathlib import Path

import pytest

from howdah.control.config.errors import StartError
from howdah.control.config.schema import GlobalSettings
from howdah.control.log import configure, logger
from howdah.control.output import Output
from howdah.control.process.identity import Identity


def _settings(**values: object) -> GlobalSettings:
    return GlobalSettings.model_validate(values)


def test_the_file_is_added_to_and_has_each_line_at_once(tmp_path: Path) -> None:
    path, terminal = tmp_path / "log", StringIO()
    path.write_text("before\n")
    output = Output(terminal, quiet=False)
    output.open(_settings(logfile=str(path)))
    output.write("line\n")
    assert path.read_text() == "before\nline\n"
    assert terminal.getvalue() == "line\n"
    output.close()


def test_quiet_is_about_the_terminal_alone(tmp_path: Path) -> None:
    path, terminal = tmp_path / "log", StringIO()
    output = Output(terminal, quiet=True)
    output.open(_settings(logfile=str(path)))
    output.write("line\n")
    assert (path.read_text(), terminal.getvalue()) == ("line\n", "")
    output.close()


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    output = Output(StringIO(), quiet=True)
    output.open(_settings(logfile=str(path)))
    output.write("old\n")
    path.rename(tmp_path / "log.1")
    output.open(_settings(logfile=str(path)))
    output.write("new\n")
    output.close()
    assert (path.read_text(), (tmp_path / "log.1").read_text()) == ("new\n", "old\n")


def test_one_that_cannot_be_opened_is_an_error_and_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "log"
    output = Output(StringIO(), quiet=True)
    output.open(_settings(logfile=str(path)))
    with pytest.raises(StartError, match="Cannot open logfile"):
        output.open(_settings(logfile=str(tmp_path / "none" / "log")))
    output.write("line\n")
    output.close()
    assert path.read_text() == "line\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_it_is_opened_with_the_rights_of_whom_we_are_to_become() -> None:
    """Who may write to the log's folder must not get at files of root's by a link in it."""
    nobody = pwd.getpwnam("nobody")
    identity = Identity(nobody.pw_name, nobody.pw_uid, nobody.pw_gid)
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as roots:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        Path(folder, "link").symlink_to(roots.name)
        output = Output(StringIO(), quiet=True)
        with pytest.raises(StartError, match=r"Cannot open logfile.*Permission denied"):
            output.open(_settings(logfile=f"{folder}/link"), identity)
        assert Path(roots.name).stat().st_uid == os.geteuid() == 0
        output.open(_settings(logfile=f"{folder}/log"), identity)
        assert Path(f"{folder}/log").stat().st_uid == nobody.pw_uid
        output.close()


def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    output = Output(StringIO(), quiet=True)
    output.open(_settings(logfile="/dev/full"))
    assert output.write("line\n") == 5
    output.close()


def test_files_are_not_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    output = Output(StringIO(), quiet=True, system_log=str(tmp_path / "nobody"))
    for _ in range(3):
        output.open(_settings(logfile=str(tmp_path / "log"), syslog=True))
    output.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_systems_log_gets_facility_level_and_name(tmp_path: Path) -> None:
    path = tmp_path / "devlog"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system:
        system.bind(str(path))
        system.settimeout(10)
        output = Output(StringIO(), quiet=True, system_log=str(path))
        output.open(_settings(syslog=True, syslog_facility="local3", syslog_ident="pooler"))
        configure(
            level="info", json=False, stream=output, colors=False, drop_in=True, also=output.to_system_log
        )  # fmt: skip
        logger().warning("watch out", reason="x\n<0>é")
        text = system.recv(4096).decode()
        output.close()
    local3, warning = 19 * 8, 4
    assert re.fullmatch(rf"<{local3 + warning}>pooler\[{os.getpid()}\]: watch out reason=x\\n<0>é", text)


def test_a_systems_log_that_is_not_there_stops_nobody(tmp_path: Path) -> None:
    output = Output(StringIO(), quiet=True, system_log=str(tmp_path / "nobody"))
    output.open(_settings(syslog=True))
    configure(level="info", json=False, stream=output, colors=False, drop_in=True, also=output.to_system_log)
    logger().info("line")
    output.close()
