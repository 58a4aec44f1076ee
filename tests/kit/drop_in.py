"""``howdah-pgbouncer`` and PgBouncer itself, as processes in each other's place.

Both are a `Pooler`: started by `run_with`, ended and checked by `finish`.  What they write to their log file is
`journal`; what they show on the terminal is the `log` of every pooler.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.kit.certs import Pair
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler, environment, toml
from tests.kit.postgres import Postgres

#: One line: its level and its text.
_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[\d+\] ([A-Z]+) (.*)")
#: What differs from run to run: pointers, ports, ages, process ids.
_VARIES = [(r"-0x[0-9a-f]+", "-0x"), (r"(127\.0\.0\.1):\d+", r"\1:PORT"), (r"age=\d+s", "age=Ns"),
           (r"unix\(\d+\)", "unix(PID)")]  # fmt: skip

Line = tuple[str, str]


class DropIn(Pooler):
    """``howdah-pgbouncer howdah.toml``, as another user when root runs the tests."""

    take_over_switch = "-R"

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(postgres)
        self.journal, self.pid_file = self.folder / "pooler.log", self.folder / "pooler.pid"
        self.users_file = self.folder / "users.txt"
        self.settings |= {"logfile": str(self.journal), "pidfile": str(self.pid_file)}
        self.settings["auth_file"] = str(self.users_file)
        self.users_file.write_text('"alice" "pw"\n"bob" "pw"\n"rep" "pw"\n')
        if postgres.identity:
            self.settings["user"] = _name_of(postgres.identity["user"])
            os.chown(self.folder, postgres.identity["user"], postgres.identity["group"])
        self.switches: tuple[str, ...] = ()

    @property
    def program(self) -> Sequence[str | Path]:
        return [sys.executable, "-m", "howdah.cli.pgbouncer"]

    def configuration(self) -> str:
        return toml(self._tables())

    def start(self, *switches: str) -> None:
        self.config.write_text(self.configuration())
        self.process = self._open(*self.switches, *switches)

    def _open(self, *switches: str, **more: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self.program, *switches, self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=environment(**more), start_new_session=True,
            )  # fmt: skip

    def fails_to_start(self, *switches: str, within: float = 30) -> int:
        """The exit status of a start that comes to nothing."""
        self.config.write_text(self.configuration())
        return self._open(*self.switches, *switches).wait(within)

    def reload_with(self, **settings: object) -> None:
        raise NotImplementedError("its log does not say when a reload is over")

    def offer_tls(self, pair: Pair) -> None:
        """With copies that the user whom it becomes can read."""
        for kind, file in (("cert", pair.certificate), ("key", pair.key)):
            copy = self.folder / f"client_tls.{kind}"
            shutil.copy(file, copy)
            copy.chmod(0o600)
            if identity := self.postgres.identity:
                os.chown(copy, identity["user"], identity["group"])
            self.settings[f"client_tls_{kind}_file"] = str(copy)
        self.settings["client_tls_sslmode"] = "allow"

    # in the background

    def start_daemon(self, *switches: str) -> None:
        """The command has ended when this returns, and what it left in the background listens."""
        self.config.write_text(self.configuration())
        assert self._open("-d", *switches).wait(30) == 0, self.log_text

    def end_daemon(self) -> None:
        process = psutil.Process(int(self.pid_file.read_text()))
        process.send_signal(signal.SIGQUIT)
        process.wait(20)

    # what it has written

    @property
    def lines(self) -> list[Line]:
        """Level and text of each line in its log file."""
        text = self.journal.read_text() if self.journal.exists() else ""
        matches = [_LINE.fullmatch(line) for line in text.splitlines()]
        assert None not in matches, f"a line of another shape:\n{text}"
        return [(match[1], match[2]) for match in matches if match]

    @property
    def alike(self) -> list[Line]:
        """The same without what differs from run to run."""
        return [(level, _without_what_varies(text)) for level, text in self.lines]

    def wait_for_line(self, pattern: str, within: float = 15.0) -> Line:
        """Wait until a line's text fits, and return it."""

        def found() -> list[Line]:
            return [line for line in self.lines if re.search(pattern, line[1])]

        wait_until(lambda: bool(found()), f"a log line like {pattern!r}; the log:\n{self.lines}", within)
        return found()[0]


class PgBouncer(DropIn):
    """The original, with the same settings as far as it has them."""

    def __init__(self, postgres: Postgres, program: Path) -> None:
        super().__init__(postgres)
        self._program = program
        self.config = self.folder / "pgbouncer.ini"

    @property
    def program(self) -> Sequence[str | Path]:
        return [self._program]

    def configuration(self) -> str:
        settings = {name: value for name, value in self.settings.items() if name != "workers"}
        databases = {name: _pairs(table) for name, table in self.databases.items()}
        users = {name: _pairs(table) for name, table in self.users.items()}
        peers = {number: _pairs(table) for number, table in self.peers.items()}
        return ini({"databases": databases, "users": users, "peers": peers, "pgbouncer": settings})


def ini(sections: Mapping[str, Mapping[str, object]]) -> str:
    lines = []
    for name, entries in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {int(value) if isinstance(value, bool) else value}" for key, value in entries.items()]
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in table.items())


def _without_what_varies(text: str) -> str:
    for pattern, instead in _VARIES:
        text = re.sub(pattern, instead, text)
    return text


def _name_of(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name
