"""What a person at a terminal is told when howdah is ready: where it listens, how to connect, how to stop."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import howdah
from howdah.dataplane.plan import Plan

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Door:
    """One way in: a TCP address, or a Unix socket directory."""

    host: str
    port: int


def connection_string(door: Door, database: str, user: str = "") -> str:
    """A postgresql:// URL that libpq and all drivers read."""
    login = f"{quote(user, safe='')}@" if user else ""
    name = quote(database, safe="")
    if door.host.startswith(("/", "@")):
        where = urlencode({"host": door.host, "port": door.port}, safe="/@", quote_via=quote)
        return f"postgresql://{login}/{name}?{where}"
    host = _ANY.get(door.host, door.host)
    return f"postgresql://{login}{f'[{host}]' if ':' in host else host}:{door.port}/{name}"


@dataclass(frozen=True, slots=True)
class Greeting:
    listening: Sequence[str]
    upstream: str
    pool: str
    connect: str  # connection string of a database, or "" when there is none to suggest
    console: str  # connection string of the console
    seconds: float
    logins: str = ""  # how clients prove who they are
    user: str = ""  # whose password follows
    password: str = ""  # goes into that user's connection strings for a person, and never into a log
    password_file: str = ""  # where it is kept

    def fields(self) -> dict[str, object]:
        """For the log."""
        return {
            "version": howdah.__version__,
            "listening": ", ".join(self.listening),
            "postgresql": self.upstream,
            **({"connect": self.connect} if self.connect else {}),
            "console": self.console,
            **({"logins": self.logins} if self.logins else {}),
            **({"password_file": self.password_file} if self.password_file else {}),
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> list[str]:
        """For a terminal."""
        connect, console = (self._with_password(url) for url in (self.connect, self.console))
        rows = [
            ("listening on", ", ".join(self.listening)),
            ("PostgreSQL", self.upstream),
            ("pools", self.pool),
            ("logins", self.logins),
            ("connect", connect),
            ("with psql", f"psql '{connect}'" if connect else ""),
            ("console", f"psql '{console}'   (SHOW HELP)"),
            ("stop", "Ctrl-C"),
        ]
        width = max(len(label) for label, _ in rows)
        body = [f"  {label:<{width}}  {text}" for label, text in rows if text]
        return [f"howdah {howdah.__version__} is ready after {self.seconds:.2f} s", "", *body, ""]

    def _with_password(self, url: str) -> str:
        """The connection string with the password, if it is this user's."""
        login = f"postgresql://{quote(self.user, safe='')}"
        if not self.password or not url.startswith(f"{login}@"):
            return url
        return url.replace(f"{login}@", f"{login}:{quote(self.password, safe='')}@", 1)


def seconds_since_start() -> float:
    """How long this process has been running, the interpreter's own start included."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # starttime, the 22nd of all, in ticks since boot
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 0.0)


def describe_upstream(plan: Plan) -> str:
    """The servers by database, a few of them."""
    shown = [
        f"{'any database' if entry.name == '*' else entry.name} at "
        + (", ".join(address.text for address in entry.addresses) or entry.resolve_error)
        for entry in plan.databases[:3]
    ]
    more = len(plan.databases) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
